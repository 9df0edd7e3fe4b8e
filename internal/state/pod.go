// SPDX-License-Identifier: Apache-2.0

package state

// Phase is status.phase of a pod.
type Phase uint8

// The pod phases.
const (
	PhaseUnknown Phase = iota
	PhasePending
	PhaseRunning
	PhaseSucceeded
	PhaseFailed
)

// ContainerType is the value of the label container_type.
type ContainerType uint8

// The container types. A sidecar is an init container with restartPolicy Always.
const (
	AppContainer ContainerType = iota
	InitContainer
	SidecarContainer
)

// String returns the label value.
func (t ContainerType) String() string { return [...]string{"app", "init", "sidecar"}[t] }

// ContainerState is which of the three states a container is in.
type ContainerState uint8

// The container states; StateNone means that the kubelet has not reported it yet.
const (
	StateNone ContainerState = iota
	StateWaiting
	StateRunning
	StateTerminated
)

// Container is the status of one container of a pod. Ephemeral containers do not occur.
type Container struct {
	Name     Symbol
	Registry Symbol // host of the image reference; docker.io when it names none
	Reason   Symbol // of the waiting or terminated state
	Type     ContainerType
	State    ContainerState
	Ready    bool
	Started  bool // the startup probe has succeeded, or there is none
	HasStart bool // the container declares a startup probe
	HasReady bool // the container declares a readiness probe
	wasReady bool // it has been ready since it started, for all that is known
	endReady bool // it had been ready when it last ended
	Restarts int32
	ExitCode int32
	Since    Time        // running: startedAt; terminated: finishedAt
	Last     Termination // lastState.terminated
}

// Termination is how a container ended.
type Termination struct {
	Reason   Symbol
	ExitCode int32
	Started  Time // zero: not known
	Finished Time // zero: it has not ended yet
}

// Address is an IP address in 16 bytes; one of version 4 is mapped into version 6 (RFC 4291, section 2.5.5.2). The zero Address is none.
type Address [16]byte

// Alone is how a pod without a controller is set up.
type Alone struct {
	Template *Template
	Ignore   Ignore
}

// Tristate is a condition that may be absent.
type Tristate uint8

// The values of a Tristate.
const (
	Absent Tristate = iota
	False
	True
)

// Pod is a pod. Pods of phase Succeeded need not be put.
type Pod struct {
	Meta
	Node     Symbol
	Labels   Labels
	Revision Symbol // label pod-template-hash, else controller-revision-hash
	Reason   Symbol // status.reason: Evicted, NodeLost, Shutdown, ...

	// The small fields stand together, so that the many pods of a large cluster have no gaps.
	Phase           Phase
	Ready           Tristate
	ContainersReady Tristate
	SandboxReady    Tristate // PodReadyToStartContainers
	Initialized     Tristate
	Scheduled       Tristate
	HasFinalizers   bool
	RestartNever    bool // restartPolicy Never: a terminated container is an end, not a failure to restart

	ReadySince      Time   // lastTransitionTime of Ready
	ScheduledReason Symbol // Unschedulable, SchedulingGated, SchedulerError
	ScheduledSince  Time   // lastTransitionTime of PodScheduled
	Blocker         Symbol // why it is unschedulable, from the scheduler's message: cpu, memory, node_affinity, ...
	Disruption      Symbol // reason of DisruptionTarget=True

	// Address is status.podIP; the zero one when there is none or discovery of middleware is off.
	Address Address

	Containers []Container // init containers first, as the spec orders them

	Alone *Alone // of a pod without a controller, a mirror pod included; nil for all others: their controllers have it

	entity *entity // the accumulator it counts for
	slot   int     // its place in entity.pods
}

// ObjectKind implements Object.
func (*Pod) ObjectKind() Kind { return Pods }

// live reports whether the pod counts for availability: neither ended nor being deleted.
func (p *Pod) live() bool {
	return p.Deleted == 0 && p.Phase != PhaseSucceeded && p.Phase != PhaseFailed
}
