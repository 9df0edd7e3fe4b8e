// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"stability-exporter/internal/state"
)

var onlyOnRequest = state.KindSet(state.ConfigMaps, state.Events)

// What was not granted is not asked for, whatever the collectors would read.
func TestLiveReadsConfigMapsAndEventsOnRequestOnly(t *testing.T) {
	const selector = " involvedObject.kind=Pod,reason!=Scheduled,reason!=Pulling,reason!=Pulled,reason!=Created,reason!=Started,reason!=BackOff,reason!=FailedScheduling"
	for name, test := range map[string]struct {
		options LiveOptions
		want    []string
	}{
		"nothing granted":  {LiveOptions{Kinds: onlyOnRequest}, nil},
		"nothing wanted":   {LiveOptions{Events: true, ConfigMapNamespaces: []string{"shop"}}, nil},
		"all is excluded":  {LiveOptions{Kinds: onlyOnRequest, ConfigMapNamespaces: []string{"x"}, ExcludeNamespaces: []string{"x"}}, nil},
		"not among others": {LiveOptions{Kinds: onlyOnRequest, ConfigMapNamespaces: []string{"x"}, Namespaces: []string{"y"}}, nil},
		"both": {LiveOptions{Kinds: onlyOnRequest, Events: true, ConfigMapNamespaces: []string{"b", "a", "b"}},
			[]string{"/api/v1/events" + selector, "/api/v1/namespaces/a/configmaps ", "/api/v1/namespaces/b/configmaps "}},
		"some namespaces": {LiveOptions{Kinds: onlyOnRequest, Events: true, ConfigMapNamespaces: []string{"a", "b", "c"}, Namespaces: []string{"a", "b"},
			ExcludeNamespaces: []string{"b"}}, []string{"/api/v1/namespaces/a/configmaps ", "/api/v1/namespaces/a/events" + selector}},
	} {
		t.Run(name, func(t *testing.T) {
			api := newFakeAPI(t)
			api.on("nodes", func(c *call) { c.stream(nodeBookmark("5", true)); c.hold() })
			api.on("configmaps", func(c *call) { c.stream(bookmark(&corev1.ConfigMap{}, "5", true)); c.hold() })
			api.on("events", func(c *call) { c.stream(bookmark(&corev1.Event{}, "5", true)); c.hold() })
			test.options.Kinds |= state.KindSet(state.Nodes)
			o := observe(t, api, test.options, nil)
			o.await("all are watched", func() bool { return len(api.seen()) == len(test.want)+1 && o.is(state.Nodes, state.Synced)() })
			var got []string
			for _, c := range api.seen() {
				if c.resource != "nodes" {
					got = append(got, c.path+" "+c.query.Get("fieldSelector"))
				}
			}
			slices.Sort(got)
			compare(t, got, test.want)
			for _, k := range onlyOnRequest.All() {
				if asked := strings.Contains(strings.Join(test.want, " "), "/"+k.String()+" "); !asked && test.options.Kinds.Has(k) && !o.is(k, state.NotObserved)() {
					t.Errorf("%s are not settled", k)
				}
			}
		})
	}
	if _, err := newLive(LiveOptions{ConfigMapNamespaces: []string{"a/b"}}, connection{}); err == nil {
		t.Error("a namespace that is none was accepted")
	}
}

// seesEvent reports whether the store holds the event n in its present version.
func (o *observed) seesEvent(n int) bool {
	e := probeEvent(n, 0)
	return o.store.Held(state.Events, state.ParseUID(string(e.UID)), resourceVersion(e)) != nil
}

func TestLiveKeepsEventsOfProbesAlone(t *testing.T) {
	for name, streams := range map[string]bool{"streamed list": true, "paged list": false} {
		t.Run(name, func(t *testing.T) {
			silent := probeEvent(2, 0)
			silent.Reason = "Preempted"
			changed := probeEvent(4, 0)
			api := newFakeAPI(t)
			more := make(chan struct{})
			api.on("events", func(c *call) {
				switch {
				case c.streamsList() && !streams:
					c.refuseStreaming()
					return
				case c.streamsList():
					c.stream(added(probeEvent(1, 0)), added(silent), added(probeEvent(3, time.Hour)), added(changed), bookmark(&corev1.Event{}, "5", true))
				case !c.watches():
					c.list("5", "", probeEvent(1, 0), silent, probeEvent(3, time.Hour), changed)
					return
				}
				<-more
				ended := silent.DeepCopy()
				ended.UID = changed.UID
				c.stream(added(probeEvent(5, 0)), deleted(probeEvent(1, 0)), deleted(silent), modified(ended))
				c.hold()
			})
			o := observe(t, api, LiveOptions{Kinds: state.KindSet(state.Events), Events: true}, nil)
			o.await("the list is there", func() bool { return o.is(state.Events, state.Synced)() && o.seesEvent(1) && o.seesEvent(4) })
			if o.seesEvent(2) || o.seesEvent(3) {
				t.Error("an event that tells nothing of a probe, or of one long ago, was kept")
			}
			close(more)
			o.await("the changes are there", func() bool { return o.seesEvent(5) && !o.seesEvent(1) && !o.seesEvent(4) })
			if got := o.stats(state.Events); got.WatchErrors != 0 {
				t.Errorf("%+v, logged %q", got, o.journal.all())
			}
		})
	}
}

func TestLiveBoundsEvents(t *testing.T) {
	store := state.NewStore(state.Options{})
	s := &sink{kind: kindOf(state.Events), scope: state.Scope{Kind: state.Events}, store: store, events: newRecentEvents()}
	s.events.limit = 3
	o := &observed{store: store}
	for n := range 5 {
		if err := s.Add(probeEvent(n, 0)); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 5 {
		if got, want := o.seesEvent(n), n >= 2; got != want {
			t.Errorf("event %d is kept: %v", n, got)
		}
	}
}
