// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"stability-exporter/test/cluster"
	"stability-exporter/test/exporterproc"
	"stability-exporter/test/sandbox"
)

// peace watches a namespace in which nothing ever goes wrong.
type peace struct {
	mu     sync.Mutex
	broken []string
	states map[string]bool // that some workload was seen in
	// overshoots names a DaemonSet that may be degraded in a rollout with maxUnavailable. Its controller counts no pod of
	// a node whose pod has just gone, so that now and then it takes one more than it promised (rollingUpdate in
	// pkg/controller/daemon/update.go); then it is damage.
	overshoots string
}

// keepsPeace fails the test when, on any scrape up to its end, a workload is damaged or stuck or a Service has lost its
// endpoints.
func (s *space) keepsPeace() *peace {
	p := &peace{states: map[string]bool{}}
	stop := shared.watch.follow(func(m exporterproc.Metrics) { p.see(m, s.Name) })
	s.T.Cleanup(func() {
		stop()
		p.mu.Lock()
		defer p.mu.Unlock()
		if len(p.broken) > 0 {
			s.T.Errorf("a healthy operation looks like damage on %d scrapes, on the first as\n%s", len(p.broken), p.broken[0])
		}
	})
	return p
}

func (p *peace) see(m exporterproc.Metrics, namespace string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var wrong []string
	for _, s := range m.Select("stability_workload_state", "namespace", namespace) {
		if s.Value == 1 {
			p.states[s.Labels["state"]] = true
			if s.Labels["state"] == "down" || s.Labels["state"] == "degraded" && s.Labels["workload"] != p.overshoots {
				wrong = append(wrong, s.String(), about(m, identity(s)))
			}
		}
	}
	for _, s := range m.Select("stability_workload_rollout_stuck", "namespace", namespace) {
		if s.Value != 0 {
			wrong = append(wrong, s.String(), about(m, identity(s)))
		}
	}
	for _, s := range m.Select("stability_service_endpoints_lost", "namespace", namespace) {
		wrong = append(wrong, s.String())
	}
	if len(wrong) > 0 {
		p.broken = append(p.broken, strings.Join(wrong, "\n"))
	}
}

// about is everything a scrape says about a workload.
func about(m exporterproc.Metrics, labels []string) string {
	var lines []string
	for _, name := range m.Names() {
		for _, s := range m.Select(name, labels...) {
			lines = append(lines, "  "+s.String())
		}
	}
	return strings.Join(lines, "\n")
}

// saw fails the test unless some workload was in the state: an operation that nobody sees proves nothing.
func (p *peace) saw(t *testing.T, state string) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.states[state] {
		t.Errorf("no workload was ever %s, only %v", state, slices.Sorted(maps.Keys(p.states)))
	}
}

func TestRollingUpdatesAreNoDamage(t *testing.T) {
	for name, test := range map[string]struct {
		replicas int32
		strategy appsv1.DeploymentStrategy
	}{
		"a quarter":           {4, appsv1.DeploymentStrategy{}},
		"surge only":          {2, sandbox.Rolling("0", "1")},
		"no surge":            {2, sandbox.Rolling("1", "0")},
		"half of them":        {4, sandbox.Rolling("50%", "0")},
		"everything at once":  {3, sandbox.Rolling("100%", "0")},
		"recreate":            {3, sandbox.Recreate()},
		"one replica":         {1, appsv1.DeploymentStrategy{}},
		"one replica, no gap": {1, sandbox.Rolling("0", "100%")},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSpace(t)
			p := s.keepsPeace()
			s.Deployment("web", test.replicas, test.strategy)
			s.awaitHealthy(float64(test.replicas), "web")
			s.NewVersion("deployment/web", "2", cluster.SlowStart)
			s.awaitRolledOut("deployment", "web")
			s.awaitHealthy(float64(test.replicas), "web")
			p.saw(t, "rolling")
		})
	}
}

// awaitRolledOut waits until kubectl says that a rollout is over.
func (s *space) awaitRolledOut(kind, name string) {
	s.T.Helper()
	s.Kubectl("rollout", "status", kind+"/"+name, "--timeout="+patience.String())
}

func TestScalingIsNoDamage(t *testing.T) {
	s := newSpace(t)
	p := s.keepsPeace()
	s.Deployment("web", 2, appsv1.DeploymentStrategy{})
	s.Service("web", map[string]string{"app": "web"})
	s.awaitHealthy(2, "web")
	s.awaitSamples("endpoints", is(2, "stability_service_ready_endpoints", "service", "web"))
	for _, replicas := range []int{6, 1, 4} {
		s.Scale("deployment/web", replicas)
		s.awaitHealthy(float64(replicas), "web")
	}
	s.Scale("deployment/web", 0)
	s.awaitSamples("nothing to run",
		is(1, "stability_workload_state", "workload", "web", "state", "scaled_to_zero"),
		no("stability_workload_available_ratio", "workload", "web"),
		is(1, "stability_service_no_endpoints", "service", "web", "cause", "scaled_to_zero"))
	s.Scale("deployment/web", 3)
	s.awaitHealthy(3, "web")
	s.awaitSamples("endpoints", is(3, "stability_service_ready_endpoints", "service", "web"), no("stability_service_no_endpoints"))
	p.saw(t, "scaling")
}

