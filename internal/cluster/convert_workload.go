// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"math"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"stability-exporter/internal/state"
)

const (
	revisionAnnotation = "deployment.kubernetes.io/revision"
	// defaultProgressDeadline and the strategies below are what the API server fills in; a manifest may lack them.
	defaultProgressDeadline = 600
	defaultTerminationGrace = 30
)

func workload(k state.Kind, m *metav1.ObjectMeta, pods *corev1.PodTemplateSpec, options convertOptions) *state.Workload {
	t := template(m, inTemplate, pods.Labels, &pods.Spec, options)
	return &state.Workload{
		Meta:             identity(m),
		Kind:             k,
		Generation:       m.Generation,
		TerminationGrace: t.Grace,
		TemplateLabels:   t.Labels,
		Info:             info(m.Labels, options.WorkloadLabels),
		Template:         t,
		Ignore:           ignore(m),
	}
}

func convertDeployment(d *appsv1.Deployment, options convertOptions) *state.Workload {
	w := workload(state.Deployments, &d.ObjectMeta, &d.Spec.Template, options)
	w.Desired = count(deref(d.Spec.Replicas, 1))
	w.MinReady = seconds(int64(d.Spec.MinReadySeconds))
	w.Paused = d.Spec.Paused
	_, w.RolledOut = d.Annotations[revisionAnnotation]
	if deadline := deref(d.Spec.ProgressDeadlineSeconds, defaultProgressDeadline); deadline != math.MaxInt32 {
		w.ProgressDeadline = seconds(int64(deadline))
	}
	if d.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType {
		w.Strategy = state.Recreate
	} else {
		rolling := deref(d.Spec.Strategy.RollingUpdate, appsv1.RollingUpdateDeployment{})
		quarter := state.IntOrPercent{Value: 25, Percent: true}
		w.MaxUnavailable = intOrPercent(rolling.MaxUnavailable, quarter)
		w.MaxSurge = intOrPercent(rolling.MaxSurge, quarter)
	}

	s := &d.Status
	w.ObservedGeneration = s.ObservedGeneration
	w.Current, w.Updated = count(s.Replicas), count(s.UpdatedReplicas)
	w.Ready, w.Available = count(s.ReadyReplicas), count(s.AvailableReplicas)
	w.HasStatus = options.Live || s.ObservedGeneration > 0 || len(s.Conditions) > 0 || hasCounts(w)
	w.Progressing = deploymentCondition(s.Conditions, appsv1.DeploymentProgressing)
	w.ReplicaFailure = deploymentCondition(s.Conditions, appsv1.DeploymentReplicaFailure)
	return w
}

func hasCounts(w *state.Workload) bool { return w.Current+w.Updated+w.Ready+w.Available != 0 }

func deploymentCondition(all []appsv1.DeploymentCondition, t appsv1.DeploymentConditionType) state.Condition {
	c := findCondition(all, func(c *appsv1.DeploymentCondition) bool { return c.Type == t })
	updated := c.LastUpdateTime
	if updated.IsZero() {
		updated = c.LastTransitionTime
	}
	return state.Condition{Status: reason(string(c.Status)), Reason: reason(c.Reason), Updated: moment(updated.Time)}
}

func convertStatefulSet(d *appsv1.StatefulSet, options convertOptions) *state.Workload {
	w := workload(state.StatefulSets, &d.ObjectMeta, &d.Spec.Template, options)
	w.Desired = count(deref(d.Spec.Replicas, 1))
	w.MinReady = seconds(int64(d.Spec.MinReadySeconds))
	if d.Spec.UpdateStrategy.Type == appsv1.OnDeleteStatefulSetStrategyType {
		w.Strategy = state.OnDelete
	} else {
		rolling := deref(d.Spec.UpdateStrategy.RollingUpdate, appsv1.RollingUpdateStatefulSetStrategy{})
		w.MaxUnavailable = intOrPercent(rolling.MaxUnavailable, state.IntOrPercent{Value: 1})
		w.Partition = count(deref(rolling.Partition, 0))
	}
	if d.Spec.Ordinals != nil {
		w.FirstOrdinal = count(d.Spec.Ordinals.Start)
	}

	s := &d.Status
	w.ObservedGeneration = s.ObservedGeneration
	w.Current, w.Updated = count(s.Replicas), count(s.UpdatedReplicas)
	w.Ready, w.Available = count(s.ReadyReplicas), count(s.AvailableReplicas)
	w.HasStatus = options.Live || s.ObservedGeneration > 0 || s.UpdateRevision != "" || hasCounts(w)
	w.CurrentRevision, w.UpdateRevision = name(s.CurrentRevision), name(s.UpdateRevision)
	return w
}

