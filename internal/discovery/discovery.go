// SPDX-License-Identifier: Apache-2.0

// Package discovery finds middleware in a watched cluster: which Services are to be probed as which kind, and the pods behind each as the
// members of a group. It is arithmetic on what package state knows and what an operator configured.
//
// What is probed is always a pod that the Service's own selector selects, at the address that its kubelet reports. Neither a Service without
// selector nor an EndpointSlice can lead elsewhere, so that nobody gets a credential sent to an address of his choice.
package discovery

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"stability-exporter/internal/middleware"
	"stability-exporter/internal/state"
)

// Rules say what is looked for. Nobody changes them while they are in use.
type Rules struct {
	// List says of Services without the annotation how they are asked; the first that fits counts.
	List []Rule
	// Kinds are those that an annotation may name.
	Kinds []middleware.Kind
	// Namespaces are patterns of those in which anything is looked for; none: all.
	Namespaces []string
	// Plain is how a Service is asked whose annotation names a kind that no rule for it fits: intervals, no credential.
	Plain middleware.Target
	// Credentials are those that an annotation may name.
	Credentials map[string]*middleware.Credential
	// Bind returns the credential for a server at HOST:PORT in a namespace, bound to that address, or says why it may not be sent there. Nil
	// refuses every credential.
	Bind func(c *middleware.Credential, namespace, address string) (*middleware.Credential, error)
	// Configured are the targets that the configuration names: theirs are the names.
	Configured []*middleware.Target
}

// Conflict is a Service that asks to be probed, or that a rule fits, and that is not probed.
type Conflict struct {
	Namespace, Service string
	Cause, Fix         string // in words for an operator
}

// Result is what was found.
type Result struct {
	Targets   []*middleware.Target // sorted by name
	View      state.DiscoveryView
	Conflicts []Conflict // sorted by namespace and Service
	// Slots are to be given to the next Discover.
	Slots Slots
}

// The bounds. Who labels a Service chooses how many pods it has, and every member costs connections and some thirty series.
const (
	maxMembers = 256  // of a Service
	maxTargets = 2000 // of all
)

// Discover returns the targets that the rules find in the Services. What was returned as Slots before keeps the names of members whose pods
// have none that lasts; nil is fine in the beginning.
//
// A Service is a group of the name NAMESPACE.SERVICE, its members are called GROUP/MEMBER: after the pod in a StatefulSet, after the node in a
// DaemonSet, WORKLOAD-NUMBER for pods of ReplicaSets, and else after the pod.
func Discover(services []state.MiddlewareService, rules *Rules, before Slots) Result {
	d := &discoverer{rules: rules, before: before, result: Result{Slots: Slots{}}, covered: map[listener]bool{}}
	var all []*found
	for i := range services {
		if f := d.recognise(&services[i]); f != nil {
			all = append(all, f)
		}
	}
	// The same pods often stand behind several Services. The one that somebody annotated tells best what is meant, then the headless one, which
	// has all of a StatefulSet, then the largest.
	slices.SortFunc(all, func(a, b *found) int {
		return cmp.Or(first(a.untold == nil, b.untold == nil), first(a.annotated, b.annotated), first(a.service.Headless, b.service.Headless),
			cmp.Compare(len(b.service.Members), len(a.service.Members)), strings.Compare(a.service.Namespace, b.service.Namespace),
			strings.Compare(a.service.Name, b.service.Name))
	})
	for _, f := range all {
		if err := d.add(f); err != nil {
			d.conflict(f.service, err)
		}
	}
	return d.finish()
}

// first puts what is true before what is not.
func first(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// found is a Service that is to be probed.
type found struct {
	service   *state.MiddlewareService
	annotated bool
	template  middleware.Target
	port      port
	untold    *mistake // why the port is not known
	group     string
}

// listener is one server: a pod, or a workload that should have some, at a port. A server is a member of one group only. Port 0 is any one, for
// Services of which nothing tells the port.
type listener struct {
	kind     string
	port     int32
	pod      state.UID
	workload state.WorkloadRef
}

type discoverer struct {
	rules   *Rules
	before  Slots
	result  Result
	covered map[listener]bool
}

// mistake is why a Service is not probed, and what to do about it.
type mistake struct{ cause, fix string }

func mistaken(fix, cause string, args ...any) *mistake {
	return &mistake{cause: fmt.Sprintf(cause, args...), fix: fix}
}

func (d *discoverer) conflict(s *state.MiddlewareService, m *mistake) {
	d.result.Conflicts = append(d.result.Conflicts, Conflict{Namespace: s.Namespace, Service: s.Name, Cause: m.cause, Fix: m.fix})
}

// recognise returns the Service as one to be probed; nil when it is none, which is a conflict if it wants to be.
func (d *discoverer) recognise(s *state.MiddlewareService) *found {
	f, err := d.rules.recognise(s)
	if f == nil || err != nil {
		if err != nil {
			d.conflict(s, err)
		}
		return nil
	}
	if err := d.check(f); err != nil {
		d.conflict(s, err)
		return nil
	}
	return f
}

// dnsLabel is what the API server takes as the name of a namespace or a Service; a manifest may hold anything.
var dnsLabel = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

// check refuses what cannot be probed whatever stands behind it.
func (d *discoverer) check(f *found) *mistake {
	s := f.service
	switch {
	case !dnsLabel.MatchString(s.Namespace), !dnsLabel.MatchString(s.Name):
		return mistaken("rename it", "its name is none that a Service may have")
	case s.Probing.External:
		return mistaken("write the server down as a target in the configuration", "it is of type ExternalName and leads wherever its owner likes")
	case !s.Selects:
		return mistaken("write the servers down as a target in the configuration", "it has no selector: its endpoints are whatever somebody wrote into them")
	}
	f.group = s.Namespace + "." + s.Name
	for _, t := range d.rules.Configured {
		if t.Name == f.group || t.Group == f.group {
			return mistaken("give that target another name, or annotate the Service with stability-exporter/probe: \"false\"",
				"the configuration has a target of the name %s", f.group)
		}
	}
	for _, o := range f.template.Kind.Options {
		if _, given := f.template.Options[o.Name]; o.Required && !given {
			return mistaken("write a rule of discovery that fits it and gives the option", "kind %s needs the option %s, which an annotation cannot give",
				f.template.Kind.Name, o.Name)
		}
	}
	f.port, f.untold = f.findPort(d.rules.ruleOf(s, f.template.Kind))
	return nil
}

// finish sorts what was found and counts it.
func (d *discoverer) finish() Result {
	r := d.result
	slices.SortFunc(r.Targets, func(a, b *middleware.Target) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortStableFunc(r.Conflicts, func(a, b Conflict) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Service, b.Service))
	})
	counts := map[string]int32{}
	for i := range d.rules.List {
		counts[d.rules.List[i].Template.Kind.Name] = 0
	}
	for _, t := range r.Targets {
		counts[t.Kind.Name]++
	}
	for kind, n := range counts {
		r.View.Targets = append(r.View.Targets, state.Count{Name: kind, N: n})
	}
	slices.SortFunc(r.View.Targets, func(a, b state.Count) int { return strings.Compare(a.Name, b.Name) })
	r.View.Conflicts = len(r.Conflicts)
	return r
}
