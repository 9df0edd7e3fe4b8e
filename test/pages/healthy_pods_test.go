// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"context"
	"fmt"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"stability-exporter/test/cluster"
	"stability-exporter/test/sandbox"
)

// slowToGo makes pods use all of their grace period when they are deleted, as a preStop hook may: five minutes.
func slowToGo(t *corev1.PodTemplateSpec) {
	sandbox.Behaving(cluster.SlowTerminating)(t)
	*t.Spec.TerminationGracePeriodSeconds = int64(scaled(5 * time.Minute).Seconds())
}

func TestHealthyLossOfPods(t *testing.T) {
	flapping := []string{"WorkloadFlapping"} // seconds without each pod are nothing in an hour, but much in three minutes
	runAll(t, []operation{
		{name: "deleted by hand", harsh: flapping, build: served(3, appsv1.DeploymentStrategy{}), do: func(s *space) {
			s.deleteEach("web")
		}},
		{name: "deleted by hand in order", harsh: flapping, build: func(s *space) { s.StatefulSet("web", 3) }, do: func(s *space) {
			s.deleteEach("web")
		}},
		{name: "the only one deleted", build: served(1, appsv1.DeploymentStrategy{}), do: func(s *space) { s.deleteEach("web") }},
		{name: "evicted", do: func(s *space) { s.evict("web") }, build: func(s *space) {
			served(3, appsv1.DeploymentStrategy{})(s)
			s.Budget("web", 2)
		}},
		{name: "slow to go", build: served(3, appsv1.DeploymentStrategy{}, slowToGo), do: func(s *space) {
			s.NewVersion("deployment/web", "2", cluster.SlowTerminating)
			s.awaitRollout("deployment/web")
			s.scaleTo(5, 2)
			s.Behave("", s.Pods("web")...) // the end of the test takes them away together with the namespace
		}},
		{name: "slow to go in order", build: func(s *space) { s.StatefulSet("web", 2, slowToGo) }, do: func(s *space) {
			s.NewVersion("statefulset/web", "2", cluster.SlowTerminating)
			s.awaitRollout("statefulset/web")
			s.Behave("", s.Pods("web")...)
		}},
	})
}

// evict asks for the eviction of a pod, as every drain does.
func (s *space) evict(app string) {
	s.T.Helper()
	pods := s.Pods(app)
	eviction := &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: pods[0].Name, Namespace: s.Name}}
	if err := s.Client().PolicyV1().Evictions(s.Name).Evict(s.T.Context(), eviction); err != nil {
		s.T.Fatalf("cannot evict pod %s: %v", pods[0].Name, err)
	}
	s.awaitReady(app, len(pods))
	s.await("the eviction to be counted", fmt.Sprintf(
		`stability_workload_pod_disruptions_total{cluster=%q,namespace=%q,workload=%q,reason="EvictionAPI"} == 1`, s.cluster, s.Name, app))
}

// job creates a Job whose pods restart in place or are replaced.
func (s *space) job(name string, restart corev1.RestartPolicy, changes ...sandbox.TemplateChange) {
	s.T.Helper()
	template := sandbox.Template(name, changes...)
	template.Spec.RestartPolicy = restart
	_, err := s.Client().BatchV1().Jobs(s.Name).Create(s.T.Context(), &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: batchv1.JobSpec{Template: template},
	}, metav1.CreateOptions{})
	if err != nil {
		s.T.Fatalf("cannot create job %s: %v", name, err)
	}
}

func (s *space) awaitComplete(job string) {
	s.T.Helper()
	s.Kubectl("wait", "--for=condition=complete", "job/"+job, "--timeout="+patience.String())
}

// failing makes pods fail after five seconds, in which a test can mend the one that it wants to live.
func failing(t *corev1.PodTemplateSpec) {
	sandbox.Behaving(cluster.Failed)(t)
	t.Annotations[cluster.PeriodAnnotation] = "5s"
}

// mendRetry lets the first pod of an app fail and the next one do its work.
func (s *space) mendRetry(app string) {
	s.T.Helper()
	timeout := time.Minute + patience // a CronJob may wait for the next minute
	s.awaitTrue(timeout, "a pod after one that failed", func(context.Context) (bool, error) {
		pods := s.Pods(app)
		for _, pod := range pods {
			if len(pods) > 1 && pod.Status.Phase == corev1.PodRunning {
				s.Behave("", pod)
				return true, nil
			}
		}
		return false, nil
	})
}

