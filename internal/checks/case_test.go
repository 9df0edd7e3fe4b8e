// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"stability-exporter/internal/state"
)

// testCase is one thing that a check is shown, and what it has to say of it.
type testCase struct {
	name string
	// subject is a *state.SetupView, *ServiceSubject, *BudgetSubject or *ClusterSubject. A check of containers or probes sees all those of
	// the workload, and the worst verdict counts.
	subject any
	want    Level
	detail  string // regular expression that the detail matches
	// unobserved are kinds that may not be read.
	unobserved state.Kinds
}

// caseTable has the cases of each check, by its id. Each category has a function that returns one: in its test files.
type caseTable map[string][]testCase

// allCases returns the cases of all checks.
func allCases() caseTable {
	all := caseTable{}
	for _, table := range []caseTable{
		probeCases(), intervalCases(), jvmCases(), resourceCases(), spreadCases(), disruptionCases(), shutdownCases(), serviceCases(), imageCases(),
	} {
		maps.Copy(all, table)
	}
	return all
}

func TestCases(t *testing.T) {
	for id, cases := range allCases() {
		t.Run(id, func(t *testing.T) { runCases(t, id, cases) })
	}
}

// runCases shows each subject to the check of that id.
func runCases(t *testing.T, id string, cases []testCase) {
	t.Helper()
	all := All()
	i := slices.IndexFunc(all, func(c Check) bool { return c.ID == id })
	if i < 0 {
		t.Fatalf("there is no check %q", id)
	}
	check := &all[i]
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			got := worst(check, tc.subject, tc.unobserved)
			if got.Level != tc.want {
				t.Errorf("got %s (%s), want %s", got.Level, got.Detail, tc.want)
			}
			if got.Level != Fine && (got.Detail == "" || !slices.Contains(check.Levels, got.Level)) {
				t.Errorf("%s with the detail %q: want one of %s and some words", got.Level, got.Detail, check.Levels)
			}
			if !regexp.MustCompile(tc.detail).MatchString(got.Detail) {
				t.Errorf("detail %q does not match %q", got.Detail, tc.detail)
			}
		})
	}
}

// worst returns the worst of what a check says of the subject; nothing while one of the kinds that it reads is not observed.
func worst(check *Check, subject any, unobserved state.Kinds) Verdict {
	var worst Verdict
	if check.Reads&unobserved != 0 {
		return worst
	}
	for _, v := range verdicts(check, subject, func(k state.Kinds) bool { return k&unobserved == 0 }) {
		if v.Level > worst.Level {
			worst = v
		}
	}
	return worst
}

func verdicts(check *Check, subject any, observed func(state.Kinds) bool) []Verdict {
	switch s := subject.(type) {
	case *state.SetupView:
		return workloadVerdicts(check, WorkloadSubject{SetupView: s, observed: observed, settings: &Settings{}})
	case *ServiceSubject:
		return []Verdict{check.OfService(s)}
	case *BudgetSubject:
		return []Verdict{check.OfBudget(s)}
	case *ClusterSubject:
		var all []Verdict
		for _, f := range check.OfCluster(s) {
			all = append(all, Verdict{f.Level, f.Detail})
		}
		return all
	}
	panic(fmt.Sprintf("BUG: no subject of checks: %T", subject))
}

func workloadVerdicts(check *Check, w WorkloadSubject) []Verdict {
	if check.OfWorkload != nil {
		return []Verdict{check.OfWorkload(&w)}
	}
	var all []Verdict
	for i := range w.Template.Containers {
		c := ContainerSubject{WorkloadSubject: w, ContainerSpec: &w.Template.Containers[i]}
		if check.OfContainer != nil {
			all = append(all, check.OfContainer(&c))
			continue
		}
		for j, p := range c.ContainerSpec.Probes() {
			if p != nil {
				all = append(all, check.OfProbe(&ProbeSubject{ContainerSubject: c, Probe: p, Type: state.ProbeTypes[j]}))
			}
		}
	}
	return all
}

