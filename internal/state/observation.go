// SPDX-License-Identifier: Apache-2.0

package state

// Observation is how a kind is known to the store.
type Observation uint8

// The observations, best first; a kind of several namespaces has the worst of them, except that Pending outranks all.
const (
	// Synced: a complete list was taken and changes follow.
	Synced Observation = iota
	// Partial: as Synced, but some objects of the kind may not be read whole.
	Partial
	// NotObserved: the source does not hold the kind (a dump without it). Unknown, not empty.
	NotObserved
	// Unsupported: the server does not serve the kind.
	Unsupported
	// Forbidden: the identity may not list or watch the kind.
	Forbidden
	// Pending: not known yet.
	Pending
)

// String names the observation for people.
func (o Observation) String() string {
	return [...]string{"synced", "partial", "not observed", "unsupported", "forbidden", "pending"}[o]
}

// Scope is one thing a source observes: a kind in one namespace, or in all of them when Namespace is empty.
type Scope struct {
	Kind      Kind
	Namespace string
}

type scopeStatus struct {
	observation Observation
	partial     bool // some objects may not be read whole
	everSynced  bool // restart counts of unknown pods are then known to be new
	lastEvent   Time
}

// ObservedKinds returns the kinds that are observed.
func (s *Snapshot) ObservedKinds() Kinds { return s.observed & (1<<kindCount - 1) }
