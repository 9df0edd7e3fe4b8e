// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"stability-exporter/internal/state"
)

func TestTCP(t *testing.T) {
	ended := make(chan struct{})
	t.Cleanup(func() { close(ended) })
	silent := listen(t, func(net.Conn) { <-ended })
	hangingUp := listen(t, func(net.Conn) {})
	greeting := listen(t, func(c net.Conn) {
		_, _ = io.WriteString(c, "220 mail.example.org ")
		_, _ = io.WriteString(c, "ESMTP ready\r\n")
		<-ended
	})
	echoing := listen(t, func(c net.Conn) {
		line, _ := bufio.NewReader(c).ReadString('\n')
		_, _ = io.WriteString(c, line)
	})
	for _, c := range []struct {
		name, address string
		options       map[string]string
		want          string
	}{
		{"it stays open", silent, nil, ""},
		{"it hangs up at once, as a balancer without servers does", hangingUp, nil, "closed"},
		{"it hangs up, and that is fine", hangingUp, map[string]string{"hold": "0s"}, ""},
		{"it greets", greeting, nil, ""},
		{"it greets as expected", greeting, map[string]string{"banner": "^220 .*ESMTP"}, ""},
		{"it greets otherwise", echoing, map[string]string{"send": "no\n", "banner": "^yes"}, "mismatch"},
		{"it answers as expected", echoing, map[string]string{"send": "PING\n", "banner": "(?i)^ping\n$"}, ""},
		{"it does not greet: it hangs", silent, map[string]string{"banner": "^220"}, "timeout"},
		{"it does not greet: it hangs up", hangingUp, map[string]string{"banner": "^220"}, "closed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			target := probing(tcpKind(), c.address, c.options)
			target.Timeout = time.Second
			v := Run(t.Context(), target, nil)
			if problems(v) != c.want || v.Up != (c.want == "") {
				t.Errorf("up %t, problems %v, want %q", v.Up, v.Problems, c.want)
			}
		})
	}
}

func TestTCPWithstands(t *testing.T) {
	t.Run("banner", func(t *testing.T) { withstands(t, tcpKind(), map[string]string{"banner": "^220 "}) })
	t.Run("tls", func(t *testing.T) { withstands(t, tlsKind(), nil) })
}

func TestTLS(t *testing.T) {
	certified := tlsServer(t, nil)
	demanding := tlsServer(t, func(config *tls.Config) { config.ClientAuth = tls.RequireAnyClientCert })
	authority := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(authority, pemOf(certified.Certificate().Raw), 0o600); err != nil {
		t.Fatal(err)
	}
	trusting := TLSOptions{CAFile: authority, ServerName: "example.com"}
	expired := certified.Certificate().NotAfter.Add(time.Hour)
	plain := served(t, http.NotFound)
	for _, c := range []struct {
		name, address string
		tls           TLSOptions
		now           time.Time
		want          string
	}{
		{"good", certified.Listener.Addr().String(), trusting, time.Now(), ""},
		{"expired", certified.Listener.Addr().String(), trusting, expired, "cert_expired"},
		{"unknown authority", certified.Listener.Addr().String(), TLSOptions{}, time.Now(), "cert_invalid"},
		{"another host", certified.Listener.Addr().String(), TLSOptions{CAFile: authority, ServerName: "example.net"}, time.Now(), "cert_invalid"},
		{"no certificate of ours, which TLS 1.3 refuses late", demanding.Listener.Addr().String(), trusting, time.Now(), "tls"},
		{"no TLS", plain[len("http://"):], trusting, time.Now(), "tls"},
	} {
		t.Run(c.name, func(t *testing.T) {
			target := probing(tlsKind(), c.address, nil)
			target.TLS = c.tls
			v := Run(t.Context(), target, func() time.Time { return c.now })
			if problems(v) != c.want || v.Up != (c.want == "") {
				t.Errorf("up %t, problems %v, want %q", v.Up, v.Problems, c.want)
			}
			presented := c.address != plain[len("http://"):]
			if presented {
				wantTold(t, tlsKind(), v)
			}
			if known := v.TLSNotAfter == state.At(certified.Certificate().NotAfter); known != presented {
				t.Errorf("not after %d", v.TLSNotAfter)
			}
		})
	}
}

// With TLS 1.3 a server refuses the client's certificate after the handshake, when the question is on its way or was not even sent.
func TestServerRefusesTheClient(t *testing.T) {
	demanding := tlsServer(t, func(config *tls.Config) { config.ClientAuth = tls.RequireAnyClientCert })
	address := demanding.Listener.Addr().String()
	for _, kind := range []string{"http", "redis", "etcd", "memcached"} {
		for range 5 {
			target := targetOf(t, kind, address)
			target.TLS = TLSOptions{Enabled: true, SkipVerify: true}
			wantProblem(t, Run(t.Context(), target, nil), TLS)
		}
	}
}

// refusing is a connection whose server has hung up; what it said is still to be read.
type refusing struct {
	net.Conn
	reads []error // nil: a byte
}

func (c *refusing) Write([]byte) (int, error) { return 0, syscall.ECONNRESET }

func (c *refusing) Read(b []byte) (int, error) {
	err := c.reads[0]
	c.reads = c.reads[1:]
	if err != nil {
		return 0, err
	}
	return copy(b, "-"), nil
}

func TestFailedWriteTellsWhatTheServerSaid(t *testing.T) {
	alert := &net.OpError{Op: "remote error", Err: errors.New("tls: certificate required")}
	if _, err := (&refusableConn{Conn: &refusing{reads: []error{alert}}}).Write([]byte("INFO")); !errors.Is(err, alert) {
		t.Errorf("%v", err)
	}
	c := &refusableConn{Conn: &refusing{reads: []error{nil, io.EOF}}}
	if _, err := c.Write([]byte("INFO")); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("%v", err)
	}
	if text, err := io.ReadAll(c); string(text) != "-" || err != nil {
		t.Errorf("%q, %v: nothing of what it said may be lost", text, err)
	}
}

func tlsServer(t *testing.T, change func(*tls.Config)) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = &tls.Config{ClientCAs: x509.NewCertPool()}
	if change != nil {
		change(server.TLS)
	}
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}
