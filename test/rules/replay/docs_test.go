// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the generated documentation instead of comparing it")

func TestGoldenDocumentation(t *testing.T) {
	const path = "../../../docs/pains.md"
	want := document(t)
	if *update {
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("docs/pains.md is not what the tests declare; run 'go test ./replay -run Golden -update' in test/rules")
	}
}

const introduction = `<!-- Generated from the declarations in test/rules/replay. Do not edit. -->
# Complaints about alerts, played again

What people have complained about in public, of alerts on Kubernetes workloads: false alarms, outages that nobody was told of, and
noise. Each is a test that plays the story again: Kubernetes objects that change over minutes and hours, the exporter that reads them,
Prometheus that scrapes it every 30 seconds and evaluates the [rules](alerts.md), inhibition as in Alertmanager, all by a clock that takes no
time. A test says which alerts people are told of, by when, and what they say; anything else at severity warning or critical fails
it. Where nothing is to fire, a comparison of the naive kind must hold for as long as it would have taken to alarm somebody.

Run one with ` + "`go test ./replay -run TestPains/P1$ -v`" + ` in test/rules. Statuses follow the controllers of Kubernetes 1.36 as far as a story
needs them; no cluster is started.

| test | complaint | kind | reported in | what happens here |
|---|---|---|---|---|
`

func document(t *testing.T) []byte {
	var text bytes.Buffer
	text.WriteString(introduction)
	all := pains()
	slices.SortFunc(all, func(a, b pain) int { return a.number(t) - b.number(t) })
	for i, p := range all {
		if p.number(t) != i+1 {
			t.Fatalf("%s is where P%d should be", p.ID, i+1)
		}
		var links []string
		for _, issue := range p.Issues {
			repository, number, found := strings.Cut(issue, "#")
			if !found {
				t.Fatalf("%s: %q is no issue", p.ID, issue)
			}
			_, name, _ := strings.Cut(repository, "/")
			links = append(links, fmt.Sprintf("[%s#%s](https://github.com/%s/issues/%s)", name, number, repository, number))
		}
		if p.Complaint == "" || p.Here == "" || p.Kind == "" || len(links) == 0 {
			t.Fatalf("%s is not declared completely", p.ID)
		}
		fmt.Fprintf(&text, "| TestPains/%s | %s | %s | %s | %s |\n", p.ID, p.Complaint, p.Kind, strings.Join(links, ", "), p.Here)
	}
	return text.Bytes()
}

func (p pain) number(t *testing.T) int {
	n, err := strconv.Atoi(strings.TrimPrefix(p.ID, "P"))
	if err != nil {
		t.Fatalf("%q is no number of a complaint", p.ID)
	}
	return n
}

// The families that stand for the program's own are such.
func TestOwnFamiliesExist(t *testing.T) {
	text, err := os.ReadFile("../../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range newOwnFamilies().all() {
		if !strings.Contains(string(text), "`"+family.Name+"`") {
			t.Errorf("the program has no family %s", family.Name)
		}
	}
}
