// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"slices"
	"strings"
	"testing"

	"stability-exporter/internal/state"
)

func TestKindsAreInTheOrderOfStateAndComplete(t *testing.T) {
	table := kinds()
	for i, k := range table {
		if k.Kind != state.Kind(i) {
			t.Errorf("row %d is of %s; want %s", i, k.Kind, state.Kind(i))
		}
	}
	if last := table[len(table)-1].Kind; last != state.Leases || len(state.Kinds(^uint32(0)).All()) != len(table) {
		t.Errorf("the table has %d rows up to %s", len(table), last)
	}
}

func TestClusterRoleIsMinimal(t *testing.T) {
	all := state.Kinds(^uint32(0))
	const want = `apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: stability-exporter
rules:
- apiGroups:
  - ""
  resources:
  - nodes
  - services
  - pods
  verbs:
  - list
  - watch
- apiGroups:
  - apps
  resources:
  - deployments
  - statefulsets
  - daemonsets
  - controllerrevisions
  verbs:
  - list
  - watch
- apiGroups:
  - apps
  resources:
  - replicasets
  verbs:
  - get
  - list
  - watch
- apiGroups:
  - batch
  resources:
  - cronjobs
  - jobs
  verbs:
  - list
  - watch
- apiGroups:
  - autoscaling
  resources:
  - horizontalpodautoscalers
  verbs:
  - list
  - watch
- apiGroups:
  - policy
  resources:
  - poddisruptionbudgets
  verbs:
  - list
  - watch
- apiGroups:
  - discovery.k8s.io
  resources:
  - endpointslices
  verbs:
  - list
  - watch
- apiGroups:
  - coordination.k8s.io
  resourceNames:
  - kube-controller-manager
  - kube-scheduler
  resources:
  - leases
  verbs:
  - get
`
	if got := string(ClusterRoleYAML(all)); got != want {
		t.Errorf("got\n%s", got)
	}
	if got := PolicyRules(state.KindSet(state.Pods)); len(got) != 1 || !slices.Equal(got[0].Resources, []string{"pods"}) {
		t.Errorf("the rules for pods are %v", got)
	}
	if strings.Contains(want, "*") || strings.Contains(want, "secrets") {
		t.Error("the role asks for too much")
	}
}
