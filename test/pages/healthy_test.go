// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/prometheus/common/model"

	"stability-exporter/test/cluster"
	"stability-exporter/test/sandbox"
)

// An operation is what people and machines do every day without harm. No warning and no critical alert may come of it,
// neither while it goes on nor when it is long over.
type operation struct {
	name      string
	workloads []string       // of the namespace, healthy before and after; empty means web
	build     func(s *space) // nil when the operation itself makes the workloads
	do        func(s *space) // returns when Kubernetes says that it is over
	// harsh are alerts, without the prefix Stability, which come only because the times of the rules are scaled, unlike
	// those of Kubernetes. At full length they must not come either.
	harsh []string
	// seen is a state in which Prometheus must have found a workload: what nobody sees proves nothing.
	seen string
}

// calm is the longest time that a rule about damage waits: an alert that an operation has begun would have come by then.
const calm = 10 * time.Minute

func (o operation) run(t *testing.T) {
	s := newSpace(t)
	workloads := o.workloads
	if len(workloads) == 0 {
		workloads = []string{"web"}
	}
	if shared.scale > 1 {
		for _, name := range o.harsh {
			shared.claims.add(s.about("alertname", model.LabelValue("Stability"+name)))
		}
	}
	if o.build != nil {
		o.build(s)
		s.awaitHealthy(workloads...)
	}
	o.do(s)
	s.awaitCalm(workloads...)
	s.expectSeen(o.seen)
	if s.cluster != mainCluster {
		shared.falseAlarms(t, model.LabelSet{"cluster": model.LabelValue(s.cluster)})
	}
}

// runAll runs the operations beside each other and beside all other tests.
func runAll(t *testing.T, operations []operation) {
	t.Parallel()
	for _, o := range operations {
		t.Run(o.name, o.run)
	}
}

// awaitCalm waits until the workloads have been found healthy, from now on, for as long as the longest rule waits.
func (s *space) awaitCalm(workloads ...string) {
	s.T.Helper()
	began := time.Now()
	samples := int(scaled(calm)/interval) + 1
	what := fmt.Sprintf("%s to be healthy for %s", workloads, scaled(calm))
	s.awaitWithin(scaled(calm)+patience, what, func() string {
		return fmt.Sprintf(
			`count(max by (workload) (count_over_time(stability_workload_state{cluster=%q,namespace=%q,workload=~%q,state="healthy"}[%ds])) >= %d) == %d`,
			s.cluster, s.Name, strings.Join(workloads, "|"), max(1, int(time.Since(began).Seconds())), samples, len(workloads))
	})
}

// awaitLong waits until a query gives a result that cannot come before the longest rule has had its time.
func (s *space) awaitLong(what, query string) {
	s.T.Helper()
	s.awaitWithin(scaled(calm)+patience, what, func() string { return query })
}

// expectSeen fails the test unless Prometheus has found a workload of the namespace in the state.
func (s *space) expectSeen(state string) {
	s.T.Helper()
	if state == "" {
		return
	}
	vector, err := shared.prometheus.Vector(s.T.Context(), fmt.Sprintf(
		`count by (state) (max_over_time(stability_workload_state{cluster=%q,namespace=%q}[1d]) == 1)`, s.cluster, s.Name))
	if err != nil {
		s.T.Fatal(err)
	}
	var states []string
	for _, sample := range vector {
		states = append(states, string(sample.Metric["state"]))
	}
	if !slices.Contains(states, state) {
		s.T.Errorf("no workload was ever %s, only %v", state, states)
	}
}

// awaitState waits until Prometheus finds the workload in the state.
func (s *space) awaitState(workload, state string) {
	s.T.Helper()
	s.await(workload+" to be "+state, fmt.Sprintf(
		`stability_workload_state{cluster=%q,namespace=%q,workload=%q,state=%q} == 1`, s.cluster, s.Name, workload, state))
}

// awaitTrue asks the API server once a second until a condition holds: many tests ask at the same time.
func (s *space) awaitTrue(timeout time.Duration, what string, condition func(context.Context) (bool, error)) {
	s.T.Helper()
	var asked time.Time
	s.must(cluster.Await(s.T.Context(), timeout, what, func(ctx context.Context) (bool, error) {
		if time.Since(asked) < time.Second {
			return false, nil
		}
		asked = time.Now()
		return condition(ctx)
	}))
}

