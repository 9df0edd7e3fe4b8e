// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"math"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var groupPains = []pain{
	{
		ID: "P30", Kind: noise, Issues: []string{mixin + "942", "AndreiGavriliu/homelab#5523", "AndreiGavriliu/homelab#5544"},
		Complaint: "A registry that is away gives an alert for every container and every reason, an hour later.",
		Here:      "One page, StabilityRegistryDown, within three minutes; it silences the alerts on images. A rollout that waits for its image warns once, after its deadline.",
		Naive:     naive{`count(stability_image_pull_failing_pods) >= 5`, 8 * time.Minute},
		Story:     registryAway,
		Fires: append(stuck("cart", "pay", "search", "ship", "web"), alarm{
			Alert: "StabilityRegistryDown", Severity: "critical", Of: map[string]string{"registry": "registry.example.com"},
			Within: 3 * time.Minute, Says: []string{"5 workloads", namespace},
		}),
	},
	{
		ID: "P31", Kind: noise, Issues: []string{mixin + "816", "JiRaska/open-bank-oss#3326", "mitodl/ol-infrastructure#5496"},
		Complaint: "A failed Job fires until somebody deletes it, once per Job, although later runs succeeded.",
		Here:      "StabilityCronJobFailed fires once, for the CronJob, and ends with the next run that succeeds.",
		Story: func(w *world) {
			report := w.addCronJob("report")
			report.run(0)
			w.pass(5 * time.Minute)
			w.trouble()
			for range 4 {
				report.run(1)
				w.pass(10 * time.Minute)
			}
			report.run(0)
			w.pass(time.Hour)
			w.expect(`count(ALERTS{alertname!="StabilityMisconfigurationHints"})`, math.NaN())
		},
		Fires: []alarm{{
			Alert: "StabilityCronJobFailed", Severity: "warning", Of: map[string]string{"workload": "report", "workload_type": "cronjob"},
			Within: 6 * time.Minute,
		}},
	},
	{
		ID: "P32", Kind: noise, Issues: []string{ksm + "70", ksm + "510", ksm + "2518", ksm + "2655"},
		Complaint: "To name the workload of a pod takes joins over two hops and a set of recording rules, and still misses foreign controllers.",
		Here:      "Every alert on a workload has namespace, workload and workload_type, also for an Argo Rollout and a CronJob.",
		Story:     foreignController,
		Fires: []alarm{{
			Alert: "StabilityWorkloadDown", Severity: "critical", Of: map[string]string{"namespace": namespace, "workload": "canary", "workload_type": "rollout"},
			Within: 2 * time.Minute, Says: []string{"rollout shop/canary", "2 crash_loop"},
		}},
	},
	{
		ID: "P34", Kind: noise, Issues: []string{ksm + "897", ksm + "1308", ksm + "1475"},
		Complaint: "The number of series follows that of pods and containers: millions per scrape.",
		Here:      "Ten times as many pods make not one series more.",
		Story: func(w *world) {
			web := w.addDeployment("web", 3)
			w.pass(5 * time.Minute)
			before := w.exporters[0].seriesCount()
			web.scale(300)
			web.add(297, ready)
			w.pass(5 * time.Minute)
			if after := w.exporters[0].seriesCount(); after != before {
				w.t.Errorf("3 pods make %d series, 300 make %d", before, after)
			}
		},
	},
	{
		ID: "P35", Kind: falseNegative, Issues: []string{ksm + "348", ksm + "407", ksm + "1013", ksm + "1083"},
		Complaint: "Pods that cannot end pass for running, and those that are gone between two scrapes were never there.",
		Here:      "StabilityTerminatingStuck fires ten minutes after the grace period; evicted pods are counted however quickly they go.",
		Story: func(w *world) {
			web := w.addDeployment("web", 3)
			w.pass(5*time.Minute + 5*time.Second)
			quick := web.pods()[0].become(evictedByAPI)
			w.pass(5 * time.Second)
			quick.vanish()
			web.add(1, ready)
			w.pass(5 * time.Minute)
			w.expect(`stability_workload_pod_disruptions_total{workload="web",reason="EvictionAPI"}`, 1)
			w.trouble()
			web.pods()[0].become(deleted(30 * time.Second))
			web.add(1, ready)
			w.pass(30 * time.Minute)
		},
		Fires: []alarm{{
			Alert: "StabilityTerminatingStuck", Severity: "warning", Of: of("web"), Within: 12 * time.Minute, Says: []string{"1 Terminating"},
		}},
	},
	{
		ID: "P36", Kind: falsePositive, Issues: []string{ksm + "3001", "kai-scheduler/KAI-Scheduler#2083"},
		Complaint: "A pod that takes the long time it was granted to end is reported after five minutes.",
		Here:      "Nothing fires: the deletion timestamp holds the grace period already, and time counts from there.",
		Naive:     naive{`stability_workload_abnormal_pods{reason="Terminating"} > 0`, 50 * time.Minute},
		Story: func(w *world) {
			web := w.addDeployment("web", 3)
			w.pass(5 * time.Minute)
			leaving := web.pods()[0].become(deleted(time.Hour))
			web.add(1, ready)
			w.pass(time.Hour)
			leaving.vanish()
			w.pass(30 * time.Minute)
		},
	},
	{
		ID: "P38", Kind: noise, Issues: []string{ksm + "1158", ksm + "1389", ksm + "2595", mixin + "760"},
		Complaint: "How many pods were evicted or preempted cannot be told: series of reasons come and go with the pods.",
		Here:      "A counter by workload and reason, that pods leave behind; no alert as long as the workload is whole.",
		Story: func(w *world) {
			web := w.addDeployment("web", 4)
			w.pass(5 * time.Minute)
			for _, how := range []func(*pod){evicted, evicted, preempted, evictedByAPI} {
				p := web.pods()[0].become(how)
				web.add(1, ready)
				w.pass(time.Minute)
				p.vanish()
				w.pass(5 * time.Minute)
			}
			w.expect(`stability_workload_pod_disruptions_total{workload="web",reason="Evicted"}`, 2)
			w.expect(`stability_workload_pod_disruptions_total{workload="web",reason="Preempted"}`, 1)
			w.expect(`stability_workload_pod_disruptions_total{workload="web",reason="EvictionAPI"}`, 1)
		},
	},
}

