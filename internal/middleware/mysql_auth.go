// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"fmt"
	"hash"
)

// The ways to log in that are known. A password itself goes over TLS only; the server's own key, which MySQL would encrypt it with
// otherwise, could be anybody's.
const (
	nativePassword  = "mysql_native_password"
	cachingPassword = "caching_sha2_password"
	clearPassword   = "mysql_clear_password"
)

// maxSQLRounds is how often a server may ask for another proof.
const maxSQLRounds = 6

// authenticate answers the greeting and whatever the server asks for until it lets us in.
func (c *mysqlConn) authenticate(g greeting, capabilities uint32, username string, password Secret) error {
	proof, err := c.prove(g.plugin, g.nonce, password)
	if err != nil { // the account itself may want another one, for which the server asks then
		g.plugin, proof = nativePassword, nil
	}
	b := append(sqlPreface(capabilities), username...)
	b = append(b, 0, byte(len(proof)))
	b = append(b, proof...)
	if capabilities&sqlWithDatabase != 0 {
		b = append(append(b, c.p.Option("database")...), 0)
	}
	if capabilities&sqlPluginAuth != 0 {
		b = append(append(b, g.plugin...), 0)
	}
	if capabilities&sqlConnectAttrs != 0 {
		const name, value = "program_name", "stability_exporter"
		b = append(b, byte(len(name)+len(value)+2), byte(len(name)))
		b = append(append(append(b, name...), byte(len(value))), value...)
	}
	if err := c.writePacket(b); err != nil {
		return err
	}
	plugin := g.plugin
	for range maxSQLRounds {
		packet, err := c.readPacket()
		if err != nil {
			return fmt.Errorf("cannot log in: %w", err)
		}
		if plugin, err = c.nextProof(packet, plugin, password); err != nil || plugin == "" {
			return err
		}
	}
	return fail(Protocol, "the server asks for one proof after another")
}

// nextProof answers one packet of the login and returns the way that is in use then, empty when we are in.
func (c *mysqlConn) nextProof(packet []byte, plugin string, password Secret) (string, error) {
	switch {
	case len(packet) == 0:
		return "", fail(Protocol, "the answer to the login is empty")
	case packet[0] == 0:
		return "", nil
	case packet[0] == 0xff:
		return "", sqlFailure(packet)
	case packet[0] == 0xfe && len(packet) == 1:
		return "", fail(Auth, "the account has a password of before MySQL 4.1")
	case packet[0] == 0xfe:
		name, nonce, _ := bytes.Cut(packet[1:], []byte{0})
		proof, err := c.prove(string(name), bytes.TrimSuffix(nonce, []byte{0}), password)
		if err != nil {
			return "", err
		}
		return string(name), c.writePacket(proof)
	case packet[0] == 1 && plugin == cachingPassword && len(packet) == 2 && packet[1] == 3: // known to the cache: OK follows
		return plugin, nil
	case packet[0] == 1 && plugin == cachingPassword && len(packet) == 2 && packet[1] == 4:
		proof, err := c.prove(clearPassword, nil, password)
		if err != nil {
			return "", err
		}
		return plugin, c.writePacket(proof)
	}
	return "", fail(Protocol, "the answer to the login cannot be read")
}

// prove makes what a way to log in wants to see.
func (c *mysqlConn) prove(plugin string, nonce []byte, password Secret) ([]byte, error) {
	switch plugin {
	case nativePassword:
		return nativeProof(nonce, password.Reveal()), nil
	case cachingPassword:
		return cachingProof(nonce, password.Reveal()), nil
	case clearPassword:
		if !c.p.Target.TLS.Enabled {
			return nil, fail(Auth, "the server wants the password itself, which goes over TLS only: enable it for this target")
		}
		return append([]byte(password.Reveal()), 0), nil
	}
	return nil, fail(Auth, "the account logs in by %q, which is not known: use %s or %s", plugin, cachingPassword, nativePassword)
}

// nativeProof is SHA1(password) XOR SHA1(nonce + SHA1(SHA1(password))).
func nativeProof(nonce []byte, password string) []byte {
	if password == "" {
		return nil
	}
	once := hashed(sha1.New(), []byte(password))
	return mixed(once, hashed(sha1.New(), nonce, hashed(sha1.New(), once)))
}

// cachingProof is SHA256(password) XOR SHA256(SHA256(SHA256(password)) + nonce).
func cachingProof(nonce []byte, password string) []byte {
	if password == "" {
		return nil
	}
	once := hashed(sha256.New(), []byte(password))
	return mixed(once, hashed(sha256.New(), hashed(sha256.New(), once), nonce))
}

func hashed(h hash.Hash, parts ...[]byte) []byte {
	for _, part := range parts {
		h.Write(part)
	}
	return h.Sum(nil)
}

func mixed(a, b []byte) []byte {
	for i := range a {
		a[i] ^= b[i]
	}
	return a
}
