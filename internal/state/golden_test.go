// SPDX-License-Identifier: Apache-2.0

package state

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const minute = Time(60)

var quarter = IntOrPercent{25, true}

// deployment returns a complete Deployment created a day before the bench's beginning; edit changes it.
func deployment(b *bench, desired, available int32, edit func(*Workload)) *Workload {
	w := &Workload{
		Meta: Meta{Namespace: Sym("shop"), Name: "web", UID: ParseUID("web"), Created: b.now - 86400}, Kind: Deployments,
		HasStatus: true, Desired: desired, Current: desired, Updated: desired, Ready: available, Available: available,
		MaxUnavailable: quarter, MaxSurge: quarter, RolledOut: true, ProgressDeadline: 10 * time.Minute,
		Progressing: Condition{Sym("True"), Sym("NewReplicaSetAvailable"), b.now - 86000},
	}
	if edit != nil {
		edit(w)
	}
	return w
}

func rollingSince(at Time) func(*Workload) {
	return func(w *Workload) {
		w.Progressing = Condition{Sym("True"), Sym("ReplicaSetUpdated"), at}
		w.Updated = 1
	}
}

func both(edits ...func(*Workload)) func(*Workload) {
	return func(w *Workload) {
		for _, edit := range edits {
			edit(w)
		}
	}
}

// pod returns a pod of the workload web; edit changes it.
func pod(name string, edit func(*Pod)) *Pod {
	p := &Pod{
		Meta: Meta{Namespace: Sym("shop"), Name: name, UID: ParseUID(name), Created: 1_700_000_000 - 3*86400,
			Owner: Owner{Kind: Sym("ReplicaSet"), Name: Sym("web-abc"), UID: ParseUID("web-abc")}},
		Node: Sym("node-1"), Revision: Sym("abc"), Phase: PhaseRunning, Ready: True, ContainersReady: True, Initialized: True,
		Scheduled: True, Containers: []Container{{Name: Sym("app"), State: StateRunning, Ready: true, Started: true}},
	}
	if edit != nil {
		edit(p)
	}
	return p
}

func waiting(reason string) func(*Pod) {
	return func(p *Pod) {
		p.Ready, p.ContainersReady = False, False
		p.Containers[0].State, p.Containers[0].Ready, p.Containers[0].Reason = StateWaiting, false, Sym(reason)
	}
}

// A damageCase plays objects into a store, some seconds apart, and says what the workload is then.
type damageCase struct {
	name  string
	kinds []Kind
	play  func(b *bench)
	want  State
	line  int32
	stuck bool
}

func recreate(w *Workload) { w.Strategy = Recreate }

