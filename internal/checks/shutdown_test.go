// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"slices"
	"strings"
	"testing"
	"time"

	"stability-exporter/internal/settings"
	"stability-exporter/internal/state"
)

func shutdownCases() caseTable {
	return caseTable{"grace_lt_prestop": graceCases(), "grace_lt_app_shutdown": springCases(), "no_drain": drainCases()}
}

func withGrace(grace time.Duration) func(*state.SetupView) {
	return withTemplate(func(t *state.Template) { t.Grace = grace })
}

// hooked has one container with that preStop hook.
func hooked(h state.Hook) func(*state.SetupView) {
	return withContainers(aContainer("app", func(c *state.ContainerSpec) { c.PreStop = h }))
}

func sleeping(d time.Duration) func(*state.SetupView) {
	return hooked(state.Hook{Native: true, Sleep: d})
}

func graceCases() []testCase {
	none, unknown := hooked(state.Hook{}), hooked(state.Hook{Handler: state.HandlerHTTP})
	exec := func(d time.Duration) func(*state.SetupView) {
		return hooked(state.Hook{Handler: state.HandlerExec, Sleep: d})
	}
	return []testCase{
		{name: "5s of 30s", subject: aWorkload(), want: Fine},
		{name: "exec sleep 60 of 30s", subject: aWorkload(exec(time.Minute)), want: Critical, detail: `preStop sleeps for 1m0s, the grace period is 30s`},
		{name: "native sleep of all there is", subject: aWorkload(sleeping(30 * time.Second)), want: Critical},
		{name: "one second is left", subject: aWorkload(sleeping(29 * time.Second)), want: Warning, detail: `leaves 1s`},
		{name: "two seconds are left", subject: aWorkload(sleeping(28 * time.Second)), want: Fine},
		{name: "60 of 90", subject: aWorkload(exec(time.Minute), withGrace(90*time.Second)), want: Fine},
		{name: "a hook of unknown length", subject: aWorkload(hooked(state.Hook{Handler: state.HandlerHTTP})), want: Fine},
		{name: "native sleep 0", subject: aWorkload(sleeping(0)), want: Fine},
		{name: "no hook", subject: aWorkload(none), want: Fine},
		{name: "a sidecar sleeps too long", subject: aWorkload(withContainers(aContainer("proxy", ofType(state.SidecarContainer), withPreStopSleep(40*time.Second)))), want: Critical},
		{name: "grace 0 and a hook that sleeps", subject: aWorkload(withGrace(0)), want: Critical, detail: `grace period is 0s`},
		{name: "grace 0 and a hook of unknown length", subject: aWorkload(unknown, withGrace(0)), want: Warning, detail: `hook gets 1s`},
		{name: "grace 0 and such a hook, of a DaemonSet", subject: aWorkload(unknown, withGrace(0), ofKind(state.DaemonSets)), want: Info},
		{name: "grace 0 behind a Service", subject: aWorkload(none, withGrace(0)), want: Info, detail: `2s after SIGTERM`},
		{name: "grace 0 of a StatefulSet", subject: aWorkload(none, withGrace(0), withServices(), ofKind(state.StatefulSets)), want: Warning},
		{name: "grace 0 of a DaemonSet", subject: aWorkload(none, withGrace(0), withServices(), ofKind(state.DaemonSets)), want: Fine},
		{name: "grace 0 that nobody calls", subject: aWorkload(none, withGrace(0), withServices()), want: Fine},
		{name: "grace 0 of a Job", subject: aWorkload(none, withGrace(0), ofKind(state.Jobs)), want: Fine},
		{name: "grace -1 is one second", subject: aWorkload(withGrace(-time.Second)), want: Critical},
	}
}

