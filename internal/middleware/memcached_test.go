// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"
)

const memcachedStats = "STAT pid 1\r\nSTAT version 1.6.18\r\nSTAT libevent 2.1.12-stable\r\nSTAT curr_connections 768\r\nSTAT max_connections 1024\r\n" +
	"STAT rejected_connections 3\r\nSTAT accepting_conns 1\r\nSTAT listen_disabled_num 2\r\nSTAT curr_items 10\r\nSTAT bytes 100\r\nSTAT limit_maxbytes 67108864\r\n" +
	"STAT evictions 5\r\nEND\r\n"

// memcachedServer answers stats; when password is not empty it wants it first. It keeps every line that it got.
func memcachedServer(t *testing.T, stats, password string, got chan<- string) string {
	return listen(t, func(conn net.Conn) {
		lines := bufio.NewReader(conn)
		allowed := password == ""
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				return
			}
			if got != nil {
				got <- line
			}
			answer := "CLIENT_ERROR unauthenticated\r\n"
			switch {
			case strings.HasPrefix(line, "set auth "):
				data, _ := lines.ReadString('\n')
				answer = "CLIENT_ERROR authentication failure\r\n"
				if allowed = data == "u "+password+"\r\n"; allowed {
					answer = "STORED\r\n"
				}
			case allowed && line == "stats\r\n":
				answer = stats
			}
			_, _ = io.WriteString(conn, answer)
		}
	})
}

func TestMemcached(t *testing.T) {
	for _, c := range []struct {
		name, stats, password, sent string
		want                        string
		up                          bool
	}{
		{"it is well", memcachedStats, "", "", "", true},
		{"it wants no credentials", memcachedStats, "", "secret", "", true},
		{"it wants credentials", memcachedStats, "secret", "", "auth", false},
		{"wrong credentials", memcachedStats, "secret", "wrong", "auth", false},
		{"right credentials", memcachedStats, "secret", "secret", "", true},
		{"it is full", "ERROR Too many open connections\r\n", "", "", "saturated", false},
		{"it accepts no more", strings.Replace(memcachedStats, "accepting_conns 1", "accepting_conns 0", 1), "", "", "saturated", true},
		{"another program", "+PONG\r\n", "", "", "protocol", false},
		{"empty stats", "END\r\n", "", "", "protocol", false},
		{"a long line", "STAT a " + strings.Repeat("b", 3000) + "\r\nEND\r\n", "", "", "protocol", false},
		{"many lines", strings.Repeat("STAT a b\r\n", 2000) + "END\r\n", "", "", "protocol", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := make(chan string, 10)
			target := probing(memcachedKind(), memcachedServer(t, c.stats, c.password, got), nil)
			if c.sent != "" {
				target.Credential = &Credential{Username: "u", Password: NewSecret(c.sent), Targets: []string{"*"}}
			}
			v := Run(t.Context(), target, nil)
			if problems(v) != c.want || v.Up != c.up {
				t.Errorf("up %t, problems %v, want %q", v.Up, v.Problems, c.want)
			}
			if v.Up {
				wantTold(t, memcachedKind(), v)
			}
			for len(got) > 0 {
				if line := <-got; strings.HasPrefix(line, "set") && c.password == "" {
					t.Error("a server that wants no credentials would have stored them")
				}
			}
		})
	}
}

func TestMemcachedFacts(t *testing.T) {
	v := Run(t.Context(), probing(memcachedKind(), memcachedServer(t, memcachedStats, "", nil), nil), nil)
	if measured(v.Saturation, "connections") != 0.75 || measured(v.Facts, "evictions") != 5 || measured(v.Facts, "rejected_connections") != 3 {
		t.Errorf("saturation %v, facts %v", v.Saturation, v.Facts)
	}
	// Versions before 1.4.20 tell no limit.
	old := strings.Replace(memcachedStats, "STAT max_connections 1024\r\n", "", 1)
	v = Run(t.Context(), probing(memcachedKind(), memcachedServer(t, old, "", nil), nil), nil)
	if !v.Healthy() || unknownWhy(v, "saturation_ratio{connections}") != "unsupported" {
		t.Errorf("problems %v, unknown %v", v.Problems, v.Unknown)
	}
}

func TestMemcachedWithstands(t *testing.T) { withstands(t, memcachedKind(), nil) }

func FuzzMemcached(f *testing.F) {
	f.Add(memcachedStats)
	f.Add("STAT curr_connections NaN\r\nSTAT max_connections 0\r\nEND\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		stats, err := readStats(bufio.NewReaderSize(strings.NewReader(text), 2<<10))
		if err != nil {
			return
		}
		p := &Probe{Recorder: &Recorder{}, Target: probing(memcachedKind(), "", nil)}
		p.tellMemcached(stats)
		if v := p.finish(); len(v.Facts)+len(v.Unknown) < 7 {
			t.Errorf("facts %v, unknown %v", v.Facts, v.Unknown)
		}
	})
}
