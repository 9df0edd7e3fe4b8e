// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"testing"

	"stability-exporter/internal/state"
)

// fleet returns that many workloads with a Service and a budget each: nine of ten as a careful team writes them, the others
// with a Spring application that was set up in a hurry.
func fleet(n int) *state.Snapshot {
	setups := make([]*state.SetupView, n)
	for i := range setups {
		setups[i] = memberOf(i)
	}
	return snapshotOf(everyKind, setups...)
}

// memberOf returns the workload of that number, new every time.
func memberOf(i int) *state.SetupView {
	name := fmt.Sprintf("customer-portal-web-%06d", i)
	service, budget := aService(name, 80, "http"), aBudget(name)
	if i%10 > 0 {
		return aWorkload(named(name), withServices(service), withBudgets(budget))
	}
	hurried := aContainer("app", withPort("http", 8080), withLiveness(httpGet("/actuator/health", "web")), withReadiness(httpGet("/actuator/health", "http")),
		withImage("example/app", "latest"), withSettings(
			state.Setting{Source: state.FromEnv, Key: state.Sym("SPRING_KAFKA_CONSUMER_HEARTBEATINTERVAL"), Value: "7"},
			state.Setting{Source: state.FromJVM, Key: state.Sym("-Xmx"), Value: "1g"}))
	return aWorkload(named(name), withServices(service), withBudgets(budget), withContainers(hurried))
}

// BenchmarkEvaluator runs all checks over 10,000 workloads: for the first time, after one has changed, and after nothing has.
func BenchmarkEvaluator(b *testing.B) {
	const workloads = 10_000
	s := fleet(workloads)
	findings := 0
	for _, o := range New(All(), Settings{}).Evaluate(s).Outcomes {
		findings += len(o.Findings)
	}
	run := func(name string, per float64, evaluator func() *Evaluator, change func()) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			e := evaluator()
			for b.Loop() {
				change()
				if e == nil {
					New(All(), Settings{}).Evaluate(s)
				} else {
					e.Evaluate(s)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/per, "ns/workload")
			b.ReportMetric(float64(findings), "findings")
		})
	}
	used := func() *Evaluator {
		e := New(All(), Settings{})
		e.Evaluate(s)
		return e
	}
	run("first", workloads, func() *Evaluator { return nil }, func() {})
	run("one changed", workloads, used, func() {
		changed := *s.Setups[0]
		s = &state.Snapshot{Setups: append([]*state.SetupView{&changed}, s.Setups[1:]...), Services: s.Services, Budgets: s.Budgets}
		s.SetObserved(everyKind)
	})
	run("unchanged", workloads, used, func() {})
}
