// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"testing"
	"time"

	"stability-exporter/internal/middleware"
	"stability-exporter/internal/state"
	"stability-exporter/test/daemon"
)

// nginx is a server of one process, so that it hangs as a whole.
type nginx struct {
	*daemon.Daemon
	address string
}

// workerConnections is how many connections an nginx of the tests takes.
const workerConnections = "64"

// startNginx starts a server with stub_status and the given locations.
func startNginx(t *testing.T, locations string) nginx {
	t.Helper()
	return startNginxWith(t, "", "", locations)
}

func startNginxWith(t *testing.T, listenOption, settings, locations string) nginx {
	t.Helper()
	dir := t.TempDir()
	address, _ := freeAddress(t)
	config := write(t, dir, "nginx.conf", `
daemon off; master_process off; pid `+dir+`/pid; error_log stderr;
events { worker_connections `+workerConnections+`; }
http {
	access_log off; keepalive_timeout 60s; proxy_connect_timeout 1s;
	client_body_temp_path `+dir+`/body; proxy_temp_path `+dir+`/proxy; fastcgi_temp_path `+dir+`/fastcgi;
	uwsgi_temp_path `+dir+`/uwsgi; scgi_temp_path `+dir+`/scgi;
	`+settings+`
	server { listen `+address+` `+listenOption+`; location = /stub_status { stub_status; } `+locations+` }
}`)
	return nginx{serve(t, address, "nginx", "-p", dir, "-e", "stderr", "-c", config), address}
}

// startNginxTLS starts a server that speaks TLS alone.
func startNginxTLS(t *testing.T, p pair, settings string) nginx {
	t.Helper()
	return startNginxWith(t, "ssl", "ssl_certificate "+p.certificate+"; ssl_certificate_key "+p.key+"; "+settings, `location / { return 200 "ok"; }`)
}

// The pages of nginx come from what it passes requests to: stub_status is fine while nobody gets a page.
func TestNginxUpstreamDies(t *testing.T) {
	t.Parallel()
	upstream := startNginx(t, `location / { return 200 "shop"; }`)
	front := startNginx(t, `location / { proxy_pass http://`+upstream.address+`; }`)
	shop := target(t, "nginx", front.address, option("page", "/shop"), option("page_text", "shop"),
		option("worker_processes", "1"), option("worker_connections", workerConnections))
	check(t, probe(t, shop), healthy, nothingUnknown, tellsBetween("saturation_ratio{connections}", 0.015, 0.2), tellsBetween("fact{requests}", 1, 10))
	check(t, probe(t, target(t, "nginx", front.address, option("page", "/shop"), option("page_text", "basket"))), upWith(middleware.Mismatch))
	upstream.Kill()
	check(t, probe(t, shop), upWith(middleware.Unavailable), unhealthy(middleware.Unavailable, "502"))
	check(t, probe(t, target(t, "nginx", front.address)), healthy)
	check(t, probe(t, target(t, "http", front.address, option("path", "/shop"))), upWith(middleware.Unavailable))
	check(t, probe(t, target(t, "http", front.address, option("path", "/stub_status"))), healthy)
}

func TestNginxAnswers(t *testing.T) {
	t.Parallel()
	n := startNginx(t, `
		location = /private { return 401; }
		location = /forbidden { return 403; }
		location = /moved { return 301 /; }
		location = /shop { return 200 "shop"; }
		location = /busy { return 503; }`)
	for _, c := range []struct {
		page string
		want expectation
	}{
		{"/private", unhealthy(middleware.Auth, "401")},
		{"/forbidden", unhealthy(middleware.Permission, "403")},
		{"/moved", upWith(middleware.Mismatch)},
		{"/nowhere", upWith(middleware.Mismatch)},
		{"/busy", upWith(middleware.Unavailable)},
	} {
		check(t, probe(t, target(t, "nginx", n.address, option("page", c.page))), c.want)
	}
	check(t, probe(t, target(t, "nginx", n.address, option("status_path", "/nowhere"))), down(middleware.Mismatch, "configure status_path"))
	check(t, probe(t, target(t, "nginx", n.address, option("page", "/moved"), option("page_status", "3xx"))), healthy)
	check(t, probe(t, target(t, "nginx", n.address, option("status_path", ""), option("page", "/shop"))), healthy,
		unknown(middleware.NotConfigured, "fact{requests}"))
	// A program that has a page for every path has one for stub_status, too, where that is not set up.
	check(t, probe(t, target(t, "nginx", n.address, option("status_path", "/shop"), option("page", "/shop"))), healthy,
		unknown(middleware.Garbled, "fact{requests}"))
	check(t, probe(t, target(t, "nginx", n.address, option("status_path", "/shop"))), down(middleware.Protocol, "no stub_status"))
	checkHang(t, n.Daemon, target(t, "nginx", n.address))
	n.Kill()
	check(t, probe(t, target(t, "nginx", n.address)), down(middleware.Refused, ""))
}

