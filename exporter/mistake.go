// SPDX-License-Identifier: Apache-2.0

package exporter

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// mistake is something wrong in a configuration file, in words for those who write one.
type mistake struct {
	line int // zero when the parser does not tell
	text string
}

// String returns "line: text".
func (m mistake) String() string {
	if m.line == 0 {
		return " " + m.text
	}
	return strconv.Itoa(m.line) + ": " + m.text
}

// mistakeAt returns an error that the decoder collects instead of stopping at it.
func mistakeAt(node *yaml.Node, format string, args ...any) error {
	return &yaml.TypeError{Errors: []string{fmt.Sprintf("line %d: ", node.Line) + fmt.Sprintf(format, args...)}}
}

// describe names the value of a node.
func describe(node *yaml.Node) string {
	switch node.Kind {
	case yaml.ScalarNode:
		return strconv.Quote(node.Value)
	case yaml.SequenceNode:
		return "a list"
	default:
		return "a mapping"
	}
}

// What the decoder says, apart from our own words.
var (
	lineMessage      = regexp.MustCompile(`(?s)^(?:yaml: )?(?:line (\d+): )?(.*)$`)
	unknownMessage   = regexp.MustCompile(`^field (.+) not found in type exporter\.(\w+)$`)
	twiceMessage     = regexp.MustCompile(`^mapping key (".*") already defined at line (\d+)$`)
	wrongTypeMessage = regexp.MustCompile("(?s)^cannot unmarshal !!(\\w+)(?: `.*`)? into (?:exporter\\.)?(.+)$")
	anchorMessage    = regexp.MustCompile(`^unknown anchor '(.+)' referenced$`)
	// parserMessage is said by that stage of the decoder which counts lines from zero.
	parserMessage = regexp.MustCompile(`^did not find expected (node content|'-' indicator|key|',' or|<document start>)|^found undefined tag`)
)

// mistakesOf reads the mistakes out of an error of the decoder; nil gives none.
func mistakesOf(err error, text []byte) []mistake {
	var typed *yaml.TypeError
	if err == nil {
		return nil
	}
	if !errors.As(err, &typed) {
		return []mistake{syntaxMistake(err, text)}
	}
	var mistakes []mistake
	for _, message := range typed.Errors {
		m := readMistake(message)
		mistakes = append(mistakes, mistake{m.line, inOurWords(m.text)})
	}
	return mistakes
}

func readMistake(message string) mistake {
	parts := lineMessage.FindStringSubmatch(message)
	line, _ := strconv.Atoi(parts[1]) // absent means zero
	return mistake{line, parts[2]}
}

// syntaxMistake finds the line of a text that is no YAML. The decoder does not tell the first line and miscounts some
// others, so it is asked again with a line put before the text.
func syntaxMistake(err error, text []byte) mistake {
	m := readMistake(err.Error())
	if again := yaml.Unmarshal(append([]byte("#\n"), text...), new(yaml.Node)); again != nil {
		if shifted := readMistake(again.Error()); shifted.text == m.text && shifted.line > 0 {
			m.line = shifted.line
			if !parserMessage.MatchString(m.text) {
				m.line--
			}
		}
	}
	if anchor := anchorMessage.FindStringSubmatch(m.text); anchor != nil {
		before, _, _ := bytes.Cut(text, []byte("*"+anchor[1]))
		m.line = 1 + bytes.Count(before, []byte("\n"))
	}
	return m
}

// inOurWords replaces the names of Go types, which mean nothing to those who write a configuration.
func inOurWords(message string) string {
	if m := unknownMessage.FindStringSubmatch(message); m != nil {
		return fmt.Sprintf("unknown key %q: known here are %s", m[1], knownKeys(m[2]))
	}
	if m := twiceMessage.FindStringSubmatch(message); m != nil {
		return fmt.Sprintf("key %s is given twice, first in line %s", m[1], m[2])
	}
	if m := wrongTypeMessage.FindStringSubmatch(message); m != nil {
		found, ok := map[string]string{"seq": "a list", "map": "a mapping", "str": "text", "int": "a number",
			"float": "a number", "bool": "a truth value"}[m[1]]
		if !ok {
			found = "a value of type " + m[1]
		}
		if keys := knownKeys(m[2]); keys != "" {
			return fmt.Sprintf("%s stands where a mapping is expected with the keys %s", found, keys)
		}
		if strings.HasPrefix(m[2], "map[") {
			return found + " stands where a mapping is expected"
		}
		if strings.HasPrefix(m[2], "[]") {
			return found + " stands where a list is expected"
		}
		if m[2] == "bool" {
			return found + " stands where true or false is expected"
		}
		return found + " stands where another type is expected"
	}
	return message
}

// knownKeys lists the keys of the struct of that name in a configuration; empty when there is no such struct.
func knownKeys(structName string) string {
	var keys []string
	var visit func(t reflect.Type)
	visit = func(t reflect.Type) {
		switch t.Kind() {
		case reflect.Slice, reflect.Map, reflect.Pointer:
			visit(t.Elem())
		case reflect.Struct:
			for i := range t.NumField() {
				key, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
				if key != "" && t.Name() == structName {
					keys = append(keys, key)
				}
				visit(t.Field(i).Type)
			}
		}
	}
	visit(reflect.TypeFor[config]())
	slices.Sort(keys)
	return strings.Join(slices.Compact(keys), ", ")
}
