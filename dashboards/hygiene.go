// SPDX-License-Identifier: Apache-2.0

package dashboards

const hygieneUID = uidPrefix + "hygiene"

// probeAndConfigurationHygiene answers: what is set up so that it will hurt, where, and what the checks do not see.
func probeAndConfigurationHygiene(source Datasource) dashboard {
	return dashboard{
		uid: hygieneUID, title: "Probe and configuration hygiene",
		description: "What the checks find wrong with probes, intervals, JVM options, resources, spread, budgets, shutdown, Services and images, and " +
			"what they do not see. docs/checks.md explains each check.",
		variables: []variable{
			{"cluster", "Cluster", "stability_exporter_build_info"},
			{"namespace", "Namespace", "stability_misconfigurations"},
			{"category", "Category", "stability_misconfigurations"},
			{"check", "Check", "stability_misconfigurations"},
		},
		rows: []row{
			{id: 1, title: "Now", panels: hygieneNow()},
			{id: 2, title: "What to mend", panels: hygieneFindings(source)},
			{id: 3, title: "By check", panels: hygieneByCheck()},
			{id: 4, title: "Times that nobody can have meant", panels: hygieneIntervals(source)},
			{id: 5, title: "What is not told", panels: hygieneBlindness(source)},
			{id: 6, title: "Probes in numbers (collector probe)", panels: hygieneProbes(source), closed: true},
		},
	}
}

// findings are single findings, one for each container of each workload and each check.
func findings() subject {
	return subject{[]string{"cluster", "namespace", "category", "check"}, []string{"cluster", "namespace", "workload", "workload_type"}}
}

// findingCounts are the numbers of findings of a check in a namespace.
func findingCounts() subject {
	return subject{[]string{"cluster", "namespace", "category", "check"}, []string{"cluster", "namespace", "category", "check"}}
}

// settings are what is set for the containers of workloads.
func settings() subject {
	return subject{[]string{"cluster", "namespace"}, []string{"cluster", "namespace", "workload", "workload_type"}}
}

func findingsOf(level string) string {
	return "sum(" + findingCounts().max(`stability_misconfigurations{level="`+level+`"}`) + ")"
}

func hygieneNow() []panel {
	c := clusters()
	return []panel{
		stat(11, "Critical", "What cannot do what it is for, now.", "short", bad(1), c.zeroIf(findingsOf("critical"), "stability_check_evaluated")),
		stat(12, "Warnings", "What will hurt in a situation that is sure to come.", "short", thresholds("green", step{1, "orange"}),
			c.zeroIf(findingsOf("warning"), "stability_check_evaluated")),
		stat(13, "Hints", "What is worth knowing when somebody goes over the workload anyway.", "short", thresholds("blue"),
			c.zeroIf(findingsOf("info"), "stability_check_evaluated")),
		stat(14, "Suspected times", "Intervals and timeouts in effect that nobody can have meant.", "short", bad(1),
			c.zeroIf("count("+settings().max("stability_interval_likely_seconds", "container", "key")+")", "stability_check_evaluated")),
		stat(15, "Checks that do not look", "Checks that are disabled, or that cannot see something they need.", "short",
			thresholds("green", step{1, "yellow"}), "sum(1 - "+c.min("stability_check_evaluated", "check")+")"),
		stat(16, "Exempted", "Findings that somebody decided to live with.", "short", thresholds("blue"),
			c.zeroIf("sum("+c.max("stability_check_exempted", "namespace", "check", "by")+")", "stability_check_evaluated")),
		alertTable(17, c, `alertname=~"Stability(Interval|Misconfiguration|Exemption).*"`, label("check", "Check"), label("namespace", "Namespace"),
			label("workload", "Workload")),
	}
}

func hygieneFindings(source Datasource) []panel {
	f := findings()
	level := f.aggregate("max", f.samples(`stability_misconfiguration{level="critical"}`)+" * 2 or "+f.samples(`stability_misconfiguration{level="warning"}`),
		"container", "category", "check")
	return []panel{
		workloadTable(source, 21, "Findings", "Every finding of level warning and critical, the worst first. Services and PodDisruptionBudgets stand here under their "+
			"own names.", "Level",
			label("container", "Container"), label("category", "Category"), label("check", "Check"),
			verdict("Level", mapping(text{1, "warning", "orange"}, text{2, "critical", "red"}), level),
		).sparsely().sized(24, 12),
		graph(22, "Findings by level", "All findings, hints included.", "short",
			line("sum by (level) ("+findingCounts().max("stability_misconfigurations", "level")+")", "", "level")).stacked().sparsely(),
		graph(23, "Findings by namespace", "Findings of level warning and critical.", "short",
			line("sum by (namespace, cluster) ("+findingCounts().max(`stability_misconfigurations{level=~"warning|critical"}`)+")", "", "namespace", "cluster")).
			stacked().sparsely(),
	}
}

