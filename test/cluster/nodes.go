// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// A node is played by the simulated kubelets while it carries this label with this value.
const (
	kubeletLabel = "stability-test/kubelet"
	kubeletAlive = "alive"
	kubeletDead  = "dead"
)

// Nodes creates n nodes, spread evenly over the zones where any are given, and returns their names once all are Ready.
// Names go on counting over several calls. Each node has 32 cores, 128 GiB and room for 250 pods.
func (c *Cluster) Nodes(ctx context.Context, n int, zones ...string) ([]string, error) {
	var names []string
	for i := range n {
		zone := ""
		if len(zones) > 0 {
			zone = zones[i%len(zones)]
		}
		node := newNode(c.nodeCount.Add(1)-1, zone)
		if _, err := c.client.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{}); err != nil {
			return nil, fmt.Errorf("cannot create node %s: %w", node.Name, err)
		}
		names = append(names, node.Name)
	}
	for _, name := range names {
		if err := c.AwaitNode(ctx, name, corev1.ConditionTrue); err != nil {
			return nil, err
		}
	}
	return names, nil
}

func newNode(index int64, zone string) *corev1.Node {
	name := fmt.Sprintf("node-%d", index)
	capacity := corev1.ResourceList{
		corev1.ResourceCPU:              resource.MustParse("32"),
		corev1.ResourceMemory:           resource.MustParse("128Gi"),
		corev1.ResourceEphemeralStorage: resource.MustParse("200Gi"),
		corev1.ResourcePods:             resource.MustParse("250"),
	}
	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{
			kubeletLabel:             kubeletAlive,
			corev1.LabelHostname:     name,
			corev1.LabelOSStable:     "linux",
			corev1.LabelArchStable:   "amd64",
			corev1.LabelInstanceType: "simulated",
		}},
		Status: corev1.NodeStatus{
			Capacity: capacity, Allocatable: capacity,
			Addresses: []corev1.NodeAddress{
				{Type: corev1.NodeHostName, Address: name},
				{Type: corev1.NodeInternalIP, Address: fmt.Sprintf("172.16.%d.%d", index/250%256, index%250+1)},
			},
			NodeInfo: corev1.NodeSystemInfo{
				KubeletVersion: kubernetesVersion, OperatingSystem: "linux", Architecture: "amd64",
				ContainerRuntimeVersion: "containerd://2.1.4", KernelVersion: "6.12.0", OSImage: "Debian GNU/Linux 13 (trixie)",
			},
		},
	}
	if zone != "" {
		node.Labels[corev1.LabelTopologyZone] = zone
	}
	return node
}

// FailNode makes a node fall silent: nothing renews its lease, its pods' statuses freeze and deleted pods stay. After
// Options.NodeMonitorGracePeriod the control plane marks it Unknown and begins to evict; AwaitNode waits for that.
func (c *Cluster) FailNode(ctx context.Context, name string) error {
	return c.labelNode(ctx, name, kubeletDead)
}

// RecoverNode lets a failed node go on.
func (c *Cluster) RecoverNode(ctx context.Context, name string) error {
	return c.labelNode(ctx, name, kubeletAlive)
}

func (c *Cluster) labelNode(ctx context.Context, name, value string) error {
	patch := fmt.Sprintf(`{"metadata":{"labels":{%q:%q}}}`, kubeletLabel, value)
	_, err := c.client.CoreV1().Nodes().Patch(ctx, name, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	if err != nil {
		return fmt.Errorf("cannot label node %s: %w", name, err)
	}
	return nil
}

// AwaitNode waits until the Ready condition of a node has the status: True, or Unknown after FailNode. With True it
// also waits until pods may be scheduled there.
func (c *Cluster) AwaitNode(ctx context.Context, name string, status corev1.ConditionStatus) error {
	timeout := c.options.NodeMonitorGracePeriod + time.Minute
	what := fmt.Sprintf("node %s to be Ready=%s", name, status)
	return Await(ctx, timeout, what, func(ctx context.Context) (bool, error) {
		node, err := c.client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return false, fmt.Errorf("cannot get node %s: %w", name, err)
		}
		if err != nil {
			return false, nil // the API server may be down for a moment
		}
		if status == corev1.ConditionTrue && len(node.Spec.Taints) > 0 {
			return false, nil
		}
		for _, condition := range node.Status.Conditions {
			if condition.Type == corev1.NodeReady {
				return condition.Status == status, nil
			}
		}
		return false, nil
	})
}
