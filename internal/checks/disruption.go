// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"slices"

	"stability-exporter/internal/state"
)

func disruptionChecks() []Check {
	return []Check{
		{
			ID: "pdb_blocks", Category: Disruption, Levels: []Level{Warning},
			English: "A PodDisruptionBudget never lets a pod go",
			Chinese: "PodDisruptionBudget 不允许驱逐任何 Pod",
			Why: "No node on which one of its pods runs can be drained: upgrades and repairs hang, until somebody deletes the pod by force or the provider takes the " +
				"node after its deadline, then without any order.",
			Fix: "Let one pod go (maxUnavailable: 1), and run one replica more than must be there. Pods without a controller need a minAvailable that is a number.",
			Spares: "Budgets that allow nothing only because pods are not ready now, what is scaled to zero, and DaemonSets, which no drain evicts. The status decides; " +
				"where there is none (manifests) the numbers do, and a budget of autoscaled workloads is then judged only if no number of replicas would help. " +
				"Where nothing may ever be evicted on purpose, exempt it.",
			OfBudget: budgetBlocks,
		},
		{
			ID: "pdb_selects_nothing", Category: Disruption, Levels: []Level{Info},
			English:  "A PodDisruptionBudget protects no pod",
			Chinese:  "PodDisruptionBudget 没有选中任何 Pod",
			Why:      "The pods it was written for have other labels, or are gone: a drain takes all replicas at once. Without any selector a budget selects nothing.",
			Fix:      "Write the labels of the pod template into its selector, or delete it.",
			Spares:   "Budgets that select the template of a workload, also of one that is scaled to zero.",
			OfBudget: budgetSelectsNothing,
		},
		{
			ID: "pod_multi_pdb", Category: Disruption, Levels: []Level{Warning},
			English:    "Several PodDisruptionBudgets select the same pods",
			Chinese:    "多个 PodDisruptionBudget 选中同一批 Pod",
			Why:        "The eviction API answers such pods with an error (500, more than one PodDisruptionBudget): no drain gets rid of them, whatever the budgets allow.",
			Fix:        "Leave one budget for each pod: narrow the selectors, or delete one of them.",
			Spares:     "DaemonSets, Jobs and static pods, which no drain evicts; what is scaled to zero.",
			Reads:      state.KindSet(state.PodDisruptionBudgets),
			OfWorkload: severalBudgets,
		},
		{
			ID: "pdb_missing", Category: Disruption, Levels: []Level{Info},
			English:    "No PodDisruptionBudget protects the replicas",
			Chinese:    "多副本工作负载没有 PodDisruptionBudget",
			Why:        "Who drains several nodes at once, as upgrades do, may evict all replicas at once.",
			Fix:        "Add a PodDisruptionBudget with maxUnavailable: 1 that selects its pods.",
			Spares:     "One replica, DaemonSets, Jobs.",
			Reads:      state.KindSet(state.PodDisruptionBudgets),
			OfWorkload: budgetMissing,
		},
	}
}

func budgetBlocks(b *BudgetSubject) Verdict {
	if len(b.Selected) > 0 && !slices.ContainsFunc(b.Selected, evictable) {
		return Verdict{}
	}
	why := b.arithmetic
	if b.HasStatus {
		why = b.proof
	}
	if fault := why(); fault != "" {
		return Verdict{Warning, fault}
	}
	return Verdict{}
}

// evictable reports whether a drain evicts the pods of a workload and waits for their budget.
func evictable(v *state.SetupView) bool {
	w := WorkloadSubject{SetupView: v}
	return w.Serving() && v.Kind != state.DaemonSets && v.Ref.Type.String() != state.TypeStaticPod
}

// proof says why, by its status, a budget allows nothing although all is well.
func (b *BudgetSubject) proof() string {
	switch {
	case b.DisruptionsAllowed > 0 || b.CurrentHealthy == 0:
		return ""
	case b.SyncFailed:
		return "Kubernetes cannot compute it (SyncFailed): the controller of its pods has no number of replicas"
	case b.MinAvailable == nil && b.MaxUnavailable == nil:
		return "it has neither minAvailable nor maxUnavailable"
	case b.ExpectedPods == 0:
		return fmt.Sprintf("%s means nothing for its %d pods, which have no controller", b.rule(), b.CurrentHealthy)
	case b.DesiredHealthy >= b.ExpectedPods:
		return fmt.Sprintf("%s: %d of %d pods must be there", b.rule(), b.DesiredHealthy, b.ExpectedPods)
	}
	return ""
}

// arithmetic says why, by its specification, a budget will allow nothing.
func (b *BudgetSubject) arithmetic() string {
	expected, known := int64(0), true
	for _, v := range b.Selected {
		if evictable(v) {
			expected += int64(v.Desired)
			known = known && !v.Autoscaled
		}
	}
	if expected == 0 {
		return ""
	}
	switch {
	case b.MinAvailable == nil && b.MaxUnavailable == nil:
		return "it has neither minAvailable nor maxUnavailable"
	case b.MaxUnavailable != nil && b.MaxUnavailable.Value == 0:
		return b.rule()
	case b.MaxUnavailable != nil:
		return "" // percentages are rounded up
	case b.MinAvailable.Percent && b.MinAvailable.Value >= 100:
		return b.rule()
	}
	wanted := int64(b.MinAvailable.Value)
	if b.MinAvailable.Percent {
		wanted = (wanted*expected + 99) / 100
	}
	if known && wanted >= expected {
		return fmt.Sprintf("%s: %d of %d pods must be there", b.rule(), wanted, expected)
	}
	return ""
}

func (b *BudgetSubject) rule() string {
	name, value := "minAvailable", b.MinAvailable
	if b.MaxUnavailable != nil {
		name, value = "maxUnavailable", b.MaxUnavailable
	}
	if value.Percent {
		return fmt.Sprintf("%s %d%%", name, value.Value)
	}
	return fmt.Sprintf("%s %d", name, value.Value)
}

func budgetSelectsNothing(b *BudgetSubject) Verdict {
	switch {
	case b.Selector == nil:
		return Verdict{Info, "it has no selector"}
	case len(b.Selected) == 0 && b.View != nil && b.View.Blocking == "orphan":
		return Verdict{Info, "no pod and no workload has the labels that it selects"}
	}
	return Verdict{}
}

func severalBudgets(w *WorkloadSubject) Verdict {
	if len(w.Budgets) < 2 || !evictable(w.SetupView) || w.Desired == 0 {
		return Verdict{}
	}
	names := make([]string, 0, len(w.Budgets))
	for _, b := range w.Budgets {
		names = append(names, b.Name)
	}
	return Verdict{Warning, "its pods are selected by " + enumerate(names)}
}

func budgetMissing(w *WorkloadSubject) Verdict {
	if !replicated(w) || w.Desired < 2 || len(w.Budgets) > 0 {
		return Verdict{}
	}
	return Verdict{Info, fmt.Sprintf("%d replicas", w.Desired)}
}
