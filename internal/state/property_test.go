// SPDX-License-Identifier: Apache-2.0

package state

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// bench is a store with a clock of its own and one workload in it.
type bench struct {
	store *Store
	now   Time
}

func newBench(kinds ...Kind) *bench {
	b := &bench{now: 1_700_000_000}
	b.store = NewStore(Options{Clock: func() time.Time { return time.Unix(int64(b.now), 0) }})
	for _, k := range kinds {
		b.store.Expect(Scope{Kind: k})
		b.store.Replace(Scope{Kind: k}, nil)
	}
	return b
}

func (b *bench) put(obj Object) { b.store.Apply(Scope{Kind: obj.ObjectKind()}, obj) }

func (b *bench) workload(t testing.TB) WorkloadView {
	t.Helper()
	s := b.store.Snapshot()
	if len(s.Workloads) != 1 {
		t.Fatalf("%d workloads in the snapshot, want 1", len(s.Workloads))
	}
	return s.Workloads[0]
}

func damaged(s State) bool { return s == Degraded || s == Down }

// model is a controller that can be driven.
type model interface {
	rollOut()
	scale(int32)
	step(seconds int32)
	lose(left int32)
	object() *Workload
}

var modelStrategies = []struct{ unavailable, surge IntOrPercent }{
	{IntOrPercent{25, true}, IntOrPercent{25, true}},
	{IntOrPercent{0, false}, IntOrPercent{1, false}},
	{IntOrPercent{1, false}, IntOrPercent{0, false}},
	{IntOrPercent{1, true}, IntOrPercent{0, true}},
	{IntOrPercent{50, true}, IntOrPercent{0, false}},
	{IntOrPercent{2, false}, IntOrPercent{100, true}},
	{IntOrPercent{0, true}, IntOrPercent{30, true}},
}

func randomModel(rng *rand.Rand, now Time, desired int32) model {
	if rng.IntN(3) == 0 {
		return newModelStatefulSet(rng, now, desired, []int32{0, 0, 0, 2}[rng.IntN(4)])
	}
	s := modelStrategies[rng.IntN(len(modelStrategies))]
	return newModelDeployment(rng, now, desired, s.unavailable, s.surge)
}

// A workload that loses nothing is never damaged, whatever is done to it. The one exception is documented: scaling down
// in the middle of a rollout may leave it below the floor for a moment, since the controller takes away ready pods.
func TestWithoutLossNothingIsDamaged(t *testing.T) {
	for seed := range uint64(700) {
		rng := rand.New(rand.NewPCG(seed, 1))
		b := newBench(Deployments, StatefulSets)
		m := randomModel(rng, b.now, 1+rng.Int32N(12))
		b.put(m.object())
		excused := false
		for step := range 200 {
			action := driveHealthy(rng, m, b.workload(t), &excused)
			m.step(5)
			b.now += 5
			b.put(m.object())
			v := b.workload(t)
			if !v.Rolling && v.Available >= v.Desired {
				excused = false
			}
			if damaged(v.State) && !excused {
				t.Fatalf("seed %d step %d (%s): %s without a loss: desired %d available %d line %d rolling %v\n%+v",
					seed, step, action, v.State, v.Desired, v.Available, v.MinAvailable, v.Rolling, m.object())
			}
		}
	}
}

func driveHealthy(rng *rand.Rand, m model, v WorkloadView, excused *bool) string {
	switch rng.IntN(25) {
	case 0:
		m.rollOut()
		return "rollout"
	case 1, 2:
		desired := rng.Int32N(16)
		if desired < v.Desired && (v.Rolling || v.Available < v.Desired) {
			*excused = true
		}
		m.scale(desired)
		return fmt.Sprintf("scale to %d", desired)
	case 3:
		if d, ok := m.(*modelDeployment); ok {
			d.w.Paused = !d.w.Paused
			d.w.Generation++
			return "pause or resume"
		}
	}
	return "nothing"
}

// A loss of more than the floor allows is damage at once and for as long as it lasts, also while somebody (an
// autoscaler) changes the desired number every 30 seconds, during a rollout or not.
func TestLossBelowTheFloorIsAlwaysDamage(t *testing.T) {
	for seed := range uint64(700) {
		rng := rand.New(rand.NewPCG(seed, 2))
		b := newBench(Deployments, StatefulSets)
		desired := 4 + rng.Int32N(10)
		m := randomModel(rng, b.now, desired)
		b.put(m.object())
		pass := func(seconds int32) WorkloadView {
			m.step(seconds)
			b.now += Time(seconds)
			b.put(m.object())
			return b.workload(t)
		}
		if rng.IntN(2) == 0 {
			m.rollOut()
			for range rng.IntN(5) {
				pass(5)
			}
		}
		floor := floorOf(m.object())
		if floor < 1 {
			continue // the strategy allows to lose everything
		}
		m.lose(rng.Int32N(floor))
		for step := range 60 {
			if step%6 == 5 {
				m.scale(desired + rng.Int32N(2))
			}
			v := pass(5)
			if !damaged(v.State) {
				t.Fatalf("seed %d step %d: %s in spite of a loss: desired %d available %d line %d rolling %v, floor at the loss %d\n%+v",
					seed, step, v.State, v.Desired, v.Available, v.MinAvailable, v.Rolling, floor, m.object())
			}
		}
	}
}

func floorOf(w *Workload) int32 {
	if w.Kind == StatefulSets {
		return statefulSetFloor(w)
	}
	return deploymentFloor(w)
}
