// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"math"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

var restartPains = []pain{
	{
		ID: "P11", Kind: falsePositive, Issues: []string{mixin + "348"},
		Complaint: "Two restarts within half a minute, long healed, are called a crash loop.",
		Here:      "No warning: StabilityRestartsSinceYesterday tells of it at severity info.",
		Naive:     naive{`stability_workload_restart_delta{window="15m"} >= 2`, 10 * time.Minute},
		Story: func(w *world) {
			web := w.addDeployment("web", 3)
			w.pass(5 * time.Minute)
			for range 2 {
				web.pods()[0].become(restarted("app", "Error", 1))
				w.pass(15 * time.Second)
			}
			w.pass(90 * time.Minute)
		},
	},
	{
		ID: "P12", Kind: falseNegative, Issues: []string{mixin + "617", mixin + "637", mixin + "645", mixin + "674"},
		Complaint: "An alert on the state CrashLoopBackOff is blind between two crashes, and once broke unnoticed for months: its series come and go.",
		Here:      "StabilityCrashLoop stands on a number that is there from the start and fires once, without a gap.",
		Story: func(w *world) {
			web := w.addDeployment("web", 3)
			w.pass(5 * time.Minute)
			w.expect(`stability_workload_restart_delta{workload="web",window="1h"}`, 0)
			w.trouble()
			for range 20 {
				p := web.pods()[0].become(backingOff)
				w.pass(10 * time.Second)
				p.become(ready)
				w.pass(5*time.Minute - 10*time.Second)
			}
			w.expect(`stability_workload_restart_delta{workload="web",window="1h"}`, 12)
		},
		Fires: []alarm{{Alert: "StabilityCrashLoop", Severity: "warning", Of: of("web"), Within: 26 * time.Minute, Says: []string{"container app (Error)"}}},
	},
	{
		ID: "P13", Kind: falseNegative, Issues: []string{ksm + "788"},
		Complaint: "Containers that live for ten minutes between crashes, init containers, sidecars, and crashes spread over replaced pods are no crash loop.",
		Here:      "StabilityCrashLoop counts restarts by workload: of all containers, in all pods that it has had.",
		Story:     crashesOfAllSorts,
		Fires: []alarm{
			{Alert: "StabilityCrashLoop", Severity: "warning", Of: of("slow"), Within: time.Hour, Says: []string{"container app (Error)"}},
			{Alert: "StabilityCrashLoop", Severity: "warning", Of: of("replaced"), Within: time.Hour, Says: []string{"container app (Error)"}},
			{Alert: "StabilityCrashLoop", Severity: "warning", Of: of("init"), Within: time.Hour, Says: []string{"container migrate (Error)"}},
			{Alert: "StabilityCrashLoop", Severity: "warning", Of: of("mesh"), Within: time.Hour, Says: []string{"container proxy (Error)"}},
		},
	},
	{
		ID: "P14", Kind: falseNegative, Issues: []string{"elastisys/compliantkubernetes-apps#2423", ksm + "2666"},
		Complaint: "increase() misses the first restart of a series that has just begun: pods that run out of memory right after their start are not seen.",
		Here:      "StabilityOOMKilledRepeated fires: the exporter itself counts, and every restart of a new pod.",
		Story: func(w *world) {
			web := w.addDeployment("web", 2)
			w.pass(5 * time.Minute)
			web.rollOut()
			w.trouble()
			for range 2 {
				web.outdated()[0].vanish()
				web.add(1, func(p *pod) { // has restarted by the time that it is first seen
					ready(p)
					restarted("app", "OOMKilled", 137)(p)
				})
			}
			w.pass(30 * time.Minute)
			w.expect(`stability_workload_oom_kill_delta{workload="web",window="1h"}`, 2)
			w.expect(`stability_container_restarts_total{workload="web"}`, 2)
			w.exporters[0].start(nil) // nothing is remembered, and the API proves as much
			w.pass(10 * time.Minute)
			w.expect(`stability_workload_oom_kill_delta{workload="web",window="1h"}`, 2)
		},
		Fires: []alarm{{
			Alert: "StabilityOOMKilledRepeated", Severity: "warning", Of: of("web"), Within: 3 * time.Minute, Says: []string{"container app (OOMKilled)"},
		}},
	},
	{
		ID: "P15", Kind: falsePositive, Issues: []string{"mitodl/ol-infrastructure#5077"},
		Complaint: "increase() extrapolates: four restarts an hour read as a little more than four, and a threshold is crossed that was not reached.",
		Here:      "Nothing fires at warning: the number of restarts within a window is a whole one.",
		Naive:     naive{`increase(stability_container_restarts_total{workload="web"}[1h]) > 4`, 10 * time.Minute},
		Story: func(w *world) {
			web := w.addDeployment("web", 2)
			w.pass(5 * time.Minute)
			for range 10 {
				web.pods()[0].become(restarted("app", "Error", 1))
				w.pass(16 * time.Minute)
			}
			web.pods()[0].become(restarted("app", "Error", 1))
			w.pass(10 * time.Minute)
			w.expect(`stability_workload_restart_delta{workload="web",window="1h"}`, 4)
		},
	},
	{
		ID: "P16", Kind: falsePositive, Issues: []string{"grafana/mimir#5397"},
		Complaint: "Restarts that are guessed from start times count every deployment as a crash.",
		Here:      "Nothing fires: replaced pods are no restarts, and pods that their owner removes are no losses.",
		Naive:     naive{`changes(stability_workload_rollout_started_timestamp_seconds[1h]) > 2`, 20 * time.Minute},
		Story: func(w *world) {
			web := w.addDeployment("web", 4)
			w.pass(5 * time.Minute)
			for range 6 {
				web.rollOut()
				for range 4 {
					web.replace(time.Minute)
				}
				w.pass(5 * time.Minute)
			}
			w.expect(`stability_workload_restart_delta{workload="web",window="24h"}`, 0)
			w.expect(`stability_workload_pod_disruptions_total{workload="web"}`, math.NaN())
		},
	},
	{
		ID: "P17", Kind: noise, Issues: []string{"Azure/prometheus-collector#325"},
		Complaint: "A rule on a restart counter above zero fires for ever after a single restart.",
		Here:      "StabilityRestartsSinceYesterday, at severity info, ends by itself after a day.",
		Naive:     naive{`stability_container_restarts_total{workload="web"} > 0`, time.Hour},
		Story: func(w *world) {
			web, veteran := w.addDeployment("web", 3), w.addDeployment("veteran", 2)
			veteran.pods()[0].become(longAgo(57))
			w.exporters[0].start(nil) // a counter of the past is no news for an exporter that starts
			w.pass(5 * time.Minute)
			w.expect(`stability_workload_restart_delta{workload="veteran",window="24h"}`, 0)
			w.expect(`stability_container_restarts_total{workload="veteran"}`, 0)
			w.trouble()
			web.pods()[0].become(restarted("app", "Error", 1))
			w.pass(30 * time.Minute)
			w.expect(`count(ALERTS{alertstate="firing"})`, 1)
			w.sleep(23 * time.Hour)
			w.pass(time.Hour)
			w.expect(`count(ALERTS{alertname!="StabilityMisconfigurationHints"})`, math.NaN())
			w.expect(`stability_container_restarts_total{workload="web"}`, 1)
		},
		Fires: []alarm{
			{Alert: "StabilityRestartsSinceYesterday", Severity: "info", Of: of("web"), Within: 6 * time.Minute, Says: []string{"container app (Error)"}},
			{Alert: "StabilityRestartsSinceYesterday", Severity: "info", Of: of("web"), Within: 24 * time.Hour},
		},
	},
}

