// SPDX-License-Identifier: Apache-2.0

// Package middleware asks middleware how it is: one probe per kind, each in a file of its own, all with one vocabulary. A probe knows
// roles, quorums, what may be written and which alarms stand, so that "up" never passes for "healthy".
//
// Whatever a target sends is untrusted: sizes are capped, deadlines kept, and no credential goes to an address it was not meant for.
package middleware

import (
	"context"
	"slices"

	"stability-exporter/internal/state"
)

// Kind declares a kind of middleware.
type Kind struct {
	Name    string // the value of the label middleware
	Help    string // one sentence: what is asked and what it needs
	Port    string // the default port; empty: an address must name one
	TLSPort string // the default port with TLS, where another one is usual
	// Address is how the address of a server may be written; a kind that is asked over HTTP takes URLs.
	Address AddressForm
	// Options are the settings of a target that only this kind has.
	Options []Option
	// Facts are everything a probe of this kind tells, for a role that has it, or lists as unknown: names of families without prefix, such
	// as "role" or "saturation_ratio{memory}". A test holds what a probe tells against them.
	Facts []string
	// Asked are further facts that the options of a target name, such as the queues it is asked for; spelled like Facts. May be nil.
	Asked func(*Probe) []string
	// Verified says against what the probe was verified.
	Verified Verification
	// Probe asks a target. It returns an error when it cannot go on; what it has told before stays.
	Probe func(context.Context, *Probe) error
	// Together tells what is known of the members of a group together: two primaries, no leader. May be nil.
	Together func(members []*state.MiddlewareView, group *Recorder)
}

// Verification says how well a probe is known to be right.
type Verification struct {
	Live []string // servers and their versions that it was run against
	Fake []string // what was tried against a fake of the protocol only
}

// Option is a setting of a target.
type Option struct {
	Name string
	Help string
	Type OptionType
	// Required says that a target without it cannot be probed.
	Required bool
	Default  string
	// Check refuses a value that is of the type and wrong all the same, such as a pattern that is none; of a List it checks each text. May be nil.
	Check func(value string) error
}

// OptionType says how the value of an option is written.
type OptionType uint8

// The types of options.
const (
	Text OptionType = iota
	Number
	Duration // with a unit
	Flag     // true or false
	List     // of texts
)

// String says what a value of the type is.
func (t OptionType) String() string {
	return [...]string{"a text", "a number", "a duration with a unit", "true or false", "a list of texts"}[t]
}

// Kinds returns all kinds, in the order of the documentation.
func Kinds() []Kind {
	return slices.Concat(webKinds(), dataKinds(), messageKinds(), coordinationKinds())
}
