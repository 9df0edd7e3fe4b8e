// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"stability-exporter/test/cluster"
	"stability-exporter/test/sandbox"
)

// nodesOf lists the names of the nodes of a zone.
func nodesOf(t *testing.T, zone string) []string {
	t.Helper()
	nodes := shared.cluster.Client().CoreV1().Nodes()
	list, err := nodes.List(t.Context(), metav1.ListOptions{LabelSelector: corev1.LabelTopologyZone + "=" + zone})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, node := range list.Items {
		names = append(names, node.Name)
	}
	if len(names) != zones()[zone] {
		t.Fatalf("zone %s has the nodes %v, want %d", zone, names, zones()[zone])
	}
	return names
}

// ofZone are the labels of alerts about a zone.
func ofZone(zone string) model.LabelSet {
	return model.LabelSet{"cluster": mainCluster, "zone": model.LabelValue(zone)}
}

// ofNode are the labels of alerts about a node.
func ofNode(node, zone string) model.LabelSet {
	return ofZone(zone).Merge(model.LabelSet{"node": model.LabelValue(node)})
}

func fail(t *testing.T, nodes ...string) {
	t.Helper()
	for _, node := range nodes {
		must(t, shared.cluster.FailNode(t.Context(), node))
	}
}

func recoverNodes(t *testing.T, nodes ...string) {
	t.Helper()
	for _, node := range nodes {
		must(t, shared.cluster.RecoverNode(t.Context(), node))
	}
}

// patchNode changes a node, or its status as its kubelet would.
func patchNode(ctx context.Context, node, patch string, subresources ...string) error {
	_, err := shared.cluster.Client().CoreV1().Nodes().Patch(
		ctx, node, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{}, subresources...)
	if err != nil {
		return fmt.Errorf("cannot patch node %s: %w", node, err)
	}
	return nil
}

// onNode sends all pods to one node.
func onNode(node string) sandbox.TemplateChange {
	return func(t *corev1.PodTemplateSpec) { t.Spec.NodeSelector[corev1.LabelHostname] = node }
}

// stays keeps the pods on a node that has failed: at full length the alerts take longer than Kubernetes waits.
func stays(t *corev1.PodTemplateSpec) {
	t.Spec.Tolerations = append(t.Spec.Tolerations, corev1.Toleration{Key: corev1.TaintNodeUnreachable, Operator: corev1.TolerationOpExists})
}

// deadNode is the page about a node, which also tells since when.
func deadNode(node, zone string, quiet bool) incident {
	return incident{"node dies", ofNode(node, zone), []page{
		{alert: "NodeNotReady", severity: "warning", quiet: quiet, text: "Node " + node + " of zone " + zone + ".* [Ss]ince .*20"},
	}}
}

// withItsNode is a page about a workload whose missing pods all are on dead nodes.
func withItsNode(s *space, workload model.LabelValue, p page) incident {
	p.labels = model.LabelSet{"scope": "node"}
	return incident{"workload lost with its nodes", s.about("workload", workload, "workload_type", "deployment"), []page{p}}
}

// Nodes die: one by itself, half of a zone, a zone but for one node, a whole zone. What follows from it for workloads is
// not told again, except that one is down; what does not follow from it is.
func TestNodesDie(t *testing.T) {
	s := newSpace(t)
	lonely, half, lost := nodesOf(t, "lonely"), nodesOf(t, "half"), nodesOf(t, "lost")
	s.Deployment("pinned", 2, appsv1.DeploymentStrategy{}, sandbox.InZone("lonely"), onNode(lonely[0]), stays)
	s.Deployment("spread", 2, appsv1.DeploymentStrategy{}, sandbox.InZone("lonely"), sandbox.Spread, stays)
	s.Deployment("zonal", 4, appsv1.DeploymentStrategy{}, sandbox.InZone("half"), sandbox.Spread, stays)
	three(s, "other")
	s.awaitHealthy("pinned", "spread", "zonal", "other")
	shared.claims.add(s.about("workload", "pinned", "alertname", "StabilitySinglePointOfFailure"))

	s.oneNodeDies(t, lonely[0])
	s.zonesDie(t, half, lost)
	shared.falseAlarms(t, ofZone("lonely"))
	shared.falseAlarms(t, ofZone("half"))
	shared.falseAlarms(t, ofZone("lost"))
}

