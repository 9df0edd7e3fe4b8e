// SPDX-License-Identifier: Apache-2.0

package state

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"
)

// entity is the accumulator of one workload: its controller, its pods and what was counted of them.
type entity struct {
	ref         WorkloadRef
	controllers []*Workload // one; several ReplicaSets of one foreign controller; none for pods without a known one
	pods        []*Pod
	templates   []template // ReplicaSets or ControllerRevisions it owns
	lastScale   Time       // newest of its autoscalers

	summary    podSummary
	dirty      bool
	seenLabels []Labels // the label sets that selectors were last matched with

	damage       *damageTracker
	history      damageHistory
	lagSince     Time   // since when the status lags the spec
	rollingUntil Time   // how long missing replicas count to a rollout that the controller calls complete
	rolloutSeen  Time   // when a rollout was seen to begin; zero when it was under way already
	wanted       Symbol // the template a StatefulSet or DaemonSet wanted when it was last judged
	watched      bool   // judged at least once: what begins now was seen to begin

	restarts restartAccount
	starts   startAccount

	setup        *SetupView // the last one; nil while there is none
	setupStale   bool       // what it says of the workload or its pods may have changed
	setupExpires Time       // when time alone changes it
}

// template is one revision of a workload's pod template.
type template struct {
	uid     UID
	hash    Symbol // what its pods carry as their revision label
	created Time
	number  int64
}

func (e *entity) addPod(p *Pod) {
	p.entity, p.slot = e, len(e.pods)
	e.pods = append(e.pods, p)
	e.dirty, e.setupStale = true, true
}

func (e *entity) removePod(p *Pod) {
	last := len(e.pods) - 1
	e.pods[p.slot] = e.pods[last]
	e.pods[p.slot].slot = p.slot
	e.pods[last] = nil
	e.pods = e.pods[:last]
	p.entity = nil
	e.dirty, e.setupStale = true, true
}

func (e *entity) setController(w *Workload) {
	e.setupStale = true
	for i, old := range e.controllers {
		if old.UID == w.UID {
			e.controllers[i] = w
			return
		}
	}
	if w.Kind != ReplicaSets {
		// The same name under another UID is another object: nothing of the old one's past excuses or accuses it.
		if len(e.controllers) > 0 {
			e.history = damageHistory{}
		}
		e.controllers, e.damage, e.lagSince, e.rollingUntil, e.rolloutSeen, e.watched, e.wanted = nil, nil, 0, 0, 0, false, Symbol{}
	}
	e.controllers = append(e.controllers, w)
}

func (e *entity) removeController(uid UID) {
	e.setupStale = true
	e.controllers = slices.DeleteFunc(e.controllers, func(w *Workload) bool { return w.UID == uid })
	if len(e.controllers) == 0 {
		e.damage, e.history = nil, damageHistory{}
	}
}

func (e *entity) setTemplate(t template) {
	e.removeTemplate(t.uid)
	e.templates = append(e.templates, t)
}

func (e *entity) removeTemplate(uid UID) {
	e.templates = slices.DeleteFunc(e.templates, func(t template) bool { return t.uid == uid })
}

// idle reports whether nothing is left of the workload but what was counted.
func (e *entity) idle() bool {
	return len(e.controllers) == 0 && len(e.pods) == 0
}

// controller returns the workload object, the sum of them where a foreign controller has several ReplicaSets, and nil
// where there is none or it is being deleted.
func (e *entity) controller() *Workload {
	if len(e.controllers) == 0 || e.controllers[0].Deleted != 0 {
		return nil
	}
	if len(e.controllers) == 1 {
		return e.controllers[0]
	}
	sum := *e.controllers[0]
	for _, w := range e.controllers[1:] {
		for _, n := range []struct {
			sum *int32
			of  int32
		}{
			{&sum.Desired, w.Desired}, {&sum.Current, w.Current}, {&sum.Updated, w.Updated}, {&sum.Ready, w.Ready},
			{&sum.Available, w.Available},
		} {
			*n.sum = capped(int64(*n.sum) + int64(n.of))
		}
		sum.Created = min(sum.Created, w.Created)
		sum.HasStatus = sum.HasStatus && w.HasStatus
	}
	return &sum
}

