// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"testing"
	"time"

	"github.com/prometheus/common/model"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"stability-exporter/test/cluster"
	"stability-exporter/test/sandbox"
)

// What faults are done to.

func one(s *space, workload string)   { s.Deployment(workload, 1, appsv1.DeploymentStrategy{}) }
func three(s *space, workload string) { s.Deployment(workload, 3, appsv1.DeploymentStrategy{}) }

func stateful(s *space, workload string) { s.StatefulSet(workload, 3) }
func daemons(s *space, workload string)  { s.DaemonSet(workload, "1", "0") }

// What is done to them.

// all makes every pod misbehave, or behave again with the empty behaviour.
func all(behaviour cluster.Behaviour) func(*space, string) {
	return func(s *space, workload string) { s.Behave(behaviour, s.Pods(workload)...) }
}

// some makes so many pods misbehave.
func some(pods int, behaviour cluster.Behaviour) func(*space, string) {
	return func(s *space, workload string) { s.Behave(behaviour, s.Pods(workload)[:pods]...) }
}

// every makes one pod change its behaviour in a rhythm, which is that of the full length of the rules but does not beat with
// the scrapes.
func every(period time.Duration, behaviour cluster.Behaviour) func(*space, string) {
	return func(s *space, workload string) {
		pod := s.Pods(workload)[0]
		s.Patch("pod/"+pod.Name, sandbox.Object{"metadata": sandbox.Object{
			"annotations": sandbox.Object{cluster.PeriodAnnotation: max(2*interval-time.Second, scaled(period)).String()},
		}})
		s.Behave(behaviour, pod)
	}
}

// Pods that were fine misbehave, without any change by a person.
func TestLosses(t *testing.T) {
	t.Parallel()
	for _, f := range []fault{
		{name: "total loss", build: three, harm: all(cluster.NeverReady), mend: all(""), pages: []page{
			{alert: "WorkloadDown", severity: "critical", text: `none of 3 .*3 readiness_probe`},
		}},
		{name: "partial loss", build: three, harm: some(1, cluster.NeverReady), mend: all(""), pages: []page{
			{alert: "WorkloadDegraded", severity: "warning", text: `2 of 3 .*1 readiness_probe`},
		}},
		{name: "more than half lost", build: three, harm: some(2, cluster.NeverReady), mend: all(""), pages: []page{
			{alert: "WorkloadHalfDown", severity: "critical", text: `1 of 3 .*2 readiness_probe`},
		}, beside: []string{"WorkloadDegraded"}},
		{name: "one replica lost", build: one, harm: all(cluster.NeverReady), mend: all(""), pages: []page{
			{alert: "WorkloadDown", severity: "critical", labels: model.LabelSet{"redundancy": "none"}, text: `none of 1 .*1 readiness_probe`},
		}},
		{name: "StatefulSet lost", kind: "statefulset", build: stateful, harm: all(cluster.NeverReady), mend: all(""), pages: []page{
			{alert: "WorkloadDown", severity: "critical", text: `none of 3 .*3 readiness_probe`},
		}},
		{name: "StatefulSet damaged", kind: "statefulset", build: stateful, harm: some(1, cluster.NeverReady), mend: all(""), pages: []page{
			{alert: "WorkloadDegraded", severity: "warning", text: `2 of 3 .*1 readiness_probe`},
		}},
		{name: "DaemonSet lost", kind: "daemonset", build: daemons, harm: all(cluster.NeverReady), mend: all(""), pages: []page{
			{alert: "WorkloadDown", severity: "critical", text: `none of 6 .*6 readiness_probe`},
		}},
		{name: "DaemonSet damaged", kind: "daemonset", build: daemons, harm: some(1, cluster.NeverReady), mend: all(""), pages: []page{
			{alert: "WorkloadDegraded", severity: "warning", text: `5 of 6 .*1 readiness_probe`},
		}},
		{name: "readiness flaps", together: true, build: three, harm: every(time.Minute, cluster.Flapping), mend: all(""), pages: []page{
			{alert: "WorkloadFlapping", severity: "warning", text: `times within an hour.*1 readiness_probe`, late: time.Hour, lingers: time.Hour},
		}},
	} {
		t.Run(f.name, f.run)
	}
}

// Containers that crash, or are killed.
func TestCrashes(t *testing.T) {
	t.Parallel()
	for _, f := range []fault{
		{name: "crash loop of all", build: three, harm: all(cluster.CrashLoop), mend: all(""), pages: []page{
			{alert: "WorkloadDown", severity: "critical", text: `none of 3 .*3 crash_loop`},
		}, beside: []string{"CrashLoop"}},
		{name: "crash loop of one", build: three, harm: some(1, cluster.CrashLoop), mend: all(""), pages: []page{
			{alert: "CrashLoop", severity: "warning", text: `restarts.* container app \(Error\)`, lingers: 15 * time.Minute},
			{alert: "WorkloadDegraded", severity: "warning", text: `2 of 3 .*1 crash_loop`},
		}},
		{name: "crash loop of an init container", build: func(s *space, workload string) {
			s.Deployment(workload, 2, sandbox.Recreate(), sandbox.WithCompany)
			s.Impatient(workload)
		}, harm: func(s *space, workload string) {
			s.PatchTemplate("deployment/"+workload, sandbox.Object{"metadata": sandbox.Object{
				"labels":      sandbox.Object{cluster.BehaviourLabel: cluster.CrashLoop},
				"annotations": sandbox.Object{cluster.ContainerAnnotation: "migrate"}}})
		}, mend: undo, pages: []page{
			{alert: "WorkloadDown", severity: "critical", text: `none of 2 .*2 crash_loop`},
		}, beside: []string{"CrashLoop", "RolloutStuck"}},
		{name: "OOM kills", build: one, harm: all(cluster.OOM), mend: all(""), pages: []page{
			{alert: "OOMKilledRepeated", severity: "warning", text: `container app \(OOMKilled\)`, lingers: time.Hour},
		}, beside: []string{"CrashLoop"}},
	} {
		t.Run(f.name, f.run)
	}
}

// Pods that do not go away when they should.
func TestTerminations(t *testing.T) {
	fault{name: "stuck termination", build: func(s *space, workload string) {
		s.Deployment(workload, 2, appsv1.DeploymentStrategy{}, sandbox.Behaving(cluster.StuckTerminating))
	}, harm: func(s *space, workload string) {
		s.Kubectl("delete", "pod", "--wait=false", s.Pods(workload)[0].Name)
	}, mend: func(s *space, workload string) {
		for _, name := range s.terminating(workload) {
			s.Kubectl("delete", "pod", "--force", "--grace-period=0", name)
		}
	}, pages: []page{
		{alert: "TerminatingStuck", severity: "warning", text: `1 deleted pods .* 1 Terminating`},
	}}.run(t)
}

// Where all replicas end up on one node, its death would be an outage.
func TestSinglePointOfFailure(t *testing.T) {
	fault{name: "all replicas on one node", together: true, build: three, harm: func(s *space, workload string) {
		node := s.Pods(workload)[0].Spec.NodeName
		s.PatchTemplate("deployment/"+workload, sandbox.Object{"spec": sandbox.Object{
			"nodeSelector": sandbox.Object{corev1.LabelHostname: node}}})
	}, mend: func(s *space, workload string) {
		s.PatchTemplate("deployment/"+workload, sandbox.Object{"spec": sandbox.Object{"nodeSelector": nil}})
	}, pages: []page{
		{alert: "SinglePointOfFailure", severity: "warning", text: `3 .* one node`},
	}}.run(t)
}
