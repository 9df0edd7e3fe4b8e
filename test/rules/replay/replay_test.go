// SPDX-License-Identifier: Apache-2.0

// Package replay plays what people complained about: Kubernetes objects that change (world_test.go and the kinds beside
// it), the exporter's store and collectors (exporter_test.go), Prometheus with the bundled rules (prometheus_test.go), and
// inhibition as in Alertmanager. The complaints are declared in the pains_*_test.go.
package replay

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// kind is what was wrong with an alert that people complained about.
type kind string

const (
	falsePositive kind = "false alarm"
	falseNegative kind = "missed"
	noise         kind = "noise"
)

// pain is one complaint about alerts on Kubernetes, played again.
type pain struct {
	ID        string
	Kind      kind
	Complaint string // in our words
	Issues    []string
	Here      string // what happens here
	Exporters []string
	Story     func(*world)
	// Fires is all that people are told of at warning or critical, after inhibition: one entry per notification. Entries
	// of severity info must fire, too; others of that severity may.
	Fires []alarm
	// Naive is what would alarm somebody less careful: it must hold for so long without a break, or the story shows nothing.
	Naive naive
}

type alarm struct {
	Alert    string
	Severity string
	Of       map[string]string // labels it must have
	Within   time.Duration     // of the trouble, at the latest
	Says     []string          // what the description must hold when it is told
}

type naive struct {
	Expression string
	Lasts      time.Duration
}

func TestPains(t *testing.T) {
	for _, p := range pains() {
		t.Run(p.ID, func(t *testing.T) {
			t.Parallel()
			w := p.play(t)
			for _, complaint := range p.judge(w) {
				t.Error(complaint)
			}
			if t.Failed() {
				t.Log(w.log())
			}
		})
	}
}

// A test that cannot fail is none: a story does not pass for what it does not show.
func TestStoriesCanFail(t *testing.T) {
	i := slices.IndexFunc(pains(), func(p pain) bool { return p.ID == "P2" })
	w := pains()[i].play(t)
	if complaints := pains()[i].judge(w); complaints != nil {
		t.Fatal(complaints)
	}
	for name, spoil := range map[string]func(*pain){
		"an alert that is not expected":  func(p *pain) { p.Fires = nil },
		"an alert that does not fire":    func(p *pain) { p.Fires = append(p.Fires, alarm{Alert: "StabilityNodeNotReady"}) },
		"an alert that fires once only":  func(p *pain) { p.Fires = append(p.Fires, p.Fires[0]) },
		"another workload":               func(p *pain) { p.Fires[0].Of = of("bystander") },
		"another severity":               func(p *pain) { p.Fires[0].Severity = "critical" },
		"an alert that comes too late":   func(p *pain) { p.Fires[0].Within = time.Second },
		"a text that is not said":        func(p *pain) { p.Fires[0].Says = []string{"2 not_created"} },
		"a provocation that ends early":  func(p *pain) { p.Naive.Lasts = time.Hour },
		"a provocation that never lasts": func(p *pain) { p.Naive.Expression = "vector(1)" },
	} {
		p := pains()[i]
		p.Fires = slices.Clone(p.Fires)
		spoil(&p)
		if len(p.judge(w)) == 0 {
			t.Errorf("passes with %s", name)
		}
	}
}

// play plays the story to its end.
func (p pain) play(t *testing.T) *world {
	if len(p.Exporters) == 0 {
		p.Exporters = []string{"0"}
	}
	w := newWorld(t, p.Exporters...)
	w.provoked.expression = p.Naive.Expression
	w.pass(10 * time.Minute)
	p.Story(w)
	return w
}

// judge compares what people were told of with what they should be.
func (p pain) judge(w *world) []string {
	var complaints []string
	if (p.Naive.Expression != "") != (p.Naive.Lasts > 0) || w.provoked.best < p.Naive.Lasts {
		complaints = append(complaints, fmt.Sprintf("%s held for %s only: the story shows nothing", p.Naive.Expression, w.provoked.best))
	}
	missing := slices.Clone(p.Fires)
	for _, f := range w.firings {
		i := slices.IndexFunc(missing, func(a alarm) bool { return a.matches(f) })
		switch {
		case i >= 0:
			complaints = append(complaints, missing[i].compare(f, w.since)...)
			missing = slices.Delete(missing, i, i+1)
		case f.severity() != "info" && !f.told.IsZero():
			complaints = append(complaints, fmt.Sprintf("%s is told after %s: %s", f, f.told.Sub(w.began), f.text))
		}
		complaints = append(complaints, f.blemishes(w.prometheus.cluster)...)
	}
	for _, a := range missing {
		complaints = append(complaints, fmt.Sprintf("%s of %v is never told", a.Alert, a.Of))
	}
	return complaints
}

func (a alarm) matches(f *firing) bool {
	if a.Alert != f.name() || f.told.IsZero() {
		return false
	}
	for name, value := range a.Of {
		if f.labels.Get(name) != value {
			return false
		}
	}
	return true
}

func (a alarm) compare(f *firing, trouble time.Time) []string {
	var complaints []string
	if f.severity() != a.Severity {
		complaints = append(complaints, fmt.Sprintf("%s has severity %s, want %s", f, f.severity(), a.Severity))
	}
	if f.from.Before(trouble) || trouble.IsZero() {
		complaints = append(complaints, fmt.Sprintf("%s fires before there is trouble", f))
	}
	if f.told.Sub(trouble) > a.Within {
		complaints = append(complaints, fmt.Sprintf("%s is told after %s, want %s at most", f, f.told.Sub(trouble), a.Within))
	}
	for _, text := range a.Says {
		if !strings.Contains(f.text, text) {
			complaints = append(complaints, fmt.Sprintf("%s does not say %q: %s", f, text, f.text))
		}
	}
	return complaints
}

// blemishes are what no alert may have: labels of the scrape, and texts with holes.
func (f *firing) blemishes(cluster string) []string {
	var complaints []string
	for _, name := range []string{"instance", "pod", "job"} {
		if f.labels.Has(name) {
			complaints = append(complaints, fmt.Sprintf("%s names the exporter's %s", f, name))
		}
	}
	for text := range f.texts {
		text = strings.ReplaceAll(text, "http://EXPORTER", "EXPORTER")
		for _, hole := range []string{"  ", " .", " ,", "//", "/ ", "<no value>", "NaN", "cluster .", "%!", "()"} {
			if strings.Contains(text, hole) {
				complaints = append(complaints, fmt.Sprintf("%s has a hole %q: %s", f, hole, text))
			}
		}
		if named := strings.Contains(text, "cluster "+cluster); named != (cluster != "") {
			complaints = append(complaints, fmt.Sprintf("%s does not name the cluster %q: %s", f, cluster, text))
		}
	}
	return complaints
}

func (w *world) log() string {
	var text strings.Builder
	text.WriteString("all that fired")
	if !w.since.IsZero() {
		fmt.Fprintf(&text, "; trouble began after %s", w.since.Sub(w.began))
	}
	text.WriteString(":\n")
	for _, f := range w.firings {
		told := "inhibited"
		if !f.told.IsZero() {
			told = "told after " + f.told.Sub(w.began).String()
		}
		fmt.Fprintf(&text, "%s to %s, %s: %s\n", f.from.Sub(w.began), f.to.Sub(w.began), told, f)
	}
	return text.String()
}
