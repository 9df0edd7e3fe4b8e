// SPDX-License-Identifier: Apache-2.0

package sample

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// unwell is what the middleware of badDay does not have, and an alert about it: rules take longer to fire than the tests to look.
const unwell = `
stability_middleware_members{middleware="mysql",target="erp-db",state="failed"} 1
stability_middleware_partitions{middleware="kafka",target="bus",state="under_replicated"} 2
ALERTS{alertname="StabilityMiddlewareDown",alertstate="firing",severity="critical",middleware="http",target="licence"} 1
ALERTS_FOR_STATE{alertname="StabilityMiddlewareDown",severity="critical",middleware="http",target="licence"} 1772413200
`

// badDay is middleware of several kinds with something wrong in each: all that the collector is able to say.
func badDay(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../collectors/testdata/middleware.txt")
	if err != nil {
		t.Fatal(err)
	}
	return string(text) + unwell
}

// goodDay is the same middleware when all is well.
func goodDay(t *testing.T) string {
	t.Helper()
	values := map[string]string{
		"up": "1", "healthy": "1", "replication_link_up": "1", "alarm": "0", "partitions": "0", "members_expected": "1", "saturation_ratio": "0.3",
		"queue_consumers": "2", "tls_verified": "1", "tls_not_after_timestamp_seconds": "4e+09", "expiry_timestamp_seconds": "4e+09",
		"discovered_targets": "1", "discovery_conflicts": "0",
	}
	sample := regexp.MustCompile(`^stability_middleware_([a-z_]+)(\{.*\})? `)
	var text strings.Builder
	for line := range strings.Lines(badDay(t)) {
		match := sample.FindStringSubmatch(line)
		switch {
		case match == nil || match[1] == "problem" || match[1] == "fact_unknown" || strings.Contains(line, "failed"):
		case values[match[1]] != "":
			text.WriteString(match[0] + values[match[1]] + "\n")
		default:
			text.WriteString(line)
		}
	}
	return text.String()
}

// wantTargets reports a table of all targets that has another number of rows.
func (v view) wantTargets(t *testing.T, rows int) {
	t.Helper()
	up := v.find("stability-middleware", "Every target")[0]
	if len(up.result) != rows {
		t.Errorf("%d targets are shown, want %d: %v", len(up.result), rows, up.result)
	}
}
