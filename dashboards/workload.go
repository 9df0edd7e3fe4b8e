// SPDX-License-Identifier: Apache-2.0

package dashboards

import "fmt"

const workloadUID = uidPrefix + "workload"

// workloadAvailability answers: what is damaged, since when and why, and what would be next.
func workloadAvailability(source Datasource) dashboard {
	return dashboard{
		uid: workloadUID, title: "Workload availability",
		description: "Which workloads are damaged and why, rollouts, restarts, Services without backends, and what would not " +
			"survive the loss of a node or a zone.",
		variables: []variable{
			{"cluster", "Cluster", "stability_exporter_build_info"},
			{"namespace", "Namespace", "stability_workload_desired_replicas"},
			{"workload", "Workload", "stability_workload_desired_replicas"},
		},
		rows: []row{
			{id: 1, title: "Now", panels: workloadNow(source)},
			{id: 2, title: "Availability", panels: workloadOverTime(source)},
			{id: 3, title: "Rollouts", panels: workloadRollouts(source)},
			{id: 4, title: "Restarts", panels: workloadRestarts(source)},
			{id: 5, title: "Pods that are in trouble", panels: workloadPods(source)},
			{id: 6, title: "Services and disruption budgets", panels: workloadServices()},
			{id: 7, title: "What if a node or a zone dies", panels: workloadSurvival(source)},
			{id: 8, title: "Every workload", panels: everyWorkload(source), closed: true},
		},
	}
}

// workloadColumns are the labels of workloads; the name leads to this dashboard narrowed down to the workload.
func workloadColumns(source Datasource) []column {
	name := label("workload", "Workload")
	name.link = []object{{
		"title": "Only this workload",
		"url": fmt.Sprintf("/d/%s?${datasource:queryparam}&${cluster:queryparam}&var-namespace=${__data.fields.namespace}"+
			"&var-workload=${__data.fields.workload}&${__url_time_range}", source.uid(workloadUID)),
	}}
	return []column{label("cluster", "Cluster"), label("namespace", "Namespace"), name, label("workload_type", "Type")}
}

func workloadTable(source Datasource, id int, title, description, sortBy string, more ...column) panel {
	return table(id, title, description, sortBy, append(workloadColumns(source), more...)...)
}

// workloadStates are the values of workloadState.
func workloadStates() []object {
	return mapping(text{1, "scaling", "blue"}, text{2, "rolling", "purple"}, text{3, "degraded", "orange"}, text{4, "down", "red"},
		text{0, "fine", "green"})
}

// workloadState tells the state of each selected workload as a number: the higher, the worse.
func workloadState() string { return workloadStateOf(workloads()) }

func workloadStateOf(w subject) string {
	state := func(number int, name string) string {
		return fmt.Sprintf("%s * %d", w.samples(`stability_workload_state{state="`+name+`"}`), number)
	}
	return w.aggregate("max", state(4, "down")+" or "+state(3, "degraded")+" or "+state(2, "rolling")+" or "+state(1, "scaling"))
}

