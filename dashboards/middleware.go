// SPDX-License-Identifier: Apache-2.0

package dashboards

import (
	"fmt"
	"strings"
)

const middlewareUID = uidPrefix + "middleware"

// middlewareHealth answers: what of the middleware is down or not well, since when and why, and what will be. Every kind has
// the same panels; those that a kind has nothing for stay empty.
func middlewareHealth(source Datasource) dashboard {
	return dashboard{
		uid: middlewareUID, title: "Middleware health",
		description: "Whether databases, caches, brokers, proxies and other servers answer and are well, what is wrong with them, and what could not be " +
			"found out. A group stands beside its members, which are called GROUP/MEMBER; who selects a group sees its members too.",
		variables: []variable{
			{"cluster", "Cluster", "stability_exporter_build_info"},
			{"middleware", "Kind", "stability_middleware_up"},
			{"target", "Target", "stability_middleware_up"},
		},
		rows: []row{
			{id: 1, title: "Now", panels: middlewareNow(source)},
			{id: 2, title: "Over time", panels: middlewareOverTime(source)},
			{id: 3, title: "Replication and members", panels: middlewareReplication()},
			{id: 4, title: "Room that is left", panels: middlewareRoom(source)},
			{id: 5, title: "Queues and consumers", panels: middlewareQueues(source)},
			{id: 6, title: "Certificates and licences", panels: middlewareExpiries(source)},
			{id: 7, title: "Probes: what they take, and what they do not see", panels: middlewareProbes(source)},
			{id: 8, title: "Availability of 30 days (asks for many samples)", panels: middlewareAvailability(source), closed: true},
			{id: 9, title: "Other numbers", panels: middlewareFacts(source), closed: true},
		},
	}
}

// middlewareColumns are the labels of targets; the name leads to this dashboard narrowed down to the target.
func middlewareColumns(source Datasource) []column {
	name := label("target", "Target")
	name.link = []object{{
		"title": "Only this target",
		"url": fmt.Sprintf("/d/%s?${datasource:queryparam}&${cluster:queryparam}&var-middleware=${__data.fields.middleware}"+
			"&var-target=${__data.fields.target}&${__url_time_range}", source.uid(middlewareUID)),
	}}
	return []column{label("cluster", "Cluster"), label("middleware", "Kind"), name}
}

func middlewareTable(source Datasource, id int, title, description, sortBy string, more ...column) panel {
	return table(id, title, description, sortBy, append(middlewareColumns(source), more...)...)
}

// upNow is whether the targets answer: of several exporters that ask one, from different places, any will do.
func upNow(m subject) string { return m.max("stability_middleware_up") }

func healthyNow(m subject) string { return m.min("stability_middleware_healthy") }

// targetStates are the values of targetState.
func targetStates() []object {
	return mapping(text{0, "down", "red"}, text{1, "not healthy", "orange"}, text{2, "healthy", "green"})
}

// targetState is one number for each target: down is not healthy either.
func targetState(m subject) string { return upNow(m) + " + " + healthyNow(m) }

// gravestReason keeps the one problem of each target from which others follow as a rule.
func gravestReason(m subject) string {
	var ranked []string
	for i, reasons := range []string{
		"no_quorum|no_leader|role_conflict", "not_writable|unavailable|replication_broken|alarm", "members_missing|degraded|replication_lagging",
	} {
		ranked = append(ranked, fmt.Sprintf("%s * %d", m.samples(`stability_middleware_problem{reason=~"`+reasons+`"}`), 4-i))
	}
	ranked = append(ranked, m.samples("stability_middleware_problem"))
	return m.aggregate("topk", "1, "+m.aggregate("max", strings.Join(ranked, " or "), "reason"))
}

// daysUntil is how many whole days are left until moments in Unix seconds.
func daysUntil(moments string) string { return "floor((" + moments + " - time()) / 86400)" }

func daysLeft() object { return thresholds("red", step{3, "orange"}, step{14, "transparent"}) }

