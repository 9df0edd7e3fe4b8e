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
	trimmed := strings.TrimSpace(value)
	switch {
	case mayBeFile(key, value) && isOurs(value):
		c.file(key, value)
	case strings.HasPrefix(trimmed, "{"):
		c.json("", trimmed)
	case strings.HasPrefix(trimmed, "-") && len(value) <= MaxCommandBytes:
		for _, word := range optionWords(value) {
			c.option("", word)
		}
	default:
		found.Scalar = fromScalar(key, value)
	}
	found.Settings = c.settings
	return found, found.Scalar != "" || len(found.Settings) > 0
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

// mayBeFile reports whether an entry may be a configuration file, by its name or, as it may be mounted under another one, because it has
// several lines.
func mayBeFile(key, value string) bool {
	return isConfiguration(key) || isZooKeeper(key) || strings.Contains(strings.TrimSpace(value), "\n")
}

func isZooKeeper(name string) bool { return name == "zoo.cfg" }

// isOurs reports whether a file has a word of what is judged, before it is parsed in earnest.
func isOurs(text string) bool {
	for _, word := range []string{"spring", "SPRING", "eureka", "dubbo", "interval.ms", "interval", "tickTime", "server", "management"} {
		if strings.Contains(text, word) {
			return true
		}
	}
	return false
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
