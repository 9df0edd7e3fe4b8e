// SPDX-License-Identifier: Apache-2.0

package state

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func node(name, zone, ready string, edit func(*Node)) *Node {
	n := &Node{
		Meta: Meta{Name: name, UID: ParseUID(name), Created: 1_600_000_000}, Zone: Sym(zone), Ready: Sym(ready),
		ReadySince: 1_600_000_100, BootID: Sym("boot-1"),
	}
	if edit != nil {
		edit(n)
	}
	return n
}

func TestZones(t *testing.T) {
	population := func(zone string, ready, notReady int) []*Node {
		var nodes []*Node
		for i := range ready + notReady {
			status := "True"
			if i >= ready {
				status = "Unknown"
			}
			nodes = append(nodes, node(fmt.Sprintf("%s-%d", zone, i), zone, status, nil))
		}
		return nodes
	}
	tests := []struct {
		name            string
		ready, notReady int
		limit           float64
		otherZone       bool
	}{
		{"two of three", 1, 2, 0.1, true},
		{"all three", 0, 3, 0.1, true},
		{"all three, and there is no other zone", 0, 3, 0, false},
		{"forty of sixty", 20, 40, 0.01, true},
		{"thirty of forty: eviction is halted", 10, 30, 0, true},
		{"exactly the threshold", 9, 11, 0, true},
		{"just below", 10, 12, 0.1, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(Nodes)
			for _, n := range population("a", test.ready, test.notReady) {
				b.put(n)
			}
			if test.otherZone {
				b.put(node("b-0", "b", "True", nil))
			}
			z := b.store.Snapshot().Zones[0]
			if z.EvictionLimit != test.limit || int(z.Unhealthy) != test.notReady || int(z.Nodes[Member]) != test.ready+test.notReady {
				t.Errorf("%+v, want an eviction limit of %v", z, test.limit)
			}
		})
	}
}

