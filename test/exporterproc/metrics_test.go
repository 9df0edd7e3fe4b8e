// SPDX-License-Identifier: Apache-2.0

package exporterproc

import "testing"

const text = `# TYPE up gauge
up{a="1",b="2"} 1
up{a="1",b="3"} 2
# TYPE down counter
down{b="\"x\"\n"} 7
`

func TestSelect(t *testing.T) {
	m, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if got := m.Sum("up", "a", "1"); got != 3 {
		t.Errorf("the sum is %v, want 3", got)
	}
	if _, ok := m.Value("up", "a", "1"); ok {
		t.Error("two samples count as one")
	}
	for want, err := range map[string]error{
		"":   m.Expect(2, "up", "b", "3"),
		" ":  m.Expect(7, "down", "b", "\"x\"\n"),
		"  ": m.ExpectNone("up", "a", "2"),
	} {
		if err != nil {
			t.Errorf("expectation%s: %v", want, err)
		}
	}
	if m.Expect(1, "up", "b", "3") == nil || m.ExpectNone("up", "b", "3") == nil {
		t.Error("a wrong expectation holds")
	}
}

func TestParseRefuses(t *testing.T) {
	for _, bad := range []string{"up{ 1\n", "up{a=\"1\"} 1\nup{a=\"1\"} 2\n", "up 1"} {
		if _, err := Parse(bad); err == nil {
			t.Errorf("%q is parsed", bad)
		}
	}
}
