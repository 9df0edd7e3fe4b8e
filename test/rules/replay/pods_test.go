// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// pod is a pod and the world in which it lives.
type pod struct {
	*corev1.Pod
	w    *world
	node *node // nil while it is not scheduled
}

// stamp completes the metadata of a namespaced object.
func (w *world) stamp(kind string, m *metav1.ObjectMeta, age time.Duration) {
	if m.Namespace == "" {
		m.Namespace = namespace
	}
	m.UID = types.UID(kind + "/" + m.Namespace + "/" + m.Name + "/" + w.now.Format(time.RFC3339))
	m.CreationTimestamp = w.ago(age)
}

func (w *world) ago(d time.Duration) metav1.Time { return metav1.NewTime(w.now.Add(-d)) }

func controlledBy(kind string, o object) []metav1.OwnerReference {
	return []metav1.OwnerReference{{Kind: kind, Name: o.GetName(), UID: o.GetUID(), Controller: new(true)}}
}

// template is the pod template of all that is played: one container, probed for readiness.
func template(app string) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": app}},
		Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyAlways,
			Containers: []corev1.Container{{
				Name: "app", Image: "registry.example.com/shop/" + app + ":1", ReadinessProbe: &corev1.Probe{PeriodSeconds: 10},
			}},
		},
	}
}

// addPod creates a pod on the node, nil being none, and makes it what it becomes.
func (w *world) addPod(m metav1.ObjectMeta, spec corev1.PodSpec, on *node, age time.Duration, become func(*pod)) *pod {
	w.stamp("pod", &m, age)
	p := &pod{Pod: &corev1.Pod{ObjectMeta: m, Spec: *spec.DeepCopy()}, w: w, node: on}
	p.Status.Phase = corev1.PodPending
	if on != nil {
		p.Spec.NodeName = on.Name
		p.condition(corev1.PodScheduled, corev1.ConditionTrue, "")
		p.condition(corev1.PodInitialized, corev1.ConditionTrue, "")
		p.condition(corev1.PodReadyToStartContainers, corev1.ConditionTrue, "")
	}
	w.pods = append(w.pods, p)
	p.become(become)
	for i := range p.Status.Conditions {
		p.Status.Conditions[i].LastTransitionTime = p.CreationTimestamp
	}
	w.put(p.Pod)
	return p
}

// become changes the pod and tells everybody.
func (p *pod) become(change func(*pod)) *pod {
	change(p)
	p.w.put(p.Pod)
	return p
}

// vanish deletes the pod at once.
func (p *pod) vanish() {
	p.w.pods = slices.DeleteFunc(p.w.pods, func(other *pod) bool { return other == p })
	p.w.remove(p.Pod)
}

// live says that the pod is neither ended nor being deleted.
func (p *pod) live() bool {
	return p.DeletionTimestamp == nil && p.Status.Phase != corev1.PodFailed && p.Status.Phase != corev1.PodSucceeded
}

func (p *pod) isReady() bool {
	return slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

func (p *pod) condition(of corev1.PodConditionType, status corev1.ConditionStatus, reason string) *corev1.PodCondition {
	i := slices.IndexFunc(p.Status.Conditions, func(c corev1.PodCondition) bool { return c.Type == of })
	if i < 0 {
		i = len(p.Status.Conditions)
		p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{Type: of})
	}
	c := &p.Status.Conditions[i]
	if c.Status != status {
		c.LastTransitionTime = p.w.ago(0)
	}
	c.Status, c.Reason = status, reason
	return c
}

// serving sets the conditions that follow from the containers.
func (p *pod) serving(yes bool) {
	status, reason := corev1.ConditionTrue, ""
	if !yes {
		status, reason = corev1.ConditionFalse, "ContainersNotReady"
	}
	p.condition(corev1.PodReady, status, reason)
	p.condition(corev1.ContainersReady, status, reason)
}

// container returns the status of the container of a name, making it when it is the first.
func (p *pod) container(name string) *corev1.ContainerStatus {
	list := &p.Status.ContainerStatuses
	if slices.ContainsFunc(p.Spec.InitContainers, func(c corev1.Container) bool { return c.Name == name }) {
		list = &p.Status.InitContainerStatuses
	}
	i := slices.IndexFunc(*list, func(c corev1.ContainerStatus) bool { return c.Name == name })
	if i < 0 {
		i = len(*list)
		*list = append(*list, corev1.ContainerStatus{Name: name, State: corev1.ContainerState{
			Running: &corev1.ContainerStateRunning{StartedAt: p.w.ago(0)},
		}})
	}
	return &(*list)[i]
}

