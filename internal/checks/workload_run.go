// SPDX-License-Identifier: Apache-2.0

package checks

import "stability-exporter/internal/state"

// workloadRun evaluates the checks of workloads, containers and probes on one workload after the other. Subjects are made
// once for all checks, and anew for the next workload in the same place.
type workloadRun struct {
	*Evaluator
	able []bool // by check: whether it can say anything

	workload   WorkloadSubject
	containers []ContainerSubject
	probes     []ProbeSubject // those of a container stand together
	result     *part
	at         int // index of the check that runs
}

func newWorkloadRun(e *Evaluator) *workloadRun {
	r := &workloadRun{Evaluator: e, able: make([]bool, len(e.checks))}
	for i := range e.checks {
		r.able[i] = e.ready(&e.checks[i])
	}
	return r
}

// evaluate returns what all checks say of a workload.
func (r *workloadRun) evaluate(setup *state.SetupView) *part {
	r.result = &part{refused: r.refusals(setup.Ref, &setup.Ignore)}
	r.subjects(setup)
	for r.at = 0; r.at < len(r.checks); r.at++ {
		r.resume()
	}
	r.intervals()
	return r.result
}

func (r *workloadRun) subjects(setup *state.SetupView) {
	observed := r.observed
	r.workload = WorkloadSubject{
		SetupView: setup, settings: &r.settings,
		observed: func(kinds state.Kinds) bool { return observed&kinds == kinds },
	}
	r.containers, r.probes = r.containers[:0], r.probes[:0]
	for i := range setup.Template.Containers {
		c := ContainerSubject{WorkloadSubject: r.workload, ContainerSpec: &setup.Template.Containers[i]}
		r.containers = append(r.containers, c)
		for j, p := range c.ContainerSpec.Probes() {
			if p != nil {
				r.probes = append(r.probes, ProbeSubject{ContainerSubject: c, Probe: p, Type: state.ProbeTypes[j]})
			}
		}
	}
}

// resume goes on with the check at which the run stands. When one panics, it is noted as failed.
func (r *workloadRun) resume() {
	defer func() { r.result.failed(r.at, recover()) }()
	for ; r.at < len(r.checks); r.at++ {
		if r.able[r.at] {
			r.check(&r.checks[r.at])
		}
	}
}

func (r *workloadRun) check(c *Check) {
	switch {
	case c.OfWorkload != nil:
		r.take(c.OfWorkload(&r.workload), "")
	case c.OfContainer != nil:
		for i := range r.containers {
			r.take(c.OfContainer(&r.containers[i]), r.containers[i].Name.String())
		}
	case c.OfProbe != nil:
		r.checkProbes(c)
	}
}

// checkProbes takes of each container the worst that is said of its probes.
func (r *workloadRun) checkProbes(c *Check) {
	for i := 0; i < len(r.probes); {
		container, worst := r.probes[i].ContainerSpec, Verdict{}
		for ; i < len(r.probes) && r.probes[i].ContainerSpec == container; i++ {
			if v := c.OfProbe(&r.probes[i]); v.Level > worst.Level {
				worst = v
			}
		}
		r.take(worst, container.Name.String())
	}
}

func (r *workloadRun) take(v Verdict, container string) {
	if v.Level != Fine {
		r.found(r.result, r.at, v, r.workload.Ref, container, &r.workload.Ignore)
	}
}

// intervals notes what is in effect for the intervals that are set. The checks of intervals ask the same, and tell if it panics.
func (r *workloadRun) intervals() {
	defer func() { _ = recover() }()
	for i := range r.containers {
		c := &r.containers[i]
		for _, interval := range c.Intervals() {
			r.result.intervals = append(r.result.intervals, IntervalFact{
				Ref: r.workload.Ref, Container: c.Name.String(), Key: interval.Row.Key, Effective: interval.Effective, Slip: interval.Slip, Likely: interval.Likely,
			})
		}
	}
}
