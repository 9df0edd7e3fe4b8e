// SPDX-License-Identifier: Apache-2.0

package exporter

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"

	"stability-exporter/rules"
)

// rulesConfig says how the command rules prints the bundled rules. The exporter itself only validates it.
type rulesConfig struct {
	Alerts             map[configName]alertConfig `yaml:"alerts"`
	Thresholds         map[configName]configText  `yaml:"thresholds"`
	CriticalNamespaces []pattern                  `yaml:"critical_namespaces"`
	CriticalLabels     map[configName]pattern     `yaml:"critical_labels"`
	CriticalTargets    []pattern                  `yaml:"critical_targets"`
}

// alertConfig is what is to be different about an alert.
type alertConfig struct {
	Enabled       *bool                     `yaml:"enabled"`
	For           alertDuration             `yaml:"for"`
	KeepFiringFor alertDuration             `yaml:"keep_firing_for"`
	Severity      severity                  `yaml:"severity"`
	Labels        map[configName]configText `yaml:"labels"`
}

// configText is a text that can only be judged together with others.
type configText struct {
	text string
	line int
}

// UnmarshalYAML implements yaml.Unmarshaler.
func (c *configText) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind != yaml.ScalarNode {
		return mistakeAt(node, "%s stands where a single value is expected", describe(node))
	}
	*c = configText{node.Value, node.Line}
	return nil
}

// configName is a key that is the name of something, with its line.
type configName configText

// UnmarshalYAML implements yaml.Unmarshaler.
func (c *configName) UnmarshalYAML(node *yaml.Node) error {
	return (*configText)(c).UnmarshalYAML(node)
}

// pattern is a regular expression.
type pattern string

// UnmarshalYAML implements yaml.Unmarshaler.
func (p *pattern) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind != yaml.ScalarNode || node.Value == "" {
		return mistakeAt(node, "%s is no regular expression: write one in quotes, such as 'prod-.*'; it has to match from the "+
			"first to the last character", describe(node))
	}
	if _, err := regexp.Compile("^(?:" + node.Value + ")$"); err != nil {
		_, err := regexp.Compile(node.Value) // tells of what was written
		return mistakeAt(node, "%s is no regular expression: %s; write one in the syntax of RE2, such as 'prod-.*'",
			describe(node), strings.TrimPrefix(fmt.Sprint(err), "error parsing regexp: "))
	}
	if strings.Contains(node.Value, "%{") {
		return mistakeAt(node, "%s cannot be used: vmalert replaces %%{...} from its environment", describe(node))
	}
	*p = pattern(node.Value)
	return nil
}

// alertDuration is a duration as Prometheus writes it; empty when none is given.
type alertDuration string

// UnmarshalYAML implements yaml.Unmarshaler.
func (d *alertDuration) UnmarshalYAML(node *yaml.Node) error {
	if _, err := strconv.ParseFloat(node.Value, 64); err == nil && node.Kind == yaml.ScalarNode {
		return mistakeAt(node, "duration %s has no unit: write %ss if seconds are meant", node.Value, node.Value)
	}
	parsed, err := model.ParseDuration(node.Value)
	if err != nil || time.Duration(parsed) > 7*24*time.Hour {
		return mistakeAt(node, "%s cannot be used: write a duration with a unit up to 7d, such as 90s, 10m, 1h30m or 1d", describe(node))
	}
	*d = alertDuration(parsed.String())
	return nil
}

// severity is one of rules.Severities.
type severity string

// UnmarshalYAML implements yaml.Unmarshaler.
func (s *severity) UnmarshalYAML(node *yaml.Node) error {
	if !slices.Contains(rules.Severities(), node.Value) {
		return mistakeAt(node, "%s is no severity: known are %s", describe(node), strings.Join(rules.Severities(), ", "))
	}
	*s = severity(node.Value)
	return nil
}

// customization returns the configuration as package rules takes it. It must be valid.
func (c *rulesConfig) customization() rules.Config {
	custom := rules.Config{Alerts: map[string]rules.AlertConfig{}, Thresholds: map[string]float64{}, CriticalLabels: map[string]string{}}
	for name, alert := range c.Alerts {
		labels := map[string]string{}
		for label, value := range alert.Labels {
			labels[label.text] = value.text
		}
		custom.Alerts[name.text] = rules.AlertConfig{
			Disabled: alert.Enabled != nil && !*alert.Enabled,
			For:      string(alert.For), KeepFiringFor: string(alert.KeepFiringFor),
			Severity: string(alert.Severity), Labels: labels,
		}
	}
	for _, t := range rules.Thresholds() {
		for name, given := range c.Thresholds {
			if value, err := t.Parse(given.text); err == nil && name.text == t.Name {
				custom.Thresholds[t.Name] = value
			}
		}
	}
	for _, p := range c.CriticalNamespaces {
		custom.CriticalNamespaces = append(custom.CriticalNamespaces, string(p))
	}
	for _, p := range c.CriticalTargets {
		custom.CriticalTargets = append(custom.CriticalTargets, string(p))
	}
	for key, p := range c.CriticalLabels {
		custom.CriticalLabels[key.text] = string(p)
	}
	return custom
}

