// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"context"
	"testing"

	"stability-exporter/internal/middleware"
	"stability-exporter/internal/state"
)

// startReplicated starts a primary and a replica of it that hears a ping every second.
func startReplicated(t *testing.T, ofPrimary ...string) (primary, replica *redis) {
	t.Helper()
	primary = startRedis(t, append([]string{"--repl-ping-replica-period", "1", "--repl-diskless-sync-delay", "0"}, ofPrimary...)...)
	replica = startRedis(t, "--replicaof", "127.0.0.1 "+primary.port)
	awaitView(t, target(t, "redis", replica.address), "the replica's link", func(v *state.MiddlewareView) error {
		return role("replica", state.False)(v)
	})
	awaitView(t, target(t, "redis", replica.address), "the replica's link", healthy)
	return primary, replica
}

// together judges the members of a group as they are now.
func together(t *testing.T, targets ...*middleware.Target) *state.MiddlewareView {
	t.Helper()
	var views []*state.MiddlewareView
	for _, one := range targets {
		views = append(views, probe(t, one))
	}
	kind := *targets[0].Kind
	kind.Probe = func(_ context.Context, p *middleware.Probe) error {
		p.Up()
		targets[0].Kind.Together(views, p.Recorder)
		return nil
	}
	group := *targets[0]
	group.Kind, group.Limits = &kind, middleware.Limits{}
	return probe(t, &group)
}

func TestRedisReplication(t *testing.T) {
	t.Parallel()
	primary, replica := startReplicated(t)
	first, second := target(t, "redis", primary.address, expecting(2)), target(t, "redis", replica.address, expecting(2))
	awaitView(t, first, "the replica in step", number(members, "synced", 2, 2))
	check(t, probe(t, first), healthy, role("primary", state.True), nothingUnknown, number(members, "connected", 2, 2))
	check(t, probe(t, second), healthy, role("replica", state.False), nothingUnknown, number(facts, "replication_silence_seconds", 0, 2))
	if v := probe(t, first); !v.LagBytes.Known || v.LagBytes.Value > 1<<10 {
		t.Errorf("the lag should be told and next to nothing: %s", describe(v))
	}
	check(t, together(t, first, second), healthy, number(members, "healthy", 2, 2))

	wrong := target(t, "redis", replica.address)
	wrong.Limits.Role = "primary"
	check(t, probe(t, wrong), upWith(middleware.RoleConflict))

	primary.must(t, "CONFIG", "SET", "min-replicas-to-write", "1")
	thaw := freeze(t, replica.Daemon)
	primary.must(t, "CONFIG", "SET", "min-replicas-max-lag", "1")
	awaitView(t, first, "too few replicas in step", unhealthy(middleware.NotWritable, "fewer replicas"))
	primary.refusesWrites(t, "NOREPLICAS")
	thaw()
	awaitView(t, first, "the replica in step again", healthy)
	replica.Kill()
	awaitView(t, first, "the loss of the replica", upWith(middleware.MembersMissing, middleware.NotWritable))
	primary.must(t, "CONFIG", "SET", "min-replicas-to-write", "0")
	check(t, probe(t, first), upWith(middleware.MembersMissing), role("primary", state.True))
}

// A primary that hangs keeps the link up for repl-timeout, a minute; the silence tells earlier.
func TestRedisPrimaryHangs(t *testing.T) {
	t.Parallel()
	primary, replica := startReplicated(t)
	cut := target(t, "redis", replica.address, option("max_silence", "2s"))
	check(t, probe(t, cut), healthy)
	thaw := freeze(t, primary.Daemon)
	view := awaitView(t, cut, "the silence", upWith(middleware.ReplicationBroken))
	check(t, view, unhealthy(middleware.ReplicationBroken, "nothing heard of its primary"), role("replica", state.False))
	if view.LinkUp != state.False {
		t.Errorf("the link should not count as up: %s", describe(view))
	}
	if said := replica.must(t, "INFO", "replication"); !contains(said, "master_link_status:up") {
		t.Errorf("the server itself should still take the link for up: %s", said)
	}
	check(t, probe(t, target(t, "redis", primary.address, within(hangPatience))), down(middleware.Timeout, ""))
	thaw()
	awaitView(t, cut, "word of the primary", healthy)
}

