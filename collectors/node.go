// SPDX-License-Identifier: Apache-2.0

package collectors

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-kit/log"

	"stability-exporter/internal/state"
)

var (
	nodeLabels = []string{"node", "zone"}

	nodeReady = gauge("stability_node_ready",
		"1 when the node is ready, 0 when it is not or when its kubelet has stopped reporting. zone is unknown where the node "+
			"carries no zone label.",
		nodeLabels...)
	nodeCordoned = gauge("stability_node_cordoned",
		"1 when the node is cordoned: its pods keep running and no new ones come. 0 means that it takes new pods.",
		nodeLabels...)
	nodeLeaving = sparseGauge("stability_node_leaving",
		"1 when the node is being removed: it is being deleted, or a taint of the autoscaler or the cloud announces it. It need not be "+
			"cordoned for that. No series means that it stays.",
		nodeLabels...)
	nodeReadyTransition = gauge("stability_node_ready_transition_timestamp_seconds",
		"When the node last became ready or ceased to be, in Unix seconds. No series means that it never reported.",
		nodeLabels...)
	nodeReboots = counter("stability_node_reboots_total",
		"Reboots of the node since the exporter began to watch it. 0 means that none was seen.",
		nodeLabels...)
	nodeLastReboot = sparseGauge("stability_node_last_reboot_timestamp_seconds",
		"When the exporter last saw that the node had rebooted, in Unix seconds. No series means that none was seen.",
		nodeLabels...)
	nodeCrashDelta = sparseGauge("stability_node_crash_delta",
		"Reboots of the node within the window up to now that nobody prepared: it was neither cordoned nor about to be removed. "+
			"No series means that none was seen.",
		withLabels(nodeLabels, "window")...)
	nodeConditionProblem = sparseGauge("stability_node_condition_problem",
		"1 when a condition of the node other than Ready tells of a problem: one ending in Ready, Healthy or Available that is "+
			"not True, or any other that is True, such as DiskPressure. No series means that there is none.",
		withLabels(nodeLabels, "condition")...)
	nodeConditionProblemSince = sparseGauge("stability_node_condition_problem_since_timestamp_seconds",
		"Since when a condition of the node that tells of a problem does so, in Unix seconds. No series means that there is none.",
		withLabels(nodeLabels, "condition")...)
	zoneNodes = gauge("stability_zone_nodes",
		"Nodes of the zone by class: a member is expected to be ready; cordoned, leaving (being removed) and bootstrapping "+
			"(new and never ready yet) nodes are not.",
		"zone", "class")
	zoneUnhealthy = gauge("stability_zone_unhealthy_nodes",
		"Member nodes of the zone that are not ready. 0 means that every node expected to be ready is.",
		"zone")
	zoneHealthyRatio = gauge("stability_zone_healthy_ratio",
		"Share of the zone's member nodes that are ready. 0 means that the zone is lost. No series where the zone has no members.",
		"zone")
	zoneEvictionLimit = gauge("stability_zone_eviction_limit_per_second",
		"How fast Kubernetes moves pods away from failed nodes of the zone in its present state, in nodes per second: 0.1 as a "+
			"rule, less in a large outage, 0 when it moves nothing by itself. Computed over all nodes of the zone and with the "+
			"default flags of the node lifecycle controller.",
		"zone")
)

// The ways to read a node condition.
const (
	conditionGood   = "good"   // a problem unless True
	conditionBad    = "bad"    // a problem when True
	conditionIgnore = "ignore" // never a problem
)

// node is the collector of nodes and zones.
type node struct {
	conditions map[string]string // Options.Conditions
}

func nodeSpec(conditions map[string]string) (Spec, error) {
	for _, name := range slices.Sorted(maps.Keys(conditions)) {
		switch how := conditions[name]; how {
		case conditionGood, conditionBad, conditionIgnore:
		default:
			return Spec{}, fmt.Errorf("%q is read as %q: use good, bad or ignore", name, how)
		}
	}
	return Spec{
		Name:    "node",
		Help:    "Health of nodes and zones, and whether Kubernetes would fail over by itself.",
		Default: true,
		Reads:   state.KindSet(state.Nodes),
		Families: []*Family{
			nodeReady, nodeCordoned, nodeLeaving, nodeReadyTransition, nodeReboots, nodeLastReboot, nodeCrashDelta,
			nodeConditionProblem, nodeConditionProblemSince,
			zoneNodes, zoneUnhealthy, zoneHealthyRatio, zoneEvictionLimit,
		},
		New: func(log.Logger) Collector { return node{conditions} },
	}, nil
}

// Collect implements Collector.
func (c node) Collect(s *state.Snapshot, emit *Emitter) error {
	for i := range s.Nodes {
		c.emitNode(&s.Nodes[i], emit)
	}
	for i := range s.Zones {
		emitZone(&s.Zones[i], emit)
	}
	return nil
}

func (c node) emitNode(n *state.NodeView, emit *Emitter) {
	samples := emit.subject(nodeLabels, n.Name, n.Zone)
	samples.emit(nodeReady, boolValue(n.Ready))
	samples.emit(nodeCordoned, boolValue(n.Cordoned))
	if n.Class == state.Leaving {
		samples.emit(nodeLeaving, 1)
	}
	samples.emitTime(nodeReadyTransition, n.ReadySince)
	samples.emit(nodeReboots, float64(n.Reboots))
	samples.emitTime(nodeLastReboot, n.LastReboot)
	if n.Crashes != 0 {
		samples.emit(nodeCrashDelta, float64(n.Crashes), "1h")
	}
	for _, condition := range n.Conditions {
		if name := condition.Type.String(); c.problem(name, condition.Status.String()) {
			samples.emit(nodeConditionProblem, 1, name)
			samples.emitTime(nodeConditionProblemSince, condition.Transitioned, name)
		}
	}
}

// problem reports whether a condition of the given type and status tells of a problem. The name tells how to read types
// that nobody has told us of: node problem detectors and cloud providers add their own.
func (c node) problem(name, status string) bool {
	how, told := c.conditions[name]
	if !told {
		how = conditionBad
		for _, good := range [...]string{"Ready", "Healthy", "Available"} {
			if strings.HasSuffix(name, good) {
				how = conditionGood
			}
		}
	}
	return how == conditionGood && status != "True" || how == conditionBad && status == "True"
}

func emitZone(z *state.ZoneView, emit *Emitter) {
	for class, n := range z.Nodes {
		emit.Emit(zoneNodes, float64(n), z.Name, state.NodeClasses[class])
	}
	emit.Emit(zoneUnhealthy, float64(z.Unhealthy), z.Name)
	if members := z.Nodes[state.Member]; members > 0 {
		emit.Emit(zoneHealthyRatio, float64(members-z.Unhealthy)/float64(members), z.Name)
	}
	emit.Emit(zoneEvictionLimit, z.EvictionLimit, z.Name)
}
