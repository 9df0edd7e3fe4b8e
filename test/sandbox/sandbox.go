// SPDX-License-Identifier: Apache-2.0

// Package sandbox gives a test a namespace of its own in a cluster of package cluster, and what a person does in it:
// create workloads, roll them out, scale them, and let their pods misbehave. What fails ends the test.
package sandbox

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"stability-exporter/test/cluster"
)

// Space is a namespace of one test.
type Space struct {
	T       *testing.T
	Name    string
	Cluster *cluster.Cluster
	// SlowStart is how long the pods of a new version take that starts slowly; zero means 5s.
	SlowStart time.Duration
}

// New creates a namespace; it is deleted after the test.
func New(t *testing.T, c *cluster.Cluster) *Space {
	t.Helper()
	return &Space{T: t, Name: c.NewNamespace(t), Cluster: c}
}

// Client is an administrator's client: tests change the cluster, the exporter does not.
func (s *Space) Client() kubernetes.Interface { return s.Cluster.Client() }

// Kubectl returns what kubectl prints with the administrator's rights.
func Kubectl(ctx context.Context, c *cluster.Cluster, arguments ...string) (string, error) {
	kubeconfig := filepath.Join(c.Dir(), cluster.Admin+".kubeconfig")
	cmd := exec.CommandContext(ctx, c.Kubectl(), append([]string{"--kubeconfig=" + kubeconfig}, arguments...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("kubectl %v: %w\n%s", arguments, err, out)
	}
	return string(out), nil
}

// Kubectl is what a person at a terminal would do in the namespace.
func (s *Space) Kubectl(arguments ...string) string {
	s.T.Helper()
	out, err := Kubectl(s.T.Context(), s.Cluster, append([]string{"--namespace=" + s.Name}, arguments...)...)
	if err != nil {
		s.T.Fatal(err)
	}
	return out
}

// Object is a JSON object, for patches.
type Object = map[string]any

// Patch changes an object: resource is what kubectl calls it, such as deployment/web; change is a JSON merge patch. It is
// not done by kubectl because starting that costs more than all that follows, and tests patch a lot.
func (s *Space) Patch(resource string, change any) {
	s.T.Helper()
	body, err := json.Marshal(change)
	if err != nil {
		s.T.Fatal(err)
	}
	kind, name, _ := strings.Cut(resource, "/")
	client, plural := s.resource(kind)
	err = client.Patch(types.MergePatchType).Namespace(s.Name).Resource(plural).Name(name).Body(body).Do(s.T.Context()).Error()
	if err != nil {
		s.T.Fatalf("cannot patch %s: %v", resource, err)
	}
}

// resource is where the API keeps the objects of a kind that kubectl knows by this name.
func (s *Space) resource(kind string) (client rest.Interface, plural string) {
	s.T.Helper()
	switch kind {
	case "deployment", "statefulset", "daemonset":
		return s.Client().AppsV1().RESTClient(), kind + "s"
	case "pod", "service":
		return s.Client().CoreV1().RESTClient(), kind + "s"
	case "cronjob":
		return s.Client().BatchV1().RESTClient(), "cronjobs"
	case "hpa":
		return s.Client().AutoscalingV2().RESTClient(), "horizontalpodautoscalers"
	case "pdb":
		return s.Client().PolicyV1().RESTClient(), "poddisruptionbudgets"
	}
	s.T.Fatalf("BUG: Patch does not know where the API keeps a %s", kind)
	return nil, ""
}

// Pods lists the pods of a workload of the space that are not being deleted.
func (s *Space) Pods(app string) []corev1.Pod {
	s.T.Helper()
	list, err := s.Client().CoreV1().Pods(s.Name).List(s.T.Context(), metav1.ListOptions{LabelSelector: "app=" + app})
	if err != nil {
		s.T.Fatal(err)
	}
	var pods []corev1.Pod
	for _, pod := range list.Items {
		if pod.DeletionTimestamp == nil {
			pods = append(pods, pod)
		}
	}
	return pods
}

// Behave makes running pods misbehave, or behave again with the empty behaviour.
func (s *Space) Behave(behaviour cluster.Behaviour, pods ...corev1.Pod) {
	s.T.Helper()
	var value any
	if behaviour != "" {
		value = string(behaviour)
	}
	for _, pod := range pods {
		s.Patch("pod/"+pod.Name, Object{"metadata": Object{"labels": Object{cluster.BehaviourLabel: value}}})
	}
}

// ReservedTaint keeps other tests' pods from nodes that have a test of their own; its value is the zone.
const ReservedTaint = "stability-test/reserved"

// ReserveNodes creates nodes in a zone of their own that take only pods which InZone sends there.
func ReserveNodes(ctx context.Context, c *cluster.Cluster, n int, zone string) ([]string, error) {
	names, err := c.Nodes(ctx, n, zone)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		patch := fmt.Appendf(nil, `{"spec":{"taints":[{"key":%q,"value":%q,"effect":"NoSchedule"}]}}`, ReservedTaint, zone)
		if _, err := c.Client().CoreV1().Nodes().Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
			return nil, fmt.Errorf("cannot reserve node %s: %w", name, err)
		}
	}
	return names, nil
}