func TestNodeClasses(t *testing.T) {
	b := newBench(Nodes)
	b.put(node("cordoned", "a", "True", func(n *Node) { n.Cordoned = true }))
	b.put(node("leaving", "a", "Unknown", func(n *Node) { n.Leaving, n.Cordoned = true, true }))
	b.put(node("deleted", "a", "True", func(n *Node) { n.Deleted = b.now }))
	b.put(node("new", "a", "False", func(n *Node) { n.Created, n.ReadySince = b.now-60, b.now-60 }))
	b.put(node("new-died", "a", "False", func(n *Node) { n.Created, n.ReadySince = b.now-500, b.now-60 }))
	b.put(node("slow", "a", "False", func(n *Node) { n.Created, n.ReadySince = b.now-11*minute, b.now-11*minute }))
	b.put(node("dead", "", "Unknown", nil))
	got := map[string]string{}
	s := b.store.Snapshot()
	for _, n := range s.Nodes {
		got[n.Name] = NodeClasses[n.Class]
	}
	want := map[string]string{
		"cordoned": "cordoned", "leaving": "leaving", "deleted": "leaving", "new": "bootstrapping", "new-died": "member",
		"slow": "member", "dead": "member",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if z := s.Zones[1]; z.Name != "unknown" || z.Unhealthy != 1 {
		t.Errorf("a node without a zone: %+v", z)
	}
}

func TestNodeThatWasSeenReadyIsNotBootstrapping(t *testing.T) {
	b := newBench(Nodes)
	for _, ready := range []string{"False", "True", "Unknown", "Unknown"} {
		b.put(node("n", "a", ready, func(n *Node) { n.Created, n.ReadySince = b.now-60, b.now-50 }))
	}
	if n := b.store.Snapshot().Nodes[0]; n.Class != Member {
		t.Errorf("a node that died within its first minute is %s", NodeClasses[n.Class])
	}
}

func TestRebootsCountFromWhenWeWatch(t *testing.T) {
	b := newBench(Nodes)
	for _, boot := range []string{"boot-1", "boot-1", "boot-2", "", "boot-3"} {
		b.put(node("n", "a", "True", func(n *Node) { n.BootID = Sym(boot) }))
	}
	if got := b.store.Snapshot().Nodes[0].Reboots; got != 1 {
		t.Errorf("%d reboots, want 1: one that a missing id hides is not known", got)
	}
}

// service returns a Service that selects app=web and the slice of its endpoints.
func (b *bench) service(created Time, ready int) {
	b.put(&Service{Meta: Meta{Namespace: Sym("shop"), Name: "web", UID: ParseUID("svc"), Created: created},
		Selector: SelectorFromMap(map[string]string{"app": "web"})})
	slice := &EndpointSlice{Meta: Meta{Namespace: Sym("shop"), Name: "web-1", UID: ParseUID("slice")}, Service: Sym("web"), HasPorts: true}
	for i := range ready {
		slice.Endpoints = append(slice.Endpoints, Endpoint{Target: ParseUID(fmt.Sprint(i)), Serving: true})
	}
	b.put(slice)
}

func labelled(p *Pod) { p.Labels = MakeLabels(map[string]string{"app": "web", "tier": "front"}) }

type serviceCase struct {
	name  string
	play  func(b *bench)
	cause string
	lost  bool
}

// selected gives a workload's pods the label that the Service selects.
func selected(w *Workload) { w.TemplateLabels = MakeLabels(map[string]string{"app": "web"}) }

var serviceCases = []serviceCase{
	{"serving", func(b *bench) { b.service(1, 2) }, "", false},
	{"none at the start, and old", func(b *bench) { b.service(1, 0) }, "no_matching_pods", true},
	{"none at the start, and new", func(b *bench) { b.service(b.now-60, 0) }, "no_matching_pods", false},
	{"new, and lost what it had", func(b *bench) {
		b.service(b.now-60, 1)
		b.store.Snapshot()
		b.put(pod("a", both2(labelled, waiting("CrashLoopBackOff"))))
		b.service(b.now-60, 0)
	}, "pods_not_ready", true},
	{"scaled to zero", func(b *bench) {
		b.put(deployment(b, 0, 0, selected))
		b.service(1, 0)
	}, "scaled_to_zero", false},
	{"scaled to zero, pods are forbidden", func(b *bench) {
		b.store.Settle(Scope{Kind: Pods}, Forbidden)
		b.put(deployment(b, 0, 0, selected))
		b.service(1, 0)
	}, "scaled_to_zero", false},
	{"not scaled to zero, pods are forbidden", func(b *bench) {
		b.store.Settle(Scope{Kind: Pods}, Forbidden)
		b.put(deployment(b, 2, 0, selected))
		b.service(1, 0)
	}, "unknown", true},
	{"scaling is forbidden", func(b *bench) {
		b.store.Settle(Scope{Kind: Deployments}, Forbidden)
		b.service(1, 0)
	}, "unknown", false},
	{"lost while scaling is forbidden", func(b *bench) {
		b.store.Settle(Scope{Kind: Deployments}, Forbidden)
		b.service(1, 1)
		b.store.Snapshot()
		b.service(1, 0)
	}, "unknown", true},
	{"its workload wants pods and has none", func(b *bench) {
		b.put(deployment(b, 2, 0, selected))
		b.service(1, 0)
	}, "pods_missing", true},
	{"new, and its workload cannot make pods", func(b *bench) {
		b.put(deployment(b, 2, 0, selected))
		b.service(b.now-60, 0)
	}, "pods_missing", false},
	{"the selector misses a workload that wants pods", func(b *bench) {
		b.put(deployment(b, 2, 0, nil))
		b.service(1, 0)
	}, "no_matching_pods", true},
	{"one of two workloads is scaled to zero, the other has no pods", func(b *bench) {
		b.put(deployment(b, 0, 0, selected))
		b.put(deployment(b, 2, 0, both(selected, func(w *Workload) { w.Name, w.UID = "green", ParseUID("green") })))
		b.service(1, 0)
	}, "pods_missing", true},
	{"ready pods that nobody enters", func(b *bench) {
		b.put(pod("a", labelled))
		b.service(1, 0)
	}, "unknown", true},
	{"waking up from zero is no loss", func(b *bench) {
		b.put(deployment(b, 0, 0, selected))
		b.service(1, 0)
		b.store.Snapshot()
		b.put(deployment(b, 2, 0, selected))
		b.put(pod("a", both2(labelled, waiting("ContainerCreating"))))
	}, "pods_not_ready", false},
	{"only terminating", func(b *bench) {
		b.put(pod("a", both2(labelled, func(p *Pod) { p.Deleted = b.now + 30 })))
		b.service(1, 0)
	}, "only_terminating", true},
	{"ready pods, no port", func(b *bench) {
		b.put(pod("a", labelled))
		b.service(1, 0)
		b.put(&EndpointSlice{Meta: Meta{Namespace: Sym("shop"), Name: "web-1", UID: ParseUID("slice")}, Service: Sym("web"),
			Endpoints: []Endpoint{{Target: ParseUID("a"), Serving: true}}})
	}, "port_mismatch", true},
}

func TestServices(t *testing.T) {
	for _, test := range serviceCases {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(Services, EndpointSlices, Pods, Deployments)
			test.play(b)
			v := b.store.Snapshot().Services[0]
			if v.Cause != test.cause || v.Lost != test.lost {
				t.Errorf("cause %q lost %v, want %q %v", v.Cause, v.Lost, test.cause, test.lost)
			}
		})
	}
}

