// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"fmt"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"stability-exporter/test/cluster"
	"stability-exporter/test/sandbox"
)

func TestHealthyScaling(t *testing.T) {
	// A start lasts three scrapes, so that Prometheus sees it also when one of them is late.
	slow := func(template *corev1.PodTemplateSpec) {
		sandbox.Behaving(cluster.SlowStart)(template)
		template.Annotations[cluster.PeriodAnnotation] = (3 * interval / 5).String() // a slow start takes five of it
	}
	runAll(t, []operation{
		{name: "one, five, two", seen: "scaling", build: served(1, appsv1.DeploymentStrategy{}, slow), do: func(s *space) {
			s.scaleTo(5, 2)
		}},
		{name: "up in a rollout", seen: "rolling", build: served(3, appsv1.DeploymentStrategy{}), do: func(s *space) {
			s.NewVersion("deployment/web", "2", cluster.SlowStart)
			for _, replicas := range []int{5, 6} {
				s.awaitState("web", "rolling")
				s.Scale("deployment/web", replicas)
			}
			s.awaitRollout("deployment/web")
		}},
		{name: "up and down in a rollout", seen: "rolling", build: served(5, appsv1.DeploymentStrategy{}), do: func(s *space) {
			s.NewVersion("deployment/web", "2", cluster.SlowStart)
			s.awaitState("web", "rolling")
			s.Scale("deployment/web", 8)
			s.NewVersion("deployment/web", "3", cluster.SlowStart)
			s.awaitState("web", "rolling")
			s.Scale("deployment/web", 2)
			s.awaitRollout("deployment/web")
		}},
		{name: "by an autoscaler", seen: "scaling", build: served(2, appsv1.DeploymentStrategy{}, slow), do: func(s *space) {
			s.autoscale(2, 10)
			s.autoscaleTo(5, 10, 5)
			s.autoscaleTo(1, 3, 3)
			s.NewVersion("deployment/web", "2", cluster.SlowStart)
			s.awaitState("web", "rolling")
			s.autoscaleTo(6, 10, 6)
			s.awaitRollout("deployment/web")
		}},
		{name: "to zero and back", seen: "scaled_to_zero", do: toZeroAndBack("deployment/web"), build: func(s *space) {
			served(3, appsv1.DeploymentStrategy{}, slow)(s)
			s.Budget("web", 2)
		}},
		{name: "a statefulset to zero and back", seen: "scaled_to_zero", do: toZeroAndBack("statefulset/web"), build: func(s *space) {
			s.StatefulSet("web", 2, slow)
			s.Service("web", map[string]string{"app": "web"})
			s.Budget("web", 1)
		}},
	})
}

// scaleTo scales the Deployment web by hand, step by step.
func (s *space) scaleTo(steps ...int) {
	s.T.Helper()
	for _, replicas := range steps {
		s.Scale("deployment/web", replicas)
		s.awaitRollout("deployment/web")
		s.awaitReady("web", replicas)
	}
}

// toZeroAndBack leaves a workload web without pods for as long as the longest rule waits.
func toZeroAndBack(resource string) func(*space) {
	return func(s *space) {
		before := len(s.Pods("web"))
		s.Scale(resource, 0)
		s.awaitLong("a long sleep", fmt.Sprintf(
			`count_over_time(stability_workload_state{cluster=%q,namespace=%q,state="scaled_to_zero"}[1d]) > %d`,
			s.cluster, s.Name, int(scaled(calm)/interval)))
		s.Scale(resource, before)
		s.awaitRollout(resource)
	}
}

// autoscale puts the Deployment web under an autoscaler. It gets no metrics, but still enforces its bounds.
func (s *space) autoscale(least, most int32) {
	s.T.Helper()
	_, err := s.Client().AutoscalingV2().HorizontalPodAutoscalers(s.Name).Create(s.T.Context(), &autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "web"},
			MinReplicas:    &least, MaxReplicas: most,
		},
	}, metav1.CreateOptions{})
	if err != nil {
		s.T.Fatal(err)
	}
}

// autoscaleTo moves the bounds of the autoscaler and waits for the replicas that it must ask for then.
func (s *space) autoscaleTo(least, most, replicas int) {
	s.T.Helper()
	s.Patch("hpa/web", object{"spec": object{"minReplicas": least, "maxReplicas": most}})
	s.await("the autoscaler's step", fmt.Sprintf(
		`stability_workload_desired_replicas{cluster=%q,namespace=%q,workload="web"} == %d`, s.cluster, s.Name, replicas))
	s.awaitReady("web", replicas)
}

// startingFor makes pods take so long to start, at full length.
func startingFor(start time.Duration) sandbox.TemplateChange {
	return func(t *corev1.PodTemplateSpec) {
		t.Labels[cluster.BehaviourLabel] = string(cluster.SlowStart)
		t.Annotations[cluster.PeriodAnnotation] = (scaled(start) / 5).String() // a slow start takes five of it
	}
}

// updateTo gives a workload another version whose pods are made so.
func updateTo(resource string, change sandbox.TemplateChange) func(*space) {
	return func(s *space) {
		template := sandbox.Template("web", change)
		s.PatchTemplate(resource, object{"metadata": object{"labels": template.Labels, "annotations": template.Annotations}})
		s.awaitRollout(resource)
	}
}

// patient lets Kubernetes wait longer for a rollout, as whoever runs such programs must.
func (s *space) patient() {
	s.T.Helper()
	s.Patch("deployment/web", object{"spec": object{"progressDeadlineSeconds": 3600}})
}

func TestHealthySlowStarts(t *testing.T) {
	// The one is longer than every rule about damage waits. Where nothing runs meanwhile a start may take no longer than
	// the grace; the other one is still longer than the rules about a total loss wait.
	long, short := startingFor(calm+time.Minute), startingFor(4*time.Minute)
	surge := sandbox.Rolling("0", "100%")
	runAll(t, []operation{
		{name: "an update", seen: "rolling", do: updateTo("deployment/web", long), build: func(s *space) {
			served(2, surge)(s)
			s.patient()
		}},
		{name: "an update by halves", seen: "rolling", do: updateTo("deployment/web", long), build: func(s *space) {
			served(4, sandbox.Rolling("50%", "0"))(s)
			s.patient()
		}},
		{name: "an update with a gap", seen: "rolling", do: updateTo("deployment/web", short), build: func(s *space) {
			s.Deployment("web", 2, sandbox.Recreate())
			s.patient()
		}},
		{name: "an update of a single one", seen: "rolling", do: updateTo("statefulset/web", short), build: func(s *space) {
			s.StatefulSet("web", 1)
		}},
		{name: "a new workload that grows", seen: "scaling", do: func(s *space) {
			served(2, surge, short)(s)
			s.patient()
			s.awaitRollout("deployment/web")
			s.Scale("deployment/web", 4)
			s.awaitRollout("deployment/web")
		}},
	})
}
