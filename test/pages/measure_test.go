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
	rows map[[3]string]time.Duration // by fault, alert and severity, the longest
}

func (m *measurements) add(fault string, p page, took time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.rows == nil {
		m.rows = map[[3]string]time.Duration{}
	}
	key := [3]string{fault, string(p.full()), p.severity}
	m.rows[key] = max(m.rows[key], took)
}

// write writes the table fault, alert, severity, seconds to a file, below a line on how it came to be. Rows of faults that
// were not tried this time stay.
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
	reader := csv.NewReader(bytes.NewReader(old))
	reader.Comment = '#'
	rows, err := reader.ReadAll()
	if err != nil {
		return fmt.Errorf("cannot read the measurements of before: %w", err)
	}
	tried := map[string]bool{"fault": true} // the head
	for key := range m.rows {
		tried[key[0]] = true
	}
	rows = slices.DeleteFunc(rows, func(row []string) bool { return tried[row[0]] })
	for key, took := range m.rows {
		rows = append(rows, append(key[:], strconv.Itoa(int(took.Round(time.Second).Seconds()))))
	}
	slices.SortFunc(rows, slices.Compare)
	text := bytes.NewBufferString(fmt.Sprintf("# Measured by test/pages with the times of the rules divided by %d.\n", scale))
	err = csv.NewWriter(text).WriteAll(append([][]string{{"fault", "alert", "severity", "seconds"}}, rows...))
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
