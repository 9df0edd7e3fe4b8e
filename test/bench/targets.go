// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"stability-exporter/test/exporterproc"
)

// The load on the prober: targets of several kinds on the loopback interface, half of which accept a connection and never answer.
const (
	targetInterval = 15 * time.Second
	targetTimeout  = 5 * time.Second
)

// answering are the kinds of the targets, each with what a server of it answers to a line that begins so.
func answering() map[string]map[string]string {
	info := "role:master\r\nloading:0\r\nused_memory:1000\r\nmaxmemory:100000\r\nmaxmemory_policy:noeviction\r\nconnected_clients:3\r\nmaxclients:10000\r\n" +
		"connected_slaves:0\r\nmaster_repl_offset:0\r\nrdb_last_bgsave_status:ok\r\naof_last_write_status:ok\r\nrejected_connections:0\r\nevicted_keys:0\r\n"
	return map[string]map[string]string{
		"redis":     {"$4": fmt.Sprintf("$%d\r\n%s\r\n", len(info), info)},
		"http":      {"GET": "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"},
		"memcached": {"stats": "STAT version 1.6.18\r\nSTAT curr_connections 3\r\nSTAT max_connections 1024\r\nSTAT evictions 0\r\nEND\r\n"},
		"zookeeper": {"srvr": "Zookeeper version: 3.8.0\nLatency min/avg/max: 0/0.1/9\nReceived: 1\nSent: 1\nConnections: 1\nOutstanding: 0\nZxid: 0x1\nMode: standalone\nNode count: 5\n",
			"mntr": "mntr is not executed because it is not in the whitelist.\n"},
		"tcp": {},
	}
}

// hangsUp reports whether servers of a kind end the connection after an answer.
func hangsUp(kind string) bool { return kind == "http" || kind == "zookeeper" }

// serveLines answers connections line by line; with nil it never says anything.
func serveLines(answers map[string]string, hangUp bool) (net.Listener, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("cannot listen: %w", err)
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go answerLines(conn, answers, hangUp)
		}
	}()
	return l, nil
}

func answerLines(conn net.Conn, answers map[string]string, hangUp bool) {
	defer conn.Close()
	if answers == nil {
		_, _ = io.Copy(io.Discard, conn) // until the other end gives up
		return
	}
	reader := bufio.NewReader(conn)
	line := make([]byte, 0, 64)
	for {
		b, err := reader.ReadByte()
		if err != nil {
			return
		}
		line = append(line, b)
		for begin, answer := range answers {
			if string(line) == begin {
				if _, err := io.WriteString(conn, answer); err != nil || hangUp {
					return
				}
			}
		}
		if b == '\n' || len(line) == cap(line) {
			line = line[:0]
		}
	}
}

// measureTargets lets the exporter ask n targets for a while and prints what that costs.
func measureTargets(ctx context.Context, binary, dir string, n int, watched time.Duration, stdout io.Writer) error {
	config, end, err := configureTargets(dir, n)
	defer end()
	if err != nil {
		return err
	}
	p, err := launchExporter(ctx, binary, "--config.file="+config)
	if err != nil {
		return err
	}
	defer p.stop()
	warm := 4 * targetInterval // by then it is known what hangs
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(warm):
	}
	before, began := p.cpu(), time.Now()
	var lateness = map[bool][]float64{}
	goroutines, inTime := 0.0, time.NewTicker(time.Second)
	defer inTime.Stop()
	for time.Since(began) < watched {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-inTime.C:
		}
		m, err := scrapeTargets(ctx, p)
		if err != nil {
			return err
		}
		goroutines = max(goroutines, m.goroutines)
		for hangs, ages := range m.ages {
			lateness[hangs] = append(lateness[hangs], ages...)
		}
	}
	cpu, memory := p.cpu()-before, p.memory()
	fmt.Fprintf(stdout, "| targets | %d of %d kinds, every other one hangs; interval %s, timeout %s |\n|---|---|\n", n, len(answering()), targetInterval, targetTimeout)
	fmt.Fprintf(stdout, "| CPU | %.1f %% of a core |\n| memory | %s, at most %s |\n| goroutines, at most | %.0f |\n", 100*cpu.Seconds()/watched.Seconds(),
		memoryText(memory.resident), memoryText(memory.peak), goroutines)
	for _, hangs := range []bool{false, true} {
		ages := slices.Sorted(slices.Values(lateness[hangs]))
		if len(ages) == 0 {
			return fmt.Errorf("no target that hangs=%t was ever asked", hangs)
		}
		what := map[bool]string{false: "answers", true: "hangs"}[hangs]
		fmt.Fprintf(stdout, "| age of the verdict on what %s | median %.0f s, 99 %% %.0f s, at most %.0f s |\n", what,
			ages[len(ages)/2], ages[len(ages)*99/100], ages[len(ages)-1])
	}
	return nil
}