func springCases() []testCase {
	return []testCase{
		{name: "nothing is said", subject: aWorkload(), want: Fine},
		{name: "graceful, 5s and the default of 30s", subject: spring(5*time.Second, "server.shutdown=graceful"), want: Info,
			detail: `^preStop sleeps for 5s and a phase may take 30s, the grace period is 30s$`},
		{name: "graceful, without a hook", subject: spring(0, "server.shutdown=graceful"), want: Fine},
		{name: "a timeout alone says it, too", subject: spring(0, "spring.lifecycle.timeout-per-shutdown-phase=45s"), want: Info, detail: `45s`},
		{name: "a timeout that fits", subject: spring(5*time.Second, "server.shutdown=graceful", "spring.lifecycle.timeout-per-shutdown-phase=20s"), want: Fine},
		{name: "a timeout that is too short is another matter", subject: spring(5*time.Second, "spring.lifecycle.timeout-per-shutdown-phase=30"), want: Fine},
		{name: "immediate", subject: spring(5*time.Second, "server.shutdown=immediate", "spring.lifecycle.timeout-per-shutdown-phase=45s"), want: Fine},
		{name: "a placeholder", subject: spring(5*time.Second, "server.shutdown=graceful", "spring.lifecycle.timeout-per-shutdown-phase="+settings.Unknown), want: Fine},
		{name: "a timeout that is no duration", subject: spring(5*time.Second, "server.shutdown=graceful", "spring.lifecycle.timeout-per-shutdown-phase=soon"), want: Fine},
		{name: "another application", subject: spring(5*time.Second, "spring.kafka.consumer.heartbeat-interval=7s"), want: Fine},
	}
}

func drainCases() []testCase {
	none := hooked(state.Hook{})
	return []testCase{
		{name: "a hook", subject: aWorkload(), want: Fine},
		{name: "no hook", subject: aWorkload(none), want: Info, detail: `Service web`},
		{name: "native sleep 0 is a hook", subject: aWorkload(sleeping(0)), want: Fine},
		{name: "a hook of a sidecar", want: Fine,
			subject: aWorkload(withContainers(aContainer("app"), aContainer("proxy", ofType(state.SidecarContainer), withPreStopSleep(time.Second))))},
		{name: "somebody thought of the end", subject: aWorkload(none, withGrace(time.Minute)), want: Fine},
		{name: "no Service", subject: aWorkload(none, withServices()), want: Fine},
		{name: "a Service that publishes what is not ready", subject: aWorkload(none, withServices(aService("web", 80, "http", publishingNotReady))), want: Fine},
		{name: "Recreate", subject: aWorkload(none, func(w *state.SetupView) { w.Strategy = state.Recreate }), want: Fine},
		{name: "scaled to zero", subject: aWorkload(none, withReplicas(0)), want: Fine},
		{name: "a StatefulSet", subject: aWorkload(none, ofKind(state.StatefulSets)), want: Fine},
		{name: "a DaemonSet", subject: aWorkload(none, ofKind(state.DaemonSets)), want: Fine},
		{name: "a Job", subject: aWorkload(none, ofKind(state.Jobs)), want: Fine},
	}
}

// TestOnePodHasOneFindingOfItsGrace: what is true of the pod as a whole is told of one of its containers.
func TestOnePodHasOneFindingOfItsGrace(t *testing.T) {
	w := aWorkload(withContainers(aContainer("proxy", ofType(state.SidecarContainer)), aContainer("app"), aContainer("logs")), withGrace(0))
	var told []string
	for i := range w.Template.Containers {
		c := ContainerSubject{WorkloadSubject: WorkloadSubject{SetupView: w}, ContainerSpec: &w.Template.Containers[i]}
		if v := graceUsedUp(&c); v.Level != Fine {
			told = append(told, c.Name.String())
		}
	}
	if !slices.Equal(told, []string{"app"}) {
		t.Errorf("told of %q, want app alone", told)
	}
}

// spring is a workload whose preStop hook sleeps that long, and whose application is given KEY=VALUE on its command line.
func spring(sleep time.Duration, properties ...string) *state.SetupView {
	c := aContainer("app", withPreStopSleep(sleep))
	for _, property := range properties {
		key, value, _ := strings.Cut(property, "=")
		c.Settings = append(c.Settings, state.Setting{Source: state.FromArgument, Key: state.Sym(key), Value: value})
	}
	return aWorkload(withContainers(c))
}
