// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"math"
	"strings"
	"time"
)

// scriptSleeps adds up the sleeps that a shell script comes to in any case: those at its top level, up to the first
// construct that may skip what follows. It errs on the side of less. strict says that the script ends at the first command
// that fails.
func scriptSleeps(script string, strict bool) (total time.Duration) {
	s := shellReader{rest: script[:min(len(script), maxHookScript)]}
	sure := true // that this command is run
	for {
		words, end := s.command()
		d, slept := sleeps(words)
		first := ""
		if len(words) > 0 {
			first = words[0]
		}
		if end == separatorUnknown || divertsShell(first) {
			return total
		}
		if first == "set" && len(words) > 1 && strings.HasPrefix(words[1], "-") && strings.Contains(words[1], "e") {
			strict = true
		}
		if sure && end != separatorPipe {
			total = min(total+d, seconds(math.MaxInt32))
		}
		switch end {
		case separatorEnd:
			return total
		case separatorAnd: // the next command is run if this one succeeds
			sure = sure && slept
		case separatorOr, separatorPipe:
			sure = false
		case separatorNext:
			if strict && !slept && !succeeds(first) {
				return total
			}
			sure = true
		}
	}
}

// succeeds reports whether a command, or none at all, cannot fail.
func succeeds(command string) bool {
	switch command {
	case "", "set", "echo", "true", ":":
		return true
	}
	return false
}

// divertsShell reports whether a word begins a construct after which it is unknown what is run.
func divertsShell(word string) bool {
	switch word {
	case "if", "then", "elif", "else", "fi", "for", "while", "until", "do", "done", "case", "esac", "select", "function", "{", "}",
		"!", "[[", "exit", "exec", "return", "trap", "eval", "time", "coproc", "kill":
		return true
	}
	return false
}

// separator is what ends a command.
type separator uint8

const (
	separatorEnd separator = iota
	separatorNext
	separatorAnd
	separatorOr
	separatorPipe
	separatorUnknown // a background command, a subshell, a here-document, a quote that does not end
)

// shellReader cuts a script into commands, without their redirections. An expansion becomes a mark that no time has, so that a
// word that holds one is not taken for a time.
type shellReader struct{ rest string }

const expansion = "$"

func (s *shellReader) command() (words []string, end separator) {
	for {
		s.rest = strings.TrimLeft(s.rest, " \t\r")
		if s.rest == "" {
			return words, separatorEnd
		}
		switch c := s.rest[0]; {
		case c == '#':
			_, after, found := strings.Cut(s.rest, "\n")
			s.rest = after
			if !found {
				return words, separatorEnd
			}
			return words, separatorNext
		case c == '\n' || c == ';':
			s.rest = s.rest[1:]
			return words, separatorNext
		case strings.HasPrefix(s.rest, "&&"):
			s.rest = s.rest[2:]
			return words, separatorAnd
		case strings.HasPrefix(s.rest, "||"):
			s.rest = s.rest[2:]
			return words, separatorOr
		case c == '|':
			s.rest = s.rest[1:]
			return words, separatorPipe
		case strings.HasPrefix(s.rest, "<<") || strings.IndexByte("&()", c) >= 0:
			return words, separatorUnknown
		case c == '<' || c == '>':
			s.redirection()
		default:
			word, ok := s.word()
			if !ok {
				return words, separatorUnknown
			}
			if next := s.rest; strings.Trim(word, "0123456789") == "" && next != "" && (next[0] == '>' || next[0] == '<') {
				continue // the file descriptor of a redirection
			}
			words = append(words, word)
		}
	}
}

// redirection skips an operator and its target.
func (s *shellReader) redirection() {
	s.rest = strings.TrimLeft(s.rest, "<>&|")
	s.rest = strings.TrimLeft(s.rest, " \t")
	if s.rest != "" && !strings.ContainsRune("\n;&|()#", rune(s.rest[0])) {
		s.word()
	}
}

// word reads one word and takes its quotes off; ok is false where a quote or an expansion does not end.
func (s *shellReader) word() (word string, ok bool) {
	var out strings.Builder
	for s.rest != "" {
		switch c := s.rest[0]; {
		case c == '\'':
			quoted, after, found := strings.Cut(s.rest[1:], "'")
			if !found {
				return "", false
			}
			out.WriteString(quoted)
			s.rest = after
		case c == '"':
			if !s.doubleQuoted(&out) {
				return "", false
			}
		case c == '\\' && len(s.rest) > 1:
			if s.rest[1] != '\n' {
				out.WriteByte(s.rest[1])
			}
			s.rest = s.rest[2:]
		case c == '$' || c == '`':
			if !s.expand(&out) {
				return "", false
			}
		case strings.IndexByte(" \t\r\n;&|()<>", c) >= 0:
			return out.String(), true
		default:
			out.WriteByte(c)
			s.rest = s.rest[1:]
		}
	}
	return out.String(), true
}

func (s *shellReader) doubleQuoted(out *strings.Builder) bool {
	for s.rest = s.rest[1:]; s.rest != ""; {
		switch c := s.rest[0]; {
		case c == '"':
			s.rest = s.rest[1:]
			return true
		case c == '\\' && len(s.rest) > 1:
			out.WriteByte(s.rest[1])
			s.rest = s.rest[2:]
		case c == '$' || c == '`':
			if !s.expand(out) {
				return false
			}
		default:
			out.WriteByte(c)
			s.rest = s.rest[1:]
		}
	}
	return false
}

// expand skips $x, ${x}, $(x), $((x)) or `x` and leaves a mark in its place.
func (s *shellReader) expand(out *strings.Builder) bool {
	out.WriteString(expansion)
	opener := s.rest[0]
	s.rest = s.rest[1:]
	if opener == '`' {
		_, after, found := strings.Cut(s.rest, "`")
		s.rest = after
		return found
	}
	if s.rest == "" || s.rest[0] != '(' && s.rest[0] != '{' {
		return true
	}
	depth := 0
	for i := range len(s.rest) {
		switch s.rest[i] {
		case '(', '{':
			depth++
		case ')', '}':
			if depth--; depth == 0 {
				s.rest = s.rest[i+1:]
				return true
			}
		}
	}
	return false
}
