// SPDX-License-Identifier: Apache-2.0

package collectors

import (
	"testing"

	"stability-exporter/internal/state"
)

func TestNodeExposition(t *testing.T) {
	golden(t, "node.txt", collect(t, specOf(t, Options{}, "node"), observed(&state.Snapshot{
		Nodes: []state.NodeView{
			{
				Name: "node-1", Zone: "a", Ready: true, ReadySince: 1_794_000_000,
				Conditions: []state.NodeCondition{{Type: state.Sym("DiskPressure"), Status: state.Sym("True"), Transitioned: 1_794_000_500}},
			},
			{Name: "node-2", Zone: "a", ReadySince: 1_794_999_000, Reboots: 2, LastReboot: 1_794_999_100, Crashes: 1},
			{Name: "node-3", Zone: "unknown", Class: state.Cordoned, Ready: true, ReadySince: 1_794_000_000, Cordoned: true},
			{Name: "node-4", Zone: "unknown", Class: state.Bootstrapping},
			{Name: "node-5", Zone: "unknown", Class: state.Leaving},
		},
		Zones: []state.ZoneView{
			{Name: "a", Nodes: [...]int32{2, 0, 0, 0}, Unhealthy: 1, EvictionLimit: 0.1},
			{Name: "unknown", Nodes: [...]int32{0, 1, 0, 1}},
		},
	}, state.Nodes)))
}

func TestNodeConditionsAreReadByTheirNames(t *testing.T) {
	overrides := map[string]string{"MemoryPressure": "ignore", "FabricOnline": "good", "ClockHealthy": "bad"}
	for _, c := range []struct {
		name, status string
		plain        bool // a problem with default options
		overridden   bool // a problem with the overrides
	}{
		{"MemoryPressure", "True", true, false},
		{"MemoryPressure", "False", false, false},
		{"DiskPressure", "Unknown", false, false},
		{"KernelDeadlock", "True", true, true},
		{"FabricOnline", "True", true, false},
		{"FabricOnline", "False", false, true},
		{"FabricOnline", "Unknown", false, true},
		{"ClockHealthy", "True", false, true},
		{"ClockHealthy", "False", true, false},
		{"NetworkAvailable", "Unknown", true, true},
		{"NetworkUnavailable", "False", false, false},
		{"GPUReady", "False", true, true},
		{"GPUReady", "True", false, false},
		{"ReadyToDie", "True", true, true},
	} {
		if got := (node{}).problem(c.name, c.status); got != c.plain {
			t.Errorf("%s=%s: problem %v, want %v", c.name, c.status, got, c.plain)
		}
		if got := (node{overrides}).problem(c.name, c.status); got != c.overridden {
			t.Errorf("%s=%s with overrides: problem %v, want %v", c.name, c.status, got, c.overridden)
		}
	}
}
