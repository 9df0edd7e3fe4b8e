// SPDX-License-Identifier: Apache-2.0

package state

import "time"

// SetupView is how a workload is set up, what it has to do with, and what its pods have proved of it. It is immutable, and as long
// as nothing of it changes every snapshot holds the same pointer: what was concluded from it holds as long.
//
// Workloads here are also CronJobs, Jobs that no CronJob made and pods without a controller (workload type "pod", mirror
// pods "staticpod"), each under its own name.
type SetupView struct {
	Ref      WorkloadRef
	Template *Template // never nil
	Ignore   Ignore
	Created  Time

	Kind             Kind  // Deployments, StatefulSets, DaemonSets, ReplicaSets, CronJobs, Jobs or Pods
	Desired          int32 // 1 for what has no replicas
	Strategy         Strategy
	MaxUnavailable   IntOrPercent
	MaxSurge         IntOrPercent
	MinReady         time.Duration
	ProgressDeadline time.Duration // zero: none
	Autoscaled       bool          // a HorizontalPodAutoscaler sets Desired

	Services   []*Service          // of its namespace whose selector selects the template's labels
	Budgets    []*DisruptionBudget // likewise
	ConfigMaps []*ConfigMap        // those that the template refers to and that are observed

	Pods      int32 // live pods
	Ready     int32 // of them
	Starts    []StartFact
	Probes    []ProbeFact
	Placement []NodeShare // ready pods by node; empty unless nodes are observed
	Cluster   *Shape      // shared by all; nil unless nodes are observed
}

// StartFact is what the pods of the newest template proved of the start of a container.
type StartFact struct {
	Container Symbol
	// ToStarted is the longest time from the start of the container to the success of its startup probe, ToReady to its being
	// ready; zero when none was observed. Only first starts count that were seen whole, or that nothing disturbed.
	ToStarted, ToReady time.Duration
	// KilledAtStart counts live pods whose container was ended within the time its liveness (or startup) probe allows before
	// it was ever ready, by a signal and not for want of memory.
	KilledAtStart int32
	// Recovered says that all containers counted in KilledAtStart are ready now.
	Recovered bool
}

// ProbeFact is what events told of a probe within the last 11 minutes, of pods that still exist.
type ProbeFact struct {
	Container Symbol
	ProbeType uint8 // index into ProbeTypes
	Outcome   ProbeOutcome
	Scheme    bool
	Last      Time
}

// NodeShare is how many ready pods of a workload are on a node.
type NodeShare struct {
	Node, Zone Symbol
	Pods       int32
	Tainted    bool // it is kept for pods that tolerate its taint: these do, and need not have the choice of other nodes
}

// Shape is what the nodes offer: nodes that are ready, not cordoned, not leaving and not tainted, and their zones.
type Shape struct {
	Schedulable int32
	Zones       int32
}
