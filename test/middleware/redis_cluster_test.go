// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"fmt"
	"testing"

	"stability-exporter/internal/middleware"
	"stability-exporter/internal/state"
)

// startRedisCluster starts a cluster of three primaries without replicas.
func startRedisCluster(t *testing.T) []*redis {
	t.Helper()
	var nodes []*redis
	for range 3 {
		nodes = append(nodes, startNode(t))
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
		awaitView(t, node.asked(t, expecting(3)), "the cluster", healthy)
	}
	return nodes
}

// startNode starts a new node of a cluster.
func startNode(t *testing.T) *redis {
	t.Helper()
	r := newRedis(t)
	_, r.bus = freeAddress(t)
	r.startNode(t)
	return r
}

// startNode starts a node, again after it ended; the others talk to it on the bus.
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
	left := nodes[0].asked(t, expecting(3))
	check(t, probe(t, left), roleIs("primary"), writableIs(state.True), nothingUnknown, tells("partitions{offline}", 0), tells("members{healthy}", 3))
	monitor := nodes[0].asked(t, as("monitor", password))
	check(t, probe(t, monitor), healthy, nothingUnknown)
	frugal := probe(t, nodes[0].asked(t, as("frugal", password)))
	check(t, frugal, upWith(middleware.Permission), unknown(middleware.NoPermission, "partitions{offline}"))

	nodes[2].Kill()
	awaitView(t, left, "the failure of the cluster", upWith(middleware.Degraded, middleware.NotWritable, middleware.MembersMissing))
	if pong := nodes[0].must(t, "PING"); pong != "PONG" {
		t.Errorf("it should answer PONG, not %s", pong)
	}
	nodes[0].refusesWrites(t, "CLUSTERDOWN")
	check(t, probe(t, left), roleIs("primary"), writableIs(state.False), tells("partitions{offline}", 5461), tells("members{failed}", 1))
	check(t, probe(t, monitor), upWith(middleware.Degraded, middleware.NotWritable))
	check(t, probe(t, nodes[0].asked(t, as("frugal", password))), upWith(middleware.Permission), roleIs("primary"), writableIs(state.Absent))

	// Without full coverage the rest is served; what is lost is lost all the same.
	nodes[0].must(t, "CONFIG", "SET", "cluster-require-full-coverage", "no")
	awaitView(t, left, "the rest of the cluster", roleIs("primary"), writableIs(state.True))
	check(t, probe(t, left), upWith(middleware.Degraded, middleware.MembersMissing), tells("partitions{offline}", 5461))

	nodes[2].startNode(t)
	awaitView(t, left, "the return of the node", healthy)

	// A majority that is gone: whoever is left knows that the cluster failed, though no node is marked.
	nodes[1].Kill()
	nodes[2].Kill()
	awaitView(t, left, "the loss of the majority", unhealthy(middleware.Degraded, ""))
	nodes[0].refusesWrites(t, "CLUSTERDOWN")
	check(t, probe(t, left), roleIs("primary"), writableIs(state.False))
}

func TestRedisClusterWithoutSlots(t *testing.T) {
	t.Parallel()
	check(t, probe(t, target(t, "redis", startNode(t).address)), upWith(middleware.Degraded, middleware.NotWritable), tells("partitions{offline}", 16384))
}
