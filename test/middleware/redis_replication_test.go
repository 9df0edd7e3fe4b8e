// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"strings"
	"testing"

	"stability-exporter/internal/middleware"
	"stability-exporter/internal/state"
)

// startReplicated starts a primary and a replica of it that hears a ping every second.
func startReplicated(t *testing.T, ofPrimary ...string) (primary, replica *redis) {
	t.Helper()
	primary = startRedis(t, append([]string{"--repl-ping-replica-period", "1", "--repl-diskless-sync-delay", "0"}, ofPrimary...)...)
	replica = startRedis(t, "--replicaof", "127.0.0.1 "+primary.port)
	awaitView(t, replica.asked(t), "the replica's link", roleIs("replica"), writableIs(state.False))
	awaitView(t, replica.asked(t), "the replica's link", healthy)
	return primary, replica
}

func TestRedisReplication(t *testing.T) {
	t.Parallel()
	primary, replica := startReplicated(t)
	first, second := primary.asked(t, expecting(2)), replica.asked(t, expecting(2))
	awaitView(t, first, "the replica in step", tells("members{synced}", 2))
	check(t, probe(t, first), healthy, roleIs("primary"), writableIs(state.True), nothingUnknown, tells("members{connected}", 2))
	check(t, probe(t, second), healthy, roleIs("replica"), writableIs(state.False), nothingUnknown, tellsBetween("fact{replication_silence_seconds}", 0, 2))
	check(t, probe(t, first), tellsBetween(replicationLagBytes, 0, 1<<10))
	checkGroup(t, asGroup(t, primary, replica), healthy, tells("members{healthy}", 2))

	check(t, probe(t, replica.asked(t, roleWanted("primary"))), upWith(middleware.RoleConflict))

	primary.must(t, "CONFIG", "SET", "min-replicas-to-write", "1")
	thaw := freeze(t, replica.PID())
	primary.must(t, "CONFIG", "SET", "min-replicas-max-lag", "1")
	awaitView(t, first, "too few replicas in step", unhealthy(middleware.NotWritable, "fewer replicas"))
	primary.refusesWrites(t, "NOREPLICAS")
	thaw()
	awaitView(t, first, "the replica in step again", healthy)
	replica.Kill()
	awaitView(t, first, "the loss of the replica", upWith(middleware.MembersMissing, middleware.NotWritable))
	primary.must(t, "CONFIG", "SET", "min-replicas-to-write", "0")
	check(t, probe(t, first), upWith(middleware.MembersMissing), roleIs("primary"), writableIs(state.True))
}

// A primary that hangs keeps the link up for repl-timeout, a minute; the silence tells earlier.
func TestRedisPrimaryHangs(t *testing.T) {
	t.Parallel()
	primary, replica := startReplicated(t)
	cut := replica.asked(t, option("max_silence", "2s"))
	check(t, probe(t, cut), healthy)
	thaw := freeze(t, primary.PID())
	view := awaitView(t, cut, "the silence", upWith(middleware.ReplicationBroken))
	check(t, view, unhealthy(middleware.ReplicationBroken, "nothing heard of its primary"), roleIs("replica"), writableIs(state.False), linkIs(state.False))
	if said := replica.must(t, "INFO", "replication"); !strings.Contains(said, "master_link_status:up") {
		t.Errorf("the server itself should still take the link for up: %s", said)
	}
	check(t, probe(t, primary.asked(t, within(hangPatience))), down(middleware.Timeout, ""))
	thaw()
	awaitView(t, cut, "word of the primary", healthy)
}

// A replica that hangs stays online in its primary's eyes for repl-timeout; that it acknowledges nothing tells earlier.
func TestRedisReplicaHangs(t *testing.T) {
	t.Parallel()
	primary, replica := startReplicated(t)
	first := primary.asked(t, expecting(2), option("max_silence", "1s"))
	awaitView(t, first, "the replica in step", healthy)
	thaw := freeze(t, replica.PID())
	view := awaitView(t, first, "the silence", upWith(middleware.MembersMissing))
	check(t, view, tells("members{connected}", 2), tells("members{synced}", 1))
	if said := primary.must(t, "INFO", "replication"); !strings.Contains(said, "state=online") {
		t.Errorf("the server itself should still take the replica for one that is there: %s", said)
	}
	thaw()
	awaitView(t, first, "word of the replica", healthy)
}

// The members of a group are judged together: none leads, or two do.
func TestRedisPrimaryDies(t *testing.T) {
	t.Parallel()
	primary, replica := startReplicated(t)
	first, second := primary.asked(t, inGroup), replica.asked(t, inGroup)
	checkGroup(t, asGroup(t, primary, replica), healthy)

	replica.must(t, "REPLICAOF", "NO", "ONE")
	checkGroup(t, asGroup(t, primary, replica), upWith(middleware.RoleConflict))
	replica.must(t, "REPLICAOF", "127.0.0.1", primary.port)
	awaitView(t, second, "the replica's link", healthy)

	primary.Kill()
	awaitView(t, second, "the broken link", unhealthy(middleware.ReplicationBroken, "the link to its primary is down"))
	check(t, probe(t, first), down(middleware.Refused, ""))
	checkGroup(t, asGroup(t, primary, replica), upWith(middleware.NoLeader, middleware.MembersMissing), tells("members{healthy}", 1))

	// A replica that may not serve stale data answers PING with an error, and INFO all the same.
	replica.must(t, "CONFIG", "SET", "replica-serve-stale-data", "no")
	if _, err := replica.do(t, "PING"); err == nil || !strings.Contains(err.Error(), "MASTERDOWN") {
		t.Errorf("PING should be refused: %v", err)
	}
	check(t, probe(t, second), upWith(middleware.ReplicationBroken))
	replica.must(t, "REPLICAOF", "NO", "ONE")
	checkGroup(t, asGroup(t, primary, replica), upWith(middleware.MembersMissing))
}

// A replica that never reached its primary has no silence to tell of.
func TestRedisReplicaOfNobody(t *testing.T) {
	t.Parallel()
	_, nobody := freeAddress(t)
	replica := startRedis(t, "--replicaof", "127.0.0.1 "+nobody)
	check(t, probe(t, replica.asked(t)), upWith(middleware.ReplicationBroken), roleIs("replica"), writableIs(state.False))
}

// A replica that takes a copy of everything serves nothing new meanwhile, and its primary does not count it.
func TestRedisReplicaIsCopied(t *testing.T) {
	t.Parallel()
	primary := startRedis(t, "--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "0")
	primary.fill(t, 1000)
	primary.must(t, "CONFIG", "SET", "rdb-key-save-delay", "1000") // microseconds for each key
	replica := startRedis(t, "--replicaof", "127.0.0.1 "+primary.port)
	copied := replica.asked(t)
	awaitView(t, copied, "the copy", unhealthy(middleware.ReplicationBroken, "copied anew"))
	check(t, probe(t, primary.asked(t, expecting(2))), upWith(middleware.MembersMissing), tells("members{connected}", 2),
		tells("members{synced}", 1))
	awaitView(t, copied, "the end of the copy", healthy)
	awaitView(t, primary.asked(t, expecting(2)), "the replica in step", healthy)
}
