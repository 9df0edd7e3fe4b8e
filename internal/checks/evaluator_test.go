// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stability-exporter/internal/state"
)

// counting returns checks that find what the name of their subject asks for, and count how often they were asked.
func counting(asked map[string]int) []Check {
	levels := map[string]Level{"bad": Critical, "poor": Warning, "plain": Info}
	judge := func(id, name string) Verdict {
		asked[id]++
		if name == "panic" {
			var none []int
			_ = none[asked[id]]
		}
		level := levels[strings.SplitN(name, "-", 2)[0]]
		return Verdict{level, "found " + name}
	}
	return []Check{
		{ID: "of_probe", Category: Probe, OfProbe: func(p *ProbeSubject) Verdict { return judge("of_probe", p.Path.String()) }},
		{ID: "of_container", Category: Image, OfContainer: func(c *ContainerSubject) Verdict { return judge("of_container", c.Name.String()) }},
		{ID: "of_workload", Category: Spread, Reads: state.KindSet(state.Nodes),
			OfWorkload: func(w *WorkloadSubject) Verdict { return judge("of_workload", w.Ref.Name.String()) }},
		{ID: "of_service", Category: Service, OfService: func(s *ServiceSubject) Verdict {
			return Verdict{judge("of_service", s.Name).Level, fmt.Sprintf("%d behind, view %t", len(s.Backends), s.View != nil)}
		}},
		{ID: "of_budget", Category: Disruption, OfBudget: func(b *BudgetSubject) Verdict {
			return Verdict{judge("of_budget", b.Name).Level, fmt.Sprintf("%d selected, view %t", len(b.Selected), b.View != nil)}
		}},
		{ID: "of_cluster", Category: Spread, OfCluster: func(c *ClusterSubject) []Finding {
			var all []Finding
			for i := len(c.Setups) - 1; i >= 0; i-- {
				all = append(all, Finding{Level: judge("of_cluster", c.Setups[i].Ref.Name.String()).Level, Ref: c.Setups[i].Ref})
			}
			return append(all, slices.DeleteFunc(slices.Clone(all), func(f Finding) bool { return f.Level != Warning })...)
		}},
	}
}

func snapshotOf(observed state.Kinds, setups ...*state.SetupView) *state.Snapshot {
	s := &state.Snapshot{Setups: setups}
	s.SetObserved(observed)
	for _, setup := range setups {
		for _, svc := range setup.Services {
			s.Services = append(s.Services, state.ServiceView{Namespace: svc.Namespace.String(), Name: svc.Name, Object: svc})
		}
		for _, b := range setup.Budgets {
			s.Budgets = append(s.Budgets, state.BudgetView{Namespace: b.Namespace.String(), Name: b.Name, Object: b})
		}
	}
	return s
}

const everyKind = ^state.Kinds(0)

// told returns the findings of a report, one per line.
func told(r *Report) string {
	var lines []string
	for _, o := range r.Outcomes {
		if !o.Evaluated {
			lines = append(lines, o.Check.ID+" not evaluated")
		}
		for _, f := range o.Findings {
			lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s %s %s/%s %s %s", o.Check.ID, f.Level, f.Ref.Type, f.Ref.Name, f.Container, f.Detail)))
		}
	}
	return strings.Join(lines, "\n")
}

