// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"time"

	"stability-exporter/internal/state"
)

const seconds = time.Second

func probeIdenticalCases() caseTable {
	both := func(l, r *state.Probe) *state.SetupView {
		return aWorkload(withContainers(aContainer("app", withPort("http", 8080), withPort("web", 8080), withPort("admin", 9090), withLiveness(l), withReadiness(r))))
	}
	withHeader := func(p *state.Probe) { p.Headers = state.ParseUID("Host: a") }
	return caseTable{"probe_identical": {
		{name: "and as soon", subject: both(httpGet("/h", "http"), httpGet("/h", "http")), want: Warning, detail: "killed after failing for 30s, out of traffic after 30s"},
		{name: "and sooner", subject: both(httpGet("/h", "http", failing(2)), httpGet("/h", "http")), want: Warning},
		{name: "and later", subject: both(httpGet("/h", "http", failing(6)), httpGet("/h", "http")), want: Info, detail: "killed after failing for 1m0s, out of traffic after 30s"},
		{name: "name and number of one port", subject: both(httpGet("/h", "http"), httpGet("/h", 8080)), want: Warning},
		{name: "two names of one port", subject: both(httpGet("/h", "http"), httpGet("/h", "web")), want: Warning},
		{name: "command", subject: both(execute([]string{"a", "b"}), execute([]string{"a", "b"})), want: Warning},
		{name: "grpc", subject: both(grpcOn(9090), grpcOn(9090)), want: Warning},
		{name: "same unresolved name", subject: both(httpGet("/h", "x"), httpGet("/h", "x")), want: Warning},
		{name: "in a sidecar", want: Warning, subject: aWorkload(withContainers(aContainer("proxy", ofType(state.SidecarContainer), withPort("p", 1),
			withLiveness(httpGet("/", "p")), withReadiness(httpGet("/", "p"))), aContainer("app")))},
		{name: "a minute is long", subject: both(httpGet("/h", "http", failing(6)), httpGet("/h", "http", failing(60))), want: Info},
		{name: "a port that does not answer is dead", subject: both(tcpSocket("http"), tcpSocket("http")), want: Info},
		{name: "a process that is gone is dead", subject: both(execute([]string{"sh", "-c", "pgrep sidekiq"}), execute([]string{"sh", "-c", "pgrep sidekiq"})), want: Info},
		{name: "a path for readiness is another check's", subject: both(httpGet("/ready", "http"), httpGet("/ready", "http")), want: Info},
		{name: "two named ports", subject: both(httpGet("/h", "http"), httpGet("/h", "admin"))},
		{name: "two unresolved names", subject: both(httpGet("/h", "x"), httpGet("/h", "y"))},
		{name: "other path", subject: both(httpGet("/livez", "http"), httpGet("/readyz", "http"))},
		{name: "other scheme", subject: both(httpGet("/h", "http"), httpGet("/h", "http", overHTTPS))},
		{name: "other host", subject: both(httpGet("/h", "http"), httpGet("/h", "http", onHost("x")))},
		{name: "other headers", subject: both(httpGet("/h", "http"), httpGet("/h", "http", withHeader))},
		{name: "other handler", subject: both(tcpSocket("http"), httpGet("/h", "http"))},
		{name: "other command", subject: both(execute([]string{"a", "b"}), execute([]string{"a"}))},
		{name: "other grpc service", subject: both(grpcOn(9090), grpcOn(9090, func(p *state.Probe) { p.Service = state.Sym("ready") }))},
		{name: "in two containers", subject: aWorkload(withContainers(aContainer("a", withLiveness(httpGet("/h", 80))), aContainer("b", withReadiness(httpGet("/h", 80)))))},
		{name: "liveness and startup", subject: probed(withLiveness(httpGet("/h", 8080)), withStartup(httpGet("/h", 8080)))},
	}}
}

func probeTimingCases() caseTable {
	live := func(options ...func(*state.Probe)) *state.SetupView {
		return probed(withLiveness(httpGet("/", 8080, options...)))
	}
	granting := func(d time.Duration) func(*state.Probe) { return func(p *state.Probe) { p.Grace = d } }
	return caseTable{
		"liveness_hair_trigger": {
			{name: "period 1, failure 1", subject: live(every(1*seconds), failing(1)), want: Warning, detail: "one failed attempt"},
			{name: "failure 1 with a long period", subject: live(every(60*seconds), failing(1)), want: Warning},
			{name: "within 7 seconds", subject: live(every(3*seconds), failing(3)), want: Warning, detail: "3 attempts within 7s"},
			{name: "exactly 10 seconds", subject: live(every(3*seconds), failing(4))},
			{name: "long timeout", subject: live(every(2*seconds), failing(2), within(8*seconds))},
			{name: "default", subject: live()},
			{name: "readiness", subject: probed(withReadiness(httpGet("/", 8080, every(1*seconds), failing(1))))},
			{name: "startup", subject: probed(withStartup(httpGet("/", 8080, every(1*seconds), failing(1))))},
			{name: "job", subject: aWorkload(ofKind(state.Jobs), withContainers(aContainer("app", withLiveness(httpGet("/", 80, failing(1))))))},
		},
		"timeout_ge_period": {
			{name: "longer", subject: live(every(5*seconds), within(30*seconds)), want: Info, detail: "timeout 30s, period 5s"},
			{name: "equal", subject: live(every(5*seconds), within(5*seconds)), want: Info},
			{name: "shorter", subject: live(every(5*seconds), within(4*seconds))},
		},
		"probe_grace_override": {
			{name: "liveness", subject: live(granting(600 * seconds)), want: Info, detail: "Liveness probe: 10m0s, the pod: 30s"},
			{name: "startup", subject: probed(withStartup(httpGet("/", 8080, granting(31*seconds)))), want: Info},
			{name: "shorter", subject: live(granting(10 * seconds))},
			{name: "none", subject: live()},
		},
		"probe_field_dropped": {
			{name: "misspelt", subject: dropped("app"), want: Warning, detail: `Liveness probe: there is no field "periodSecond"`},
			{name: "of a container that is gone", subject: dropped("old")},
			{name: "none", subject: live()},
		},
	}
}

