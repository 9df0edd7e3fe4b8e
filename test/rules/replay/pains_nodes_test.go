// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"time"
)

var nodePains = []pain{
	{
		ID: "P25", Kind: falsePositive, Issues: []string{mixin + "625", "prometheus-community/helm-charts#1927", ksm + "812", k8s + "67636"},
		Complaint: "A DaemonSet is called stuck because of nodes that are down or that it may not use any more, and while its rollout advances node by node.",
		Here:      "Only StabilityNodeNotReady fires, for the node: a DaemonSet is judged by the nodes that are ready.",
		Naive:     naive{underDesired + ` and on (workload) stability_workload_desired_replicas{workload_type="daemonset"}`, 50 * time.Minute},
		Story:     daemonsOnADeadNode,
		Fires: []alarm{{
			Alert: "StabilityNodeNotReady", Severity: "warning", Of: map[string]string{"node": "node-6", "zone": "c"}, Within: 6 * time.Minute,
		}},
	},
	{
		ID: "P26", Kind: falsePositive, Issues: []string{k8s + "64500", "helm/helm#8674", "fluxcd/flux#1448"},
		Complaint: "A StatefulSet that is updated by hand (OnDelete) or in part (partition) looks stuck for as long as somebody likes.",
		Here:      "Nothing fires: what the strategy leaves alone is not under way.",
		Naive:     naive{`stability_workload_updated_replicas < stability_workload_desired_replicas`, time.Hour},
		Story: func(w *world) {
			byHand, inPart := w.addStatefulSet("by-hand", 3, onDelete), w.addStatefulSet("in-part", 5, partitioned(3))
			w.pass(5 * time.Minute)
			byHand.rollOut()
			inPart.rollOut()
			for _, ordinal := range []int{4, 3} {
				inPart.pod(ordinal).vanish()
				p := inPart.add(ordinal, starting)
				w.pass(time.Minute)
				p.become(ready)
			}
			w.pass(90 * time.Minute)
		},
	},
	{
		ID: "P27", Kind: falsePositive, Issues: []string{mixin + "300", mixin + "349", mixin + "415", mixin + "459", mixin + "1012"},
		Complaint: "Nodes that the autoscaler or the cloud takes away are reported as unreachable while they go.",
		Here:      "Nothing fires: a node that is cordoned or announced as leaving is not expected to be ready.",
		Naive:     naive{`stability_node_ready == 0`, 8 * time.Minute},
		Story:     leavingNodes,
	},
	{
		ID: "P28", Kind: falseNegative, Issues: []string{"m-lab/k8s-support#674", mixin + "700"},
		Complaint: "A node that was cordoned for a repair and never came back is left out of every alert.",
		Here:      "An alert at severity info tells of a node that has been cordoned for a day; nobody is paged.",
		Story: func(w *world) {
			w.pass(5 * time.Minute)
			w.trouble()
			w.nodes[5].cordon(true)
			w.pass(10 * time.Minute)
			w.nodes[5].fail()
			w.pass(10 * time.Minute)
			w.sleep(23 * time.Hour)
			w.pass(2 * time.Hour)
		},
		Fires: []alarm{{Alert: "StabilityNodeForgotten", Severity: "info", Of: map[string]string{"node": "node-6"}, Within: 26 * time.Hour}},
	},
	{
		ID: "P29", Kind: falseNegative, Issues: []string{"openshift/cluster-kube-controller-manager-operator#332"},
		Complaint: "A PodDisruptionBudget at its limit is normal and reported, or is seen only when a drain has timed out.",
		Here:      "StabilityDrainBlocked fires when a node is being drained and its pods may not go; a budget at its limit alone is no news.",
		Naive:     naive{`stability_pdb_blocking{cause="config"} == 1`, time.Hour},
		Story: func(w *world) {
			web := w.addDeployment("web", 3)
			w.addBudget("web", 3)
			w.pass(90 * time.Minute)
			w.trouble()
			web.pods()[0].node.cordon(true)
			w.pass(30 * time.Minute)
		},
		Fires: []alarm{{
			Alert: "StabilityDrainBlocked", Severity: "warning", Within: 16 * time.Minute, Says: []string{"shop/web (config)"},
		}},
	},
}

func daemonsOnADeadNode(w *world) {
	agent := w.addDaemonSet("agent")
	w.pass(5 * time.Minute)
	tainted, dead := w.nodes[4], w.nodes[5]
	tainted.taint("dedicated")
	agent.unwanted = []*node{tainted}
	for _, p := range dead.pods() { // no workload of the story is lost but the daemon
		if p.Labels["app"] != agent.Name {
			p.vanish()
		}
	}
	w.trouble()
	dead.fail()
	w.pass(20 * time.Minute)
	agent.rollOut()
	agent.on(tainted).vanish()
	for _, n := range w.nodes[:4] {
		agent.on(n).vanish()
		p := agent.add(n, starting)
		w.pass(6 * time.Minute)
		p.become(ready)
		w.pass(time.Minute)
	}
	w.pass(30 * time.Minute)
}

func leavingNodes(w *world) {
	web := w.addDeployment("web", 6)
	w.pass(5 * time.Minute)
	for _, how := range []func(*node){
		func(n *node) { n.cordon(true); n.taint("ToBeDeletedByClusterAutoscaler") },
		func(n *node) { n.taint("karpenter.sh/disrupted") },
		func(n *node) { n.taint("cloud.google.com/impending-node-termination") },
	} {
		n := w.nodes[len(w.nodes)-1]
		how(n)
		for _, p := range n.pods() {
			name := p.Labels["app"]
			p.vanish()
			if name == web.Name {
				web.addOn(w.nodes[0], ready)
			}
		}
		w.pass(time.Minute)
		n.fail()
		w.pass(8 * time.Minute)
		n.leave()
		w.pass(10 * time.Minute)
	}
}
