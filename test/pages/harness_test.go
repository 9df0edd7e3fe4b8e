// SPDX-License-Identifier: Apache-2.0

// Package pages breaks things on a real control plane and waits for the page: a real Prometheus scrapes the exporter
// every five seconds and evaluates the bundled rules, a real Alertmanager with the bundled inhibit rules sends what fires.
//
// What each fault must page, and with which words, stands beside the fault. Whatever else pages is a false alarm and
// fails the test that it belongs to, or the whole suite.
//
// The tests scale the times of the rules down by the flag -scale; make soak runs them at full length.
package pages

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"stability-exporter/test/cluster"
	"stability-exporter/test/daemon"
	"stability-exporter/test/exporterproc"
	"stability-exporter/test/prometheus"
	"stability-exporter/test/sandbox"
)

// interval is that of scrapes and of the evaluation of the rules.
const interval = 5 * time.Second

// groupWait is how long the Alertmanager waits: what inhibits an alert may come two evaluations later.
const groupWait = 2 * interval

// sideBySide is how many tests run at the same time: they wait most of the time.
const sideBySide = "30"

// suite is what the tests share.
type suite struct {
	dir        string
	binary     string
	scale      int // what the times of the rules are divided by
	cluster    *cluster.Cluster
	kubeconfig string        // of the exporters
	config     string        // file of the exporters
	grace      time.Duration // stands in it
	exporter   *exporterproc.Process
	prometheus *prometheus.Server
	pager      *prometheus.Alertmanager
	claims     claims
	measured   measurements
}

// shared is set once by TestMain and only read afterwards.
var shared *suite

// mainCluster is the label cluster of the exporter that all tests share.
const mainCluster = "main"

func TestMain(m *testing.M) {
	scale := flag.Int("scale", 20, "divide the times of the rules by this number")
	report := flag.String("report", "", "write the seconds to the page of each fault to this file")
	if err := flag.Set("test.parallel", sideBySide); err != nil {
		panic(err) // package testing has that flag
	}
	flag.Parse()
	os.Exit(run(m, *scale, *report))
}

