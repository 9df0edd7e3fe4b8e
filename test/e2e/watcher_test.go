// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"stability-exporter/test/exporterproc"
)

// scrapeInterval is short against everything that happens to a workload.
const scrapeInterval = 250 * time.Millisecond

// watcher scrapes the exporter all the time, checks on every scrape what has to hold at any moment, and hands the scrapes
// to whoever waits or follows.
type watcher struct {
	exporter *exporterproc.Process

	mu        sync.Mutex
	last      scrape
	next      chan struct{} // closed when last changes
	followers map[int]func(exporterproc.Metrics)
	joined    int
	found     complaints
	count     int
	done      chan struct{}
}

type scrape struct {
	exporterproc.Metrics
	began time.Time
}

// complaints are findings by namespace, each told once; those about no namespace are under the empty one.
type complaints map[string][]string

// maxComplaints of one namespace are told; more of the same help nobody.
const maxComplaints = 10

func (c complaints) add(namespace, text string) {
	if len(c[namespace]) < maxComplaints && !slices.Contains(c[namespace], text) {
		c[namespace] = append(c[namespace], text)
	}
}

func (c complaints) take(namespace string) []string {
	taken := c[namespace]
	delete(c, namespace)
	return taken
}

// rest returns everything that was not taken.
func (c complaints) rest() error {
	var errs []error
	for namespace, texts := range c {
		errs = append(errs, fmt.Errorf("namespace %q: %s", namespace, strings.Join(texts, "\n")))
	}
	return errors.Join(errs...)
}

func newWatcher(ctx context.Context, exporter *exporterproc.Process) *watcher {
	w := &watcher{
		exporter: exporter, next: make(chan struct{}), followers: map[int]func(exporterproc.Metrics){},
		found: complaints{}, done: make(chan struct{}),
	}
	go w.run(ctx)
	return w
}

func (w *watcher) run(ctx context.Context) {
	defer close(w.done)
	ticker := time.NewTicker(scrapeInterval)
	defer ticker.Stop()
	for {
		began := time.Now()
		metrics, err := w.exporter.Scrape(ctx)
		if ctx.Err() != nil {
			return
		}
		w.take(scrape{metrics, began}, err)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (w *watcher) take(now scrape, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		w.found.add("", err.Error())
		return
	}
	w.count++
	checkWhole(now.Metrics, w.last.Metrics, w.found)
	checkWorkloads(now.Metrics, w.found)
	checkRestarts(now.Metrics, w.found)
	checkCounters(now.Metrics, w.last.Metrics, w.found)
	for _, follow := range w.followers {
		follow(now.Metrics)
	}
	w.last = now
	close(w.next)
	w.next = make(chan struct{})
}

// await waits for a scrape that begins after a moment and meets the condition.
func (w *watcher) await(
	ctx context.Context, after time.Time, what string, condition func(exporterproc.Metrics) error,
) (exporterproc.Metrics, error) {
	asked := time.Now()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := errors.New("nothing was scraped")
	for {
		w.mu.Lock()
		last, next := w.last, w.next
		w.mu.Unlock()
		if last.began.After(after) {
			if err = condition(last.Metrics); err == nil {
				return last.Metrics, nil
			}
		}
		select {
		case <-ctx.Done():
			return last.Metrics, fmt.Errorf("waited %s in vain for %s: %w", time.Since(asked).Round(time.Second), what, err)
		case <-next:
		}
	}
}

// follow calls seen with every scrape until the returned function is called.
func (w *watcher) follow(seen func(exporterproc.Metrics)) (stop func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.joined++
	id := w.joined
	w.followers[id] = seen
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.followers, id)
	}
}

// complaints returns those about a namespace, each only once.
func (w *watcher) complaints(namespace string) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.found.take(namespace)
}

// finish waits for the end of the watching and returns the complaints that no test has taken.
func (w *watcher) finish() error {
	<-w.done
	if w.count == 0 {
		return errors.New("nothing was scraped")
	}
	fmt.Printf("%d scrapes were checked\n", w.count)
	return w.found.rest()
}

// denseFamilies have a fixed number of samples for every workload.
func denseFamilies() map[string]int {
	dense := map[string]int{"stability_workload_restart_delta": 3, "stability_workload_oom_kill_delta": 2}
	for _, name := range []string{"current", "updated", "ready", "available", "min_available"} {
		dense["stability_workload_"+name+"_replicas"] = 1
	}
	dense["stability_workload_rollout_stuck"] = 1
	return dense
}

