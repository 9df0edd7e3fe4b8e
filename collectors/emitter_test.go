// SPDX-License-Identifier: Apache-2.0

package collectors

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

var (
	testPods  = gauge("stability_test_pods", "Pods.\nOn \\ two lines.", "namespace", "pod")
	testRatio = gauge("stability_test_ratio", "A ratio.")
	testTotal = counter("stability_test_all_total", "A counter.", "reason")
)

func newTestEmitter() *Emitter { return NewEmitter([]*Family{testPods, testRatio, testTotal}) }

func TestEmitterSortsFamiliesAndLeavesOutEmptyOnes(t *testing.T) {
	e := newTestEmitter()
	e.Emit(testPods, 3, "shop", "web")
	e.Emit(testTotal, 1e6, "OOMKilled")
	e.Emit(testPods, 0, "shop", "db")
	want := `# HELP stability_test_all_total A counter.
# TYPE stability_test_all_total counter
stability_test_all_total{reason="OOMKilled"} 1e+06
# HELP stability_test_pods Pods.\nOn \\ two lines.
# TYPE stability_test_pods gauge
stability_test_pods{namespace="shop",pod="web"} 3
stability_test_pods{namespace="shop",pod="db"} 0
`
	if diff := cmp.Diff(want, string(e.AppendTo(nil))); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	var written bytes.Buffer
	if n, err := e.WriteTo(&written); err != nil || n != int64(len(want)) || written.String() != want {
		t.Errorf("WriteTo: %d bytes, %v, want the same %d bytes as AppendTo:\n%s", n, err, len(want), &written)
	}

	e.Reset()
	e.Emit(testRatio, 0.5)
	want = "# HELP stability_test_ratio A ratio.\n# TYPE stability_test_ratio gauge\nstability_test_ratio 0.5\n"
	if got := string(e.AppendTo([]byte("before\n"))); got != "before\n"+want {
		t.Errorf("after Reset:\n%s\nwant:\n%s", got, want)
	}
}

func TestEmitterEscapesLabelValues(t *testing.T) {
	for _, c := range []struct{ value, text, readBack string }{
		{"", ``, ""},
		{"plain-1.x_Y", `plain-1.x_Y`, "plain-1.x_Y"},
		{`C:\tmp "x"` + "\n", `C:\\tmp \"x\"\n`, `C:\tmp "x"` + "\n"},
		{"区域-a", "区域-a", "区域-a"},
		{"bad\xff\"", "bad\uFFFD\\\"", "bad\uFFFD\""},
		{"tab\tnul\x00", "tab\tnul\x00", "tab\tnul\x00"},
	} {
		e := newTestEmitter()
		e.Emit(testTotal, 1, c.value)
		text := e.AppendTo(nil)
		if !bytes.Contains(text, []byte(`{reason="`+c.text+`"} 1`)) {
			t.Errorf("%q is written as:\n%s", c.value, text)
		}
		parser := expfmt.NewTextParser(model.UTF8Validation)
		families, err := parser.TextToMetricFamilies(bytes.NewReader(text))
		if err != nil {
			t.Fatalf("%q: %v", c.value, err)
		}
		if got := families[testTotal.Name].GetMetric()[0].GetLabel()[0].GetValue(); got != c.readBack {
			t.Errorf("%q is read back as %q, want %q", c.value, got, c.readBack)
		}
	}
}

// The reference is what client_golang writes for the same number.
func TestEmitterFormatsNumbersAsClientGolang(t *testing.T) {
	for _, v := range []float64{
		0, math.Copysign(0, -1), 1, -1, 2, 42, -17, 999_999, 1e6, -1e6, 1_000_001, 1_795_000_000, 1e21, 0.1, 1. / 3, 2.5, 1e-5, 123456.5,
		math.MaxFloat64, math.SmallestNonzeroFloat64, float64(math.MaxInt64), -float64(math.MaxInt64),
	} {
		reference := prometheus.NewGauge(prometheus.GaugeOpts{Name: "x", Help: "x"})
		reference.Set(v)
		registry := prometheus.NewRegistry()
		registry.MustRegister(reference)
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		if _, err := expfmt.MetricFamilyToText(&text, families[0]); err != nil {
			t.Fatal(err)
		}
		_, want, _ := strings.Cut(text.String(), "\nx ")
		if got := string(appendValue(nil, v)); got != strings.TrimSpace(want) {
			t.Errorf("%v is written as %s, client_golang writes %s", v, got, want)
		}
	}
}

