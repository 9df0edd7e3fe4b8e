// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"stability-exporter/test/cluster"
)

// templateChange changes a pod template before its workload is created.
type templateChange func(*corev1.PodTemplateSpec)

// template is a pod with one container that has all three probes.
func template(name string, changes []templateChange) corev1.PodTemplateSpec {
	probe := &corev1.Probe{ProbeHandler: corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(80)}}}
	grace := int64(1)
	t := corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": name}, Annotations: map[string]string{}},
		Spec: corev1.PodSpec{
			TerminationGracePeriodSeconds: &grace,
			Containers: []corev1.Container{{
				Name: "app", Image: "registry.test/app:1.0", Ports: []corev1.ContainerPort{{ContainerPort: 80}},
				ReadinessProbe: probe, LivenessProbe: probe, StartupProbe: probe,
			}},
		},
	}
	for _, change := range changes {
		change(&t)
	}
	return t
}

// behaving makes all pods of the workload behave so.
func behaving(behaviour cluster.Behaviour) templateChange {
	return func(t *corev1.PodTemplateSpec) {
		t.Labels[cluster.BehaviourLabel] = string(behaviour)
		t.Annotations[cluster.PeriodAnnotation] = period(behaviour)
	}
}

// period is long enough for two crash loops to be told side by side, and otherwise short: a slow start takes five of it.
func period(behaviour cluster.Behaviour) string {
	if behaviour == cluster.CrashLoop {
		return "3s"
	}
	return "1s"
}

// inZone pins the pods to a zone that is reserved for the test.
func inZone(zone string) templateChange {
	return func(t *corev1.PodTemplateSpec) {
		t.Spec.NodeSelector = map[string]string{corev1.LabelTopologyZone: zone}
		t.Spec.Tolerations = append(t.Spec.Tolerations, corev1.Toleration{Key: reservedTaint, Operator: corev1.TolerationOpExists})
	}
}

// spread puts as many pods on one node as on the other.
func spread(t *corev1.PodTemplateSpec) {
	t.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{
		MaxSkew: 1, TopologyKey: corev1.LabelHostname, WhenUnsatisfiable: corev1.DoNotSchedule,
		LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": t.Labels["app"]}},
	}}
}

// withCompany adds an init container and a sidecar.
func withCompany(t *corev1.PodTemplateSpec) {
	always := corev1.ContainerRestartPolicyAlways
	t.Spec.InitContainers = []corev1.Container{
		{Name: "proxy", Image: "registry.test/proxy:1", RestartPolicy: &always},
		{Name: "migrate", Image: "registry.test/migrate:1"},
	}
}

// deployment runs replicas pods; the zero strategy is the API's default of 25 %.
func (s *space) deployment(name string, replicas int32, strategy appsv1.DeploymentStrategy, changes ...templateChange) {
	s.t.Helper()
	_, err := client().AppsV1().Deployments(s.name).Create(s.t.Context(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas, Strategy: strategy,
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}},
			Template: template(name, changes),
		},
	}, metav1.CreateOptions{})
	if err != nil {
		s.t.Fatalf("cannot create deployment %s: %v", name, err)
	}
}

// impatient makes rollouts of a deployment hang after three seconds; without it they do after ten minutes.
func (s *space) impatient(name string) {
	s.t.Helper()
	s.patch("deployment/"+name, object{"spec": object{"progressDeadlineSeconds": 3}})
}

// rolling is a strategy; the values are numbers or percentages.
func rolling(maxUnavailable, maxSurge string) appsv1.DeploymentStrategy {
	unavailable, surge := intstr.Parse(maxUnavailable), intstr.Parse(maxSurge)
	return appsv1.DeploymentStrategy{
		Type:          appsv1.RollingUpdateDeploymentStrategyType,
		RollingUpdate: &appsv1.RollingUpdateDeployment{MaxUnavailable: &unavailable, MaxSurge: &surge},
	}
}

func recreate() appsv1.DeploymentStrategy {
	return appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType}
}

func (s *space) statefulSet(name string, replicas int32, changes ...templateChange) {
	s.t.Helper()
	_, err := client().AppsV1().StatefulSets(s.name).Create(s.t.Context(), &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.StatefulSetSpec{
			Replicas: &replicas, ServiceName: name,
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}},
			Template: template(name, changes),
		},
	}, metav1.CreateOptions{})
	if err != nil {
		s.t.Fatalf("cannot create statefulset %s: %v", name, err)
	}
}

// daemonSet runs a pod on every node of the zones a, b and c unless a change says otherwise.
func (s *space) daemonSet(name string, maxUnavailable, maxSurge string, changes ...templateChange) {
	s.t.Helper()
	unavailable, surge := intstr.Parse(maxUnavailable), intstr.Parse(maxSurge)
	_, err := client().AppsV1().DaemonSets(s.name).Create(s.t.Context(), &appsv1.DaemonSet{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.DaemonSetSpec{
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}},
			Template: template(name, changes),
			UpdateStrategy: appsv1.DaemonSetUpdateStrategy{
				Type:          appsv1.RollingUpdateDaemonSetStrategyType,
				RollingUpdate: &appsv1.RollingUpdateDaemonSet{MaxUnavailable: &unavailable, MaxSurge: &surge},
			},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		s.t.Fatalf("cannot create daemonset %s: %v", name, err)
	}
}

func (s *space) service(name string, selector map[string]string) {
	s.t.Helper()
	_, err := client().CoreV1().Services(s.name).Create(s.t.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       corev1.ServiceSpec{Selector: selector, Ports: []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromInt32(80)}}},
	}, metav1.CreateOptions{})
	if err != nil {
		s.t.Fatalf("cannot create service %s: %v", name, err)
	}
}

// newVersion gives a workload another template: of the image tag, and of the behaviour, "" for a healthy one.
func (s *space) newVersion(resource, tag string, behaviour cluster.Behaviour) {
	s.t.Helper()
	var value any
	if behaviour != "" {
		value = string(behaviour)
	}
	s.patchTemplate(resource, object{
		"metadata": object{
			"labels":      object{cluster.BehaviourLabel: value},
			"annotations": object{"test/version": tag, cluster.PeriodAnnotation: period(behaviour)},
		},
	})
}

func (s *space) patchTemplate(resource string, template object) {
	s.t.Helper()
	s.patch(resource, object{"spec": object{"template": template}})
}

func (s *space) scale(resource string, replicas int) {
	s.t.Helper()
	s.patch(resource, object{"spec": object{"replicas": replicas}})
}
