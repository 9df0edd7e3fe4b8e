// SPDX-License-Identifier: Apache-2.0

package exporter

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"

	"stability-exporter/internal/cluster"
	"stability-exporter/internal/discovery"
	"stability-exporter/internal/middleware"
	"stability-exporter/internal/state"
)

// aCacheDump holds a StatefulSet of two with its headless Service, and a Service whose endpoints somebody wrote by hand.
const aCacheDump = `
apiVersion: v1
kind: Service
metadata: {name: cache, namespace: shop, uid: s1, labels: {app.kubernetes.io/name: redis}}
spec: {clusterIP: None, selector: {app: redis}, ports: [{name: tcp-redis, port: 6379, targetPort: redis}]}
---
apiVersion: v1
kind: Service
metadata: {name: trap, namespace: shop, uid: s2, annotations: {stability-exporter/probe: redis}}
spec: {ports: [{name: redis, port: 6379}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: trap-1, namespace: shop, uid: e1, labels: {kubernetes.io/service-name: trap, endpointslice.kubernetes.io/managed-by: endpointslice-controller.k8s.io}}
addressType: IPv4
ports: [{name: redis, port: 6379}]
endpoints: [{addresses: [192.0.2.66], targetRef: {kind: Pod, name: redis-0, namespace: shop, uid: p0}}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: cache-1, namespace: shop, uid: e2, labels: {kubernetes.io/service-name: cache}}
addressType: IPv4
ports: [{name: tcp-redis, port: 6379}]
endpoints: [{addresses: [192.0.2.77]}]
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: redis, namespace: shop, uid: w1}
spec:
  replicas: 2
  selector: {matchLabels: {app: redis}}
  template:
    metadata: {labels: {app: redis}}
    spec: {containers: [{name: redis, image: "registry.example/bitnami/redis:7.2", ports: [{name: redis, containerPort: 6380}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: redis-0, namespace: shop, uid: p0, labels: {app: redis}, ownerReferences: [
  {apiVersion: apps/v1, kind: StatefulSet, name: redis, uid: w1, controller: true}]}
spec: {containers: [{name: redis, image: redis}]}
status: {phase: Running, podIP: 10.0.0.5}
`

func loaded(t *testing.T, middlewareKept bool) *state.Store {
	t.Helper()
	manifests, err := cluster.NewManifests(cluster.ManifestOptions{Paths: []string{"-"}, Stdin: strings.NewReader(aCacheDump), Middleware: middlewareKept})
	if err != nil {
		t.Fatal(err)
	}
	store := state.NewStore(state.Options{})
	if err := manifests.Load(t.Context(), store); err != nil {
		t.Fatal(err)
	}
	return store
}

func redisRules(namespace string) *discovery.Rules {
	kinds := middleware.Kinds()
	for i := range kinds {
		if kinds[i].Name == "redis" {
			return &discovery.Rules{Kinds: kinds, List: []discovery.Rule{
				{Name: "redis", Namespace: namespace, Template: middleware.Target{Kind: &kinds[i], Interval: time.Minute, Timeout: time.Second}}}}
		}
	}
	panic("there is no redis")
}

// used remembers the names and addresses of the targets that were handed on last.
type used struct {
	mu      sync.Mutex
	targets string
}

func (u *used) take(targets []*middleware.Target) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.targets = ""
	for _, t := range targets {
		u.targets += fmt.Sprintf("%s=%s%s ", t.Name, t.Address, t.Absent)
	}
}

func (u *used) last() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.targets
}

// The addresses are those of the pods, wherever EndpointSlices point.
func TestDiscoveryFromManifests(t *testing.T) {
	var lines logBuffer
	var got used
	d := newMiddlewareDiscovery(loaded(t, true), true, got.take, log.NewLogfmtLogger(&lines))
	check(t, "before there are rules", d.found(), nil)
	d.configure(redisRules(""))
	check(t, "targets", got.last(), "shop.cache/redis-0=10.0.0.5:6380 shop.cache/redis-1=there is no pod redis-1 ")
	check(t, "view", fmt.Sprint(*d.found()), "{[{redis 2}] 1}")
	d.look()
	check(t, "lines about the conflict", strings.Count(lines.String(), "service=shop/trap"), 1)
	for _, part := range []string{"cause=", "it has no selector", "fix=", "level=warn"} {
		if !strings.Contains(lines.String(), part) {
			t.Errorf("%q is missing in %s", part, lines.String())
		}
	}
	d.configure(redisRules("bank"))
	check(t, "view of a rule that finds nothing", fmt.Sprint(*d.found()), "{[{redis 0}] 1}")
	check(t, "targets of it", got.last(), "")
	d.configure(nil)
	check(t, "view without rules", d.found(), nil)
}

// A dump is of another time and place: what is in there is counted and never asked.
func TestManifestsAreNeverAsked(t *testing.T) {
	var got used
	d := newMiddlewareDiscovery(loaded(t, true), false, got.take, log.NewNopLogger())
	d.configure(redisRules(""))
	check(t, "targets", got.last(), "")
	check(t, "view", fmt.Sprint(*d.found()), "{[{redis 2}] 1}")
}

// Without discovery the model keeps no address.
func TestAddressesAreKeptOnRequest(t *testing.T) {
	var got used
	d := newMiddlewareDiscovery(loaded(t, false), true, got.take, log.NewNopLogger())
	rules := redisRules("")
	rules.List[0].Name, rules.List[0].Image = "", "redis"
	d.configure(rules)
	check(t, "targets", got.last(), "shop.cache/redis-0=pod redis-0 has no address shop.cache/redis-1=there is no pod redis-1 ")
}

func TestDiscoveryLooksAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lines logBuffer
		var got used
		store := loaded(t, true)
		d := newMiddlewareDiscovery(store, true, got.take, log.NewLogfmtLogger(&lines))
		d.configure(redisRules(""))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { d.run(ctx); close(ended) }()
		store.Replace(state.Scope{Kind: state.Pods}, nil)
		synctest.Wait()
		check(t, "targets before the next look", strings.Contains(got.last(), "10.0.0.5"), true)
		time.Sleep(discoveryInterval + time.Second)
		synctest.Wait()
		check(t, "targets after it", got.last(), "shop.cache/redis-0=there is no pod redis-0 shop.cache/redis-1=there is no pod redis-1 ")
		store.Settle(state.Scope{Kind: state.Pods}, state.Forbidden)
		time.Sleep(2 * discoveryInterval)
		synctest.Wait()
		check(t, "view when pods are not to be seen", d.found(), nil)
		check(t, "targets then", got.last(), "")
		check(t, "lines about it", strings.Count(lines.String(), "not discovered any more"), 1)
		cancel()
		<-ended
	})
}
