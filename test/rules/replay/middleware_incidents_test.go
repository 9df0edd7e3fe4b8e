// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"time"

	"stability-exporter/internal/state"
)

func page(alert string, within time.Duration, says ...string) []alarm {
	return []alarm{{"StabilityMiddleware" + alert, "critical", map[string]string{"group": subject}, within, says}}
}

func warns(alert string, within time.Duration, says ...string) []alarm {
	of := page(alert, within, says...)
	of[0].Severity = "warning"
	return of
}

// down makes a view that of a server that does not answer.
func down(v *state.MiddlewareView, reason string) {
	*v = state.MiddlewareView{Kind: v.Kind, Target: v.Target, Group: v.Group, ProbedAt: v.ProbedAt}
	problem(v, reason)
}

func problem(v *state.MiddlewareView, reason string) {
	v.Problems = append(v.Problems, state.MiddlewareProblem{Reason: reason})
}

// times does something to a view while there is trouble.
func times(during func(v *state.MiddlewareView, member string)) func(*state.MiddlewareView, int, string, time.Duration) {
	return func(v *state.MiddlewareView, _ int, member string, after time.Duration) {
		if after >= 0 {
			during(v, member)
		}
	}
}

// ensemble are the members of a ZooKeeper ensemble, of which a leads; during is what happens in trouble.
func ensemble(during func(v *state.MiddlewareView, member string)) func(*state.MiddlewareView, int, string, time.Duration) {
	return func(v *state.MiddlewareView, _ int, member string, after time.Duration) {
		v.Role = "follower"
		if member == "a" {
			v.Role = "leader"
		}
		if after >= 0 {
			during(v, member)
		}
	}
}

// replicated are MySQL servers of which a is the primary.
func replicated(during func(v *state.MiddlewareView, member string)) func(*state.MiddlewareView, int, string, time.Duration) {
	return func(v *state.MiddlewareView, _ int, member string, after time.Duration) {
		v.Role, v.Writable, v.LinkUp = "replica", state.False, state.True
		if member == "a" {
			v.Role, v.Writable, v.LinkUp = "primary", state.True, state.Absent
		}
		if after >= 0 {
			during(v, member)
		}
	}
}

// sharded are nodes of a Redis Cluster.
func sharded(during func(v *state.MiddlewareView, member string)) func(*state.MiddlewareView, int, string, time.Duration) {
	return func(v *state.MiddlewareView, _ int, member string, after time.Duration) {
		v.Role, v.Writable = "primary", state.True
		v.Members, v.Partitions = []state.Measurement{{Name: "healthy", Value: 3}}, []state.Measurement{{Name: "offline"}}
		if after >= 0 {
			during(v, member)
		}
	}
}

func outages() []incident {
	trio := []string{"a", "b", "c"}
	const lasts = 30 * time.Minute
	return []incident{
		{name: "a server hangs", kind: "redis", lasts: lasts, fires: page("Down", 3*time.Minute, "timeout"),
			look: times(func(v *state.MiddlewareView, _ string) { down(v, "timeout") })},
		{name: "a whole group is gone", kind: "zookeeper", members: trio, lasts: lasts, fires: page("Down", 3*time.Minute, "refused", "0 healthy, 3 expected"),
			look: ensemble(func(v *state.MiddlewareView, _ string) { down(v, "refused") })},
		{name: "a quorum is lost", kind: "zookeeper", members: trio, lasts: lasts, fires: page("NoQuorum", 3*time.Minute, "no_quorum (erp/a)", "refused (erp/b)"),
			look: ensemble(func(v *state.MiddlewareView, member string) {
				if member != "a" {
					down(v, "refused")
					return
				}
				v.Role = "unknown"
				problem(v, "no_quorum")
			})},
		{name: "a shard is lost", kind: "redis", members: trio, lasts: lasts, fires: page("PartitionsOffline", 3*time.Minute, "5461 offline"),
			look: sharded(func(v *state.MiddlewareView, member string) {
				if member == "a" {
					down(v, "refused")
					return
				}
				v.Writable, v.Members[0].Value, v.Partitions[0].Value = state.False, 2, 5461
				for _, reason := range []string{"degraded", "not_writable"} {
					problem(v, reason)
				}
			})},
		{name: "memory runs out of a broker", kind: "rabbitmq", members: trio, lasts: lasts, fires: page("Alarm", 3*time.Minute, "alarm memory", "memory 100%"),
			look: times(func(v *state.MiddlewareView, _ string) {
				v.Alarms, v.Saturation = []state.Measurement{{Name: "memory", Value: 1}}, []state.Measurement{{Name: "memory", Value: 1}}
				problem(v, "alarm")
			})},
		{name: "a certificate has expired", kind: "rabbitmq", members: trio, lasts: lasts, fires: page("Down", 3*time.Minute, "cert_expired"),
			look: times(func(v *state.MiddlewareView, _ string) {
				down(v, "cert_expired")
				v.TLSNotAfter, v.TLSVerified = v.ProbedAt-60, state.False
			})},
		{name: "it comes and goes", kind: "redis", lasts: lasts, fires: page("ErrorBudgetBurn", 15*time.Minute, "closed"),
			look: func(v *state.MiddlewareView, _ int, _ string, after time.Duration) {
				if after >= 0 && after%(2*time.Minute) < time.Minute {
					down(v, "closed")
				}
			}},
	}
}

