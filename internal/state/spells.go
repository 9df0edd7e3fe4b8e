// SPDX-License-Identifier: Apache-2.0

package state

import (
	"cmp"
	"slices"
	"time"
)

const (
	// damageWindow is the window of WorkloadView.DamageDelta and DamagedShare.
	damageWindow = time.Hour
	// maxSpells is how many spells of damage are remembered of one workload; one that flaps faster is damaged all the time.
	maxSpells = 128
	// interruption is how long we may have been away for damage before and after to count as one.
	interruption = 5 * time.Minute
)

// spell is a time in which a workload was damaged without a break.
type spell struct {
	Began Time `json:"began"`
	Ended Time `json:"ended,omitempty"` // zero: it goes on
}

// damageHistory remembers when a workload was damaged within the window, and since when it is.
type damageHistory struct {
	spells []spell // by time
	// unproven: the present spell was under way when we came, and what the API proves of its beginning was not looked at.
	unproven bool
	// interrupted: a state file saw the last spell go on when it was written, which is taken for its end.
	interrupted bool
}

// current returns the spell that goes on, nil when there is none.
func (h *damageHistory) current() *spell {
	if n := len(h.spells); n > 0 && h.spells[n-1].Ended == 0 {
		return &h.spells[n-1]
	}
	return nil
}

// note takes whether the workload is damaged at now; watched says that what begins now was seen to begin.
func (h *damageHistory) note(damaged, watched bool, now Time) {
	switch s := h.current(); {
	case damaged && s == nil:
		h.spells = append(h.spells, spell{Began: now})
		h.unproven = !watched
	case !damaged && s != nil:
		s.Ended, h.unproven = now, false
	}
	if !damaged {
		h.interrupted = false
	}
	old := max(0, len(h.spells)-maxSpells)
	for !h.interrupted && old < len(h.spells) && h.spells[old].Ended != 0 && !h.spells[old].Ended.Within(damageWindow, now) {
		old++
	}
	h.spells = slices.Delete(h.spells, 0, old)
}

// date moves the beginning of the present spell to what is proven. A spell that a state file knew goes on if nothing
// proves that there was more than an interruption between them.
func (h *damageHistory) date(proven Time) {
	s := h.current()
	s.Began, h.unproven = min(s.Began, proven), false
	n := len(h.spells)
	if h.interrupted && n > 1 && s.Began.Sub(h.spells[n-2].Ended) <= interruption {
		s.Began = min(s.Began, h.spells[n-2].Began)
		h.spells = slices.Delete(h.spells, n-2, n-1)
	}
	h.interrupted = false
}

// within returns how often damage began within the window up to now, and for how much of it the workload was damaged.
func (h *damageHistory) within(now Time) (begun uint64, share float64) {
	var damaged time.Duration
	for _, s := range h.spells {
		if s.Began.Within(damageWindow, now) {
			begun++
		}
		damaged += max(0, cmp.Or(s.Ended, now).Sub(max(s.Began, now.Add(-damageWindow))))
	}
	return begun, min(1, damaged.Seconds()/damageWindow.Seconds())
}

// save returns the spells for a state file.
func (h *damageHistory) save() []spell {
	spells := slices.Clone(h.spells)
	if n := len(spells); n > 0 && h.interrupted {
		spells[n-1].Ended = 0 // the workload has not been seen since: what the earlier file said stands
	}
	return spells
}

// restore takes the spells of a state file.
func (h *damageHistory) restore(spells []spell, saved Time) {
	h.spells = spells
	if s := h.current(); s != nil {
		s.Ended, h.interrupted = max(saved, s.Began), true
	}
}

// noteDamage keeps the history of an entity that was just judged.
func (s *Store) noteDamage(e *entity, j judgement, watched bool, now Time) {
	h := &e.history
	if !watched {
		// What a state file knew of another object of the same name is over.
		h.spells = slices.DeleteFunc(h.spells, func(s spell) bool { return s.Began < j.controller.Created })
	}
	h.note(j.state == Degraded || j.state == Down, watched, now)
	if h.unproven && s.settled.Has(Pods) && s.settled.Has(Nodes) {
		h.date(s.provenDamage(e, j, now))
	}
}

// provenDamage returns since when the API proves the present damage: since when so many of the pods that are missing now
// have been missing that what was left was below the line. A missing pod of which nothing tells a time is missing since now,
// and nobody misses a pod of a workload within the grace that follows its creation.
func (s *Store) provenDamage(e *entity, j judgement, now Time) Time {
	w := j.controller
	var missing []Time
	for _, p := range e.pods {
		node := s.nodesByName[p.Node]
		elsewhere := j.onReady && p.Node != (Symbol{}) && (node == nil || !node.ready())
		if available := p.Ready == True && p.ReadySince.Add(w.MinReady) <= now; p.live() && !available && !elsewhere {
			missing = append(missing, min(now, cmp.Or(p.ReadySince, p.Created, now)))
		}
	}
	uncreated := now
	if w.ReplicaFailure.Status.String() == "True" {
		uncreated = min(now, cmp.Or(w.ReplicaFailure.Updated, now))
	}
	for int32(len(missing)) < j.desired-j.counted {
		missing = append(missing, uncreated)
	}
	slices.Sort(missing)
	tolerated := max(0, int32(len(missing))+j.counted-j.line)
	if int(tolerated) >= len(missing) {
		return now
	}
	return min(now, max(missing[tolerated], w.Created.Add(s.grace())))
}
