// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/go-kit/log"

	"stability-exporter/collectors"
	"stability-exporter/internal/middleware"
	"stability-exporter/internal/state"
)

// incident is something that happens to a server or a group of them, as exporters find it out, and what people are told of it.
type incident struct {
	name      string
	kind      string
	members   []string // none: the server stands alone
	exporters int
	// look tells what an exporter finds at a member, so long after the trouble began; before and after it that is negative.
	look func(v *state.MiddlewareView, exporter int, member string, after time.Duration)
	// stuck exporters ask no more and show what they found last, those that are gone do not answer; nil: never.
	stuck, gone func(exporter int, after time.Duration) bool
	lasts       time.Duration
	fires       []alarm
}

const subject = "erp" // the name of the target or group

// For all of an incident one page, or one warning, that names what it comes from.
func TestMiddlewareIncidents(t *testing.T) {
	for _, i := range slices.Concat(outages(), outagesOfReplicas(), lesserIncidents(), deceptions()) {
		t.Run(i.name, func(t *testing.T) {
			t.Parallel()
			w := i.play(t)
			for _, complaint := range (pain{Fires: i.fires}).judge(w) {
				t.Error(complaint)
			}
			if t.Failed() {
				t.Log(w.log())
			}
		})
	}
}

// A test that cannot fail is none.
func TestMiddlewareIncidentsCanFail(t *testing.T) {
	i := outages()[0]
	w := i.play(t)
	for name, fires := range map[string][]alarm{
		"nothing":        nil,
		"something else": {{Alert: "StabilityMiddlewareBlind", Severity: "warning", Within: time.Hour}},
		"sooner":         {{Alert: "StabilityMiddlewareDown", Severity: "critical", Within: time.Minute}},
	} {
		if len((pain{Fires: fires}).judge(w)) == 0 {
			t.Errorf("passes with %s", name)
		}
	}
}

func (i incident) play(t *testing.T) *world {
	begin := time.Date(2026, time.March, 2, 9, 0, 0, 0, time.UTC)
	w := &world{t: t, began: begin, now: begin, prometheus: newPrometheus(t), inhibited: inhibitions(t)}
	const before, afterwards = 40 * time.Minute, 20 * time.Minute
	shown := make([][]byte, max(1, i.exporters))
	for w.now.Before(begin.Add(before + i.lasts + afterwards)) {
		w.now = w.now.Add(interval)
		after := w.now.Sub(begin) - before
		if after == 0 {
			w.trouble()
		}
		for n := range shown {
			if shown[n] == nil || i.stuck == nil || !i.stuck(n, after) {
				shown[n] = i.metrics(t, n, after, w.now)
			}
			if i.gone != nil && i.gone(n, after) {
				shown[n] = nil
			}
			w.prometheus.scrape(w.now, strconv.Itoa(n), shown[n])
		}
		w.observe()
	}
	return w
}

// metrics is what an exporter answers.
func (i incident) metrics(t *testing.T, exporter int, after time.Duration, now time.Time) []byte {
	kinds := middleware.Kinds()
	kind := kinds[slices.IndexFunc(kinds, func(k middleware.Kind) bool { return k.Name == i.kind })]
	if after >= i.lasts {
		after = -1
	}
	var targets []*middleware.Target
	var views []*state.MiddlewareView
	for _, member := range append(i.members, "")[:max(1, len(i.members))] {
		target := &middleware.Target{Kind: &kind, Name: subject}
		if member != "" {
			target.Group, target.Name = subject, subject+"/"+member
		}
		view := &state.MiddlewareView{Kind: i.kind, Target: target.Name, Group: target.Group, ProbedAt: state.At(now), Up: true}
		i.look(view, exporter, member, after)
		targets, views = append(targets, target), append(views, view)
	}
	if len(i.members) > 0 {
		views = append(views, middleware.Group(targets, views))
	}
	spec := collectors.Middleware()
	emitter := collectors.NewEmitter(spec.Families)
	if err := spec.New(log.NewNopLogger()).Collect(&state.Snapshot{Middleware: views}, emitter); err != nil {
		t.Fatal(err)
	}
	if err := emitter.Err(); err != nil {
		t.Fatal(err)
	}
	return emitter.AppendTo(nil)
}
