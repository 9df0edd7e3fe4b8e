// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stability-exporter/internal/middleware"
	"stability-exporter/internal/state"
	"stability-exporter/test/daemon"
)

// redis is a server with a directory of its own.
type redis struct {
	*daemon.Daemon
	address, port, dir string
	bus                string // the port that the other nodes of a cluster talk to
}

// newRedis makes the folder and finds the port of a server.
func newRedis(t *testing.T) *redis {
	t.Helper()
	r := &redis{dir: t.TempDir()}
	r.address, r.port = freeAddress(t)
	return r
}

// asked is the server as a target.
func (r *redis) asked(t *testing.T, with ...setting) *middleware.Target {
	t.Helper()
	return target(t, "redis", r.address, with...)
}

// startRedis starts a server that keeps nothing unless it is told to.
func startRedis(t *testing.T, arguments ...string) *redis {
	t.Helper()
	r := newRedis(t)
	r.start(t, arguments...)
	return r
}

// start starts it, again after it ended.
func (r *redis) start(t *testing.T, arguments ...string) {
	t.Helper()
	r.Daemon = serve(t, r.address, append([]string{
		"redis-server", "--port", r.port, "--bind", "127.0.0.1", "--dir", r.dir, "--save", "", "--appendonly", "no"}, arguments...)...)
}

// do sends a command and returns the answer; an error is one that the server answers.
func (r *redis) do(t *testing.T, command ...string) (string, error) {
	t.Helper()
	return try(t.Context(), append([]string{"redis-cli", "-e", "-p", r.port}, command...)...)
}

