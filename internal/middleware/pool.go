// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync"
	"time"

	"stability-exporter/internal/state"
)

// DefaultConcurrency is how many targets are asked at a time: what hangs until its timeout takes half of it at most.
const DefaultConcurrency = 100

// Pool asks targets again and again, each at its own interval, and remembers what was last found out; and on demand. It is safe for
// concurrent use.
type Pool struct {
	now     func() time.Time
	changed func(before, after *state.MiddlewareView)

	mu         sync.Mutex
	background context.Context // nil until Run
	running    sync.WaitGroup
	entries    map[string]*entry
	lanes      *lanes
	demands    chan struct{}    // one for each probe on demand
	asking     map[string]*call // what is being asked right now
}

// entry is a target that is asked in the background.
type entry struct {
	target *Target
	view   *state.MiddlewareView // of the last probe; nil before the first
	stop   context.CancelFunc
}

// lanes bound how many targets are asked at a time in the background. What did not answer the last time may take half of the places only, so
// that targets that hang never keep others waiting.
type lanes struct{ all, slow chan struct{} }

// NewPool returns a pool without targets. now is the clock by which views are dated and certificates judged; nil is the real one. changed is
// called after a probe in the background, with nil before the first one; it may be nil.
func NewPool(now func() time.Time, changed func(before, after *state.MiddlewareView)) *Pool {
	if changed == nil {
		changed = func(_, _ *state.MiddlewareView) {}
	}
	p := &Pool{now: now, changed: changed, entries: map[string]*entry{}, asking: map[string]*call{}}
	p.limit(0)
	return p
}

// Use makes targets those that are asked from now on, so many at a time; zero means DefaultConcurrency. A target that was there before keeps
// its view; one that is as it was goes on undisturbed.
func (p *Pool) Use(targets []*Target, concurrency int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.limit(concurrency)
	before := p.entries
	p.entries = make(map[string]*entry, len(targets))
	for _, t := range targets {
		old := before[t.Name]
		if old != nil && sameTarget(old.target, t) {
			p.entries[t.Name] = old
			delete(before, t.Name)
			continue
		}
		e := &entry{target: t}
		if old != nil && old.target.Kind.Name == t.Kind.Name {
			e.view = old.view
		}
		p.entries[t.Name] = e
		p.start(e)
	}
	for _, e := range before {
		if e.stop != nil {
			e.stop()
		}
	}
}

// limit is called with the lock held. Probes in progress give their places back where they took them.
func (p *Pool) limit(concurrency int) {
	if concurrency <= 0 {
		concurrency = DefaultConcurrency
	}
	if p.lanes == nil || cap(p.lanes.all) != concurrency {
		p.lanes = &lanes{all: make(chan struct{}, concurrency), slow: make(chan struct{}, max(1, concurrency/2))}
		p.demands = make(chan struct{}, concurrency)
	}
}

// sameTarget reports whether nothing of a target has changed. Kinds are compared by name, for functions cannot be.
func sameTarget(a, b *Target) bool {
	x, y := *a, *b
	x.Kind, y.Kind = nil, nil
	return a.Kind.Name == b.Kind.Name && reflect.DeepEqual(x, y)
}

// Run asks the targets until the context is done, and returns when nobody waits for a probe any more; one that hangs ends with its timeout.
func (p *Pool) Run(ctx context.Context) {
	p.mu.Lock()
	p.background = ctx
	for _, e := range p.entries {
		p.start(e)
	}
	p.mu.Unlock()
	<-ctx.Done()
	p.running.Wait()
}

// start is called with the lock held.
func (p *Pool) start(e *entry) {
	if p.background == nil || p.background.Err() != nil {
		return
	}
	var ctx context.Context
	ctx, e.stop = context.WithCancel(p.background)
	p.running.Go(func() { p.keep(ctx, e) })
}

// firstWithin is the time within which all targets are asked first.
const firstWithin = 3 * time.Second

// doubtInterval is the longest time between two probes of a target that is not healthy: one probe that fails must not stand for an hour.
const doubtInterval = 30 * time.Second

// keep asks one target until the context is done. Intervals vary by a tenth, so that what began together does not stay together.
func (p *Pool) keep(ctx context.Context, e *entry) {
	timer := time.NewTimer(rand.N(min(firstWithin, max(e.target.Interval, 1))))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		due := time.Now()
		view, err := p.askLater(ctx, e)
		if ctx.Err() != nil {
			return
		}
		interval := e.target.Interval
		if err == nil {
			p.remember(e, view)
			if !view.Healthy() {
				interval = min(interval, doubtInterval)
			}
		}
		tenth := max(interval/10, 1)
		timer.Reset(max(interval-time.Since(due), tenth) - tenth/2 + rand.N(tenth))
	}
}

