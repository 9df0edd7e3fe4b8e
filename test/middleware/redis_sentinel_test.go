// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"strings"
	"testing"

	"stability-exporter/internal/middleware"
	"stability-exporter/internal/state"
)

// startSentinels starts three sentinels of a primary, and makes them do everything more often than they do by default.
func startSentinels(t *testing.T, primary *redis) []*redis {
	t.Helper()
	var sentinels []*redis
	for range 3 {
		s := newRedis(t)
		write(t, s.dir, "sentinel.conf", "port "+s.port+"\nbind 127.0.0.1\ndir "+s.dir+"\nsentinel monitor shop 127.0.0.1 "+primary.port+" 2\n"+
			"sentinel down-after-milliseconds shop 500\nsentinel failover-timeout shop 3000\n")
		s.startSentinel(t)
		sentinels = append(sentinels, s)
	}
	for _, s := range sentinels {
		awaitView(t, target(t, "redis_sentinel", s.address, expecting(3)), "the sentinels", healthy)
	}
	return sentinels
}

// startSentinel starts a sentinel, again after it ended: its file knows the others by then.
func (r *redis) startSentinel(t *testing.T) {
	t.Helper()
	r.Daemon = serve(t, r.address, "redis-sentinel", r.dir+"/sentinel.conf")
	r.must(t, "SENTINEL", "DEBUG", "INFO-PERIOD", "500", "PUBLISH-PERIOD", "300", "ASK-PERIOD", "300")
}

// Sentinels that are gone stay in the list of one that is left; only CKQUORUM tells.
func TestSentinelQuorum(t *testing.T) {
	t.Parallel()
	const password = "correct-horse"
	primary, replica := startReplicated(t)
	sentinels := startSentinels(t, primary)
	left := target(t, "redis_sentinel", sentinels[0].address, expecting(3))
	check(t, probe(t, left), healthy, roleIs("sentinel"), writableIs(state.Absent), nothingUnknown, tells("members{healthy}", 3),
		tells("fact{monitored_primaries}", 1), tells("fact{usable_replicas}", 1), tells("alarm{tilt}", 0))
	check(t, probe(t, sentinels[0].asked(t)), down(middleware.Mismatch, "ask it as redis_sentinel"))
	check(t, probe(t, target(t, "redis_sentinel", sentinels[0].address, option("masters", "shop\ncart"))), unhealthy(middleware.Mismatch, "cart"))

	sentinels[0].must(t, "ACL", "SETUSER", "monitor", "on", ">"+password, "-@all", "+info", "+sentinel|ckquorum", "+sentinel|replicas")
	sentinels[0].must(t, "ACL", "SETUSER", "frugal", "on", ">"+password, "-@all", "+info")
	check(t, probe(t, target(t, "redis_sentinel", sentinels[0].address, as("monitor", password))), healthy, nothingUnknown)
	check(t, probe(t, target(t, "redis_sentinel", sentinels[0].address, as("frugal", password))), upWith(middleware.Permission),
		unknown(middleware.NoPermission, "members{healthy}", "fact{usable_replicas}"))

	sentinels[1].Kill()
	awaitView(t, left, "the loss of one sentinel", upWith(middleware.MembersMissing))
	sentinels[2].Kill()
	awaitView(t, left, "the loss of the quorum", upWith(middleware.NoQuorum, middleware.MembersMissing))
	if said := sentinels[0].must(t, "INFO", "sentinel"); !strings.Contains(said, "status=ok") || !strings.Contains(said, "sentinels=3") {
		t.Errorf("INFO should still show nothing of it: %s", said)
	}
	check(t, probe(t, left), tells("members{healthy}", 1), tells("fact{usable_replicas}", 1))
	sentinels[1].startSentinel(t)
	awaitView(t, left, "the quorum of two", upWith(middleware.MembersMissing))
	sentinels[2].startSentinel(t)
	awaitView(t, left, "all sentinels", healthy)

	primary.Kill()
	awaitView(t, left, "the loss of the primary", unhealthy(middleware.Unavailable, "primary shop is "))
	awaitView(t, replica.asked(t, inGroup), "the failover", roleIs("primary"), writableIs(state.True))
	awaitView(t, left, "the new primary without a replica", upWith(middleware.Degraded))
}

func TestSentinelHangsAndTilts(t *testing.T) {
	t.Parallel()
	primary, _ := startReplicated(t)
	sentinels := startSentinels(t, primary)
	one := target(t, "redis_sentinel", sentinels[0].address)
	checkHang(t, sentinels[1].Daemon, target(t, "redis_sentinel", sentinels[1].address))
	awaitView(t, one, "the others", healthy)
	sentinels[0].must(t, "SENTINEL", "DEBUG", "TILT-TRIGGER", "1") // every turn of its clock takes longer
	awaitView(t, one, "the tilt", unhealthy(middleware.Alarm, "tilt"))
	sentinels[2].must(t, "SENTINEL", "REMOVE", "shop")
	check(t, probe(t, target(t, "redis_sentinel", sentinels[2].address)), upWith(middleware.Mismatch))
}
