// SPDX-License-Identifier: Apache-2.0

package state

import (
	"fmt"
	"testing"
)

// unready returns an edit that makes a pod not ready since a time.
func unready(since Time) func(*Pod) {
	return func(p *Pod) { p.Ready, p.ReadySince = False, since }
}

// start lists a whole cluster at once, as at the start of the exporter or from a dump.
func (b *bench) start(objects ...Object) {
	lists := map[Scope][]Object{}
	for _, k := range []Kind{Nodes, Deployments, DaemonSets, Pods} {
		b.store.Expect(Scope{Kind: k})
		lists[Scope{Kind: k}] = []Object{}
	}
	for _, o := range objects {
		scope := Scope{Kind: o.ObjectKind()}
		lists[scope] = append(lists[scope], o)
	}
	b.store.Load(lists)
}

// resume lets another process go on at the same time with a state file.
func (b *bench) resume(t *testing.T, data []byte) {
	t.Helper()
	b.store = NewStore(b.store.options)
	if err := b.store.Import(data); err != nil {
		t.Fatal(err)
	}
	for _, k := range []Kind{Services, EndpointSlices, Pods, Deployments} {
		b.store.Expect(Scope{Kind: k})
		b.store.Replace(Scope{Kind: k}, nil)
	}
}

// sinceCases say since when a workload is damaged, in seconds before the end; -1 says that it is not.
var sinceCases = []struct {
	name string
	play func(b *bench)
	want Time
}{
	{"healthy", func(b *bench) { b.start(deployment(b, 3, 3, nil)) }, -1},
	{"watched: when it began, not what pods say", func(b *bench) {
		b.start(deployment(b, 3, 3, nil), pod("a", unready(b.now-500)))
		b.now += 10
		b.put(deployment(b, 3, 2, nil))
		b.now += 90
	}, 90},
	{"from degraded to down is no break", func(b *bench) {
		b.start(deployment(b, 2, 2, nil))
		b.put(deployment(b, 2, 1, nil))
		b.now += 60
		b.put(deployment(b, 2, 0, nil))
		b.now += 30
	}, 90},
	{"a break begins anew", func(b *bench) {
		b.start(deployment(b, 2, 2, nil))
		b.put(deployment(b, 2, 1, nil))
		b.now += 60
		b.put(deployment(b, 2, 2, nil))
		b.put(deployment(b, 2, 1, nil))
		b.now += 30
	}, 30},
	{"another object of the name", func(b *bench) {
		b.start(deployment(b, 2, 2, nil))
		b.put(deployment(b, 2, 1, nil))
		b.now += 60
		b.put(deployment(b, 2, 1, func(w *Workload) { w.UID = ParseUID("another") }))
	}, 0},
	{"at the start: the oldest missing pod", func(b *bench) {
		b.start(deployment(b, 3, 1, nil), pod("a", nil), pod("b", unready(b.now-500)), pod("c", unready(b.now-300)))
	}, 500},
	{"at the start: what a rollout may take is no damage", func(b *bench) {
		b.start(deployment(b, 4, 2, both(rollingSince(b.now-900), func(w *Workload) { w.ProgressDeadline = 0 })),
			pod("a", nil), pod("b", nil), pod("c", unready(b.now-500)), pod("d", unready(b.now-300)))
	}, 300},
	{"at the start: a pod that was never ready is missing since it was made", func(b *bench) {
		b.start(deployment(b, 1, 0, nil), pod("a", func(p *Pod) { p.Ready, p.Created = Absent, b.now-700 }))
	}, 700},
	{"at the start: a new workload was not missed within its grace", func(b *bench) {
		b.start(deployment(b, 1, 0, func(w *Workload) { w.Created = b.now - 700 }), pod("a", unready(b.now-690)))
	}, 100},
	{"at the start: pods that cannot be made", func(b *bench) {
		b.start(deployment(b, 1, 0, func(w *Workload) {
			w.ReplicaFailure = Condition{Sym("True"), Sym("FailedCreate"), b.now - 800}
		}))
	}, 800},
	{"at the start: nothing tells", func(b *bench) {
		b.start(deployment(b, 2, 1, nil), pod("a", nil))
		b.now += 5
	}, 5},
	{"at the start: pods come later", func(b *bench) {
		b.store.Expect(Scope{Kind: Pods})
		b.store.Expect(Scope{Kind: Nodes})
		b.store.Replace(Scope{Kind: Nodes}, nil)
		b.store.Replace(Scope{Kind: Deployments}, []Object{deployment(b, 1, 0, nil)})
		b.store.Snapshot()
		b.now += 20
		b.store.Replace(Scope{Kind: Pods}, []Object{pod("a", unready(b.now-400))})
	}, 400},
	{"at the start: a daemon on a dead node is no damage", func(b *bench) {
		set := deployment(b, 2, 0, func(w *Workload) { w.Kind, w.Progressing = DaemonSets, Condition{} })
		daemon := func(name string, since Time) *Pod {
			return pod(name, both2(unready(since), func(p *Pod) {
				p.Owner, p.Node = Owner{Kind: Sym("DaemonSet"), Name: Sym("web"), UID: set.UID}, Sym(name)
			}))
		}
		b.start(set, node("n1", "a", "True", nil), node("n2", "a", "Unknown", nil), daemon("n1", b.now-200), daemon("n2", b.now-900))
	}, 200},
}

