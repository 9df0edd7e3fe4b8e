// SPDX-License-Identifier: Apache-2.0

package exporter

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/version"

	"stability-exporter/collectors"
	"stability-exporter/internal/cluster"
	"stability-exporter/internal/state"
)

// The families that tell of the exporter itself.
var (
	buildInfo = selfGauge("stability_exporter_build_info",
		"Always 1; the labels say what is running.",
		"version", "revision", "branch", "goversion", "goos", "goarch")
	collectorSuccess = selfGauge("stability_exporter_collector_success",
		"1 when the last run of the collector succeeded, 0 when it failed and its metrics are withheld. "+
			"A collector that still waits for what it reads has not failed.", "collector")
	collectorDuration = selfGauge("stability_exporter_collector_duration_seconds",
		"How long the last run of the collector took.", "collector")
	informerSynced = selfGauge("stability_exporter_informer_synced",
		"1 when the resource was listed completely and its changes are followed, 0 when not, or not wholly.", "resource")
	informerUnavailable = selfSparse("stability_exporter_informer_unavailable",
		"1 with the reason why a resource cannot be observed: forbidden, unsupported (by the server), not_observed "+
			"(it occurs nowhere in the manifests) or partial (some of its objects may not be read). What depends on it is unknown. Absent when it can be.", "resource", "reason")
	informerLastEvent = selfGauge("stability_exporter_informer_last_event_timestamp_seconds",
		"When the resource was last heard of: a list, an event or a bookmark. Absent before the first.", "resource")
	watchErrors = selfCounter("stability_exporter_watch_errors_total",
		"Requests for the resource that failed, and watches that broke off, were refused or fell silent.", "resource")
	relists = selfCounter("stability_exporter_relists_total",
		"Complete lists of the resource after the first one.", "resource")
	reloadSuccessful = selfGauge("stability_exporter_config_last_reload_successful",
		"1 when the last attempt to read the configuration succeeded, 0 when it was refused and the last good one stays.")
	reloadTimestamp = selfGauge("stability_exporter_config_last_reload_success_timestamp_seconds",
		"When a configuration was last read and put to use.")
	stateFileLoaded = selfGauge("stability_exporter_state_file_load_successful",
		"1 when the state file was read at start or did not exist yet, 0 when it was damaged and was moved aside. "+
			"Absent without --state.file.")
	stateFileSaved = selfGauge("stability_exporter_state_file_last_save_successful",
		"1 when the last attempt to save the state file succeeded, 0 when not. Absent before the first.")
	stateFileTimestamp = selfGauge("stability_exporter_state_file_last_save_success_timestamp_seconds",
		"When the state file was last saved. Absent before the first time.")
	probesRefused = selfCounter("stability_exporter_probe_requests_refused_total",
		"Requests to /probe that got no answer: bad_request, unknown_target, unknown_module, bad_address, or busy (middleware.concurrency).", "why")
)

// refusals are the values of the label why.
var refusals = [...]string{"bad_request", "unknown_target", "unknown_module", "bad_address", "busy"}

// selfFamilies lists the families of selfMetrics in the order of the documentation.
func selfFamilies() []selfFamily {
	return []selfFamily{
		buildInfo, collectorSuccess, collectorDuration, informerSynced, informerUnavailable, informerLastEvent,
		watchErrors, relists, reloadSuccessful, reloadTimestamp, stateFileLoaded, stateFileSaved, stateFileTimestamp, probesRefused,
	}
}

// selfFamily is a family that goes through client_golang.
type selfFamily struct {
	*collectors.Family
	desc *prometheus.Desc
}

func selfGauge(name, help string, labels ...string) selfFamily {
	return newSelfFamily(collectors.Family{Name: name, Help: help, Type: collectors.Gauge, Labels: labels})
}

func selfSparse(name, help string, labels ...string) selfFamily {
	return newSelfFamily(collectors.Family{Name: name, Help: help, Type: collectors.Gauge, Labels: labels, Sparse: true})
}

func selfCounter(name, help string, labels ...string) selfFamily {
	return newSelfFamily(collectors.Family{Name: name, Help: help, Type: collectors.Counter, Labels: labels})
}

func newSelfFamily(f collectors.Family) selfFamily {
	return selfFamily{Family: &f, desc: prometheus.NewDesc(f.Name, f.Help, f.Labels, nil)}
}

