// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"stability-exporter/test/cluster"
	"stability-exporter/test/sandbox"
)

// behindService is a Deployment of three that behaves, behind a Service of the same name.
func behindService(s *space, name string) {
	three(s, name)
	s.Service(name, map[string]string{"app": name})
}

// slowToEnd is a Deployment behind a Service, of pods that take five minutes to end.
func slowToEnd(s *space, name string) {
	s.Deployment(name, 3, appsv1.DeploymentStrategy{}, sandbox.Behaving(cluster.SlowTerminating), func(t *corev1.PodTemplateSpec) {
		minutes := int64(300)
		t.Spec.TerminationGracePeriodSeconds = &minutes
	})
	s.Service(name, map[string]string{"app": name})
}

// forbidPods lets no new pod into the namespace: a quota that is used up.
func forbidPods(s *space) {
	s.T.Helper()
	_, err := s.Client().CoreV1().ResourceQuotas(s.Name).Create(s.T.Context(), &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Name: "pods"},
		Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{corev1.ResourcePods: resource.MustParse("0")}},
	}, metav1.CreateOptions{})
	if err != nil {
		s.T.Fatal(err)
	}
}

// losePods deletes all pods of an app while no new ones may be made.
func losePods(s *space, app string) {
	s.T.Helper()
	if list := s.Kubectl("get", "quota", "--output=name"); list == "" {
		forbidPods(s)
	}
	s.Kubectl("delete", "pods", "--selector=app="+app, "--wait=false")
}

// regainPods lets new pods in, and has the controllers notice at once: they retry ever more rarely.
func regainPods(s *space, app string) {
	s.T.Helper()
	s.Kubectl("delete", "quota", "pods", "--ignore-not-found")
	s.Kubectl("rollout", "restart", "deployment/"+app)
}

// selects points a Service at the pods of an app.
func selects(s *space, service, app string) {
	s.Patch("service/"+service, sandbox.Object{"spec": sandbox.Object{"selector": sandbox.Object{"app": app}}})
}

// aimAt sends a Service's connections to a port of the pods, by its number or name.
func aimAt(s *space, service string, port any) {
	s.Patch("service/"+service, sandbox.Object{"spec": sandbox.Object{"ports": []sandbox.Object{{"port": 80, "targetPort": port}}}})
}

// noEndpoints is the page about a Service that lost its last backend.
func noEndpoints(cause string) []page {
	return []page{{alert: "ServiceNoEndpoints", severity: "critical", text: `lost all its backends.*Cause: .*` + cause}}
}

// misdirected is the page about a Service that never had a backend.
func misdirected(cause string) []page {
	return []page{{alert: "ServiceMisdirected", severity: "warning", text: `no backend.*Cause: .*` + cause}}
}

// runOnServices runs faults whose pages are about the Service of the workload's name.
func runOnServices(t *testing.T, faults []fault) {
	t.Parallel()
	for _, f := range faults {
		f.service = true
		t.Run(f.name, f.run)
	}
}

// Whatever takes the last backend of a Service is an outage of it.
func TestServicesThatLoseTheirBackends(t *testing.T) {
	lost := []string{"WorkloadDown", "WorkloadHalfDown", "WorkloadDegraded", "RolloutStuck"}
	faults := []fault{
		{name: "Service whose pods are not ready", build: behindService, harm: all(cluster.NeverReady), mend: all(""),
			pages: noEndpoints("pods_not_ready"), beside: lost},
		{name: "Service whose pods are gone", build: behindService, harm: losePods, mend: regainPods,
			pages: noEndpoints("pods_missing"), beside: lost},
		{name: "Service whose pods only terminate", build: slowToEnd, harm: losePods, mend: regainPods,
			pages: noEndpoints("only_terminating"), beside: append(lost, "TerminatingStuck")},
		{name: "selector of a live Service mistyped", build: behindService,
			harm:  func(s *space, name string) { selects(s, name, name+"-typo") },
			mend:  func(s *space, name string) { selects(s, name, name) },
			pages: noEndpoints("no_matching_pods")},
		{name: "port of a live Service mistyped", build: behindService,
			harm:  func(s *space, name string) { aimAt(s, name, "htpp") },
			mend:  func(s *space, name string) { aimAt(s, name, 80) },
			pages: noEndpoints("port_mismatch")},
	}
	runOnServices(t, faults)
}

// A new Service that never finds its pods is a mistake, not an outage.
func TestServicesThatNeverHadABackend(t *testing.T) {
	faults := []fault{
		{name: "selector of a new Service mistyped", build: three,
			harm:  func(s *space, name string) { s.Service(name, map[string]string{"app": name + "-typo"}) },
			mend:  func(s *space, name string) { selects(s, name, name) },
			pages: misdirected("no_matching_pods")},
		{name: "port of a new Service mistyped", build: three,
			harm: func(s *space, name string) {
				s.Service(name, map[string]string{"app": "later"})
				aimAt(s, name, "htpp")
				selects(s, name, name)
			},
			mend:  func(s *space, name string) { aimAt(s, name, 80) },
			pages: misdirected("port_mismatch")},
	}
	runOnServices(t, faults)
}

// A Service whose pods somebody scaled away has lost nothing; one whose workload is deleted has.
func TestServiceScaledToZero(t *testing.T) {
	s := newSpace(t)
	behindService(s, "web")
	behindService(s, "shop")
	s.awaitHealthy("web", "shop")
	s.await("both to be served", s.query(`count(stability_service_ready_endpoints{%s} == 3) == 2`))
	s.Scale("deployment/web", 0)
	s.await("nothing to be left", s.query(`stability_service_no_endpoints{%s,service="web",cause="scaled_to_zero"}`))
	deleted := time.Now()
	s.Kubectl("delete", "deployment/shop")
	loss := incident{"workload of a Service deleted", s.about("service", "shop"), noEndpoints("no_matching_pods")}
	loss.awaitPages(t, deleted)
	// The longest of the rules about Services: what has not come when this one does, does not come.
	mistyped := time.Now()
	s.Service("typo", map[string]string{"app": "nobody"})
	mistake := incident{"selector of a new Service mistyped", s.about("service", "typo"), misdirected("no_matching_pods")}
	mistake.awaitPages(t, mistyped)
	mended := time.Now()
	s.Kubectl("delete", "service", "shop", "typo")
	s.Scale("deployment/web", 3)
	loss.awaitResolved(t, mended)
	mistake.awaitResolved(t, mended)
}
