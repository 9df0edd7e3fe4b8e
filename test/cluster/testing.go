// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// RunTests is the body of a TestMain whose tests share one cluster: it starts the cluster, hands it to use, runs the
// tests, stops the cluster and returns the exit status. When tests fail it leaves the directory with the logs.
//
//	func TestMain(m *testing.M) {
//		os.Exit(cluster.RunTests(m, cluster.Options{}, func(c *cluster.Cluster) { shared = c }))
//	}
func RunTests(m *testing.M, options Options, use func(*Cluster)) int {
	c, err := Start(context.Background(), options)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer c.Stop()
	use(c)
	code := m.Run()
	if code != 0 {
		c.ownDir = false
		fmt.Fprintf(os.Stderr, "the cluster's logs are in %s\n", c.dir)
	}
	return code
}

// StartForTest starts a cluster that only this test uses and that ends with it.
func StartForTest(tb testing.TB, options Options) *Cluster {
	tb.Helper()
	c, err := Start(tb.Context(), options)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(c.Stop)
	return c
}

// NewNamespace makes a namespace that is deleted after the test, without waiting for what is in it to go.
func (c *Cluster) NewNamespace(tb testing.TB) string {
	tb.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}
	namespace, err := c.client.CoreV1().Namespaces().Create(tb.Context(), namespace, metav1.CreateOptions{})
	if err != nil {
		tb.Fatalf("cannot create a namespace: %v", err)
	}
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := c.client.CoreV1().Namespaces().Delete(ctx, namespace.Name, metav1.DeleteOptions{}); err != nil {
			tb.Errorf("cannot delete namespace %s: %v", namespace.Name, err)
		}
	})
	return namespace.Name
}
