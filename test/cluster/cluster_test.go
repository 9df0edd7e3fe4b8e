// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// awaitTimeout is far above what anything awaited takes on an idle machine.
const awaitTimeout = 90 * time.Second

var shared *Cluster

func TestMain(m *testing.M) {
	if dir := os.Getenv(holderEnv); dir != "" {
		os.Exit(holdCluster(dir))
	}
	os.Exit(RunTests(m, Options{Users: []string{"auditor"}}, func(c *Cluster) { shared = c }))
}

// holdCluster is what another process does in TestComponentsEndWithTheirParent; it never ends by itself.
func holdCluster(dir string) int {
	c, err := Start(context.Background(), Options{Dir: filepath.Join(dir, "cluster")})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	var pids []byte
	for _, component := range components() {
		pids = fmt.Appendln(pids, c.PID(component))
	}
	unfinished := filepath.Join(dir, "unfinished")
	if err := errors.Join(os.WriteFile(unfinished, pids, 0o644), os.Rename(unfinished, filepath.Join(dir, "pids"))); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	select {}
}

func mustNodes(t *testing.T, n int, zones ...string) []string {
	t.Helper()
	names, err := shared.Nodes(t.Context(), n, zones...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, name := range names {
			if err := shared.Client().CoreV1().Nodes().Delete(context.Background(), name, metav1.DeleteOptions{}); err != nil {
				t.Errorf("cannot delete node %s: %v", name, err)
			}
		}
	})
	return names
}

func await(t *testing.T, what string, condition func(context.Context) (bool, error)) {
	t.Helper()
	if err := Await(t.Context(), awaitTimeout, what, condition); err != nil {
		t.Fatal(err)
	}
}

// createDeployment runs replicas of one container, changed by change where that is not nil.
func createDeployment(t *testing.T, namespace, name string, replicas int32, change func(*corev1.PodTemplateSpec)) {
	t.Helper()
	labels := map[string]string{"app": name}
	deployment := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas,
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": name}},
				Spec: corev1.PodSpec{
					Containers: []corev1.Container{{Name: "app", Image: "registry.test/app:1.0"}},
				},
			},
		},
	}
	if change != nil {
		change(&deployment.Spec.Template)
	}
	_, err := shared.Client().AppsV1().Deployments(namespace).Create(t.Context(), deployment, metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("cannot create deployment %s: %v", name, err)
	}
}

func awaitAvailable(t *testing.T, namespace, name string, available int32) {
	t.Helper()
	await(t, name+" to have its available replicas", func(ctx context.Context) (bool, error) {
		deployment, err := shared.Client().AppsV1().Deployments(namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return false, nil // the API server may be down
		}
		return deployment.Status.ObservedGeneration >= deployment.Generation &&
			deployment.Status.AvailableReplicas == available, nil
	})
}

func TestDeploymentBecomesAvailable(t *testing.T) {
	mustNodes(t, 3, "a", "b", "c")
	namespace := shared.NewNamespace(t)
	createDeployment(t, namespace, "web", 4, nil)
	awaitAvailable(t, namespace, "web", 4)
}
