// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"fmt"
	"strings"
	"testing"
)

func TestEachSample(t *testing.T) {
	page := "# HELP a_b text\na_b{x=\"1\",y=\"{\\\"q\\\"} ,=\"} 5 1700000000\na_c 1e3\na_d\na_e{x=\"\n a_f 1\na_g{} NaN\na_h x\nother 1\na_i{x = \"2\", } +Inf\n"
	var got []string
	n := eachSample([]byte(page), []string{"a_"}, func(s sample) {
		got = append(got, fmt.Sprintf("%s %s|%s %g", s.name, s.label("x"), s.label("y"), s.value))
	})
	want := `a_b 1|{"q"} ,= 5;a_c | 1000;a_g | NaN;a_i 2| +Inf`
	if strings.Join(got, ";") != want || n != 4 {
		t.Errorf("%d: got %s, want %s", n, strings.Join(got, ";"), want)
	}
}

func FuzzEachSample(f *testing.F) {
	f.Add([]byte("a{x=\"1\",y=\"\\\"\"} 5 1\na 1\n"))
	f.Add([]byte("a{x=1} 5\na{\"} 1\na{x=\"1\"y=\"2\"} 3\n"))
	f.Fuzz(func(t *testing.T, page []byte) {
		n := eachSample(page, []string{"a"}, func(s sample) {
			if strings.ContainsAny(s.name, "{ ") || len(s.label("x")) > len(page)*4 {
				t.Errorf("%q, label %q", s.name, s.label("x"))
			}
		})
		if n > strings.Count(string(page), "\n")+1 {
			t.Errorf("%d samples", n)
		}
	})
}
