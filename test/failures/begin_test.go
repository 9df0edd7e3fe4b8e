// SPDX-License-Identifier: Apache-2.0

package failures

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"stability-exporter/collectors"
	"stability-exporter/test/cluster"
	"stability-exporter/test/exporterproc"
)

// crowd is the number of pods of one Deployment: more than a page of a list holds.
const crowd = 620

func TestColdStart(t *testing.T) {
	t.Parallel()
	coldStart(t, furnished(t), "exporter-10", "exporter-11")
}

// A server that cannot stream lists makes no difference but that lists come in pages, and need a permission.
func TestServerWithoutStreamingLists(t *testing.T) {
	t.Parallel()
	streaming := start(t, grant(t, furnished(t), "exporter-12"))
	options := shared.options()
	options.ExtraFlags = map[cluster.Component][]string{cluster.APIServer: {"--feature-gates=WatchList=false"}}
	c := cluster.StartForTest(t, options)
	must(t, furnish(t.Context(), c))
	happening := newChanges(t, c)
	must(t, happening.deploy(t.Context(), "crowd", crowd))
	reference := start(t, grant(t, c, "exporter-0"))
	reference.AwaitReady(t)
	reference.Await(t, 2*time.Minute, "every pod of the crowd", func(m exporterproc.Metrics) error {
		return crowdShows(m, happening.namespace)
	})

	// What follows from the world and not from where the scheduler put it.
	families := familiesOf(t, "workload", "restart", "service", "component")
	keep := func(s exporterproc.Sample) bool { return inSteadyWorld(s) && families[s.Name] }
	reference.Await(t, 30*time.Second, "the figures of a server that streams lists", func(m exporterproc.Metrics) error {
		streamed, err := streaming.Scrape(t.Context())
		if err != nil {
			return err
		}
		return pictureOf(m, keep).differs(pictureOf(streamed, keep))
	})
	streaming.Stop(t)

	t.Run("cold start", func(t *testing.T) {
		t.Parallel()
		p := coldStart(t, c, "exporter-1", "exporter-2")
		m, err := p.Scrape(t.Context())
		must(t, err)
		must(t, crowdShows(m, happening.namespace))
	})
	for _, d := range shared.denials {
		if d.verb == "list" {
			t.Run(d.identity(), func(t *testing.T) {
				t.Parallel()
				d.test(t, c, reference, false)
			})
		}
	}
}

// crowdShows counts the crowd by its pods, so that a page that is missing shows.
func crowdShows(m exporterproc.Metrics, namespace string) error {
	labels := []string{"namespace", namespace, "workload", "crowd"}
	if pods := m.Sum("stability_workload_zone_available_replicas", labels...); pods != crowd {
		return fmt.Errorf("%v pods of %d", pods, crowd)
	}
	return m.Expect(crowd, "stability_workload_available_replicas", labels...)
}

// coldStart starts the program while the API server does not answer, lets it answer in small doses, and looks at every
// moment of the start. The returned program is ready.
func coldStart(t *testing.T, c *cluster.Cluster, referenceIdentity, identity string) *exporterproc.Process {
	t.Helper()
	reference := start(t, grant(t, c, referenceIdentity))
	reference.AwaitReady(t)
	awaitSteady(t, reference)
	m, err := reference.Scrape(t.Context())
	must(t, err)
	whole := byCollector(t, m)
	reference.Stop(t)

	kubeconfig, proxy := throughProxy(t, c, identity)
	proxy.Freeze()
	p := start(t, kubeconfig)
	status, body, err := p.Get(t.Context(), "/readyz")
	must(t, err)
	if status != http.StatusServiceUnavailable || !strings.Contains(body, "pods") {
		t.Errorf("/readyz answers %d, %q before anything is known", status, body)
	}
	m, err = p.Scrape(t.Context())
	must(t, err)
	if seen := pictureOf(m, nil); len(seen) > 0 || m.Sum("stability_exporter_informer_synced") != 0 {
		t.Errorf("before anything is known there is %v", seen)
	}
	trickling, stop := context.WithCancel(t.Context())
	defer stop()
	go trickle(trickling, proxy)
	moments := map[string]int{}
	for begun := time.Now(); ; {
		status, _, err := p.Get(t.Context(), "/readyz")
		must(t, err)
		m, err := p.Scrape(t.Context())
		must(t, err)
		there, err := partsOf(t, m, whole)
		if err != nil {
			t.Fatalf("in the middle of the start, after %v: %v", moments, err)
		}
		moments[there]++
		if status == http.StatusOK {
			if want := fmt.Sprintf("%d of %d collectors", len(whole), len(whole)); there != want {
				t.Errorf("ready with %s", there)
			}
			break
		}
		if time.Since(begun) > time.Minute {
			t.Fatalf("not ready after %s: %v", time.Since(begun), moments)
		}
	}
	t.Logf("scrapes until ready: %v", moments)
	return p
}

// trickle makes the network slow: it works for a tenth of the time.
func trickle(ctx context.Context, proxy *cluster.Proxy) {
	const flows, stands = 5 * time.Millisecond, 45 * time.Millisecond
	tick := time.NewTicker(stands)
	defer tick.Stop()
	defer func() { _ = proxy.Resume() }() // it was never refusing
	for {
		proxy.Freeze()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if proxy.Resume() != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(flows):
		}
	}
}

// byCollector splits the picture of the steady world by the collectors that tell it.
func byCollector(t *testing.T, m exporterproc.Metrics) map[string]picture {
	t.Helper()
	specs, err := collectors.All(collectors.Options{})
	must(t, err)
	parts := map[string]picture{}
	for _, spec := range specs {
		if ofCluster(spec) {
			families := familiesOf(t, spec.Name)
			parts[spec.Name] = pictureOf(m, func(s exporterproc.Sample) bool { return inSteadyWorld(s) && families[s.Name] })
		}
	}
	return parts
}

// partsOf tells how many collectors show, each of which must show whole.
func partsOf(t *testing.T, m exporterproc.Metrics, whole map[string]picture) (string, error) {
	t.Helper()
	there := 0
	var partial []error
	for collector, now := range byCollector(t, m) {
		if len(now) == 0 {
			continue
		}
		there++
		if err := now.differs(whole[collector]); err != nil {
			partial = append(partial, fmt.Errorf("collector %s: %w", collector, err))
		}
	}
	return fmt.Sprintf("%d of %d collectors", there, len(whole)), errors.Join(partial...)
}
