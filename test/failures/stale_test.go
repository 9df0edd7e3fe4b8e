// SPDX-License-Identifier: Apache-2.0

package failures

import (
	"context"
	"errors"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"stability-exporter/test/cluster"
	"stability-exporter/test/exporterproc"
)

const (
	leaseDuration = 15 * time.Second // of the controller manager's leader election
	leasePoll     = 10 * time.Second
	// staleLimit is when a lease that is not renewed has to show: last seen to be renewed at the poll after the freeze, then
	// stale at the first poll that is more than a duration and a poll later.
	staleLimit = leasePoll + (leaseDuration + leasePoll) + leasePoll + 10*time.Second
)

// A controller manager that does nothing writes no status: what the pods say themselves must come through.
func TestFrozenControllerManager(t *testing.T) {
	c := furnished(t)
	happening := newChanges(t, c)
	p := start(t, grant(t, c, "exporter-13"))
	p.AwaitReady(t)
	before := awaitSteady(t, p)
	p.Await(t, recoveryLimit, "a live controller manager", func(m exporterproc.Metrics) error {
		return errors.Join(controllerManagerLives(m, 1), happening.shown(m))
	})
	end := witnessed(t, p, wholeLike(before, ofControlPlane))

	must(t, c.Freeze(cluster.ControllerManager))
	frozen := time.Now()
	must(t, behave(t.Context(), c, happening.namespace, `"never-ready"`))
	p.Await(t, staleLimit, "a stale status", func(m exporterproc.Metrics) error { return controllerManagerLives(m, 0) })
	t.Logf("the status is stale after %s", time.Since(frozen).Round(time.Millisecond))
	if early := time.Since(frozen); early < leaseDuration {
		t.Errorf("the status is stale after %s, before the lease has run out", early)
	}
	web := []string{"namespace", happening.namespace, "workload", "web"}
	p.Await(t, recoveryLimit, "the damage that only the pods tell", func(m exporterproc.Metrics) error {
		return errors.Join(
			m.Expect(1, "stability_workload_available_replicas", web...),
			m.Expect(0.5, "stability_workload_available_ratio", web...),
			m.Expect(1, "stability_workload_state", append(web, "state", "degraded")...),
			m.Expect(1, "stability_component_up", "component", "kube-scheduler"),
		)
	})

	must(t, behave(t.Context(), c, happening.namespace, "null"))
	p.Await(t, recoveryLimit, "the pod to be well again", happening.shown)
	must(t, c.Resume(cluster.ControllerManager))
	p.Await(t, time.Minute, "a live controller manager", func(m exporterproc.Metrics) error { return controllerManagerLives(m, 1) })
	end()
	must(t, happening.happen(t.Context()))
	must(t, happening.awaitWhole(t.Context()))
	p.Await(t, recoveryLimit, "changes to show", happening.shown)
	awaitHealed(t, p, before)
	p.Stop(t)
}

// controllerManagerLives returns an error unless the metrics say that it does (1) or does not (0).
func controllerManagerLives(m exporterproc.Metrics, lives float64) error {
	return errors.Join(
		m.Expect(lives, "stability_component_up", "component", "kube-controller-manager"),
		m.Expect(1-lives, "stability_status_stale", "resource", "deployments"),
		m.Expect(1-lives, "stability_status_stale", "resource", "nodes"),
	)
}

// behave changes how one pod of web behaves: a JSON string, or null for well.
func behave(ctx context.Context, c *cluster.Cluster, namespace, behaviour string) error {
	pods := c.Client().CoreV1().Pods(namespace)
	list, err := pods.List(ctx, metav1.ListOptions{LabelSelector: "app=web"})
	if err != nil {
		return err
	}
	patch := `{"metadata":{"labels":{"` + cluster.BehaviourLabel + `":` + behaviour + `}}}`
	_, err = pods.Patch(ctx, list.Items[0].Name, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	return err
}
