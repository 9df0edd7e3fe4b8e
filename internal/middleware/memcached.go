// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

func memcachedKind() Kind {
	return Kind{
		Name: "memcached",
		Help: "Asks stats in the text protocol; the credential is for its text authentication (-Y) and is sent only when the server asks for it.",
		Port: "11211",
		Facts: []string{"saturation_ratio{connections}", "fact{connections}", "fact{items}", "fact{stored_bytes}", "fact{stored_bytes_limit}",
			"fact{evictions}", "fact{listen_disabled}", "fact{rejected_connections}"},
		Verified: Verification{
			Live: []string{"memcached 1.6: with and without authentication and TLS"},
			Fake: []string{"answers cut short"},
		},
		Probe: probeMemcached,
	}
}

func probeMemcached(ctx context.Context, p *Probe) error {
	conn, err := p.Dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	began := time.Now()
	defer func() { p.Phase("query", time.Since(began)) }()
	lines := bufio.NewReaderSize(conn, 2<<10) // longer lines are refused
	stats, err := askMemcached(conn, lines)
	if errors.Is(err, errUnauthenticated) {
		if err = p.authenticateMemcached(conn, lines); err == nil {
			stats, err = askMemcached(conn, lines)
		}
	}
	if err != nil {
		return err
	}
	p.Up()
	p.tellMemcached(stats)
	return nil
}

var errUnauthenticated = errors.New("it wants credentials")

// maxStats is far above the number of lines that stats has.
const maxStats = 1000

func askMemcached(conn net.Conn, lines *bufio.Reader) (map[string]string, error) {
	if _, err := io.WriteString(conn, "stats\r\n"); err != nil {
		return nil, fmt.Errorf("cannot ask for stats: %w", err)
	}
	return readStats(lines)
}

func readStats(lines *bufio.Reader) (map[string]string, error) {
	stats := map[string]string{}
	for range maxStats {
		line, err := memcachedLine(lines)
		if err != nil {
			return nil, err
		}
		name, value, found := strings.Cut(strings.TrimPrefix(line, "STAT "), " ")
		switch {
		case line == "END" && len(stats) == 0:
			return nil, fail(Protocol, "stats are empty")
		case line == "END":
			return stats, nil
		case strings.HasPrefix(line, "ERROR Too many open connections"):
			return nil, fail(Saturated, "too many open connections")
		case strings.HasPrefix(line, "CLIENT_ERROR unauthenticated"):
			return nil, errUnauthenticated
		case !strings.HasPrefix(line, "STAT ") || !found:
			return nil, fail(Protocol, "the answer to stats is not memcached's")
		}
		stats[name] = value
	}
	return nil, fail(Protocol, "the answer to stats has more than %d lines", maxStats)
}

func memcachedLine(lines *bufio.Reader) (string, error) {
	line, err := lines.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return "", fail(Protocol, "a line is longer than memcached's are")
	}
	if err != nil {
		return "", fmt.Errorf("cannot read the answer: %w", err)
	}
	return strings.TrimRight(string(line), "\r\n"), nil
}

// authenticateMemcached logs in. It is never tried on a server that did not ask for it: that one would store the credentials.
func (p *Probe) authenticateMemcached(conn net.Conn, lines *bufio.Reader) error {
	username, password, _, err := p.Login()
	if err != nil {
		return err
	}
	if username == "" {
		return fail(Auth, "it wants credentials")
	}
	text := username + " " + password.Reveal()
	if _, err := fmt.Fprintf(conn, "set auth 0 0 %d\r\n%s\r\n", len(text), text); err != nil {
		return fmt.Errorf("cannot log in: %w", err)
	}
	line, err := memcachedLine(lines)
	if err != nil {
		return err
	}
	if line != "STORED" {
		return fail(Auth, "wrong credentials")
	}
	return nil
}

func (p *Probe) tellMemcached(stats map[string]string) {
	number := func(name string) (float64, bool) {
		n, err := strconv.ParseFloat(stats[name], 64)
		return n, err == nil && finite(n)
	}
	used, known := number("curr_connections")
	limit, limited := number("max_connections")
	if known && limited && limit > 0 {
		p.Saturation("connections", used, limit)
	} else {
		p.Unknown("saturation_ratio{connections}", Unsupported)
	}
	for _, f := range []struct{ fact, stat string }{
		{"connections", "curr_connections"}, {"items", "curr_items"}, {"stored_bytes", "bytes"}, {"stored_bytes_limit", "limit_maxbytes"},
		{"evictions", "evictions"}, {"listen_disabled", "listen_disabled_num"}, {"rejected_connections", "rejected_connections"},
	} {
		if n, known := number(f.stat); known {
			p.Fact(f.fact, n)
		} else {
			p.Unknown("fact{"+f.fact+"}", Unsupported)
		}
	}
	if accepting, known := number("accepting_conns"); known && accepting == 0 {
		p.Problem(Saturated, "it accepts no more connections")
	}
}
