// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"cmp"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"stability-exporter/internal/state"
)

// Evaluator runs checks on one snapshot after the other. What they said of a workload is kept as long as its SetupView is
// the same and nothing else is observed than before. It is not safe for concurrent use.
type Evaluator struct {
	checks   []Check
	settings Settings

	observed    state.Kinds        // of the last snapshot, like all that follows
	setups      []*state.SetupView // what was evaluated last, in order
	results     map[*state.SetupView]*part
	workloads   part         // all results together, and what was said of the cluster
	ofWorkloads [][]*Finding // its findings by check
	backends    map[*state.Service][]*state.SetupView
	selected    map[*state.DisruptionBudget][]*state.SetupView
}

// New returns an evaluator of the checks, which are no longer to be changed.
func New(checks []Check, settings Settings) *Evaluator {
	return &Evaluator{checks: checks, settings: settings}
}

// Report is what the checks said of a snapshot. It is immutable.
type Report struct {
	Outcomes  []Outcome // of every check, in the order of declaration
	Exempted  []Exempted
	Refused   []Refusal
	Intervals []IntervalFact
}

// Outcome is what came of a check.
type Outcome struct {
	Check *Check
	// Evaluated is false while something that the check reads is not observed, when it is disabled, and when it failed: nothing is
	// known then, and there are no findings.
	Evaluated bool
	Failure   string     // what it panicked with, and where
	Findings  []*Finding // at most one for each subject and container: the worst; worst first, then by name
}

// IntervalFact is the effective value of a setting that is an interval, a timeout or the like.
type IntervalFact struct {
	Ref       state.WorkloadRef
	Container string
	Key       string // canonical name of the property
	Effective time.Duration
	Slip      bool          // this is hardly what was meant
	Likely    time.Duration // what was probably meant; zero when that cannot be told
}

// part is what was said of some of the subjects.
type part struct {
	findings  []placed
	exempted  []Exempted
	refused   []Refusal
	intervals []IntervalFact
	failures  []failure
}

// placed is a finding, and the index of its check.
type placed struct {
	check int
	*Finding
}

type failure struct {
	check int
	what  string
}

// Evaluate runs the checks on what has changed since the last snapshot.
func (e *Evaluator) Evaluate(s *state.Snapshot) *Report {
	if observed := s.ObservedKinds(); e.results == nil || observed != e.observed {
		e.observed, e.results = observed, map[*state.SetupView]*part{}
		e.evaluateSetups(s.Setups)
	} else if !slices.Equal(s.Setups, e.setups) {
		e.evaluateSetups(s.Setups)
	}
	return e.report(e.evaluateSelectors(s))
}

// ready reports whether a check can say anything, given what is observed.
func (e *Evaluator) ready(c *Check) bool {
	reads := c.Reads
	switch {
	case slices.Contains(e.settings.Disabled, c.ID):
		return false
	case c.OfService != nil:
		reads |= state.KindSet(state.Services)
	case c.OfBudget != nil:
		reads |= state.KindSet(state.PodDisruptionBudgets)
	case e.observed&makers == 0:
		return false
	}
	return e.observed&reads == reads
}

// makers are the kinds that make pods: Snapshot.Setups are of these.
var makers = state.KindSet(state.Deployments, state.StatefulSets, state.DaemonSets, state.ReplicaSets, state.CronJobs, state.Jobs, state.Pods)

// evaluateSetups evaluates what is new among the workloads, forgets what is gone, and looks at the whole again.
func (e *Evaluator) evaluateSetups(setups []*state.SetupView) {
	run := newWorkloadRun(e)
	kept := make(map[*state.SetupView]*part, len(setups))
	e.workloads = part{}
	e.backends, e.selected = map[*state.Service][]*state.SetupView{}, map[*state.DisruptionBudget][]*state.SetupView{}
	for _, setup := range setups {
		result := e.results[setup]
		if result == nil {
			result = run.evaluate(setup)
		}
		kept[setup] = result
		e.workloads.add(result)
		for _, s := range setup.Services {
			e.backends[s] = append(e.backends[s], setup)
		}
		for _, b := range setup.Budgets {
			e.selected[b] = append(e.selected[b], setup)
		}
	}
	e.setups, e.results = setups, kept
	e.evaluateCluster()
	e.ofWorkloads = e.byCheck(&e.workloads)
	e.workloads.findings = nil
}

