// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stability-exporter/internal/state"
)

// accepted is something questionable, or only unusual, that an API server (1.36) was seen to take, and what the checks have to say of it. What it
// refuses needs no check.
type accepted struct {
	name  string
	setup *state.SetupView
	other any      // *ServiceSubject or *BudgetSubject that is not the workload's own
	want  []string // ids and levels of all findings, sorted
}

// TestWhatTheAPITakes: everything besides is as a careful team writes it, so that each finding is of what the case is named for.
func TestWhatTheAPITakes(t *testing.T) {
	cases := slices.Concat(acceptedProbes(), acceptedPorts(), acceptedEnds(), acceptedResources(), acceptedWorkloads(), acceptedSelectors())
	if len(cases) != 58 {
		t.Errorf("%d cases, want all 58 that were taken", len(cases))
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			if tc.setup == nil {
				tc.setup = aWorkload()
			}
			if diff := cmp.Diff(tc.want, findingsOf(tc.setup, tc.other)); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

// findingsOf runs all checks on the workload, on the Services and budgets that select it, and on one other subject.
func findingsOf(w *state.SetupView, other any) []string {
	subjects := []any{w, &ClusterSubject{Setups: []*state.SetupView{w}, settings: &Settings{}}}
	for _, s := range w.Services {
		subjects = append(subjects, aServiceSubject(s, w))
	}
	for _, b := range w.Budgets {
		subjects = append(subjects, aBudgetSubject(b, w))
	}
	if other != nil {
		subjects = append(subjects, other)
	}
	var found []string
	for _, c := range All() {
		for _, subject := range subjects {
			_, service := subject.(*ServiceSubject)
			_, budget := subject.(*BudgetSubject)
			_, cluster := subject.(*ClusterSubject)
			if service != (c.OfService != nil) || budget != (c.OfBudget != nil) || cluster != (c.OfCluster != nil) {
				continue
			}
			for _, v := range verdicts(&c, subject, func(state.Kinds) bool { return true }) {
				if v.Level != Fine {
					found = append(found, fmt.Sprintf("%s %s", c.ID, v.Level))
				}
			}
		}
	}
	slices.Sort(found)
	return found
}

// careful is the container of a careful team, with the given liveness probe.
func careful(liveness *state.Probe, options ...func(*state.ContainerSpec)) *state.SetupView {
	w := aWorkload()
	c := &w.Template.Containers[0]
	c.Liveness = liveness
	for _, option := range options {
		option(c)
	}
	return w
}

func beside(w *state.SetupView, c state.ContainerSpec) *state.SetupView {
	w.Template.Containers = append(w.Template.Containers, c)
	return w
}

func acceptedProbes() []accepted {
	with := func(change func(*state.Probe)) *state.Probe { return httpGet("/h", 8080, change) }
	asIs := func(*state.Probe) {}
	return []accepted{
		{name: "livenessProbe terminationGracePeriodSeconds=10", setup: careful(with(func(p *state.Probe) { p.Grace = 10 * seconds }))},
		{name: "readinessProbe successThreshold=2", setup: careful(with(asIs), withReadiness(httpGet("/readyz", 8080, func(p *state.Probe) { p.Success = 2 })))},
		{name: "startupProbe terminationGracePeriodSeconds=10", setup: careful(with(asIs), withStartup(httpGet("/h", 8080, func(p *state.Probe) { p.Grace = 10 * seconds })))},
		{name: "defaults: httpGet port only", setup: careful(httpGet("/", 8080))},
		{name: "periodSeconds=0", setup: careful(with(asIs))},
		{name: "timeoutSeconds=0", setup: careful(with(asIs))},
		{name: "failureThreshold=0", setup: careful(with(asIs))},
		{name: "timeoutSeconds 30 > periodSeconds 5", setup: careful(httpGet("/h", 8080, within(30*seconds), every(5*seconds))), want: []string{"timeout_ge_period info"}},
		{name: "period 1 failureThreshold 1", setup: careful(httpGet("/h", 8080, every(1*seconds), failing(1))),
			want: []string{"liveness_hair_trigger warning", "timeout_ge_period info"}},
		{name: "liveness terminationGracePeriodSeconds=600 > pod 30", setup: careful(with(func(p *state.Probe) { p.Grace = 600 * seconds })),
			want: []string{"probe_grace_override info"}},
		{name: "scheme='HTTPS'", setup: careful(httpGet("/", 80, overHTTPS), withPort("", 80)), want: []string{"probe_scheme_mismatch info"}},
		{name: "scheme=''", setup: careful(httpGet("/", 80), withPort("", 80))},
		{name: "path without leading slash", setup: careful(httpGet("healthz", 8080))}, // the kubelet adds it
		{name: "httpGet.host=127.0.0.1", setup: careful(httpGet("/", 80, onHost("127.0.0.1"))), want: []string{"probe_host_set critical"}},
		{name: "tcpSocket.host=other.svc", setup: careful(tcpSocket(80, onHost("mysql.db"))), want: []string{"probe_host_set warning"}},
		{name: "exec shell string as one arg", setup: careful(execute([]string{"curl -f http://localhost:8080"})),
			want: []string{"exec_not_shell critical", "exec_timeout_default warning"}},
		{name: "grpc port ok, service absent", setup: careful(grpcOn(9090), withPort("grpc", 9090))},
		{name: "unknown field periodSecond Warn", setup: dropped("app"), want: []string{"probe_field_dropped warning"}},
		{name: "unknown field periodSecond Ignore", setup: dropped("app"), want: []string{"probe_field_dropped warning"}},
	}
}

func acceptedPorts() []accepted {
	web := func(c *state.ContainerSpec) {
		c.Ports = []state.Port{{Name: state.Sym("http"), Number: 8080}}
	}
	proxy := aContainer("proxy", ofType(state.SidecarContainer), withPort("proxy", 9901), withLiveness(httpGet("/livez", "proxy")),
		withReadiness(httpGet("/readyz", "proxy")), withStartup(httpGet("/livez", "proxy")))
	onHost := careful(httpGet("/livez", 80), func(c *state.ContainerSpec) { c.Ports = append(c.Ports, state.Port{Number: 80, HostPort: 80}) })
	onHost.Template.HostNetwork = true
	return []accepted{
		{name: "named port unresolved", setup: careful(httpGet("/", "web"), web), want: []string{"probe_port_unresolved critical"}},
		{name: "named port in OTHER container only", setup: beside(careful(httpGet("/", "web"), web), aContainer("helper", withPort("web", 9000))),
			want: []string{"probe_port_unresolved critical"}},
		{name: "numeric port undeclared", setup: careful(httpGet("/h", 9090)), want: []string{"probe_port_undeclared info"}},
		{name: "probe named port that is UDP", setup: careful(tcpSocket("dns"), withUDPPort("dns", 53)), want: []string{"probe_port_undeclared info"}},
		{name: "sidecar init (restartPolicy Always) with 3 probes", setup: beside(aWorkload(), proxy)},
		{name: "duplicate port NUMBER same container", setup: careful(httpGet("/livez", "http"), withPort("web", 8080))},
		{name: "duplicate port NAME across containers", setup: beside(aWorkload(), aContainer("helper", withPort("http", 9000)))},
		{name: "duplicate port NUMBER across containers", setup: beside(aWorkload(), aContainer("helper", withPort("", 8080)))},
		{name: "hostNetwork ports without hostPort", setup: onHost},
	}
}

// ended has another grace period and preStop hook.
func ended(grace time.Duration, hook state.Hook) *state.SetupView {
	w := aWorkload()
	w.Template.Grace, w.Template.Containers[0].PreStop = grace, hook
	return w
}

func acceptedEnds() []accepted {
	native := state.Hook{Native: true, Sleep: 5 * seconds}
	return []accepted{
		{name: "preStop sleep 30 == grace 30", setup: ended(30*seconds, state.Hook{Native: true, Sleep: 30 * seconds}), want: []string{"grace_lt_prestop critical"}},
		{name: "preStop sleep 0", setup: ended(30*seconds, state.Hook{Native: true})},
		{name: "preStop exec sleep 60, grace 30", setup: ended(30*seconds, state.Hook{Handler: state.HandlerExec, Sleep: 60 * seconds}),
			want: []string{"grace_lt_prestop critical"}},
		{name: "terminationGracePeriodSeconds 0", setup: ended(0, native), want: []string{"grace_lt_prestop critical"}},
		{name: "terminationGracePeriodSeconds -1", setup: ended(-1*seconds, native), want: []string{"grace_lt_prestop critical"}},
	}
}

func acceptedResources() []accepted {
	sized := func(cpu, memory int64) *state.SetupView {
		w := aWorkload()
		c := &w.Template.Containers[0]
		c.Requests = state.Resources{CPU: state.Quantity{Set: true, Milli: cpu}, Memory: state.Quantity{Set: true, Milli: memory}}
		c.Limits = c.Requests
		return w
	}
	limitsOnly := aWorkload()
	limitsOnly.Template.Containers[0].Requests = state.Resources{}
	const gibibyte = 1000 << 30
	huge := sized(100_000, gibibyte)
	huge.Ready, huge.Placement = 0, nil
	return []accepted{
		{name: "duplicate env names"}, // which one holds is decided where settings are collected
		{name: "memory limit 512m (milli-bytes)", setup: sized(1000, 512), want: []string{"qty_unit_suspect critical"}},
		{name: "memory limit '512' bytes", setup: sized(1000, 512_000), want: []string{"qty_unit_suspect critical"}},
		{name: "cpu limit 100 (cores)", setup: huge, want: []string{"qty_unit_suspect critical"}},
		{name: "cpu 0.5m", setup: sized(1, gibibyte)},
		{name: "Pod limits only -> requests"},
		{name: "Deployment limits only", setup: limitsOnly},
		{name: "image latest, no pullPolicy", setup: careful(httpGet("/livez", "http"), withImage("example/app", "latest")), want: []string{"image_mutable_tag warning"}},
	}
}

func acceptedWorkloads() []accepted {
	asking := func(kind state.SpreadKind, selector state.Selector) *state.SetupView {
		return aWorkload(withTemplate(func(t *state.Template) {
			t.Spread = []state.SpreadTerm{{Kind: kind, TopologyKey: state.Sym("kubernetes.io/hostname"), Selector: selector}}
		}))
	}
	mislabelled := state.SelectorFromMap(map[string]string{"app.kubernetes.io/name": "web"})
	all := func(w *state.SetupView) { w.MaxUnavailable = state.IntOrPercent{Value: 100, Percent: true} }
	return []accepted{
		{name: "Deployment defaults", setup: aWorkload(withReplicas(2))},
		{name: "Deployment maxUnavailable 100%", setup: aWorkload(all)},
		{name: "Deployment Recreate", setup: aWorkload(func(w *state.SetupView) { w.Strategy = state.Recreate })},
		{name: "antiAffinity selector not self", setup: asking(state.AntiAffinityRequired, mislabelled), want: []string{"spread_selector_not_self warning"}},
		{name: "topologySpread no labelSelector", setup: asking(state.SpreadScheduleAnyway, nil), want: []string{"spread_selector_not_self warning"}},
		{name: "topologySpread selector not self", setup: asking(state.SpreadDoNotSchedule, selects("db")), want: []string{"spread_selector_not_self warning"}},
		{name: "HPA min==max", setup: aWorkload(func(w *state.SetupView) { w.Autoscaled = true })},
		{name: "StatefulSet serviceName missing svc", setup: aWorkload(ofKind(state.StatefulSets))}, // it works but for the names of its pods
		{name: "Job with probes", setup: aWorkload(ofKind(state.Jobs), withServices(), withBudgets())},
	}
}

func acceptedSelectors() []accepted {
	blocking := func(b *state.DisruptionBudget) { b.DisruptionsAllowed, b.DesiredHealthy = 0, 3 }
	unset := aBudget("web", func(b *state.DisruptionBudget) {
		b.MaxUnavailable, b.DisruptionsAllowed, b.DesiredHealthy, b.ExpectedPods = nil, 0, 0, 0
	})
	whole := &state.IntOrPercent{Value: 100, Percent: true}
	nobody := aBudget("none", func(b *state.DisruptionBudget) {
		b.Selector, b.DisruptionsAllowed, b.CurrentHealthy, b.DesiredHealthy, b.ExpectedPods = nil, 0, 0, 0, 0
	})
	lost := aService("lost", 80, "web")
	blocked := func(b *state.DisruptionBudget) *state.SetupView { return aWorkload(withBudgets(b)) }
	return []accepted{
		{name: "PDB none set", setup: blocked(unset), want: []string{"pdb_blocks warning"}},
		{name: "PDB minAvailable 100%", setup: blocked(aBudget("web", blocking, func(b *state.DisruptionBudget) { b.MinAvailable, b.MaxUnavailable = whole, nil })),
			want: []string{"pdb_blocks warning"}},
		{name: "PDB maxUnavailable 0", setup: blocked(aBudget("web", blocking, func(b *state.DisruptionBudget) { b.MaxUnavailable = &state.IntOrPercent{} })),
			want: []string{"pdb_blocks warning"}},
		{name: "PDB no selector", other: aBudgetSubject(nobody), want: []string{"pdb_selects_nothing info"}},
		{name: "PDB empty selector", setup: blocked(aBudget("web", func(b *state.DisruptionBudget) { b.Selector = state.Selector{} }))},
		{name: "Service targetPort name nowhere", setup: aWorkload(withServices(aService("web", 80, "http"), lost)), want: []string{"service_port_mismatch warning"}},
		{name: "Service no selector", other: &ServiceSubject{Service: aService("outside", 80, 80, withoutSelector)}},
		{name: "Service publishNotReadyAddresses", setup: aWorkload(withServices(aService("web", 80, "http", publishingNotReady)))},
	}
}
