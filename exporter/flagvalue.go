// SPDX-License-Identifier: Apache-2.0

package exporter

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"
)

// flags is an application or a command: both take flags.
type flags interface {
	Flag(name, help string) *kingpin.FlagClause
}

// valueFlag adds a flag whose text parse turns into the target. Unlike the flags of kingpin, it names itself when it refuses a value.
func valueFlag[T any](to flags, name, help string, target *T, parse func(string) (T, error)) *kingpin.FlagClause {
	flag := to.Flag(name, help)
	flag.SetValue(&value[T]{name: name, target: target, parse: parse})
	return flag
}

type value[T any] struct {
	name   string
	target *T
	parse  func(string) (T, error)
}

// Set implements kingpin.Value.
func (v *value[T]) Set(text string) error {
	parsed, err := v.parse(text)
	if err != nil {
		return fmt.Errorf("--%s=%s: %w", v.name, text, err)
	}
	*v.target = parsed
	return nil
}

// String implements kingpin.Value.
func (v *value[T]) String() string { return fmt.Sprint(*v.target) }

// oneOf returns a parser of the given words.
func oneOf(words ...string) func(string) (string, error) {
	return func(text string) (string, error) {
		if !slices.Contains(words, text) {
			return "", fmt.Errorf("give one of %s", strings.Join(words, ", "))
		}
		return text, nil
	}
}

func parseLimit(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("give a whole number that is not negative")
	}
	return n, nil
}

func parseMoment(text string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, fmt.Errorf("give a moment such as 2026-01-31T09:00:00Z")
	}
	return t, nil
}

// parseList reads words separated by commas.
func parseList(text string) ([]string, error) {
	var words []string
	for word := range strings.SplitSeq(text, ",") {
		if word = strings.TrimSpace(word); word == "" {
			return nil, fmt.Errorf("there is an empty item between the commas")
		}
		if !slices.Contains(words, word) {
			words = append(words, word)
		}
	}
	return words, nil
}
