// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"encoding/csv"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
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

// write writes the table fault, alert, severity, seconds to a file, and a comment on how it came to be.
func (m *measurements) write(path string, scale int) error {
	if path == "" {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var rows [][]string
	for key, took := range m.rows {
		rows = append(rows, append(key[:], strconv.Itoa(int(took.Round(time.Second).Seconds()))))
	}
	slices.SortFunc(rows, slices.Compare)
	var text strings.Builder
	fmt.Fprintf(&text, "# Measured by test/pages with the times of the rules divided by %d.\n", scale)
	w := csv.NewWriter(&text)
	if err := w.WriteAll(append([][]string{{"fault", "alert", "severity", "seconds"}}, rows...)); err != nil {
		return fmt.Errorf("cannot write the measurements: %w", err)
	}
	if err := os.WriteFile(path, []byte(text.String()), 0o644); err != nil {
		return fmt.Errorf("cannot write the measurements: %w", err)
	}
	return nil
}

// asAlert tells an alerting rule from a recording rule; the client library gives both as values.
func asAlert(rule any) (v1.AlertingRule, bool) {
	alerting, ok := rule.(v1.AlertingRule)
	return alerting, ok
}
