// SPDX-License-Identifier: Apache-2.0

// Package exporter is the process: command line, logging, the HTTP server, gathering, and the order in which things start
// and stop. What is measured is the business of package collectors, where the picture of the cluster comes from that of
// internal/cluster.
package exporter

import (
	"context"
	"errors"
	"fmt"
	"io"
	stdlog "log"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/go-kit/log/level"
	"github.com/prometheus/client_golang/prometheus"
	clientcollectors "github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/common/version"
	"golang.org/x/sync/errgroup"

	"stability-exporter/collectors"
	"stability-exporter/internal/cluster"
	"stability-exporter/internal/state"
)

// The exit codes.
const (
	exitOK      = 0
	exitFailure = 1 // something went wrong while running
	exitUsage   = 2 // the command line is wrong
)

// Main runs the program with the given arguments (without its name) and returns its exit code: 0 when all went well, 1
// after a failure, 2 when the command line is wrong. The first SIGINT or SIGTERM stops it in order, the second at once.
func Main(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	o, err := parse(args, stdout, stderr)
	switch {
	case errors.Is(err, errHelped):
		return exitOK
	case err != nil:
		fmt.Fprintf(stderr, "%s: %s\nTry '%s --help'.\n", programName, err, programName)
		return exitUsage
	case o.command == commandConfigCheck:
		return checkConfig(o.checkedFile, stdout, stderr)
	case o.command == commandRules:
		return printRules(o, stdout, stderr)
	case o.command == commandDashboards:
		return printDashboards(o.dashboards, stdout, stderr)
	}
	ctx, restore := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, restore) // so that a second signal kills
	defer restore()
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	return serve(ctx, o, stdin, stderr, hangups)
}

// serve is the command serve: it runs until the context is done and returns the exit code.
func serve(ctx context.Context, o *options, stdin io.Reader, stderr io.Writer, hangups <-chan os.Signal) int {
	loggers, err := newLoggers(stderr, o.logFormat, o.logLevel)
	if err != nil {
		fmt.Fprintln(stderr, err)
		return exitUsage
	}
	level.Info(loggers.own).Log("msg", "starting "+programName, "version", version.Info(), "build", version.BuildContext())
	limitMemory(ctx, loggers)
	cluster.SetLogger(loggers.bridge)
	stdlog.SetOutput(io.Discard) // net/http writes there what a server sends unasked: a hostile one could send back what it was told
	e, err := newExporter(o, loggers, func(e *exporter) (source, func() time.Time, error) { return e.openSource(stdin) })
	if err == nil {
		err = e.run(ctx, hangups)
	}
	switch {
	case errors.Is(err, errNoSource):
		fmt.Fprintf(stderr, "%s: %s\nTry '%s --help'.\n", programName, err, programName)
		return exitUsage
	case err != nil:
		level.Error(loggers.own).Log("msg", "stopping after a failure", "err", err)
		return exitFailure
	}
	level.Info(loggers.own).Log("msg", "stopped")
	return exitOK
}

// gcPercent is the default of $GOGC: how much garbage may come up before it is collected, relative to what is in use. Lists of
// the API server are almost all garbage, and they decide the peak of memory; docs/performance.md tells what it costs.
const gcPercent = 20

// limitMemory lets the garbage collector know the container's memory limit, and follow it, unless $GOMEMLIMIT is set.
// The CPU limit needs no such help: since Go 1.25 the default of GOMAXPROCS follows the quota of the cgroup, also when
// it changes (documentation of runtime.GOMAXPROCS).
func limitMemory(ctx context.Context, loggers loggers) {
	const ratio, refresh = 0.9, time.Minute
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	limit, err := memlimit.Set(memlimit.WithRatio(ratio), memlimit.WithRefreshInterval(ctx, refresh))
	if err != nil {
		level.Warn(loggers.own).Log("msg", "cannot find the container's memory limit, going without", "err", err)
		return
	}
	level.Debug(loggers.own).Log("msg", "memory limit of the garbage collector", "bytes", limit)
}

// exporter is one running exporter: a source that fills a store, and a server that shows it.
type exporter struct {
	options  *options
	loggers  loggers
	specs    []collectors.Spec // of all collectors, disabled ones included
	granted  grants            // at start: what is opened stays open
	reads    state.Kinds       // what the enabled collectors read
	source   source
	store    *state.Store
	self     *selfMetrics
	gatherer *gatherer
	saved    *stateFile
	prober   *prober
	discover bool // at start: what the source keeps stays the same

	reloading sync.Mutex
}

