// SPDX-License-Identifier: Apache-2.0

package exporter

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

const dump = `{"apiVersion": "v1", "kind": "List", "items": [
{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "shop", "generation": 1,
  "uid": "8c7ba5d5-2f5b-4f0e-9f9e-0f4b5a1c2d3e", "creationTimestamp": "2026-01-01T00:00:00Z"},
 "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "web"}},
  "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": "web:1"}]}}},
 "status": {"observedGeneration": 1, "replicas": 3, "updatedReplicas": 3, "readyReplicas": 1, "availableReplicas": 1}},
{"apiVersion": "v1", "kind": "Node", "metadata": {"name": "worker-1", "uid": "0f4b5a1c-2f5b-4f0e-9f9e-8c7ba5d52d3e"},
 "status": {"conditions": [{"type": "Ready", "status": "True", "lastHeartbeatTime": "2026-01-31T09:00:00Z",
  "lastTransitionTime": "2026-01-01T00:00:00Z"}]}}]}`

// launch builds the program, starts it over manifests and waits until it has read them.
func launch(t *testing.T, stdin string, flags ...string) (*running, *exec.Cmd) {
	t.Helper()
	binary := filepath.Join(t.TempDir(), programName)
	if output, err := exec.Command("go", "build", "-o", binary, "..").CombinedOutput(); err != nil {
		t.Fatalf("cannot build the program: %v\n%s", err, output)
	}
	r := &running{t: t, log: new(logBuffer), client: trusting(nil)}
	command := exec.Command(binary, append([]string{"--web.listen-address=127.0.0.1:0"}, flags...)...)
	command.Stdin, command.Stderr, command.Env = strings.NewReader(stdin), r.log, os.Environ()
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if command.ProcessState == nil {
			_ = command.Process.Kill()
			_ = command.Wait()
		}
	})
	r.awaitAddress()
	eventually(t, "the dump is read", func() bool { return r.get("/readyz").StatusCode == 200 })
	return r, command
}

// The whole answer to a scrape of the sample cluster, the exporter's own families and those of its libraries included,
// passes the linter of Prometheus.
func TestWholeExpositionPassesTheLinter(t *testing.T) {
	r, _ := launch(t, "", "--manifests=../examples/erp-cluster", "--state.file="+filepath.Join(t.TempDir(), "state"))
	problems, err := promlint.New(strings.NewReader(r.get("/metrics").text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// Somebody went over the cluster: what restarts from then on is counted, also by the next process.
func TestInspectionOutlivesTheProcess(t *testing.T) {
	const baseline = "stability_inspection_baseline_timestamp_seconds"
	flags := []string{"--manifests=../examples/erp-cluster", "--state.file=" + filepath.Join(t.TempDir(), "state")}
	first, command := launch(t, "", flags...)
	check(t, "baseline at first", sampleOf(first.get("/metrics").text, baseline), "")
	check(t, "status", first.do("POST", "http://"+first.address+"/-/inspected").StatusCode, 200)
	want := sampleOf(first.get("/metrics").text, baseline)
	if want == "" {
		t.Fatal("no baseline after an inspection")
	}
	_ = command.Process.Kill()
	_ = command.Wait()
	second, _ := launch(t, "", flags...)
	check(t, "baseline of the next process", sampleOf(second.get("/metrics").text, baseline), want)
}

// The program as it is shipped: what kubectl prints goes in, metrics come out, and a signal ends it in order.
func TestBinaryJudgesADumpFromStdin(t *testing.T) {
	r, command := launch(t, dump, "--manifests=-", "--collector.node", "--no-collector.restart")
	text := r.get("/metrics").text
	for series, want := range map[string]string{
		`stability_workload_state{namespace="shop",workload="web",workload_type="deployment",state="degraded"}`: "1",
		`stability_workload_available_replicas{namespace="shop",workload="web",workload_type="deployment"}`:     "1",
		`stability_node_ready{node="worker-1",zone="unknown"}`:                                                  "1",
		`stability_exporter_informer_unavailable{reason="not_observed",resource="pods"}`:                        "1",
		`stability_exporter_collector_success{collector="restart"}`:                                             "", // switched off
	} {
		check(t, series, sampleOf(text, series), want)
	}
	if err := command.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the hangup is served", func() bool { return strings.Contains(r.log.String(), "configuration loaded") })
	if err := command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := command.Wait(); err != nil {
		t.Errorf("the program did not end well: %v\n%s", err, r.log)
	}
	if last := regexp.MustCompile(`msg=stopped\n$`); !last.MatchString(r.log.String()) {
		t.Errorf("the last line of the log is not the end:\n%s", r.log)
	}
}
