// SPDX-License-Identifier: Apache-2.0

package dashboards

import "strings"

// fullness colours shares of a limit that are used.
func fullness() object { return thresholds("transparent", step{0.8, "orange"}, step{0.95, "red"}) }

// probeSeconds is how long the last probe of each target took in all its phases.
func probeSeconds(m subject) string {
	return m.aggregate("sum", m.max("stability_middleware_probe_duration_seconds", "phase"))
}

// highest keeps lines few enough to be told apart.
func highest(query string) string { return "topk(20, " + query + ")" }

func middlewareReplication() []panel {
	m := middlewareTargets()
	// What should be there is counted by its smallest number, what should not by its highest.
	const good = `state=~"healthy|connected|synced"`
	bad := strings.Replace(good, "=~", "!~", 1)
	return []panel{
		timeline(31, "Replication links", "Whether the replication of each target that replicates from another one is connected and running. How far it is behind is another matter.",
			mapping(text{0, "broken", "red"}, text{1, "running", "green"}),
			line(m.min("stability_middleware_replication_link_up"), "", "middleware", "target", "cluster")).sparsely(),
		graph(32, "Replication lag", "How far each target is behind its primary, the 20 furthest. No line while that is unknown: the link is broken, or the server does not "+
			"tell.", "s",
			line(highest(m.max("stability_middleware_replication_lag_seconds")), "", "middleware", "target", "cluster")).sparsely(),
		graph(33, "Replication lag in bytes", "How far each target is behind in bytes, the 20 furthest; of a primary, the replica in step that is furthest behind.", "bytes",
			line(highest(m.max("stability_middleware_replication_lag_bytes")), "", "middleware", "target", "cluster")).sparsely(),
		graph(34, "Members that are missing, the highest 20", "How many members fewer than expected are healthy, or in step where the target tells that.", "short",
			line(highest(m.max("stability_middleware_members_expected")+" - "+m.min(`stability_middleware_members{state=~"healthy|synced"}`)), "",
				"middleware", "target", "cluster")).sparsely(),
		graph(35, "Members of the selection", "Members by state, and how many are expected. Select a target above.", "short",
			line(highest(m.min("stability_middleware_members{"+good+"}", "state")), "", "middleware", "target", "state", "cluster"),
			line(highest(m.max("stability_middleware_members{"+bad+"}", "state")), "", "middleware", "target", "state", "cluster"),
			line(highest(m.max("stability_middleware_members_expected")), "expected ", "middleware", "target", "cluster")).sparsely(),
	}
}

func middlewareRoom(source Datasource) []panel {
	m := middlewareTargets()
	alarms := m.max("stability_middleware_alarm", "alarm")
	partitions := m.max("stability_middleware_partitions", "state")
	return []panel{
		graph(41, "Used share of what has a limit, the highest 20", "Memory, connections, disk, file descriptors and the like. At 1 there is nothing left.", "percentunit",
			line(highest(m.max("stability_middleware_saturation_ratio", "resource")), "", "middleware", "target", "resource", "cluster")).
			ratio().sparsely(),
		middlewareTable(source, 42, "Used share by resource", "What every target has used of its limits, the fullest first, and the most that it was within the range.", "Used",
			label("resource", "Resource"),
			value("Used", "percentunit", m.max("stability_middleware_saturation_ratio", "resource")).colored(fullness()),
			value("Highest", "percentunit",
				m.aggregate("max", "max_over_time("+m.samples("stability_middleware_saturation_ratio")+"[$__range])", "resource")).colored(fullness()),
		).sparsely().sized(12, 8),
		middlewareTable(source, 43, "Alarms", "The alarms that a target can raise, those that stand first.", "Stands",
			label("alarm", "Alarm"),
			verdict("Stands", mapping(text{0, "no", "transparent"}, text{1, "yes", "red"}), alarms),
		).sparsely().sized(12, 8),
		graph(44, "Alarms over time", "Targets with an alarm, by its name.", "short", line("sum by (alarm) ("+alarms+") > 0", "", "alarm")).
			stacked().sparsely(),
		graph(45, "Partitions that are not as they should be, the highest 20", "Partitions, slots or shards by state: offline ones are not served, under_min_isr ones take no "+
			"writes, under_replicated ones would not survive another loss.", "short",
			line(highest(partitions+" > 0"), "", "middleware", "target", "state", "cluster")).stacked().sparsely(),
		middlewareTable(source, 46, "Partitions", "Partitions, slots or shards that are not as they should be now, by state.", "Partitions",
			label("state", "State"),
			value("Partitions", "short", partitions).colored(thresholds("transparent", step{1, "orange"})),
		).sparsely().sized(12, 8),
	}
}

