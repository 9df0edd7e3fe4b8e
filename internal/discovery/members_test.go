// SPDX-License-Identifier: Apache-2.0

package discovery

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stability-exporter/internal/middleware"
	"stability-exporter/internal/state"
)

func TestMembers(t *testing.T) {
	cache := func() *picture { return service("cache", "redis:6379").app("redis") }
	set := func(desired int32) *picture {
		return cache().workload(state.TypeStatefulSet, "redis", desired, "redis")
	}
	last := func(edit func(*state.MiddlewareMember)) func(*picture) {
		return func(p *picture) { edit(&p.Members[len(p.Members)-1]) }
	}
	leaving := last(func(m *state.MiddlewareMember) { m.Leaving = true })
	unplaced := last(func(m *state.MiddlewareMember) { m.Node = "" })
	for _, c := range []struct {
		name string
		p    *picture
		want []string
	}{
		{"of a StatefulSet, one without an address and one missing", set(3).pod("redis-0", 1).pod("redis-2", 0), []string{
			"redis shop.cache/redis-0 10.0.0.1:6379", "redis shop.cache/redis-1 absent: there is no pod redis-1",
			"redis shop.cache/redis-2 absent: pod redis-2 has no address"}},
		{"the last one is gone", set(1), []string{"redis shop.cache/redis-0 absent: there is no pod redis-0"}},
		{"other ordinals", set(2).pod("redis-6", 1).with(func(p *picture) { p.Workloads[0].FirstOrdinal = 5 }), []string{
			"redis shop.cache/redis-5 absent: there is no pod redis-5", "redis shop.cache/redis-6 10.0.0.1:6379"}},
		{"one that is being replaced", set(1).pod("redis-0", 1).with(leaving), []string{"redis shop.cache/redis-0 10.0.0.1:6379"}},
		{"one that is scaled away", set(1).pod("redis-0", 1).pod("redis-1", 2).with(leaving), []string{"redis shop.cache/redis-0 10.0.0.1:6379"}},
		{"of a Deployment", cache().workload(state.TypeDeployment, "redis", 2, "redis").pod("redis-f-z", 1).pod("redis-f-a", 2), []string{
			"redis shop.cache/redis-0 10.0.0.1:6379", "redis shop.cache/redis-1 10.0.0.2:6379"}},
		{"of a Deployment that lacks one", cache().workload(state.TypeDeployment, "redis", 2, "redis").pod("redis-f-z", 1), []string{
			"redis shop.cache/redis-0 10.0.0.1:6379", "redis shop.cache/redis-1 absent: redis has 1 of 2 pods"}},
		{"of a Deployment without any", cache().workload(state.TypeDeployment, "redis", 1, "redis"), []string{
			"redis shop.cache/redis-0 absent: redis has 0 of 1 pods"}},
		{"of a Deployment, one goes", cache().workload(state.TypeDeployment, "redis", 1, "redis").pod("redis-f-z", 1).with(leaving).pod("redis-f-a", 2),
			[]string{"redis shop.cache/redis-0 10.0.0.2:6379"}},
		{"of a DaemonSet", cache().workload(state.TypeDaemonSet, "redis", 3, "redis").pod("a", 1).pod("b", 2).pod("c", 0).with(unplaced), []string{
			"redis shop.cache/node-a 10.0.0.1:6379", "redis shop.cache/node-b 10.0.0.2:6379"}},
		{"of an operator", cache().pod("pg-1", 1).pod("pg-2", 2).with(leaving), []string{"redis shop.cache/pg-1 10.0.0.1:6379"}},
		{"of a StatefulSet whose template is not selected", cache().pod("redis-1", 1).with(last(func(m *state.MiddlewareMember) {
			m.Workload = state.WorkloadRef{Name: state.Sym("redis"), Type: state.Sym(state.TypeStatefulSet)}
		})), []string{"redis shop.cache/redis-1 10.0.0.1:6379"}},
		{"version 6", set(1).pod("redis-0", 1).with(last(func(m *state.MiddlewareMember) { m.Address = state.Address{0: 0xfd, 15: 1} })), []string{
			"redis shop.cache/redis-0 [fd00::1]:6379"}},
	} {
		t.Run(c.name, func(t *testing.T) { expect(t, Discover(services(c.p), rules(), nil), c.want...) })
	}
}

func TestExpectedMembers(t *testing.T) {
	two := func() *picture { return redis().workload(state.TypeStatefulSet, "replicas", 3, "redis") }
	asked := template("redis")
	asked.Limits.ExpectedMembers = 7
	for _, c := range []struct {
		what  string
		p     *picture
		rules []Rule
		want  int
	}{
		{"what the workloads want together", two(), nil, 4},
		{"what the annotation says", two().with(func(p *picture) { p.Probing.ExpectedMembers = state.Sym("5") }), nil, 5},
		{"what the rule says", two(), []Rule{{Name: "redis", Template: asked}}, 7},
		{"nothing is known", service("cache", "redis:6379").app("redis").pod("pg-1", 1), nil, 0},
	} {
		for _, target := range Discover(services(c.p), rules(c.rules...), nil).Targets {
			if got := target.Limits.ExpectedMembers; got != c.want {
				t.Errorf("%s: %s expects %d members, want %d", c.what, target.Name, got, c.want)
			}
		}
	}
}

