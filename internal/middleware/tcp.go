// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"time"
)

func tcpKind() Kind {
	return Kind{
		Name: "tcp",
		Help: "Connects, with TLS if it is enabled, and reads a banner if one is expected. A program that hangs still accepts connections: " +
			"expect a banner where the protocol has one.",
		Options: []Option{
			{Name: "send", Help: "what to send first", Type: Text},
			{Name: "banner", Help: "regular expression that what the server sends must match", Type: Text, Check: checkPattern},
			holdOption(),
		},
		Facts: tlsFacts(),
		Verified: Verification{
			Live: []string{"Redis 7.0, HAProxy 2.6 without a server behind it, nginx 1.22 with TLS"},
			Fake: []string{"listeners that greet, stay silent, hang up at once and send garbage"},
		},
		Probe: probeTCP,
	}
}

func tlsKind() Kind {
	return Kind{
		Name: "tls",
		Help: "Does a TLS handshake: the end of the certificates' validity and whether they verify are known also when they do not. " +
			"For protocols that begin with TLS, not for STARTTLS.",
		Port:    "443",
		Options: []Option{holdOption()},
		Facts:   tlsFacts(),
		Verified: Verification{
			Live: []string{"nginx 1.22 and Redis 7.0 with certificates that are good, expired, of another host or authority"},
			Fake: []string{"Go's TLS server that wants the client's certificate"},
		},
		Probe: probeTLS,
	}
}

// tlsFacts are told of every connection with TLS.
func tlsFacts() []string { return []string{"tls_not_after_timestamp_seconds", "tls_verified"} }

func holdOption() Option {
	return Option{Name: "hold", Type: Duration, Default: "100ms",
		Help: "how long the connection must stay open: a balancer without a server behind it accepts and hangs up"}
}

func checkPattern(text string) error {
	_, err := regexp.Compile(text)
	if err != nil {
		return fmt.Errorf("%q is no regular expression: %w", text, err)
	}
	return nil
}

func probeTCP(ctx context.Context, p *Probe) error {
	conn, err := p.Dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if text := p.Option("send"); text != "" {
		if _, err := io.WriteString(conn, text); err != nil {
			return fmt.Errorf("cannot send: %w", err)
		}
	}
	if pattern := p.Option("banner"); pattern != "" {
		err = p.awaitBanner(conn, pattern)
	} else {
		err = p.staysOpen(conn)
	}
	if err != nil {
		return err
	}
	p.Up()
	return nil
}

// maxBanner is how far into what a server sends the banner must stand.
const maxBanner = 64 << 10

func (p *Probe) awaitBanner(conn net.Conn, pattern string) error {
	banner, err := regexp.Compile(pattern)
	if err != nil {
		return fail(Internal, "the banner is no regular expression")
	}
	began := time.Now()
	defer func() { p.Phase("query", time.Since(began)) }()
	var said []byte
	for len(said) < maxBanner {
		buffer := make([]byte, 4<<10)
		n, err := conn.Read(buffer)
		if said = append(said, buffer[:n]...); n > 0 && banner.Match(said) {
			return nil
		}
		if err != nil && len(said) == 0 {
			return fmt.Errorf("no banner: %w", err)
		}
		if err != nil {
			break
		}
	}
	return fail(Mismatch, "what it sends does not match the banner")
}

// staysOpen waits for the server to hang up or to refuse the client's certificate, which TLS 1.3 does after the handshake.
func (p *Probe) staysOpen(conn net.Conn) error {
	hold := p.OptionDuration("hold")
	if hold <= 0 {
		return nil
	}
	if err := conn.SetReadDeadline(time.Now().Add(hold)); err != nil {
		return fmt.Errorf("it accepts and hangs up: %w", err)
	}
	_, err := conn.Read(make([]byte, 1))
	switch {
	case err == nil, errors.Is(err, os.ErrDeadlineExceeded):
		return nil
	case reasonOf(err) == TLS:
		return fmt.Errorf("it refuses the connection: %w", err)
	}
	return fmt.Errorf("it accepts and hangs up: %w", err)
}

func probeTLS(ctx context.Context, p *Probe) error {
	address, err := p.Target.hostPort()
	if err != nil {
		return err
	}
	conn, err := p.dialPlain(ctx, address)
	if err != nil {
		return err
	}
	secured, err := p.handshake(ctx, conn, address)
	if err != nil {
		return err
	}
	defer secured.Close()
	if err := p.staysOpen(secured); err != nil {
		return err
	}
	p.Up()
	return nil
}