func TestScalingInARolloutIsNoDamage(t *testing.T) {
	s := newSpace(t)
	p := s.keepsPeace()
	s.Deployment("web", 3, appsv1.DeploymentStrategy{})
	s.awaitHealthy(3, "web")
	s.NewVersion("deployment/web", "2", cluster.SlowStart)
	for _, replicas := range []int{5, 6} {
		s.awaitSamples("the rollout to run", is(1, "stability_workload_state", "workload", "web", "state", "rolling"))
		s.Scale("deployment/web", replicas)
	}
	s.awaitHealthy(6, "web")
	p.saw(t, "rolling")
}

func TestPausingIsNoDamage(t *testing.T) {
	s := newSpace(t)
	s.keepsPeace()
	s.Deployment("web", 3, appsv1.DeploymentStrategy{}, sandbox.Behaving(cluster.SlowStart))
	s.awaitHealthy(3, "web")
	s.NewVersion("deployment/web", "2", cluster.SlowStart)
	s.awaitSamples("the rollout to run", is(1, "stability_workload_state", "workload", "web", "state", "rolling"))
	s.Kubectl("rollout", "pause", "deployment/web")
	s.awaitSamples("the pause", is(1, "stability_workload_paused", "workload", "web"))
	s.Scale("deployment/web", 4)
	s.awaitSamples("more replicas of a paused rollout",
		is(1, "stability_workload_paused", "workload", "web"), is(1, "stability_workload_available_ratio", "workload", "web"),
		is(4, "stability_workload_desired_replicas", "workload", "web"))
	s.Kubectl("rollout", "resume", "deployment/web")
	s.awaitHealthy(4, "web")
	s.awaitSamples("no pause", no("stability_workload_paused"))
	s.Kubectl("rollout", "undo", "deployment/web")
	s.awaitRolledOut("deployment", "web")
	s.awaitHealthy(4, "web")
}

func TestStatefulSetOperationsAreNoDamage(t *testing.T) {
	s := newSpace(t)
	p := s.keepsPeace()
	s.StatefulSet("db", 2)
	s.StatefulSet("single", 1)
	s.awaitHealthy(2, "db")
	s.awaitHealthy(1, "single")
	s.NewVersion("statefulset/db", "2", cluster.SlowStart)
	s.NewVersion("statefulset/single", "2", cluster.SlowStart)
	s.awaitRolledOut("statefulset", "db")
	s.awaitRolledOut("statefulset", "single")
	s.awaitHealthy(2, "db")
	s.awaitHealthy(1, "single")
	p.saw(t, "rolling")
	s.Scale("statefulset/db", 3)
	s.awaitHealthy(3, "db")
	s.Scale("statefulset/db", 1)
	s.awaitHealthy(1, "db")
	p.saw(t, "scaling")
}

func TestDaemonSetRolloutsAreNoDamage(t *testing.T) {
	s := newSpace(t)
	p := s.keepsPeace()
	p.overshoots = "agent"
	s.DaemonSet("agent", "2", "0")
	s.DaemonSet("proxy", "0", "50%")
	s.awaitHealthy(6, "agent", "proxy")
	s.NewVersion("daemonset/agent", "2", cluster.SlowStart)
	s.NewVersion("daemonset/proxy", "2", cluster.SlowStart)
	s.awaitSamples("what the strategies promise",
		is(4, "stability_workload_min_available_replicas", "workload", "agent"),
		is(6, "stability_workload_min_available_replicas", "workload", "proxy"))
	s.awaitRolledOut("daemonset", "agent")
	s.awaitRolledOut("daemonset", "proxy")
	s.awaitHealthy(6, "agent", "proxy")
	p.saw(t, "rolling")
}

// An autoscaler that has no metrics still enforces its minimum.
func TestAutoscalingIsNoDamage(t *testing.T) {
	s := newSpace(t)
	s.keepsPeace()
	s.Deployment("web", 2, appsv1.DeploymentStrategy{})
	s.awaitHealthy(2, "web")
	least := int32(4)
	cpu := int32(80)
	_, err := client().AutoscalingV2().HorizontalPodAutoscalers(s.Name).Create(t.Context(), &autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "web"},
			MinReplicas:    &least, MaxReplicas: 5,
			Metrics: []autoscalingv2.MetricSpec{{Type: autoscalingv2.ResourceMetricSourceType, Resource: &autoscalingv2.ResourceMetricSource{
				Name: corev1.ResourceCPU, Target: autoscalingv2.MetricTarget{Type: autoscalingv2.UtilizationMetricType, AverageUtilization: &cpu},
			}}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s.awaitHealthy(4, "web")
	limited := func(status string) {
		s.Kubectl("patch", "hpa/web", "--subresource=status", "--type=merge", fmt.Sprintf(
			`--patch={"status":{"conditions":[{"type":"ScalingLimited","status":%q,"reason":"TooManyReplicas"}]}}`, status))
	}
	limited("True")
	s.awaitSamples("the limit", is(1, "stability_hpa_limited", "horizontalpodautoscaler", "web", "workload", "web",
		"workload_type", "deployment", "reason", "TooManyReplicas"))
	limited("False")
	s.awaitSamples("no limit", no("stability_hpa_limited"))
}
