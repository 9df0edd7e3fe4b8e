// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// yamlToJSON converts one YAML document to JSON that has every value on the line it has in the YAML text, so that an
// offset in the JSON tells the line. An empty document gives nil. line is that of the error in the text, from 1.
func yamlToJSON(text []byte) (out []byte, line int, err error) {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var root yaml.Node
	if err := decoder.Decode(&root); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, 0, nil
		}
		line, err = yamlErrorLine(err)
		last := bytes.Count(bytes.TrimRight(text, "\r\n"), []byte("\n")) + 1
		return nil, min(line, last), err
	}
	if len(root.Content) == 0 || root.Content[0].ShortTag() == "!!null" {
		return nil, 0, nil
	}
	w := jsonWriter{line: 1}
	if err := w.value(root.Content[0], 0); err != nil {
		return nil, w.line, err
	}
	return w.out, 0, nil
}

// yamlErrorLine takes the line out of an error of the YAML package, whose text is "yaml: line 3: what is wrong". Errors
// of its grammar, unlike those of its scanner, count lines from 0 and leave out line 0.
func yamlErrorLine(err error) (int, error) {
	what := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 0
	if number, rest, found := strings.Cut(strings.TrimPrefix(what, "line "), ": "); found {
		if n, err := strconv.Atoi(number); err == nil {
			line, what = n, rest
		}
	}
	switch what {
	case "did not find expected node content", "did not find expected '-' indicator", "did not find expected key",
		"did not find expected ',' or ']'", "did not find expected ',' or '}'", "did not find expected <document start>":
		line++
	}
	return max(line, 1), errors.New(what)
}

// jsonWriter writes YAML nodes as JSON. Size, depth and work are capped with aliases followed, which defuses documents
// that grow when they are expanded.
type jsonWriter struct {
	out   []byte
	line  int
	nodes int // visited so far
}

// enter counts a node that is visited at a depth.
func (w *jsonWriter) enter(depth int) error {
	w.nodes++
	switch {
	case depth > maxDepth:
		return fmt.Errorf("nested deeper than %d levels", maxDepth)
	case len(w.out) > maxObjectBytes || w.nodes > maxObjectBytes:
		return errTooLarge
	}
	return nil
}

// goTo adds the newlines up to the line of a node; a node that an alias refers to lies behind and adds none.
func (w *jsonWriter) goTo(n *yaml.Node) {
	for ; w.line < n.Line; w.line++ {
		w.out = append(w.out, '\n')
	}
}

func (w *jsonWriter) value(n *yaml.Node, depth int) error {
	if err := w.enter(depth); err != nil {
		return err
	}
	w.goTo(n)
	switch n.Kind {
	case yaml.AliasNode:
		return w.value(n.Alias, depth+1)
	case yaml.SequenceNode:
		w.out = append(w.out, '[')
		for i, element := range n.Content {
			if i > 0 {
				w.out = append(w.out, ',')
			}
			if err := w.value(element, depth+1); err != nil {
				return err
			}
		}
		w.out = append(w.out, ']')
		return nil
	case yaml.MappingNode:
		w.out = append(w.out, '{')
		err := w.members(n, depth, map[string]bool{})
		w.out = append(w.out, '}')
		return err
	default:
		return w.scalar(n)
	}
}

// members writes the members of a mapping whose keys are not in written: its own first, then those it merges (<<).
func (w *jsonWriter) members(n *yaml.Node, depth int, written map[string]bool) error {
	if err := w.enter(depth); err != nil {
		return err
	}
	var merged []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind == yaml.AliasNode {
			key = key.Alias
		}
		if key.Kind != yaml.ScalarNode {
			w.goTo(key)
			return errors.New("a key is not a plain value")
		}
		if key.ShortTag() == "!!merge" {
			merged = append(merged, value)
			continue
		}
		if written[key.Value] {
			continue
		}
		if len(written) > 0 {
			w.out = append(w.out, ',')
		}
		written[key.Value] = true
		w.goTo(key)
		w.text(key.Value)
		w.out = append(w.out, ':')
		if err := w.value(value, depth+1); err != nil {
			return err
		}
	}
	for _, m := range merged {
		if err := w.merge(m, depth+1, written); err != nil {
			return err
		}
	}
	return nil
}

func (w *jsonWriter) merge(n *yaml.Node, depth int, written map[string]bool) error {
	if err := w.enter(depth); err != nil {
		return err
	}
	switch n.Kind {
	case yaml.AliasNode:
		return w.merge(n.Alias, depth+1, written)
	case yaml.SequenceNode:
		for _, element := range n.Content {
			if err := w.merge(element, depth+1, written); err != nil {
				return err
			}
		}
		return nil
	case yaml.MappingNode:
		return w.members(n, depth, written)
	default:
		w.goTo(n)
		return errors.New("only mappings can be merged with <<")
	}
}

func (w *jsonWriter) scalar(n *yaml.Node) error {
	switch n.ShortTag() {
	case "!!null":
		w.out = append(w.out, "null"...)
	case "!!bool", "!!int", "!!float":
		var v any
		err := n.Decode(&v)
		if err != nil {
			return fmt.Errorf("cannot read %.40q as %s", n.Value, strings.TrimPrefix(n.ShortTag(), "!!"))
		}
		number, err := json.Marshal(v)
		if err != nil {
			return fmt.Errorf("the number %.40q does not exist in JSON", n.Value)
		}
		w.out = append(w.out, number...)
	default:
		w.text(n.Value)
	}
	return nil
}

func (w *jsonWriter) text(s string) {
	quoted, err := json.Marshal(s)
	if err != nil { // a string always has a JSON form
		quoted = []byte(`""`)
	}
	w.out = append(w.out, quoted...)
}