// The same pods stand behind several Services: they are asked once, and that is no conflict.
func TestNobodyIsAskedTwice(t *testing.T) {
	set := func(name string) *picture {
		return service(name, "redis:6379").app("redis").workload(state.TypeStatefulSet, "redis", 2, "redis").pod("redis-0", 1).pod("redis-1", 2)
	}
	primary := service("a-primary", "redis:6379").app("redis").pod("redis-0", 1) // by a label that only one pod has
	expect(t, Discover(services(primary, set("cache"), set("headless").headless()), rules(), nil),
		"redis shop.headless/redis-0 10.0.0.1:6379", "redis shop.headless/redis-1 10.0.0.2:6379")
	expect(t, Discover(services(primary, set("cache").probe("redis"), set("headless").headless()), rules(), nil),
		"redis shop.cache/redis-0 10.0.0.1:6379", "redis shop.cache/redis-1 10.0.0.2:6379")
	expect(t, Discover(services(primary, set("cache")), rules(), nil),
		"redis shop.cache/redis-0 10.0.0.1:6379", "redis shop.cache/redis-1 10.0.0.2:6379")
	t.Run("another port is another server", func(t *testing.T) {
		second := set("second")
		second.Ports[0].Target, second.Ports[0].Port = 6380, 6380
		if got := len(Discover(services(set("cache"), second), rules(), nil).Targets); got != 4 {
			t.Errorf("%d targets", got)
		}
	})
	t.Run("also when all pods are gone", func(t *testing.T) {
		a, b := set("cache"), set("headless").headless()
		a.Members, b.Members = nil, nil
		expect(t, Discover(services(a, b), rules(), nil),
			"redis shop.headless/redis-0 absent: there is no pod redis-0", "redis shop.headless/redis-1 absent: there is no pod redis-1")
	})
	t.Run("also through a Service for something else", func(t *testing.T) {
		metrics := set("metrics").headless()
		metrics.Ports[0] = state.ServicePort{Name: state.Sym("metrics"), Port: 9121, Target: 9121}
		expect(t, Discover(services(set("cache"), metrics), rules(), nil),
			"redis shop.cache/redis-0 10.0.0.1:6379", "redis shop.cache/redis-1 10.0.0.2:6379")
	})
	t.Run("what is refused covers nothing", func(t *testing.T) {
		expect(t, Discover(services(set("cache"), set("headless").probe("nonsense")), rules(), nil),
			"redis shop.cache/redis-0 10.0.0.1:6379", "redis shop.cache/redis-1 10.0.0.2:6379",
			`conflict shop/headless: its annotation stability-exporter/probe names no kind of middleware: "nonsense"`)
	})
}

// Pods of a Deployment are replaced at random, also several at a time and with a surge. A pod keeps its name as long as it lives, no two share
// one, and there are never more names than there were pods at a time.
func TestNamesStayFewAndMeanTheSame(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		const desired, surge = 4, 2
		var alive []string
		made, slots := 0, Slots(nil)
		before, all := map[string]string{}, map[string]bool{} // the name of each address; every name there was
		for range 100 {
			alive = slices.DeleteFunc(alive, func(string) bool { return rng.IntN(6) == 0 })
			for len(alive) < desired+rng.IntN(surge+1) {
				made++
				alive = append(alive, fmt.Sprintf("redis-%x-%d", rng.Uint32(), made))
			}
			r := Discover(services(deploymentOf(desired, alive)), rules(), slots)
			slots = r.Slots
			now := namesByPod(t, r.Targets)
			if len(now) != len(alive) {
				t.Fatalf("%d pods have %d names", len(alive), len(now))
			}
			for pod, name := range now {
				if all[name] = true; before[pod] != "" && before[pod] != name {
					t.Fatalf("pod %s was %s and is %s", pod, before[pod], name)
				}
			}
			before = now
		}
		if len(all) > desired+surge {
			t.Fatalf("%d names for at most %d pods at a time", len(all), desired+surge)
		}
	}
}

func deploymentOf(desired int32, pods []string) *picture {
	p := service("cache", "redis:6379").app("redis").workload(state.TypeDeployment, "redis", desired, "redis")
	for _, name := range pods {
		var n int
		fmt.Sscan(name[strings.LastIndexByte(name, '-')+1:], &n)
		p.pod(name, 1)
		last := &p.Members[len(p.Members)-1]
		last.Address[14], last.Address[15], last.Created = byte(n>>8), byte(n), state.Time(n)
	}
	return p
}

func namesByPod(t *testing.T, targets []*middleware.Target) map[string]string {
	names, taken := map[string]string{}, map[string]bool{}
	for _, target := range targets {
		if taken[target.Name] {
			t.Fatalf("two targets are called %s", target.Name)
		}
		taken[target.Name] = true
		names[target.Address] = target.Name
	}
	return names
}

// The order in which a store hands out what it has says nothing.
func TestOrderDoesNotMatter(t *testing.T) {
	all := []*picture{redis(), redis(), deploymentOf(3, []string{"a-1", "b-2"}), service("x", "tcp:1").probe("tcp").pod("x", 1)}
	for i, p := range all {
		p.Name = fmt.Sprintf("svc-%d", i)
	}
	want := told(Discover(services(all...), rules(), nil))
	for range 20 {
		rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		if diff := cmp.Diff(want, told(Discover(services(all...), rules(), nil))); diff != "" {
			t.Fatal(diff)
		}
	}
}