func TestDamagedSince(t *testing.T) {
	for _, test := range sinceCases {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(Deployments)
			test.play(b)
			got := Time(-1)
			if since := b.workload(t).DamagedSince; since != 0 {
				got = b.now - since
			}
			if got != test.want {
				t.Errorf("damaged for %d s, want %d", got, test.want)
			}
		})
	}
}

// A state file remembers since when, unless the API proves that there may have been a break while nobody watched.
func TestStateFileRemembersDamage(t *testing.T) {
	for _, test := range []struct {
		name      string
		away, pod Time // seconds until the next process starts, and for which the pod has been missing then
		available int32
		want      Time
	}{
		{"a restart, and a pod that crashes on", 60, 10, 0, 660},
		{"long away, and the pod proves that nothing changed", 7200, 7300, 0, 7800},
		{"long away, and nothing is proven", 7200, 10, 0, 10},
		{"mended meanwhile", 60, 0, 1, -1},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(Deployments)
			b.start(deployment(b, 1, 1, nil), pod("a", nil))
			b.put(deployment(b, 1, 0, nil))
			b.now += 600
			data, err := b.store.Export()
			if err != nil {
				t.Fatal(err)
			}
			next := newBench()
			next.now = b.now + test.away
			if err := next.store.Import(data); err != nil {
				t.Fatal(err)
			}
			again, err := next.store.Export()
			if err != nil || again != nil {
				t.Fatalf("saved %s before anything is known, and %v", again, err)
			}
			w := deployment(b, 1, test.available, nil)
			next.start(w, pod("a", unready(next.now-test.pod)))
			got := Time(-1)
			if since := next.workload(t).DamagedSince; since != 0 {
				got = next.now - since
			}
			if got != test.want {
				t.Errorf("damaged for %d s, want %d", got, test.want)
			}
		})
	}
}

func TestDamageWithinTheHour(t *testing.T) {
	for _, test := range []struct {
		name      string
		bad, good Time
		times     int
		begun     uint64
		share     string
	}{
		{"once for five minutes", 300, 0, 1, 1, "0.083"},
		{"every 30 seconds", 15, 15, 200, 120, "0.500"},
		{"every four minutes", 30, 210, 30, 15, "0.125"},
		{"all the time", 4000, 0, 1, 0, "1.000"},
		{"faster than is remembered", 1, 1, 2000, maxSpells, "0.036"},
	} {
		b := newBench(Deployments)
		b.start(deployment(b, 3, 3, nil))
		for range test.times {
			b.put(deployment(b, 3, 2, nil))
			b.now += test.bad
			b.put(deployment(b, 3, 3, nil))
			b.now += test.good
		}
		w := b.workload(t)
		if share := fmt.Sprintf("%.3f", w.DamagedShare); w.DamageDelta != test.begun || share != test.share {
			t.Errorf("%s: began %d times, for %s of the hour; want %d, %s", test.name, w.DamageDelta, share, test.begun, test.share)
		}
		if b.now += 3601; b.workload(t).DamageDelta != 0 || b.workload(t).DamagedShare != 0 {
			t.Errorf("%s: an hour later it is not forgotten: %+v", test.name, b.workload(t))
		}
	}
}

func TestLaggingStatus(t *testing.T) {
	b := newBench(Deployments)
	lag := func(w *Workload) { w.Generation, w.ObservedGeneration = 2, 1 }
	b.start(deployment(b, 2, 2, lag))
	for _, test := range []struct {
		after Time
		want  bool
	}{{0, false}, {60, false}, {1, true}} {
		if b.now += test.after; b.workload(t).Lagging != test.want {
			t.Errorf("%d s later: lagging %t, want %t", test.after, !test.want, test.want)
		}
	}
	b.put(deployment(b, 2, 2, func(w *Workload) { w.Generation, w.ObservedGeneration = 2, 2 }))
	if b.workload(t).Lagging {
		t.Error("a status that has caught up lags")
	}
}

