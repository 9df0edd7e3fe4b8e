// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"stability-exporter/internal/middleware"
	"stability-exporter/internal/state"
	"stability-exporter/test/daemon"
)

// hangPatience is the timeout of a probe of a server that hangs: all of it is waited for.
const hangPatience = 500 * time.Millisecond

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

// serve starts a server and waits until it accepts connections at the address.
func serve(t *testing.T, address, path string, arguments ...string) *daemon.Daemon {
	t.Helper()
	d := run(t, path, arguments...)
	if err := d.Await(t.Context(), daemon.Patience, "connections to "+path, func(ctx context.Context) error {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		return conn.Close()
	}); err != nil {
		t.Fatal(err)
	}
	return d
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

// freeze stops a server from doing anything, while the kernel goes on accepting connections for it, until thaw is called or the test ends.
func freeze(t *testing.T, d *daemon.Daemon) (thaw func()) {
	t.Helper()
	if err := d.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := d.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
	}
}

// checkHang freezes a server: whoever asks it is told so within the timeout, and that all is well again after the thaw.
func checkHang(t *testing.T, d *daemon.Daemon, target *middleware.Target) {
	t.Helper()
	thaw := freeze(t, d)
	hanging := *target
	hanging.Timeout = hangPatience
	check(t, probe(t, &hanging), down(middleware.Timeout, ""))
	thaw()
	awaitView(t, target, "the answer after the thaw", healthy)
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

// within changes how long a probe may take.
func within(timeout time.Duration) func(*middleware.Target) {
	return func(t *middleware.Target) { t.Timeout = timeout }
}

// expecting says how many members there should be.
func expecting(members int) func(*middleware.Target) {
	return func(t *middleware.Target) { t.Limits.ExpectedMembers = members }
}

// inGroup makes a target a member of a group.
func inGroup(t *middleware.Target) { t.Group = "group" }

// down wants a target not to be up, for one reason and no other.
func down(reason middleware.Reason, text string) func(*state.MiddlewareView) error {
	return func(view *state.MiddlewareView) error {
		switch {
		case view.Up:
			return errors.New("it should not be up")
		case len(view.Problems) != 1:
			return fmt.Errorf("it should have the problem %s alone", reason)
		}
		return unhealthy(reason, text)(view)
	}
}

// upWith wants a target to be up with problems of these reasons and of no other.
func upWith(reasons ...middleware.Reason) func(*state.MiddlewareView) error {
	return func(view *state.MiddlewareView) error {
		if !view.Up || len(view.Problems) != len(reasons) {
			return fmt.Errorf("it should be up with the problems %v alone", reasons)
		}
		for _, reason := range reasons {
			if err := unhealthy(reason, "")(view); err != nil {
				return err
			}
		}
		return nil
	}
}

// role wants a role, and that writes are taken or not.
func role(name string, writable state.Tristate) func(*state.MiddlewareView) error {
	return func(view *state.MiddlewareView) error {
		if view.Role != name || view.Writable != writable {
			return fmt.Errorf("it should be %s, writable %d", name, writable)
		}
		return nil
	}
}

// number wants a number under a name to be in a range; of takes the list out of a view.
func number(of func(*state.MiddlewareView) []state.Measurement, name string, least, most float64) func(*state.MiddlewareView) error {
	return func(view *state.MiddlewareView) error {
		for _, m := range of(view) {
			if m.Name == name {
				if m.Value < least || m.Value > most {
					return fmt.Errorf("%s is %v and should be from %v to %v", name, m.Value, least, most)
				}
				return nil
			}
		}
		return fmt.Errorf("%s should be told", name)
	}
}

func facts(v *state.MiddlewareView) []state.Measurement      { return v.Facts }
func members(v *state.MiddlewareView) []state.Measurement    { return v.Members }
func alarms(v *state.MiddlewareView) []state.Measurement     { return v.Alarms }
func saturation(v *state.MiddlewareView) []state.Measurement { return v.Saturation }
func partitions(v *state.MiddlewareView) []state.Measurement { return v.Partitions }

// unknown wants a fact to be told as unknown.
func unknown(fact string, why middleware.Why) func(*state.MiddlewareView) error {
	return func(view *state.MiddlewareView) error {
		for _, u := range view.Unknown {
			if u.Fact == fact && u.Why == string(why) {
				return nil
			}
		}
		return fmt.Errorf("%s should be unknown for %s", fact, why)
	}
}

// nothingUnknown wants every fact of the role to be told, and none that the kind does not declare.
func nothingUnknown(view *state.MiddlewareView) error {
	if len(view.Unknown) > 0 {
		return errors.New("nothing should be unknown")
	}
	kinds := middleware.Kinds()
	declared := kinds[slices.IndexFunc(kinds, func(k middleware.Kind) bool { return k.Name == view.Kind })].Facts
	for family, list := range map[string][]state.Measurement{
		"members": view.Members, "saturation_ratio": view.Saturation, "alarm": view.Alarms, "partitions": view.Partitions, "fact": view.Facts,
		"expiry_timestamp_seconds": view.Expiry,
	} {
		for _, m := range list {
			if fact := family + "{" + m.Name + "}"; !slices.Contains(declared, fact) && !slices.Contains(declared, family) {
				return fmt.Errorf("%s is told, and the kind does not declare it", fact)
			}
		}
	}
	return nil
}

// hides wants a text to be shown nowhere.
func hides(secret string) func(*state.MiddlewareView) error {
	return func(view *state.MiddlewareView) error {
		if strings.Contains(describe(view), secret) {
			return errors.New("it should not show the secret")
		}
		return nil
	}
}
