// SPDX-License-Identifier: Apache-2.0

package exporter

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// authority is a certificate authority that lives as long as a test.
type authority struct {
	t           *testing.T
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	pool        *x509.CertPool
	file        string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, key: newKey(t), pool: x509.NewCertPool()}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.certificate, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.pool.AddCert(a.certificate)
	a.file = writeFile(t, "ca.pem", encodePEM("CERTIFICATE", der))
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

func encodePEM(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// issue returns the files of a certificate and its key for the loopback interface.
func (a *authority) issue(name string) (certFile, keyFile string) {
	a.t.Helper()
	key := newKey(a.t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, &key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	return writeFile(a.t, name+".pem", encodePEM("CERTIFICATE", der)), writeFile(a.t, name+"-key.pem", encodePEM("PRIVATE KEY", keyDER))
}

func TestTLSWithPasswords(t *testing.T) {
	ca := newAuthority(t)
	certFile, keyFile := ca.issue("server")
	hash, err := bcrypt.GenerateFromPassword([]byte("sesame"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	r := start(t, "--web.config.file="+writeFile(t, "web.yaml", fmt.Sprintf(
		"tls_server_config: {cert_file: %s, key_file: %s}\nbasic_auth_users: {prometheus: %s}\n", certFile, keyFile, hash)))
	r.client = trusting(&tls.Config{RootCAs: ca.pool})
	url := "https://" + r.address + "/metrics"
	check(t, "no password", r.do("GET", url).StatusCode, http.StatusUnauthorized)
	check(t, "wrong password", r.do("GET", url, "Authorization", basic("prometheus", "guess")).StatusCode, http.StatusUnauthorized)
	check(t, "right password", r.do("GET", url, "Authorization", basic("prometheus", "sesame")).StatusCode, http.StatusOK)
	r.client = trusting(&tls.Config{RootCAs: x509.NewCertPool()})
	if _, err := r.try("GET", url); err == nil {
		t.Error("the server's certificate is trusted by a client that does not know its authority")
	}
}

func basic(user, password string) string {
	request := &http.Request{Header: http.Header{}}
	request.SetBasicAuth(user, password)
	return request.Header.Get("Authorization")
}

func TestMutualTLS(t *testing.T) {
	ca, stranger := newAuthority(t), newAuthority(t)
	certFile, keyFile := ca.issue("server")
	r := start(t, "--web.listen-address=127.0.0.1:0", "--web.config.file="+writeFile(t, "web.yaml", fmt.Sprintf(
		"tls_server_config: {cert_file: %s, key_file: %s, client_ca_file: %s, client_auth_type: RequireAndVerifyClientCert}\n",
		certFile, keyFile, ca.file)))
	url := "https://" + r.address + "/metrics"
	with := func(a *authority) *http.Client {
		pair, err := tls.LoadX509KeyPair(a.issue("client"))
		if err != nil {
			t.Fatal(err)
		}
		return trusting(&tls.Config{RootCAs: ca.pool, Certificates: []tls.Certificate{pair}})
	}
	r.client = with(ca)
	check(t, "known client", r.do("GET", url).StatusCode, http.StatusOK)
	r.client = with(stranger)
	if _, err := r.try("GET", url); err == nil {
		t.Error("a client with a certificate of a strange authority is served")
	}
	r.client = trusting(&tls.Config{RootCAs: ca.pool})
	if _, err := r.try("GET", url); err == nil {
		t.Error("a client without a certificate is served")
	}
}

func TestWrongWebConfigurationStopsTheStart(t *testing.T) {
	file := writeFile(t, "web.yaml", "tls_server_config: {cert_file: nowhere.pem, key_file: nowhere.key}\n")
	manifests := writeFile(t, "pod.yaml", "{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: b}}")
	code, stderr := runMain(t, "--manifests="+manifests, "--web.listen-address=127.0.0.1:0", "--web.config.file="+file)
	check(t, "exit code", code, exitFailure)
	if want := "nowhere.pem"; !strings.Contains(stderr, want) {
		t.Errorf("stderr lacks %s: %s", want, stderr)
	}
}
