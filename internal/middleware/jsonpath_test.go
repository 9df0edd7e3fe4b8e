// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"fmt"
	"testing"
	"time"
)

func TestJSONPath(t *testing.T) {
	document, err := decodeJSON([]byte(`{"a":{"b.c":[1,{"d":"x"},true,null]},"e":[[7]],"":3}`))
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		`a["b.c"][0]`: "1", `a["b.c"][1].d`: "x", `a["b.c"][2]`: "true", `a["b.c"][-2]`: "true", `a["b.c"][3]`: "null", "e[0][0]": "7", "a.x": "none",
		"a[0]": "none", "e[1]": "none", "e[-2]": "none", "e.x": "none", `[""]`: "3", "": `{"":3,"a":{"b.c":[1,{"d":"x"},true,null]},"e":[[7]]}`,
	} {
		p, err := parseJSONPath(path)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		got := "none"
		if value, ok := p.in(document); ok {
			got = jsonText(value)
		}
		if got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	for _, wrong := range []string{".", "a.", ".a", "a..b", "a[", "a[x]", "a[1", `a["b`, `a["b"`, "a.[0]"} {
		if p, err := parseJSONPath(wrong); err == nil {
			t.Errorf("%s is taken as %v", wrong, p)
		}
	}
}

func TestJSONNumber(t *testing.T) {
	document, err := decodeJSON([]byte(`[1.5, " 12 ", true, "x", null, {}, "NaN", 1e999]`))
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	for _, value := range document.([]any) {
		n, ok := jsonNumber(value)
		got += fmt.Sprint(n, ok, ";")
	}
	if want := "1.5 true;12 true;1 true;0 false;0 false;0 false;NaN false;+Inf false;"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestDates(t *testing.T) {
	for text, want := range map[string]string{
		"2027-01-31":                     "2027-02-01T00:00:00Z", // to the end of the day
		"2027/01/31":                     "2027-02-01T00:00:00Z",
		"20270131":                       "2027-02-01T00:00:00Z",
		"2027-01-31T10:00:00+02:00":      "2027-01-31T08:00:00Z",
		"2027-01-31T10:00:00.123Z":       "2027-01-31T10:00:00Z",
		"2027-01-31 10:00:00":            "2027-01-31T10:00:00Z",
		" Sun, 31 Jan 2027 10:00:00 GMT": "2027-01-31T10:00:00Z",
	} {
		if at, err := parseDate(text); err != nil || at.UTC().Truncate(time.Second).Format(time.RFC3339) != want {
			t.Errorf("%s: %v %v, want %s", text, at, err, want)
		}
	}
	for _, wrong := range []string{"", "tomorrow", "31.01.2027", "2027-13-01", "12"} {
		if at, err := parseDate(wrong); err == nil {
			t.Errorf("%q is taken as %s", wrong, at)
		}
	}
}

func FuzzJSONPath(f *testing.F) {
	f.Add(`a["b.c"][0]`, `{"a":1}`)
	f.Add(`a[-1].b`, `{"a":[{"b":"2027-01-01"}]}`)
	f.Fuzz(func(t *testing.T, path, text string) {
		p, err := parseJSONPath(path)
		document, wrong := decodeJSON([]byte(text))
		if err != nil || wrong != nil {
			return
		}
		if value, ok := p.in(document); ok {
			if n, ok := jsonNumber(value); ok && !finite(n) {
				t.Errorf("%v is no number", n)
			}
			_, _ = parseDate(jsonText(value))
		}
	})
}
