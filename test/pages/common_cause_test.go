// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"stability-exporter/test/cluster"
	"stability-exporter/test/sandbox"
)

// Many workloads of a namespace are damaged at once: that is told once, but what is down is told as well.
func TestNamespaceDamaged(t *testing.T) {
	s := newSpace(t)
	var damaged []string
	for i := range 5 {
		damaged = append(damaged, fmt.Sprintf("web-%d", i))
		three(s, damaged[i])
	}
	three(s, "shop")
	s.awaitHealthy(append(damaged, "shop")...)
	many := incident{"namespace damaged", s.about(), []page{
		{alert: "NamespaceDamaged", severity: "critical", text: `5 of 6 workloads of namespace ` + s.Name + `.*5 readiness_probe`},
	}}
	began := time.Now()
	for _, workload := range damaged {
		some(1, cluster.NeverReady)(s, workload)
	}
	many.awaitPages(t, began)
	one := incident{"namespace damaged", s.about("workload", "web-0"), []page{{alert: "WorkloadDegraded", severity: "warning", quiet: true}}}
	shared.claims.add(s.about("alertname", "StabilityWorkloadDegraded"))
	one.awaitPages(t, began)
	down := incident{"total loss in a damaged namespace", s.about("workload", "shop"), []page{
		{alert: "WorkloadDown", severity: "critical", text: `none of 3 .*3 readiness_probe`},
	}}
	began = time.Now()
	all(cluster.NeverReady)(s, "shop")
	down.awaitPages(t, began)
	mended := time.Now()
	for _, workload := range append(damaged, "shop") {
		all("")(s, workload)
	}
	many.awaitResolved(t, mended)
	down.awaitResolved(t, mended)
}

// Three workloads cannot pull from one registry: suspect the registry. Of another registry's workload it says nothing.
func TestRegistryDown(t *testing.T) {
	s := newSpace(t)
	const registry = "registry-outage.test"
	names := []string{"web", "shop", "mail"}
	for _, alert := range []string{"WorkloadDown", "WorkloadHalfDown", "WorkloadDegraded", "RolloutStuck"} {
		shared.claims.add(s.about("alertname", page{alert: alert}.full()))
	}
	began := time.Now()
	for _, name := range names {
		pullingFrom(s, name, registry)
	}
	pullingFrom(s, "alien", "registry-elsewhere.test")
	down := incident{"registry down", ofCluster(mainCluster).Merge(ofRegistry(registry)), []page{
		{alert: "RegistryDown", severity: "critical", text: `3 workloads .*` + registry + `.*` + s.Name},
	}}
	down.awaitPages(t, began)
	// Nothing is expected of a young workload for as long as the grace.
	other := incident{"image of a new workload cannot be pulled", s.about("workload", "alien"), []page{
		{alert: "WorkloadDown", severity: "critical", late: unscaled(shared.grace), text: `none of 3 .*3 image_pull`},
	}}
	shared.claims.add(s.about("workload", "alien", "alertname", "StabilityImagePullFailing"))
	other.awaitPages(t, began)
	for i, name := range names {
		failing := incident{"", s.about("workload", model.LabelValue(name)).Merge(ofRegistry(registry)), []page{
			{alert: "ImagePullFailing", severity: "warning", quiet: true},
		}}
		failing.claim()
		if i == 0 {
			failing.awaitPages(t, began)
		}
	}
	mended := time.Now()
	for _, name := range append(names, "alien") {
		s.NewVersion("deployment/"+name, "2", "")
	}
	down.awaitResolved(t, mended)
	other.awaitResolved(t, mended)
}

func ofRegistry(host string) model.LabelSet {
	return model.LabelSet{"registry": model.LabelValue(host)}
}

// pullingFrom is a Deployment of three whose image cannot be pulled.
func pullingFrom(s *space, name, registry string) {
	s.Deployment(name, 3, appsv1.DeploymentStrategy{}, sandbox.Behaving(cluster.ImagePull), func(t *corev1.PodTemplateSpec) {
		t.Spec.Containers[0].Image = registry + "/app:1.0"
	})
}
