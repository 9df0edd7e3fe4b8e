// SPDX-License-Identifier: Apache-2.0

// Package settings knows the keys and values that people write for the programs they run: which of them are judged, in which
// forms they may be written, which of two is in effect, what a number without a unit means there, and what a JVM makes of
// its options. What is not judged is dropped as soon as it is read, and nothing here ever sees a Secret.
package settings

import (
	"time"

	"stability-exporter/internal/state"
)

// What is read at most. Longer input is not an error: what lies beyond is as if nobody had written it, except that a value which is too long
// is kept as Unknown.
const (
	MaxValueBytes   = 64        // of one value
	MaxFileBytes    = 256 << 10 // of one entry of a ConfigMap
	MaxCommandBytes = 64 << 10  // of the command with its arguments, and of one environment variable
	MaxSettings     = 256       // of one container, and of one entry of a ConfigMap
	MaxDepth        = 32        // of a YAML or JSON document
	MaxNodes        = 20000     // of all YAML documents of one entry, aliases followed
)

// Unknown is the value of a setting that is written and cannot be known: it holds a placeholder, is too long, or is not of
// the kind that the key takes. It hides what is written for the same key elsewhere.
const Unknown = "?"

// EnvVar is an environment variable whose value is written in the container itself.
type EnvVar struct{ Name, Value string }

// Interval is what is in effect for one row of the unit table.
type Interval struct {
	Row     Row
	Setting state.Setting // the one that is in effect
	// Effective is what the program makes of the value.
	Effective time.Duration
	// Slip says that this is hardly what was meant.
	Slip bool
	// Likely is what was probably meant; zero when that cannot be told.
	Likely time.Duration
}

// Row is one row of the unit table.
type Row struct {
	Key string // as the program's documentation spells it; the value of the label key
}

// HeapView is the heap of a JVM as its options and the memory limit make it.
type HeapView struct{}

// FromContainer extracts what is judged from the environment, the command and the arguments of a container, in the order in which it is
// written. References are not resolved. Java reports whether the command line starts a JVM, as far as it tells.
func FromContainer(env []EnvVar, command, args []string) (found []state.Setting, java bool) {
	return nil, false
}

// FromConfigMap extracts the entries of a ConfigMap that may be a setting, sorted by key.
func FromConfigMap(data map[string]string) []state.ConfigEntry { return nil }

// Collect returns all settings of a container, its own and those of the ConfigMaps it refers to, the one that is in effect last.
func Collect(c *state.ContainerSpec, maps []*state.ConfigMap) []state.Setting { return nil }

// Intervals returns what is in effect for every row of the unit table that is set to something known.
func Intervals(all []state.Setting) []Interval { return nil }

// Heap returns the heap that a JVM takes with these settings under a memory limit.
func Heap(all []state.Setting, limit state.Quantity) HeapView { return HeapView{} }
