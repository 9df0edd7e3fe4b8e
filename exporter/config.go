// SPDX-License-Identifier: Apache-2.0

package exporter

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"stability-exporter/collectors"
	"stability-exporter/internal/state"
)

// config is the configuration file. A key that is absent has the default that newConfig gives it.
type config struct {
	Damage damageConfig `yaml:"damage"`
	// NodeConditions say by condition type how a node condition is read where the rule of its name is wrong.
	NodeConditions map[string]conditionReading `yaml:"node_conditions"`
	Checks         checksConfig                `yaml:"checks"`
	Rules          rulesConfig                 `yaml:"rules"`
	Middleware     middlewareConfig            `yaml:"middleware"`
}

// damageConfig sets how a workload is judged.
type damageConfig struct {
	// Grace is how long a new or growing workload may take before it is expected to be whole; from 1s to 24h.
	Grace duration `yaml:"grace"`
}

func newConfig() *config {
	return &config{
		Damage: damageConfig{Grace: duration{Duration: state.DefaultGrace}},
		Checks: checksConfig{MaxSeriesPerCheck: wholeNumber{number: collectors.DefaultMaxSeriesPerCheck}},

		Middleware: newMiddlewareConfig(),
	}
}

// validate returns the mistakes that only show once a value is understood.
func (c *config) validate() []mistake {
	mistakes := slices.Concat(c.Rules.validate(), c.Checks.validate(), c.Middleware.validate())
	if g := c.Damage.Grace; g.Duration < time.Second || g.Duration > 24*time.Hour {
		mistakes = append(mistakes, mistake{g.line, fmt.Sprintf("a grace of %s is out of range: give 1s to 24h", g.Duration)})
	}
	return mistakes
}

// conditions returns the readings as package collectors takes them.
func (c *config) conditions() map[string]string {
	readings := make(map[string]string, len(c.NodeConditions))
	for name, reading := range c.NodeConditions {
		readings[name] = string(reading)
	}
	return readings
}

// duration is a duration that was written with a unit. Its line is zero when it is a default.
type duration struct {
	time.Duration
	line int
}

// UnmarshalYAML implements yaml.Unmarshaler.
func (d *duration) UnmarshalYAML(node *yaml.Node) error {
	if _, err := strconv.ParseFloat(node.Value, 64); err == nil && node.Kind == yaml.ScalarNode {
		return mistakeAt(node, "duration %s has no unit: write %ss if seconds are meant", node.Value, node.Value)
	}
	parsed, err := time.ParseDuration(node.Value)
	if err != nil {
		return mistakeAt(node, "%s is no duration: write a number with a unit, such as 90s, 10m or 1h30m", describe(node))
	}
	*d = duration{parsed, node.Line}
	return nil
}

// conditionReading is good, bad or ignore.
type conditionReading string

// UnmarshalYAML implements yaml.Unmarshaler.
func (r *conditionReading) UnmarshalYAML(node *yaml.Node) error {
	if !slices.Contains([]string{"good", "bad", "ignore"}, node.Value) {
		return mistakeAt(node, "%s is no way to read a node condition: write good (a problem unless True), "+
			"bad (a problem when True) or ignore", describe(node))
	}
	*r = conditionReading(node.Value)
	return nil
}

// maxConfigSize is far above any sensible configuration and far below what would hurt.
const maxConfigSize = 1 << 20

// loadConfig reads a configuration file; the empty path gives the defaults. Mistakes in the file are a *configError.
func loadConfig(path string) (*config, error) {
	if path == "" {
		return newConfig(), nil
	}
	text, err := readAtMost(path, maxConfigSize)
	if err != nil {
		return nil, fmt.Errorf("cannot read the configuration: %w", err)
	}
	c, mistakes := parseConfig(text)
	if len(mistakes) > 0 {
		return nil, &configError{path, mistakes}
	}
	return c, nil
}

// parseConfig returns the configuration, or every mistake in it by line.
func parseConfig(text []byte) (*config, []mistake) {
	c := newConfig()
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	err := decoder.Decode(c)
	if errors.Is(err, io.EOF) { // nothing but comments
		return c, nil
	}
	mistakes := append(mistakesOf(err, text), c.validate()...)
	var second yaml.Node
	if len(mistakes) == 0 && !errors.Is(decoder.Decode(&second), io.EOF) {
		mistakes = append(mistakes, mistake{second.Line, "a second document begins: a configuration is one document"})
	}
	slices.SortFunc(mistakes, func(a, b mistake) int { return cmp.Or(a.line-b.line, strings.Compare(a.text, b.text)) })
	return c, mistakes
}

// configError is what is wrong in a configuration file.
type configError struct {
	path     string
	mistakes []mistake
}

// Error implements error: every mistake, each as path:line: text.
func (e *configError) Error() string {
	var lines []string
	for _, m := range e.mistakes {
		lines = append(lines, e.path+":"+m.String())
	}
	return strings.Join(lines, "\n")
}

// checkConfig is the command config check: it prints every mistake and returns the exit code.
func checkConfig(path string, stdout, stderr io.Writer) int {
	c, err := loadConfig(path)
	if err != nil {
		fmt.Fprintln(stderr, err)
		return exitFailure
	}
	for _, note := range c.Middleware.notes() {
		fmt.Fprintf(stderr, "%s:%d: note: %s\n", path, note.line, note.text)
	}
	fmt.Fprintf(stdout, "%s is valid\n", path)
	return exitOK
}
