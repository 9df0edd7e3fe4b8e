// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"bytes"
	"math"
	"time"

	"stability-exporter/internal/state"
)

var exporterPains = []pain{
	{
		ID: "P33", Kind: noise, Issues: []string{ksm + "147", ksm + "401", ksm + "2081", mixin + "843", "AndreiGavriliu/homelab#1370"},
		Complaint: "Two replicas of the exporter break the rules or double the alerts, and an exporter that moves pages again for everything.",
		Here:      "One page for one outage, without a gap, while one exporter restarts and the other one moves.",
		Exporters: []string{"0", "1"},
		Story:     exportersThatMove,
		Fires: []alarm{{
			Alert: "StabilityWorkloadDown", Severity: "critical", Of: of("web"), Within: 2 * time.Minute, Says: []string{"shop/web", "3 crash_loop"},
		}},
	},
	{
		ID: "P37", Kind: falsePositive, Issues: []string{ksm + "813", ksm + "1569"},
		Complaint: "Series of what was deleted stay until the exporter restarts, and their alerts with them.",
		Here:      "Series end with their workload; when a watch hangs, StabilityInformerStale says what not to believe.",
		Story:     watchThatHangs,
		Fires: []alarm{{
			Alert: "StabilityInformerStale", Severity: "warning", Within: 17 * time.Minute, Says: []string{"pods at "},
		}},
	},
	{
		ID: "P39", Kind: noise, Issues: []string{"AndreiGavriliu/homelab#1696", ksm + "612"},
		Complaint: "Alerts say \"on cluster .\" and name the exporter's own pod.",
		Here:      "Without a label cluster no text names one; no alert of any of these tests has a hole in its text, or a label of the exporter.",
		Story:     outagesOfAnUnnamedCluster,
		Fires: []alarm{
			{Alert: "StabilityWorkloadDown", Severity: "critical", Of: of("web"), Within: 2 * time.Minute},
			{Alert: "StabilityServiceNoEndpoints", Severity: "critical", Within: 3 * time.Minute},
			{Alert: "StabilityWorkloadHalfDown", Severity: "critical", Of: of("pay"), Within: 6 * time.Minute},
		},
	},
}

func exportersThatMove(w *world) {
	web := w.addDeployment("web", 3)
	w.pass(5 * time.Minute)
	w.trouble()
	for _, p := range web.pods() {
		p.become(backingOff)
	}
	w.pass(10 * time.Minute)
	kept := w.exporters[0].stop()
	w.pass(3 * time.Minute)
	w.exporters[0].start(kept)
	w.pass(10 * time.Minute)
	w.exporters[1].stop()
	w.pass(2 * time.Minute)
	w.exporters[1] = newExporter("2", w)
	w.pass(10 * time.Minute)
	w.expect(`max by (workload) (stability_workload_restart_delta{workload="web",window="1h"})`, 3)
}

func watchThatHangs(w *world) {
	web := w.addDeployment("web", 3)
	w.pass(5 * time.Minute)
	for _, p := range web.pods() {
		p.vanish()
	}
	web.gone()
	w.pass(30 * time.Second)
	w.expect(`count({workload="web",__name__=~"stability_workload_.+"})`, math.NaN())
	w.pass(5 * time.Minute)
	w.trouble()
	w.exporters[0].deaf = state.KindSet(state.Pods)
	w.pass(25 * time.Minute)
	w.exporters[0].list()
	w.pass(10 * time.Minute)
	w.expect(`count(ALERTS{alertname!="StabilityMisconfigurationHints"})`, math.NaN())
}

func outagesOfAnUnnamedCluster(w *world) {
	w.prometheus.cluster = ""
	web, pay := w.addDeployment("web", 3), w.addDeployment("pay", 4)
	w.addService("web")
	w.pass(5 * time.Minute)
	w.trouble()
	for _, p := range web.pods() {
		p.become(backingOff)
	}
	for _, p := range pay.pods()[1:] {
		p.become(unready)
	}
	w.pass(30 * time.Minute)
}

// seriesCount counts the samples of a scrape.
func (e *exporter) seriesCount() int {
	n := 0
	for line := range bytes.Lines(e.metrics()) {
		if line[0] != '#' {
			n++
		}
	}
	return n
}
