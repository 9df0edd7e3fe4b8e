// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"strings"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"stability-exporter/internal/state"
)

func convertCronJob(c *batchv1.CronJob, options convertOptions) *state.CronJob {
	pods := &c.Spec.JobTemplate.Spec.Template
	cron := &state.CronJob{
		Meta: identity(c), Suspended: deref(c.Spec.Suspend, false), Ignore: ignore(&c.ObjectMeta),
		Template: template(&c.ObjectMeta, inCronJob, pods.Labels, &pods.Spec, options),
	}
	cron.Template.RunsToEnd = true
	return cron
}

func convertJob(j *batchv1.Job, options convertOptions) *state.Job {
	job := &state.Job{Meta: identity(j), Active: count(j.Status.Active), Finished: momentOf(j.Status.CompletionTime)}
	if job.Owner.Kind.String() != "CronJob" {
		pods := &j.Spec.Template
		job.Template, job.Ignore = template(&j.ObjectMeta, inTemplate, pods.Labels, &pods.Spec, options), ignore(&j.ObjectMeta)
		job.Template.RunsToEnd = true
	}
	for i := range j.Status.Conditions {
		c := &j.Status.Conditions[i]
		if c.Status != corev1.ConditionTrue || c.Type != batchv1.JobComplete && c.Type != batchv1.JobFailed {
			continue
		}
		job.Failed = c.Type == batchv1.JobFailed
		if job.Finished == 0 {
			job.Finished = moment(c.LastTransitionTime.Time)
		}
	}
	return job
}

func convertAutoscaler(h *autoscalingv2.HorizontalPodAutoscaler, _ convertOptions) *state.Autoscaler {
	a := &state.Autoscaler{
		Meta:       identity(h),
		TargetKind: reason(strings.ToLower(text(h.Spec.ScaleTargetRef.Kind, maxReason))),
		TargetName: name(h.Spec.ScaleTargetRef.Name),
		LastScale:  momentOf(h.Status.LastScaleTime),
		Pinned:     h.Spec.MaxReplicas > 0 && deref(h.Spec.MinReplicas, 1) >= h.Spec.MaxReplicas,
	}
	for i := range h.Status.Conditions {
		c := &h.Status.Conditions[i]
		switch {
		case c.Type == autoscalingv2.ScalingLimited && c.Status == corev1.ConditionTrue:
			a.Limited = reason(c.Reason)
		case c.Type == autoscalingv2.ScalingActive && c.Status == corev1.ConditionFalse:
			a.Inactive = reason(c.Reason)
		}
	}
	return a
}

func convertBudget(b *policyv1.PodDisruptionBudget, options convertOptions) *state.DisruptionBudget {
	s := &b.Status
	allowed := findCondition(s.Conditions, func(c *metav1.Condition) bool {
		return c.Type == policyv1.DisruptionAllowedCondition
	})
	return &state.DisruptionBudget{
		Meta:               identity(b),
		Selector:           selector(b.Spec.Selector),
		HasStatus:          options.Live || s.ObservedGeneration > 0 || len(s.Conditions) > 0 || s.ExpectedPods > 0,
		DisruptionsAllowed: count(s.DisruptionsAllowed),
		CurrentHealthy:     count(s.CurrentHealthy),
		DesiredHealthy:     count(s.DesiredHealthy),
		ExpectedPods:       count(s.ExpectedPods),
		SyncFailed:         allowed.Reason == policyv1.SyncFailedReason,
		MinAvailable:       written(b.Spec.MinAvailable),
		MaxUnavailable:     written(b.Spec.MaxUnavailable),
		Ignore:             ignore(&b.ObjectMeta),
	}
}

// written converts a limit of a PodDisruptionBudget; nil is one that is not written, or that the API would refuse.
func written(v *intstr.IntOrString) *state.IntOrPercent {
	unreadable := state.IntOrPercent{Value: -1}
	limit := intOrPercent(v, unreadable)
	if limit == unreadable {
		return nil
	}
	return &limit
}
