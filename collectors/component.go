// SPDX-License-Identifier: Apache-2.0

package collectors

import (
	"strings"

	"github.com/go-kit/log"

	"stability-exporter/internal/state"
)

const (
	controllerManager = "kube-controller-manager"
	scheduler         = "kube-scheduler"
)

var (
	componentUp = gauge("stability_component_up",
		"1 when a control plane component is alive: its leader, named by member, keeps renewing its lease. 0 means that nobody "+
			"does its work: pods are not scheduled, or what dies is not replaced. No series where its lease cannot be seen.",
		"component", "member")
	leaseRenewed = gauge("stability_lease_renewed_timestamp_seconds",
		"When the holder last renewed the lease, in Unix seconds by the holder's clock.",
		"lease", "node")
	statusStale = gauge("stability_status_stale",
		"1 when the status that the API shows for the resource is no longer kept up to date, because the controller manager is "+
			"not alive: do not trust replica counts. 0 means that it is. No series where that is not known.",
		"resource")
)

// managedKinds are the kinds whose status the controller manager writes.
var managedKinds = state.KindSet(state.Nodes, state.Deployments, state.StatefulSets, state.DaemonSets, state.ReplicaSets,
	state.CronJobs, state.Jobs, state.HorizontalPodAutoscalers, state.PodDisruptionBudgets, state.EndpointSlices)

// component is the collector of the control plane's components.
type component struct{}

func componentSpec() Spec {
	return Spec{
		Name:     "component",
		Help:     "Whether control plane components are alive, and whether what the API shows can be trusted.",
		Default:  true,
		Reads:    state.KindSet(state.Leases),
		Families: []*Family{componentUp, leaseRenewed, statusStale},
		New:      func(log.Logger) Collector { return component{} },
	}
}

// Collect implements Collector.
func (component) Collect(s *state.Snapshot, emit *Emitter) error {
	for _, r := range s.Resources {
		if r.Observation == state.Pending && managedKinds.Has(r.Kind) {
			return nil // kinds that others read are on their way: what is said of them must not come one by one
		}
	}
	for _, lease := range s.Leases {
		if lease.Renewed != 0 {
			emit.Emit(leaseRenewed, float64(lease.Renewed), lease.Name, "")
		}
		switch lease.Name {
		case controllerManager:
			emitStale(s, lease.Stale, emit)
			emitComponent(lease, emit)
		case scheduler:
			emitComponent(lease, emit)
		}
	}
	return nil
}

// emitComponent tells whether a component is alive. A lease without a holder was given back: nobody leads.
func emitComponent(lease state.LeaseView, emit *Emitter) {
	member, _, _ := strings.Cut(lease.Holder, "_") // client-go's leader election appends _ and a UUID to the host name
	emit.Emit(componentUp, boolValue(member != "" && !lease.Stale), lease.Name, member)
}

// emitStale emits a sample for each observed resource that depends on the controller manager.
func emitStale(s *state.Snapshot, stale bool, emit *Emitter) {
	for _, kind := range managedKinds.All() {
		if s.Observed(state.KindSet(kind)) {
			emit.Emit(statusStale, boolValue(stale), kind.String())
		}
	}
}
