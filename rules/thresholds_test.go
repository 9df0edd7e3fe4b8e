// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"math"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

// alertRule is a rule with all of its keys that a configuration may change.
type alertRule struct {
	Alert, Expr, For string
	KeepFiringFor    string `yaml:"keep_firing_for"`
	Labels           map[string]string
	Annotations      map[string]string
}

func (r alertRule) text(key string) string {
	if key == "expr" {
		return r.Expr
	}
	return r.Annotations[key]
}

// printed returns the alerts as they are printed under a configuration.
func printed(t *testing.T, c Config) []alertRule {
	t.Helper()
	text, err := Print(Options{Format: Prometheus, Config: c})
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct{ Rules []alertRule }
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	var all []alertRule
	for _, group := range file.Groups {
		for _, rule := range group.Rules {
			if rule.Alert != "" {
				all = append(all, rule)
			}
		}
	}
	return all
}

func TestThresholdsAreWhatTheFilesHold(t *testing.T) {
	rules, names := printed(t, Config{}), map[string]bool{}
	for _, threshold := range Thresholds() {
		if names[threshold.Name] || !regexp.MustCompile(`^[a-z][a-z_]+$`).MatchString(threshold.Name) {
			t.Errorf("%s is no name, or one of two", threshold.Name)
		}
		names[threshold.Name] = true
		if value, err := threshold.Parse(threshold.Write(threshold.Default)); err != nil || value != threshold.Default {
			t.Errorf("%s: the default %s is read as %v, %v", threshold.Name, threshold.Write(threshold.Default), value, err)
		}
		for _, p := range threshold.places {
			before, holds, after := p.split()
			if got := p.write(threshold.Default); got != holds || strings.Count(p.text, "«") != 1 || strings.Count(p.text, "»") != 1 {
				t.Errorf("%s: the default is written %q in %q", threshold.Name, got, p.text)
			}
			count := 0
			for _, rule := range rules {
				if rule.Alert == threshold.Alert {
					count += strings.Count(rule.text(p.key), before+holds+after)
				}
			}
			if count != 1 {
				t.Errorf("%s: %q occurs %d times in the %s of %s", threshold.Name, before+holds+after, count, p.key, threshold.Alert)
			}
		}
	}
}

// otherValue returns a value that is allowed and not the default.
func (t Threshold) otherValue() float64 {
	switch {
	case t.Unit == Share && t.Default+0.07 <= t.Max:
		return t.Default + 0.07
	case t.Unit == Share && t.Default-0.07 >= t.Min:
		return t.Default - 0.07
	}
	return t.Default * 3
}

func TestAThresholdChangesItsPlacesAlone(t *testing.T) {
	standard := printed(t, Config{})
	for _, threshold := range Thresholds() {
		value := threshold.otherValue()
		if again, err := threshold.Parse(threshold.Write(value)); err != nil || math.Abs(again-value) > 1e-9 {
			t.Errorf("%s: %s is read as %v, %v", threshold.Name, threshold.Write(value), again, err)
		}
		var want []alertRule
		for _, rule := range standard {
			if rule.Alert == threshold.Alert {
				replaced := map[string]string{}
				for key, text := range rule.Annotations {
					replaced[key] = text
				}
				rule.Annotations = replaced
				for _, p := range threshold.places {
					before, holds, after := p.split()
					text := strings.Replace(rule.text(p.key), before+holds+after, before+p.write(value)+after, 1)
					if p.key == "expr" {
						rule.Expr = text
					} else {
						rule.Annotations[p.key] = text
					}
				}
			}
			want = append(want, rule)
		}
		got := printed(t, Config{Thresholds: map[string]float64{threshold.Name: value}})
		if cmp.Equal(got, standard) {
			t.Errorf("%s: nothing has changed", threshold.Name)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", threshold.Name, diff)
		}
	}
}

// Places that share text with each other are found all the same.
func TestThresholdsChangeTogether(t *testing.T) {
	values := map[string]float64{}
	for _, threshold := range Thresholds() {
		values[threshold.Name] = threshold.otherValue()
	}
	values["workload_flapping_share"] = 0.2
	for _, rule := range printed(t, Config{Thresholds: values}) {
		if rule.Alert == "StabilityWorkloadFlapping" {
			const by = `max by (cluster, namespace, workload, workload_type) `
			check(t, "expression", rule.Expr, by+`(stability_workload_damage_delta{window="1h"}) >= 12`+"\nand "+
				by+`(stability_workload_damaged_ratio{window="1h"}) > 0.2`)
		}
	}
}

// Numbers that are told in words stay true.
func TestDescriptionsTellTheThreshold(t *testing.T) {
	f := func(threshold string, value float64, alert, key, want string) {
		t.Helper()
		for _, rule := range printed(t, Config{Thresholds: map[string]float64{threshold: value}}) {
			if rule.Alert == alert && !strings.Contains(rule.text(key), want) {
				t.Errorf("%s: %s\nwant %q in it", threshold, rule.text(key), want)
			}
		}
	}
	f("workload_half_down_share", 0.75, "StabilityWorkloadHalfDown", "summary", "Less than 75% of a workload's")
	f("node_flapping_window", 90*minute, "StabilityNodeFlapping", "description", "within 90 minutes.")
	f("exporter_down_lookback", 3*day, "StabilityExporterDown", "description", "within the last 3 days:")
	f("oom_kills", 1, "StabilityOOMKilledRepeated", "summary", "run out of memory.")
	f("oom_kills", 3, "StabilityOOMKilledRepeated", "summary", "run out of memory repeatedly.")
}

func TestThresholdsAreParsed(t *testing.T) {
	count := Threshold{Name: "n", Unit: Count, Min: 2, Max: 10}
	share := Threshold{Name: "s", Unit: Share, Min: 0.1, Max: 1}
	span := Threshold{Name: "d", Unit: Duration, Min: minute, Max: day}
	f := func(threshold Threshold, text string, value float64, message string) {
		t.Helper()
		got, err := threshold.Parse(text)
		if (err == nil) != (message == "") || err != nil && err.Error() != message || got != value {
			t.Errorf("%s %q: got %v, %v", threshold.Name, text, got, err)
		}
	}
	f(count, "2", 2, "")
	f(count, "10", 10, "")
	f(count, "1", 0, "1 for n is out of range: write a whole number from 2 to 10")
	f(count, "11", 0, "11 for n is out of range: write a whole number from 2 to 10")
	f(count, "2.5", 0, `"2.5" for n is no whole number: write one from 2 to 10`)
	f(count, "5m", 0, `"5m" for n is no whole number: write one from 2 to 10`)
	f(count, "NaN", 0, `"NaN" for n is no whole number: write one from 2 to 10`)
	f(share, "0.25", 0.25, "")
	f(share, "25%", 0, `"25%" for s is no number: write one from 0.1 to 1`)
	f(share, "NaN", 0, "NaN for s is out of range: write a number from 0.1 to 1")
	f(share, "Inf", 0, "Inf for s is out of range: write a number from 0.1 to 1")
	f(span, "1h30m", 5400, "")
	f(span, "1d", day, "")
	f(span, "90", 0, "duration 90 of d has no unit: write 90s if seconds are meant")
	f(span, "0", 0, "duration 0 of d has no unit: write 0s if seconds are meant")
	f(span, "30s", 0, "30s for d is out of range: write a duration from 1m to 1d")
	f(span, "soon", 0, `"soon" for d is no duration: write a number with a unit, such as 90s, 10m, 1h30m or 1d`)
}

func check[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}
