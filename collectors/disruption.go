// SPDX-License-Identifier: Apache-2.0

package collectors

import (
	"github.com/go-kit/log"

	"stability-exporter/internal/state"
)

var (
	budgetBlocking = sparseGauge("stability_pdb_blocking",
		"1 when the PodDisruptionBudget lets no pod be evicted, by cause: config can never be met with the pods it has, "+
			"unhealthy and at_limit pass once pods are ready again, orphan matches no pod (nor a workload that is scaled to zero), overlap shares a pod with another "+
			"budget, sync_failed is not maintained. No series means that a pod may be evicted.",
		"namespace", "poddisruptionbudget", "cause")
	drainBlocked = sparseGauge("stability_node_drain_blocked_pods",
		"Pods on a cordoned or leaving node that a PodDisruptionBudget keeps from being evicted: the drain waits for them. "+
			"No series means that none waits.",
		nodeLabels...)
	budgetDrainBlocked = sparseGauge("stability_pdb_drain_blocked_pods",
		"Pods on a cordoned or leaving node that this PodDisruptionBudget keeps from being evicted; a pod of several budgets counts for "+
			"each. No series means that the budget holds up no drain of the node.",
		withLabels(nodeLabels, "namespace", "poddisruptionbudget")...)
)

// disruption is the collector of what is in the way of planned disruptions.
type disruption struct{}

func disruptionSpec() Spec {
	return Spec{
		Name:     "disruption",
		Help:     "PodDisruptionBudgets that permit nothing, and the drains they hold up.",
		Default:  true,
		Reads:    state.KindSet(state.Namespaces, state.Nodes, state.Pods, state.PodDisruptionBudgets),
		Families: []*Family{budgetBlocking, drainBlocked, budgetDrainBlocked},
		New:      func(log.Logger) Collector { return disruption{} },
	}
}

// Collect implements Collector.
func (disruption) Collect(s *state.Snapshot, emit *Emitter) error {
	for _, b := range s.Budgets {
		if b.Blocking != "" {
			emit.Emit(budgetBlocking, 1, b.Namespace, b.Name, b.Blocking)
		}
	}
	for i := range s.Nodes {
		if n := &s.Nodes[i]; n.DrainBlockedKnown && n.DrainBlocked > 0 {
			emit.Emit(drainBlocked, float64(n.DrainBlocked), n.Name, n.Zone)
			for _, b := range n.DrainBlockedBy {
				emit.Emit(budgetDrainBlocked, float64(b.Pods), n.Name, n.Zone, b.Namespace, b.Name)
			}
		}
	}
	return nil
}
