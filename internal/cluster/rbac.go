// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"stability-exporter/internal/state"
)

// PolicyRules returns the permissions that observing the kinds needs and no more: list and watch of what is watched,
// get of ReplicaSets (those that no Deployment controls are read one by one), and get of the two leases by name.
// Bound by a RoleBinding instead of a ClusterRoleBinding they serve --namespace.
func PolicyRules(wanted state.Kinds) []rbacv1.PolicyRule {
	var rules []rbacv1.PolicyRule
	for _, k := range kinds() {
		if !wanted.Has(k.Kind) {
			continue
		}
		rule := rbacv1.PolicyRule{APIGroups: []string{k.Group.Group}, Resources: []string{k.Kind.String()}}
		switch {
		case k.Access == pollByName:
			rule.Verbs, rule.ResourceNames = []string{"get"}, componentLeases()
		case k.AlsoGet:
			rule.Verbs = []string{"get", "list", "watch"}
		default:
			rule.Verbs = []string{"list", "watch"}
		}
		rules = appendRule(rules, rule)
	}
	return rules
}

// appendRule joins a rule with the last one when they differ in resources only.
func appendRule(rules []rbacv1.PolicyRule, rule rbacv1.PolicyRule) []rbacv1.PolicyRule {
	for i := range rules {
		last := &rules[i]
		if last.APIGroups[0] == rule.APIGroups[0] && slices.Equal(last.Verbs, rule.Verbs) && rule.ResourceNames == nil {
			last.Resources = append(last.Resources, rule.Resources...)
			return rules
		}
	}
	return append(rules, rule)
}

// ClusterRoleYAML returns a ClusterRole named stability-exporter with the PolicyRules of the kinds.
func ClusterRoleYAML(wanted state.Kinds) []byte {
	role := struct {
		metav1.TypeMeta `json:",inline"`
		Metadata        map[string]string   `json:"metadata"`
		Rules           []rbacv1.PolicyRule `json:"rules"`
	}{
		TypeMeta: metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "ClusterRole"},
		Metadata: map[string]string{"name": "stability-exporter"},
		Rules:    PolicyRules(wanted),
	}
	out, err := yaml.Marshal(role)
	if err != nil {
		panic("BUG: cannot write the ClusterRole: " + err.Error())
	}
	return out
}
