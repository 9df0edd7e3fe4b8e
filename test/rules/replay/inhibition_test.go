// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"os"
	"slices"
	"testing"

	"github.com/prometheus/alertmanager/matcher/parse"
	matching "github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"go.yaml.in/yaml/v3"
)

// inhibition is a rule of Alertmanager: a firing source silences the targets that have equal labels.
type inhibition struct {
	source, target matching.Matchers
	equal          []string
}

func inhibitions(t *testing.T) []inhibition {
	t.Helper()
	text, err := os.ReadFile("../../../rules/alertmanager/inhibit_rules.yaml")
	if err != nil {
		t.Fatalf("cannot read the inhibition rules: %v", err)
	}
	var file struct {
		Rules []struct {
			Source []string `yaml:"source_matchers"`
			Target []string `yaml:"target_matchers"`
			Equal  []string `yaml:"equal"`
		} `yaml:"inhibit_rules"`
	}
	if err := yaml.Unmarshal(text, &file); err != nil || len(file.Rules) == 0 {
		t.Fatalf("cannot parse the inhibition rules: %v", err)
	}
	var all []inhibition
	for _, rule := range file.Rules {
		all = append(all, inhibition{matchers(t, rule.Source), matchers(t, rule.Target), rule.Equal})
	}
	return all
}

func matchers(t *testing.T, texts []string) matching.Matchers {
	t.Helper()
	var all matching.Matchers
	for _, text := range texts {
		matcher, err := parse.Matcher(text)
		if err != nil {
			t.Fatalf("cannot parse the matcher %s: %v", text, err)
		}
		all = append(all, matcher)
	}
	return all
}

// silences reports whether a firing source silences the target. As in Alertmanager, a label that both lack is equal, and
// alerts that are source and target of the same rule do not silence each other.
func (i inhibition) silences(source, target labels.Labels) bool {
	from, to := labelSet(source), labelSet(target)
	if !i.source.Matches(from) || !i.target.Matches(to) || i.target.Matches(from) && i.source.Matches(to) {
		return false
	}
	return !slices.ContainsFunc(i.equal, func(name string) bool { return source.Get(name) != target.Get(name) })
}

func labelSet(all labels.Labels) model.LabelSet {
	set := model.LabelSet{}
	all.Range(func(l labels.Label) { set[model.LabelName(l.Name)] = model.LabelValue(l.Value) })
	return set
}
