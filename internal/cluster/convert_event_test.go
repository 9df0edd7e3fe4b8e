// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"stability-exporter/internal/state"
)

// Messages as the kubelets of several Kubernetes versions write them.
func TestConvertEvent(t *testing.T) {
	const liveness, readiness, startup = 0, 1, 2
	for _, test := range []struct {
		reason, message string
		want            *state.ProbeEvent // nil: it tells nothing
	}{
		{"Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503", &state.ProbeEvent{ProbeType: readiness}},
		{"Unhealthy", "Liveness probe failed: Get \"http://10.0.0.1:8080/\": context deadline exceeded", &state.ProbeEvent{ProbeType: liveness}},
		{"Unhealthy", "Startup probe failed: ", &state.ProbeEvent{ProbeType: startup}},
		{"Unhealthy", "(combined from similar events): Readiness probe failed: x", &state.ProbeEvent{ProbeType: readiness}},
		{"Unhealthy", "Readiness probe errored and resulted in unknown state: strconv.Atoi: parsing \"htpp\": invalid syntax",
			&state.ProbeEvent{ProbeType: readiness, Outcome: state.ProbeErrored}},
		{"Unhealthy", "Liveness probe errored: exec failed: no such file", &state.ProbeEvent{ProbeType: liveness, Outcome: state.ProbeErrored}},
		{"ProbeWarning", "Readiness probe warning: Probe terminated redirects, Response body: ",
			&state.ProbeEvent{ProbeType: readiness, Outcome: state.ProbeRedirected}},
		{"Unhealthy", "Readiness probe failed: Get \"https://10.0.0.1:8080/\": http: server gave HTTP response to HTTPS client",
			&state.ProbeEvent{ProbeType: readiness, Scheme: true}},
		{"Unhealthy", `Liveness probe failed: Get "http://10.0.0.1:8443/": malformed HTTP response "\x15\x03\x01\x00\x02\x02"`,
			&state.ProbeEvent{ProbeType: liveness, Scheme: true}},
		{"Killing", "Container web failed liveness probe, will be restarted", &state.ProbeEvent{ProbeType: liveness, Outcome: state.ProbeKilled}},
		{"Killing", "Container web failed startup probe, will be restarted", &state.ProbeEvent{ProbeType: startup, Outcome: state.ProbeKilled}},
		{"Killing", "Killing container with id docker://web:Container failed liveness probe.. Container will be killed and recreated.",
			&state.ProbeEvent{ProbeType: liveness, Outcome: state.ProbeKilled}},
		{"Unhealthy", "Liveness probe errored: rpc error: code = NotFound desc = task not found", nil},
		{"Unhealthy", "Readiness probe errored and resulted in unknown state: container not running (abc)", nil},
		{"Killing", "Stopping container web", nil},
		{"BackOff", "Readiness probe failed: x", nil},
		{"Unhealthy", "readiness probe failed", nil},
		{"Unhealthy", "Readiness probe succeeded", nil},
		{"Unhealthy", "Custom probe failed: x", nil},
		{"Unhealthy", "", nil},
	} {
		event := decode[corev1.Event](t, `{`+head+`, "involvedObject": {"kind": "Pod", "uid": "p", "fieldPath": "spec.containers{web}"},
		 "lastTimestamp": "2026-01-02T03:00:00Z"}`)
		event.Reason, event.Message = test.reason, test.message
		if test.want != nil {
			test.want.Meta, test.want.Pod, test.want.Container = named("web"), state.ParseUID("p"), state.Sym("web")
			test.want.Last = clock("03:00:00")
		}
		compare(t, convertEvent(event, convertOptions{}), test.want)
		if got := kindOf(state.Events).Convert(event, convertOptions{}); (got == nil) != (test.want == nil) {
			t.Errorf("%s: %s becomes %v", test.reason, test.message, got)
		}
	}
}

func TestConvertEventOfContainer(t *testing.T) {
	for reference, want := range map[string]string{
		`"kind": "Pod", "fieldPath": "spec.containers{web}"`:          "web",
		`"kind": "Pod", "fieldPath": "spec.initContainers{mesh}"`:     "mesh",
		`"kind": "Pod", "fieldPath": "spec.ephemeralContainers{dbg}"`: "",
		`"kind": "Pod", "fieldPath": "spec.containers"`:               "",
		`"kind": "Pod"`: "",
		`"kind": "Node", "fieldPath": "spec.containers{web}"`: "",
	} {
		event := decode[corev1.Event](t, `{"involvedObject": {`+reference+`}, "reason": "Unhealthy", "message": "Liveness probe failed: x"}`)
		got := ""
		if e := convertEvent(event, convertOptions{}); e != nil {
			got = e.Container.String()
		}
		if got != want {
			t.Errorf("%s: container %q, want %q", reference, got, want)
		}
	}
}

