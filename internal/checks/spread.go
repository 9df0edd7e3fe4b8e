// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"slices"
	"strings"

	"stability-exporter/internal/state"
)

func spreadChecks() []Check {
	return []Check{
		{
			ID: "replicas_colocated", Category: Spread, Levels: []Level{Info, Warning},
			English: "Replicas share a node or a zone although there are others",
			Chinese: "还有其他节点或可用区可用，副本却集中在一处",
			Why:     "Several replicas are there to outlive the loss of one place. When that node (or zone) fails, or is drained, all that are on it are gone at once.",
			Fix: "Spread the pods: topologySpreadConstraints or pod anti-affinity over kubernetes.io/hostname and topology.kubernetes.io/zone. Running pods stay where they " +
				"are: restart the rollout afterwards.",
			Spares: "Judged by where ready pods are, whatever the template asks for. Pods that are as even as the nodes allow (five on three nodes), DaemonSets, and clusters with one node " +
				"that takes pods. All on one node or in one zone is a warning; it is info where a nodeSelector, a node affinity or a tainted node may leave no choice, and " +
				"for zones also with StatefulSets, whose volumes may bind them. At least half of them on one of several nodes is info.",
			Reads:      state.KindSet(state.Pods, state.Nodes),
			OfWorkload: colocated,
		},
		{
			ID: "spread_selector_not_self", Category: Spread, Levels: []Level{Info, Warning},
			English: "A rule that is to spread the pods does not select them",
			Chinese: "反亲和或拓扑分布规则的选择器选不中自己的 Pod",
			Why: "The API server accepts a selector that does not match the pods it stands in, and without any selector nothing matches at all. The rule has no effect: all " +
				"replicas may end up on one node.",
			Fix: "Write the labels of the pod template into the labelSelector of the rule.",
			Spares: "Anti-affinity that is meant for others: with other namespaces, with another value for a label of its own, or beside a term that does select itself. It is " +
				"told only when it has no selector, or asks for its own name under a label that the pods do not have. One replica that is not autoscaled is info.",
			OfWorkload: spreadNotSelf,
		},
		{
			ID: "hot_group_colocated", Category: Spread, Levels: []Level{Warning},
			English: "Busy workloads that should keep apart share a node",
			Chinese: "配置为应分开的繁忙工作负载运行在同一节点",
			Why:     "Workloads that are busy at the same time slow each other down on one node, and one node that fails takes all of them.",
			Fix:     "Give them anti-affinity against each other, or nodes of their own; the groups stand in the configuration (checks.hot_groups).",
			Spares:  "DaemonSets, which are everywhere. Groups with more members than there are nodes to take them.",
			Reads:   state.KindSet(state.Pods, state.Nodes),

			OfCluster: hotGroups,
		},
		{
			ID: "spread_missing", Category: Spread, Levels: []Level{Info},
			English:    "Nothing asks for the replicas to be spread",
			Chinese:    "多副本工作负载没有声明反亲和或拓扑分布",
			Why:        "The scheduler spreads by itself only as far as nothing else matters: after a node failure or a busy rollout several replicas may be on one node.",
			Fix:        "Add topologySpreadConstraints or pod anti-affinity over kubernetes.io/hostname, and over zones where there are several.",
			Spares:     "One replica, DaemonSets, and clusters with one node that takes pods.",
			OfWorkload: spreadMissing,
		},
		{
			ID: "single_replica", Category: Spread, Levels: []Level{Info},
			English:    "A Service stands on a single replica",
			Chinese:    "Service 后端只有一个副本",
			Why:        "Every failure, eviction or drain of this one pod is an outage until the next one is ready.",
			Fix:        "Run at least two replicas if the program allows it.",
			Spares:     "Autoscaled workloads, StatefulSets, and the strategy Recreate, which says that there must not be two.",
			Reads:      state.KindSet(state.Services),
			OfWorkload: singleReplica,
		},
	}
}

// replicated reports whether a workload has a number of replicas that any node may run.
func replicated(w *WorkloadSubject) bool {
	return w.Serving() && (w.Kind == state.Deployments || w.Kind == state.StatefulSets || w.Kind == state.ReplicaSets)
}

