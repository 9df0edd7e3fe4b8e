// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	_ "embed"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
)

//go:embed stages.yaml
var stages []byte

// BehaviourLabel on a pod says how it misbehaves; its value is a Behaviour. It may be put on the pod template, and on
// or off a single running pod; a pod without it becomes healthy and keeps its restart count.
const BehaviourLabel = "stability-test/behaviour"

// PeriodAnnotation on a pod changes the pace of its Behaviour: a duration such as 5s, at least one second because
// that is the resolution of the times in a pod's status.
const PeriodAnnotation = "stability-test/period"

// ContainerAnnotation on a pod names the container that misbehaves, also an init container. Without it that is the
// first container; the others are healthy.
const ContainerAnnotation = "stability-test/container"

// Behaviour is what a simulated pod does. The comments say what kubectl get pods shows.
type Behaviour string

// The behaviours. A period is 2 seconds unless PeriodAnnotation says otherwise.
const (
	// NeverReady: Running 0/1, as with a readiness probe that always fails.
	NeverReady Behaviour = "never-ready"
	// CrashLoop: CrashLoopBackOff for a period, Running 0/1 for a second, and so on; one restart each time.
	CrashLoop Behaviour = "crash-loop"
	// ImagePull: ErrImagePull for a period, then ImagePullBackOff.
	ImagePull Behaviour = "image-pull"
	// ConfigError: CreateContainerConfigError.
	ConfigError Behaviour = "config-error"
	// Creating: ContainerCreating for ever, as with a volume that cannot be mounted.
	Creating Behaviour = "creating"
	// SlowStart: Running 0/1 for five periods, then Running 1/1.
	SlowStart Behaviour = "slow-start"
	// OOM: Running 1/1, killed for its memory each period and running again at once; restarts grow.
	OOM Behaviour = "oom"
	// Flapping: Running, 1/1 for a period and 0/1 for the next; no restarts.
	Flapping Behaviour = "flapping"
	// StuckTerminating: Running 1/1; once deleted, Terminating until deleted with a grace period of 0.
	StuckTerminating Behaviour = "stuck-terminating"
	// SlowTerminating: Running 1/1; once deleted, Terminating for its whole grace period.
	SlowTerminating Behaviour = "slow-terminating"
	// RunningOn: Running 1/1; for pods of Jobs, which otherwise complete after a second.
	RunningOn Behaviour = "running"
	// Failed: Running for a period, then Error (phase Failed).
	Failed Behaviour = "failed"
	// Evicted: Evicted (phase Failed), as by a node short of memory.
	Evicted Behaviour = "evicted"
	// Manual: whatever the test writes to the pod's status; nothing else touches it.
	Manual Behaviour = "manual"
)

const (
	defaultPeriod = 2 * time.Second
	// crashAfter is how long a crashing container lives.
	crashAfter = time.Second
)

// play is one pod at one moment on the way to its next status.
type play struct {
	pod       *corev1.Pod
	now       time.Time
	period    time.Duration
	behaviour Behaviour
	container string // that misbehaves
}

func newPlay(pod *corev1.Pod, now time.Time) (*play, error) {
	p := &play{pod: pod, now: now, period: defaultPeriod, behaviour: Behaviour(pod.Labels[BehaviourLabel])}
	if text := pod.Annotations[PeriodAnnotation]; text != "" {
		period, err := time.ParseDuration(text)
		if err != nil || period < time.Second {
			return nil, fmt.Errorf("annotation %s is %q, want a duration of at least 1s", PeriodAnnotation, text)
		}
		p.period = period
	}
	p.container = pod.Annotations[ContainerAnnotation]
	switch {
	case p.container != "":
	case p.behaviour == Creating && len(pod.Spec.InitContainers) > 0:
		p.container = pod.Spec.InitContainers[0].Name
	default:
		p.container = pod.Spec.Containers[0].Name
	}
	return p, nil
}

// next returns the pod's status now and how long until it may change by itself, 0 if never.
func (p *play) next() (*corev1.PodStatus, time.Duration, error) {
	status := p.healthyStatus()
	bad := find(status.InitContainerStatuses, p.container)
	if bad == nil {
		bad = find(status.ContainerStatuses, p.container)
	}
	if bad == nil {
		return nil, 0, fmt.Errorf("annotation %s names no container of the pod: %q", ContainerAnnotation, p.container)
	}
	wait, err := p.misbehave(status, bad)
	if err != nil {
		return nil, 0, err
	}
	p.summarise(status)
	return status, wait, nil
}

