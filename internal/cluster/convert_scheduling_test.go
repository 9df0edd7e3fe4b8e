// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"strings"
	"testing"
)

// Messages as the schedulers of several Kubernetes versions wrote them.
func TestBlocker(t *testing.T) {
	for message, want := range map[string]string{
		// 1.25 and newer: untolerated taints by key, and what preemption would bring
		"0/6 nodes are available: 3 Insufficient cpu, 2 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }, " +
			"1 Insufficient memory. preemption: 0/6 nodes are available: 2 Preemption is not helpful for scheduling, 4 No preemption victims found for incoming pod.": "cpu",
		"0/6 nodes are available: 1 Insufficient cpu, 2 node(s) had untolerated taint {a: b}, 2 node(s) had untolerated taint {c: }. " +
			"preemption: 0/6 nodes are available: 6 Insufficient cpu.": "cpu",
		// 1.33 and newer group the taints
		"0/3 nodes are available: 1 Too many pods, 2 node(s) had untolerated taint(s). no new claims to deallocate, preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling.": "pods_limit",
		// up to 1.23: a comma within the reason
		"0/4 nodes are available: 1 node(s) had taint {node-role.kubernetes.io/master: }, that the pod didn't tolerate, 3 Insufficient memory.": "memory",
		"0/4 nodes are available: 3 node(s) had taint {dedicated: insufficient cpu}, that the pod didn't tolerate, 1 Insufficient cpu.":         "cpu",
		"0/3 nodes are available: 3 node(s) had taints that the pod didn't tolerate.":                                                           "untolerated_taint",
		"0/3 nodes are available: 3 Insufficient pods.":                                                                                         "pods_limit",
		"0/110 nodes are available: 110 Too many pods.":                                                                                         "pods_limit",
		"0/3 nodes are available: 1 node(s) were unschedulable, 2 Insufficient nvidia.com/gpu.":                                                 "other",
		"0/2 nodes are available: 2 Insufficient ephemeral-storage.":                                                                            "other",
		"0/3 nodes are available: 1 Insufficient memory, 2 node(s) were unschedulable.":                                                         "untolerated_taint",
		"0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector.":                                                         "node_affinity",
		"0/3 nodes are available: 3 node(s) didn't match node selector.":                                                                        "node_affinity",
		"0/3 nodes are available: 3 node(s) didn't match the requested node name.":                                                              "node_affinity",
		"0/3 nodes are available: 1 node(s) didn't match pod affinity rules, 2 node(s) didn't match pod anti-affinity rules.":                   "pod_affinity",
		"0/3 nodes are available: 3 node(s) didn't satisfy existing pods anti-affinity rules.":                                                  "pod_affinity",
		"0/9 nodes are available: 9 node(s) didn't match pod affinity/anti-affinity rules, 9 node(s) didn't match pod affinity rules.":          "pod_affinity",
		"0/3 nodes are available: 3 node(s) didn't match pod topology spread constraints.":                                                      "topology_spread",
		"0/3 nodes are available: 3 node(s) didn't match pod topology spread constraints (missing required label).":                             "topology_spread",
		"0/3 nodes are available: 3 node(s) had volume node affinity conflict.":                                                                 "volume",
		"0/3 nodes are available: 3 node(s) didn't match PersistentVolume's node affinity.":                                                     "volume",
		"0/3 nodes are available: 1 node(s) exceed max volume count, 2 node(s) didn't find available persistent volumes to bind.":               "volume",
		"0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. preemption: not eligible due to preemptionPolicy=Never.":    "volume",
		`0/1 nodes are available: persistentvolumeclaim "data" not found.`:                                                                      "volume",
		"0/3 nodes are available: 3 node(s) didn't have free ports for the requested pod ports.":                                                "ports",
		"no nodes available to schedule pods":                                                                                                   "other",
		"":                                                                                                                                      "other",
		"0/3 nodes are available: 2 node(s) didn't match Pod's node affinity/selector, 999999999999999999999 Insufficient cpu.":                 "cpu",
		// most nodes are meant for others, or lost
		"0/30 nodes are available: 6 Insufficient cpu, 24 node(s) had untolerated taint(s).":                                                                                                "cpu",
		"0/14 nodes are available: 3 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }, 1 Insufficient memory, 10 node(s) didn't match Pod's node affinity/selector.": "memory",
		"0/6 nodes are available: 1 Insufficient cpu, 5 node(s) had untolerated taint {node.kubernetes.io/unreachable: }.":                                                                  "untolerated_taint",
		"0/6 nodes are available: 2 node(s) had untolerated taint {a: b}, 4 node(s) didn't match Pod's node affinity/selector.":                                                             "node_affinity",
		"0/2 nodes are available: 1 Insufficient cpu, 1 Insufficient memory.":                                                                                                               "cpu",
	} {
		if got := blocker(message); got != want {
			t.Errorf("%q\nis blocked by %s; want %s", message, got, want)
		}
	}
}

func TestBlockerIsCheapForHugeMessages(t *testing.T) {
	if got := blocker(strings.Repeat("1 Insufficient cpu, ", 1e6)); got != "cpu" {
		t.Errorf("blocked by %s; want cpu", got)
	}
}
