// SPDX-License-Identifier: Apache-2.0

package state

import (
	"fmt"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
)

func everything(*MiddlewareService) bool { return true }

// redis puts a StatefulSet with two pods, one of them not ready, and a Service that selects them.
func (b *bench) redis() {
	app := map[string]string{"app": "redis"}
	b.put(&Service{Meta: Meta{Namespace: Sym("shop"), Name: "cache", UID: ParseUID("cache")}, Selector: SelectorFromMap(app), Headless: true,
		Ports: []ServicePort{{Name: Sym("redis"), Port: 6379, Target: 6379}}, Probing: &Probing{App: Sym("redis")}})
	b.put(statefulSet(b, 3, 2, func(w *Workload) {
		w.Name, w.TemplateLabels, w.Template, w.FirstOrdinal = "redis", MakeLabels(app), aTemplate(), 1
	}))
	for i := range 2 {
		name := fmt.Sprintf("redis-%d", i+1)
		b.put(pod(name, func(p *Pod) {
			p.Owner = Owner{Kind: Sym("StatefulSet"), Name: Sym("redis"), UID: ParseUID("redis")}
			p.Labels = MakeLabels(map[string]string{"app": "redis", "statefulset.kubernetes.io/pod-name": name})
			p.Address, p.Created = Address{15: byte(i + 1)}, Time(1000-i)
			if i == 1 {
				p.Ready, p.Deleted = False, 2000
			}
		}))
	}
}

func TestMiddlewareServices(t *testing.T) {
	b := newBench(DiscoveryReads().All()...)
	b.redis()
	// What is not behind the Service: a pod of another label, one that has ended, one of a Job, one of another namespace.
	aside := func(name string, edit func(*Pod)) {
		b.put(pod(name, func(p *Pod) {
			p.Labels, p.Address = MakeLabels(map[string]string{"app": "redis"}), Address{15: 99}
			edit(p)
		}))
	}
	aside("other", func(p *Pod) { p.Labels = MakeLabels(map[string]string{"app": "web"}) })
	aside("ended", func(p *Pod) { p.Phase = PhaseFailed })
	aside("job", func(p *Pod) { p.Owner.Kind = Sym("Job") })
	aside("elsewhere", func(p *Pod) { p.Namespace = Sym("bank") })
	var asked []string
	got, known := b.store.MiddlewareServices(func(s *MiddlewareService) bool {
		asked = append(asked, fmt.Sprintf("%s %d workloads %d members", s.Name, len(s.Workloads), len(s.Members)))
		return true
	})
	ref := WorkloadRef{Sym("shop"), Sym("redis"), Sym(TypeStatefulSet)}
	want := []MiddlewareService{{
		Namespace: "shop", Name: "cache", Probing: Probing{App: Sym("redis")}, Selects: true, Headless: true,
		Ports:     []ServicePort{{Name: Sym("redis"), Port: 6379, Target: 6379}},
		Workloads: []MiddlewareWorkload{{Ref: ref, Desired: 3, FirstOrdinal: 1, Template: aTemplate()}},
		Members: []MiddlewareMember{
			{Pod: "redis-2", Node: "node-1", UID: ParseUID("redis-2"), Created: 999, Leaving: true, Workload: ref, Template: aTemplate(), Address: Address{15: 2}},
			{Pod: "redis-1", Node: "node-1", UID: ParseUID("redis-1"), Created: 1000, Workload: ref, Template: aTemplate(), Address: Address{15: 1}},
		},
	}}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b Symbol) bool { return a == b }), cmp.Comparer(func(a, b Labels) bool { return a == b })); !known || diff != "" {
		t.Error(known, diff)
	}
	if diff := cmp.Diff([]string{"cache 1 workloads 0 members"}, asked); diff != "" {
		t.Error(diff)
	}
	if got, known := b.store.MiddlewareServices(func(*MiddlewareService) bool { return false }); !known || len(got) != 0 {
		t.Errorf("Services that nobody wants: %v, known %v", got, known)
	}
}

// A pod of a ReplicaSet says so, and what a Service selects without any workload's template is a member all the same.
func TestMiddlewareMembersWithoutTheirTemplate(t *testing.T) {
	b := newBench(DiscoveryReads().All()...)
	b.put(&Service{Meta: Meta{Namespace: Sym("shop"), Name: "primary", UID: ParseUID("primary")}, Selector: selectorOf("role", "primary")})
	b.put(deployment(b, 1, 1, func(w *Workload) { w.TemplateLabels = MakeLabels(map[string]string{"app": "web"}) }))
	b.put(pod("web-abc-1", func(p *Pod) { p.Labels = MakeLabels(map[string]string{"app": "web", "role": "primary"}) }))
	got, known := b.store.MiddlewareServices(everything)
	if !known || len(got) != 1 || len(got[0].Workloads) != 0 || len(got[0].Members) != 1 || !got[0].Members[0].Replica {
		t.Errorf("%+v, known %v", got, known)
	}
}

func TestMiddlewareServicesAreUnknown(t *testing.T) {
	b := newBench(DiscoveryReads().All()...)
	b.redis()
	for _, c := range []struct {
		what  string
		do    func()
		known bool
	}{
		{"all is observed", func() {}, true},
		{"a workload kind is forbidden", func() { b.store.Settle(Scope{Kind: DaemonSets}, Forbidden) }, true},
		{"pods are forbidden", func() { b.store.Settle(Scope{Kind: Pods}, Forbidden) }, false},
		{"pods are back", func() { b.store.Replace(Scope{Kind: Pods}, nil) }, true},
		{"Services are forbidden", func() { b.store.Settle(Scope{Kind: Services}, Forbidden) }, false},
	} {
		c.do()
		if _, known := b.store.MiddlewareServices(everything); known != c.known {
			t.Errorf("%s: known %v", c.what, known)
		}
	}
	fresh := NewStore(Options{})
	fresh.Expect(Scope{Kind: Services}, Scope{Kind: Pods}, Scope{Kind: StatefulSets})
	fresh.Replace(Scope{Kind: Services}, nil)
	fresh.Replace(Scope{Kind: Pods}, nil)
	if _, known := fresh.MiddlewareServices(everything); known {
		t.Error("known although StatefulSets are still to come")
	}
}

func TestServicesThatGoAreNotWanted(t *testing.T) {
	b := newBench(DiscoveryReads().All()...)
	b.redis()
	b.put(&Namespace{Meta{Name: "shop", UID: ParseUID("shop"), Deleted: 5}})
	if got, _ := b.store.MiddlewareServices(everything); len(got) != 0 {
		t.Errorf("of a namespace that is being deleted: %v", got)
	}
}

// The address of a pod takes the place that the order of the small fields leaves: 100,000 pods cost no more with discovery than without.
func TestAddressesCostNothing(t *testing.T) {
	if size := unsafe.Sizeof(Pod{}); size > 240 {
		t.Errorf("a Pod takes %d bytes, and allocations go up in steps: 240, 256", size)
	}
	if size := unsafe.Sizeof(Service{}); size > 192 {
		t.Errorf("a Service takes %d bytes, and allocations go up in steps: 192, 208", size)
	}
}
