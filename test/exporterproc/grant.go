// SPDX-License-Identifier: Apache-2.0

package exporterproc

import (
	"context"
	"fmt"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"stability-exporter/collectors"
	product "stability-exporter/internal/cluster"
	"stability-exporter/internal/state"
	"stability-exporter/test/cluster"
)

// DefaultRules are the permissions that the program asks for with the collectors that are on by default.
func DefaultRules() ([]rbacv1.PolicyRule, error) {
	specs, err := collectors.All(collectors.Options{})
	if err != nil {
		return nil, fmt.Errorf("cannot list the collectors: %w", err)
	}
	var kinds state.Kinds
	for _, spec := range specs {
		if spec.Default {
			kinds |= spec.Reads
		}
	}
	return product.PolicyRules(kinds), nil
}

// Grant gives an identity of the cluster (exporter-0 to exporter-19) the DefaultRules everywhere and returns the path of
// its kubeconfig.
func Grant(ctx context.Context, c *cluster.Cluster, identity string) (string, error) {
	rules, err := DefaultRules()
	if err != nil {
		return "", err
	}
	if err := GrantRules(ctx, c, identity, rules); err != nil {
		return "", err
	}
	return c.Kubeconfig(identity)
}

// GrantRules gives an identity of the cluster the rules everywhere, by a ClusterRole and a ClusterRoleBinding that are
// both named after it. The API server heeds them a moment later.
func GrantRules(ctx context.Context, c *cluster.Cluster, identity string, rules []rbacv1.PolicyRule) error {
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: identity}, Rules: rules}
	if _, err := c.Client().RbacV1().ClusterRoles().Create(ctx, role, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("cannot create the role of %s: %w", identity, err)
	}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: identity},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: identity}},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: identity},
	}
	if _, err := c.Client().RbacV1().ClusterRoleBindings().Create(ctx, binding, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("cannot bind the role of %s: %w", identity, err)
	}
	return nil
}
