// SPDX-License-Identifier: Apache-2.0

package state

import "testing"

func container(kind ContainerType, state ContainerState, reason string, code int32) Container {
	return Container{Name: Sym("c"), Type: kind, State: state, Reason: Sym(reason), ExitCode: code,
		Ready: state == StateRunning, Started: state == StateRunning}
}

// initAgain is a pod whose init container runs and has been restarted.
func initAgain(restarts int32, last Termination) Pod {
	c := Container{Type: InitContainer, State: StateRunning, Restarts: restarts, Last: last}
	return Pod{Phase: PhasePending, Node: Sym("n"), Initialized: False, SandboxReady: True,
		Containers: []Container{c, container(AppContainer, StateWaiting, "PodInitializing", 0)}}
}

type statusCase struct {
	name     string
	pod      Pod
	status   string
	abnormal string
	cause    string // of a replica that is not available
}

var statusCases = []statusCase{
	{"running", Pod{Phase: PhaseRunning, Ready: True, Containers: []Container{container(AppContainer, StateRunning, "", 0)}}, "Running", "", ""},
	{"not ready", Pod{Phase: PhaseRunning, Ready: False, Containers: []Container{{State: StateRunning, Started: true, HasReady: true}}},
		"Running", "NotReady", "readiness_probe"},
	{"starting", Pod{Phase: PhaseRunning, Ready: False, Containers: []Container{{State: StateRunning, HasStart: true, HasReady: true}}},
		"Running", "NotReady", "startup_probe"},
	{"a gate is closed", Pod{Phase: PhaseRunning, Ready: False, ContainersReady: True, Containers: []Container{container(AppContainer, StateRunning, "", 0)}},
		"Running", "", "readiness_gate"},
	{"flapping", Pod{Phase: PhaseRunning, Ready: False, Containers: []Container{{State: StateRunning, HasReady: true, Restarts: 5,
		Last: Termination{Finished: 1000}}}}, "Running", "NotReady", "crash_loop"},
	{"pending", Pod{Phase: PhasePending, Scheduled: False, ScheduledReason: Sym("Unschedulable")}, "Pending", "Pending", "unschedulable"},
	{"gated", Pod{Phase: PhasePending, Scheduled: False, ScheduledReason: Sym("SchedulingGated")}, "SchedulingGated", "SchedulingGated", "scheduling_gated"},
	{"creating", Pod{Phase: PhasePending, Node: Sym("n"), Containers: []Container{container(AppContainer, StateWaiting, "ContainerCreating", 0)}},
		"ContainerCreating", "ContainerCreating", "volume_or_sandbox"},
	{"no sandbox", Pod{Phase: PhasePending, Node: Sym("n"), SandboxReady: False, Initialized: False,
		Containers: []Container{container(InitContainer, StateWaiting, "PodInitializing", 0)}}, "Init:0/1", "Init", "volume_or_sandbox"},
	{"init runs", Pod{Phase: PhasePending, Node: Sym("n"), Initialized: False, SandboxReady: True, Containers: []Container{
		container(InitContainer, StateTerminated, "Completed", 0), {Type: InitContainer, State: StateRunning, Started: false}, container(AppContainer, StateWaiting, "PodInitializing", 0)}},
		"Init:1/2", "Init", "init"},
	{"init crashes", Pod{Phase: PhasePending, Node: Sym("n"), Initialized: False, Containers: []Container{
		container(InitContainer, StateWaiting, "CrashLoopBackOff", 0), container(AppContainer, StateWaiting, "PodInitializing", 0)}},
		"Init:CrashLoopBackOff", "CrashLoopBackOff", "crash_loop"},
	{"init runs after its first crash", initAgain(1, Termination{ExitCode: 1, Finished: 1090}), "Init:0/1", "Init", "crash_loop"},
	{"init runs after many crashes", initAgain(7, Termination{ExitCode: 1, Finished: 700}), "Init:0/1", "Init", "crash_loop"},
	{"init runs long after its only crash", initAgain(1, Termination{ExitCode: 1, Finished: 900}), "Init:0/1", "Init", "init"},
	{"init runs once more in a new sandbox", initAgain(3, Termination{Finished: 1090}), "Init:0/1", "Init", "init"},
	{"sidecar runs after many crashes", Pod{Phase: PhasePending, Node: Sym("n"), Initialized: False, Containers: []Container{
		{Type: SidecarContainer, State: StateRunning, HasStart: true, Restarts: 7, Last: Termination{ExitCode: 1, Finished: 1000}}}},
		"Init:0/1", "Init", "crash_loop"},
	{"init failed without a reason", Pod{Phase: PhasePending, Node: Sym("n"), Initialized: False, Containers: []Container{
		container(InitContainer, StateTerminated, "", 3)}}, "Init:ExitCode:3", "ExitCode", "crash_loop"},
	{"sidecar runs, app pulls", Pod{Phase: PhasePending, Node: Sym("n"), Initialized: True, Containers: []Container{
		container(SidecarContainer, StateRunning, "", 0), container(AppContainer, StateWaiting, "ImagePullBackOff", 0)}},
		"ImagePullBackOff", "ImagePullBackOff", "image_pull"},
	{"image name", Pod{Phase: PhasePending, Node: Sym("n"), Containers: []Container{container(AppContainer, StateWaiting, "InvalidImageName", 0)}},
		"InvalidImageName", "InvalidImageName", "image_pull"},
	{"configuration", Pod{Phase: PhasePending, Node: Sym("n"), Containers: []Container{container(AppContainer, StateWaiting, "CreateContainerConfigError", 0)}},
		"CreateContainerConfigError", "CreateContainerConfigError", "config_error"},
	{"between two crashes", Pod{Phase: PhaseRunning, Ready: False, Containers: []Container{{State: StateTerminated, Reason: Sym("Error"), ExitCode: 1, Restarts: 2}}},
		"Error", "Error", "crash_loop"},
	{"out of memory", Pod{Phase: PhaseRunning, Ready: False, Containers: []Container{{State: StateTerminated, Reason: Sym("OOMKilled"), ExitCode: 137}}},
		"OOMKilled", "OOMKilled", "crash_loop"},
	{"ended well", Pod{Phase: PhaseSucceeded, Containers: []Container{container(AppContainer, StateTerminated, "Completed", 0)}}, "Completed", "", ""},
	{"evicted", Pod{Phase: PhaseFailed, Reason: Sym("Evicted")}, "Evicted", "Evicted", ""},
	{"going", Pod{Meta: Meta{Deleted: 5}, Phase: PhaseRunning, Ready: True, Containers: []Container{container(AppContainer, StateRunning, "", 0)}},
		"Terminating", "Terminating", ""},
	{"going with its node", Pod{Meta: Meta{Deleted: 5}, Phase: PhaseRunning, Reason: Sym("NodeLost")}, "Unknown", "Unknown", ""},
	{"exit code without a reason", Pod{Phase: PhaseRunning, Containers: []Container{{State: StateTerminated, ExitCode: 7}}}, "ExitCode:7", "ExitCode", "crash_loop"},
}

func TestStatusColumn(t *testing.T) {
	for _, test := range statusCases {
		t.Run(test.name, func(t *testing.T) {
			if got := test.pod.Status(); got != test.status {
				t.Errorf("status %q, want %q", got, test.status)
			}
			if got := test.pod.abnormal(); got != test.abnormal {
				t.Errorf("abnormal %q, want %q", got, test.abnormal)
			}
			if test.cause == "" {
				return
			}
			if got := causeNames[test.pod.unavailableCause(true, 1100)]; got != test.cause {
				t.Errorf("cause %q, want %q", got, test.cause)
			}
		})
	}
}

// Whatever reasons a cluster reports, a workload brings a bounded number of series.
func TestNamesAreBounded(t *testing.T) {
	var counts []Count
	for i := range 500 {
		addCount(&counts, string(rune('A'+i%300)))
	}
	total := int32(0)
	for _, c := range counts {
		total += c.N
	}
	if len(counts) != maxNames || total != 500 {
		t.Errorf("%d names adding up to %d, want %d and 500", len(counts), total, maxNames)
	}
}
