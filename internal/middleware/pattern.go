// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strings"
)

var (
	hostPattern = regexp.MustCompile(`^[A-Za-z0-9_.*?-]+$`)
	portPattern = regexp.MustCompile(`^[0-9*?]+$`)
	// addressPattern is meant for IP addresses of version 4.
	addressPattern = regexp.MustCompile(`^[0-9.*?]*[0-9][0-9.*?]*$`)
)

// CheckTargets says what is wrong with a pattern of Credential.Targets.
func CheckTargets(pattern string) error {
	host, port := splitPattern(pattern)
	if _, err := netip.ParseAddr(host); err == nil {
		return checkPortPattern(port)
	}
	switch {
	case pattern == "":
		return errors.New("it is empty")
	case strings.Contains(pattern, "://"):
		return errors.New("it is a URL: give HOST or HOST:PORT")
	case strings.Contains(pattern, "/"):
		return errors.New("it is a network: give a pattern of addresses instead, such as 10.0.*:6379")
	case !hostPattern.MatchString(host):
		return errors.New("give HOST or HOST:PORT, in which * stands for any characters and ? for one")
	case !strings.ContainsFunc(host, isAlphanumeric):
		return errors.New("it fits every host: whoever lets the exporter ask a server of his own would be sent the credential; " +
			"name the servers it is for, such as redis-*.example:6379")
	}
	return checkPortPattern(port)
}

func checkPortPattern(port string) error {
	if !portPattern.MatchString(port) {
		return errors.New("the port is no number: give HOST or HOST:PORT")
	}
	return nil
}

// splitPattern returns the host and the port of a pattern; one without a port is for all of them.
func splitPattern(pattern string) (host, port string) {
	host, port, err := net.SplitHostPort(pattern)
	if err != nil {
		return pattern, "*"
	}
	return host, port
}

func isAlphanumeric(r rune) bool {
	return '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
}

// hostMatches reports whether a host fits a pattern. A pattern of numbers is for addresses: 10.* is not for 10.example.org, which leads
// wherever its owner likes.
func hostMatches(pattern, host string) bool {
	if _, err := netip.ParseAddr(host); err != nil && addressPattern.MatchString(pattern) {
		return false
	}
	return Fits(strings.ToLower(pattern), strings.ToLower(host))
}

// Allow lets a network, an address or a pattern of host names be asked ad hoc, or says what is wrong with it: 10.0.0.0/8, 10.1.2.3,
// redis-*.example or redis-*.example:6379.
func (p *Policy) Allow(text string) error {
	if network, err := netip.ParsePrefix(text); err == nil {
		if network.Bits() == 0 {
			return errors.New("it is every address there is: name the networks that may be asked")
		}
		if network.Masked() != network {
			return fmt.Errorf("it is an address within a network: %s is the network", network.Masked())
		}
		p.AllowNetworks = append(p.AllowNetworks, network)
		return nil
	}
	if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
		if NeverAsked(addr) {
			return errors.New("it is an address that is never asked: link-local, multicast, unspecified or a cloud's metadata service")
		}
		p.AllowNetworks = append(p.AllowNetworks, netip.PrefixFrom(addr, addr.BitLen()))
		return nil
	}
	host, port := splitPattern(text)
	switch {
	case !hostPattern.MatchString(host):
		return errors.New("give a network such as 10.0.0.0/8, an address, or a host with or without a port such as redis-*.example:6379")
	case !strings.ContainsFunc(host, isAlphanumeric):
		return errors.New("it fits every host: name those that may be asked")
	case addressPattern.MatchString(host) && strings.ContainsAny(host, "*?"):
		return errors.New("it is a pattern of addresses: give the network instead, such as 10.0.0.0/8")
	}
	if err := checkPortPattern(port); err != nil {
		return err
	}
	p.AllowHosts = append(p.AllowHosts, text)
	return nil
}

// CheckNamespaces says what is wrong with a pattern of Credential.Namespaces.
func CheckNamespaces(pattern string) error {
	switch {
	case !regexp.MustCompile(`^[a-z0-9*?-]+$`).MatchString(pattern):
		return errors.New("give the name of a namespace, in which * stands for any characters and ? for one")
	case !strings.ContainsFunc(pattern, isAlphanumeric):
		return errors.New("it fits every namespace: whoever may annotate a Service in one of them could have the credential sent to a server of his own; " +
			"name the namespaces it is for, such as prod-*")
	}
	return nil
}
