// SPDX-License-Identifier: Apache-2.0

package state

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// restarted sets the count of the pod's container, its last end and its reason.
func restarted(n int32, finished Time, reason string) func(*Pod) {
	return func(p *Pod) {
		p.Containers[0].Restarts = n
		p.Containers[0].Last = Termination{Reason: Sym(reason), ExitCode: 1, Finished: finished}
	}
}

// restartsOf returns the counter of the container app and the deltas of the workload.
func (b *bench) restartsOf(t testing.TB, workload string) (uint64, [3]uint64) {
	t.Helper()
	for _, v := range b.store.Snapshot().Restarts {
		if v.Ref.Name.String() == workload {
			if len(v.Containers) != 1 {
				t.Fatalf("%d containers, want 1: %+v", len(v.Containers), v.Containers)
			}
			return v.Containers[0].Restarts, v.Deltas
		}
	}
	t.Fatalf("no restarts of %q", workload)
	return 0, [3]uint64{}
}

type figures struct {
	Counter uint64
	Deltas  [3]uint64 // 15m, 1h, 24h
}

type restartCase struct {
	name string
	play func(b *bench)
	want figures
}

var restartCases = []restartCase{
	{"a live pod's old restarts do not count at the start", func(b *bench) {
		b.begin(pod("a", restarted(57, b.now-3*3600, "Error")))
	}, figures{0, [3]uint64{0, 0, 1}}},
	{"what the API proves at the start", func(b *bench) {
		b.begin(pod("a", both2(restarted(5, b.now-2*minute, "Error"), func(p *Pod) { p.Created = b.now - 30*minute })))
	}, figures{0, [3]uint64{1, 5, 5}}},
	{"proof grows old", func(b *bench) {
		b.begin(pod("a", both2(restarted(5, b.now-2*minute, "Error"), func(p *Pod) { p.Created = b.now - 30*minute })))
		b.now += 40 * minute
	}, figures{0, [3]uint64{0, 1, 5}}},
	{"a pod replaced", func(b *bench) {
		b.begin(pod("a", restarted(4, b.now-86399, "Error")))
		b.store.Delete(Scope{Kind: Pods}, pod("a", restarted(4, b.now-86399, "Error")))
		b.put(pod("b", restarted(0, 0, "")))
		b.put(pod("b", restarted(1, b.now, "Error")))
	}, figures{1, [3]uint64{1, 1, 2}}},
	{"a pod born under watch with restarts", func(b *bench) {
		b.begin()
		b.now += minute
		b.put(pod("a", both2(restarted(3, b.now, "Error"), func(p *Pod) { p.Created = b.now - 30 })))
	}, figures{3, [3]uint64{3, 3, 3}}},
	{"the count was reset by a lost node", func(b *bench) {
		b.begin(pod("a", restarted(5, b.now-50*3600, "Error")))
		b.put(pod("a", restarted(0, 0, "")))
	}, figures{0, [3]uint64{}}},
	{"reset, and restarted since", func(b *bench) {
		b.begin(pod("a", restarted(5, b.now-50*3600, "Error")))
		b.now += minute
		b.put(pod("a", restarted(2, b.now-5, "Error")))
	}, figures{2, [3]uint64{2, 2, 2}}},
	{"the last state before deletion counts", func(b *bench) {
		b.begin(pod("a", nil), pod("b", nil))
		b.store.Delete(Scope{Kind: Pods}, pod("a", restarted(2, b.now, "Error")))
	}, figures{2, [3]uint64{2, 2, 2}}},
	{"a relist finds restarts and a pod of the gap", func(b *bench) {
		b.begin(pod("a", restarted(1, b.now-50*3600, "Error")))
		b.now += 10 * minute
		b.store.Replace(Scope{Kind: Pods}, []Object{
			pod("a", restarted(3, b.now-5*minute, "Error")), pod("b", both2(restarted(2, b.now-minute, "Error"), func(p *Pod) { p.Created = b.now - 8*minute })),
		})
	}, figures{4, [3]uint64{4, 4, 4}}},
	{"nothing counts twice", func(b *bench) {
		b.begin(pod("a", nil))
		for range 3 {
			b.put(pod("a", restarted(1, b.now, "Error")))
			b.store.Replace(Scope{Kind: Pods}, []Object{pod("a", restarted(1, b.now, "Error"))})
		}
	}, figures{1, [3]uint64{1, 1, 1}}},
	{"granted again, nothing jumps", func(b *bench) {
		b.begin(pod("a", restarted(1, b.now-50*3600, "Error")))
		b.store.Settle(Scope{Kind: Pods}, Forbidden)
		b.store.Replace(Scope{Kind: Pods}, []Object{pod("a", restarted(9, b.now-30*3600, "Error"))})
	}, figures{0, [3]uint64{}}},
	{"granted again, nothing is in a window twice", func(b *bench) {
		b.begin(pod("a", func(p *Pod) { p.Created = b.now - 5*minute }))
		again := both2(restarted(3, b.now, "Error"), func(p *Pod) { p.Created = b.now - 5*minute })
		b.put(pod("a", again))
		b.store.Settle(Scope{Kind: Pods}, Forbidden)
		b.store.Replace(Scope{Kind: Pods}, []Object{pod("a", again)})
	}, figures{3, [3]uint64{3, 3, 3}}},
	{"the count fell and nothing ended since", func(b *bench) {
		b.begin(pod("a", restarted(5, b.now-50*3600, "Error")))
		b.put(pod("a", restarted(2, b.now-50*3600, "Error")))
	}, figures{0, [3]uint64{}}},
	{"a restart leaves the windows", func(b *bench) {
		b.begin(pod("a", nil))
		b.put(pod("a", restarted(1, b.now, "Error")))
		b.now += 24*3600 + 1
	}, figures{1, [3]uint64{}}},
}

