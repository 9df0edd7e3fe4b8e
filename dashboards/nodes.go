// SPDX-License-Identifier: Apache-2.0

package dashboards

import "fmt"

// nodesAndZones answers: which nodes and zones are lost, whether Kubernetes would fail over, and whether what is shown is true.
func nodesAndZones(source Datasource) dashboard {
	return dashboard{
		uid: nodesUID, title: "Nodes and zones",
		description: "Health of zones and nodes, whether Kubernetes moves pods away by itself, what holds up drains, and whether what is " +
			"shown can be trusted.",
		variables: []variable{
			{"cluster", "Cluster", "stability_exporter_build_info"},
			{"zone", "Zone", "stability_node_ready"},
			{"node", "Node", "stability_node_ready"},
		},
		rows: []row{
			{id: 1, title: "Now", panels: nodesNow()},
			{id: 2, title: "Zones", panels: zonePanels()},
			{id: 3, title: "Nodes", panels: nodePanels(source)},
			{id: 4, title: "Drains", panels: drainPanels(source)},
			{id: 5, title: "Can this be trusted", panels: trustPanels()},
		},
	}
}

const nodesUID = uidPrefix + "nodes"

// nodeColumns are the labels of nodes; the name leads to this dashboard narrowed down to the node.
func nodeColumns(source Datasource) []column {
	name := label("node", "Node")
	name.link = []object{{
		"title": "Only this node",
		"url": fmt.Sprintf("/d/%s?${datasource:queryparam}&${cluster:queryparam}&var-node=${__data.fields.node}&${__url_time_range}",
			source.uid(nodesUID)),
	}}
	return []column{label("cluster", "Cluster"), label("zone", "Zone"), name}
}

func nodeTable(source Datasource, id int, title, description, sortBy string, more ...column) panel {
	return table(id, title, description, sortBy, append(nodeColumns(source), more...)...)
}

func nodesNow() []panel {
	n, z, c := nodes(), zones(), clusters()
	return []panel{
		stat(11, "Nodes not ready", "Nodes that are not ready, or whose kubelet has stopped reporting.", "short", bad(1),
			"sum(1 - "+n.min("stability_node_ready")+")"),
		stat(12, "Nodes in all", "All nodes of the selected zones.", "short", thresholds("blue"), "count("+n.min("stability_node_ready")+")"),
		stat(13, "Worst zone", "Share of ready nodes in the zone that has the lowest one; cordoned and new nodes do not count.", "percentunit",
			thresholds("red", step{0.45, "orange"}, step{1, "green"}), "min("+z.min("stability_zone_healthy_ratio")+")"),
		stat(14, "Cordoned", "Nodes that take no new pods.", "short", thresholds("green", step{1, "yellow"}),
			"sum("+n.max("stability_node_cordoned")+")"),
		stat(15, "Nodes with problems", "Nodes with a condition other than Ready that tells of a problem.", "short",
			thresholds("green", step{1, "orange"}),
			n.zeroIf("count("+n.max("stability_node_condition_problem")+")", "stability_node_ready")),
		stat(16, "Status stale", "Yes when the controller manager is not alive: what the API shows of workloads and nodes is no longer kept up to date.",
			"short", bad(1), "max("+c.max("stability_status_stale")+")").mapped(yesIsBad()),
		alertTable(17, n, `namespace="",workload=""`, label("zone", "Zone"), label("node", "Node")),
	}
}

func zonePanels() []panel {
	z := zones()
	class := func(name string) string { return z.max(`stability_zone_nodes{class="` + name + `"}`) }
	return []panel{
		graph(21, "Healthy share of each zone", "Share of the zone's member nodes that are ready. 0 means that the zone is lost.", "percentunit",
			line(z.min("stability_zone_healthy_ratio"), "", "zone", "cluster")).ratio(),
		graph(22, "Nodes by class", "A member is expected to be ready; cordoned nodes, leaving ones (being removed) and bootstrapping ones (new, never ready "+
			"yet) are not.", "short",
			line("sum by (class) ("+z.max("stability_zone_nodes", "class")+")", "", "class")).stacked(),
		table(23, "Every zone", "How many nodes each zone has and how it does, the one with most nodes that are not ready first.", "Not ready",
			label("cluster", "Cluster"), label("zone", "Zone"),
			value("Healthy", "percentunit", z.min("stability_zone_healthy_ratio")).
				colored(thresholds("red", step{0.45, "orange"}, step{1, "green"})),
			value("Not ready", "short", z.max("stability_zone_unhealthy_nodes")).colored(thresholds("transparent", step{1, "red"})),
			value("Members", "short", class("member")),
			value("Cordoned", "short", class("cordoned")),
			value("Leaving", "short", class("leaving")),
			value("Bootstrapping", "short", class("bootstrapping")),
			value("Evictions per second", "short", z.min("stability_zone_eviction_limit_per_second")).
				colored(thresholds("red", step{0.001, "orange"}, step{0.1, "transparent"})),
		).sized(12, 8),
		graph(24, "How fast Kubernetes moves pods away", "Nodes per second whose pods Kubernetes moves away from a failed zone: 0.1 as a rule, less in a large outage, "+
			"0 when it moves nothing by itself. With the default flags of the node lifecycle controller.", "short",
			line(z.min("stability_zone_eviction_limit_per_second"), "", "zone", "cluster")),
	}
}

