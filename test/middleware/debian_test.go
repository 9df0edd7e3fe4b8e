// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"stability-exporter/internal/middleware"
	"stability-exporter/internal/state"
	"stability-exporter/test/daemon"
)

// serverDir returns a folder for the files of a server that runs as a user of its own, which the folders of testing.T keep out; an empty
// owner is the user of the test.
func serverDir(t *testing.T, owner string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "mw")
	if err == nil {
		t.Cleanup(func() { _ = os.RemoveAll(dir) })
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	giveTo(t, owner, dir)
	return dir
}

// giveTo makes files those of a user, where a server that refuses root runs as that one.
func giveTo(t *testing.T, owner string, paths ...string) {
	t.Helper()
	if os.Geteuid() != 0 || owner == "" {
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

// withUser runs a program as another user than root, for servers that refuse it. A change of the user clears the signal by which the kernel ends a program together
// with the one that started it, so it is set again.
func withUser(name string, command ...string) []string {
	if os.Geteuid() != 0 {
		return command
	}
	return append([]string{"setpriv", "--reuid", name, "--regid", name, "--clear-groups", "--pdeathsig", "KILL", "--"}, command...)
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

// try is call for a program that may fail.
func try(ctx context.Context, command ...string) (string, error) {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Dir = "/" // programs that run as another user complain of a folder that they may not enter
	out, err := cmd.Output()
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		err = fmt.Errorf("%w: %s", err, failed.Stderr)
	}
	if err != nil {
		return "", fmt.Errorf("cannot run %s: %w", strings.Join(command, " "), err)
	}
	return strings.TrimSpace(string(out)), nil
}

// writeFile writes a file and returns its path.
func writeFile(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// stopped keeps a server from running until the test ends.
func stopped(t *testing.T, d *daemon.Daemon) {
	t.Helper()
	stopProcess(t, d.PID())
}

// stopProcess is stopped for a process that a server started.
func stopProcess(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGCONT) })
}

// roleIs wants a role.
func roleIs(role string) func(*state.MiddlewareView) error {
	return func(view *state.MiddlewareView) error {
		if view.Role != role {
			return fmt.Errorf("its role should be %s", role)
		}
		return nil
	}
}

// writableIs wants it to take writes, or not to.
func writableIs(wanted state.Tristate) func(*state.MiddlewareView) error {
	return func(view *state.MiddlewareView) error {
		if view.Writable != wanted {
			return fmt.Errorf("its being writable should be %v", wanted)
		}
		return nil
	}
}

// linkIs wants the replication to be connected, or not to.
func linkIs(wanted state.Tristate) func(*state.MiddlewareView) error {
	return func(view *state.MiddlewareView) error {
		if view.LinkUp != wanted {
			return fmt.Errorf("its link should be %v", wanted)
		}
		return nil
	}
}

// unknownIs wants facts to be listed as unknown for a reason.
func unknownIs(why middleware.Why, facts ...string) func(*state.MiddlewareView) error {
	return func(view *state.MiddlewareView) error {
		for _, fact := range facts {
			if !slices.Contains(view.Unknown, state.UnknownFact{Fact: fact, Why: string(why)}) {
				return fmt.Errorf("%s should be unknown: %s", fact, why)
			}
		}
		return nil
	}
}

// lagKnown wants the lag in seconds to be told, or not to be.
func lagKnown(wanted bool) func(*state.MiddlewareView) error {
	return func(view *state.MiddlewareView) error {
		if view.LagSeconds.Known != wanted {
			return fmt.Errorf("that its lag is known should be %v", wanted)
		}
		return nil
	}
}

// namedLists are those of a view that hold numbers by name.
func namedLists(view *state.MiddlewareView) map[string][]state.Measurement {
	return map[string][]state.Measurement{
		"members": view.Members, "saturation": view.Saturation, "alarm": view.Alarms, "fact": view.Facts, "queue_messages": view.QueueMessages,
		"queue_consumers": view.QueueConsumers,
	}
}

// numberOf returns a number by the name of its list and its own.
func numberOf(view *state.MiddlewareView, list, name string) (float64, bool) {
	for _, m := range namedLists(view)[list] {
		if m.Name == name {
			return m.Value, true
		}
	}
	return 0, false
}

// told wants a number to be told and to be as it should.
func told(list, name string, fits func(float64) bool) func(*state.MiddlewareView) error {
	return func(view *state.MiddlewareView) error {
		if value, known := numberOf(view, list, name); !known || !fits(value) {
			return fmt.Errorf("%s{%s} is %v (told: %v)", list, name, value, known)
		}
		return nil
	}
}

func exactly(wanted float64) func(float64) bool { return func(v float64) bool { return v == wanted } }

