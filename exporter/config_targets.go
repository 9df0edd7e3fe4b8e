// SPDX-License-Identifier: Apache-2.0

package exporter

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"stability-exporter/internal/middleware"
)

// askingConfig is what targets, modules and rules of discovery have in common: how a server is asked, and what is expected of it.
type askingConfig struct {
	Kind    configText        `yaml:"kind"`
	Options optionsConfig     `yaml:"options"` // those of the kind
	TLS     placed[tlsConfig] `yaml:"tls"`
	Timeout duration          `yaml:"timeout"`
	MaxLag  duration          `yaml:"max_lag"` // from how long behind a replica is a problem
	Role    configText        `yaml:"role"`    // the one that it must have
	Members wholeNumber       `yaml:"expected_members"`
}

// targetConfig is a server that is asked all the time, or a group of servers that belong together.
type targetConfig struct {
	askingConfig `yaml:",inline"`
	Name         configName                `yaml:"name"`
	Address      configText                `yaml:"address"`
	Addresses    map[configName]configText `yaml:"members"` // of a group, by the name of the member
	Credential   credentialRef             `yaml:"credential"`
	Interval     duration                  `yaml:"interval"`
}

// moduleConfig says how an address is asked that is no target.
type moduleConfig struct {
	askingConfig `yaml:",inline"`
	Credential   configText   `yaml:"credential"`
	Allow        []configText `yaml:"allow"`
}

// discoveryConfig says which servers in the cluster are asked without being written down.
type discoveryConfig struct {
	Enabled    bool                      `yaml:"enabled"`
	Namespaces []configText              `yaml:"namespaces"` // patterns; none: all that are watched
	Rules      rows[discoveryRuleConfig] `yaml:"rules"`
}

type discoveryRuleConfig struct {
	askingConfig `yaml:",inline"`
	Match        placed[matchConfig] `yaml:"match"`
	Credential   configText          `yaml:"credential"`
	Interval     duration            `yaml:"interval"`
}

// matchConfig recognises a server; all patterns that are given have to fit.
type matchConfig struct {
	Name      configText `yaml:"name"`      // label app.kubernetes.io/name
	Component configText `yaml:"component"` // label app.kubernetes.io/component
	PortName  configText `yaml:"port_name"`
	Image     configText `yaml:"image"`
	Namespace configText `yaml:"namespace"`
}

// tlsConfig says how connections are protected. One that is given at all asks for TLS.
type tlsConfig struct {
	Enabled    *bool      `yaml:"enabled"`
	CAFile     configText `yaml:"ca_file"`
	CertFile   configText `yaml:"cert_file"`
	KeyFile    configText `yaml:"key_file"`
	ServerName configText `yaml:"server_name"`
	SkipVerify bool       `yaml:"skip_verify"`
}

func (c *tlsConfig) files() []placedFile {
	return []placedFile{{"ca_file", c.CAFile}, {"cert_file", c.CertFile}, {"key_file", c.KeyFile}}
}

// credentialRef is the name of a credential, or one of the target's own.
type credentialRef struct {
	Name configText
	Own  placed[credentialConfig]
}

// UnmarshalYAML implements yaml.Unmarshaler.
func (c *credentialRef) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind == yaml.MappingNode {
		return c.Own.UnmarshalYAML(node)
	}
	return c.Name.UnmarshalYAML(node)
}

// asking returns how a server is asked; false if what is needed for that is wrong. what names it in mistakes. An interval that is not given
// is the usual one.
func (b *middlewareBuilder) asking(what string, line int, c *askingConfig, interval duration) (middleware.Target, bool) {
	kind := b.kind(what, line, c.Kind)
	if interval == (duration{}) {
		interval = b.config.Interval
	}
	timeout := c.Timeout
	if timeout.line == 0 {
		timeout = b.config.Timeout
	}
	if timeout != b.config.Timeout || interval != b.config.Interval { // else there is one mistake already
		b.checkTimes(interval, timeout)
	}
	secure := b.tls(&c.TLS)
	if kind == nil {
		return middleware.Target{}, false
	}
	return middleware.Target{
		Kind: kind, TLS: secure, Options: b.options(what, line, kind, c.Options), Limits: b.limits(kind, c),
		Interval: interval.Duration, Timeout: timeout.Duration,
	}, true
}

