// SPDX-License-Identifier: Apache-2.0

package state

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"
)

// Options configure a Store.
type Options struct {
	// Clock is the time by which the store judges; nil means time.Now. Manifests bring their own.
	Clock func() time.Time
	// Grace is how long a new or growing workload may take before it is expected to be whole; zero means 10 minutes.
	Grace time.Duration
	// LeasePoll is the interval at which leases are read; zero means 10 seconds.
	LeasePoll time.Duration
}

// DefaultGrace is the default of Options.Grace: the default progressDeadlineSeconds of a Deployment.
const DefaultGrace = 10 * time.Minute

// DefaultLeasePoll is the default of Options.LeasePoll.
const DefaultLeasePoll = 10 * time.Second

// freeReplicaSets is the table of ReplicaSets that no Deployment controls; their metadata is in the table ReplicaSets.
const freeReplicaSets = kindCount

// Store holds the compact model and is safe for concurrent use.
type Store struct {
	mu         sync.Mutex
	options    Options
	generation uint64
	scopes     map[Scope]*scopeStatus
	observed   Kinds           // synchronised in at least one scope
	settled    Kinds           // pending in no scope
	known      [kindCount]bool // declared by a source
	tables     [kindCount + 1]map[UID]Object
	inspected  Time            // when somebody last went over everything; zero: nobody did
	imported   *importedCounts // restart counts of a state file whose scopes are not synchronised yet

	entities    map[WorkloadRef]*entity
	sorted      []*entity // of entities; nil when the order is to be made anew
	nodesByName map[Symbol]*Node
	reboots     map[Symbol]*rebootAccount
	services    map[serviceKey]*serviceAccount
	leases      map[UID]*leaseAccount
	leaving     map[Symbol]bool // namespaces that are being deleted
	matches     selectorMatches
	summarizer  summarizer
	setups      setupIndex

	snapshot *Snapshot // the last one, good while neither generation nor time has moved
}

// NewStore returns an empty store. Expect tells it what a source is about to observe.
func NewStore(options Options) *Store {
	s := &Store{
		options: options, scopes: map[Scope]*scopeStatus{}, entities: map[WorkloadRef]*entity{},
		nodesByName: map[Symbol]*Node{}, reboots: map[Symbol]*rebootAccount{}, services: map[serviceKey]*serviceAccount{},
		leases: map[UID]*leaseAccount{}, leaving: map[Symbol]bool{}, setups: newSetupIndex(),
	}
	s.summarizer.byNode = map[Symbol]int32{}
	s.recount()
	for i := range s.tables {
		s.tables[i] = map[UID]Object{}
	}
	return s
}

func (s *Store) now() Time {
	if s.options.Clock != nil {
		return At(s.options.Clock())
	}
	return At(time.Now())
}

func (s *Store) grace() time.Duration {
	if s.options.Grace > 0 {
		return s.options.Grace
	}
	return DefaultGrace
}

// SetGrace changes Options.Grace, for what begins from now on.
func (s *Store) SetGrace(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.options.Grace = d
}

// Expect declares the scopes that a source will observe; each is Pending until Replace or Settle is called for it.
// A kind nobody declares is NotObserved.
func (s *Store) Expect(scopes ...Scope) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, scope := range scopes {
		if s.scopes[scope] == nil {
			s.scopes[scope] = &scopeStatus{observation: Pending}
		}
	}
	s.recount()
	s.generation++
}

func (s *Store) scope(scope Scope) *scopeStatus {
	status := s.scopes[scope]
	if status == nil {
		status = &scopeStatus{observation: Pending}
		s.scopes[scope] = status
	}
	return status
}

// Replace takes a complete list of a scope: it drops what it holds of the scope and is not in the list, and applies
// every object. The scope is Synced afterwards. There is no moment at which part of the scope is missing.
func (s *Store) Replace(scope Scope, objects []Object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.replace(scope, objects)
}

// Load takes the complete lists of several scopes at one moment, so that no snapshot shows some of them old and some
// new. A scope without a list (nil, other than an empty one) is settled as NotObserved.
func (s *Store) Load(lists map[Scope][]Object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	scopes := slices.SortedFunc(maps.Keys(lists), func(a, b Scope) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Namespace, b.Namespace))
	})
	for _, scope := range scopes {
		if objects := lists[scope]; objects != nil {
			s.replace(scope, objects)
		} else {
			s.settle(scope, NotObserved)
		}
	}
}

func (s *Store) replace(scope Scope, objects []Object) {
	now := s.now()
	listed := make(map[UID]struct{}, len(objects))
	for _, obj := range objects {
		listed[obj.ObjectMeta().UID] = struct{}{}
	}
	s.sweep(scope, listed, now)
	status := s.scope(scope)
	for _, obj := range objects {
		s.put(scope, obj, now)
	}
	changed := status.observation != Synced
	status.observation, status.everSynced, status.lastEvent = Synced, true, now
	if changed {
		s.observationChanged(scope.Kind)
	}
	s.generation++
	s.forgetImported(scope)
}

