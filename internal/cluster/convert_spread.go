// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"stability-exporter/internal/state"
)

// spread converts what a template of the namespace asks of the places of its pods. Keys of matchLabelKeys narrow a
// selector down to pods of one revision, which makes no difference to whether it selects the pod's own workload.
func spread(spec *corev1.PodSpec, namespace string) []state.SpreadTerm {
	var terms []state.SpreadTerm
	if spec.Affinity != nil && spec.Affinity.PodAntiAffinity != nil {
		anti := spec.Affinity.PodAntiAffinity
		required := anti.RequiredDuringSchedulingIgnoredDuringExecution
		for i := range required[:min(len(required), maxSpread)] {
			terms = append(terms, affinityTerm(state.AntiAffinityRequired, &required[i], namespace))
		}
		preferred := anti.PreferredDuringSchedulingIgnoredDuringExecution
		for i := range preferred[:min(len(preferred), maxSpread)] {
			terms = append(terms, affinityTerm(state.AntiAffinityPreferred, &preferred[i].PodAffinityTerm, namespace))
		}
	}
	constraints := spec.TopologySpreadConstraints
	for i := range constraints[:min(len(constraints), maxSpread)] {
		c := &constraints[i]
		term := state.SpreadTerm{
			Kind: state.SpreadDoNotSchedule, TopologyKey: state.Sym(text(c.TopologyKey, maxLabelKey)), Selector: selector(c.LabelSelector),
		}
		if c.WhenUnsatisfiable == corev1.ScheduleAnyway {
			term.Kind = state.SpreadScheduleAnyway
		}
		terms = append(terms, term)
	}
	return terms
}

func affinityTerm(kind state.SpreadKind, t *corev1.PodAffinityTerm, namespace string) state.SpreadTerm {
	return state.SpreadTerm{
		Kind: kind, TopologyKey: state.Sym(text(t.TopologyKey, maxLabelKey)), Selector: selector(t.LabelSelector),
		OtherNamespaces: leavesOut(t, namespace),
	}
}

// leavesOut reports whether a term surely does not mean the namespace. It means its own unless it names others. Of a
// namespace only the label with its name is known here: a selector that asks for another one gets the benefit of the doubt.
func leavesOut(t *corev1.PodAffinityTerm, namespace string) bool {
	if slices.Contains(t.Namespaces, namespace) {
		return false
	}
	s := t.NamespaceSelector
	if s == nil {
		return len(t.Namespaces) > 0
	}
	known := metav1.LabelSelector{MatchLabels: map[string]string{}}
	if value, asks := s.MatchLabels[corev1.LabelMetadataName]; asks {
		known.MatchLabels[corev1.LabelMetadataName] = value
	}
	for _, e := range s.MatchExpressions {
		if e.Key == corev1.LabelMetadataName {
			known.MatchExpressions = append(known.MatchExpressions, e)
		}
	}
	return !selector(&known).Matches(state.MakeLabels(map[string]string{corev1.LabelMetadataName: namespace}))
}