// TestEveryCheckIsComplete finds checks that nobody could understand, and those that were never seen to find something, or to
// leave something alone.
func TestEveryCheckIsComplete(t *testing.T) {
	cases := allCases()
	known := map[string]bool{}
	for _, c := range All() {
		if known[c.ID] {
			t.Errorf("%s is declared twice", c.ID)
		}
		known[c.ID] = true
		if c.English == "" || strings.HasSuffix(c.English, ".") || c.Why == "" || c.Fix == "" {
			t.Errorf("%s: want an English title without a full stop, why it matters, and how to mend it", c.ID)
		}
		if !strings.ContainsFunc(c.Chinese, func(r rune) bool { return unicode.Is(unicode.Han, r) }) {
			t.Errorf("%s: the Chinese title %q is none", c.ID, c.Chinese)
		}
		if len(c.Levels) == 0 || !slices.IsSorted(c.Levels) || slices.Contains(c.Levels, Fine) {
			t.Errorf("%s: levels %v, want at least one, mildest first", c.ID, c.Levels)
		}
		for _, level := range append([]Level{Fine}, c.Levels...) {
			if !slices.ContainsFunc(cases[c.ID], func(tc testCase) bool { return tc.want == level }) {
				t.Errorf("%s: there is no case of %s", c.ID, level)
			}
		}
	}
}

// TestACarefulWorkloadHasNoFindings: what a careful team wrote is left in peace by all checks.
func TestACarefulWorkloadHasNoFindings(t *testing.T) {
	careful := aWorkload()
	everything := func(state.Kinds) bool { return true }
	for _, c := range All() {
		subject := any(careful)
		switch {
		case c.OfService != nil:
			subject = aServiceSubject(careful.Services[0], careful)
		case c.OfBudget != nil:
			subject = aBudgetSubject(careful.Budgets[0], careful)
		case c.OfCluster != nil:
			subject = &ClusterSubject{Setups: []*state.SetupView{careful}, settings: &Settings{}}
		}
		for _, v := range verdicts(&c, subject, everything) {
			if v.Level != Fine {
				t.Errorf("%s: %s (%s)", c.ID, v.Level, v.Detail)
			}
		}
	}
}

// The builders below make what a careful team writes; options change it.

// aWorkload is the Deployment web in the namespace shop: three replicas on three nodes, one container with all three probes, a
// Service and a budget. Where containers, Services or budgets are given, they take the place of these.
func aWorkload(options ...func(*state.SetupView)) *state.SetupView {
	labels := state.MakeLabels(map[string]string{"app": "web"})
	w := &state.SetupView{
		Ref:  state.WorkloadRef{Namespace: state.Sym("shop"), Name: state.Sym("web"), Type: state.Sym(state.TypeDeployment)},
		Kind: state.Deployments,
		Template: &state.Template{
			Labels: labels, Grace: 30 * time.Second,
			Containers: []state.ContainerSpec{aContainer("app", withPort("http", 8080), withLiveness(httpGet("/livez", "http")),
				withReadiness(httpGet("/readyz", "http")), withStartup(httpGet("/livez", "http", failing(30))), withPreStopSleep(5*time.Second))},
			Spread: []state.SpreadTerm{{Kind: state.AntiAffinityPreferred, TopologyKey: state.Sym("kubernetes.io/hostname"), Selector: selects("web")}},
		},
		MaxUnavailable:   state.IntOrPercent{Value: 25, Percent: true},
		MaxSurge:         state.IntOrPercent{Value: 25, Percent: true},
		ProgressDeadline: 10 * time.Minute,
		Services:         []*state.Service{aService("web", 80, "http")},
		Budgets:          []*state.DisruptionBudget{aBudget("web")},
		Cluster:          &state.Shape{Schedulable: 5, Zones: 1},
	}
	withReplicas(3)(w)
	for _, option := range options {
		option(w)
	}
	return w
}

// ofKind makes it a workload of another kind; state.Jobs, state.CronJobs and state.Pods have no replicas.
func ofKind(kind state.Kind) func(*state.SetupView) {
	return func(w *state.SetupView) {
		w.Kind, w.Ref.Type = kind, state.Sym(strings.TrimSuffix(kind.String(), "s"))
		if kind == state.Jobs || kind == state.CronJobs || kind == state.Pods {
			withReplicas(1)(w)
			w.Template.RunsToEnd = kind != state.Pods
		}
	}
}

func named(name string) func(*state.SetupView) {
	return func(w *state.SetupView) { w.Ref.Name = state.Sym(name) }
}