func convertDaemonSet(d *appsv1.DaemonSet, options convertOptions) *state.Workload {
	w := workload(state.DaemonSets, &d.ObjectMeta, &d.Spec.Template, options)
	w.MinReady = seconds(int64(d.Spec.MinReadySeconds))
	if d.Spec.UpdateStrategy.Type == appsv1.OnDeleteDaemonSetStrategyType {
		w.Strategy = state.OnDelete
	} else {
		rolling := deref(d.Spec.UpdateStrategy.RollingUpdate, appsv1.RollingUpdateDaemonSet{})
		w.MaxUnavailable = intOrPercent(rolling.MaxUnavailable, state.IntOrPercent{Value: 1})
		w.MaxSurge = intOrPercent(rolling.MaxSurge, state.IntOrPercent{})
	}

	s := &d.Status
	w.ObservedGeneration = s.ObservedGeneration
	w.Desired = count(s.DesiredNumberScheduled)
	w.Current, w.Updated = count(s.CurrentNumberScheduled), count(s.UpdatedNumberScheduled)
	w.Ready, w.Available = count(s.NumberReady), count(s.NumberAvailable)
	w.Misscheduled = count(s.NumberMisscheduled)
	w.HasStatus = options.Live || s.ObservedGeneration > 0 || w.Desired > 0 || hasCounts(w)
	return w
}

// convertFreeReplicaSet converts a whole ReplicaSet as a workload of its own. It returns nil for one that a Deployment
// controls: that Deployment is the workload.
func convertFreeReplicaSet(d *appsv1.ReplicaSet, options convertOptions) *state.Workload {
	if m := identity(d); controlledByDeployment(&m) {
		return nil
	}
	w := workload(state.ReplicaSets, &d.ObjectMeta, &d.Spec.Template, options)
	w.Desired = count(deref(d.Spec.Replicas, 1))
	w.MinReady = seconds(int64(d.Spec.MinReadySeconds))
	w.Strategy = state.OnDelete // a ReplicaSet by itself never replaces pods of an old template

	s := &d.Status
	w.ObservedGeneration = s.ObservedGeneration
	w.Current = count(s.Replicas)
	w.Updated = w.Current
	w.Ready, w.Available = count(s.ReadyReplicas), count(s.AvailableReplicas)
	w.HasStatus = options.Live || s.ObservedGeneration > 0 || len(s.Conditions) > 0 || hasCounts(w)
	failure := findCondition(s.Conditions, func(c *appsv1.ReplicaSetCondition) bool {
		return c.Type == appsv1.ReplicaSetReplicaFailure
	})
	w.ReplicaFailure = state.Condition{
		Status: reason(string(failure.Status)), Reason: reason(failure.Reason), Updated: moment(failure.LastTransitionTime.Time),
	}
	return w
}

func controlledByDeployment(m *state.Meta) bool { return m.Owner.Kind.String() == "Deployment" }

// convertReplicaSet converts the metadata of a ReplicaSet.
func convertReplicaSet(o metav1.Object, _ convertOptions) *state.ReplicaSet {
	revision, err := strconv.ParseInt(o.GetAnnotations()[revisionAnnotation], 10, 64)
	if err != nil {
		revision = 0
	}
	return &state.ReplicaSet{
		Meta:         identity(o),
		TemplateHash: name(o.GetLabels()[appsv1.DefaultDeploymentUniqueLabelKey]),
		Revision:     max(revision, 0),
	}
}

// convertNamespace converts the metadata of a Namespace.
func convertNamespace(o metav1.Object, _ convertOptions) *state.Namespace {
	return &state.Namespace{Meta: identity(o)}
}

// convertRevision converts the metadata of a ControllerRevision. Pods of a StatefulSet carry its whole name, pods of a
// DaemonSet the hash that it has as a label.
func convertRevision(o metav1.Object, _ convertOptions) *state.Revision {
	r := &state.Revision{Meta: identity(o)}
	hash, ok := o.GetLabels()[appsv1.ControllerRevisionHashLabelKey]
	if !ok || r.Owner.Kind.String() == "StatefulSet" {
		hash = r.Name
	}
	r.Hash = name(hash)
	return r
}
