// SPDX-License-Identifier: Apache-2.0

package discovery

import (
	"slices"
	"strings"

	"stability-exporter/internal/middleware"
	"stability-exporter/internal/state"
)

// Rule says how servers are asked that are recognised by what their Service, or the workload behind it, tells. Its kind is never nil.
type Rule middleware.DiscoveryRule

// Wants reports whether a Service, of which the Members may still be missing, has to be shown to Discover.
func (r *Rules) Wants(s *state.MiddlewareService) bool {
	f, err := r.recognise(s)
	return f != nil || err != nil
}

// optOut is the value of the annotation stability-exporter/probe that is no kind: whatever the rules say, the Service is left alone.
const optOut = "false"

// recognise says as what a Service is to be probed: its annotation counts, and without one the first rule that fits. A Service that is not
// probed is nil. Port numbers alone tell nothing.
func (r *Rules) recognise(s *state.MiddlewareService) (*found, *mistake) {
	probe := s.Probing.Probe.String()
	if probe == optOut || len(r.Namespaces) > 0 && !slices.ContainsFunc(r.Namespaces, func(p string) bool { return middleware.Fits(p, s.Namespace) }) {
		return nil, nil
	}
	f := &found{service: s, annotated: probe != ""}
	if !f.annotated {
		if s.Probing.External || !s.Selects { // nobody asked, and what it leads to is none of ours
			return nil, nil
		}
		rule := r.ruleOf(s, nil)
		if rule == nil {
			return nil, nil
		}
		f.template = rule.Template
	} else if err := r.annotated(f, probe); err != nil {
		return nil, err
	}
	return f, r.applyAnnotations(f)
}

// annotated fills in how a Service is asked whose annotation names a kind: as the first rule of that kind says that fits it, else plainly.
func (r *Rules) annotated(f *found, probe string) *mistake {
	i := slices.IndexFunc(r.Kinds, func(k middleware.Kind) bool { return k.Name == probe })
	if i < 0 {
		var known []string
		for _, k := range r.Kinds {
			known = append(known, k.Name)
		}
		slices.Sort(known)
		return mistaken("name one of "+strings.Join(known, ", "), "its annotation stability-exporter/probe names no kind of middleware: %q", probe)
	}
	kind := &r.Kinds[i]
	if rule := r.ruleOf(f.service, kind); rule != nil {
		f.template = rule.Template
		return nil
	}
	f.template = r.Plain
	f.template.Kind = kind
	return nil
}

// applyAnnotations takes what the other annotations say. The credential must be one that an operator lets out to the namespace, which Bind sees to.
func (r *Rules) applyAnnotations(f *found) *mistake {
	p := f.service.Probing
	if name := p.Credential.String(); name != "" {
		if f.template.Credential = r.Credentials[name]; f.template.Credential == nil {
			return mistaken("name one of middleware.credentials", "its annotation stability-exporter/probe-credential names no credential of the configuration: %q", name)
		}
	}
	if text := p.ExpectedMembers.String(); text != "" {
		n, ok := number(text, maxMembers)
		if !ok {
			return mistaken("give a number from 1 to 256", "its annotation stability-exporter/expected-members is no number of members: %q", text)
		}
		f.template.Limits.ExpectedMembers = int(n)
	}
	return nil
}

// ruleOf returns the first rule that fits a Service, of the given kind if there is one; nil when none does.
func (r *Rules) ruleOf(s *state.MiddlewareService, kind *middleware.Kind) *Rule {
	for i := range r.List {
		if rule := &r.List[i]; (kind == nil || rule.Template.Kind.Name == kind.Name) && rule.fits(s) {
			return rule
		}
	}
	return nil
}

func (r *Rule) fits(s *state.MiddlewareService) bool {
	if r.Name == "" && r.Component == "" && r.PortName == "" && r.Image == "" {
		return false
	}
	return wants(r.Namespace, s.Namespace) && wants(r.Name, s.Probing.App.String()) && wants(r.Component, s.Probing.Component.String()) &&
		(r.PortName == "" || r.portOf(s) != port{}) && (r.Image == "" || r.fitsImage(s))
}

// wants reports whether a pattern, if there is one, fits a text that is there.
func wants(pattern, text string) bool {
	return pattern == "" || text != "" && middleware.Fits(pattern, text)
}

func (r *Rule) fitsImage(s *state.MiddlewareService) bool {
	for c := range containers(s) {
		if imageFits(r.Image, c.Image) {
			return true
		}
	}
	return false
}

// imageFits leaves room for a registry in front of the repository, of which the model knows nothing: */redis is also for redis.
func imageFits(pattern string, image state.Image) bool {
	repository := image.Repository.String()
	if repository == "" {
		return false
	}
	last := strings.LastIndexByte(pattern, '/') + 1
	if name, tag, tagged := strings.Cut(pattern[last:], ":"); tagged {
		if !middleware.Fits(tag, image.Tag.String()) {
			return false
		}
		pattern = pattern[:last] + name
	}
	return middleware.Fits(pattern, repository) || middleware.Fits(pattern, "/"+repository) ||
		last == 0 && middleware.Fits(pattern, repository[strings.LastIndexByte(repository, '/')+1:])
}
