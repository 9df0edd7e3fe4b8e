// SPDX-License-Identifier: Apache-2.0

package exporter

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"stability-exporter/internal/middleware"
)

// middlewareConfig says which middleware is asked, and how.
type middlewareConfig struct {
	// Interval is the time between two probes of a target; from 5s to 1h.
	Interval duration `yaml:"interval"`
	// Timeout is for one probe, and shorter than its interval; from 100ms to 1m.
	Timeout duration `yaml:"timeout"`
	// Concurrency is how many probes run at a time; from 1 to 1000.
	Concurrency wholeNumber                             `yaml:"concurrency"`
	Credentials map[configName]placed[credentialConfig] `yaml:"credentials"`
	Targets     rows[targetConfig]                      `yaml:"targets"`
	// Modules say how an address is asked that is no target.
	Modules   map[configName]placed[moduleConfig] `yaml:"modules"`
	Discovery discoveryConfig                     `yaml:"discovery"`
}

// How often and how long middleware is asked, unless something else is configured, and within which bounds.
const (
	defaultProbeInterval = 30 * time.Second
	minProbeInterval     = 5 * time.Second
	maxProbeInterval     = time.Hour
	defaultProbeTimeout  = 5 * time.Second
	minProbeTimeout      = 100 * time.Millisecond
	maxProbeTimeout      = time.Minute
	defaultConcurrency   = middleware.DefaultConcurrency
	maxConcurrency       = 1000
)

func newMiddlewareConfig() middlewareConfig {
	return middlewareConfig{
		Interval:    duration{Duration: defaultProbeInterval},
		Timeout:     duration{Duration: defaultProbeTimeout},
		Concurrency: wholeNumber{number: defaultConcurrency},
	}
}

// settings returns the section as package middleware takes it. It must be valid.
func (c *middlewareConfig) settings() *middleware.Settings {
	b := c.build()
	return &b.settings
}

// validate returns the mistakes that only show once the whole section is read.
func (c *middlewareConfig) validate() []mistake { return c.build().mistakes }

// middlewareBuilder turns the section into settings, and collects what is wrong with it.
type middlewareBuilder struct {
	config   *middlewareConfig
	kinds    []middleware.Kind
	settings middleware.Settings
	mistakes []mistake
	names    map[string]int // of targets and groups: the line of each
}

func (b *middlewareBuilder) mistake(line int, format string, args ...any) {
	b.mistakes = append(b.mistakes, mistake{line, fmt.Sprintf(format, args...)})
}

func (c *middlewareConfig) build() *middlewareBuilder {
	b := &middlewareBuilder{
		config: c,
		kinds:  middleware.Kinds(),
		settings: middleware.Settings{
			Modules:     map[string]*middleware.Module{},
			Credentials: map[string]*middleware.Credential{},
			Interval:    c.Interval.Duration, Timeout: c.Timeout.Duration, Concurrency: c.Concurrency.number,
		},
		names: map[string]int{},
	}
	b.checkTimes(c.Interval, c.Timeout)
	if n := c.Concurrency; n.number < 1 || n.number > maxConcurrency {
		b.mistake(n.line, "%d probes at a time are out of range: give 1 to %d", n.number, maxConcurrency)
	}
	for name, x := range c.Credentials {
		if b.checkName("credential", name) && !x.wrong {
			b.settings.Credentials[name.text] = b.credential(name, cmp.Or(x.line, name.line), &x.Value)
		}
	}
	for _, t := range c.Targets {
		if !t.wrong {
			b.target(t.line, &t.Value)
		}
	}
	for name, x := range c.Modules {
		if b.checkName("module", name) && !x.wrong {
			b.module(name, cmp.Or(x.line, name.line), &x.Value)
		}
	}
	b.discovery(&c.Discovery)
	return b
}

// checkTimes checks how often and how long something is asked. Either may be a default.
func (b *middlewareBuilder) checkTimes(interval, timeout duration) {
	if interval.line > 0 && (interval.Duration < minProbeInterval || interval.Duration > maxProbeInterval) {
		b.mistake(interval.line, "an interval of %s is out of range: give 5s to 1h", interval.Duration)
		return
	}
	if timeout.line > 0 && (timeout.Duration < minProbeTimeout || timeout.Duration > maxProbeTimeout) {
		b.mistake(timeout.line, "a timeout of %s is out of range: give 100ms to 1m", timeout.Duration)
		return
	}
	if timeout.Duration >= interval.Duration {
		b.mistake(max(interval.line, timeout.line), "a timeout of %s%s is not shorter than the interval of %s%s: a probe would meet the next one",
			timeout.Duration, inLine(timeout.line), interval.Duration, inLine(interval.line))
	}
}

