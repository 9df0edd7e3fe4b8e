// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"

	"stability-exporter/test/cluster"
)

// web is a Deployment of three that behaves.
func three(s *space, workload string) { s.Deployment(workload, 3, appsv1.DeploymentStrategy{}) }

func allPods(behaviour cluster.Behaviour) func(*space, string) {
	return func(s *space, workload string) { s.Behave(behaviour, s.Pods(workload)...) }
}

// Pods that were fine misbehave, without any change by a person.
func TestLosses(t *testing.T) {
	for _, f := range []fault{
		{name: "total loss", build: three, harm: allPods(cluster.NeverReady), mend: allPods(""), pages: []page{
			{alert: "WorkloadDown", severity: "critical", text: `none of 3 .* 3 readiness_probe`},
		}, beside: []string{"WorkloadHalfDown", "WorkloadDegraded"}},
	} {
		t.Run(f.name, f.run)
	}
}
