// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"
)

// Alertmanager takes a label that both sides lack for equal: what is to be equal must be on both.
func TestInhibitionNamesWhatExists(t *testing.T) {
	text, err := os.ReadFile("../../rules/alertmanager/inhibit_rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var parsed struct {
		InhibitRules []struct {
			Source []string `yaml:"source_matchers"`
			Target []string `yaml:"target_matchers"`
			Equal  []string
		} `yaml:"inhibit_rules"`
	}
	if err := yaml.Unmarshal(text, &parsed); err != nil {
		t.Fatal(err)
	}
	if len(parsed.InhibitRules) < 10 {
		t.Fatalf("found %d rules only", len(parsed.InhibitRules))
	}
	for _, rule := range parsed.InhibitRules {
		if !slices.Contains(rule.Equal, "cluster") {
			t.Errorf("%v silences other clusters", rule.Source)
		}
		source, target := matched(t, rule.Source), matched(t, rule.Target)
		for _, side := range []map[string]firingLabels{source, target} {
			if len(side) == 0 {
				t.Errorf("%v or %v matches no alert", rule.Source, rule.Target)
			}
			for name, has := range side {
				for _, label := range rule.Equal {
					if !slices.Contains(has.names, label) {
						t.Errorf("%v silences %v by equal %s, which %s does not have", rule.Source, rule.Target, label, name)
					}
				}
			}
		}
		for name := range source {
			for other := range target {
				if source[name].severity != "critical" && target[other].severity == "critical" {
					t.Errorf("%s, which is no page, silences %s, which is one", name, other)
				}
			}
		}
	}
}

// firingLabels are the labels of an alert when it fires.
type firingLabels struct {
	names    []string
	severity string
}

// matched returns the alerts that matchers of Alertmanager select, each rule of an alert by itself.
func matched(t *testing.T, matchers []string) map[string]firingLabels {
	t.Helper()
	metrics, all := documentedMetrics(t), map[string]firingLabels{}
	for name, rules := range alertRules(t) {
		for i, rule := range rules {
			expr, err := parser.NewParser(parser.Options{}).ParseExpr(rule.Expr)
			if err != nil {
				t.Fatal(err)
			}
			names, _ := outputLabels(expr, metrics)
			has := firingLabels{names, rule.Labels["severity"]}
			if !slices.ContainsFunc(matchers, func(m string) bool { return !has.match(t, name, m) }) {
				all[fmt.Sprintf("%s, rule %d", name, i+1)] = has
			}
		}
	}
	return all
}

func (f firingLabels) match(t *testing.T, alert, matcher string) bool {
	t.Helper()
	parts := regexp.MustCompile(`^(\w+)(=~|=)"(.*)"$`).FindStringSubmatch(matcher)
	if parts == nil {
		t.Fatalf("matcher %s has another form than name=\"value\"", matcher)
	}
	for _, name := range strings.Split(parts[3], "|") {
		if parts[1] == "alertname" && regexp.MustCompile(`^Stability\w+$`).MatchString(name) && len(alertRules(t)[name]) == 0 {
			t.Errorf("%s names %s, which is no alert", matcher, name)
		}
	}
	value, told := map[string]string{"alertname": alert, "severity": f.severity}[parts[1]]
	if !told {
		return slices.Contains(f.names, parts[1]) // which value it has is not known before it fires
	}
	return regexp.MustCompile("^(?:" + parts[3] + ")$").MatchString(value)
}
