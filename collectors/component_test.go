// SPDX-License-Identifier: Apache-2.0

package collectors

import (
	"testing"

	"stability-exporter/internal/state"
)

func TestComponentExposition(t *testing.T) {
	golden(t, "component.txt", collect(t, specOf(t, Options{}, "component"), observed(&state.Snapshot{
		Leases: []state.LeaseView{
			{Name: "cloud-controller-manager", Holder: "cp-1_1", Renewed: 1_794_999_998},
			{Name: "kube-controller-manager", Holder: "cp-2_5c6a0fd8-2f6e-4f0e-9d0a-0f3f3a3c1d2e", Renewed: 1_794_999_000, Stale: true},
			{Name: "kube-scheduler", Holder: "cp-1.example_0d1c", Renewed: 1_794_999_999},
		},
	}, state.Leases, state.Deployments, state.Pods, state.Nodes)))
}

func TestALeaseGivenBackHasNoLeader(t *testing.T) {
	wantSamples(t, "component", observed(&state.Snapshot{Leases: []state.LeaseView{{Name: "kube-scheduler"}}}, state.Leases), `
stability_component_up{component="kube-scheduler",member=""} 0
`)
}

func TestStatusIsNotJudgedWithoutTheLeaseOfTheControllerManager(t *testing.T) {
	wantSamples(t, "component", observed(&state.Snapshot{}, state.Leases, state.Deployments), "")
}

func TestComponentsComeWithTheKindsTheySpeakOf(t *testing.T) {
	s := observed(&state.Snapshot{
		Leases:    []state.LeaseView{{Name: "kube-controller-manager", Holder: "cp-1_1"}},
		Resources: []state.ResourceView{{Kind: state.Leases}, {Kind: state.Nodes}, {Kind: state.Deployments, Observation: state.Pending}},
	}, state.Leases, state.Nodes)
	wantSamples(t, "component", s, "")
	s.Resources[2].Observation = state.Forbidden
	wantSamples(t, "component", s, `
stability_component_up{component="kube-controller-manager",member="cp-1"} 1
stability_status_stale{resource="nodes"} 0
`)
}
