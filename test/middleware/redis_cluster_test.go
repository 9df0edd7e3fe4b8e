// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"fmt"
	"strings"
	"testing"

	"stability-exporter/internal/middleware"
	"stability-exporter/internal/state"
)

func contains(text, part string) bool { return strings.Contains(text, part) }

// startRedisCluster starts a cluster of three primaries without replicas.
func startRedisCluster(t *testing.T) []*redis {
	t.Helper()
	var nodes []*redis
	for range 3 {
		address, port := freeAddress(t)
		_, bus := freeAddress(t)
		node := &redis{address: address, port: port, bus: bus, dir: t.TempDir()}
		node.startNode(t)
		nodes = append(nodes, node)
	}
	slots := []string{"0", "5460", "5461", "10922", "10923", "16383"}
	for i, node := range nodes {
		node.must(t, "CLUSTER", "ADDSLOTSRANGE", slots[2*i], slots[2*i+1])
		node.must(t, "CLUSTER", "SET-CONFIG-EPOCH", fmt.Sprint(i+1))
		if i > 0 {
			nodes[0].must(t, "CLUSTER", "MEET", "127.0.0.1", node.port, node.bus)
		}
	}
	for _, node := range nodes {
		awaitView(t, target(t, "redis", node.address, expecting(3)), "the cluster", healthy)
	}
	return nodes
}

// startNode starts a node of a cluster; the others talk to it on the bus.
func (r *redis) startNode(t *testing.T) {
	t.Helper()
	r.start(t, "--cluster-enabled", "yes", "--cluster-port", r.bus, "--cluster-node-timeout", "1000")
}

// A node of a cluster that lost a part of its data answers PONG to every PING.
func TestRedisClusterLosesANode(t *testing.T) {
	t.Parallel()
	nodes := startRedisCluster(t)
	const password = "correct-horse"
	for _, node := range nodes[:2] {
		node.must(t, "ACL", "SETUSER", "monitor", "on", ">"+password, "-@all", "+info", "+cluster|info", "+cluster|nodes")
		node.must(t, "ACL", "SETUSER", "frugal", "on", ">"+password, "-@all", "+info")
	}
	left := target(t, "redis", nodes[0].address, expecting(3))
	check(t, probe(t, left), role("primary", state.True), nothingUnknown, number(partitions, "offline", 0, 0), number(members, "healthy", 3, 3))
	monitor := target(t, "redis", nodes[0].address, as("monitor", password))
	check(t, probe(t, monitor), healthy, nothingUnknown)
	frugal := probe(t, target(t, "redis", nodes[0].address, as("frugal", password)))
	check(t, frugal, upWith(middleware.Permission), unknown("partitions{offline}", middleware.NoPermission))

	nodes[2].Kill()
	awaitView(t, left, "the failure of the cluster", upWith(middleware.Degraded, middleware.NotWritable, middleware.MembersMissing))
	if pong := nodes[0].must(t, "PING"); pong != "PONG" {
		t.Errorf("it should answer PONG, not %s", pong)
	}
	nodes[0].refusesWrites(t, "CLUSTERDOWN")
	check(t, probe(t, left), role("primary", state.False), number(partitions, "offline", 5461, 5461), number(members, "failed", 1, 1))
	check(t, probe(t, monitor), upWith(middleware.Degraded, middleware.NotWritable))
	check(t, probe(t, target(t, "redis", nodes[0].address, as("frugal", password))), upWith(middleware.Permission), role("primary", state.Absent))

	// Without full coverage the rest is served; what is lost is lost all the same.
	nodes[0].must(t, "CONFIG", "SET", "cluster-require-full-coverage", "no")
	awaitView(t, left, "the rest of the cluster", role("primary", state.True))
	check(t, probe(t, left), upWith(middleware.Degraded, middleware.MembersMissing), number(partitions, "offline", 5461, 5461))

	nodes[2].startNode(t)
	awaitView(t, left, "the return of the node", healthy)

	// A majority that is gone: whoever is left knows that the cluster failed, though no node is marked.
	nodes[1].Kill()
	nodes[2].Kill()
	awaitView(t, left, "the loss of the majority", unhealthy(middleware.Degraded, ""))
	nodes[0].refusesWrites(t, "CLUSTERDOWN")
	check(t, probe(t, left), role("primary", state.False))
}

func TestRedisClusterWithoutSlots(t *testing.T) {
	t.Parallel()
	address, port := freeAddress(t)
	_, bus := freeAddress(t)
	node := &redis{address: address, port: port, bus: bus, dir: t.TempDir()}
	node.startNode(t)
	check(t, probe(t, target(t, "redis", address)), upWith(middleware.Degraded, middleware.NotWritable), number(partitions, "offline", 16384, 16384))
}
