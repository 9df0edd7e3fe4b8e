// SPDX-License-Identifier: Apache-2.0

package failures

import (
	"net"
	"testing"
	"time"

	"stability-exporter/test/exporterproc"
)

// Two programs that watch the same cluster side by side tell the same, whichever of them is asked.
func TestPairAgrees(t *testing.T) {
	t.Parallel()
	c := furnished(t)
	happening := newChanges(t, c)
	first, second := start(t, grant(t, c, "exporter-14")), start(t, grant(t, c, "exporter-15"))
	for _, p := range []*exporterproc.Process{first, second} {
		p.AwaitReady(t)
	}
	for range 2 {
		must(t, happening.happen(t.Context()))
	}
	must(t, happening.awaitWhole(t.Context()))
	first.Await(t, recoveryLimit, "the changes to show", happening.shown)
	keep := func(s exporterproc.Sample) bool {
		return inSteadyWorld(s) || s.Labels["namespace"] == happening.namespace
	}
	second.Await(t, 30*time.Second, "what the first one tells", func(m exporterproc.Metrics) error {
		other, err := first.Scrape(t.Context())
		if err != nil {
			return err
		}
		for _, family := range []string{"stability_workload_last_restart_timestamp_seconds", "stability_node_ready_transition_timestamp_seconds"} {
			for _, s := range other.Select(family) {
				if err := expectSame(m, s, keep); err != nil {
					return err
				}
			}
		}
		return pictureOf(m, keep).differs(pictureOf(other, keep))
	})
	first.Stop(t)
	m, err := second.Scrape(t.Context())
	must(t, err)
	must(t, happening.shown(m))
	second.Stop(t)
}

// expectSame returns an error unless the metrics hold the sample with its very value.
func expectSame(m exporterproc.Metrics, s exporterproc.Sample, keep func(exporterproc.Sample) bool) error {
	if !keep(s) {
		return nil
	}
	var labels []string
	for name, value := range s.Labels {
		labels = append(labels, name, value)
	}
	return m.Expect(s.Value, s.Name, labels...)
}

// A program that is told to end does so in order, also while nothing that it waits for will ever come.
func TestEndsWhileTheNetworkIsSilent(t *testing.T) {
	t.Parallel()
	c := furnished(t)
	kubeconfig, proxy := throughProxy(t, c, "exporter-16")
	for _, synchronised := range []bool{true, false} {
		must(t, proxy.Resume())
		if !synchronised {
			proxy.Freeze()
		}
		p := start(t, kubeconfig)
		if synchronised {
			p.AwaitReady(t)
			proxy.Freeze()
		}
		begun := time.Now()
		p.Stop(t)
		if took := time.Since(begun); took > 10*time.Second {
			t.Errorf("it took %s to end, synchronised %t", took, synchronised)
		}
		if logged(p, "level=info", "msg=stopped") != 1 || logged(p, "level=error") != 0 {
			t.Errorf("it did not end in order, synchronised %t", synchronised)
		}
		if connection, err := net.DialTimeout("tcp", p.Addr(), time.Second); err == nil {
			_ = connection.Close()
			t.Error("something still listens")
		}
	}
}