// A replica that hangs stays online in its primary's eyes for repl-timeout; that it acknowledges nothing tells earlier.
func TestRedisReplicaHangs(t *testing.T) {
	t.Parallel()
	primary, replica := startReplicated(t)
	first := target(t, "redis", primary.address, expecting(2), option("max_silence", "1s"))
	awaitView(t, first, "the replica in step", healthy)
	thaw := freeze(t, replica.Daemon)
	view := awaitView(t, first, "the silence", upWith(middleware.MembersMissing))
	check(t, view, number(members, "connected", 2, 2), number(members, "synced", 1, 1))
	if said := primary.must(t, "INFO", "replication"); !contains(said, "state=online") {
		t.Errorf("the server itself should still take the replica for one that is there: %s", said)
	}
	thaw()
	awaitView(t, first, "word of the replica", healthy)
}

// The members of a group are judged together: none leads, or two do.
func TestRedisPrimaryDies(t *testing.T) {
	t.Parallel()
	primary, replica := startReplicated(t)
	first, second := target(t, "redis", primary.address, inGroup), target(t, "redis", replica.address, inGroup)
	check(t, together(t, first, second), healthy)

	replica.must(t, "REPLICAOF", "NO", "ONE")
	check(t, together(t, first, second), upWith(middleware.RoleConflict))
	replica.must(t, "REPLICAOF", "127.0.0.1", primary.port)
	awaitView(t, second, "the replica's link", healthy)

	primary.Kill()
	awaitView(t, second, "the broken link", unhealthy(middleware.ReplicationBroken, "the link to its primary is down"))
	check(t, probe(t, first), down(middleware.Refused, ""))
	check(t, together(t, first, second), upWith(middleware.NoLeader), number(members, "healthy", 1, 1))

	// A replica that may not serve stale data answers PING with an error, and INFO all the same.
	replica.must(t, "CONFIG", "SET", "replica-serve-stale-data", "no")
	if _, err := replica.do(t, "PING"); err == nil || !contains(err.Error(), "MASTERDOWN") {
		t.Errorf("PING should be refused: %v", err)
	}
	check(t, probe(t, second), upWith(middleware.ReplicationBroken))
	replica.must(t, "REPLICAOF", "NO", "ONE")
	check(t, together(t, first, second), healthy)
}

// A replica that never reached its primary has no silence to tell of.
func TestRedisReplicaOfNobody(t *testing.T) {
	t.Parallel()
	_, nobody := freeAddress(t)
	replica := startRedis(t, "--replicaof", "127.0.0.1 "+nobody)
	check(t, probe(t, target(t, "redis", replica.address)), upWith(middleware.ReplicationBroken), role("replica", state.False))
}

// A replica that takes a copy of everything serves nothing new meanwhile, and its primary does not count it.
func TestRedisReplicaIsCopied(t *testing.T) {
	t.Parallel()
	primary := startRedis(t, "--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "0")
	primary.fill(t, 1000)
	primary.must(t, "CONFIG", "SET", "rdb-key-save-delay", "1000") // microseconds for each key
	replica := startRedis(t, "--replicaof", "127.0.0.1 "+primary.port)
	copied := target(t, "redis", replica.address)
	awaitView(t, copied, "the copy", unhealthy(middleware.ReplicationBroken, "copied anew"))
	check(t, probe(t, target(t, "redis", primary.address, expecting(2))), upWith(middleware.MembersMissing), number(members, "connected", 2, 2),
		number(members, "synced", 1, 1))
	awaitView(t, copied, "the end of the copy", healthy)
	awaitView(t, target(t, "redis", primary.address, expecting(2)), "the replica in step", healthy)
}
