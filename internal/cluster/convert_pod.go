// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"stability-exporter/internal/state"
)

// maxContainers bounds the containers of each list of a pod, because matching them with their statuses is quadratic.
const maxContainers = 256

func convertPod(p *corev1.Pod, options convertOptions) *state.Pod {
	revision, ok := p.Labels[appsv1.DefaultDeploymentUniqueLabelKey]
	if !ok {
		revision = p.Labels[appsv1.ControllerRevisionHashLabelKey]
	}
	pod := &state.Pod{
		Meta:          identity(p),
		Node:          name(p.Spec.NodeName),
		Labels:        labels(p.Labels),
		Revision:      name(revision),
		Phase:         phase(p.Status.Phase),
		Reason:        reason(p.Status.Reason),
		HasFinalizers: len(p.Finalizers) > 0,
		RestartNever:  p.Spec.RestartPolicy == corev1.RestartPolicyNever,
		Containers:    containers(p),
	}
	if options.Middleware {
		pod.Address = address(p.Status.PodIP)
	}
	for i := range p.Status.Conditions {
		podCondition(pod, &p.Status.Conditions[i])
	}
	if owner := pod.Owner.Kind.String(); owner == "" || owner == "Node" { // the second are mirror pods
		pod.Alone = &state.Alone{
			Template: template(&p.ObjectMeta, inPod, p.Labels, &p.Spec, options), Ignore: ignore(&p.ObjectMeta),
		}
	}
	return pod
}

func phase(p corev1.PodPhase) state.Phase {
	switch p {
	case corev1.PodPending:
		return state.PhasePending
	case corev1.PodRunning:
		return state.PhaseRunning
	case corev1.PodSucceeded:
		return state.PhaseSucceeded
	case corev1.PodFailed:
		return state.PhaseFailed
	}
	return state.PhaseUnknown
}

func podCondition(pod *state.Pod, c *corev1.PodCondition) {
	switch c.Type {
	case corev1.PodReady:
		pod.Ready = tristate(c.Status)
		pod.ReadySince = moment(c.LastTransitionTime.Time)
	case corev1.ContainersReady:
		pod.ContainersReady = tristate(c.Status)
	case corev1.PodReadyToStartContainers, "PodHasNetwork": // the second is its name in Kubernetes 1.25 to 1.27
		pod.SandboxReady = tristate(c.Status)
	case corev1.PodInitialized:
		pod.Initialized = tristate(c.Status)
	case corev1.PodScheduled:
		pod.Scheduled = tristate(c.Status)
		pod.ScheduledSince = moment(c.LastTransitionTime.Time)
		if pod.Scheduled == state.False {
			pod.ScheduledReason = reason(c.Reason)
			if c.Reason == corev1.PodReasonUnschedulable {
				pod.Blocker = state.Sym(blocker(c.Message))
			}
		}
	case corev1.DisruptionTarget:
		if c.Status == corev1.ConditionTrue {
			pod.Disruption = reason(c.Reason)
		}
	}
}

// containers converts init containers first, then app containers, as the spec orders them. Ephemeral containers are
// left out: they are somebody's debugging session.
func containers(p *corev1.Pod) []state.Container {
	inits := p.Spec.InitContainers[:min(len(p.Spec.InitContainers), maxContainers)]
	apps := p.Spec.Containers[:min(len(p.Spec.Containers), maxContainers)]
	all := make([]state.Container, 0, len(inits)+len(apps))
	for i := range inits {
		all = append(all, container(initType(&inits[i]), &inits[i], p.Status.InitContainerStatuses))
	}
	for i := range apps {
		all = append(all, container(state.AppContainer, &apps[i], p.Status.ContainerStatuses))
	}
	return all
}

func container(t state.ContainerType, spec *corev1.Container, statuses []corev1.ContainerStatus) state.Container {
	c := state.Container{
		Name:     name(spec.Name),
		Registry: state.Sym(registry(spec.Image)),
		Type:     t,
		HasStart: spec.StartupProbe != nil,
		HasReady: spec.ReadinessProbe != nil,
	}
	for i := range statuses[:min(len(statuses), maxContainers)] {
		if statuses[i].Name == spec.Name {
			containerStatus(&c, &statuses[i])
			break
		}
	}
	return c
}

func containerStatus(c *state.Container, s *corev1.ContainerStatus) {
	c.Ready = s.Ready
	c.Restarts = count(s.RestartCount)
	switch {
	case s.State.Waiting != nil:
		c.State = state.StateWaiting
		c.Reason = reason(s.State.Waiting.Reason)
	case s.State.Running != nil:
		c.State = state.StateRunning
		c.Since = moment(s.State.Running.StartedAt.Time)
	case s.State.Terminated != nil:
		c.State = state.StateTerminated
		c.Reason = reason(s.State.Terminated.Reason)
		c.ExitCode = s.State.Terminated.ExitCode
		c.Since = moment(s.State.Terminated.FinishedAt.Time)
	}
	// A kubelet that does not say it knows no startup probe.
	c.Started = deref(s.Started, c.State == state.StateRunning && !c.HasStart)
	if last := s.LastTerminationState.Terminated; last != nil {
		c.Last = state.Termination{
			Reason: reason(last.Reason), ExitCode: last.ExitCode,
			Started: moment(last.StartedAt.Time), Finished: moment(last.FinishedAt.Time),
		}
	}
}

// registry returns the host, with its port, that an image comes from. As in a Docker reference the text before the
// first slash is one if it has a dot or a colon or is "localhost"; else the image is of docker.io.
func registry(image string) string {
	const implied = "docker.io"
	host, _, found := strings.Cut(image, "/")
	switch {
	case !found || !isHost(host), host == "index.docker.io":
		return implied
	case len(host) > maxName || strings.Trim(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:-_[]") != "":
		return "invalid"
	}
	return strings.ToLower(host)
}

// isHost tells a registry from the first part of a repository.
func isHost(first string) bool { return strings.ContainsAny(first, ".:") || first == "localhost" }
