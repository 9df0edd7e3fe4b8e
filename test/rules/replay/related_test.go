// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"fmt"
	"reflect"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// addService adds a Service of an app, with endpoints that follow its pods.
func (w *world) addService(app string) {
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: app},
		Spec:       corev1.ServiceSpec{Selector: map[string]string{"app": app}, Ports: []corev1.ServicePort{{Port: 80}}},
	}
	w.stamp("service", &service.ObjectMeta, old)
	w.put(service)
	endpoints := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{Name: app + "-1", Labels: map[string]string{discoveryv1.LabelServiceName: app}},
		Ports:      []discoveryv1.EndpointPort{{Port: new(int32(80))}},
	}
	w.stamp("endpointslice", &endpoints.ObjectMeta, old)
	w.put(endpoints)
	w.controllers = append(w.controllers, func() {
		before := endpoints.Endpoints
		endpoints.Endpoints = nil
		for _, p := range w.pods {
			if p.Labels["app"] != app || p.Status.Phase != corev1.PodRunning {
				continue
			}
			terminating := p.DeletionTimestamp != nil
			endpoints.Endpoints = append(endpoints.Endpoints, discoveryv1.Endpoint{
				TargetRef: &corev1.ObjectReference{Kind: "Pod", Name: p.Name, UID: p.UID},
				Conditions: discoveryv1.EndpointConditions{
					Ready: new(p.isReady() && !terminating), Serving: new(p.isReady()), Terminating: new(terminating),
				},
			})
		}
		if !reflect.DeepEqual(before, endpoints.Endpoints) {
			w.put(endpoints)
		}
	})
}

// addBudget adds a PodDisruptionBudget that wants a number of pods of an app.
func (w *world) addBudget(app string, minAvailable int32) {
	budget := &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: app, Generation: 1},
		Spec: policyv1.PodDisruptionBudgetSpec{
			MinAvailable: new(intstr.FromInt32(minAvailable)), Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": app}},
		},
	}
	w.stamp("poddisruptionbudget", &budget.ObjectMeta, old)
	w.put(budget)
	w.controllers = append(w.controllers, func() {
		before := budget.Status.DeepCopy()
		s := &budget.Status
		*s = policyv1.PodDisruptionBudgetStatus{ObservedGeneration: 1, DesiredHealthy: minAvailable}
		for _, p := range w.pods {
			if p.Labels["app"] == app && p.live() {
				s.ExpectedPods++
				if p.isReady() {
					s.CurrentHealthy++
				}
			}
		}
		if s.ExpectedPods > 0 {
			s.DisruptionsAllowed = max(0, s.CurrentHealthy-s.DesiredHealthy)
		}
		if !reflect.DeepEqual(before, s) {
			w.put(budget)
		}
	})
}

type autoscaler struct {
	*autoscalingv2.HorizontalPodAutoscaler
	d *deployment
}

func (d *deployment) addAutoscaler(smallest, largest int32) *autoscaler {
	a := &autoscaler{d: d, HorizontalPodAutoscaler: &autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Name: d.Name},
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			MinReplicas: &smallest, MaxReplicas: largest,
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{Kind: "Deployment", Name: d.Name},
		},
	}}
	d.w.stamp("hpa", &a.ObjectMeta, old)
	a.say(corev1.ConditionFalse, "DesiredWithinRange")
	return a
}

// say sets the condition ScalingLimited.
func (a *autoscaler) say(limited corev1.ConditionStatus, reason string) {
	a.Status.DesiredReplicas, a.Status.CurrentReplicas = *a.d.Spec.Replicas, *a.d.Spec.Replicas
	a.Status.Conditions = []autoscalingv2.HorizontalPodAutoscalerCondition{
		{Type: autoscalingv2.ScalingActive, Status: corev1.ConditionTrue, Reason: "ValidMetricFound"},
		{Type: autoscalingv2.ScalingLimited, Status: limited, Reason: reason},
	}
	a.d.w.put(a.HorizontalPodAutoscaler)
}

// scale changes the desired number of the target.
func (a *autoscaler) scale(replicas int32) {
	a.Status.LastScaleTime = new(a.d.w.ago(0))
	a.d.scale(replicas)
	a.say(corev1.ConditionFalse, "DesiredWithinRange")
}

type cronJob struct {
	*batchv1.CronJob
	w    *world
	runs int
}

func (w *world) addCronJob(name string) *cronJob {
	c := &cronJob{w: w, CronJob: &batchv1.CronJob{ObjectMeta: metav1.ObjectMeta{Name: name}}}
	w.stamp("cronjob", &c.ObjectMeta, old)
	w.put(c.CronJob)
	return c
}

// run is a run that ends as its pod does; the Job and the pod stay.
func (c *cronJob) run(exit int32) {
	c.runs++
	job := c.w.addJob(fmt.Sprintf("%s-%d", c.Name, c.runs), controlledBy("CronJob", c), ended(exit))
	of := batchv1.JobComplete
	if exit != 0 {
		of = batchv1.JobFailed
	} else {
		job.Status.CompletionTime = new(c.w.ago(0))
	}
	job.Status.Conditions = []batchv1.JobCondition{{Type: of, Status: corev1.ConditionTrue, LastTransitionTime: c.w.ago(0)}}
	c.w.put(job)
}

// addJob adds a Job with one pod.
func (w *world) addJob(name string, owner []metav1.OwnerReference, become func(*pod)) *batchv1.Job {
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: name, OwnerReferences: owner}}
	w.stamp("job", &job.ObjectMeta, 0)
	w.put(job)
	spec := podSpecOf(name)
	spec.RestartPolicy = corev1.RestartPolicyNever
	w.addPod(metav1.ObjectMeta{
		Name: name + "-x", OwnerReferences: controlledBy("Job", job), Labels: map[string]string{"job-name": name},
	}, spec, w.schedule(""), 0, become)
	return job
}