func run(m *testing.M, scale int, report string) int {
	dir, err := os.MkdirTemp("", "stability-pages-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s, err := start(ctx, dir, scale)
	defer s.stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	shared = s
	code := m.Run()
	if err := errors.Join(s.unclaimed(), s.measured.write(report, scale)); err != nil {
		fmt.Fprintf(os.Stderr, "FAIL: %v\n", err)
		code = 1
	}
	if code != 0 {
		fmt.Fprintf(os.Stderr, "the logs are in %s; the exporter's log:\n%s\n", dir, s.exporter.Log())
		return code
	}
	_ = os.RemoveAll(dir) // a leftover in the temporary directory harms nobody
	return 0
}

// start returns as much of the suite as there is, also with an error.
func start(ctx context.Context, dir string, scale int) (*suite, error) {
	s := &suite{dir: dir, scale: scale}
	var err error
	if s.binary, err = exporterproc.Build(ctx, dir); err != nil {
		return s, err
	}
	if s.cluster, err = cluster.Start(ctx, cluster.Options{Dir: filepath.Join(dir, "cluster")}); err != nil {
		return s, err
	}
	if _, err = s.cluster.Nodes(ctx, 6, "a", "b", "c"); err != nil {
		return s, err
	}
	if err = s.reserveZones(ctx); err != nil {
		return s, err
	}
	if s.kubeconfig, err = exporterproc.Grant(ctx, s.cluster, "exporter-0"); err != nil {
		return s, err
	}
	// The grace is a time of the rules, too, but what many tests create at once takes its time on a small machine.
	s.config = filepath.Join(dir, "config.yaml")
	s.grace = max(10*time.Minute/time.Duration(scale), time.Minute)
	if err = os.WriteFile(s.config, fmt.Appendf(nil, "damage: {grace: %s}\n", s.grace), 0o644); err != nil {
		return s, err
	}
	if s.exporter, err = exporterproc.Launch(ctx, s.binary, "--kubeconfig="+s.kubeconfig, "--config.file="+s.config); err != nil {
		return s, err
	}
	if err = s.exporter.WaitReady(ctx); err != nil {
		return s, err
	}
	return s, s.startPaging(ctx)
}

// startPaging starts what stands between the exporter and a person on call.
func (s *suite) startPaging(ctx context.Context) error {
	rules, err := scaledRules(ctx, s.binary, s.scale)
	if err != nil {
		return err
	}
	inhibit, err := os.ReadFile("../../rules/alertmanager/inhibit_rules.yaml")
	if err != nil {
		return fmt.Errorf("cannot read the inhibit rules: %w", err)
	}
	s.pager, err = prometheus.StartAlertmanager(ctx, filepath.Join(s.dir, "alertmanager"), inhibit, groupWait)
	if err != nil {
		return err
	}
	s.prometheus, err = prometheus.Start(ctx, prometheus.Options{
		Dir: filepath.Join(s.dir, "prometheus"), Interval: interval, Rules: rules, Alertmanager: s.pager.Addr,
	})
	if err != nil {
		return err
	}
	return s.prometheus.Scrape(mainCluster, s.exporter.Addr(), map[string]string{"cluster": mainCluster})
}

func (s *suite) stop() {
	if s.prometheus != nil {
		s.prometheus.Kill()
	}
	if s.pager != nil {
		s.pager.Kill()
	}
	if s.exporter != nil {
		s.exporter.Kill()
	}
	if s.cluster != nil {
		s.cluster.Stop()
	}
}

// space is a namespace of one test. What pages about it must be claimed.
type space struct {
	*sandbox.Space
	cluster string // the label of the exporter that watches it for the test
}

// newSpace makes the test run beside the others, in a namespace of its own. Whatever pages about it until the end of the
// test, and is not claimed, fails the test; what dies with the namespace may page.
func newSpace(t *testing.T) *space {
	t.Helper()
	t.Parallel()
	s := &space{sandbox.New(t, shared.cluster), mainCluster}
	s.SlowStart = 2 * interval // Prometheus has to see it, also when a scrape is late
	about := model.LabelSet{"namespace": model.LabelValue(s.Name)}
	t.Cleanup(func() {
		shared.falseAlarms(t, about)
		shared.claims.add(about)
	})
	return s
}

// about are the labels of alerts about something in the space: name, value, name, value, …
func (s *space) about(pairs ...model.LabelValue) model.LabelSet {
	labels := model.LabelSet{"cluster": model.LabelValue(s.cluster), "namespace": model.LabelValue(s.Name)}
	for i := 0; i+1 < len(pairs); i += 2 {
		labels[model.LabelName(pairs[i])] = pairs[i+1]
	}
	return labels
}

// query puts the selector of what is in the space in the place of %s.
func (s *space) query(format string) string {
	return strings.ReplaceAll(format, "%s", fmt.Sprintf("cluster=%q,namespace=%q", s.cluster, s.Name))
}

// patience is how long something may take that has nothing to wait for but the machine and three evaluations.
const patience = daemon.Patience + 3*interval

// scaled is a time of the rules as it is in this run.
func scaled(full time.Duration) time.Duration { return full / time.Duration(shared.scale) }

// await asks Prometheus until a query gives a result.
func (s *space) await(what, query string) {
	s.T.Helper()
	s.awaitWithin(patience, what, func() string { return query })
}

// awaitWithin is await for a query that is made anew each time.
func (s *space) awaitWithin(timeout time.Duration, what string, query func() string) {
	s.T.Helper()
	shared.await(s.T, timeout, what, query, s.about())
}

// await asks Prometheus until a query, made anew each time, gives a result. It asks once a second, for there are many who
// ask, and Prometheus learns something new only once in an interval. When the wait is in vain it tells of the alerts
// with the labels.
func (s *suite) await(t *testing.T, timeout time.Duration, what string, query func() string, about model.LabelSet) {
	t.Helper()
	var asked time.Time
	last := errors.New("Prometheus has not been asked yet")
	err := s.prometheus.Await(t.Context(), timeout, what, func(ctx context.Context) error {
		if time.Since(asked) < time.Second {
			return last
		}
		asked = time.Now()
		text := query()
		var vector model.Vector
		if vector, last = s.prometheus.Vector(ctx, text); last == nil && len(vector) == 0 {
			last = fmt.Errorf("nothing is found by %s", text)
		}
		return last
	})
	if err != nil {
		t.Fatalf("%v\nwhat fires and waits: %s", err, s.active(t, about))
	}
}

// awaitHealthy waits until Prometheus knows the workloads to be healthy.
func (s *space) awaitHealthy(workloads ...string) {
	s.T.Helper()
	for _, name := range workloads {
		s.await(name+" to be healthy", fmt.Sprintf(
			`stability_workload_state{cluster=%q,namespace=%q,workload=%q,state="healthy"} == 1 unless ignoring (state, cause) stability_workload_unavailable_replicas`,
			s.cluster, s.Name, name))
	}
}
