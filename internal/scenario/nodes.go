// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"fmt"
	"time"
)

// nodeState is what is the matter with a node.
type nodeState uint8

const (
	nodeReady    nodeState = iota
	nodeLost               // its kubelet stopped reporting lostFor ago
	nodeCordoned           // somebody wants to drain it
)

// lostFor is how long a lost node has been silent for the node lifecycle controller: less than the five minutes after
// which its pods are evicted.
const lostFor = 3 * time.Minute

// node is one machine.
type node struct {
	name         string
	zone         string
	address      string
	controlPlane bool
	state        nodeState
}

// fleet returns the nodes k8snode01 and up, the first ones as control plane, spread over the zones in turn.
func fleet(total, controlPlanes int, zones ...string) []node {
	nodes := make([]node, total)
	for i := range nodes {
		nodes[i] = node{
			name: fmt.Sprintf("k8snode%02d", i+1), zone: zones[i%len(zones)],
			address: fmt.Sprintf("10.0.%d.%d", i%len(zones), i+11), controlPlane: i < controlPlanes,
		}
	}
	return nodes
}

func (b *builder) addNode(n node) {
	const age = 27 * 24 * time.Hour
	role := "worker"
	if n.controlPlane {
		role = "control-plane"
	}
	spec := Object{"podCIDR": "10.244." + n.name[len(n.name)-2:] + ".0/24"}
	var taints []any
	if n.controlPlane {
		taints = append(taints, Object{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"})
	}
	switch n.state {
	case nodeLost:
		for _, effect := range []string{"NoSchedule", "NoExecute"} {
			taints = append(taints, Object{
				"key": "node.kubernetes.io/unreachable", "effect": effect, "timeAdded": b.ago(lostFor),
			})
		}
	case nodeCordoned:
		spec["unschedulable"] = true
		taints = append(taints, Object{
			"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule", "timeAdded": b.ago(40 * time.Minute),
		})
	}
	if taints != nil {
		spec["taints"] = taints
	}
	resources := Object{"cpu": "16", "memory": "65806416Ki", "pods": "110", "ephemeral-storage": "209702892Ki"}
	b.add("nodes", "v1", "Node", "", n.name, age, Object{
		"metadata": Object{"labels": Object{
			"kubernetes.io/hostname": n.name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
			"topology.kubernetes.io/region": "cn-north", "topology.kubernetes.io/zone": n.zone,
			"node-role.kubernetes.io/" + role: "",
		}},
		"spec": spec,
		"status": Object{
			"addresses": []any{
				Object{"type": "InternalIP", "address": n.address}, Object{"type": "Hostname", "address": n.name},
			},
			"allocatable": resources, "capacity": resources, "conditions": b.nodeConditions(n, age),
			"nodeInfo": Object{
				"architecture": "amd64", "bootID": uid("boot", n.name), "containerRuntimeVersion": "containerd://2.1.4",
				"kernelVersion": "5.14.0-570.el9.x86_64", "kubeletVersion": "v1.34.4", "operatingSystem": "linux",
				"osImage": "Rocky Linux 9.6 (Blue Onyx)",
			},
		},
	})
	renewed := 3 * time.Second
	if n.state == nodeLost {
		renewed = lostFor + 50*time.Second // the grace before the controller calls it lost
	}
	b.addLease("kube-node-lease", n.name, n.name, 40, age, renewed)
}

func (b *builder) nodeConditions(n node, age time.Duration) []any {
	var all []any
	for _, c := range []struct{ kind, good, reason string }{
		{"NetworkUnavailable", "False", "CalicoIsUp"},
		{"MemoryPressure", "False", "KubeletHasSufficientMemory"},
		{"DiskPressure", "False", "KubeletHasNoDiskPressure"},
		{"PIDPressure", "False", "KubeletHasSufficientPID"},
		{"Ready", "True", "KubeletReady"},
	} {
		status, reason, since, heartbeat := c.good, c.reason, b.ago(age-time.Minute), b.ago(2*time.Minute)
		if n.state == nodeLost && c.kind != "NetworkUnavailable" {
			status, reason, since, heartbeat = "Unknown", "NodeStatusUnknown", b.ago(lostFor), b.ago(lostFor+4*time.Minute)
		}
		condition := condition(c.kind, status, reason, since)
		condition["lastHeartbeatTime"] = heartbeat
		all = append(all, condition)
	}
	return all
}

func (b *builder) addLease(namespace, name, holder string, seconds int, age, renewed time.Duration) {
	b.add("leases", "coordination.k8s.io/v1", "Lease", namespace, name, age, Object{"spec": Object{
		"holderIdentity": holder, "leaseDurationSeconds": seconds, "renewTime": b.microAgo(renewed),
	}})
}