func (b *middlewareBuilder) tls(c *placed[tlsConfig]) middleware.TLSOptions {
	if c.line == 0 {
		return middleware.TLSOptions{}
	}
	v := &c.Value
	for _, file := range v.files() {
		b.checkFile(file)
	}
	enabled := v.Enabled == nil || *v.Enabled
	switch {
	case !enabled && *v != (tlsConfig{Enabled: v.Enabled}):
		b.mistake(c.line, "tls is not enabled, so nothing else in it has an effect: leave enabled out")
	case v.CertFile.text != "" && v.KeyFile.text == "":
		b.mistake(v.CertFile.line, "cert_file has no key: give key_file")
	case v.KeyFile.text != "" && v.CertFile.text == "":
		b.mistake(v.KeyFile.line, "key_file has no certificate: give cert_file")
	}
	return middleware.TLSOptions{
		Enabled: enabled, CAFile: v.CAFile.text, CertFile: v.CertFile.text, KeyFile: v.KeyFile.text,
		ServerName: v.ServerName.text, SkipVerify: v.SkipVerify,
	}
}

// limits refuses what would have no effect, for nothing would ever tell of it.
func (b *middlewareBuilder) limits(kind *middleware.Kind, c *askingConfig) middleware.Limits {
	tells := func(fact string) bool {
		return slices.ContainsFunc(kind.Facts, func(f string) bool { return f == fact || strings.HasPrefix(f, fact+"{") })
	}
	roles := []string{"arbiter", "follower", "leader", "observer", "primary", "replica", "sentinel", "standalone"}
	if lag := c.MaxLag; lag.line > 0 {
		switch {
		case !tells("replication_lag_seconds"):
			b.mistake(lag.line, "max_lag has no effect: kind %s does not tell how long it is behind", kind.Name)
		case lag.Duration < time.Second:
			b.mistake(lag.line, "a max_lag of %s is out of range: give 1s or more", lag.Duration)
		}
	}
	if role := c.Role; role.line > 0 {
		switch {
		case !tells("role"):
			b.mistake(role.line, "role has no effect: kind %s has no roles", kind.Name)
		case !slices.Contains(roles, role.text):
			b.mistake(role.line, "there is no role %q: known are %s", shortened(role.text), strings.Join(roles, ", "))
		}
	}
	if n := c.Members; n.line > 0 {
		switch {
		case !tells("members_expected"):
			b.mistake(n.line, "expected_members has no effect: kind %s does not tell of members", kind.Name)
		case n.number < 1 || n.number > 10000:
			b.mistake(n.line, "%d expected members are out of range: give 1 to 10000", n.number)
		}
	}
	return middleware.Limits{Lag: c.MaxLag.Duration, ExpectedMembers: c.Members.number, Role: c.Role.text}
}

// target adds a target, or each member of a group.
func (b *middlewareBuilder) target(line int, c *targetConfig) {
	what := "a target"
	if c.Name.text == "" {
		b.mistake(cmp.Or(c.Name.line, line), "a target has no name: give one as name: by which metrics and reports call it")
	} else if what = "target " + shortened(c.Name.text); b.checkName("target", c.Name) {
		if first := b.names[c.Name.text]; first > 0 {
			b.mistake(c.Name.line, "target %s is there already, in line %d: metrics could not tell one from the other", c.Name.text, first)
		} else {
			b.names[c.Name.text] = c.Name.line
		}
	}
	template, ok := b.asking(what, line, &c.askingConfig, c.Interval)
	template.Policy = middleware.Policy{Configured: true}
	own := c.Credential.Own.line > 0
	if own {
		template.Credential = b.own(c.Name.text, c.Credential.Own.line, &c.Credential.Own.Value)
	} else {
		template.Credential = b.named(c.Credential.Name)
	}
	switch {
	case c.Address.line > 0 && len(c.Addresses) > 0:
		b.mistake(c.Address.line, "%s has both an address and members: keep one", what)
	case c.Address.line == 0 && len(c.Addresses) == 0:
		b.mistake(line, "%s has no address: give one as address: HOST:PORT, or several of a group as members: {NAME: HOST:PORT, ...}", what)
	case len(c.Addresses) > 1 && (c.Role.text == "primary" || c.Role.text == "leader"):
		b.mistake(c.Role.line, "%s is a group, and not every member can be the %s: that there is one, and one only, is judged anyway", what, c.Role.text)
	}
	if !ok {
		return
	}
	if len(c.Addresses) == 0 && c.Address.line > 0 {
		template.Name = c.Name.text
		b.addTarget(what, template, c.Address, c.Credential.Name, own)
		return
	}
	b.group(what, c, template)
}