// must sends a command that the server has to take.
func (r *redis) must(t *testing.T, command ...string) string {
	t.Helper()
	answer, err := r.do(t, command...)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// refusesWrites wants the server to refuse a write with an error that begins with a word.
func (r *redis) refusesWrites(t *testing.T, word string) {
	t.Helper()
	if _, err := r.do(t, "SET", "key", "value"); err == nil || !strings.Contains(err.Error(), word) {
		t.Errorf("a write should be refused with %s: %v", word, err)
	}
}

// fill writes keys with values of 1 kB.
func (r *redis) fill(t *testing.T, keys int) {
	t.Helper()
	r.must(t, "EVAL", "for i=1,tonumber(ARGV[1]) do redis.call('SET','key'..i,string.rep('x',1000)) end", "0", fmt.Sprint(keys))
}

func TestRedisAlone(t *testing.T) {
	t.Parallel()
	r := startRedis(t)
	alone := r.asked(t)
	check(t, probe(t, alone), healthy, roleIs("standalone"), writableIs(state.True), nothingUnknown, tells("alarm{snapshot_failed}", 0),
		tells("fact{loading}", 0), tells("saturation_ratio{connections}", 0))
	check(t, probe(t, target(t, "redis_sentinel", r.address)), down(middleware.Mismatch, "ask it as redis"))
	checkHang(t, r.Daemon, alone)
	r.Kill()
	check(t, probe(t, alone), down(middleware.Refused, ""))
}

// Who may ask: a wrong password is no outage, and what an account may not ask is unknown instead of wrong.
func TestRedisAccounts(t *testing.T) {
	t.Parallel()
	const password = "correct-horse"
	r := startRedis(t)
	check(t, probe(t, r.asked(t, as("", password))), upWith(middleware.Auth), hides(password))
	r.must(t, "ACL", "SETUSER", "monitor", "on", ">"+password, "-@all", "+info", "+ping", "+role", "+cluster|info", "+config|get")
	r.must(t, "ACL", "SETUSER", "frugal", "on", ">"+password, "-@all", "+info")
	r.must(t, "ACL", "SETUSER", "nobody", "on", ">"+password, "-@all", "+ping")
	r.must(t, "CONFIG", "SET", "requirepass", password)
	for _, c := range []struct {
		name string
		with []setting
		want expectation
	}{
		{"nothing", nil, down(middleware.Auth, "NOAUTH")},
		{"the password", []setting{as("", password)}, healthy},
		{"another password", []setting{as("", "battery-staple")}, down(middleware.Auth, "WRONGPASS")},
		{"an unknown user", []setting{as("somebody", password)}, down(middleware.Auth, "WRONGPASS")},
		{"the rights of the reference", []setting{as("monitor", password)}, healthy},
		{"INFO alone", []setting{as("frugal", password)}, healthy},
		{"not even INFO", []setting{as("nobody", password)}, down(middleware.Permission, "NOPERM")},
	} {
		t.Run(c.name, func(t *testing.T) {
			check(t, probe(t, r.asked(t, c.with...)), c.want, hides(password), hides("battery-staple"))
		})
	}
	elsewhere := r.asked(t, as("", password))
	elsewhere.Credential.Targets = []string{"10.0.0.1:*"}
	check(t, probe(t, elsewhere), down(middleware.Forbidden, ""))
}

func TestRedisLoading(t *testing.T) {
	t.Parallel()
	r := startRedis(t)
	r.fill(t, 3000)
	r.must(t, "SAVE")
	r.Kill()
	r.start(t, "--key-load-delay", "1000", "--loading-process-events-interval-bytes", "1024")
	awaitView(t, r.asked(t), "the loading", upWith(middleware.Loading, middleware.NotWritable))
	r.refusesWrites(t, "LOADING")
	r.must(t, "CONFIG", "SET", "key-load-delay", "0")
	awaitView(t, r.asked(t), "the end of the loading", healthy)
}

// A script that does not end: every question is answered, with an error.
func TestRedisBusy(t *testing.T) {
	t.Parallel()
	r := startRedis(t, "--busy-reply-threshold", "50")
	busy := r.asked(t)
	occupy(t, r.address, 1, "EVAL \"while true do end\" 0\r\n")
	awaitView(t, busy, "the answer that it is busy", down(middleware.Unavailable, "BUSY"))
	r.must(t, "SCRIPT", "KILL")
	awaitView(t, busy, "the end of the script", healthy)
}

func TestRedisMemoryFull(t *testing.T) {
	t.Parallel()
	r := startRedis(t)
	r.fill(t, 1000)
	r.must(t, "CONFIG", "SET", "maxmemory", "1mb")
	full := r.asked(t)
	r.refusesWrites(t, "OOM")
	check(t, probe(t, full), upWith(middleware.NotWritable), roleIs("standalone"), writableIs(state.False), tells("saturation_ratio{memory}", 1))
	r.must(t, "CONFIG", "SET", "maxmemory-policy", "volatile-lru") // and nothing expires
	r.refusesWrites(t, "OOM")
	check(t, probe(t, full), upWith(middleware.NotWritable), roleIs("standalone"), writableIs(state.False))
	r.must(t, "CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
	r.must(t, "SET", "key", "value")
	check(t, probe(t, full), healthy, roleIs("standalone"), writableIs(state.True))
}

// The directory is removed: that a directory is read-only does not keep root from writing.
func TestRedisSnapshotFailed(t *testing.T) {
	t.Parallel()
	const password = "correct-horse"
	r := startRedis(t, "--save", "3600 1")
	r.must(t, "ACL", "SETUSER", "frugal", "on", ">"+password, "-@all", "+info")
	check(t, probe(t, r.asked(t)), healthy)
	aside := filepath.Join(t.TempDir(), "aside")
	if err := os.Rename(r.dir, aside); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(aside); err != nil {
		t.Fatal(err)
	}
	r.must(t, "BGSAVE")
	awaitView(t, r.asked(t), "the failure of the snapshot", upWith(middleware.Alarm, middleware.NotWritable))
	r.refusesWrites(t, "MISCONF")
	check(t, probe(t, r.asked(t)), roleIs("standalone"), writableIs(state.False), tells("alarm{snapshot_failed}", 1))
	check(t, probe(t, r.asked(t, as("frugal", password))), upWith(middleware.Alarm), roleIs("standalone"), writableIs(state.Absent),
		unknown(middleware.NoPermission, "writable"))
	r.must(t, "CONFIG", "SET", "stop-writes-on-bgsave-error", "no")
	r.must(t, "SET", "key", "value")
	check(t, probe(t, r.asked(t)), upWith(middleware.Alarm), roleIs("standalone"), writableIs(state.True))
}

// The append-only file may not grow: as on a full disk, a write to it fails.
func TestRedisAppendOnlyFileFailed(t *testing.T) {
	t.Parallel()
	r := newRedis(t)
	r.Daemon = serve(t, r.address, "/bin/sh", "-c", `trap "" XFSZ; ulimit -f 64; exec "$0" "$@"`, program(t, "redis-server"),
		"--port", r.port, "--bind", "127.0.0.1", "--dir", r.dir, "--save", "", "--appendonly", "yes", "--appendfsync", "everysec")
	check(t, probe(t, r.asked(t)), healthy)
	r.fill(t, 100)
	awaitView(t, r.asked(t), "the failure of the append-only file", upWith(middleware.Alarm, middleware.NotWritable))
	r.refusesWrites(t, "MISCONF")
	check(t, probe(t, r.asked(t)), roleIs("standalone"), writableIs(state.False), tells("alarm{append_only_file_failed}", 1))
}

func TestRedisClientsFull(t *testing.T) {
	t.Parallel()
	r := startRedis(t, "--maxclients", "10")
	full := r.asked(t)
	release := occupy(t, r.address, 8, "PING\r\n")
	check(t, probe(t, full), healthy, tells("saturation_ratio{connections}", 0.8))
	occupy(t, r.address, 2, "PING\r\n")
	for range 50 { // the refusal and our question cross each other on the way
		check(t, probe(t, full), down(middleware.Saturated, "max number of clients"))
		check(t, probe(t, r.asked(t, as("", "correct-horse"))), down(middleware.Saturated, "max number of clients"))
	}
	release()
	awaitView(t, full, "a place for another client", healthy)
}

// startRedisTLS starts a server that speaks TLS alone.
func startRedisTLS(t *testing.T, a *authority, p pair, clients string) *redis {
	t.Helper()
	r := newRedis(t)
	r.Daemon = serve(t, r.address, "redis-server", "--port", "0", "--tls-port", r.port, "--bind", "127.0.0.1", "--dir", r.dir,
		"--save", "", "--tls-cert-file", p.certificate, "--tls-key-file", p.key, "--tls-ca-cert-file", a.file, "--tls-auth-clients", clients)
	return r
}

func TestRedisTLS(t *testing.T) {
	t.Parallel()
	checkCertificates(t, "redis", func(t *testing.T, a *authority, p pair) string { return startRedisTLS(t, a, p, "no").address })
}

func TestRedisTLSOfClients(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	p := a.issueGood(t)
	r := startRedisTLS(t, a, p, "yes")
	check(t, probe(t, r.asked(t, overTLS(a.file), showing(p))), healthy, certified(p, state.True))
	check(t, probe(t, r.asked(t, overTLS(a.file))), down(middleware.TLS, ""), certified(p, state.True))
	check(t, probe(t, target(t, "tls", r.address, overTLS(a.file))), down(middleware.TLS, ""), certified(p, state.True))
	check(t, probe(t, target(t, "tcp", r.address, overTLS(a.file))), down(middleware.TLS, ""))
	expired := a.issue(t, "127.0.0.1", time.Now().Add(-time.Hour))
	check(t, probe(t, r.asked(t, overTLS(a.file), showing(expired))), down(middleware.TLS, "expired"))
	check(t, probe(t, r.asked(t, within(hangPatience))), down(middleware.Closed, ""))
	plain := startRedis(t)
	check(t, probe(t, plain.asked(t, overTLS(a.file), within(hangPatience))), down(middleware.Timeout, ""))
}
