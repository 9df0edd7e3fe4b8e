// SPDX-License-Identifier: Apache-2.0

// Package upstream compares what the product says of Kubernetes with what the code of Kubernetes does.
package upstream

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/component-helpers/node/topology"
	"k8s.io/kubernetes/cmd/kube-controller-manager/app/options"
	"k8s.io/kubernetes/pkg/controller/nodelifecycle"
	lifecycleconfig "k8s.io/kubernetes/pkg/controller/nodelifecycle/config"

	"stability-exporter/internal/cluster"
	"stability-exporter/internal/state"
)

// newController returns the node lifecycle controller as kube-controller-manager makes it when no flag is given.
func newController(t *testing.T) *nodelifecycle.Controller {
	t.Helper()
	flags := pflag.NewFlagSet("defaults", pflag.ContinueOnError)
	defaults := options.NodeLifecycleControllerOptions{
		NodeLifecycleControllerConfiguration: new(lifecycleconfig.NodeLifecycleControllerConfiguration),
	}
	defaults.AddFlags(flags)
	if err := flags.Parse(nil); err != nil {
		t.Fatal(err)
	}
	client := fake.NewClientset()
	all := informers.NewSharedInformerFactory(client, 0)
	controller, err := nodelifecycle.NewNodeLifecycleController(t.Context(), all.Coordination().V1().Leases(), all.Core().V1().Pods(),
		all.Core().V1().Nodes(), all.Apps().V1().DaemonSets(), client, 5*time.Second, defaults.NodeStartupGracePeriod.Duration,
		defaults.NodeMonitorGracePeriod.Duration, defaults.NodeEvictionRate, defaults.SecondaryNodeEvictionRate,
		defaults.LargeClusterSizeThreshold, defaults.UnhealthyZoneThreshold)
	if err != nil {
		t.Fatal(err)
	}
	return controller
}

// zoneFigures is what is compared of a zone.
type zoneFigures struct {
	unhealthy int     // members that are not ready
	limit     float64 // nodes per second
}

// upstreamFigures are the limits that the controller's handleDisruption comes to: none while every zone is wholly not
// ready, else by the zone's own state. Nodes that are excluded from disruption have no part in it; a zone without others
// keeps the limit that it begins with. Which nodes are members is our own notion.
func upstreamFigures(controller *nodelifecycle.Controller, nodes []corev1.Node) map[string]zoneFigures {
	population, members := map[string][]*corev1.NodeCondition{}, map[string][]*corev1.NodeCondition{}
	names := map[string]string{}
	for i := range nodes {
		node := &nodes[i]
		key, ready := topology.GetZoneKey(node), readyCondition(node)
		names[key] = zoneName(node)
		if _, excluded := node.Labels["node.kubernetes.io/exclude-disruption"]; !excluded {
			population[key] = append(population[key], ready)
		}
		if isMember(node) {
			members[key] = append(members[key], ready)
		}
	}
	allFull := true
	for _, conditions := range population {
		_, verdict := controller.ComputeZoneState(conditions)
		allFull = allFull && verdict == "FullDisruption"
	}
	figures := map[string]zoneFigures{}
	for key, name := range names {
		unhealthy, _ := controller.ComputeZoneState(members[key])
		size := len(population[key])
		var limit float32
		switch _, verdict := controller.ComputeZoneState(population[key]); {
		case allFull && size > 0:
		case verdict == "PartialDisruption":
			limit = controller.ReducedQPSFunc(size)
		default:
			limit = controller.HealthyQPSFunc(size)
		}
		figures[name] = zoneFigures{unhealthy, round(limit)}
	}
	return figures
}

// round undoes what binary 32-bit numbers do to 0.1 and 0.01.
func round(rate float32) float64 {
	return float64(int(float64(rate)*1000+0.5)) / 1000
}

func readyCondition(node *corev1.Node) *corev1.NodeCondition {
	for i := range node.Status.Conditions {
		if node.Status.Conditions[i].Type == corev1.NodeReady {
			return &node.Status.Conditions[i]
		}
	}
	return nil
}

func zoneName(node *corev1.Node) string {
	for _, key := range []string{corev1.LabelTopologyZone, corev1.LabelFailureDomainBetaZone} {
		if zone := node.Labels[key]; zone != "" {
			return zone
		}
	}
	return "unknown"
}

func isMember(node *corev1.Node) bool {
	return !node.Spec.Unschedulable && len(node.Spec.Taints) == 0
}

