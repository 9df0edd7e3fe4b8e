// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"strings"

	"stability-exporter/internal/state"
)

// binds reports whether Spring Boot takes what is written in a source for the property. It is the whole key that has to agree:
// what only ends like a property belongs to somebody else and may mean another unit. An asterisk in the property stands for
// one element.
func binds(source state.SettingSource, written, property string) bool {
	if source == state.FromEnv && strings.IndexByte(written, '.') < 0 {
		return bindsVariable(written, property)
	}
	return bindsProperty(written, property)
}

// bindsProperty reports whether a key of a file, an argument or a system property is the property, in any of the spellings of Spring
// Boot's relaxed binding: spring.kafka.consumer.heartbeat-interval, heartbeatInterval, heartbeat_interval, properties[a.b]. It
// is case-insensitive, and dashes and underscores within an element do not count.
func bindsProperty(written, property string) bool {
	i := 0
	for j := 0; j < len(property); j++ {
		switch want := property[j]; want {
		case '-':
			continue
		case '*':
			start := i
			for i < len(written) && written[i] != '.' && written[i] != '[' && written[i] != ']' {
				i++
			}
			if i == start {
				return false
			}
		default:
			i = skipInsignificant(written, i)
			if i >= len(written) || element(written[i]) != want {
				return false
			}
			if i++; want == '.' && i < len(written) && written[i-1] == '.' && written[i] == '[' {
				i++
			}
		}
	}
	return skipInsignificant(written, i) == len(written)
}

// skipInsignificant returns the index of the next character that counts.
func skipInsignificant(written string, i int) int {
	for i < len(written) {
		switch written[i] {
		case '-', '_', ']', '"', '\'':
			i++
		default:
			return i
		}
	}
	return i
}

// element returns a character as property names are written: lower case, a dot before each element.
func element(c byte) byte {
	if c == '[' {
		return '.'
	}
	return lower(c)
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// bindsVariable reports whether an environment variable is the property: dots become underscores and dashes go
// (SPRING_KAFKA_CONSUMER_HEARTBEATINTERVAL) or become underscores, too (…_HEARTBEAT_INTERVAL, the legacy form that is still accepted).
func bindsVariable(written, property string) bool {
	i := 0
	for j := 0; j < len(property); j++ {
		switch want := property[j]; want {
		case '*':
			start := i
			for i < len(written) && written[i] != '_' {
				i++
			}
			if i == start {
				return false
			}
		case '-':
			if i < len(written) && written[i] == '_' {
				i++
			}
		case '.':
			if i >= len(written) || written[i] != '_' {
				return false
			}
			i++
		default:
			if i >= len(written) || lower(written[i]) != want {
				return false
			}
			i++
		}
	}
	return i == len(written)
}