// Connections that are busy with half a request cannot be taken away from their clients: at last nginx accepts and hangs up.
func TestNginxConnectionsFull(t *testing.T) {
	t.Parallel()
	n := startNginx(t, "")
	full := target(t, "nginx", n.address, option("worker_processes", "1"), option("worker_connections", workerConnections))
	occupy(t, n.address, 48, "GET / HT")
	awaitView(t, full, "the busy connections", tellsBetween("saturation_ratio{connections}", 0.75, 0.8))
	check(t, probe(t, full), healthy)
	// One by one: those not looked at yet are dropped first.
	release := occupyUntil(t, n.address, "GET / HT", full, down(middleware.Closed, ""))
	release()
	view := awaitView(t, full, "free connections", healthy)
	check(t, view, tellsBetween("fact{dropped_connections}", 1, 1000))
}

func TestNginxTLS(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"nginx", "http", "tls", "tcp"} {
		t.Run(kind, func(t *testing.T) {
			checkCertificates(t, kind, func(t *testing.T, _ *authority, p pair) string { return startNginxTLS(t, p, "").address })
		})
	}
}

// Without a certificate of the client nginx answers an error; the handshake itself is fine.
func TestNginxTLSOfClients(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	p := a.issueGood(t)
	n := startNginxTLS(t, p, "ssl_client_certificate "+a.file+"; ssl_verify_client on;")
	check(t, probe(t, target(t, "nginx", n.address, overTLS(a.file), showing(p))), healthy)
	check(t, probe(t, target(t, "nginx", n.address, overTLS(a.file))), down(middleware.Protocol, "400"))
	check(t, probe(t, target(t, "nginx", n.address)), down(middleware.Protocol, "400")) // without TLS
	check(t, probe(t, target(t, "tls", startNginx(t, "").address, overTLS(a.file))), down(middleware.TLS, ""))
}

// A licence server is any program that answers with JSON.
func TestLicenceServer(t *testing.T) {
	t.Parallel()
	n := startNginx(t, `
		location = /good { return 200 '{"status":"ok","licence":{"daysLeft":12,"until":"2999-12-31","seats":{"total":50,"free":3}}}'; }
		location = /expired { return 200 '{"status":"ok","licence":{"daysLeft":-1,"until":"2020-12-31","seats":{"total":50,"free":3}}}'; }
		location = /full { return 200 '{"status":"ok","licence":{"daysLeft":12,"until":"2999-12-31","seats":{"total":50,"free":0}}}'; }
		location = /broken { return 200 '{"status":"error"}'; }
		location = /maintenance { return 200 '<html>back soon</html>'; }
		location = /away { return 503; }`)
	ask := func(path string) *state.MiddlewareView {
		return probe(t, target(t, "http", n.address, option("path", path), option("json", "status == \"ok\"\nlicence.seats.free >= 1"),
			option("facts", "seats_free=licence.seats.free\nseats=licence.seats.total"), option("expires", "licence=days:licence.daysLeft\ncontract=date:licence.until")))
	}
	good := ask("/good")
	end := float64(time.Now().Add(12 * 24 * time.Hour).Unix())
	check(t, good, healthy, nothingUnknown, tells("fact{seats_free}", 3), tells("fact{seats}", 50), tellsBetween("expiry_timestamp_seconds{licence}", end-60, end+60))
	check(t, ask("/expired"), upWith(middleware.Expired), tells("expiry_timestamp_seconds{contract}", 1609459200))
	check(t, ask("/full"), upWith(middleware.Mismatch), unhealthy(middleware.Mismatch, "licence.seats.free >= 1"), tells("fact{seats_free}", 0))
	check(t, ask("/broken"), upWith(middleware.Mismatch), unknown(middleware.Garbled, "fact{seats_free}", "expiry_timestamp_seconds{licence}"))
	check(t, ask("/maintenance"), unhealthy(middleware.Protocol, "no JSON"), unknown(middleware.Garbled, "fact{seats_free}"))
	check(t, ask("/away"), upWith(middleware.Unavailable))
	if away := ask("/away"); away.Healthy() || len(away.Facts) > 0 {
		t.Errorf("nothing should be known of a server that is away: %s", describe(away))
	}
}

// A program that hangs accepts connections all the same; only who expects a banner finds out.
func TestTCPOfRealServers(t *testing.T) {
	t.Parallel()
	r := startRedis(t)
	pong := target(t, "tcp", r.address, option("send", "PING\r\n"), option("banner", `^\+PONG`))
	check(t, probe(t, pong), healthy)
	check(t, probe(t, target(t, "tcp", r.address)), healthy)
	check(t, probe(t, target(t, "tcp", r.address, option("send", "NONSENSE\r\n"), option("banner", `^\+PONG`), within(hangPatience))), down(middleware.Mismatch, ""))
	thaw := freeze(t, r.PID())
	hanging := target(t, "tcp", r.address, option("send", "PING\r\n"), option("banner", `^\+PONG`), within(hangPatience))
	check(t, probe(t, hanging), down(middleware.Timeout, ""))
	check(t, probe(t, target(t, "tcp", r.address)), healthy)
	thaw()
	check(t, probe(t, pong), healthy)
	r.Kill()
	check(t, probe(t, pong), down(middleware.Refused, ""))
}
