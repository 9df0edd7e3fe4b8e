// SPDX-License-Identifier: Apache-2.0

package dashboards

func workloadRestarts(source Datasource) []panel {
	w := workloads()
	recent := w.max(`stability_workload_restart_delta{window="24h"}`) + " > 0"
	within := func(window string) string {
		return w.where(w.max(`stability_workload_restart_delta{window="`+window+`"}`), recent)
	}
	warm := thresholds("transparent", step{1, "yellow"}, step{5, "orange"}, step{10, "red"})
	return []panel{
		workloadTable(source, 41, "Restarts within a day", "Workloads with container restarts within the last 24 hours, those with most in the last hour first. "+
			"A row without a workload is the pods and Jobs of the namespace that belong to none.", "1 h",
			value("15 min", "short", within("15m")).colored(warm),
			value("1 h", "short", within("1h")).colored(warm),
			value("24 h", "short", recent).colored(warm),
			value("Out of memory, 24 h", "short", w.where(w.max(`stability_workload_oom_kill_delta{window="24h"}`), recent)).
				colored(thresholds("transparent", step{1, "red"})),
			value("Since inspection", "short", w.where(w.max("stability_workload_restarts_since_inspection"), recent)),
		).sparsely(),
		graph(45, "How containers ended", "Containers of the selected workloads that ended since the exporter began to watch, by reason: a step is an event.", "short",
			line("sum by (reason) ("+w.max("stability_container_terminations_total", "container", "reason")+")", "", "reason")).sparsely(),
		graph(42, "Restarts within an hour, the highest 10", "Container restarts within the hour before each moment.", "short",
			line("topk(10, "+w.max(`stability_workload_restart_delta{window="1h"}`)+" > 0)", "", "namespace", "workload", "cluster")).
			sparsely(),
		graph(43, "Killed for want of memory within an hour", "Containers killed for want of memory within the hour before each moment.", "short",
			line("topk(10, "+w.max(`stability_workload_oom_kill_delta{window="1h"}`)+" > 0)", "", "namespace", "workload", "cluster")).
			sparsely(),
		workloadTable(source, 44, "Last restarts", "The 20 most recent restarts, by container and by why it ended.", "When",
			label("container", "Container"), label("reason", "Reason"),
			age("When", "topk(20, "+w.max("stability_workload_last_restart_timestamp_seconds", "container", "reason")+")"),
		).sparsely(),
	}
}

func workloadPods(source Datasource) []panel {
	w := workloads()
	byRegistry := w.max("stability_image_pull_failing_pods", "registry")
	waiting := w.max("stability_workload_unschedulable_replicas", "blocker")
	failed := w.max("stability_cronjob_last_run_failed") + " == 1"
	autoscalers := subject{w.variables, append(w.identity, "horizontalpodautoscaler")}
	limited := autoscalers.max("stability_hpa_limited", "reason")
	return []panel{
		graph(51, "Pods that would catch the eye", "Pods by what the STATUS column of a pod list would say, also of workloads that are healthy as a whole.",
			"short", line("sum by (reason) ("+w.max("stability_workload_abnormal_pods", "reason")+")", "", "reason")).
			stacked().sparsely(),
		graph(52, "Image pulls that fail, by registry", "Pods that cannot get an image. Many workloads with one registry: look there.", "short",
			line("sum by (registry) ("+byRegistry+")", "", "registry")).stacked().sparsely(),
		workloadTable(source, 53, "Pods without a node", "Pods that the scheduler finds no node for, by what is in the way.", "Pods",
			label("blocker", "Blocker"), value("Pods", "short", waiting),
			age("First since", w.spread(w.min("stability_workload_unschedulable_since_timestamp_seconds"), waiting)),
		).sparsely().sized(12, 8),
		workloadTable(source, 54, "Pods without an image", "Pods that cannot get a container image, by the host of the registry.", "Pods",
			label("registry", "Registry"), value("Pods", "short", byRegistry),
			age("First since", w.spread(w.min("stability_image_pull_failing_since_timestamp_seconds"), byRegistry)),
		).sparsely().sized(12, 8),
		workloadTable(source, 55, "Pods in trouble", "Pods by what the STATUS column of a pod list would say.", "Pods",
			label("reason", "Reason"), value("Pods", "short", w.max("stability_workload_abnormal_pods", "reason")),
		).sparsely().sized(12, 8),
		workloadTable(source, 56, "Pods that will not go", "Pods that were deleted, whose grace period is over and that are still there: a finalizer, or a lost node.", "Pods",
			value("Pods", "short", w.max("stability_workload_terminating_overdue_pods")),
			age("First since", w.min("stability_workload_terminating_overdue_since_timestamp_seconds")),
		).sparsely().sized(12, 8),
		workloadTable(source, 57, "Autoscalers at their limit", "Autoscalers that want another number of replicas than they may set: TooManyReplicas is at its maximum.", "Limited",
			label("horizontalpodautoscaler", "Autoscaler"), label("reason", "Reason"),
			verdict("Limited", yesIsBad(), limited),
			age("Replicas unchanged since", autoscalers.spread(
				autoscalers.max("stability_hpa_last_scale_timestamp_seconds"), limited)).sparsely(),
		).sparsely().sized(12, 8),
		workloadTable(source, 58, "CronJobs whose last run failed", "The Job that finished last failed.", "Failed",
			verdict("Failed", yesIsBad(), failed),
			age("Finished", w.where(w.max("stability_cronjob_last_run_finished_timestamp_seconds"), failed)),
		).sparsely().sized(12, 8),
	}
}