func crashesOfAllSorts(w *world) {
	always := corev1.ContainerRestartPolicyAlways
	slow, replaced := w.addDeployment("slow", 2), w.addDeployment("replaced", 2)
	init := w.addDeployment("init", 2, withInit(corev1.Container{Name: "migrate", Image: "migrate:1"}))
	mesh := w.addDeployment("mesh", 2, withInit(corev1.Container{Name: "proxy", Image: "proxy:1", RestartPolicy: &always}))
	w.pass(5 * time.Minute)
	w.trouble()
	for range 8 {
		slow.pods()[0].become(restarted("app", "Error", 1))
		replaced.pods()[0].become(restarted("app", "Error", 1))
		init.pods()[0].become(restarted("migrate", "Error", 1))
		mesh.pods()[0].become(restarted("proxy", "Error", 1))
		w.pass(6 * time.Minute)
		replaced.pods()[0].vanish()
		replaced.add(1, ready)
		w.pass(5 * time.Minute)
	}
}

// longAgo is a container that has restarted often, and not for five days.
func longAgo(restarts int32) func(*pod) {
	return func(p *pod) {
		s := p.container("app")
		s.RestartCount = restarts
		s.LastTerminationState.Terminated = &corev1.ContainerStateTerminated{
			Reason: "Error", ExitCode: 1, FinishedAt: p.w.ago(5 * 24 * time.Hour),
		}
	}
}

func withInit(c corev1.Container) func(*appsv1.Deployment) {
	return func(d *appsv1.Deployment) { d.Spec.Template.Spec.InitContainers = []corev1.Container{c} }
}
