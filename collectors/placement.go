// SPDX-License-Identifier: Apache-2.0

package collectors

import (
	"github.com/go-kit/log"

	"stability-exporter/internal/state"
)

var (
	zoneAvailable = gauge("stability_workload_zone_available_replicas",
		"Available pods of the workload in each zone that has nodes. 0 means that the zone has none. The zone is unknown where "+
			"nodes carry no zone label.",
		withLabels(workloadLabels, "zone")...)
	survivableRatio = gauge("stability_workload_survivable_ratio",
		"Share of the desired pods that would be left if the node, or the zone, with most of the workload's pods died now. "+
			"0 means that it alone carries everything. No series while the workload is scaled to zero.",
		withLabels(workloadLabels, "topology")...)
)

// placement is the collector of where pods run and what a lost node or zone would take along.
type placement struct{}

func placementSpec() Spec {
	return Spec{
		Name:     "placement",
		Help:     "Where the pods of workloads run, and what is left of them when a node or a zone dies.",
		Default:  true,
		Reads:    workloadKinds | state.KindSet(state.Nodes, state.Pods),
		Families: []*Family{zoneAvailable, survivableRatio},
		New:      func(log.Logger) Collector { return placement{} },
	}
}

// Collect implements Collector.
func (placement) Collect(s *state.Snapshot, emit *Emitter) error {
	if !s.Observed(state.KindSet(state.Nodes, state.Pods)) {
		return nil
	}
	for i := range s.Workloads {
		w := &s.Workloads[i]
		if !w.HasStatus || !w.PodsKnown {
			continue
		}
		samples := emit.workload(w.Ref)
		for j, available := range w.ZoneAvailable {
			samples.emit(zoneAvailable, float64(available), s.Zones[j].Name)
		}
		if w.Desired > 0 {
			samples.emit(survivableRatio, min(w.SurvivableNode, 1), "node") // the surplus of a surge is no gain
			samples.emit(survivableRatio, min(w.SurvivableZone, 1), "zone")
		}
	}
	return nil
}
