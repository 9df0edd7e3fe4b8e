// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Config is what an operator wants otherwise than the files have it. The zero value changes nothing. Names and values are
// taken for valid: AlertLabels, Thresholds and Severities tell which are.
type Config struct {
	Alerts     map[string]AlertConfig // by name
	Thresholds map[string]float64     // by name; durations in seconds
	// CriticalNamespaces and CriticalLabels are the tier outside of which a critical alert of a namespace is a warning:
	// anchored regular expressions, the latter by the key of the object's label. One that matches is enough. Both empty
	// means that there are no tiers.
	CriticalNamespaces []string
	CriticalLabels     map[string]string
	// CriticalTargets is the same for middleware: anchored regular expressions of targets, and of groups of them. One that matches is
	// enough; empty means that all are inside.
	CriticalTargets []string
}

// AlertConfig is a change of one alert; an alert of several rules is changed in all of them.
type AlertConfig struct {
	Disabled           bool
	For, KeepFiringFor string            // as Prometheus writes durations; empty leaves what the file says
	Severity           string            // one of Severities; empty leaves what the file says
	Labels             map[string]string // added
}

// Severities returns the severities of alerts, the worst first.
func Severities() []string { return []string{"critical", "warning", "info"} }

// criticalLasts is how long a critical alert goes on after its end when nothing else is said: a page does not flap.
const criticalLasts = "5m"

// AlertLabels returns for each alert the labels that it has when it fires, apart from alertname and severity.
func AlertLabels() (map[string][]string, error) {
	groups, err := readGroups()
	if err != nil {
		return nil, err
	}
	all := map[string][]string{}
	for _, group := range groups.Content {
		for _, rule := range get(group, "rules").Content {
			alert := text(rule, "alert")
			if alert == "" {
				continue
			}
			all[alert] = append(all[alert], subject(text(rule, "expr"))...)
			if strings.Contains(text(rule, "expr"), `"scope", "node"`) {
				all[alert] = append(all[alert], "scope")
			}
			all[alert] = append(all[alert], attached(text(rule, "expr"))...)
			for i, child := range get(rule, "labels").Content {
				if i%2 == 0 && child.Value != "severity" {
					all[alert] = append(all[alert], child.Value)
				}
			}
		}
	}
	for alert := range all {
		slices.Sort(all[alert])
		all[alert] = slices.Compact(all[alert])
	}
	return all, nil
}

// subject returns the labels that tell what an alert is about: those of the first aggregation of its expression.
func subject(expr string) []string {
	match := regexp.MustCompile(`\bby \(([^)]*)\)`).FindStringSubmatch(expr)
	if match == nil {
		return nil
	}
	return strings.Split(match[1], ", ")
}

// attached returns the labels that an expression gives its results after that: the group of a target of middleware, and the target that
// stands for a group.
func attached(expr string) []string {
	var labels []string
	if strings.Contains(expr, "group_left (group)") {
		labels = append(labels, "group")
	}
	if strings.Contains(expr, `"target", "$1", "group"`) {
		labels = append(labels, "target")
	}
	return labels
}

// customize changes the groups as configured.
func customize(groups *yaml.Node, c Config) {
	edits := thresholdEdits(c.Thresholds)
	var kept []*yaml.Node
	for _, group := range groups.Content {
		list := get(group, "rules")
		var rules []*yaml.Node
		for _, rule := range list.Content {
			rules = append(rules, customizeRule(rule, c, edits)...)
		}
		if list.Content = rules; len(rules) > 0 {
			kept = append(kept, group)
		}
	}
	groups.Content = kept
}

// customizeRule returns what becomes of a rule: none when it is disabled, two when tiers tell it apart.
func customizeRule(rule *yaml.Node, c Config, edits []edit) []*yaml.Node {
	alert := text(rule, "alert")
	change := c.Alerts[alert]
	switch {
	case alert == "":
		return []*yaml.Node{rule}
	case change.Disabled:
		return nil
	}
	substitute(rule, alert, edits)
	labels := get(rule, "labels")
	severity := cmp.Or(change.Severity, text(labels, "severity"))
	critical := severity == "critical"
	if critical && text(rule, "keep_firing_for") == "" {
		set(rule, "keep_firing_for", criticalLasts)
	}
	if change.For != "" {
		set(rule, "for", change.For)
	}
	if change.KeepFiringFor != "" {
		set(rule, "keep_firing_for", change.KeepFiringFor)
	}
	for _, name := range slices.Sorted(maps.Keys(change.Labels)) {
		set(labels, name, change.Labels[name])
	}
	if outside := c.outside(text(rule, "expr")); critical && outside != "" {
		return tell(rule, outside)
	}
	setSeverity(rule, severity)
	return []*yaml.Node{rule}
}

// setSeverity gives a rule of the files a severity. One that is another than the file's has that in the label
// default_severity: rules of an alert that differ in nothing but their severity would otherwise become the same to
// Alertmanager, and each would resolve the other.
func setSeverity(rule *yaml.Node, severity string) {
	labels := get(rule, "labels")
	if standard := text(labels, "severity"); standard != severity {
		set(labels, "severity", severity)
		set(labels, "default_severity", standard)
	}
}

// get returns the value of a key of a mapping; an empty node when it has no such key.
func get(mapping *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			return mapping.Content[i+1]
		}
	}
	return &yaml.Node{}
}

func text(mapping *yaml.Node, key string) string { return get(mapping, key).Value }

// set gives a key of a mapping a text as its value. A new key of a rule comes before its labels, where the files have it.
func set(mapping *yaml.Node, key, value string) {
	if node := get(mapping, key); node.Kind != 0 {
		node.Value = value
		return
	}
	at := len(mapping.Content)
	for i := 0; i < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == "labels" {
			at = i
		}
	}
	mapping.Content = slices.Insert(mapping.Content, at, scalar(key), scalar(value))
}

func scalar(value string) *yaml.Node {
	node := &yaml.Node{}
	node.SetString(value)
	return node
}

// clone returns a copy of a node that shares nothing with it.
func clone(node *yaml.Node) *yaml.Node {
	copied := *node
	copied.Content = nil
	for _, child := range node.Content {
		copied.Content = append(copied.Content, clone(child))
	}
	return &copied
}
