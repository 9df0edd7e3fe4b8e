// SPDX-License-Identifier: Apache-2.0

package failures

import (
	"slices"
	"testing"
)

// Nothing below is worth anything unless the steady world shows nearly everything there is.
func TestSteadyWorldShowsEveryFamily(t *testing.T) {
	c := furnished(t)
	p := start(t, grant(t, c, "exporter-0"))
	p.AwaitReady(t)
	awaitSteady(t, p)
	m, err := p.Scrape(t.Context())
	must(t, err)
	// What an observer tells only of what happens while it observes, labels that must be asked for, and what counts from an
	// inspection on; exemptions, settings of programs, and failures of our own.
	absent := []string{
		"stability_container_terminations_total", "stability_workload_pod_disruptions_total", "stability_workload_info",
		"stability_workload_restarts_since_inspection", "stability_inspection_baseline_timestamp_seconds",
		"stability_node_last_reboot_timestamp_seconds", "stability_node_crash_delta", "stability_node_leaving",
		"stability_check_failed", "stability_check_exempted", "stability_check_exemptions_refused",
		"stability_interval_effective_seconds", "stability_interval_likely_seconds", "stability_interval_overflow",
	}
	for family := range familiesOf(t) {
		if len(m.Select(family)) == 0 != slices.Contains(absent, family) {
			t.Errorf("%s has %d series", family, len(m.Select(family)))
		}
	}
	p.Stop(t)
}
