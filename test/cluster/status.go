// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"crypto/sha256"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// healthyStatus is the pod's status as it is, with every container running but the bad one left as it was. Where the
// bad one is an init container, what follows it waits.
func (p *play) healthyStatus() *corev1.PodStatus {
	status := p.pod.Status.DeepCopy()
	if status.StartTime == nil {
		status.StartTime = p.time()
	}
	if status.PodIP == "" {
		status.PodIP = podIP(p.pod)
		status.PodIPs = []corev1.PodIP{{IP: status.PodIP}}
	}
	blocked := false
	before := status.InitContainerStatuses
	status.InitContainerStatuses = nil
	for i := range p.pod.Spec.InitContainers {
		container := &p.pod.Spec.InitContainers[i]
		s := p.containerStatus(container, before)
		switch {
		case blocked:
			wait(&s, "PodInitializing", "")
		case container.Name == p.container:
			blocked = true
		case isSidecar(container):
			p.run(&s, true)
		default:
			p.complete(&s)
		}
		status.InitContainerStatuses = append(status.InitContainerStatuses, s)
	}
	before = status.ContainerStatuses
	status.ContainerStatuses = nil
	for i := range p.pod.Spec.Containers {
		container := &p.pod.Spec.Containers[i]
		s := p.containerStatus(container, before)
		switch {
		case blocked:
			wait(&s, "PodInitializing", "")
		case container.Name != p.container:
			p.run(&s, true)
		}
		status.ContainerStatuses = append(status.ContainerStatuses, s)
	}
	return status
}

func (p *play) containerStatus(container *corev1.Container, before []corev1.ContainerStatus) corev1.ContainerStatus {
	if status := find(before, container.Name); status != nil {
		return *status
	}
	return corev1.ContainerStatus{
		Name: container.Name, Image: container.Image,
		ImageID: fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(container.Image))),
		Started: new(bool),
	}
}

func isSidecar(container *corev1.Container) bool {
	return container.RestartPolicy != nil && *container.RestartPolicy == corev1.ContainerRestartPolicyAlways
}

func find(statuses []corev1.ContainerStatus, name string) *corev1.ContainerStatus {
	for i := range statuses {
		if statuses[i].Name == name {
			return &statuses[i]
		}
	}
	return nil
}

func condition(status *corev1.PodStatus, kind corev1.PodConditionType) *corev1.PodCondition {
	for i := range status.Conditions {
		if status.Conditions[i].Type == kind {
			return &status.Conditions[i]
		}
	}
	return nil
}

// run leaves a running container's start time alone.
func (p *play) run(status *corev1.ContainerStatus, ready bool) {
	if status.State.Running == nil {
		id := sha256.Sum256(fmt.Appendf(nil, "%s/%s/%d", p.pod.UID, status.Name, status.RestartCount))
		status.ContainerID = fmt.Sprintf("containerd://%x", id)
		status.State = corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: *p.time()}}
	}
	status.Ready = ready
	started := true
	status.Started = &started
}

func wait(status *corev1.ContainerStatus, reason, message string) {
	status.State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}
	status.Ready, status.Started = false, new(bool)
}

func (p *play) complete(status *corev1.ContainerStatus) {
	if status.State.Terminated == nil {
		p.terminate(status, 0, "Completed")
	}
	status.Ready = true
}

// terminate ends a container, which has run since its start or, if it never ran, only now.
func (p *play) terminate(status *corev1.ContainerStatus, exitCode int32, reason string) {
	started := *p.time()
	if status.State.Running != nil {
		started = status.State.Running.StartedAt
	}
	status.State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
		ExitCode: exitCode, Reason: reason, StartedAt: started, FinishedAt: *p.time(), ContainerID: status.ContainerID,
	}}
	status.Ready, status.Started = false, new(bool)
}

// time is now in the resolution that the API keeps, so that an unchanged status compares equal.
func (p *play) time() *metav1.Time {
	now := metav1.NewTime(p.now.Truncate(time.Second))
	return &now
}

// summarise derives phase and conditions from the containers, as a kubelet does.
func (p *play) summarise(status *corev1.PodStatus) {
	ended := status.Phase == corev1.PodFailed
	var uninitialized, unready []string
	pending := false
	for i, s := range status.InitContainerStatuses {
		if done := s.State.Terminated != nil && s.State.Terminated.ExitCode == 0; !done {
			if !isSidecar(&p.pod.Spec.InitContainers[i]) {
				pending = true
				uninitialized = append(uninitialized, s.Name)
			} else if !s.Ready {
				unready = append(unready, s.Name)
			}
		}
	}
	for _, s := range status.ContainerStatuses {
		if s.State.Waiting != nil && s.LastTerminationState.Terminated == nil {
			pending = true
		}
		if !s.Ready {
			unready = append(unready, s.Name)
		}
	}
	if !ended {
		status.Phase = corev1.PodRunning
		if pending {
			status.Phase = corev1.PodPending
		}
	}
	reason := "ContainersNotReady"
	if ended {
		reason = "PodFailed"
	}
	p.setCondition(status, corev1.PodReadyToStartContainers, status.PodIP != "" && !ended, "", "")
	p.setCondition(status, corev1.PodInitialized, len(uninitialized) == 0, "ContainersNotInitialized",
		"containers with incomplete status: ["+strings.Join(uninitialized, " ")+"]")
	message := "containers with unready status: [" + strings.Join(unready, " ") + "]"
	p.setCondition(status, corev1.ContainersReady, len(unready) == 0, reason, message)
	p.setCondition(status, corev1.PodReady, len(unready) == 0, reason, message)
}

// setCondition moves the transition time only when the condition changes; reason and message are for the false one.
func (p *play) setCondition(status *corev1.PodStatus, kind corev1.PodConditionType, holds bool, reason, message string) {
	next := corev1.PodCondition{Type: kind, Status: corev1.ConditionTrue, LastTransitionTime: *p.time()}
	if !holds {
		next.Status, next.Reason, next.Message = corev1.ConditionFalse, reason, message
	}
	at := slices.IndexFunc(status.Conditions, func(c corev1.PodCondition) bool { return c.Type == kind })
	if at < 0 {
		status.Conditions = append(status.Conditions, next)
		return
	}
	if before := status.Conditions[at]; before.Status == next.Status {
		next.LastTransitionTime = before.LastTransitionTime
	}
	status.Conditions[at] = next
}

// podIP makes an address up that hardly any two pods share.
func podIP(pod *corev1.Pod) string {
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(pod.UID))
	sum := hash.Sum32()
	return fmt.Sprintf("10.%d.%d.%d", 128+(sum>>16)%128, (sum>>8)%256, sum%256)
}
