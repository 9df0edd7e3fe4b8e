// SPDX-License-Identifier: Apache-2.0

package collectors

import (
	"cmp"
	"time"

	"github.com/go-kit/log"

	"stability-exporter/internal/state"
)

// middlewareLabels are those of every family about a target. A member of a group is GROUP/MEMBER, what is known of the members together is
// told under GROUP.
var middlewareLabels = []string{"middleware", "target"}

var (
	middlewareUp = gauge("stability_middleware_up",
		"1 when the target completed an exchange in its own protocol, logged in where a credential is configured, at its last probe. 0 when not: "+
			"stability_middleware_problem says why. Up is not healthy. For a group: 1 when any member serves.",
		middlewareLabels...)
	middlewareHealthy = gauge("stability_middleware_healthy",
		"The verdict: 1 when the target is up and nothing is wrong with its role, quorum, replication, members, alarms and certificate. 0 when something is: "+
			"stability_middleware_problem says what.",
		middlewareLabels...)
	middlewareGroup = gauge("stability_middleware_group_info",
		"1 for the group that the target belongs to. The group of a target by itself, and of what is told of the members of a group together, is "+
			"its own name.",
		withLabels(middlewareLabels, "group")...)
	middlewareProblem = sparseGauge("stability_middleware_problem",
		"1 for each reason for which the target is not healthy, of a closed list (docs/middleware.md). No series means that there is none.",
		withLabels(middlewareLabels, "reason")...)
	middlewareRole = gauge("stability_middleware_role",
		"1 for the role that the target has now, 0 for the others. Only for kinds that have roles, and when it is known.",
		withLabels(middlewareLabels, "role")...)
	middlewareWritable = gauge("stability_middleware_writable",
		"1 when the target would take a write now, 0 when not: a replica that is read-only as it should be, or a primary that cannot, which is a problem as "+
			"well. Only for kinds that are written to.",
		middlewareLabels...)
	middlewareLinkUp = gauge("stability_middleware_replication_link_up",
		"1 when the replication of the target is connected and running, 0 when it is broken. That says nothing of how far it is behind. Only for "+
			"what replicates from another one.",
		middlewareLabels...)
	middlewareLagSeconds = gauge("stability_middleware_replication_lag_seconds",
		"How far the target is behind its primary in time. Unknown (stability_middleware_fact_unknown) while the link is broken, never 0 then.",
		middlewareLabels...)
	middlewareLagBytes = gauge("stability_middleware_replication_lag_bytes",
		"How far behind the target is in bytes; on a primary, the replica in step that is furthest behind.",
		middlewareLabels...)
	middlewareMembers = gauge("stability_middleware_members",
		"Members of the cluster that the target belongs to, by what they are: healthy, connected, synced, failed.",
		withLabels(middlewareLabels, "state")...)
	middlewareMembersExpected = gauge("stability_middleware_members_expected",
		"Members that the cluster should have: as configured, else as it knows itself.",
		middlewareLabels...)
	middlewareSaturation = gauge("stability_middleware_saturation_ratio",
		"Used share of a resource that has a limit: memory, connections, disk, fd and so on. 1 means that there is nothing left.",
		withLabels(middlewareLabels, "resource")...)
	middlewareAlarm = gauge("stability_middleware_alarm",
		"1 while an alarm of the target stands, such as disk or memory; it is a problem as well. 0 when it does not.",
		withLabels(middlewareLabels, "alarm")...)
	middlewarePartitions = gauge("stability_middleware_partitions",
		"Partitions, slots or shards that are not as they should be, by state: offline, under_min_isr, under_replicated. 0 when there are none.",
		withLabels(middlewareLabels, "state")...)
	middlewareQueueMessages = gauge("stability_middleware_queue_messages",
		"Messages that wait in a queue named in the configuration. At most 50 queues, the rest is added up as _others.",
		withLabels(middlewareLabels, "queue")...)
	middlewareQueueConsumers = gauge("stability_middleware_queue_consumers",
		"Consumers of a queue named in the configuration. 0 with messages waiting: nobody works on them.",
		withLabels(middlewareLabels, "queue")...)
	middlewareConsumerLag = gauge("stability_middleware_consumer_lag",
		"Messages that a consumer group named in the configuration has not read yet. At most 50 groups, the rest is added up as _others.",
		withLabels(middlewareLabels, "group")...)
	middlewareTLSNotAfter = gauge("stability_middleware_tls_not_after_timestamp_seconds",
		"When the first certificate of the chain that the target presents expires, in Unix seconds; told also of one that has expired. Only with TLS.",
		middlewareLabels...)
	middlewareTLSVerified = gauge("stability_middleware_tls_verified",
		"1 when the certificate of the target verifies for its name, 0 when not. Only with TLS.",
		middlewareLabels...)
	middlewareExpiry = gauge("stability_middleware_expiry_timestamp_seconds",
		"When something that the target tells of expires, such as a licence, in Unix seconds.",
		withLabels(middlewareLabels, "what")...)
	middlewareFact = gauge("stability_middleware_fact",
		"Another number that the target tells, by name; docs/middleware.md lists those of each kind.",
		withLabels(middlewareLabels, "fact")...)
	middlewareFactUnknown = sparseGauge("stability_middleware_fact_unknown",
		"1 for each fact that could not be learned at the last probe, and why: permission, unsupported, timeout, unreachable, protocol, warming_up, "+
			"not_configured. The fact itself then has no sample. No series means that everything is known.",
		withLabels(middlewareLabels, "fact", "why")...)
	middlewareDuration = gauge("stability_middleware_probe_duration_seconds",
		"How long each phase of the last probe took: dns, connect, tls, auth, query.",
		withLabels(middlewareLabels, "phase")...)
	middlewareProbed = gauge("stability_middleware_probed_timestamp_seconds",
		"When the target was last probed, in Unix seconds. Far back: the exporter does not keep up.",
		middlewareLabels...)
	middlewareDiscovered = gauge("stability_middleware_discovered_targets",
		"Targets that were discovered in the cluster, by kind. 0 where rules are configured and fit nothing. Only with discovery.",
		"middleware")
	middlewareConflicts = gauge("stability_middleware_discovery_conflicts",
		"Services that ask to be probed and are not: an unknown kind, a forbidden address, a name that is taken, or a credential that is not for their namespace. The log "+
			"names each. Only with discovery.")
)