// capped keeps a number of replicas that somebody made up within its type.
func capped(n int64) int32 { return int32(max(0, min(n, math.MaxInt32))) }

// judgement is what was decided of a workload at one moment.
type judgement struct {
	controller *Workload
	rollout    rollout
	available  int32
	ready      int32
	onReady    bool // desired and available below are those of ready nodes
	desired    int32
	counted    int32 // available replicas by which damage is judged
	line       int32 // below which it is damaged
	state      State
}

// judge brings the entity up to date: its summary, its rollout and its damage. It is called for every event of the
// controller, and before the entity is shown.
func (s *Store) judge(e *entity, now Time) judgement {
	w := e.controller()
	s.refresh(e, w, now)
	if w == nil {
		return judgement{}
	}
	j := judgement{controller: w, available: w.Available, ready: w.Ready, desired: w.Desired}
	podsKnown := s.observes(Pods)
	if podsKnown && s.statusStale() {
		j.available, j.ready = e.summary.availableOnReady, e.summary.ready
	}
	j.counted = j.available
	if w.Kind == DaemonSets && podsKnown && s.observes(Nodes) {
		j.onReady = true
		// A dead node whose taint the DaemonSet does not tolerate is no longer desired; its pod counts as misscheduled
		// then. One that is misscheduled on a ready node counts on both sides.
		j.desired = capped(int64(w.Desired) - int64(e.summary.notReadyNodes) + int64(w.Misscheduled))
		j.counted = min(e.summary.availableOnReady, max(j.desired, 0))
	}
	if !w.HasStatus || e.damage == nil && !s.settled.Has(Pods) {
		return j // pods tell, too, where the baseline begins
	}
	watched := e.watched
	j.rollout = e.rolloutOf(w, j.desired, j.counted, now, s.grace())
	in := damageInput{
		desired: j.desired, available: j.counted, rollout: j.rollout, daemons: w.Kind == DaemonSets,
		unborn: w.Kind == Deployments && w.Paused && !w.RolledOut && w.Current == 0, held: e.summary.held(j.desired),
	}
	if e.damage == nil {
		e.damage = newDamageTracker(in, max(w.Created, e.lastScale), now, s.grace())
	} else {
		e.damage.observe(in, now)
	}
	j.line, j.state = e.damage.judge(now, j.current())
	s.noteDamage(e, j, watched, now)
	return j
}

// current is what is compared with desired to tell scaling from healthy; daemons on dead nodes are neither.
func (j *judgement) current() int32 {
	if j.onReady {
		return j.desired
	}
	return j.controller.Current
}

// refresh makes the summary anew if a pod, a node or time has changed it.
func (s *Store) refresh(e *entity, w *Workload, now Time) {
	if !e.dirty && e.summary.expires > now {
		return
	}
	var minReady time.Duration
	if w != nil {
		minReady = w.MinReady
	}
	s.summarizer.nodes = nil
	if s.observes(Nodes) {
		s.summarizer.nodes = s.nodesByName
	}
	s.summarizer.minReady, s.summarizer.now = minReady, now
	s.summarizer.summarize(e)
	e.dirty = false
	if e.labelsChanged() {
		s.matches.stale = true
	}
}

// labelsChanged reports whether live pods carry other label sets than at the last call.
func (e *entity) labelsChanged() bool {
	if slices.Equal(e.summary.labels, e.seenLabels) {
		return false
	}
	e.seenLabels = append(e.seenLabels[:0], e.summary.labels...)
	return true
}

func compareRefs(a, b WorkloadRef) int {
	return cmp.Or(
		strings.Compare(a.Namespace.String(), b.Namespace.String()),
		strings.Compare(a.Type.String(), b.Type.String()),
		strings.Compare(a.Name.String(), b.Name.String()),
	)
}