func nodePanels(source Datasource) []panel {
	n := nodes()
	w := workloads()
	w.variables = []string{"cluster"}
	missing := w.max(`stability_workload_unavailable_replicas{cause="node_not_ready"}`)
	ever := n.aggregate("min", "min_over_time("+n.samples("stability_node_ready")+"[$__range])") + " == 0"
	return []panel{
		nodeTable(source, 31, "Every node", "Every node of the selected zones, those that are not ready first.", "Not ready",
			verdict("Not ready", yesIsBad(), "1 - "+n.min("stability_node_ready")),
			age("Changed", n.max("stability_node_ready_transition_timestamp_seconds")),
			verdict("Cordoned", mapping(text{0, "no", "transparent"}, text{1, "yes", "yellow"}), n.max("stability_node_cordoned")),
			value("Problems", "short", n.aggregate("count", n.max("stability_node_condition_problem", "condition"))).
				colored(thresholds("transparent", step{1, "orange"})).sparsely(),
			value("Reboots seen", "short", n.max("stability_node_reboots_total")).colored(thresholds("transparent", step{1, "yellow"})),
			age("Last reboot seen", n.max("stability_node_last_reboot_timestamp_seconds")).sparsely(),
			value("Unprepared reboots, 1 h", "short", n.max(`stability_node_crash_delta{window="1h"}`)).
				colored(thresholds("transparent", step{1, "orange"})).sparsely(),
			value("Pods that hold up the drain", "short", n.max("stability_node_drain_blocked_pods")).
				colored(thresholds("transparent", step{1, "orange"})).sparsely(),
		).sized(24, 10),
		timeline(32, "Readiness over time", "Nodes that were not ready at some time within the range.",
			mapping(text{0, "not ready", "red"}, text{1, "ready", "green"}),
			line(n.where(n.min("stability_node_ready"), ever), "", "zone", "node", "cluster")).sparsely(),
		nodeTable(source, 33, "Conditions", "Conditions other than Ready that tell of a problem, unknown types too.", "Problem",
			label("condition", "Condition"),
			verdict("Problem", yesIsBad(), n.max("stability_node_condition_problem", "condition")),
			age("Since", n.min("stability_node_condition_problem_since_timestamp_seconds", "condition")),
		).sparsely().sized(12, 8),
		graph(34, "Conditions over time", "Nodes with a problem, by the condition that tells of it.", "short",
			line("sum by (condition) ("+n.max("stability_node_condition_problem", "condition")+")", "", "condition")).
			stacked().sparsely(),
		graph(35, "Reboots", "Reboots of each node since the exporter began to watch it: a step is a reboot.", "short",
			line(n.max("stability_node_reboots_total")+" > 0", "", "zone", "node", "cluster")).sparsely(),
		graph(36, "Not ready and cordoned nodes", "How many nodes are not ready, and how many are cordoned.", "short",
			line("sum(1 - "+n.min("stability_node_ready")+")", "not ready"),
			line("sum("+n.max("stability_node_cordoned")+")", "cordoned")),
		workloadTable(source, 37, "What the lost nodes take along", "Replicas that are missing because their node is not ready, whichever node it is, with what is left of the "+
			"workload.", "Missing",
			value("Missing", "short", missing),
			verdict("State", workloadStates(), w.where(workloadStateOf(w), missing)),
			value("Desired", "short", w.where(w.max("stability_workload_desired_replicas"), missing)),
			value("Available", "short", w.where(w.min("stability_workload_available_replicas"), missing)),
		).sparsely(),
	}
}

