// SPDX-License-Identifier: Apache-2.0

package exporter

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"stability-exporter/internal/middleware"
)

// credentialConfig is a user and a password, and the servers that may be sent them.
type credentialConfig struct {
	Username secretText `yaml:"username"`
	// A password or a token is given in place, where ${NAME} stands for a variable of the environment, or in a file that is read anew for
	// every probe.
	Password     secretText `yaml:"password"`
	PasswordFile configText `yaml:"password_file"`
	Token        secretText `yaml:"token"`
	TokenFile    configText `yaml:"token_file"`
	// Targets are patterns of HOST or HOST:PORT.
	Targets []configText `yaml:"targets"`
	// Namespaces are patterns of those in which a discovered server may be sent it.
	Namespaces []configText `yaml:"namespaces"`
}

// secretText is a text that no mistake quotes, with the variables of the environment put in. Its fields are exported, or package fmt
// would print what is in them.
type secretText struct {
	middleware.Secret
	Line int // zero when there is none
}

// variable is ${NAME}; $${ is a plain ${.
var variable = regexp.MustCompile(`\$?\$\{([^}]*)(\}?)`)

// UnmarshalYAML implements yaml.Unmarshaler.
func (s *secretText) UnmarshalYAML(node *yaml.Node) error {
	plain := map[string]bool{"!!str": true, "!!int": true, "!!float": true, "!!bool": true, "!!timestamp": true}
	if node.Kind != yaml.ScalarNode || !plain[node.ShortTag()] {
		return mistakeAt(node, "a text is expected here, in quotes if need be")
	}
	text, err := expand(node.Value)
	if err != nil {
		return mistakeAt(node, "%v", err)
	}
	text = strings.TrimRight(text, "\r\n") // as of a file
	switch {
	case text == "":
		return mistakeAt(node, "the value is empty: leave the key out if there is none")
	case strings.ContainsAny(text, "\r\n\x00"):
		return mistakeAt(node, "the value has several lines: no server takes such a one")
	}
	*s = secretText{middleware.NewSecret(text), node.Line}
	return nil
}

// expand puts in the variables of the environment. What they hold is not looked through again.
func expand(text string) (string, error) {
	var mistake error
	whole := variable.ReplaceAllStringFunc(text, func(found string) string {
		if strings.HasPrefix(found, "$$") {
			return found[1:]
		}
		parts := variable.FindStringSubmatch(found)
		name := parts[1]
		value, set := os.LookupEnv(name)
		switch {
		case parts[2] == "" || !regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`).MatchString(name): // may be part of a password, and is not told
			mistake = fmt.Errorf("${ begins no variable such as ${PASSWORD}: write $${ if it is part of the value")
		case !set:
			mistake = fmt.Errorf("the variable %s is not set in the environment", name)
		case value == "":
			mistake = fmt.Errorf("the variable %s is empty in the environment", name)
		}
		return value
	})
	return whole, mistake
}

// files returns the files of the credential.
func (c *credentialConfig) files() []placedFile {
	return []placedFile{{"password_file", c.PasswordFile}, {"token_file", c.TokenFile}}
}

// credential returns a credential that has a name.
func (b *middlewareBuilder) credential(name configName, line int, c *credentialConfig) *middleware.Credential {
	made := b.login(line, "credential "+name.text, c)
	made.Name = name.text
	if len(c.Targets) == 0 && len(c.Namespaces) == 0 {
		b.mistake(line, "credential %s says nowhere to which servers it may be sent: give targets: [HOST:PORT, ...], or namespaces for discovered ones",
			name.text)
	}
	for _, pattern := range c.Targets {
		if err := middleware.CheckTargets(pattern.text); err != nil {
			b.mistake(pattern.line, "credential %s cannot be bound to %q: %v", name.text, shownAddress(pattern.text), err)
		}
		made.Targets = append(made.Targets, pattern.text)
	}
	for _, pattern := range c.Namespaces {
		if err := middleware.CheckNamespaces(pattern.text); err != nil {
			b.mistake(pattern.line, "credential %s cannot be bound to namespace %q: %v", name.text, shortened(pattern.text), err)
		}
		made.Namespaces = append(made.Namespaces, pattern.text)
	}
	return made
}

// own returns the credential that stands within a target. It is for the target's addresses and no other.
func (b *middlewareBuilder) own(target string, line int, c *credentialConfig) *middleware.Credential {
	made := b.login(line, "the credential of target "+target, c)
	made.Name = target
	for _, pattern := range append(c.Targets, c.Namespaces...) {
		b.mistake(pattern.line, "the credential of target %s is for this target alone: leave targets and namespaces out, or put it under middleware.credentials",
			target)
		break
	}
	return made
}

// login returns what a credential consists of.
func (b *middlewareBuilder) login(line int, what string, c *credentialConfig) *middleware.Credential {
	password, token := c.Password.Line > 0 || c.PasswordFile.line > 0, c.Token.Line > 0 || c.TokenFile.line > 0
	switch {
	case c.Password.Line > 0 && c.PasswordFile.line > 0:
		b.mistake(max(c.Password.Line, c.PasswordFile.line), "%s has both password and password_file: keep one", what)
	case c.Token.Line > 0 && c.TokenFile.line > 0:
		b.mistake(max(c.Token.Line, c.TokenFile.line), "%s has both token and token_file: keep one", what)
	case password && token:
		b.mistake(line, "%s has both a password and a token: keep one", what)
	case token && c.Username.Line > 0:
		b.mistake(c.Username.Line, "%s has a token, with which no username is sent: leave one out", what)
	case !password && !token && c.Username.Line == 0:
		b.mistake(line, "%s holds nothing: give username and password_file, or token_file", what)
	}
	for _, file := range c.files() {
		b.checkFile(file)
	}
	return &middleware.Credential{
		Username: c.Username.Reveal(), Password: c.Password.Secret, Token: c.Token.Secret,
		PasswordFile: c.PasswordFile.text, TokenFile: c.TokenFile.text,
	}
}

// checkFile wants a path that means the same file wherever the exporter is started.
func (b *middlewareBuilder) checkFile(file placedFile) {
	switch {
	case file.line > 0 && file.text == "":
		b.mistake(file.line, "%s is empty: leave the key out if there is none", file.what)
	case strings.Contains(file.text, "${"):
		b.mistake(file.line, "%s takes no variables: these are put into username, password and token only", file.what)
	case file.text != "" && !filepath.IsAbs(file.text):
		b.mistake(file.line, "%s is no whole path: begin it with /", file.what)
	}
}

// shownAddress returns an address as a mistake may quote it: without what may be a password.
func shownAddress(address string) string {
	if i := strings.LastIndex(address, "@"); i >= 0 {
		return "...@" + shortened(address[i+1:])
	}
	return shortened(address)
}
