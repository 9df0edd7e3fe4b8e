// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"strings"
	"time"

	"stability-exporter/internal/state"
)

// Kind is what a time is for.
type Kind string

// The kinds of times.
const (
	Heartbeat Kind = "heartbeat" // or a poll: how often a program does something for as long as it runs
	Periodic  Kind = "interval"
	Timeout   Kind = "timeout"
	TTL       Kind = "ttl"
)

// Row is one row of the unit table: a time that people write as a number whose unit is easily mistaken.
type Row struct {
	Key  string // as the program's documentation spells it; the value of the label key
	Kind Kind
	Unit time.Duration // of a number without a unit
	// Whole is what the program cuts the time down to: a heartbeat of 500ms that is kept in seconds is none at all. Zero when it does not.
	Whole   time.Duration
	Default time.Duration // zero when there is none
	// Min and Max are the range of what people want. Outside of it a number is a slip if in the unit that was likely meant it is within.
	Min, Max time.Duration
	// Floor is what nobody wants to be below, whatever was meant. Zero when there is none.
	Floor time.Duration
	// Partner is the key of the time that has to be Ratio times as long; empty when there is none.
	Partner string
	Ratio   int
	// Loud says that a slip makes the program fail at once: it is known for what others are compared with, and never a finding.
	Loud bool
	// Doubt says under which circumstances the program does not heed the value; empty when it does.
	Doubt  string
	Effect string // what a slip does, in a few words
	forms  []form // the one that beats the others last
}

// form is one way to write a row's key.
type form struct {
	key   string // of a Spring property unless file or variable says otherwise
	whole bool   // takes a whole number and nothing else
	// variable says that it is the exact name of an environment variable, which is no property of Spring.
	variable bool
	// file is the suffix of the files whose exact key it is.
	file string
}

// matches reports whether a setting is written in the form.
func (f *form) matches(source state.SettingSource, written string) bool {
	switch {
	case f.variable:
		return source == state.FromEnv && written == f.key
	case f.file != "":
		return source == state.FromFile && written == f.key
	}
	return binds(source, written, f.key)
}

// rowFor returns the indices of the row and of its form in which a key is written; -1 when no row has it.
func rowFor(source state.SettingSource, written string) (row, as int) {
	for i := range table {
		for j := range table[i].forms {
			if table[i].forms[j].matches(source, written) {
				return i, j
			}
		}
	}
	return -1, -1
}

// Table returns the unit table.
func Table() []Row { return append([]Row(nil), table...) }

// Phantom is a key that people write and that no program heeds.
type Phantom struct {
	Key     string // as people write it, in the spelling of the documentation
	Instead string // what they want
	key     []string
}

// phantomFor returns the index of the phantom that is written so; -1 when there is none.
func phantomFor(source state.SettingSource, written string) int {
	for i := range phantoms {
		for _, key := range phantoms[i].key {
			if binds(source, written, key) {
				return i
			}
		}
	}
	return -1
}

// Haunt is a phantom and the setting that it was found in.
type Haunt struct {
	Phantom Phantom
	Setting state.Setting
}

// Phantoms returns the keys that are set and that no program heeds, each once.
func Phantoms(all []state.Setting) []Haunt {
	var found []Haunt
	seen := map[int]bool{}
	for _, s := range all {
		if s.Source == state.FromJVM && strings.HasPrefix(s.Key.String(), "-") {
			continue
		}
		if i := phantomFor(s.Source, s.Key.String()); i >= 0 && !seen[i] {
			seen[i] = true
			found = append(found, Haunt{phantoms[i], s})
		}
	}
	return found
}

// The phantoms: none of these was ever a property of Spring Boot (KafkaProperties and RabbitProperties of 1.5 to 4.1).
var phantoms = []Phantom{
	{"spring.kafka.consumer.session-timeout", "spring.kafka.consumer.properties[session.timeout.ms]",
		[]string{"spring.kafka.consumer.session-timeout", "spring.kafka.consumer.session-timeout-ms", "spring.kafka.consumer.session.timeout.ms"}},
	{"spring.kafka.consumer.heartbeat-interval-ms", "spring.kafka.consumer.heartbeat-interval",
		[]string{"spring.kafka.consumer.heartbeat-interval-ms", "spring.kafka.consumer.heartbeat.interval.ms"}},
	{"spring.kafka.consumer.max-poll-interval-ms", "spring.kafka.consumer.properties[max.poll.interval.ms]",
		[]string{"spring.kafka.consumer.max-poll-interval-ms", "spring.kafka.consumer.max.poll.interval.ms"}},
	{"spring.kafka.consumer.request-timeout", "spring.kafka.consumer.properties[request.timeout.ms]",
		[]string{"spring.kafka.consumer.request-timeout", "spring.kafka.consumer.request-timeout-ms", "spring.kafka.consumer.request.timeout.ms"}},
	{"spring.rabbitmq.heartbeat", "spring.rabbitmq.requested-heartbeat", []string{"spring.rabbitmq.heartbeat"}},
}
