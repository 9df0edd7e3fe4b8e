// SPDX-License-Identifier: Apache-2.0

// Package checks says what is wrong with how workloads are set up. Each check is one declaration: what it is called, why it
// matters, how to mend it, what it deliberately leaves alone, and a predicate on one subject: a probe, a container, a
// workload, a Service, a PodDisruptionBudget, or the cluster as a whole. An Evaluator runs them on a snapshot, and anew only on
// what has changed.
//
// A check is pure: it sees its subject alone, knows no time and keeps nothing.
package checks

import (
	"slices"

	"stability-exporter/internal/settings"
	"stability-exporter/internal/state"
)

// Level is how bad a finding is; the value of the label level.
type Level uint8

// The levels. Fine is no finding.
const (
	Fine     Level = iota
	Info           // worth knowing when somebody goes over the workload anyway
	Warning        // will hurt in a situation that is sure to come: mend it in working hours
	Critical       // does not do what it is for, now
)

// String returns the label value.
func (l Level) String() string { return [...]string{"fine", "info", "warning", "critical"}[l] }

// Category is the value of the label category.
type Category string

// The categories.
const (
	Probe      Category = "probe"
	Interval   Category = "interval"
	JVM        Category = "jvm"
	Resources  Category = "resources"
	Spread     Category = "spread"
	Disruption Category = "disruption"
	Shutdown   Category = "shutdown"
	Service    Category = "service"
	Image      Category = "image"
)

// Verdict is what a check says of its subject; the zero Verdict is that all is well.
type Verdict struct {
	Level Level
	// Detail says in a few English words what was found where: names, durations and numbers, never another value of the object.
	Detail string
}

// Check declares one check. Exactly one of the functions is set.
type Check struct {
	ID       string // the value of the label check; never changed once released
	Category Category
	Levels   []Level // that its findings may have, mildest first
	English  string  // title: what is wrong, in one line without a full stop
	Chinese  string
	Why      string // what happens to users because of it
	Fix      string // what to write instead
	Spares   string // what is deliberately not flagged; empty when there is nothing to say
	// Reads are the kinds without which nothing can be said, beside the workload itself. While one of them is not observed the check is
	// not evaluated.
	Reads state.Kinds

	OfProbe     func(*ProbeSubject) Verdict // for each probe of each container
	OfContainer func(*ContainerSubject) Verdict
	OfWorkload  func(*WorkloadSubject) Verdict
	OfService   func(*ServiceSubject) Verdict
	OfBudget    func(*BudgetSubject) Verdict
	OfCluster   func(*ClusterSubject) []Finding // where a subject is wrong only together with others
}

// WorkloadSubject is a workload, or a pod, Job or CronJob by itself.
type WorkloadSubject struct {
	*state.SetupView
	observed func(state.Kinds) bool
	settings *Settings
}

// Observed reports whether all the kinds are observed: emptiness means "none" only then.
func (w *WorkloadSubject) Observed(kinds ...state.Kind) bool {
	return w.observed(state.KindSet(kinds...))
}

// Serving reports whether its pods run for ever, as those of Jobs do not.
func (w *WorkloadSubject) Serving() bool {
	return w.Kind != state.Jobs && w.Kind != state.CronJobs && !w.Template.RunsToEnd
}

// ContainerSubject is a container of a workload.
type ContainerSubject struct {
	WorkloadSubject
	*state.ContainerSpec
	inEffect  []state.Setting // found out once for all checks; nil before
	intervals []settings.Interval
}

// InEffect returns all settings of the container, those in ConfigMaps included, the one that is in effect last; see settings.Collect.
func (c *ContainerSubject) InEffect() []state.Setting {
	if c.inEffect == nil && len(c.Settings)+len(c.References) > 0 {
		c.inEffect = settings.Collect(c.ContainerSpec, c.ConfigMaps)
	}
	return c.inEffect
}

// Intervals returns what is in effect for every row of the unit table that is set; see settings.Intervals.
func (c *ContainerSubject) Intervals() []settings.Interval {
	if c.intervals == nil && len(c.InEffect()) > 0 {
		c.intervals = settings.Intervals(c.InEffect())
	}
	return c.intervals
}

// ProbeSubject is a probe of a container.
type ProbeSubject struct {
	ContainerSubject
	*state.Probe
	Type string // of state.ProbeTypes
}

// ServiceSubject is a Service, the workloads behind it, and what its endpoints say.
type ServiceSubject struct {
	*state.Service
	Backends []*state.SetupView
	View     *state.ServiceView // nil for one without a selector, or while endpoints are not observed
}

// BudgetSubject is a PodDisruptionBudget and the workloads whose pods it selects.
type BudgetSubject struct {
	*state.DisruptionBudget
	Selected []*state.SetupView
	View     *state.BudgetView // nil while budgets or pods are not observed
}

// ClusterSubject is everything.
type ClusterSubject struct {
	Setups   []*state.SetupView
	settings *Settings
}

// Finding is a verdict together with what it is about.
type Finding struct {
	Check     *Check
	Level     Level
	Ref       state.WorkloadRef // for a Service or a budget its name, and "service" or "poddisruptionbudget" as the type
	Container string            // empty when the finding is not about one container
	Detail    string
}

// Settings are what the configuration says of the checks.
type Settings struct {
	// HotGroups are sets of busy workloads of which no two should share a node.
	HotGroups []HotGroup
	// Disabled are ids of checks that are not evaluated.
	Disabled []string
	// Exempt are findings that somebody decided to live with.
	Exempt []Exemption
}

// HotGroup names workloads that should not share a node.
type HotGroup struct {
	Name      string
	Workloads []state.WorkloadRef // an empty Type stands for any
}

// All returns every check, in the order of the documentation.
func All() []Check {
	return slices.Concat(
		probeChecks(),
		intervalChecks(),
		jvmChecks(),
		resourceChecks(),
		spreadChecks(),
		disruptionChecks(),
		shutdownChecks(),
		serviceChecks(),
		imageChecks(),
	)
}
