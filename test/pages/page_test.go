// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"stability-exporter/test/prometheus"
)

// page is what must reach a person.
type page struct {
	alert    string // without the prefix Stability
	severity string
	labels   model.LabelSet // beside those of the fault
	text     string         // a regular expression that the description must match
	late     time.Duration  // what the alert waits for apart from its rule, at full length
	quiet    bool           // it fires, but something else tells of it: no notification
	// lingers is for how long it goes on after the fault is mended, by a window of the exporter, which the scale does not
	// shorten: only a run at full length waits for the end.
	lingers time.Duration
}

// full is the name of the alert.
func (p page) full() model.LabelValue { return model.LabelValue("Stability" + p.alert) }

// wanted are the labels by which the alert of the page is known.
func (p page) wanted(labels model.LabelSet) model.LabelSet {
	return labels.Merge(p.labels).Merge(model.LabelSet{"alertname": p.full(), "severity": model.LabelValue(p.severity)})
}

// awaitPage waits until the pager is told, and returns what it was told.
func (s *suite) awaitPage(t *testing.T, p page, labels model.LabelSet, since time.Time) prometheus.Page {
	t.Helper()
	return s.awaitNotification(t, p, labels, "firing", since, s.lengthOf(t, p.full(), p.wanted(labels))+scaled(p.late)+patience)
}

// awaitResolved waits until the pager is told that it is over.
func (s *suite) awaitResolved(t *testing.T, p page, labels model.LabelSet, since time.Time) {
	t.Helper()
	s.awaitNotification(t, p, labels, "resolved", since, scaled(5*time.Minute)+scaled(p.late)+p.lingers+patience)
}

func (s *suite) awaitNotification(
	t *testing.T, p page, labels model.LabelSet, status string, since time.Time, timeout time.Duration,
) (found prometheus.Page) {
	t.Helper()
	what := fmt.Sprintf("%s %s to be %s", p.alert, p.wanted(labels), status)
	err := s.pager.Await(t.Context(), timeout, what, func(context.Context) error {
		pages, err := s.pager.Pages(p.wanted(labels))
		for _, each := range pages {
			if each.Status == status && each.Received.After(since) {
				found = each
				return err
			}
		}
		return errors.Join(err, fmt.Errorf("not among %d notifications of it", len(pages)))
	})
	if err != nil {
		t.Fatalf("%v\nwhat fires and waits: %s", err, s.active(t, labels))
	}
	return found
}

// active lists the alerts with the labels as Prometheus has them.
func (s *suite) active(t *testing.T, labels model.LabelSet) string {
	t.Helper()
	answer, err := s.prometheus.Alerts(t.Context())
	if err != nil {
		return err.Error()
	}
	var lines []string
	for _, alert := range answer.Alerts {
		if prometheus.Has(alert.Labels, labels) {
			lines = append(lines, fmt.Sprintf("%s since %s: %s", alert.State, alert.ActiveAt.Format(time.TimeOnly), alert.Labels))
		}
	}
	return strings.Join(lines, "\n")
}

// lengthOf is how long the rule of an alert waits before it fires: its for in this run. Of several rules that may have made
// an alert of the labels it is the one that says most about it, and of those the slowest.
func (s *suite) lengthOf(t *testing.T, alert model.LabelValue, labels model.LabelSet) time.Duration {
	t.Helper()
	answer, err := s.prometheus.Rules(t.Context(), nil)
	if err != nil {
		t.Fatalf("cannot ask for the rules: %v", err)
	}
	longest, said := time.Duration(-1), 0
	for _, group := range answer.Groups {
		for _, rule := range group.Rules {
			alerting, ok := asAlert(rule)
			if !ok || alerting.Name != string(alert) || !prometheus.Has(labels, alerting.Labels) || len(alerting.Labels) < said {
				continue
			}
			if len(alerting.Labels) > said {
				longest, said = -1, len(alerting.Labels)
			}
			longest = max(longest, time.Duration(alerting.Duration*float64(time.Second)))
		}
	}
	if longest < 0 {
		t.Fatalf("there is no rule %s for %s", alert, labels)
	}
	return longest
}

// checkText holds a text against what every text must tell, and against what this one must.
func checkText(t *testing.T, p page, got prometheus.Page) {
	t.Helper()
	description, summary := string(got.Annotations["description"]), string(got.Annotations["summary"])
	for _, blank := range []string{": not known", "by not known", "<no value>", "error expanding", "%!", "  "} {
		if strings.Contains(description+summary, blank) {
			t.Errorf("%s says %q: %s", p.alert, blank, description)
		}
	}
	if summary == "" || !strings.Contains(description, "kubectl") && !strings.Contains(description, "Look:") {
		t.Errorf("%s does not say where to look: %s", p.alert, description)
	}
	if !regexp.MustCompile(`(?s)` + p.text).MatchString(description) {
		t.Errorf("%s does not tell %q: %s", p.alert, p.text, description)
	}
	t.Logf("%s: %s", p.alert, description)
}

// claims are the labels of alerts that tests expect.
type claims struct {
	mu   sync.Mutex
	sets []model.LabelSet
}

// add allows alerts with the labels to page.
func (c *claims) add(labels model.LabelSet) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sets = append(c.sets, labels)
}

func (c *claims) cover(labels model.LabelSet) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, set := range c.sets {
		if prometheus.Has(labels, set) {
			return true
		}
	}
	return false
}

// paged returns the alerts with the labels that the pager was told of.
func (s *suite) paged(labels model.LabelSet) ([]model.LabelSet, error) {
	pages, err := s.pager.Pages(labels)
	var paged []model.LabelSet
	for _, page := range pages {
		if page.Status == "firing" && page.Labels["severity"] != "info" && page.Labels["severity"] != "none" {
			paged = append(paged, page.Labels)
		}
	}
	return paged, err
}

// falseAlarms fails the test for whatever paged about the labels and was not claimed.
func (s *suite) falseAlarms(t *testing.T, labels model.LabelSet) {
	t.Helper()
	paged, err := s.paged(labels)
	if err != nil {
		t.Fatal(err)
	}
	for _, alert := range paged {
		if !s.claims.cover(alert) {
			t.Errorf("false alarm: %s", alert)
		}
	}
}

// unclaimed is an error about every alert of the whole run that no test expects.
func (s *suite) unclaimed() error {
	paged, err := s.paged(nil)
	errs := []error{err}
	for _, alert := range paged {
		if !s.claims.cover(alert) {
			errs = append(errs, fmt.Errorf("false alarm: %s", alert))
		}
	}
	return errors.Join(errs...)
}
