// SPDX-License-Identifier: Apache-2.0

package state

// selectorMatches remembers which live label sets the budgets select. Pods come and go all the time, their label sets
// hardly ever do, so that this is made anew only when one appears or vanishes.
type selectorMatches struct {
	stale   bool
	budgets map[UID]budgetMatch
}

type budgetMatch struct {
	any         bool // selects a live pod
	overlapped  bool // one of its pods is selected by another budget, too: evicting it is an error
	off, wanted bool // selects the pods of workloads that are scaled to zero, and of some that are not
}

func (s *Store) matchBudgets() {
	if !s.matches.stale && s.matches.budgets != nil {
		return
	}
	s.matches = selectorMatches{budgets: map[UID]budgetMatch{}}
	byNamespace := map[Symbol][]*DisruptionBudget{}
	for _, o := range s.tables[PodDisruptionBudgets] {
		byNamespace[o.ObjectMeta().Namespace] = append(byNamespace[o.ObjectMeta().Namespace], o.(*DisruptionBudget))
	}
	for _, e := range s.entities {
		budgets := byNamespace[e.ref.Namespace]
		for _, labels := range e.summary.labels {
			var selecting []*DisruptionBudget
			for _, b := range budgets {
				if b.Selector.Matches(labels) {
					selecting = append(selecting, b)
				}
			}
			for _, b := range selecting {
				m := s.matches.budgets[b.UID]
				m.any, m.overlapped = true, m.overlapped || len(selecting) > 1
				s.matches.budgets[b.UID] = m
			}
		}
		s.matchTemplate(e.controller(), budgets)
	}
}

// matchTemplate notes which budgets select the pods that a workload would have.
func (s *Store) matchTemplate(w *Workload, budgets []*DisruptionBudget) {
	if w == nil {
		return
	}
	for _, b := range budgets {
		if b.Selector.Matches(w.TemplateLabels) {
			m := s.matches.budgets[b.UID]
			m.off, m.wanted = m.off || w.Desired == 0, m.wanted || w.Desired > 0
			s.matches.budgets[b.UID] = m
		}
	}
}

// otherTemplate reports whether two states of a workload may differ in which budgets select its pods.
func otherTemplate(a, b *Workload) bool {
	return a.TemplateLabels != b.TemplateLabels || (a.Desired == 0) != (b.Desired == 0) || (a.Deleted == 0) != (b.Deleted == 0)
}

// blocking says why a budget allows no disruption. A selector that selects nothing is told first: it satisfies most of
// the others as well. What somebody scaled to zero has no pod to protect, and its budget waits until it has.
func (s *Store) blocking(b *DisruptionBudget) string {
	match := s.matches.budgets[b.UID]
	switch {
	case !match.any && !match.wanted && match.off:
		return ""
	case !match.any && !match.wanted:
		return "orphan"
	case !b.HasStatus:
		return ""
	case b.SyncFailed:
		return "sync_failed"
	case match.overlapped:
		return "overlap"
	case b.DisruptionsAllowed > 0:
		return ""
	case b.ExpectedPods > 0 && b.DesiredHealthy >= b.ExpectedPods:
		return "config"
	case b.CurrentHealthy < b.DesiredHealthy:
		return "unhealthy"
	}
	return "at_limit"
}

func (s *Store) budgetViews() []BudgetView {
	podsKnown := s.observes(Pods)
	if podsKnown {
		s.matchBudgets()
	}
	views := make([]BudgetView, 0, len(s.tables[PodDisruptionBudgets]))
	for _, o := range s.tables[PodDisruptionBudgets] {
		b := o.(*DisruptionBudget)
		if s.leaving[b.Namespace] {
			continue
		}
		v := BudgetView{Namespace: b.Namespace.String(), Name: b.Name, Object: b}
		if podsKnown {
			v.Blocking = s.blocking(b)
		}
		views = append(views, v)
	}
	sortBy(views, func(v BudgetView) (string, string) { return v.Namespace, v.Name })
	return views
}

// countDrainBlocked counts, on each node that is cordoned or leaving, the pods whose budget keeps them there.
func (s *Store) countDrainBlocked(nodes []NodeView) {
	draining := map[Symbol]*NodeView{}
	for i := range nodes {
		nodes[i].DrainBlockedKnown = true
		if nodes[i].Cordoned || nodes[i].Class == Leaving {
			draining[Sym(nodes[i].Name)] = &nodes[i]
		}
	}
	if len(draining) == 0 {
		return
	}
	blocking := map[Symbol][]*DisruptionBudget{}
	for _, o := range s.tables[PodDisruptionBudgets] {
		b := o.(*DisruptionBudget)
		if cause := s.blocking(b); cause != "" && cause != "orphan" {
			blocking[b.Namespace] = append(blocking[b.Namespace], b)
		}
	}
	for _, o := range s.tables[Pods] {
		p := o.(*Pod)
		node := draining[p.Node]
		// A drain leaves daemon pods and mirror pods alone.
		if kind := p.Owner.Kind.String(); node == nil || !p.live() || kind == "DaemonSet" || kind == "Node" {
			continue
		}
		held := false
		for _, b := range blocking[p.Namespace] {
			if b.Selector.Matches(p.Labels) {
				node.blockedBy(b)
				held = true
			}
		}
		if held {
			node.DrainBlocked++
		}
	}
	for _, node := range draining {
		sortBy(node.DrainBlockedBy, func(b DrainBlocker) (string, string) { return b.Namespace, b.Name })
	}
}

// blockedBy counts a pod that the budget keeps on the node.
func (n *NodeView) blockedBy(b *DisruptionBudget) {
	for i := range n.DrainBlockedBy {
		if d := &n.DrainBlockedBy[i]; d.Name == b.Name && d.Namespace == b.Namespace.String() {
			d.Pods++
			return
		}
	}
	n.DrainBlockedBy = append(n.DrainBlockedBy, DrainBlocker{b.Namespace.String(), b.Name, 1})
}
