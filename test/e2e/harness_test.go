// SPDX-License-Identifier: Apache-2.0

// Package e2e runs the program as it is shipped against a real control plane, with the rights it asks for and no more,
// and holds what it tells against what kubectl shows: while workloads roll out, scale, fail and recover.
//
// All tests share one cluster and one exporter and run side by side, each in a namespace of its own. Beside the tests an
// audit looks at every scrape and at the whole cluster all the time; its complaints about a namespace fail the test that
// the namespace belongs to.
package e2e

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"

	"stability-exporter/test/cluster"
	"stability-exporter/test/exporterproc"
	"stability-exporter/test/sandbox"
)

// shared is set once by TestMain and only read afterwards.
var shared *suite

// suite is what the tests share.
type suite struct {
	cluster  *cluster.Cluster
	binary   string
	exporter *exporterproc.Process
	watch    *watcher
	audit    *auditor
}

// The zones: pods without a word about it run in a, b and c; the others have one test each.
const (
	doomedZone  = "doomed"  // its first node dies
	drainedZone = "drained" // its nodes are cordoned
)

// patience is far above what anything awaited takes on an idle machine.
const patience = 90 * time.Second

// sideBySide is how many tests run at the same time: they wait most of the time.
const sideBySide = "12"

func TestMain(m *testing.M) {
	if err := flag.Set("test.parallel", sideBySide); err != nil {
		panic(err) // package testing has that flag
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "stability-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s, err := start(ctx, dir)
	defer s.stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	shared = s
	code := m.Run()
	cancel()
	if err := errors.Join(s.watch.finish(), s.audit.finish()); err != nil {
		fmt.Fprintf(os.Stderr, "FAIL: the audit complains:\n%v\n", err)
		code = 1
	}
	if code != 0 {
		fmt.Fprintf(os.Stderr, "the cluster's logs are in %s; the exporter's log:\n%s\n", dir, s.exporter.Log())
		return code
	}
	_ = os.RemoveAll(dir) // a leftover in the temporary directory harms nobody
	return 0
}

// start returns as much of the suite as there is, also with an error.
func start(ctx context.Context, dir string) (*suite, error) {
	s := &suite{}
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
	for _, zone := range []string{doomedZone, drainedZone} {
		if _, err = sandbox.ReserveNodes(ctx, s.cluster, 2, zone); err != nil {
			return s, err
		}
	}
	kubeconfig, err := exporterproc.Grant(ctx, s.cluster, "exporter-0")
	if err != nil {
		return s, err
	}
	if s.exporter, err = exporterproc.Launch(ctx, s.binary, "--kubeconfig="+kubeconfig); err != nil {
		return s, err
	}
	if err = s.exporter.WaitReady(ctx); err != nil {
		return s, err
	}
	s.watch = newWatcher(ctx, s.exporter)
	s.audit = newAuditor(ctx, s.cluster, s.watch)
	return s, nil
}

func (s *suite) stop() {
	if s.exporter != nil {
		s.exporter.Kill()
	}
	if s.cluster != nil {
		s.cluster.Stop()
	}
}

// space is a namespace of one test.
type space struct{ *sandbox.Space }

// newSpace makes the test run beside the others, in a namespace of its own.
func newSpace(t *testing.T) *space {
	t.Helper()
	t.Parallel()
	s := &space{sandbox.New(t, shared.cluster)}
	t.Cleanup(func() {
		for _, complaint := range append(shared.watch.complaints(s.Name), shared.audit.complaints(s.Name)...) {
			t.Error(complaint)
		}
	})
	return s
}

// client is an administrator's client: tests change the cluster, the exporter does not.
func client() kubernetes.Interface { return shared.cluster.Client() }

// await waits for a scrape that begins from now on and meets the condition, and returns it.
func (s *space) await(what string, condition func(exporterproc.Metrics) error) exporterproc.Metrics {
	s.T.Helper()
	metrics, err := shared.watch.await(s.T.Context(), time.Now(), what, condition)
	if err != nil {
		s.T.Fatal(err)
	}
	return metrics
}

// sample is an expectation of one series of the namespace.
type sample struct {
	want   float64 // none means that there must be no sample
	name   string
	labels []string // label, value, label, value, …
}

// none as the wanted value stands for no sample at all.
const none = -1

func is(want float64, name string, labels ...string) sample { return sample{want, name, labels} }
func no(name string, labels ...string) sample               { return sample{none, name, labels} }

// awaitSamples waits for a scrape that meets all expectations at once.
func (s *space) awaitSamples(what string, expected ...sample) exporterproc.Metrics {
	s.T.Helper()
	return s.await(what, func(m exporterproc.Metrics) error { return s.check(m, expected) })
}

func (s *space) check(m exporterproc.Metrics, expected []sample) error {
	var errs []error
	for _, e := range expected {
		labels := append([]string{"namespace", s.Name}, e.labels...)
		if e.want == none {
			errs = append(errs, m.ExpectNone(e.name, labels...))
		} else {
			errs = append(errs, m.Expect(e.want, e.name, labels...))
		}
	}
	return errors.Join(errs...)
}

// awaitHealthy waits until the workloads are healthy and have so many replicas, and nothing else is told of them.
func (s *space) awaitHealthy(replicas float64, workloads ...string) {
	s.T.Helper()
	for _, name := range workloads {
		s.awaitSamples(name+" to be healthy",
			is(1, "stability_workload_state", "workload", name, "state", "healthy"),
			is(replicas, "stability_workload_desired_replicas", "workload", name),
			is(replicas, "stability_workload_available_replicas", "workload", name),
			is(replicas, "stability_workload_updated_replicas", "workload", name),
			is(0, "stability_workload_rollout_stuck", "workload", name),
			no("stability_workload_unavailable_replicas", "workload", name),
			no("stability_workload_abnormal_pods", "workload", name),
			no("stability_image_pull_failing_pods", "workload", name),
			no("stability_workload_unschedulable_replicas", "workload", name),
			no("stability_workload_terminating_overdue_pods", "workload", name))
	}
}

// object is a JSON object, for patches.
type object = sandbox.Object
