// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"testing"
	"time"

	"stability-exporter/internal/middleware"
	"stability-exporter/internal/state"
)

// authority signs the certificates of servers and clients.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	dir         string
	file        string // its certificate
	issued      int64
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{dir: openDir(t), key: newKey(t), issued: 1}
	a.certificate = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority of the tests"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-90 * 24 * time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	a.file = a.sign(t, "authority.pem", a.certificate, a.key)
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// sign signs the certificate of a key and returns the file that it is in.
func (a *authority) sign(t *testing.T, name string, template *x509.Certificate, key *ecdsa.PrivateKey) (file string) {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	return write(t, a.dir, name, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
}

// pair is a certificate with its key in files that only their owner may read.
type pair struct {
	certificate, key string
	notAfter         time.Time
}

// issue signs a certificate for a host name or address that is valid until notAfter, fit for servers and clients.
func (a *authority) issue(t *testing.T, host string, notAfter time.Time) pair {
	t.Helper()
	key := newKey(t)
	a.issued++
	notAfter = notAfter.Truncate(time.Second)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(a.issued), Subject: pkix.Name{CommonName: host}, NotBefore: notAfter.Add(-30 * 24 * time.Hour), NotAfter: notAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if ip := net.ParseIP(host); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{host}
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprint(a.issued)
	return pair{
		certificate: a.sign(t, name+".pem", template, key),
		key:         write(t, a.dir, name+".key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}))),
		notAfter:    notAfter,
	}
}

// issueGood is issue for the address of the tests, valid for long enough.
func (a *authority) issueGood(t *testing.T) pair {
	t.Helper()
	return a.issue(t, "127.0.0.1", time.Now().Add(20*24*time.Hour))
}

// overTLS protects the connection; authorities is a file, empty: those of the machine.
func overTLS(authorities string) setting {
	return func(t *middleware.Target) { t.TLS.Enabled, t.TLS.CAFile = true, authorities }
}

// showing presents a certificate to the server.
func showing(p pair) setting {
	return func(t *middleware.Target) { t.TLS.CertFile, t.TLS.KeyFile = p.certificate, p.key }
}

// skipVerify asks on although the certificate does not verify.
func skipVerify(t *middleware.Target) { t.TLS.SkipVerify = true }

// certified wants the end of a certificate to be told, and whether it verifies.
func certified(p pair, verified state.Tristate) expectation {
	return func(view *state.MiddlewareView) error {
		if view.TLSNotAfter != state.At(p.notAfter) || view.TLSVerified != verified {
			return errors.New("it should tell until when the certificate is valid, and whether it verifies")
		}
		return nil
	}
}

// checkCertificates holds a kind against a server with TLS, started by start with a certificate: one that is good, one that has expired and
// one of another host.
func checkCertificates(t *testing.T, kind string, start func(t *testing.T, a *authority, p pair) (address string)) {
	t.Helper()
	a, other := newAuthority(t), newAuthority(t)
	good := a.issueGood(t)
	t.Run("good", func(t *testing.T) {
		address := start(t, a, good)
		check(t, probe(t, target(t, kind, address, overTLS(a.file))), healthy, certified(good, state.True))
		check(t, probe(t, target(t, kind, address, overTLS(other.file))), down(middleware.CertInvalid, ""), certified(good, state.False))
		check(t, probe(t, target(t, kind, address, overTLS(""), skipVerify)), healthy, certified(good, state.False))
	})
	t.Run("expired", func(t *testing.T) {
		expired := a.issue(t, "127.0.0.1", time.Now().Add(-time.Hour))
		address := start(t, a, expired)
		check(t, probe(t, target(t, kind, address, overTLS(a.file))), down(middleware.CertExpired, ""), certified(expired, state.False))
	})
	t.Run("another host", func(t *testing.T) {
		elsewhere := a.issue(t, "elsewhere.example", time.Now().Add(20*24*time.Hour))
		address := start(t, a, elsewhere)
		check(t, probe(t, target(t, kind, address, overTLS(a.file))), down(middleware.CertInvalid, ""), certified(elsewhere, state.False))
		named := target(t, kind, address, overTLS(a.file))
		named.TLS.ServerName = "elsewhere.example"
		check(t, probe(t, named), healthy, certified(elsewhere, state.True))
	})
}