// onlyProblems wants these problems and no others.
func onlyProblems(reasons ...middleware.Reason) func(*state.MiddlewareView) error {
	return func(view *state.MiddlewareView) error {
		for _, p := range view.Problems {
			if !slices.Contains(reasons, middleware.Reason(p.Reason)) {
				return fmt.Errorf("it should not have the problem %s", p.Reason)
			}
		}
		for _, reason := range reasons {
			if err := unhealthy(reason, "")(view); err != nil {
				return err
			}
		}
		return nil
	}
}

// grouped makes a target one of a group.
func grouped(t *middleware.Target) { t.Group = "group" }

// roleWanted makes another role than this one a problem.
func roleWanted(role string) func(*middleware.Target) {
	return func(t *middleware.Target) { t.Limits.Role = role }
}

// lagLimit makes a greater lag a problem.
func lagLimit(limit time.Duration) func(*middleware.Target) {
	return func(t *middleware.Target) { t.Limits.Lag = limit }
}

// answerWithin sets the timeout of the probe.
func answerWithin(timeout time.Duration) func(*middleware.Target) {
	return func(t *middleware.Target) { t.Timeout = timeout }
}

// asGroup judges the members of a group together.
func asGroup(t *testing.T, members ...*middleware.Target) *state.MiddlewareView {
	t.Helper()
	group, views := judgeGroup(t.Context(), members)
	t.Cleanup(func() {
		if t.Failed() {
			for _, view := range views {
				t.Logf("a member of the group: %s", describe(view))
			}
		}
	})
	return group
}

// awaitGroup judges the members of a group together until they are as they are wanted.
func awaitGroup(t *testing.T, what string, wanted func(*state.MiddlewareView) error, members ...*middleware.Target) {
	t.Helper()
	await(t, what, func(ctx context.Context) error {
		group, views := judgeGroup(ctx, members)
		err := wanted(group)
		if err == nil {
			return nil
		}
		for _, view := range append(views, group) {
			err = fmt.Errorf("%w\n%s", err, describe(view))
		}
		return err
	})
}

func judgeGroup(ctx context.Context, members []*middleware.Target) (group *state.MiddlewareView, views []*state.MiddlewareView) {
	for _, member := range members {
		views = append(views, middleware.Run(ctx, member, nil))
	}
	kind := *members[0].Kind
	kind.Probe = func(_ context.Context, p *middleware.Probe) error {
		p.Up()
		kind.Together(views, p.Recorder)
		return nil
	}
	return middleware.Run(ctx, &middleware.Target{Kind: &kind, Name: "group", Timeout: probeTimeout}, nil), views
}

// pki is a certification authority and what it made, as files.
type pki struct {
	t           *testing.T
	dir         string
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	CA          string // the file of its own certificate
}

func newPKI(t *testing.T, owner string) *pki {
	t.Helper()
	p := &pki{t: t, dir: serverDir(t, owner)}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	p.certificate, p.key = template, newKey(t)
	p.CA, _ = p.store("ca", template, newKeyPair{p.key, p.key}, owner)
	return p
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// newKeyPair is the key of a certificate and the one that signs it.
type newKeyPair struct{ own, signer *ecdsa.PrivateKey }

// issue makes a certificate for 127.0.0.1, fit for servers and clients, with a key that only its owner may read.
func (p *pki) issue(name, owner string) (certificate, key string) {
	p.t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(24 * time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	return p.store(name, template, newKeyPair{newKey(p.t), p.key}, owner)
}

func (p *pki) store(name string, template *x509.Certificate, keys newKeyPair, owner string) (certificate, key string) {
	p.t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, p.certificate, keys.own.Public(), keys.signer)
	if err != nil {
		p.t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(keys.own)
	if err != nil {
		p.t.Fatal(err)
	}
	certificate, key = filepath.Join(p.dir, name+".crt"), filepath.Join(p.dir, name+".key")
	writeFile(p.t, certificate, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	writeFile(p.t, key, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})))
	if err := os.Chmod(key, 0o600); err != nil {
		p.t.Fatal(err)
	}
	giveTo(p.t, owner, certificate, key)
	return certificate, key
}

// withTLS asks over TLS and trusts the authority.
func withTLS(ca string) func(*middleware.Target) {
	return func(t *middleware.Target) { t.TLS = middleware.TLSOptions{Enabled: true, CAFile: ca} }
}

// verified wants a certificate that verifies.
func verified(view *state.MiddlewareView) error {
	if view.TLSVerified != state.True {
		return errors.New("its certificate should verify")
	}
	return nil
}

// foreign wants none of the kinds to take a server of another kind for one of its own.
func foreign(t *testing.T, address string, kinds ...string) {
	t.Helper()
	for _, kind := range kinds {
		t.Run("asked as "+kind, func(t *testing.T) {
			view := probe(t, target(t, kind, address, as("monitor", "monitor-secret"), answerWithin(time.Second)))
			if view.Up || view.Healthy() {
				t.Errorf("%s passes for %s: %s", address, kind, describe(view))
			}
		})
	}
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
