// SPDX-License-Identifier: Apache-2.0

package collectors

import (
	"testing"

	"stability-exporter/internal/state"
)

func placementSnapshot(kinds ...state.Kind) *state.Snapshot {
	web := state.WorkloadView{
		Ref: ref("shop", "web", state.TypeDeployment), HasStatus: true, Desired: 4, PodsKnown: true,
		ZoneAvailable: []int32{3, 0}, SurvivableNode: 1.25, SurvivableZone: 0.25,
	}
	idle, blind, plain := web, web, web
	idle.Ref, idle.Desired, idle.ZoneAvailable = ref("shop", "idle", state.TypeDeployment), 0, []int32{0, 0}
	blind.Ref, blind.PodsKnown = ref("shop", "blind", state.TypeDeployment), false
	plain.Ref, plain.HasStatus = ref("shop", "plain", state.TypeDeployment), false
	return observed(&state.Snapshot{
		Workloads: []state.WorkloadView{blind, idle, plain, web},
		Zones:     []state.ZoneView{{Name: "a"}, {Name: "b"}},
	}, kinds...)
}

func TestPlacementExposition(t *testing.T) {
	golden(t, "placement.txt", collect(t, specOf(t, Options{}, "placement"), placementSnapshot(state.Nodes, state.Pods, state.Deployments)))
}

func TestPlacementNeedsNodesAndPods(t *testing.T) {
	wantSamples(t, "placement", placementSnapshot(state.Pods, state.Deployments), "")
	wantSamples(t, "placement", placementSnapshot(state.Nodes, state.Deployments), "")
}
