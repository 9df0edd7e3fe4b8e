// SPDX-License-Identifier: Apache-2.0

// Package state is the compact model of one cluster: what sources put into a Store and what collectors read from an
// immutable Snapshot. It knows nothing of Kubernetes' Go types, does no I/O and imports only the standard library.
//
// Sources convert whole API objects into the small Object types of this package and hand them over with Apply, Delete
// and Replace. The Store keeps one accumulator per workload; a Snapshot is a copy of the accumulators together with
// "now", so nobody holds a lock while rendering.
package state

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"
	"unique"
)

// Kind is a resource kind that a source observes.
type Kind uint8

// The kinds that sources observe. The order is the order in which a dump is applied: owners before the owned.
const (
	Nodes Kind = iota
	Namespaces
	ConfigMaps
	Deployments
	StatefulSets
	DaemonSets
	ReplicaSets
	ControllerRevisions
	CronJobs
	Jobs
	HorizontalPodAutoscalers
	PodDisruptionBudgets
	Services
	Pods
	EndpointSlices
	Events
	Leases
	kindCount
)

var kindNames = [kindCount]string{
	Nodes: "nodes", Namespaces: "namespaces", ConfigMaps: "configmaps", Deployments: "deployments", StatefulSets: "statefulsets", DaemonSets: "daemonsets",
	ReplicaSets: "replicasets", ControllerRevisions: "controllerrevisions", CronJobs: "cronjobs", Jobs: "jobs",
	HorizontalPodAutoscalers: "horizontalpodautoscalers", PodDisruptionBudgets: "poddisruptionbudgets",
	Services: "services", Pods: "pods", EndpointSlices: "endpointslices", Events: "events", Leases: "leases",
}

// String returns the plural resource name as the API spells it; it is the value of the label resource.
func (k Kind) String() string { return kindNames[k] }

// Kinds is a set of kinds.
type Kinds uint32

// KindSet returns the set of the given kinds.
func KindSet(kinds ...Kind) Kinds {
	var set Kinds
	for _, k := range kinds {
		set |= 1 << k
	}
	return set
}

// Has reports whether k is in the set.
func (s Kinds) Has(k Kind) bool { return s&(1<<k) != 0 }

// All lists the kinds of the set in their order.
func (s Kinds) All() []Kind {
	var kinds []Kind
	for k := Kind(0); k < kindCount; k++ {
		if s.Has(k) {
			kinds = append(kinds, k)
		}
	}
	return kinds
}

// Symbol is a string that many objects share: equal symbols are one pointer to one copy. The zero Symbol is "".
type Symbol struct{ handle unique.Handle[string] }

// Sym returns the symbol of s. The string is copied, so a symbol never keeps a larger buffer alive.
func Sym(s string) Symbol {
	if s == "" {
		return Symbol{}
	}
	return Symbol{unique.Make(s)}
}

// String returns the text of the symbol.
func (s Symbol) String() string {
	if s == (Symbol{}) {
		return ""
	}
	return s.handle.Value()
}

// UID identifies an object through its whole life; a re-created object of the same name has another one.
type UID [16]byte

// ParseUID returns the 16 bytes of a UUID; any other non-empty text is hashed, so that foreign identifiers stay distinct.
func ParseUID(s string) UID {
	var uid UID
	if len(s) == 36 {
		if n, err := hex.Decode(uid[:], []byte(strings.ReplaceAll(s, "-", ""))); err == nil && n == len(uid) {
			return uid
		}
	}
	if s != "" {
		sum := sha256.Sum256([]byte(s))
		copy(uid[:], sum[:])
	}
	return uid
}

// Time is a moment in Unix seconds, the resolution of the Kubernetes API. Zero means unknown or never.
type Time int64

// At converts t; the zero time.Time becomes the zero Time.
func At(t time.Time) Time {
	if t.IsZero() {
		return 0
	}
	return Time(t.Unix())
}

// Sub returns the duration t-u.
func (t Time) Sub(u Time) time.Duration { return time.Duration(t-u) * time.Second }

// Add returns t+d, in whole seconds.
func (t Time) Add(d time.Duration) Time { return t + Time(d/time.Second) }

// Within reports whether t is known and lies at most d before now. A time ahead of now counts: clocks differ.
func (t Time) Within(d time.Duration, now Time) bool { return t != 0 && now.Sub(t) <= d }

// Object is what sources hand to a Store: one of the pointer types of this package (*Pod, *Workload, *Node, ...).
type Object interface {
	// ObjectKind is the kind the object was observed as.
	ObjectKind() Kind
	// ObjectMeta is the object's identity.
	ObjectMeta() *Meta
}

// Meta is the identity every object has.
type Meta struct {
	Namespace Symbol // empty for cluster-wide kinds
	Name      string
	UID       UID
	Version   uint64 // resourceVersion, for telling an object from itself; zero when it is not known
	Created   Time
	Deleted   Time // deletionTimestamp: when it is due to be gone (grace included); zero while it is not being deleted
	Owner     Owner
}

// ObjectMeta returns m itself; embedding Meta thus gives half of Object.
func (m *Meta) ObjectMeta() *Meta { return m }

// Owner is the controlling owner reference (controller: true) of an object; zero when there is none.
type Owner struct {
	Kind Symbol // as the API spells it: ReplicaSet, StatefulSet, Job, Node, Rollout, ...
	Name Symbol
	UID  UID
}