// stuck are the warnings of rollouts that have passed their deadline.
func stuck(workloads ...string) []alarm {
	var all []alarm
	for _, name := range workloads {
		all = append(all, alarm{Alert: "StabilityRolloutStuck", Severity: "warning", Of: of(name), Within: 12 * time.Minute})
	}
	return all
}

// registryAway plays an outage of a registry while five workloads need images of it.
func registryAway(w *world) {
	names := []string{"cart", "pay", "search", "ship", "web"}
	var all []*deployment
	for _, name := range names {
		all = append(all, w.addDeployment(name, 4))
	}
	w.pass(5 * time.Minute)
	w.trouble()
	var pulling []*pod
	for _, d := range all {
		d.rollOut()
		pulling = append(pulling, d.add(1, waiting("ErrImagePull"))...)
	}
	for i := range 80 {
		w.pass(30 * time.Second)
		for _, p := range pulling {
			p.become(waiting([]string{"ImagePullBackOff", "ErrImagePull"}[i%2]))
		}
	}
	for _, d := range all {
		for _, p := range d.updated() {
			p.become(ready)
		}
		d.outdated()[0].vanish()
		for range 3 {
			d.replace(10 * time.Second)
		}
	}
	w.pass(30 * time.Minute)
}

func foreignController(w *world) {
	rollout := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: "canary"}}
	w.stamp("rollout", &rollout.ObjectMeta, old)
	set := &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Name: "canary-rev1", OwnerReferences: controlledBy("Rollout", rollout), Labels: map[string]string{"app": "canary"}},
		Spec:       appsv1.ReplicaSetSpec{Replicas: new(int32(2)), Template: template("canary")},
		Status:     appsv1.ReplicaSetStatus{Replicas: 2, ReadyReplicas: 2, AvailableReplicas: 2},
	}
	w.stamp("replicaset", &set.ObjectMeta, old)
	w.put(set)
	var pods []*pod
	for _, name := range []string{"canary-rev1-1", "canary-rev1-2"} {
		pods = append(pods, w.addPod(metav1.ObjectMeta{
			Name: name, OwnerReferences: controlledBy("ReplicaSet", set), Labels: map[string]string{"app": "canary"},
		}, podSpecOf("canary"), w.schedule("canary"), old, ready))
	}
	w.addCronJob("report").run(0)
	w.pass(5 * time.Minute)
	w.expect(`stability_container_restarts_total{workload="report",workload_type="cronjob"}`, 0)
	w.trouble()
	for _, p := range pods {
		p.become(backingOff)
	}
	set.Status.ReadyReplicas, set.Status.AvailableReplicas = 0, 0
	w.put(set)
	w.pass(20 * time.Minute)
	w.expect(`sum(stability_container_restarts_total{workload="canary",workload_type="rollout"})`, 2)
}
