// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// named returns the printed rules of an alert.
func named(t *testing.T, alert string, c Config) []alertRule {
	t.Helper()
	return slices.DeleteFunc(printed(t, c), func(r alertRule) bool { return r.Alert != alert })
}

func TestAnAlertIsChangedInAllItsRules(t *testing.T) {
	before := printed(t, Config{})
	after := printed(t, Config{Alerts: map[string]AlertConfig{"StabilityWorkloadDown": {
		For: "3m", KeepFiringFor: "1h", Severity: "warning", Labels: map[string]string{"team": "platform", "n": "1"},
	}}})
	var want []alertRule
	for _, rule := range before {
		if rule.Alert == "StabilityWorkloadDown" {
			rule.For, rule.KeepFiringFor = "3m", "1h"
			rule.Labels["severity"], rule.Labels["team"], rule.Labels["n"] = "warning", "platform", "1"
			rule.Labels["default_severity"] = "critical"
		}
		want = append(want, rule)
	}
	if diff := cmp.Diff(want, after); diff != "" {
		t.Error(diff)
	}
}

func TestADisabledAlertIsGone(t *testing.T) {
	all, without := printed(t, Config{}), printed(t, Config{Alerts: map[string]AlertConfig{"StabilityWorkloadDown": {Disabled: true}}})
	want := slices.DeleteFunc(all, func(r alertRule) bool { return r.Alert == "StabilityWorkloadDown" })
	if diff := cmp.Diff(want, without); diff != "" {
		t.Error(diff)
	}
}

// Prometheus refuses no group without rules, but there is nothing to be said for one.
func TestAGroupWithoutRulesIsGone(t *testing.T) {
	labels, err := AlertLabels()
	if err != nil {
		t.Fatal(err)
	}
	c := Config{Alerts: map[string]AlertConfig{}}
	for alert := range labels {
		c.Alerts[alert] = AlertConfig{Disabled: true}
	}
	text, err := Print(Options{Format: Prometheus, Config: c})
	if err != nil {
		t.Fatal(err)
	}
	check(t, "groups", strings.Count(string(text), "- name: "), 1)
	check(t, "the records are there", strings.Contains(string(text), "- name: stability.records"), true)
}

func TestWhatBecomesCriticalKeepsFiring(t *testing.T) {
	f := func(change AlertConfig, want string) {
		t.Helper()
		for _, rule := range named(t, "StabilityCrashLoop", Config{Alerts: map[string]AlertConfig{"StabilityCrashLoop": change}}) {
			check(t, "keep_firing_for", rule.KeepFiringFor, want)
		}
	}
	f(AlertConfig{}, "")
	f(AlertConfig{Severity: "info"}, "")
	f(AlertConfig{Severity: "critical"}, "5m")
	f(AlertConfig{Severity: "critical", KeepFiringFor: "0s"}, "0s")
	f(AlertConfig{KeepFiringFor: "2m"}, "2m")
}

// With tiers each critical alert of a namespace, or of middleware, is there twice, and all else is as it was.
func TestTiersTellCriticalAlertsApart(t *testing.T) {
	labels, err := AlertLabels()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]Config{
		"namespaces": {CriticalNamespaces: []string{"prod-.*"}},
		"labels":     {CriticalLabels: map[string]string{"tier": "gold"}},
		"both":       {CriticalNamespaces: []string{"prod-.*"}, CriticalLabels: map[string]string{"tier": "gold"}},
		"targets":    {CriticalTargets: []string{"erp-.*"}},
	} {
		split := 0
		after := printed(t, c)
		label := "namespace"
		if len(c.CriticalTargets) > 0 {
			label = "group"
		}
		for _, rule := range printed(t, Config{}) {
			if rule.Labels["severity"] != "critical" || !slices.Contains(labels[rule.Alert], label) {
				if diff := cmp.Diff(rule, after[0]); diff != "" {
					t.Errorf("%s: %s has changed: %s", name, rule.Alert, diff)
				}
				after = after[1:]
				continue
			}
			split++
			inside, outside := after[0], after[1]
			after = after[2:]
			check(t, name+": severity inside", inside.Labels["severity"], "critical")
			check(t, name+": severity outside", outside.Labels["severity"], "warning")
			check(t, name+": default outside", outside.Labels["default_severity"], "critical")
			check(t, name+": default inside", inside.Labels["default_severity"], "")
			begin := "(\n  " + strings.ReplaceAll(rule.Expr, "\n", "\n  ") + "\n)\n"
			in, inFound := strings.CutPrefix(inside.Expr, begin+"unless on ")
			out, outFound := strings.CutPrefix(outside.Expr, begin+"and on ")
			if !inFound || !outFound || in != out {
				t.Errorf("%s: %s is not split:\n%s\n%s", name, rule.Alert, inside.Expr, outside.Expr)
			}
		}
		if split < 4 || len(after) > 0 {
			t.Errorf("%s: %d alerts are split, %d left", name, split, len(after))
		}
	}
}

// Alertmanager tells alerts apart by their labels: whatever is configured, no two rules have the same ones.
func TestRulesDifferInTheirLabels(t *testing.T) {
	labels, err := AlertLabels()
	if err != nil {
		t.Fatal(err)
	}
	for _, severity := range append(Severities(), "") {
		for _, c := range []Config{{}, {CriticalNamespaces: []string{"prod"}, CriticalTargets: []string{"bus"}}} {
			c.Alerts = map[string]AlertConfig{}
			for alert := range labels {
				c.Alerts[alert] = AlertConfig{Severity: severity}
			}
			seen := map[string]bool{}
			for _, rule := range printed(t, c) {
				key := fmt.Sprint(rule.Alert, rule.Labels)
				if seen[key] {
					t.Errorf("all severities %q, tiers %v: twice %s", severity, c.CriticalNamespaces, key)
				}
				seen[key] = true
			}
		}
	}
}

