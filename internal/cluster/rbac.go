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
// get of ReplicaSets (those that no Deployment controls are read one by one), and get of the two leases by name. Kinds that are
// read on request only are left out: OptionalYAML grants them. Bound by a RoleBinding instead of a ClusterRoleBinding the
// rules serve --namespace.
func PolicyRules(wanted state.Kinds) []rbacv1.PolicyRule {
	var rules []rbacv1.PolicyRule
	for _, k := range kinds() {
		if !wanted.Has(k.Kind) || k.OnRequest {
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

// ownName is what the manifests of this repository call the role, the service account and its namespace.
const ownName = "stability-exporter"

// object is an RBAC object as it is written: without the empty fields of the API's own types.
type object struct {
	metav1.TypeMeta `json:",inline"`
	Metadata        map[string]string   `json:"metadata"`
	Rules           []rbacv1.PolicyRule `json:"rules,omitempty"`
	RoleRef         *rbacv1.RoleRef     `json:"roleRef,omitempty"`
	Subjects        []rbacv1.Subject    `json:"subjects,omitempty"`
}

// ClusterRoleYAML returns a ClusterRole named stability-exporter with the PolicyRules of the kinds.
func ClusterRoleYAML(wanted state.Kinds) []byte {
	return write(object{TypeMeta: typeOf("ClusterRole"), Metadata: map[string]string{"name": ownName}, Rules: PolicyRules(wanted)})
}

// OptionalYAML returns a role that lets the exporter list and watch a kind that it reads on request only, and the binding to its
// service account: a Role and a RoleBinding in the namespace, or a ClusterRole and a ClusterRoleBinding if it is empty.
func OptionalYAML(k state.Kind, namespace string) []byte {
	scope, metadata := "Cluster", map[string]string{"name": ownName + "-" + k.String()}
	if namespace != "" {
		scope, metadata["namespace"] = "", namespace
	}
	role := object{TypeMeta: typeOf(scope + "Role"), Metadata: metadata, Rules: []rbacv1.PolicyRule{{
		APIGroups: []string{kindOf(k).Group.Group}, Resources: []string{k.String()}, Verbs: []string{"list", "watch"}}}}
	binding := object{
		TypeMeta: typeOf(scope + "RoleBinding"), Metadata: metadata,
		RoleRef:  &rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: role.Kind, Name: metadata["name"]},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: ownName, Namespace: ownName}},
	}
	return slices.Concat(write(role), []byte("---\n"), write(binding))
}

func typeOf(kind string) metav1.TypeMeta {
	return metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: kind}
}

func write(o object) []byte {
	out, err := yaml.Marshal(o)
	if err != nil {
		panic("BUG: cannot write the " + o.Kind + ": " + err.Error())
	}
	return out
}
