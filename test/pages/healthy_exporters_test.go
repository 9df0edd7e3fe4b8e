// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"path/filepath"
	"syscall"
	"testing"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/prometheus/common/model"

	"stability-exporter/test/cluster"
	"stability-exporter/test/exporterproc"
)

// An exporter that comes and goes while workloads change does not take the change for damage.
func TestHealthyExporters(t *testing.T) {
	both := []string{"web", "db"}
	runAll(t, []operation{
		{name: "restarted", workloads: both, seen: "rolling", do: func(s *space) {
			watched(s)
			s.restartTwice(s.watch("only"), "only")
		}},
		{name: "restarted with a state file", workloads: both, seen: "rolling", do: func(s *space) {
			watched(s)
			file := "--state.file=" + filepath.Join(s.T.TempDir(), "state.json")
			s.restartTwice(s.watch("only", file), "only", file)
		}},
		{name: "one of two restarted", workloads: both, seen: "rolling", do: func(s *space) {
			watched(s)
			s.watch("first")
			s.restartTwice(s.watch("second"), "second")
		}},
		{name: "one of two frozen", workloads: both, seen: "rolling", do: func(s *space) {
			watched(s)
			s.watch("first")
			s.freezeTwice(s.watch("second"))
		}},
	})
}

// watched makes workloads for exporters of the test's own, which Prometheus knows by a cluster of their own.
func watched(s *space) {
	served(4, appsv1.DeploymentStrategy{})(s)
	s.StatefulSet("db", 2)
	s.cluster = s.Name
	s.T.Cleanup(func() { // nobody watches any more
		shared.claims.add(model.LabelSet{"alertname": "StabilityExporterDown", "cluster": model.LabelValue(s.cluster)})
	})
}

// watch starts an exporter for the namespace. Nodes and components it leaves alone: other tests break them.
func (s *space) watch(name string, flags ...string) *exporterproc.Process {
	s.T.Helper()
	p := exporterproc.Start(s.T, shared.binary, append([]string{
		"--kubeconfig=" + shared.kubeconfig, "--config.file=" + shared.config, "--namespace=" + s.Name,
		"--no-collector.node", "--no-collector.component",
	}, flags...)...)
	target := s.Name + "-" + name
	s.must(shared.prometheus.Scrape(target, p.Addr(), map[string]string{"cluster": s.cluster}))
	s.T.Cleanup(func() {
		if err := shared.prometheus.Scrape(target, "", nil); err != nil {
			s.T.Error(err)
		}
	})
	return p
}

// update gives both workloads another version and returns in the middle of it.
func (s *space) update(tag string) {
	s.T.Helper()
	s.NewVersion("deployment/web", tag, cluster.SlowStart)
	s.NewVersion("statefulset/db", tag, cluster.SlowStart)
	s.awaitState("web", "rolling")
	s.awaitState("db", "rolling")
}

// restartTwice replaces an exporter in the middle of two updates, which end while the new one is there.
func (s *space) restartTwice(p *exporterproc.Process, name string, flags ...string) {
	s.T.Helper()
	s.awaitHealthy("web", "db")
	for _, tag := range []string{"2", "3"} {
		s.update(tag)
		p.Stop(s.T)
		p = s.watch(name, flags...)
		s.awaitRollout("deployment/web", "statefulset/db")
	}
}

// freezeTwice stops an exporter during an update, and during one and all that follows it: what it tells first when it
// goes on may be of the past.
func (s *space) freezeTwice(p *exporterproc.Process) {
	s.T.Helper()
	s.awaitHealthy("web", "db")
	s.must(p.Signal(syscall.SIGSTOP))
	s.update("2")
	s.must(p.Signal(syscall.SIGCONT))
	s.awaitRollout("deployment/web", "statefulset/db")

	s.must(p.Signal(syscall.SIGSTOP))
	s.update("3")
	s.awaitRollout("deployment/web", "statefulset/db")
	s.scaleTo(6, 2)
	s.awaitCalm("web", "db")
	s.must(p.Signal(syscall.SIGCONT))
}