// checkWhole: every collector succeeds, no family vanishes that is never empty, every workload is in every dense family.
func checkWhole(now, before exporterproc.Metrics, found complaints) {
	for _, s := range now.Select("stability_exporter_collector_success") {
		if s.Value != 1 {
			found.add("", s.String())
		}
	}
	for _, name := range []string{
		"stability_exporter_collector_success", "stability_exporter_informer_synced", "stability_node_ready", "stability_zone_nodes",
		"stability_component_up", "stability_status_stale",
	} {
		if len(now.Select(name)) < len(before.Select(name)) {
			found.add("", fmt.Sprintf("the samples of %s have become fewer: %v, before %v", name, now.Select(name), before.Select(name)))
		}
	}
	counts := map[string]map[string]int{}
	for name := range denseFamilies() {
		counts[name] = map[string]int{}
		for _, s := range now.Select(name) {
			counts[name][workloadOf(s)]++
		}
	}
	for _, s := range now.Select("stability_workload_desired_replicas") {
		for name, want := range denseFamilies() {
			if strings.HasSuffix(name, "_delta") && before.Sum("stability_workload_ready_replicas", identity(s)...) == 0 {
				continue // before its first pod is known its containers are not known either
			}
			if got := counts[name][workloadOf(s)]; got != want {
				found.add(s.Labels["namespace"], fmt.Sprintf("%d samples of %s for %s, want %d", got, name, workloadOf(s), want))
			}
		}
	}
}

func workloadOf(s exporterproc.Sample) string {
	return s.Labels["namespace"] + "/" + s.Labels["workload_type"] + "/" + s.Labels["workload"]
}

// identity selects the samples of the workload that s is about.
func identity(s exporterproc.Sample) []string {
	return []string{"namespace", s.Labels["namespace"], "workload", s.Labels["workload"], "workload_type", s.Labels["workload_type"]}
}

// checkWorkloads: what has to hold for a workload at any moment.
func checkWorkloads(m exporterproc.Metrics, found complaints) {
	for _, s := range m.Select("stability_workload_desired_replicas") {
		if err := errors.Join(checkRatio(m, s), checkCauses(m, s), checkState(m, s)); err != nil {
			found.add(s.Labels["namespace"], fmt.Sprintf("%s: %v", workloadOf(s), err))
		}
	}
}

func checkRatio(m exporterproc.Metrics, desired exporterproc.Sample) error {
	name := "stability_workload_available_ratio"
	if desired.Value == 0 {
		return m.ExpectNone(name, identity(desired)...)
	}
	available := m.Sum("stability_workload_available_replicas", identity(desired)...)
	return m.Expect(min(available, desired.Value)/desired.Value, name, identity(desired)...)
}

func checkCauses(m exporterproc.Metrics, desired exporterproc.Sample) error {
	available := m.Sum("stability_workload_available_replicas", identity(desired)...)
	missing := desired.Value - min(available, desired.Value)
	if sum := m.Sum("stability_workload_unavailable_replicas", identity(desired)...); sum != missing {
		return fmt.Errorf("the causes add up to %v, but %v of %v replicas are available: %v", sum, available, desired.Value,
			m.Select("stability_workload_unavailable_replicas", identity(desired)...))
	}
	return nil
}

// checkState: the states are one-hot and agree with the line.
func checkState(m exporterproc.Metrics, desired exporterproc.Sample) error {
	states := map[string]float64{}
	hot := 0.0
	for _, s := range m.Select("stability_workload_state", identity(desired)...) {
		states[s.Labels["state"]] = s.Value
		hot += s.Value
	}
	_, degraded := states["degraded"]
	_, down := states["down"]
	if !degraded || !down || hot != 1 {
		return fmt.Errorf("the states are %v", states)
	}
	available := m.Sum("stability_workload_available_replicas", identity(desired)...)
	onReady, isDaemonSet := m.Value("stability_workload_on_ready_nodes_replicas", append(identity(desired), "state", "available")...)
	if isDaemonSet {
		available = onReady
	}
	line := m.Sum("stability_workload_min_available_replicas", identity(desired)...)
	if want := available == 0 && line > 0; (states["down"] == 1) != want {
		return fmt.Errorf("the states are %v with %v available and a line of %v", states, available, line)
	}
	if want := 0 < available && available < line; (states["degraded"] == 1) != want {
		return fmt.Errorf("the states are %v with %v available and a line of %v", states, available, line)
	}
	return nil
}

// checkRestarts: the exporter has watched all pods from their birth, and for less than the shortest window.
func checkRestarts(m exporterproc.Metrics, found complaints) {
	for _, s := range m.Select("stability_workload_restart_delta") {
		if counted := m.Sum("stability_container_restarts_total", identity(s)...); counted != s.Value {
			found.add(s.Labels["namespace"], fmt.Sprintf("%s, but the counters add up to %v", s, counted))
		}
	}
}

// checkCounters: no counter falls while its series lives.
func checkCounters(now, before exporterproc.Metrics, found complaints) {
	for _, name := range before.Names() {
		if !strings.HasSuffix(name, "_total") {
			continue
		}
		values := map[string]float64{}
		for _, s := range now.Select(name) {
			values[labelsOf(s)] = s.Value
		}
		for _, s := range before.Select(name) {
			if value, lives := values[labelsOf(s)]; lives && (value < s.Value || math.IsNaN(value)) {
				found.add(s.Labels["namespace"], fmt.Sprintf("%s has fallen to %v", s, value))
			}
		}
	}
}

func labelsOf(s exporterproc.Sample) string {
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(s.Labels)) {
		fmt.Fprintf(&text, "%s=%q,", name, s.Labels[name])
	}
	return text.String()
}