// awaitRollout waits until the rollouts are over, by the rules of kubectl rollout status.
func (s *space) awaitRollout(resources ...string) {
	s.T.Helper()
	for _, resource := range resources {
		kind, name, _ := strings.Cut(resource, "/")
		timeout := patience + scaled(3*calm)
		s.awaitTrue(timeout, "the rollout of "+resource, func(ctx context.Context) (bool, error) {
			apps := s.Client().AppsV1()
			switch kind {
			case "deployment":
				d, err := apps.Deployments(s.Name).Get(ctx, name, metav1.GetOptions{})
				return err == nil && d.Status.ObservedGeneration >= d.Generation && d.Status.UpdatedReplicas >= *d.Spec.Replicas &&
					d.Status.Replicas <= d.Status.UpdatedReplicas && d.Status.AvailableReplicas >= d.Status.UpdatedReplicas, err
			case "daemonset":
				d, err := apps.DaemonSets(s.Name).Get(ctx, name, metav1.GetOptions{})
				return err == nil && d.Status.ObservedGeneration >= d.Generation &&
					d.Status.UpdatedNumberScheduled >= d.Status.DesiredNumberScheduled &&
					d.Status.NumberAvailable >= d.Status.DesiredNumberScheduled, err
			default:
				set, err := apps.StatefulSets(s.Name).Get(ctx, name, metav1.GetOptions{})
				return err == nil && isRolledOut(set), err
			}
		})
	}
}

func isRolledOut(set *appsv1.StatefulSet) bool {
	wanted := *set.Spec.Replicas
	if set.Status.ObservedGeneration < set.Generation || set.Status.ReadyReplicas < wanted {
		return false
	}
	if rolling := set.Spec.UpdateStrategy.RollingUpdate; rolling != nil && rolling.Partition != nil && *rolling.Partition > 0 {
		return set.Status.UpdatedReplicas >= wanted-*rolling.Partition
	}
	return set.Status.UpdateRevision == set.Status.CurrentRevision
}

// must ends the test with an error.
func (s *space) must(err error) {
	s.T.Helper()
	if err != nil {
		s.T.Fatal(err)
	}
}

// awaitReady waits until the app has so many pods and all are ready.
func (s *space) awaitReady(app string, pods int) {
	s.T.Helper()
	s.awaitTrue(patience, fmt.Sprintf("%d ready pods of %s", pods, app), func(context.Context) (bool, error) {
		ready := 0
		for _, pod := range s.Pods(app) {
			for _, condition := range pod.Status.Conditions {
				if condition.Type == corev1.PodReady && condition.Status == corev1.ConditionTrue {
					ready++
				}
			}
		}
		return ready == pods, nil
	})
}

// deployed builds a Deployment with the name web.
func deployed(replicas int32, strategy appsv1.DeploymentStrategy, changes ...sandbox.TemplateChange) func(*space) {
	return func(s *space) { s.Deployment("web", replicas, strategy, changes...) }
}

// served builds a Deployment with a Service, both with the name web.
func served(replicas int32, strategy appsv1.DeploymentStrategy, changes ...sandbox.TemplateChange) func(*space) {
	return func(s *space) {
		s.Deployment("web", replicas, strategy, changes...)
		s.Service("web", map[string]string{"app": "web"})
	}
}

// updated gives workloads another version, whose pods take five seconds to start.
func updated(resources ...string) func(*space) {
	return func(s *space) {
		for _, resource := range resources {
			s.NewVersion(resource, "2", cluster.SlowStart)
		}
		s.awaitRollout(resources...)
	}
}

