// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"stability-exporter/test/cluster"
	"stability-exporter/test/exporterproc"
	"stability-exporter/test/sandbox"
)

const heartbeat = "spring.kafka.consumer.heartbeat-interval"

// heartbeatOf is an application's configuration in which somebody wrote the time between two heartbeats.
func heartbeatOf(interval string) map[string]string {
	return map[string]string{"application.yml": fmt.Sprintf("spring:\n  kafka:\n    consumer:\n      group-id: orders\n      heartbeat-interval: %s\n", interval)}
}

// configured mounts a ConfigMap where Spring reads it.
func configured(configMap string) sandbox.TemplateChange {
	return func(t *corev1.PodTemplateSpec) {
		t.Spec.Volumes = append(t.Spec.Volumes, corev1.Volume{Name: "config", VolumeSource: corev1.VolumeSource{
			ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: configMap}},
		}})
		t.Spec.Containers[0].VolumeMounts = append(t.Spec.Containers[0].VolumeMounts, corev1.VolumeMount{Name: "config", MountPath: "/config"})
	}
}

// environment sets a variable of the container.
func environment(name, value string) sandbox.TemplateChange {
	return func(t *corev1.PodTemplateSpec) {
		t.Spec.Containers[0].Env = append(t.Spec.Containers[0].Env, corev1.EnvVar{Name: name, Value: value})
	}
}

// readyOn makes a port, by number or by name, the one that the readiness probe asks.
func readyOn(port intstr.IntOrString) sandbox.TemplateChange {
	return func(t *corev1.PodTemplateSpec) {
		t.Spec.Containers[0].ReadinessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: port}}}
	}
}

// remake gives the pods of a Deployment another container.
func (s *space) remake(name string, change sandbox.TemplateChange) {
	s.T.Helper()
	s.PatchTemplate("deployment/"+name, object{"spec": object{"containers": sandbox.Template(name, change).Spec.Containers}})
}

// configMap creates a ConfigMap, or changes it.
func (s *space) configMap(name string, data map[string]string) {
	s.T.Helper()
	maps := s.Client().CoreV1().ConfigMaps(s.Name)
	object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: data}
	if _, err := maps.Get(s.T.Context(), name, metav1.GetOptions{}); err != nil {
		_, err = maps.Create(s.T.Context(), object, metav1.CreateOptions{})
		must(s.T, err)
		return
	}
	_, err := maps.Update(s.T.Context(), object, metav1.UpdateOptions{})
	must(s.T, err)
}

// grantConfigMaps lets an identity read the ConfigMaps of the namespace, and of no other.
func (s *space) grantConfigMaps(identity string) {
	s.T.Helper()
	rbac, name := s.Client().RbacV1(), metav1.ObjectMeta{Name: identity}
	_, err := rbac.Roles(s.Name).Create(s.T.Context(), &rbacv1.Role{ObjectMeta: name, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"list", "watch"}},
	}}, metav1.CreateOptions{})
	must(s.T, err)
	_, err = rbac.RoleBindings(s.Name).Create(s.T.Context(), &rbacv1.RoleBinding{
		ObjectMeta: name,
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: identity}},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: identity},
	}, metav1.CreateOptions{})
	must(s.T, err)
}

// scrutinized is a space whose exporter may read ConfigMaps and has a cluster label of its own.
func scrutinized(t *testing.T, name, identity string) *space {
	t.Helper()
	s := newSpace(t)
	kubeconfig, err := exporterproc.Grant(t.Context(), shared.cluster, identity)
	must(t, err)
	s.grantConfigMaps(identity)
	config := filepath.Join(t.TempDir(), "config.yaml")
	write(t, config, fmt.Sprintf("checks:\n  configmap_namespaces: [%s]\n", s.Name))
	watch(t, name, "--kubeconfig="+kubeconfig, "--namespace="+s.Name, "--no-collector.node", "--config.file="+config)
	s.cluster = name
	// The exporter of the other tests tells what it can see of it.
	shared.claims.add(model.LabelSet{"cluster": mainCluster, "namespace": model.LabelValue(s.Name)})
	return s
}

// The case that founded the checks: a Kafka consumer meant to send a heartbeat every seven seconds sends one every seven
// milliseconds, since the number has no unit. It is found wherever it stands, and what has a unit is left alone.
func TestSuspectedIntervals(t *testing.T) {
	s := scrutinized(t, "intervals", "exporter-14")
	began := time.Now()
	s.configMap("orders", heartbeatOf("7"))
	s.configMap("plain", heartbeatOf("7s"))
	s.Deployment("orders", 1, appsv1.DeploymentStrategy{}, configured("orders"))
	s.Deployment("billing", 1, appsv1.DeploymentStrategy{}, environment("SPRING_KAFKA_CONSUMER_HEARTBEATINTERVAL", "7"))
	s.Deployment("plain", 1, appsv1.DeploymentStrategy{}, configured("plain"))
	s.Deployment("exact", 1, appsv1.DeploymentStrategy{}, environment("SPRING_KAFKA_CONSUMER_HEARTBEATINTERVAL", "7000"))
	suspect := func(workload model.LabelValue) incident {
		return incident{"heartbeat of 7 ms", s.about("workload", workload, "container", "app", "key", heartbeat), []page{
			{alert: "IntervalSuspect", severity: "warning", text: string(workload) + `.*` + heartbeat + ` is in effect 7ms; probably 7s was meant`},
		}}
	}
	suspect("orders").awaitPages(t, began)
	suspect("billing").awaitPages(t, began)
	mended := time.Now()
	s.configMap("orders", heartbeatOf("7s"))
	s.remake("billing", environment("SPRING_KAFKA_CONSUMER_HEARTBEATINTERVAL", "PT7S"))
	suspect("orders").awaitResolved(t, mended)
	suspect("billing").awaitResolved(t, mended)
	s.await("the mended value", s.query(fmt.Sprintf(`stability_interval_effective_seconds{%%s,workload="orders",key=%q} == 7`, heartbeat)))
	shared.falseAlarms(t, ofCluster(s.cluster))
}

// A readiness probe that asks a port by a name that nobody has keeps every new pod from becoming ready: the page about what is lost
// names it.
func TestMisconfigurationIsTheCause(t *testing.T) {
	s := scrutinized(t, "misconfigured", "exporter-15")
	three(s, "web")
	s.awaitHealthy("web")
	broken := incident{"probe of a port that is not there", s.about("workload", "web"), []page{
		{alert: "MisconfigurationCritical", severity: "warning", labels: model.LabelSet{"check": "probe_port_unresolved", "container": "app"},
			text: `deployment .*/web, container app .*check probe_port_unresolved`},
	}}
	down := incident{"probe of a port that is not there", s.about("workload", "web"), []page{
		{alert: "WorkloadDown", severity: "critical", text: `none of 3 .*It is misconfigured: probe_port_unresolved`},
	}}
	began := time.Now()
	s.remake("web", readyOn(intstr.FromString("http-main")))
	broken.awaitPages(t, began)
	// The kubelets of the tests ask no port: what a real one would make of it is done by hand.
	began = time.Now()
	s.awaitRollout("deployment/web")
	all(cluster.NeverReady)(s, "web")
	down.awaitPages(t, began)
	mended := time.Now()
	all("")(s, "web")
	s.remake("web", readyOn(intstr.FromInt32(80)))
	s.awaitRollout("deployment/web")
	broken.awaitResolved(t, mended)
	down.awaitResolved(t, mended)
	shared.falseAlarms(t, ofCluster(s.cluster))
}
