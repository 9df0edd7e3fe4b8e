// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"path"
	"strings"

	"stability-exporter/internal/state"
)

// EnvVar is an environment variable whose value is written in the container itself.
type EnvVar struct{ Name, Value string }

// FromContainer extracts what is judged from the environment, the command and the arguments of a container, in the order in which it is
// written. References are not resolved. Java reports whether the command line starts a JVM, as far as it tells.
func FromContainer(env []EnvVar, command, args []string) (found []state.Setting, java bool) {
	var c collection
	variables := make(map[string]string, len(env))
	for _, variable := range env {
		if len(variable.Value) > MaxCommandBytes {
			continue
		}
		value := expandReferences(variable.Value, variables)
		variables[variable.Name] = value
		c.variable(variable.Name, value)
	}
	words := commandWords(command, args, variables)
	for len(words) > 0 {
		var one []string
		one, words = cutCommand(words)
		java = c.command(one, len(command) == 0) || java
	}
	return c.settings, java
}

// variable takes what an environment variable holds.
func (c *collection) variable(name, value string) {
	switch {
	case binds(state.FromEnv, name, keyJSON):
		c.json(name, value)
	case holdsOptions(name, value):
		for _, word := range optionWords(value) {
			c.option(name, word)
		}
	default:
		c.add(state.FromEnv, name, name, value, "")
	}
}

func (c *collection) json(where, text string) {
	for _, e := range parseJSON(text) {
		c.add(state.FromJSON, where, e.key, e.value, "")
	}
}

// commandWords returns the words of a command line: those of a script that a shell is given are split up.
func commandWords(command, args []string, variables map[string]string) []string {
	var words []string
	size := 0
	for _, list := range [2][]string{command, args} {
		for _, word := range list {
			if size += len(word); size > MaxCommandBytes {
				return words
			}
			word = expandReferences(word, variables)
			if n := len(words); n > 1 && isScriptFlag(words[n-1]) && isShell(words[n-2]) {
				words = append(append(words, endOfCommand), shellWords(word, variables)...)
				words = append(words, endOfCommand)
				continue
			}
			words = append(words, word)
		}
	}
	return words
}

func isShell(word string) bool {
	switch path.Base(word) {
	case "sh", "bash", "ash", "dash", "zsh", "ksh", "busybox":
		return true
	}
	return false
}

// isScriptFlag reports whether a word is -c, alone or together with other flags of a shell.
func isScriptFlag(word string) bool {
	return len(word) > 1 && len(word) < 8 && word[0] == '-' && word[1] != '-' && strings.HasSuffix(word, "c")
}

// cutCommand returns the words of the first command, and those behind it.
func cutCommand(words []string) (one, rest []string) {
	for i, word := range words {
		if word == endOfCommand {
			return words[:i], words[i+1:]
		}
	}
	return words, nil
}

// command takes the words of one command. InImage says that they may be arguments of a command that the image holds.
func (c *collection) command(words []string, inImage bool) (java bool) {
	start, java := javaOptions(words, inImage)
	if java && start > 0 && (start == 1 || start == 2 && words[0] == "exec") {
		c.note(optionDirectly)
	}
	if !java {
		for _, word := range words {
			c.argument(word)
			c.option(imageArguments, word)
		}
		return false
	}
	for start < len(words) {
		word := words[start]
		start++
		switch {
		case word == "-jar" || word == "-m" || word == "--module":
			c.arguments(words[min(start+1, len(words)):])
			return true
		case takesWord(word):
			start++
		case strings.HasPrefix(word, "-"):
			c.option("", word)
		case strings.HasPrefix(word, "@") || strings.Contains(word, "$"):
			c.note(optionHidden)
		default: // the main class
			c.arguments(words[start:])
			return true
		}
	}
	return true
}

// note keeps what a command line tells of the options of a JVM that cannot be seen, those in a file or in a variable whose value is
// elsewhere: that there are some, or that there can be none.
func (c *collection) note(what string) {
	if len(c.settings) < MaxSettings {
		c.settings = append(c.settings, state.Setting{Source: state.FromJVM, Key: state.Sym(what), Value: Unknown})
	}
}

// javaOptions returns where the options of a JVM begin in a command.
func javaOptions(words []string, inImage bool) (start int, java bool) {
	for i, word := range words {
		next := ""
		if i+1 < len(words) {
			next = words[i+1]
		}
		option := next != "" && (strings.IndexByte("-@$", next[0]) >= 0 || strings.Contains(next, "."))
		ofAnOption := i > 0 && strings.HasPrefix(words[i-1], "-") && words[i-1] != "--" // --lang java
		if path.Base(word) == "java" && !ofAnOption && (option || strings.HasSuffix(word, "/bin/java")) {
			return i + 1, true
		}
		if inImage && word == "-jar" && strings.HasSuffix(next, ".jar") {
			return 0, true
		}
	}
	return 0, false
}

// takesWord reports whether an option of the java launcher takes the next word.
func takesWord(option string) bool {
	switch option {
	case "-cp", "-classpath", "--class-path", "-p", "--module-path", "--upgrade-module-path", "--add-modules", "--add-opens", "--add-exports",
		"--add-reads", "--limit-modules":
		return true
	}
	return false
}

func (c *collection) arguments(words []string) {
	for _, word := range words {
		c.argument(word)
	}
}

// argument takes --key=value.
func (c *collection) argument(word string) {
	key, value, found := strings.Cut(word, "=")
	name, dashed := strings.CutPrefix(key, "--")
	switch {
	case !found || !dashed:
	case binds(state.FromArgument, name, keyJSON):
		c.json("", value)
	default:
		c.add(state.FromArgument, "", name, value, "")
	}
}