func drainPanels(source Datasource) []panel {
	n := nodes()
	waiting := n.max("stability_node_drain_blocked_pods")
	return []panel{
		nodeTable(source, 41, "Cordoned nodes", "Nodes that take no new pods, and how many of their pods a PodDisruptionBudget keeps from being evicted.", "Pods that wait",
			value("Pods that wait", "short", waiting+" or ("+n.max("stability_node_cordoned")+" == 1) * 0").
				colored(thresholds("transparent", step{1, "orange"})),
		).sparsely().sized(12, 8),
		budgetTable(42, subject{[]string{"cluster"}, budgets().identity}).sized(12, 8),
	}
}

func trustPanels() []panel {
	c := clusters()
	return []panel{
		table(51, "Control plane", "Components whose leader keeps renewing its lease. A component that is not up does no work: pods are not scheduled, or what dies is not "+
			"replaced.", "Component",
			label("cluster", "Cluster"), label("component", "Component"), label("member", "Leader"),
			verdict("Up", yesIsGood(), c.max("stability_component_up", "component", "member")),
		).sized(12, 8),
		table(52, "Stale status", "Resources whose status is no longer kept up to date, because the controller manager is not alive: do not trust their replica counts.", "Stale",
			label("cluster", "Cluster"), label("resource", "Resource"),
			verdict("Stale", yesIsBad(), c.max("stability_status_stale", "resource")),
		).sized(12, 8),
		table(53, "What is read", "Resources the exporter follows. What is not complete, or was not heard of for minutes, makes what depends on it unknown or old.", "Last heard of",
			label("cluster", "Cluster"), label("resource", "Resource"),
			verdict("Complete", yesIsGood(), c.min("stability_exporter_informer_synced", "resource")),
			age("Last heard of", c.max("stability_exporter_informer_last_event_timestamp_seconds", "resource")),
			value("Complete lists after the first", "short", c.max("stability_exporter_relists_total", "resource")).sparsely(),
		).sized(12, 9),
		table(54, "What cannot be seen", "Resources that cannot be observed, by reason: nothing is said about what depends on them.", "Unknown",
			label("cluster", "Cluster"), label("resource", "Resource"), label("reason", "Reason"),
			verdict("Unknown", yesIsBad(), c.max("stability_exporter_informer_unavailable", "resource", "reason")),
		).sparsely().sized(12, 9),
		table(55, "Collectors", "Collectors of the exporter. One that failed withholds its metrics.", "Duration",
			label("cluster", "Cluster"), label("collector", "Collector"),
			verdict("Successful", yesIsGood(), c.min("stability_exporter_collector_success", "collector")),
			value("Duration", "s", c.max("stability_exporter_collector_duration_seconds", "collector")),
		).sized(12, 8),
		graph(56, "Failed requests and broken watches", "Requests to the API server that failed, and watches that broke off, were refused or fell silent, per second.", "short",
			line("sum by (resource) (rate("+c.samples("stability_exporter_watch_errors_total")+"[$__rate_interval]))", "", "resource")).sparsely(),
		table(57, "Exporters", "What runs, and whether its configuration was accepted and its state file was saved the last time.", "Version",
			label("cluster", "Cluster"), label("version", "Version"), label("revision", "Revision"),
			verdict("Running", yesIsGood(), c.max("stability_exporter_build_info", "version", "revision")),
		).sized(12, 6),
		table(58, "Configuration and state file", "Whether the last attempt to read the configuration and to save the state file succeeded, and when one last did.", "Cluster",
			label("cluster", "Cluster"),
			verdict("Configuration accepted", yesIsGood(), c.min("stability_exporter_config_last_reload_successful")),
			age("Configuration read", c.max("stability_exporter_config_last_reload_success_timestamp_seconds")),
			verdict("State file read", yesIsGood(), c.min("stability_exporter_state_file_load_successful")).sparsely(),
			verdict("State file saved", yesIsGood(), c.min("stability_exporter_state_file_last_save_successful")).sparsely(),
			age("State file last saved", c.max("stability_exporter_state_file_last_save_success_timestamp_seconds")).sparsely(),
			age("Cluster inspected", c.max("stability_inspection_baseline_timestamp_seconds")).sparsely(),
		).sized(12, 6),
		table(59, "Leases", "When the holder of each lease last renewed it, by its own clock.", "Renewed",
			label("cluster", "Cluster"), label("lease", "Lease"),
			age("Renewed", c.max("stability_lease_renewed_timestamp_seconds", "lease")),
		).sized(12, 6),
		graph(60, "Workloads whose status lags", "Workloads whose status has not taken notice of their present spec for more than a minute: the controller manager is "+
			"slow, stuck or not alive.", "short",
			line("sum by (workload_type) ("+c.max("stability_status_lagging_workloads", "workload_type")+")", "", "workload_type")).
			stacked().sized(12, 6),
	}
}
