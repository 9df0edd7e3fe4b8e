// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"cmp"
	"container/list"
	"slices"
	"time"

	"stability-exporter/internal/state"
)

const (
	// maxProbeEvents bounds the events that are kept of a scope, each of which takes about 350 bytes.
	maxProbeEvents = 10_000
	// listedEventAge is how old an event may be to be taken from a list: what is older tells nothing of the present.
	listedEventAge = 15 * time.Minute
)

// recentEvents knows which events of a scope the store holds, those that were silent for longest first. Where there are
// more than the limit, these go; of a list, what comes after the limit.
type recentEvents struct {
	limit  int
	order  *list.List
	places map[state.UID]*list.Element
	listed int // taken from the list that is being read
}

func newRecentEvents() *recentEvents {
	r := &recentEvents{limit: maxProbeEvents}
	r.reset()
	return r
}

func (r *recentEvents) reset() {
	r.order, r.places, r.listed = list.New(), map[state.UID]*list.Element{}, 0
}

// takes reports whether an event of a list is to be kept.
func (r *recentEvents) takes(e *state.ProbeEvent, now state.Time) bool {
	if !e.Last.Within(listedEventAge, now) || r.listed == r.limit {
		return false
	}
	r.listed++
	return true
}

// replace notes what a list brought.
func (r *recentEvents) replace(objects []state.Object) {
	r.reset()
	var events []*state.ProbeEvent
	for _, object := range objects {
		if e, ok := object.(*state.ProbeEvent); ok {
			events = append(events, e)
		}
	}
	slices.SortStableFunc(events, func(a, b *state.ProbeEvent) int { return cmp.Compare(a.Last, b.Last) })
	for _, e := range events {
		r.keep(e)
	}
}

// keep notes a new or changed event and returns the one that has to go for it, or nil.
func (r *recentEvents) keep(e *state.ProbeEvent) (surplus *state.ProbeEvent) {
	r.forget(e.UID)
	r.places[e.UID] = r.order.PushBack(e)
	if r.order.Len() <= r.limit {
		return nil
	}
	oldest := r.order.Front().Value.(*state.ProbeEvent)
	return r.forget(oldest.UID)
}

// forget drops an event and returns it, or nil if it was not kept.
func (r *recentEvents) forget(uid state.UID) *state.ProbeEvent {
	place, kept := r.places[uid]
	if !kept {
		return nil
	}
	delete(r.places, uid)
	return r.order.Remove(place).(*state.ProbeEvent)
}
