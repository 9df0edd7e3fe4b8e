// SPDX-License-Identifier: Apache-2.0

package state

import (
	"fmt"
	"strings"
	"time"
)

// cause is why a replica is not available. The order is the order of precedence in which causes are told when a
// workload has more unavailable pods than missing replicas.
type cause uint8

const (
	notCreated cause = iota
	schedulingGated
	unschedulable
	nodeNotReady
	imagePull
	configError
	crashLoop
	initContainers
	volumeOrSandbox
	startupProbe
	readinessProbe
	readinessGate
	minReadyWait
	unknownCause
	causeCount
)

var causeNames = [causeCount]string{
	notCreated: "not_created", schedulingGated: "scheduling_gated", unschedulable: "unschedulable",
	nodeNotReady: "node_not_ready", imagePull: "image_pull", configError: "config_error", crashLoop: "crash_loop",
	initContainers: "init", volumeOrSandbox: "volume_or_sandbox", startupProbe: "startup_probe",
	readinessProbe: "readiness_probe", readinessGate: "readiness_gate", minReadyWait: "min_ready_wait",
	unknownCause: "unknown",
}

// flapWindow and flapRestarts tell a container that is between two crashes from one that merely starts. An init container
// that was started again after an error has crashed, however few times; the first times it must have done so just now, for
// it may well have been unlucky once and run for long.
const (
	flapWindow     = 10 * time.Minute
	flapRestarts   = 3
	initFlapWindow = 2 * time.Minute
)

// unavailableCause says why a live pod is not available. nodeReady is false when its node is known not to be.
func (p *Pod) unavailableCause(nodeReady bool, now Time) cause {
	if p.Scheduled == False && p.Node == (Symbol{}) {
		if p.ScheduledReason.String() == "SchedulingGated" {
			return schedulingGated
		}
		return unschedulable
	}
	if !nodeReady {
		return nodeNotReady
	}
	if c, found := p.containerCause(now); found {
		return c
	}
	switch {
	case p.Ready == True:
		return minReadyWait
	case p.Phase == PhasePending && p.Initialized == False && p.SandboxReady != False:
		return initContainers
	case p.SandboxReady == False || p.Phase == PhasePending:
		return volumeOrSandbox
	case p.ContainersReady == True:
		return readinessGate
	}
	return unknownCause
}

// containerCause is the most telling cause among the containers that are not all right.
func (p *Pod) containerCause(now Time) (cause, bool) {
	worst, found := unknownCause, false
	for i := range p.Containers {
		c := &p.Containers[i]
		if k, ok := c.cause(now); ok && k < worst {
			worst, found = k, true
		}
	}
	return worst, found
}

func (c *Container) cause(now Time) (cause, bool) {
	switch c.State {
	case StateWaiting:
		return waitingCause(c.Reason.String())
	case StateTerminated:
		// An init container that has ended well is done. Anything else is about to be started again.
		return crashLoop, c.Type != InitContainer && c.Restarts > 0 || c.ExitCode != 0
	case StateRunning:
		switch {
		case c.Ready:
			return 0, false
		case c.flaps(now):
			return crashLoop, true
		case c.Type == InitContainer:
			return initContainers, true
		case !c.Started && c.HasStart:
			return startupProbe, true
		case c.HasReady:
			return readinessProbe, true
		}
	}
	return 0, false
}

// flaps reports whether a container that runs but is not ready is between two crashes.
func (c *Container) flaps(now Time) bool {
	switch {
	case c.Type == InitContainer && (c.Restarts == 0 || c.Last.ExitCode == 0):
		return false // a new sandbox has every init container run again
	case c.Type == InitContainer && c.Last.Finished.Within(initFlapWindow, now):
		return true
	}
	return c.Restarts >= flapRestarts && c.Last.Finished.Within(flapWindow, now)
}

