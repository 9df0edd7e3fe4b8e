// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"encoding/json"
	"fmt"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/prometheus/common/model"

	"stability-exporter/test/cluster"
	"stability-exporter/test/sandbox"
)

// Zones for the healthy operations on nodes, of three nodes each.
const (
	drainZone  = "healthy-drain"
	changeZone = "healthy-change"
	rebootZone = "healthy-reboot"
)

// inZone builds six pods web with a Service and a budget that lets one of them go, and a daemon agent on every node.
func inZone(zone string, changes ...sandbox.TemplateChange) func(*space) {
	return func(s *space) {
		here := sandbox.InZone(zone)
		s.Deployment("web", 6, appsv1.DeploymentStrategy{}, append(changes, here)...)
		s.Service("web", map[string]string{"app": "web"})
		s.Budget("web", 5)
		s.DaemonSet("agent", "1", "0", here)
	}
}

func TestHealthyNodes(t *testing.T) {
	workloads := []string{"web", "agent"}
	runAll(t, []operation{
		{name: "drained and back", harsh: []string{"WorkloadFlapping"}, // as for pods that are deleted by hand
			workloads: workloads, do: drainAndBack, build: inZone(drainZone, sandbox.Behaving(cluster.SlowStart))},
		{name: "added and removed", workloads: workloads, do: addAndRemove, build: inZone(changeZone)},
		{name: "rebooted", workloads: workloads, do: reboot, build: inZone(rebootZone, sandbox.Spread)},
	})
}

// awaitNode waits until Prometheus finds the value for a node of a zone.
func (s *space) awaitNode(metric, node, zone string, value int) {
	s.T.Helper()
	s.await(fmt.Sprintf("%s of %s to be %d", metric, node, value), fmt.Sprintf(
		`%s{cluster=%q,node=%q,zone=%q} == %d`, metric, s.cluster, node, zone, value))
}

// expectNodesQuiet fails the test if anything has paged about the zone.
func (s *space) expectNodesQuiet(zone string) {
	s.T.Helper()
	shared.falseAlarms(s.T, model.LabelSet{"zone": model.LabelValue(zone)})
}

// drain moves the pods of a node away, one after the other, as the budget says. All that runs there belongs to the test.
func (s *space) drain(node string) {
	s.T.Helper()
	s.Kubectl("drain", node, "--ignore-daemonsets", "--timeout="+patience.String())
	s.awaitReady("web", 6)
}

func drainAndBack(s *space) {
	node := s.Pods("web")[0].Spec.NodeName
	s.drain(node)
	s.awaitNode("stability_node_cordoned", node, drainZone, 1)
	s.Kubectl("uncordon", node)
	s.awaitNode("stability_node_cordoned", node, drainZone, 0)
	s.expectNodesQuiet(drainZone)
}

// addAndRemove lets a node join that is not ready at once, and shuts it down when its pods have left.
func addAndRemove(s *space) {
	node := s.join(s.Pods("web")[0].Spec.NodeName, "node-that-joins")
	s.await("a node that starts", fmt.Sprintf(
		`stability_zone_nodes{cluster=%q,zone=%q,class="bootstrapping"} == 1`, s.cluster, changeZone))
	s.must(shared.cluster.RecoverNode(s.T.Context(), node))
	s.awaitNode("stability_node_ready", node, changeZone, 1)
	s.awaitReady("agent", 4)
	s.Scale("deployment/web", 12) // so that some run there
	s.awaitRollout("deployment/web")
	s.Scale("deployment/web", 6)
	s.drain(node)
	s.must(shared.cluster.FailNode(s.T.Context(), node))
	s.awaitLong("a node that is down for long", fmt.Sprintf(
		`count_over_time((stability_node_ready{cluster=%q,node=%q} == 0)[1h:%s]) > %d`, s.cluster, node, interval, int(scaled(calm)/interval)))
	s.Kubectl("delete", "node", node)
	s.await("the node to be gone", fmt.Sprintf(
		`stability_zone_nodes{cluster=%q,zone=%q,class="member"} == 3 unless on () stability_node_ready{cluster=%q,node=%q}`,
		s.cluster, changeZone, s.cluster, node))
	s.expectNodesQuiet(changeZone)
}

// join creates a node like another one. It registers, but does not report before RecoverNode.
func (s *space) join(sibling, name string) string {
	s.T.Helper()
	nodes := s.Client().CoreV1().Nodes()
	like, err := nodes.Get(s.T.Context(), sibling, metav1.GetOptions{})
	s.must(err)
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: like.Labels}, Status: like.Status}
	node.Labels[corev1.LabelHostname] = name
	node.Spec.Taints = []corev1.Taint{{Key: sandbox.ReservedTaint, Value: changeZone, Effect: corev1.TaintEffectNoSchedule}}
	node.Status.Conditions = nil
	for label, value := range node.Labels {
		if value == "alive" { // the label by which the harness knows the nodes that it plays
			node.Labels[label] = "dead"
		}
	}
	_, err = nodes.Create(s.T.Context(), node, metav1.CreateOptions{})
	s.must(err)
	return name
}

// reboot lets a node be away for some seconds, which are minutes at full length, and come back with another boot id.
func reboot(s *space) {
	node := s.Pods("web")[0].Spec.NodeName
	s.boot(node, "before")
	s.awaitNode("stability_node_ready", node, rebootZone, 1)
	s.must(shared.cluster.FailNode(s.T.Context(), node))
	s.awaitNode("stability_node_ready", node, rebootZone, 0)
	s.boot(node, "after")
	s.must(shared.cluster.RecoverNode(s.T.Context(), node))
	s.awaitNode("stability_node_ready", node, rebootZone, 1)
	s.awaitNode("stability_node_reboots_total", node, rebootZone, 1)
	s.expectNodesQuiet(rebootZone)
}

// boot writes what a kubelet reports when it starts.
func (s *space) boot(node, id string) {
	s.T.Helper()
	patch, err := json.Marshal(object{"status": object{"nodeInfo": object{"bootID": id}}})
	s.must(err)
	_, err = s.Client().CoreV1().Nodes().Patch(s.T.Context(), node, types.MergePatchType, patch, metav1.PatchOptions{}, "status")
	s.must(err)
}
