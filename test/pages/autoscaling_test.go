// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"context"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"stability-exporter/test/cluster"
	"stability-exporter/test/sandbox"
)

// autoscaled is a Deployment of three with an autoscaler that may make no more of them.
func autoscaled(s *space, workload string) {
	three(s, workload)
	_, err := s.Client().AutoscalingV2().HorizontalPodAutoscalers(s.Name).Create(s.T.Context(), &autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Name: workload},
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: workload},
			MinReplicas:    new(int32(1)), MaxReplicas: 3,
		},
	}, metav1.CreateOptions{})
	if err != nil {
		s.T.Fatal(err)
	}
}

// limited says in an autoscaler's status whether it wants more than it may have, as its controller would.
func limited(status, reason string) func(*space, string) {
	return func(s *space, workload string) {
		change := `{"status":{"currentReplicas":3,"desiredReplicas":3,"conditions":[` +
			`{"type":"ScalingLimited","status":"` + status + `","reason":"` + reason + `"}]}}`
		s.Kubectl("patch", "hpa/"+workload, "--subresource=status", "--type=merge", "--patch="+change)
	}
}

func TestAutoscalerAtItsMaximum(t *testing.T) {
	fault{
		name: "autoscaler at its maximum", build: autoscaled, together: true,
		harm: limited("True", "TooManyReplicas"), mend: limited("False", "DesiredWithinRange"),
		pages: []page{{alert: "HpaCapped", severity: "warning", text: `HorizontalPodAutoscaler .*deployment .* maximum .*TooManyReplicas`}},
	}.run(t)
}

// Pods are lost while an autoscaler takes a step every half minute, up and down. They are those of StatefulSets: a
// Deployment would give up the lost ones with the next step down, and a StatefulSet makes no new one beside a lost one.
func TestLossDuringSteps(t *testing.T) {
	s := newSpace(t)
	s.StatefulSet("web", 3)
	s.StatefulSet("shop", 5)
	s.awaitHealthy("web", "shop")
	began := time.Now()
	all(cluster.NeverReady)(s, "web")
	some(1, cluster.NeverReady)(s, "shop")
	stop := inTurn(t, max(2*time.Second, scaled(30*time.Second)), []string{"6", "7", "8", "7"}, func(ctx context.Context, replicas string) error {
		_, err := sandbox.Kubectl(ctx, s.Cluster, "--namespace="+s.Name, "scale", "statefulset/web", "statefulset/shop", "--replicas="+replicas)
		return err
	})
	total := incident{"total loss during an autoscaler's steps", s.about("workload", "web"), []page{
		{alert: "WorkloadDown", severity: "critical", text: `none of \d+ .*3 readiness_probe`},
	}}
	partial := incident{"partial loss during an autoscaler's steps", s.about("workload", "shop"), []page{
		{alert: "WorkloadDegraded", severity: "warning", text: `1 readiness_probe`},
	}}
	total.awaitPages(t, began)
	partial.awaitPages(t, began)
	stop()
	mended := time.Now()
	all("")(s, "web")
	all("")(s, "shop")
	total.awaitResolved(t, mended)
	partial.awaitResolved(t, mended)
}

// The last run of a CronJob counts: one that went well ends the page.
func TestCronJobFails(t *testing.T) {
	s := newSpace(t)
	failed := func(name string) incident {
		return incident{"run of a CronJob fails", s.about("workload", model.LabelValue(name), "workload_type", "cronjob"), []page{
			{alert: "CronJobFailed", severity: "warning", text: `cronjob ` + s.Name + "/" + name + ` .*has failed`},
		}}
	}
	names := []string{"report", "backup"}
	for _, name := range names {
		cronJob(s, name)
		began := time.Now()
		s.Kubectl("create", "job", name+"-first", "--from=cronjob/"+name)
		failed(name).awaitPages(t, began)
	}
	mended := time.Now()
	for _, name := range names {
		s.Patch("cronjob/"+name, sandbox.Object{"spec": sandbox.Object{"jobTemplate": sandbox.Object{"spec": sandbox.Object{
			"template": sandbox.Object{"metadata": sandbox.Object{"labels": sandbox.Object{cluster.BehaviourLabel: nil}}}}}}})
		s.Kubectl("create", "job", name+"-second", "--from=cronjob/"+name)
	}
	for _, name := range names {
		failed(name).awaitResolved(t, mended)
	}
}

// cronJob runs only when somebody creates a job from it, and fails.
func cronJob(s *space, name string) {
	s.T.Helper()
	pod := sandbox.Template(name, sandbox.Behaving(cluster.Failed))
	pod.Spec.RestartPolicy = corev1.RestartPolicyNever
	_, err := s.Client().BatchV1().CronJobs(s.Name).Create(s.T.Context(), &batchv1.CronJob{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: batchv1.CronJobSpec{
			Schedule: "0 3 * * *", Suspend: new(true),
			JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{Template: pod, BackoffLimit: new(int32)}},
		},
	}, metav1.CreateOptions{})
	must(s.T, err)
}
