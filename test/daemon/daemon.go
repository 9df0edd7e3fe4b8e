// SPDX-License-Identifier: Apache-2.0

// Package daemon runs a program in the background for a test: it keeps what the program writes, knows when it has ended
// and ends it, also when the test's own process dies.
package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"stability-exporter/test/cluster"
)

// Patience is far above what a program takes to start, to answer or to stop on a busy machine.
const Patience = 60 * time.Second

// Daemon is a running program.
type Daemon struct {
	name   string
	cmd    *exec.Cmd
	log    *logBuffer
	exited chan struct{} // closed when it has ended
	err    error         // how it ended; read it after exited
}

// Start starts a program. It runs until Stop or Kill, and also ends when this process dies.
func Start(path string, arguments ...string) (*Daemon, error) {
	d := &Daemon{name: filepath.Base(path), cmd: exec.Command(path, arguments...), log: new(logBuffer), exited: make(chan struct{})}
	d.cmd.Stdout, d.cmd.Stderr = d.log, d.log
	// Setpgid keeps an interrupt at the terminal from it; the kernel kills it when the thread that started it ends.
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := d.launch(); err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", d.name, err)
	}
	return d, nil
}

// launch starts the process from a thread that lives as long as the process.
func (d *Daemon) launch() error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := d.cmd.Start()
		started <- err
		if err == nil {
			d.err = d.cmd.Wait()
			close(d.exited)
		}
	}()
	return <-started
}

// PID is its process id.
func (d *Daemon) PID() int { return d.cmd.Process.Pid }

// Log is what it has written up to now.
func (d *Daemon) Log() string { return d.log.String() }

// Ended returns an error once the program has ended.
func (d *Daemon) Ended() error {
	select {
	case <-d.exited:
		return fmt.Errorf("%s has ended: %v", d.name, d.err)
	default:
		return nil
	}
}

// Signal sends a signal, such as SIGSTOP.
func (d *Daemon) Signal(signal syscall.Signal) error {
	if err := d.cmd.Process.Signal(signal); err != nil {
		return fmt.Errorf("cannot send %v to %s: %w", signal, d.name, err)
	}
	return nil
}

// Stop asks the program to end, waits until it has, and fails the test when it did not end well.
func (d *Daemon) Stop(tb testing.TB) {
	tb.Helper()
	if err := d.Signal(syscall.SIGTERM); err != nil {
		tb.Fatal(err)
	}
	select {
	case <-d.exited:
		if d.err != nil {
			tb.Errorf("%s did not end well: %v", d.name, d.err)
		}
	case <-time.After(Patience):
		tb.Errorf("%s does not end within %s", d.name, Patience)
	}
}

// Kill ends the program at once, as a lack of memory would; it may have ended already.
func (d *Daemon) Kill() {
	_ = d.cmd.Process.Kill() // fails only if it has ended
	<-d.exited
}

// Await calls condition until it returns nil. The error of a vain wait holds the last one of condition.
func (d *Daemon) Await(ctx context.Context, timeout time.Duration, what string, condition func(context.Context) error) error {
	var last error
	err := cluster.Await(ctx, timeout, what, func(ctx context.Context) (bool, error) {
		if err := d.Ended(); err != nil {
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
