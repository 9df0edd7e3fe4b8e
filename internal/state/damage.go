// SPDX-License-Identifier: Apache-2.0

package state

import "time"

// damageInput is what the damage rule needs to know of a workload at one moment.
type damageInput struct {
	desired   int32
	available int32
	rollout   rollout
	unborn    bool  // a Deployment created paused: no pod was ever asked for
	daemons   bool  // desired follows the nodes: what falls away with one may well have been available
	held      int32 // of desired: pods that somebody keeps from being scheduled (scheduling gates)
}

// expected is the number of replicas that may be expected to come: what is held back waits for somebody's leave.
func (in *damageInput) expected() int32 { return max(0, in.desired-in.held) }

// damageTracker holds the baseline of one workload: how many available replicas may be expected although the desired
// number has changed lately. It is advanced by every event, so that no change between two scrapes is lost.
type damageTracker struct {
	grace    time.Duration
	baseline int32
	last     damageInput
	changes  []desiredChange // of what is expected, rising, oldest first; the first holds since a grace ago or longer
	fresh    bool            // the baseline is still the one of the start, and may be lowered by an autoscaler's word
	since    Time            // when the tracker began

	// floorBefore held until desired last changed; what the controller had begun under it may still come within a minute.
	floorBefore int32
	changed     Time

	// remain is how many of the available replicas stay after scaling in, from leaving on until the status says so too (or
	// could have said so for long): those on their way out are none that a later scaling out can count on.
	remain  int32
	leaving Time
}

type desiredChange struct {
	at      Time
	desired int32
}

// newDamageTracker starts at now. freshSince is the creation of the workload or the last scaling by its autoscaler, and
// zero or longer ago than a grace when neither excuses missing replicas: then an outage that is under way is told at once.
func newDamageTracker(in damageInput, freshSince, now Time, grace time.Duration) *damageTracker {
	t := &damageTracker{grace: grace, last: in, fresh: true, since: now}
	t.start(in, freshSince, now)
	return t
}

func (t *damageTracker) start(in damageInput, freshSince, now Time) {
	if freshSince.Within(t.grace, now) {
		t.baseline = min(in.available, in.desired)
		t.changes = []desiredChange{{at: 0, desired: 0}}
		t.change(min(freshSince, now), in.expected())
		return
	}
	t.baseline = in.expected()
	t.changes = []desiredChange{{at: 0, desired: in.expected()}}
}

// excuse lowers a baseline that is still the one of the start: the autoscaler's object arrived after the workload's.
func (t *damageTracker) excuse(scaled Time) {
	if t.fresh && scaled.Within(t.grace, t.since) {
		t.start(t.last, scaled, t.since)
	}
}

// observe takes the workload's figures at now. A change of desired never redraws the baseline above the line that was
// in force, and never below what an outage had left to lose.
func (t *damageTracker) observe(in damageInput, now Time) {
	if t.last.unborn && !in.unborn {
		t.baseline = 0 // it is asked for its first pods now
		t.change(now, 0)
		t.change(now, in.expected())
	}
	if in.desired != t.last.desired {
		t.raise(now)
		expected := t.line(now) - t.gone(in)
		if expected < t.baseline {
			// The rollout under way, or the node that died, had already taken the difference: what was desired before
			// cannot be expected back only because the number changes now.
			t.change(now, expected)
		}
		t.baseline = min(expected, in.desired)
		t.scaleIn(in, now)
		t.floorBefore, t.changed = t.last.rollout.floor, now
		t.change(now, in.expected())
		t.fresh = false
	} else if in.held != t.last.held {
		// It is not expected to rise so far now; once released, pods have a grace to start. What had been available stays in
		// the baseline: a pod that ran and whose successor is held back is lost.
		t.change(now, in.expected())
	}
	t.last = in
	t.raise(now)
}

// scaleIn notes which available replicas are on their way out.
func (t *damageTracker) scaleIn(in damageInput, now Time) {
	if in.desired < t.last.desired && in.desired < in.available && (t.leaving == 0 || in.desired <= t.remain) {
		t.remain, t.leaving = in.desired, now
	}
}

// staying is how many of the available replicas nobody has asked to go.
func (t *damageTracker) staying(now Time) int32 {
	if t.leaving != 0 && (t.last.available <= t.remain || now.Sub(t.leaving) >= statusLagLimit) {
		t.leaving = 0
	}
	if t.leaving != 0 {
		return t.remain
	}
	return t.last.available
}

// gone is how many available daemons went together with their nodes. A controller that scales down takes what is not
// ready first, a node that dies takes its daemon whatever it was: growth that was excused remains so.
func (t *damageTracker) gone(in damageInput) int32 {
	if !in.daemons {
		return 0
	}
	return max(0, min(t.last.desired-in.desired, t.last.available-in.available))
}

// raise lets the baseline follow what has become available and what has been desired for a whole grace.
func (t *damageTracker) raise(now Time) {
	smallest := t.smallestDesired(now)
	if t.last.unborn {
		smallest = 0
		if t.last.available == 0 {
			t.baseline = 0
		}
	}
	t.baseline = max(t.baseline, min(t.staying(now), t.last.desired), min(smallest, t.last.desired))
	if t.baseline == t.last.desired && t.last.available >= t.last.desired {
		t.fresh = false
	}
}

// change notes that desired is in force from at on. Of the history only its minima matter: a number that a later one
// undercuts is forgotten and the later one stands for its time too, so desired rises from entry to entry.
func (t *damageTracker) change(at Time, desired int32) {
	for n := len(t.changes); n > 0 && t.changes[n-1].desired >= desired; n = len(t.changes) {
		at = t.changes[n-1].at
		t.changes = t.changes[:n-1]
	}
	t.changes = append(t.changes, desiredChange{at: at, desired: desired})
}

// smallestDesired is the smallest number desired at any moment of the last grace.
func (t *damageTracker) smallestDesired(now Time) int32 {
	for begin := now.Add(-t.grace); len(t.changes) > 1 && t.changes[1].at <= begin; {
		t.changes = t.changes[1:]
	}
	return t.changes[0].desired
}

// line is the number of available replicas below which the workload is damaged.
func (t *damageTracker) line(now Time) int32 {
	r := t.last.rollout
	switch {
	case t.last.desired == 0:
		return 0
	case r.active && r.floor == 0:
		// A gap is part of such a rollout, unless it does not end.
		if r.stuck || r.started != 0 && now.Sub(r.started) > t.grace {
			return min(1, t.baseline)
		}
		return 0
	case r.active:
		if t.changed != 0 && now.Sub(t.changed) < statusLagLimit && t.floorBefore > 0 {
			return min(r.floor, t.floorBefore, t.baseline)
		}
		return min(r.floor, t.baseline)
	}
	return t.baseline
}

// judge returns the line and the state at now.
func (t *damageTracker) judge(now Time, current int32) (int32, State) {
	t.raise(now)
	line := t.line(now)
	in := t.last
	switch {
	case in.desired == 0:
		return line, ScaledToZero
	case in.available <= 0 && line > 0:
		return line, Down
	case in.available < line:
		return line, Degraded
	case in.rollout.active:
		return line, Rolling
	case in.available < in.desired || current != in.desired:
		return line, Scaling
	}
	return line, Healthy
}
