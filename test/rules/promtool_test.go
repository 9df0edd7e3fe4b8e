// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// Every alert is put into a number of situations, by the oldest Prometheus that can load the rules and by a new one.
func TestAlerts(t *testing.T) {
	promtools := []string{debianPromtool(t), newPromtool(t)}
	rules := alertRules(t)
	tested := map[string]bool{}
	for _, c := range cases(t) {
		rule := rules[c.Alert]
		if len(rule) == 0 {
			t.Fatalf("there is no alert %s", c.Alert)
		}
		tested[c.Alert] = true
		t.Run(c.name(), func(t *testing.T) {
			file := writeTests(t, c.Alert, c.situations(rule[0]))
			for _, promtool := range promtools {
				if output, err := exec.Command(promtool, "test", "rules", file).CombinedOutput(); err != nil {
					t.Errorf("%s: %v\n%s", promtool, err, output)
				}
			}
		})
	}
	for name := range rules {
		if !tested[name] {
			t.Errorf("no case tests %s", name)
		}
	}
}

// A test that cannot fail is none: the situations of a case do not hold for rules without it.
func TestSituationsCanFail(t *testing.T) {
	promtool := debianPromtool(t)
	rules := alertRules(t)
	for _, c := range cases(t)[:3] {
		for name, spoil := range map[string]func(*expectation){
			"another moment": func(e *expectation) { e.EvalTime = "1m" },
			"another text":   func(e *expectation) { e.ExpAlerts[0].Annotations["description"] += "!" },
			"another label":  func(e *expectation) { e.ExpAlerts[0].Labels["instance"] = "a" },
		} {
			all := c.situations(rules[c.Alert][0])[:1]
			spoil(&all[0].Alerts[1])
			if exec.Command(promtool, "test", "rules", writeTests(t, c.Alert, all)).Run() == nil {
				t.Errorf("%s: passes with %s", c.name(), name)
			}
		}
	}
}

func TestPromtoolAcceptsTheRules(t *testing.T) {
	for _, promtool := range []string{debianPromtool(t), newPromtool(t)} {
		command := exec.Command(promtool, append([]string{"check", "rules", "--lint=all", "--lint-fatal"}, ruleFiles(t)...)...)
		if output, err := command.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", promtool, err, output)
		}
	}
}

// debianPromtool returns the promtool of the machine, which must be an old one.
func debianPromtool(t *testing.T) string {
	t.Helper()
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Fatal("promtool is missing. Run: sudo apt-get install -y --no-install-recommends prometheus")
	}
	return promtool
}

// newPromtool builds the promtool of the version in go.mod, without the service discoveries that rules do not need.
func newPromtool(t *testing.T) string {
	t.Helper()
	promtool := filepath.Join(t.TempDir(), "promtool")
	command := exec.Command("go", "build", "-tags", "remove_all_sd", "-o", promtool, "github.com/prometheus/prometheus/cmd/promtool")
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("cannot build promtool: %v\n%s", err, output)
	}
	return promtool
}

// ruleFiles returns the absolute paths of the files with the bundled rules.
func ruleFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../../rules/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("cannot find the rules: %v", err)
	}
	for i, file := range files {
		if files[i], err = filepath.Abs(file); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// alertRule is an alert as its file has it.
type alertRule struct {
	Alert         string            `yaml:"alert"`
	Expr          string            `yaml:"expr"`
	For           string            `yaml:"for"`
	KeepFiringFor string            `yaml:"keep_firing_for,omitempty"`
	Labels        map[string]string `yaml:"labels"`
	Annotations   map[string]string `yaml:"annotations"`
}

// alertRules returns all alerts by name; some have two rules.
func alertRules(t *testing.T) map[string][]alertRule {
	t.Helper()
	rules := map[string][]alertRule{}
	for _, file := range ruleFiles(t) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var parsed struct {
			Groups []struct{ Rules []alertRule }
		}
		if err := yaml.Unmarshal(text, &parsed); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, group := range parsed.Groups {
			for _, rule := range group.Rules {
				if rule.Alert != "" {
					rules[rule.Alert] = append(rules[rule.Alert], rule)
				}
			}
		}
	}
	return rules
}

// cases returns the cases of all files.
func cases(t *testing.T) []ruleCase {
	t.Helper()
	files, err := filepath.Glob("cases/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("cannot find the cases: %v", err)
	}
	var all []ruleCase
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var some []ruleCase
		decoder := yaml.NewDecoder(bytes.NewReader(text))
		decoder.KnownFields(true)
		if err := decoder.Decode(&some); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all = append(all, some...)
	}
	return all
}

// The test file of promtool; vmalert-tool reads the same.
type (
	testFile struct {
		RuleFiles          []string    `yaml:"rule_files"`
		EvaluationInterval string      `yaml:"evaluation_interval"`
		Tests              []situation `yaml:"tests"`
	}
	situation struct {
		Name     string        `yaml:"name"`
		Interval string        `yaml:"interval"`
		Series   []series      `yaml:"input_series"`
		Alerts   []expectation `yaml:"alert_rule_test"`
	}
	series struct {
		Series string `yaml:"series"`
		Values string `yaml:"values"`
	}
	expectation struct {
		EvalTime  string  `yaml:"eval_time"`
		Alertname string  `yaml:"alertname"`
		ExpAlerts []alert `yaml:"exp_alerts"`
	}
	alert struct {
		Labels      map[string]string `yaml:"exp_labels"`
		Annotations map[string]string `yaml:"exp_annotations"`
	}
)

// writeTests writes the situations, and the rules of the one alert that they are about, for some last a day.
func writeTests(t *testing.T, name string, situations []situation) string {
	t.Helper()
	rules := filepath.Join(t.TempDir(), "rules.yaml")
	text, err := yaml.Marshal(map[string]any{"groups": []any{map[string]any{"name": name, "rules": alertRules(t)[name]}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(rules, text, 0o600); err != nil {
		t.Fatal(err)
	}
	text, err = yaml.Marshal(testFile{[]string{rules}, "1m", situations})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), name+".yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func (a alert) clone() alert { return alert{maps.Clone(a.Labels), maps.Clone(a.Annotations)} }

// labelsOf parses a="b",c="d".
func labelsOf(text string) map[string]string {
	labels := map[string]string{}
	for _, pair := range strings.Split(text, `",`) {
		if name, value, found := strings.Cut(pair, `="`); found {
			labels[name] = strings.TrimSuffix(value, `"`)
		}
	}
	return labels
}

func minute(n int) string { return fmt.Sprintf("%dm", n) }

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
