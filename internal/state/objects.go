// SPDX-License-Identifier: Apache-2.0

package state

import "time"

// WorkloadType is the value of the label workload_type.
type WorkloadType = string

// The workload types of the product's own collectors; a foreign controller has its lower-case kind.
const (
	TypeDeployment  WorkloadType = "deployment"
	TypeStatefulSet WorkloadType = "statefulset"
	TypeDaemonSet   WorkloadType = "daemonset"
	TypeReplicaSet  WorkloadType = "replicaset"
	TypeJob         WorkloadType = "job"
	TypeCronJob     WorkloadType = "cronjob"
	TypeStaticPod   WorkloadType = "staticpod"
	TypePod         WorkloadType = "pod" // one without a controller, where it is judged by itself
)

// WorkloadRef names a workload: the labels namespace, workload and workload_type. Bare pods and Jobs that no CronJob
// made share one reference per namespace whose Name and Type are empty.
type WorkloadRef struct{ Namespace, Name, Type Symbol }

// IntOrPercent is an absolute number or a percentage of the desired replicas.
type IntOrPercent struct {
	Value   int32
	Percent bool
}

// Strategy is how a controller replaces pods of an old template.
type Strategy uint8

// The update strategies of Deployments, StatefulSets and DaemonSets.
const (
	RollingUpdate Strategy = iota
	Recreate               // Deployments: all old pods go before a new one comes
	OnDelete               // StatefulSets and DaemonSets: never by itself
)

// Condition is a status condition of a workload.
type Condition struct {
	Status  Symbol // True, False, Unknown; empty when the condition is absent
	Reason  Symbol
	Updated Time // lastUpdateTime where the kind has it, else lastTransitionTime
}

// Workload is a Deployment, StatefulSet, DaemonSet, or a ReplicaSet that no Deployment controls. Several ReplicaSets of
// one foreign controller (an Argo Rollout) are added up under its name.
type Workload struct {
	Meta
	Kind               Kind // Deployments, StatefulSets, DaemonSets or ReplicaSets
	Generation         int64
	ObservedGeneration int64
	HasStatus          bool // false for a manifest that carries no status: the four status counts are then unknown

	Desired   int32 // spec.replicas (nil means 1); DaemonSets: status.desiredNumberScheduled
	Current   int32
	Updated   int32
	Ready     int32
	Available int32
	// Misscheduled are the pods of a DaemonSet on nodes that are not among the desired ones (any more).
	Misscheduled int32

	Strategy         Strategy
	MaxUnavailable   IntOrPercent
	MaxSurge         IntOrPercent
	Partition        int32         // StatefulSets
	FirstOrdinal     int32         // StatefulSets: spec.ordinals.start
	MinReady         time.Duration // minReadySeconds
	ProgressDeadline time.Duration // Deployments; zero when there is none (MaxInt32)
	TerminationGrace time.Duration // of the pod template
	Paused           bool
	RolledOut        bool // Deployments: a ReplicaSet was ever made (annotation deployment.kubernetes.io/revision)

	Progressing     Condition
	ReplicaFailure  Condition
	CurrentRevision Symbol // StatefulSets: status.currentRevision
	UpdateRevision  Symbol // StatefulSets: status.updateRevision

	TemplateLabels Labels
	Info           Labels // the allow-listed labels of the object (--workload-labels)

	Template *Template // nil where the source does not give it
	Ignore   Ignore
}

// ObjectKind implements Object.
func (w *Workload) ObjectKind() Kind { return w.Kind }

// ReplicaSet is the metadata of a ReplicaSet: who controls it, and the template it stands for.
type ReplicaSet struct {
	Meta
	TemplateHash Symbol // label pod-template-hash
	Revision     int64  // annotation deployment.kubernetes.io/revision; zero when absent
}

// ObjectKind implements Object.
func (*ReplicaSet) ObjectKind() Kind { return ReplicaSets }

// Revision is the metadata of a ControllerRevision of a StatefulSet or DaemonSet.
type Revision struct {
	Meta
	Hash Symbol // label controller-revision-hash; for StatefulSets the whole name is what pods carry
}

// ObjectKind implements Object.
func (*Revision) ObjectKind() Kind { return ControllerRevisions }

// Job is a Job, reduced to whose it is and how it ended.
type Job struct {
	Meta
	Finished Time // completion or failure; zero while it runs
	Failed   bool
	Active   int32
	Template *Template // nil for a Job that a CronJob made
	Ignore   Ignore
}

// ObjectKind implements Object.
func (*Job) ObjectKind() Kind { return Jobs }

// CronJob is a CronJob.
type CronJob struct {
	Meta
	Suspended bool
	Template  *Template
	Ignore    Ignore
}

