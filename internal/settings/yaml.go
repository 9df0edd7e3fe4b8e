// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// flattener turns a tree into entries whose keys are paths: a.b.c, a.list[0], map[key.with.dots].
type flattener struct {
	entries document
	nodes   int // still allowed
}

// parseYAML reads YAML as Spring Boot does: nested and flat keys mean the same. What comes before a mistake counts.
func parseYAML(text string) []document {
	var documents []document
	decoder := yaml.NewDecoder(strings.NewReader(text))
	budget := MaxNodes
	for budget > 0 && len(documents) < MaxDepth {
		var root yaml.Node
		if decoder.Decode(&root) != nil {
			break
		}
		f := flattener{nodes: budget}
		f.yaml("", &root, 0)
		budget = f.nodes
		documents = append(documents, f.entries)
	}
	return documents
}

// enter reports whether one more node may be visited.
func (f *flattener) enter(depth int) bool {
	f.nodes--
	return f.nodes > 0 && depth <= MaxDepth
}

func (f *flattener) yaml(path string, node *yaml.Node, depth int) {
	if !f.enter(depth) {
		return
	}
	switch node.Kind {
	case yaml.DocumentNode:
		for _, content := range node.Content {
			f.yaml(path, content, depth)
		}
	case yaml.AliasNode:
		f.yaml(path, node.Alias, depth+1)
	case yaml.SequenceNode:
		for i, content := range node.Content {
			f.yaml(fmt.Sprintf("%s[%d]", path, i), content, depth+1)
		}
	case yaml.MappingNode:
		f.mapping(path, node, depth)
	case yaml.ScalarNode:
		if node.Tag != "!!null" {
			f.leaf(path, scalar(node))
		}
	}
}

// mapping visits what is merged in (<<) first: what is written in the mapping itself beats it.
func (f *flattener) mapping(path string, node *yaml.Node, depth int) {
	for _, merged := range []bool{true, false} {
		for i := 0; i+1 < len(node.Content); i += 2 {
			key, value := node.Content[i], node.Content[i+1]
			switch {
			case (key.Tag == "!!merge") != merged:
			case !merged:
				f.yaml(join(path, key.Value), value, depth+1)
			case value.Kind == yaml.SequenceNode:
				for _, content := range value.Content {
					f.yaml(path, content, depth+1)
				}
			default:
				f.yaml(path, value, depth+1)
			}
		}
	}
}

func (f *flattener) leaf(path, value string) {
	if len(path) <= MaxKeyBytes {
		f.entries = append(f.entries, entry{path, value})
	}
}

// join appends a key to a path, as Spring does: a key in brackets takes no dot.
func join(path, key string) string {
	switch {
	case len(path)+len(key) > MaxKeyBytes: // too long, and stays so
		return strings.Repeat("x", MaxKeyBytes+1)
	case path == "" || strings.HasPrefix(key, "["):
		return path + key
	}
	return path + "." + key
}

// scalar returns the text of a value; a whole number may have underscores.
func scalar(node *yaml.Node) string {
	if node.Tag == "!!int" {
		return strings.ReplaceAll(node.Value, "_", "")
	}
	return node.Value
}
