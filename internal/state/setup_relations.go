// SPDX-License-Identifier: Apache-2.0

package state

import (
	"cmp"
	"slices"
	"strings"
)

// selecting finds the Services and budgets of one namespace that select a set of labels, without asking each of them: it looks
// them up by the first label that they want.
type selecting struct {
	services map[labelPair][]*Service
	budgets  map[labelPair][]*DisruptionBudget
	// broad are budgets that want no label of one value: an empty selector, or expressions alone.
	broad      []*DisruptionBudget
	autoscaled map[WorkloadRef]bool
}

type labelPair struct{ key, value Symbol }

// first returns a label that all that is selected must have; ok is false when there is none.
func (s Selector) first() (pair labelPair, ok bool) {
	for _, r := range s {
		if r.Op == OpIn && len(r.Values) == 1 {
			return labelPair{r.Key, r.Values[0]}, true
		}
	}
	return labelPair{}, false
}

// in returns the relations of a namespace.
func (b *setupBuilder) in(namespace Symbol) *selecting {
	if len(b.namespaces) == 0 {
		b.index()
	}
	if n := b.namespaces[namespace]; n != nil {
		return n
	}
	return &selecting{}
}

// index goes over the Services, budgets and autoscalers once for all namespaces.
func (b *setupBuilder) index() {
	of := func(o Object) *selecting {
		n := b.namespaces[o.ObjectMeta().Namespace]
		if n == nil {
			n = &selecting{
				services: map[labelPair][]*Service{}, budgets: map[labelPair][]*DisruptionBudget{}, autoscaled: map[WorkloadRef]bool{},
			}
			b.namespaces[o.ObjectMeta().Namespace] = n
		}
		return n
	}
	b.namespaces[Symbol{}] = &selecting{}
	for _, o := range b.store.tables[Services] {
		if svc := o.(*Service); len(svc.Selector) > 0 {
			pair, _ := svc.Selector.first() // a Service's selector has nothing but such labels
			n := of(svc)
			n.services[pair] = append(n.services[pair], svc)
		}
	}
	for _, o := range b.store.tables[PodDisruptionBudgets] {
		budget := o.(*DisruptionBudget)
		n := of(budget)
		if pair, ok := budget.Selector.first(); ok {
			n.budgets[pair] = append(n.budgets[pair], budget)
		} else if budget.Selector != nil {
			n.broad = append(n.broad, budget)
		}
	}
	for _, o := range b.store.tables[HorizontalPodAutoscalers] {
		of(o).autoscaled[o.(*Autoscaler).target()] = true
	}
}

// relate adds the Services and budgets that select the pods of a template, and the ConfigMaps it refers to.
func (b *setupBuilder) relate(v *SetupView) {
	n := b.in(v.Ref.Namespace)
	labels := v.Template.Labels
	for pair := range labels.pairs {
		for _, svc := range n.services[pair] {
			if svc.Selector.Matches(labels) {
				v.Services = append(v.Services, svc)
			}
		}
		for _, budget := range n.budgets[pair] {
			if budget.Selector.Matches(labels) {
				v.Budgets = append(v.Budgets, budget)
			}
		}
	}
	for _, budget := range n.broad {
		if budget.Selector.Matches(labels) {
			v.Budgets = append(v.Budgets, budget)
		}
	}
	slices.SortFunc(v.Services, func(a, b *Service) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(v.Budgets, func(a, b *DisruptionBudget) int { return strings.Compare(a.Name, b.Name) })
	v.Autoscaled = n.autoscaled[v.Ref]
	b.addConfigMaps(v)
}

func (b *setupBuilder) addConfigMaps(v *SetupView) {
	for i := range v.Template.Containers {
		for _, r := range v.Template.Containers[i].References {
			m := b.store.setups.maps[serviceKey{v.Ref.Namespace, r.ConfigMap}]
			if m != nil && !slices.Contains(v.ConfigMaps, m) {
				v.ConfigMaps = append(v.ConfigMaps, m)
			}
		}
	}
	slices.SortFunc(v.ConfigMaps, func(a, b *ConfigMap) int { return cmp.Compare(a.Name, b.Name) })
}

// pairs yields the labels.
func (l Labels) pairs(yield func(labelPair) bool) {
	for rest := l.text.String(); rest != ""; {
		var line string
		line, rest, _ = strings.Cut(rest, "\n")
		if k, v, _ := strings.Cut(line, "="); !yield(labelPair{Sym(k), Sym(v)}) {
			return
		}
	}
}