func TestHealthyUpdatesOfDeployments(t *testing.T) {
	update := updated("deployment/web")
	runAll(t, []operation{
		{name: "a quarter", seen: "rolling", do: update, build: served(4, appsv1.DeploymentStrategy{})},
		{name: "no surge", seen: "rolling", do: update, build: served(3, sandbox.Rolling("1", "0"))},
		{name: "all of them more", seen: "rolling", do: update, build: served(3, sandbox.Rolling("0", "100%"))},
		{name: "half of them", seen: "rolling", do: update, build: served(4, sandbox.Rolling("50%", "0"))},
		{name: "recreate", seen: "rolling", do: update, build: deployed(3, sandbox.Recreate())},
		{name: "one replica", seen: "rolling", do: update, build: served(1, appsv1.DeploymentStrategy{})},
		{name: "one replica with a gap", seen: "rolling", do: update, build: deployed(1, sandbox.Rolling("1", "0"))},
		{name: "one after another", seen: "rolling", build: served(3, appsv1.DeploymentStrategy{}), do: func(s *space) {
			for _, tag := range []string{"2", "3", "4"} {
				s.NewVersion("deployment/web", tag, cluster.SlowStart)
				s.awaitRollout("deployment/web")
			}
		}},
		{name: "one in the middle of another", build: served(4, appsv1.DeploymentStrategy{}), do: func(s *space) {
			for _, tag := range []string{"2", "3", "4"} {
				s.NewVersion("deployment/web", tag, cluster.SlowStart)
				s.awaitState("web", "rolling")
			}
			s.awaitRollout("deployment/web")
		}},
		{name: "undone", build: served(4, appsv1.DeploymentStrategy{}), do: func(s *space) {
			update(s)
			s.Kubectl("rollout", "undo", "deployment/web")
			s.awaitRollout("deployment/web")
			s.NewVersion("deployment/web", "3", cluster.SlowStart)
			s.awaitState("web", "rolling")
			s.Kubectl("rollout", "undo", "deployment/web")
			s.awaitRollout("deployment/web")
		}},
		{name: "restarted", seen: "rolling", build: served(3, appsv1.DeploymentStrategy{}, sandbox.Behaving(cluster.SlowStart)), do: func(s *space) {
			s.Kubectl("rollout", "restart", "deployment/web")
			s.awaitRollout("deployment/web")
		}},
	})
}

func TestHealthyPauses(t *testing.T) {
	runAll(t, []operation{
		{name: "a rollout paused and resumed", build: served(4, appsv1.DeploymentStrategy{}), do: func(s *space) {
			s.NewVersion("deployment/web", "2", cluster.SlowStart)
			s.awaitState("web", "rolling")
			s.Kubectl("rollout", "pause", "deployment/web")
			s.awaitLong("the pause", fmt.Sprintf(
				`count_over_time(stability_workload_paused{cluster=%q,namespace=%q}[1d]) >= %d`, s.cluster, s.Name, int(scaled(calm)/interval)))
			s.Scale("deployment/web", 6)
			// How many there are on top depends on the moment of the pause.
			s.await("as many as are wanted", fmt.Sprintf(
				`stability_workload_available_replicas{cluster=%q,namespace=%q,workload="web"} >= 6`, s.cluster, s.Name))
			s.Kubectl("rollout", "resume", "deployment/web")
			s.awaitRollout("deployment/web")
		}},
		{name: "changes behind a pause", seen: "rolling", build: deployed(3, appsv1.DeploymentStrategy{}), do: func(s *space) {
			s.Kubectl("rollout", "pause", "deployment/web")
			s.NewVersion("deployment/web", "2", cluster.SlowStart)
			s.await("the pause", fmt.Sprintf(`stability_workload_paused{cluster=%q,namespace=%q}`, s.cluster, s.Name))
			s.Kubectl("rollout", "resume", "deployment/web")
			s.awaitRollout("deployment/web")
		}},
	})
}

// parallelSet is a StatefulSet whose pods come and go side by side.
func parallelSet(s *space, name string, replicas int32) {
	s.T.Helper()
	_, err := s.Client().AppsV1().StatefulSets(s.Name).Create(s.T.Context(), &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.StatefulSetSpec{
			Replicas: &replicas, ServiceName: name, PodManagementPolicy: appsv1.ParallelPodManagement,
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}},
			Template: sandbox.Template(name),
		},
	}, metav1.CreateOptions{})
	if err != nil {
		s.T.Fatalf("cannot create statefulset %s: %v", name, err)
	}
}

// object is a JSON object.
type object = sandbox.Object

// deleteEach deletes the pods of an app by hand, each when all others are there.
func (s *space) deleteEach(app string) {
	s.T.Helper()
	pods := s.Pods(app)
	for _, pod := range pods {
		s.Kubectl("delete", "pod", pod.Name)
		s.awaitReady(app, len(pods))
	}
}
