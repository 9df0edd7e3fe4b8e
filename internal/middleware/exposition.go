// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"bytes"
	"strconv"
	"strings"
)

// sample is a line of a /metrics page.
type sample struct {
	name   string
	labels string // as they are written, without the braces
	value  float64
}

// eachSample visits the samples of a page in the text format whose names begin with one of the prefixes, and returns how many there were.
// What is no sample is passed over.
func eachSample(page []byte, prefixes []string, visit func(sample)) int {
	n := 0
	for line := range bytes.Lines(page) {
		wanted := false
		for _, prefix := range prefixes {
			wanted = wanted || bytes.HasPrefix(line, []byte(prefix))
		}
		if !wanted {
			continue
		}
		if s, ok := parseSample(string(line)); ok {
			n++
			visit(s)
		}
	}
	return n
}

func parseSample(line string) (sample, bool) {
	end := strings.IndexAny(line, "{ \t")
	if end <= 0 {
		return sample{}, false
	}
	s := sample{name: line[:end]}
	rest := line[end:]
	if rest[0] == '{' {
		closing := closingBrace(rest)
		if closing < 0 {
			return sample{}, false
		}
		s.labels, rest = rest[1:closing], rest[closing+1:]
	}
	fields := strings.Fields(rest) // the value and perhaps a timestamp
	if len(fields) == 0 || len(fields) > 2 {
		return sample{}, false
	}
	value, err := strconv.ParseFloat(fields[0], 64)
	s.value = value
	return s, err == nil
}

// closingBrace returns where the first brace is closed that stands outside of quotes.
func closingBrace(text string) int {
	quoted := false
	for i := 0; i < len(text); i++ {
		switch {
		case quoted && text[i] == '\\':
			i++
		case text[i] == '"':
			quoted = !quoted
		case text[i] == '}' && !quoted:
			return i
		}
	}
	return -1
}

// label returns the value of a label; empty when it has none.
func (s sample) label(name string) string {
	for rest := s.labels; rest != ""; {
		key, after, found := strings.Cut(rest, "=")
		quoted, err := strconv.QuotedPrefix(strings.TrimSpace(after))
		if !found || err != nil {
			return ""
		}
		if strings.TrimSpace(key) == name {
			value, _ := strconv.Unquote(quoted)
			return value
		}
		rest = strings.TrimLeft(strings.TrimSpace(after)[len(quoted):], ", ")
	}
	return ""
}