func (p *part) add(other *part) {
	p.findings = append(p.findings, other.findings...)
	p.exempted = append(p.exempted, other.exempted...)
	p.refused = append(p.refused, other.refused...)
	p.intervals = append(p.intervals, other.intervals...)
	p.failures = append(p.failures, other.failures...)
}

// found takes what the check of that index said of a subject, unless it is exempted.
func (e *Evaluator) found(to *part, index int, v Verdict, ref state.WorkloadRef, container string, ignore *state.Ignore) {
	if v.Level == Fine {
		return
	}
	f := &Finding{Check: &e.checks[index], Level: v.Level, Ref: ref, Container: container, Detail: v.Detail}
	if by := e.settings.exemptedBy(f, ignore); by != "" {
		to.exempted = append(to.exempted, Exempted{*f, by})
		return
	}
	to.findings = append(to.findings, placed{index, f})
}

// evaluateCluster runs the checks that need all workloads at once. Where one names the same subject twice, the worst counts.
func (e *Evaluator) evaluateCluster() {
	byRef := map[state.WorkloadRef]*state.SetupView{}
	for i := range e.checks {
		c := &e.checks[i]
		if c.OfCluster == nil || !e.ready(c) {
			continue
		}
		findings := e.ofCluster(i)
		if len(findings) > 0 && len(byRef) == 0 {
			for _, setup := range e.setups {
				byRef[setup.Ref] = setup
			}
		}
		slices.SortStableFunc(findings, func(a, b Finding) int { return cmp.Or(compareSubjects(&a, &b), int(b.Level)-int(a.Level)) })
		findings = slices.CompactFunc(findings, func(a, b Finding) bool { return compareSubjects(&a, &b) == 0 })
		for _, f := range findings {
			ignore := new(state.Ignore)
			if setup := byRef[f.Ref]; setup != nil {
				ignore = &setup.Ignore
			}
			e.found(&e.workloads, i, Verdict{f.Level, f.Detail}, f.Ref, f.Container, ignore)
		}
	}
}

func (e *Evaluator) ofCluster(index int) []Finding {
	defer func() { e.workloads.failed(index, recover()) }()
	return e.checks[index].OfCluster(&ClusterSubject{Setups: e.setups, settings: &e.settings})
}

func compareSubjects(a, b *Finding) int {
	return cmp.Or(strings.Compare(a.Ref.Namespace.String(), b.Ref.Namespace.String()), strings.Compare(a.Ref.Name.String(), b.Ref.Name.String()),
		strings.Compare(a.Ref.Type.String(), b.Ref.Type.String()), strings.Compare(a.Container, b.Container))
}

// The values of the label workload_type of findings about other objects than workloads.
const (
	typeService = "service"
	typeBudget  = "poddisruptionbudget"
)

// evaluateSelectors runs the checks of Services and budgets. What is said of these changes with every pod, and is soon computed.
func (e *Evaluator) evaluateSelectors(s *state.Snapshot) *part {
	found := new(part)
	e.evaluateServices(found, s)
	e.evaluateBudgets(found, s)
	for i := range s.Services {
		if o := s.Services[i].Object; o != nil && len(o.Ignore.Checks) > 0 {
			found.refused = append(found.refused, e.refusals(refOf(&o.Meta, typeService), &o.Ignore)...)
		}
	}
	for i := range s.Budgets {
		if o := s.Budgets[i].Object; o != nil && len(o.Ignore.Checks) > 0 {
			found.refused = append(found.refused, e.refusals(refOf(&o.Meta, typeBudget), &o.Ignore)...)
		}
	}
	return found
}

func refOf(m *state.Meta, workloadType string) state.WorkloadRef {
	return state.WorkloadRef{Namespace: m.Namespace, Name: state.Sym(m.Name), Type: state.Sym(workloadType)}
}

// of returns the indexes of the checks that can say something and are of one kind.
func (e *Evaluator) of(kind func(*Check) bool) []int {
	var indexes []int
	for i := range e.checks {
		if kind(&e.checks[i]) && e.ready(&e.checks[i]) {
			indexes = append(indexes, i)
		}
	}
	return indexes
}