func workloadServices() []panel {
	s, b := services(), budgets()
	without := s.max("stability_service_no_endpoints", "cause")
	return []panel{
		table(61, "Services without backends", "Services with a selector and no backend, by cause. An outage is one that had backends before and that nobody scaled to zero.",
			"Outage", label("cluster", "Cluster"), label("namespace", "Namespace"), label("service", "Service"), label("cause", "Cause"),
			verdict("Outage", mapping(text{0, "no", "transparent"}, text{1, "yes", "red"}),
				s.max("stability_service_endpoints_lost", "cause")+" or "+without+" * 0"),
			age("Since", s.spread(s.min("stability_service_no_endpoints_since_timestamp_seconds"), without)),
		).sparsely().sized(12, 8),
		budgetTable(62, b).sized(12, 8),
		graph(63, "Backends that serve, the lowest 20", "Backends of each Service that serve and are not shutting down. At 0 every connection to the Service fails.", "short",
			line("bottomk(20, "+s.min("stability_service_ready_endpoints")+")", "", "namespace", "service", "cluster")),
		graph(64, "Services without backends over time", "Services with a selector and no backend, by cause.", "short",
			line("sum by (cause) ("+without+")", "", "cause")).stacked().sparsely(),
	}
}

// budgetTable shows the budgets that hold up drains.
func budgetTable(id int, b subject) panel {
	return table(id, "Disruption budgets that permit nothing", "PodDisruptionBudgets that let no pod be evicted, by cause: config can never be met with the pods it "+
		"has, unhealthy and at_limit pass once pods are ready again.", "Blocks",
		label("cluster", "Cluster"), label("namespace", "Namespace"), label("poddisruptionbudget", "Budget"), label("cause", "Cause"),
		verdict("Blocks", mapping(text{1, "yes", "yellow"}), b.max("stability_pdb_blocking", "cause")),
	).sparsely()
}

func workloadSurvival(source Datasource) []panel {
	w := workloads()
	several := w.max("stability_workload_desired_replicas") + " > 1"
	left := func(topology string) string {
		return w.where(w.min(`stability_workload_survivable_ratio{topology="`+topology+`"}`), several)
	}
	// Both columns for every workload that either of them is bad for: rows without holes.
	weak := w.aggregate("min", w.samples("stability_workload_survivable_ratio")) + " < 0.5"
	colors := thresholds("red", step{0.01, "yellow"}, step{0.5, "green"})
	survival := workloadTable(source, 71, "Workloads that hang on one node or one zone",
		"Share of the desired replicas that would be left if the node, or the zone, with most of the workload's pods died now; below a half for "+
			"one of them. Workloads with one replica are left out.", "Left without the node",
		value("Left without the node", "percentunit", w.where(left("node"), weak)).colored(colors),
		value("Left without the zone", "percentunit", w.where(left("zone"), weak)).colored(colors),
		value("Desired", "short", w.where(several, weak)),
	).sparsely().lowestFirst()
	return []panel{
		survival,
		graph(72, "Available pods by zone", "Available pods of the selected workloads in each zone that has nodes.", "short",
			line("sum by (zone) ("+w.min("stability_workload_zone_available_replicas", "zone")+")", "", "zone")).stacked(),
		graph(73, "Pods lost to disruptions", "Pods that the selected workloads lost to something other than their own controllers, by reason, since the exporter "+
			"began to watch: a step is an event.", "short",
			line("sum by (reason) ("+w.max("stability_workload_pod_disruptions_total", "reason")+")", "", "reason")).
			sparsely(),
	}
}
