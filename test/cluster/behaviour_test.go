// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// kubectl returns what kubectl prints with the administrator's rights.
func kubectl(t *testing.T, arguments ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), shared.Kubectl(), append([]string{"--kubeconfig=" + shared.adminKubeconfig}, arguments...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("kubectl %v: %v\n%s", arguments, err, out)
	}
	return string(out)
}

// awaitPods waits until every line of kubectl get pods matches want, for each of the wanted pictures in turn.
func awaitPods(t *testing.T, namespace string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		pattern := regexp.MustCompile("^" + want + "$")
		var last string
		err := Await(t.Context(), awaitTimeout, "pods that look like "+want, func(context.Context) (bool, error) {
			last = kubectl(t, "get", "pods", "--no-headers", "--namespace", namespace)
			for line := range strings.Lines(last) {
				fields := strings.Fields(line) // NAME READY STATUS RESTARTS [(5s ago)] AGE
				if len(fields) < 4 || !pattern.MatchString(strings.Join(fields[1:4], " ")) {
					return false, nil
				}
			}
			return strings.TrimSpace(last) != "" && !strings.HasPrefix(last, "No resources"), nil
		})
		if err != nil {
			t.Fatalf("%v, last:\n%s", err, last)
		}
	}
}

func TestBehavioursLookAsInKubectl(t *testing.T) {
	mustNodes(t, 1)
	for _, test := range []struct {
		behaviour Behaviour
		want      []string // one after the other: READY STATUS RESTARTS
		available int32
	}{
		{NeverReady, []string{"0/1 Running 0"}, 0},
		{CrashLoop, []string{"0/1 CrashLoopBackOff [1-9]", "0/1 Running [2-9]", "0/1 CrashLoopBackOff [2-9]"}, 0},
		{ImagePull, []string{"0/1 ErrImagePull 0", "0/1 ImagePullBackOff 0"}, 0},
		{ConfigError, []string{"0/1 CreateContainerConfigError 0"}, 0},
		{Creating, []string{"0/1 ContainerCreating 0"}, 0},
		{SlowStart, []string{"0/1 Running 0", "1/1 Running 0"}, 1},
		{OOM, []string{"1/1 Running 0", "1/1 Running 1", "1/1 Running 2"}, 1},
		{Flapping, []string{"1/1 Running 0", "0/1 Running 0", "1/1 Running 0"}, -1},
		{StuckTerminating, []string{"1/1 Running 0"}, 1},
		{RunningOn, []string{"1/1 Running 0"}, 1},
	} {
		t.Run(string(test.behaviour), func(t *testing.T) {
			t.Parallel()
			namespace := shared.NewNamespace(t)
			createDeployment(t, namespace, "web", 1, func(template *corev1.PodTemplateSpec) {
				template.Labels[BehaviourLabel] = string(test.behaviour)
			})
			awaitPods(t, namespace, test.want...)
			if test.available >= 0 {
				awaitAvailable(t, namespace, "web", test.available)
			}
		})
	}
}

func TestInitContainerCrashes(t *testing.T) {
	mustNodes(t, 1)
	namespace := shared.NewNamespace(t)
	always := corev1.ContainerRestartPolicyAlways
	createDeployment(t, namespace, "web", 1, func(template *corev1.PodTemplateSpec) {
		template.Labels[BehaviourLabel] = string(CrashLoop)
		template.Annotations = map[string]string{ContainerAnnotation: "migrate"}
		template.Spec.InitContainers = []corev1.Container{
			{Name: "proxy", Image: "registry.test/proxy:1", RestartPolicy: &always},
			{Name: "migrate", Image: "registry.test/migrate:1"},
		}
	})
	awaitPods(t, namespace, "1/2 Init:CrashLoopBackOff [1-9]")
	pods, err := shared.Client().CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	// Without the label the pod heals, and its restarts are not forgotten.
	setLabel(t, &pods.Items[0], BehaviourLabel, nil)
	awaitPods(t, namespace, "2/2 Running .*")
	awaitAvailable(t, namespace, "web", 1)
}