// send sends one sample; label values stand in the order of the labels.
func (f selfFamily) send(to chan<- prometheus.Metric, value float64, labelValues ...string) {
	kind := prometheus.GaugeValue
	if f.Type == collectors.Counter {
		kind = prometheus.CounterValue
	}
	to <- prometheus.MustNewConstMetric(f.desc, kind, value, labelValues...)
}

// selfMetrics is what the exporter tells of itself. It is safe for concurrent use.
type selfMetrics struct {
	mu         sync.Mutex
	resources  []state.ResourceView
	collectors []collectorOutcome
	reload     outcome
	load, save outcome                // of the state file
	stats      func() []cluster.Stats // nil for a source that does not watch
	refused    [len(refusals)]int     // requests to /probe
}

type collectorOutcome struct {
	name     string
	failed   bool
	duration time.Duration
}

// outcome is how an action went that is tried again and again.
type outcome struct {
	tried   bool
	failed  bool
	success time.Time // of the last success
}

// note records one more try.
func (m *selfMetrics) note(o *outcome, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	o.tried, o.failed = true, err != nil
	if err == nil {
		o.success = time.Now()
	}
}

// refuse records a request to /probe that got no answer.
func (m *selfMetrics) refuse(why string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if i := slices.Index(refusals[:], why); i >= 0 {
		m.refused[i]++
	}
}

// watched records where to ask how watching goes.
func (m *selfMetrics) watched(stats func() []cluster.Stats) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stats = stats
}

// scraped records what a scrape has seen: what the snapshot says of the resources, and how the collectors fared.
func (m *selfMetrics) scraped(s *state.Snapshot, runners []*runner) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.collectors = m.collectors[:0]
	var onRequest state.Kinds
	for _, r := range runners {
		onRequest |= r.spec.MayRead
		m.collectors = append(m.collectors, collectorOutcome{r.spec.Name, r.failed, r.duration})
	}
	// A dump without what need not be there lacks nothing; stability_check_evaluated tells what that costs.
	m.resources = slices.DeleteFunc(slices.Clone(s.Resources), func(r state.ResourceView) bool {
		return r.Observation == state.NotObserved && onRequest.Has(r.Kind)
	})
}

// Describe implements prometheus.Collector.
func (m *selfMetrics) Describe(to chan<- *prometheus.Desc) {
	for _, f := range selfFamilies() {
		to <- f.desc
	}
}

// Collect implements prometheus.Collector.
func (m *selfMetrics) Collect(to chan<- prometheus.Metric) {
	m.mu.Lock()
	defer m.mu.Unlock()
	buildInfo.send(to, 1, version.Version, version.GetRevision(), version.Branch, version.GoVersion, version.GoOS, version.GoArch)
	for _, c := range m.collectors {
		collectorSuccess.send(to, truth(!c.failed), c.name)
		collectorDuration.send(to, c.duration.Seconds(), c.name)
	}
	for _, r := range m.resources {
		informerSynced.send(to, truth(r.Observation == state.Synced), r.Kind.String())
		if r.Observation != state.Synced && r.Observation != state.Pending {
			informerUnavailable.send(to, 1, r.Kind.String(), strings.ReplaceAll(r.Observation.String(), " ", "_"))
		}
		if r.LastEvent != 0 {
			informerLastEvent.send(to, float64(r.LastEvent), r.Kind.String())
		}
	}
	if m.stats != nil {
		for _, s := range m.stats() {
			watchErrors.send(to, float64(s.WatchErrors), s.Kind.String())
			relists.send(to, float64(s.Relists), s.Kind.String())
		}
	}
	m.reload.send(to, reloadSuccessful, reloadTimestamp)
	if m.load.tried {
		stateFileLoaded.send(to, truth(!m.load.failed))
	}
	m.save.send(to, stateFileSaved, stateFileTimestamp)
	for i, why := range refusals {
		probesRefused.send(to, float64(m.refused[i]), why)
	}
}

func (o outcome) send(to chan<- prometheus.Metric, successful, timestamp selfFamily) {
	if o.tried {
		successful.send(to, truth(!o.failed))
	}
	if !o.success.IsZero() {
		timestamp.send(to, float64(o.success.UnixMilli())/1000)
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
