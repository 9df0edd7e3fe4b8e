// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"stability-exporter/test/cluster"
	"stability-exporter/test/exporterproc"
	"stability-exporter/test/sandbox"
)

// A rollout of a bad version: what the old one still serves is not damage as long as it is what the strategy promises,
// the hang is told, and why. After going back nothing is left of it.
func TestBadVersions(t *testing.T) {
	for _, test := range []struct {
		behaviour     cluster.Behaviour
		cause, reason string
		more          []sample
	}{
		{cluster.NeverReady, "readiness_probe", "NotReady", nil},
		{cluster.CrashLoop, "crash_loop", "CrashLoopBackOff", nil},
		{cluster.ImagePull, "image_pull", "ImagePullBackOff",
			[]sample{is(2, "stability_image_pull_failing_pods", "workload", "web", "registry", "registry.test")}},
		{cluster.ConfigError, "config_error", "CreateContainerConfigError", nil},
		{cluster.Creating, "volume_or_sandbox", "ContainerCreating", nil},
	} {
		t.Run(string(test.behaviour), func(t *testing.T) {
			s := newSpace(t)
			s.Deployment("web", 4, appsv1.DeploymentStrategy{})
			s.awaitHealthy(4, "web")
			s.Impatient("web")
			s.NewVersion("deployment/web", "2", test.behaviour)
			s.awaitSamples("the hanging rollout", append(test.more,
				is(1, "stability_workload_rollout_stuck", "workload", "web"),
				is(1, "stability_workload_state", "workload", "web", "state", "rolling"),
				is(5, "stability_workload_current_replicas", "workload", "web"),
				is(2, "stability_workload_updated_replicas", "workload", "web"),
				is(3, "stability_workload_ready_replicas", "workload", "web"),
				is(0.75, "stability_workload_available_ratio", "workload", "web"),
				is(3, "stability_workload_min_available_replicas", "workload", "web"),
				is(1, "stability_workload_unavailable_replicas", "workload", "web", "cause", test.cause),
				is(2, "stability_workload_rollout_unhealthy_updated_replicas", "workload", "web"),
				is(2, "stability_workload_abnormal_pods", "workload", "web", "reason", test.reason))...)
			s.Kubectl("rollout", "undo", "deployment/web")
			s.awaitHealthy(4, "web")
			s.awaitSamples("no rollout", no("stability_workload_rollout_unhealthy_updated_replicas"),
				no("stability_workload_rollout_started_timestamp_seconds"))
		})
	}
}

// A bad version that replaces everything at once is an outage.
func TestBadVersionWithoutFloor(t *testing.T) {
	s := newSpace(t)
	s.Deployment("web", 2, sandbox.Recreate(), sandbox.WithCompany)
	s.awaitHealthy(2, "web")
	s.Impatient("web")
	s.NewVersion("deployment/web", "2", cluster.CrashLoop)
	s.PatchTemplate("deployment/web", object{"metadata": object{"annotations": object{cluster.ContainerAnnotation: "migrate"}}})
	s.awaitSamples("the outage",
		is(1, "stability_workload_state", "workload", "web", "state", "down"),
		is(0, "stability_workload_available_ratio", "workload", "web"),
		is(1, "stability_workload_rollout_stuck", "workload", "web"),
		is(2, "stability_workload_unavailable_replicas", "workload", "web", "cause", "crash_loop"),
		is(2, "stability_workload_abnormal_pods", "workload", "web", "reason", "CrashLoopBackOff"))
	s.NewVersion("deployment/web", "3", "")
	s.awaitHealthy(2, "web")
}

// Pods that were fine misbehave, without any change by a person.
func TestPodsFail(t *testing.T) {
	s := newSpace(t)
	s.Deployment("web", 3, appsv1.DeploymentStrategy{}, sandbox.WithCompany)
	s.Service("web", map[string]string{"app": "web"})
	s.awaitHealthy(3, "web")
	pods := s.Pods("web")
	s.Behave(cluster.NeverReady, pods[0])
	s.awaitSamples("partial damage",
		is(1, "stability_workload_state", "workload", "web", "state", "degraded"),
		is(0, "stability_workload_state", "workload", "web", "state", "down"),
		is(1, "stability_workload_unavailable_replicas", "workload", "web", "cause", "readiness_probe"),
		is(1, "stability_workload_abnormal_pods", "workload", "web", "reason", "NotReady"),
		is(2, "stability_service_ready_endpoints", "service", "web"))
	s.Behave(cluster.CrashLoop, pods...)
	s.awaitSamples("total damage",
		is(1, "stability_workload_state", "workload", "web", "state", "down"),
		is(0, "stability_workload_state", "workload", "web", "state", "degraded"),
		is(3, "stability_workload_unavailable_replicas", "workload", "web", "cause", "crash_loop"),
		is(0, "stability_service_ready_endpoints", "service", "web"),
		is(1, "stability_service_endpoints_lost", "service", "web", "cause", "pods_not_ready"))
	s.Behave("", pods...)
	s.awaitHealthy(3, "web")
	s.awaitSamples("endpoints", is(3, "stability_service_ready_endpoints", "service", "web"), no("stability_service_endpoints_lost"))
}

