// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"maps"
	"strings"
)

// optionWords splits the value of a variable with options for a JVM as the JVM and its launcher do: at blanks that are not
// quoted. Quotes go, backslashes stay.
func optionWords(text string) []string {
	var words []string
	var word strings.Builder
	var quote byte
	within := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			word.WriteByte(c)
		case c == '"' || c == '\'':
			quote, within = c, true
		case isBlank(c):
			if within {
				words = append(words, word.String())
				word.Reset()
				within = false
			}
		default:
			word.WriteByte(c)
			within = true
		}
	}
	if within {
		words = append(words, word.String())
	}
	return words
}

func isBlank(c byte) bool {
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v'
}

// endOfCommand stands for what ends a command in a shell: ; & | and a new line.
const endOfCommand = ";"

// shellWords splits a script as a shell does, as far as that can be done without running it. Variables that are known are put in, and
// split at blanks unless they are quoted; others stay as they are written, with their dollar.
func shellWords(script string, variables map[string]string) []string {
	s := shell{variables: maps.Clone(variables)}
	for i := 0; i < len(script); {
		i = s.step(script, i)
	}
	s.end()
	return s.words
}

type shell struct {
	variables map[string]string
	words     []string
	word      strings.Builder
	within    bool
	quote     byte
}

// step takes the character at i, with those that belong to it, and returns the index of the next one.
func (s *shell) step(script string, i int) int {
	c := script[i]
	switch {
	case c == s.quote:
		s.quote = 0
	case s.quote == '\'':
		s.word.WriteByte(c)
	case c == '$':
		return s.expand(script, i)
	case c == '\\' && i+1 < len(script):
		if script[i+1] != '\n' {
			s.word.WriteByte(script[i+1])
			s.within = true
		}
		return i + 2
	case s.quote != 0:
		s.word.WriteByte(c)
	case c == '"' || c == '\'':
		s.quote, s.within = c, true
	case c == '#' && !s.within:
		_, rest := cutLine(script[i:])
		s.close()
		return len(script) - len(rest)
	case c == ';' || c == '&' || c == '|' || c == '\n':
		s.close()
	case isBlank(c):
		s.end()
	default:
		s.word.WriteByte(c)
		s.within = true
	}
	return i + 1
}

// end ends a word, close a command.
func (s *shell) end() {
	if s.within {
		word := s.word.String()
		s.words = append(s.words, word)
		if name, value, found := strings.Cut(word, "="); found && name != "" && strings.IndexFunc(name, isNoName) < 0 && s.variables != nil {
			s.variables[name] = value
		}
		s.word.Reset()
		s.within = false
	}
}

func (s *shell) close() {
	s.end()
	s.words = append(s.words, endOfCommand)
}

// expand puts in $NAME or ${NAME} if it is known, and leaves all else as it is.
func (s *shell) expand(script string, i int) int {
	name, end := variableName(script, i+1)
	value, known := s.variables[name]
	switch {
	case !known || len(value) > MaxCommandBytes || s.word.Len() > MaxCommandBytes:
		s.word.WriteByte('$')
		s.within = true
		return i + 1
	case s.quote != 0:
		s.word.WriteString(value)
	default:
		for j := range len(value) {
			if isBlank(value[j]) {
				s.end()
			} else {
				s.word.WriteByte(value[j])
				s.within = true
			}
		}
	}
	return end
}

// variableName returns the name behind a dollar, and the index behind its end; an empty one if it is more than a name.
func variableName(script string, i int) (name string, end int) {
	start := i
	braced := i < len(script) && script[i] == '{'
	if braced {
		start++
	}
	end = start
	for end < len(script) && isNameByte(script[end]) {
		end++
	}
	name = script[start:end]
	if braced {
		if end >= len(script) || script[end] != '}' {
			return "", i
		}
		end++
	}
	return name, end
}

func isNoName(r rune) bool { return r > 'z' || !isNameByte(byte(r)) }

func isNameByte(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// expandReferences resolves $(NAME) in a value, an argument or a command, as the kubelet does: $$ is a dollar, and what is not known stays
// as it is written.
func expandReferences(text string, variables map[string]string) string {
	if strings.IndexByte(text, '$') < 0 {
		return text
	}
	var whole strings.Builder
	for i := 0; i < len(text) && whole.Len() <= MaxCommandBytes; i++ {
		if text[i] != '$' || i+1 == len(text) {
			whole.WriteByte(text[i])
			continue
		}
		if text[i+1] == '$' {
			whole.WriteByte('$')
			i++
			continue
		}
		end := strings.IndexByte(text[i:], ')')
		if text[i+1] == '(' && end > 0 {
			if value, known := variables[text[i+2:i+end]]; known {
				whole.WriteString(value)
				i += end
				continue
			}
		}
		whole.WriteByte('$')
	}
	return whole.String()
}