// withReplicas has all of them ready, each on a node of its own.
func withReplicas(n int32) func(*state.SetupView) {
	return func(w *state.SetupView) {
		w.Desired, w.Pods, w.Ready, w.Placement = n, n, n, nil
		for i := range n {
			w.Placement = append(w.Placement, state.NodeShare{Node: state.Sym(fmt.Sprintf("node-%d", i)), Pods: 1})
		}
	}
}

func withContainers(containers ...state.ContainerSpec) func(*state.SetupView) {
	return func(w *state.SetupView) { w.Template.Containers = containers }
}

func withServices(services ...*state.Service) func(*state.SetupView) {
	return func(w *state.SetupView) { w.Services = services }
}

func withBudgets(budgets ...*state.DisruptionBudget) func(*state.SetupView) {
	return func(w *state.SetupView) { w.Budgets = budgets }
}

func withConfigMaps(maps ...*state.ConfigMap) func(*state.SetupView) {
	return func(w *state.SetupView) { w.ConfigMaps = maps }
}

func withStarts(facts ...state.StartFact) func(*state.SetupView) {
	return func(w *state.SetupView) { w.Starts = facts }
}

func withEvents(facts ...state.ProbeFact) func(*state.SetupView) {
	return func(w *state.SetupView) { w.Probes = facts }
}

func withPlacement(shares ...state.NodeShare) func(*state.SetupView) {
	return func(w *state.SetupView) { w.Placement = shares }
}

func withShape(schedulable, zones int32) func(*state.SetupView) {
	return func(w *state.SetupView) { w.Cluster = &state.Shape{Schedulable: schedulable, Zones: zones} }
}

func withTemplate(change func(*state.Template)) func(*state.SetupView) {
	return func(w *state.SetupView) { change(w.Template) }
}

func aConfigMap(name string, entries ...state.ConfigEntry) *state.ConfigMap {
	return &state.ConfigMap{Meta: state.Meta{Namespace: state.Sym("shop"), Name: name}, Entries: entries}
}

// aContainer has a pinned image and equal requests and limits (one core, 1 GiB), and neither ports nor probes.
func aContainer(name string, options ...func(*state.ContainerSpec)) state.ContainerSpec {
	size := state.Resources{CPU: state.Quantity{Set: true, Milli: 1000}, Memory: state.Quantity{Set: true, Milli: 1000 << 30}}
	c := state.ContainerSpec{
		Name: state.Sym(name), Image: state.Image{Repository: state.Sym("example/" + name), Tag: state.Sym("1.4.2")}, Requests: size, Limits: size,
	}
	for _, option := range options {
		option(&c)
	}
	return c
}

func ofType(of state.ContainerType) func(*state.ContainerSpec) {
	return func(c *state.ContainerSpec) { c.Type = of }
}

// withPort adds a TCP port; the name may be empty.
func withPort(name string, number int32) func(*state.ContainerSpec) {
	return func(c *state.ContainerSpec) {
		c.Ports = append(c.Ports, state.Port{Name: state.Sym(name), Number: number})
	}
}

func withUDPPort(name string, number int32) func(*state.ContainerSpec) {
	return func(c *state.ContainerSpec) {
		c.Ports = append(c.Ports, state.Port{Name: state.Sym(name), Number: number, UDP: true})
	}
}

func withLiveness(p *state.Probe) func(*state.ContainerSpec) {
	return func(c *state.ContainerSpec) { c.Liveness = p }
}

func withReadiness(p *state.Probe) func(*state.ContainerSpec) {
	return func(c *state.ContainerSpec) { c.Readiness = p }
}

func withStartup(p *state.Probe) func(*state.ContainerSpec) {
	return func(c *state.ContainerSpec) { c.Startup = p }
}

func withPreStopSleep(d time.Duration) func(*state.ContainerSpec) {
	return func(c *state.ContainerSpec) { c.PreStop = state.Hook{Native: true, Sleep: d} }
}

func withImage(repository, tag string) func(*state.ContainerSpec) {
	return func(c *state.ContainerSpec) {
		c.Image = state.Image{Repository: state.Sym(repository), Tag: state.Sym(tag)}
	}
}

func withSettings(settings ...state.Setting) func(*state.ContainerSpec) {
	return func(c *state.ContainerSpec) { c.Settings = append(c.Settings, settings...) }
}

