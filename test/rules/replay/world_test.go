// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// world is a cluster that is played, with the exporters that watch it and the Prometheus that scrapes them. Its clock moves
// in pass alone.
type world struct {
	t     *testing.T
	began time.Time
	now   time.Time
	since time.Time // when the trouble began; zero while there is none

	listed      []object // in the order in which they came
	version     int
	controllers []func() // what brings status up to date with the pods
	leases      []func() // of the control plane's components
	managerDead bool     // kube-controller-manager does not work
	nodes       []*node
	pods        []*pod

	exporters  []*exporter
	prometheus *prometheus
	inhibited  []inhibition
	firings    []*firing
	provoked   provocation
}

// object is a Kubernetes object.
type object interface {
	runtime.Object
	metav1.Object
}

// firing is one alert from its first evaluation as firing to its last.
type firing struct {
	labels   labels.Labels
	from, to time.Time
	told     time.Time // when it was first not inhibited; zero when it always was
	text     string    // the description, when it was told
	texts    map[string]bool
	open     bool
}

func (f *firing) name() string     { return f.labels.Get(labels.AlertName) }
func (f *firing) severity() string { return f.labels.Get("severity") }

const (
	namespace = "shop"
	heartbeat = 10 * time.Second // of leases, and the longest time between two looks of the controllers
	old       = 30 * 24 * time.Hour
)

// newWorld returns a cluster of six nodes in three zones, in which a Deployment and the control plane do their work, and
// the exporters of these names, which have just started.
func newWorld(t *testing.T, exporters ...string) *world {
	begin := time.Date(2026, time.March, 2, 9, 0, 0, 0, time.UTC)
	w := &world{t: t, began: begin, now: begin, prometheus: newPrometheus(t), inhibited: inhibitions(t)}
	for i := range 6 {
		w.addNode(fmt.Sprintf("node-%d", i+1), string("abc"[i%3]))
	}
	w.addLeases()
	w.addDeployment("bystander", 3)
	w.reconcile()
	for _, name := range exporters {
		w.exporters = append(w.exporters, newExporter(name, w))
	}
	return w
}

// put tells everybody of a new or changed object.
func (w *world) put(o object) {
	w.version++
	o.SetResourceVersion(strconv.Itoa(w.version))
	if o.GetUID() == "" {
		w.t.Fatalf("%s has no UID", o.GetName())
	}
	if !slices.Contains(w.listed, o) {
		w.listed = append(w.listed, o)
	}
	for _, e := range w.exporters {
		e.changed(o)
	}
}

// remove tells everybody that an object is gone.
func (w *world) remove(o object) {
	w.listed = slices.DeleteFunc(w.listed, func(other object) bool { return other == o })
	for _, e := range w.exporters {
		e.gone(o)
	}
}

func (w *world) objects() []runtime.Object {
	var all []runtime.Object
	for _, o := range w.listed {
		all = append(all, o.DeepCopyObject())
	}
	return all
}

// trouble marks the moment from which on somebody should be told.
func (w *world) trouble() { w.since = w.now }

// pass lets time pass: controllers look every few seconds, scrapes and evaluations come at their intervals.
func (w *world) pass(d time.Duration) {
	w.reconcile()
	for end := w.now.Add(d); w.now.Before(end); {
		next := w.now.Add(min(heartbeat, end.Sub(w.now)))
		if due := w.now.Truncate(interval).Add(interval); !due.After(next) {
			next = due
		}
		w.now = next
		w.reconcile()
		if w.now.Truncate(interval).Equal(w.now) {
			w.observe()
		}
	}
}

// sleep lets time pass in which Prometheus does not look, so that a day costs little.
func (w *world) sleep(d time.Duration) {
	for end := w.now.Add(d); w.now.Before(end); {
		w.now = w.now.Add(heartbeat)
		w.reconcile()
	}
}

func (w *world) reconcile() {
	for _, renew := range w.leases {
		renew()
	}
	if w.managerDead {
		return
	}
	for _, look := range w.controllers {
		look()
	}
}

// observe is what happens every 30 seconds: a scrape of every exporter, and an evaluation.
func (w *world) observe() {
	for _, e := range w.exporters {
		if w.now.Truncate(time.Minute).Equal(w.now) {
			e.bookmark()
		}
		w.prometheus.scrape(w.now, e.name, e.metrics())
	}
	for _, f := range w.firings {
		f.open = f.open && f.to.Add(interval).Equal(w.now)
	}
	var current []*firing
	for _, alert := range w.prometheus.evaluate(w.now) {
		f := w.fires(alert.Labels)
		f.to = w.now
		text := alert.Annotations.Get("description")
		f.texts[text] = true
		if f.told.IsZero() {
			f.text = text
		}
		current = append(current, f)
	}
	for _, f := range current {
		silenced := slices.ContainsFunc(current, func(by *firing) bool {
			return slices.ContainsFunc(w.inhibited, func(i inhibition) bool { return i.silences(by.labels, f.labels) })
		})
		if f.told.IsZero() && !silenced {
			f.told = w.now
		}
	}
	w.provoked.look(w)
}

// fires returns the firing of the labels that is under way, or a new one.
func (w *world) fires(of labels.Labels) *firing {
	for _, f := range w.firings {
		if f.open && labels.Equal(f.labels, of) {
			return f
		}
	}
	f := &firing{labels: of, from: w.now, open: true, texts: map[string]bool{}}
	w.firings = append(w.firings, f)
	return f
}

// query returns the value of an expression now, NaN for none.
func (w *world) query(expression string) float64 {
	w.t.Helper()
	return w.prometheus.query(w.now, expression)
}

// expect checks the value of an expression now.
func (w *world) expect(expression string, want float64) {
	w.t.Helper()
	if got := w.query(expression); got != want && !(math.IsNaN(got) && math.IsNaN(want)) {
		w.t.Errorf("after %s %s is %v, want %v", w.now.Sub(w.began), expression, got, want)
	}
}

// provocation watches an expression that would alarm somebody who is less careful.
type provocation struct {
	expression string
	run, best  time.Duration // how long it has held without a break
}

func (p *provocation) look(w *world) {
	if p.expression == "" {
		return
	}
	p.run += interval
	if math.IsNaN(w.query("count(" + p.expression + ")")) {
		p.run = 0
	}
	p.best = max(p.best, p.run)
}

func (f *firing) String() string {
	var of []string
	f.labels.Range(func(l labels.Label) {
		if l.Name != labels.AlertName && l.Name != "cluster" {
			of = append(of, l.Name+"="+l.Value)
		}
	})
	return f.name() + "{" + strings.Join(of, ",") + "}"
}
