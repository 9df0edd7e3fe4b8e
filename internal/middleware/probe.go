// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"stability-exporter/internal/state"
)

// Probe is one asking of one target: what a Kind's function works with.
type Probe struct {
	*Recorder
	Target *Target

	now func() time.Time

	connections sync.Once    // for client
	client      *http.Client // of all requests of this probe
}

// Run asks a target once and returns what it found out, always within the target's timeout (or that of ctx, if it is shorter): a
// target that hangs is down, with the reason. now is the clock by which certificates are judged; nil is the real one.
func Run(ctx context.Context, t *Target, now func() time.Time) *state.MiddlewareView {
	if now == nil {
		now = time.Now
	}
	ctx, cancel := context.WithTimeout(ctx, t.Timeout)
	defer cancel()
	p := &Probe{Recorder: &Recorder{}, Target: t, now: now}
	p.view.Kind, p.view.Target, p.view.Group, p.view.ProbedAt = t.Kind.Name, t.Name, t.Group, state.At(now())
	done := make(chan error, 1)
	go func() { done <- p.ask(ctx) }()
	var err error
	select {
	case err = <-done:
	case <-ctx.Done():
		// A probe that heeds its context ends right away and knows more; one that does not is left behind.
		select {
		case err = <-done:
		case <-time.After(lastWord):
			err = fmt.Errorf("no answer within %s: %w", t.Timeout, context.DeadlineExceeded)
		}
	}
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) && reasonOf(err) == Closed {
		err = fail(Timeout, "no answer within %s", t.Timeout) // its connections were closed by us
	}
	p.conclude(err)
	return p.finish()
}

// lastWord is how long a probe may take to return once its time is up.
const lastWord = 50 * time.Millisecond

// ask runs the kind's probe and turns a panic into an error.
func (p *Probe) ask(ctx context.Context) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fail(Internal, "the probe panicked: %v", r)
		}
	}()
	return p.Target.Kind.Probe(ctx, p)
}

// conclude enters the error with which a probe ended, and what is wrong in the light of the target's limits.
func (p *Probe) conclude(err error) {
	if err != nil {
		p.Problem(reasonOf(err), "%v", err)
	}
	limits := p.Target.Limits
	p.change(func(v *state.MiddlewareView) {
		if v.Up || len(v.Problems) > 0 {
			return
		}
		v.Problems = append(v.Problems, state.MiddlewareProblem{Reason: string(Protocol), Detail: "the exchange was not completed"})
	})
	v := &p.view
	if limits.Role != "" && v.Role != "" && v.Role != limits.Role {
		p.Problem(RoleConflict, "it is %s and should be %s", v.Role, limits.Role)
	}
	if limits.Lag > 0 && v.LagSeconds.Known && v.LagSeconds.Value > limits.Lag.Seconds() {
		p.Problem(ReplicationLagging, "%.0fs behind, more than %s", v.LagSeconds.Value, limits.Lag)
	}
}

// reasoned is an error whose reason is known.
type reasoned struct {
	reason Reason
	err    error
}

// Error implements error.
func (r *reasoned) Error() string { return r.err.Error() }

// Unwrap returns the error behind it.
func (r *reasoned) Unwrap() error { return r.err }

// fail returns an error with a reason; %w wraps as fmt.Errorf does.
func fail(reason Reason, format string, args ...any) error {
	return &reasoned{reason, fmt.Errorf(format, args...)}
}

// reasonOf tells the reason of an error with which a probe ended.
func reasonOf(err error) Reason {
	var r *reasoned
	var dns *net.DNSError
	var timeout interface{ Timeout() bool }
	var network *net.OpError
	switch {
	case errors.As(err, &r):
		return r.reason
	case errors.As(err, &dns) && !dns.IsTimeout:
		return DNS
	case errors.As(err, &network) && network.Op == "remote error": // an alert of TLS
		return TLS
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return Timeout
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return Refused
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE),
		errors.Is(err, net.ErrClosed):
		return Closed
	}
	return Protocol
}

// Login returns the credential of the target as it is now, for the address that is asked; the zero one when there is none. One that is
// not meant for the address is an error: nothing may be sent then.
func (p *Probe) Login() (username string, password, token Secret, err error) {
	c := p.Target.Credential
	if c == nil {
		return "", Secret{}, Secret{}, nil
	}
	address, err := p.Target.hostPort()
	if err != nil {
		return "", Secret{}, Secret{}, err
	}
	if !c.mayGo(address) {
		return "", Secret{}, Secret{}, fail(Forbidden, "credential %s is not meant for this address: add it to its targets", c.Name)
	}
	l, err := c.read()
	if err != nil {
		return "", Secret{}, Secret{}, fail(Auth, "%w", err)
	}
	basic := base64.StdEncoding.EncodeToString([]byte(l.username + ":" + l.password.Reveal()))
	p.hide(l.password.Reveal(), l.token.Reveal())
	if !l.password.Empty() {
		p.hide(basic)
	}
	return l.username, l.password, l.token, nil
}

// Option returns the value of an option, its default when it is not set.
func (p *Probe) Option(name string) string {
	if value, ok := p.Target.Options[name]; ok {
		return value
	}
	for _, o := range p.Target.Kind.Options {
		if o.Name == name {
			return o.Default
		}
	}
	return ""
}

// OptionNumber returns the value of an option of type Number; zero when it is neither set nor has a default.
func (p *Probe) OptionNumber(name string) float64 {
	n, _ := strconv.ParseFloat(p.Option(name), 64) // checked when the configuration was read
	return n
}

// OptionDuration returns the value of an option of type Duration.
func (p *Probe) OptionDuration(name string) time.Duration {
	d, _ := time.ParseDuration(p.Option(name)) // checked when the configuration was read
	return d
}

// OptionFlag returns the value of an option of type Flag.
func (p *Probe) OptionFlag(name string) bool { return p.Option(name) == "true" }

// OptionList returns the values of an option of type List.
func (p *Probe) OptionList(name string) []string {
	if value := p.Option(name); value != "" {
		return strings.Split(value, "\n")
	}
	return nil
}

// Now is the clock by which certificates and expiry dates are judged.
func (p *Probe) Now() time.Time { return p.now() }
