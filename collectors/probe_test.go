// SPDX-License-Identifier: Apache-2.0

package collectors

import (
	"testing"
	"time"

	"stability-exporter/internal/state"
)

func TestProbeExposition(t *testing.T) {
	of := func(initialDelay, period, timeout time.Duration, failure int32) *state.Probe {
		return &state.Probe{InitialDelay: initialDelay, Period: period, Timeout: timeout, Failure: failure}
	}
	web := setup("shop", "web", "app", "proxy")
	app := &web.Template.Containers[0]
	app.Liveness, app.Readiness = of(0, 10*time.Second, time.Second, 3), of(5*time.Second, 5*time.Second, 2*time.Second, 1)
	app.Startup = of(0, 10*time.Second, time.Second, 30)
	web.Starts = []state.StartFact{{Container: state.Sym("app"), ToReady: 42 * time.Second}, {Container: state.Sym("proxy")}}
	golden(t, "probe.txt", collect(t, specOf(t, Options{}, "probe"), &state.Snapshot{Setups: []*state.SetupView{web, setup("tools", "bare", "app")}}))
}

func TestTheProbeCollectorIsOptIn(t *testing.T) {
	if specOf(t, Options{}, "probe").Default {
		t.Error("it runs by default: ten series for each container")
	}
}
