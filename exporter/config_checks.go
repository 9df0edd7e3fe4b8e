// SPDX-License-Identifier: Apache-2.0

package exporter

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"

	"go.yaml.in/yaml/v3"

	"stability-exporter/internal/checks"
	"stability-exporter/internal/state"
)

// checksConfig says what the misconfiguration checks may read, and what of their findings is not to be told.
type checksConfig struct {
	// ConfigMapNamespaces are those whose ConfigMaps are read from a live cluster: settings stand there, too.
	ConfigMapNamespaces []configText `yaml:"configmap_namespaces"`
	// Events says whether Events are read from a live cluster: they tell of probes that fail.
	Events bool `yaml:"events"`
	// Disabled are ids of checks.
	Disabled []configText          `yaml:"disabled"`
	Exempt   rows[exemptionConfig] `yaml:"exempt"`
	// HotGroups are busy workloads of which no two should share a node.
	HotGroups rows[hotGroupConfig] `yaml:"hot_groups"`
	// MaxSeriesPerCheck is how many findings of a check are shown one by one; from 1 to 10000.
	MaxSeriesPerCheck wholeNumber `yaml:"max_series_per_check"`
}

// exemptionConfig is a decision to live with what a check finds.
type exemptionConfig struct {
	Check     configText `yaml:"check"`
	Namespace pattern    `yaml:"namespace"`
	Workload  pattern    `yaml:"workload"`
	Reason    configText `yaml:"reason"`
}

type hotGroupConfig struct {
	Name      configText              `yaml:"name"`
	Workloads rows[hotWorkloadConfig] `yaml:"workloads"`
}

type hotWorkloadConfig struct {
	Namespace configText `yaml:"namespace"`
	Name      configText `yaml:"name"`
	Type      configText `yaml:"type"` // empty for any
}

// wholeNumber is a number with its line, which is zero when it is a default.
type wholeNumber struct {
	number int
	line   int
}

// UnmarshalYAML implements yaml.Unmarshaler.
func (n *wholeNumber) UnmarshalYAML(node *yaml.Node) error {
	number, err := strconv.Atoi(node.Value)
	if err != nil || node.Kind != yaml.ScalarNode {
		return mistakeAt(node, "%s is no whole number", describe(node))
	}
	*n = wholeNumber{number, node.Line}
	return nil
}

// settings returns the section as package checks takes it. It must be valid.
func (c *checksConfig) settings() checks.Settings {
	var s checks.Settings
	for _, id := range c.Disabled {
		s.Disabled = append(s.Disabled, id.text)
	}
	for _, x := range c.Exempt {
		s.Exempt = append(s.Exempt, checks.Exemption{
			Check: x.Value.Check.text, Namespace: x.Value.Namespace.anchored(), Workload: x.Value.Workload.anchored(),
		})
	}
	for _, g := range c.HotGroups {
		group := checks.HotGroup{Name: g.Value.Name.text}
		for _, w := range g.Value.Workloads {
			group.Workloads = append(group.Workloads, state.WorkloadRef{
				Namespace: state.Sym(w.Value.Namespace.text), Name: state.Sym(w.Value.Name.text), Type: state.Sym(w.Value.Type.text),
			})
		}
		s.HotGroups = append(s.HotGroups, group)
	}
	return s
}

// anchored returns the expression so that it has to match from the first to the last character; nil when there is none.
func (p pattern) anchored() *regexp.Regexp {
	if p == "" {
		return nil
	}
	return regexp.MustCompile("^(?:" + string(p) + ")$")
}

// grants is what of a live cluster is read only because the configuration says so.
type grants struct {
	configMapNamespaces []string
	events              bool
}

func (c *checksConfig) grants() grants {
	g := grants{events: c.Events}
	for _, namespace := range c.ConfigMapNamespaces {
		g.configMapNamespaces = append(g.configMapNamespaces, namespace.text)
	}
	slices.Sort(g.configMapNamespaces)
	g.configMapNamespaces = slices.Compact(g.configMapNamespaces)
	return g
}

func (g grants) equal(other grants) bool {
	return g.events == other.events && slices.Equal(g.configMapNamespaces, other.configMapNamespaces)
}

// kinds returns the kinds that are granted.
func (g grants) kinds() state.Kinds {
	var kinds state.Kinds
	if len(g.configMapNamespaces) > 0 {
		kinds |= state.KindSet(state.ConfigMaps)
	}
	if g.events {
		kinds |= state.KindSet(state.Events)
	}
	return kinds
}

// validate returns the mistakes that only show once the whole section is read.
func (c *checksConfig) validate() []mistake {
	var mistakes []mistake
	for _, namespace := range c.ConfigMapNamespaces {
		if !namespaceName.MatchString(namespace.text) {
			mistakes = append(mistakes, mistake{namespace.line, fmt.Sprintf("%q is no name of a namespace: give lower-case letters, digits and hyphens",
				namespace.text)})
		}
	}
	for _, id := range c.Disabled {
		mistakes = append(mistakes, unknownCheck(id)...)
	}
	for _, x := range c.Exempt {
		if !x.wrong {
			mistakes = append(mistakes, x.Value.validate(x.line)...)
		}
	}
	for _, g := range c.HotGroups {
		if !g.wrong {
			mistakes = append(mistakes, g.Value.validate(g.line)...)
		}
	}
	if n := c.MaxSeriesPerCheck; n.number < 1 || n.number > 10000 {
		mistakes = append(mistakes, mistake{n.line, fmt.Sprintf("%d series per check are out of range: give 1 to 10000", n.number)})
	}
	return mistakes
}

func unknownCheck(id configText) []mistake {
	var known []string
	for _, c := range checks.All() {
		if known = append(known, c.ID); c.ID == id.text {
			return nil
		}
	}
	return []mistake{{id.line, fmt.Sprintf("there is no check %q: %s docs/checks.md lists all", id.text, alternatives(id.text, known))}}
}

func (x *exemptionConfig) validate(line int) []mistake {
	var mistakes []mistake
	if x.Check.text == "" {
		mistakes = append(mistakes, mistake{line, "an exemption names no check: give one as check: ID; docs/checks.md lists all"})
	} else {
		mistakes = append(mistakes, unknownCheck(x.Check)...)
	}
	if x.Reason.text == "" {
		mistakes = append(mistakes, mistake{line, "an exemption has no reason: say as reason: why somebody decided to live with it"})
	}
	if x.Namespace == "" && x.Workload == "" {
		mistakes = append(mistakes, mistake{line, "an exemption is for everything: give a namespace or a workload, or put the check under disabled"})
	}
	return mistakes
}

func (g *hotGroupConfig) validate(line int) []mistake {
	var mistakes []mistake
	if g.Name.text == "" {
		mistakes = append(mistakes, mistake{line, "a hot group has no name: give one as name: by which findings call it"})
	}
	if len(g.Workloads) < 2 {
		mistakes = append(mistakes, mistake{line, "a hot group has fewer than two workloads: nothing could share a node"})
	}
	for _, w := range g.Workloads {
		if w.Value.Namespace.text == "" || w.Value.Name.text == "" {
			mistakes = append(mistakes, mistake{w.line, "a workload of a hot group needs a namespace and a name"})
		}
		if t := w.Value.Type; t.text != "" && !regexp.MustCompile(`^[a-z]+$`).MatchString(t.text) {
			mistakes = append(mistakes, mistake{t.line, fmt.Sprintf("%q is no workload type: write the kind in lower case, such as deployment", t.text)})
		}
	}
	return mistakes
}