func (e *Evaluator) evaluateServices(found *part, s *state.Snapshot) {
	ready := e.of(func(c *Check) bool { return c.OfService != nil })
	subject := new(ServiceSubject)
	for i := range s.Services {
		v := &s.Services[i]
		if v.Object == nil {
			continue
		}
		*subject = ServiceSubject{Service: v.Object, Backends: e.backends[v.Object]}
		if e.observed.Has(state.EndpointSlices) {
			subject.View = v
		}
		for _, index := range ready {
			e.ofService(found, index, subject)
		}
	}
}

func (e *Evaluator) ofService(found *part, index int, subject *ServiceSubject) {
	defer func() { found.failed(index, recover()) }()
	if verdict := e.checks[index].OfService(subject); verdict.Level != Fine {
		e.found(found, index, verdict, refOf(&subject.Service.Meta, typeService), "", &subject.Service.Ignore)
	}
}

func (e *Evaluator) evaluateBudgets(found *part, s *state.Snapshot) {
	ready := e.of(func(c *Check) bool { return c.OfBudget != nil })
	subject := new(BudgetSubject)
	for i := range s.Budgets {
		v := &s.Budgets[i]
		if v.Object == nil {
			continue
		}
		*subject = BudgetSubject{DisruptionBudget: v.Object, Selected: e.selected[v.Object]}
		if e.observed.Has(state.Pods) {
			subject.View = v
		}
		for _, index := range ready {
			e.ofBudget(found, index, subject)
		}
	}
}

func (e *Evaluator) ofBudget(found *part, index int, subject *BudgetSubject) {
	defer func() { found.failed(index, recover()) }()
	if verdict := e.checks[index].OfBudget(subject); verdict.Level != Fine {
		e.found(found, index, verdict, refOf(&subject.DisruptionBudget.Meta, typeBudget), "", &subject.DisruptionBudget.Ignore)
	}
}

// failed notes that the check of that index panicked, and where; the others go on. It is called by a deferred function, and a cause
// of nil is no panic.
func (p *part) failed(index int, cause any) {
	if cause == nil {
		return
	}
	var where [16]uintptr
	frames := runtime.CallersFrames(where[:runtime.Callers(3, where[:])])
	frame, more := frames.Next()
	for more && strings.HasPrefix(frame.Function, "runtime.") {
		frame, more = frames.Next()
	}
	p.failures = append(p.failures, failure{index, fmt.Sprintf("panic: %v at %s:%d", cause, filepath.Base(frame.File), frame.Line)})
}

// report puts together what was said. A check that failed on one subject says nothing of the others either: half of its
// findings would look as if the other half had been mended.
func (e *Evaluator) report(others *part) *Report {
	r := &Report{
		Outcomes:  make([]Outcome, len(e.checks)),
		Exempted:  joined(e.workloads.exempted, others.exempted),
		Refused:   joined(e.workloads.refused, others.refused),
		Intervals: e.workloads.intervals,
	}
	ofOthers := e.byCheck(others)
	for i := range e.checks {
		r.Outcomes[i] = Outcome{Check: &e.checks[i], Evaluated: e.ready(&e.checks[i]), Findings: listOf(e.ofWorkloads, i)}
		if more := listOf(ofOthers, i); more != nil {
			r.Outcomes[i].Findings = more
		}
	}
	for _, failures := range [][]failure{e.workloads.failures, others.failures} {
		for _, f := range failures {
			r.Outcomes[f.check] = Outcome{Check: &e.checks[f.check], Failure: f.what}
		}
	}
	return r
}

func listOf(lists [][]*Finding, index int) []*Finding {
	if lists == nil {
		return nil
	}
	return lists[index]
}

// joined returns both; it copies only where it has to.
func joined[T any](a, b []T) []T {
	if len(b) == 0 {
		return a
	}
	return slices.Concat(a, b)
}

// byCheck returns the findings of each check, worst first; nil when there are none. They come in the order of the names, and stay in it.
func (e *Evaluator) byCheck(p *part) [][]*Finding {
	if len(p.findings) == 0 {
		return nil
	}
	counts := make([]int, len(e.checks))
	for _, f := range p.findings {
		counts[f.check]++
	}
	lists := make([][]*Finding, len(e.checks))
	for i, n := range counts {
		if n > 0 {
			lists[i] = make([]*Finding, 0, n)
		}
	}
	for _, f := range p.findings {
		lists[f.check] = append(lists[f.check], f.Finding)
	}
	for _, list := range lists {
		slices.SortStableFunc(list, func(a, b *Finding) int { return int(b.Level) - int(a.Level) })
	}
	return lists
}
