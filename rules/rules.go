// SPDX-License-Identifier: Apache-2.0

// Package rules holds the alert and recording rules over the exporter's metrics, and prints them in the forms in which
// Prometheus, the Prometheus operator and the VictoriaMetrics operator load them. The rules are the YAML files of this
// folder; the language they keep to is that which Prometheus and vmalert have in common.
package rules

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"
	"strings"

	"go.yaml.in/yaml/v3"
)

//go:embed *.yaml
var files embed.FS

// The formats of Print.
const (
	Prometheus     = "prometheus"     // a rule file of Prometheus and of vmalert
	PrometheusRule = "prometheusrule" // an object of the Prometheus operator
	VMRule         = "vmrule"         // an object of the VictoriaMetrics operator
)

// Formats returns the names of all formats, the default first.
func Formats() []string { return []string{Prometheus, PrometheusRule, VMRule} }

// RunbookFolder is what each runbook_url of the files begins with; NAME.md follows.
const RunbookFolder = "docs/runbooks/"

// Options say how the rules are printed.
type Options struct {
	Format string // one of Formats
	// Runbooks is what the links to the runbooks begin with, up to the last slash; empty leaves RunbookFolder.
	Runbooks string
	Name     string // of the object; a rule file has none
	Config   Config
}

// Print returns the bundled rules as YAML. The error names a format that does not exist.
func Print(o Options) ([]byte, error) {
	groups, err := readGroups()
	if err != nil {
		return nil, err
	}
	customize(groups, o.Config)
	if o.Runbooks != "" {
		linkRunbooks(groups, strings.TrimSuffix(o.Runbooks, "/")+"/")
	}
	type metadata struct {
		Name   string            `yaml:"name"`
		Labels map[string]string `yaml:"labels"`
	}
	type spec struct {
		Groups *yaml.Node `yaml:"groups"`
	}
	type object struct {
		APIVersion string   `yaml:"apiVersion"`
		Kind       string   `yaml:"kind"`
		Metadata   metadata `yaml:"metadata"`
		Spec       spec     `yaml:"spec"`
	}
	named := metadata{o.Name, map[string]string{"app.kubernetes.io/name": "stability-exporter"}}
	switch o.Format {
	case Prometheus:
		return encode(spec{groups})
	case PrometheusRule:
		return encode(object{"monitoring.coreos.com/v1", "PrometheusRule", named, spec{groups}})
	case VMRule:
		return encode(object{"operator.victoriametrics.com/v1beta1", "VMRule", named, spec{groups}})
	}
	return nil, fmt.Errorf("cannot print rules as %q: known are %s", o.Format, strings.Join(Formats(), ", "))
}

// readGroups returns the list of the groups of all files.
func readGroups() (*yaml.Node, error) {
	names, err := fs.Glob(files, "*.yaml")
	if err != nil {
		return nil, fmt.Errorf("cannot list the bundled rules: %w", err)
	}
	all := &yaml.Node{Kind: yaml.SequenceNode}
	for _, name := range names {
		text, err := files.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("cannot read the bundled rules: %w", err)
		}
		var file struct {
			Groups yaml.Node `yaml:"groups"`
		}
		if err := yaml.Unmarshal(text, &file); err != nil {
			return nil, fmt.Errorf("cannot parse the bundled rules in %s: %w", name, err)
		}
		all.Content = append(all.Content, file.Groups.Content...)
	}
	return all, nil
}

// linkRunbooks makes the links to the runbooks below a node begin with the given prefix.
func linkRunbooks(n *yaml.Node, prefix string) {
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 1 && n.Content[i-1].Value == "runbook_url" {
			child.Value = prefix + strings.TrimPrefix(child.Value, RunbookFolder)
		}
		linkRunbooks(child, prefix)
	}
}

func encode(v any) ([]byte, error) {
	var text bytes.Buffer
	encoder := yaml.NewEncoder(&text)
	encoder.SetIndent(2)
	if err := encoder.Encode(v); err != nil {
		return nil, fmt.Errorf("cannot write the rules: %w", err)
	}
	return text.Bytes(), nil
}
