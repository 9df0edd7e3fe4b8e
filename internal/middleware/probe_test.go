// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"stability-exporter/internal/state"
)

// asking returns a target at an address that is asked by probe.
func asking(address string, probe func(context.Context, *Probe) error) *Target {
	return &Target{
		Kind: &Kind{Name: "test", Port: "1", Probe: probe}, Name: "t", Address: address, Timeout: 5 * time.Second,
		Policy: Policy{Configured: true},
	}
}

// listen answers every connection with serve; it ends with the test.
func listen(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				serve(conn)
			}()
		}
	}()
	return l.Addr().String()
}

func readByte(ctx context.Context, p *Probe) error {
	conn, err := p.Dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = conn.Read(make([]byte, 1))
	return err
}

func wantProblem(t *testing.T, v *state.MiddlewareView, reason Reason) {
	t.Helper()
	if v.Up || len(v.Problems) != 1 || v.Problems[0].Reason != string(reason) {
		t.Errorf("up %t, problems %v, want only %s", v.Up, v.Problems, reason)
	}
}

// Whatever goes wrong, a probe comes back in time and says what it was.
func TestEveryFailureHasItsReason(t *testing.T) {
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) })
	silent := listen(t, func(net.Conn) { <-hang })
	closing := listen(t, func(net.Conn) {})
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody.Close()
	for _, c := range []struct {
		name    string
		address string
		probe   func(context.Context, *Probe) error
		want    Reason
	}{
		{"nobody listens", nobody.Addr().String(), readByte, Refused},
		{"it never answers", silent, readByte, Timeout},
		{"it ends the connection", closing, readByte, Closed},
		{"it has no such name", "no-such-name.invalid:1", readByte, DNS},
		{"link-local", "169.254.169.254:80", readByte, Forbidden},
		{"metadata of a cloud", "100.100.100.200:80", readByte, Forbidden},
		{"mapped link-local", "[::ffff:169.254.169.254]:80", readByte, Forbidden},
		{"unspecified", "0.0.0.0:80", readByte, Forbidden},
		{"the probe panics", closing, func(context.Context, *Probe) error { panic("broken") }, Internal},
		{"the probe ignores its time", closing, func(context.Context, *Probe) error { <-hang; return nil }, Timeout},
		{"the probe says nothing", closing, func(context.Context, *Probe) error { return nil }, Protocol},
		{"a wrong password", closing, func(context.Context, *Probe) error { return fail(Auth, "no: %w", errors.New("x")) }, Auth},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			target := asking(c.address, c.probe)
			target.Timeout = 300 * time.Millisecond
			began := time.Now()
			v := Run(t.Context(), target, nil)
			wantProblem(t, v, c.want)
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("took %s", took)
			}
		})
	}
}

func TestLimitsAreJudged(t *testing.T) {
	address := listen(t, func(net.Conn) {})
	target := asking(address, func(_ context.Context, p *Probe) error {
		p.Up()
		p.Role("replica")
		p.LagSeconds(31)
		return nil
	})
	if v := Run(t.Context(), target, nil); !v.Healthy() {
		t.Errorf("without limits: %v", v.Problems)
	}
	target.Limits = Limits{Lag: 30 * time.Second, Role: "primary"}
	v := Run(t.Context(), target, nil)
	if len(v.Problems) != 2 || v.Problems[0].Reason != string(RoleConflict) || v.Problems[1].Reason != string(ReplicationLagging) {
		t.Errorf("problems %v", v.Problems)
	}
}

func TestPolicy(t *testing.T) {
	adHoc := Policy{AllowNetworks: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}, AllowHosts: []string{"*.shop", "db:3306"}}
	for _, c := range []struct {
		policy     Policy
		host, port string
		addr       string
		want       bool
	}{
		{Policy{Configured: true}, "db", "1", "10.2.0.1", true},
		{Policy{Configured: true}, "db", "1", "127.0.0.1", true},
		{Policy{Configured: true}, "db", "1", "fe80::1", false},
		{Policy{}, "db", "1", "10.2.0.1", false},
		{adHoc, "db", "1", "10.1.2.3", true},
		{adHoc, "db", "1", "10.2.2.3", false},
		{adHoc, "db", "3306", "10.2.2.3", true},
		{adHoc, "a.shop", "1", "10.2.2.3", true},
		{adHoc, "a.shop", "1", "127.0.0.1", false},
		{adHoc, "a.shop", "1", "169.254.169.254", false},
	} {
		if got := c.policy.permits(c.host, c.port, netip.MustParseAddr(c.addr)); got != c.want {
			t.Errorf("%s:%s at %s: %t, want %t", c.host, c.port, c.addr, got, c.want)
		}
	}
}