// group adds the members of a group in the order of their names.
func (b *middlewareBuilder) group(what string, c *targetConfig, template middleware.Target) {
	var members []configName
	for member := range c.Addresses {
		members = append(members, member)
	}
	slices.SortFunc(members, func(x, y configName) int { return strings.Compare(x.text, y.text) })
	lines := map[string]configName{} // by address
	for _, member := range members {
		address := c.Addresses[member]
		if !b.checkName("member", member) {
			continue
		}
		if first, twice := lines[address.text]; twice && address.line > 0 {
			b.mistake(address.line, "member %s has the address of member %s: one server would count twice", member.text, first.text)
		}
		lines[address.text] = member
		one := template
		one.Group, one.Name = c.Name.text, c.Name.text+"/"+member.text
		address.line = cmp.Or(address.line, member.line)
		b.addTarget(what+"/"+member.text, one, address, c.Credential.Name, c.Credential.Own.line > 0)
	}
}

// addTarget adds a target at an address. Its credential is bound to the address if it is its own, and must cover it if it has a name.
func (b *middlewareBuilder) addTarget(what string, t middleware.Target, address, credential configText, own bool) {
	t.Address = address.text
	hostPort, ok := b.checkAddress(what, &t, address)
	switch {
	case !ok || t.Credential == nil:
	case own:
		bound := *t.Credential
		bound.Targets = []string{hostPort}
		t.Credential = &bound
	case !t.Credential.Covers(hostPort):
		b.mistake(credential.line, "credential %s may not be sent to %s, the address of %s (line %d): its targets (line %d) are %s",
			credential.text, hostPort, what, address.line, b.targetsLine(credential.text), orNone(t.Credential.Targets))
	}
	b.settings.Targets = append(b.settings.Targets, &t)
}

func orNone(patterns []string) string {
	if len(patterns) == 0 {
		return "none"
	}
	return shortened(strings.Join(patterns, ", "))
}

// targetsLine returns where the targets of a credential stand, else where the credential does.
func (b *middlewareBuilder) targetsLine(credential string) int {
	for name, c := range b.config.Credentials {
		if name.text == credential {
			if targets := c.Value.Targets; len(targets) > 0 {
				return targets[0].line
			}
			return name.line
		}
	}
	return 0
}

// checkAddress returns HOST:PORT of a target.
func (b *middlewareBuilder) checkAddress(what string, t *middleware.Target, address configText) (hostPort string, ok bool) {
	err := t.Kind.CheckAddress(address.text)
	if err == nil {
		hostPort, err = t.HostPort()
	}
	if err != nil {
		b.mistake(address.line, "%s cannot be asked: %v", what, err)
		return "", false
	}
	if t.TLS.Enabled && strings.HasPrefix(strings.ToLower(address.text), "http://") {
		b.mistake(address.line, "%s has tls and an address that begins with http://: make it https:// or leave tls out", what)
	}
	return hostPort, true
}

func (b *middlewareBuilder) module(name configName, line int, c *moduleConfig) {
	what := "module " + name.text
	template, ok := b.asking(what, line, &c.askingConfig, duration{Duration: maxProbeInterval}) // no next probe bounds the timeout
	template.Credential = b.named(c.Credential)
	if template.Credential != nil && len(template.Credential.Targets) == 0 {
		b.mistake(c.Credential.line, "credential %s has no targets: %s could never send it", c.Credential.text, what)
	}
	if len(c.Allow) == 0 {
		b.mistake(line, "%s allows nothing: name as allow: [10.0.0.0/8, redis-*.example:6379] what may be asked", what)
	}
	for _, text := range c.Allow {
		if err := template.Policy.Allow(text.text); err != nil {
			b.mistake(text.line, "%s cannot allow %q: %v", what, shownAddress(text.text), err)
		}
	}
	if ok {
		b.settings.Modules[name.text] = &middleware.Module{Name: name.text, Template: template}
	}
}