// sweep drops the objects of a scope that are not in the list.
func (s *Store) sweep(scope Scope, listed map[UID]struct{}, now Time) {
	var gone []Object
	for uid, obj := range s.tables[scope.Kind] {
		if _, ok := listed[uid]; !ok && scope.holds(obj) {
			gone = append(gone, obj)
		}
	}
	for _, obj := range gone {
		s.drop(obj, now)
	}
}

func (scope Scope) holds(obj Object) bool {
	return scope.Namespace == "" || obj.ObjectMeta().Namespace.String() == scope.Namespace
}

// MarkInspected notes that somebody has gone over everything and is content with it: restarts are counted anew from here
// in RestartView.SinceInspection. The moment outlives the process through Export.
func (s *Store) MarkInspected() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inspected = s.now()
	for _, e := range s.entities {
		e.restarts.inspected = e.restarts.total()
	}
	s.generation++
}

// Held returns the object of the kind with the UID if it is of the version, else nil. A source that lists everything anew
// hands over what is held instead of an equal copy; only one of each is then in memory.
func (s *Store) Held(k Kind, uid UID, version uint64) Object {
	s.mu.Lock()
	defer s.mu.Unlock()
	if object := s.tables[k][uid]; object != nil && version != 0 && object.ObjectMeta().Version == version {
		return object
	}
	return nil
}

// Apply takes new and changed objects of a scope that is being watched.
func (s *Store) Apply(scope Scope, objects ...Object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	for _, obj := range objects {
		s.put(scope, obj, now)
	}
	s.scope(scope).lastEvent = now
	s.generation++
}

// Delete drops an object; obj is its last state, which is still counted.
func (s *Store) Delete(scope Scope, obj Object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if last, ok := obj.(*Pod); ok {
		if old, known := s.tables[Pods][last.UID].(*Pod); known {
			old.entity.restarts.changed(old, last, now)
		}
	}
	if known := s.tables[tableOf(obj)][obj.ObjectMeta().UID]; known != nil {
		s.drop(known, now)
	}
	s.scope(scope).lastEvent = now
	s.generation++
}

// Touch notes that the scope is alive although nothing changed: a bookmark, or a poll that found nothing new.
func (s *Store) Touch(scope Scope) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scope(scope).lastEvent = s.now()
	s.generation++
}

// Settle says that the scope cannot be observed, and how: Forbidden, Unsupported or NotObserved. What was known of it is
// dropped: if it is granted again, its pods' restart counts are no longer known to be new.
func (s *Store) Settle(scope Scope, o Observation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle(scope, o)
}

func (s *Store) settle(scope Scope, o Observation) {
	status := s.scope(scope)
	if status.observation == o {
		return
	}
	if scope.Kind == Pods && status.everSynced {
		s.forgetWindows(scope)
	}
	status.observation, status.everSynced = o, false
	s.sweep(scope, nil, s.now())
	s.observationChanged(scope.Kind)
	s.generation++
}

// forgetWindows empties the windows of restarts: once the pods are seen again, the API proves what belongs there, and
// what is kept would count twice.
func (s *Store) forgetWindows(scope Scope) {
	for ref, e := range s.entities {
		if scope.Namespace == "" || scope.Namespace == ref.Namespace.String() {
			e.restarts.log = nil
		}
	}
}

// SetPartial says whether some objects of a scope that is observed otherwise may not be read whole.
func (s *Store) SetPartial(scope Scope, partial bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scope(scope).partial = partial
	s.generation++
}

// observationChanged makes every summary anew: a cause that a kind would tell is known now, or no longer. Workloads that
// waited for their pods to be judged are judged.
func (s *Store) observationChanged(k Kind) {
	before := s.settled
	s.recount()
	if k == Nodes || k == Pods {
		s.touchAll()
	}
	s.matches.stale, s.setups.all = true, true
	if s.settled.Has(Pods) && !before.Has(Pods) {
		for _, e := range s.entities {
			if len(e.controllers) > 0 && s.settled.Has(e.controllers[0].Kind) {
				s.judge(e, s.now())
			}
		}
	}
}

func (s *Store) touchAll() {
	for _, e := range s.entities {
		e.dirty = true
	}
}

// observes reports whether a kind is observed in at least one of its scopes.
func (s *Store) observes(k Kind) bool { return s.observed.Has(k) }

// recount brings the sets of observed and settled kinds up to date with the scopes.
func (s *Store) recount() {
	s.observed, s.settled = 0, 1<<kindCount-1
	for scope, status := range s.scopes {
		s.known[scope.Kind] = true
		switch status.observation {
		case Synced:
			s.observed |= 1 << scope.Kind
		case Pending:
			s.settled &^= 1 << scope.Kind
		}
	}
}