// validate returns the mistakes that only show once the whole section is read.
func (c *rulesConfig) validate() []mistake {
	labels, err := rules.AlertLabels()
	if err != nil {
		return []mistake{{0, err.Error()}}
	}
	var mistakes []mistake
	known := slices.Sorted(maps.Keys(labels))
	for name, alert := range c.Alerts {
		if _, ok := labels[name.text]; !ok {
			mistakes = append(mistakes, mistake{name.line, fmt.Sprintf("there is no alert %q: %s docs/alerts.md lists all",
				name.text, alternatives(name.text, known))})
		}
		mistakes = append(mistakes, validateLabels(name.text, alert.Labels, labels[name.text])...)
	}
	mistakes = append(mistakes, c.validateThresholds()...)
	return append(mistakes, c.validateTierLabels()...)
}

func (c *rulesConfig) validateThresholds() []mistake {
	var mistakes []mistake
	byName := map[string]rules.Threshold{}
	for _, t := range rules.Thresholds() {
		byName[t.Name] = t
	}
	for name, given := range c.Thresholds {
		t, ok := byName[name.text]
		if !ok {
			mistakes = append(mistakes, mistake{name.line, fmt.Sprintf("there is no threshold %q: %s docs/alerts.md lists all",
				name.text, alternatives(name.text, slices.Sorted(maps.Keys(byName))))})
		} else if _, err := t.Parse(given.text); err != nil && given.line > 0 {
			mistakes = append(mistakes, mistake{given.line, err.Error()})
		}
	}
	return mistakes
}

// validateTierLabels checks the keys of critical_labels, which are those of --workload-labels.
func (c *rulesConfig) validateTierLabels() []mistake {
	var mistakes []mistake
	for key := range c.CriticalLabels {
		if own, metric := strings.CutPrefix(key.text, "label_"); metric {
			mistakes = append(mistakes, mistake{key.line, fmt.Sprintf("label %q is named as in a metric: write it as in "+
				"--workload-labels, such as %s", key.text, own)})
		} else if !regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._/-]*[A-Za-z0-9])?$`).MatchString(key.text) {
			mistakes = append(mistakes, mistake{key.line, fmt.Sprintf("%q is no key of an object's label: write one of those in "+
				"--workload-labels, such as tier or app.kubernetes.io/part-of", key.text)})
		}
	}
	return mistakes
}

// validateLabels checks the labels that are to be added to an alert; own are those that it has anyway.
func validateLabels(alert string, labels map[configName]configText, own []string) []mistake {
	var mistakes []mistake
	for name, value := range labels {
		add := func(line int, format string, args ...any) {
			mistakes = append(mistakes, mistake{line, fmt.Sprintf(format, args...)})
		}
		switch {
		case name.text == "severity":
			add(name.line, "label severity is set by the key severity beside labels: move it there")
		case slices.Contains([]string{"alertname", "alertgroup", "instance", "job", "cluster", "default_severity"}, name.text):
			add(name.line, "label %s is reserved for the scrape and for alerting: choose another name", name.text)
		case slices.Contains(own, name.text):
			add(name.line, "label %s is one that %s has by itself: choose another name", name.text, alert)
		case !regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`).MatchString(name.text) || strings.HasPrefix(name.text, "__"):
			add(name.line, "%q is no name of a label: write letters, digits and underscores, no digit and no two underscores first", name.text)
		case value.text == "":
			add(max(value.line, name.line), "label %s has no value: write one or leave the label out", name.text)
		case strings.Contains(value.text, "{{") || strings.Contains(value.text, "%{"):
			add(value.line, "the value of label %s is a template: write a fixed text, or each change would make another alert", name.text)
		}
	}
	return mistakes
}

// alternatives says what to write instead of a name that is not known.
func alternatives(name string, known []string) string {
	name = name[:min(len(name), 100)]
	nearest := slices.MinFunc(known, func(a, b string) int { return distance(name, a) - distance(name, b) })
	switch {
	case distance(name, nearest) <= len(nearest)/3:
		return "did you mean " + nearest + "?"
	case len(known) < 5:
		return "known are " + strings.Join(known, ", ") + "."
	}
	return "the nearest is " + nearest + "."
}

// distance counts the letters that have to be inserted, removed or replaced to make one word of the other, in any case.
func distance(a, b string) int {
	a, b = strings.ToLower(a), strings.ToLower(b)
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
