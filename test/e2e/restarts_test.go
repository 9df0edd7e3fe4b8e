// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"stability-exporter/test/cluster"
	"stability-exporter/test/exporterproc"
	"stability-exporter/test/sandbox"
)

// restarted is what a scrape has to say of the restarts of the only workload of the space.
func (s *space) restarted(counter, delta float64) func(exporterproc.Metrics) error {
	labels := []string{"namespace", s.Name, "workload", "web"}
	return func(m exporterproc.Metrics) error {
		return errors.Join(
			m.Expect(counter, "stability_container_restarts_total", append(labels, "container", "app", "container_type", "app")...),
			m.Expect(delta, "stability_workload_restart_delta", append(labels, "window", "15m")...),
			m.Expect(delta, "stability_workload_restart_delta", append(labels, "window", "24h")...))
	}
}

// onlyPod returns the one pod of the workload.
func (s *space) onlyPod() *corev1.Pod {
	s.T.Helper()
	pods := s.Pods("web")
	if len(pods) != 1 {
		s.T.Fatalf("there are %d pods, want 1", len(pods))
	}
	return &pods[0]
}

// restart writes into the only pod's status what a kubelet writes after n more restarts of its container.
func (s *space) restart(n int32) {
	s.T.Helper()
	s.restartFrom(s.onlyPod().Status.ContainerStatuses[0].RestartCount, n)
}

// restartFrom is restart with another count to begin with.
func (s *space) restartFrom(count, n int32) {
	s.T.Helper()
	pod := s.onlyPod()
	status := &pod.Status.ContainerStatuses[0]
	status.RestartCount = count + n
	ended := metav1.Now()
	if last := status.LastTerminationState.Terminated; last != nil && ended.Sub(last.FinishedAt.Time) < time.Second {
		ended = metav1.NewTime(last.FinishedAt.Add(time.Second)) // the API keeps whole seconds
	}
	status.LastTerminationState.Terminated = &corev1.ContainerStateTerminated{
		ExitCode: 1, Reason: "Error", StartedAt: ended, FinishedAt: ended,
	}
	if _, err := client().CoreV1().Pods(s.Name).UpdateStatus(s.T.Context(), pod, metav1.UpdateOptions{}); err != nil {
		s.T.Fatal(err)
	}
}

// manualPod runs one healthy pod whose status is then the test's alone.
func (s *space) manualPod() {
	s.T.Helper()
	s.Deployment("web", 1, appsv1.DeploymentStrategy{})
	s.awaitHealthy(1, "web")
	s.Behave(cluster.Manual, *s.onlyPod())
}

// replacePod deletes the only pod and waits until another one serves.
func (s *space) replacePod() {
	s.T.Helper()
	old := s.onlyPod()
	s.Kubectl("delete", "pod", old.Name)
	s.awaitRolledOut("deployment", "web")
	s.Behave(cluster.Manual, *s.onlyPod())
}

// exporter starts an exporter of the test's own.
func exporter(t *testing.T, kubeconfig string, flags ...string) *exporterproc.Process {
	t.Helper()
	p := exporterproc.Start(t, shared.binary, append([]string{"--kubeconfig=" + kubeconfig}, flags...)...)
	p.AwaitReady(t)
	return p
}

func grant(t *testing.T, identity string) (kubeconfig string) {
	t.Helper()
	kubeconfig, err := exporterproc.Grant(t.Context(), shared.cluster, identity)
	if err != nil {
		t.Fatal(err)
	}
	return kubeconfig
}

func TestRestartsSurviveTheirPods(t *testing.T) {
	s := newSpace(t)
	s.manualPod()
	s.await("no restarts", s.restarted(0, 0))
	s.restart(3)
	s.await("restarts", s.restarted(3, 3))
	s.replacePod()
	s.await("the restarts of the old pod", s.restarted(3, 3))
	s.restart(2)
	s.await("the restarts of both pods", s.restarted(5, 5))
	// A kubelet that has lost its memory counts from the beginning.
	s.restartFrom(0, 1)
	s.await("one more", s.restarted(6, 6))
}

