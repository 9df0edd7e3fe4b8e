// SPDX-License-Identifier: Apache-2.0

package rules

// Thresholds returns all thresholds in the order of the documentation.
func Thresholds() []Threshold {
	all := append(workloadThresholds(), podThresholds()...)
	all = append(all, clusterThresholds()...)
	return append(all, middlewareThresholds()...)
}

const (
	minute = 60.0
	hour   = 60 * minute
	day    = 24 * hour
)

func workloadThresholds() []Threshold {
	return []Threshold{
		{"workload_half_down_share", "StabilityWorkloadHalfDown", "available share of the desired replicas below which it fires",
			Share, 0.5, 0.05, 1, []place{
				{"expr", ") < «0.5»", number},
				{"summary", "Less than «half»", belowShare},
			}},
		{"workload_flapping_share", "StabilityWorkloadFlapping", "share of an hour in which the workload was damaged, above which it fires",
			Share, 0.1, 0, 0.99, []place{{"expr", `{window="1h"}) > «0.1»`, number}}},
		{"workload_flapping_times", "StabilityWorkloadFlapping", "times that the workload became damaged within an hour from which on it fires",
			Count, 4, 2, 100, []place{{"expr", `{window="1h"}) >= «4»`, number}}},
		{"namespace_damaged_workloads", "StabilityNamespaceDamaged", "damaged workloads of a namespace from which on it fires",
			Count, 5, 2, 10000, []place{{"expr", "== 1) >= «5»", number}}},
		{"namespace_damaged_share", "StabilityNamespaceDamaged", "damaged share of the namespace's workloads from which on it fires",
			Share, 0.3, 0.01, 1, []place{{"expr", "> 0)\n  >= «0.3»", number}}},
		{"rollout_too_long", "StabilityRolloutTooLong", "age of a rollout above which it fires",
			Duration, 30 * minute, minute, 7 * day, []place{{"expr", ", «1800»)", number}}},
		{"rollout_too_long_per_replica", "StabilityRolloutTooLong", "time per desired replica; where that is more than rollout_too_long, it counts",
			Duration, 2 * minute, 1, day, []place{{"expr", "clamp_min(«120» * ", number}}},
		{"single_point_of_failure_replicas", "StabilitySinglePointOfFailure", "desired, and available, replicas from which on they should not all run on one node",
			Count, 2, 2, 1000, []place{
				{"expr", "(stability_workload_available_replicas) >= «2»", number},
				{"expr", "(stability_workload_desired_replicas) >= «2»", number},
			}},
	}
}

func podThresholds() []Threshold {
	return []Threshold{
		{"crash_loop_restarts", "StabilityCrashLoop", "container restarts within an hour from which on it fires",
			Count, 5, 2, 10000, []place{{"expr", `{window="1h"}) >= «5»`, number}}},
		{"oom_kills", "StabilityOOMKilledRepeated", "containers killed for want of memory within an hour from which on it fires",
			Count, 2, 1, 10000, []place{
				{"expr", `{window="1h"}) >= «2»`, number},
				{"summary", "out of memory« repeatedly».", fromTwoOn(" repeatedly")},
			}},
		{"restarts_since_yesterday", "StabilityRestartsSinceYesterday", "container restarts within 24 hours from which on it fires",
			Count, 1, 1, 10000, []place{{"expr", `{window="24h"}) >= «1»`, number}}},
		{"registry_down_workloads", "StabilityRegistryDown", "workloads that cannot pull images from a registry from which on it fires",
			Count, 3, 2, 10000, []place{{"expr", "> 0) >= «3»", number}}},
	}
}

func clusterThresholds() []Threshold {
	return []Threshold{
		{"node_flapping_changes", "StabilityNodeFlapping", "changes of readiness within the window from which on it fires",
			Count, 4, 2, 1000, []place{{"expr", ":1m]) >= «4»", number}}},
		{"node_flapping_window", "StabilityNodeFlapping", "how far it looks back",
			Duration, 30 * minute, 10 * minute, day, []place{
				{"expr", "[«30m»:1m])", promDuration},
				{"description", "times within «30 minutes».", period},
			}},
		{"zone_degraded_nodes", "StabilityZoneDegraded", "nodes of a zone that are not ready from which on it fires",
			Count, 2, 2, 10000, []place{{"expr", "(stability_zone_unhealthy_nodes) >= «2»", number}}},
		{"zone_degraded_healthy_share", "StabilityZoneDegraded", "ready share of the zone's nodes at which and below which it fires",
			Share, 0.8, 0, 0.99, []place{{"expr", "(stability_zone_healthy_ratio) <= «0.8»", number}}},
		{"zone_down_nodes", "StabilityZoneDown", "nodes that a zone must have had to be worth a page",
			Count, 2, 1, 10000, []place{{"expr", "(stability_zone_unhealthy_nodes) >= «2»", number}}},
		{"nodes_crashing", "StabilityNodesCrashing", "reboots of nodes within an hour that nobody prepared from which on it fires",
			Count, 3, 1, 10000, []place{{"expr", `{window="1h"})) >= «3»`, number}}},
		{"api_server_silent_after", "StabilityAPIServerSilent", "time without any sign of the API server after which it fires",
			Duration, 3 * minute, 2 * minute, hour, []place{
				{"expr", "> «180»\n", number},
				{"expr", "offset «3m»", promDuration},
			}},
		{"informer_stale_after", "StabilityInformerStale", "time without an event of a resource after which it fires",
			Duration, 10 * minute, 5 * minute, day, []place{{"expr", "> «600»\n", number}}},
		{"exporter_down_lookback", "StabilityExporterDown", "how long a cluster is known after its exporter was last seen",
			Duration, day, hour, 30 * day, []place{
				{"expr", "[«1d»])", promDuration},
				{"description", "within the last «day»:", lastPeriod},
			}},
	}
}

// belowShare writes a share as the files do.
func belowShare(share float64) string {
	if share == 0.5 {
		return "half"
	}
	return percent(share)
}

// fromTwoOn leaves a text out where the value is 1.
func fromTwoOn(text string) func(float64) string {
	return func(value float64) string {
		if value < 2 {
			return ""
		}
		return text
	}
}
