// SPDX-License-Identifier: Apache-2.0

// Package settings knows the keys and values that people write for the programs they run: which of them are judged, in which
// forms they may be written, which of two is in effect, what a number without a unit means there, and what a JVM makes of
// its options. What is not judged is dropped as soon as it is read, and nothing here ever sees a Secret.
package settings

import (
	"path"
	"strings"

	"stability-exporter/internal/state"
)

// What is read at most. Longer input is not an error: what lies beyond is as if nobody had written it, except that a value which is too long
// is kept as Unknown.
const (
	MaxValueBytes   = 64        // of one value
	MaxKeyBytes     = 256       // of one key
	MaxFileBytes    = 256 << 10 // of one entry of a ConfigMap
	MaxCommandBytes = 64 << 10  // of the command with its arguments, and of one environment variable
	MaxSettings     = 256       // of one container, and of one entry of a ConfigMap
	MaxEntries      = 1024      // of one ConfigMap
	MaxDepth        = 32        // of a YAML or JSON document
	MaxNodes        = 20000     // of all YAML or JSON documents of one entry, aliases followed
)

// Unknown is the value of a setting that is written and cannot be known: it holds a placeholder, is too long, or is not of
// the kind that the key takes. It hides what is written for the same key elsewhere.
const Unknown = "?"

// imageArguments is where options of a JVM stand that are arguments of a command which the image holds: whether it hands
// them to a JVM cannot be seen.
const imageArguments = "args"

// collection gathers settings, dropping what is not judged.
type collection struct{ settings []state.Setting }

// add keeps what is written if it is judged.
func (c *collection) add(source state.SettingSource, where, key, value, profile string) {
	if len(c.settings) >= MaxSettings || len(key) > MaxKeyBytes {
		return
	}
	kept, judged := judge(source, key, value)
	if !judged {
		return
	}
	c.settings = append(c.settings, state.Setting{
		Source: source, Where: state.Sym(where), Key: state.Sym(key), Value: strings.Clone(kept), Profile: state.Sym(profile),
	})
}

// judge reports whether a key is judged, and what of its value may be kept. A value that has nothing of what the key takes may be
// anything, a password too: it is kept as Unknown.
func judge(source state.SettingSource, key, value string) (kept string, judged bool) {
	if source == state.FromJVM && strings.HasPrefix(key, "-") {
		return only(value, isOptionValue), isJudgedOption(key)
	}
	if s := plainFor(source, key); s >= 0 {
		return plain[s].kept(value), true
	}
	if row, _ := rowFor(source, key); row >= 0 {
		return only(value, isAmount), true
	}
	return Unknown, phantomFor(source, key) >= 0
}

// only returns a value of the wanted shape, or Unknown.
func only(value string, wanted func(string) bool) string {
	if len(value) > MaxValueBytes || !wanted(value) {
		return Unknown
	}
	return value
}

// isAmount reports whether a value has the shape of a number or a duration: 7, 7s, -1, PT7S, 1_000.
func isAmount(value string) bool {
	digits := strings.TrimLeft(value, "+-")
	if strings.HasPrefix(digits, "P") || strings.HasPrefix(digits, "p") {
		digits = digits[1:]
		return strings.Trim(digits, "0123456789.+-TDHMStdhms") == ""
	}
	rest := strings.TrimLeft(digits, "0123456789_.")
	return len(rest) < len(digits) && len(rest) <= 8 && strings.Trim(rest, " abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}

// isOptionValue reports whether a value has the shape of a size or a percentage, or of an attempt at one.
func isOptionValue(value string) bool {
	return len(value) <= 24 && strings.Trim(value, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.%=,+-_ ") == ""
}

// isWords reports whether a value has the shape of names with commas, as the profiles of Spring.
func isWords(value string) bool {
	return strings.Trim(value, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-., ") == ""
}

// configurationFiles returns the base names of the files in a list of locations: the locations themselves may hold passwords.
func configurationFiles(value string) string {
	var names []string
	for _, location := range strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == ';' }) {
		name := path.Base(strings.TrimSpace(location))
		if isConfiguration(name) && isWords(name) {
			names = append(names, name)
		}
	}
	return only(strings.Join(names, ","), isWords)
}

// isConfiguration reports whether a file has one of the formats that Spring reads.
func isConfiguration(name string) bool {
	switch path.Ext(name) {
	case ".yml", ".yaml", ".properties":
		return true
	}
	return false
}
