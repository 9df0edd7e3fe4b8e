// SPDX-License-Identifier: Apache-2.0

package exporter

import (
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"stability-exporter/internal/state"
)

func TestMetricsTellOfTheExporterBeforeTheClusterIsKnown(t *testing.T) {
	r := start(t)
	answer := r.get("/metrics")
	check(t, "status", answer.StatusCode, http.StatusOK)
	check(t, "content type", answer.Header.Get("Content-Type"), "text/plain; version=0.0.4; charset=utf-8")
	check(t, "collector success", sampleOf(answer.text, `stability_exporter_collector_success{collector="node"}`), "1")
	check(t, "reload", sampleOf(answer.text, "stability_exporter_config_last_reload_successful"), "1")
	if !strings.Contains(answer.text, "go_goroutines ") || !strings.Contains(answer.text, "process_start_time_seconds ") {
		t.Error("families of the Go runtime or the process are missing")
	}
	if strings.Contains(answer.text, "stability_node_") {
		t.Error("a node is shown although none was listed yet")
	}
	r.source.syncAll()
	answer = r.get("/metrics")
	check(t, "node", sampleOf(answer.text, `stability_node_ready{node="worker-1",zone="a"}`), "1")
	check(t, "informer", sampleOf(answer.text, `stability_exporter_informer_synced{resource="nodes"}`), "1")
}

func TestReadinessNamesWhatIsPendingAndForgivesWhatIsForbidden(t *testing.T) {
	r := start(t)
	check(t, "health", r.get("/healthz").StatusCode, http.StatusOK)
	answer := r.get("/readyz")
	check(t, "status at start", answer.StatusCode, http.StatusServiceUnavailable)
	if !strings.Contains(answer.text, "nodes") || !strings.Contains(answer.text, "leases") {
		t.Errorf("what is pending is not named: %s", answer.text)
	}
	r.source.syncAll()
	check(t, "status when synchronised", r.get("/readyz").StatusCode, http.StatusOK)
	forbidden := make(chan struct{})
	r.source.settle <- func(store *state.Store) {
		store.Settle(state.Scope{Kind: state.Leases}, state.Forbidden)
		close(forbidden)
	}
	<-forbidden
	check(t, "status when one is forbidden", r.get("/readyz").StatusCode, http.StatusOK)
	check(t, "informer", r.sample(`stability_exporter_informer_synced{resource="leases"}`), "0")
	check(t, "reason", r.sample(`stability_exporter_informer_unavailable{reason="forbidden",resource="leases"}`), "1")
}

func TestAnswersByMethodAndPath(t *testing.T) {
	r := start(t, "--web.telemetry-path=/own/metrics")
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/own/metrics", http.StatusOK},
		{"HEAD", "/own/metrics", http.StatusOK},
		{"POST", "/own/metrics", http.StatusMethodNotAllowed},
		{"GET", "/metrics", http.StatusNotFound},
		{"GET", "/", http.StatusOK},
		{"GET", "/nothing", http.StatusNotFound},
		{"GET", "/-/reload", http.StatusMethodNotAllowed},
		{"POST", "/-/reload", http.StatusOK},
		{"GET", "/-/inspected", http.StatusMethodNotAllowed},
		{"POST", "/-/inspected", http.StatusOK},
		{"GET", "/debug/pprof/", http.StatusNotFound},
	} {
		answer := r.do(c.method, "http://"+r.address+c.path)
		check(t, c.method+" "+c.path, answer.StatusCode, c.status)
	}
	head := r.do("HEAD", "http://"+r.address+"/own/metrics")
	check(t, "HEAD has no body", head.text, "")
	if head.ContentLength <= 0 {
		t.Error("HEAD does not tell the length")
	}
}

func TestProfilesAreOptIn(t *testing.T) {
	r := start(t, "--web.enable-pprof")
	check(t, "index", r.get("/debug/pprof/").StatusCode, http.StatusOK)
	check(t, "heap", r.get("/debug/pprof/heap").StatusCode, http.StatusOK)
}

func TestLandingPageEscapesWhatIsWatched(t *testing.T) {
	r := start(t, "--no-collector.component")
	r.source.syncAll()
	page := r.get("/").text
	for _, want := range []string{"a fake &lt;cluster&gt;", `href="/metrics"`, "<td>component</td><td>no</td>",
		"<td>node</td><td>yes</td>", "<td>nodes</td><td>synced</td>"} {
		if !strings.Contains(page, want) {
			t.Errorf("the landing page lacks %s:\n%s", want, page)
		}
	}
}

