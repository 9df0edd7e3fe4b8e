// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

var update = flag.Bool("update", false, "rewrite the generated documentation instead of comparing it")

func TestGoldenDocumentation(t *testing.T) {
	const path = "../docs/alerts.md"
	want, err := DocsMarkdown()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("docs/alerts.md is not what the rules say; run 'go test ./rules -run Golden -update':\n%s", diff)
	}
}

// Every runbook belongs to an alert; that every alert has one is seen by the links of docs/alerts.md.
func TestRunbooksHaveAlerts(t *testing.T) {
	runbooks, err := os.ReadDir("../docs/runbooks")
	if err != nil {
		t.Fatal(err)
	}
	text, err := Print(Options{Format: Prometheus})
	if err != nil {
		t.Fatal(err)
	}
	for _, runbook := range runbooks {
		alert := strings.TrimSuffix(runbook.Name(), ".md")
		if !strings.Contains(string(text), "- alert: "+alert+"\n") {
			t.Errorf("there is no alert for docs/runbooks/%s", runbook.Name())
		}
		page, err := os.ReadFile("../docs/runbooks/" + runbook.Name())
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range []string{"# " + alert, "## Meaning", "## Impact", "## Diagnosis", "## What to do"} {
			if !strings.Contains("\n"+string(page), "\n"+part+"\n") {
				t.Errorf("docs/runbooks/%s has no part %q", runbook.Name(), part)
			}
		}
	}
}

// The same groups, word for word, are in the files and in every form they are printed in.
func TestPrintKeepsTheRules(t *testing.T) {
	type file struct {
		Groups []any
	}
	var want file
	for _, name := range []string{"middleware", "middleware_degraded", "misconfigurations", "nodes", "records", "services", "trust", "workloads"} {
		text, err := os.ReadFile(name + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		var one file
		if err := yaml.Unmarshal(text, &one); err != nil {
			t.Fatal(err)
		}
		want.Groups = append(want.Groups, one.Groups...)
	}
	for format, kind := range map[string]string{Prometheus: "", PrometheusRule: "PrometheusRule", VMRule: "VMRule"} {
		text, err := Print(Options{Format: format, Name: "mine"})
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			file     `yaml:",inline"`
			Kind     string
			Metadata struct{ Name string }
			Spec     file
		}
		if err := yaml.Unmarshal(text, &got); err != nil {
			t.Fatal(err)
		}
		groups := got.Groups
		if kind != "" {
			groups = got.Spec.Groups
			if got.Kind != kind || got.Metadata.Name != "mine" {
				t.Errorf("%s: %s %s", format, got.Kind, got.Metadata.Name)
			}
		}
		if diff := cmp.Diff(want.Groups, groups); diff != "" {
			t.Errorf("%s differs from the files:\n%s", format, diff)
		}
	}
}

func TestPrintRefusesAnUnknownFormat(t *testing.T) {
	if _, err := Print(Options{Format: "json"}); err == nil || !strings.Contains(err.Error(), "prometheusrule") {
		t.Errorf("got %v, want an error that names the formats", err)
	}
}

func TestRunbooksAreLinked(t *testing.T) {
	for _, address := range []string{"https://wiki.example.com/r", "https://wiki.example.com/r/"} {
		text, err := Print(Options{Format: Prometheus, Runbooks: address})
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), "runbook_url: https://wiki.example.com/r/StabilityWorkloadDown.md\n") ||
			strings.Contains(string(text), "runbook_url: docs/") {
			t.Errorf("%s: the runbooks are not linked to", address)
		}
	}
}