func workloadNow(source Datasource) []panel {
	w := workloads()
	unhealthy := workloadState() + " > 0"
	now := func(query string) string { return w.where(query, unhealthy) }
	return []panel{
		stat(11, "Down", "Workloads with no available pod although they must have one. Totally damaged: users notice.", "short", bad(1),
			"sum("+w.max(`stability_workload_state{state="down"}`)+")"),
		stat(12, "Degraded", "Workloads with fewer available pods than they must have now; rollouts and scale-ups may lack some.", "short",
			thresholds("green", step{1, "orange"}), "sum("+w.max(`stability_workload_state{state="degraded"}`)+")"),
		stat(13, "Rollouts stuck", "Rollouts that make no progress any more. The old version may still serve.", "short",
			thresholds("green", step{1, "orange"}), "sum("+w.max("stability_workload_rollout_stuck")+")"),
		stat(14, "Restarts in 1 h", "Container restarts of the selected workloads within the last hour.", "short",
			thresholds("green", step{1, "yellow"}, step{10, "orange"}), "sum("+w.max(`stability_workload_restart_delta{window="1h"}`)+")"),
		stat(15, "Out of memory in 24 h", "Containers killed for want of memory within the last day.", "short",
			thresholds("green", step{1, "orange"}), "sum("+w.max(`stability_workload_oom_kill_delta{window="24h"}`)+")"),
		stat(16, "Services lost", "Services of the namespace that had backends, have none now and were not scaled to zero.", "short", bad(1),
			services().zeroIf("sum("+services().max("stability_service_endpoints_lost")+")", "stability_service_ready_endpoints")),
		workloadTable(source, 17, "Workloads that are not in their normal state",
			"Every workload that is damaged, rolling out or scaling, the damaged ones first. The line is the number of available pods "+
				"below which it is damaged now; the main cause is the one that keeps most pods from being available.", "State",
			verdict("State", workloadStates(), unhealthy),
			age("Damaged since", w.min("stability_workload_damaged_since_timestamp_seconds")).sparsely(),
			verdict("Stuck", yesIsBad(), now(w.max("stability_workload_rollout_stuck"))),
			value("Desired", "short", now(w.max("stability_workload_desired_replicas"))),
			value("Available", "short", now(w.min("stability_workload_available_replicas"))),
			value("Line", "short", now(w.max("stability_workload_min_available_replicas"))),
			label("cause", "Main cause"),
			value("Missing by it", "short", now(w.mainCause())).bringing("cause"),
		).sparsely().sized(24, 10),
		alertTable(18, w, "", label("namespace", "Namespace"), label("workload", "Workload"), label("service", "Service")),
	}
}

// mainCause keeps the cause with most missing replicas of each workload.
func (s subject) mainCause() string {
	return s.aggregate("topk", "1, "+s.max("stability_workload_unavailable_replicas", "cause"))
}

func workloadOverTime(source Datasource) []panel {
	w := workloads()
	average := w.aggregate("min", "avg_over_time("+w.samples("stability_workload_available_ratio")+"[$__range])")
	lowest := "bottomk(20, " + average + " < 1)"
	spent := func(state string) string {
		return w.where(w.aggregate("max", "avg_over_time("+w.samples(`stability_workload_state{state="`+state+`"}`)+"[$__range])"), lowest)
	}
	warm := thresholds("transparent", step{0.0001, "yellow"}, step{0.1, "orange"})
	total := func(query string) string { return "sum(" + query + ")" }
	ever := w.aggregate("max", "max_over_time("+w.samples(`stability_workload_state{state=~"degraded|down"}`)+"[$__range])") + " == 1"
	return []panel{
		graph(21, "Missing replicas by cause", "Replicas that are desired and not available, by what keeps them from it.", "short",
			line("sum by (cause) ("+w.max("stability_workload_unavailable_replicas", "cause")+")", "", "cause")).
			stacked().sparsely(),
		graph(22, "Available share, the lowest 20", "Available share of the desired replicas. 0 is a total outage.", "percentunit",
			line("bottomk(20, "+w.min("stability_workload_available_ratio")+")", "", "namespace", "workload", "cluster")).ratio(),
		graph(23, "Replicas of the selection", "Select a workload above. It is damaged while available is below the line; a rollout and a scale-up "+
			"lower the line by what they permit.", "short",
			line(total(w.max("stability_workload_desired_replicas")), "desired"),
			line(total(w.max("stability_workload_current_replicas")), "current"),
			line(total(w.min("stability_workload_updated_replicas")), "updated"),
			line(total(w.min("stability_workload_ready_replicas")), "ready"),
			line(total(w.min("stability_workload_available_replicas")), "available"),
			line(total(w.max("stability_workload_min_available_replicas")), "line"),
		),
		graph(24, "Daemons on ready nodes", "DaemonSets are judged on nodes that are ready, so that a dead node is not reported by each of them.", "short",
			line("sum by (state) ("+w.min("stability_workload_on_ready_nodes_replicas", "state")+")", "", "state")).
			sparsely(),
		timeline(25, "Damage over time", "The states of those workloads that were damaged at some time within the range.", workloadStates(),
			line(w.where(workloadState(), ever), "", "namespace", "workload", "cluster")).sparsely(),
		workloadTable(source, 26, "Availability within the range, the lowest 20", "Available share of the desired replicas, on the average of the selected range, "+
			"and the shares of it that the workload was degraded and down.", "Available",
			value("Available", "percentunit", lowest),
			value("Degraded", "percentunit", spent("degraded")).colored(warm),
			value("Down", "percentunit", spent("down")).colored(thresholds("transparent", step{0.0001, "red"})),
		).sparsely().lowestFirst().sized(12, 9),
		workloadTable(source, 27, "Damaged within an hour", "Workloads that were damaged within the last hour, how often they became so and for which share of the "+
			"hour. Many times: it flaps.", "Times",
			value("Times", "short", w.max(`stability_workload_damage_delta{window="1h"}`)).colored(thresholds("transparent", step{3, "orange"})),
			value("Share", "percentunit", w.max(`stability_workload_damaged_ratio{window="1h"}`)),
		).sparsely().sized(12, 9),
		graph(28, "Available share of namespaces, the lowest 20", "Available share of the replicas that each namespace desires. Comes from a recording rule, so that long "+
			"ranges are quick: empty while the bundled rules are not loaded.", "percentunit",
			line("bottomk(20, "+inNamespaces().min("cluster_namespace:stability_workload_available:ratio")+")", "", "namespace", "cluster")).
			ratio().sparsely(),
		graph(29, "Damaged workloads by namespace", "Workloads that are degraded or down. Comes from a recording rule, like the panel beside it.", "short",
			line("topk(20, "+inNamespaces().max("cluster_namespace:stability_workload_damaged:count")+" > 0)", "", "namespace", "cluster")).
			stacked().sparsely(),
	}
}