// oneNodeDies while a pod of another workload fails by itself.
func (s *space) oneNodeDies(t *testing.T, node string) {
	t.Helper()
	began := time.Now()
	fail(t, node)
	some(1, cluster.NeverReady)(s, "other")
	dead := deadNode(node, "lonely", false)
	down := withItsNode(s, "pinned", page{alert: "WorkloadDown", severity: "critical", text: "none of 2 .*2 node_not_ready"})
	down.awaitPages(t, began)
	dead.awaitPages(t, began)
	own := incident{"loss beside a dead node", s.about("workload", "other", "workload_type", "deployment"), []page{
		{alert: "WorkloadDegraded", severity: "warning", labels: model.LabelSet{"scope": ""}, text: "1 readiness_probe"},
	}}
	own.awaitPages(t, began)
	withItsNode(s, "spread", page{alert: "WorkloadDegraded", severity: "warning", quiet: true}).awaitPages(t, began)

	mended := time.Now()
	recoverNodes(t, node)
	all("")(s, "other")
	for _, i := range []incident{dead, down, own} {
		i.awaitResolved(t, mended)
	}
}

// zonesDie takes nodes of two zones away.
func (s *space) zonesDie(t *testing.T, half, lost []string) {
	t.Helper()
	began := time.Now()
	fail(t, half[0], half[1])
	degraded := incident{"half a zone dies", ofZone("half"), []page{
		{alert: "ZoneDegraded", severity: "warning", text: "Zone half.*2 .*" + half[0] + ".*" + half[1]},
	}}
	degraded.awaitPages(t, began)

	began = time.Now()
	fail(t, half[2], lost[0], lost[1])
	halted := incident{"most of a zone dies", ofZone("half"), []page{
		{alert: "ZoneFailoverHalted", severity: "critical", text: "Zone half.*3 .*nodes.*" + half[0] + ".*" + half[1] + ".*" + half[2]},
	}}
	down := incident{"whole zone dies", ofZone("lost"), []page{
		{alert: "ZoneDown", severity: "critical", text: "Zone lost.*all 2 nodes.*" + lost[0] + ".*" + lost[1]},
	}}
	down.awaitPages(t, began)
	halted.awaitPages(t, began)
	withItsNode(s, "zonal", page{alert: "WorkloadHalfDown", severity: "critical", quiet: true}).awaitPages(t, began)
	withItsNode(s, "zonal", page{alert: "WorkloadDegraded", severity: "warning", quiet: true}).claim()
	deadNode(half[0], "half", true).awaitPages(t, began)
	deadNode(lost[0], "lost", true).awaitPages(t, began)
	for _, dead := range []incident{deadNode(half[1], "half", true), deadNode(half[2], "half", true), deadNode(lost[1], "lost", true)} {
		dead.claim()
	}
	incident{"", ofZone("lost"), []page{{alert: "ZoneDegraded", severity: "warning", quiet: true}}}.awaitPages(t, began)

	mended := time.Now()
	recoverNodes(t, append(half[:3:3], lost...)...)
	for _, i := range []incident{degraded, halted, down} {
		i.awaitResolved(t, mended)
	}
}

// A drain that a budget holds up is told with the budget's name, node by node. A node that is cordoned and then falls
// silent pages nobody: somebody works on it.
func TestDrainBlocked(t *testing.T) {
	s := newSpace(t)
	const zone = "drained"
	nodes := nodesOf(t, zone)
	s.Deployment("web", 2, appsv1.DeploymentStrategy{}, sandbox.InZone(zone), sandbox.Spread, func(t *corev1.PodTemplateSpec) {
		t.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
			NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{
				{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: nodes[:2]},
			}}},
		}}}
	})
	s.Budget("web", 2)
	for i := range 6 { // that permit nothing either, but have nothing to do with it
		name := fmt.Sprintf("another-%d", i)
		one(s, name)
		s.Budget(name, 1)
	}
	s.awaitHealthy("web")
	s.Kubectl("cordon", nodes[2])
	fail(t, nodes[2])
	blocked := func(node string) incident {
		return incident{"drain blocked by a budget", ofNode(node, zone), []page{
			{alert: "DrainBlocked", severity: "warning", text: node + ".*1 .*pods.*: " + s.Name + `/web \(config\)\. Look`},
		}}
	}
	for _, node := range nodes[:2] {
		began := time.Now()
		s.Kubectl("cordon", node)
		blocked(node).awaitPages(t, began)
	}
	mended := time.Now()
	s.Kubectl("uncordon", nodes[0])
	blocked(nodes[0]).awaitResolved(t, mended)
	mended = time.Now()
	s.Patch("pdb/web", sandbox.Object{"spec": sandbox.Object{"minAvailable": 1}})
	blocked(nodes[1]).awaitResolved(t, mended)
	recoverNodes(t, nodes[2])
	s.Kubectl("uncordon", nodes[1], nodes[2])
	shared.falseAlarms(t, ofZone(zone))
}