var damageCases = []damageCase{
	{name: "rollout start, one of four down", play: func(b *bench) {
		b.put(deployment(b, 4, 4, nil))
		b.put(deployment(b, 4, 3, both(rollingSince(b.now), func(w *Workload) { w.Current = 5 })))
	}, want: Rolling, line: 3},
	{name: "rollout, two of four down", play: func(b *bench) {
		b.put(deployment(b, 4, 4, nil))
		b.put(deployment(b, 4, 2, both(rollingSince(b.now), func(w *Workload) { w.Current = 5 })))
	}, want: Degraded, line: 3},
	{name: "ten desired, eight available, thirteen pods", play: func(b *bench) {
		b.put(deployment(b, 10, 10, nil))
		b.put(deployment(b, 10, 8, both(rollingSince(b.now), func(w *Workload) {
			w.Current, w.MaxUnavailable = 13, IntOrPercent{2, false}
		})))
	}, want: Rolling, line: 8},
	{name: "one percent of ten without surge", play: func(b *bench) {
		b.put(deployment(b, 10, 9, both(rollingSince(b.now), func(w *Workload) {
			w.MaxUnavailable, w.MaxSurge = IntOrPercent{1, true}, IntOrPercent{0, false}
		})))
	}, want: Rolling, line: 9},
	{name: "the only replica is gone", play: func(b *bench) {
		b.put(deployment(b, 1, 1, nil))
		b.put(deployment(b, 1, 0, nil))
	}, want: Down, line: 1},
	{name: "exporter starts in an outage", play: func(b *bench) { b.put(deployment(b, 3, 0, nil)) }, want: Down, line: 3},
	{name: "exporter starts in a partial outage", play: func(b *bench) { b.put(deployment(b, 3, 1, nil)) }, want: Degraded, line: 3},
	{name: "recreate for two minutes", play: func(b *bench) {
		b.put(deployment(b, 2, 2, recreate))
		b.put(deployment(b, 2, 0, both(recreate, rollingSince(b.now))))
		b.now += 2 * minute
	}, want: Rolling, line: 0},
	{name: "recreate for eleven minutes", play: func(b *bench) {
		b.put(deployment(b, 2, 2, recreate))
		b.put(deployment(b, 2, 0, both(recreate, rollingSince(b.now))))
		b.now += 11 * minute
	}, want: Down, line: 1, stuck: true},
	{name: "recreate past its deadline, and Kubernetes takes it for complete", play: func(b *bench) {
		impatient := both(recreate, func(w *Workload) { w.ProgressDeadline = 3 * time.Second })
		b.put(deployment(b, 2, 2, impatient))
		b.put(deployment(b, 2, 0, both(impatient, func(w *Workload) { w.Current, w.Updated = 2, 0 })))
		b.put(deployment(b, 2, 0, both(impatient, func(w *Workload) { w.Current, w.Updated = 0, 0 })))
		b.put(deployment(b, 2, 0, impatient))
		b.now += 34
	}, want: Down, line: 1, stuck: true},
	{name: "recreate within its deadline, and Kubernetes takes it for complete", play: func(b *bench) {
		b.put(deployment(b, 2, 2, recreate))
		b.put(deployment(b, 2, 0, both(recreate, func(w *Workload) { w.Current, w.Updated = 2, 0 })))
		b.put(deployment(b, 2, 0, recreate))
		b.now += 34
	}, want: Rolling, line: 0},
	{name: "recreate past its deadline", play: func(b *bench) {
		b.put(deployment(b, 2, 2, recreate))
		b.put(deployment(b, 2, 0, both(recreate, rollingSince(b.now), func(w *Workload) {
			w.Progressing = Condition{Sym("False"), Sym("ProgressDeadlineExceeded"), b.now}
		})))
	}, want: Down, line: 1, stuck: true},
	{name: "scaled to zero", play: func(b *bench) { b.put(deployment(b, 0, 0, nil)) }, want: ScaledToZero},
	{name: "autoscaler grows three to six", play: func(b *bench) {
		b.put(deployment(b, 3, 3, nil))
		b.put(deployment(b, 6, 3, nil))
	}, want: Scaling, line: 3},
	{name: "one lost while it grows", play: func(b *bench) {
		b.put(deployment(b, 3, 3, nil))
		b.put(deployment(b, 6, 2, nil))
	}, want: Degraded, line: 3},
	{name: "growth that never completes", play: func(b *bench) {
		b.put(deployment(b, 3, 3, nil))
		b.put(deployment(b, 6, 3, nil))
		b.now += 10*minute + 1
	}, want: Degraded, line: 6},
	{name: "scaled up in an outage", play: func(b *bench) {
		b.put(deployment(b, 10, 10, nil))
		b.put(deployment(b, 10, 4, nil))
		b.put(deployment(b, 20, 4, nil))
	}, want: Degraded, line: 10},
	{name: "scaled to zero and out again before the status told of it", play: func(b *bench) {
		b.put(deployment(b, 4, 4, nil))
		b.put(deployment(b, 0, 4, nil))
		b.put(deployment(b, 3, 4, nil))
		b.put(deployment(b, 3, 0, nil))
	}, want: Scaling},
	{name: "scaled in and out before the status told of it, then one more is lost", play: func(b *bench) {
		b.put(deployment(b, 4, 4, nil))
		b.put(deployment(b, 2, 4, nil))
		b.put(deployment(b, 3, 4, nil))
		b.put(deployment(b, 3, 1, nil))
	}, want: Degraded, line: 2},
	{name: "scaled in and out, and all that was available stayed", play: func(b *bench) {
		b.put(deployment(b, 4, 4, nil))
		b.put(deployment(b, 2, 4, nil))
		b.put(deployment(b, 4, 4, nil))
		b.now += minute
		b.store.Snapshot()
		b.put(deployment(b, 4, 3, nil))
	}, want: Degraded, line: 4},
	{name: "scaled down below what is left", play: func(b *bench) {
		b.put(deployment(b, 10, 10, nil))
		b.put(deployment(b, 4, 4, nil))
	}, want: Healthy, line: 4},
	{name: "new workload", play: func(b *bench) {
		b.put(deployment(b, 3, 0, func(w *Workload) { w.Created = b.now }))
	}, want: Scaling, line: 0},
	{name: "new workload that never starts", play: func(b *bench) {
		b.put(deployment(b, 3, 0, func(w *Workload) { w.Created = b.now }))
		b.now += 10*minute + 1
	}, want: Down, line: 3},
	{name: "exporter starts beside a growing workload", kinds: []Kind{HorizontalPodAutoscalers}, play: func(b *bench) {
		b.put(autoscaler(b.now - 2*minute))
		b.put(deployment(b, 6, 3, nil))
	}, want: Scaling, line: 3},
	{name: "the autoscaler is read after the workload", kinds: []Kind{HorizontalPodAutoscalers}, play: func(b *bench) {
		b.put(deployment(b, 6, 3, nil))
		b.put(autoscaler(b.now - 2*minute))
	}, want: Scaling, line: 3},
	{name: "a scaling long ago excuses nothing", kinds: []Kind{HorizontalPodAutoscalers}, play: func(b *bench) {
		b.put(autoscaler(b.now - 20*minute))
		b.put(deployment(b, 6, 3, nil))
	}, want: Degraded, line: 6},
	{name: "paused after its deadline", play: func(b *bench) {
		b.put(deployment(b, 4, 4, func(w *Workload) {
			w.Paused, w.Progressing = true, Condition{Sym("False"), Sym("ProgressDeadlineExceeded"), b.now}
		}))
	}, want: Rolling, line: 3},
	{name: "created paused", play: func(b *bench) {
		b.put(deployment(b, 3, 0, func(w *Workload) { w.Paused, w.RolledOut, w.Current, w.Updated = true, false, 0, 0 }))
		b.now += 20 * minute
	}, want: Scaling, line: 0},
	{name: "created paused, resumed a minute ago", play: func(b *bench) {
		b.put(deployment(b, 3, 0, func(w *Workload) { w.Paused, w.RolledOut, w.Current, w.Updated = true, false, 0, 0 }))
		b.now += 20 * minute
		b.put(deployment(b, 3, 0, rollingSince(b.now)))
		b.now += minute
	}, want: Rolling, line: 0},
	{name: "created paused, resumed in vain", play: func(b *bench) {
		b.put(deployment(b, 3, 0, func(w *Workload) { w.Paused, w.RolledOut, w.Current, w.Updated = true, false, 0, 0 }))
		b.put(deployment(b, 3, 0, rollingSince(b.now)))
		b.now += 11 * minute
	}, want: Down, line: 3, stuck: true},
	{name: "paused does not excuse lost pods", play: func(b *bench) {
		b.put(deployment(b, 4, 4, func(w *Workload) { w.Paused = true }))
		b.put(deployment(b, 4, 1, func(w *Workload) { w.Paused = true }))
	}, want: Degraded, line: 4},
	{name: "quota lets an existing workload make no pod", play: func(b *bench) {
		b.put(deployment(b, 3, 3, nil))
		b.put(deployment(b, 3, 0, both(rollingSince(b.now), func(w *Workload) {
			w.Current, w.Updated, w.ReplicaFailure = 0, 0, Condition{Status: Sym("True"), Reason: Sym("FailedCreate")}
		})))
	}, want: Down, line: 3, stuck: true},
	{name: "status lags for half a minute", play: func(b *bench) {
		b.put(deployment(b, 4, 4, nil))
		b.put(deployment(b, 4, 3, func(w *Workload) { w.Generation = 2; w.ObservedGeneration = 1 }))
		b.now += 30
	}, want: Rolling, line: 3},
	{name: "a status that lags hides nothing for longer than a minute", play: func(b *bench) {
		b.put(deployment(b, 4, 4, nil))
		b.put(deployment(b, 4, 3, func(w *Workload) { w.Generation = 2; w.ObservedGeneration = 1 }))
		b.store.Snapshot()
		b.now += 61
	}, want: Degraded, line: 4},
	{name: "partitioned StatefulSet", play: func(b *bench) {
		b.put(statefulSet(b, 5, 5, func(w *Workload) {
			w.Partition, w.Updated, w.UpdateRevision = 3, 2, Sym("web-2")
		}))
	}, want: Healthy, line: 5},
	{name: "StatefulSet replaces a pod", play: func(b *bench) {
		b.put(statefulSet(b, 3, 2, func(w *Workload) { w.Updated, w.UpdateRevision = 1, Sym("web-2") }))
	}, want: Rolling, line: 2},
	{name: "one-replica StatefulSet replaces its pod", play: func(b *bench) {
		b.put(statefulSet(b, 1, 1, nil))
		b.put(statefulSet(b, 1, 0, func(w *Workload) { w.Updated, w.UpdateRevision = 1, Sym("web-2") }))
	}, want: Rolling, line: 0},
	{name: "OnDelete is no rollout", play: func(b *bench) {
		b.put(statefulSet(b, 3, 2, func(w *Workload) {
			w.Strategy, w.Updated, w.UpdateRevision = OnDelete, 1, Sym("web-2")
		}))
	}, want: Degraded, line: 3},
}

