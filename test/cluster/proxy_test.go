// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// startProxy returns a proxy to the shared API server and a client that goes through it.
func startProxy(t *testing.T) (*Proxy, kubernetes.Interface) {
	t.Helper()
	proxy, err := NewProxy(shared.Server())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Close)
	client, err := kubernetes.NewForConfig(proxy.Config(shared.AdminConfig()))
	if err != nil {
		t.Fatal(err)
	}
	return proxy, client
}

func ping(ctx context.Context, client kubernetes.Interface) error {
	_, err := client.CoreV1().RESTClient().Get().AbsPath("/readyz").DoRaw(ctx)
	return err
}

func TestProxyCutsConnections(t *testing.T) {
	proxy, client := startProxy(t)
	watcher, err := client.CoreV1().Namespaces().Watch(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatalf("cannot watch through the proxy: %v", err)
	}
	defer watcher.Stop()
	proxy.Cut()
	for range watcher.ResultChan() { // ends because the connection is cut
	}
	await(t, "a new connection to serve", func(ctx context.Context) (bool, error) { return ping(ctx, client) == nil, nil })
}

func TestProxyRefuses(t *testing.T) {
	proxy, client := startProxy(t)
	proxy.Refuse()
	if err := ping(t.Context(), client); err == nil {
		t.Error("a refusing proxy serves")
	}
	if err := proxy.Resume(); err != nil {
		t.Fatal(err)
	}
	if err := ping(t.Context(), client); err != nil {
		t.Errorf("after Refuse and Resume: %v", err)
	}
}

func TestProxyFreezes(t *testing.T) {
	proxy, client := startProxy(t)
	proxy.Freeze()
	answered := make(chan error, 1)
	go func() { answered <- ping(t.Context(), client) }()
	await(t, "the frozen proxy to accept", func(context.Context) (bool, error) { return proxy.Connections() > 0, nil })
	select {
	case err := <-answered:
		t.Fatalf("a frozen proxy let an answer through: %v", err)
	default:
	}
	if err := proxy.Resume(); err != nil {
		t.Fatal(err)
	}
	if err := <-answered; err != nil {
		t.Errorf("after Freeze and Resume: %v", err)
	}
}
