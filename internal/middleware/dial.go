// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"stability-exporter/internal/state"
)

// maxAnswer bounds what is read from one connection.
const maxAnswer = 16 << 20

// hostPort returns host:port of the target's address, with the default port of its kind.
func (t *Target) hostPort() (string, error) {
	address := t.Address
	secure := t.TLS.Enabled
	if strings.Contains(address, "://") {
		u, err := url.Parse(address)
		if err != nil {
			return "", fail(Protocol, "the address is no URL")
		}
		address, secure = u.Host, secure || u.Scheme == "https"
		if u.Port() == "" && (u.Scheme == "http" || u.Scheme == "https") {
			return net.JoinHostPort(u.Hostname(), map[string]string{"http": "80", "https": "443"}[u.Scheme]), nil
		}
	}
	if _, _, err := net.SplitHostPort(address); err == nil {
		return address, nil
	}
	port := t.Kind.Port
	if secure && t.Kind.TLSPort != "" {
		port = t.Kind.TLSPort
	}
	if port == "" {
		return "", fail(Protocol, "the address has no port")
	}
	return net.JoinHostPort(strings.Trim(address, "[]"), port), nil
}

// Dial connects to the target: the name is resolved once, the address checked and that very address dialled; with TLS the handshake is
// done. What is read from the connection is bounded, and it ends with the context. The phases dns, connect and tls are recorded.
func (p *Probe) Dial(ctx context.Context) (net.Conn, error) {
	address, err := p.Target.hostPort()
	if err != nil {
		return nil, err
	}
	conn, err := p.dialPlain(ctx, address)
	if err != nil || !p.Target.TLS.Enabled {
		return conn, err
	}
	return p.handshake(ctx, conn, address)
}

// dialPlain connects to host:port without TLS.
func (p *Probe) dialPlain(ctx context.Context, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fail(Protocol, "the address is no host:port")
	}
	began := time.Now()
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	p.Phase("dns", time.Since(began))
	if err != nil {
		return nil, fmt.Errorf("cannot resolve the name: %w", err)
	}
	for _, addr := range addrs {
		if !p.Target.Policy.permits(host, port, addr) {
			return nil, fail(Forbidden, "the name leads to an address that is never asked")
		}
	}
	began = time.Now()
	defer func() { p.Phase("connect", time.Since(began)) }()
	for _, addr := range addrs {
		var conn net.Conn
		conn, err = (&net.Dialer{}).DialContext(ctx, "tcp", netip.AddrPortFrom(addr.Unmap(), portNumber(port)).String())
		if err == nil {
			return bound(ctx, conn), nil
		}
	}
	if err == nil {
		err = fail(DNS, "the name has no address")
	}
	return nil, fmt.Errorf("cannot connect: %w", err)
}

func portNumber(port string) uint16 {
	n, err := net.LookupPort("tcp", port)
	if err != nil {
		return 0
	}
	return uint16(n)
}

// boundConn reads at most so much, and is closed when its context ends.
type boundConn struct {
	net.Conn
	left int64
	stop func() bool
}

func bound(ctx context.Context, conn net.Conn) net.Conn {
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline) // fails only on a connection that is closed, which the next use tells
	}
	return &boundConn{conn, maxAnswer, context.AfterFunc(ctx, func() { conn.Close() })}
}

// Read implements net.Conn.
func (c *boundConn) Read(b []byte) (int, error) {
	if c.left <= 0 {
		return 0, fail(Protocol, "the answer is longer than %d bytes", maxAnswer)
	}
	if int64(len(b)) > c.left {
		b = b[:c.left]
	}
	n, err := c.Conn.Read(b)
	c.left -= int64(n)
	return n, err
}

// Close implements net.Conn.
func (c *boundConn) Close() error {
	c.stop()
	return c.Conn.Close()
}

// StartTLS does the handshake on a connection that began without TLS, as PostgreSQL and MySQL do.
func (p *Probe) StartTLS(ctx context.Context, conn net.Conn) (net.Conn, error) {
	address, err := p.Target.hostPort()
	if err != nil {
		return nil, err
	}
	return p.handshake(ctx, conn, address)
}

