// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"errors"
	"slices"
	"strings"

	"stability-exporter/internal/state"
)

// clusterSlots is how many slots the keys of a Redis Cluster fall into.
const clusterSlots = 16384

// tellCluster asks a node what it knows of its cluster. It returns whether the cluster takes requests; Absent: it may not be asked.
func (r redisProbe) tellCluster() (whole state.Tristate, err error) {
	answer, err := r.conn.ask("CLUSTER", "INFO")
	if err != nil {
		var said replyError
		if !errors.As(err, &said) {
			return state.Absent, err
		}
		r.Unknown("partitions{offline}", NoPermission)
		r.Unknown("fact{cluster_slots_suspected}", NoPermission)
		r.Problem(Permission, "CLUSTER INFO decides the verdict and may not be asked: %v", said)
		return state.Absent, r.tellClusterNodes()
	}
	info := redisInfo(keyValues(answer.text, ":"))
	whole = tristate(info["cluster_state"] == "ok")
	if whole == state.False {
		r.Problem(Degraded, "the state of the cluster is %q", info["cluster_state"])
	}
	assigned, ok := info.number("cluster_slots_assigned")
	failed, okToo := info.number("cluster_slots_fail")
	if ok && okToo {
		offline := int(min(clusterSlots, max(0, clusterSlots-assigned)+max(0, failed)))
		r.Partitions("offline", offline)
		if offline > 0 {
			r.Problem(Degraded, "%d of %d slots have no node that serves them", offline, clusterSlots)
		}
	} else {
		r.Unknown("partitions{offline}", Garbled)
		r.Problem(Protocol, "CLUSTER INFO does not tell of slots")
	}
	if suspected, ok := info.number("cluster_slots_pfail"); ok {
		r.Fact("cluster_slots_suspected", suspected)
	} else {
		r.Unknown("fact{cluster_slots_suspected}", Unsupported)
	}
	return whole, r.tellClusterNodes()
}

// tellClusterNodes counts the nodes. One that failed stays in the list until it is forgotten.
func (r redisProbe) tellClusterNodes() error {
	answer, err := r.conn.ask("CLUSTER", "NODES")
	if err != nil {
		var said replyError
		if !errors.As(err, &said) {
			return err
		}
		r.Unknown("members{healthy}", NoPermission)
		r.Unknown("members{failed}", NoPermission)
		return nil
	}
	healthy, failed := clusterNodes(answer.text)
	r.Members("healthy", healthy)
	r.Members("failed", failed)
	if failed > 0 {
		r.Problem(Degraded, "%d nodes of the cluster have failed", failed)
	}
	if expected := r.Target.Limits.ExpectedMembers; expected > 0 {
		r.Expected(expected)
		if healthy < expected {
			r.Problem(MembersMissing, "%d of %d nodes are there", healthy, expected)
		}
	}
	return nil
}

// clusterNodes counts in the answer to CLUSTER NODES: ID, address and flags are the first three words of a line.
func clusterNodes(text string) (healthy, failed int) {
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) < 8 {
			continue
		}
		flags := strings.Split(words[2], ",")
		switch {
		case slices.Contains(flags, "handshake"):
		case slices.Contains(flags, "fail"), slices.Contains(flags, "noaddr"):
			failed++
		default: // "fail?" is one node's suspicion only
			healthy++
		}
	}
	return healthy, failed
}