func statefulSet(b *bench, desired, available int32, edit func(*Workload)) *Workload {
	w := deployment(b, desired, available, nil)
	w.Kind, w.Progressing, w.CurrentRevision, w.UpdateRevision = StatefulSets, Condition{}, Sym("web-1"), Sym("web-1")
	if edit != nil {
		edit(w)
	}
	return w
}

func autoscaler(scaled Time) *Autoscaler {
	return &Autoscaler{
		Meta:       Meta{Namespace: Sym("shop"), Name: "web", UID: ParseUID("hpa")},
		TargetKind: Sym(TypeDeployment), TargetName: Sym("web"), LastScale: scaled,
	}
}

func TestDamage(t *testing.T) {
	for _, c := range damageCases {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(append([]Kind{Deployments, StatefulSets}, c.kinds...)...)
			c.play(b)
			v := b.workload(t)
			if v.State != c.want || v.MinAvailable != c.line || v.Stuck != c.stuck {
				t.Errorf("%s, line %d, stuck %v; want %s, line %d, stuck %v", v.State, v.MinAvailable, v.Stuck, c.want, c.line, c.stuck)
			}
		})
	}
}

// An outage stays one while the desired number changes every 30 seconds for an hour.
func TestScalingNeverEndsAnOutage(t *testing.T) {
	b := newBench(Deployments)
	b.put(deployment(b, 10, 10, nil))
	for i := range int32(120) {
		b.now += 30
		b.put(deployment(b, 10+i%3, 4, nil))
		if v := b.workload(t); v.State != Degraded || v.MinAvailable < 10 {
			t.Fatalf("after %d changes: %s below %d", i+1, v.State, v.MinAvailable)
		}
	}
}

