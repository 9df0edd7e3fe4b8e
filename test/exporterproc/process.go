// SPDX-License-Identifier: Apache-2.0

// Package exporterproc runs the program as it is shipped, as a process of its own, against a cluster of package cluster:
// it builds it, grants an identity what the program asks for and no more, starts and stops it, and reads its metrics.
package exporterproc

import (
	"bytes"
	"context"
	"errors"
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
			tb.Logf("log of the program with %s:\n%s", p.name, p.log)
		}
	})
	return p
}

// Launch starts the program with the given flags on a free port of the loopback interface and waits until it listens. It
// runs until Stop or Kill, and also ends when this process dies.
func Launch(ctx context.Context, binary string, flags ...string) (*Process, error) {
	arguments := append([]string{"--web.listen-address=127.0.0.1:0"}, flags...)
	p := &Process{
		name: strings.Join(flags, " "), cmd: exec.Command(binary, arguments...), log: new(logBuffer), exited: make(chan struct{}),
		client: &http.Client{Timeout: patience, Transport: new(http.Transport)},
	}
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	// Setpgid keeps an interrupt at the terminal from it; the kernel kills it when the thread that started it ends.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := p.launch(); err != nil {
		return nil, fmt.Errorf("cannot start the program: %w", err)
	}
	listening := regexp.MustCompile(`msg="Listening on" address=(\S+)`)
	err := cluster.Await(ctx, patience, "the program to listen", func(context.Context) (bool, error) {
		match := listening.FindStringSubmatch(p.log.String())
		if match != nil {
			p.addr = match[1]
			return true, nil
		}
		return false, p.ended()
	})
	if err != nil {
		p.Kill()
		return nil, fmt.Errorf("%w\n%s", err, p.log)
	}
	return p, nil
}

// ended returns an error once the process has ended.
func (p *Process) ended() error {
	select {
	case <-p.exited:
		return fmt.Errorf("the program has ended: %v", p.err)
	default:
		return nil
	}
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
	if err := p.WaitReady(tb.Context()); err != nil {
		tb.Fatal(err)
	}
}

// WaitReady is AwaitReady outside of a test.
func (p *Process) WaitReady(ctx context.Context) error {
	return p.poll(ctx, patience, "the program to be ready", func(ctx context.Context) error {
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
	err := p.poll(tb.Context(), timeout, what, func(ctx context.Context) error {
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

// poll calls condition until it returns nil; the error holds the last one of condition.
func (p *Process) poll(ctx context.Context, timeout time.Duration, what string, condition func(context.Context) error) error {
	var last error
	err := cluster.Await(ctx, timeout, what, func(ctx context.Context) (bool, error) {
		if err := p.ended(); err != nil {
			return false, err
		}
		if err := condition(ctx); ctx.Err() == nil { // else it only says that the time is over
			last = err
		}
		return last == nil && ctx.Err() == nil, nil
	})
	if err != nil {
		return errors.Join(err, last)
	}
	return nil
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