// aProbe has the defaults of the API: period 10s, timeout 1s, one success, three failures.
func aProbe(p state.Probe, options []func(*state.Probe)) *state.Probe {
	p.Period, p.Timeout, p.Success, p.Failure = 10*time.Second, time.Second, 1, 3
	for _, option := range options {
		option(&p)
	}
	return &p
}

// httpGet asks for a path; the port is a number or the name of one.
func httpGet(path string, port any, options ...func(*state.Probe)) *state.Probe {
	return aProbe(state.Probe{Handler: state.HandlerHTTP, Path: state.Sym(path)}, append([]func(*state.Probe){onPort(port)}, options...))
}

func tcpSocket(port any, options ...func(*state.Probe)) *state.Probe {
	return aProbe(state.Probe{Handler: state.HandlerTCP}, append([]func(*state.Probe){onPort(port)}, options...))
}

func grpcOn(port int32, options ...func(*state.Probe)) *state.Probe {
	return aProbe(state.Probe{Handler: state.HandlerGRPC, Port: port}, options)
}

func execute(argv []string, options ...func(*state.Probe)) *state.Probe {
	return aProbe(state.Probe{Handler: state.HandlerExec, Command: argv}, options)
}

func onPort(port any) func(*state.Probe) {
	return func(p *state.Probe) {
		switch port := port.(type) {
		case string:
			p.PortName = state.Sym(port)
		case int:
			p.Port = int32(port)
		}
	}
}

func overHTTPS(p *state.Probe) { p.HTTPS = true }

func onHost(host string) func(*state.Probe) {
	return func(p *state.Probe) { p.Host = state.Sym(host) }
}

func after(initialDelay time.Duration) func(*state.Probe) {
	return func(p *state.Probe) { p.InitialDelay = initialDelay }
}

func every(period time.Duration) func(*state.Probe) {
	return func(p *state.Probe) { p.Period = period }
}

func within(timeout time.Duration) func(*state.Probe) {
	return func(p *state.Probe) { p.Timeout = timeout }
}

func failing(times int32) func(*state.Probe) {
	return func(p *state.Probe) { p.Failure = times }
}

// selects is the selector app=NAME.
func selects(app string) state.Selector {
	return state.SelectorFromMap(map[string]string{"app": app})
}

// aService selects app=web and has one TCP port that leads to the given target, a number or a name.
func aService(name string, port int32, target any, options ...func(*state.Service)) *state.Service {
	s := &state.Service{Meta: state.Meta{Namespace: state.Sym("shop"), Name: name}, Selector: selects("web"), Ports: []state.ServicePort{{Port: port}}}
	switch target := target.(type) {
	case string:
		s.Ports[0].TargetName = state.Sym(target)
	case int:
		s.Ports[0].Target = int32(target)
	}
	for _, option := range options {
		option(s)
	}
	return s
}

func headless(s *state.Service) { s.Headless = true }

func publishingNotReady(s *state.Service) { s.PublishNotReady = true }

func withoutSelector(s *state.Service) { s.Selector = nil }

// aServiceSubject is the Service with the workloads behind it, all of whose ready pods are endpoints.
func aServiceSubject(s *state.Service, backends ...*state.SetupView) *ServiceSubject {
	view := &state.ServiceView{Namespace: s.Namespace.String(), Name: s.Name}
	for _, b := range backends {
		view.ReadyEndpoints += b.Ready
	}
	return &ServiceSubject{Service: s, Backends: backends, View: view}
}

// aBudget selects app=web, allows one of three pods to be missing, and says so in its status.
func aBudget(name string, options ...func(*state.DisruptionBudget)) *state.DisruptionBudget {
	b := &state.DisruptionBudget{
		Meta: state.Meta{Namespace: state.Sym("shop"), Name: name}, Selector: selects("web"), MaxUnavailable: &state.IntOrPercent{Value: 1},
		HasStatus: true, DisruptionsAllowed: 1, CurrentHealthy: 3, DesiredHealthy: 2, ExpectedPods: 3,
	}
	for _, option := range options {
		option(b)
	}
	return b
}

// aBudgetSubject is the budget with the workloads whose pods it selects.
func aBudgetSubject(b *state.DisruptionBudget, selected ...*state.SetupView) *BudgetSubject {
	return &BudgetSubject{DisruptionBudget: b, Selected: selected, View: &state.BudgetView{Namespace: b.Namespace.String(), Name: b.Name}}
}
