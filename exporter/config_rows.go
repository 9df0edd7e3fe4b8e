// SPDX-License-Identifier: Apache-2.0

package exporter

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// rows is a list of mappings.
type rows[T any] []placed[T]

// UnmarshalYAML implements yaml.Unmarshaler.
func (r *rows[T]) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind != yaml.SequenceNode {
		return mistakeAt(node, "%s stands where a list is expected", describe(node))
	}
	var mistakes []string
	for _, item := range node.Content {
		var one placed[T]
		mistakes = append(mistakes, one.decode(item)...)
		*r = append(*r, one)
	}
	if len(mistakes) > 0 {
		return &yaml.TypeError{Errors: mistakes}
	}
	return nil
}

// placed is a mapping that knows where it stands, for what is missing in one has no line of its own.
type placed[T any] struct {
	Value T
	line  int  // zero when it was left out or is empty
	wrong bool // it has mistakes already: what is missing may be due to them
}

// UnmarshalYAML implements yaml.Unmarshaler.
func (p *placed[T]) UnmarshalYAML(node *yaml.Node) error {
	if mistakes := p.decode(node); len(mistakes) > 0 {
		return &yaml.TypeError{Errors: mistakes}
	}
	return nil
}

// decode returns the mistakes as the decoder words them. Decoding node by node forgets that unknown keys are mistakes, hence they are
// looked for here.
func (p *placed[T]) decode(node *yaml.Node) []string {
	p.line = node.Line
	mistakes := unknownKeys(node, reflect.TypeFor[T]().Name())
	var typed *yaml.TypeError
	if err := node.Decode(&p.Value); errors.As(err, &typed) {
		mistakes = append(mistakes, typed.Errors...)
	} else if err != nil {
		mistakes = append(mistakes, fmt.Sprintf("line %d: %s", node.Line, strings.TrimPrefix(err.Error(), "yaml: ")))
	}
	p.wrong = len(mistakes) > 0
	return mistakes
}

// unknownKeys returns messages as the decoder words them.
func unknownKeys(node *yaml.Node, structName string) []string {
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	if node.Kind != yaml.MappingNode {
		return nil
	}
	var messages []string
	known := strings.Split(knownKeys(structName), ", ")
	for i := 0; i < len(node.Content); i += 2 {
		if key := node.Content[i]; !slices.Contains(known, key.Value) && key.Tag != "!!merge" {
			messages = append(messages, fmt.Sprintf("line %d: field %s not found in type exporter.%s", key.Line, key.Value, structName))
		}
	}
	return messages
}