func TestUpdatedPodsAreUnknownWithoutTheirReplicaSet(t *testing.T) {
	b := newBench(Deployments, ReplicaSets, Pods)
	b.store.Settle(Scope{Kind: ReplicaSets}, Forbidden)
	b.put(deployment(b, 2, 2, func(w *Workload) { w.Current, w.Updated = 3, 1 }))
	if w := b.workload(t); !w.Rolling || !w.UpdatedPodsUnknown {
		t.Errorf("rolling %t, updated pods unknown %t; want both", w.Rolling, w.UpdatedPodsUnknown)
	}
}

func TestEndpointsAreCountedOncePerPod(t *testing.T) {
	b := newBench(Services, EndpointSlices, Pods)
	b.service(1, 2) // the slice of one IP family
	b.put(&EndpointSlice{Meta: Meta{Namespace: Sym("shop"), Name: "web-2", UID: ParseUID("slice-2")}, Service: Sym("web"), HasPorts: true,
		Endpoints: []Endpoint{
			{Target: ParseUID("0"), Serving: true}, {Target: ParseUID("1"), Serving: true},
			{Target: ParseUID("2"), Serving: true, Terminating: true}, {Target: ParseUID("3")},
		}})
	if v := b.store.Snapshot().Services[0]; v.ReadyEndpoints != 2 {
		t.Errorf("%d endpoints, want 2", v.ReadyEndpoints)
	}
	b.put(&Service{Meta: Meta{Namespace: Sym("shop"), Name: "external", UID: ParseUID("ext")}})
	if n := len(b.store.Snapshot().Services); n != 1 {
		t.Errorf("%d services, want 1: one without selector is not judged", n)
	}
}

// Two of ten nodes are dead: a fifth is missing, and where daemons can run none is.
func TestDaemonsOnDeadNodesAreNoDamage(t *testing.T) {
	b := newBench(Nodes, Pods, DaemonSets)
	w := deployment(b, 10, 8, func(w *Workload) { w.Kind, w.Progressing = DaemonSets, Condition{} })
	for i := range 10 {
		name, status, ready := fmt.Sprint("node-", i), "True", True
		if i < 2 {
			status, ready = "Unknown", False
		}
		b.put(node(name, "a", status, nil))
		b.put(pod(fmt.Sprint("d", i), func(p *Pod) {
			p.Owner, p.Node, p.Ready = Owner{Kind: Sym("DaemonSet"), Name: Sym("web"), UID: w.UID}, Sym(name), ready
		}))
	}
	b.put(w)
	v := b.workload(t)
	if v.State != Healthy || v.OnReadyDesired != 8 || v.OnReadyAvailable != 8 || v.Desired != 10 || v.Available != 8 {
		t.Errorf("%+v", v)
	}
	if diff := cmp.Diff([]Count{{"node_not_ready", 2}}, v.Causes); diff != "" {
		t.Error(diff)
	}
}

