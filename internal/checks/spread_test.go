// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"testing"

	"stability-exporter/internal/state"
)

func spreadCases() caseTable {
	return caseTable{
		"replicas_colocated": colocatedCases(),
		"spread_selector_not_self": {
			{name: "anti-affinity against itself", subject: aWorkload(), want: Fine},
			{name: "a constraint that selects others", subject: aWorkload(withSpread(term(state.SpreadScheduleAnyway, selects("wbe")))), want: Warning,
				detail: `constraint over kubernetes.io/hostname does not match .* \(it asks for app\)`},
			{name: "a constraint without a selector", subject: aWorkload(withSpread(term(state.SpreadDoNotSchedule, nil))), want: Warning, detail: `no labelSelector`},
			{name: "one of two constraints is wrong", subject: aWorkload(withSpread(term(state.SpreadDoNotSchedule, selects("web")), term(state.SpreadDoNotSchedule, nil))), want: Warning},
			{name: "a selector of everything", subject: aWorkload(withSpread(term(state.SpreadDoNotSchedule, state.Selector{}))), want: Fine},
			{name: "anti-affinity without a selector", subject: aWorkload(withSpread(term(state.AntiAffinityRequired, nil))), want: Warning, detail: `anti-affinity over`},
			{name: "its name under a label that pods do not have", want: Warning, detail: `it asks for k8s-app`,
				subject: aWorkload(withSpread(term(state.AntiAffinityPreferred, state.SelectorFromMap(map[string]string{"k8s-app": "web"}))))},
			{name: "anti-affinity against another workload", subject: aWorkload(withSpread(term(state.AntiAffinityRequired, selects("cache")))), want: Fine},
			{name: "against others by a label of theirs", want: Fine,
				subject: aWorkload(withSpread(term(state.AntiAffinityRequired, state.SelectorFromMap(map[string]string{"load": "batch"}))))},
			{name: "a slip beside a term that is right", want: Fine, subject: aWorkload(withSpread(term(state.AntiAffinityRequired, selects("web")),
				term(state.AntiAffinityPreferred, state.SelectorFromMap(map[string]string{"k8s-app": "web"}))))},
			{name: "other namespaces", want: Fine, subject: aWorkload(withSpread(state.SpreadTerm{Kind: state.AntiAffinityRequired, OtherNamespaces: true}))},
			{name: "a label that pods get when they are made", want: Fine,
				subject: aWorkload(withSpread(term(state.SpreadDoNotSchedule, state.SelectorFromMap(map[string]string{"app": "web", "pod-template-hash": "x"}))))},
			{name: "one replica", subject: aWorkload(withReplicas(1), withSpread(term(state.SpreadDoNotSchedule, nil))), want: Info},
			{name: "scaled to zero", subject: aWorkload(withReplicas(0), withSpread(term(state.SpreadDoNotSchedule, nil))), want: Fine},
			{name: "one replica, autoscaled", subject: aWorkload(withReplicas(1), autoscaled, withSpread(term(state.SpreadDoNotSchedule, nil))), want: Warning},
			{name: "a DaemonSet", subject: aWorkload(ofKind(state.DaemonSets), withSpread(term(state.AntiAffinityRequired, nil))), want: Fine},
			{name: "a Job", subject: aWorkload(ofKind(state.Jobs), withSpread(term(state.AntiAffinityRequired, nil))), want: Fine},
		},
		"hot_group_colocated": hotGroupCases(),
		"spread_missing": {
			{name: "anti-affinity", subject: aWorkload(), want: Fine},
			{name: "a constraint will do", subject: aWorkload(withSpread(term(state.SpreadScheduleAnyway, selects("web")))), want: Fine},
			{name: "neither", subject: aWorkload(withSpread()), want: Info, detail: `^3 replicas`},
			{name: "neither, of a StatefulSet whose nodes are unknown", subject: aWorkload(ofKind(state.StatefulSets), withSpread(), func(w *state.SetupView) { w.Cluster = nil }), want: Info},
			{name: "one replica", subject: aWorkload(withSpread(), withReplicas(1)), want: Fine},
			{name: "one node", subject: aWorkload(withSpread(), withShape(1, 1)), want: Fine},
			{name: "a DaemonSet", subject: aWorkload(withSpread(), ofKind(state.DaemonSets)), want: Fine},
			{name: "a Job", subject: aWorkload(withSpread(), ofKind(state.Jobs)), want: Fine},
		},
		"single_replica": {
			{name: "three", subject: aWorkload(), want: Fine},
			{name: "one", subject: aWorkload(withReplicas(1)), want: Info, detail: `Service web`},
			{name: "none", subject: aWorkload(withReplicas(0)), want: Fine},
			{name: "autoscaled", subject: aWorkload(withReplicas(1), autoscaled), want: Fine},
			{name: "Recreate", subject: aWorkload(withReplicas(1), func(w *state.SetupView) { w.Strategy = state.Recreate }), want: Fine},
			{name: "no Service", subject: aWorkload(withReplicas(1), withServices()), want: Fine},
			{name: "a StatefulSet", subject: aWorkload(withReplicas(1), ofKind(state.StatefulSets)), want: Fine},
			{name: "a bare pod", subject: aWorkload(ofKind(state.Pods)), want: Fine},
			{name: "Services are not observed", subject: aWorkload(withReplicas(1)), unobserved: state.KindSet(state.Services), want: Fine},
		},
	}
}

