// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"math"

	"stability-exporter/internal/state"
)

// HeapView is the heap of a JVM as its options and the memory limit make it. Sizes are bytes; zero is not known.
type HeapView struct {
	// Set says that options determine the greatest heap, whether or not they can be made sense of.
	Set bool
	// By is the option that decides; the zero Setting where it is the JVM's own default.
	By state.Setting
	// Max is the greatest heap.
	Max int64
	// Percent is the percentage of the memory that is asked for; zero where no percentage decides.
	Percent float64
	// Small says that the memory is so small that MinRAMPercentage decides and MaxRAMPercentage is not heeded.
	Small bool
	// Direct is what may be allocated outside of the heap (MaxDirectMemorySize); zero where that is not said.
	Direct int64
	// Initial is the heap that the JVM begins with (-Xms).
	Initial int64
	// Visible says that the command line of the container is all there is: no script, file or variable of a shell adds options. An image may still set
	// the variables that a JVM reads itself.
	Visible bool
	// Invalid are the options with which no JVM starts.
	Invalid []InvalidOption
}

// InvalidOption is an option with which no JVM starts.
type InvalidOption struct {
	Setting state.Setting
	Why     string // what the JVM does not like, in a few words
}

// ByScript reports whether an option stands where no JVM reads it, so that it depends on a script whether it has an effect.
func ByScript(s state.Setting) bool {
	return s.Source == state.FromJVM && optionRank(s.Where.String()) == rankScript
}

const (
	mebi = 1 << 20
	// leastHeap is the smallest -Xmx with which a JVM starts.
	leastHeap = 2 * mebi
	// builtinHeap is the greatest heap of a JVM that knows nothing of its memory (MaxHeapSize, 96 MiB scaled for 64 bits). What is too small for it to be
	// MinRAMPercentage of the memory counts as small, and there MaxRAMPercentage is not heeded (set_heap_size in arguments.cpp of HotSpot).
	builtinHeap = 126 * mebi
	// The JVM's own percentages.
	defaultPercent    = 25
	defaultMinPercent = 50
)

// Heap returns the heap that a JVM takes with these settings under a memory limit. All is what Collect returned.
func Heap(all []state.Setting, limit state.Quantity) HeapView {
	options := map[string]state.Setting{}
	var view HeapView
	for _, s := range all {
		if s.Source != state.FromJVM {
			continue
		}
		key := s.Key.String()
		options[key] = s
		if why := invalid(key, s.Value); why != "" {
			view.Invalid = append(view.Invalid, InvalidOption{s, why})
		}
	}
	_, directly := options[optionDirectly]
	_, hidden := options[optionHidden]
	view.Visible = directly && !hidden
	view.Direct, _ = sizeOf(options, optionDirect)
	view.Initial, _ = sizeOf(options, optionMinHeap)
	if s, set := options[optionMaxHeap]; set { // beats percentages wherever it stands
		view.Set, view.By = true, s
		view.Max, _ = parseSize(s.Value)
		if view.Max > 0 && view.Initial > view.Max {
			view.Invalid = append(view.Invalid, InvalidOption{options[optionMinHeap], "it is more than the greatest heap"})
		}
		return view
	}
	view.byPercentage(options, memoryOf(options, limit))
	return view
}

// memoryOf returns the memory that a JVM believes to have; zero when that is not known.
func memoryOf(options map[string]state.Setting, limit state.Quantity) int64 {
	memory := limit.Milli / 1000
	if !limit.Set || options[optionContainer].Value == "-" {
		memory = 0
	}
	if s, set := options[optionMaxRAM]; set {
		if most, ok := parseSize(s.Value); ok && memory > 0 {
			return min(memory, most)
		}
		return 0
	}
	return memory
}

// byPercentage computes the heap as a part of the memory.
func (v *HeapView) byPercentage(options map[string]state.Setting, memory int64) {
	percent, known := percentageOf(options, optionPercent, defaultPercent)
	v.By, v.Set = options[optionPercent], options[optionPercent] != state.Setting{}
	if s, set := options[optionFraction]; set && !v.Set {
		parts, ok := parsePercentage(s.Value)
		v.By, v.Set, known = s, true, ok && parts >= 1
		percent = 100 / max(parts, 1)
	}
	least, leastKnown := percentageOf(options, optionMinPercent, defaultMinPercent)
	if v.Set && known {
		v.Percent = percent
	}
	if memory <= 0 || !known || !leastKnown {
		return
	}
	small := int64(float64(memory) * least / 100)
	if small < builtinHeap {
		v.Max, v.Small = small, true
		return
	}
	v.Max = max(int64(float64(memory)*percent/100), builtinHeap)
}

func percentageOf(options map[string]state.Setting, key string, otherwise float64) (percent float64, known bool) {
	s, set := options[key]
	if !set {
		return otherwise, true
	}
	percent, ok := parsePercentage(s.Value)
	return percent, ok && percent <= 100
}

func sizeOf(options map[string]state.Setting, key string) (size int64, known bool) {
	s, set := options[key]
	if !set {
		return 0, false
	}
	return parseSize(s.Value)
}

// invalid says why no JVM starts with an option; empty when one does, or when that is not known.
func invalid(key, value string) string {
	switch key {
	case optionPercent, optionMinPercent, optionInitial:
		switch percent, ok := parsePercentage(value); {
		case value == Unknown:
		case !ok:
			return "it is no number"
		case percent > 100:
			return "it is more than 100"
		}
	case optionMaxHeap, optionMinHeap, optionYoung, optionStack, optionDirect, optionMetaspace, optionMaxRAM:
		switch size, ok := parseSize(value); {
		case value == Unknown:
		case !ok:
			return "it is no size: a whole number and k, m, g or t"
		case key == optionMaxHeap && size < leastHeap:
			return "it is less than 2 MiB: without a letter the number counts bytes"
		}
	}
	return ""
}

// parseSize reads a size as a JVM does: a whole number, decimal or hexadecimal, and one of the letters k, m, g and t or none.
func parseSize(text string) (size int64, ok bool) {
	shift := 0
	if text != "" {
		shift = map[byte]int{'k': 10, 'm': 20, 'g': 30, 't': 40}[lower(text[len(text)-1])]
	}
	if shift > 0 {
		text = text[:len(text)-1]
	}
	base := uint64(10)
	if len(text) > 2 && text[0] == '0' && lower(text[1]) == 'x' {
		base, text = 16, text[2:]
	}
	n, ok := parseDigits(text, base)
	if !ok || n > math.MaxInt64>>shift {
		return 0, false
	}
	return int64(n << shift), true
}

func parseDigits(text string, base uint64) (n uint64, ok bool) {
	for i := range len(text) {
		digit := uint64(99)
		switch c := lower(text[i]); {
		case '0' <= c && c <= '9':
			digit = uint64(c - '0')
		case 'a' <= c && c <= 'f':
			digit = uint64(c-'a') + 10
		}
		if digit >= base || n > math.MaxInt64/base {
			return 0, false
		}
		n = n*base + digit
	}
	return n, text != ""
}

// parsePercentage reads a number that is not negative, with or without a fraction.
func parsePercentage(text string) (percent float64, ok bool) {
	scale, points := 1.0, 0
	for i := range len(text) {
		switch c := text[i]; {
		case c == '.':
			points++
		case c < '0' || c > '9':
			return 0, false
		default:
			percent = percent*10 + float64(c-'0')
			if points > 0 {
				scale *= 10
			}
		}
	}
	return percent / scale, len(text) > points && points < 2
}
