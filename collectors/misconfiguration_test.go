// SPDX-License-Identifier: Apache-2.0

package collectors

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-kit/log"

	"stability-exporter/internal/checks"
	"stability-exporter/internal/state"
)

// namedChecks find what the name of their subject says.
func namedChecks() []checks.Check {
	verdict := func(name string) checks.Verdict {
		for level := checks.Info; level <= checks.Critical; level++ {
			if strings.HasPrefix(name, level.String()) {
				return checks.Verdict{Level: level, Detail: "never shown"}
			}
		}
		if name == "panic" {
			panic("BUG: as wanted")
		}
		return checks.Verdict{}
	}
	every := []checks.Level{checks.Info, checks.Warning, checks.Critical}
	return []checks.Check{
		{ID: "of_container", Category: checks.Probe, English: "A container is called bad names", Levels: every,
			OfContainer: func(c *checks.ContainerSubject) checks.Verdict { return verdict(c.Name.String()) }},
		{ID: "of_workload", Category: checks.Spread, Levels: every[1:], Reads: state.KindSet(state.Nodes),
			OfWorkload: func(w *checks.WorkloadSubject) checks.Verdict { return verdict(w.Ref.Name.String()) }},
		{ID: "of_service", Category: checks.Service, Levels: every[2:],
			OfService: func(s *checks.ServiceSubject) checks.Verdict { return verdict(s.Name) }},
	}
}

func setup(namespace, name string, containers ...string) *state.SetupView {
	s := &state.SetupView{Ref: ref(namespace, name, state.TypeDeployment), Kind: state.Deployments, Template: new(state.Template)}
	for _, c := range containers {
		s.Template.Containers = append(s.Template.Containers, state.ContainerSpec{Name: state.Sym(c)})
	}
	return s
}

func ignoring(s *state.SetupView, reasoned bool, ids ...string) *state.SetupView {
	s.Ignore.Reasoned = reasoned
	for _, id := range ids {
		s.Ignore.Checks = append(s.Ignore.Checks, state.Sym(id))
	}
	return s
}

func TestMisconfigurationExposition(t *testing.T) {
	s := &state.Snapshot{Setups: []*state.SetupView{
		setup("shop", "critical", "warning-a", "fine"),
		ignoring(setup("shop", "critical-known", "info-a", "info-b"), true, "of_workload"),
		ignoring(setup("shop", "warning-unreasoned"), false, "of_workload", "of_wrkload"),
		setup("tools", "fine", "critical-a", "info-a"),
		setup("tools", "fine-too", "warning-hidden", "info-b"),
	}}
	s.Services = []state.ServiceView{{Namespace: "shop", Name: "critical-web", Object: &state.Service{Meta: state.Meta{Namespace: state.Sym("shop"), Name: "critical-web"}}}}
	settings := checks.Settings{Exempt: []checks.Exemption{{Check: "of_container", Namespace: regexp.MustCompile("^tools$"), Workload: regexp.MustCompile("^fine$")}}}
	golden(t, "misconfiguration.txt", collect(t, misconfigurationSpec(namedChecks(), settings, 1),
		observed(s, state.Deployments, state.Nodes, state.Services)))
}

func TestAnUnseenCheckHasNoFindings(t *testing.T) {
	s := &state.Snapshot{Setups: []*state.SetupView{setup("shop", "critical")}}
	wantText(t, samples(collect(t, misconfigurationSpec(namedChecks()[1:2], checks.Settings{}, 0), observed(s, state.Deployments))), `
stability_check_evaluated{check="of_workload"} 0
stability_check_info{category="spread",check="of_workload",level="warning",title=""} 1
stability_check_info{category="spread",check="of_workload",level="critical",title=""} 1
`)
}