func TestSurvivors(t *testing.T) {
	tests := []struct {
		name       string
		nodes      []string // of the pods; the first letter is the zone
		node, zone float64
	}{
		{"both on one node", []string{"a1", "a1"}, 0, 0},
		{"two nodes of a zone", []string{"a1", "a2"}, 0.5, 0},
		{"two zones", []string{"a1", "b1"}, 0.5, 0.5},
		{"uneven", []string{"a1", "a1", "a2", "b1"}, 0.5, 0.25},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(Nodes, Pods, Deployments)
			n := int32(len(test.nodes))
			b.put(deployment(b, n, n, nil))
			for i, name := range test.nodes {
				b.put(node(name, name[:1], "True", nil))
				b.put(pod(fmt.Sprint("p", i), func(p *Pod) { p.Node = Sym(name) }))
			}
			if v := b.workload(t); v.SurvivableNode != test.node || v.SurvivableZone != test.zone {
				t.Errorf("node %v zone %v, want %v %v", v.SurvivableNode, v.SurvivableZone, test.node, test.zone)
			}
		})
	}
}

// A DaemonSet that does not tolerate the taint of a dead node is not desired there any more, and its pod stays for a
// while: that must not hide a loss elsewhere.
func TestDaemonNotWantedOnADeadNode(t *testing.T) {
	b := newBench(Nodes, Pods, DaemonSets)
	w := deployment(b, 2, 1, func(w *Workload) { w.Kind, w.Progressing, w.Misscheduled = DaemonSets, Condition{}, 1 })
	for i, status := range []string{"True", "True", "Unknown"} {
		name := fmt.Sprint("node-", i)
		b.put(node(name, "a", status, nil))
		b.put(pod(fmt.Sprint("d", i), func(p *Pod) {
			p.Owner, p.Node = Owner{Kind: Sym("DaemonSet"), Name: Sym("web"), UID: w.UID}, Sym(name)
			if i > 0 {
				p.Ready = False
			}
		}))
	}
	b.put(w)
	if v := b.workload(t); v.State != Degraded || v.OnReadyDesired != 2 || v.OnReadyAvailable != 1 {
		t.Errorf("%s with %d of %d on ready nodes", v.State, v.OnReadyAvailable, v.OnReadyDesired)
	}
}

func TestHeadlessServiceWithoutPorts(t *testing.T) {
	b := newBench(Services, EndpointSlices, Pods)
	svc := &Service{Meta: Meta{Namespace: Sym("shop"), Name: "web", UID: ParseUID("svc"), Created: 1},
		Selector: SelectorFromMap(map[string]string{"app": "web"})}
	slice := &EndpointSlice{Meta: Meta{Namespace: Sym("shop"), Name: "web-1", UID: ParseUID("slice")}, Service: Sym("web"),
		Endpoints: []Endpoint{{Target: ParseUID("0"), Serving: true}}}
	b.put(slice)
	b.put(svc)
	if v := b.store.Snapshot().Services[0]; v.ReadyEndpoints != 0 {
		t.Errorf("%d endpoints of a Service whose port no pod has, want 0", v.ReadyEndpoints)
	}
	portless := *svc
	portless.Portless = true
	b.put(&portless)
	if v := b.store.Snapshot().Services[0]; v.ReadyEndpoints != 1 {
		t.Errorf("%d endpoints of a Service that has no ports, want 1", v.ReadyEndpoints)
	}
	b.store.Delete(Scope{Kind: Services}, &portless)
	b.store.Delete(Scope{Kind: EndpointSlices}, slice)
	if n := len(b.store.services); n != 0 {
		t.Errorf("%d accounts are left of a Service that is gone", n)
	}
}

