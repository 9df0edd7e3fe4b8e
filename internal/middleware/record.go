// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"stability-exporter/internal/state"
)

// maxNamed bounds every list that a target can make long: queues, consumer groups, facts. The rest is added up as "others".
const maxNamed = 50

// Others is the name under which what is beyond the bound is added up.
const Others = "_others"

// maxDetail bounds what is kept of an error's text.
const maxDetail = 200

// Recorder takes what a probe finds out. Numbers that are none (NaN, infinite) are refused and become unknown. It is safe for
// concurrent use; what comes after the probe's end is dropped.
type Recorder struct {
	mu     sync.Mutex
	view   state.MiddlewareView
	closed bool
	hidden []string // texts that no detail may show, should a target send them back
}

func (r *Recorder) change(do func(*state.MiddlewareView)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		do(&r.view)
	}
}

// Up says that an authenticated exchange in the protocol of the kind was completed.
func (r *Recorder) Up() { r.change(func(v *state.MiddlewareView) { v.Up = true }) }

// Problem says that something is wrong. Detail is a short English text without secrets; of several for one reason the first stays.
func (r *Recorder) Problem(reason Reason, detail string, args ...any) {
	text := clean(r.withoutHidden(fmt.Sprintf(detail, args...)))
	r.change(func(v *state.MiddlewareView) {
		if !slices.ContainsFunc(v.Problems, func(p state.MiddlewareProblem) bool { return p.Reason == string(reason) }) {
			v.Problems = append(v.Problems, state.MiddlewareProblem{Reason: string(reason), Detail: text})
		}
	})
}

// minHidden is the length from which on a secret can be told from other text.
const minHidden = 4

// hide keeps texts out of all details from now on.
func (r *Recorder) hide(secrets ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range secrets {
		if len(s) >= minHidden && !slices.Contains(r.hidden, s) {
			r.hidden = append(r.hidden, s)
		}
	}
}

func (r *Recorder) withoutHidden(text string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.hidden {
		text = strings.ReplaceAll(text, s, "[secret]")
	}
	return text
}

// clean makes a text of a target fit to be shown: one line of printable characters.
func clean(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == 0xfffd {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, " "))
	if len(text) > maxDetail {
		text = strings.ToValidUTF8(text[:maxDetail], "") + "…"
	}
	return text
}

// Unknown says that a fact could not be learned.
func (r *Recorder) Unknown(fact string, why Why) {
	r.change(func(v *state.MiddlewareView) { unknown(v, fact, why) })
}

func unknown(v *state.MiddlewareView, fact string, why Why) {
	u := state.UnknownFact{Fact: fact, Why: string(why)}
	if !slices.ContainsFunc(v.Unknown, func(known state.UnknownFact) bool { return known.Fact == fact }) {
		v.Unknown = append(v.Unknown, u)
	}
}

// Role says which role the target has now.
func (r *Recorder) Role(role string) { r.change(func(v *state.MiddlewareView) { v.Role = role }) }

// Writable says whether it takes writes now. A primary that does not is a problem of its own: tell it as well.
func (r *Recorder) Writable(yes bool) {
	r.change(func(v *state.MiddlewareView) { v.Writable = tristate(yes) })
}

// LinkUp says whether its replication is connected and running. That says nothing of how far it is behind.
func (r *Recorder) LinkUp(yes bool) {
	r.change(func(v *state.MiddlewareView) { v.LinkUp = tristate(yes) })
}

func tristate(yes bool) state.Tristate {
	if yes {
		return state.True
	}
	return state.False
}

// LagSeconds says how far behind it is in time.
func (r *Recorder) LagSeconds(seconds float64) {
	r.measure("replication_lag_seconds", seconds, func(v *state.MiddlewareView) *state.Measure { return &v.LagSeconds })
}

// LagBytes says how far behind it is in bytes.
func (r *Recorder) LagBytes(bytes float64) {
	r.measure("replication_lag_bytes", bytes, func(v *state.MiddlewareView) *state.Measure { return &v.LagBytes })
}

// Expected says how many members there should be.
func (r *Recorder) Expected(members int) {
	r.measure("members_expected", float64(members), func(v *state.MiddlewareView) *state.Measure { return &v.MembersExpected })
}

func (r *Recorder) measure(fact string, value float64, of func(*state.MiddlewareView) *state.Measure) {
	r.change(func(v *state.MiddlewareView) {
		if !finite(value) {
			unknown(v, fact, Garbled)
			return
		}
		*of(v) = state.Measure{Known: true, Value: value}
	})
}