func TestEmitterKeepsTheFirstMistake(t *testing.T) {
	undeclared := gauge("stability_test_undeclared", "Undeclared.")
	for name, c := range map[string]struct {
		emit func(*Emitter)
		want string
	}{
		"undeclared":     {func(e *Emitter) { e.Emit(undeclared, 1) }, "stability_test_undeclared is not declared"},
		"few labels":     {func(e *Emitter) { e.Emit(testPods, 1, "shop") }, "stability_test_pods has 2 labels but was given 1"},
		"many labels":    {func(e *Emitter) { e.Emit(testRatio, 1, "shop") }, "stability_test_ratio has 0 labels but was given 1"},
		"not a number":   {func(e *Emitter) { e.Emit(testPods, math.NaN(), "a", "b") }, "stability_test_pods was given NaN"},
		"infinite":       {func(e *Emitter) { e.Emit(testTotal, math.Inf(1), "a") }, "stability_test_all_total was given +Inf"},
		"infinite ratio": {func(e *Emitter) { e.Emit(testRatio, math.Inf(-1)) }, "stability_test_ratio was given -Inf"},
		"large ratio":    {func(e *Emitter) { e.Emit(testRatio, 1.01) }, "stability_test_ratio was given 1.01"},
		"negative ratio": {func(e *Emitter) { e.Emit(testRatio, -0.01) }, "stability_test_ratio was given -0.01"},
	} {
		t.Run(name, func(t *testing.T) {
			e := newTestEmitter()
			if e.Err() != nil {
				t.Fatalf("a new emitter has the error %v", e.Err())
			}
			c.emit(e)
			e.Emit(undeclared, 2, "one", "two")
			if e.Err() == nil || !strings.Contains(e.Err().Error(), c.want) {
				t.Errorf("error %v, want one with %q", e.Err(), c.want)
			}
			if text := e.AppendTo(nil); len(text) > 0 {
				t.Errorf("the mistake left a sample:\n%s", text)
			}
			e.Reset()
			if e.Err() != nil {
				t.Errorf("Reset kept the error %v", e.Err())
			}
		})
	}
}

type brokenWriter struct{ left int }

var errBroken = errors.New("broken pipe")

func (w *brokenWriter) Write(p []byte) (int, error) {
	if w.left--; w.left < 0 {
		return 0, errBroken
	}
	return len(p), nil
}

func TestWriteToReportsWhichFamilyCouldNotBeWritten(t *testing.T) {
	e := newTestEmitter()
	e.Emit(testRatio, 1)
	for left := range 2 {
		_, err := e.WriteTo(&brokenWriter{left})
		if !errors.Is(err, errBroken) || !strings.Contains(err.Error(), "stability_test_ratio") {
			t.Errorf("after %d writes: %v", left, err)
		}
	}
}

func TestEmitAllocatesNothing(t *testing.T) {
	e := newTestEmitter()
	run := func() {
		e.Reset()
		for range 100 {
			e.Emit(testPods, 3, "shop", "web")
			e.Emit(testTotal, 1_795_000_000, "OOMKilled")
			e.Emit(testRatio, 0.25)
			e.subject(testPods.Labels, "shop").emit(testPods, 2, "räksmörgås")
		}
	}
	run()
	if n := testing.AllocsPerRun(10, run); n != 0 {
		t.Errorf("%v allocations per 400 samples, want none", n)
	}
}

func FuzzEmitterLabelValue(f *testing.F) {
	for _, seed := range []string{"", "web", "a\\\"\n", "\xff\xfe", "é\u2028"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		e := newTestEmitter()
		e.Emit(testTotal, 1, value)
		parser := expfmt.NewTextParser(model.UTF8Validation)
		families, err := parser.TextToMetricFamilies(bytes.NewReader(e.AppendTo(nil)))
		if err != nil {
			t.Fatalf("%q cannot be read back: %v", value, err)
		}
		want := string([]rune(value)) // each invalid byte is replaced
		if got := families[testTotal.Name].GetMetric()[0].GetLabel()[0].GetValue(); got != want {
			t.Errorf("%q is read back as %q, want %q", value, got, want)
		}
	})
}