func TestRestarts(t *testing.T) {
	for _, test := range restartCases {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(Deployments, ReplicaSets)
			test.play(b)
			var got figures
			got.Counter, got.Deltas = b.restartsOf(t, "web")
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// begin is the first list of pods.
func (b *bench) begin(pods ...*Pod) {
	b.store.Expect(Scope{Kind: Pods})
	var objects []Object
	for _, p := range pods {
		objects = append(objects, p)
	}
	b.store.Replace(Scope{Kind: Pods}, objects)
}

// Restarts that happen faster than a log of exact moments can hold stay right in every window.
func TestManyRestartsStayCounted(t *testing.T) {
	b := newBench(Deployments)
	b.begin(pod("a", nil))
	start := b.now
	for i := range int32(5000) {
		b.now += 20
		b.put(pod("a", restarted(i+1, b.now, "OOMKilled")))
	}
	b.now = start + 5000*20
	counter, deltas := b.restartsOf(t, "web")
	if counter != 5000 {
		t.Errorf("counter %d, want 5000", counter)
	}
	for i, want := range []uint64{15 * 3, 60 * 3, 24 * 60 * 3} {
		if off := int64(deltas[i]) - int64(want); off < -1-int64(i)*15 || off > 1+int64(i)*45 {
			t.Errorf("window %s: %d, want about %d", RestartWindows[i], deltas[i], want)
		}
	}
	if n := len(b.store.entities[WorkloadRef{Sym("shop"), Sym("web"), Sym(TypeDeployment)}].restarts.log); n > 2*exactEntries+1 {
		t.Errorf("the log has %d entries", n)
	}
}

func TestTerminationReasons(t *testing.T) {
	tests := []struct {
		reason string
		code   int32
		want   string
	}{
		{"OOMKilled", 137, "OOMKilled"}, {"OOMKilled", 143, "SIGTERM"}, {"Error", 143, "SIGTERM"}, {"Error", 137, "SIGKILL"},
		{"Error", 139, "SIGSEGV"}, {"Error", 134, "SIGABRT"}, {"Error", 1, "Error"}, {"Completed", 0, "Completed"},
		{"StartError", 128, "StartError"}, {"ContainerCannotRun", 127, "StartError"}, {"Error", 126, "StartError"},
		{"ContainerStatusUnknown", 137, "Unknown"}, {"", 7, "Error"},
	}
	for _, test := range tests {
		if got := TerminationReason(Termination{Reason: Sym(test.reason), ExitCode: test.code}); got != test.want {
			t.Errorf("%s with code %d: %s, want %s", test.reason, test.code, got, test.want)
		}
	}
}

// A state file lets a new process go on counting where the old one stopped: 3 restarts before, 2 in the gap.
func TestStateFileCountsTheGap(t *testing.T) {
	b := newBench(Deployments)
	b.begin(pod("a", nil), pod("quiet", nil))
	b.put(pod("a", restarted(3, b.now, "Error")))
	data, err := b.store.Export()
	if err != nil {
		t.Fatal(err)
	}
	next := newBench(Deployments)
	next.now = b.now + 5*minute
	if err := next.store.Import(data); err != nil {
		t.Fatal(err)
	}
	next.begin(pod("a", restarted(4, next.now-minute, "Error")), pod("quiet", restarted(1, next.now-minute, "OOMKilled")))
	counter, deltas := next.restartsOf(t, "web")
	if counter != 5 || deltas != [3]uint64{5, 5, 5} {
		t.Errorf("counter %d, deltas %v; want 5 everywhere", counter, deltas)
	}
	next.put(pod("a", restarted(5, next.now, "Error")))
	if counter, _ = next.restartsOf(t, "web"); counter != 6 {
		t.Errorf("counter %d after one more, want 6", counter)
	}
}

func TestRestartsSinceTheInspection(t *testing.T) {
	b := newBench(Deployments)
	b.begin(pod("a", nil))
	b.put(pod("a", restarted(3, b.now, "Error")))
	b.store.MarkInspected()
	marked := b.now
	b.now += minute
	b.put(pod("a", restarted(5, b.now, "Error")))
	data, err := b.store.Export()
	if err != nil {
		t.Fatal(err)
	}
	next := newBench(Deployments)
	if err := next.store.Import(data); err != nil {
		t.Fatal(err)
	}
	next.begin(pod("a", restarted(6, next.now, "Error")))
	for i, store := range []*Store{b.store, next.store} {
		s := store.Snapshot()
		if want := uint64(2 + i); s.Inspected != marked || s.Restarts[0].SinceInspection != want {
			t.Errorf("%d restarts since %d, want %d since %d", s.Restarts[0].SinceInspection, s.Inspected, want, marked)
		}
	}
}

// A source that lists anew may hand over the very objects that are held; nothing may come of it.
func TestHeldObjectsMayBeListedAgain(t *testing.T) {
	b := newBench(Deployments, ReplicaSets)
	p := pod("a", func(p *Pod) { p.Version = 7 })
	b.begin(p)
	b.put(deployment(b, 1, 1, nil))
	if b.store.Held(Pods, p.UID, 8) != nil || b.store.Held(Pods, p.UID, 0) != nil || b.store.Held(Pods, p.UID, 7) != Object(p) {
		t.Fatal("held must be what has the version, and only that")
	}
	b.store.Replace(Scope{Kind: Pods}, []Object{p})
	b.store.Delete(Scope{Kind: Pods}, pod("a", restarted(1, b.now, "Error")))
	if counter, _ := b.restartsOf(t, "web"); counter != 1 {
		t.Errorf("counter %d, want 1", counter)
	}
	if n := len(b.store.entities[WorkloadRef{Sym("shop"), Sym("web"), Sym(TypeDeployment)}].pods); n != 0 {
		t.Errorf("%d pods are left", n)
	}
}

// A save between the lists of two namespaces must not forget what is known of the second.
func TestSaveBetweenTwoNamespaces(t *testing.T) {
	inNamespace := func(name, namespace string, edit func(*Pod)) *Pod {
		return pod(name, both2(edit, func(p *Pod) { p.Namespace = Sym(namespace) }))
	}
	a, b := Scope{Pods, "a"}, Scope{Pods, "b"}
	first := newBench()
	first.store.Replace(a, nil)
	first.store.Replace(b, []Object{inNamespace("x", "b", restarted(7, 1, "Error"))})
	data, _ := first.store.Export()

	second := newBench()
	if err := second.store.Import(data); err != nil {
		t.Fatal(err)
	}
	second.store.Replace(a, nil)
	data, _ = second.store.Export()

	third := newBench()
	if err := third.store.Import(data); err != nil {
		t.Fatal(err)
	}
	third.store.Replace(b, []Object{inNamespace("x", "b", restarted(9, third.now, "Error"))})
	third.store.Replace(a, []Object{inNamespace("y", "a", restarted(1, third.now, "Error"))})
	got := map[string]uint64{}
	for _, v := range third.store.Snapshot().Restarts {
		got[v.Ref.Namespace.String()] = v.Containers[0].Restarts
	}
	if diff := cmp.Diff(map[string]uint64{"a": 1, "b": 2}, got); diff != "" {
		t.Error(diff)
	}
}

func TestStateOfAnotherFormIsRefused(t *testing.T) {
	for _, data := range []string{"", "{", `{"version":2}`, `{"version":1,"pods":[{"uid":"xyz"}]}`, `{"version":1,"pods":[{"uid":"00000000000000000000000000000000","containers":[{"type":9}]}]}`} {
		b := newBench(Deployments)
		if err := b.store.Import([]byte(data)); err == nil {
			t.Errorf("%q was taken", data)
		}
	}
}

func TestNothingIsSavedBeforePodsAreKnown(t *testing.T) {
	data, err := newBench(Deployments).store.Export()
	if data != nil || err != nil {
		t.Errorf("got %q, %v", data, err)
	}
}

// Pods of Jobs count under the CronJob; other Jobs and bare pods share one reference per namespace, in whatever order
// the objects come.
func TestJobsAndBarePods(t *testing.T) {
	owned := func(kind, name string) func(*Pod) {
		return func(p *Pod) { p.Owner = Owner{Kind: Sym(kind), Name: Sym(name), UID: ParseUID(name)} }
	}
	cronJob := &Job{Meta: Meta{Namespace: Sym("shop"), Name: "backup-1", UID: ParseUID("backup-1"),
		Owner: Owner{Kind: Sym("CronJob"), Name: Sym("backup"), UID: ParseUID("backup")}}}
	for _, podFirst := range []bool{true, false} {
		t.Run(fmt.Sprintf("pod first %v", podFirst), func(t *testing.T) {
			b := newBench()
			b.store.Expect(Scope{Kind: Jobs}, Scope{Kind: Pods})
			recent := restarted(2, b.now-minute, "Error")
			pods := []*Pod{
				pod("backup-1-x", both2(recent, owned("Job", "backup-1"))), pod("once-x", both2(recent, owned("Job", "once"))),
				pod("bare", func(p *Pod) { p.Owner = Owner{} }),
			}
			if podFirst {
				b.begin(pods...)
				b.store.Replace(Scope{Kind: Jobs}, []Object{cronJob})
			} else {
				b.store.Replace(Scope{Kind: Jobs}, []Object{cronJob})
				b.begin(pods...)
			}
			got := map[string]uint64{}
			for _, v := range b.store.Snapshot().Restarts {
				got[v.Ref.Type.String()+"/"+v.Ref.Name.String()] = v.Deltas[0]
			}
			if diff := cmp.Diff(map[string]uint64{"cronjob/backup": 1, "/": 1}, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDisruptionsCountOncePerPod(t *testing.T) {
	evicted := func(p *Pod) {
		p.Phase, p.Reason, p.Disruption = PhaseFailed, Sym("Evicted"), Sym("TerminationByKubelet")
	}
	b := newBench(Deployments)
	b.begin(pod("old", evicted), pod("a", nil))
	for range 3 {
		b.put(pod("a", evicted))
	}
	b.store.Delete(Scope{Kind: Pods}, pod("a", evicted))
	b.put(pod("b", func(p *Pod) { p.Disruption = Sym("EvictionByEvictionAPI") }))
	want := []Count64{{"Evicted", 1}, {"EvictionAPI", 1}}
	if diff := cmp.Diff(want, b.store.Snapshot().Restarts[0].Disruptions); diff != "" {
		t.Error(diff)
	}
}

func TestSeriesGoWithTheWorkload(t *testing.T) {
	b := newBench(Deployments, StatefulSets, DaemonSets, ReplicaSets)
	w := deployment(b, 1, 1, nil)
	b.put(w)
	b.begin(pod("a", nil))
	b.store.Delete(Scope{Kind: Deployments}, w)
	if n := len(b.store.Snapshot().Restarts); n != 1 {
		t.Fatalf("%d restart views while a pod is left, want 1", n)
	}
	b.store.Delete(Scope{Kind: Pods}, pod("a", nil))
	if s := b.store.Snapshot(); len(s.Restarts) != 0 || len(b.store.entities) != 0 {
		t.Errorf("something is left: %+v", s.Restarts)
	}
}

func TestLeaseGoesStaleByOurClock(t *testing.T) {
	lease := func(renewed int64) *Lease {
		return &Lease{Meta: Meta{Name: controllerManagerLease, UID: ParseUID("kcm")}, Renewed: time.Unix(renewed, 0), Duration: 15 * time.Second}
	}
	b := newBench(Deployments, Pods, Nodes, Leases)
	b.put(&Node{Meta: Meta{Name: "node-1", UID: ParseUID("n1")}, Ready: Sym("True")})
	b.put(deployment(b, 2, 2, nil))
	b.put(pod("a", nil))
	b.put(pod("b", waiting("CrashLoopBackOff")))
	b.put(lease(1)) // long ago by the holder's clock: that proves nothing
	if b.store.Snapshot().Leases[0].Stale || b.workload(t).Available != 2 {
		t.Fatal("stale at first sight")
	}
	b.now += 60
	if b.store.Snapshot().Leases[0].Stale {
		t.Fatal("stale although it could not be read meanwhile")
	}
	b.store.LeaseUnread(controllerManagerLease)
	b.put(lease(1))
	if b.store.Snapshot().Leases[0].Stale {
		t.Fatal("stale although nobody could renew it meanwhile")
	}
	b.now += 26
	b.put(lease(1))
	if !b.store.Snapshot().Leases[0].Stale {
		t.Fatal("not stale after a duration and a poll without renewal")
	}
	if v := b.workload(t); v.Available != 1 || v.State != Degraded {
		t.Errorf("available %d, %s: the pods' own conditions must count", v.Available, v.State)
	}
	b.put(lease(2))
	if b.store.Snapshot().Leases[0].Stale || b.workload(t).Available != 2 {
		t.Error("still stale after a renewal")
	}
}
