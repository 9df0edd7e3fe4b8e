// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Admin is the identity that may do everything.
const Admin = "admin"

// exporterIdentities is how many identities exporter-0, exporter-1, … every cluster has.
const exporterIdentities = 20

// credentials is what proves who is who: a certificate of the API server, a key for service account tokens and a token
// for each identity.
type credentials struct {
	dir    string
	ca     []byte // PEM
	tokens map[string]string
}

func (c *credentials) caFile() string                 { return filepath.Join(c.dir, "ca.crt") }
func (c *credentials) servingCertificateFile() string { return filepath.Join(c.dir, "apiserver.crt") }
func (c *credentials) servingKeyFile() string         { return filepath.Join(c.dir, "apiserver.key") }
func (c *credentials) serviceAccountKeyFile() string {
	return filepath.Join(c.dir, "service-account.key")
}
func (c *credentials) tokensFile() string { return filepath.Join(c.dir, "tokens.csv") }

// newCredentials writes fresh credentials into dir; users are identities beside Admin and exporter-N.
func newCredentials(dir string, users []string) (*credentials, error) {
	c := &credentials{dir: dir, tokens: map[string]string{}}
	if err := c.writeServingCertificate(); err != nil {
		return nil, fmt.Errorf("cannot make the API server's certificate: %w", err)
	}
	if _, err := writeKey(c.serviceAccountKeyFile()); err != nil {
		return nil, fmt.Errorf("cannot make the service account key: %w", err)
	}
	if err := c.writeTokens(users); err != nil {
		return nil, fmt.Errorf("cannot write the tokens: %w", err)
	}
	return c, nil
}

func (c *credentials) writeServingCertificate() error {
	key, err := writeKey(c.servingKeyFile())
	if err != nil {
		return err
	}
	// Self-signed: the certificate is its own authority, which is all that loopback clients need.
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(time.Now().UnixNano()),
		Subject:               pkix.Name{CommonName: "kube-apiserver"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(30 * 24 * time.Hour),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		IsCA:                  true,
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
		DNSNames:              []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	c.ca = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := os.WriteFile(c.servingCertificateFile(), c.ca, 0o600); err != nil {
		return err
	}
	return os.WriteFile(c.caFile(), c.ca, 0o600)
}

func writeKey(path string) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	return key, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), 0o600)
}

func (c *credentials) writeTokens(users []string) error {
	for i := range exporterIdentities {
		users = append(users, fmt.Sprintf("exporter-%d", i))
	}
	var lines strings.Builder
	for _, user := range append(users, Admin) {
		if c.tokens[user] != "" {
			continue
		}
		secret := make([]byte, 16)
		if _, err := rand.Read(secret); err != nil {
			return err
		}
		c.tokens[user] = hex.EncodeToString(secret)
		groups := ""
		if user == Admin {
			groups = `,"system:masters"`
		}
		fmt.Fprintf(&lines, "%s,%q,%q%s\n", c.tokens[user], user, user, groups)
	}
	return os.WriteFile(c.tokensFile(), []byte(lines.String()), 0o600)
}

// config is the client configuration of identity at server (https://host:port).
func (c *credentials) config(server, identity string) (*rest.Config, error) {
	token := c.tokens[identity]
	if token == "" {
		return nil, fmt.Errorf("unknown identity %q: name it in Options.Users or use exporter-0 to exporter-%d",
			identity, exporterIdentities-1)
	}
	return &rest.Config{
		Host:            server,
		BearerToken:     token,
		TLSClientConfig: rest.TLSClientConfig{CAData: c.ca},
	}, nil
}

// writeKubeconfig writes config as a kubeconfig file with one context.
func writeKubeconfig(path, user string, config *rest.Config) error {
	const name = "test"
	err := clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters: map[string]*clientcmdapi.Cluster{
			name: {Server: config.Host, CertificateAuthorityData: config.CAData},
		},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{user: {Token: config.BearerToken}},
		Contexts:       map[string]*clientcmdapi.Context{name: {Cluster: name, AuthInfo: user}},
		CurrentContext: name,
	}, path)
	if err != nil {
		return fmt.Errorf("cannot write the kubeconfig of %s: %w", user, err)
	}
	return nil
}
