// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// spawner starts processes from one operating system thread that lives as long as they do. The kernel sends
// Pdeathsig when the starting thread ends, not when the whole process does, so any other thread would not be safe.
type spawner struct {
	requests chan func()
}

func newSpawner() *spawner {
	s := &spawner{requests: make(chan func())}
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		for request := range s.requests {
			request()
		}
	}()
	return s
}

func (s *spawner) start(cmd *exec.Cmd) error {
	result := make(chan error)
	s.requests <- func() { result <- cmd.Start() }
	return <-result
}

// close must come after the end of every process.
func (s *spawner) close() { close(s.requests) }

// process is one component. Like a static pod it is started again when it ends by itself: kube-controller-manager and
// kube-scheduler end whenever they lose their lease.
type process struct {
	name    string
	path    string
	args    []string
	log     string
	spawner *spawner

	mu       sync.Mutex
	cmd      *exec.Cmd     // nil while not running
	exited   chan struct{} // closed when cmd has ended
	wanted   bool          // started and neither killed nor stopped
	frozen   bool
	failures int // how often it ended by itself
}

// restartDelay keeps a component that fails at once from taking a whole core.
const restartDelay = time.Second

func (p *process) start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil {
		return fmt.Errorf("cannot start %s: it is already running", p.name)
	}
	p.wanted = true
	return p.launch()
}

// launch is called with the lock held.
func (p *process) launch() error {
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("cannot open the log of %s: %w", p.name, err)
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command(p.path, p.args...)
	cmd.Dir = filepath.Dir(p.log)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := p.spawner.start(cmd); err != nil {
		return fmt.Errorf("cannot start %s: %w", p.name, err)
	}
	p.cmd, p.exited, p.frozen = cmd, make(chan struct{}), false
	go p.supervise(cmd, p.exited)
	return nil
}

func (p *process) supervise(cmd *exec.Cmd, exited chan struct{}) {
	_ = cmd.Wait() // how it ended stands in its log
	p.mu.Lock()
	p.cmd = nil
	close(exited)
	again := p.wanted
	if again {
		p.failures++
	}
	p.mu.Unlock()
	if !again {
		return
	}
	<-time.After(restartDelay)
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.wanted || p.cmd != nil {
		return
	}
	if err := p.launch(); err != nil {
		p.wanted = false
	}
}

// kill ends the process at once and waits until it is gone; it stays down until started again.
func (p *process) kill() {
	p.mu.Lock()
	p.wanted = false
	if p.cmd == nil {
		p.mu.Unlock()
		return
	}
	exited := p.exited
	_ = p.cmd.Process.Kill() // fails only if it has just ended
	p.mu.Unlock()
	<-exited
}

func (p *process) freeze() error {
	return p.signal(syscall.SIGSTOP, true)
}

func (p *process) resume() error {
	return p.signal(syscall.SIGCONT, false)
}

func (p *process) signal(signal syscall.Signal, frozen bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return fmt.Errorf("cannot send %v to %s: it is not running", signal, p.name)
	}
	if err := p.cmd.Process.Signal(signal); err != nil {
		return fmt.Errorf("cannot send %v to %s: %w", signal, p.name, err)
	}
	p.frozen = frozen
	return nil
}

// pid is 0 while the process is not running.
func (p *process) pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return 0
	}
	return p.cmd.Process.Pid
}

// endedByItself tells how often it ended without being told to.
func (p *process) endedByItself() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.failures
}

// logTail returns the end of the process's log, for error messages.
func (p *process) logTail() string {
	const most = 4096
	content, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(content[max(0, len(content)-most):])
}
