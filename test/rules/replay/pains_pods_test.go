// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"math"
	"time"

	corev1 "k8s.io/api/core/v1"
)

var podPains = []pain{
	{
		ID: "P18", Kind: falseNegative, Issues: []string{ksm + "344", ksm + "535", ksm + "570", mixin + "112"},
		Complaint: "A container that is killed for its memory shows that for milliseconds only, and nothing tells how often it happened.",
		Here:      "StabilityOOMKilledRepeated: the end of the last run is read and counted by container and reason, three kills between two scrapes as three.",
		Story:     killedInAnInstant,
		Fires: []alarm{{
			Alert: "StabilityOOMKilledRepeated", Severity: "warning", Of: of("web"), Within: 2 * time.Minute,
			Says: []string{"3 times", "container app (OOMKilled)"},
		}},
	},
	{
		ID: "P19", Kind: falsePositive, Issues: []string{k8s + "140716"},
		Complaint: "A container that was asked to end (143) is reported as out of memory, because the runtime reads a cumulative counter.",
		Here:      "No warning: exit code 143 counts as SIGTERM, whatever the reason says.",
		Story: func(w *world) {
			web := w.addDeployment("web", 3)
			w.pass(5 * time.Minute)
			for _, p := range web.pods() {
				p.become(restarted("app", "OOMKilled", 143))
				w.pass(time.Minute)
			}
			w.pass(30 * time.Minute)
			w.expect(`stability_workload_oom_kill_delta{workload="web",window="1h"}`, 0)
			w.expect(`stability_container_terminations_total{workload="web",reason="SIGTERM"}`, 3)
		},
	},
	{
		ID: "P20", Kind: falseNegative, Issues: []string{k8s + "19825", k8s + "122256", ksm + "1481", mixin + "822"},
		Complaint: "A program that ends by a signal (137 without OOMKilled, 134 of a heap that is full) is told as one that was out of memory, or as nothing.",
		Here:      "StabilityCrashLoop names the signal. A child process that is killed while its container lives on is not seen here either.",
		Story: func(w *world) {
			web := w.addDeployment("web", 2)
			w.pass(5 * time.Minute)
			w.trouble()
			for range 4 {
				web.pods()[0].become(restarted("app", "Error", 137))
				w.pass(2 * time.Minute)
				web.pods()[0].become(restarted("app", "Error", 134))
				w.pass(2 * time.Minute)
			}
			w.expect(`stability_workload_oom_kill_delta{workload="web",window="1h"}`, 0)
			w.expect(`stability_container_terminations_total{workload="web",reason="SIGKILL"}`, 4)
			w.expect(`stability_container_terminations_total{workload="web",reason="SIGABRT"}`, 4)
		},
		Fires: []alarm{{Alert: "StabilityCrashLoop", Severity: "warning", Of: of("web"), Within: 15 * time.Minute, Says: []string{"container app (SIG"}}},
	},
	{
		ID: "P21", Kind: falsePositive, Issues: []string{mixin + "221", mixin + "250", mixin + "296", mixin + "821", mixin + "833"},
		Complaint: "Pods that have ended (of a Job, failed, evicted and kept) are not ready, and so reported until somebody deletes them.",
		Here:      "Nothing fires: what has ended is not missing; what was lost is counted as such.",
		Naive:     naive{`stability_workload_abnormal_pods{workload="web"} > 0`, time.Hour},
		Story:     endedPods,
	},
	{
		ID: "P22", Kind: falseNegative, Issues: []string{mixin + "1239", mixin + "1243"},
		Complaint: "Pods that run and fail their readiness probe are never reported, and then ready ones are.",
		Here:      "StabilityWorkloadHalfDown pages for the workload that lost two of three, with the cause readiness_probe, and for no other.",
		Story: func(w *world) {
			web := w.addDeployment("web", 3)
			w.pass(5 * time.Minute)
			w.trouble()
			for _, p := range web.pods()[1:] {
				p.become(unready)
			}
			w.pass(30 * time.Minute)
		},
		Fires: []alarm{{
			Alert: "StabilityWorkloadHalfDown", Severity: "critical", Of: of("web"), Within: 6 * time.Minute,
			Says: []string{"2 readiness_probe"},
		}},
	},
	{
		ID: "P23", Kind: falsePositive, Issues: []string{ksm + "2848", mixin + "1256"},
		Complaint: "Pods that a scheduling gate holds back on purpose are reported as not ready or not schedulable.",
		Here:      "Nothing fires: replicas that were never let loose are not lost.",
		Naive:     naive{`stability_workload_unavailable_replicas{cause="scheduling_gated"} > 0`, time.Hour},
		Story: func(w *world) {
			batch := w.addDeployment("batch", 2)
			w.addJob("import", nil, gated)
			w.pass(5 * time.Minute)
			batch.scale(4)
			for range 2 {
				batch.addOn(nil, gated)
			}
			w.pass(90 * time.Minute)
		},
	},
	{
		ID: "P24", Kind: falsePositive, Issues: []string{"abahmed/kwatch#335", "openshift/cluster-monitoring-operator#1830", mixin + "801"},
		Complaint: "Pods that wait a few minutes for a new node are reported each time the cluster grows.",
		Here:      "Nothing fires: growth has ten minutes, waiting for a node five.",
		Naive:     naive{`stability_workload_unschedulable_replicas > 0`, 4 * time.Minute},
		Story:     growingCluster,
	},
}

func killedInAnInstant(w *world) {
	web := w.addDeployment("web", 3)
	web.Spec.Template.Spec.Containers = append(web.Spec.Template.Spec.Containers, corev1.Container{Name: "log", Image: "log:1"})
	web.rollOut()
	for range 3 {
		web.replace(10 * time.Second)
	}
	w.pass(5 * time.Minute)
	w.trouble()
	p := web.pods()[0]
	p.become(func(p *pod) {
		for range 3 {
			restarted("app", "OOMKilled", 137)(p)
		}
	})
	w.pass(10 * time.Minute)
	w.expect(`stability_container_terminations_total{workload="web",container="app",reason="OOMKilled"}`, 3)
	w.expect(`stability_container_terminations_total{workload="web",container="log"}`, math.NaN())
	w.expect(`stability_container_restarts_total{workload="web",container="log"}`, 0)
}

func endedPods(w *world) {
	web := w.addDeployment("web", 4)
	w.pass(5 * time.Minute)
	w.addJob("import", nil, ended(0))
	w.addJob("export", nil, ended(1))
	web.pods()[0].become(evicted)
	p := web.add(1, starting)[0]
	w.pass(time.Minute)
	p.become(ready)
	w.pass(90 * time.Minute)
	w.expect(`stability_workload_available_ratio{workload="web"}`, 1)
	w.expect(`stability_workload_pod_disruptions_total{workload="web",reason="Evicted"}`, 1)
}

func growingCluster(w *world) {
	web := w.addDeployment("web", 4)
	scaler := web.addAutoscaler(2, 9)
	w.pass(5 * time.Minute)
	for round := range 3 {
		scaler.scale(*web.Spec.Replicas + 1)
		p := web.addOn(nil, unschedulable("0/6 nodes are available: 6 Insufficient cpu."))
		w.pass(4*time.Minute + 30*time.Second)
		n := w.addNode("new-"+string("abc"[round]), string("abc"[round]))
		p.vanish()
		p = web.addOn(n, starting)
		w.pass(time.Minute)
		p.become(ready)
		w.pass(10 * time.Minute)
	}
}
