// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"bytes"
	"net"
	"runtime"
	"slices"
	"testing"
	"time"

	"stability-exporter/internal/state"
)

// targetOf returns a target of a kind, asked with what change does to it.
func targetOf(t *testing.T, kind, address string, change ...func(*Target)) *Target {
	t.Helper()
	kinds := Kinds()
	i := slices.IndexFunc(kinds, func(k Kind) bool { return k.Name == kind })
	if i < 0 {
		t.Fatalf("there is no kind %q", kind)
	}
	target := &Target{Kind: &kinds[i], Name: "t", Address: address, Timeout: 10 * time.Second, Policy: Policy{Configured: true}, Options: map[string]string{}}
	for _, do := range change {
		do(target)
	}
	return target
}

// withLogin lets a target be asked as somebody.
func withLogin(username, password string) func(*Target) {
	return func(t *Target) {
		t.Credential = &Credential{Name: "c", Username: username, Password: NewSecret(password), Targets: []string{"127.0.0.1"}}
	}
}

func withOption(name, value string) func(*Target) { return func(t *Target) { t.Options[name] = value } }

func withGroup(t *Target) { t.Group = "g" }

// reasons returns the reasons of a view's problems in their order.
func reasons(v *state.MiddlewareView) []Reason {
	var all []Reason
	for _, p := range v.Problems {
		all = append(all, Reason(p.Reason))
	}
	return all
}

// wantUp wants a target that is up and has these problems and no other, in any order.
func wantUp(t *testing.T, v *state.MiddlewareView, want ...Reason) {
	t.Helper()
	got := reasons(v)
	slices.Sort(got)
	slices.Sort(want)
	if !v.Up || !slices.Equal(got, want) {
		t.Errorf("up %t, problems %v, want only %v", v.Up, v.Problems, want)
	}
}

// valueOf returns a number of a list; NaN is what it is when it is not there.
func valueOf(list []state.Measurement, name string) (float64, bool) {
	i := slices.IndexFunc(list, func(m state.Measurement) bool { return m.Name == name })
	if i < 0 {
		return 0, false
	}
	return list[i].Value, true
}

// wantValue wants a number in a list.
func wantValue(t *testing.T, list []state.Measurement, name string, want float64) {
	t.Helper()
	if got, ok := valueOf(list, name); !ok || got != want {
		t.Errorf("%s: %v (known: %t), want %v", name, got, ok, want)
	}
}

// wantUnknown wants a fact that is told to be unknown.
func wantUnknown(t *testing.T, v *state.MiddlewareView, fact string, why Why) {
	t.Helper()
	if !slices.Contains(v.Unknown, state.UnknownFact{Fact: fact, Why: string(why)}) {
		t.Errorf("%s is not unknown for %s: %v", fact, why, v.Unknown)
	}
}

// Whoever listens where a database was expected: no probe hangs, crashes, grows or takes it for one that is well.
func TestHostileServers(t *testing.T) {
	end := make(chan struct{})
	t.Cleanup(func() { close(end) })
	swallow := func(conn net.Conn) { _, _ = conn.Read(make([]byte, 4096)) }
	servers := map[string]string{
		"silent":  listen(t, func(net.Conn) { <-end }),
		"closing": listen(t, func(net.Conn) {}),
		"endless": listen(t, func(conn net.Conn) {
			for line := bytes.Repeat([]byte("x"), 64<<10); ; {
				if _, err := conn.Write(line); err != nil {
					return
				}
			}
		}),
		"endless zeros": listen(t, func(conn net.Conn) {
			for {
				if _, err := conn.Write(make([]byte, 64<<10)); err != nil {
					return
				}
			}
		}),
		"HTTP": listen(t, func(conn net.Conn) {
			swallow(conn)
			_, _ = conn.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
		}),
		"SSH":       listen(t, func(conn net.Conn) { _, _ = conn.Write([]byte("SSH-2.0-OpenSSH_9.2\r\n")); swallow(conn) }),
		"binary":    listen(t, func(conn net.Conn) { swallow(conn); _, _ = conn.Write(bytes.Repeat([]byte{0xff, 0, 0x7f, 0x80}, 4096)) }),
		"promising": listen(t, func(conn net.Conn) { swallow(conn); _, _ = conn.Write([]byte("$8000000\r\nx")); <-end }),
		"drop by drop": listen(t, func(conn net.Conn) {
			tick := time.NewTicker(10 * time.Millisecond)
			defer tick.Stop()
			for range tick.C {
				if _, err := conn.Write([]byte("+")); err != nil {
					return
				}
			}
		}),
	}
	before := runtime.NumGoroutine()
	for _, kind := range slices.Concat(dataKinds(), messageKinds()) {
		for name, address := range servers {
			t.Run(kind.Name+"/"+name, func(t *testing.T) {
				target := targetOf(t, kind.Name, address, withLogin("u", "secret-password"))
				target.Timeout = 300 * time.Millisecond
				began := time.Now()
				v := Run(t.Context(), target, nil)
				if v.Up || len(v.Problems) == 0 || time.Since(began) > 5*time.Second {
					t.Errorf("up %t, problems %v after %s", v.Up, v.Problems, time.Since(began))
				}
				if slices.Contains(reasons(v), Internal) {
					t.Errorf("it got the probe to panic: %v", v.Problems)
				}
			})
		}
	}
	awaitGoroutines(t, before+10*len(servers))
}

// awaitGoroutines wants no probe to leave anything running behind.
func awaitGoroutines(t *testing.T, most int) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(10 * time.Second)
	for runtime.NumGoroutine() > most {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%d goroutines, want at most %d", runtime.NumGoroutine(), most)
		}
	}
}
