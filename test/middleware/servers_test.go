// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"stability-exporter/internal/middleware"
	"stability-exporter/test/cluster"
	"stability-exporter/test/daemon"
)

// freeAddress returns 127.0.0.1 with a port on which nobody listens, and the port by itself.
func freeAddress(t *testing.T) (address, port string) {
	t.Helper()
	number, err := cluster.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	port = strconv.Itoa(number)
	return net.JoinHostPort("127.0.0.1", port), port
}

// program returns the path of a server; those in sbin are not in everybody's PATH.
func program(t *testing.T, name string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	path := filepath.Join("/usr/sbin", name)
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%s is not installed: run make test-tools", name)
	}
	return path
}

// run starts a server that ends with the test; what it wrote is shown when the test fails.
func run(t *testing.T, command ...string) *daemon.Daemon {
	t.Helper()
	d, err := daemon.Start(program(t, command[0]), command[1:]...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		d.Kill()
		if t.Failed() {
			t.Logf("log of %s:\n%s", strings.Join(command, " "), d.Log())
		}
	})
	return d
}

// runUntil starts a server and waits until ready returns nil.
func runUntil(t *testing.T, ready func(context.Context) error, command ...string) *daemon.Daemon {
	t.Helper()
	d := run(t, command...)
	if err := d.Await(t.Context(), daemon.Patience, "the start of "+strings.Join(command, " "), ready); err != nil {
		t.Fatal(err)
	}
	return d
}

// serve starts a server and waits until it accepts connections at the address.
func serve(t *testing.T, address string, command ...string) *daemon.Daemon {
	t.Helper()
	return runUntil(t, func(ctx context.Context) error {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		return conn.Close()
	}, command...)
}

// await calls condition until it returns nil.
func await(t *testing.T, what string, condition func(context.Context) error) {
	t.Helper()
	var last error
	err := cluster.Await(t.Context(), daemon.Patience, what, func(ctx context.Context) (bool, error) {
		if err := condition(ctx); ctx.Err() == nil {
			last = err
		}
		return last == nil && ctx.Err() == nil, nil
	})
	if err != nil {
		t.Fatal(errors.Join(err, last))
	}
}

