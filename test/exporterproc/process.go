// SPDX-License-Identifier: Apache-2.0

// Package exporterproc runs the program as it is shipped, as a process of its own, against a cluster of package cluster:
// it builds it, grants an identity what the program asks for and no more, starts and stops it, and reads its metrics.
package exporterproc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"stability-exporter/test/daemon"
)

// Build builds the program into dir and returns its path. Call it once, in TestMain.
func Build(ctx context.Context, dir string) (string, error) {
	source, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "stability-exporter").Output()
	if err != nil {
		return "", fmt.Errorf("cannot find the module stability-exporter: %w", err)
	}
	binary := filepath.Join(dir, "stability_exporter")
	build := exec.CommandContext(ctx, "go", "build", "-o", binary, ".")
	build.Dir = strings.TrimSpace(string(source)) // so that it is built with the module's own requirements
	if output, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("cannot build the program: %w\n%s", err, output)
	}
	return binary, nil
}

// Process is a running program.
type Process struct {
	*daemon.Daemon
	name   string
	addr   string
	client *http.Client
}

// Start is Launch for a test: the process ends with the test, and its log is shown when the test fails.
func Start(tb testing.TB, binary string, flags ...string) *Process {
	tb.Helper()
	p, err := Launch(tb.Context(), binary, flags...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		p.Kill()
		if tb.Failed() {
			tb.Logf("log of the program with %s:\n%s", p.name, p.Log())
		}
	})
	return p
}

// Launch starts the program with the given flags on a free port of the loopback interface and waits until it listens. It
// runs until Stop or Kill, and also ends when this process dies.
func Launch(ctx context.Context, binary string, flags ...string) (*Process, error) {
	d, err := daemon.Start(binary, append([]string{"--web.listen-address=127.0.0.1:0"}, flags...)...)
	if err != nil {
		return nil, err
	}
	p := &Process{
		Daemon: d, name: strings.Join(flags, " "),
		client: &http.Client{Timeout: daemon.Patience, Transport: new(http.Transport)},
	}
	listening := regexp.MustCompile(`msg="Listening on" address=(\S+)`)
	err = d.Await(ctx, daemon.Patience, "the program to listen", func(context.Context) error {
		match := listening.FindStringSubmatch(p.Log())
		if match == nil {
			return errors.New("it does not say where it listens")
		}
		p.addr = match[1]
		return nil
	})
	if err != nil {
		p.Kill()
		return nil, fmt.Errorf("%w\n%s", err, p.Log())
	}
	return p, nil
}

// Addr is the address it listens on, host:port.
func (p *Process) Addr() string { return p.addr }

// Stop asks it to end, waits until it has, and fails the test when it did not end well.
func (p *Process) Stop(tb testing.TB) {
	tb.Helper()
	p.Daemon.Stop(tb)
	p.client.CloseIdleConnections()
}

// Kill ends it at once, as a lack of memory would; it may have ended already.
func (p *Process) Kill() {
	p.Daemon.Kill()
	p.client.CloseIdleConnections()
}

// Get reads a path such as /readyz and returns status code and body.
func (p *Process) Get(ctx context.Context, path string) (int, string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.addr+path, nil)
	if err != nil {
		return 0, "", fmt.Errorf("cannot ask for %s: %w", path, err)
	}
	answer, err := p.client.Do(request)
	if err != nil {
		return 0, "", fmt.Errorf("cannot get %s: %w", path, err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0, "", fmt.Errorf("cannot read %s: %w", path, err)
	}
	return answer.StatusCode, string(body), nil
}

// Scrape reads and parses /metrics.
func (p *Process) Scrape(ctx context.Context) (Metrics, error) {
	status, body, err := p.Get(ctx, "/metrics")
	if err != nil {
		return Metrics{}, err
	}
	if status != http.StatusOK {
		return Metrics{}, fmt.Errorf("cannot scrape: status %d: %s", status, body)
	}
	return Parse(body)
}

// AwaitReady waits until /readyz says that every permitted resource is synchronised.
func (p *Process) AwaitReady(tb testing.TB) {
	tb.Helper()
	if err := p.WaitReady(tb.Context()); err != nil {
		tb.Fatal(err)
	}
}

// WaitReady is AwaitReady outside of a test.
func (p *Process) WaitReady(ctx context.Context) error {
	return p.Daemon.Await(ctx, daemon.Patience, "the program to be ready", func(ctx context.Context) error {
		status, body, err := p.Get(ctx, "/readyz")
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("/readyz answers %d: %s", status, body)
		}
		return err
	})
}

// Await scrapes until condition returns nil and returns that scrape. The test fails with the last error after timeout.
func (p *Process) Await(tb testing.TB, timeout time.Duration, what string, condition func(Metrics) error) Metrics {
	tb.Helper()
	var metrics Metrics
	err := p.Daemon.Await(tb.Context(), timeout, what, func(ctx context.Context) error {
		var err error
		if metrics, err = p.Scrape(ctx); err != nil {
			return err
		}
		return condition(metrics)
	})
	if err != nil {
		tb.Fatal(err)
	}
	return metrics
}
