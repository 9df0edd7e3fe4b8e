// SPDX-License-Identifier: Apache-2.0

package discovery

import (
	"iter"
	"strconv"
	"strings"

	"stability-exporter/internal/middleware"
	"stability-exporter/internal/state"
)

// port is where a server listens: a number, or the name of a container port, whose number the pod's template tells. The zero port is none.
type port struct {
	number int32
	name   string
}

// in returns the number that the port has in pods of a template; zero when that is not known.
func (p port) in(t *state.Template) int32 {
	if p.name == "" || t == nil {
		return p.number
	}
	for i := range t.Containers {
		for _, declared := range t.Containers[i].Ports {
			if declared.Name.String() == p.name && !declared.UDP {
				return declared.Number
			}
		}
	}
	return 0
}

// String names the port for people.
func (p port) String() string {
	if p.name != "" {
		return p.name
	}
	return strconv.Itoa(int(p.number))
}

// leadsTo is where a port of a Service leads to.
func leadsTo(p state.ServicePort) port {
	if name := p.TargetName.String(); name != "" {
		return port{name: name}
	}
	return port{number: p.Target}
}

// containers yields the containers of the workloads that a Service is meant for, without those that end before the others begin.
func containers(s *state.MiddlewareService) iter.Seq[*state.ContainerSpec] {
	return func(yield func(*state.ContainerSpec) bool) {
		for _, w := range s.Workloads {
			if w.Template == nil {
				continue
			}
			for i := range w.Template.Containers {
				if c := &w.Template.Containers[i]; c.Type != state.InitContainer && !yield(c) {
					return
				}
			}
		}
	}
}

// servicePort returns where the first port of the Service leads to that is wanted.
func servicePort(s *state.MiddlewareService, wanted func(state.ServicePort) bool) port {
	for _, p := range s.Ports {
		if !p.UDP && wanted(p) {
			return leadsTo(p)
		}
	}
	return port{}
}

// containerPort returns the first port of a container behind the Service that is wanted.
func containerPort(s *state.MiddlewareService, wanted func(state.Port) bool) port {
	for c := range containers(s) {
		for _, p := range c.Ports {
			if !p.UDP && p.Number > 0 && wanted(p) {
				return port{number: p.Number}
			}
		}
	}
	return port{}
}

// portOf returns the port whose name fits the rule.
func (r *Rule) portOf(s *state.MiddlewareService) port {
	p := servicePort(s, func(p state.ServicePort) bool {
		return wants(r.PortName, p.Name.String()) || wants(r.PortName, p.TargetName.String())
	})
	if p != (port{}) || r.PortName == "" {
		return p
	}
	return containerPort(s, func(p state.Port) bool { return wants(r.PortName, p.Name.String()) })
}

// findPort finds out which port of a Service is to be asked. The kind is known by then, hence its usual number tells it among several. rule is the
// one that fits the Service; it may be nil.
func (f *found) findPort(rule *Rule) (port, *mistake) {
	if written := f.service.Probing.Port.String(); written != "" {
		return f.annotatedPort(written)
	}
	if rule != nil && rule.PortName != "" {
		return rule.portOf(f.service), nil
	}
	usual := usualPort(&f.template)
	for _, p := range []port{
		servicePort(f.service, func(p state.ServicePort) bool { return usual > 0 && (leadsTo(p).number == usual || p.Port == usual) }),
		servicePort(f.service, func(p state.ServicePort) bool { return f.named(p.Name) || f.named(p.TargetName) }),
		containerPort(f.service, func(p state.Port) bool { return p.Number == usual || f.named(p.Name) }),
	} {
		if p != (port{}) {
			return p, nil
		}
	}
	// A single port is that of the kind if somebody said that the Service is of that kind, and so is the usual one if there is none at all.
	if len(f.service.Ports) == 1 && (f.annotated || usual == 0) && !f.service.Ports[0].UDP {
		return leadsTo(f.service.Ports[0]), nil
	}
	if len(f.service.Ports) == 0 && usual > 0 {
		return port{number: usual}, nil
	}
	return port{}, mistaken(`annotate it with stability-exporter/port: NAME, or with stability-exporter/probe: "false"`,
		"nothing tells which port is that of kind %s", f.template.Kind.Name)
}

// usualPort is the port on which servers of the kind usually listen; zero when there is none.
func usualPort(t *middleware.Target) int32 {
	text := t.Kind.Port
	if t.TLS.Enabled && t.Kind.TLSPort != "" {
		text = t.Kind.TLSPort
	}
	n, _ := number(text, maxPort) // the kinds' own
	return n
}

// named reports whether a port has the name of the kind: redis, or tcp-redis.
func (f *found) named(name state.Symbol) bool {
	text := name.String()
	return text[strings.LastIndexByte(text, '-')+1:] == f.template.Kind.Name
}

// annotatedPort finds the port that an annotation names: one of the Service, by name or number, else one of the containers.
func (f *found) annotatedPort(written string) (port, *mistake) {
	n, numeric := number(written, maxPort)
	p := servicePort(f.service, func(p state.ServicePort) bool { return p.Name.String() == written || numeric && p.Port == n })
	switch {
	case p != (port{}):
		return p, nil
	case numeric:
		return port{number: n}, nil
	}
	if p := containerPort(f.service, func(p state.Port) bool { return p.Name.String() == written }); p != (port{}) {
		return port{name: written}, nil
	}
	return port{}, mistaken("name a port of the Service or of a container behind it, or give a number",
		"its annotation stability-exporter/port names a port that is not there: %q", written)
}

const maxPort = 65535

// number reads a whole number from 1 to limit.
func number(text string, limit int) (int32, bool) {
	n, err := strconv.ParseInt(text, 10, 32)
	return int32(n), err == nil && n >= 1 && n <= int64(limit)
}