// outagesOfReplicas are those of servers that replicate from one another.
func outagesOfReplicas() []incident {
	trio := []string{"a", "b", "c"}
	const lasts = 30 * time.Minute
	return []incident{
		{name: "a primary dies and nobody follows", kind: "mysql", members: trio, lasts: lasts, fires: page("NoQuorum", 3*time.Minute, "no_leader (erp)", "timeout (erp/a)"),
			look: replicated(func(v *state.MiddlewareView, member string) {
				if member == "a" {
					down(v, "timeout")
					return
				}
				v.LinkUp = state.False
				problem(v, "replication_broken")
			})},
		{name: "two primaries", kind: "mysql", members: trio, lasts: lasts, fires: page("RoleConflict", 3*time.Minute, "erp/b primary"),
			look: replicated(func(v *state.MiddlewareView, member string) {
				if member == "b" {
					v.Role, v.Writable, v.LinkUp = "primary", state.True, state.Absent
				}
			})},
		{name: "first a replica is gone, then its primary as well", kind: "redis", members: trio[:2], lasts: lasts,
			fires: append(warns("MemberDown", 6*time.Minute, "redis erp/b"), page("Down", 13*time.Minute, "0 healthy, 2 expected")...),
			look: func(v *state.MiddlewareView, exporter int, member string, after time.Duration) {
				replicated(func(*state.MiddlewareView, string) {})(v, exporter, member, after)
				if member == "b" && after >= 0 || after >= 10*time.Minute {
					down(v, "refused")
				}
			}},
		{name: "memory is full and nothing may be evicted", kind: "redis", lasts: lasts, fires: page("NotWritable", 3*time.Minute, "memory 100% (erp)"),
			look: times(func(v *state.MiddlewareView, _ string) {
				v.Role, v.Writable, v.Saturation = "standalone", state.False, []state.Measurement{{Name: "memory", Value: 1}}
				problem(v, "not_writable")
			})},
		{name: "a primary is read-only", kind: "mysql", members: trio, lasts: lasts, fires: page("NotWritable", 3*time.Minute, "not_writable (erp/a)"),
			look: replicated(func(v *state.MiddlewareView, member string) {
				if member == "a" {
					v.Writable = state.False
					problem(v, "not_writable")
				}
			})},
	}
}

func lesserIncidents() []incident {
	trio := []string{"a", "b", "c"}
	const lasts = 30 * time.Minute
	return []incident{
		{name: "one member of an ensemble is gone", kind: "zookeeper", members: trio, lasts: lasts,
			fires: warns("MemberDown", 6*time.Minute, "zookeeper erp/c", "2 healthy, 3 expected", "timeout"),
			look: ensemble(func(v *state.MiddlewareView, member string) {
				if member == "c" {
					down(v, "timeout")
				}
			})},
		{name: "a replica stops", kind: "mysql", members: trio, lasts: lasts, fires: warns("ReplicationBroken", 6*time.Minute, "mysql erp/c"),
			look: replicated(func(v *state.MiddlewareView, member string) {
				if member == "c" {
					v.LinkUp = state.False
					problem(v, "replication_broken")
				}
			})},
		{name: "a member is cut off from the others", kind: "etcd", members: trio, lasts: lasts, fires: warns("Degraded", 11*time.Minute, "no_quorum (erp/c)"),
			look: ensemble(func(v *state.MiddlewareView, member string) {
				v.MembersExpected = state.Measure{Known: true, Value: 2} // what else would be told is not what this is about
				if member == "c" {
					v.Role = "unknown"
					problem(v, "no_quorum")
				}
			})},
		{name: "a password is changed everywhere", kind: "mysql", members: trio, lasts: lasts, fires: warns("Blind", 11*time.Minute, "auth (erp/a)"),
			look: replicated(func(v *state.MiddlewareView, _ string) { down(v, "auth") })},
		{name: "the authority of a certificate is changed", kind: "redis", lasts: lasts, fires: warns("Blind", 11*time.Minute, "cert_invalid"),
			look: times(func(v *state.MiddlewareView, _ string) { down(v, "cert_invalid") })},
	}
}

// deceptions are what somebody careless would be told of wrongly, or not at all.
func deceptions() []incident {
	timeout := times(func(v *state.MiddlewareView, _ string) { down(v, "timeout") })
	return []incident{
		{name: "one exporter of two is cut off", kind: "redis", exporters: 2, lasts: 30 * time.Minute,
			look: func(v *state.MiddlewareView, exporter int, _ string, after time.Duration) {
				if exporter == 1 && after >= 0 {
					down(v, "timeout")
				}
			}},
		{name: "one exporter of two is stuck since before", kind: "redis", exporters: 2, lasts: 30 * time.Minute, look: timeout,
			stuck: func(exporter int, after time.Duration) bool { return exporter == 1 && after > -10*time.Minute },
			fires: append(page("Down", 3*time.Minute), alarm{Alert: "StabilityMiddlewareProbesLate", Severity: "warning", Within: 11 * time.Minute})},
		{name: "the exporter restarts in the middle", kind: "redis", lasts: 30 * time.Minute, look: timeout, fires: page("Down", 3*time.Minute),
			gone: func(_ int, after time.Duration) bool { return after > 10*time.Minute && after <= 12*time.Minute }},
		{name: "a failover takes a minute", kind: "mysql", members: []string{"a", "b"}, lasts: time.Minute,
			look: replicated(func(v *state.MiddlewareView, member string) {
				if member == "a" {
					down(v, "refused")
				}
			})},
		{name: "a server is restarted", kind: "redis", lasts: 90 * time.Second, look: timeout},
	}
}