// What is added after the first aggregation is a label of the alert all the same.
func TestLabelsOfMiddlewareAlerts(t *testing.T) {
	labels, err := AlertLabels()
	if err != nil {
		t.Fatal(err)
	}
	for alert, want := range map[string][]string{
		"StabilityMiddlewareDown":              {"cluster", "group", "middleware", "target"},
		"StabilityMiddlewareAlarm":             {"alarm", "cluster", "group", "middleware", "target"},
		"StabilityMiddlewareReplicationBroken": {"cluster", "group", "middleware", "target"},
		"StabilityMiddlewareProbesLate":        {"cluster"},
	} {
		if diff := cmp.Diff(want, labels[alert]); diff != "" {
			t.Errorf("%s: %s", alert, diff)
		}
	}
}

// A warning that is made critical is, outside of the tier, what it was.
func TestSeverityAndTierTogether(t *testing.T) {
	rules := named(t, "StabilityCrashLoop", Config{CriticalNamespaces: []string{"prod"},
		Alerts: map[string]AlertConfig{"StabilityCrashLoop": {Severity: "critical"}}})
	check(t, "rules", len(rules), 2)
	if diff := cmp.Diff(map[string]string{"severity": "critical", "default_severity": "warning"}, rules[0].Labels); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]string{"severity": "warning"}, rules[1].Labels); diff != "" {
		t.Error(diff)
	}
}

func TestWhatIsOutsideOfTheTier(t *testing.T) {
	f := func(c Config, expr, want string) {
		t.Helper()
		if diff := cmp.Diff(want, c.outside(expr)); diff != "" {
			t.Error(diff)
		}
	}
	const (
		down    = "max by (cluster, namespace, workload, workload_type) (stability_workload_state) and stability_workload_desired_replicas"
		service = "max by (cluster, namespace, service) (stability_service_endpoints_lost) and stability_service_ready_endpoints"
		budget  = "max by (cluster, namespace, poddisruptionbudget, cause) (stability_pdb_blocking)"
		zone    = "min by (cluster, zone) (stability_zone_healthy_ratio)"
		target  = "max by (cluster, middleware, group) (stability_middleware_up)"
		member  = "max by (cluster, middleware, target) (stability_middleware_up) * on (cluster, middleware, target) group_left (group) x"
		kind    = "min by (cluster, middleware) (stability_middleware_discovered_targets)"
	)
	byNamespace := Config{CriticalNamespaces: []string{"prod-.*", "kube-system", "(?i)erp"}}
	f(Config{}, down, "")
	f(byNamespace, zone, "")
	f(byNamespace, target, "")
	byTarget := Config{CriticalTargets: []string{"erp-.*", "bus"}}
	f(byTarget, down, "")
	f(byTarget, kind, "")
	for _, expr := range []string{target, member} {
		f(byTarget, expr, "on (cluster, middleware, group) group by (cluster, middleware, group) "+
			`(stability_middleware_group_info{group!~"erp-.*|bus"})`)
	}
	f(byNamespace, down, "on (cluster, namespace) group by (cluster, namespace) "+
		`(stability_workload_desired_replicas{namespace!~"prod-.*|kube-system|(?:(?i)erp)"})`)
	f(byNamespace, service, "on (cluster, namespace) group by (cluster, namespace) "+
		`(stability_service_ready_endpoints{namespace!~"prod-.*|kube-system|(?:(?i)erp)"})`)
	f(Config{CriticalNamespaces: []string{"prod"}}, budget, "on (cluster, namespace) group by (cluster, namespace) "+
		`(stability_pdb_blocking{namespace!="prod"})`)
	byLabel := Config{CriticalNamespaces: []string{"prod"}, CriticalLabels: map[string]string{"tier": "gold", "app.io/team": "a|b"}}
	f(byLabel, zone, "")
	f(byLabel, service, `on (cluster, namespace) (
  group by (cluster, namespace) (stability_workload_info{namespace!="prod"})
  unless on (cluster, namespace) group by (cluster, namespace) (stability_workload_info{label_app_io_team=~"a|b"})
  unless on (cluster, namespace) group by (cluster, namespace) (stability_workload_info{label_tier="gold"})
  and on (cluster) group by (cluster) (stability_workload_info{label_app_io_team!=""})
  and on (cluster) group by (cluster) (stability_workload_info{label_tier!=""})
)`)
	f(Config{CriticalLabels: map[string]string{"tier": `\d`}}, down, `on (cluster, namespace, workload, workload_type) (
  group by (cluster, namespace, workload, workload_type) (stability_workload_info)
  unless on (cluster, namespace, workload, workload_type) group by (cluster, namespace, workload, workload_type) (stability_workload_info{label_tier=~"\\d"})
  and on (cluster) group by (cluster) (stability_workload_info{label_tier!=""})
)`)
}

// All severities, tiers and switches leave the forms of printing alone.
func TestEveryFormIsConfigured(t *testing.T) {
	for _, format := range Formats() {
		text, err := Print(Options{Format: format, Config: Config{Alerts: map[string]AlertConfig{"StabilityHpaCapped": {Disabled: true}}}})
		if err != nil || strings.Contains(string(text), "StabilityHpaCapped\n") || !strings.Contains(string(text), "StabilityCronJobFailed\n") {
			t.Errorf("%s: not as configured, error %v", format, err)
		}
	}
}
