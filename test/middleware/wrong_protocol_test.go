// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"slices"
	"sync"
	"testing"

	"stability-exporter/internal/middleware"
	"stability-exporter/internal/state"
)

// stranger is a server that is asked as what it is not.
type stranger struct {
	name, address string
	// speaks are the kinds whose protocol it speaks; well those of them that find nothing wrong.
	speaks, well []string
}

// strangers starts one server of each kind, without TLS.
func strangers(t *testing.T) []stranger {
	t.Helper()
	http := []string{"http", "tcp"}
	server, _ := shopServer(t)
	_, cache := startMemcached(t)
	primary, _ := startReplicated(t)
	return []stranger{
		{"a Redis", startRedis(t).address, []string{"redis", "tcp"}, []string{"redis", "tcp"}},
		{"a Redis that wants a password", startRedis(t, "--requirepass", "correct-horse").address, []string{"tcp"}, []string{"tcp"}},
		{"a node of a Redis Cluster without slots", startNode(t).address, []string{"redis", "tcp"}, []string{"tcp"}},
		{"a sentinel", startSentinels(t, primary)[0].address, []string{"redis_sentinel", "tcp"}, []string{"redis_sentinel", "tcp"}},
		{"an nginx", startNginx(t, `location / { return 200 "welcome"; }`).address, append(http, "nginx"), append(http, "nginx")},
		{"an nginx that has no page", startNginx(t, "").address, append(http, "nginx"), []string{"nginx", "tcp"}},
		{"an nginx that says {} to everything", startNginx(t, `location / { return 200 "{}"; }`).address, append(http, "nginx"), append(http, "nginx")},
		{"an nginx that says nothing to everything", startNginx(t, `location / { return 200; }`).address, append(http, "nginx"), append(http, "nginx")},
		{"an HAProxy", startHAProxy(t, statistics, "", "backend shop\n\tserver one "+server+"\n").address, append(http, "haproxy"), []string{"haproxy", "tcp"}},
		{"a memcached", cache, []string{"memcached", "tcp"}, []string{"memcached", "tcp"}},
	}
}

// Whoever is asked as what it is not is never up, and the probe comes back in time.
func TestWrongProtocol(t *testing.T) {
	t.Parallel()
	for _, s := range strangers(t) {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			askAsEverything(t, s)
			askAsEverything(t, stranger{s.name + ", with TLS that it does not speak", s.address, nil, nil}, overTLS(""), skipVerify)
		})
	}
}

// Without TLS a server that wants it is nobody's; nginx answers an error.
func TestWrongProtocolOverTLS(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	p := a.issueGood(t)
	front, db := startNginxTLS(t, p, "").address, startRedisTLS(t, a, p, "no").address
	web, bare := []string{"http", "nginx", "tcp", "tls"}, []string{"redis", "tcp", "tls"}
	askAsEverything(t, stranger{"an nginx over TLS", front, web, web}, overTLS(a.file))
	askAsEverything(t, stranger{"a Redis over TLS", db, bare, bare}, overTLS(a.file))
	askAsEverything(t, stranger{"an nginx that wants TLS", front, []string{"http", "tcp", "tls"}, []string{"tcp", "tls"}}, skipVerify)
	askAsEverything(t, stranger{"a Redis that wants TLS", db, []string{"tcp", "tls"}, []string{"tcp", "tls"}}, skipVerify)
}

// askAsEverything asks a server as every kind there is, with a credential and without.
func askAsEverything(t *testing.T, s stranger, with ...setting) {
	t.Helper()
	var all sync.WaitGroup
	for _, kind := range middleware.Kinds() {
		for _, login := range []setting{func(*middleware.Target) {}, as("monitor", "battery-staple")} {
			asked := target(t, kind.Name, s.address, append(with, login)...)
			if !slices.Contains(s.well, kind.Name) {
				asked.Timeout = hangPatience
			}
			all.Go(func() {
				view := probe(t, asked)
				if err := s.judge(kind.Name, asked.Credential != nil, view); err != "" {
					t.Errorf("%s as %s: %s: %s", s.name, kind.Name, err, describe(view))
				}
			})
		}
	}
	all.Wait()
}

// judge returns what is wrong with what was found out about a stranger.
func (s stranger) judge(kind string, login bool, view *state.MiddlewareView) string {
	for _, p := range view.Problems {
		if p.Reason == string(middleware.Internal) {
			return "the probe failed itself"
		}
	}
	switch {
	case hides("battery-staple")(view) != nil:
		return "it shows the password"
	case view.Up && !slices.Contains(s.speaks, kind):
		return "it should not be up"
	case !view.Up && len(view.Problems) == 0:
		return "there should be a reason"
	case login: // a server that wants none, or another one, says so
		return ""
	case view.Healthy() != slices.Contains(s.well, kind):
		return "it is healthy where it should not be, or the other way round"
	}
	return ""
}
