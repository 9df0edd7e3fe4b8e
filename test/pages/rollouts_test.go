// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"fmt"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"stability-exporter/test/cluster"
	"stability-exporter/test/sandbox"
)

// rolling is a Deployment whose rollouts leave at least three of four and count as stuck soon.
func rolling(s *space, workload string) {
	s.Deployment(workload, 4, appsv1.DeploymentStrategy{})
	s.Impatient(workload)
}

// replaced is a Deployment whose rollouts leave nothing.
func replaced(s *space, workload string) {
	s.Deployment(workload, 2, sandbox.Recreate())
	s.Impatient(workload)
}

// release rolls a version out that behaves so.
func release(behaviour cluster.Behaviour) func(*space, string) {
	return func(s *space, workload string) { s.NewVersion("deployment/"+workload, "2", behaviour) }
}

func undo(s *space, workload string) { s.Kubectl("rollout", "undo", "deployment/"+workload) }

// unknownImage rolls an image out that nobody has, from a registry that no other test uses.
func unknownImage(s *space, workload string) {
	s.PatchTemplate("deployment/"+workload, sandbox.Object{
		"metadata": sandbox.Object{"labels": sandbox.Object{cluster.BehaviourLabel: cluster.ImagePull}},
		"spec":     sandbox.Object{"containers": []sandbox.Object{{"name": "app", "image": s.Name + ".registry.test/app:2"}}},
	})
}

// tooLarge asks for more than any node has.
func tooLarge(s *space, workload string) {
	s.PatchTemplate("deployment/"+workload, sandbox.Object{"spec": sandbox.Object{"containers": []sandbox.Object{{
		"name": "app", "image": "registry.test/app:2", "resources": sandbox.Object{"requests": sandbox.Object{"cpu": "64"}}}}}})
}

// A new version that is bad, while the old one serves as far as the strategy lets it.
func TestBadRollouts(t *testing.T) {
	t.Parallel()
	for _, f := range []fault{
		{name: "rollout that is never ready", build: rolling, harm: release(cluster.NeverReady), mend: undo, pages: []page{
			{alert: "RolloutStuck", severity: "warning", text: `new version that are not available: 2.*NotReady.*readiness_probe`},
		}},
		{name: "rollout that crashes", build: rolling, harm: release(cluster.CrashLoop), mend: undo, pages: []page{
			{alert: "RolloutStuck", severity: "warning", text: `crash_loop`},
			{alert: "CrashLoop", severity: "warning", text: `container app`, lingers: 15 * time.Minute},
		}},
		{name: "rollout that flaps", together: true, build: func(s *space, workload string) {
			s.Deployment(workload, 3, appsv1.DeploymentStrategy{})
			// Ready is progress, but never for long enough: the deadline is put off again and again.
			s.Patch("deployment/"+workload, sandbox.Object{"spec": sandbox.Object{"minReadySeconds": 20}})
		}, harm: release(cluster.Flapping), mend: undo, pages: []page{
			{alert: "RolloutTooLong", severity: "warning", text: `not available`, late: 30 * time.Minute},
		}},
		{name: "rollout without an image", build: rolling, harm: unknownImage, mend: undo, pages: []page{
			{alert: "RolloutStuck", severity: "warning", text: `ImagePullBackOff.*image_pull`},
			{alert: "ImagePullFailing", severity: "warning", text: `registry\.test.*2 ImagePullBackOff`},
		}},
		{name: "rollout that no node can take", build: rolling, harm: tooLarge, mend: undo, pages: []page{
			{alert: "RolloutStuck", severity: "warning", text: `Pending.*unschedulable`},
			{alert: "PodsUnschedulable", severity: "warning", text: `2 of its pods.*2 cpu`},
		}},
		{name: "rollout to nothing: configuration error", build: replaced, harm: release(cluster.ConfigError), mend: undo, pages: []page{
			{alert: "WorkloadDown", severity: "critical", text: `none of 2 .*2 config_error`},
		}, beside: []string{"RolloutStuck"}},
		{name: "rollout to nothing: stuck creating", build: replaced, harm: release(cluster.Creating), mend: undo, pages: []page{
			{alert: "WorkloadDown", severity: "critical", text: `none of 2 .*2 volume_or_sandbox`},
		}, beside: []string{"RolloutStuck"}},
		{name: "rollout to nothing: unschedulable", build: replaced, harm: tooLarge, mend: undo, pages: []page{
			{alert: "WorkloadDown", severity: "critical", text: `none of 2 .*2 unschedulable`},
		}, beside: []string{"RolloutStuck", "PodsUnschedulable"}},
		{name: "loss in a stuck rollout", build: rolling, harm: func(s *space, workload string) {
			serving := s.Pods(workload)
			release(cluster.NeverReady)(s, workload)
			s.await("the rollout to hang", s.stuck(workload))
			s.Behave(cluster.CrashLoop, s.stillThere(serving)[:1]...)
		}, mend: func(s *space, workload string) {
			undo(s, workload)
			s.Kubectl("label", "pods", cluster.BehaviourLabel+"-",
				fmt.Sprintf("--selector=app=%s,%s=%s", workload, cluster.BehaviourLabel, cluster.CrashLoop))
		}, pages: []page{
			{alert: "RolloutStuck", severity: "critical", text: `since 20.* 1 crash_loop, 1 readiness_probe`},
		}, beside: []string{"RolloutStuck", "WorkloadDegraded", "CrashLoop"}},
	} {
		t.Run(f.name, f.run)
	}
}

// What is created and never comes up is excused for the grace, and no longer.
func TestNeverComesUp(t *testing.T) {
	fault{name: "new workload that never comes up", kind: "statefulset", harm: func(s *space, workload string) {
		s.StatefulSet(workload, 2, sandbox.Behaving(cluster.ConfigError))
	}, mend: func(s *space, workload string) {
		s.NewVersion("statefulset/"+workload, "2", "")
		s.Kubectl("delete", "pod", "--selector=app="+workload) // a StatefulSet does not replace what hangs by itself
	}, pages: []page{
		{alert: "WorkloadDown", severity: "critical", text: `none of 2 .*1 config_error, 1 not_created`, late: unscaled(shared.grace)},
	}}.run(t)
}

// The pods of a namespace may not be made again.
func TestQuota(t *testing.T) {
	fault{name: "quota", build: three, harm: func(s *space, workload string) {
		_, err := s.Client().CoreV1().ResourceQuotas(s.Name).Create(s.T.Context(), &corev1.ResourceQuota{
			ObjectMeta: metav1.ObjectMeta{Name: "none"},
			Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{corev1.ResourcePods: resource.MustParse("0")}},
		}, metav1.CreateOptions{})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			s.T.Fatal(err)
		}
		s.Kubectl("delete", "pod", "--selector=app="+workload)
	}, mend: func(s *space, workload string) {
		s.Kubectl("delete", "resourcequota", "none", "--ignore-not-found")
		// Their controller would try again by itself, but later.
		s.Kubectl("annotate", "replicasets", "--all", "--overwrite", "test/again="+workload)
	}, pages: []page{
		{alert: "WorkloadDown", severity: "critical", text: `none of 3 .*3 not_created`},
	}, beside: []string{"RolloutStuck"}}.run(t)
}
