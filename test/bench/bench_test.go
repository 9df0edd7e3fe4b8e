// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestMeasure runs the whole program on a small cluster, against both kinds of servers.
func TestMeasure(t *testing.T) {
	binary, err := buildExporter(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	little := effort{settle: 100 * time.Millisecond, scrapes: 20, events: 200, rate: 1000}
	for _, pagedLists := range []bool{false, true} {
		s := scenario{pods: 520, workloads: 50, nameLength: 26, abnormal: true, pagedLists: pagedLists}
		var progress bytes.Buffer
		r, err := measure(t.Context(), binary, s, little, &progress)
		if err != nil {
			t.Fatal(err)
		}
		if len(r.partial) > 0 {
			t.Errorf("%s: partial answers: %q", s, r.partial)
		}
		if r.readyPeak < 10<<20 || r.afterList.peak > 100<<20 || r.live > 20<<20 {
			t.Errorf("%s: unlikely memory: peaks %d and %d, live %d", s, r.readyPeak, r.afterList.peak, r.live)
		}
		if r.eventCPU <= 0 || r.decodeCPU <= 0 || r.plain.cpu <= 0 || r.readyCPU <= 0 {
			t.Errorf("%s: unlikely processor time: %+v", s, r)
		}
		if r.series < 20*s.workloads || r.perWorkload < 20 || r.plain.bytes < 50*int64(r.series) || r.gzip.bytes >= r.plain.bytes {
			t.Errorf("%s: unlikely answer: %+v", s, r)
		}
	}
}

// TestPodsAreRealistic holds the pods to the size of those that the published figures are about.
func TestPodsAreRealistic(t *testing.T) {
	c := newCluster(scenario{pods: 20, workloads: 2, nameLength: 20})
	total := 0
	for _, o := range c.resources["pods"].objects {
		total += o.size
	}
	if mean := total / 20; mean < 8_000 || mean > 9_600 {
		t.Errorf("a pod has %d bytes of protobuf, want about 8,800", mean)
	}
}

func TestMissingIsFound(t *testing.T) {
	whole := parse("stability_a_replicas{x=\"1\"} 2\nstability_a_replicas{x=\"2\"} 3\nstability_exporter_b 1\n")
	for text, want := range map[string]int{
		"stability_a_replicas{x=\"1\"} 2\nstability_a_replicas{x=\"2\"} 3\n": 0, // the exporter's own families may differ
		"stability_a_replicas{x=\"1\"} 5\n":                                  1, // a series is missing
		"stability_a_replicas{x=\"1\"} 2\nstability_a_replicas{x=\"2\"} 2\n": 1, // a pod is missing
	} {
		if got := parse(text).missing(whole, true); len(got) != want {
			t.Errorf("%q: found %q, want %d", text, got, want)
		}
	}
	if got := parse("").missing(whole, true); len(got) != 0 {
		t.Errorf("what is not there yet: found %q", got)
	}
	if got := parse("").missing(whole, false); len(got) != 1 {
		t.Errorf("what has gone: found %q", got)
	}
}

func TestWriteTable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "page.md")
	if err := os.WriteFile(path, []byte("before\n"+tableBegin+"\nold\n"+tableEnd+"\nafter\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := writeTable(path, "new\n"); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(text), "before\n"+tableBegin+"\nnew\n"+tableEnd+"\nafter\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if err := os.WriteFile(path, []byte("no markers"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := writeTable(path, "new\n"); err == nil || !strings.Contains(err.Error(), "cannot find") {
		t.Errorf("a page without markers: got %v", err)
	}
}