func TestCausesAddUp(t *testing.T) {
	unschedulable := func(p *Pod) {
		p.Phase, p.Ready, p.Scheduled, p.Node, p.Containers = PhasePending, False, False, Symbol{}, nil
		p.ScheduledReason, p.Blocker = Sym("Unschedulable"), Sym("cpu")
	}
	tests := []struct {
		name      string
		available int32
		pods      []func(*Pod)
		want      []Count
	}{
		{"all available", 4, []func(*Pod){nil, nil, nil, nil}, nil},
		{"one of each", 0, []func(*Pod){waiting("ImagePullBackOff"), waiting("CrashLoopBackOff"), waiting("CreateContainerConfigError"), unschedulable},
			[]Count{{"unschedulable", 1}, {"image_pull", 1}, {"config_error", 1}, {"crash_loop", 1}}},
		{"two were never created", 1, []func(*Pod){nil, waiting("ErrImagePull")}, []Count{{"not_created", 2}, {"image_pull", 1}}},
		{"surge pods do not count twice", 3, []func(*Pod){nil, nil, nil, waiting("CrashLoopBackOff"), waiting("CrashLoopBackOff")},
			[]Count{{"crash_loop", 1}}},
		{"the status is behind", 3, []func(*Pod){nil, nil, nil, nil}, []Count{{"unknown", 1}}},
		{"a pod that goes does not count", 3, []func(*Pod){nil, nil, nil, func(p *Pod) { p.Deleted = 1_700_000_100 }}, []Count{{"not_created", 1}}},
		{"on a dead node", 3, []func(*Pod){nil, nil, nil, both2(waiting("CrashLoopBackOff"), func(p *Pod) { p.Node = Sym("node-2") })},
			[]Count{{"node_not_ready", 1}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(Deployments, Pods, Nodes)
			b.put(&Node{Meta: Meta{Name: "node-1", UID: ParseUID("n1")}, Ready: Sym("True"), Zone: Sym("a")})
			b.put(&Node{Meta: Meta{Name: "node-2", UID: ParseUID("n2")}, Ready: Sym("Unknown"), Zone: Sym("b")})
			b.put(deployment(b, 4, test.available, nil))
			for i, edit := range test.pods {
				b.put(pod(fmt.Sprintf("web-abc-%d", i), edit))
			}
			if diff := cmp.Diff(test.want, b.workload(t).Causes); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func both2(edits ...func(*Pod)) func(*Pod) {
	return func(p *Pod) {
		for _, edit := range edits {
			edit(p)
		}
	}
}
