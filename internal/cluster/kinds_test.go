// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"os"
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
	want, err := os.ReadFile("testdata/clusterrole.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if got := string(ClusterRoleYAML(all)); got != string(want) {
		t.Errorf("got\n%s", got)
	}
	if got := PolicyRules(state.KindSet(state.Pods)); len(got) != 1 || !slices.Equal(got[0].Resources, []string{"pods"}) {
		t.Errorf("the rules for pods are %v", got)
	}
	if strings.Contains(string(want), "*") || strings.Contains(string(want), "secrets") {
		t.Error("the role asks for too much")
	}
}
