// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"slices"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

type node struct {
	*corev1.Node
	w *world
}

// addNode adds a node that has been ready for long.
func (w *world) addNode(name, zone string) *node {
	n := &node{w: w, Node: &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelTopologyZone: zone}},
		Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{
			{Type: corev1.NodeReady, Status: corev1.ConditionTrue, LastTransitionTime: w.ago(old)},
			{Type: corev1.NodeMemoryPressure, Status: corev1.ConditionFalse, LastTransitionTime: w.ago(old)},
		}},
	}}
	w.stamp("node", &n.ObjectMeta, old)
	n.Namespace = ""
	w.nodes = append(w.nodes, n)
	w.put(n.Node)
	return n
}

// report sets what the node's Ready condition says.
func (n *node) report(status corev1.ConditionStatus) {
	c := &n.Status.Conditions[0]
	if c.Status != status {
		c.Status, c.LastTransitionTime = status, n.w.ago(0)
	}
	n.w.put(n.Node)
}

// fail makes the kubelet silent: after a while Kubernetes takes node and pods for not ready.
func (n *node) fail() {
	n.report(corev1.ConditionUnknown)
	for _, p := range n.pods() {
		p.become(lostWith)
	}
}

// recover brings the kubelet back.
func (n *node) recover() {
	n.report(corev1.ConditionTrue)
	for _, p := range n.pods() {
		p.become(ready)
	}
}

func (n *node) cordon(yes bool) {
	n.Spec.Unschedulable = yes
	n.w.put(n.Node)
}

func (n *node) taint(key string) {
	n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: key, Effect: corev1.TaintEffectNoSchedule})
	n.w.put(n.Node)
}

// leave removes the node and what still was on it.
func (n *node) leave() {
	for _, p := range n.pods() {
		p.vanish()
	}
	n.w.nodes = slices.DeleteFunc(n.w.nodes, func(other *node) bool { return other == n })
	n.w.remove(n.Node)
}

func (n *node) pods() []*pod {
	return slices.DeleteFunc(slices.Clone(n.w.pods), func(p *pod) bool { return p.node != n })
}

func (n *node) isReady() bool { return n.Status.Conditions[0].Status == corev1.ConditionTrue }

// schedule returns the node that takes the next pod: a ready one with the fewest, nil when there is none.
func (w *world) schedule(app string) *node {
	var best *node
	load := map[*node]int{}
	for _, p := range w.pods {
		if p.live() && p.Labels["app"] == app {
			load[p.node] += 1000
		}
		load[p.node]++
	}
	for _, n := range w.nodes {
		if n.isReady() && !n.Spec.Unschedulable && (best == nil || load[n] < load[best]) {
			best = n
		}
	}
	return best
}

// addLeases makes the control plane show that it is alive.
func (w *world) addLeases() {
	for _, name := range []string{"kube-controller-manager", "kube-scheduler"} {
		lease := &coordinationv1.Lease{
			ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: name},
			Spec:       coordinationv1.LeaseSpec{HolderIdentity: new("master-1"), LeaseDurationSeconds: new(int32(15))},
		}
		w.stamp("lease", &lease.ObjectMeta, old)
		w.leases = append(w.leases, func() {
			if !w.managerDead || name != "kube-controller-manager" {
				lease.Spec.RenewTime = new(metav1.NewMicroTime(w.now))
			}
			w.put(lease)
		})
	}
}
