// SPDX-License-Identifier: Apache-2.0

package exporter

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stability-exporter/collectors"
	"stability-exporter/rules"
)

func TestRulesAreConfigured(t *testing.T) {
	f := func(text string, change func(*rules.Config)) {
		t.Helper()
		want := rules.Config{Alerts: map[string]rules.AlertConfig{}, Thresholds: map[string]float64{}, CriticalLabels: map[string]string{}}
		change(&want)
		c, mistakes := parseConfig([]byte(text))
		if len(mistakes) > 0 {
			t.Errorf("%q: %v", text, mistakes)
			return
		}
		if diff := cmp.Diff(want, c.Rules.customization()); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
	}
	alert := func(change rules.AlertConfig) func(*rules.Config) {
		if change.Labels == nil {
			change.Labels = map[string]string{}
		}
		return func(c *rules.Config) { c.Alerts["StabilityCrashLoop"] = change }
	}
	f("", func(*rules.Config) {})
	f("rules:", func(*rules.Config) {})
	f("rules: {alerts: {}, thresholds: , critical_namespaces: [], critical_labels: }", func(*rules.Config) {})
	f("rules: {alerts: {StabilityCrashLoop: }}", alert(rules.AlertConfig{}))
	f("rules: {alerts: {StabilityCrashLoop: {enabled: true}}}", alert(rules.AlertConfig{}))
	f("rules: {alerts: {StabilityCrashLoop: {enabled: false}}}", alert(rules.AlertConfig{Disabled: true}))
	f("rules: {alerts: {StabilityCrashLoop: {for: 90m, keep_firing_for: 0s, severity: info, labels: {team: a, n: 1}}}}",
		alert(rules.AlertConfig{For: "1h30m", KeepFiringFor: "0s", Severity: "info", Labels: map[string]string{"team": "a", "n": "1"}}))
	f("rules: {thresholds: {crash_loop_restarts: 8, namespace_damaged_share: 0.25, node_flapping_window: 1h}}", func(c *rules.Config) {
		c.Thresholds = map[string]float64{"crash_loop_restarts": 8, "namespace_damaged_share": 0.25, "node_flapping_window": 3600}
	})
	f("rules: {critical_namespaces: [a.*, b], critical_labels: {app.io/tier: gold}}", func(c *rules.Config) {
		c.CriticalNamespaces, c.CriticalLabels["app.io/tier"] = []string{"a.*", "b"}, "gold"
	})
	f("rules: {critical_targets: [erp-.*, bus]}", func(c *rules.Config) { c.CriticalTargets = []string{"erp-.*", "bus"} })
}

// What is shown as a configuration is one, and the rules can be printed with those that are about rules.
func TestShownConfigurationsAreValid(t *testing.T) {
	shown := map[string]string{}
	for _, file := range []string{"../README.md", "../docs/alerts.md", "../docs/middleware.md", "../docs/discovery.md"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
			if !strings.Contains(block[1], "inhibit_rules:") && !strings.Contains(block[1], "scrape_configs:") {
				shown[fmt.Sprintf("%s, %.20q", file, block[1])] = block[1]
			}
		}
	}
	text, err := os.ReadFile("../examples/config.yaml")
	if err != nil {
		t.Fatal(err)
	}
	shown["examples"] = string(text)
	ofRules := 0
	for where, text := range shown {
		c, mistakes := parseConfig([]byte(text))
		if len(mistakes) > 0 {
			t.Errorf("%s: %v", where, mistakes)
			continue
		}
		if !regexp.MustCompile(`(?m)^rules:`).MatchString(text) {
			continue
		}
		ofRules++
		custom := c.Rules.customization()
		if len(custom.Alerts) == 0 || len(custom.Thresholds) == 0 || len(custom.CriticalNamespaces) == 0 {
			t.Errorf("%s: does not show how the rules are configured", where)
		}
		standard, err := rules.Print(rules.Options{Format: rules.Prometheus})
		if err != nil {
			t.Fatal(err)
		}
		if text, err := rules.Print(rules.Options{Format: rules.Prometheus, Config: custom}); err != nil || string(text) == string(standard) {
			t.Errorf("%s: changes nothing, error %v", where, err)
		}
	}
	check(t, "documents that show how the rules are configured", ofRules, 3)
	if len(shown) < 5 {
		t.Errorf("only %d configurations are shown", len(shown))
	}
}

// The example is the reference: a key that it does not have is one that nobody finds.
func TestTheExampleHasAllKeys(t *testing.T) {
	text, err := os.ReadFile("../examples/config.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"config", "damageConfig", "rulesConfig", "alertConfig", "checksConfig", "exemptionConfig", "hotGroupConfig",
		"hotWorkloadConfig", "middlewareConfig", "credentialConfig", "targetConfig", "tlsConfig", "moduleConfig", "discoveryConfig",
		"discoveryRuleConfig", "matchConfig"} {
		keys := strings.Split(knownKeys(name), ", ")
		for _, key := range keys {
			if !regexp.MustCompile(`(?m)^([^#\n]*|.*# or )\b` + key + `:`).Match(text) {
				t.Errorf("the key %s is missing", key)
			}
		}
	}
}

// The labels of a tier are those that the collector shows.
func TestTierLabelsAreThoseOfTheMetric(t *testing.T) {
	for _, key := range []string{"tier", "app.kubernetes.io/part-of", "a_b", "Ä"} {
		specs, err := collectors.All(collectors.Options{WorkloadLabels: []string{key}})
		if err != nil {
			t.Fatal(err)
		}
		var shown []string
		for _, spec := range specs {
			for _, family := range spec.Families {
				if family.Name == "stability_workload_info" {
					shown = family.Labels
				}
			}
		}
		if !slices.Contains(shown, rules.InfoLabel(key)) {
			t.Errorf("%s: the metric has the labels %v, the rules ask for %s", key, shown, rules.InfoLabel(key))
		}
	}
}

func TestTheNearestNameIsTold(t *testing.T) {
	known := []string{"crash_loop_restarts", "oom_kills", "rollout_too_long", "zone_down_nodes", "restarts_since_yesterday"}
	check(t, "a letter missing", alternatives("oom_kill", known), "did you mean oom_kills?")
	check(t, "two letters exchanged", alternatives("orllout_too_long", known), "did you mean rollout_too_long?")
	check(t, "other case", alternatives("OOM_Kills", known), "did you mean oom_kills?")
	check(t, "another word", alternatives("oom", known), "the nearest is oom_kills.")
	check(t, "a long one", alternatives(strings.Repeat("x", 1<<20), known[:2]), "known are crash_loop_restarts, oom_kills.")
	check(t, "equal", distance("abc", "ABC"), 0)
	check(t, "inserted", distance("", "abc"), 3)
	check(t, "replaced and removed", distance("abcd", "axc"), 2)
}
