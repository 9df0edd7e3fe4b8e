// SPDX-License-Identifier: Apache-2.0

package exporter

import (
	"strings"
	"testing"
)

// runMain runs the whole program outside of any cluster and returns its exit code and what it wrote to stderr.
func runMain(t *testing.T, args ...string) (code int, stderr string) {
	t.Helper()
	code, _, stderr = runMainWithOutput(t, args...)
	return code, stderr
}

func runMainWithOutput(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	t.Setenv("KUBECONFIG", "")
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	var out, err logBuffer
	code = Main(args, strings.NewReader(""), &out, &err)
	return code, out.String(), err.String()
}

func TestExitCodes(t *testing.T) {
	good := writeFile(t, "good.yaml", "damage: {grace: 5m}\n")
	bad := writeFile(t, "bad.yaml", "damage:\n  grace: 5\ncolour: red\n")
	without := writeFile(t, "without.yaml", "middleware: {discovery: {enabled: true}}\n")
	for _, c := range []struct {
		name   string
		args   []string
		code   int
		stderr string // part of it
	}{
		{"no source", nil, exitUsage, "give --kubeconfig=FILE, set $KUBECONFIG, run inside a cluster with a service account, or give --manifests=PATH"},
		{"no source and no middleware", []string{"--config.file=" + without}, exitUsage, "or give --config.file=FILE with middleware targets, which need no cluster"},
		{"no source and a bad configuration", []string{"--config.file=" + bad}, exitFailure, bad + ":2: duration 5 has no unit"},
		{"no source and no configuration", []string{"--config.file=/nonexistent"}, exitFailure, "cannot read the configuration"},
		{"unknown flag", []string{"--colour=red"}, exitUsage, "unknown long flag '--colour'"},
		{"unknown command", []string{"sing"}, exitUsage, "sing"},
		{"two sources", []string{"--manifests=a", "--kubeconfig=b"}, exitUsage, "exclude each other"},
		{"a moment without manifests", []string{"--kubeconfig=a", "--manifests.now=2026-01-31T09:00:00Z"}, exitUsage, "needs --manifests"},
		{"no moment", []string{"--manifests=a", "--manifests.now=9:00"}, exitUsage, "--manifests.now=9:00: give a moment such as 2026-01-31T09:00:00Z"},
		{"contradicting namespaces", []string{"--manifests=a", "--namespace=x", "--exclude-namespace=x"}, exitUsage, `namespace "x" is both`},
		{"empty label", []string{"--manifests=a", "--workload-labels=team,,tier"}, exitUsage, "--workload-labels=team,,tier: there is an empty item"},
		{"telemetry path in use", []string{"--manifests=a", "--web.telemetry-path=/healthz"}, exitUsage, "--web.telemetry-path=/healthz cannot be served"},
		{"telemetry path with a pattern", []string{"--manifests=a", "--web.telemetry-path=/{x}"}, exitUsage, "cannot be served"},
		{"negative limit", []string{"--manifests=a", "--web.max-requests=-1"}, exitUsage, "--web.max-requests=-1: give a whole number that is not negative"},
		{"unknown level", []string{"--manifests=a", "--log.level=loud"}, exitUsage, "--log.level=loud: give one of debug, info, warn, error"},
		{"unknown format", []string{"--manifests=a", "--log.format=xml"}, exitUsage, "--log.format=xml: give one of logfmt, json"},
		{"missing configuration", []string{"--manifests=" + t.TempDir(), "--config.file=/nonexistent"}, exitFailure, "cannot read the configuration"},
		{"state file in no folder", []string{"--manifests=" + t.TempDir(), "--state.file=/nonexistent/state"}, exitFailure, "/nonexistent is no folder"},
		{"good configuration", []string{"config", "check", good}, exitOK, ""},
		{"bad configuration", []string{"config", "check", bad}, exitFailure,
			bad + ":2: duration 5 has no unit: write 5s if seconds are meant\n" +
				bad + ":3: unknown key \"colour\": known here are checks, damage, middleware, node_conditions, rules\n"},
		{"configuration not named", []string{"config", "check"}, exitUsage, "file"},
		{"help", []string{"--help"}, exitOK, ""},
		{"version", []string{"--version"}, exitOK, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, stderr := runMain(t, c.args...)
			check(t, "exit code", code, c.code)
			if !strings.Contains(stderr, c.stderr) || c.stderr == "" && stderr != "" {
				t.Errorf("stderr: got %q, want %q in it", stderr, c.stderr)
			}
		})
	}
}

func TestHelpAndVersionGoToStdout(t *testing.T) {
	_, help, _ := runMainWithOutput(t, "serve", "--help")
	for _, want := range []string{"--web.listen-address", "--[no-]collector.node", "--kubeconfig"} {
		if !strings.Contains(help, want) {
			t.Errorf("help lacks %s:\n%s", want, help)
		}
	}
	_, version, _ := runMainWithOutput(t, "--version")
	if !strings.HasPrefix(version, "stability_exporter, version") {
		t.Errorf("version: %q", version)
	}
}
