// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// jsonPath leads to a value within a JSON document, as in data.nodes[0].state or data["a.b"]; empty it is the document itself.
type jsonPath []any // string: a key; int: an index, from the end when negative

func parseJSONPath(text string) (jsonPath, error) {
	var path jsonPath
	for rest := text; rest != ""; {
		var step any
		var err error
		switch {
		case rest[0] == '[':
			step, rest, err = bracketed(rest)
		default:
			end := strings.IndexAny(rest, ".[")
			if end < 0 {
				end = len(rest)
			}
			step, rest = rest[:end], rest[end:]
			if step == "" {
				err = errors.New("a name is missing")
			}
		}
		if err == nil && strings.HasPrefix(rest, ".") {
			if rest = rest[1:]; rest == "" || rest[0] == '[' {
				err = errors.New("a name is missing after the dot")
			}
		}
		if err != nil {
			return nil, fmt.Errorf("%q is no JSON path such as data.nodes[0].state: %w", text, err)
		}
		path = append(path, step)
	}
	return path, nil
}

// bracketed reads [0] or ["name"] at the beginning of a text.
func bracketed(text string) (step any, rest string, err error) {
	if strings.HasPrefix(text, `["`) {
		quoted, err := strconv.QuotedPrefix(text[1:])
		if err != nil || !strings.HasPrefix(text[1+len(quoted):], "]") {
			return nil, "", errors.New(`a name in brackets ends with "]`)
		}
		name, err := strconv.Unquote(quoted)
		return name, text[1+len(quoted)+1:], err
	}
	inside, rest, found := strings.Cut(text[1:], "]")
	index, err := strconv.Atoi(inside)
	if !found || err != nil {
		return nil, "", errors.New("in brackets stands a number or a quoted name")
	}
	return index, rest, nil
}

// decodeJSON reads a document whose numbers stay as they are written.
func decodeJSON(text []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var document any
	if err := d.Decode(&document); err != nil {
		return nil, fail(Protocol, "the answer is no JSON")
	}
	return document, nil
}

// in returns the value that the path leads to.
func (p jsonPath) in(document any) (any, bool) {
	for _, step := range p {
		switch step := step.(type) {
		case string:
			object, ok := document.(map[string]any)
			if !ok {
				return nil, false
			}
			if document, ok = object[step]; !ok {
				return nil, false
			}
		case int:
			list, ok := document.([]any)
			if step < 0 {
				step += len(list)
			}
			if !ok || step < 0 || step >= len(list) {
				return nil, false
			}
			document = list[step]
		}
	}
	return document, true
}

// jsonNumber returns a number, one written as text, or 0 and 1 for false and true.
func jsonNumber(value any) (float64, bool) {
	switch v := value.(type) {
	case json.Number:
		f, err := v.Float64()
		return f, err == nil
	case string:
		f, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
		return f, err == nil && finite(f)
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	}
	return 0, false
}

// jsonText returns a value as it is written in JSON, a text without its quotes.
func jsonText(value any) string {
	if text, ok := value.(string); ok {
		return text
	}
	text, err := json.Marshal(value)
	if err != nil {
		return ""
	}
	return string(text)
}

// dateLayouts are the ways in which dates are understood; without a zone they are in UTC.
func dateLayouts() []string {
	return []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05 -0700", "2006-01-02 15:04:05", "2006-01-02 15:04",
		"2006/01/02 15:04:05", time.RFC1123, time.RFC1123Z}
}

// dayLayouts are those of a day alone; what ends on a day ends with it.
func dayLayouts() []string {
	return []string{"2006-01-02", "2006/01/02", "20060102", "2 Jan 2006", "Jan 2, 2006"}
}

func parseDate(text string) (time.Time, error) {
	text = strings.TrimSpace(text)
	for _, layout := range dateLayouts() {
		if at, err := time.Parse(layout, text); err == nil {
			return at, nil
		}
	}
	for _, layout := range dayLayouts() {
		if at, err := time.Parse(layout, text); err == nil {
			return at.AddDate(0, 0, 1), nil
		}
	}
	return time.Time{}, errors.New("it is no date such as 2006-01-02 or 2006-01-02T15:04:05Z")
}
