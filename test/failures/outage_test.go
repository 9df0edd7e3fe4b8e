// SPDX-License-Identifier: Apache-2.0

package failures

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"stability-exporter/test/cluster"
	"stability-exporter/test/exporterproc"
)

// recoveryLimit is the longest pause between two attempts to reach the API server, nine seconds, and what a busy machine
// takes.
const recoveryLimit = 20 * time.Second

// outage is a way to lose the API server and to get it back.
type outage struct {
	name string
	// lose and regain need not be in effect at once when they return.
	lose, regain func(context.Context) error
	lasts        time.Duration
	// serves says that the API server goes on for others, so that things happen meanwhile.
	serves bool
	// resumes says that the watches go on where they were: nothing need be listed anew.
	resumes bool
	// mayDiffer is true of what else the outage changes; nil for nothing.
	mayDiffer func(exporterproc.Sample) bool
}

func outages(c *cluster.Cluster, proxy *cluster.Proxy) []outage {
	ofProxy := func(action func()) func(context.Context) error {
		return func(context.Context) error { action(); return nil }
	}
	resume := func(context.Context) error { return proxy.Resume() }
	return []outage{{
		name: "killed and restarted", lasts: 2 * time.Second, mayDiffer: ofControlPlane,
		lose:   func(context.Context) error { return c.Kill(cluster.APIServer) },
		regain: func(ctx context.Context) error { return c.Restart(ctx, cluster.APIServer) },
	}, {
		name: "frozen", lasts: 6 * time.Second, mayDiffer: ofControlPlane, resumes: true,
		lose:   func(context.Context) error { return c.Freeze(cluster.APIServer) },
		regain: func(context.Context) error { return c.Resume(cluster.APIServer) },
	}, {
		name: "connections cut", serves: true, resumes: true, lose: ofProxy(proxy.Cut), regain: ofProxy(proxy.Cut),
	}, {
		name: "connections refused", lasts: 4 * time.Second, serves: true, resumes: true, lose: ofProxy(proxy.Refuse), regain: resume,
	}, {
		name: "network silent", lasts: 12 * time.Second, serves: true, resumes: true, lose: ofProxy(proxy.Freeze), regain: resume,
	}}
}

func TestOutageOfTheAPIServer(t *testing.T) {
	c := furnished(t)
	kubeconfig, proxy := throughProxy(t, c, "exporter-1")
	happening := newChanges(t, c)
	p := start(t, kubeconfig)
	p.AwaitReady(t)
	before := awaitSteady(t, p)
	for _, o := range outages(c, proxy) {
		t.Run(strings.ReplaceAll(o.name, " ", "-"), func(t *testing.T) {
			defer witnessed(t, p, wholeLike(before, o.mayDiffer))()
			lists := relists(t, p)
			must(t, o.lose(t.Context()))
			silence := heard(t, p)
			if o.serves {
				must(t, happening.happen(t.Context()))
			}
			pass(t, o.lasts)
			if o.lasts > 0 && o.serves {
				o.isTold(t, p, silence)
			}
			must(t, o.regain(t.Context()))
			if !o.serves {
				must(t, happening.happen(t.Context()))
			}
			must(t, happening.awaitWhole(t.Context()))
			whole := time.Now()
			p.Await(t, recoveryLimit, "the changes to show", happening.shown)
			t.Logf("everything shows %s after it happened", time.Since(whole).Round(time.Millisecond))
			pass(t, time.Second) // nothing may be counted a second time
			p.Await(t, recoveryLimit, "nothing to change", happening.shown)
			if now := relists(t, p); o.resumes && now != lists {
				t.Errorf("%v resources were listed anew, although their history was known", now-lists)
			}
		})
	}
	awaitHealed(t, p, before)
	p.Stop(t)
}

