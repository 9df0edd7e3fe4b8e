// SPDX-License-Identifier: Apache-2.0

package failures

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"stability-exporter/test/cluster"
)

// steadyNamespaces are those of testdata/steady.yaml. No test changes anything in them.
var steadyNamespaces = []string{"steady", "steady-too"}

// furnishShared furnishes the shared cluster once.
var furnishShared = sync.OnceValue(func() error { return furnish(context.Background(), shared.cluster) })

// furnished returns the shared cluster with the steady world in it.
func furnished(t *testing.T) *cluster.Cluster {
	t.Helper()
	must(t, furnishShared())
	return shared.cluster
}

// furnish fills a cluster with nodes and the steady world.
func furnish(ctx context.Context, c *cluster.Cluster) error {
	nodes, err := c.Nodes(ctx, 4, "a", "b", "c")
	if err != nil {
		return err
	}
	const rollouts = "deployment/api -n=steady-too;deployment/web;deployment/moving;deployment/lingering;statefulset/db;daemonset/agent;daemonset/drifting"
	steps := []string{"apply -f=testdata/steady.yaml"}
	for rollout := range strings.SplitSeq(rollouts, ";") {
		steps = append(steps, "rollout status --timeout=90s "+rollout)
	}
	for _, step := range append(steps,
		"rollout pause deployment/api -n=steady-too",
		`patch statefulset/db -p={"spec":{"template":{"metadata":{"labels":{"stability-test/behaviour":"never-ready"}}}}}`,
		`patch deployment/moving -p={"spec":{"template":{"metadata":{"labels":{"stability-test/behaviour":"never-ready"}}}}}`,
		`patch daemonset/drifting -p={"spec":{"template":{"metadata":{"labels":{"stability-test/behaviour":"never-ready"}}}}}`,
		"delete pod -l=app=lingering --grace-period=1 --wait=false",
		"create job --from=cronjob/nightly nightly-1",
		"create job --from=cronjob/endless endless-1",
		`patch hpa/web --subresource=status --type=merge -p={"status":{"currentReplicas":6,"desiredReplicas":6,"lastScaleTime":"2026-01-01T00:00:00Z","conditions":[`+
			`{"type":"ScalingLimited","status":"True","reason":"TooManyReplicas","message":"for_the_test","lastTransitionTime":"2026-01-01T00:00:00Z"}]}}`,
		"patch node/"+nodes[0]+` --subresource=status -p={"status":{"conditions":[`+
			`{"type":"KernelDeadlock","status":"True","reason":"Test","message":"for_the_test","lastHeartbeatTime":"2026-01-01T00:00:00Z","lastTransitionTime":"2026-01-01T00:00:00Z"}]}}`,
		"cordon "+nodes[0],
		"wait --for=condition=complete --timeout=90s job/nightly-1",
		"wait --for=condition=Ready --timeout=90s pod/alone",
		"wait --for=condition=Ready --timeout=90s pod -l=job-name=endless-1",
	) {
		if err := kubectl(ctx, c, step); err != nil {
			return err
		}
	}
	return restartContainer(ctx, c, "steady", "app=web", 2)
}

// kubectl runs a command of words that hold no spaces, in the namespace steady by default.
func kubectl(ctx context.Context, c *cluster.Cluster, command string) error {
	kubeconfig, err := c.Kubeconfig(cluster.Admin)
	if err != nil {
		return err
	}
	words := strings.Fields(command)
	if !strings.Contains(command, " -n=") && words[0] != "apply" {
		words = append(words, "-n=steady")
	}
	output, err := exec.CommandContext(ctx, c.Kubectl(), append(words, "--kubeconfig="+kubeconfig)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("cannot %s: %w\n%s", command, err, output)
	}
	return nil
}

// restartContainer adds restarts to the first container of one running pod that the selector selects.
func restartContainer(ctx context.Context, c *cluster.Cluster, namespace, selector string, restarts int32) error {
	pods := c.Client().CoreV1().Pods(namespace)
	return cluster.Await(ctx, 30*time.Second, "a restart of "+selector, func(ctx context.Context) (bool, error) {
		list, err := pods.List(ctx, metav1.ListOptions{LabelSelector: selector, FieldSelector: "status.phase=Running"})
		if err != nil || len(list.Items) == 0 {
			return false, nil
		}
		pod := &list.Items[0] // they come sorted by name
		status := &pod.Status.ContainerStatuses[0]
		status.RestartCount += restarts
		status.LastTerminationState.Terminated = &corev1.ContainerStateTerminated{
			ExitCode: 137, Reason: "OOMKilled", FinishedAt: metav1.Now(), StartedAt: pod.CreationTimestamp, ContainerID: "containerd://0",
		}
		_, err = pods.UpdateStatus(ctx, pod, metav1.UpdateOptions{})
		return err == nil, nil // a conflict passes
	})
}