func dropped(container string) *state.SetupView {
	return aWorkload(withTemplate(func(t *state.Template) {
		t.Dropped = []state.DroppedField{{Container: state.Sym(container), ProbeType: "Liveness", Field: state.Sym("periodSecond")}}
	}))
}

func progressDeadlineCases() caseTable {
	slow := func(change func(*state.SetupView), options ...func(*state.ContainerSpec)) *state.SetupView {
		w := probed(options...)
		change(w)
		return w
	}
	startup := withStartup(httpGet("/", 8080, failing(60)))
	asIs := func(*state.SetupView) {}
	return caseTable{"progress_deadline_lt_startup": {
		{name: "startup of 601 seconds", subject: slow(asIs, startup), want: Info, detail: "the rollout has 10m0s, a start 10m1s"},
		{name: "with minReadySeconds", want: Info, subject: slow(func(w *state.SetupView) { w.MinReady = 350 * seconds }, withStartup(httpGet("/", 8080, failing(30))))},
		{name: "liveness that waits", subject: slow(asIs, withLiveness(httpGet("/", 8080, after(590*seconds)))), want: Info},
		{name: "short deadline", subject: slow(func(w *state.SetupView) { w.ProgressDeadline = 60 * seconds }, withStartup(httpGet("/", 8080, failing(10)))), want: Info},
		{name: "enough", subject: slow(asIs, withStartup(httpGet("/", 8080, failing(30))))},
		{name: "startup takes the place of liveness", subject: slow(asIs, withStartup(httpGet("/", 8080)), withLiveness(httpGet("/", 8080, after(900*seconds))))},
		{name: "no deadline", subject: slow(func(w *state.SetupView) { w.ProgressDeadline = 0 }, startup)},
		{name: "StatefulSet", subject: slow(ofKind(state.StatefulSets), startup)},
		{name: "readiness only", subject: slow(asIs, withReadiness(httpGet("/", 8080, after(900*seconds))))},
	}}
}

func livenessBudgetCases() caseTable {
	observed := func(toReady time.Duration, options ...func(*state.ContainerSpec)) *state.SetupView {
		w := probed(options...)
		withStarts(state.StartFact{Container: state.Sym("app"), ToReady: toReady})(w)
		return w
	}
	same := func(toReady time.Duration) *state.SetupView { // may be killed from 20 to 31 seconds after its start
		return observed(toReady, withLiveness(httpGet("/h", "http")), withReadiness(httpGet("/h", "http")))
	}
	live := withLiveness(httpGet("/h", "http"))
	return caseTable{
		"liveness_budget_lt_start": {
			{name: "at risk", subject: same(25 * seconds), want: Warning, detail: "it took 25s to answer, and may be killed from 20s"},
			{name: "by luck", subject: same(40 * seconds), want: Critical, detail: "it took 40s to answer, and is killed after 31s"},
			{name: "readiness wants two successes", want: Warning, subject: observed(35*seconds, live, withReadiness(httpGet("/h", "http", func(p *state.Probe) { p.Success = 2 })))},
			{name: "in time", subject: same(20 * seconds)},
			{name: "never observed", subject: same(0)},
			{name: "liveness asks something else", subject: observed(60*seconds, live, withReadiness(httpGet("/readyz", "http")))},
			{name: "readiness waits by itself", subject: observed(65*seconds, live, withReadiness(httpGet("/h", "http", after(60*seconds))))},
			{name: "readiness asks once a minute", subject: observed(58*seconds, live, withReadiness(httpGet("/h", "http", every(60*seconds))))},
			{name: "startup probe", subject: observed(60*seconds, live, withReadiness(httpGet("/h", "http")), withStartup(httpGet("/h", "http", failing(30))))},
			{name: "no readiness", subject: observed(60*seconds, live)},
			{name: "pods are not observed", subject: same(40 * seconds), unobserved: state.KindSet(state.Pods)},
		},
		"startup_missing_slow": {
			{name: "slow start", subject: observed(45*seconds, live, withReadiness(httpGet("/readyz", "http"))), want: Info, detail: "it took 45s"},
			{name: "liveness waits", subject: probed(withLiveness(httpGet("/h", "http", after(60*seconds)))), want: Info, detail: "waits for 1m0s"},
			{name: "startup probe", subject: observed(45*seconds, live, withReadiness(httpGet("/readyz", "http")), withStartup(httpGet("/h", "http")))},
			{name: "quick", subject: observed(20*seconds, live, withReadiness(httpGet("/readyz", "http")))},
			{name: "readiness waits", subject: observed(45*seconds, live, withReadiness(httpGet("/readyz", "http", after(40*seconds))))},
			{name: "no liveness", subject: observed(45*seconds, withReadiness(httpGet("/readyz", "http")))},
			{name: "another container is slow", subject: aWorkload(withContainers(aContainer("fast", live), aContainer("app", withReadiness(httpGet("/", 80)))),
				withStarts(state.StartFact{Container: state.Sym("app"), ToReady: 99 * seconds}))},
		},
	}
}

