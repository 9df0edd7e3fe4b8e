// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"stability-exporter/test/cluster"
	"stability-exporter/test/exporterproc"
	"stability-exporter/test/sandbox"
)

// ownCluster starts a control plane that only this test breaks, with an exporter that watches all of it, and returns a
// namespace there. Its name is the label cluster of its alerts. It starts before the tests that run beside each other:
// they would be judged by the rules while they wait for the machine.
func ownCluster(t *testing.T, name string) *space {
	t.Helper()
	// Nodes outlive an outage of the API server, as they do with the usual grace period.
	c := cluster.StartForTest(t, cluster.Options{NodeLeaseDuration: 40 * time.Second, NodeMonitorGracePeriod: 50 * time.Second})
	if _, err := c.Nodes(t.Context(), 3, "a", "b", "c"); err != nil {
		t.Fatal(err)
	}
	kubeconfig, err := exporterproc.Grant(t.Context(), c, "exporter-0")
	if err != nil {
		t.Fatal(err)
	}
	watch(t, name, "--kubeconfig="+kubeconfig)
	t.Parallel()
	return &space{sandbox.New(t, c), name}
}

// leaseTime is how long the exporter takes to call a component dead: a lease of 15 s that it looks at every 10 s.
const leaseTime = 45 * time.Second

// deadComponent is the page about a component; what the exporter waits for is not scaled.
func deadComponent(name string, component cluster.Component, how string) incident {
	labels := ofCluster(name).Merge(model.LabelSet{"component": model.LabelValue(component)})
	return incident{string(component) + " " + how, labels, []page{
		{alert: "ComponentDown", severity: "critical", late: unscaled(leaseTime), text: string(component) + ".* not alive.* 20.*lease"},
	}}
}

// unscaled is a time at full length that takes so long in this run.
func unscaled(took time.Duration) time.Duration { return took * time.Duration(shared.scale) }

// Controller manager and scheduler freeze and die. What the pods themselves tell must come through meanwhile: the status
// in the API stands still.
func TestControlPlaneStops(t *testing.T) {
	const name = "control"
	s := ownCluster(t, name)
	behindService(s, "web")
	three(s, "shop")
	s.awaitHealthy("web", "shop")
	// That the controller manager is dead tells of it.
	stale := incident{"", ofCluster(name), []page{{alert: "StatusStale", severity: "warning", late: unscaled(leaseTime), quiet: true}}}
	manager := deadComponent(name, cluster.ControllerManager, "frozen")
	scheduler := deadComponent(name, cluster.Scheduler, "killed")
	down := incident{"total loss while the controller manager is frozen", s.about("workload", "web"), []page{
		{alert: "WorkloadDown", severity: "critical", late: unscaled(leaseTime), text: `none of 3 .*3 readiness_probe`},
	}}
	began := time.Now()
	must(t, s.Cluster.Freeze(cluster.ControllerManager))
	must(t, s.Cluster.Kill(cluster.Scheduler))
	all(cluster.NeverReady)(s, "web")
	for _, i := range []incident{down, manager, scheduler, stale} {
		i.awaitPages(t, began)
	}
	mended := time.Now()
	all("")(s, "web")
	must(t, s.Cluster.Resume(cluster.ControllerManager))
	must(t, s.Cluster.Restart(t.Context(), cluster.Scheduler))
	for _, i := range []incident{down, manager, scheduler, stale} {
		i.awaitResolved(t, mended)
	}
	s.awaitHealthy("web", "shop")
	s.otherWayRound(t)
	shared.falseAlarms(t, ofCluster(name))
}

// otherWayRound kills what was frozen, and freezes what was killed.
func (s *space) otherWayRound(t *testing.T) {
	t.Helper()
	began := time.Now()
	must(t, s.Cluster.Kill(cluster.ControllerManager))
	must(t, s.Cluster.Freeze(cluster.Scheduler))
	deadComponent(s.cluster, cluster.ControllerManager, "killed").awaitPages(t, began)
	deadComponent(s.cluster, cluster.Scheduler, "frozen").awaitPages(t, began)
}