func colocatedCases() []testCase {
	together := withPlacement(share("node-0", "a", 3))
	return []testCase{
		{name: "each on its own node", subject: aWorkload(), want: Fine},
		{name: "all on one node", subject: aWorkload(together), want: Warning, detail: `all 3 ready pods are on the node node-0; 5 nodes take pods`},
		{name: "all on one node, but pinned", subject: aWorkload(together, withTemplate(func(t *state.Template) { t.Pinned = true })), want: Info},
		{name: "all on one node that is kept for them", subject: aWorkload(withPlacement(state.NodeShare{Node: state.Sym("gpu"), Pods: 3, Tainted: true})), want: Info},
		{name: "all on the only node", subject: aWorkload(together, withShape(1, 1)), want: Fine},
		{name: "all on one node, more than there are nodes", subject: aWorkload(withReplicas(5), withPlacement(share("node-0", "", 5)), withShape(3, 1)), want: Warning},
		{name: "nodes are unknown", subject: aWorkload(together, func(w *state.SetupView) { w.Cluster = nil }), want: Fine},
		{name: "nodes may not be read", subject: aWorkload(together), unobserved: state.KindSet(state.Nodes), want: Fine},
		{name: "two of three on one node", subject: aWorkload(withPlacement(share("node-0", "", 2), share("node-1", "", 1))), want: Info, detail: `^2 of 3 ready`},
		{name: "two of five on one node", subject: aWorkload(withReplicas(5), withPlacement(share("n0", "", 2), share("n1", "", 1), share("n2", "", 1), share("n3", "", 1))), want: Fine},
		{name: "as even as it can be", subject: aWorkload(withReplicas(5), withShape(2, 1), withPlacement(share("n0", "", 3), share("n1", "", 2))), want: Fine},
		{name: "all in one of two zones", subject: aWorkload(withShape(4, 2), withPlacement(share("n0", "a", 2), share("n1", "a", 1))), want: Warning, detail: `in the zone a; 2 zones`},
		{name: "all in one zone, bound by volumes", subject: aWorkload(ofKind(state.StatefulSets), withShape(4, 2), withPlacement(share("n0", "a", 2), share("n1", "a", 1))), want: Info},
		{name: "all in the only zone", subject: aWorkload(withPlacement(share("n0", "a", 1), share("n1", "a", 1), share("n2", "a", 1))), want: Fine},
		{name: "in two zones", subject: aWorkload(withShape(4, 2), withPlacement(share("n0", "a", 1), share("n1", "a", 1), share("n2", "b", 1))), want: Fine},
		{name: "nodes without zones", subject: aWorkload(withShape(4, 2), withPlacement(share("n0", "", 1), share("n1", "", 1), share("n2", "", 1))), want: Fine},
		{name: "one pod is ready", subject: aWorkload(withPlacement(share("n0", "", 1))), want: Fine},
		{name: "one is wanted and one is on its way out", subject: aWorkload(withReplicas(1), withPlacement(share("n0", "", 2))), want: Fine},
		{name: "none is ready", subject: aWorkload(withPlacement()), want: Fine},
		{name: "a DaemonSet", subject: aWorkload(ofKind(state.DaemonSets), together), want: Fine},
		{name: "a Job", subject: aWorkload(ofKind(state.Jobs), together), want: Fine},
	}
}

