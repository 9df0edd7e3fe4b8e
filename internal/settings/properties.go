// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"strconv"
	"strings"
)

// entry is a key and a value of a file, as written.
type entry struct{ key, value string }

// document is one part of a configuration file that holds, or does not, as a whole.
type document []entry

// parseProperties reads the format of java.util.Properties. Lines "#---" and "!---" begin another document, as in Spring Boot.
func parseProperties(text string) []document {
	var documents []document
	var current document
	for len(text) > 0 && len(documents) < MaxDepth {
		var line string
		line, text = logicalLine(text)
		if mark := strings.TrimRight(line, " \t\f"); mark == "#---" || mark == "!---" {
			documents, current = append(documents, current), nil
			continue
		}
		if line == "" || line[0] == '#' || line[0] == '!' {
			continue
		}
		if key, value := splitProperty(line); key != "" && len(key) <= MaxKeyBytes {
			current = append(current, entry{key, value})
		}
	}
	return append(documents, current)
}

// logicalLine returns the next line without its leading blanks, and the text behind it. A line that is no comment and ends in a
// backslash goes on in the next one.
func logicalLine(text string) (line, rest string) {
	line, rest = cutLine(text)
	line = strings.TrimLeft(line, " \t\f")
	if line != "" && (line[0] == '#' || line[0] == '!') || !continues(line) {
		return line, rest
	}
	var whole strings.Builder
	for continues(line) {
		whole.WriteString(line[:len(line)-1])
		line, rest = cutLine(rest)
		line = strings.TrimLeft(line, " \t\f")
	}
	whole.WriteString(line)
	return whole.String(), rest
}

func cutLine(text string) (line, rest string) {
	end := strings.IndexAny(text, "\r\n")
	if end < 0 {
		return text, ""
	}
	rest = text[end+1:]
	if text[end] == '\r' {
		rest = strings.TrimPrefix(rest, "\n")
	}
	return text[:end], rest
}

// continues reports whether a line ends in an odd number of backslashes.
func continues(line string) bool {
	return (len(line)-len(strings.TrimRight(line, `\`)))%2 == 1
}

// splitProperty splits a line at the first =, : or blank that is not escaped.
func splitProperty(line string) (key, value string) {
	end := len(line)
	for i := 0; i < len(line); i++ {
		if line[i] == '\\' {
			i++
		} else if strings.IndexByte("=: \t\f", line[i]) >= 0 {
			end = i
			break
		}
	}
	value = strings.TrimLeft(line[end:], " \t\f")
	if value != "" && (value[0] == '=' || value[0] == ':') {
		value = strings.TrimLeft(value[1:], " \t\f")
	}
	return unescape(line[:end]), unescape(value)
}

// unescape resolves the escapes of java.util.Properties.
func unescape(text string) string {
	if strings.IndexByte(text, '\\') < 0 {
		return text
	}
	var plain strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' || i+1 == len(text) {
			plain.WriteByte(text[i])
			continue
		}
		i++
		switch c := text[i]; c {
		case 't', 'n', 'r', 'f':
			plain.WriteByte(map[byte]byte{'t': '\t', 'n': '\n', 'r': '\r', 'f': '\f'}[c])
		case 'u':
			if i+5 <= len(text) {
				if code, err := strconv.ParseUint(text[i+1:i+5], 16, 16); err == nil {
					plain.WriteRune(rune(code))
					i += 4
				}
			}
		default:
			plain.WriteByte(c)
		}
	}
	return plain.String()
}
