// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"strings"

	"stability-exporter/internal/state"
)

// The options of a JVM that are judged; sizes but for the percentages and the fraction.
const (
	optionMaxHeap    = "-Xmx"
	optionMinHeap    = "-Xms"
	optionYoung      = "-Xmn"
	optionStack      = "-Xss"
	optionDirect     = "-XX:MaxDirectMemorySize"
	optionMetaspace  = "-XX:MaxMetaspaceSize"
	optionMaxRAM     = "-XX:MaxRAM"
	optionPercent    = "-XX:MaxRAMPercentage"
	optionMinPercent = "-XX:MinRAMPercentage"
	optionInitial    = "-XX:InitialRAMPercentage"
	optionFraction   = "-XX:MaxRAMFraction"
	optionContainer  = "-XX:UseContainerSupport" // the value is + or -
	optionHidden     = "$"                       // options that cannot be seen
	optionDirectly   = "java"                    // the command is java itself: no script adds options
)

// isJudgedOption reports whether an option of a JVM is judged.
func isJudgedOption(key string) bool {
	switch key {
	case optionMaxHeap, optionMinHeap, optionYoung, optionStack, optionDirect, optionMetaspace, optionMaxRAM, optionPercent, optionMinPercent,
		optionInitial, optionFraction, optionContainer:
		return true
	}
	return false
}

// option takes one word of the options of a JVM: -Xmx1g, -XX:Option=value, -Dkey=value.
func (c *collection) option(where, word string) {
	switch {
	case strings.HasPrefix(word, "-XX:"):
		c.flag(where, word)
	case strings.HasPrefix(word, "-X"):
		if len(word) >= len(optionMaxHeap) {
			c.add(state.FromJVM, where, word[:len(optionMaxHeap)], word[len(optionMaxHeap):], "")
		}
	case strings.HasPrefix(word, "-D"):
		key, value, _ := strings.Cut(word[len("-D"):], "=")
		if binds(state.FromJVM, key, keyJSON) {
			c.json(where, value)
		} else if !strings.HasPrefix(key, "-") {
			c.add(state.FromJVM, where, key, value, "")
		}
	}
}

func (c *collection) flag(where, word string) {
	key, value, _ := strings.Cut(word, "=")
	switch name := strings.TrimPrefix(word, "-XX:"); {
	case name == "+UseContainerSupport", name == "-UseContainerSupport":
		key, value = optionContainer, name[:1]
	case key == "-XX:MaxHeapSize":
		key = optionMaxHeap
	case key == "-XX:InitialHeapSize":
		key = optionMinHeap
	case key == "-XX:NewSize", key == "-XX:MaxNewSize":
		key = optionYoung
	case key == "-XX:ThreadStackSize":
		return // in KiB
	}
	c.add(state.FromJVM, where, key, value, "")
}

// holdsOptions reports whether an environment variable holds options for a JVM: by its name if that is one of those a JVM reads, else by
// what is in it, for scripts call them JAVA_OPTS, CATALINA_OPTS, KAFKA_HEAP_OPTS and whatever else.
func holdsOptions(name, value string) bool {
	if optionRank(name) != rankScript {
		return true
	}
	return strings.Contains(value, "-X") || strings.Contains(value, "-D")
}

// The ranks of the places of JVM options: of two options the one of the higher rank is in effect (java launcher, JDK 9 and later).
const (
	rankToolOptions = iota // JAVA_TOOL_OPTIONS
	rankJDKOptions         // JDK_JAVA_OPTIONS
	rankScript             // another variable, which a script may put into the command line
	rankCommandLine
	rankLast // _JAVA_OPTIONS
)

func optionRank(where string) int {
	switch where {
	case "JAVA_TOOL_OPTIONS":
		return rankToolOptions
	case "JDK_JAVA_OPTIONS":
		return rankJDKOptions
	case "_JAVA_OPTIONS":
		return rankLast
	case "":
		return rankCommandLine
	}
	return rankScript
}
