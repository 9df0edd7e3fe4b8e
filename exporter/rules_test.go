// SPDX-License-Identifier: Apache-2.0

package exporter

import (
	"strings"
	"testing"
)

func TestRulesCommand(t *testing.T) {
	good := writeFile(t, "good.yaml", "rules: {alerts: {StabilityIntervalSuspect: {enabled: false}}}")
	bad := writeFile(t, "bad.yaml", "rules:\n  alerts: {StabilityOOMKilledRepeat: }\n  thresholds: {oom_kill: 3}\n")
	for _, c := range []struct {
		args           []string
		code           int
		stdout, stderr string // what they begin with, and a part
	}{
		{nil, exitOK, "groups:\n", ""},
		{[]string{"--format=prometheus"}, exitOK, "groups:\n", ""},
		{[]string{"--format=prometheusrule", "--name=mine"}, exitOK,
			"apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata:\n  name: mine\n", ""},
		{[]string{"--format=vmrule"}, exitOK,
			"apiVersion: operator.victoriametrics.com/v1beta1\nkind: VMRule\nmetadata:\n  name: stability-exporter\n", ""},
		{[]string{"--config=" + good}, exitOK, "groups:\n  - name: stability.middleware\n    rules:\n      - alert: StabilityMiddlewareDown\n", ""},
		{[]string{"--config.file=" + good}, exitOK, "groups:\n  - name: stability.middleware\n    rules:\n      - alert: StabilityMiddlewareDown\n", ""},
		{[]string{"--config.file=" + bad, "--config=" + good}, exitOK, "groups:\n", ""},
		{[]string{"--config=" + bad}, exitFailure, "", bad + ":2: there is no alert \"StabilityOOMKilledRepeat\": did you mean StabilityOOMKilledRepeated? docs/alerts.md " +
			"lists all\n" + bad + ":3: there is no threshold \"oom_kill\": did you mean oom_kills? docs/alerts.md lists all\n"},
		{[]string{"--config=/nonexistent"}, exitFailure, "", "cannot read the configuration"},
		{[]string{"--format=json"}, exitUsage, "", "--format=json: give one of prometheus, prometheusrule, vmrule"},
		{[]string{"--runbook-url=wiki"}, exitUsage, "", "--runbook-url=wiki: give an address such as https://"},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			code, stdout, stderr := runMainWithOutput(t, append([]string{"rules"}, c.args...)...)
			check(t, "exit code", code, c.code)
			if !strings.HasPrefix(stdout, c.stdout) || c.stdout == "" && stdout != "" {
				t.Errorf("stdout begins with %.200q, want %q", stdout, c.stdout)
			}
			if !strings.Contains(stderr, c.stderr) || c.stderr == "" && stderr != "" {
				t.Errorf("stderr: got %q, want %q in it", stderr, c.stderr)
			}
		})
	}
}
