// SPDX-License-Identifier: Apache-2.0

package collectors

import (
	"slices"

	"github.com/go-kit/log"

	"stability-exporter/internal/state"
)

var (
	containerRestarts = counter("stability_container_restarts_total",
		"Restarts of the containers of this name in all pods the workload had since the exporter began to watch it. Survives the "+
			"replacement of pods and starts from 0, never from what happened before. workload is empty for pods and Jobs that "+
			"belong to no workload.",
		withLabels(workloadLabels, "container", "container_type")...)
	containerTerminations = sparseCounter("stability_container_terminations_total",
		"How the containers of this name ended, by reason: OOMKilled ran out of memory, SIGKILL was killed otherwise (often a "+
			"liveness probe), Completed left by itself. No series means that none has ended since the exporter began to watch.",
		withLabels(workloadLabels, "container", "reason")...)
	restartDelta = gauge("stability_workload_restart_delta",
		"Container restarts of the workload within the window up to now. 0 means that none is known. Use this instead of "+
			"increase() on the counter: it is right from the first scrape on.",
		withLabels(workloadLabels, "window")...)
	oomKillDelta = gauge("stability_workload_oom_kill_delta",
		"Containers of the workload killed for want of memory within the window up to now. 0 means that none is known.",
		withLabels(workloadLabels, "window")...)
	lastRestart = sparseGauge("stability_workload_last_restart_timestamp_seconds",
		"When a container of this name last ended and was restarted, in Unix seconds, and why it ended. No series means that no "+
			"restart is known.",
		withLabels(workloadLabels, "container", "reason")...)
	restartsSinceInspection = sparseGauge("stability_workload_restarts_since_inspection",
		"Container restarts of the workload since somebody last went over the cluster and was content (POST /-/inspected). "+
			"No series means none, or that nobody ever did: see stability_inspection_baseline_timestamp_seconds.",
		workloadLabels...)
	inspectionBaseline = sparseGauge("stability_inspection_baseline_timestamp_seconds",
		"When somebody last went over the cluster and was content, in Unix seconds. No series means that nobody ever did.")
	podDisruptions = sparseCounter("stability_workload_pod_disruptions_total",
		"Pods the workload lost to something other than its own controller, by reason: eviction, preemption, a taint, a lost or "+
			"stopped node. No series means that none was lost since the exporter began to watch.",
		withLabels(workloadLabels, "reason")...)
)

// restart is the collector of restarts.
type restart struct{}

func restartSpec() Spec {
	return Spec{
		Name:    "restart",
		Help:    "Container restarts, how containers ended, and pods lost to disruptions.",
		Default: true,
		Reads:   workloadKinds | state.KindSet(state.CronJobs, state.Jobs, state.Pods),
		Families: []*Family{
			containerRestarts, containerTerminations, restartDelta, oomKillDelta, restartsSinceInspection,
			inspectionBaseline, lastRestart, podDisruptions,
		},
		New: func(log.Logger) Collector { return restart{} },
	}
}

// Collect implements Collector.
func (restart) Collect(s *state.Snapshot, emit *Emitter) error {
	if !s.Observed(state.KindSet(state.Pods)) {
		return nil
	}
	if s.Inspected != 0 {
		emit.Emit(inspectionBaseline, float64(s.Inspected))
	}
	for i := range s.Restarts {
		r := &s.Restarts[i]
		samples := emit.workload(r.Ref)
		emitContainers(r.Containers, samples)
		for j, window := range state.RestartWindows {
			samples.emit(restartDelta, float64(r.Deltas[j]), window)
		}
		for j, window := range state.OOMWindows {
			samples.emit(oomKillDelta, float64(r.OOMKills[j]), window)
		}
		if s.Inspected != 0 && r.SinceInspection != 0 {
			samples.emit(restartsSinceInspection, float64(r.SinceInspection))
		}
		for _, d := range r.Disruptions {
			if d.N != 0 {
				samples.emit(podDisruptions, float64(d.N), d.Name)
			}
		}
	}
	return nil
}

// emitContainers emits what happened to containers, which are sorted by name. Those of one name but several types (a
// sidecar that used to be an ordinary container) share the series that do not tell the type.
func emitContainers(containers []state.ContainerRestarts, samples subject) {
	for len(containers) > 0 {
		name, n := containers[0].Name, 1
		for n < len(containers) && containers[n].Name == name {
			n++
		}
		last, terminations := containers[0], containers[0].Terminations
		for _, c := range containers[:n] {
			samples.emit(containerRestarts, float64(c.Restarts), name, c.Type.String())
			if c.LastRestart > last.LastRestart {
				last = c
			}
		}
		for _, c := range containers[1:n] {
			terminations = addCounts(terminations, c.Terminations)
		}
		for _, c := range terminations {
			if c.N != 0 {
				samples.emit(containerTerminations, float64(c.N), name, c.Name)
			}
		}
		if last.LastRestart != 0 {
			samples.emit(lastRestart, float64(last.LastRestart), name, last.LastReason)
		}
		containers = containers[n:]
	}
}

// addCounts returns the sums of a and b by name and leaves both as they are.
func addCounts(a, b []state.Count64) []state.Count64 {
	sum := slices.Clone(a)
	for _, c := range b {
		i := slices.IndexFunc(sum, func(s state.Count64) bool { return s.Name == c.Name })
		if i < 0 {
			sum = append(sum, c)
		} else {
			sum[i].N += c.N
		}
	}
	return sum
}