// initialized ends the init containers that have not restarted, and starts the sidecars.
func (p *pod) initialized() {
	for _, c := range p.Spec.InitContainers {
		s := p.container(c.Name)
		s.Ready, s.Started = true, new(true)
		if c.RestartPolicy == nil {
			s.State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "Completed", FinishedAt: p.w.ago(0)}}
		}
	}
}

// What pods become.

func ready(p *pod) {
	p.initialized()
	p.Status.Phase = corev1.PodRunning
	for _, c := range p.Spec.Containers {
		s := p.container(c.Name)
		s.Ready, s.Started = true, new(true)
		s.State = corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: p.w.ago(0)}}
	}
	p.serving(true)
}

func starting(p *pod) {
	p.Status.Phase = corev1.PodPending
	p.container("app").State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ContainerCreating"}}
	p.serving(false)
}

// unready runs and fails its readiness probe.
func unready(p *pod) {
	ready(p)
	p.container("app").Ready = false
	p.serving(false)
}

func waiting(reason string) func(*pod) {
	return func(p *pod) {
		s := p.container("app")
		s.Ready, s.Started = false, new(false)
		s.State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason}}
		p.serving(false)
	}
}

// restarted is a container that has ended and runs again.
func restarted(container, reason string, exit int32) func(*pod) {
	return func(p *pod) {
		s := p.container(container)
		s.RestartCount++
		s.LastTerminationState.Terminated = &corev1.ContainerStateTerminated{Reason: reason, ExitCode: exit, FinishedAt: p.w.ago(0)}
		s.State = corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: p.w.ago(0)}}
	}
}

// backingOff is a container that has ended once more and is not started again yet.
func backingOff(p *pod) {
	restarted("app", "Error", 1)(p)
	p.Status.Phase = corev1.PodRunning
	waiting("CrashLoopBackOff")(p)
}

func unschedulable(message string) func(*pod) {
	return func(p *pod) {
		c := p.condition(corev1.PodScheduled, corev1.ConditionFalse, corev1.PodReasonUnschedulable)
		c.Message = message
	}
}

func gated(p *pod) {
	p.condition(corev1.PodScheduled, corev1.ConditionFalse, corev1.PodReasonSchedulingGated)
}

// lostWith is what the node lifecycle controller makes of a pod whose node is silent.
func lostWith(p *pod) { p.condition(corev1.PodReady, corev1.ConditionFalse, "") }

// evicted was ended by the kubelet for want of resources and stays for somebody to look at.
func evicted(p *pod) {
	p.Status.Phase, p.Status.Reason = corev1.PodFailed, "Evicted"
	p.condition(corev1.DisruptionTarget, corev1.ConditionTrue, "TerminationByKubelet")
	p.serving(false)
	for i := range p.Status.ContainerStatuses {
		s := &p.Status.ContainerStatuses[i]
		s.Ready, s.State = false, corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
			Reason: "Error", ExitCode: 137, FinishedAt: p.w.ago(0),
		}}
	}
}

// evictedByAPI is being deleted because somebody drains its node.
func evictedByAPI(p *pod) {
	p.condition(corev1.DisruptionTarget, corev1.ConditionTrue, "EvictionByEvictionAPI")
	deleted(30 * time.Second)(p)
}

// preempted makes room for a more important pod.
func preempted(p *pod) {
	p.condition(corev1.DisruptionTarget, corev1.ConditionTrue, corev1.PodReasonPreemptionByScheduler)
	deleted(30 * time.Second)(p)
}

// ended has done its work.
func ended(exit int32) func(*pod) {
	return func(p *pod) {
		p.Status.Phase = corev1.PodSucceeded
		reason := "Completed"
		if exit != 0 {
			p.Status.Phase, reason = corev1.PodFailed, "Error"
		}
		p.serving(false)
		s := p.container("app")
		s.Ready, s.State = false, corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
			Reason: reason, ExitCode: exit, FinishedAt: p.w.ago(0),
		}}
	}
}

// deleted is being deleted; its deletion timestamp holds the grace period already.
func deleted(grace time.Duration) func(*pod) {
	return func(p *pod) {
		due := p.w.ago(-grace)
		p.DeletionTimestamp = &due
	}
}

// podSpecOf is the spec of the template of an app.
func podSpecOf(app string) corev1.PodSpec { return template(app).Spec }
