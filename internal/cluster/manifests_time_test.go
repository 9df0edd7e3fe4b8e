// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"strings"
	"testing"
	"time"
)

// TestMomentOfADump is the table of the rules by which a dump says when it was taken.
func TestMomentOfADump(t *testing.T) {
	const (
		wall     = "2026-11-20T09:00:00Z"
		modified = "2026-11-10T00:00:00Z"

		node      = `{"kind":"Node","apiVersion":"v1","metadata":{"name":"n","creationTimestamp":"2026-01-01T00:00:00Z"},"status":{"conditions":[{"type":"Ready","lastHeartbeatTime":"2026-11-01T00:00:00Z"}]}}`
		fresh     = `{"kind":"Node","apiVersion":"v1","metadata":{"name":"n","creationTimestamp":"2026-01-01T00:00:00Z"}}`
		lease     = `{"kind":"Lease","apiVersion":"coordination.k8s.io/v1","metadata":{"name":"k8snode04","namespace":"kube-node-lease"},"spec":{"renewTime":"2026-11-02T00:00:00.500000Z"}}`
		event     = `{"kind":"Event","apiVersion":"v1","metadata":{"name":"e"},"eventTime":null,"lastTimestamp":"2026-11-03T00:00:00Z"}`
		newEvent  = `{"kind":"Event","apiVersion":"events.k8s.io/v1","metadata":{"name":"e"},"eventTime":"2026-11-03T00:00:00.000001Z","series":{"count":2,"lastObservedTime":"2026-11-03T01:00:00.000001Z"}}`
		ownEvent  = `{"kind":"Event","apiVersion":"example.com/v1","metadata":{"name":"e"},"lastTimestamp":"2026-11-03T00:00:00Z"}`
		pod       = `{"kind":"Pod","apiVersion":"v1","metadata":{"name":"p","creationTimestamp":"2026-10-01T00:00:00Z"},"status":{"containerStatuses":[{"name":"c","state":{"running":{"startedAt":"2026-11-05T00:00:00Z"}}}]}}`
		deleted   = `{"kind":"Pod","apiVersion":"v1","metadata":{"name":"d","creationTimestamp":"2026-10-01T00:00:00Z","deletionTimestamp":"2026-11-06T00:00:00Z"}}`
		foreign   = `{"kind":"Certificate","apiVersion":"cert-manager.io/v1","metadata":{"name":"c","creationTimestamp":"2026-11-07T00:00:00Z"},"status":{"notAfter":"2026-11-08T00:00:00Z"}}`
		future    = `{"kind":"Pod","apiVersion":"v1","metadata":{"name":"f","creationTimestamp":"2027-01-01T00:00:00Z"}}`
		farNode   = `{"kind":"Node","apiVersion":"v1","metadata":{"name":"n"},"status":{"conditions":[{"type":"Ready","lastHeartbeatTime":"2027-11-01T00:00:00Z"}]}}`
		cronJob   = `{"kind":"CronJob","apiVersion":"batch/v1","metadata":{"name":"c"},"status":{"lastScheduleTime":"2026-11-04T00:00:00Z"}}`
		annotated = `{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a","annotations":{"kubectl.kubernetes.io/restartedAt":"2026-11-09T00:00:00Z"}}}`
	)
	for _, c := range []struct {
		name     string
		objects  []string
		modified string
		want     string
	}{
		{"a heartbeat", []string{node}, modified, "2026-11-01T00:00:00Z"},
		{"the newest of what ticks", []string{lease, node}, modified, "2026-11-02T00:00:00.5Z"},
		{"an event", []string{event, node}, modified, "2026-11-03T00:00:00Z"},
		{"an event of the newer group", []string{newEvent}, modified, "2026-11-03T01:00:00.000001Z"},
		{"an Event of somebody else", []string{ownEvent, node}, modified, "2026-11-01T00:00:00Z"},
		{"newer than what ticks", []string{node, pod}, modified, "2026-11-05T00:00:00Z"},
		{"a time in a status outside conditions", []string{node, cronJob}, modified, "2026-11-04T00:00:00Z"},
		{"deletion timestamps never count", []string{node, deleted}, modified, "2026-11-01T00:00:00Z"},
		{"foreign kinds never count", []string{node, foreign}, modified, "2026-11-01T00:00:00Z"},
		{"annotations never count", []string{node, annotated}, modified, "2026-11-01T00:00:00Z"},
		{"a time ahead of our clock never counts", []string{node, future}, modified, "2026-11-01T00:00:00Z"},
		{"nothing that ticks: the file", []string{pod, deleted}, modified, modified},
		{"a node without a heartbeat does not tick", []string{fresh, pod}, modified, modified},
		{"a heartbeat ahead of our clock does not tick", []string{farNode, pod}, modified, modified},
		{"a file from the future", []string{pod}, "2027-01-01T00:00:00Z", wall},
		{"no file time", []string{pod}, "", wall},
	} {
		t.Run(c.name, func(t *testing.T) {
			clock := newDumpClock(parseTime(t, wall))
			picture := newPicture(&ManifestOptions{}, clock, func(e documentError) { t.Error(e) })
			picture.add("dump", strings.NewReader(strings.Join(c.objects, "\n")))
			if c.modified != "" {
				clock.file(parseTime(t, c.modified))
			}
			if now := clock.now(); !now.Equal(parseTime(t, c.want)) {
				t.Errorf("now is %v, want %v", now.UTC().Format(time.RFC3339Nano), c.want)
			}
		})
	}
}

func parseTime(t *testing.T, s string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}