// ourFigures are those of a store that has read the nodes from a manifest.
func ourFigures(t *testing.T, now time.Time, nodes []corev1.Node) map[string]zoneFigures {
	t.Helper()
	list := corev1.NodeList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "NodeList"}, Items: nodes}
	text, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	source, err := cluster.NewManifests(cluster.ManifestOptions{
		Paths: []string{"-"}, Stdin: strings.NewReader(string(text)), Now: now, Kinds: state.KindSet(state.Nodes),
	})
	if err != nil {
		t.Fatal(err)
	}
	store := state.NewStore(state.Options{Clock: source.Now})
	if err := source.Load(t.Context(), store); err != nil {
		t.Fatal(err)
	}
	snapshot := store.Snapshot()
	if len(snapshot.Nodes) != len(nodes) {
		t.Fatalf("the store holds %d of %d nodes", len(snapshot.Nodes), len(nodes))
	}
	figures := map[string]zoneFigures{}
	for _, zone := range snapshot.Zones {
		figures[zone.Name] = zoneFigures{int(zone.Unhealthy), zone.EvictionLimit}
	}
	return figures
}

// picture is a random population, most often near the lines at which a zone's state changes.
type picture struct {
	random *rand.Rand
	now    time.Time
	nodes  []corev1.Node
}

func (p *picture) addZone(zone string) {
	sizes := []int{1, 2, 3, 4, 5, 20, 49, 50, 51, 52, 1 + p.random.IntN(120)}
	size := sizes[p.random.IntN(len(sizes))]
	line := int(0.55 * float64(size))
	counts := []int{0, 1, 2, 3, line - 1, line, line + 1, size - 1, size, size, p.random.IntN(size + 1)}
	notReady := min(max(counts[p.random.IntN(len(counts))], 0), size)
	excluded := []float64{0, 0, 0.3, 1}[p.random.IntN(4)]
	key := []string{corev1.LabelTopologyZone, corev1.LabelFailureDomainBetaZone}[p.random.IntN(2)]
	for i := range size {
		node := p.node(i >= notReady)
		if zone != "" {
			node.Labels[key] = zone
		}
		if p.random.Float64() < excluded {
			node.Labels["node.kubernetes.io/exclude-disruption"] = ""
		}
		p.nodes = append(p.nodes, node)
	}
}

func (p *picture) node(ready bool) corev1.Node {
	name := fmt.Sprintf("node-%d", len(p.nodes))
	node := corev1.Node{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, UID: types.UID("uid-of-" + name), Labels: map[string]string{},
			CreationTimestamp: metav1.NewTime(p.now.Add(-24 * time.Hour)),
		},
		Spec: corev1.NodeSpec{Unschedulable: p.random.IntN(10) == 0},
	}
	if p.random.IntN(10) == 0 {
		node.Spec.Taints = []corev1.Taint{{Key: "ToBeDeletedByClusterAutoscaler", Effect: corev1.TaintEffectNoSchedule}}
	}
	status := corev1.ConditionTrue
	if !ready {
		status = []corev1.ConditionStatus{corev1.ConditionFalse, corev1.ConditionUnknown, ""}[p.random.IntN(3)]
	}
	if status != "" {
		node.Status.Conditions = []corev1.NodeCondition{{
			Type: corev1.NodeReady, Status: status, LastTransitionTime: metav1.NewTime(p.now.Add(-time.Hour)),
		}}
	}
	return node
}

// TestZoneFigures compares with the controller on random clusters.
func TestZoneFigures(t *testing.T) {
	controller := newController(t)
	limits := map[float64]int{}
	for seed := range uint64(1500) {
		p := &picture{random: rand.New(rand.NewPCG(seed, 0)), now: time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)}
		for i := range 1 + p.random.IntN(4) {
			p.addZone([]string{"a", "b", "c", ""}[i])
		}
		want, got := upstreamFigures(controller, p.nodes), ourFigures(t, p.now, p.nodes)
		if len(got) != len(want) {
			t.Errorf("seed %d: %d zones, want %d", seed, len(got), len(want))
		}
		for zone := range want {
			limits[want[zone].limit]++
			if got[zone] != want[zone] {
				t.Errorf("seed %d, zone %q: got %+v, want %+v; all: got %+v, want %+v", seed, zone, got[zone], want[zone], got, want)
			}
		}
	}
	for _, limit := range []float64{0, 0.01, 0.1} {
		if limits[limit] < 100 {
			t.Errorf("only %d zones have the limit %v: the clusters are not random enough", limits[limit], limit)
		}
	}
}
