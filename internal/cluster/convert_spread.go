// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"stability-exporter/internal/state"
)

// spread converts what a template of the namespace asks of the places of its pods.
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
			OwnRevision: ownRevision(c.MatchLabelKeys),
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
		OtherNamespaces: leavesOut(t, namespace), OwnRevision: ownRevision(t.MatchLabelKeys),
	}
}

// ownRevision reports whether keys whose values a pod shares with those that a term concerns tell revisions apart. Other
// keys make no difference to whether it selects the pods of its own workload.
func ownRevision(matchLabelKeys []string) bool {
	return slices.Contains(matchLabelKeys, appsv1.DefaultDeploymentUniqueLabelKey) ||
		slices.Contains(matchLabelKeys, appsv1.ControllerRevisionHashLabelKey)
}

// selectsNodes reports whether a nodeSelector or a required node affinity leaves pods a part of the nodes.
func selectsNodes(spec *corev1.PodSpec) bool {
	for key := range spec.NodeSelector {
		if !isPlatform(key) {
			return true
		}
	}
	if spec.Affinity == nil || spec.Affinity.NodeAffinity == nil || spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution == nil {
		return false
	}
	// A node need only match one of the terms.
	terms := spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms
	return !slices.ContainsFunc(terms, func(t corev1.NodeSelectorTerm) bool {
		narrows := func(r corev1.NodeSelectorRequirement) bool { return !isPlatform(r.Key) }
		return len(t.MatchExpressions) > 0 && len(t.MatchFields) == 0 && !slices.ContainsFunc(t.MatchExpressions, narrows)
	})
}

// isPlatform reports whether a label of nodes tells the operating system or the architecture, which all nodes of most
// clusters have in common.
func isPlatform(key string) bool {
	switch key {
	case corev1.LabelOSStable, corev1.LabelArchStable, "beta.kubernetes.io/os", "beta.kubernetes.io/arch":
		return true
	}
	return false
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