// middlewareRoles are the values of the label role.
var middlewareRoles = [...]string{"primary", "replica", "leader", "follower", "observer", "arbiter", "sentinel", "standalone", "unknown"}

// middleware is the collector of what probes of middleware have found out.
type middleware struct{}

func middlewareSpec() Spec {
	return Spec{
		Name:    "middleware",
		Help:    "Health of the middleware targets in the configuration and of those discovered.",
		Default: true,
		Families: []*Family{
			middlewareUp, middlewareHealthy, middlewareGroup, middlewareProblem, middlewareRole, middlewareWritable, middlewareLinkUp,
			middlewareLagSeconds, middlewareLagBytes, middlewareMembers, middlewareMembersExpected, middlewareSaturation, middlewareAlarm,
			middlewarePartitions, middlewareQueueMessages, middlewareQueueConsumers, middlewareConsumerLag, middlewareTLSNotAfter,
			middlewareTLSVerified, middlewareExpiry, middlewareFact, middlewareFactUnknown, middlewareDuration, middlewareProbed,
			middlewareDiscovered, middlewareConflicts,
		},
		New: func(log.Logger) Collector { return middleware{} },
	}
}

// Middleware returns the spec of the collector middleware, for the answer about a single target.
func Middleware() Spec { return middlewareSpec() }

// Collect implements Collector.
func (middleware) Collect(s *state.Snapshot, emit *Emitter) error {
	for _, view := range s.Middleware {
		emitMiddleware(view, emit.subject(middlewareLabels, view.Kind, view.Target))
	}
	if d := s.Discovery; d != nil {
		for _, kind := range d.Targets {
			emit.Emit(middlewareDiscovered, float64(kind.N), kind.Name)
		}
		emit.Emit(middlewareConflicts, float64(d.Conflicts))
	}
	return nil
}

func emitMiddleware(v *state.MiddlewareView, samples subject) {
	samples.emit(middlewareUp, boolValue(v.Up))
	samples.emit(middlewareHealthy, boolValue(v.Healthy()))
	samples.emit(middlewareGroup, 1, cmp.Or(v.Group, v.Target))
	for _, p := range v.Problems {
		samples.emit(middlewareProblem, 1, p.Reason)
	}
	if v.Role != "" {
		for _, role := range middlewareRoles {
			samples.emit(middlewareRole, boolValue(v.Role == role), role)
		}
	}
	for family, known := range map[*Family]state.Tristate{
		middlewareWritable: v.Writable, middlewareLinkUp: v.LinkUp, middlewareTLSVerified: v.TLSVerified,
	} {
		if known != state.Absent {
			samples.emit(family, boolValue(known == state.True))
		}
	}
	for family, measure := range map[*Family]state.Measure{
		middlewareLagSeconds: v.LagSeconds, middlewareLagBytes: v.LagBytes, middlewareMembersExpected: v.MembersExpected,
	} {
		if measure.Known {
			samples.emit(family, measure.Value)
		}
	}
	for family, list := range map[*Family][]state.Measurement{
		middlewareMembers: v.Members, middlewareSaturation: v.Saturation, middlewareAlarm: v.Alarms, middlewarePartitions: v.Partitions,
		middlewareQueueMessages: v.QueueMessages, middlewareQueueConsumers: v.QueueConsumers, middlewareConsumerLag: v.ConsumerLag,
		middlewareFact: v.Facts, middlewareExpiry: v.Expiry,
	} {
		for _, m := range list {
			samples.emit(family, m.Value, m.Name)
		}
	}
	for family, at := range map[*Family]state.Time{middlewareTLSNotAfter: v.TLSNotAfter, middlewareProbed: v.ProbedAt} {
		if at != 0 {
			samples.emit(family, float64(at))
		}
	}
	for _, u := range v.Unknown {
		samples.emit(middlewareFactUnknown, 1, u.Fact, u.Why)
	}
	for _, phase := range v.Phases {
		samples.emit(middlewareDuration, float64(phase.Took)/float64(time.Second), phase.Name)
	}
}
