// SPDX-License-Identifier: Apache-2.0

package collectors

import (
	"time"

	"github.com/go-kit/log"

	"stability-exporter/internal/state"
)

// probeLabels are those of every family about one probe of a container; the kubelet's prober metrics spell probe_type the same.
var probeLabels = withLabels(workloadLabels, "container", "probe_type")

var (
	probePeriod = gauge("stability_container_probe_period_seconds",
		"How often the kubelet asks the probe (periodSeconds).",
		probeLabels...)
	probeTimeout = gauge("stability_container_probe_timeout_seconds",
		"How long an answer to the probe may take (timeoutSeconds); the kubelet's prober_probe_duration_seconds should stay well below.",
		probeLabels...)
	probeInitialDelay = gauge("stability_container_probe_initial_delay_seconds",
		"How long after the start of the container the probe is not asked (initialDelaySeconds).",
		probeLabels...)
	probeFailureThreshold = gauge("stability_container_probe_failure_threshold",
		"How often in a row the probe has to fail before it takes effect (failureThreshold).",
		probeLabels...)
	probeKillBudget = gauge("stability_container_probe_kill_budget_seconds",
		"After how long a container that never answers is killed by its liveness or startup probe, counted from its start: min at the "+
			"earliest, max at the latest. With a startup probe the liveness probe is asked only after that one has succeeded. Readiness "+
			"probes kill nothing.",
		withLabels(probeLabels, "bound")...)
	startToReady = sparseGauge("stability_container_start_to_ready_seconds",
		"The longest time that a container of the newest version was seen to take from its start until it was ready. No series until that "+
			"was seen.",
		withLabels(workloadLabels, "container")...)
)

// probe is the collector of what probes are set to.
type probe struct{}

func probeSpec() Spec {
	return Spec{
		Name:     "probe",
		Help:     "Periods, timeouts and budgets of the probes of every container, and how long containers take to be ready.",
		Reads:    workloadKinds | state.KindSet(state.ControllerRevisions, state.CronJobs, state.Jobs, state.Pods),
		Families: []*Family{probePeriod, probeTimeout, probeInitialDelay, probeFailureThreshold, probeKillBudget, startToReady},
		New:      func(log.Logger) Collector { return probe{} },
	}
}

// Collect implements Collector.
func (probe) Collect(s *state.Snapshot, emit *Emitter) error {
	for _, setup := range s.Setups {
		samples := emit.workload(setup.Ref)
		for i := range setup.Template.Containers {
			c := &setup.Template.Containers[i]
			for j, p := range c.Probes() {
				if p != nil {
					emitProbe(p, samples, c.Name.String(), state.ProbeTypes[j])
				}
			}
		}
		for _, f := range setup.Starts {
			if f.ToReady != 0 {
				samples.emit(startToReady, f.ToReady.Seconds(), f.Container.String())
			}
		}
	}
	return nil
}

func emitProbe(p *state.Probe, samples subject, container, probeType string) {
	samples.emit(probePeriod, p.Period.Seconds(), container, probeType)
	samples.emit(probeTimeout, p.Timeout.Seconds(), container, probeType)
	samples.emit(probeInitialDelay, p.InitialDelay.Seconds(), container, probeType)
	samples.emit(probeFailureThreshold, float64(p.Failure), container, probeType)
	if probeType != readinessProbe {
		least, most := killBudget(p)
		samples.emit(probeKillBudget, least.Seconds(), container, probeType, "min")
		samples.emit(probeKillBudget, most.Seconds(), container, probeType, "max")
	}
}

const readinessProbe = "Readiness" // of state.ProbeTypes

// killBudget returns after how long the kubelet decides to kill a container whose probe fails from the start: it first asks
// within a period after the initial delay (pkg/kubelet/prober/worker.go).
func killBudget(p *state.Probe) (least, most time.Duration) {
	return p.InitialDelay + time.Duration(p.Failure-1)*p.Period, p.InitialDelay + time.Duration(p.Failure)*p.Period + p.Timeout
}