func TestACheckThatBreaksDownIsToldOnce(t *testing.T) {
	var output bytes.Buffer
	spec := misconfigurationSpec(namedChecks()[1:2], checks.Settings{}, 0)
	c, e := spec.New(log.NewLogfmtLogger(&output)), NewEmitter(spec.Families)
	run := func(names ...string) string {
		s := new(state.Snapshot)
		for _, name := range names {
			s.Setups = append(s.Setups, setup("shop", name))
		}
		e.Reset()
		if err := c.Collect(observed(s, state.Deployments, state.Nodes), e); err != nil || e.Err() != nil {
			t.Fatal(err, e.Err())
		}
		return string(e.AppendTo(nil))
	}
	for range 3 {
		text := run("critical", "panic")
		for _, want := range []string{`stability_check_failed{check="of_workload"} 1`, `stability_check_evaluated{check="of_workload"} 0`} {
			if !strings.Contains(text, want) || strings.Contains(text, "stability_misconfiguration") {
				t.Errorf("want %s and no finding, got:\n%s", want, text)
			}
		}
	}
	if text := run("critical"); strings.Contains(text, "stability_check_failed") || !strings.Contains(text, "stability_misconfiguration{") {
		t.Errorf("still failing:\n%s", text)
	}
	if told := output.String(); strings.Count(told, "\n") != 2 || !strings.Contains(told, `check=of_workload err="panic: BUG: as wanted at misconfiguration_test.go:`) {
		t.Errorf("want one line when it breaks down and one when it works again, got:\n%s", told)
	}
}

func TestIntervalsAreShownSuspectedOnesFirst(t *testing.T) {
	spec := misconfigurationSpec(nil, checks.Settings{}, 2)
	e := NewEmitter(spec.Families)
	facts := []checks.IntervalFact{
		{Ref: ref("shop", "a", "deployment"), Container: "app", Key: "heartbeat", Effective: 3 * time.Second},
		{Ref: ref("shop", "b", "deployment"), Container: "app", Key: "heartbeat", Effective: 3 * time.Second},
		{Ref: ref("shop", "b", "deployment"), Container: "app", Key: "timeout", Effective: time.Minute},
		{Ref: ref("shop", "c", "deployment"), Container: "app", Key: "heartbeat", Effective: 7 * time.Millisecond, Slip: true, Likely: 7 * time.Second},
		{Ref: ref("shop", "d", "deployment"), Container: "app", Key: "heartbeat", Effective: 3 * time.Second},
	}
	spec.New(log.NewNopLogger()).(*misconfigurationCollector).emitIntervals(facts, e)
	if e.Err() != nil {
		t.Fatal(e.Err())
	}
	wantText(t, samples(e.AppendTo(nil)), `
stability_interval_effective_seconds{namespace="shop",workload="c",workload_type="deployment",container="app",key="heartbeat"} 0.007
stability_interval_effective_seconds{namespace="shop",workload="a",workload_type="deployment",container="app",key="heartbeat"} 3
stability_interval_effective_seconds{namespace="shop",workload="b",workload_type="deployment",container="app",key="timeout"} 60
stability_interval_likely_seconds{namespace="shop",workload="c",workload_type="deployment",container="app",key="heartbeat"} 7
stability_interval_overflow{key="heartbeat"} 2
`)
}

func TestFindingsAreCapped(t *testing.T) {
	s := new(state.Snapshot)
	for i := range DefaultMaxSeriesPerCheck + 7 {
		s.Setups = append(s.Setups, setup("shop", fmt.Sprintf("warning-%04d", i)))
	}
	s.Setups = append(s.Setups, setup("shop", "critical-one"))
	text := string(collect(t, misconfigurationSpec(namedChecks()[1:2], checks.Settings{}, 0), observed(s, state.Deployments, state.Nodes)))
	for want, count := range map[string]int{
		"\nstability_misconfiguration{":                            DefaultMaxSeriesPerCheck,
		`workload="critical-one"`:                                  1,
		`stability_check_overflow{check="of_workload"} 8`:          1,
		`level="warning",namespace="shop"} 207`:                    1,
		`check="of_workload",level="critical",namespace="shop"} 1`: 1,
	} {
		if got := strings.Count(text, want); got != count {
			t.Errorf("%s: %d times, want %d", want, got, count)
		}
	}
}
