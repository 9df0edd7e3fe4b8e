// SPDX-License-Identifier: Apache-2.0

package state

// Snapshot is an immutable picture of the cluster at one moment. Slices are sorted by their labels. What the source has
// not observed is missing: ask Observed before reading emptiness as "none".
type Snapshot struct {
	Now        Time
	Generation uint64 // grows with every change of the store; equal generations and equal Now mean equal snapshots but for Middleware and Discovery

	Workloads   []WorkloadView    // with a controller object: Deployments, StatefulSets, DaemonSets, free ReplicaSets
	Restarts    []RestartView     // every workload that has or had pods, CronJobs and the folded "" included
	Nodes       []NodeView        // needs Nodes
	Zones       []ZoneView        // needs Nodes
	Services    []ServiceView     // those with a selector; needs Services, and EndpointSlices for what is said of their endpoints
	Budgets     []BudgetView      // needs PodDisruptionBudgets
	Autoscalers []AutoscalerView  // needs HorizontalPodAutoscalers
	CronJobs    []CronJobView     // needs CronJobs and Jobs
	Leases      []LeaseView       // needs Leases
	Resources   []ResourceView    // how well each kind is observed
	Setups      []*SetupView      // everything that makes pods, by its template
	Middleware  []*MiddlewareView // the last probe of each target and what is known of each group; nil where no middleware is probed
	Discovery   *DiscoveryView    // nil without discovery of middleware

	// Inspected is when MarkInspected was last called; zero means never, and RestartView.SinceInspection means nothing.
	Inspected Time

	observed Kinds
}

// Observed reports whether every one of the kinds is observed: synchronised at least once and still permitted.
func (s *Snapshot) Observed(kinds Kinds) bool { return s.observed&kinds == kinds }

// Pending returns those of the kinds of which it is not known yet whether they can be observed: neither synchronised nor
// found to be forbidden or not served. A kind that the source has not announced is one of them: it has not begun.
func (s *Snapshot) Pending(kinds Kinds) Kinds {
	for _, r := range s.Resources {
		if r.Observation != Pending {
			kinds &^= KindSet(r.Kind)
		}
	}
	return kinds
}

// SetObserved says what a snapshot built by hand has observed; snapshots of a Store come with it.
func (s *Snapshot) SetObserved(observed Kinds) { s.observed = observed }

// State is the value of the label state of stability_workload_state.
type State uint8

// The states; Degraded and Down are damage.
const (
	Healthy State = iota
	Rolling
	Scaling
	ScaledToZero
	Degraded
	Down
)

// String returns the label value.
func (s State) String() string {
	return [...]string{"healthy", "rolling", "scaling", "scaled_to_zero", "degraded", "down"}[s]
}

// Count is a number under a name from a bounded vocabulary: a cause, a reason, a blocker, a registry.
type Count struct {
	Name string
	N    int32
}

// WorkloadView is what a Snapshot tells of one workload.
type WorkloadView struct {
	Ref  WorkloadRef
	Info Labels

	HasStatus bool  // false: only Desired is known, and for a DaemonSet not even that
	Desired   int32 // zero for a workload scaled to zero
	Current   int32
	Updated   int32
	Ready     int32
	Available int32

	// MinAvailable is the line below which the workload is damaged now; zero when nothing is expected.
	MinAvailable int32
	State        State
	DamagedSince Time    // since when it is degraded or down without a break; zero while it is neither
	DamageDelta  uint64  // how often damage began within the last hour
	DamagedShare float64 // share of the last hour in which it was damaged
	Lagging      bool    // its status has lagged its spec for more than a minute
	Stuck        bool
	Paused       bool

	Rolling          bool // the rollout fields below are meaningful
	RolloutStarted   Time // zero when it is not known
	LastProgress     Time // zero when it is not known
	UnhealthyUpdated int32
	RolloutRestarts  int32
	// UpdatedPodsUnknown: the two counts above mean nothing, because nothing tells which pods are of the new version.
	UpdatedPodsUnknown bool

	OnReadyNodes     bool // DaemonSets while pods and nodes are observed: the two counts below are known
	OnReadyDesired   int32
	OnReadyAvailable int32

	PodsKnown          bool    // pods are observed; the fields below are meaningful
	Causes             []Count // sums to Desired - min(Available, Desired)
	Abnormal           []Count // by the STATUS column
	Unschedulable      []Count // by blocker
	UnschedulableSince Time    // since when the oldest of them waits
	ImagePull          []Count // failing pods by registry
	ImagePullSince     Time    // since when the oldest of them is not ready
	TerminatingOverdue int32
	OverdueSince       Time // when the oldest of them should have been gone

	ZoneAvailable  []int32 // available pods in each of Snapshot.Zones
	SurvivableNode float64 // share of Desired left if the fullest node dies; meaningful when Desired > 0 and nodes are known
	SurvivableZone float64
}