func TestLastSeenOfEvent(t *testing.T) {
	for times, want := range map[string]state.Time{
		`"lastTimestamp": "2026-01-02T03:00:00Z", "firstTimestamp": "2026-01-02T01:00:00Z"`:                         clock("03:00:00"),
		`"eventTime": "2026-01-02T03:00:00.500000Z"`:                                                                clock("03:00:00"),
		`"eventTime": "2026-01-02T03:00:00.500000Z", "series": {"lastObservedTime": "2026-01-02T04:00:00.500000Z"}`: clock("04:00:00"),
		`"firstTimestamp": "2026-01-02T02:00:00Z"`:                                                                  clock("02:00:00"),
		`"metadata": {"creationTimestamp": "2026-01-02T02:00:00Z"}`:                                                 clock("02:00:00"),
		`"lastTimestamp": null, "eventTime": null, "series": null`:                                                  0,
		`"lastTimestamp": "9999-01-02T02:00:00Z", "eventTime": null`:                                                maxTime,
	} {
		if got := lastSeen(decode[corev1.Event](t, `{`+times+`}`)); got != want {
			t.Errorf("%s: last seen at %d, want %d", times, got, want)
		}
	}
}

func TestManifestsReadEventsOfBothGroups(t *testing.T) {
	const core = `{"kind": "Event", "apiVersion": "v1", "metadata": {"name": "e", "namespace": "shop"}, "reason": "Unhealthy",
	 "involvedObject": {"kind": "Pod", "uid": "p", "fieldPath": "spec.containers{web}"}, "message": "Liveness probe failed: x", "lastTimestamp": "2026-11-03T00:00:00Z"}`
	const newer = `{"kind": "Event", "apiVersion": "events.k8s.io/v1", "metadata": {"name": "e", "namespace": "shop"}, "reason": "Unhealthy",
	 "regarding": {"kind": "Pod", "uid": "p", "fieldPath": "spec.containers{web}"}, "note": "Liveness probe failed: x", "deprecatedLastTimestamp": "2026-11-03T00:00:00Z"}`
	want := readText(t, ManifestOptions{}, core).list(state.Events)
	if len(want) != 1 || want[0].(*state.ProbeEvent).Last == 0 {
		t.Fatalf("the core group gives %+v", want)
	}
	compare(t, readText(t, ManifestOptions{}, newer).list(state.Events), want)
	compare(t, readText(t, ManifestOptions{}, newer, core).list(state.Events), want)
	silent := readText(t, ManifestOptions{}, `{"kind": "Event", "apiVersion": "v1", "metadata": {"name": "e"}, "reason": "Pulled"}`,
		`{"kind": "Widget", "apiVersion": "events.k8s.io/v1", "metadata": {"name": "w"}}`)
	if len(silent.objects) != 0 || seenKinds(silent.picture) != "events" || silent.foreign != 1 {
		t.Errorf("%v, kinds %s, %d foreign", silent.objects, seenKinds(silent.picture), silent.foreign)
	}
}

// probeEvent is an event n of the pod that was last seen so long ago.
func probeEvent(n int, age time.Duration) *corev1.Event {
	e := &corev1.Event{
		InvolvedObject: corev1.ObjectReference{Kind: "Pod", UID: types.UID(fmt.Sprint("pod-", n)), FieldPath: "spec.containers{web}"},
		Reason:         "Unhealthy", Message: "Readiness probe failed: HTTP probe failed with statuscode: 503",
	}
	e.Namespace, e.Name, e.UID = "shop", fmt.Sprintf("web-%d.17d3b1c2a3f4e5d6", n), types.UID(fmt.Sprint("event-", n))
	e.ResourceVersion = fmt.Sprint(n + 1)
	e.LastTimestamp.Time = time.Now().Add(-age)
	return e
}

func TestRecentEvents(t *testing.T) {
	at := func(n int, last state.Time) *state.ProbeEvent {
		return &state.ProbeEvent{Meta: state.Meta{UID: state.UID{byte(n)}}, Last: last}
	}
	r := newRecentEvents()
	r.limit = 2
	r.replace([]state.Object{at(1, 30), at(2, 10)})
	r.keep(at(2, 40)) // heard of again, so the other one is older now
	if surplus := r.keep(at(3, 50)); surplus == nil || surplus.UID != (state.UID{1}) {
		t.Errorf("%+v had to go; want the one that was silent for longest", surplus)
	}
	if r.forget(state.UID{1}) != nil || r.forget(state.UID{2}) == nil || r.order.Len() != 1 || len(r.places) != 1 {
		t.Errorf("%d and %d are left", r.order.Len(), len(r.places))
	}

	const now = state.Time(1_000_000)
	fresh, old := at(4, now.Add(-time.Minute)), at(5, now.Add(-time.Hour))
	if r.takes(old, now) || !r.takes(fresh, now) || !r.takes(fresh, now) || r.takes(fresh, now) {
		t.Error("want recent ones, up to the limit")
	}
}

func BenchmarkConvertEvent(b *testing.B) {
	e := probeEvent(1, 0)
	b.ReportAllocs()
	for b.Loop() {
		convertEvent(e, convertOptions{})
	}
}

// BenchmarkKeptEvents measures what one kept event costs in memory, by the bytes of the operation.
func BenchmarkKeptEvents(b *testing.B) {
	store := state.NewStore(state.Options{})
	s := &sink{kind: kindOf(state.Events), scope: state.Scope{Kind: state.Events}, store: store, events: newRecentEvents()}
	s.events.limit = b.N
	b.ReportAllocs()
	for n := range b.N {
		if err := s.Add(probeEvent(n, 0)); err != nil {
			b.Fatal(err)
		}
	}
}
