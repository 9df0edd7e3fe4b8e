// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"os"
	"testing"

	"stability-exporter/internal/middleware"
	"stability-exporter/test/daemon"
)

// startMemcached starts a server; it does not run as root unless it is told to.
func startMemcached(t *testing.T, arguments ...string) (d *daemon.Daemon, address string) {
	t.Helper()
	address, port := freeAddress(t)
	if os.Geteuid() == 0 {
		arguments = append(arguments, "-u", "root")
	}
	return serve(t, address, append([]string{"memcached", "-l", "127.0.0.1", "-p", port, "-U", "0", "-m", "16", "-t", "1"}, arguments...)...), address
}

func TestMemcached(t *testing.T) {
	t.Parallel()
	d, address := startMemcached(t)
	cache := target(t, "memcached", address)
	check(t, probe(t, cache), healthy, nothingUnknown, tells("fact{stored_bytes_limit}", 16<<20), tellsBetween("saturation_ratio{connections}", 0, 0.01))
	checkHang(t, d, cache)
	d.Kill()
	check(t, probe(t, cache), down(middleware.Refused, ""))
}

// A full server says so and hangs up, or leaves new connections waiting, as it is set.
func TestMemcachedFull(t *testing.T) {
	t.Parallel()
	_, address := startMemcached(t, "-c", "16")
	cache := target(t, "memcached", address)
	check(t, probe(t, cache), healthy)
	release := occupyUntil(t, address, "version\r\n", cache, down(middleware.Saturated, "too many open connections"))
	for range 30 { // the refusal and our question cross each other on the way
		check(t, probe(t, cache), down(middleware.Saturated, ""))
	}
	release()
	view := awaitView(t, cache, "free connections", healthy)
	check(t, view, tellsBetween("fact{rejected_connections}", 1, 1000))

	_, waiting := startMemcached(t, "-c", "16", "-o", "no_maxconns_fast")
	full := target(t, "memcached", waiting, within(hangPatience))
	check(t, probe(t, full), healthy)
	release = occupyUntil(t, waiting, "version\r\n", full, down(middleware.Timeout, ""))
	release()
	view = awaitView(t, target(t, "memcached", waiting), "free connections", healthy)
	check(t, view, tellsBetween("fact{listen_disabled}", 1, 1000))
}

func TestMemcachedAccounts(t *testing.T) {
	t.Parallel()
	const password = "correct-horse"
	file := write(t, t.TempDir(), "accounts", "monitor:"+password+"\n")
	_, address := startMemcached(t, "-Y", file)
	check(t, probe(t, target(t, "memcached", address)), down(middleware.Auth, ""))
	check(t, probe(t, target(t, "memcached", address, as("monitor", "battery-staple"))), down(middleware.Auth, ""), hides("battery-staple"))
	check(t, probe(t, target(t, "memcached", address, as("monitor", password))), healthy, hides(password))
	_, open := startMemcached(t)
	check(t, probe(t, target(t, "memcached", open, as("monitor", password))), healthy, hides(password))
}

func TestMemcachedTLS(t *testing.T) {
	t.Parallel()
	checkCertificates(t, "memcached", func(t *testing.T, _ *authority, p pair) string {
		_, address := startMemcached(t, "-Z", "-o", "ssl_chain_cert="+p.certificate+",ssl_key="+p.key)
		return address
	})
}
