// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"net/netip"
	"slices"
)

// Policy says which addresses may be dialled. Link-local addresses, and so the metadata services of clouds, multicast and unspecified
// ones are never dialled.
type Policy struct {
	// Configured says that an operator wrote the target down or let it be discovered: any other address may be dialled then.
	Configured bool
	// The networks and the patterns of HOST or HOST:PORT that may be asked ad hoc, see Allow.
	AllowNetworks []netip.Prefix
	AllowHosts    []string
}

// metadata are addresses of cloud metadata services that are not link-local.
func metadata() []netip.Addr {
	return []netip.Addr{
		netip.MustParseAddr("100.100.100.200"), // Alibaba Cloud
		netip.MustParseAddr("fd00:ec2::254"),   // AWS over IPv6
		netip.MustParseAddr("192.0.0.192"),     // Oracle Cloud, classic
		netip.MustParseAddr("168.63.129.16"),   // Azure's host
	}
}

// permits reports whether an address that a host name was resolved to may be dialled.
func (p Policy) permits(host, port string, addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	switch {
	case NeverAsked(addr):
		return false
	case p.Configured:
		return true
	}
	if slices.ContainsFunc(p.AllowNetworks, func(n netip.Prefix) bool { return n.Contains(addr) }) {
		return true
	}
	// A name that is allowed must not lead to the machine itself.
	return !addr.IsLoopback() && slices.ContainsFunc(p.AllowHosts, func(pattern string) bool { return hostFits(pattern, host, port) })
}

func hostFits(pattern, host, port string) bool {
	patternHost, patternPort := splitPattern(pattern)
	return hostMatches(patternHost, host) && Fits(patternPort, port)
}