// A workload that never comes up is excused for the grace, and no longer; an exporter that starts later excuses nothing.
func TestNewWorkloadThatNeverComesUp(t *testing.T) {
	const grace = 20 * time.Second
	kubeconfig := grant(t, "exporter-3")
	config := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(config, []byte("damage: {grace: "+grace.String()+"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newSpace(t)
	p := exporter(t, kubeconfig, "--config.file="+config)
	s.StatefulSet("db", 1, sandbox.Behaving(cluster.ConfigError))
	p.Await(t, patience, "a new workload to be excused", func(m exporterproc.Metrics) error {
		return s.check(m, []sample{
			is(1, "stability_workload_unavailable_replicas", "workload", "db", "cause", "config_error"),
			is(1, "stability_workload_state", "workload", "db", "state", "scaling")})
	})
	down := func(m exporterproc.Metrics) error {
		return s.check(m, []sample{is(1, "stability_workload_state", "workload", "db", "state", "down")})
	}
	p.Await(t, grace+patience, "the end of the grace", down)
	set, err := client().AppsV1().StatefulSets(s.Name).Get(t.Context(), "db", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if age := time.Since(set.CreationTimestamp.Time); age < grace {
		t.Errorf("down after %s, before the grace of %s is over", age, grace)
	}
	p.Stop(t)
	late := exporter(t, kubeconfig, "--config.file="+config)
	metrics, err := late.Scrape(t.Context())
	if err == nil {
		err = down(metrics)
	}
	if err != nil {
		t.Errorf("the first scrape of an exporter that starts in an outage: %v", err)
	}
	s.awaitSamples("the exporter with the default grace to go on excusing",
		is(1, "stability_workload_state", "workload", "db", "state", "scaling"))
}

func TestOutOfMemoryAndFlapping(t *testing.T) {
	s := newSpace(t)
	s.Deployment("greedy", 1, appsv1.DeploymentStrategy{})
	s.Deployment("fickle", 2, appsv1.DeploymentStrategy{})
	s.awaitHealthy(1, "greedy")
	s.awaitHealthy(2, "fickle")
	s.Behave(cluster.OOM, s.Pods("greedy")...)
	fickle := s.Pods("fickle")
	s.Behave(cluster.Flapping, fickle[0])
	s.await("OOM kills", func(m exporterproc.Metrics) error {
		labels := []string{"namespace", s.Name, "workload", "greedy"}
		kills, _ := m.Value("stability_workload_oom_kill_delta", append(labels, "window", "1h")...)
		if kills < 2 {
			return fmt.Errorf("%v OOM kills", kills)
		}
		return m.Expect(kills, "stability_container_terminations_total", append(labels, "container", "app", "reason", "OOMKilled")...)
	})
	for _, state := range []string{"degraded", "healthy", "degraded"} {
		s.awaitSamples("fickle to be "+state, is(1, "stability_workload_state", "workload", "fickle", "state", state))
	}
	s.Behave("", append(s.Pods("greedy"), fickle...)...)
	s.awaitHealthy(1, "greedy")
	s.awaitHealthy(2, "fickle")
}

func TestUnschedulable(t *testing.T) {
	s := newSpace(t)
	s.Deployment("web", 2, appsv1.DeploymentStrategy{})
	s.StatefulSet("db", 1, func(t *corev1.PodTemplateSpec) { t.Spec.NodeSelector = map[string]string{"disk": "none"} })
	s.awaitHealthy(2, "web")
	s.Impatient("web")
	s.PatchTemplate("deployment/web", object{"spec": object{"containers": []object{{
		"name": "app", "image": "registry.test/app:2", "resources": object{"requests": object{"cpu": "64"}}}}}})
	s.awaitSamples("pods that no node can take",
		is(1, "stability_workload_rollout_stuck", "workload", "web"),
		is(1, "stability_workload_unschedulable_replicas", "workload", "web", "blocker", "cpu"),
		is(1, "stability_workload_abnormal_pods", "workload", "web", "reason", "Pending"),
		is(1, "stability_workload_unschedulable_replicas", "workload", "db", "blocker", "node_affinity"),
		is(1, "stability_workload_unavailable_replicas", "workload", "db", "cause", "unschedulable"))
	s.Kubectl("rollout", "undo", "deployment/web")
	s.PatchTemplate("statefulset/db", object{"spec": object{"nodeSelector": nil}})
	s.Kubectl("delete", "pod", "db-0")
	s.awaitHealthy(2, "web")
	s.awaitHealthy(1, "db")
}

func TestQuotaForbidsPods(t *testing.T) {
	s := newSpace(t)
	s.Deployment("web", 3, appsv1.DeploymentStrategy{})
	s.awaitHealthy(3, "web")
	_, err := client().CoreV1().ResourceQuotas(s.Name).Create(t.Context(), &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Name: "none"},
		Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{corev1.ResourcePods: resource.MustParse("0")}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s.Deployment("new", 2, appsv1.DeploymentStrategy{})
	s.awaitSamples("a workload that gets no pods",
		is(1, "stability_workload_rollout_stuck", "workload", "new"),
		is(2, "stability_workload_unavailable_replicas", "workload", "new", "cause", "not_created"),
		is(0, "stability_workload_current_replicas", "workload", "new"),
		is(1, "stability_workload_state", "workload", "web", "state", "healthy"))
	s.Kubectl("delete", "pod", "--selector=app=web")
	s.awaitSamples("a workload that has lost its pods",
		is(1, "stability_workload_state", "workload", "web", "state", "down"),
		is(1, "stability_workload_rollout_stuck", "workload", "web"),
		is(3, "stability_workload_unavailable_replicas", "workload", "web", "cause", "not_created"))
	s.Kubectl("delete", "resourcequota", "none")
	s.Kubectl("annotate", "replicasets", "--all", "test/again=now") // their controller would try again by itself, but later
	s.awaitHealthy(3, "web")
	s.awaitHealthy(2, "new")
}

func TestPodThatDoesNotEnd(t *testing.T) {
	s := newSpace(t)
	s.Deployment("web", 2, appsv1.DeploymentStrategy{}, sandbox.Behaving(cluster.StuckTerminating))
	s.awaitHealthy(2, "web")
	s.Kubectl("delete", "pod", "--wait=false", s.Pods("web")[0].Name)
	s.awaitSamples("the pod that stays",
		is(1, "stability_workload_terminating_overdue_pods", "workload", "web"),
		is(1, "stability_workload_abnormal_pods", "workload", "web", "reason", "Terminating"),
		is(1, "stability_workload_state", "workload", "web", "state", "healthy"),
		is(2, "stability_workload_available_replicas", "workload", "web"))
	list, err := client().CoreV1().Pods(s.Name).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, pod := range list.Items {
		if pod.DeletionTimestamp != nil {
			s.Kubectl("delete", "pod", "--force", "--grace-period=0", pod.Name)
		}
	}
	s.awaitHealthy(2, "web")
}

func TestStatefulSetLosesPods(t *testing.T) {
	s := newSpace(t)
	s.StatefulSet("db", 2, sandbox.WithCompany)
	s.StatefulSet("single", 1)
	s.awaitHealthy(2, "db")
	s.awaitHealthy(1, "single")
	db, single := s.Pods("db"), s.Pods("single")
	s.Behave(cluster.CrashLoop, db[1])
	s.Behave(cluster.NeverReady, single[0])
	s.awaitSamples("damage",
		is(1, "stability_workload_state", "workload", "db", "state", "degraded"),
		is(1, "stability_workload_unavailable_replicas", "workload", "db", "cause", "crash_loop"),
		is(1, "stability_workload_state", "workload", "single", "state", "down"),
		is(1, "stability_workload_unavailable_replicas", "workload", "single", "cause", "readiness_probe"))
	s.Behave("", db[1], single[0])
	s.awaitHealthy(2, "db")
	s.awaitHealthy(1, "single")
	// A bad version stops at its first pod, which is what the strategy permits to be missing.
	s.NewVersion("statefulset/db", "2", cluster.ImagePull)
	s.awaitSamples("the rollout that hangs at its first pod",
		is(1, "stability_workload_state", "workload", "db", "state", "rolling"),
		is(1, "stability_workload_unavailable_replicas", "workload", "db", "cause", "image_pull"),
		is(1, "stability_workload_updated_replicas", "workload", "db"),
		is(2, "stability_workload_current_replicas", "workload", "db"),
		is(1, "stability_workload_min_available_replicas", "workload", "db"))
	s.Behave(cluster.NeverReady, db[0])
	s.awaitSamples("the loss of the other one", is(1, "stability_workload_state", "workload", "db", "state", "down"))
	s.NewVersion("statefulset/db", "3", "")
	s.Kubectl("delete", "pod", "--selector=app=db") // a StatefulSet does not replace what hangs by itself
	s.awaitHealthy(2, "db")
}

func TestDaemonSetLosesPods(t *testing.T) {
	s := newSpace(t)
	s.DaemonSet("agent", "1", "0")
	s.awaitHealthy(6, "agent")
	pods := s.Pods("agent")
	s.Behave(cluster.NeverReady, pods[0])
	s.awaitSamples("partial damage",
		is(1, "stability_workload_state", "workload", "agent", "state", "degraded"),
		is(6, "stability_workload_on_ready_nodes_replicas", "workload", "agent", "state", "desired"),
		is(5, "stability_workload_on_ready_nodes_replicas", "workload", "agent", "state", "available"),
		is(1, "stability_workload_unavailable_replicas", "workload", "agent", "cause", "readiness_probe"))
	s.Behave(cluster.NeverReady, pods...)
	s.awaitSamples("total damage", is(1, "stability_workload_state", "workload", "agent", "state", "down"))
	s.Behave("", pods...)
	s.awaitHealthy(6, "agent")
}
