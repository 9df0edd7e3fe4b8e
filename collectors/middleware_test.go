// SPDX-License-Identifier: Apache-2.0

package collectors

import (
	"maps"
	"slices"
	"testing"
	"time"

	"stability-exporter/internal/state"
)

func named(pairs map[string]float64) []state.Measurement {
	var list []state.Measurement
	for _, name := range slices.Sorted(maps.Keys(pairs)) {
		list = append(list, state.Measurement{Name: name, Value: pairs[name]})
	}
	return list
}

func TestMiddlewareExposition(t *testing.T) {
	known := func(value float64) state.Measure { return state.Measure{Known: true, Value: value} }
	s := &state.Snapshot{
		Middleware: []*state.MiddlewareView{
			{Kind: "mysql", Target: "erp-db/b", Group: "erp-db", ProbedAt: testNow, Up: true, Role: "replica", Writable: state.False, LinkUp: state.False,
				Problems: []state.MiddlewareProblem{{Reason: "replication_broken", Detail: "the detail is never shown"}},
				Unknown:  []state.UnknownFact{{Fact: "replication_lag_seconds", Why: "unsupported"}}, Saturation: named(map[string]float64{"connections": 0.25}),
				Phases: []state.ProbePhase{{Name: "connect", Took: time.Millisecond}, {Name: "query", Took: 20 * time.Millisecond}}},
			{Kind: "mysql", Target: "erp-db", Up: true, Members: named(map[string]float64{"healthy": 1}), MembersExpected: known(2),
				Problems: []state.MiddlewareProblem{{Reason: "members_missing"}}},
			{Kind: "rabbitmq", Target: "erp-mq", ProbedAt: testNow, Up: true, Alarms: named(map[string]float64{"disk": 1, "memory": 0}),
				Problems: []state.MiddlewareProblem{{Reason: "alarm"}}, QueueMessages: named(map[string]float64{"orders": 7}),
				QueueConsumers: named(map[string]float64{"orders": 0}), TLSNotAfter: testNow + 3600, TLSVerified: state.True},
			{Kind: "kafka", Target: "bus", ProbedAt: testNow, Up: true, LagBytes: known(3), LagSeconds: known(0.5),
				Partitions: named(map[string]float64{"offline": 0}), ConsumerLag: named(map[string]float64{"billing": 12})},
			{Kind: "http", Target: "licence", ProbedAt: testNow, Facts: named(map[string]float64{"seats_left": 3}), Expiry: named(map[string]float64{"licence": 2e9}),
				Problems: []state.MiddlewareProblem{{Reason: "timeout"}}},
		},
		Discovery: &state.DiscoveryView{Targets: []state.Count{{Name: "redis", N: 0}}, Conflicts: 1},
	}
	golden(t, "middleware.txt", collect(t, specOf(t, Options{}, "middleware"), observed(s)))
}

func TestNoMiddlewareIsNoSample(t *testing.T) {
	wantSamples(t, "middleware", observed(&state.Snapshot{}), "")
}