func finite(f float64) bool { return !math.IsNaN(f) && !math.IsInf(f, 0) }

// Members says how many members are in a state.
func (r *Recorder) Members(in string, n int) {
	r.named("members", in, float64(n), func(v *state.MiddlewareView) *[]state.Measurement { return &v.Members })
}

// Saturation says which share of a resource is used; what is beyond its limit counts as 1. A limit of zero is no limit, and nothing is told.
func (r *Recorder) Saturation(resource string, used, limit float64) {
	if limit <= 0 {
		return
	}
	r.named("saturation_ratio", resource, min(1, max(0, used/limit)),
		func(v *state.MiddlewareView) *[]state.Measurement { return &v.Saturation })
}

// Alarm says whether an alarm stands; it adds the problem.
func (r *Recorder) Alarm(alarm string, on bool) {
	value := 0.0
	if on {
		value = 1
		r.Problem(Alarm, "alarm %s", alarm)
	}
	r.named("alarm", alarm, value, func(v *state.MiddlewareView) *[]state.Measurement { return &v.Alarms })
}

// Partitions says how many partitions are in a state.
func (r *Recorder) Partitions(in string, n int) {
	r.named("partitions", in, float64(n), func(v *state.MiddlewareView) *[]state.Measurement { return &v.Partitions })
}

// Fact tells another number.
func (r *Recorder) Fact(name string, value float64) {
	r.named("fact", name, value, func(v *state.MiddlewareView) *[]state.Measurement { return &v.Facts })
}

// Expires says when something ends, in Unix seconds.
func (r *Recorder) Expires(what string, at float64) {
	r.named("expiry_timestamp_seconds", what, at, func(v *state.MiddlewareView) *[]state.Measurement { return &v.Expiry })
}

// Queue tells of a message queue.
func (r *Recorder) Queue(name string, messages, consumers float64) {
	r.named("queue_messages", name, messages, func(v *state.MiddlewareView) *[]state.Measurement { return &v.QueueMessages })
	r.named("queue_consumers", name, consumers, func(v *state.MiddlewareView) *[]state.Measurement { return &v.QueueConsumers })
}

// ConsumerLag says by how many messages a consumer group is behind.
func (r *Recorder) ConsumerLag(group string, messages float64) {
	r.named("consumer_lag", group, messages, func(v *state.MiddlewareView) *[]state.Measurement { return &v.ConsumerLag })
}

// named adds a number to a list. Of a name that occurs again the numbers are added up, as are those beyond the bound.
func (r *Recorder) named(fact, name string, value float64, of func(*state.MiddlewareView) *[]state.Measurement) {
	name = clean(r.withoutHidden(name))
	r.change(func(v *state.MiddlewareView) {
		if !finite(value) {
			unknown(v, fact, Garbled)
			return
		}
		list := of(v)
		i := slices.IndexFunc(*list, func(m state.Measurement) bool { return m.Name == name })
		if i < 0 && len(*list) >= maxNamed {
			name = Others
			i = slices.IndexFunc(*list, func(m state.Measurement) bool { return m.Name == name })
		}
		if i < 0 {
			*list = append(*list, state.Measurement{Name: name, Value: value})
		} else {
			(*list)[i].Value += value
		}
	})
}

// Phase says how long a phase took: dns, connect, tls, auth, query. Of a phase that occurs again the times are added up.
func (r *Recorder) Phase(name string, took time.Duration) {
	r.change(func(v *state.MiddlewareView) {
		for i := range v.Phases {
			if v.Phases[i].Name == name {
				v.Phases[i].Took += took
				return
			}
		}
		v.Phases = append(v.Phases, state.ProbePhase{Name: name, Took: took})
	})
}

// finish ends the recording and returns what was recorded, its lists sorted.
func (r *Recorder) finish() *state.MiddlewareView {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	v := r.view
	for _, list := range [][]state.Measurement{
		v.Members, v.Saturation, v.Alarms, v.Partitions, v.QueueMessages, v.QueueConsumers, v.ConsumerLag, v.Facts, v.Expiry,
	} {
		slices.SortFunc(list, func(a, b state.Measurement) int { return cmp.Compare(a.Name, b.Name) })
	}
	slices.SortFunc(v.Unknown, func(a, b state.UnknownFact) int { return cmp.Compare(a.Fact, b.Fact) })
	return &v
}
