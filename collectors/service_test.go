// SPDX-License-Identifier: Apache-2.0

package collectors

import (
	"testing"

	"stability-exporter/internal/state"
)

func serviceSnapshot(kinds ...state.Kind) *state.Snapshot {
	return observed(&state.Snapshot{Services: []state.ServiceView{
		{Namespace: "shop", Name: "idle", Cause: "scaled_to_zero", EmptySince: testNow - 5000},
		{Namespace: "shop", Name: "web", ReadyEndpoints: 3},
		{Namespace: "shop", Name: "wrong", Cause: "pods_not_ready", Lost: true, EmptySince: testNow - 90},
	}}, kinds...)
}

func TestServiceExposition(t *testing.T) {
	golden(t, "service.txt", collect(t, specOf(t, Options{}, "service"), serviceSnapshot(state.Services, state.EndpointSlices)))
}

func TestServicesNeedEndpointSlices(t *testing.T) {
	wantSamples(t, "service", serviceSnapshot(state.Services, state.Pods), "")
	wantSamples(t, "service", serviceSnapshot(state.EndpointSlices, state.Pods), "")
}
