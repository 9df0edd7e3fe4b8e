// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Settings are what an operator configured. They are valid, and nobody changes them.
type Settings struct {
	Targets []*Target // in the order of the file; the members of a group one after another, named GROUP/MEMBER
	// Modules say by name how an address is asked that is no target.
	Modules map[string]*Module
	// Credentials are all that have a name, for targets that are discovered by annotation.
	Credentials map[string]*Credential
	Discovery   Discovery
	// Interval and Timeout are for what has none of its own.
	Interval, Timeout time.Duration
	Concurrency       int // probes at a time; at least 1
}

// Module says how an address is asked that is no target.
type Module struct {
	Name     string
	Template Target // without a name and an address; its policy says what may be asked
}

// Target returns the target that asks an address in this way, or says why it may not be asked. That the address may be dialled only shows
// when its name is resolved.
func (m *Module) Target(name, address string) (*Target, error) {
	t := m.Template
	t.Name, t.Address = name, address
	if err := t.Kind.CheckAddress(address); err != nil {
		return nil, err
	}
	hostPort, err := t.hostPort()
	if err != nil {
		return nil, err
	}
	if t.Credential != nil && !t.Credential.mayGo(hostPort) {
		return nil, fail(Forbidden, "credential %s is not meant for this address: add it to its targets", t.Credential.Name)
	}
	return &t, nil
}

// Discovery says which servers in a cluster are asked without being written down.
type Discovery struct {
	Enabled    bool
	Namespaces []string // patterns; none: all that are watched
	// Rules say of what has no annotation how it is asked; the first that fits counts.
	Rules []DiscoveryRule
}

// DiscoveryRule says how servers are asked that are recognised by what their Service, or the workload behind it, tells. All patterns that are
// given have to fit, see Fits, and one of the first four is given.
type DiscoveryRule struct {
	Name      string // label app.kubernetes.io/name of the Service
	Component string // label app.kubernetes.io/component
	PortName  string // a port of the Service or of a container behind it; that port is asked then
	// Image is the repository of a container's image without its registry: bitnami/redis. A pattern without a slash may also fit the last part
	// alone, and one with a colon in its last part is for the tag as well.
	Image     string
	Namespace string
	Template  Target // how they are asked; without a name and an address
}

// Fits reports whether a text fits a pattern from its first to its last character: * stands for any characters, slashes included, and ? for
// one of them.
func Fits(pattern, text string) bool {
	star, resume := -1, 0 // where the last * is, and how much of the text it has taken
	p, t := 0, 0
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, resume = p, t
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == text[t]):
			p++
			t++
		case star >= 0:
			resume++
			p, t = star+1, resume
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// ForDiscovered returns the credential for a server that was discovered at HOST:PORT in a namespace: it goes there and nowhere else.
// Who may annotate a Service in a namespace may choose the address, hence the credential must name the namespace.
func (c *Credential) ForDiscovered(namespace, address string) (*Credential, error) {
	if !slices.ContainsFunc(c.Namespaces, func(pattern string) bool { return Fits(pattern, namespace) }) {
		return nil, fmt.Errorf("credential %s is not meant for namespace %s: add it to its namespaces", c.Name, namespace)
	}
	bound := *c
	bound.Targets = []string{address}
	return &bound, nil
}
