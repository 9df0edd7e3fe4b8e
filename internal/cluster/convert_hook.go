// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"math"
	"path"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"stability-exporter/internal/state"
)

// hook converts a preStop hook; the zero Hook means that there is none.
func hook(h *corev1.LifecycleHandler) state.Hook {
	switch {
	case h == nil:
		return state.Hook{}
	case h.Exec != nil:
		return state.Hook{Handler: state.HandlerExec, Sleep: commandSleeps(h.Exec.Command)}
	case h.HTTPGet != nil:
		return state.Hook{Handler: state.HandlerHTTP}
	case h.Sleep != nil:
		return state.Hook{Native: true, Sleep: seconds(h.Sleep.Seconds)}
	case h.TCPSocket != nil:
		return state.Hook{Handler: state.HandlerTCP}
	}
	return state.Hook{}
}

// commandSleeps returns how long a command sleeps at least, whatever else it does: sleep N, or a shell whose script does so
// outside of any condition.
func commandSleeps(words []string) time.Duration {
	if len(words) > 0 && path.Base(words[0]) == "busybox" {
		words = words[1:]
	}
	if len(words) == 0 {
		return 0
	}
	switch path.Base(words[0]) {
	case "sleep":
		d, _ := sleeps(words)
		return d
	case "sh", "bash", "ash", "dash", "zsh", "ksh":
		script, strict := shellScript(words[1:])
		return scriptSleeps(script, strict)
	}
	return 0
}

// shellScript finds the script among the arguments of a shell: the word after the options that hold a c. strict says that
// the script ends at the first command that fails (-e).
func shellScript(arguments []string) (script string, strict bool) {
	for i := 0; i < len(arguments); i++ {
		option := arguments[i]
		if len(option) < 2 || option[0] != '-' && option[0] != '+' {
			return "", false // a file
		}
		if strings.HasPrefix(option, "--") {
			continue
		}
		strict = strict || option[0] == '-' && strings.Contains(option, "e")
		if strings.HasSuffix(option, "o") {
			i++ // -o pipefail
		}
		if strings.Contains(option, "c") && i+1 < len(arguments) {
			return arguments[i+1], strict
		}
	}
	return "", false
}

// sleeps reads a simple command; ok is false unless it is a sleep whose time is known, which it is not if one of its
// words is wrong: the command fails at once then. Several times add up, as in GNU coreutils and busybox.
func sleeps(words []string) (d time.Duration, ok bool) {
	if len(words) < 2 || path.Base(words[0]) != "sleep" {
		return 0, false
	}
	total := 0.0
	for _, word := range words[1:] {
		one, ok := sleepTime(word)
		if !ok {
			return 0, false
		}
		total += one
	}
	return time.Duration(min(total, math.MaxInt32) * float64(time.Second)), true
}

// sleepTime returns the seconds of an argument of sleep: a decimal number with a suffix s, m, h or d, or infinity.
func sleepTime(word string) (float64, bool) {
	if word == "infinity" || word == "inf" {
		return math.Inf(1), true
	}
	unit := 1.0
	if word != "" {
		switch word[len(word)-1] {
		case 's':
			word = word[:len(word)-1]
		case 'm':
			word, unit = word[:len(word)-1], 60
		case 'h':
			word, unit = word[:len(word)-1], 3600
		case 'd':
			word, unit = word[:len(word)-1], 24*3600
		}
	}
	if strings.Trim(word, "0123456789.") != "" {
		return 0, false
	}
	n, err := strconv.ParseFloat(word, 64)
	return n * unit, err == nil
}
