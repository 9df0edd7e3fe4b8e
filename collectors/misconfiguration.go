// SPDX-License-Identifier: Apache-2.0

package collectors

import (
	"cmp"
	"maps"
	"slices"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"stability-exporter/internal/checks"
	"stability-exporter/internal/state"
)

var (
	misconfiguration = sparseGauge("stability_misconfiguration",
		"1 for what is wrong with how the workload, Service or PodDisruptionBudget is set up: warning hurts in a situation that is sure to "+
			"come, critical does not do what it is for. docs/checks.md explains each check and how to mend it. At most as many as "+
			"max_series_per_check, the worst first. No series means that nothing was found, where stability_check_evaluated is 1.",
		"category", "check", "level", "namespace", "workload", "workload_type", "container")
	misconfigurations = sparseGauge("stability_misconfigurations",
		"How many findings a check has in the namespace, those of level info and those beyond max_series_per_check included, exempted ones "+
			"not. No series means none, where stability_check_evaluated is 1.",
		"category", "check", "level", "namespace")
	checkInfo = gauge("stability_check_info",
		"Always 1: every check, with the levels that its findings may have, and in title what is wrong then. docs/checks.md explains them.",
		"category", "check", "level", "title")
	checkEvaluated = gauge("stability_check_evaluated",
		"1 when the check looks at everything that it is about. 0 when it cannot: something that it reads is not observed, it is disabled, "+
			"or it failed; whether something is wrong is not known then.",
		"check")
	checkFailed = sparseGauge("stability_check_failed",
		"1 when the check broke down, which is a defect of the exporter; its log says where. No series means that it works.",
		"check")
	checkOverflow = gauge("stability_check_overflow",
		"Findings of level warning or critical that are not shown one by one because the check has more than max_series_per_check; they "+
			"are in stability_misconfigurations.",
		"check")
	checkExempted = sparseGauge("stability_check_exempted",
		"Findings that are not told because somebody decided to live with them, by the annotation stability-exporter/ignore of the "+
			"object or by the configuration of the exporter. No series means none.",
		"check", "namespace", "by")
	checkExemptionsRefused = sparseGauge("stability_check_exemptions_refused",
		"Ids in the annotation stability-exporter/ignore of the object that exempt nothing: no_reason when the annotation "+
			"stability-exporter/ignore-reason is missing, unknown_check when there is no such check. No series means none.",
		"namespace", "workload", "workload_type", "why")
	intervalEffective = sparseGauge("stability_interval_effective_seconds",
		"What an interval, timeout or the like that is set for the container comes to, by the name of the property. No series where the "+
			"property is not set, or not where the exporter can read it.",
		withLabels(workloadLabels, "container", "key")...)
	intervalLikely = sparseGauge("stability_interval_likely_seconds",
		"What was probably meant by an interval whose effective value is hardly what was meant: see stability_interval_effective_seconds. "+
			"No series where nothing is suspected.",
		withLabels(workloadLabels, "container", "key")...)
	intervalOverflow = sparseGauge("stability_interval_overflow",
		"Containers with this property set that are not shown because there are more than max_series_per_check; suspected ones come first. "+
			"No series means that all are shown.",
		"key")
)

// DefaultMaxSeriesPerCheck is the default of Options.MaxSeriesPerCheck.
const DefaultMaxSeriesPerCheck = 200

// misconfigurationCollector is the collector of what is wrong with how workloads are set up.
type misconfigurationCollector struct {
	evaluator *checks.Evaluator
	limit     int
	logger    log.Logger
	failing   map[string]bool // ids of checks that failed last time
}

func misconfigurationSpec(all []checks.Check, settings checks.Settings, limit int) Spec {
	return Spec{
		Name:    "misconfiguration",
		Help:    "What is wrong with how workloads, Services and PodDisruptionBudgets are set up, before it hurts.",
		Default: true,
		Reads: workloadKinds | state.KindSet(state.Nodes, state.ControllerRevisions, state.CronJobs, state.Jobs, state.HorizontalPodAutoscalers,
			state.PodDisruptionBudgets, state.Services, state.Pods, state.EndpointSlices),
		MayRead: state.KindSet(state.ConfigMaps, state.Events),
		Families: []*Family{
			misconfiguration, misconfigurations, checkInfo, checkEvaluated, checkFailed, checkOverflow, checkExempted, checkExemptionsRefused,
			intervalEffective, intervalLikely, intervalOverflow,
		},
		New: func(logger log.Logger) Collector {
			return &misconfigurationCollector{checks.New(all, settings), cmp.Or(limit, DefaultMaxSeriesPerCheck), logger, map[string]bool{}}
		},
	}
}