func probeStartCases() caseTable {
	app := func(f state.StartFact, options ...func(*state.ContainerSpec)) *state.SetupView {
		w := probed(options...)
		f.Container = state.Sym("app")
		withStarts(f)(w)
		return w
	}
	startup := withStartup(httpGet("/", 8080, failing(30))) // kills from 290 seconds on
	live := withLiveness(httpGet("/", 8080))
	return caseTable{
		"startup_budget": {
			{name: "last attempt", subject: app(state.StartFact{ToStarted: 291 * seconds}, startup), want: Critical, detail: "it took 4m51s to start, and may be killed from 4m50s"},
			{name: "in time", subject: app(state.StartFact{ToStarted: 290 * seconds, ToReady: 400 * seconds}, startup)},
			{name: "a single attempt", subject: app(state.StartFact{ToStarted: 35 * seconds}, withStartup(httpGet("/", 8080, after(30*seconds), failing(1))))},
			{name: "never observed", subject: app(state.StartFact{}, startup)},
			{name: "no startup probe", subject: app(state.StartFact{ToStarted: 300 * seconds}, live)},
		},
		"killed_by_liveness_at_start": {
			{name: "still down", subject: app(state.StartFact{KilledAtStart: 2}, live), want: Critical, detail: "2 pods: killed within the 20s to 31s that the liveness probe"},
			{name: "up since", subject: app(state.StartFact{KilledAtStart: 1, Recovered: true}, live), want: Warning, detail: "up since"},
			{name: "by the startup probe", subject: app(state.StartFact{KilledAtStart: 1}, live, startup), want: Critical, detail: "4m50s to 5m1s that the startup probe"},
			{name: "never", subject: app(state.StartFact{}, live)},
			{name: "no probe that kills", subject: app(state.StartFact{KilledAtStart: 1}, withReadiness(httpGet("/", 8080)))},
		},
	}
}

func probeEventCases() caseTable {
	told := func(probeType uint8, outcome state.ProbeOutcome, ready int32) *state.SetupView {
		w := aWorkload(withEvents(state.ProbeFact{Container: state.Sym("app"), ProbeType: probeType, Outcome: outcome}))
		w.Ready = ready
		return w
	}
	elsewhere := aWorkload(withEvents(state.ProbeFact{Container: state.Sym("old"), Outcome: state.ProbeFailed}, state.ProbeFact{Container: state.Sym("old"), Outcome: state.ProbeErrored}))
	return caseTable{
		"probe_currently_failing": {
			{name: "liveness", subject: told(0, state.ProbeFailed, 3), want: Warning, detail: "Liveness probe: failed"},
			{name: "readiness of a pod that is not ready", subject: told(1, state.ProbeFailed, 2), want: Warning, detail: "2 of 3 pods are ready"},
			{name: "killed by liveness", subject: told(0, state.ProbeKilled, 3), want: Warning, detail: "killed"},
			{name: "killed by startup", subject: told(2, state.ProbeKilled, 2), want: Warning, detail: "Startup probe: the container was killed"},
			{name: "readiness of pods that are ready by now", subject: told(1, state.ProbeFailed, 3)},
			{name: "startup, as it is meant to", subject: told(2, state.ProbeFailed, 2)},
			{name: "a container that is gone", subject: elsewhere},
			{name: "events are not observed", subject: told(0, state.ProbeFailed, 3), unobserved: state.KindSet(state.Events)},
		},
		"probe_errored": {
			{name: "liveness", subject: told(0, state.ProbeErrored, 3), want: Critical, detail: "Liveness probe: could not be asked"},
			{name: "readiness", subject: told(1, state.ProbeErrored, 0), want: Critical},
			{name: "startup", subject: told(2, state.ProbeErrored, 0), want: Critical},
			{name: "readiness of pods that are ready", subject: told(1, state.ProbeErrored, 3)},
			{name: "failed only", subject: told(0, state.ProbeFailed, 3)},
			{name: "a container that is gone", subject: elsewhere},
		},
		"probe_redirect": {
			{name: "readiness", subject: told(1, state.ProbeRedirected, 3), want: Warning, detail: "Readiness"},
			{name: "none", subject: told(1, state.ProbeFailed, 3)},
		},
	}
}