func TestHealingKeepsRestarts(t *testing.T) {
	mustNodes(t, 1)
	namespace := shared.NewNamespace(t)
	createDeployment(t, namespace, "web", 1, nil)
	awaitPods(t, namespace, "1/1 Running 0")
	pods, err := shared.Client().CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	crash := string(CrashLoop)
	setLabel(t, &pods.Items[0], BehaviourLabel, &crash)
	awaitPods(t, namespace, "0/1 CrashLoopBackOff 2")
	setLabel(t, &pods.Items[0], BehaviourLabel, nil)
	awaitPods(t, namespace, "1/1 Running [23]")
	pod, err := shared.Client().CoreV1().Pods(namespace).Get(t.Context(), pods.Items[0].Name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	last := pod.Status.ContainerStatuses[0].LastTerminationState.Terminated
	if last == nil || last.ExitCode != 1 || last.Reason != "Error" || last.FinishedAt.Before(&last.StartedAt) {
		t.Errorf("last state after a crash loop is %+v", last)
	}
}

func setLabel(t *testing.T, pod *corev1.Pod, key string, value *string) {
	t.Helper()
	text := "null"
	if value != nil {
		text = fmt.Sprintf("%q", *value)
	}
	patch := fmt.Appendf(nil, `{"metadata":{"labels":{%q:%s}}}`, key, text)
	_, err := shared.Client().CoreV1().Pods(pod.Namespace).Patch(t.Context(), pod.Name, types.MergePatchType, patch, metav1.PatchOptions{})
	if err != nil {
		t.Fatalf("cannot label pod %s: %v", pod.Name, err)
	}
}

func TestPodsThatEnd(t *testing.T) {
	mustNodes(t, 1)
	for _, test := range []struct{ behaviour, want string }{
		{"", "0/1 Completed 0"},
		{string(RunningOn), "1/1 Running 0"},
		{string(Failed), "0/1 Error 0"},
		{string(Evicted), "0/1 Evicted 0"},
	} {
		t.Run("job "+test.behaviour, func(t *testing.T) {
			t.Parallel()
			namespace := shared.NewNamespace(t)
			template := corev1.PodTemplateSpec{Spec: corev1.PodSpec{
				RestartPolicy: corev1.RestartPolicyNever,
				Containers:    []corev1.Container{{Name: "app", Image: "registry.test/app:1.0"}},
			}}
			if test.behaviour != "" {
				template.Labels = map[string]string{BehaviourLabel: test.behaviour}
			}
			job := &batchv1.Job{
				ObjectMeta: metav1.ObjectMeta{Name: "once"},
				Spec:       batchv1.JobSpec{Template: template, BackoffLimit: new(int32)},
			}
			if _, err := shared.Client().BatchV1().Jobs(namespace).Create(t.Context(), job, metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
			awaitPods(t, namespace, test.want)
		})
	}
}

func TestTermination(t *testing.T) {
	mustNodes(t, 1)
	for _, test := range []struct {
		behaviour Behaviour
		want      string // after the deletion, "" is gone
	}{{"", ""}, {SlowTerminating, "1/1 Terminating 0"}, {StuckTerminating, "1/1 Terminating 0"}} {
		t.Run("pod "+string(test.behaviour), func(t *testing.T) {
			t.Parallel()
			namespace := shared.NewNamespace(t)
			grace := int64(4)
			pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "one"}, Spec: corev1.PodSpec{
				TerminationGracePeriodSeconds: &grace,
				Containers:                    []corev1.Container{{Name: "app", Image: "registry.test/app:1.0"}},
			}}
			if test.behaviour != "" {
				pod.Labels = map[string]string{BehaviourLabel: string(test.behaviour)}
			}
			pods := shared.Client().CoreV1().Pods(namespace)
			if _, err := pods.Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
			awaitPods(t, namespace, "1/1 Running 0")
			if err := pods.Delete(t.Context(), "one", metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
			if test.want != "" {
				awaitPods(t, namespace, test.want)
			}
			if test.behaviour == StuckTerminating {
				now := int64(0)
				if err := pods.Delete(t.Context(), "one", metav1.DeleteOptions{GracePeriodSeconds: &now}); err != nil {
					t.Fatal(err)
				}
			}
			await(t, "the pod to be gone", func(context.Context) (bool, error) {
				return strings.HasPrefix(kubectl(t, "get", "pods", "--namespace", namespace), "No resources"), nil
			})
		})
	}
}