// call runs a program to its end and returns what it wrote to its standard output.
func call(t *testing.T, command ...string) string {
	t.Helper()
	out, err := try(t.Context(), command...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// try is call for a program that may fail; the error holds all that it wrote.
func try(ctx context.Context, command ...string) (string, error) {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Dir = "/" // programs that run as another user complain of a folder that they may not enter
	out, err := cmd.Output()
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		err = fmt.Errorf("%w: %s%s", err, out, failed.Stderr)
	}
	if err != nil {
		return "", fmt.Errorf("cannot run %s: %w", strings.Join(command, " "), err)
	}
	return strings.TrimSpace(string(out)), nil
}

// withUser runs a program as another user than root, for servers that refuse it. A change of the user clears the signal by which the kernel ends a program together
// with the one that started it, so it is set again.
func withUser(name string, command ...string) []string {
	if os.Geteuid() != 0 {
		return command
	}
	return append([]string{"setpriv", "--reuid", name, "--regid", name, "--clear-groups", "--pdeathsig", "KILL", "--"}, command...)
}

// giveTo makes files those of the user that a server runs as by withUser.
func giveTo(t *testing.T, owner string, paths ...string) {
	t.Helper()
	if os.Geteuid() != 0 {
		return
	}
	account, err := user.Lookup(owner)
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(account.Uid)
	gid, _ := strconv.Atoi(account.Gid)
	for _, path := range paths {
		if err := os.Chown(path, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
}

// openDir returns a folder that every user may enter, which those of testing.T are not.
func openDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "mw") // short: sockets have short paths
	if err == nil {
		t.Cleanup(func() { _ = os.RemoveAll(dir) })
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// dirOf returns an open folder that belongs to a user.
func dirOf(t *testing.T, owner string) string {
	t.Helper()
	dir := openDir(t)
	giveTo(t, owner, dir)
	return dir
}

// write writes a file into a directory and returns its path.
func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// freeze stops a process from doing anything, while the kernel goes on accepting connections for it, until thaw is called or the test ends.
func freeze(t *testing.T, pid int) (thaw func()) {
	t.Helper()
	process, err := os.FindProcess(pid)
	if err == nil {
		err = process.Signal(syscall.SIGSTOP)
	}
	if err != nil {
		t.Fatal(err)
	}
	await(t, "the process to stand still", func(context.Context) error { return standsStill(pid) })
	thaw = func() {
		if err := process.Signal(syscall.SIGCONT); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Errorf("cannot go on with process %d: %v", pid, err)
		}
	}
	t.Cleanup(thaw)
	return thaw
}

// standsStill returns an error while any thread of a process still runs: a signal is on its way for a moment.
func standsStill(pid int) error {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil {
		return err
	}
	for _, thread := range threads {
		text, err := os.ReadFile(thread)
		if err != nil {
			return err
		}
		if _, after, _ := bytes.Cut(text[bytes.LastIndexByte(text, ')')+1:], []byte(" ")); !bytes.HasPrefix(after, []byte("T")) {
			return fmt.Errorf("a thread is not stopped: %s", text)
		}
	}
	return nil
}

// checkHang freezes a server: whoever asks it is told so within the timeout, and that all is well again after the thaw.
func checkHang(t *testing.T, d *daemon.Daemon, targets ...*middleware.Target) {
	t.Helper()
	thaw := freeze(t, d.PID())
	for _, target := range targets {
		hanging := *target
		hanging.Timeout = hangPatience
		check(t, probe(t, &hanging), down(middleware.Timeout, ""))
	}
	thaw()
	for _, target := range targets {
		awaitView(t, target, "the answer after the thaw", healthy)
	}
}

// occupy opens connections and sends a text on each; they stay open until release is called or the test ends.
func occupy(t *testing.T, address string, n int, text string) (release func()) {
	t.Helper()
	var all []net.Conn
	release = func() {
		for _, conn := range all {
			_ = conn.Close() // may be closed already
		}
		all = nil
	}
	t.Cleanup(func() { release() })
	for range n {
		conn, err := (&net.Dialer{Timeout: probeTimeout}).DialContext(t.Context(), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, conn)
		if _, err := conn.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	return release
}

// occupyUntil occupies one connection after the other until a view is as it is wanted.
func occupyUntil(t *testing.T, address, text string, target *middleware.Target, wanted expectation) (release func()) {
	t.Helper()
	var releases []func()
	await(t, "the lack of connections", func(context.Context) error {
		releases = append(releases, occupy(t, address, 1, text))
		return unmet(probe(t, target), []expectation{wanted})
	})
	return func() {
		for _, release := range releases {
			release()
		}
	}
}

// object is one of JSON.
type object map[string]any

// send sends JSON to the API of a server and returns what it answers; with changes the request before it is sent.
func send(ctx context.Context, method, url string, body any, with ...func(*http.Request)) ([]byte, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	for _, change := range with {
		change(request)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode >= http.StatusMultipleChoices {
		err = fmt.Errorf("%s %s: HTTP %d: %s", method, url, response.StatusCode, answer)
	}
	return answer, err
}

// relay passes connections on to a server and counts what comes back.
type relay struct {
	address string
	bytes   atomic.Int64
}

// relayed starts a relay to a server; it ends with the test.
func relayed(t *testing.T, server string) *relay {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	r := &relay{address: listener.Addr().String()}
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go r.pass(client, server)
		}
	}()
	return r
}

func (r *relay) pass(client net.Conn, server string) {
	defer client.Close()
	conn, err := net.Dial("tcp", server)
	if err != nil {
		return
	}
	defer conn.Close()
	go func() {
		_, _ = io.Copy(conn, client) // ends when either end does
		conn.Close()
	}()
	_, _ = io.Copy(io.MultiWriter(client, (*counter)(&r.bytes)), conn)
}

// counter counts what is written to it.
type counter atomic.Int64

// Write implements io.Writer.
func (c *counter) Write(b []byte) (int, error) {
	(*atomic.Int64)(c).Add(int64(len(b)))
	return len(b), nil
}