// The oldest of the pods that wait counts, of those that have waited since different times.
func TestSinceOfPods(t *testing.T) {
	b := newBench(Deployments)
	pull, waits, ends := waiting("ImagePullBackOff"), func(p *Pod) {
		p.Node, p.Scheduled, p.ScheduledReason, p.Blocker, p.Ready = Symbol{}, False, Sym("Unschedulable"), Sym("cpu"), Absent
	}, func(p *Pod) { p.Deleted = b.now - 20 }
	b.start(deployment(b, 7, 0, nil),
		pod("a", both2(pull, unready(b.now-50))), pod("b", both2(pull, unready(b.now-70))),
		pod("c", both2(waits, func(p *Pod) { p.ScheduledSince = b.now - 40 })), pod("d", both2(waits, func(p *Pod) { p.Created = b.now - 30 })),
		pod("e", ends), pod("f", func(p *Pod) { p.Deleted = b.now - 10 }), pod("g", func(p *Pod) { p.Deleted = b.now + 10 }))
	w := b.workload(t)
	got := [...]Time{b.now - w.ImagePullSince, b.now - w.UnschedulableSince, b.now - w.OverdueSince}
	if want := [...]Time{70, 40, 20}; got != want {
		t.Errorf("images, nodes, ends missing since %v s, want %v", got, want)
	}
}

func TestCrashesOfNodes(t *testing.T) {
	b := newBench(Nodes)
	boot := func(id string, cordoned bool) {
		b.put(node("n", "a", "True", func(n *Node) { n.BootID, n.Cordoned = Sym(id), cordoned }))
	}
	boot("1", false)
	boot("2", false)
	boot("2", true)
	b.now += 60
	boot("3", true) // planned: it was cordoned first
	last := b.now
	boot("3", false)
	if n := b.store.Snapshot().Nodes[0]; n.Reboots != 2 || n.Crashes != 1 || n.LastReboot != last {
		t.Errorf("%d reboots, %d of them crashes, last at %d; want 2, 1, %d", n.Reboots, n.Crashes, n.LastReboot, last)
	}
	b.now += 3600
	if n := b.store.Snapshot().Nodes[0]; n.Reboots != 2 || n.Crashes != 0 {
		t.Errorf("an hour later: %d reboots, %d crashes; want 2, 0", n.Reboots, n.Crashes)
	}
}

// emptyCases say for how long a Service has had no endpoint.
var emptyCases = []struct {
	name string
	play func(t *testing.T, b *bench)
	want Time
}{
	{"watched", func(t *testing.T, b *bench) {
		b.service(1, 2)
		b.store.Snapshot()
		b.put(pod("a", both2(labelled, unready(b.now-500))))
		b.now += 10
		b.service(1, 0)
		b.now += 5
		b.service(1, 0)
		b.now += 60
	}, 65},
	{"between two looks", func(t *testing.T, b *bench) {
		b.service(1, 0)
		b.now += 10
		b.service(1, 1)
		b.now += 10
		b.service(1, 0)
		b.now += 7
	}, 7},
	{"at the start, by its pods", func(t *testing.T, b *bench) {
		b.put(pod("a", both2(labelled, unready(b.now-500))))
		b.put(pod("b", both2(labelled, unready(b.now-300))))
		b.service(1, 0)
	}, 300},
	{"at the start, without pods", func(t *testing.T, b *bench) {
		b.service(1, 0)
		b.now += 3
	}, 3},
	{"another object of the name", func(t *testing.T, b *bench) {
		b.service(1, 0)
		b.now += 10
		b.store.Delete(Scope{Kind: Services}, &Service{Meta: Meta{Namespace: Sym("shop"), Name: "web", UID: ParseUID("svc")}})
		b.service(b.now, 0)
	}, 0},
	{"the exporter restarts", func(t *testing.T, b *bench) {
		b.service(1, 0)
		b.now += 200
		data, err := b.store.Export()
		if err != nil {
			t.Fatal(err)
		}
		b.now += 100
		b.resume(t, data)
		b.service(1, 0)
	}, 300},
}

func TestServiceEmptySince(t *testing.T) {
	for _, test := range emptyCases {
		b := newBench(Services, EndpointSlices, Pods, Deployments)
		test.play(t, b)
		v := b.store.Snapshot().Services[0]
		if got := b.now - v.EmptySince; v.EmptySince == 0 || got != test.want {
			t.Errorf("%s: no endpoint for %d s, want %d", test.name, got, test.want)
		}
		b.service(1, 1)
		if since := b.store.Snapshot().Services[0].EmptySince; since != 0 {
			t.Errorf("%s: it serves, and has no endpoint since %d", test.name, since)
		}
	}
}
