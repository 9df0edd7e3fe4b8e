// SPDX-License-Identifier: Apache-2.0

package collectors

import (
	"strings"
	"testing"

	"stability-exporter/internal/state"
)

func TestRestartExposition(t *testing.T) {
	golden(t, "restart.txt", collect(t, specOf(t, Options{}, "restart"), observed(&state.Snapshot{
		Inspected: 1_794_990_000,
		Restarts: []state.RestartView{
			{
				Ref:         ref("shop", "", ""),
				Containers:  []state.ContainerRestarts{{Name: "debug", Restarts: 1}},
				Deltas:      [...]uint64{0, 1, 1},
				Disruptions: []state.Count64{{Name: "Evicted", N: 2}, {Name: "Other"}},
			},
			{
				Ref: ref("shop", "web", state.TypeDeployment),
				Containers: []state.ContainerRestarts{
					{
						Name: "app", Restarts: 12, LastRestart: 1_794_999_000, LastReason: "OOMKilled",
						Terminations: []state.Count64{{Name: "OOMKilled", N: 9}, {Name: "Error", N: 3}, {Name: "SIGTERM"}},
					},
					{Name: "migrate", Type: state.InitContainer},
				},
				Deltas: [...]uint64{1, 4, 12}, OOMKills: [...]uint64{3, 9}, SinceInspection: 5,
			},
		},
	}, state.Pods)))
}

func TestNothingCountsSinceAnInspectionThatNeverWas(t *testing.T) {
	s := observed(&state.Snapshot{Restarts: []state.RestartView{{Ref: ref("shop", "web", "deployment"), SinceInspection: 5}}}, state.Pods)
	if text := collect(t, specOf(t, Options{}, "restart"), s); strings.Contains(string(text), "inspection") {
		t.Errorf("%s", text)
	}
}

func TestRestartsNeedPods(t *testing.T) {
	wantSamples(t, "restart", observed(&state.Snapshot{Restarts: []state.RestartView{{Ref: ref("shop", "", "")}}}, state.Deployments), "")
}

// A sidecar that was an ordinary container before has two entries, and one series where the type is no label.
func TestContainersOfOneNameAndSeveralTypesShareTheirSeries(t *testing.T) {
	terminations := []state.Count64{{Name: "Error", N: 1}}
	wantSamples(t, "restart", observed(&state.Snapshot{Restarts: []state.RestartView{{
		Ref: ref("shop", "web", state.TypeDeployment),
		Containers: []state.ContainerRestarts{
			{Name: "app"},
			{Name: "proxy", Restarts: 1, Terminations: terminations, LastRestart: 100, LastReason: "Error"},
			{
				Name: "proxy", Type: state.SidecarContainer, Restarts: 2, LastRestart: 200, LastReason: "SIGKILL",
				Terminations: []state.Count64{{Name: "Error", N: 1}, {Name: "SIGKILL", N: 1}},
			},
		},
	}}}, state.Pods), `
stability_container_restarts_total{namespace="shop",workload="web",workload_type="deployment",container="app",container_type="app"} 0
stability_container_restarts_total{namespace="shop",workload="web",workload_type="deployment",container="proxy",container_type="app"} 1
stability_container_restarts_total{namespace="shop",workload="web",workload_type="deployment",container="proxy",container_type="sidecar"} 2
stability_container_terminations_total{namespace="shop",workload="web",workload_type="deployment",container="proxy",reason="Error"} 2
stability_container_terminations_total{namespace="shop",workload="web",workload_type="deployment",container="proxy",reason="SIGKILL"} 1
stability_workload_last_restart_timestamp_seconds{namespace="shop",workload="web",workload_type="deployment",container="proxy",reason="SIGKILL"} 200
stability_workload_oom_kill_delta{namespace="shop",workload="web",workload_type="deployment",window="1h"} 0
stability_workload_oom_kill_delta{namespace="shop",workload="web",workload_type="deployment",window="24h"} 0
stability_workload_restart_delta{namespace="shop",workload="web",workload_type="deployment",window="15m"} 0
stability_workload_restart_delta{namespace="shop",workload="web",workload_type="deployment",window="1h"} 0
stability_workload_restart_delta{namespace="shop",workload="web",workload_type="deployment",window="24h"} 0
`)
	if terminations[0].N != 1 {
		t.Error("the snapshot was changed")
	}
}