// A daemon that cannot end on a dead node must not make the daemons elsewhere look damaged.
func TestDaemonStuckOnADeadNode(t *testing.T) {
	b := newBench(Nodes, Pods, DaemonSets)
	w := deployment(b, 3, 2, func(w *Workload) { w.Kind, w.Progressing = DaemonSets, Condition{} })
	for i, ready := range []string{"True", "True", "Unknown"} {
		name := fmt.Sprint("node-", i)
		b.put(node(name, "a", ready, nil))
		b.put(pod(fmt.Sprint("d", i), func(p *Pod) {
			p.Owner, p.Node = Owner{Kind: Sym("DaemonSet"), Name: Sym("web"), UID: w.UID}, Sym(name)
			if ready != "True" {
				p.Deleted, p.Ready = b.now-100, False
			}
		}))
	}
	b.put(w)
	if v := b.workload(t); v.State != Healthy || v.OnReadyDesired != 2 || v.TerminatingOverdue != 1 {
		t.Errorf("%s with %d desired on ready nodes and %d overdue", v.State, v.OnReadyDesired, v.TerminatingOverdue)
	}
}

func TestBudgets(t *testing.T) {
	app := SelectorFromMap(map[string]string{"app": "web"})
	tests := []struct {
		name    string
		budgets []DisruptionBudget
		pods    int
		want    string
	}{
		{"allows one", []DisruptionBudget{{DisruptionsAllowed: 1, ExpectedPods: 2, CurrentHealthy: 2, DesiredHealthy: 1}}, 2, ""},
		{"selects nothing", []DisruptionBudget{{DesiredHealthy: 1}}, 0, "orphan"},
		{"expected is zero and a pod matches", []DisruptionBudget{{}}, 1, "at_limit"},
		{"can never be drained", []DisruptionBudget{{ExpectedPods: 2, CurrentHealthy: 2, DesiredHealthy: 2}}, 2, "config"},
		{"unhealthy", []DisruptionBudget{{ExpectedPods: 3, CurrentHealthy: 1, DesiredHealthy: 2}}, 3, "unhealthy"},
		{"at its limit", []DisruptionBudget{{ExpectedPods: 3, CurrentHealthy: 2, DesiredHealthy: 2}}, 3, "at_limit"},
		{"cannot be computed", []DisruptionBudget{{SyncFailed: true, ExpectedPods: 3}}, 3, "sync_failed"},
		{"two budgets for one pod", []DisruptionBudget{{DisruptionsAllowed: 1}, {DisruptionsAllowed: 1}}, 2, "overlap"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(PodDisruptionBudgets, Pods, Nodes)
			b.put(node("node-1", "a", "True", func(n *Node) { n.Cordoned = true }))
			for i := range test.pods {
				b.put(pod(fmt.Sprint("p", i), labelled))
			}
			for i := range test.budgets {
				budget := &test.budgets[i]
				budget.Meta = Meta{Namespace: Sym("shop"), Name: fmt.Sprint("pdb", i), UID: ParseUID(fmt.Sprint("pdb", i))}
				budget.Selector, budget.HasStatus = app, true
				b.put(budget)
			}
			s := b.store.Snapshot()
			if got := s.Budgets[0].Blocking; got != test.want {
				t.Errorf("blocking %q, want %q", got, test.want)
			}
			want := int32(test.pods)
			if test.want == "" {
				want = 0
			}
			if got := s.Nodes[0].DrainBlocked; got != want {
				t.Errorf("%d pods block the drain, want %d", got, want)
			}
			var by []DrainBlocker
			for i := range test.budgets {
				if want > 0 {
					by = append(by, DrainBlocker{"shop", fmt.Sprint("pdb", i), want})
				}
			}
			if diff := cmp.Diff(by, s.Nodes[0].DrainBlockedBy); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A budget is an orphan only if nothing that it selects could come: neither when its workload is scaled to zero, nor when that
// cannot make pods.
func TestBudgetsWithoutPods(t *testing.T) {
	for _, test := range []struct {
		name string
		play func(b *bench)
		want string
	}{
		{"scaled to zero", func(b *bench) { b.put(deployment(b, 0, 0, selected)) }, ""},
		{"scaled to zero just now", func(b *bench) {
			b.put(deployment(b, 2, 0, selected))
			b.store.Snapshot()
			b.put(deployment(b, 0, 0, selected))
		}, ""},
		{"pods are wanted and missing", func(b *bench) { b.put(deployment(b, 2, 0, selected)) }, "unhealthy"},
		{"of another workload", func(b *bench) { b.put(deployment(b, 0, 0, nil)) }, "orphan"},
		{"its workload is gone", func(b *bench) {
			w := deployment(b, 0, 0, selected)
			b.put(w)
			b.store.Snapshot()
			b.store.Delete(Scope{Kind: Deployments}, w)
		}, "orphan"},
		{"its workload selects something else now", func(b *bench) {
			b.put(deployment(b, 0, 0, selected))
			b.store.Snapshot()
			b.put(deployment(b, 0, 0, nil))
		}, "orphan"},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(PodDisruptionBudgets, Pods, Deployments)
			b.put(&DisruptionBudget{
				Meta:     Meta{Namespace: Sym("shop"), Name: "pdb", UID: ParseUID("pdb")},
				Selector: SelectorFromMap(map[string]string{"app": "web"}), HasStatus: true, DesiredHealthy: 1,
			})
			test.play(b)
			if got := b.store.Snapshot().Budgets[0].Blocking; got != test.want {
				t.Errorf("blocking %q, want %q", got, test.want)
			}
		})
	}
}

// Kubernetes stamps the condition anew when a deadline passes, which is no progress.
func TestProgressBeforeTheDeadline(t *testing.T) {
	b := newBench(Deployments)
	begun := b.now - 700
	for reason, want := range map[string]Time{"ReplicaSetUpdated": begun + 600, "ProgressDeadlineExceeded": begun} {
		b.put(deployment(b, 4, 3, both(rollingSince(0), func(w *Workload) {
			w.Progressing = Condition{Sym("False"), Sym(reason), begun + 600}
		})))
		if v := b.workload(t); v.LastProgress != want {
			t.Errorf("%s: last progress %d s after the beginning, want %d s", reason, v.LastProgress-begun, want-begun)
		}
	}
}

func TestPinnedAutoscalerIsNotLimited(t *testing.T) {
	for pinned, want := range map[bool]string{false: "TooManyReplicas", true: ""} {
		b := newBench(HorizontalPodAutoscalers)
		a := autoscaler(0)
		a.Limited, a.Pinned = Sym("TooManyReplicas"), pinned
		b.put(a)
		if got := b.store.Snapshot().Autoscalers[0].Limited; got != want {
			t.Errorf("pinned %v: limited %q, want %q", pinned, got, want)
		}
	}
}

// Kubernetes takes the pods of a namespace that is being deleted first: what is left meanwhile is no outage.
func TestNothingIsToldOfANamespaceThatGoes(t *testing.T) {
	b := newBench(Namespaces, Deployments, Pods, Services, EndpointSlices, PodDisruptionBudgets, HorizontalPodAutoscalers, CronJobs)
	shop := func(deleted Time) *Namespace {
		return &Namespace{Meta{Name: "shop", UID: ParseUID("namespace"), Deleted: deleted}}
	}
	meta := func(name string) Meta { return Meta{Namespace: Sym("shop"), Name: name, UID: ParseUID(name)} }
	b.put(shop(0))
	b.put(deployment(b, 2, 2, selected))
	b.put(&Autoscaler{Meta: meta("hpa"), TargetKind: Sym("deployment"), TargetName: Sym("web")})
	b.put(&CronJob{Meta: meta("nightly")})
	b.put(&DisruptionBudget{Meta: meta("pdb"), HasStatus: true})
	b.service(1, 2)
	told := func() [5]int {
		s := b.store.Snapshot()
		return [5]int{len(s.Workloads), len(s.Services), len(s.Budgets), len(s.Autoscalers), len(s.CronJobs)}
	}
	if got := told(); got != [5]int{1, 1, 1, 1, 1} {
		t.Fatalf("told of before: %v", got)
	}
	b.put(shop(b.now))
	b.put(deployment(b, 2, 0, selected))
	b.service(1, 0)
	if got := told(); got != [5]int{} {
		t.Errorf("told of while the namespace is being deleted: %v", got)
	}
	b.store.Delete(Scope{Kind: Namespaces}, shop(b.now))
	again := shop(0)
	again.UID = ParseUID("the next one")
	b.put(again)
	if got := told(); got != [5]int{1, 1, 1, 1, 1} {
		t.Errorf("told of in the next namespace of the name: %v", got)
	}
}

func TestKindsAreWithdrawnWhenForbidden(t *testing.T) {
	b := newBench(Deployments, Nodes)
	b.put(deployment(b, 2, 2, nil))
	b.put(node("n", "a", "True", nil))
	b.store.Expect(Scope{Kind: Pods})
	if s := b.store.Snapshot(); s.Pending(KindSet(Pods, Nodes)) != KindSet(Pods) || s.Observed(KindSet(Pods)) || s.Pending(KindSet(Services)) == 0 {
		t.Error("pods that are expected, and kinds that nobody has announced, must be pending; nodes must not")
	}
	b.store.Settle(Scope{Kind: Nodes}, Forbidden)
	s := b.store.Snapshot()
	if s.Observed(KindSet(Nodes)) || len(s.Nodes) != 0 || len(s.Zones) != 0 || s.Pending(KindSet(Nodes)) != 0 {
		t.Errorf("forbidden nodes are still shown: %+v", s.Nodes)
	}
	if s.Resources[0].Kind != Nodes || s.Resources[0].Observation != Forbidden {
		t.Errorf("resources: %+v", s.Resources)
	}
}

// Whatever order objects come in, and whether they come by lists or by events, the picture is the same.
func TestOrderDoesNotMatter(t *testing.T) {
	objects := func(b *bench) []Object {
		rs := &ReplicaSet{Meta: Meta{Namespace: Sym("shop"), Name: "web-abc", UID: ParseUID("web-abc"), Created: b.now - 5000,
			Owner: Owner{Kind: Sym("Rollout"), Name: Sym("canary"), UID: ParseUID("canary")}}, TemplateHash: Sym("abc")}
		free := deployment(b, 2, 2, func(w *Workload) {
			w.Kind, w.Name, w.Owner, w.UID = ReplicaSets, "web-abc", rs.Owner, rs.UID
		})
		return []Object{
			rs, free, pod("web-abc-1", labelled), pod("web-abc-2", both2(labelled, restarted(2, b.now-100, "OOMKilled"))),
			node("node-1", "a", "True", nil), node("node-2", "b", "Unknown", nil), deployment(b, 0, 0, nil),
			&DisruptionBudget{Meta: Meta{Namespace: Sym("shop"), Name: "pdb", UID: ParseUID("pdb")}, Selector: SelectorFromMap(map[string]string{"app": "web"})},
		}
	}
	kinds := []Kind{ReplicaSets, Pods, Nodes, Deployments, PodDisruptionBudgets}
	var first *Snapshot
	for seed := range uint64(50) {
		b := &bench{now: 1_700_000_000}
		b.store = newBench().store
		b.store.options.Clock = newBench().store.options.Clock
		all := objects(b)
		rng := rand.New(rand.NewPCG(seed, 9))
		rng.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
		for _, k := range kinds {
			b.store.Expect(Scope{Kind: k})
			var list []Object
			for _, o := range all {
				if o.ObjectKind() == k {
					list = append(list, o)
				}
			}
			b.store.Replace(Scope{Kind: k}, list)
		}
		s := b.store.Snapshot()
		s.Generation = 0
		if first == nil {
			first = s
			continue
		}
		if diff := cmp.Diff(first, s, cmp.AllowUnexported(Snapshot{}, Symbol{}, Labels{}), cmp.Comparer(func(a, b Symbol) bool { return a == b })); diff != "" {
			t.Fatalf("seed %d, order %v: %s", seed, kinds, diff)
		}
	}
	if len(first.Workloads) != 2 || first.Workloads[1].Ref.Type.String() != "rollout" || first.Restarts[0].Deltas[0] != 1 {
		t.Errorf("%+v\n%+v", first.Workloads, first.Restarts)
	}
}
