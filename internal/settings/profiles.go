// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"slices"
	"strings"

	"stability-exporter/internal/state"
)

// profile returns the profile expression of a document, and whether it holds on Kubernetes at all.
func (d document) profile() (expression string, active bool) {
	var terms []string
	active = true
	for _, e := range d {
		key := e.key
		if i := strings.IndexByte(key, '['); i > 0 {
			key = key[:i]
		}
		switch {
		case binds(state.FromFile, key, keyOnProfile), binds(state.FromFile, key, keyProfiles):
			terms = append(terms, "("+only(e.value, isExpression)+")")
		case binds(state.FromFile, key, keyOnCloud):
			active = strings.EqualFold(strings.TrimSpace(e.value), "kubernetes")
		}
	}
	return strings.Join(terms, "|"), active
}

// isExpression reports whether a text has the shape of a profile expression.
func isExpression(text string) bool {
	return isWords(strings.Map(func(r rune) rune {
		if strings.ContainsRune("!&|()", r) {
			return ','
		}
		return r
	}, text))
}

// activeProfiles returns the profiles that are known to be active, in the order in which later ones beat earlier ones; known is
// false when nothing tells.
func activeProfiles(all []state.Setting) (active []string, known bool) {
	value := map[string][]string{}
	for _, s := range all {
		if s.Profile != (state.Symbol{}) || s.Source == state.FromFile && !isSpringFile(s.Where.String()) {
			continue
		}
		for _, key := range []string{keyActive, keyInclude} {
			if binds(s.Source, listKey(s.Key.String()), key) {
				value[key] = listValue(value[key], s)
			}
		}
	}
	if len(value[keyActive]) == 0 || slices.Contains(value[keyActive], Unknown) {
		return nil, false
	}
	active = append(slices.Clone(value[keyInclude]), value[keyActive]...)
	for i := 0; i < len(active) && len(active) < MaxDepth; i++ {
		active = append(active, membersOf(all, active[i])...)
	}
	return active, true
}

// membersOf returns the members of a profile group.
func membersOf(all []state.Setting, group string) []string {
	var members []string
	for _, s := range all {
		if binds(s.Source, listKey(s.Key.String()), "spring.profiles.group."+strings.ToLower(group)) {
			members = listValue(members, s)
		}
	}
	return members
}

// listKey returns the key of the list that a key is an element of.
func listKey(key string) string {
	if i := strings.LastIndexByte(key, '['); i > 0 && isIndex(key[i:]) {
		return key[:i]
	}
	return key
}

func isIndex(text string) bool {
	digits := strings.TrimSuffix(strings.TrimPrefix(text, "["), "]")
	return digits != "" && strings.Trim(digits, "0123456789") == ""
}

// listValue returns a list as a further setting makes it: an element of the same list is added, anything else replaces it.
func listValue(list []string, s state.Setting) []string {
	key := s.Key.String()
	if listKey(key) == key || strings.HasSuffix(key, "[0]") {
		list = nil
	}
	return append(list, strings.FieldsFunc(s.Value, func(r rune) bool { return r == ',' || r == ' ' })...)
}

// holds evaluates a profile expression: names with !, & and |, parentheses, and commas that mean |.
func holds(expression string, active []string) bool {
	p := expressionParser{text: expression, active: active}
	return p.either()
}

type expressionParser struct {
	text   string
	active []string
	depth  int
}

func (p *expressionParser) skip(c string) bool {
	p.text = strings.TrimLeft(p.text, " ")
	rest, found := strings.CutPrefix(p.text, c)
	p.text = rest
	return found
}

func (p *expressionParser) either() bool {
	result := p.both()
	for p.skip("|") || p.skip(",") {
		result = p.both() || result
	}
	return result
}

func (p *expressionParser) both() bool {
	result := p.one()
	for p.skip("&") {
		result = p.one() && result
	}
	return result
}

func (p *expressionParser) one() bool {
	if p.depth++; p.depth > MaxValueBytes*MaxDepth {
		return false
	}
	switch {
	case p.skip("!"):
		return !p.one()
	case p.skip("("):
		result := p.either()
		p.skip(")")
		return result
	}
	end := strings.IndexAny(p.text, "!&|(), ")
	if end < 0 {
		end = len(p.text)
	}
	name := p.text[:end]
	p.text = p.text[end:]
	return slices.Contains(p.active, name)
}
