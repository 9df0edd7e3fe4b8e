// SPDX-License-Identifier: Apache-2.0

package exporter

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"stability-exporter/internal/middleware"
)

// optionsConfig are options of a kind.
type optionsConfig map[configName]optionValue

// optionValue is a text or a list of texts: what it means depends on the kind.
type optionValue struct {
	texts []configText
	list  bool
	line  int // zero when there is no value
}

// UnmarshalYAML implements yaml.Unmarshaler.
func (v *optionValue) UnmarshalYAML(node *yaml.Node) error {
	*v = optionValue{list: node.Kind == yaml.SequenceNode, line: node.Line}
	if !v.list {
		v.texts = []configText{{}}
		return v.texts[0].UnmarshalYAML(node)
	}
	for _, item := range node.Content {
		var text configText
		if item.Kind == yaml.AliasNode {
			item = item.Alias
		}
		if err := text.UnmarshalYAML(item); err != nil {
			return err
		}
		v.texts = append(v.texts, text)
	}
	return nil
}

// options returns the options of a kind as package middleware takes them.
func (b *middlewareBuilder) options(what string, line int, kind *middleware.Kind, given optionsConfig) map[string]string {
	var known []string
	byName := map[string]middleware.Option{}
	for _, o := range kind.Options {
		known = append(known, o.Name)
		byName[o.Name] = o
	}
	slices.Sort(known)
	values := map[string]string{}
	for name, value := range given {
		option, ok := byName[name.text]
		switch {
		case !ok && len(known) == 0:
			b.mistake(name.line, "kind %s has no option %q, nor any other", kind.Name, shortened(name.text))
		case !ok:
			b.mistake(name.line, "kind %s has no option %q: known are %s", kind.Name, shortened(name.text), strings.Join(known, ", "))
		case value.line > 0:
			values[name.text] = b.option(option, value)
		}
	}
	for _, o := range kind.Options {
		if _, ok := values[o.Name]; o.Required && !ok {
			b.mistake(line, "%s lacks the option %s, without which kind %s cannot be asked: %s", what, o.Name, kind.Name, o.Help)
		}
	}
	return values
}

// option checks the value of an option and returns it: true, a number, a duration, a text, or the lines of a list.
func (b *middlewareBuilder) option(o middleware.Option, value optionValue) string {
	if value.list && o.Type != middleware.List {
		b.mistake(value.line, "option %s: a list stands where %s is expected", o.Name, o.Type)
		return ""
	}
	var texts []string
	for _, item := range value.texts {
		err := checkOption(o, item.text)
		if err != nil {
			b.mistake(item.line, "option %s: %v", o.Name, err)
		}
		texts = append(texts, item.text)
	}
	return strings.Join(texts, "\n")
}

func checkOption(o middleware.Option, text string) error {
	ok := true
	switch o.Type {
	case middleware.Text:
	case middleware.Number:
		n, err := strconv.ParseFloat(text, 64)
		ok = err == nil && !math.IsNaN(n) && !math.IsInf(n, 0) && n >= 0
	case middleware.Duration:
		if _, err := strconv.ParseFloat(text, 64); err == nil {
			return fmt.Errorf("duration %s has no unit: write %ss if seconds are meant", text, text)
		}
		d, err := time.ParseDuration(text)
		ok = err == nil && d >= 0
	case middleware.Flag:
		ok = text == "true" || text == "false"
	case middleware.List:
		if strings.Contains(text, "\n") || text == "" {
			return errors.New("an item of the list is empty or has several lines")
		}
	}
	if !ok {
		return fmt.Errorf("%q stands where %s is expected", shortened(text), o.Type)
	}
	if o.Check != nil {
		return o.Check(text)
	}
	return nil
}