// askLater asks as soon as there is a place.
func (p *Pool) askLater(ctx context.Context, e *entry) (*state.MiddlewareView, error) {
	p.mu.Lock()
	lanes, hung := p.lanes, e.view != nil && !e.view.Up
	p.mu.Unlock()
	if hung {
		if err := take(ctx, lanes.slow); err != nil {
			return nil, err
		}
		defer func() { <-lanes.slow }()
	}
	if err := take(ctx, lanes.all); err != nil {
		return nil, err
	}
	defer func() { <-lanes.all }()
	return p.share(ctx, e.target.Name, e.target), nil
}

func take(ctx context.Context, places chan struct{}) error {
	select {
	case places <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *Pool) remember(e *entry, view *state.MiddlewareView) {
	p.mu.Lock()
	before := e.view
	e.view = view
	p.mu.Unlock()
	p.changed(before, view)
}

// call is a probe in progress that several may wait for.
type call struct {
	target *Target
	done   chan struct{}
	view   *state.MiddlewareView
}

// share asks a target, or waits for the answer that another one is waiting for already. The probe has its whole timeout, whoever waits; when
// ctx ends before, the target is down for who waits that long only.
func (p *Pool) share(ctx context.Context, key string, t *Target) *state.MiddlewareView {
	p.mu.Lock()
	c := p.asking[key]
	if c == nil || !sameTarget(c.target, t) {
		c = &call{target: t, done: make(chan struct{})}
		p.asking[key] = c
		go func() {
			c.view = Run(context.WithoutCancel(ctx), t, p.now)
			p.mu.Lock()
			if p.asking[key] == c {
				delete(p.asking, key)
			}
			p.mu.Unlock()
			close(c.done)
		}()
	}
	p.mu.Unlock()
	select {
	case <-c.done:
		return c.view
	case <-ctx.Done():
		return p.late(t)
	}
}

// late is the view of a target that did not answer as long as somebody waited.
func (p *Pool) late(t *Target) *state.MiddlewareView {
	now := time.Now
	if p.now != nil {
		now = p.now
	}
	return &state.MiddlewareView{
		Kind: t.Kind.Name, Target: t.Name, Group: t.Group, ProbedAt: state.At(now()),
		Problems: []state.MiddlewareProblem{{Reason: string(Timeout), Detail: "no answer within the time of the request"}},
	}
}

// ErrBusy says that too many probes on demand are in progress.
var ErrBusy = errors.New("too many probes at a time")

// Ask asks a target now and returns what it found out by the end of ctx. Of those who ask the same target at the same time all get the same
// answer. It fails with ErrBusy only.
func (p *Pool) Ask(ctx context.Context, key string, t *Target) (*state.MiddlewareView, error) {
	p.mu.Lock()
	demands := p.demands
	p.mu.Unlock()
	if take(ctx, demands) != nil {
		return nil, fmt.Errorf("cannot ask %s: %w", t.Name, ErrBusy)
	}
	defer func() { <-demands }()
	return p.share(ctx, key, t), nil
}

// Named returns the targets of a name: a target, or all members of a group; none when nobody knows the name.
func (p *Pool) Named(name string) []*Target {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e := p.entries[name]; e != nil {
		return []*Target{e.target}
	}
	var members []*Target
	for _, e := range p.entries {
		if e.target.Group == name && name != "" {
			members = append(members, e.target)
		}
	}
	slices.SortFunc(members, func(a, b *Target) int { return cmp.Compare(a.Name, b.Name) })
	return members
}

// Targets returns all targets, sorted by name.
func (p *Pool) Targets() []*Target {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []*Target
	for _, e := range p.entries {
		all = append(all, e.target)
	}
	slices.SortFunc(all, func(a, b *Target) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// Views returns what was last found out of every target, and of the groups whose members were all asked, sorted by name.
func (p *Pool) Views() []*state.MiddlewareView {
	var views []*state.MiddlewareView
	members, found := map[string][]*Target{}, map[string][]*state.MiddlewareView{}
	p.mu.Lock()
	for _, e := range p.entries {
		group := e.target.Group
		if group != "" {
			members[group] = append(members[group], e.target)
		}
		if e.view == nil {
			continue
		}
		views = append(views, e.view)
		if group != "" {
			found[group] = append(found[group], e.view)
		}
	}
	p.mu.Unlock()
	for group := range members {
		if view := Group(members[group], found[group]); view != nil {
			views = append(views, view)
		}
	}
	slices.SortFunc(views, func(a, b *state.MiddlewareView) int { return cmp.Compare(a.Target, b.Target) })
	return views
}
