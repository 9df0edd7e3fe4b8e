// SPDX-License-Identifier: Apache-2.0

package exporter

import (
	"bytes"
	"fmt"
	"io"
	"runtime/debug"
	"sync"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"github.com/klauspost/compress/gzip"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"

	"stability-exporter/collectors"
	"stability-exporter/internal/state"
)

// gatherer renders what /metrics answers: for every scrape one snapshot, shown to every enabled collector, together with
// the exporter's own families. A collector that fails loses its samples whole and costs the others nothing.
//
// Renderings are made one at a time, which bounds the memory they need: a compressed one hands its buffers to the next
// before anything is sent. No lock is held while a response is written.
type gatherer struct {
	snapshot func() *state.Snapshot
	registry *prometheus.Registry
	self     *selfMetrics
	logger   log.Logger

	mu         sync.Mutex
	collectors []*runner
	uses       int        // how often the collectors were exchanged
	idle       *rendering // for the next scrape; nil while it is in use
	compressor *gzip.Writer
}

// runner is an enabled collector and what became of its last run.
type runner struct {
	collectors.Collector
	spec     collectors.Spec
	failed   bool
	duration time.Duration
}

// rendering is the answer to one scrape: the samples of each collector and the exporter's own.
type rendering struct {
	use      int // of the collectors it was made for
	emitters []*collectors.Emitter
	own      bytes.Buffer
}

// newGatherer returns a gatherer that takes its snapshots from the given function. It has no collectors yet.
func newGatherer(snapshot func() *state.Snapshot, self *selfMetrics, registry *prometheus.Registry, logger log.Logger) *gatherer {
	fastest, _ := gzip.NewWriterLevel(io.Discard, gzip.BestSpeed) // fails only for an unknown level
	return &gatherer{snapshot: snapshot, registry: registry, self: self, logger: logger, compressor: fastest}
}

// use makes the collectors of the given specs those of all coming scrapes.
func (g *gatherer) use(specs []collectors.Spec) {
	var runners []*runner
	for _, spec := range specs {
		c := spec.New(log.With(g.logger, "collector", spec.Name))
		runners = append(runners, &runner{Collector: c, spec: spec})
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.collectors = runners
	g.uses++
}

// render makes the answer to one scrape. The caller gives it back with release once it is written.
func (g *gatherer) render() (*rendering, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.renderLocked()
}

func (g *gatherer) renderLocked() (*rendering, error) {
	r := g.idle
	g.idle = nil
	if r == nil || r.use != g.uses {
		r = &rendering{use: g.uses}
		for _, c := range g.collectors {
			r.emitters = append(r.emitters, collectors.NewEmitter(c.spec.Families))
		}
	}
	snapshot := g.snapshot()
	for i, c := range g.collectors {
		g.run(c, snapshot, r.emitters[i])
	}
	g.self.scraped(snapshot, g.collectors)
	families, err := g.registry.Gather()
	if err != nil {
		return nil, fmt.Errorf("cannot gather the exporter's own metrics: %w", err)
	}
	r.own.Reset()
	for _, family := range families {
		if _, err := expfmt.MetricFamilyToText(&r.own, family); err != nil {
			return nil, fmt.Errorf("cannot render %s: %w", family.GetName(), err)
		}
	}
	return r, nil
}

// compress appends the answer to one scrape to dst as one gzip member.
func (g *gatherer) compress(dst *bytes.Buffer) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	r, err := g.renderLocked()
	if err != nil {
		return err
	}
	g.idle = r
	g.compressor.Reset(dst)
	if _, err := r.WriteTo(g.compressor); err != nil {
		return fmt.Errorf("cannot compress metrics: %w", err)
	}
	if err := g.compressor.Close(); err != nil {
		return fmt.Errorf("cannot compress metrics: %w", err)
	}
	return nil
}

// release takes back a rendering that is not needed any more.
func (g *gatherer) release(r *rendering) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.idle = r
}

// run lets one collector emit into e, which afterwards holds all of its samples or none.
func (g *gatherer) run(c *runner, s *state.Snapshot, e *collectors.Emitter) {
	e.Reset()
	if s.Pending(c.spec.Reads) != 0 {
		return // too early to tell is no failure
	}
	start := time.Now()
	err := collect(c, s, e)
	c.duration = time.Since(start)
	if err != nil {
		e.Reset()
	}
	if c.failed == (err != nil) {
		return
	}
	c.failed = err != nil
	if c.failed {
		level.Error(g.logger).Log("msg", "collector fails, its metrics are withheld", "collector", c.spec.Name, "err", err)
	} else {
		level.Info(g.logger).Log("msg", "collector works again", "collector", c.spec.Name)
	}
}

// collect runs a collector and turns a panic into an error.
func collect(c collectors.Collector, s *state.Snapshot, e *collectors.Emitter) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	if err := c.Collect(s, e); err != nil {
		return err
	}
	return e.Err()
}

// WriteTo writes the whole text. It implements io.WriterTo and may be called more than once.
func (r *rendering) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(r.own.Bytes())
	written := int64(n)
	for _, e := range r.emitters {
		if err != nil {
			break
		}
		var n int64
		n, err = e.WriteTo(w)
		written += n
	}
	return written, err
}
