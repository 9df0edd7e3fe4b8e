// SPDX-License-Identifier: Apache-2.0

// Package collectors says what is measured: the metric families, declared once, and for each group of them a collector
// that computes their samples from a snapshot of the cluster. Collectors are pure; who runs them, when, and what happens
// when one fails is the business of package exporter.
package collectors

import (
	"fmt"
	"slices"

	"github.com/go-kit/log"

	"stability-exporter/internal/checks"
	"stability-exporter/internal/state"
)

// Collector emits the samples of its declared families for one snapshot. It does no I/O and keeps nothing of the snapshot.
type Collector interface {
	// Collect emits the samples. After an error none of them is to be used.
	Collect(s *state.Snapshot, emit *Emitter) error
}

// Spec declares a collector.
type Spec struct {
	Name    string // the NAME in --[no-]collector.NAME and the value of the label collector
	Help    string // one sentence
	Default bool   // whether it runs unless it is switched on or off
	// Reads is everything the collector reads. Its families appear only once all of it is settled; what is settled but
	// cannot be observed is withheld by the collector, for the unknown has no sample.
	Reads state.Kinds
	// MayRead are kinds that it reads, too, where that is granted: they are not observed unless the configuration asks for it. Manifests
	// grant what they hold.
	MayRead  state.Kinds
	Families []*Family
	New      func(log.Logger) Collector
}

// Options are the settings that shape families or what collectors emit.
type Options struct {
	// WorkloadLabels are the keys of the object labels that stability_workload_info shows.
	WorkloadLabels []string
	// Conditions override, by condition type, how a node condition is read: "good" when a status other than True is a
	// problem, "bad" when True is one, "ignore" when it never is.
	Conditions map[string]string
	// Checks are the settings of the misconfiguration checks.
	Checks checks.Settings
	// MaxSeriesPerCheck is how many findings of a check are shown one by one; zero means DefaultMaxSeriesPerCheck.
	MaxSeriesPerCheck int
}

// All returns the specs of all collectors, in the order of the documentation. The error names the option that is wrong.
func All(o Options) ([]Spec, error) {
	workload, err := workloadSpec(o.WorkloadLabels)
	if err != nil {
		return nil, fmt.Errorf("cannot use the workload labels: %w", err)
	}
	node, err := nodeSpec(o.Conditions)
	if err != nil {
		return nil, fmt.Errorf("cannot use the node conditions: %w", err)
	}
	return []Spec{
		workload,
		restartSpec(),
		placementSpec(),
		node,
		serviceSpec(),
		disruptionSpec(),
		misconfigurationSpec(checks.All(), o.Checks, o.MaxSeriesPerCheck),
		probeSpec(),
		componentSpec(),
		middlewareSpec(),
	}, nil
}

// workloadKinds are the kinds of Snapshot.Workloads, and that which tells which of them are on their way out.
const workloadKinds = state.Kinds(1<<state.Namespaces | 1<<state.Deployments | 1<<state.StatefulSets | 1<<state.DaemonSets |
	1<<state.ReplicaSets)

// withLabels returns a new list of the shared label names and more of its own.
func withLabels(shared []string, more ...string) []string { return slices.Concat(shared, more) }

func boolValue(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
