// SPDX-License-Identifier: Apache-2.0

package sample

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// expectedAlerts are the alerts that fire, and how many of each.
func expectedAlerts() map[string]float64 {
	return map[string]float64{
		"StabilityNodeNotReady":             1, // k8snode09
		"StabilityWorkloadDegraded":         9, // six by the lost node, order-center, bill-center, payroll
		"StabilityWorkloadHalfDown":         1, // order-center
		"StabilityWorkloadDown":             1, // payroll
		"StabilityServiceNoEndpoints":       2, // payroll, report-center
		"StabilityPodsUnschedulable":        1, // order-center
		"StabilityCrashLoop":                1, // bill-center
		"StabilityRestartsSinceYesterday":   1, // bill-center
		"StabilityImagePullFailing":         1, // print-service
		"StabilityRolloutStuck":             1, // print-service
		"StabilityDrainBlocked":             1, // k8snode13
		"StabilityPdbMisconfigured":         2, // wcs-webui-1-3-0, old-portal
		"StabilitySinglePointOfFailure":     1, // license-proxy
		"StabilityHpaCapped":                1, // gateway
		"StabilityCronJobFailed":            1, // nightly-settlement
		"StabilityIntervalSuspect":          1, // message-center
		"StabilityMisconfigurationCritical": 2, // file-service, tenant-center
		"StabilityMisconfigurations":        7, // a digest of each check that warns
	}
}

// What the sample cluster, watched for 70 minutes, makes people do: every fault that examples/README.md tells of is told,
// and nothing else is.
func TestAlertsOfTheSampleCluster(t *testing.T) {
	type sample struct {
		Labels string  `yaml:"labels"`
		Value  float64 `yaml:"value"`
	}
	type query struct {
		Expr     string   `yaml:"expr"`
		EvalTime string   `yaml:"eval_time"`
		Samples  []sample `yaml:"exp_samples"`
	}
	type series struct {
		Series string `yaml:"series"`
		Values string `yaml:"values"`
	}
	fired := query{Expr: `count by (alertname) (ALERTS{alertstate="firing"})`, EvalTime: "70m"}
	for name, count := range expectedAlerts() {
		fired.Samples = append(fired.Samples, sample{`{alertname="` + name + `"}`, count})
	}
	scrape, err := serve(t, faulty).Scrape(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var input []series
	for line := range strings.Lines(scrape.Text) {
		name, value, found := strings.Cut(strings.TrimSpace(line), "} ")
		if found && strings.HasPrefix(name, "stability_") {
			input = append(input, series{name + "}", strings.Repeat(plain(t, value)+" ", 72)})
		}
	}
	dir := t.TempDir()
	text, err := yaml.Marshal(map[string]any{
		"rule_files": []string{write(t, dir, "rules.yaml", bundledRules(t))}, "evaluation_interval": "1m",
		"tests": []any{map[string]any{"interval": "1m", "input_series": input, "promql_expr_test": []query{fired}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if output, err := exec.Command("promtool", "test", "rules", write(t, dir, "sample.yaml", text)).CombinedOutput(); err != nil {
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

// write writes a file and returns its path.
func write(t *testing.T, dir, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
