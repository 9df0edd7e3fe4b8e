// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"

	"stability-exporter/internal/state"
)

// excludeDisruptionLabel keeps the node lifecycle controller away from a node.
const excludeDisruptionLabel = "node.kubernetes.io/exclude-disruption"

// maxNodeConditions bounds the conditions of a node; node-problem-detector adds about twenty.
const maxNodeConditions = 64

func convertNode(n *corev1.Node, _ convertOptions) *state.Node {
	node := &state.Node{
		Meta:     identity(n),
		Zone:     name(firstLabel(n.Labels, corev1.LabelTopologyZone, corev1.LabelFailureDomainBetaZone)),
		Region:   name(firstLabel(n.Labels, corev1.LabelTopologyRegion, corev1.LabelFailureDomainBetaRegion)),
		Cordoned: n.Spec.Unschedulable,
		BootID:   name(n.Status.NodeInfo.BootID),
	}
	_, node.ExcludedFromDisruption = n.Labels[excludeDisruptionLabel]
	for i := range n.Spec.Taints {
		taint := &n.Spec.Taints[i]
		node.Leaving = node.Leaving || announcesRemoval(taint.Key)
		node.Tainted = node.Tainted || taint.Effect == corev1.TaintEffectNoSchedule || taint.Effect == corev1.TaintEffectNoExecute
	}
	for i := range n.Status.Conditions[:min(len(n.Status.Conditions), maxNodeConditions)] {
		c := &n.Status.Conditions[i]
		if c.Type == corev1.NodeReady {
			node.Ready = reason(string(c.Status))
			node.ReadySince = moment(c.LastTransitionTime.Time)
			node.Heartbeat = moment(c.LastHeartbeatTime.Time)
			continue
		}
		node.Conditions = append(node.Conditions, state.NodeCondition{
			Type: reason(string(c.Type)), Status: reason(string(c.Status)), Transitioned: moment(c.LastTransitionTime.Time),
		})
	}
	return node
}

func firstLabel(all map[string]string, keys ...string) string {
	for _, key := range keys {
		if value := all[key]; value != "" {
			return value
		}
	}
	return ""
}

// announcesRemoval reports whether a taint says that the node is about to go. DeletionCandidateOfClusterAutoscaler does
// not: the autoscaler sets it long before it decides, and takes it back.
func announcesRemoval(taint string) bool {
	switch taint {
	case "ToBeDeletedByClusterAutoscaler", // cluster-autoscaler
		"karpenter.sh/disrupted", "karpenter.sh/disruption", // Karpenter 1.x and 0.3x
		"node.cloudprovider.kubernetes.io/shutdown",   // cloud-controller-manager
		"cloud.google.com/impending-node-termination": // GKE
		return true
	}
	return strings.HasPrefix(taint, "aws-node-termination-handler/")
}

// defaultLeaseDuration is what kube-controller-manager and kube-scheduler write unless told otherwise.
const defaultLeaseDuration = 15

func convertLease(l *coordinationv1.Lease, _ convertOptions) *state.Lease {
	lease := &state.Lease{
		Meta:     identity(l),
		Holder:   name(holderHost(deref(l.Spec.HolderIdentity, ""))),
		Duration: seconds(int64(deref(l.Spec.LeaseDurationSeconds, defaultLeaseDuration))),
	}
	if renewed := l.Spec.RenewTime; renewed != nil && moment(renewed.Time) == state.At(renewed.Time) {
		lease.Renewed = renewed.Round(time.Microsecond) // without the monotonic clock or a location that could differ
	}
	return lease
}

// holderHost cuts the random part that client-go's leader election adds to the host name: HOST_UUID.
func holderHost(identity string) string {
	const uuid = len("_6ba7b810-9dad-11d1-80b4-00c04fd430c8")
	if cut := len(identity) - uuid; cut > 0 && identity[cut] == '_' {
		return identity[:cut]
	}
	return identity
}