// ContainerRestarts counts what happened to the containers of one name in all pods a workload had.
type ContainerRestarts struct {
	Name         string
	Type         ContainerType
	Restarts     uint64
	Terminations []Count64
	LastRestart  Time   // zero: none known
	LastReason   string // of LastRestart
}

// Count64 is a counter's value under a name.
type Count64 struct {
	Name string
	N    uint64
}

// The windows of the delta gauges.
var (
	// RestartWindows are the values of the label window of stability_workload_restart_delta.
	RestartWindows = [...]string{"15m", "1h", "24h"}
	// OOMWindows are the values of the label window of stability_workload_oom_kill_delta.
	OOMWindows = [...]string{"1h", "24h"}
)

// RestartView is what a Snapshot tells of the restarts of one workload.
type RestartView struct {
	Ref         WorkloadRef
	Containers  []ContainerRestarts
	Deltas      [len(RestartWindows)]uint64
	OOMKills    [len(OOMWindows)]uint64
	Disruptions []Count64 // pods lost by reason
	// SinceInspection counts the restarts after Snapshot.Inspected.
	SinceInspection uint64
}

// NodeClass is the value of the label class of stability_zone_nodes.
type NodeClass uint8

// The node classes: only members are expected to be ready.
const (
	Member        NodeClass = iota
	Cordoned                // unschedulable
	Leaving                 // being deleted or tainted for removal
	Bootstrapping           // younger than ten minutes and never ready
	nodeClassCount
)

// NodeClasses lists the label values in the order of NodeClass.
var NodeClasses = [nodeClassCount]string{"member", "cordoned", "leaving", "bootstrapping"}

// NodeView is what a Snapshot tells of one node.
type NodeView struct {
	Name              string
	Zone              string // "unknown" when the node has no zone label
	Class             NodeClass
	Ready             bool
	ReadySince        Time // when Ready last changed; zero when it was never reported
	Cordoned          bool
	Reboots           uint64 // since the exporter watches
	Crashes           uint64 // reboots within the last hour of a node that was neither cordoned nor leaving
	LastReboot        Time   // when one was last seen; zero: never
	Conditions        []NodeCondition
	DrainBlocked      int32 // pods a budget keeps on it while it is cordoned or leaving
	DrainBlockedBy    []DrainBlocker
	DrainBlockedKnown bool
}

// DrainBlocker is a PodDisruptionBudget that keeps pods on a node; a pod of several budgets counts for each.
type DrainBlocker struct {
	Namespace, Name string
	Pods            int32
}

// ZoneView is what a Snapshot tells of one zone.
type ZoneView struct {
	Name          string
	Nodes         [nodeClassCount]int32
	Unhealthy     int32   // members that are not ready
	EvictionLimit float64 // nodes per second the node lifecycle controller would evict, with its default flags
}

// ServiceView is what a Snapshot tells of one Service with a selector.
type ServiceView struct {
	Namespace, Name string
	Object          *Service
	ReadyEndpoints  int32
	// Cause says why there is no endpoint: no_matching_pods, pods_missing, scaled_to_zero, pods_not_ready, port_mismatch,
	// only_terminating, or unknown when pods, or workloads that may be scaled to zero, are not observed. Empty while there
	// is one.
	Cause string
	Lost  bool // it had endpoints, has none now, and nobody scaled it to zero
	// EmptySince is since when there is none; zero while there is one.
	EmptySince Time
}

// BudgetView is what a Snapshot tells of one PodDisruptionBudget.
type BudgetView struct {
	Namespace, Name string
	Object          *DisruptionBudget
	// Blocking says why no disruption is allowed: orphan, sync_failed, overlap, config, unhealthy, at_limit. Empty
	// while one is, and unless pods are observed.
	Blocking string
}

// AutoscalerView is what a Snapshot tells of one HorizontalPodAutoscaler.
type AutoscalerView struct {
	Namespace, Name string
	Target          WorkloadRef
	Limited         string // reason; empty when not limited, or when its minimum is its maximum
	LastScale       Time   // when it last changed the desired number; zero: never
}

// CronJobView is what a Snapshot tells of one CronJob.
type CronJobView struct {
	Namespace, Name string
	LastRunKnown    bool // some Job of it has finished
	LastRunFailed   bool
	LastRunEnded    Time
}

// LeaseView is what a Snapshot tells of the lease of a control plane component.
type LeaseView struct {
	Name, Holder string
	Renewed      Time
	Stale        bool // unchanged, by our own clock, for longer than its duration and a poll
}

// ResourceView says how well a kind is observed.
type ResourceView struct {
	Kind        Kind
	Observation Observation
	LastEvent   Time // last event, bookmark or list by our own clock; zero before the first
}
