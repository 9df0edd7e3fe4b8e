// SPDX-License-Identifier: Apache-2.0

package state

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func gated(p *Pod) {
	p.Phase, p.Ready, p.Scheduled, p.Node, p.Containers = PhasePending, False, False, Symbol{}, nil
	p.ScheduledReason = Sym("SchedulingGated")
}

// pods puts the pods number from to to-1.
func (b *bench) pods(from, to int, edit func(*Pod)) {
	for i := from; i < to; i++ {
		b.put(pod(fmt.Sprintf("web-abc-%d", i), edit))
	}
}

// Pods that are held back on purpose are not expected to come, but excuse no loss of what had been there.
var heldCases = []damageCase{
	{name: "scaled up, and what came is held back for an hour", kinds: []Kind{Pods}, play: func(b *bench) {
		b.put(deployment(b, 3, 3, nil))
		b.pods(0, 3, nil)
		b.put(deployment(b, 6, 3, nil))
		b.pods(3, 6, gated)
		b.store.Snapshot()
		b.now += 60 * minute
	}, want: Scaling, line: 3},
	{name: "one is lost meanwhile", kinds: []Kind{Pods}, play: func(b *bench) {
		b.put(deployment(b, 3, 3, nil))
		b.pods(0, 3, nil)
		b.put(deployment(b, 6, 3, nil))
		b.pods(3, 6, gated)
		b.store.Snapshot()
		b.now += 60 * minute
		b.pods(0, 1, waiting("CrashLoopBackOff"))
		b.put(deployment(b, 6, 2, nil))
	}, want: Degraded, line: 3},
	{name: "the successor of a lost pod is held back", kinds: []Kind{Pods}, play: func(b *bench) {
		b.put(deployment(b, 3, 3, nil))
		b.pods(0, 3, nil)
		b.store.Snapshot()
		b.pods(0, 1, gated)
		b.put(deployment(b, 3, 2, nil))
		b.now += 60 * minute
	}, want: Degraded, line: 3},
	{name: "all are lost and their successors held back", kinds: []Kind{Pods}, play: func(b *bench) {
		b.put(deployment(b, 3, 3, nil))
		b.pods(0, 3, nil)
		b.store.Snapshot()
		b.pods(0, 3, gated)
		b.put(deployment(b, 3, 0, nil))
	}, want: Down, line: 3},
	{name: "released, they have a grace to start", kinds: []Kind{Pods}, play: func(b *bench) {
		b.put(deployment(b, 3, 3, nil))
		b.pods(0, 3, nil)
		b.put(deployment(b, 6, 3, nil))
		b.pods(3, 6, gated)
		b.store.Snapshot()
		b.now += 60 * minute
		b.pods(3, 6, waiting("ContainerCreating"))
		b.store.Snapshot()
		b.now += 9 * minute
	}, want: Scaling, line: 3},
	{name: "released, they never start", kinds: []Kind{Pods}, play: func(b *bench) {
		b.put(deployment(b, 3, 3, nil))
		b.pods(0, 3, nil)
		b.put(deployment(b, 6, 3, nil))
		b.pods(3, 6, gated)
		b.store.Snapshot()
		b.now += 60 * minute
		b.pods(3, 6, waiting("ContainerCreating"))
		b.store.Snapshot()
		b.now += 11 * minute
	}, want: Degraded, line: 6},
	{name: "the surge of a rollout is held back and one of the old is lost", play: func(b *bench) {
		b.start(deployment(b, 4, 2, both(rollingSince(b.now), func(w *Workload) { w.Current = 5 })),
			pod("a", nil), pod("b", nil), pod("c", waiting("CrashLoopBackOff")), pod("d", waiting("CrashLoopBackOff")), pod("e", gated))
	}, want: Degraded, line: 3},
	{name: "at the start: all are held back", play: func(b *bench) {
		b.start(deployment(b, 2, 0, nil), pod("a", gated), pod("b", gated))
	}, want: Scaling},
	{name: "at the start: pods come later, and one of them is held back", play: func(b *bench) {
		b.store.Expect(Scope{Kind: Pods})
		b.store.Replace(Scope{Kind: Deployments}, []Object{deployment(b, 2, 1, nil)})
		b.store.Snapshot()
		b.now += 20
		b.store.Replace(Scope{Kind: Pods}, []Object{pod("a", nil), pod("b", gated)})
	}, want: Scaling, line: 1},
	{name: "at the start: one is held back, one is lost", play: func(b *bench) {
		b.start(deployment(b, 3, 1, nil), pod("a", nil), pod("b", gated), pod("c", waiting("CrashLoopBackOff")))
	}, want: Degraded, line: 2},
}

func TestHeldBack(t *testing.T) {
	for _, c := range heldCases {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(append([]Kind{Deployments}, c.kinds...)...)
			c.play(b)
			if v := b.workload(t); v.State != c.want || v.MinAvailable != c.line {
				t.Errorf("%s, line %d; want %s, line %d", v.State, v.MinAvailable, c.want, c.line)
			}
		})
	}
}

// However the line is drawn, the causes tell of every missing replica.
func TestHeldBackIsACause(t *testing.T) {
	b := newBench(Deployments, Pods)
	b.put(deployment(b, 3, 2, nil))
	b.pods(0, 2, nil)
	b.pods(2, 3, gated)
	if diff := cmp.Diff([]Count{{"scheduling_gated", 1}}, b.workload(t).Causes); diff != "" {
		t.Error(diff)
	}
}
