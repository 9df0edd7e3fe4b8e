// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"stability-exporter/internal/state"
)

// probing returns a target of a kind that tests may ask.
func probing(kind Kind, address string, options map[string]string) *Target {
	return &Target{
		Kind: &kind, Name: "t", Address: address, Options: options, Timeout: 5 * time.Second, Policy: Policy{Configured: true},
	}
}

// served answers over HTTP for the duration of the test and returns where.
func served(t *testing.T, serve http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(serve)
	t.Cleanup(server.Close)
	return server.URL
}

// pages answers each path with its text; a text that begins with three digits and a space has that status, 200 otherwise.
func pages(texts map[string]string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		text, known := texts[r.URL.RequestURI()]
		if !known {
			text, known = texts[r.URL.Path]
		}
		if !known {
			http.NotFound(w, r)
			return
		}
		if status, rest, found := strings.Cut(text, " "); found && len(status) == 3 {
			if code, err := strconv.Atoi(status); err == nil {
				w.WriteHeader(code)
				text = rest
			}
		}
		_, _ = w.Write([]byte(text))
	}
}

// problems returns the reasons in their order, separated by blanks.
func problems(v *state.MiddlewareView) string {
	reasons := make([]string, len(v.Problems))
	for i, p := range v.Problems {
		reasons[i] = p.Reason
	}
	return strings.Join(reasons, " ")
}

// measured returns a number of a list, -1 when it is not there.
func measured(list []state.Measurement, name string) float64 {
	for _, m := range list {
		if m.Name == name {
			return m.Value
		}
	}
	return -1
}

// unknownWhy returns why a fact is unknown; empty: it is not.
func unknownWhy(v *state.MiddlewareView, fact string) string {
	for _, u := range v.Unknown {
		if u.Fact == fact {
			return u.Why
		}
	}
	return ""
}

// wantTold checks that every fact of the kind was told or is unknown, but for those that this role does not have.
func wantTold(t *testing.T, kind Kind, v *state.MiddlewareView, without ...string) {
	t.Helper()
	known := *v
	known.Unknown = nil
	for _, u := range v.Unknown {
		if told(&known)[u.Fact] {
			t.Errorf("%s is told and unknown", u.Fact)
		}
	}
	told := told(v)
	for _, fact := range without {
		if told[fact] {
			t.Errorf("%s is told, and should not be", fact)
		}
		told[fact] = true
	}
	for _, fact := range kind.Facts {
		if !told[fact] {
			t.Errorf("%s is neither told nor unknown", fact)
		}
	}
}

// hostile are servers that mean harm or are another thing altogether.
func hostile(t *testing.T) map[string]string {
	t.Helper()
	ended := make(chan struct{})
	t.Cleanup(func() { close(ended) })
	saying := func(text string) string {
		return listen(t, func(conn net.Conn) {
			_, _ = conn.Write([]byte(text))
			_, _ = conn.Read(make([]byte, 1<<10))
		})
	}
	return map[string]string{
		"silence": listen(t, func(net.Conn) { <-ended }),
		"closing": listen(t, func(net.Conn) {}),
		"binary":  saying("\x00\xff\xfe\x80\x00\x00\x00\x00\r\n\r\n\x16\x03\x01"),
		"ssh":     saying("SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"),
		"half":    saying("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"a\":"),
		"html":    saying("HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\n<html>Welcome!</html>"),
		"empty":   saying("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
		"null":    saying("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnull"),
		"deep":    saying("HTTP/1.1 200 OK\r\nContent-Length: 30000\r\n\r\n" + strings.Repeat("[", 30000)),
		"slow": listen(t, func(conn net.Conn) {
			for {
				select {
				case <-ended:
					return
				case <-time.After(20 * time.Millisecond):
				}
				if _, err := conn.Write([]byte("H")); err != nil {
					return
				}
			}
		}),
		"endless": listen(t, func(conn net.Conn) {
			_, err := conn.Write([]byte("HTTP/1.1 200 OK\r\n\r\n"))
			for err == nil {
				_, err = conn.Write([]byte(strings.Repeat("a 1\r\n", 10000)))
			}
		}),
	}
}

// withstands asks hostile servers: a probe must come back in time, whole, and never find them healthy. Those named are rightly so.
func withstands(t *testing.T, kind Kind, options map[string]string, healthy ...string) {
	t.Helper()
	for name, address := range hostile(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target := probing(kind, address, options)
			target.Timeout = 500 * time.Millisecond
			began := time.Now()
			v := Run(t.Context(), target, nil)
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("took %s", took)
			}
			right := strings.Contains(" "+strings.Join(healthy, " ")+" ", " "+name+" ")
			if v.Healthy() != right || strings.Contains(problems(v), string(Internal)) {
				t.Errorf("up %t, problems %v", v.Up, v.Problems)
			}
		})
	}
}

// A balancer without a server behind it hangs up before or after the request is written, as it happens.
func TestServerThatHangsUp(t *testing.T) {
	address := listen(t, func(net.Conn) {})
	for range 300 {
		wantProblem(t, Run(t.Context(), targetOf(t, "http", address), nil), Closed)
	}
}

// All requests of a probe go over one connection, so that behind a balancer all facts are those of one server.
func TestAProbeAsksOneServer(t *testing.T) {
	var connections atomic.Int32
	server := httptest.NewUnstartedServer(pages(map[string]string{"/a": "a", "/b": "b"}))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	kind := Kind{Name: "test", Probe: func(ctx context.Context, p *Probe) error {
		for _, path := range []string{"/a", "/b", "/c"} {
			if _, err := p.request(ctx, http.MethodGet, path, ""); err != nil {
				return err
			}
		}
		p.Up()
		return nil
	}}
	if v := Run(t.Context(), probing(kind, server.URL, nil), nil); !v.Healthy() || connections.Load() != 1 {
		t.Errorf("%d connections, problems %v", connections.Load(), v.Problems)
	}
}

// A target that sends back what it was told, or another server that a probe asks, gets nothing that could be read.
func TestSecretsDoNotComeBack(t *testing.T) {
	var elsewhere []string
	other := served(t, func(_ http.ResponseWriter, r *http.Request) {
		elsewhere = append(elsewhere, r.Header.Get("Authorization"))
	})
	echo := served(t, func(w http.ResponseWriter, r *http.Request) {
		_, password, _ := r.BasicAuth()
		_, _ = w.Write([]byte(strings.Repeat("x", maxDetail-20) + password + r.Header.Get("Authorization")))
	})
	kind := Kind{Name: "test", Probe: func(ctx context.Context, p *Probe) error {
		if _, err := p.exchange(ctx, exchange{method: http.MethodGet, url: other}); err != nil {
			return err
		}
		a, err := p.request(ctx, http.MethodGet, "/", "")
		if err != nil {
			return err
		}
		return fail(Mismatch, "it says %s", a.body)
	}}
	target := probing(kind, echo, nil)
	target.Credential = &Credential{Username: "u", Password: NewSecret("hunter2hunter2"), Targets: []string{"*"}}
	v := Run(t.Context(), target, nil)
	if len(v.Problems) != 1 || !strings.Contains(v.Problems[0].Detail, "[secret]") || strings.Contains(v.Problems[0].Detail, "hunter2") ||
		strings.Contains(v.Problems[0].Detail, "dTpod") {
		t.Errorf("problems %v", v.Problems)
	}
	if len(elsewhere) != 1 || elsewhere[0] != "" {
		t.Errorf("another server got %q", elsewhere)
	}
}
