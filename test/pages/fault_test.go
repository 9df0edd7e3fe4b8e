// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A fault is one way in which a workload comes to harm. It is done to one workload until all its pages have come, then
// to a second one, which must page as well, while the first goes on; then both are mended, which the pager must hear.
type fault struct {
	name  string
	kind  string                          // workload_type; empty means deployment
	build func(s *space, workload string) // nil where nothing is there before the harm
	harm  func(s *space, workload string)
	mend  func(s *space, workload string)
	pages []page
	// beside are other alerts of the namespace that are true as well, without the prefix Stability.
	beside []string
	// together says that both workloads come to harm at once: each page takes half an hour.
	together bool
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
	if f.build != nil {
		for _, workload := range workloads {
			f.build(s, workload)
		}
		s.awaitHealthy(workloads...)
	}
	for _, name := range f.beside {
		shared.claims.add(model.LabelSet{"alertname": model.LabelValue("Stability" + name), "namespace": model.LabelValue(s.Name)})
	}
	began := make([]time.Time, len(workloads))
	for i, workload := range workloads {
		began[i] = time.Now()
		f.harm(s, workload)
		if !f.together {
			f.incident(s, workload).awaitPages(t, began[i])
		}
	}
	for i, workload := range workloads {
		if f.together {
			f.incident(s, workload).awaitPages(t, began[i])
		}
	}
	f.awaitSilence(t, s, workloads)
}

// incident is the fault at one of the workloads.
func (f fault) incident(s *space, workload string) incident {
	return incident{f.name, f.labels(s, workload), f.pages}
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
		f.incident(s, workload).awaitResolved(t, mended)
	}
}

// stuck finds the workload when its rollout is.
func (s *space) stuck(workload string) string {
	return fmt.Sprintf(`stability_workload_rollout_stuck{cluster=%q,namespace=%q,workload=%q} == 1`, s.cluster, s.Name, workload)
}

// stillThere returns those of the pods that nobody deletes.
func (s *space) stillThere(pods []corev1.Pod) []corev1.Pod {
	s.T.Helper()
	list, err := s.Client().CoreV1().Pods(s.Name).List(s.T.Context(), metav1.ListOptions{})
	if err != nil {
		s.T.Fatal(err)
	}
	return slices.DeleteFunc(list.Items, func(pod corev1.Pod) bool {
		known := slices.ContainsFunc(pods, func(each corev1.Pod) bool { return each.UID == pod.UID })
		return !known || pod.DeletionTimestamp != nil
	})
}

// terminating names the pods of a workload that are being deleted.
func (s *space) terminating(app string) []string {
	s.T.Helper()
	list, err := s.Client().CoreV1().Pods(s.Name).List(s.T.Context(), metav1.ListOptions{LabelSelector: "app=" + app})
	if err != nil {
		s.T.Fatal(err)
	}
	var names []string
	for _, pod := range list.Items {
		if pod.DeletionTimestamp != nil {
			names = append(names, pod.Name)
		}
	}
	return names
}
