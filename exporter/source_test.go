// SPDX-License-Identifier: Apache-2.0

package exporter

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stability-exporter/collectors"
	"stability-exporter/internal/state"
)

// withoutCluster runs an exporter that is given nothing but a configuration.
func withoutCluster(t *testing.T, text string, flags ...string) (r *running, file string) {
	t.Helper()
	t.Setenv("KUBECONFIG", "")
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	file = writeFile(t, "config.yaml", text)
	open := func(e *exporter) (source, func() time.Time, error) { return e.openSource(strings.NewReader("")) }
	return startOver(t, open, append([]string{"--config.file=" + file}, flags...)...), file
}

const oneTarget = "middleware: {targets: [{name: a, kind: redis, address: 'localhost:6379'}]}\n"

// Without a cluster nothing of one is told, not even that it is unknown, and nothing waits for it.
func TestMiddlewareNeedsNoCluster(t *testing.T) {
	r, _ := withoutCluster(t, oneTarget, "--state.file="+filepath.Join(t.TempDir(), "state"))
	check(t, "readiness", r.get("/readyz").StatusCode, http.StatusOK)
	text := r.get("/metrics").text
	check(t, "reload", sampleOf(text, "stability_exporter_config_last_reload_successful"), "1")
	for _, absent := range []string{"stability_exporter_informer", `stability_exporter_collector_success{collector="node"}`, "stability_node", "stability_workload", "stability_check"} {
		if strings.Contains(text, absent) {
			t.Errorf("%s is told of:\n%s", absent, text)
		}
	}
	page := r.get("/").text
	for want, there := range map[string]bool{"Watching no cluster, only middleware.": true, "<td>node</td><td>no</td>": true, "<td>middleware</td><td>yes</td>": true, "Resources": false} {
		check(t, want+" on the landing page", strings.Contains(page, want), there)
	}
	if err := r.stop(); err != nil {
		t.Errorf("stopping failed: %v", err)
	}
}

func TestCollectorsThatReadNoClusterRunWithoutOne(t *testing.T) {
	t.Setenv("KUBECONFIG", "")
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	on := true
	e := &exporter{options: &options{collectors: map[string]*bool{"node": &on, "middleware": &on}}}
	specs := []collectors.Spec{{Name: "node", Reads: state.KindSet(state.Nodes)}, {Name: "middleware"}}
	enabled := e.enabled(specs)
	if len(enabled) != 1 || enabled[0].Name != "middleware" {
		t.Errorf("enabled are %v", enabled)
	}
	e.options.source.manifests = []string{"a"}
	check(t, "with a cluster", len(e.enabled(specs)), 2)
}

// A module alone will do: other addresses can be asked by it.
func TestWithoutAClusterTheLastTargetStays(t *testing.T) {
	r, file := withoutCluster(t, "middleware: {modules: {m: {kind: redis, allow: [10.0.0.0/8]}}}\n")
	reload := func(text string, wantStatus int, want string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		answer := r.do(http.MethodPost, "http://"+r.address+reloadPath)
		check(t, text, answer.StatusCode, wantStatus)
		if !strings.Contains(answer.text, want) {
			t.Errorf("%q: got %q, want %q in it", text, answer.text, want)
		}
	}
	reload(oneTarget, http.StatusOK, "configuration reloaded")
	reload("", http.StatusInternalServerError, "nothing to watch")
	reload("middleware: {targets: [{name: a, kind: redis, address: x, credential: {password: [S3cret]}}]}", http.StatusInternalServerError, ":1: a text is expected here")
	check(t, "after mistakes", r.sample("stability_exporter_config_last_reload_successful"), "0")
	reload("middleware: {targets: [{name: a, kind: redis, address: x, credential: {password_file: /nonexistent/S3}}]}", http.StatusOK, "configuration reloaded")
	if log := r.log.String(); strings.Contains(log, "S3cret") || !strings.Contains(log, "/nonexistent/S3") {
		t.Errorf("the log tells a secret, or nothing of a file that is missing:\n%s", log)
	}
}
