// SPDX-License-Identifier: Apache-2.0

package failures

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"stability-exporter/test/cluster"
	"stability-exporter/test/exporterproc"
)

// changes is a namespace in which things happen, and what the program has to say of them.
type changes struct {
	c         *cluster.Cluster
	namespace string
	round     int
	restarts  float64 // of all pods of the Deployment web since the beginning
}

// newChanges returns a namespace with a Deployment web of two replicas.
func newChanges(t *testing.T, c *cluster.Cluster) *changes {
	t.Helper()
	ch := &changes{c: c, namespace: c.NewNamespace(t)}
	must(t, ch.deploy(t.Context(), "web", 2))
	must(t, ch.deploy(t.Context(), ch.passing(), 1))
	must(t, ch.awaitWhole(t.Context()))
	return ch
}

// passing is the name of a Deployment that only this round has.
func (ch *changes) passing() string { return fmt.Sprintf("passing-%d", ch.round) }

func (ch *changes) deploy(ctx context.Context, name string, replicas int32) error {
	labels := map[string]string{"app": name}
	_, err := ch.c.Client().AppsV1().Deployments(ch.namespace).Create(ctx, &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas,
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "registry.test/app:1"}}},
			},
		},
	}, metav1.CreateOptions{})
	return err
}

// happen makes a container restart three times, web grow by a replica, one Deployment vanish and another one appear.
func (ch *changes) happen(ctx context.Context) error {
	if err := restartContainer(ctx, ch.c, ch.namespace, "app=web", 1); err != nil {
		return err
	}
	if err := restartContainer(ctx, ch.c, ch.namespace, "app=web", 2); err != nil {
		return err
	}
	ch.restarts += 3
	deployments := ch.c.Client().AppsV1().Deployments(ch.namespace)
	if err := deployments.Delete(ctx, ch.passing(), metav1.DeleteOptions{}); err != nil {
		return err
	}
	ch.round++
	grow := fmt.Sprintf(`{"spec":{"replicas":%d}}`, 2+ch.round)
	if _, err := deployments.Patch(ctx, "web", types.MergePatchType, []byte(grow), metav1.PatchOptions{}); err != nil {
		return err
	}
	return ch.deploy(ctx, ch.passing(), 1)
}

// awaitWhole waits until the cluster itself has come to rest.
func (ch *changes) awaitWhole(ctx context.Context) error {
	return cluster.Await(ctx, 90*time.Second, "the Deployments to be available", func(ctx context.Context) (bool, error) {
		for name, replicas := range map[string]int32{"web": int32(2 + ch.round), ch.passing(): 1} {
			d, err := ch.c.Client().AppsV1().Deployments(ch.namespace).Get(ctx, name, metav1.GetOptions{})
			if err != nil || d.Status.ObservedGeneration < d.Generation || d.Status.AvailableReplicas != replicas {
				return false, nil
			}
		}
		return true, nil
	})
}

// shown returns an error unless the metrics tell everything that has happened, and tell it once.
func (ch *changes) shown(m exporterproc.Metrics) error {
	gone := ""
	if ch.round > 0 {
		gone = fmt.Sprintf("passing-%d", ch.round-1)
	}
	web := []string{"namespace", ch.namespace, "workload", "web"}
	return errors.Join(
		m.Expect(float64(2+ch.round), "stability_workload_desired_replicas", web...),
		m.Expect(float64(2+ch.round), "stability_workload_available_replicas", web...),
		m.Expect(ch.restarts, "stability_container_restarts_total", web...),
		m.Expect(ch.restarts, "stability_workload_restart_delta", append(web, "window", "15m")...),
		m.Expect(1, "stability_workload_available_replicas", "namespace", ch.namespace, "workload", ch.passing()),
		m.Expect(0, "stability_container_restarts_total", "namespace", ch.namespace, "workload", ch.passing()),
		m.ExpectNone("stability_workload_desired_replicas", "namespace", ch.namespace, "workload", gone),
		m.ExpectNone("stability_container_restarts_total", "namespace", ch.namespace, "workload", gone),
	)
}
