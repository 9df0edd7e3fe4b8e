// SPDX-License-Identifier: Apache-2.0

package checks

import "stability-exporter/internal/state"

func disruptionCases() caseTable {
	return caseTable{
		"pdb_blocks":          append(provenBudgetCases(), computedBudgetCases()...),
		"pdb_selects_nothing": orphanBudgetCases(),
		"pod_multi_pdb": {
			{name: "one", subject: aWorkload(), want: Fine},
			{name: "two", subject: aWorkload(withBudgets(aBudget("a"), aBudget("b"))), want: Warning, detail: `selected by a, b`},
			{name: "two, a bare pod", subject: aWorkload(ofKind(state.Pods), withBudgets(aBudget("a"), aBudget("b"))), want: Warning},
			{name: "two, scaled to zero", subject: aWorkload(withReplicas(0), withBudgets(aBudget("a"), aBudget("b"))), want: Fine},
			{name: "two, a DaemonSet", subject: aWorkload(ofKind(state.DaemonSets), withBudgets(aBudget("a"), aBudget("b"))), want: Fine},
			{name: "two, a Job", subject: aWorkload(ofKind(state.Jobs), withBudgets(aBudget("a"), aBudget("b"))), want: Fine},
			{name: "two, a static pod", want: Fine, subject: aWorkload(ofKind(state.Pods), withBudgets(aBudget("a"), aBudget("b")),
				func(w *state.SetupView) { w.Ref.Type = state.Sym(state.TypeStaticPod) })},
		},
		"pdb_missing": {
			{name: "there is one", subject: aWorkload(), want: Fine},
			{name: "none", subject: aWorkload(withBudgets()), want: Info, detail: `^3 replicas$`},
			{name: "none, a StatefulSet", subject: aWorkload(withBudgets(), ofKind(state.StatefulSets)), want: Info},
			{name: "none, one replica", subject: aWorkload(withBudgets(), withReplicas(1)), want: Fine},
			{name: "none, a DaemonSet", subject: aWorkload(withBudgets(), ofKind(state.DaemonSets)), want: Fine},
			{name: "none, a CronJob", subject: aWorkload(withBudgets(), ofKind(state.CronJobs)), want: Fine},
			{name: "budgets may not be read", subject: aWorkload(withBudgets()), unobserved: state.KindSet(state.PodDisruptionBudgets), want: Fine},
		},
	}
}

// provenBudgetCases are budgets whose status tells.
func provenBudgetCases() []testCase {
	status := func(allowed, healthy, desired, expected int32) func(*state.DisruptionBudget) {
		return func(b *state.DisruptionBudget) {
			b.DisruptionsAllowed, b.CurrentHealthy, b.DesiredHealthy, b.ExpectedPods = allowed, healthy, desired, expected
		}
	}
	of := func(w *state.SetupView, options ...func(*state.DisruptionBudget)) *BudgetSubject {
		return aBudgetSubject(aBudget("web", options...), w)
	}
	return []testCase{
		{name: "one may go", subject: of(aWorkload()), want: Fine},
		{name: "all must be there", subject: of(aWorkload(), minAvailable(3), status(0, 3, 3, 3)), want: Warning, detail: `minAvailable 3: 3 of 3 pods`},
		{name: "more than there are", subject: of(aWorkload(), minAvailable(4), status(0, 3, 4, 3)), want: Warning},
		{name: "maxUnavailable 0", subject: of(aWorkload(), maxUnavailable(0), status(0, 3, 3, 3)), want: Warning, detail: `maxUnavailable 0`},
		{name: "one replica of one", subject: of(aWorkload(withReplicas(1)), minAvailable(1), status(0, 1, 1, 1)), want: Warning},
		{name: "neither field, of which the status says nothing", subject: of(aWorkload(), withoutRule, status(0, 3, 0, 0)), want: Warning, detail: `neither`},
		{name: "pods without a controller", subject: of(aWorkload(ofKind(state.Pods)), maxUnavailable(1), status(0, 3, 0, 0)), want: Warning, detail: `maxUnavailable 1 .* no controller`},
		{name: "it cannot be computed", want: Warning, detail: `SyncFailed`,
			subject: of(aWorkload(), status(0, 3, 2, 3), func(b *state.DisruptionBudget) { b.SyncFailed = true })},
		{name: "of a foreign controller whose template is unknown", subject: aBudgetSubject(aBudget("web", minAvailable(3), status(0, 3, 3, 3))), want: Warning},
		{name: "at its limit", subject: of(aWorkload(), status(0, 2, 2, 3)), want: Fine},
		{name: "below its limit", subject: of(aWorkload(), status(0, 1, 2, 3)), want: Fine},
		{name: "scaled to zero", subject: of(aWorkload(withReplicas(0)), status(0, 0, 0, 0)), want: Fine},
		{name: "no pod is healthy", subject: of(aWorkload(), minAvailable(3), status(0, 0, 3, 3)), want: Fine},
		{name: "a DaemonSet", subject: of(aWorkload(ofKind(state.DaemonSets)), minAvailable(3), status(0, 3, 3, 3)), want: Fine},
		{name: "Jobs", subject: of(aWorkload(ofKind(state.Jobs)), minAvailable(1), status(0, 1, 1, 1)), want: Fine},
	}
}

