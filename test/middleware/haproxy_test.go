// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"stability-exporter/internal/middleware"
	"stability-exporter/test/daemon"
)

// haproxy is a balancer; its pages are at the address, its frontend shop is at another one.
type haproxy struct {
	*daemon.Daemon
	address, shop string
}

// startHAProxy starts a balancer whose pages say what is demanded, with the given backends; shop is the first of them.
func startHAProxy(t *testing.T, pages, limit, backends string) haproxy {
	t.Helper()
	address, _ := freeAddress(t)
	shop, _ := freeAddress(t)
	config := write(t, t.TempDir(), "haproxy.cfg", `
global
	maxconn 100
defaults
	mode http
	timeout connect 1s
	timeout client 60s
	timeout server 60s
	default-server check inter 200ms fastinter 100ms downinter 100ms fall 1 rise 1
frontend pages
	bind `+address+`
	`+pages+`
frontend shop
	bind `+shop+`
	`+limit+`
	default_backend shop
`+backends)
	return haproxy{serve(t, address, "haproxy", "-db", "-f", config), address, shop}
}

const (
	statistics     = "stats enable\n\tstats uri /stats"
	builtInMetrics = "http-request use-service prometheus-exporter if { path /metrics }"
)

// shopServer is a program behind the balancer.
func shopServer(t *testing.T) (address string, server *httptest.Server) {
	t.Helper()
	server = httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String(), server
}

// Both forms of the statistics tell of the loss of servers, and the balancer itself answers all the while.
func TestHAProxyServersDie(t *testing.T) {
	t.Parallel()
	for name, pages := range map[string]string{"statistics": statistics, "metrics": builtInMetrics} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first, one := shopServer(t)
			second, two := shopServer(t)
			h := startHAProxy(t, pages, "", `
backend shop
	option httpchk
	server one `+first+`
	server two `+second+`
	server old 127.0.0.1:1 disabled
backend elsewhere
	redirect location /
`)
			balancer := target(t, "haproxy", h.address)
			view := awaitView(t, balancer, "two servers", healthy)
			check(t, view, tells("members{healthy}", 2), tells("members{down}", 0), tells("members{maintenance}", 1),
				tells("fact{backends_without_servers}", 0))
			one.Close()
			awaitView(t, balancer, "the loss of a server", upWith(middleware.Degraded))
			two.Close()
			view = awaitView(t, balancer, "the loss of the backend", upWith(middleware.Unavailable, middleware.Degraded))
			check(t, view, unhealthy(middleware.Unavailable, "backends without servers: shop"), tells("members{healthy}", 0),
				tells("members{down}", 2), tells("fact{backends_without_servers}", 1))
			check(t, probe(t, target(t, "haproxy", h.address, option("ignore", "sh*"))), healthy)
			check(t, probe(t, target(t, "http", h.shop)), upWith(middleware.Unavailable))
		})
	}
}

func TestHAProxyFull(t *testing.T) {
	t.Parallel()
	server, _ := shopServer(t)
	h := startHAProxy(t, statistics+"\n\t"+builtInMetrics, "maxconn 4", "backend shop\n\tserver one "+server+"\n")
	byMetrics := target(t, "haproxy", h.address, option("path", "/metrics"))
	awaitView(t, target(t, "haproxy", h.address), "the server", healthy)
	occupy(t, h.shop, 2, "GET / HT")
	awaitView(t, target(t, "haproxy", h.address), "the busy sessions", tells("saturation_ratio{sessions}", 0.5))
	check(t, probe(t, byMetrics), healthy, tells("saturation_ratio{sessions}", 0.5), tellsBetween("saturation_ratio{connections}", 0.03, 0.1))
	release := occupy(t, h.shop, 2, "GET / HT")
	awaitView(t, target(t, "haproxy", h.address), "the lack of sessions", upWith(middleware.Saturated))
	check(t, probe(t, byMetrics), upWith(middleware.Saturated), tells("saturation_ratio{sessions}", 1))
	release()
	awaitView(t, byMetrics, "free sessions", healthy)
}

func TestHAProxyAnswers(t *testing.T) {
	t.Parallel()
	const password = "correct-horse"
	server, _ := shopServer(t)
	backend := "backend shop\n\tserver one " + server + "\n"
	guarded := startHAProxy(t, statistics+"\n\tstats auth admin:"+password, "", backend)
	check(t, probe(t, target(t, "haproxy", guarded.address)), down(middleware.Auth, "401"))
	check(t, probe(t, target(t, "haproxy", guarded.address, as("admin", "battery-staple"))), down(middleware.Auth, "401"), hides("battery-staple"))
	awaitView(t, target(t, "haproxy", guarded.address, as("admin", password)), "the server", healthy)
	check(t, probe(t, target(t, "haproxy", guarded.address, as("admin", password), option("path", "/stats"))), down(middleware.Protocol, ";csv"))

	bare := startHAProxy(t, "", "", backend)
	check(t, probe(t, target(t, "haproxy", bare.address)), down(middleware.Mismatch, "configure path"))
	checkHang(t, guarded.Daemon, target(t, "haproxy", guarded.address, as("admin", password)))
	guarded.Kill()
	check(t, probe(t, target(t, "haproxy", guarded.address)), down(middleware.Refused, ""))
}

func TestHAProxyTLS(t *testing.T) {
	t.Parallel()
	server, _ := shopServer(t)
	checkCertificates(t, "haproxy", func(t *testing.T, a *authority, p pair) string {
		var both []byte
		for _, file := range []string{p.certificate, p.key} {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			both = append(both, text...)
		}
		address, _ := freeAddress(t)
		startHAProxy(t, "bind "+address+" ssl crt "+write(t, t.TempDir(), "both.pem", string(both))+"\n\t"+statistics, "",
			"backend shop\n\tserver one "+server+"\n")
		return address
	})
}

// A balancer without a server accepts connections and hangs up: a connection alone is no sign of life.
func TestHAProxyInTCPMode(t *testing.T) {
	t.Parallel()
	address, _ := freeAddress(t)
	_, dead := freeAddress(t)
	config := write(t, t.TempDir(), "haproxy.cfg", `
defaults
	mode tcp
	timeout connect 1s
	timeout client 10s
	timeout server 10s
listen shop
	bind `+address+`
	server one 127.0.0.1:`+dead+` check inter 100ms fall 1
`)
	serve(t, address, "haproxy", "-db", "-f", config)
	if conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address); err != nil {
		t.Fatal(err)
	} else {
		_ = conn.Close()
	}
	awaitView(t, target(t, "tcp", address), "the end of the connection", down(middleware.Closed, ""))
	for _, kind := range middleware.Kinds() {
		want := middleware.Closed
		if kind.Name == "tls" {
			want = middleware.TLS
		}
		check(t, probe(t, target(t, kind.Name, address)), down(want, ""))
	}
}
