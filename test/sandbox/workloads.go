// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"stability-exporter/test/cluster"
)

// TemplateChange changes a pod template before its workload is created.
type TemplateChange func(*corev1.PodTemplateSpec)

// Template is a pod with one container that has all three probes.
func Template(name string, changes ...TemplateChange) corev1.PodTemplateSpec {
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

// Behaving makes all pods of the workload behave so.
func Behaving(behaviour cluster.Behaviour) TemplateChange {
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

// period is the general one, unless the space has slow starts of its own.
func (s *Space) period(behaviour cluster.Behaviour) string {
	if behaviour == cluster.SlowStart && s.SlowStart > 0 {
		return (s.SlowStart / 5).String()
	}
	return period(behaviour)
}

// InZone pins the pods to a zone that is reserved for the test.
func InZone(zone string) TemplateChange {
	return func(t *corev1.PodTemplateSpec) {
		t.Spec.NodeSelector = map[string]string{corev1.LabelTopologyZone: zone}
		t.Spec.Tolerations = append(t.Spec.Tolerations, corev1.Toleration{Key: ReservedTaint, Operator: corev1.TolerationOpExists})
	}
}

// Spread puts as many pods on one node as on the other.
func Spread(t *corev1.PodTemplateSpec) {
	t.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{
		MaxSkew: 1, TopologyKey: corev1.LabelHostname, WhenUnsatisfiable: corev1.DoNotSchedule,
		LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": t.Labels["app"]}},
	}}
}

// WithCompany adds an init container and a sidecar.
func WithCompany(t *corev1.PodTemplateSpec) {
	always := corev1.ContainerRestartPolicyAlways
	t.Spec.InitContainers = []corev1.Container{
		{Name: "proxy", Image: "registry.test/proxy:1", RestartPolicy: &always},
		{Name: "migrate", Image: "registry.test/migrate:1"},
	}
}

// Deployment runs replicas pods; the zero strategy is the API's default of 25 %.
func (s *Space) Deployment(name string, replicas int32, strategy appsv1.DeploymentStrategy, changes ...TemplateChange) {
	s.T.Helper()
	_, err := s.Client().AppsV1().Deployments(s.Name).Create(s.T.Context(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas, Strategy: strategy,
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}},
			Template: Template(name, changes...),
		},
	}, metav1.CreateOptions{})
	if err != nil {
		s.T.Fatalf("cannot create deployment %s: %v", name, err)
	}
}

// Impatient makes rollouts of a deployment hang after three seconds; without it they do after ten minutes.
func (s *Space) Impatient(name string) {
	s.T.Helper()
	s.Patch("deployment/"+name, Object{"spec": Object{"progressDeadlineSeconds": 3}})
}

// Rolling is a strategy; the values are numbers or percentages.
func Rolling(maxUnavailable, maxSurge string) appsv1.DeploymentStrategy {
	unavailable, surge := intstr.Parse(maxUnavailable), intstr.Parse(maxSurge)
	return appsv1.DeploymentStrategy{
		Type:          appsv1.RollingUpdateDeploymentStrategyType,
		RollingUpdate: &appsv1.RollingUpdateDeployment{MaxUnavailable: &unavailable, MaxSurge: &surge},
	}
}

// Recreate is the strategy that replaces everything at once.
func Recreate() appsv1.DeploymentStrategy {
	return appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType}
}

// StatefulSet runs replicas pods, one after the other.
func (s *Space) StatefulSet(name string, replicas int32, changes ...TemplateChange) {
	s.T.Helper()
	_, err := s.Client().AppsV1().StatefulSets(s.Name).Create(s.T.Context(), &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.StatefulSetSpec{
			Replicas: &replicas, ServiceName: name,
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}},
			Template: Template(name, changes...),
		},
	}, metav1.CreateOptions{})
	if err != nil {
		s.T.Fatalf("cannot create statefulset %s: %v", name, err)
	}
}

// DaemonSet runs a pod on every node of the zones a, b and c unless a change says otherwise.
func (s *Space) DaemonSet(name string, maxUnavailable, maxSurge string, changes ...TemplateChange) {
	s.T.Helper()
	unavailable, surge := intstr.Parse(maxUnavailable), intstr.Parse(maxSurge)
	_, err := s.Client().AppsV1().DaemonSets(s.Name).Create(s.T.Context(), &appsv1.DaemonSet{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.DaemonSetSpec{
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}},
			Template: Template(name, changes...),
			UpdateStrategy: appsv1.DaemonSetUpdateStrategy{
				Type:          appsv1.RollingUpdateDaemonSetStrategyType,
				RollingUpdate: &appsv1.RollingUpdateDaemonSet{MaxUnavailable: &unavailable, MaxSurge: &surge},
			},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		s.T.Fatalf("cannot create daemonset %s: %v", name, err)
	}
}

// Service listens on port 80 for the pods that the selector picks.
func (s *Space) Service(name string, selector map[string]string) {
	s.T.Helper()
	_, err := s.Client().CoreV1().Services(s.Name).Create(s.T.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       corev1.ServiceSpec{Selector: selector, Ports: []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromInt32(80)}}},
	}, metav1.CreateOptions{})
	if err != nil {
		s.T.Fatalf("cannot create service %s: %v", name, err)
	}
}

// NewVersion gives a workload another template: of the image tag, and of the behaviour, "" for a healthy one.
func (s *Space) NewVersion(resource, tag string, behaviour cluster.Behaviour) {
	s.T.Helper()
	var value any
	if behaviour != "" {
		value = string(behaviour)
	}
	s.PatchTemplate(resource, Object{
		"metadata": Object{
			"labels":      Object{cluster.BehaviourLabel: value},
			"annotations": Object{"test/version": tag, cluster.PeriodAnnotation: s.period(behaviour)},
		},
	})
}

// PatchTemplate changes the pod template of a workload.
func (s *Space) PatchTemplate(resource string, template Object) {
	s.T.Helper()
	s.Patch(resource, Object{"spec": Object{"template": template}})
}

// Scale asks for so many replicas.
func (s *Space) Scale(resource string, replicas int) {
	s.T.Helper()
	s.Patch(resource, Object{"spec": Object{"replicas": replicas}})
}

// Budget allows no more disruptions than leave so many pods of the app.
func (s *Space) Budget(name string, minAvailable int32) {
	s.T.Helper()
	least := intstr.FromInt32(minAvailable)
	_, err := s.Client().PolicyV1().PodDisruptionBudgets(s.Name).Create(s.T.Context(), &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: policyv1.PodDisruptionBudgetSpec{
			MinAvailable: &least, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		s.T.Fatal(err)
	}
}