func hotGroupCases() []testCase {
	order, stock := func() *state.SetupView { return aWorkload(named("order")) }, func() *state.SetupView { return aWorkload(named("stock")) }
	away := aWorkload(named("stock"), withPlacement(share("node-8", "", 1), share("node-9", "", 1)))
	group := HotGroup{Name: "checkout", Workloads: []state.WorkloadRef{ref("shop", "order", ""), ref("shop", "stock", "deployment")}}
	hot := func(setups ...*state.SetupView) *ClusterSubject {
		return &ClusterSubject{Setups: setups, settings: &Settings{HotGroups: []HotGroup{group}}}
	}
	return []testCase{
		{name: "on the same nodes", subject: hot(order(), stock()), want: Warning, detail: `^of the group checkout also shop/stock is on node-0, node-1, node-2$`},
		{name: "apart", subject: hot(order(), away), want: Fine},
		{name: "no group", subject: &ClusterSubject{Setups: []*state.SetupView{order(), stock()}, settings: &Settings{}}, want: Fine},
		{name: "no settings", subject: &ClusterSubject{Setups: []*state.SetupView{order(), stock()}}, want: Fine},
		{name: "not a member", subject: hot(order(), aWorkload(named("mail"))), want: Fine},
		{name: "a member by name, of another type", subject: hot(order(), aWorkload(named("stock"), ofKind(state.StatefulSets))), want: Fine},
		{name: "a DaemonSet is everywhere", subject: hot(aWorkload(named("order"), ofKind(state.DaemonSets)), stock()), want: Fine},
		{name: "one node for two", subject: hot(aWorkload(named("order"), withShape(1, 1)), stock()), want: Fine},
		{name: "without pods", subject: hot(aWorkload(named("order"), withReplicas(0)), stock()), want: Fine},
	}
}

// TestBothMembersOfAHotGroupAreTold: each of the two has a finding under its own name.
func TestBothMembersOfAHotGroupAreTold(t *testing.T) {
	group := HotGroup{Name: "checkout", Workloads: []state.WorkloadRef{ref("shop", "order", ""), ref("shop", "stock", "")}}
	findings := hotGroups(&ClusterSubject{Setups: []*state.SetupView{aWorkload(named("order")), aWorkload(named("stock"))}, settings: &Settings{HotGroups: []HotGroup{group}}})
	if len(findings) != 2 || findings[0].Ref != ref("shop", "order", "deployment") || findings[1].Ref != ref("shop", "stock", "deployment") {
		t.Errorf("got %+v", findings)
	}
}

func ref(namespace, name, kind string) state.WorkloadRef {
	return state.WorkloadRef{Namespace: state.Sym(namespace), Name: state.Sym(name), Type: state.Sym(kind)}
}

func share(node, zone string, pods int32) state.NodeShare {
	return state.NodeShare{Node: state.Sym(node), Zone: state.Sym(zone), Pods: pods}
}

func autoscaled(w *state.SetupView) { w.Autoscaled = true }

func withSpread(terms ...state.SpreadTerm) func(*state.SetupView) {
	return withTemplate(func(t *state.Template) { t.Spread = terms })
}

func term(kind state.SpreadKind, selector state.Selector) state.SpreadTerm {
	return state.SpreadTerm{Kind: kind, TopologyKey: state.Sym("kubernetes.io/hostname"), Selector: selector}
}
