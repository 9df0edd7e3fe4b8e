// SPDX-License-Identifier: Apache-2.0

package collectors

import (
	"testing"

	"stability-exporter/internal/state"
)

func TestDisruptionExposition(t *testing.T) {
	golden(t, "disruption.txt", collect(t, specOf(t, Options{}, "disruption"), observed(&state.Snapshot{
		Budgets: []state.BudgetView{
			{Namespace: "shop", Name: "db", Blocking: "config"},
			{Namespace: "shop", Name: "web"},
		},
		Nodes: []state.NodeView{
			{Name: "node-1", Zone: "a", DrainBlocked: 2, DrainBlockedKnown: true, DrainBlockedBy: []state.DrainBlocker{
				{Namespace: "shop", Name: "db", Pods: 1}, {Namespace: "shop", Name: "web", Pods: 2},
			}},
			{Name: "node-2", Zone: "a", DrainBlockedKnown: true},
			{Name: "node-3", Zone: "a", DrainBlocked: 1},
		},
	}, state.Nodes, state.Pods, state.PodDisruptionBudgets)))
}