// newExporter returns an exporter that is ready to run. open opens its source, once it is known what is to be read, and
// returns the clock by which what it gives is to be judged.
func newExporter(o *options, loggers loggers, open func(*exporter) (source, func() time.Time, error)) (*exporter, error) {
	e := &exporter{options: o, loggers: loggers, self: new(selfMetrics)}
	settings, err := e.load()
	if err != nil {
		return nil, err
	}
	e.granted = settings.Checks.grants()
	if e.specs, err = e.declare(settings); err != nil {
		return nil, err
	}
	for _, spec := range e.enabled(e.specs) {
		e.reads |= spec.Reads
	}
	if e.discover = settings.Middleware.settings().Discovery.Enabled && o.source.cluster(); e.discover {
		e.reads |= state.DiscoveryReads()
	}
	var clock func() time.Time
	if e.source, clock, err = open(e); err != nil {
		return nil, err
	}
	e.store = state.NewStore(state.Options{Clock: clock})
	e.prober = newProber(e.store, len(o.source.manifests) == 0, *o.collectors[collectors.Middleware().Name], loggers.own)
	e.saved = &stateFile{path: o.stateFile, kept: e.store, self: e.self, logger: loggers.own}
	if err := e.saved.load(); err != nil {
		return nil, err
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(e.self, clientcollectors.NewGoCollector(),
		clientcollectors.NewProcessCollector(clientcollectors.ProcessCollectorOpts{}))
	e.gatherer = newGatherer(e.snapshot, e.self, registry, loggers.own)
	e.self.note(&e.self.reload, nil)
	return e, e.apply(settings)
}

// snapshot returns the present picture of the cluster and of the middleware.
func (e *exporter) snapshot() *state.Snapshot {
	s := *e.store.Snapshot()
	s.Middleware, s.Discovery = e.prober.pool.Views(), e.prober.discovery.found()
	return &s
}

// load reads the configuration. One that leaves the exporter with nothing to do is refused.
func (e *exporter) load() (*config, error) {
	settings, err := loadConfig(e.options.configFile)
	if err != nil {
		return nil, err
	}
	if m := settings.Middleware; !e.options.source.cluster() && len(m.Targets) == 0 && len(m.Modules) == 0 {
		return nil, errNoSource
	}
	for _, note := range settings.Middleware.notes() {
		level.Warn(e.loggers.own).Log("msg", "a file of the configuration is missing, probes that need it fail", "file", e.options.configFile,
			"line", note.line, "err", note.text)
	}
	return settings, nil
}

// apply makes the collectors anew under the given settings and puts them to use.
func (e *exporter) apply(settings *config) error {
	specs, err := e.declare(settings)
	if err != nil {
		return err
	}
	e.store.SetGrace(settings.Damage.Grace.Duration)
	e.gatherer.use(e.enabled(specs))
	e.prober.configure(settings.Middleware.settings())
	return nil
}

// declare returns the specs of all collectors under the given settings.
func (e *exporter) declare(settings *config) ([]collectors.Spec, error) {
	return collectors.All(collectors.Options{
		WorkloadLabels:    e.options.source.workloadLabels,
		Conditions:        settings.conditions(),
		Checks:            settings.Checks.settings(),
		MaxSeriesPerCheck: settings.Checks.MaxSeriesPerCheck.number,
	})
}

// enabled returns the specs of those collectors that are not switched off. What they may read and is granted, they read. Without a
// cluster those that read one are switched off.
func (e *exporter) enabled(specs []collectors.Spec) []collectors.Spec {
	granted := e.granted.kinds()
	if len(e.options.source.manifests) > 0 {
		granted = ^state.Kinds(0) // what a manifest holds is granted
	}
	cluster := e.options.source.cluster()
	enabled := slices.DeleteFunc(slices.Clone(specs), func(s collectors.Spec) bool {
		return !*e.options.collectors[s.Name] || s.Reads != 0 && !cluster
	})
	for i := range enabled {
		enabled[i].Reads |= enabled[i].MayRead & granted
	}
	return enabled
}

// reload reads the configuration again. A bad one is refused, and the last good one stays.
func (e *exporter) reload() error {
	e.reloading.Lock()
	defer e.reloading.Unlock()
	settings, err := e.load()
	if err == nil {
		err = e.apply(settings)
	}
	e.self.note(&e.self.reload, err)
	if err != nil {
		level.Error(e.loggers.own).Log("msg", "configuration refused, the last good one stays", "err", err)
		return err
	}
	level.Info(e.loggers.own).Log("msg", "configuration loaded", "file", e.options.configFile)
	if !settings.Checks.grants().equal(e.granted) {
		level.Warn(e.loggers.own).Log("msg", "what the checks may read has changed: that takes effect at the next start",
			"keys", "configmap_namespaces, events")
	}
	if discover := settings.Middleware.settings().Discovery.Enabled; discover && !e.discover && e.options.source.cluster() {
		level.Warn(e.loggers.own).Log("msg", "middleware is to be discovered: that takes effect at the next start", "key", "middleware.discovery.enabled")
	}
	return nil
}

// inspected takes that somebody went over the cluster: restarts count from now on, also after a restart of ours.
func (e *exporter) inspected() {
	e.store.MarkInspected()
	e.saved.save()
	level.Info(e.loggers.own).Log("msg", "inspected, restarts are counted from now on")
}

// reloadOn reloads at every signal until the context is done.
func (e *exporter) reloadOn(ctx context.Context, hangups <-chan os.Signal) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangups:
			_ = e.reload() // logged, and told by a metric
		}
	}
}

// run starts everything, blocks until the context is done, and stops everything: first the server, for it shows what
// the source gives, then the source, and at last what is to be kept is saved.
func (e *exporter) run(ctx context.Context, hangups <-chan os.Signal) error {
	serving, stopServing := context.WithCancel(ctx)
	defer stopServing()
	watching, stopWatching := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWatching()

	var background errgroup.Group
	background.Go(func() error {
		level.Info(e.loggers.own).Log("msg", "watching", "source", e.source)
		if err := e.source.Run(watching, e.store); err != nil && watching.Err() == nil {
			stopServing()
			return fmt.Errorf("cannot go on watching %s: %w", e.source, err)
		}
		return nil
	})
	background.Go(func() error { e.saved.keep(watching); return nil })
	background.Go(func() error { e.reloadOn(watching, hangups); return nil })
	background.Go(func() error { return e.prober.run(watching) })

	failure := listen(serving, e.routes().handler(), e.options.web, e.loggers.bridge)
	stopWatching()
	return errors.Join(failure, background.Wait())
}