// inLine says where a value stands that is not a default.
func inLine(line int) string {
	if line == 0 {
		return " (the default)"
	}
	return fmt.Sprintf(" (line %d)", line)
}

// checkName checks the name of a target, a member, a credential or a module. Names are values of labels and parts of links.
func (b *middlewareBuilder) checkName(what string, name configName) bool {
	if !targetName(name.text) {
		b.mistake(name.line, "%q is no name of a %s: give letters, digits, hyphens, underscores and dots, at most %d, a letter or digit first and last",
			shortened(name.text), what, maxName)
		return false
	}
	return true
}

const maxName = 100

func targetName(text string) bool {
	inner := func(r rune) bool {
		return r != '-' && r != '_' && r != '.' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}
	return text != "" && len(text) <= maxName && !strings.ContainsFunc(text, inner) && !strings.ContainsAny(text[:1]+text[len(text)-1:], "-_.")
}

// shortened keeps the texts of mistakes at a readable length.
func shortened(text string) string {
	if len(text) > maxName {
		return strings.ToValidUTF8(text[:maxName], "") + "..."
	}
	return text
}

// kind returns the kind of a name; nil when there is none, which is a mistake.
func (b *middlewareBuilder) kind(what string, line int, name configText) *middleware.Kind {
	var known []string
	for i := range b.kinds {
		if known = append(known, b.kinds[i].Name); b.kinds[i].Name == name.text {
			return &b.kinds[i]
		}
	}
	if name.text == "" {
		b.mistake(cmp.Or(name.line, line), "%s has no kind: give one as kind: KIND; docs/middleware.md lists all", what)
	} else {
		b.mistake(name.line, "there is no kind %q: %s docs/middleware.md lists all", shortened(name.text), alternatives(name.text, known))
	}
	return nil
}

// named returns the credential of a name; nil when there is none, which is a mistake unless the name is empty.
func (b *middlewareBuilder) named(name configText) *middleware.Credential {
	if name.line == 0 {
		return nil
	}
	if c := b.settings.Credentials[name.text]; c != nil {
		return c
	}
	var known []string
	for other := range b.config.Credentials {
		if known = append(known, other.text); other.text == name.text {
			return nil // it has mistakes of its own
		}
	}
	slices.Sort(known)
	if len(known) == 0 {
		b.mistake(name.line, "there is no credential %q: middleware.credentials has none", shortened(name.text))
	} else {
		b.mistake(name.line, "there is no credential %q: %s", shortened(name.text), strings.TrimSuffix(alternatives(name.text, known), "."))
	}
	return nil
}

// placedFile is a file that the configuration names.
type placedFile struct {
	what string
	configText
}

// notes tells of files that cannot be read now. That is no mistake: a Secret may be mounted later, or elsewhere than where a configuration
// is checked, and a probe that lacks one says so.
func (c *middlewareConfig) notes() []mistake {
	var notes []mistake
	for _, file := range c.files() {
		f, err := os.Open(file.text)
		if err != nil {
			notes = append(notes, mistake{file.line, fmt.Sprintf("%s cannot be read here: %v", file.what, err)})
			continue
		}
		f.Close()
	}
	slices.SortFunc(notes, func(a, b mistake) int { return cmp.Or(a.line-b.line, strings.Compare(a.text, b.text)) })
	return notes
}

// files returns all files that are named.
func (c *middlewareConfig) files() []placedFile {
	var files []placedFile
	add := func(all ...placedFile) {
		for _, file := range all {
			if file.text != "" {
				files = append(files, file)
			}
		}
	}
	for _, x := range c.Credentials {
		add(x.Value.files()...)
	}
	for _, t := range c.Targets {
		add(t.Value.TLS.Value.files()...)
		add(t.Value.Credential.Own.Value.files()...)
	}
	for _, m := range c.Modules {
		add(m.Value.TLS.Value.files()...)
	}
	for _, r := range c.Discovery.Rules {
		add(r.Value.TLS.Value.files()...)
	}
	return files
}
