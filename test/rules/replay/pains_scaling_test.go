// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"math"
	"time"

	corev1 "k8s.io/api/core/v1"
)

var scalingPains = []pain{
	{
		ID: "P8", Kind: falsePositive, Issues: []string{mixin + "1261", "zalando/postgres-operator#3020", "devantler-tech/platform#1880"},
		Complaint: "What is scaled to zero violates its PodDisruptionBudget for ever.",
		Here:      "Nothing fires, not even at severity info.",
		Naive:     naive{`stability_pdb_blocking or stability_workload_available_replicas < 1`, time.Hour},
		Story: func(w *world) {
			web := w.addDeployment("web", 2)
			w.addService("web")
			w.addBudget("web", 1)
			w.pass(5 * time.Minute)
			web.scaleToZero()
			w.pass(80 * time.Minute)
			w.expect(`count(ALERTS{alertname!="StabilityMisconfigurationHints"})`, math.NaN())
		},
	},
	{
		ID: "P9", Kind: falsePositive, Issues: []string{"m-lab/prometheus-support#554"},
		Complaint: "A ratio of zero replicas to zero, or a comparison with a fixed number, alarms while nothing is wanted.",
		Here:      "Nothing fires: without desired replicas there is no ratio at all, and never NaN.",
		Naive:     naive{`stability_workload_available_replicas < 2`, 50 * time.Minute},
		Story: func(w *world) {
			web := w.addDeployment("web", 3)
			w.pass(5 * time.Minute)
			w.expect(`stability_workload_available_ratio{workload="web"}`, 1)
			web.scaleToZero()
			w.pass(time.Hour)
			w.expect(`stability_workload_available_ratio{workload="web"}`, math.NaN())
			w.expect(`stability_workload_desired_replicas{workload="web"}`, 0)
			web.scale(3)
			w.pass(20 * time.Second)
			web.add(3, starting)
			w.pass(2 * time.Minute)
			w.expect(`stability_workload_available_ratio{workload="web"}`, 0)
			for _, p := range web.pods() {
				p.become(ready)
			}
			w.pass(30 * time.Minute)
		},
	},
	{
		ID: "P10", Kind: falsePositive,
		Issues: []string{
			mixin + "485", mixin + "509", mixin + "540", mixin + "1193", mixin + "1293", "kyma-project/kyma#15725",
			"prometheus-operator/kube-prometheus#2869",
		},
		Complaint: "An autoscaler at its maximum alarms also when it wants no more: pinned, of one replica, by a schedule, or below its minimum.",
		Here:      "StabilityHpaCapped fires for the one autoscaler that wants more than it may have.",
		Story:     autoscalersAtTheirLimit,
		Fires: []alarm{{
			Alert: "StabilityHpaCapped", Severity: "warning", Of: map[string]string{"horizontalpodautoscaler": "capped"},
			Within: 16 * time.Minute, Says: []string{"wants more replicas of deployment capped"},
		}},
	},
}

func (d *deployment) scaleToZero() {
	d.scale(0)
	for _, p := range d.pods() {
		p.vanish()
	}
}

func autoscalersAtTheirLimit(w *world) {
	w.addDeployment("pinned", 3).addAutoscaler(3, 3).say(corev1.ConditionTrue, "TooManyReplicas")
	w.addDeployment("single", 1).addAutoscaler(1, 1).say(corev1.ConditionTrue, "TooFewReplicas")
	w.addDeployment("scheduled", 5).addAutoscaler(2, 5).say(corev1.ConditionFalse, "DesiredWithinRange")
	w.addDeployment("idle", 2).addAutoscaler(2, 5).say(corev1.ConditionTrue, "TooFewReplicas")
	w.addDeployment("growing", 2).addAutoscaler(2, 9).say(corev1.ConditionTrue, "ScaleUpLimit")
	capped := w.addDeployment("capped", 4).addAutoscaler(2, 4)
	w.pass(5 * time.Minute)
	w.trouble()
	capped.say(corev1.ConditionTrue, "TooManyReplicas")
	w.pass(time.Hour)
}
