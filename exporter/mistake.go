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
	unknownMessage   = regexp.MustCompile(`(?s)^field (.+) not found in type exporter\.(\w+)$`)
	twiceMessage     = regexp.MustCompile(`^mapping key (".*") already defined at line (\d+)$`)
	wrongTypeMessage = regexp.MustCompile("(?s)^cannot unmarshal !?!?(\\S*)(?: `.*`)? into (?:exporter\\.)?(.+)$")
	// decodeMessage quotes a value, which might be a secret.
	decodeMessage = regexp.MustCompile("(?s)^(cannot decode \\S+) `.*`( as .+)$")
	anchorMessage = regexp.MustCompile(`^unknown anchor '(.+)' referenced$`)
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
	if anchor := anchorMessage.FindStringSubmatch(m.text); anchor != nil { // of which the name may be a password that begins with *
		before, _, _ := bytes.Cut(text, []byte("*"+anchor[1]))
		m = mistake{1 + bytes.Count(before, []byte("\n")), "a value begins with * and names no anchor: put it in quotes if it is a text"}
	}
	m.text = decodeMessage.ReplaceAllString(m.text, "$1$2")
	return m
}

// inOurWords replaces the names of Go types, which mean nothing to those who write a configuration.
func inOurWords(message string) string {
	if m := unknownMessage.FindStringSubmatch(message); m != nil {
		return unknownKey(m[1], m[2])
	}
	if m := twiceMessage.FindStringSubmatch(message); m != nil {
		key, missing, colon := strings.Cut(m[1], ":")
		if colon && missing != "" { // what follows may be a password
			key += `:..."`
		}
		return fmt.Sprintf("key %s is given twice, first in line %s", key, m[2])
	}
	if m := wrongTypeMessage.FindStringSubmatch(message); m != nil {
		found, ok := map[string]string{"seq": "a list", "map": "a mapping", "str": "text", "int": "a number",
			"float": "a number", "bool": "a truth value", "timestamp": "a date"}[m[1]]
		if !ok {
			found = "a value with a tag of its own"
		}
		if keys := knownKeys(m[2]); keys != "" {
			return fmt.Sprintf("%s stands where a mapping is expected with the keys %s", found, keys)
		}
		if strings.HasPrefix(m[2], "map[") || m[2] == reflect.TypeFor[optionsConfig]().Name() {
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
	return decodeMessage.ReplaceAllString(message, "$1$2")
}

// unknownKey says that a struct has no such key. Where a blank is missing behind the colon the value is part of the key; a key of a
// credential is only shown if it resembles one that is known, for it may be a password that stands in the wrong place.
func unknownKey(key, structName string) string {
	known := knownKeys(structName)
	if name, _, found := strings.Cut(key, ":"); found {
		key = name + ":..."
	}
	near := func(one string) bool { return distance(strings.TrimSuffix(key, ":..."), one) <= len(one)/3 }
	if structName == reflect.TypeFor[credentialConfig]().Name() && !slices.ContainsFunc(strings.Split(known, ", "), near) {
		return "unknown key: known here are " + known
	}
	if strings.HasSuffix(key, ":...") {
		return fmt.Sprintf("unknown key %q, a blank is missing behind the colon: known here are %s", key, known)
	}
	return fmt.Sprintf("unknown key %q: known here are %s", key, known)
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
				key, flags, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
				if key != "" && t.Name() == structName {
					keys = append(keys, key)
				} else if flags == "inline" && t.Name() == structName {
					keys = append(keys, strings.Split(knownKeys(t.Field(i).Type.Name()), ", ")...)
				}
				visit(t.Field(i).Type)
			}
		}
	}
	visit(reflect.TypeFor[config]())
	slices.Sort(keys)
	return strings.Join(slices.Compact(keys), ", ")
}