// misbehave changes the status of the bad container (and for some behaviours of the whole pod).
func (p *play) misbehave(status *corev1.PodStatus, bad *corev1.ContainerStatus) (time.Duration, error) {
	switch p.behaviour {
	case RunningOn, StuckTerminating, SlowTerminating:
		p.run(bad, true)
	case NeverReady:
		p.run(bad, false)
	case ConfigError:
		wait(bad, "CreateContainerConfigError", `secret "settings" not found`)
	case Creating:
		p.neverCreated(status)
	case ImagePull:
		return p.imagePull(status, bad), nil
	case CrashLoop:
		return p.crashLoop(bad), nil
	case SlowStart:
		p.run(bad, false)
		left := p.left(bad.State.Running.StartedAt.Time, 5*p.period)
		bad.Ready = left == 0
		return left, nil
	case OOM:
		return p.outOfMemory(bad), nil
	case Flapping:
		return p.flap(bad), nil
	case Failed:
		return p.fail(status), nil
	case Evicted:
		p.evict(status)
	default:
		return 0, fmt.Errorf("label %s has the unknown value %q", BehaviourLabel, p.behaviour)
	}
	return 0, nil
}

// left is how much of duration since start is still to come.
func (p *play) left(start time.Time, duration time.Duration) time.Duration {
	return max(0, start.Add(duration).Sub(p.now))
}

func (p *play) imagePull(status *corev1.PodStatus, bad *corev1.ContainerStatus) time.Duration {
	left := p.left(status.StartTime.Time, p.period)
	if left > 0 {
		wait(bad, "ErrImagePull", fmt.Sprintf("failed to pull image %q: not found", bad.Image))
	} else {
		wait(bad, "ImagePullBackOff", fmt.Sprintf("Back-off pulling image %q", bad.Image))
	}
	return left
}

// crashLoop counts as a kubelet does: the first restart comes at once, later ones when their back-off is over.
func (p *play) crashLoop(bad *corev1.ContainerStatus) time.Duration {
	if bad.State.Waiting != nil && bad.LastTerminationState.Terminated != nil {
		left := p.left(bad.LastTerminationState.Terminated.FinishedAt.Time, p.period)
		if left > 0 {
			return left
		}
		bad.RestartCount++
	}
	p.run(bad, false)
	left := p.left(bad.State.Running.StartedAt.Time, crashAfter)
	if left > 0 {
		return left
	}
	p.terminate(bad, 1, "Error")
	bad.LastTerminationState, bad.State = bad.State, corev1.ContainerState{}
	bad.RestartCount = max(1, bad.RestartCount)
	wait(bad, "CrashLoopBackOff", fmt.Sprintf("back-off %s restarting failed container=%s pod=%s_%s(%s)",
		p.period, bad.Name, p.pod.Name, p.pod.Namespace, p.pod.UID))
	return p.period
}

func (p *play) outOfMemory(bad *corev1.ContainerStatus) time.Duration {
	p.run(bad, true)
	left := p.left(bad.State.Running.StartedAt.Time, p.period)
	if left > 0 {
		return left
	}
	p.terminate(bad, 137, "OOMKilled")
	bad.LastTerminationState, bad.State = bad.State, corev1.ContainerState{}
	bad.RestartCount++
	p.run(bad, true)
	return p.period
}

func (p *play) flap(bad *corev1.ContainerStatus) time.Duration {
	before := condition(&p.pod.Status, corev1.PodReady)
	if bad.State.Running == nil || before == nil {
		p.run(bad, true)
		return p.period
	}
	ready := before.Status == corev1.ConditionTrue
	left := p.left(before.LastTransitionTime.Time, p.period)
	if left == 0 {
		ready, left = !ready, p.period
	}
	p.run(bad, ready)
	return left
}

func (p *play) fail(status *corev1.PodStatus) time.Duration {
	if left := p.left(status.StartTime.Time, p.period); left > 0 {
		return left
	}
	for i := range status.ContainerStatuses {
		p.terminate(&status.ContainerStatuses[i], 1, "Error")
	}
	status.Phase = corev1.PodFailed
	return 0
}

func (p *play) evict(status *corev1.PodStatus) {
	status.InitContainerStatuses, status.ContainerStatuses = nil, nil
	status.Phase, status.Reason = corev1.PodFailed, "Evicted"
	status.Message = "The node was low on resource: memory."
}

func (p *play) neverCreated(status *corev1.PodStatus) {
	reason := "ContainerCreating"
	if len(status.InitContainerStatuses) > 0 {
		reason = "PodInitializing"
	}
	for i := range status.InitContainerStatuses {
		status.InitContainerStatuses[i].Ready = false
		wait(&status.InitContainerStatuses[i], reason, "")
	}
	for i := range status.ContainerStatuses {
		wait(&status.ContainerStatuses[i], reason, "")
	}
	status.PodIP, status.PodIPs = "", nil
}
