// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

// buildExporter builds the program as it is shipped and returns its path in dir.
func buildExporter(ctx context.Context, dir string) (string, error) {
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "stability-exporter/test").Output()
	if err != nil {
		return "", fmt.Errorf("cannot find the module stability-exporter/test: %w", err)
	}
	binary := filepath.Join(dir, "stability_exporter")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", binary, ".")
	build.Dir = filepath.Dir(strings.TrimSpace(string(root)))
	if output, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("cannot build the exporter: %w\n%s", err, output)
	}
	return binary, nil
}

// process is a running exporter.
type process struct {
	URL     string
	started time.Time

	cmd    *exec.Cmd
	log    *logReader
	exited chan struct{}
}

// startExporter starts the exporter against an API server and waits until it listens.
func startExporter(ctx context.Context, binary, dir, server string) (*process, error) {
	kubeconfig := filepath.Join(dir, "kubeconfig")
	content := fmt.Sprintf(`{"apiVersion":"v1","kind":"Config","current-context":"bench","contexts":[{"name":"bench","context":`+
		`{"cluster":"bench","user":"bench"}}],"clusters":[{"name":"bench","cluster":{"server":%q}}],"users":[{"name":"bench","user":{}}]}`, server)
	if err := os.WriteFile(kubeconfig, []byte(content), 0o600); err != nil {
		return nil, fmt.Errorf("cannot write the kubeconfig: %w", err)
	}
	return launchExporter(ctx, binary, "--kubeconfig="+kubeconfig)
}

// launchExporter starts the exporter with a flag and waits until it listens.
func launchExporter(ctx context.Context, binary, flag string) (*process, error) {
	p := &process{log: newLogReader(), exited: make(chan struct{}), started: time.Now()}
	p.cmd = exec.CommandContext(ctx, binary, flag, "--web.listen-address=127.0.0.1:0", "--web.enable-pprof")
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		return nil, fmt.Errorf("cannot read the exporter's log: %w", err)
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start the exporter: %w", err)
	}
	go func() {
		p.log.read(stderr)
		_ = p.cmd.Wait() // killed or not, its end is what counts
		close(p.exited)
	}()
	select {
	case address := <-p.log.address:
		p.URL = "http://" + address
		return p, nil
	case <-p.exited:
		return nil, fmt.Errorf("the exporter ended before it listened:\n%s", p.log)
	}
}

// stop ends the exporter in order and waits for it.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // fails only when it has ended already
	<-p.exited
}

// cpu returns the processor time that the process has used so far, to the nanosecond (the clock of a process, clock_getcpuclockid(3)).
func (p *process) cpu() time.Duration {
	const scheduled = 2
	clock := uint32(^p.cmd.Process.Pid)<<3 | scheduled
	var t syscall.Timespec
	if _, _, errno := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, uintptr(clock), uintptr(unsafe.Pointer(&t)), 0); errno != 0 {
		return 0 // it has ended
	}
	return time.Duration(t.Nano())
}

// memory is what /proc tells of a process, in bytes.
type memory struct {
	peak     int64 // highest resident set so far
	resident int64
	private  int64 // of resident: not mapped from the program's file
}

func (p *process) memory() memory {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return memory{}
	}
	field := func(name string) int64 {
		_, rest, _ := strings.Cut(string(text), "\n"+name+":")
		line, _, _ := strings.Cut(rest, "\n")
		kilobytes, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(line, "kB")), 10, 64)
		return kilobytes << 10
	}
	return memory{peak: field("VmHWM"), resident: field("VmRSS"), private: field("RssAnon")}
}

// logReader keeps the log of a process and finds the address it listens on.
type logReader struct {
	address chan string

	mu   sync.Mutex
	text strings.Builder
}

func newLogReader() *logReader { return &logReader{address: make(chan string, 1)} }

func (l *logReader) read(from io.Reader) {
	listening := regexp.MustCompile(`msg="Listening on" address=(\S+)`)
	lines := bufio.NewScanner(from)
	for lines.Scan() {
		if match := listening.FindStringSubmatch(lines.Text()); match != nil {
			l.address <- match[1]
		}
		l.mu.Lock()
		l.text.WriteString(lines.Text() + "\n")
		l.mu.Unlock()
	}
}

// String returns the log so far.
func (l *logReader) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