// configureTargets starts the servers and writes the configuration; end stops them.
func configureTargets(dir string, n int) (config string, end func(), err error) {
	var listeners []net.Listener
	end = func() {
		for _, l := range listeners {
			_ = l.Close()
		}
	}
	kinds := slices.Sorted(maps.Keys(answering()))
	mute := slices.DeleteFunc(slices.Clone(kinds), func(kind string) bool { return kind == "tcp" }) // that is content with a connection
	var text strings.Builder
	fmt.Fprintf(&text, "middleware:\n  interval: %s\n  timeout: %s\n  targets:\n", targetInterval, targetTimeout)
	for i := range n {
		kind, name, answers := kinds[i/2%len(kinds)], fmt.Sprintf("fine-%d", i), answering()[kinds[i/2%len(kinds)]]
		if i%2 == 1 {
			name, answers = fmt.Sprintf("hangs-%d", i), nil
			kind = mute[i/2%len(mute)]
		}
		l, err := serveLines(answers, hangsUp(kind))
		if err != nil {
			return "", end, err
		}
		listeners = append(listeners, l)
		fmt.Fprintf(&text, "    - {name: %s, kind: %s, address: %q}\n", name, kind, l.Addr().String())
	}
	config = filepath.Join(dir, "targets.yaml")
	if err := os.WriteFile(config, []byte(text.String()), 0o600); err != nil {
		return "", end, fmt.Errorf("cannot write the configuration: %w", err)
	}
	return config, end, nil
}

// targetsScrape is what a scrape tells of the targets.
type targetsScrape struct {
	ages       map[bool][]float64 // seconds since the last probe of each, by whether it hangs
	goroutines float64
}

func scrapeTargets(ctx context.Context, p *process) (*targetsScrape, error) {
	s := newScraper(p.URL)
	defer s.close()
	var text strings.Builder
	if _, err := s.get(ctx, "/metrics", false, &text); err != nil {
		return nil, err
	}
	m, err := exporterproc.Parse(text.String())
	if err != nil {
		return nil, err
	}
	scrape := &targetsScrape{ages: map[bool][]float64{}}
	for _, g := range m.Select("go_goroutines") {
		scrape.goroutines = g.Value
	}
	now := float64(time.Now().UnixMilli()) / 1000
	for _, probed := range m.Select("stability_middleware_probed_timestamp_seconds") {
		hangs := strings.HasPrefix(probed.Labels["target"], "hangs")
		scrape.ages[hangs] = append(scrape.ages[hangs], now-probed.Value)
	}
	for _, up := range m.Select("stability_middleware_up") {
		if hangs := strings.HasPrefix(up.Labels["target"], "hangs"); hangs == (up.Value == 1) {
			return nil, fmt.Errorf("%s is told to be up: %v, because of %v", up.Labels["target"], up.Value,
				m.Select("stability_middleware_problem", "target", up.Labels["target"]))
		}
	}
	return scrape, nil
}