// An API server that freezes and dies itself is told, and nothing else while it is away or when it is back: nodes that
// could not report are not dead, and leases that nobody could renew prove nothing.
func TestAPIServerStops(t *testing.T) {
	const name = "api"
	s := ownCluster(t, name)
	three(s, "web")
	s.awaitHealthy("web")
	silent := incident{"API server frozen", ofCluster(name), []page{apiServerSilent(`since 20\d\d`)}}
	began := time.Now()
	must(t, s.Cluster.Freeze(cluster.APIServer))
	silent.awaitPages(t, began)
	mended := time.Now()
	must(t, s.Cluster.Resume(cluster.APIServer))
	silent.awaitResolved(t, mended)
	// Controller manager and scheduler have lost their leases and begin anew; a second outage in the middle of that would only last longer.
	s.await("the control plane to be back", fmt.Sprintf(
		`count(stability_lease_renewed_timestamp_seconds{cluster=%q} > %d) == 2`, s.cluster, mended.Unix()))
	must(t, s.Cluster.Kill(cluster.APIServer))
	must(t, s.Cluster.Restart(t.Context(), cluster.APIServer))
	all(cluster.NeverReady)(s, "web")
	began = time.Now()
	down := incident{"total loss after the API server was away", s.about("workload", "web"), []page{
		{alert: "WorkloadDown", severity: "critical", text: `none of 3 .*3 readiness_probe`},
	}}
	down.awaitPages(t, began)
	shared.falseAlarms(t, ofCluster(name))
}

// apiServerSilent is the page about an API server that the exporter does not hear of; it is patient for three minutes.
func apiServerSilent(since string) page {
	return page{alert: "APIServerSilent", severity: "critical", late: unscaled(4 * time.Minute), text: `(?i)API server.*` + since + `.*Cause: `}
}

// An API server that answers nobody, that cannot be reached, or that never could be since the exporter began, is told
// once, and not once for each resource.
func TestAPIServerOutOfReach(t *testing.T) {
	s := newSpace(t)
	three(s, "web")
	s.awaitHealthy("web")
	proxies := map[string]*cluster.Proxy{}
	var silences []incident
	for name, identity := range map[string]string{"silent": "exporter-11", "unreachable": "exporter-12", "never reached": "exporter-13"} {
		var kubeconfig string
		proxies[name], kubeconfig = proxied(t, identity)
		since := `since 20\d\d`
		if name == "never reached" {
			proxies[name].Refuse()
			since = ""
		}
		watch(t, name, "--kubeconfig="+kubeconfig, "--namespace="+s.Name, "--no-collector.node")
		silences = append(silences, incident{"API server " + name, ofCluster(name), []page{apiServerSilent(since)}})
		// It follows, and must not be told.
		shared.claims.add(ofCluster(name).Merge(model.LabelSet{"alertname": "StabilityInformerNotSynced"}))
	}
	for _, name := range []string{"silent", "unreachable"} {
		s.awaitSeen(name, "stability_workload_state")
	}
	began := time.Now()
	proxies["silent"].Freeze()
	proxies["unreachable"].Refuse()
	for _, silence := range silences {
		silence.awaitPages(t, began)
		if shared.scale == 1 { // else what follows comes first, for the silence is not scaled
			shared.neverPaged(t, page{alert: "InformerNotSynced", severity: "warning"}, silence.labels)
		}
	}
	mended := time.Now()
	for _, proxy := range proxies {
		must(t, proxy.Resume())
	}
	for _, silence := range silences {
		silence.awaitResolved(t, mended)
		shared.falseAlarms(t, silence.labels)
	}
}

// proxied is a way to the API server that can fail, and a kubeconfig that goes it.
func proxied(t *testing.T, identity string) (*cluster.Proxy, string) {
	t.Helper()
	_, err := exporterproc.Grant(t.Context(), shared.cluster, identity)
	must(t, err)
	proxy, err := cluster.NewProxy(shared.cluster.Server())
	must(t, err)
	t.Cleanup(proxy.Close)
	kubeconfig, err := shared.cluster.KubeconfigVia(proxy, identity)
	must(t, err)
	return proxy, kubeconfig
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