func waitingCause(reason string) (cause, bool) {
	switch reason {
	case "CrashLoopBackOff":
		return crashLoop, true
	case "CreateContainerConfigError", "CreateContainerError", "RunContainerError", "PreCreateHookError",
		"PreStartHookError", "PostStartHookError":
		return configError, true
	case "", "ContainerCreating", "PodInitializing":
		return 0, false
	}
	if isImagePull(reason) {
		return imagePull, true
	}
	return 0, false
}

func isImagePull(reason string) bool {
	switch reason {
	case "InvalidImageName", "ErrImageNeverPull", "ImageInspectError", "RegistryUnavailable":
		return true
	}
	return strings.Contains(reason, "Pull")
}

// Status returns what kubectl get pods shows in the column STATUS (printPod in pkg/printers/internalversion).
func (p *Pod) Status() string {
	status := [...]string{"Unknown", "Pending", "Running", "Succeeded", "Failed"}[p.Phase]
	if p.Reason != (Symbol{}) {
		status = p.Reason.String()
	}
	if p.ScheduledReason.String() == "SchedulingGated" && p.Scheduled == False {
		status = "SchedulingGated"
	}
	init, initializing := p.initStatus()
	if initializing {
		status = init
	}
	if !initializing || p.Initialized == True {
		status = p.appStatus(status)
	}
	if p.Deleted != 0 && p.Phase != PhaseSucceeded && p.Phase != PhaseFailed {
		if p.Reason.String() == "NodeLost" {
			return "Unknown"
		}
		return "Terminating"
	}
	return status
}

func (p *Pod) initStatus() (string, bool) {
	total, n := 0, 0
	for i := range p.Containers {
		if p.Containers[i].Type != AppContainer {
			total++
		}
	}
	for i := range p.Containers {
		c := &p.Containers[i]
		switch {
		case c.Type == AppContainer:
			continue
		case c.State == StateTerminated && c.ExitCode == 0, c.Type == SidecarContainer && c.Started:
			n++
			continue
		case c.State == StateTerminated && c.Reason == (Symbol{}):
			return fmt.Sprintf("Init:ExitCode:%d", c.ExitCode), true
		case c.State == StateTerminated, c.State == StateWaiting && c.Reason != (Symbol{}) && c.Reason.String() != "PodInitializing":
			return "Init:" + c.Reason.String(), true
		}
		return fmt.Sprintf("Init:%d/%d", n, total), true
	}
	return "", false
}

func (p *Pod) appStatus(status string) string {
	running := false
	for i := len(p.Containers) - 1; i >= 0; i-- {
		c := &p.Containers[i]
		switch {
		case c.Type != AppContainer:
		case (c.State == StateWaiting || c.State == StateTerminated) && c.Reason != (Symbol{}):
			status = c.Reason.String()
		case c.State == StateTerminated:
			status = fmt.Sprintf("ExitCode:%d", c.ExitCode)
		case c.Ready && c.State == StateRunning:
			running = true
		}
	}
	if status == "Completed" && running {
		if p.Ready == True {
			return "Running"
		}
		return "NotReady"
	}
	return status
}

// abnormal returns the reason under which the pod would catch an eye in kubectl get pods, and "" when it would not. The
// vocabulary is bounded: numbers are cut off.
func (p *Pod) abnormal() string {
	status := p.Status()
	switch status {
	case "Succeeded", "Completed":
		return ""
	case "Running":
		if p.Ready == True || p.allAppContainersReady() {
			return ""
		}
		return "NotReady"
	}
	init := strings.HasPrefix(status, "Init:")
	reason := strings.TrimPrefix(status, "Init:")
	reason, _, _ = strings.Cut(reason, ":")
	if init && (reason == "" || reason[0] >= '0' && reason[0] <= '9') {
		return "Init"
	}
	return reason
}

func (p *Pod) allAppContainersReady() bool {
	n := 0
	for i := range p.Containers {
		c := &p.Containers[i]
		if c.Type == AppContainer || c.Type == SidecarContainer {
			n++
			if !c.Ready {
				return false
			}
		}
	}
	return n > 0
}
