// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"fmt"
	"net"
	"os"
	"strings"
)

// Secret is a text that nothing prints: not fmt, not a log, not JSON or YAML.
type Secret struct{ text string }

// NewSecret hides a text.
func NewSecret(text string) Secret { return Secret{text} }

// Reveal returns the text, for the one place that sends it.
func (s Secret) Reveal() string { return s.text }

// Empty reports whether there is no text.
func (s Secret) Empty() bool { return s.text == "" }

// String implements fmt.Stringer.
func (s Secret) String() string { return "[secret]" }

// GoString implements fmt.GoStringer.
func (s Secret) GoString() string { return "[secret]" }

// Format implements fmt.Formatter, so that no verb shows the text.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[secret]")) }

// MarshalText implements encoding.TextMarshaler, which JSON and YAML use.
func (s Secret) MarshalText() ([]byte, error) { return []byte("[secret]"), nil }

// maxSecret is far above any password or token.
const maxSecret = 64 << 10

// login is a credential at the moment of its use.
type login struct {
	username        string
	password, token Secret
}

// mayGo reports whether the credential may be sent to host:port.
func (c *Credential) mayGo(address string) bool {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	for _, pattern := range c.Targets {
		if hostFits(pattern, host, port) {
			return true
		}
	}
	return false
}

// read returns the credential's texts as they are now.
func (c *Credential) read() (login, error) {
	l := login{username: c.Username, password: c.Password, token: c.Token}
	for _, from := range []struct {
		file string
		into *Secret
	}{{c.PasswordFile, &l.password}, {c.TokenFile, &l.token}} {
		if from.file == "" {
			continue
		}
		text, err := readSecret(from.file)
		if err != nil {
			return login{}, fmt.Errorf("cannot read credential %s: %w", c.Name, err)
		}
		*from.into = text
	}
	return l, nil
}

func readSecret(file string) (Secret, error) {
	f, err := os.Open(file)
	if err != nil {
		return Secret{}, err
	}
	defer f.Close()
	buffer := make([]byte, maxSecret+1)
	n, err := readFull(f, buffer)
	if err != nil {
		return Secret{}, err
	}
	if n > maxSecret {
		return Secret{}, fmt.Errorf("%s is longer than %d bytes", file, maxSecret)
	}
	return NewSecret(strings.TrimRight(string(buffer[:n]), "\r\n")), nil
}