func colocated(w *WorkloadSubject) Verdict {
	if !replicated(w) || w.Cluster == nil || w.Cluster.Schedulable < 2 || w.Desired < 2 {
		return Verdict{}
	}
	var ready int32
	var fullest state.NodeShare
	bound, oneZone := w.Template.Pinned, true
	for _, share := range w.Placement {
		ready += share.Pods
		if share.Pods > fullest.Pods {
			fullest = share
		}
		bound = bound || share.Tainted
		oneZone = oneZone && share.Zone == w.Placement[0].Zone && share.Zone != (state.Symbol{})
	}
	even := (ready + w.Cluster.Schedulable - 1) / w.Cluster.Schedulable
	// A place is told as a warning if the pods had the choice of another one.
	level := func(free bool) Level {
		if free {
			return Warning
		}
		return Info
	}
	switch {
	case ready < 2:
		return Verdict{}
	case len(w.Placement) == 1:
		return Verdict{level(!bound), fmt.Sprintf("all %d ready pods are on the node %s; %d nodes take pods", ready, fullest.Node, w.Cluster.Schedulable)}
	case oneZone && w.Cluster.Zones > 1:
		return Verdict{level(!bound && w.Kind != state.StatefulSets),
			fmt.Sprintf("all %d ready pods are in the zone %s; %d zones have nodes that take pods", ready, fullest.Zone, w.Cluster.Zones)}
	case fullest.Pods > even && 2*fullest.Pods >= ready:
		return Verdict{Info, fmt.Sprintf("%d of %d ready pods are on the node %s; %d nodes take pods", fullest.Pods, ready, fullest.Node, w.Cluster.Schedulable)}
	}
	return Verdict{}
}

func spreadNotSelf(w *WorkloadSubject) Verdict {
	if !replicated(w) || w.Desired == 0 {
		return Verdict{}
	}
	level := Warning
	if w.Desired == 1 && !w.Autoscaled {
		level = Info // nothing is to be spread before somebody adds a replica
	}
	apart := slices.ContainsFunc(w.Template.Spread, func(t state.SpreadTerm) bool { return !isConstraint(t) && selectsItself(t, w.Template) })
	for _, t := range w.Template.Spread {
		switch {
		case selectsItself(t, w.Template):
		case isConstraint(t):
			return Verdict{level, fmt.Sprintf("the topology spread constraint over %s %s", t.TopologyKey, selectorFault(t))}
		case !apart && !t.OtherNamespaces && (t.Selector == nil || meansItself(t.Selector, w)):
			return Verdict{level, fmt.Sprintf("the anti-affinity over %s %s", t.TopologyKey, selectorFault(t))}
		}
	}
	return Verdict{}
}

func isConstraint(t state.SpreadTerm) bool {
	return t.Kind == state.SpreadDoNotSchedule || t.Kind == state.SpreadScheduleAnyway
}

// selectsItself reports whether a term is about the pods that it stands in. One that asks for a label which pods get only when they are
// made cannot be judged and passes.
func selectsItself(t state.SpreadTerm, template *state.Template) bool {
	if t.OtherNamespaces {
		return false
	}
	return t.Selector.Matches(template.Labels) || slices.ContainsFunc(t.Selector, func(r state.Requirement) bool { return givenToPods(r.Key.String()) })
}

// givenToPods reports whether a label is set by Kubernetes, or by Argo Rollouts, when a pod is made, so that no template has it.
func givenToPods(label string) bool {
	switch label {
	case "pod-template-hash", "controller-revision-hash", "statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index",
		"rollouts-pod-template-hash":
		return true
	}
	return false
}

// meansItself reports whether a selector asks for the name of the workload under a label that its pods do not have.
func meansItself(s state.Selector, w *WorkloadSubject) bool {
	names := []string{w.Ref.Name.String()}
	for _, key := range []string{"app", "app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/component", "k8s-app", "name", "component"} {
		if value, set := w.Template.Labels.Get(key); set {
			names = append(names, value)
		}
	}
	return slices.ContainsFunc(s, func(r state.Requirement) bool {
		_, own := w.Template.Labels.Get(r.Key.String())
		return !own && r.Op == state.OpIn && slices.ContainsFunc(r.Values, func(v state.Symbol) bool { return slices.Contains(names, v.String()) })
	})
}

func selectorFault(t state.SpreadTerm) string {
	if t.Selector == nil {
		return "has no labelSelector and matches no pod"
	}
	keys := make([]string, 0, len(t.Selector))
	for _, r := range t.Selector {
		keys = append(keys, r.Key.String())
	}
	return "does not match the pod's own labels (it asks for " + strings.Join(keys, ", ") + ")"
}

func spreadMissing(w *WorkloadSubject) Verdict {
	if !replicated(w) || w.Desired < 2 || len(w.Template.Spread) > 0 || w.Cluster != nil && w.Cluster.Schedulable < 2 {
		return Verdict{}
	}
	return Verdict{Info, fmt.Sprintf("%d replicas have neither anti-affinity nor topology spread constraints", w.Desired)}
}

func singleReplica(w *WorkloadSubject) Verdict {
	if w.Kind != state.Deployments || w.Desired != 1 || w.Autoscaled || w.Strategy == state.Recreate || len(w.Services) == 0 {
		return Verdict{}
	}
	return Verdict{Info, fmt.Sprintf("one replica behind the Service %s", w.Services[0].Name)}
}