// isTold checks that an outage shows, though nothing is withdrawn: silence is what was last heard of each resource when
// it began.
func (o *outage) isTold(t *testing.T, p *exporterproc.Process, silence map[string]float64) {
	t.Helper()
	now := heard(t, p)
	for resource, at := range silence {
		if now[resource] > at+1 { // what was on its way may still have come
			t.Errorf("%s was heard of %v seconds into the outage", resource, now[resource]-at)
		}
	}
	m, err := p.Scrape(t.Context())
	must(t, err)
	if m.Sum("stability_exporter_informer_synced") != float64(len(silence)) {
		t.Error("a resource counts as not synchronised because of a short outage")
	}
	if o.name != "connections refused" {
		return // a silent network is noticed later: it might be that nothing happens
	}
	if m.Sum("stability_exporter_watch_errors_total", "resource", "pods") == 0 {
		t.Error("no error of the watch of pods is counted")
	}
	if logged(p, "level=warn", "cannot observe resource, keeping what is known", "resource=pods") == 0 {
		t.Error("the outage is not in the log")
	}
}

// heard returns when each resource was last heard of.
func heard(t *testing.T, p *exporterproc.Process) map[string]float64 {
	t.Helper()
	m, err := p.Scrape(t.Context())
	must(t, err)
	at := map[string]float64{}
	for _, sample := range m.Select("stability_exporter_informer_last_event_timestamp_seconds") {
		at[sample.Labels["resource"]] = sample.Value
	}
	return at
}

func relists(t *testing.T, p *exporterproc.Process) float64 {
	t.Helper()
	m, err := p.Scrape(t.Context())
	must(t, err)
	return m.Sum("stability_exporter_relists_total")
}

// logged counts the lines of the log that hold all the words.
func logged(p *exporterproc.Process, words ...string) int {
	n := 0
	for line := range strings.Lines(p.Log()) {
		holds := true
		for _, word := range words {
			holds = holds && strings.Contains(line, word)
		}
		if holds {
			n++
		}
	}
	return n
}

// awaitHealed waits until the picture is what it was; a controller manager that lost its lease takes a while.
func awaitHealed(t *testing.T, p *exporterproc.Process, before picture) {
	t.Helper()
	p.Await(t, time.Minute, "the picture to be what it was", func(m exporterproc.Metrics) error {
		return pictureOf(m, inSteadyWorld).differs(before)
	})
}

// The API server forgets what happened while the program could not reach it, so that it has to list everything anew.
func TestExpiredHistory(t *testing.T) {
	c := furnished(t)
	kubeconfig, proxy := throughProxy(t, c, "exporter-2")
	happening := newChanges(t, c)
	p := start(t, kubeconfig)
	p.AwaitReady(t)
	before := awaitSteady(t, p)
	p.Await(t, recoveryLimit, "the namespace to show", happening.shown)
	end := witnessed(t, p, wholeLike(before, ofControlPlane))
	lists := relists(t, p)

	proxy.Refuse()
	for range 3 {
		must(t, happening.happen(t.Context()))
	}
	must(t, happening.awaitWhole(t.Context()))
	must(t, c.ForgetHistory(t.Context()))
	must(t, happening.happen(t.Context()))
	must(t, proxy.Resume())
	must(t, happening.awaitWhole(t.Context()))
	whole := time.Now()
	p.Await(t, recoveryLimit, "the changes to show", happening.shown)
	t.Logf("everything shows %s after it happened", time.Since(whole).Round(time.Millisecond))

	if now := relists(t, p); now == lists {
		t.Error("nothing was listed anew")
	}
	must(t, happening.happen(t.Context()))
	must(t, happening.awaitWhole(t.Context()))
	p.Await(t, recoveryLimit, "later changes to show", happening.shown)
	m, err := p.Scrape(t.Context())
	must(t, err)
	for round := range happening.round {
		must(t, m.ExpectNone("stability_workload_state", "namespace", happening.namespace, "workload", fmt.Sprintf("passing-%d", round)))
	}
	end()
	awaitHealed(t, p, before)
	p.Stop(t)
}