// ObjectKind implements Object.
func (*CronJob) ObjectKind() Kind { return CronJobs }

// Autoscaler is a HorizontalPodAutoscaler.
type Autoscaler struct {
	Meta
	TargetKind Symbol // lower-case kind, so that it equals a workload type
	TargetName Symbol
	LastScale  Time
	Limited    Symbol // reason of ScalingLimited=True; empty when it is not limited
	Inactive   Symbol // reason of ScalingActive=False
	Pinned     bool   // its minimum is its maximum: somebody fixed the number on purpose
}

// ObjectKind implements Object.
func (*Autoscaler) ObjectKind() Kind { return HorizontalPodAutoscalers }

// DisruptionBudget is a PodDisruptionBudget.
type DisruptionBudget struct {
	Meta
	Selector           Selector
	HasStatus          bool
	DisruptionsAllowed int32
	CurrentHealthy     int32
	DesiredHealthy     int32
	ExpectedPods       int32
	SyncFailed         bool // condition DisruptionAllowed has the reason SyncFailed

	MinAvailable, MaxUnavailable *IntOrPercent // nil: not written
	Ignore                       Ignore
}

// ObjectKind implements Object.
func (*DisruptionBudget) ObjectKind() Kind { return PodDisruptionBudgets }

// Service is a Service. One without selector or of type ExternalName has a nil Selector and is not judged.
type Service struct {
	Meta
	Selector Selector
	Portless bool // headless without ports: its endpoints have none either

	Headless        bool
	PublishNotReady bool // publishNotReadyAddresses
	Ports           []ServicePort
	Ignore          Ignore
	Probing         *Probing // nil when it tells nothing of itself, or discovery of middleware is off
}

// Probing is what a Service tells of itself for the discovery of middleware, as it is written; what is not written is empty.
type Probing struct {
	Probe           Symbol // annotation stability-exporter/probe: a kind, or false
	Port            Symbol // stability-exporter/port: a name or a number
	Credential      Symbol // stability-exporter/probe-credential: a name in the configuration
	ExpectedMembers Symbol // stability-exporter/expected-members
	App             Symbol // label app.kubernetes.io/name
	Component       Symbol // label app.kubernetes.io/component
	External        bool   // type ExternalName
}

// ServicePort is a port of a Service and where it leads to.
type ServicePort struct {
	Name       Symbol
	Port       int32
	TargetName Symbol // name of a container port; empty when the target is a number
	Target     int32
	UDP        bool // any protocol but TCP
}

// ObjectKind implements Object.
func (*Service) ObjectKind() Kind { return Services }

// Endpoint is one address of an EndpointSlice.
type Endpoint struct {
	Target      UID // the pod's UID, else a hash of the address
	Serving     bool
	Terminating bool
}

// EndpointSlice is an EndpointSlice of a Service.
type EndpointSlice struct {
	Meta
	Service   Symbol // label kubernetes.io/service-name
	HasPorts  bool
	Endpoints []Endpoint
}

// ObjectKind implements Object.
func (*EndpointSlice) ObjectKind() Kind { return EndpointSlices }

// NodeCondition is one status condition of a node.
type NodeCondition struct {
	Type         Symbol
	Status       Symbol
	Transitioned Time
}

// Node is a Node.
type Node struct {
	Meta
	Zone       Symbol // topology.kubernetes.io/zone, else failure-domain.beta…; empty when it has none
	Region     Symbol
	Ready      Symbol // status of the Ready condition; empty when it was never reported
	ReadySince Time   // lastTransitionTime of Ready
	Heartbeat  Time   // lastHeartbeatTime of Ready
	Cordoned   bool
	Tainted    bool // a taint keeps away pods that do not tolerate it (NoSchedule, NoExecute)
	Leaving    bool // a taint says that it is about to be removed (autoscaler, Karpenter, cloud termination)
	// ExcludedFromDisruption is the label node.kubernetes.io/exclude-disruption: the node lifecycle controller leaves
	// it out of its zone's population.
	ExcludedFromDisruption bool
	BootID                 Symbol
	Conditions             []NodeCondition // other than Ready

	beenReady bool // it was seen ready at least once
}

// ObjectKind implements Object.
func (*Node) ObjectKind() Kind { return Nodes }

// Namespace is the metadata of a Namespace.
type Namespace struct{ Meta }

// ObjectKind implements Object.
func (*Namespace) ObjectKind() Kind { return Namespaces }

// Lease is a Lease of kube-system whose holder is a control plane component.
type Lease struct {
	Meta
	Holder   Symbol
	Renewed  time.Time // with its microseconds: any change counts as a renewal
	Duration time.Duration
}

// ObjectKind implements Object.
func (*Lease) ObjectKind() Kind { return Leases }
