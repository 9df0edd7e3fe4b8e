// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"math"
	"time"

	"github.com/go-kit/log"
	"k8s.io/apimachinery/pkg/runtime"

	"stability-exporter/collectors"
	"stability-exporter/internal/cluster"
	"stability-exporter/internal/state"
)

// An exporter is what the program does of a cluster's objects, without its HTTP server: its store by the cluster's clock,
// and its collectors.
type exporter struct {
	name     string // the instance that Prometheus knows it by
	world    *world
	store    *state.Store // nil while it is not running
	deaf     state.Kinds  // whose watches hang
	failures float64      // failed requests
	specs    []collectors.Spec
	runs     []collectors.Collector
	emitters []*collectors.Emitter
	own      *ownFamilies
}

func newExporter(name string, w *world) *exporter {
	specs, err := collectors.All(collectors.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	e := &exporter{name: name, world: w, specs: specs, own: newOwnFamilies()}
	for _, spec := range specs {
		e.runs = append(e.runs, spec.New(log.NewNopLogger()))
		e.emitters = append(e.emitters, collectors.NewEmitter(spec.Families))
	}
	e.start(nil)
	return e
}

// start begins with what a state file holds, nil being none, and lists everything.
func (e *exporter) start(stateFile []byte) {
	e.store = state.NewStore(state.Options{Clock: func() time.Time { return e.world.now }})
	for _, k := range allKinds() {
		e.store.Expect(state.Scope{Kind: k})
	}
	if stateFile != nil {
		if err := e.store.Import(stateFile); err != nil {
			e.world.t.Fatal(err)
		}
	}
	e.list()
}

// list hands over everything there is, as a reflector does that begins anew.
func (e *exporter) list() {
	e.deaf = 0
	lists := map[state.Kind][]state.Object{}
	for _, object := range e.world.objects() {
		for _, converted := range cluster.Convert(object) {
			lists[converted.ObjectKind()] = append(lists[converted.ObjectKind()], converted)
		}
	}
	for _, k := range allKinds() {
		var listed, whole []state.Object
		for _, object := range lists[k] {
			if w, free := object.(*state.Workload); free && w.Kind == state.ReplicaSets {
				whole = append(whole, object)
				continue
			}
			listed = append(listed, object)
		}
		e.store.Replace(state.Scope{Kind: k}, listed)
		if whole != nil {
			e.store.Apply(state.Scope{Kind: k}, whole...)
		}
	}
}

// stop ends it and returns its state file.
func (e *exporter) stop() []byte {
	text, err := e.store.Export()
	if err != nil {
		e.world.t.Fatal(err)
	}
	e.store = nil
	return text
}

func (e *exporter) changed(object runtime.Object) {
	if e.store == nil {
		return
	}
	for _, converted := range cluster.Convert(object) {
		if k := converted.ObjectKind(); !e.deaf.Has(k) {
			e.store.Apply(state.Scope{Kind: k}, converted)
		}
	}
}

func (e *exporter) gone(object runtime.Object) {
	if e.store == nil {
		return
	}
	for _, converted := range cluster.Convert(object) {
		if k := converted.ObjectKind(); !e.deaf.Has(k) {
			e.store.Delete(state.Scope{Kind: k}, converted)
		}
	}
}

// bookmark is what an API server sends every minute when nothing happens.
func (e *exporter) bookmark() {
	if e.store == nil {
		return
	}
	for _, k := range allKinds() {
		if !e.deaf.Has(k) {
			e.store.Touch(state.Scope{Kind: k})
		}
	}
}

// metrics answers a scrape; nil when it does not run.
func (e *exporter) metrics() []byte {
	if e.store == nil {
		return nil
	}
	snapshot := e.store.Snapshot()
	text := e.own.metrics(e, snapshot)
	for i, spec := range e.specs {
		emitter := e.emitters[i]
		emitter.Reset()
		if snapshot.Pending(spec.Reads) != 0 {
			continue
		}
		if err := e.runs[i].Collect(snapshot, emitter); err != nil {
			e.world.t.Fatalf("collector %s: %v", spec.Name, err)
		}
		if err := emitter.Err(); err != nil {
			e.world.t.Fatalf("collector %s: %v", spec.Name, err)
		}
		text = emitter.AppendTo(text)
	}
	return text
}

func allKinds() []state.Kind { return state.Kinds(math.MaxUint32).All() }

// ownFamilies stand for what the program tells of itself and rules read.
type ownFamilies struct {
	build, success, synced, lastEvent, failures, reloaded *collectors.Family
	emitter                                               *collectors.Emitter
}

func newOwnFamilies() *ownFamilies {
	family := func(name string, labels ...string) *collectors.Family {
		return &collectors.Family{Name: "stability_exporter_" + name, Help: "See docs/metrics.md.", Labels: labels}
	}
	o := &ownFamilies{
		build: family("build_info", "version"), success: family("collector_success", "collector"),
		synced: family("informer_synced", "resource"), lastEvent: family("informer_last_event_timestamp_seconds", "resource"),
		failures: family("watch_errors_total", "resource"), reloaded: family("config_last_reload_successful"),
	}
	o.emitter = collectors.NewEmitter(o.all())
	return o
}

func (o *ownFamilies) all() []*collectors.Family {
	return []*collectors.Family{o.build, o.success, o.synced, o.lastEvent, o.failures, o.reloaded}
}

func (o *ownFamilies) metrics(e *exporter, s *state.Snapshot) []byte {
	o.emitter.Reset()
	o.emitter.Emit(o.build, 1, "1.0.0")
	o.emitter.Emit(o.reloaded, 1)
	for _, spec := range e.specs {
		o.emitter.Emit(o.success, 1, spec.Name)
	}
	for _, r := range s.Resources {
		synced := 0.0
		if r.Observation == state.Synced {
			synced = 1
		}
		o.emitter.Emit(o.synced, synced, r.Kind.String())
		o.emitter.Emit(o.lastEvent, float64(r.LastEvent), r.Kind.String())
		o.emitter.Emit(o.failures, e.failures, r.Kind.String())
	}
	return o.emitter.AppendTo(nil)
}