func middlewareQueues(source Datasource) []panel {
	m := middlewareTargets()
	messages, consumers := m.max("stability_middleware_queue_messages", "queue"), m.min("stability_middleware_queue_consumers", "queue")
	return []panel{
		graph(51, "Messages in queues, the highest 20", "Messages that wait in the queues that the configuration names.", "short",
			line(highest(messages), "", "target", "queue", "cluster")).sparsely(),
		graph(52, "Consumers of queues, the lowest 20", "Consumers of the queues that the configuration names.", "short",
			line("bottomk(20, "+consumers+")", "", "target", "queue", "cluster")).sparsely(),
		middlewareTable(source, 53, "Queues", "The queues that the configuration names, those that nobody works on first: messages wait, and there is no consumer.", "Abandoned",
			label("queue", "Queue"),
			value("Messages", "short", messages),
			value("Consumers", "short", consumers),
			verdict("Abandoned", mapping(text{0, "no", "transparent"}, text{1, "yes", "red"}),
				"("+messages+" > bool 0) * ("+consumers+" == bool 0)"),
		).sparsely().sized(12, 8),
		graph(54, "Consumer lag, the highest 20", "Messages that the consumer groups that the configuration names have not read yet.", "short",
			line(highest(m.max("stability_middleware_consumer_lag", "group")), "", "target", "group", "cluster")).sparsely(),
	}
}

func middlewareExpiries(source Datasource) []panel {
	m := middlewareTargets()
	ends, licences := m.min("stability_middleware_tls_not_after_timestamp_seconds"), m.min("stability_middleware_expiry_timestamp_seconds", "what")
	return []panel{
		middlewareTable(source, 61, "Certificates", "The certificate that expires first of those that each target presents.", "Days left",
			value("Days left", "short", daysUntil(ends)).colored(daysLeft()),
			age("Expires", ends),
			verdict("Verifies", yesIsGood(), m.min("stability_middleware_tls_verified")),
		).sparsely().lowestFirst().sized(12, 8),
		middlewareTable(source, 62, "Licences", "What targets tell of that ends, such as a licence.", "Days left",
			label("what", "What"),
			value("Days left", "short", daysUntil(licences)).colored(daysLeft()),
			age("Ends", licences),
		).sparsely().lowestFirst().sized(12, 8),
	}
}

func middlewareProbes(source Datasource) []panel {
	m, c := middlewareTargets(), clusters()
	kinds := subject{[]string{"cluster", "middleware"}, []string{"cluster", "middleware"}}
	return []panel{
		graph(71, "Probe time by phase", "What the last probe of the slowest target took in each phase: of the selected target, if one is selected.", "s",
			line("max by (phase) ("+m.max("stability_middleware_probe_duration_seconds", "phase")+")", "", "phase")).stacked(),
		graph(72, "Probe time, the slowest 20", "What the last probe of each target took in all.", "s",
			line(highest(probeSeconds(m)), "", "middleware", "target", "cluster")),
		middlewareTable(source, 73, "What could not be found out", "Facts that the last probe could not learn, and why: permission is lack of a right, unsupported an old version or another "+
			"edition, not_configured something that the configuration has to say. docs/middleware.md tells what each kind needs.", "Target",
			label("fact", "Fact"), label("why", "Why"),
			verdict("Unknown", mapping(text{1, "yes", "yellow"}), m.max("stability_middleware_fact_unknown", "fact", "why")),
		).sparsely().lowestFirst().sized(12, 10),
		graph(74, "Unknown facts by why", "Facts that the last probes could not learn, by why.", "short",
			line("sum by (why) ("+m.max("stability_middleware_fact_unknown", "fact", "why")+")", "", "why")).stacked().sparsely().sized(12, 10),
		graph(75, "Discovered targets", "Targets that were found in the cluster, by kind. 0: rules are configured and fit nothing.", "short",
			line(kinds.max("stability_middleware_discovered_targets"), "", "middleware", "cluster")).sparsely(),
		table(76, "Discovery", "Targets that were found in the cluster, by kind.", "Targets",
			label("cluster", "Cluster"), label("middleware", "Kind"),
			value("Targets", "short", kinds.max("stability_middleware_discovered_targets")).colored(thresholds("orange", step{1, "transparent"})),
		).sparsely().sized(6, 8),
		table(77, "Discovery conflicts", "Services that ask to be probed and are not: an unknown kind, a forbidden address, a name that is taken, or a credential that is not for their namespace. "+
			"The exporter's log names each.", "Services",
			label("cluster", "Cluster"),
			value("Services", "short", c.max("stability_middleware_discovery_conflicts")).colored(thresholds("transparent", step{1, "orange"})),
		).sparsely().sized(6, 8),
	}
}

func middlewareFacts(source Datasource) []panel {
	m := middlewareTargets()
	facts := m.max("stability_middleware_fact", "fact")
	return []panel{
		middlewareTable(source, 91, "Facts", "Other numbers that targets tell; docs/middleware.md lists those of each kind.", "Target",
			label("fact", "Fact"), value("Number", "short", facts),
		).sparsely().lowestFirst().sized(12, 10),
		graph(92, "Facts over time, the highest 20", "The same numbers over time. Select a target above.", "short",
			line(highest(facts), "", "target", "fact", "cluster")).sparsely().sized(12, 10),
	}
}
