// SPDX-License-Identifier: Apache-2.0

package state

import (
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

// Store holds the compact model and is safe for concurrent use.
type Store struct {
	mu         sync.Mutex
	options    Options
	generation uint64
	scopes     map[Scope]*scopeStatus
}

// NewStore returns an empty store. Expect tells it what a source is about to observe.
func NewStore(options Options) *Store {
	return &Store{options: options, scopes: map[Scope]*scopeStatus{}}
}

// Expect declares the scopes that a source will observe; each is Pending until Replace or Settle is called for it.
// A kind nobody declares is NotObserved.
func (s *Store) Expect(scopes ...Scope) {}

// Replace takes a complete list of a scope: it applies every object and drops what it holds of the scope and is not in
// the list. The scope is Synced afterwards. There is no moment at which part of the scope is missing.
func (s *Store) Replace(scope Scope, objects []Object) {}

// Apply takes new and changed objects of a scope that is being watched.
func (s *Store) Apply(scope Scope, objects ...Object) {}

// Delete drops an object; obj is its last state, which is still counted.
func (s *Store) Delete(scope Scope, obj Object) {}

// Touch notes that the scope is alive although nothing changed: a bookmark, or an empty poll.
func (s *Store) Touch(scope Scope) {}

// Settle says that the scope cannot be observed, and how: Forbidden, Unsupported or NotObserved. What was known of it is
// withdrawn from snapshots until the next Replace.
func (s *Store) Settle(scope Scope, o Observation) {}

// Snapshot returns the present picture.
func (s *Store) Snapshot() *Snapshot { return nil }