// refusableConn tells why a server hung up. With TLS 1.3 one that does not want the client's certificate says so after the handshake, and the
// first write may already fail: what it said is still to be read then.
type refusableConn struct {
	net.Conn
	mu    sync.Mutex
	early []byte // what was read when a write had failed, and was no refusal
}

// Write implements net.Conn.
func (c *refusableConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	if err == nil || reasonOf(err) != Closed {
		return n, err
	}
	first := make([]byte, 1)
	got, said := c.Conn.Read(first) // ends with the deadline of the connection
	if said != nil && reasonOf(said) == TLS {
		return n, said
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.early = append(c.early, first[:got]...)
	return n, err
}

// Read implements net.Conn.
func (c *refusableConn) Read(b []byte) (int, error) {
	c.mu.Lock()
	n := copy(b, c.early)
	c.early = c.early[n:]
	c.mu.Unlock()
	if n > 0 {
		return n, nil
	}
	return c.Conn.Read(b)
}

// handshake makes conn a TLS connection; on an error it is closed.
func (p *Probe) handshake(ctx context.Context, conn net.Conn, address string) (net.Conn, error) {
	config, err := p.TLSConfig(address)
	if err != nil {
		conn.Close()
		return nil, err
	}
	began := time.Now()
	secured := tls.Client(conn, config)
	err = secured.HandshakeContext(ctx)
	p.Phase("tls", time.Since(began))
	if err != nil {
		conn.Close()
		var known *reasoned
		if errors.As(err, &known) || reasonOf(err) == Timeout {
			return nil, err
		}
		return nil, fail(TLS, "no TLS handshake: %w", err)
	}
	return &refusableConn{Conn: secured}, nil
}

// TLSConfig returns how to protect a connection to host:port. The certificates are verified by hand, so that the end of their
// validity is known also when they do not verify.
func (p *Probe) TLSConfig(address string) (*tls.Config, error) {
	o := p.Target.TLS
	host, _, _ := net.SplitHostPort(address)
	if o.ServerName != "" {
		host = o.ServerName
	}
	config := &tls.Config{ServerName: host, InsecureSkipVerify: true, MinVersion: tls.VersionTLS12} // verified below
	var roots *x509.CertPool
	if o.CAFile != "" {
		text, err := os.ReadFile(o.CAFile)
		if err != nil {
			return nil, fail(Internal, "cannot read the authorities: %w", err)
		}
		if roots = x509.NewCertPool(); !roots.AppendCertsFromPEM(text) {
			return nil, fail(Internal, "%s holds no certificate", o.CAFile)
		}
	}
	if o.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(o.CertFile, o.KeyFile)
		if err != nil {
			return nil, fail(Internal, "cannot read the client's certificate: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	config.VerifyConnection = func(s tls.ConnectionState) error {
		err := p.judgeCertificates(s.PeerCertificates, roots, host)
		if o.SkipVerify {
			return nil
		}
		return err
	}
	return config, nil
}

// judgeCertificates records how long the certificates are valid and whether they verify.
func (p *Probe) judgeCertificates(chain []*x509.Certificate, roots *x509.CertPool, host string) error {
	if len(chain) == 0 {
		return fail(TLS, "it presents no certificate")
	}
	first := chain[0].NotAfter
	intermediates := x509.NewCertPool()
	for _, c := range chain[1:] {
		intermediates.AddCert(c)
		if c.NotAfter.Before(first) {
			first = c.NotAfter
		}
	}
	_, err := chain[0].Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: intermediates, DNSName: host, CurrentTime: p.now(),
	})
	p.change(func(v *state.MiddlewareView) {
		if at := state.At(first); v.TLSNotAfter == 0 || at < v.TLSNotAfter {
			v.TLSNotAfter = at
		}
		v.TLSVerified = tristate(err == nil)
	})
	var invalid x509.CertificateInvalidError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return fail(CertExpired, "the certificate is not valid now: %w", err)
	}
	return fail(CertInvalid, "the certificate does not verify: %w", err)
}

// readFull reads until the buffer is full or the reader ends.
func readFull(r io.Reader, buffer []byte) (int, error) {
	n, err := io.ReadFull(r, buffer)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return n, err
}