func TestCrashLoopIsCountedAsKubectlCounts(t *testing.T) {
	s := newSpace(t)
	s.Deployment("web", 1, appsv1.DeploymentStrategy{}, sandbox.Behaving(cluster.CrashLoop))
	s.await("three restarts", func(m exporterproc.Metrics) error {
		if m.Sum("stability_container_restarts_total", "namespace", s.Name) < 3 {
			return errors.New("fewer")
		}
		return nil
	})
	s.Behave("", *s.onlyPod())
	s.awaitHealthy(1, "web")
	count := float64(s.onlyPod().Status.ContainerStatuses[0].RestartCount)
	s.await("what kubectl counts", s.restarted(count, count))
	s.awaitSamples("how they ended",
		is(count, "stability_container_terminations_total", "workload", "web", "container", "app", "reason", "Error"))
}

// Pods without a workload are counted together, and have no availability.
func TestRestartsOfABarePod(t *testing.T) {
	s := newSpace(t)
	pod := sandbox.Template("web", sandbox.Behaving(cluster.OOM))
	pod.Name = "web"
	bare := &corev1.Pod{ObjectMeta: pod.ObjectMeta, Spec: pod.Spec}
	if _, err := client().CoreV1().Pods(s.Name).Create(t.Context(), bare, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	s.await("restarts under no workload", func(m exporterproc.Metrics) error {
		if m.Sum("stability_workload_oom_kill_delta", "namespace", s.Name, "workload", "", "window", "1h") < 2 {
			return errors.New("fewer than two")
		}
		return m.ExpectNone("stability_workload_desired_replicas", "namespace", s.Name)
	})
}

// An exporter that starts does not know when the restarts were that it finds, except that they lie in the life of the pod.
func TestRestartOfTheExporter(t *testing.T) {
	kubeconfig := grant(t, "exporter-1")
	s := newSpace(t)
	s.manualPod()
	s.restart(7)
	s.await("seven restarts", s.restarted(7, 7))
	first := exporter(t, kubeconfig)
	first.Await(t, patience, "no jump of the counter", s.restarted(0, 7))
	s.restart(1)
	first.Await(t, patience, "one restart", s.restarted(1, 8))
	s.replacePod()
	s.restart(2)
	first.Await(t, patience, "restarts of a new pod", s.restarted(3, 10))
	first.Stop(t)
	second := exporter(t, kubeconfig)
	second.Await(t, patience, "what the living pod proves", s.restarted(0, 2))
}

func TestStateFileBridgesARestartOfTheExporter(t *testing.T) {
	kubeconfig := grant(t, "exporter-2")
	state := "--state.file=" + filepath.Join(t.TempDir(), "state.json")
	s := newSpace(t)
	s.manualPod()
	first := exporter(t, kubeconfig, state)
	first.Await(t, patience, "no restarts", s.restarted(0, 0))
	s.restart(4)
	first.Await(t, patience, "four restarts", s.restarted(4, 4))
	s.replacePod()
	s.restart(1)
	first.Await(t, patience, "restarts of both pods", s.restarted(5, 5))
	first.Stop(t)

	s.restart(2)
	second := exporter(t, kubeconfig, state)
	second.Await(t, patience, "those in the gap", s.restarted(7, 7))
	metrics, err := second.Scrape(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := metrics.Expect(1, "stability_exporter_state_file_load_successful"); err != nil {
		t.Error(err)
	}
	second.Stop(t)

	// The pod goes in the gap, and its successor restarts in it.
	s.replacePod()
	s.restart(3)
	third := exporter(t, kubeconfig, state)
	third.Await(t, patience, "those of a pod born in the gap", s.restarted(10, 10))
	third.Stop(t)
}