func hygieneByCheck() []panel {
	counted := func(level string) string {
		return "sum by (cluster, category, check) (" + findingCounts().max(`stability_misconfigurations{level="`+level+`"}`) + ")"
	}
	return []panel{
		table(31, "Every check that finds something", "How many findings each check has, by level. docs/checks.md explains them.", "Warnings",
			label("cluster", "Cluster"), label("category", "Category"), label("check", "Check"),
			value("Critical", "short", counted("critical")).colored(thresholds("transparent", step{1, "red"})).sparsely(),
			value("Warnings", "short", counted("warning")).colored(thresholds("transparent", step{1, "orange"})).sparsely(),
			value("Hints", "short", counted("info")).sparsely(),
		).sparsely().sized(12, 10),
		graph(32, "Findings by category", "Findings of all levels.", "short",
			line("sum by (category) ("+findingCounts().max("stability_misconfigurations", "level")+")", "", "category")).stacked().sparsely().sized(12, 10),
	}
}

func hygieneIntervals(source Datasource) []panel {
	s := settings()
	suspected := s.max("stability_interval_likely_seconds", "container", "key")
	return []panel{
		workloadTable(source, 41, "Suspected", "What is in effect, and what was probably meant: a number without a unit is read in another one than it was written in.",
			"Probably meant",
			label("container", "Container"), label("key", "Setting"),
			value("In effect", "s", s.min("stability_interval_effective_seconds", "container", "key")+
				" and on (cluster, namespace, workload, workload_type, container, key) "+suspected).colored(bad(0)),
			value("Probably meant", "s", suspected),
		).sparsely(),
		workloadTable(source, 42, "Every setting that is known", "Intervals and timeouts that are set where the exporter can read them, and what they come to.", "In effect",
			label("container", "Container"), label("key", "Setting"),
			value("In effect", "s", s.min("stability_interval_effective_seconds", "container", "key")),
		).sparsely(),
	}
}

func hygieneBlindness(source Datasource) []panel {
	c, s := clusters(), settings()
	return []panel{
		table(51, "Checks", "Checks that do not look at all they are about, and findings that are not shown one by one.", "Does not look",
			label("cluster", "Cluster"), label("check", "Check"),
			verdict("Does not look", mapping(text{0, "looks", "transparent"}, text{1, "does not look", "yellow"}),
				"1 - "+c.min("stability_check_evaluated", "check")),
			value("Not shown", "short", c.max("stability_check_overflow", "check")).colored(thresholds("transparent", step{1, "yellow"})),
		).sized(12, 9),
		table(52, "Exempted findings", "Findings that somebody decided to live with, by annotation or by configuration.", "Findings",
			label("cluster", "Cluster"), label("namespace", "Namespace"), label("check", "Check"), label("by", "By"),
			value("Findings", "short", c.max("stability_check_exempted", "namespace", "check", "by")),
		).sparsely().sized(12, 9),
		workloadTable(source, 53, "Exemptions that are not in force", "Annotations stability-exporter/ignore with an unknown check or without a reason.", "Refused",
			label("why", "Why"),
			value("Refused", "short", s.max("stability_check_exemptions_refused", "why")),
		).sparsely(),
	}
}

func hygieneProbes(source Datasource) []panel {
	s := settings()
	return []panel{
		workloadTable(source, 61, "Probes", "What every probe is set to. Nothing stands here while the collector probe is off.", "Kills at the earliest",
			label("container", "Container"), label("probe_type", "Probe"),
			value("Period", "s", s.max("stability_container_probe_period_seconds", "container", "probe_type")),
			value("Timeout", "s", s.min("stability_container_probe_timeout_seconds", "container", "probe_type")),
			value("Failures", "short", s.min("stability_container_probe_failure_threshold", "container", "probe_type")),
			value("Kills at the earliest", "s", s.min(`stability_container_probe_kill_budget_seconds{bound="min"}`, "container", "probe_type")).sparsely(),
			value("At the latest", "s", s.max(`stability_container_probe_kill_budget_seconds{bound="max"}`, "container", "probe_type")).sparsely(),
		).sparsely().lowestFirst(),
		workloadTable(source, 62, "Starts", "The longest time from the start of a container until it was ready, of the newest version.", "Start to ready",
			label("container", "Container"),
			value("Start to ready", "s", s.max("stability_container_start_to_ready_seconds", "container")),
		).sparsely(),
	}
}
