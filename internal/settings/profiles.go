// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"path"
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

// decideProfiles leaves out what stands in files that are not read, and what holds for profiles that are not active. Where no active
// profile is known, what holds for a profile alone counts if nothing else sets the same.
func decideProfiles(all []state.Setting) []state.Setting {
	files := springFiles(all)
	all = slices.DeleteFunc(all, func(s state.Setting) bool { return s.Source == state.FromFile && !files.read(s) })
	for i := range all {
		if s := &all[i]; s.Source == state.FromFile {
			s.Profile = and(s.Profile, files.profileOf(s.Where.String()))
		}
	}
	active, known := activeProfiles(all)
	kept := make([]state.Setting, 0, len(all))
	var doubtful []state.Setting
	for _, s := range all {
		switch {
		case s.Profile == (state.Symbol{}) || known && holds(s.Profile.String(), active):
			kept = append(kept, s)
		case !known:
			doubtful = append(doubtful, s)
		}
	}
	for i, s := range doubtful {
		if !setElsewhere(s, kept) && !setElsewhere(s, doubtful[:i]) && !setElsewhere(s, doubtful[i+1:]) {
			kept = append(kept, s)
		}
	}
	slices.SortStableFunc(kept, func(a, b state.Setting) int {
		if a.Source != state.FromFile || b.Source != state.FromFile {
			return int(min(a.Source, 1)) - int(min(b.Source, 1))
		}
		return files.order(a.Where.String(), active) - files.order(b.Where.String(), active)
	})
	return kept
}

// setElsewhere reports whether another setting sets the same to something else.
func setElsewhere(s state.Setting, others []state.Setting) bool {
	row, _ := rowFor(s.Source, s.Key.String())
	for _, other := range others {
		if r, _ := rowFor(other.Source, other.Key.String()); r == row && (row >= 0 || other.Key == s.Key) && other.Value != s.Value {
			return true
		}
	}
	return false
}

// fileNames are the names of the files that Spring reads, without what follows for a profile: "application", or with their extension where a
// location names one.
type fileNames []string

// springFiles returns the files that Spring reads as the settings outside of files say.
func springFiles(all []state.Setting) fileNames {
	names := fileNames{"application", "bootstrap"}
	for _, s := range all {
		if s.Source == state.FromFile || s.Value == Unknown {
			continue
		}
		for _, key := range []string{keyName, keyLocation, keyAddition, keyImport} {
			if binds(s.Source, listKey(s.Key.String()), key) {
				names = append(names, strings.FieldsFunc(s.Value, func(r rune) bool { return r == ',' || r == ' ' })...)
			}
		}
	}
	return names
}

// read reports whether a setting stands in a file in which it is read: properties of Spring in a file of Spring, others in one of theirs.
func (names fileNames) read(s state.Setting) bool {
	file := s.Where.String()
	spring := names.include(file)
	if row, as := rowFor(s.Source, s.Key.String()); row >= 0 && table[row].forms[as].file != "" {
		return !spring && strings.HasSuffix(file, table[row].forms[as].file)
	}
	return spring
}

func (names fileNames) include(file string) bool {
	return isConfiguration(file) && (slices.Contains(names, stem(file)) || slices.Contains(names, file) || names.profileOf(file) != "")
}

// stem returns the name of a file without its extension.
func stem(file string) string { return strings.TrimSuffix(file, path.Ext(file)) }

// profileOf returns the profile in the name of a file: prod for application-prod.yml; empty when it is for all.
func (names fileNames) profileOf(file string) string {
	if slices.Contains(names, stem(file)) || slices.Contains(names, file) {
		return ""
	}
	for _, name := range names {
		if profile, found := strings.CutPrefix(stem(file), name+"-"); found {
			return profile
		}
	}
	return ""
}

// and returns the profile expression of what holds in both.
func and(expression state.Symbol, profile string) state.Symbol {
	switch {
	case profile == "":
		return expression
	case expression == state.Symbol{}:
		return state.Sym(profile)
	}
	return state.Sym("(" + expression.String() + ")&(" + profile + ")")
}

// order returns the place of a file among those that Spring reads: bootstrap comes first, YAML before properties, and what holds for a
// profile alone last, in the order of the active profiles.
func (names fileNames) order(file string, active []string) int {
	order := 0
	if !strings.HasPrefix(file, "bootstrap") {
		order += 1000
	}
	if profile := names.profileOf(file); profile != "" {
		order += 10 + 10*max(0, slices.Index(active, profile))
	}
	if strings.HasSuffix(file, ".properties") {
		order++
	}
	return order
}

// activeProfiles returns the profiles that are known to be active, in the order in which later ones beat earlier ones; known is
// false when nothing tells.
func activeProfiles(all []state.Setting) (active []string, known bool) {
	value := map[string][]string{}
	for _, s := range all {
		if s.Profile != (state.Symbol{}) {
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