func TestSecretsAreNeverShown(t *testing.T) {
	s := NewSecret("hunter2")
	encoded, err := json.Marshal(map[string]any{"s": s, "c": Credential{Password: s}})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{fmt.Sprint(s), fmt.Sprintf("%v %+v %#v %s %q %x", s, s, s, s, s, s), string(encoded), fmt.Sprintf("%+v", Credential{Password: s})} {
		if strings.Contains(text, "hunter2") || strings.Contains(text, fmt.Sprintf("%x", "hunter2")) {
			t.Errorf("shown: %s", text)
		}
	}
}

// A credential goes to the targets it is meant for and to no other, and is read anew every time.
func TestCredentialsAreBound(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("first\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var seen []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, password, _ := r.BasicAuth()
		seen = append(seen, password)
	}))
	t.Cleanup(server.Close)
	target := asking(server.URL, func(ctx context.Context, p *Probe) error {
		if _, err := p.request(ctx, http.MethodGet, "/", ""); err != nil {
			return err
		}
		p.Up()
		return nil
	})
	target.Credential = &Credential{Name: "c", Username: "u", PasswordFile: file, Targets: []string{"127.0.0.*"}}
	Run(t.Context(), target, nil)
	if err := os.WriteFile(file, []byte("second\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	Run(t.Context(), target, nil)
	target.Credential.Targets = []string{"10.0.0.1:*"}
	wantProblem(t, Run(t.Context(), target, nil), Forbidden)
	if fmt.Sprint(seen) != "[first second]" {
		t.Errorf("sent %v", seen)
	}
}

// The end of a certificate is known also when it does not verify.
func TestCertificates(t *testing.T) {
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	authority := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(authority, pemOf(server.Certificate().Raw), 0o600); err != nil {
		t.Fatal(err)
	}
	get := func(ctx context.Context, p *Probe) error {
		_, err := p.request(ctx, http.MethodGet, "/", "")
		if err == nil {
			p.Up()
		}
		return err
	}
	after := server.Certificate().NotAfter.Add(time.Hour)
	for _, c := range []struct {
		name     string
		tls      TLSOptions
		now      time.Time
		want     Reason
		verified state.Tristate
	}{
		{"good", TLSOptions{CAFile: authority, ServerName: "example.com"}, time.Now(), "", state.True},
		{"another host", TLSOptions{CAFile: authority, ServerName: "other.example.org"}, time.Now(), CertInvalid, state.False},
		{"unknown authority", TLSOptions{ServerName: "example.com"}, time.Now(), CertInvalid, state.False},
		{"expired", TLSOptions{CAFile: authority, ServerName: "example.com"}, after, CertExpired, state.False},
		{"expired, and asked all the same", TLSOptions{CAFile: authority, ServerName: "example.com", SkipVerify: true}, after, "", state.False},
	} {
		t.Run(c.name, func(t *testing.T) {
			target := asking(server.URL, get)
			target.TLS = c.tls
			v := Run(t.Context(), target, func() time.Time { return c.now })
			if c.want == "" && !v.Healthy() || c.want != "" && (v.Up || v.Problems[0].Reason != string(c.want)) {
				t.Errorf("up %t, problems %v, want %q", v.Up, v.Problems, c.want)
			}
			if v.TLSVerified != c.verified || v.TLSNotAfter != state.At(server.Certificate().NotAfter) {
				t.Errorf("verified %d, not after %d", v.TLSVerified, v.TLSNotAfter)
			}
		})
	}
}

// A target that never ends its answer is cut off.
func TestEndlessAnswers(t *testing.T) {
	address := listen(t, func(conn net.Conn) {
		for {
			if _, err := conn.Write(make([]byte, 64<<10)); err != nil {
				return
			}
		}
	})
	v := Run(t.Context(), asking(address, func(ctx context.Context, p *Probe) error {
		conn, err := p.Dial(ctx)
		if err != nil {
			return err
		}
		defer conn.Close()
		_, err = readFull(conn, make([]byte, 2*maxAnswer))
		return err
	}), nil)
	wantProblem(t, v, Protocol)
}

func pemOf(certificate []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})
}

func TestAnAbsentServerIsDown(t *testing.T) {
	target := polled("redis-2", func(context.Context, *Probe) error { t.Error("somebody is asked"); return nil })
	target.Absent = "there is no pod redis-2"
	v := Run(t.Context(), target, nil)
	if want := []state.MiddlewareProblem{{Reason: string(Refused), Detail: "there is no pod redis-2"}}; v.Up || !slices.Equal(v.Problems, want) {
		t.Errorf("up %v, problems %v", v.Up, v.Problems)
	}
}