// Collect implements Collector.
func (c *misconfigurationCollector) Collect(s *state.Snapshot, emit *Emitter) error {
	report := c.evaluator.Evaluate(s)
	for i := range report.Outcomes {
		c.emitOutcome(&report.Outcomes[i], emit)
	}
	emitExemptions(report, emit)
	c.emitIntervals(report.Intervals, emit)
	return nil
}

func (c *misconfigurationCollector) emitOutcome(o *checks.Outcome, emit *Emitter) {
	id, category := o.Check.ID, string(o.Check.Category)
	for _, level := range o.Check.Levels {
		emit.Emit(checkInfo, 1, category, id, level.String(), o.Check.English)
	}
	emit.Emit(checkEvaluated, boolValue(o.Evaluated), id)
	c.noteFailure(o, emit)
	if !o.Evaluated {
		return
	}
	shown, serious := 0, 0
	for _, f := range o.Findings { // worst first
		if f.Level < checks.Warning {
			break
		}
		if serious++; shown < c.limit {
			shown++
			emit.Emit(misconfiguration, 1, category, id, f.Level.String(), f.Ref.Namespace.String(), f.Ref.Name.String(), f.Ref.Type.String(), f.Container)
		}
	}
	emit.Emit(checkOverflow, float64(serious-shown), id)
	emitCounts(o.Findings, category, id, emit)
}

// emitCounts counts the findings of a check by level and namespace, by which they are sorted.
func emitCounts(findings []*checks.Finding, category, id string, emit *Emitter) {
	for i := 0; i < len(findings); {
		first := i
		for i < len(findings) && findings[i].Level == findings[first].Level && findings[i].Ref.Namespace == findings[first].Ref.Namespace {
			i++
		}
		emit.Emit(misconfigurations, float64(i-first), category, id, findings[first].Level.String(), findings[first].Ref.Namespace.String())
	}
}

// noteFailure tells of a check that broke down, in the log once.
func (c *misconfigurationCollector) noteFailure(o *checks.Outcome, emit *Emitter) {
	if o.Failure != "" {
		emit.Emit(checkFailed, 1, o.Check.ID)
		if !c.failing[o.Check.ID] {
			c.failing[o.Check.ID] = true
			level.Error(c.logger).Log("msg", "check fails, its findings are withheld", "check", o.Check.ID, "err", o.Failure)
		}
	} else if c.failing[o.Check.ID] {
		delete(c.failing, o.Check.ID)
		level.Info(c.logger).Log("msg", "check works again", "check", o.Check.ID)
	}
}

func emitExemptions(r *checks.Report, emit *Emitter) {
	type group struct {
		check, namespace string
		by               checks.By
	}
	counts := map[group]int{}
	var order []group
	for i := range r.Exempted {
		x := &r.Exempted[i]
		g := group{x.Check.ID, x.Ref.Namespace.String(), x.By}
		if counts[g]++; counts[g] == 1 {
			order = append(order, g)
		}
	}
	for _, g := range order {
		emit.Emit(checkExempted, float64(counts[g]), g.check, g.namespace, string(g.by))
	}
	for _, x := range r.Refused {
		emit.Emit(checkExemptionsRefused, float64(x.Count), x.Ref.Namespace.String(), x.Ref.Name.String(), x.Ref.Type.String(), x.Why)
	}
}

// emitIntervals shows of each property as many containers as the limit allows, those first whose value is suspected.
func (c *misconfigurationCollector) emitIntervals(facts []checks.IntervalFact, emit *Emitter) {
	set := map[string]int{} // containers by property
	for _, suspected := range [...]bool{true, false} {
		for i := range facts {
			f := &facts[i]
			if f.Slip != suspected {
				continue
			}
			if set[f.Key]++; set[f.Key] > c.limit {
				continue
			}
			samples := emit.workload(f.Ref)
			samples.emit(intervalEffective, f.Effective.Seconds(), f.Container, f.Key)
			if f.Likely != 0 {
				samples.emit(intervalLikely, f.Likely.Seconds(), f.Container, f.Key)
			}
		}
	}
	for _, key := range slices.Sorted(maps.Keys(set)) {
		if hidden := set[key] - c.limit; hidden > 0 {
			emit.Emit(intervalOverflow, float64(hidden), key)
		}
	}
}
