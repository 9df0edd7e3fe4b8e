// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"strings"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"stability-exporter/internal/state"
)

func convertCronJob(c *batchv1.CronJob, _ convertOptions) *state.CronJob {
	return &state.CronJob{Meta: identity(c), Suspended: deref(c.Spec.Suspend, false)}
}

func convertJob(j *batchv1.Job, _ convertOptions) *state.Job {
	job := &state.Job{Meta: identity(j), Active: count(j.Status.Active), Finished: momentOf(j.Status.CompletionTime)}
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
	}
}

func convertService(s *corev1.Service, _ convertOptions) *state.Service {
	service := &state.Service{Meta: identity(s), Portless: len(s.Spec.Ports) == 0}
	if s.Spec.Type != corev1.ServiceTypeExternalName {
		service.Selector = state.SelectorFromMap(s.Spec.Selector)
	}
	return service
}

// maxEndpoints is what the API accepts in one EndpointSlice.
const maxEndpoints = 1000

func convertEndpointSlice(e *discoveryv1.EndpointSlice, _ convertOptions) *state.EndpointSlice {
	slice := &state.EndpointSlice{
		Meta:     identity(e),
		Service:  name(e.Labels[discoveryv1.LabelServiceName]),
		HasPorts: len(e.Ports) > 0,
	}
	for i := range e.Endpoints[:min(len(e.Endpoints), maxEndpoints)] {
		endpoint := &e.Endpoints[i]
		target := ""
		switch {
		case endpoint.TargetRef != nil && endpoint.TargetRef.UID != "":
			target = string(endpoint.TargetRef.UID)
		case len(endpoint.Addresses) > 0:
			target = endpoint.Addresses[0]
		default:
			continue
		}
		// The API reads an absent ready as true and an absent serving (before 1.22) as equal to ready.
		ready := deref(endpoint.Conditions.Ready, true)
		slice.Endpoints = append(slice.Endpoints, state.Endpoint{
			Target:      state.ParseUID(target),
			Serving:     deref(endpoint.Conditions.Serving, ready),
			Terminating: deref(endpoint.Conditions.Terminating, false),
		})
	}
	return slice
}
