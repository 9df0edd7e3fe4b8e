// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"path"
	"slices"

	"stability-exporter/internal/state"
)

// ranked is a setting with its place in the order of precedence.
type ranked struct {
	state.Setting
	rank int
}

// The ranks of the sources, lowest first; what lies between them is for the order within one.
const (
	rankFile     = 0
	rankEnvAll   = 1000
	rankEnv      = 2000
	rankJVM      = 3000
	rankJSON     = 4000
	rankArgument = 5000
)

// Collect returns all settings of a container, its own and those of the ConfigMaps it refers to, the one that is in effect last.
func Collect(c *state.ContainerSpec, maps []*state.ConfigMap) []state.Setting {
	if len(c.Settings) == 0 && len(c.References) == 0 {
		return nil
	}
	all := make([]ranked, 0, len(c.Settings))
	taken := map[state.Symbol]bool{} // variables that are set where it counts more
	for _, s := range c.Settings {
		all = append(all, ranked{s, rankOf(s, rankEnv)})
		if s.Where != (state.Symbol{}) {
			taken[s.Where] = true
		}
	}
	for _, kind := range []state.ReferenceKind{state.EnvKey, state.EnvAll, state.FileKey, state.FilesAll} {
		for _, reference := range slices.Backward(c.References) {
			if reference.Kind == kind && len(all) < 4*MaxSettings {
				all = append(all, resolve(reference, named(maps, reference.ConfigMap), taken)...)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b ranked) int { return a.rank - b.rank })
	settings := make([]state.Setting, 0, len(all))
	unheeded := startsDirectly(c.Settings)
	for _, s := range all {
		if !unheeded || !ByScript(s.Setting) {
			settings = append(settings, s.Setting)
		}
	}
	return decideProfiles(settings)
}

// startsDirectly reports whether the command of a container is java and holds all its options: then no script puts in what stands in
// JAVA_OPTS and the like.
func startsDirectly(own []state.Setting) bool {
	directly := false
	for _, s := range own {
		switch {
		case s.Source != state.FromJVM:
		case s.Key.String() == optionHidden:
			return false
		case s.Key.String() == optionDirectly:
			directly = true
		}
	}
	return directly
}

func named(maps []*state.ConfigMap, name state.Symbol) *state.ConfigMap {
	for _, m := range maps {
		if m.Name == name.String() {
			return m
		}
	}
	return &state.ConfigMap{}
}

func rankOf(s state.Setting, env int) int {
	switch s.Source {
	case state.FromEnv:
		return env
	case state.FromJVM:
		return rankJVM + optionRank(s.Where.String())
	case state.FromJSON:
		return rankJSON
	case state.FromArgument:
		return rankArgument
	}
	return rankFile
}

// resolve returns the settings that a container takes from a ConfigMap by one reference. A variable whose value is not known, because the
// ConfigMap may not be read or the value is none that is judged, is set all the same.
func resolve(r state.Reference, m *state.ConfigMap, taken map[state.Symbol]bool) []ranked {
	var found []ranked
	for i := range m.Entries {
		e := &m.Entries[i]
		switch r.Kind {
		case state.EnvKey:
			if e.Key == r.Key {
				found = appendVariable(found, r.Name, e, taken, rankEnv)
			}
		case state.EnvAll:
			name := e.Key
			if r.Name != (state.Symbol{}) {
				name = state.Sym(r.Name.String() + e.Key.String())
			}
			found = appendVariable(found, name, e, taken, rankEnvAll)
		case state.FileKey:
			if e.Key == r.Key {
				found = appendFile(found, r.Name, e)
			}
		case state.FilesAll:
			found = appendFile(found, e.Key, e)
		}
	}
	if name := r.Name.String(); r.Kind == state.EnvKey && !taken[r.Name] {
		if _, judged := judge(state.FromEnv, name, Unknown); judged {
			found = append(found, ranked{state.Setting{Source: state.FromEnv, Where: r.Name, Key: r.Name, Value: Unknown}, rankEnv})
			taken[r.Name] = true
		}
	}
	return found
}

// appendVariable appends what an entry sets as the value of an environment variable.
func appendVariable(found []ranked, name state.Symbol, e *state.ConfigEntry, taken map[state.Symbol]bool, env int) []ranked {
	if taken[name] {
		return found
	}
	before := len(found)
	if e.Scalar != "" {
		if kept, judged := judge(state.FromEnv, name.String(), e.Scalar); judged {
			found = append(found, ranked{state.Setting{Source: state.FromEnv, Where: name, Key: name, Value: kept}, env})
		}
	}
	for _, s := range e.Settings {
		if s.Source == state.FromFile || s.Source == state.FromJSON && !binds(state.FromEnv, name.String(), keyJSON) {
			continue
		}
		s.Where = name
		found = append(found, ranked{s, rankOf(s, env)})
	}
	if len(found) > before {
		taken[name] = true
	}
	return found
}

// appendFile appends what an entry sets as a file of the given name.
func appendFile(found []ranked, name state.Symbol, e *state.ConfigEntry) []ranked {
	file := state.Sym(path.Base(name.String()))
	for _, s := range e.Settings {
		if s.Source != state.FromFile {
			continue
		}
		s.Where = file
		found = append(found, ranked{s, rankFile})
	}
	return found
}
