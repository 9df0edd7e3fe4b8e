// SPDX-License-Identifier: Apache-2.0

package state

import "time"

// MiddlewareView is what one probe found out about one target. Every fact that could be known of its kind is either told or listed in
// Unknown with the reason; what is neither does not exist for that kind or role.
type MiddlewareView struct {
	Kind   string // the label middleware
	Target string // stable name; "GROUP/MEMBER" for a member, "GROUP" for what is known of the members together
	Group  string // empty for a target by itself

	ProbedAt Time
	Up       bool // an authenticated exchange in its protocol was completed
	Problems []MiddlewareProblem

	Role            string   // primary, replica, leader, follower, observer, arbiter, sentinel, standalone, unknown; empty: the kind has none
	Writable        Tristate // Absent: does not apply, or in Unknown
	LinkUp          Tristate // of the replication
	LagSeconds      Measure
	LagBytes        Measure
	Members         []Measurement // by state: healthy, synced, ...
	MembersExpected Measure
	Saturation      []Measurement // by resource, in [0,1]
	Alarms          []Measurement // by alarm, 0 or 1
	Partitions      []Measurement // by state: offline, under_min_isr, under_replicated
	QueueMessages   []Measurement // by queue, capped
	QueueConsumers  []Measurement // by queue, capped
	ConsumerLag     []Measurement // by consumer group, capped
	Facts           []Measurement // other numbers, by name
	Expiry          []Measurement // by what expires, in Unix seconds
	TLSNotAfter     Time          // of the certificate that expires first of those presented; zero: no TLS, or in Unknown
	TLSVerified     Tristate
	Phases          []ProbePhase
	Unknown         []UnknownFact
}

// Healthy reports whether nothing is wrong: it is up and has no problem.
func (v *MiddlewareView) Healthy() bool { return v.Up && len(v.Problems) == 0 }

// MiddlewareProblem is a reason for which a target is not healthy.
type MiddlewareProblem struct {
	Reason string // of the closed list of package middleware
	Detail string // for the page of the target and the log: a short text without secrets
}

// Measure is a number that may be absent.
type Measure struct {
	Known bool
	Value float64
}

// Measurement is a number under a name.
type Measurement struct {
	Name  string
	Value float64
}

// ProbePhase is how long a phase of a probe took: dns, connect, tls, auth, query.
type ProbePhase struct {
	Name string
	Took time.Duration
}

// UnknownFact is a fact that could not be learned, and why: permission, unsupported, timeout, protocol, warming_up.
type UnknownFact struct{ Fact, Why string }

// DiscoveryView is what became of the discovery of middleware in the cluster.
type DiscoveryView struct {
	Targets   []Count // by kind, of those that rules are configured for also when there are none
	Conflicts int     // Services that ask to be probed and are not
}