// Conditions of nodes, also those of a node problem detector that nobody has heard of.
func TestBadConditions(t *testing.T) {
	t.Parallel()
	const zone = "sick"
	nodes := nodesOf(t, zone)
	set := func(node, condition, status string) {
		patch := fmt.Sprintf(`{"status":{"conditions":[{"type":%q,"status":%q,"reason":"Test","lastTransitionTime":%q}]}}`,
			condition, status, time.Now().UTC().Format(time.RFC3339))
		must(t, patchNode(t.Context(), node, patch, "status"))
	}
	conditions := []string{"MemoryPressure", "KernelDeadlock"}
	var bad []incident
	for i, condition := range conditions {
		labels := ofNode(nodes[i], zone).Merge(model.LabelSet{"condition": model.LabelValue(condition)})
		bad = append(bad, incident{"condition " + condition + " of a node", labels, []page{
			{alert: "NodeConditionBad", severity: "warning", text: "Node " + nodes[i] + ".*" + condition},
		}})
		began := time.Now()
		set(nodes[i], condition, "True")
		bad[i].awaitPages(t, began)
	}
	mended := time.Now()
	for i, condition := range conditions {
		set(nodes[i], condition, "False")
	}
	for i := range conditions {
		bad[i].awaitResolved(t, mended)
	}
	shared.falseAlarms(t, ofZone(zone))
}

// inTurn lets one node after the other do something at a pace until the returned function is called.
func inTurn(t *testing.T, pace time.Duration, nodes []string, do func(ctx context.Context, node string) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var turns sync.WaitGroup
	turns.Go(func() {
		ticker := time.NewTicker(pace)
		defer ticker.Stop()
		for i := 0; ; i++ {
			if err := do(ctx, nodes[i%len(nodes)]); err != nil && ctx.Err() == nil {
				t.Error(err)
				return
			}
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
		}
	})
	stop = func() { cancel(); turns.Wait() }
	t.Cleanup(stop)
	return stop
}

// reports lets a node report, with its kubelet well or not.
func reports(ctx context.Context, node string, well bool) error {
	value := "null"
	if !well {
		value = `"not-ready"`
	}
	return patchNode(ctx, node, fmt.Sprintf(`{"metadata":{"labels":{%q:%s}}}`, cluster.BehaviourLabel, value))
}

// onlyDown lets all nodes report well but one.
func onlyDown(ctx context.Context, nodes []string, down string) error {
	for _, each := range nodes {
		if each == down {
			continue
		}
		if err := reports(ctx, each, true); err != nil {
			return err
		}
	}
	if down == "" {
		return nil
	}
	return reports(ctx, down, false)
}

// Two nodes are ready and not ready in turn.
func TestNodesFlap(t *testing.T) {
	t.Parallel()
	zones := []string{"restless-east", "restless-west"}
	var nodes []string
	var flapping []incident
	for i, zone := range zones {
		nodes = append(nodes, nodesOf(t, zone)...)
		flapping = append(flapping, incident{"node flaps", ofNode(nodes[i], zone), []page{
			// It takes four changes, and is told until they are half an hour old.
			{alert: "NodeFlapping", severity: "warning", late: 30 * time.Minute, text: "Node " + nodes[i] + ".*readiness \\d+ times"},
		}})
	}
	began := time.Now()
	stop := inTurn(t, scaled(2*time.Minute), nodes, func(ctx context.Context, node string) error {
		return onlyDown(ctx, nodes, node)
	})
	for _, each := range flapping {
		each.awaitPages(t, began)
	}
	stop()
	mended := time.Now()
	must(t, onlyDown(t.Context(), nodes, ""))
	for i, each := range flapping {
		each.awaitResolved(t, mended)
		shared.falseAlarms(t, ofZone(zones[i]))
	}
}

// The nodes of a zone reboot one after the other, again and again, each only for so long that no rule about one node
// minds.
func TestNodesReboot(t *testing.T) {
	t.Parallel()
	const zone = "crashing"
	nodes := nodesOf(t, zone)
	boot := func(ctx context.Context, node string) error {
		return patchNode(ctx, node, fmt.Sprintf(`{"status":{"nodeInfo":{"bootID":"boot-%d"}}}`, time.Now().UnixNano()), "status")
	}
	for _, node := range nodes {
		must(t, boot(t.Context(), node))
	}
	// That a node comes and goes is true as well.
	shared.claims.add(ofZone(zone).Merge(model.LabelSet{"alertname": "StabilityNodeFlapping"}))
	storm := incident{"nodes reboot again and again", ofCluster(mainCluster), []page{
		// What rebooted within the hour counts, the nodes of other tests as well.
		{alert: "NodesCrashing", severity: "warning", late: 15 * time.Minute, lingers: time.Hour, text: `reboots of nodes.*` + nodes[0] + ".*" + nodes[1]},
	}}
	began := time.Now()
	stop := inTurn(t, scaled(3*time.Minute), nodes, func(ctx context.Context, node string) error {
		return errors.Join(onlyDown(ctx, nodes, node), boot(ctx, node))
	})
	storm.awaitPages(t, began)
	stop()
	mended := time.Now()
	must(t, onlyDown(t.Context(), nodes, ""))
	storm.awaitResolved(t, mended)
	shared.falseAlarms(t, ofZone(zone))
}
