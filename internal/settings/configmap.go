// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"maps"
	"slices"
	"strings"

	"stability-exporter/internal/state"
)

// FromConfigMap extracts the entries of a ConfigMap that may be a setting, sorted by key.
func FromConfigMap(data map[string]string) []state.ConfigEntry {
	var entries []state.ConfigEntry
	for _, key := range slices.Sorted(maps.Keys(data)) {
		if len(entries) >= MaxEntries {
			break
		}
		if entry, any := fromEntry(key, data[key]); any {
			entries = append(entries, entry)
		}
	}
	return entries
}

func fromEntry(key, value string) (found state.ConfigEntry, any bool) {
	if len(key) > MaxKeyBytes || len(value) > MaxFileBytes {
		return found, false
	}
	var c collection
	found.Key = state.Sym(key)
	trimmed, named := strings.TrimSpace(value), isConfiguration(key) || isZooKeeper(key)
	switch {
	case !named && strings.HasPrefix(trimmed, "{"):
		c.json("", trimmed)
	case !named && isOptions(trimmed):
		for _, word := range optionWords(trimmed) {
			c.option("", word)
		}
	case named && mayBeJudged(value), !named && strings.Contains(trimmed, "\n") && mayBeSpring(value):
		c.file(key, value) // without a known name it may be mounted under one
	case !named:
		found.Scalar = fromScalar(key, value)
	}
	found.Settings = c.settings
	return found, found.Scalar != "" || len(found.Settings) > 0
}

// isOptions reports whether a value looks like options for a JVM, of which one may be judged.
func isOptions(value string) bool {
	return len(value) <= MaxCommandBytes && (strings.Contains(value, "-X") || strings.Contains(value, "-D")) &&
		(value[0] == '-' && value[1] != '-' && value[1] != ' ' || !strings.Contains(value, "\n"))
}

// fromScalar returns what may be kept of a value that an environment variable may take under any name.
func fromScalar(key, value string) string {
	if kept, judged := judge(state.FromEnv, key, value); judged {
		return strings.Clone(kept)
	}
	if len(value) > MaxValueBytes || strings.ContainsAny(value, "\n") {
		return ""
	}
	profile := strings.Contains(strings.ToLower(key), "profile") && value != "" && isWords(value)
	if isAmount(value) || profile {
		return strings.Clone(value)
	}
	if strings.Contains(value, "${") {
		return Unknown
	}
	return ""
}

func isZooKeeper(name string) bool { return name == "zoo.cfg" }

// mayBeJudged reports whether a file has a word of what is judged, before it is parsed in earnest.
func mayBeJudged(text string) bool {
	return mayBeSpring(text) || containsAny(text, "server", "management", "interval.ms", "session.timeout.ms", "tickTime")
}

func mayBeSpring(text string) bool { return containsAny(text, "spring", "Spring", "eureka", "dubbo") }

func containsAny(text string, words ...string) bool {
	return slices.ContainsFunc(words, func(word string) bool { return strings.Contains(text, word) })
}

// file takes what a configuration file holds.
func (c *collection) file(name, text string) {
	documents := parseYAML
	if strings.HasSuffix(name, ".properties") || !isConfiguration(name) && looksLikeProperties(text) {
		documents = parseProperties
	}
	for _, d := range documents(text) {
		profile, active := d.profile()
		if !active {
			continue
		}
		for _, e := range d {
			c.add(state.FromFile, "", e.key, e.value, profile)
		}
	}
}

// looksLikeProperties reports whether the first line that is no comment of a file whose name does not tell is key=value.
func looksLikeProperties(text string) bool {
	for text != "" {
		var line string
		line, text = logicalLine(text)
		if line == "" || line[0] == '#' || line[0] == '!' {
			continue
		}
		key, _, found := strings.Cut(line, "=")
		return found && !strings.ContainsAny(key, ": ")
	}
	return false
}
