// SPDX-License-Identifier: Apache-2.0

// Package exporterproc runs the program as it is shipped, as a process of its own, against a cluster of package cluster:
// it builds it, grants an identity what the program asks for and no more, starts and stops it, and reads its metrics.
package exporterproc

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"stability-exporter/test/cluster"
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

// patience is far above what the program takes to start, to answer or to stop on a busy machine.
const patience = 60 * time.Second

// Process is a running program.
type Process struct {
	name   string
	addr   string
	cmd    *exec.Cmd
	log    *logBuffer
	exited chan struct{} // closed when it has ended
	err    error         // how it ended; read it after exited
	client *http.Client
}

// Start starts the program with the given flags on a free port of the loopback interface and waits until it listens. The
// process ends with the test, and also when this process dies. Its log is shown when the test fails.
func Start(tb testing.TB, binary string, flags ...string) *Process {
	tb.Helper()
	arguments := append([]string{"--web.listen-address=127.0.0.1:0"}, flags...)
	p := &Process{
		name: strings.Join(flags, " "), cmd: exec.Command(binary, arguments...), log: new(logBuffer), exited: make(chan struct{}),
		client: &http.Client{Timeout: patience, Transport: new(http.Transport)},
	}
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	// Setpgid keeps an interrupt at the terminal from it; the kernel kills it when the thread that started it ends.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := p.launch(); err != nil {
		tb.Fatalf("cannot start the program: %v", err)
	}
	tb.Cleanup(func() {
		p.Kill()
		if tb.Failed() {
			tb.Logf("log of the program with %s:\n%s", p.name, p.log)
		}
	})
	listening := regexp.MustCompile(`msg="Listening on" address=(\S+)`)
	p.await(tb, "the program to listen", func() error {
		match := listening.FindStringSubmatch(p.log.String())
		if match == nil {
			return fmt.Errorf("its log says:\n%s", p.log)
		}
		p.addr = match[1]
		return nil
	})
	return p
}

// launch starts the process from a thread that lives as long as the process.
func (p *Process) launch() error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			p.err = p.cmd.Wait()
			close(p.exited)
		}
	}()
	return <-started
}

// Addr is the address it listens on, host:port.
func (p *Process) Addr() string { return p.addr }

// PID is its process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Log is what it has logged up to now.
func (p *Process) Log() string { return p.log.String() }

// Stop asks it to end, waits until it has, and fails the test when it did not end well.
func (p *Process) Stop(tb testing.TB) {
	tb.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		tb.Fatalf("cannot stop the program: %v", err)
	}
	select {
	case <-p.exited:
		if p.err != nil {
			tb.Errorf("the program did not end well: %v", p.err)
		}
	case <-time.After(patience):
		tb.Errorf("the program does not end within %s", patience)
	}
	p.client.CloseIdleConnections()
}

// Kill ends it at once, as a lack of memory would; it may have ended already.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // fails only if it has ended
	<-p.exited
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
	p.await(tb, "the program to be ready", func() error {
		status, body, err := p.Get(tb.Context(), "/readyz")
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
	awaitFor(tb, timeout, what, func() error {
		var err error
		if metrics, err = p.Scrape(tb.Context()); err != nil {
			return err
		}
		return condition(metrics)
	})
	return metrics
}

func (p *Process) await(tb testing.TB, what string, condition func() error) {
	tb.Helper()
	awaitFor(tb, patience, what, func() error {
		select {
		case <-p.exited:
			tb.Fatalf("the program has ended: %v\n%s", p.err, p.log)
		default:
		}
		return condition()
	})
}

func awaitFor(tb testing.TB, timeout time.Duration, what string, condition func() error) {
	tb.Helper()
	var last error
	err := cluster.Await(tb.Context(), timeout, what, func(context.Context) (bool, error) {
		last = condition()
		return last == nil, nil
	})
	if err != nil {
		tb.Fatalf("%v: %v", err, last)
	}
}

// logBuffer collects what a process writes.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