func wantTold(t *testing.T, r *Report, want ...string) {
	t.Helper()
	if diff := cmp.Diff(strings.Join(want, "\n"), told(r)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestEverySubjectIsEvaluated(t *testing.T) {
	setup := aWorkload(named("bad"), withServices(aService("poor", 80, "http")), withBudgets(aBudget("plain")), withContainers(
		aContainer("good", withLiveness(httpGet("plain", 1)), withReadiness(httpGet("bad", 1)), withStartup(httpGet("poor", 1))),
		aContainer("poor", withLiveness(httpGet("poor", 1)))))
	s := snapshotOf(everyKind, setup)
	lonely := aService("plain", 80, "http")
	s.Services = append(s.Services, state.ServiceView{Object: lonely}, state.ServiceView{Name: "made by hand"})
	wantTold(t, New(counting(map[string]int{}), Settings{}).Evaluate(s),
		"of_probe critical deployment/bad good found bad",
		"of_probe warning deployment/bad poor found poor",
		"of_container warning deployment/bad poor found poor",
		"of_workload critical deployment/bad  found bad",
		"of_service warning service/poor  1 behind, view true",
		"of_service info service/plain  0 behind, view true",
		"of_budget info poddisruptionbudget/plain  1 selected, view true",
		"of_cluster critical deployment/bad")
}

func TestFindingsAreSortedAndSaidOnce(t *testing.T) {
	s := snapshotOf(everyKind, aWorkload(named("bad-1")), aWorkload(named("plain-1")), aWorkload(named("poor-1")), aWorkload(named("poor-2")))
	r := New(counting(map[string]int{}), Settings{Disabled: []string{"of_service", "of_budget"}}).Evaluate(s)
	wantTold(t, r,
		"of_workload critical deployment/bad-1  found bad-1",
		"of_workload warning deployment/poor-1  found poor-1",
		"of_workload warning deployment/poor-2  found poor-2",
		"of_workload info deployment/plain-1  found plain-1",
		"of_service not evaluated",
		"of_budget not evaluated",
		"of_cluster critical deployment/bad-1",
		"of_cluster warning deployment/poor-1",
		"of_cluster warning deployment/poor-2",
		"of_cluster info deployment/plain-1")
}

func TestOnlyWhatChangedIsEvaluatedAnew(t *testing.T) {
	asked := map[string]int{}
	e := New(counting(asked), Settings{})
	first, second, third := aWorkload(named("bad")), aWorkload(named("good")), aWorkload(named("poor"))
	evaluate := func(observed state.Kinds, ofWorkload, ofCluster int, setups ...*state.SetupView) *Report {
		t.Helper()
		clear(asked)
		r := e.Evaluate(snapshotOf(observed, setups...))
		if asked["of_workload"] != ofWorkload || asked["of_cluster"] != ofCluster || asked["of_service"] != len(setups) {
			t.Errorf("asked %v, want %d of workloads, %d of the cluster, and every Service", asked, ofWorkload, ofCluster)
		}
		return r
	}
	evaluate(everyKind, 2, 2, first, second)
	evaluate(everyKind, 0, 0, first, second)
	evaluate(everyKind, 1, 3, first, second, third)
	if r := evaluate(everyKind, 0, 2, second, third); strings.Contains(told(r), "bad") {
		t.Errorf("what is gone is still told: %s", told(r))
	}
	evaluate(everyKind, 1, 3, first, second, third) // it was forgotten
	evaluate(everyKind&^state.KindSet(state.HorizontalPodAutoscalers), 3, 3, first, second, third)
	evaluate(everyKind, 3, 3, first, second, third)
	evaluate(everyKind, 0, 0)
	evaluate(everyKind, 0, 0)
}

func TestWhatCannotBeSeenIsNotEvaluated(t *testing.T) {
	setup := aWorkload(named("bad"), withServices(aService("bad", 80, "http")), withBudgets(aBudget("bad")))
	of := func(without ...state.Kind) *Report {
		return New(counting(map[string]int{}), Settings{Disabled: []string{"of_cluster"}}).Evaluate(snapshotOf(everyKind&^state.KindSet(without...), setup))
	}
	wantTold(t, of(state.Nodes, state.Services, state.PodDisruptionBudgets),
		"of_workload not evaluated", "of_service not evaluated", "of_budget not evaluated", "of_cluster not evaluated")
	wantTold(t, of(state.EndpointSlices, state.Pods),
		"of_workload critical deployment/bad  found bad", "of_service critical service/bad  1 behind, view false",
		"of_budget critical poddisruptionbudget/bad  1 selected, view false", "of_cluster not evaluated")
	wantTold(t, New(counting(map[string]int{}), Settings{}).Evaluate(snapshotOf(state.KindSet(state.Nodes, state.Services))),
		"of_probe not evaluated", "of_container not evaluated", "of_workload not evaluated", "of_budget not evaluated", "of_cluster not evaluated")
}

func TestACheckThatPanicsFailsAlone(t *testing.T) {
	bad, panics := aWorkload(named("bad")), aWorkload(named("panic"), withServices(aService("panic", 80, "http")), withBudgets(aBudget("panic")))
	e := New(counting(map[string]int{}), Settings{})
	r := e.Evaluate(snapshotOf(everyKind, bad, panics, aWorkload(named("poor"), withContainers(aContainer("poor")))))
	wantTold(t, r, "of_container warning deployment/poor poor found poor", "of_workload not evaluated", "of_service not evaluated",
		"of_budget not evaluated", "of_cluster not evaluated")
	for _, o := range r.Outcomes {
		if failed := regexp.MustCompile(`^panic: .*index out of range.* at evaluator_test.go:\d+$`).MatchString(o.Failure); failed == o.Evaluated {
			t.Errorf("%s: evaluated %t, failure %q", o.Check.ID, o.Evaluated, o.Failure)
		}
	}
	wantTold(t, e.Evaluate(snapshotOf(everyKind, bad)), "of_workload critical deployment/bad  found bad", "of_cluster critical deployment/bad")
}

func TestExemptions(t *testing.T) {
	ignoring := func(reasoned bool, ids ...string) state.Ignore {
		ignore := state.Ignore{Reasoned: reasoned}
		for _, id := range ids {
			ignore.Checks = append(ignore.Checks, state.Sym(id))
		}
		return ignore
	}
	reasoned, unreasoned, configured := aWorkload(named("bad-1")), aWorkload(named("bad-2")), aWorkload(named("bad-3"))
	reasoned.Ignore = ignoring(true, "of_workload", "of_cluster", "of_nothing", "of_none")
	unreasoned.Ignore = ignoring(false, "of_workload", "of_cluster", "of_nothing")
	service, budget := aService("bad", 80, "http"), aBudget("bad")
	service.Ignore, budget.Ignore = ignoring(true, "of_service"), ignoring(false, "of_budget")
	withServices(service)(configured)
	withBudgets(budget)(configured)
	r := New(counting(map[string]int{}), Settings{Exempt: []Exemption{
		{Check: "of_workload", Namespace: regexp.MustCompile("^shop$"), Workload: regexp.MustCompile("^bad-[13]$")},
		{Check: "of_cluster", Workload: regexp.MustCompile("^bad-3$")},
		{Check: "of_workload", Namespace: regexp.MustCompile("^other$")},
	}}).Evaluate(snapshotOf(everyKind, reasoned, unreasoned, configured))
	wantTold(t, r, "of_workload critical deployment/bad-2  found bad-2", "of_budget critical poddisruptionbudget/bad  1 selected, view true",
		"of_cluster critical deployment/bad-2")
	var exempted, refused []string
	for _, x := range r.Exempted {
		exempted = append(exempted, fmt.Sprintf("%s %s by %s", x.Check.ID, x.Ref.Name, x.By))
	}
	for _, x := range r.Refused {
		refused = append(refused, fmt.Sprintf("%s/%s %s %d", x.Ref.Type, x.Ref.Name, x.Why, x.Count))
	}
	if diff := cmp.Diff([]string{"of_workload bad-1 by annotation", "of_workload bad-3 by configuration", "of_cluster bad-1 by annotation",
		"of_cluster bad-3 by configuration", "of_service bad by annotation"}, exempted); diff != "" {
		t.Errorf("exempted, -want +got:\n%s", diff)
	}
	if diff := cmp.Diff([]string{"deployment/bad-1 unknown_check 2", "deployment/bad-2 no_reason 2", "deployment/bad-2 unknown_check 1",
		"poddisruptionbudget/bad no_reason 1"}, refused); diff != "" {
		t.Errorf("refused, -want +got:\n%s", diff)
	}
}