func workloadRollouts(source Datasource) []panel {
	w := workloads()
	running := w.max("stability_workload_rollout_started_timestamp_seconds")
	during := func(query string) string { return w.where(query, running) }
	return []panel{
		workloadTable(source, 31, "Running rollouts", "Every rollout that runs, the stuck ones first. New pods that stay unavailable or restart suggest that the "+
			"new version is bad.", "Stuck",
			verdict("Stuck", yesIsBad(), during(w.max("stability_workload_rollout_stuck"))),
			age("Version made", running),
			age("Last progress", w.min("stability_workload_rollout_last_progress_timestamp_seconds")),
			value("Desired", "short", during(w.max("stability_workload_desired_replicas"))),
			value("Updated", "short", during(w.min("stability_workload_updated_replicas"))),
			value("New, unavailable", "short", w.max("stability_workload_rollout_unhealthy_updated_replicas")).
				colored(thresholds("transparent", step{1, "orange"})),
			value("New, restarts", "short", w.max("stability_workload_rollout_restarts")).colored(thresholds("transparent", step{1, "orange"})),
			verdict("Paused", mapping(text{1, "paused", "blue"}), during(w.max("stability_workload_paused"))),
		).sparsely(),
		graph(32, "Rollouts over time", "How many rollouts run, and how many of them are stuck.", "short",
			line(w.zeroIf("sum("+w.max(`stability_workload_state{state="rolling"}`)+")", "stability_workload_state"), "rolling"),
			line("sum("+w.max("stability_workload_rollout_stuck")+")", "stuck")),
		graph(33, "Restarts of new versions", "Container restarts in the pods of the version that is being rolled out.", "short",
			line("topk(10, "+w.max("stability_workload_rollout_restarts")+" > 0)", "", "namespace", "workload", "cluster")).
			sparsely(),
	}
}

// everyWorkload is what a list of the workloads would say.
func everyWorkload(source Datasource) []panel {
	w := workloads()
	return []panel{
		workloadTable(source, 81, "All workloads", "Every selected workload with its replicas. The columns agree where all is well, except in a "+
			"rollout and where pods surge.", "State",
			verdict("State", workloadStates(), workloadState()),
			value("Desired", "short", w.max("stability_workload_desired_replicas")),
			value("Current", "short", w.max("stability_workload_current_replicas")),
			value("Updated", "short", w.min("stability_workload_updated_replicas")),
			value("Ready", "short", w.min("stability_workload_ready_replicas")),
			value("Available", "short", w.min("stability_workload_available_replicas")),
			value("Restarts, 24 h", "short", w.max(`stability_workload_restart_delta{window="24h"}`)),
		).sized(24, 16),
	}
}
