// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// What the sample cluster of make run, watched for 70 minutes, makes people do: every fault that examples/README.md tells
// of is told, and nothing else is.
func TestAlertsOfTheSampleCluster(t *testing.T) {
	want := map[string]float64{
		"StabilityNodeNotReady":           1, // k8snode09
		"StabilityWorkloadDegraded":       9, // six by the lost node, order-center, bill-center, payroll
		"StabilityWorkloadHalfDown":       1, // order-center
		"StabilityWorkloadDown":           1, // payroll
		"StabilityServiceNoEndpoints":     2, // payroll, report-center
		"StabilityPodsUnschedulable":      1, // order-center
		"StabilityCrashLoop":              1, // bill-center
		"StabilityRestartsSinceYesterday": 1, // bill-center
		"StabilityImagePullFailing":       1, // print-service
		"StabilityRolloutStuck":           1, // print-service
		"StabilityDrainBlocked":           1, // k8snode13
		"StabilityPdbMisconfigured":       2, // wcs-webui-1-3-0, old-portal
		"StabilitySinglePointOfFailure":   1, // license-proxy
		"StabilityHpaCapped":              1, // gateway
		"StabilityCronJobFailed":          1, // nightly-settlement
	}
	type sample struct {
		Labels string  `yaml:"labels"`
		Value  float64 `yaml:"value"`
	}
	type query struct {
		Expr     string   `yaml:"expr"`
		EvalTime string   `yaml:"eval_time"`
		Samples  []sample `yaml:"exp_samples"`
	}
	fired := query{Expr: `count by (alertname) (ALERTS{alertstate="firing"})`, EvalTime: "70m"}
	for name, count := range want {
		fired.Samples = append(fired.Samples, sample{`{alertname="` + name + `"}`, count})
	}
	var input []series
	for line := range strings.Lines(sampleMetrics(t)) {
		name, value, found := strings.Cut(strings.TrimSpace(line), "} ")
		if found && strings.HasPrefix(name, "stability_") {
			input = append(input, series{name + "}", strings.Repeat(plain(t, value)+" ", 72)})
		}
	}
	text, err := yaml.Marshal(map[string]any{
		"rule_files": ruleFiles(t), "evaluation_interval": "1m",
		"tests": []any{map[string]any{"interval": "1m", "input_series": input, "promql_expr_test": []query{fired}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "sample.yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if output, err := exec.Command(debianPromtool(t), "test", "rules", file).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, output)
	}
}

// plain writes a number as the language of tests takes it: without an exponent.
func plain(t *testing.T, value string) string {
	t.Helper()
	number, err := strconv.ParseFloat(value, 64)
	if err != nil {
		t.Fatal(err)
	}
	return strconv.FormatFloat(number, 'f', -1, 64)
}

// sampleMetrics runs the program over the sample cluster and returns what /metrics answers once it is ready.
func sampleMetrics(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "stability_exporter")
	build := exec.Command("go", "build", "-o", binary, ".")
	build.Dir = "../.."
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("cannot build the program: %v\n%s", err, output)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	program := exec.CommandContext(ctx, binary, "--manifests=../../examples/erp-cluster", "--web.listen-address=127.0.0.1:0")
	log, err := program.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cancel(); _ = program.Wait() }() // killed
	address, read := "", false
	for lines := bufio.NewScanner(log); (address == "" || !read) && lines.Scan(); {
		if match := regexp.MustCompile(`msg="Listening on" address=(\S+)`).FindStringSubmatch(lines.Text()); match != nil {
			address = match[1]
		}
		read = read || strings.Contains(lines.Text(), `msg="manifests read"`)
	}
	go func() { _, _ = io.Copy(io.Discard, log) }()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatalf("cannot scrape the sample cluster: %v", err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
