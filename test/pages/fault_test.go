// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"testing"
	"time"

	"github.com/prometheus/common/model"
)

// A fault is one way in which a workload comes to harm. It is done to one workload until all its pages have come, then
// to a second one, which must page as well, while the first goes on; then both are mended, which the pager must hear.
type fault struct {
	name  string
	kind  string // workload_type; empty means deployment
	build func(s *space, workload string)
	harm  func(s *space, workload string)
	mend  func(s *space, workload string)
	pages []page
	// beside are other alerts of the namespace that are true as well, without the prefix Stability.
	beside []string
	// service says that the alerts are about a Service of the workload's name.
	service bool
}

// labels are those of the workload in alerts.
func (f fault) labels(s *space, workload string) model.LabelSet {
	labels := model.LabelSet{"cluster": model.LabelValue(s.cluster), "namespace": model.LabelValue(s.Name)}
	if f.service {
		labels["service"] = model.LabelValue(workload)
		return labels
	}
	labels["workload"] = model.LabelValue(workload)
	labels["workload_type"] = "deployment"
	if f.kind != "" {
		labels["workload_type"] = model.LabelValue(f.kind)
	}
	return labels
}

// run does the fault and fails the test for each page that does not come, comes without its cause, or is false.
func (f fault) run(t *testing.T) {
	s := newSpace(t)
	workloads := []string{"web", "shop"}
	for _, workload := range workloads {
		f.build(s, workload)
	}
	s.awaitHealthy(workloads...)
	for _, name := range f.beside {
		shared.claims.add(model.LabelSet{"alertname": model.LabelValue("Stability" + name), "namespace": model.LabelValue(s.Name)})
	}
	for _, workload := range workloads {
		began := time.Now()
		f.harm(s, workload)
		f.awaitPages(t, s, workload, began)
	}
	f.awaitSilence(t, s, workloads)
	shared.falseAlarms(t, model.LabelSet{"namespace": model.LabelValue(s.Name)})
}

func (f fault) awaitPages(t *testing.T, s *space, workload string, began time.Time) {
	t.Helper()
	labels := f.labels(s, workload)
	for _, p := range f.pages {
		shared.claims.add(p.wanted(labels))
		if p.quiet {
			continue
		}
		got := shared.awaitPage(t, p, labels, began)
		shared.measured.add(f.name, p, got.Received.Sub(began))
		checkText(t, p, got)
	}
}

// awaitSilence mends everything and waits until the pager has heard of it.
func (f fault) awaitSilence(t *testing.T, s *space, workloads []string) {
	t.Helper()
	mended := time.Now()
	for _, workload := range workloads {
		f.mend(s, workload)
	}
	s.awaitHealthy(workloads...)
	for _, workload := range workloads {
		for _, p := range f.pages {
			if !p.quiet && !p.lingers {
				shared.awaitResolved(t, p, f.labels(s, workload), mended)
			}
		}
	}
}