func middlewareNow(source Datasource) []panel {
	m := middlewareTargets()
	ending := func(moments string, days int) string {
		return m.zeroIf(fmt.Sprintf("count(%s - time() < %d * 86400)", moments, days), "stability_middleware_up")
	}
	warn := thresholds("green", step{1, "orange"})
	role := m.aggregate("topk", "1, "+m.aggregate("max", m.samples("stability_middleware_role")+" == 1", "role"))
	problems := m.aggregate("count", m.max("stability_middleware_problem", "reason")) + " or " + upNow(m) + " * 0"
	return []panel{
		stat(11, "Targets", "What is probed. A group counts beside its members.", "short", thresholds("blue"), "count("+upNow(m)+")"),
		stat(12, "Down", "Targets that do not answer in their own protocol, or do not let the exporter in. A group is down when none of its members serves.",
			"short", bad(1), "sum(1 - "+upNow(m)+")"),
		stat(13, "Up and not healthy", "Targets that answer and have something wrong: role, quorum, replication, members, alarms, certificate.", "short",
			warn, "sum("+upNow(m)+" - "+healthyNow(m)+")"),
		stat(14, "Unknown facts", "What the last probes could not find out, of targets that answer. The table below says why.", "short",
			thresholds("green", step{1, "yellow"}),
			m.zeroIf("count("+m.max("stability_middleware_fact_unknown", "fact", "why")+")", "stability_middleware_up")),
		stat(15, "Certificates, 14 days", "Certificates that expire within 14 days or have expired, of targets that present one.", "short", warn,
			ending(m.min("stability_middleware_tls_not_after_timestamp_seconds"), 14)),
		stat(16, "Licences, 30 days", "Licences and the like that end within 30 days or have ended, of targets that tell.", "short", warn,
			ending(m.min("stability_middleware_expiry_timestamp_seconds", "what"), 30)),
		middlewareTable(source, 17, "Every target", "Every selected target, those with most problems first. The reason is the gravest one, the table below has all of them. Members are "+
			"the healthy ones, or those in step where the target tells that.", "Problems",
			verdict("Up", yesIsGood(), upNow(m)),
			verdict("Healthy", yesIsGood(), healthyNow(m)),
			value("Problems", "short", problems).colored(thresholds("transparent", step{1, "orange"})),
			label("reason", "Reason"),
			bringer(gravestReason(m), "reason").sparsely(),
			label("role", "Role"),
			bringer(role, "role").sparsely(),
			verdict("Takes writes", mapping(text{0, "no", "transparent"}, text{1, "yes", "transparent"}), m.min("stability_middleware_writable")).sparsely(),
			value("Members", "short", m.min(`stability_middleware_members{state=~"healthy|synced"}`)).sparsely(),
			value("Expected", "short", m.max("stability_middleware_members_expected")).sparsely(),
			value("Lag", "s", m.max("stability_middleware_replication_lag_seconds")).sparsely(),
			value("Fullest", "percentunit", m.max("stability_middleware_saturation_ratio")).colored(fullness()).sparsely(),
			value("Certificate, days", "short", daysUntil(m.min("stability_middleware_tls_not_after_timestamp_seconds"))).
				colored(daysLeft()).sparsely(),
			value("Probe took", "s", probeSeconds(m)).sparsely(),
			age("Probed", m.max("stability_middleware_probed_timestamp_seconds")).sparsely(),
		).sized(24, 14),
		alertTable(18, m, `alertname=~"StabilityMiddleware.+"`, label("middleware", "Kind"), label("target", "Target")),
	}
}

func middlewareOverTime(source Datasource) []panel {
	m := middlewareTargets()
	least := "bottomk(20, " + m.aggregate("min", "avg_over_time("+m.samples("stability_middleware_healthy")+"[$__range])") + ")"
	reasons := m.max("stability_middleware_problem", "reason")
	// A problem has no sample while there is none: the share is that of its samples in those of the target.
	share := fmt.Sprintf("%s / on (%s) group_left () (%s)",
		m.aggregate("sum", "count_over_time("+m.samples("stability_middleware_problem")+"[$__range])", "reason"),
		strings.Join(m.identity, ", "), m.aggregate("sum", "count_over_time("+m.samples("stability_middleware_up")+"[$__range])"))
	return []panel{
		timeline(21, "Health of each target", "The 20 selected targets that were healthy for the smallest share of the range.", targetStates(),
			line(m.where(targetState(m), least), "", "middleware", "target", "cluster")).sized(24, 12),
		graph(22, "Problems by reason", "Targets with a problem, by what it is. A target with two problems stands here twice.", "short",
			line("sum by (reason) ("+reasons+")", "", "reason")).stacked().sparsely(),
		middlewareTable(source, 23, "Problems", "Every problem that a target had within the range, those of now first, and for which share of the range it had it. The page of "+
			"the target (/probe) has the details.", "Now",
			label("reason", "Reason"),
			verdict("Now", mapping(text{0, "no", "transparent"}, text{1, "yes", "red"}), reasons+" or "+share+" * 0"),
			value("Share of the range", "percentunit", share),
		).sparsely().sized(12, 8),
		middlewareTable(source, 24, "Availability within the range", "Shares of the selected range that each target was up and healthy, by the probes that were made: an exporter "+
			"that was not there makes no difference, several are averaged.", "Up",
			value("Up", "percentunit", averaged(m, "stability_middleware_up", "$__range")).colored(availability()),
			value("Healthy", "percentunit", averaged(m, "stability_middleware_healthy", "$__range")).colored(availability()),
		).lowestFirst().sized(12, 9),
		graph(25, "Targets that are down or not healthy", "How many of the selected targets do not answer, and how many answer and are not healthy.", "short",
			line("sum(1 - "+upNow(m)+")", "down"),
			line("sum("+upNow(m)+" - "+healthyNow(m)+")", "up and not healthy")).stacked().sized(12, 9),
	}
}

// averaged is the mean of all samples of a flag within a window, whichever exporter took them: one that moves or restarts has
// other labels, and the mean of its first minutes must not stand for the whole window.
func averaged(m subject, metric, window string) string {
	over := func(function string) string {
		return m.aggregate("sum", function+"("+m.samples(metric)+"["+window+"])")
	}
	return over("sum_over_time") + " / " + over("count_over_time")
}

func availability() object {
	return thresholds("red", step{0.99, "orange"}, step{0.9995, "yellow"}, step{0.99999, "transparent"})
}

func middlewareAvailability(source Datasource) []panel {
	m := middlewareTargets()
	of := func(title, metric, window string) column {
		return value(title, "percentunit", averaged(m, metric, window)).colored(availability())
	}
	return []panel{
		middlewareTable(source, 81, "Availability of a day and of 30 days", "Shares of the last day and of the last 30 days that each target was up and healthy, as far as there are samples; "+
			"0.1 % of a day are 86 seconds, of 30 days 43 minutes.", "Up, 30 days",
			of("Up, 1 day", "stability_middleware_up", "1d"),
			of("Up, 30 days", "stability_middleware_up", "30d"),
			of("Healthy, 1 day", "stability_middleware_healthy", "1d"),
			of("Healthy, 30 days", "stability_middleware_healthy", "30d"),
		).lowestFirst().sized(24, 12),
	}
}
