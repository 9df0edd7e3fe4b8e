// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"stability-exporter/internal/state"
)

// kindHealth counts and logs for all scopes of a kind: an outage of the API server is one line for each kind, however
// many namespaces are observed.
type kindHealth struct {
	kind        state.Kind
	logger      log.Logger
	collectors  string
	watchErrors atomic.Uint64
	relists     atomic.Uint64

	mu      sync.Mutex
	failing map[state.Scope]struct{}
	since   time.Time
}

func newKindHealth(k state.Kind, options LiveOptions) *kindHealth {
	h := &kindHealth{kind: k, failing: map[state.Scope]struct{}{}}
	h.logger = log.With(options.Logger, "resource", k)
	if options.Collectors != nil {
		h.collectors = strings.Join(options.Collectors(k), ",")
	}
	return h
}

func (h *kindHealth) stats() Stats {
	return Stats{Kind: h.kind, WatchErrors: h.watchErrors.Load(), Relists: h.relists.Load()}
}

func (h *kindHealth) outage(scope state.Scope, namespace, verb string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.failing) == 0 {
		h.since = time.Now()
		level.Warn(h.logger).Log("msg", "cannot observe resource, keeping what is known", "verb", verb,
			"namespace", namespace, "err", err)
	}
	h.failing[scope] = struct{}{}
}

func (h *kindHealth) recovered(scope state.Scope) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, failing := h.failing[scope]; !failing {
		return
	}
	delete(h.failing, scope)
	if len(h.failing) == 0 {
		level.Info(h.logger).Log("msg", "resource is observed again", "after", time.Since(h.since).Round(time.Millisecond))
	}
}

// monitor follows how the observation of one scope goes, tells the store and logs each change once.
type monitor struct {
	*kindHealth
	scope     state.Scope
	namespace string // for the log; empty means all
	store     *state.Store
	timings   timings

	mu          sync.Mutex
	synced      bool              // the store holds a complete list
	denied      state.Observation // Forbidden or Unsupported once the store was told so
	deniedSince time.Time         // first refusal of the present row of them
	refusals    int               // their number
	unreadable  bool              // the last GET of a single object failed
}

func newMonitor(h *kindHealth, scope state.Scope, store *state.Store, t timings) *monitor {
	m := &monitor{kindHealth: h, scope: scope, namespace: scope.Namespace, store: store, timings: t}
	if scope.Kind == state.Leases {
		m.namespace = leaseNamespace
	}
	return m
}

// failed takes the error of a request or of a stream.
func (m *monitor) failed(verb string, err error) {
	if err == nil || errors.Is(err, context.Canceled) {
		return
	}
	m.watchErrors.Add(1)
	switch {
	case apierrors.IsForbidden(err):
		m.refused(state.Forbidden, verb, err)
	case apierrors.IsNotFound(err):
		m.refused(state.Unsupported, verb, err)
	case apierrors.IsResourceExpired(err) || apierrors.IsGone(err):
		// Routine after a long break or a restart of the server; the list that follows is what may fail.
		level.Debug(m.logger).Log("msg", "resource version expired, listing anew", "namespace", m.namespace, "err", err)
	default:
		m.outage(m.scope, m.namespace, verb, err)
	}
}

// refused settles the scope. One that was readable must be refused for some time: an API server that has just started
// forbids everything until it knows its roles, and settling drops what is known.
func (m *monitor) refused(o state.Observation, verb string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.refusals == 0 {
		m.deniedSince = time.Now()
	}
	m.refusals++
	if m.denied == o || m.synced && time.Since(m.deniedSince) < m.timings.deniedProof {
		return
	}
	m.denied, m.synced = o, false
	m.store.Settle(m.scope, o)
	m.recoveredQuietly()
	level.Warn(m.logger).Log("msg", "cannot observe resource", "why", o, "verb", verb,
		"namespace", m.namespace, "collectors", m.collectors, "err", err)
}

// recoveredQuietly ends an outage that turned into a refusal, which has a line of its own.
func (m *monitor) recoveredQuietly() {
	m.kindHealth.mu.Lock()
	defer m.kindHealth.mu.Unlock()
	delete(m.failing, m.scope)
}

// works takes the proof that the scope can be read: an event, a bookmark, a list, or a watch that stays open.
func (m *monitor) works() {
	m.recovered(m.scope)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.refusals = 0
	if m.denied != 0 {
		level.Info(m.logger).Log("msg", "resource can be observed now", "namespace", m.namespace,
			"collectors", m.collectors)
		m.denied = 0
	}
}

// listed takes that the store is about to get a complete list.
func (m *monitor) listed() {
	if m.read() {
		m.relists.Add(1)
	}
}

// read takes that everything of the scope was read, and reports whether it had been before.
func (m *monitor) read() (before bool) {
	m.works()
	m.mu.Lock()
	defer m.mu.Unlock()
	before, m.synced = m.synced, true
	return before
}

// objectRead takes how the GET of a single object of a watched scope went. The scope stays observed: its metadata is
// known all the same.
func (m *monitor) objectRead(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case err == nil:
		if m.unreadable {
			level.Info(m.logger).Log("msg", "single objects can be read now", "verb", "get", "namespace", m.namespace)
		}
		m.unreadable = false
		m.store.SetPartial(m.scope, false)
	case !errors.Is(err, context.Canceled):
		m.watchErrors.Add(1)
		if !m.unreadable {
			level.Warn(m.logger).Log("msg", "cannot read single objects", "verb", "get", "namespace", m.namespace,
				"collectors", m.collectors, "err", err)
		}
		m.unreadable = true
		m.store.SetPartial(m.scope, true)
	}
}

// broken counts a watch that ended before its time; trying again is all there is to do.
func (m *monitor) broken() { m.watchErrors.Add(1) }

// pause returns how long to wait before asking again for what was refused.
func (m *monitor) pause() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.denied == 0 || m.refusals == 0 {
		return 0
	}
	return min(time.Second<<min(m.refusals, 10), m.timings.deniedRetry)
}

// errSilent says that a watch was torn down.
func errSilent(d time.Duration) error { return fmt.Errorf("no event or bookmark for %s", d) }
