// SPDX-License-Identifier: Apache-2.0

package exporter

import (
	"cmp"
	"regexp"
	"strconv"

	"stability-exporter/internal/middleware"
)

// discovery adds which servers are found in the cluster.
func (b *middlewareBuilder) discovery(c *discoveryConfig) {
	d := middleware.Discovery{Enabled: c.Enabled}
	for _, pattern := range c.Namespaces {
		if !regexp.MustCompile(`^[a-z0-9*?-]+$`).MatchString(pattern.text) {
			b.mistake(pattern.line, "%q is no name of a namespace: give one, in which * stands for any characters and ? for one", shortened(pattern.text))
		}
		d.Namespaces = append(d.Namespaces, pattern.text)
	}
	for _, r := range c.Rules {
		if r.wrong {
			continue
		}
		if rule, ok := b.discoveryRule(r.line, &r.Value); ok {
			d.Rules = append(d.Rules, rule)
		}
	}
	b.settings.Discovery = d
}

func (b *middlewareBuilder) discoveryRule(line int, c *discoveryRuleConfig) (middleware.DiscoveryRule, bool) {
	const what = "a rule of discovery"
	template, ok := b.asking(what, line, &c.askingConfig, c.Interval)
	template.Policy = middleware.Policy{Configured: true}
	template.Credential = b.named(c.Credential)
	if template.Credential != nil && len(template.Credential.Namespaces) == 0 {
		b.mistake(c.Credential.line, "credential %s has no namespaces: whoever may label a Service could have it sent to a server of his own; "+
			"name as namespaces: [...] those that it is for", c.Credential.text)
	}
	m := &c.Match.Value
	if m.Name.text == "" && m.Component.text == "" && m.PortName.text == "" && m.Image.text == "" {
		b.mistake(cmp.Or(c.Match.line, line), "%s recognises nothing: give match: {name, component, port_name or image}; a namespace alone tells no kind", what)
	}
	if _, err := strconv.Atoi(m.PortName.text); err == nil {
		b.mistake(m.PortName.line, "port_name is the number of a port: numbers tell no kind, give the name that the port has")
	}
	for _, pattern := range []configText{m.Name, m.Component, m.PortName, m.Image} {
		if pattern.line > 0 && !regexp.MustCompile(`[A-Za-z0-9]`).MatchString(pattern.text) {
			b.mistake(pattern.line, "the pattern %q fits everything: leave it out, or write what is to be recognised", shortened(pattern.text))
		}
	}
	return middleware.DiscoveryRule{
		Name: m.Name.text, Component: m.Component.text, PortName: m.PortName.text, Image: m.Image.text, Namespace: m.Namespace.text,
		Template: template,
	}, ok
}