// computedBudgetCases are budgets without a status, as manifests have them.
func computedBudgetCases() []testCase {
	of := func(w *state.SetupView, options ...func(*state.DisruptionBudget)) *BudgetSubject {
		return aBudgetSubject(aBudget("web", append(options, withoutStatus)...), w)
	}
	return []testCase{
		{name: "manifest: one may go", subject: of(aWorkload()), want: Fine},
		{name: "manifest: maxUnavailable 0", subject: of(aWorkload(), maxUnavailable(0)), want: Warning, detail: `^maxUnavailable 0$`},
		{name: "manifest: maxUnavailable 0%", subject: of(aWorkload(autoscaled), maxUnavailablePercent(0)), want: Warning, detail: `^maxUnavailable 0%$`},
		{name: "manifest: 10% of three is rounded up to one", subject: of(aWorkload(), maxUnavailablePercent(10)), want: Fine},
		{name: "manifest: minAvailable 3 of 3", subject: of(aWorkload(), minAvailable(3)), want: Warning, detail: `minAvailable 3: 3 of 3 pods`},
		{name: "manifest: minAvailable 2 of 3", subject: of(aWorkload(), minAvailable(2)), want: Fine},
		{name: "manifest: 80% of three is rounded up to three", subject: of(aWorkload(), minAvailablePercent(80)), want: Warning, detail: `minAvailable 80%: 3 of 3`},
		{name: "manifest: 50% of three", subject: of(aWorkload(), minAvailablePercent(50)), want: Fine},
		{name: "manifest: 100%", subject: of(aWorkload(autoscaled), minAvailablePercent(100)), want: Warning, detail: `minAvailable 100%`},
		{name: "manifest: how many an autoscaler wants is unknown", subject: of(aWorkload(autoscaled, withReplicas(1)), minAvailable(1)), want: Fine},
		{name: "manifest: one of one", subject: of(aWorkload(withReplicas(1)), minAvailable(1)), want: Warning},
		{name: "manifest: two workloads count together", subject: aBudgetSubject(aBudget("web", minAvailable(3), withoutStatus), aWorkload(), aWorkload(named("web-b"))), want: Fine},
		{name: "manifest: neither field", subject: of(aWorkload(), withoutRule), want: Warning, detail: `neither`},
		{name: "manifest: scaled to zero", subject: of(aWorkload(withReplicas(0)), maxUnavailable(0)), want: Fine},
		{name: "manifest: nothing is selected", subject: aBudgetSubject(aBudget("web", maxUnavailable(0), withoutStatus)), want: Fine},
		{name: "manifest: a DaemonSet", subject: of(aWorkload(ofKind(state.DaemonSets)), maxUnavailable(0)), want: Fine},
	}
}

func orphanBudgetCases() []testCase {
	orphan := func(options ...func(*state.DisruptionBudget)) *BudgetSubject {
		s := aBudgetSubject(aBudget("web", options...))
		s.View.Blocking = "orphan"
		return s
	}
	withSelector := func(selector state.Selector) func(*state.DisruptionBudget) {
		return func(b *state.DisruptionBudget) { b.Selector = selector }
	}
	zero := orphan()
	zero.Selected = []*state.SetupView{aWorkload(withReplicas(0))}
	unknown := orphan()
	unknown.View = nil
	return []testCase{
		{name: "it selects a workload", subject: aBudgetSubject(aBudget("web"), aWorkload()), want: Fine},
		{name: "it selects nothing", subject: orphan(), want: Info, detail: `no pod`},
		{name: "an empty selector in an empty namespace", subject: orphan(withSelector(state.Selector{})), want: Info},
		{name: "no selector", subject: orphan(withSelector(nil)), want: Info, detail: `no selector`},
		{name: "a template without pods", subject: zero, want: Fine},
		{name: "pods of a foreign controller", subject: aBudgetSubject(aBudget("web")), want: Fine},
		{name: "pods are not observed", subject: unknown, want: Fine},
	}
}

func withoutStatus(b *state.DisruptionBudget) {
	b.HasStatus, b.DisruptionsAllowed, b.CurrentHealthy, b.DesiredHealthy, b.ExpectedPods = false, 0, 0, 0, 0
}

func withoutRule(b *state.DisruptionBudget) { b.MinAvailable, b.MaxUnavailable = nil, nil }

func minAvailable(n int32) func(*state.DisruptionBudget) {
	return func(b *state.DisruptionBudget) { b.MinAvailable, b.MaxUnavailable = &state.IntOrPercent{Value: n}, nil }
}

func minAvailablePercent(n int32) func(*state.DisruptionBudget) {
	return func(b *state.DisruptionBudget) {
		b.MinAvailable, b.MaxUnavailable = &state.IntOrPercent{Value: n, Percent: true}, nil
	}
}

func maxUnavailable(n int32) func(*state.DisruptionBudget) {
	return func(b *state.DisruptionBudget) { b.MaxUnavailable = &state.IntOrPercent{Value: n} }
}

func maxUnavailablePercent(n int32) func(*state.DisruptionBudget) {
	return func(b *state.DisruptionBudget) { b.MaxUnavailable = &state.IntOrPercent{Value: n, Percent: true} }
}