func TestGzipOnRequest(t *testing.T) {
	r := start(t)
	r.source.syncAll()
	answer := r.do("GET", "http://"+r.address+"/metrics", "Accept-Encoding", "br;q=1.0, gzip;q=0.5")
	check(t, "encoding", answer.Header.Get("Content-Encoding"), "gzip")
	check(t, "vary", answer.Header.Get("Vary"), "Accept-Encoding")
	reader, err := gzip.NewReader(strings.NewReader(answer.text))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(reader)
	if err != nil {
		t.Fatal(err)
	}
	check(t, "node", sampleOf(string(text), `stability_node_ready{node="worker-1",zone="a"}`), "1")
	plain := r.do("GET", "http://"+r.address+"/metrics", "Accept-Encoding", "identity")
	check(t, "no encoding", plain.Header.Get("Content-Encoding"), "")
}

func TestAcceptsGzip(t *testing.T) {
	f := func(header string, want bool) {
		t.Helper()
		check(t, header, acceptsGzip(header), want)
	}
	f("", false)
	f("gzip", true)
	f("deflate, GZIP", true)
	f("gzip;q=0", false)
	f("gzip; q=0.0", false)
	f("gzip;q=nonsense", false)
	f("gzip;q=0.1", true)
	f("*", false)
	f("gzipped", false)
}

func TestShutdownSavesTheStateAndEndsCleanly(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state")
	r := start(t, "--state.file="+file)
	r.source.syncAll()
	check(t, "nothing is saved yet", r.sample("stability_exporter_state_file_last_save_successful"), "")
	check(t, "load", r.sample("stability_exporter_state_file_load_successful"), "1")
	if err := r.stop(); err != nil {
		t.Errorf("stopping failed: %v", err)
	}
	if info, err := os.Stat(file); err != nil || info.Size() == 0 {
		t.Errorf("the state file was not saved: %v", err)
	}
	if _, err := r.try("GET", "http://"+r.address+"/healthz"); err == nil {
		t.Error("the server still answers")
	}
}

func TestStopsWhenTheSourceFails(t *testing.T) {
	r := start(t)
	r.source.fail <- errors.New("the cluster is gone")
	err := r.wait()
	if err == nil || !strings.Contains(err.Error(), "cannot go on watching a fake <cluster>: the cluster is gone") {
		t.Errorf("got the error %v", err)
	}
}

func TestStopsWhenTheAddressIsTaken(t *testing.T) {
	first := start(t)
	address := first.address
	code, stderr := runMain(t, "--manifests="+t.TempDir(), "--web.listen-address="+address)
	check(t, "exit code", code, exitFailure)
	if !strings.Contains(stderr, "address already in use") {
		t.Errorf("the reason is not told: %s", stderr)
	}
}

func TestSeveralAddresses(t *testing.T) {
	r := start(t, "--web.listen-address=127.0.0.1:0")
	eventually(t, "both listen", func() bool { return strings.Count(r.log.String(), `msg="Listening on"`) == 2 })
}

func TestHangupAndPostReloadTheConfiguration(t *testing.T) {
	file := writeFile(t, "config.yaml", "node_conditions: {DiskPressure: ignore}\n")
	r := start(t, "--config.file="+file)
	r.source.syncAll()
	const problem = `stability_node_condition_problem{node="worker-1",zone="a",condition="DiskPressure"}`
	const successful = "stability_exporter_config_last_reload_successful"
	check(t, "ignored condition", r.sample(problem), "")

	rewrite := func(content string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	rewrite("node_conditions: {DiskPressure: bad}\n")
	check(t, "good reload", r.do("POST", "http://"+r.address+"/-/reload").StatusCode, http.StatusOK)
	check(t, "condition after a good reload", r.sample(problem), "1")

	rewrite("node_conditions: {DiskPressure: worse}\n")
	answer := r.do("POST", "http://"+r.address+"/-/reload")
	check(t, "bad reload", answer.StatusCode, http.StatusInternalServerError)
	if !strings.Contains(answer.text, file+`:1: "worse" is no way to read a node condition`) {
		t.Errorf("the mistake is not named: %s", answer.text)
	}
	check(t, "reload metric", r.sample(successful), "0")
	check(t, "condition after a bad reload", r.sample(problem), "1")

	rewrite("node_conditions: {DiskPressure: ignore}\n")
	r.hangups <- syscall.SIGHUP
	eventually(t, "the hangup is served", func() bool { return r.sample(successful) == "1" })
	check(t, "condition after a hangup", r.sample(problem), "")
}
