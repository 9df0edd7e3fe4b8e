// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// AddressForm says how the address of a server may be written. HOST:PORT will do for every kind.
type AddressForm uint8

// The forms of addresses.
const (
	HostPort AddressForm = iota // nothing but HOST:PORT
	BaseURL                     // or a URL, to which the kind appends its paths
	PageURL                     // or the URL of the very page that is asked for, query included
)

// maxAddress is far above any name with a port.
const maxAddress = 2000

// NeverAsked reports whether an address is asked by no probe, whoever wrote it down: link-local ones, and so the metadata services of
// clouds, these services elsewhere, multicast, broadcast and unspecified ones.
func NeverAsked(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	return !addr.IsValid() || addr.IsUnspecified() || addr.IsMulticast() || addr.IsLinkLocalUnicast() ||
		addr == netip.AddrFrom4([4]byte{255, 255, 255, 255}) || slices.Contains(metadata(), addr)
}

// CheckAddress says what is wrong with the address of a server of this kind, in words for those who wrote it. The address itself is not
// in the text: it might hold a password.
func (k *Kind) CheckAddress(address string) error {
	switch {
	case address == "":
		return errors.New("there is no address")
	case len(address) > maxAddress:
		return fmt.Errorf("the address is longer than %d bytes", maxAddress)
	case strings.ContainsFunc(address, func(r rune) bool { return r <= ' ' || r == 0x7f || r == 0xfffd }):
		return errors.New("the address holds a blank, a line break or another character that is part of none")
	case strings.HasPrefix(address, "/") || strings.HasPrefix(strings.ToLower(address), "unix:"):
		return errors.New("the address is that of a socket in the file system: only what answers over the network is asked, give HOST:PORT")
	case strings.Contains(address, "://"):
		return k.checkURL(address)
	case strings.Contains(address, "@"):
		return errUserinfo
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		host, port = strings.Trim(address, "[]"), k.Port
		if _, err := netip.ParseAddr(host); err != nil && strings.Contains(host, ":") {
			return errors.New("the address is no HOST:PORT")
		}
		if port == "" {
			return fmt.Errorf("the address has no port, and kind %s has no usual one: give HOST:PORT", k.Name)
		}
	}
	if err := checkPort(port); err != nil {
		return err
	}
	return checkHost(host)
}

var errUserinfo = errors.New("the address holds a user or a password: put them into a credential, and leave the address without")

func (k *Kind) checkURL(address string) error {
	u, err := url.Parse(address)
	switch {
	case err == nil && u.User != nil, err != nil && strings.Contains(address, "@"):
		return errUserinfo
	case err != nil:
		return errors.New("the address is no URL")
	case k.Address == HostPort:
		return fmt.Errorf("kind %s is not asked over HTTP: give HOST:PORT instead of a URL", k.Name)
	case u.Scheme != "http" && u.Scheme != "https":
		return errors.New("the address is a URL that does not begin with http:// or https://")
	case u.Fragment != "" || strings.Contains(address, "#"):
		return errors.New("the address has a part behind #, which is never sent: leave it out")
	case k.Address == BaseURL && strings.Contains(address, "?"):
		return fmt.Errorf("the address has a query: kind %s appends its own paths to the address", k.Name)
	case strings.HasSuffix(u.Host, ":"):
		return errors.New("the address has a colon and no port behind it")
	}
	if u.Port() != "" {
		if err := checkPort(u.Port()); err != nil {
			return err
		}
	}
	return checkHost(u.Hostname())
}

func checkPort(port string) error {
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 || strconv.Itoa(n) != port {
		return errors.New("the address has no port from 1 to 65535 behind its last colon")
	}
	return nil
}

var (
	// hostName is what RFC 1123 calls one, with the underscores of real life.
	hostName = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?$`)
	// numericName is how some resolvers write an address: 127.1, 2130706433, 0x7f.1.
	numericName = regexp.MustCompile(`(?i)(^|\.)(\d+|0x[0-9a-f]*)\.?$`)
)

func checkHost(host string) error {
	if addr, err := netip.ParseAddr(host); err == nil {
		switch {
		case addr.Zone() != "":
			return errors.New("the address has a zone: link-local addresses are never asked")
		case NeverAsked(addr):
			return errors.New("the address is one that is never asked: link-local, multicast, unspecified or a cloud's metadata service")
		}
		return nil
	}
	if numericName.MatchString(host) || !hostName.MatchString(host) || len(host) > 253 {
		return errors.New("the address does not begin with the name of a host or an IP address")
	}
	return nil
}

// HostPort returns HOST:PORT of the target's address, with the default port of its kind where the address has none.
func (t *Target) HostPort() (string, error) { return t.hostPort() }

// Covers reports whether the credential may be sent to HOST:PORT.
func (c *Credential) Covers(address string) bool { return c.mayGo(address) }