// mendRestarts lets the pod of an app crash twice and then do its work.
func (s *space) mendRestarts(app string) {
	s.T.Helper()
	s.awaitTrue(patience, "two restarts", func(context.Context) (bool, error) {
		for _, pod := range s.Pods(app) {
			if statuses := pod.Status.ContainerStatuses; len(statuses) == 1 && statuses[0].RestartCount >= 2 {
				s.Behave("", pod)
				return true, nil
			}
		}
		return false, nil
	})
}

func TestHealthyJobs(t *testing.T) {
	beside := deployed(2, appsv1.DeploymentStrategy{})
	runAll(t, []operation{
		{name: "completed", build: beside, do: func(s *space) {
			s.job("report", corev1.RestartPolicyNever)
			s.awaitComplete("report")
		}},
		{name: "retried by another pod", build: beside, do: func(s *space) {
			s.job("report", corev1.RestartPolicyNever, failing)
			s.mendRetry("report")
			s.awaitComplete("report")
		}},
		{name: "retried in place", build: beside, do: func(s *space) {
			s.job("report", corev1.RestartPolicyOnFailure, sandbox.Behaving(cluster.CrashLoop))
			s.mendRestarts("report")
			s.awaitComplete("report")
		}},
		{name: "by the clock", build: beside, do: func(s *space) {
			s.cronJob("report", failing)
			s.mendRetry("report")
			s.Patch("cronjob/report", object{"spec": object{"suspend": true}}) // the next run would fail for good
			s.await("the run that went well", fmt.Sprintf(
				`stability_cronjob_last_run_failed{cluster=%q,namespace=%q,workload="report"} == 0`, s.cluster, s.Name))
		}},
	})
}

// cronJob creates a CronJob that runs each minute; the second run waits for the first one.
func (s *space) cronJob(name string, changes ...sandbox.TemplateChange) {
	s.T.Helper()
	template := sandbox.Template(name, changes...)
	template.Spec.RestartPolicy = corev1.RestartPolicyNever
	_, err := s.Client().BatchV1().CronJobs(s.Name).Create(s.T.Context(), &batchv1.CronJob{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: batchv1.CronJobSpec{
			Schedule: "* * * * *", ConcurrencyPolicy: batchv1.ForbidConcurrent,
			JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{Template: template}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		s.T.Fatalf("cannot create cronjob %s: %v", name, err)
	}
}

func TestHealthyDeletions(t *testing.T) {
	rolling := appsv1.DeploymentStrategy{}
	selector := map[string]string{"app": "web"}
	runAll(t, []operation{
		{name: "a workload and back", build: served(3, rolling), do: func(s *space) {
			s.Kubectl("delete", "deployment", "web")
			s.Deployment("web", 3, rolling)
			s.awaitRollout("deployment/web")
		}},
		{name: "a workload for good", build: func(s *space) {
			deployed(2, rolling)(s)
			s.StatefulSet("old", 2)
			s.Service("old", map[string]string{"app": "old"})
			s.Budget("old", 1)
		}, do: func(s *space) {
			s.Kubectl("delete", "statefulset,service,pdb", "old")
		}},
		{name: "a workload without its pods", build: func(s *space) { s.StatefulSet("web", 2) }, do: func(s *space) {
			s.Kubectl("delete", "statefulset", "web", "--cascade=orphan")
			s.StatefulSet("web", 2)
			s.awaitRollout("statefulset/web")
		}},
		{name: "a Service and back", build: served(3, rolling), do: func(s *space) {
			s.Kubectl("delete", "service", "web")
			s.Service("web", selector)
		}},
		// Kubernetes takes the pods away first and what wants them some seconds later.
		{name: "a namespace and back", build: served(3, rolling), do: func(s *space) {
			s.recreateNamespace()
			served(3, rolling)(s)
			s.awaitRollout("deployment/web")
		}},
		{name: "a namespace whose pods are slow to go", build: served(3, rolling, slowToGo), do: func(s *space) {
			s.recreateNamespace()
			served(3, rolling)(s)
			s.awaitRollout("deployment/web")
		}},
	})
}

// recreateNamespace deletes the namespace with all that is in it and makes an empty one.
func (s *space) recreateNamespace() {
	s.T.Helper()
	s.Kubectl("delete", "namespace", s.Name)
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.Name}}
	_, err := s.Client().CoreV1().Namespaces().Create(s.T.Context(), namespace, metav1.CreateOptions{})
	s.must(err)
}
