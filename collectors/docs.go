// SPDX-License-Identifier: Apache-2.0

package collectors

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"stability-exporter/internal/state"
)

// DocsMarkdown returns the reference of all metrics, docs/metrics.md: a table for each collector.
func DocsMarkdown(specs []Spec) []byte {
	var doc bytes.Buffer
	doc.WriteString(`<!-- Generated from the declarations in collectors/. Do not edit. -->
# Metrics

One section per collector; each is switched with ` + "`--collector.NAME` and `--no-collector.NAME`" + `. A dense family has a
sample for every object it is about, zeros included. A sparse one has a sample only where there is something to tell. What
cannot be seen has no sample at all: a missing permission never looks like health.
`)
	for _, s := range specs {
		running := "on"
		if !s.Default {
			running = "off"
		}
		fmt.Fprintf(&doc, "\n## %s\n\n%s By default %s.\n", s.Name, s.Help, running)
		if reads := resourceNames(s.Reads); reads != "" {
			fmt.Fprintf(&doc, "Reads %s.\n", reads)
		}
		if granted := resourceNames(s.MayRead); granted != "" {
			fmt.Fprintf(&doc, "Reads %s, too, where the configuration and the permissions grant that.\n", granted)
		}
		doc.WriteString("\n| metric | type | labels | samples | meaning |\n|---|---|---|---|---|\n")
		for _, f := range s.Families {
			fmt.Fprintf(&doc, "| `%s` | %s | %s | %s | %s |\n", f.Name, f.Type, labelNames(f), density(f), cell(f.Help))
		}
	}
	return doc.Bytes()
}

func resourceNames(kinds state.Kinds) string {
	var names []string
	for _, kind := range kinds.All() {
		names = append(names, kind.String())
	}
	return strings.Join(names, ", ")
}

func labelNames(f *Family) string {
	names := slices.Clone(f.Labels)
	for i, name := range names {
		names[i] = "`" + name + "`"
	}
	return strings.Join(names, ", ")
}

func density(f *Family) string {
	if f.Sparse {
		return "sparse"
	}
	return "dense"
}

// cell escapes a text for a cell of a table.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "<", "&lt;", "\n", " ").Replace(text)
}
