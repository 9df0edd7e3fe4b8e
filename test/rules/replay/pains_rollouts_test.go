// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"time"

	appsv1 "k8s.io/api/apps/v1"
)

var rolloutPains = []pain{
	{
		ID: "P1", Kind: falsePositive, Issues: []string{mixin + "359", mixin + "543"},
		Complaint: "A rollout that takes its time is reported as missing replicas.",
		Here:      "Nothing fires: while a rollout is under way only replicas below the floor that its strategy promises are missing.",
		Naive:     naive{underDesired, 20 * time.Minute},
		Story:     slowRollout,
	},
	{
		ID: "P2", Kind: falseNegative, Issues: []string{mixin + "844"},
		Complaint: "A rollout whose pods a quota or a webhook refuses is never reported, because nothing changes any more.",
		Here:      "StabilityRolloutStuck fires within two minutes, and names the cause not_created.",
		Story:     refusedRollout,
		Fires: []alarm{{
			Alert: "StabilityRolloutStuck", Severity: "warning", Of: of("web"), Within: 2 * time.Minute, Says: []string{"1 not_created"},
		}},
	},
	{
		ID: "P3", Kind: falseNegative, Issues: []string{mixin + "1026"},
		Complaint: "A StatefulSet is compared with the pods that exist, so pods that cannot be created are not missed.",
		Here:      "StabilityWorkloadDegraded compares with what is desired, and names the cause not_created.",
		Story: func(w *world) {
			db := w.addStatefulSet("db", 3)
			w.pass(5 * time.Minute)
			w.trouble()
			db.pod(2).vanish()
			w.pass(30 * time.Minute)
		},
		Fires: []alarm{{
			Alert: "StabilityWorkloadDegraded", Severity: "warning", Of: map[string]string{"workload": "db", "workload_type": "statefulset"},
			Within: 11 * time.Minute, Says: []string{"1 not_created"},
		}},
	},
	{
		ID: "P4", Kind: falseNegative, Issues: []string{"gitpod-io/gitpod#20344"},
		Complaint: "A new version that only crashes is noticed late or never, because the old one still has all its replicas.",
		Here:      "StabilityRolloutStuck fires once there was no progress for the deadline; it says how many new pods are not available.",
		Story:     crashingVersion,
		Fires: []alarm{
			{Alert: "StabilityCrashLoop", Severity: "warning", Of: of("web"), Within: 26 * time.Minute, Says: []string{"container app (Error)"}},
			{Alert: "StabilityRolloutStuck", Severity: "warning", Of: of("web"), Within: 12 * time.Minute, Says: []string{"1 CrashLoopBackOff", "advanced at 2026-03-02 09:15", "rollout undo deployment web"}},
		},
	},
	{
		ID: "P5", Kind: falseNegative, Issues: []string{k8s + "106054", k8s + "106697"},
		Complaint: "A new version that becomes ready, crashes and becomes ready again counts as progress for ever: no deadline passes.",
		Here:      "StabilityCrashLoop counts the restarts, and StabilityRolloutTooLong the time.",
		Story:     flappingVersion,
		Fires: []alarm{
			{Alert: "StabilityCrashLoop", Severity: "warning", Of: of("web"), Within: 30 * time.Minute, Says: []string{"container app (Error)"}},
			{Alert: "StabilityRolloutTooLong", Severity: "warning", Of: of("web"), Within: 36 * time.Minute, Says: []string{"rollout status deployment web"}},
		},
	},
	{
		ID: "P6", Kind: falsePositive, Issues: []string{k8s + "36427"},
		Complaint: "A rollout that is paused after its deadline keeps the condition ProgressDeadlineExceeded, and so its alert.",
		Here:      "Nothing fires: who pauses a rollout knows of it.",
		Story:     pausedRollout,
	},
	{
		ID: "P7", Kind: noise, Issues: []string{"prometheus-operator/kube-prometheus#355", "openshift/oadp-operator#847"},
		Complaint: "A generation that nobody observes is called a failed deployment, once per workload; it is the controller manager that is dead.",
		Here:      "One page, StabilityComponentDown; that status must not be trusted follows from it, and nothing is told per workload.",
		Naive:     naive{`count(stability_status_stale == 1) >= 5`, 20 * time.Minute},
		Story: func(w *world) {
			var all []*deployment
			for _, name := range []string{"cart", "pay", "ship", "web"} {
				all = append(all, w.addDeployment(name, 3))
			}
			w.pass(5 * time.Minute)
			w.trouble()
			w.managerDead = true
			w.pass(time.Minute)
			for _, d := range all {
				d.rollOut()
			}
			w.pass(30 * time.Minute)
		},
		Fires: []alarm{{
			Alert: "StabilityComponentDown", Severity: "critical", Of: map[string]string{"component": "kube-controller-manager"},
			Within: 8 * time.Minute, Says: []string{"master-1"},
		}},
	},
}

func slowRollout(w *world) {
	web := w.addDeployment("web", 8)
	w.pass(5 * time.Minute)
	web.rollOut()
	for range 2 {
		web.outdated()[0].vanish()
	}
	for range 6 {
		web.replace(4 * time.Minute)
	}
	web.add(2, ready)
	w.pass(time.Hour)
}

func refusedRollout(w *world) {
	web := w.addDeployment("web", 4)
	w.pass(5 * time.Minute)
	w.trouble()
	web.rollOut()
	web.outdated()[0].vanish()
	web.refused = `pods "web" is forbidden: exceeded quota: compute`
	w.pass(45 * time.Minute)
}

func crashingVersion(w *world) {
	web := w.addDeployment("web", 4)
	w.pass(5 * time.Minute)
	w.trouble()
	web.rollOut()
	crashing := web.add(1, backingOff)[0]
	for range 6 {
		w.pass(5 * time.Minute)
		crashing.become(backingOff)
	}
}

func flappingVersion(w *world) {
	web := w.addDeployment("web", 4)
	w.pass(5 * time.Minute)
	w.trouble()
	web.rollOut()
	web.outdated()[0].vanish()
	flapping := web.add(1, starting)[0]
	for range 12 {
		w.pass(time.Minute)
		flapping.become(ready)
		w.pass(3 * time.Minute)
		flapping.become(backingOff)
	}
	if reason := web.progressing().Reason; reason != "ReplicaSetUpdated" {
		w.t.Errorf("the rollout is %s: flapping does not pass for progress", reason)
	}
}

func pausedRollout(w *world) {
	web := w.addDeployment("web", 4)
	w.pass(5 * time.Minute)
	web.rollOut()
	web.add(1, unready)
	for web.progressing().Reason != "ProgressDeadlineExceeded" {
		w.pass(heartbeat)
	}
	web.Spec.Paused = true
	web.Generation++
	w.put(web.Deployment)
	w.pass(time.Hour)
	if reason := web.progressing().Reason; reason != "ProgressDeadlineExceeded" {
		w.t.Errorf("the rollout is %s: nothing is left to complain about", reason)
	}
}

func partitioned(partition int32) func(*appsv1.StatefulSet) {
	return func(s *appsv1.StatefulSet) {
		s.Spec.UpdateStrategy = appsv1.StatefulSetUpdateStrategy{
			Type:          appsv1.RollingUpdateStatefulSetStrategyType,
			RollingUpdate: &appsv1.RollingUpdateStatefulSetStrategy{Partition: &partition},
		}
	}
}

func onDelete(s *appsv1.StatefulSet) {
	s.Spec.UpdateStrategy.Type = appsv1.OnDeleteStatefulSetStrategyType
}
