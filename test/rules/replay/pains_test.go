// SPDX-License-Identifier: Apache-2.0

package replay

import "slices"

// pains returns all complaints, in their order.
func pains() []pain {
	return slices.Concat(rolloutPains, scalingPains, restartPains, podPains, nodePains, groupPains, exporterPains)
}

// of are the labels of an alert on a Deployment.
func of(workload string) map[string]string {
	return map[string]string{"namespace": namespace, "workload": workload, "workload_type": "deployment"}
}

const (
	mixin = "kubernetes-monitoring/kubernetes-mixin#"
	ksm   = "kubernetes/kube-state-metrics#"
	k8s   = "kubernetes/kubernetes#"
)

// underDesired is the comparison that most alerts on workloads begin with.
const underDesired = `stability_workload_desired_replicas > stability_workload_available_replicas`
