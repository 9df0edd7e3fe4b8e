// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/common/model"
)

// incident is one thing that is wrong, and its pages. They are told from those of other incidents by the labels.
type incident struct {
	name   string
	labels model.LabelSet
	pages  []page
}

// claim says that the pages belong to a test, and may fire at any time.
func (i incident) claim() {
	for _, p := range i.pages {
		shared.claims.add(p.wanted(i.labels))
	}
}

// awaitPages waits for all pages of what began to go wrong at a moment, and checks what they tell.
func (i incident) awaitPages(t *testing.T, began time.Time) {
	t.Helper()
	i.claim()
	for _, p := range i.pages {
		if p.quiet {
			shared.awaitQuiet(t, p, i.labels)
			continue
		}
		got := shared.awaitPage(t, p, i.labels, began)
		shared.measured.add(i.name, p, got.Received.Sub(began), shared.lengthOf(t, p.full(), got.Labels))
		checkText(t, p, got)
	}
}

// awaitResolved waits until the pager has heard that all is well again.
func (i incident) awaitResolved(t *testing.T, mended time.Time) {
	t.Helper()
	for _, p := range i.pages {
		if !p.quiet && (p.lingers == 0 || shared.scale == 1) {
			shared.awaitResolved(t, p, i.labels, mended)
		}
	}
}

// awaitQuiet waits until an alert has fired for so long that the pager would have heard of it, and fails the test if the
// pager has: something else tells of it.
func (s *suite) awaitQuiet(t *testing.T, p page, labels model.LabelSet) {
	t.Helper()
	samples := int(2*groupWait/interval) + 1
	query := fmt.Sprintf(`count_over_time(ALERTS{alertstate="firing",%s}[%ds]) >= %d`,
		matchers(p.wanted(labels)), int((2*groupWait + 2*interval).Seconds()), samples)
	timeout := s.lengthOf(t, p.full(), p.wanted(labels)) + scaled(p.late) + patience
	s.await(t, timeout, p.alert+" to fire", func() string { return query }, labels)
	s.neverPaged(t, p, labels)
}

// neverPaged fails the test if a person was told of what follows from something else.
func (s *suite) neverPaged(t *testing.T, p page, labels model.LabelSet) {
	t.Helper()
	pages, err := s.pager.Pages(p.wanted(labels))
	if err != nil {
		t.Fatal(err)
	}
	for _, each := range pages {
		t.Errorf("%s was told, although something else tells of it: %s", p.alert, each.Annotations["description"])
	}
}

// matchers are labels in the form of a selector.
func matchers(labels model.LabelSet) string {
	text := ""
	for name, value := range labels {
		text += fmt.Sprintf("%s=%q,", name, value)
	}
	return text
}
