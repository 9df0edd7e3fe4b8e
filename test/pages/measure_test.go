// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
)

// measurements are the times from a fault to its pages.
type measurements struct {
	mu   sync.Mutex
	rows map[[3]string]measurement // by fault, alert and severity
}

// measurement is the longest time of its kind.
type measurement struct {
	took, rule time.Duration // rule is what the rule waits of it, in this run
	more       bool          // at full length something else takes longer as well
}

func (m *measurements) add(fault string, p page, took, rule time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.rows == nil {
		m.rows = map[[3]string]measurement{}
	}
	key := [3]string{fault, string(p.full()), p.severity}
	if m.rows[key].took < took {
		m.rows[key] = measurement{took, rule, p.late != 0}
	}
}

// row tells what was measured, and what follows for the full length of the rule.
func (m measurement) row(key [3]string, scale int) []string {
	full := m.took + m.rule*time.Duration(scale-1)
	seconds := strconv.Itoa(int(full.Round(time.Second).Seconds()))
	if m.more && scale > 1 {
		seconds += "+"
	}
	return append(key[:], seconds, strconv.Itoa(int(m.took.Round(time.Second).Seconds())), strconv.Itoa(scale))
}

// write writes the table to a file. Rows of faults that were not tried this time stay.
func (m *measurements) write(path string, scale int) error {
	if path == "" {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	old, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot read the measurements of before: %w", err)
	}
	rows, err := csv.NewReader(bytes.NewReader(old)).ReadAll()
	if err != nil {
		return fmt.Errorf("cannot read the measurements of before: %w", err)
	}
	tried := map[string]bool{"fault": true} // the head
	for key := range m.rows {
		tried[key[0]] = true
	}
	rows = slices.DeleteFunc(rows, func(row []string) bool { return tried[row[0]] })
	for key, measured := range m.rows {
		rows = append(rows, measured.row(key, scale))
	}
	slices.SortFunc(rows, slices.Compare)
	var text bytes.Buffer
	err = csv.NewWriter(&text).WriteAll(append([][]string{{"fault", "alert", "severity", "seconds", "measured", "scale"}}, rows...))
	if err == nil {
		err = os.WriteFile(path, text.Bytes(), 0o644)
	}
	if err != nil {
		return fmt.Errorf("cannot write the measurements: %w", err)
	}
	return nil
}

// asAlert tells an alerting rule from a recording rule; the client library gives both as values.
func asAlert(rule any) (v1.AlertingRule, bool) {
	alerting, ok := rule.(v1.AlertingRule)
	return alerting, ok
}
