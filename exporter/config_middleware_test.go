// SPDX-License-Identifier: Apache-2.0

package exporter

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stability-exporter/internal/middleware"
)

// asked returns the section of a configuration as package middleware takes it.
func asked(t *testing.T, text string) *middleware.Settings {
	t.Helper()
	c, mistakes := parseConfig([]byte(text))
	if len(mistakes) > 0 {
		t.Fatalf("%s: %v", text, mistakes)
	}
	return c.Middleware.settings()
}

// told writes down what a target is asked like.
func told(t *middleware.Target) string {
	who := "nobody"
	if c := t.Credential; c != nil {
		who = fmt.Sprintf("%s/%s %s%s%s%s %v", c.Name, c.Username, c.Password.Reveal(), c.PasswordFile, c.Token.Reveal(), c.TokenFile, c.Targets)
	}
	return fmt.Sprintf("%s %q %s %s as %s, every %s within %s, %v %+v %+v %v", t.Kind.Name, t.Name, t.Group, t.Address, who, t.Interval, t.Timeout,
		t.Options, t.TLS, t.Limits, t.Policy.Configured)
}

func TestTargetsAreConfigured(t *testing.T) {
	t.Setenv("STABILITY_EXPORTER_TEST_PASSWORD", "a${b}$")
	f := func(text string, want ...string) {
		t.Helper()
		var got []string
		for _, target := range asked(t, text).Targets {
			got = append(got, told(target))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
	}
	const none, noLimits = "{Enabled:false CAFile: CertFile: KeyFile: ServerName: SkipVerify:false}", "{Lag:0s ExpectedMembers:0 Role:}"
	f("")
	f("middleware:")
	f("middleware: {credentials: , targets: , modules: , discovery: }")
	f("middleware: {targets: [{name: a, kind: redis, address: b, options: , tls: , credential: , timeout: }]}",
		`redis "a"  b as nobody, every 30s within 5s, map[] `+none+" "+noLimits+" true")
	f("middleware: {interval: 10s, timeout: 1s, targets: [{name: a, kind: mysql, address: b, role: primary, max_lag: 1m, expected_members: 3, interval: 1h, timeout: 2s}]}",
		`mysql "a"  b as nobody, every 1h0m0s within 2s, map[] `+none+" {Lag:1m0s ExpectedMembers:3 Role:primary} true")
	f("middleware: {targets: [{name: a, kind: etcd, members: {z: 'x:1', b: 'https://y'}, tls: {ca_file: /ca, server_name: s, skip_verify: true}}]}",
		`etcd "a/b" a https://y as nobody, every 30s within 5s, map[] {Enabled:true CAFile:/ca CertFile: KeyFile: ServerName:s SkipVerify:true} `+noLimits+" true",
		`etcd "a/z" a x:1 as nobody, every 30s within 5s, map[] {Enabled:true CAFile:/ca CertFile: KeyFile: ServerName:s SkipVerify:true} `+noLimits+" true")
	f("middleware: {targets: [{name: a, kind: redis, members: {z: 'x:1', b: '[fd00::1]'}, credential: {password: 'x${STABILITY_EXPORTER_TEST_PASSWORD}$${y}'}}]}",
		`redis "a/b" a [fd00::1] as a/ xa${b}$${y} [[fd00::1]:6379], every 30s within 5s, map[] `+none+" "+noLimits+" true",
		`redis "a/z" a x:1 as a/ xa${b}$${y} [x:1], every 30s within 5s, map[] `+none+" "+noLimits+" true")
	f("middleware: {credentials: {c: {username: u, password: 0123, targets: ['*.erp:15672', h]}}, targets: ["+
		"{name: a, kind: rabbitmq, address: x.erp, credential: c, options: {queues: [q, p], plugin: true, vhost: 7}}]}",
		`rabbitmq "a"  x.erp as c/u 0123 [*.erp:15672 h], every 30s within 5s, map[plugin:true queues:q`+"\n"+`p vhost:7] `+none+" "+noLimits+" true")
	f("middleware: {targets: [{name: a, kind: http, address: x, options: {status: 2xx}, tls: {enabled: false}, credential: {token_file: /t}}]}",
		`http "a"  x as a/ /t [x:80], every 30s within 5s, map[status:2xx] `+none+" "+noLimits+" true")
}

// Ten lines do for nginx, Redis, RabbitMQ, MySQL and a licence server.
func TestASmallSiteNeedsTenLines(t *testing.T) {
	text := `middleware:
  targets:
    - {name: web, kind: nginx, address: 10.0.0.1, options: {page: /login}}
    - {name: redis, kind: redis, address: 10.0.0.2, credential: {password_file: /etc/secrets/redis}}
    - {name: rabbit, kind: rabbitmq, address: 10.0.0.3, credential: {username: monitor, password_file: /etc/secrets/rabbit}}
    - {name: db, kind: mysql, address: 10.0.0.4, max_lag: 30s, credential: {username: monitor, password_file: /etc/secrets/db}}
    - {name: licence, kind: http, address: "https://licence:8443/status", options: {expires: "licence=days:daysLeft"}}
`
	check(t, "targets", len(asked(t, text).Targets), 5)
	if n := strings.Count(text, "\n"); n > 10 {
		t.Errorf("%d lines", n)
	}
}

func TestModulesAndDiscoveryAreConfigured(t *testing.T) {
	s := asked(t, `
middleware:
  concurrency: 7
  timeout: 2s
  credentials:
    c: {password_file: /p, targets: ["10.0.*:6379", db], namespaces: ["prod-*"]}
  modules:
    m: {kind: redis, credential: c, timeout: 50s, allow: [10.0.0.0/8, 192.168.1.1, "fd00::/8", "*.erp:6379", db]}
  discovery:
    enabled: true
    namespaces: [prod-a]
    rules:
      - {kind: redis, credential: c, interval: 1m, match: {name: redis, component: master, port_name: "redis*", image: "*/redis*", namespace: "prod-*"}}
`)
	check(t, "concurrency", s.Concurrency, 7)
	check(t, "interval and timeout", fmt.Sprint(s.Interval, s.Timeout), "30s 2s")
	check(t, "credential", fmt.Sprint(s.Credentials["c"].Name, s.Credentials["c"].Targets, s.Credentials["c"].Namespaces), "c[10.0.*:6379 db] [prod-*]")
	m := s.Modules["m"]
	check(t, "module", m.Name+" "+m.Template.Timeout.String(), "m 50s")
	check(t, "allowed", fmt.Sprint(m.Template.Policy), "{false [10.0.0.0/8 192.168.1.1/32 fd00::/8] [*.erp:6379 db]}")
	target, err := m.Target("x", "10.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	check(t, "target of the module", target.Name+" "+target.Address+" "+target.Credential.Name, "x 10.0.0.1 c")
	d := s.Discovery
	check(t, "discovery", fmt.Sprint(d.Enabled, d.Namespaces, len(d.Rules)), "true [prod-a] 1")
	r := d.Rules[0]
	check(t, "rule", fmt.Sprint(r.Name, r.Component, r.PortName, r.Image, r.Namespace), "redismasterredis**/redis*prod-*")
	check(t, "rule's template", told(&r.Template), `redis ""   as c/ /p [10.0.*:6379 db], every 1m0s within 2s, map[] `+
		"{Enabled:false CAFile: CertFile: KeyFile: ServerName: SkipVerify:false} {Lag:0s ExpectedMembers:0 Role:} true")
}

// Nothing that prints a configuration prints what is secret in it.
func TestConfigurationsHideTheirSecrets(t *testing.T) {
	t.Setenv("STABILITY_EXPORTER_TEST_PASSWORD", "S3cret")
	c, mistakes := parseConfig([]byte(`
middleware:
  credentials:
    a: {username: S3cret, password: S3cret, targets: [x]}
    b: {token: "${STABILITY_EXPORTER_TEST_PASSWORD}", targets: [x]}
  targets:
    - {name: x, kind: redis, address: x, credential: {password: "x${STABILITY_EXPORTER_TEST_PASSWORD}"}}
`))
	if len(mistakes) > 0 {
		t.Fatal(mistakes)
	}
	for _, text := range []string{fmt.Sprintf("%v %+v %#v", *c, *c, *c), fmt.Sprintf("%+v", c.Middleware.Targets[0]), fmt.Sprint(c.Middleware.settings())} {
		if strings.Contains(text, "S3cret") {
			t.Errorf("shown: %s", text)
		}
	}
	if len(c.Middleware.settings().Targets) != 1 || c.Middleware.settings().Credentials["b"].Token.Reveal() != "S3cret" {
		t.Error("the secrets are lost")
	}
}

// However a credential is mistaken, what may be secret in it is not told.
func TestMistakesDoNotQuoteSecrets(t *testing.T) {
	for _, credential := range []string{
		"S3cret", "[S3cret]", "!S3cret S3cret", "!!int S3cret", "*S3cret", "&S3cret {S3cret: S3cret}", "{password: [S3cret]}", "{password: {S3cret: S3cret}}",
		"{password: *S3cret}", "{password: &S3cret}", "{password: !!binary S3cret}", "{password: !S3cret x}", "{password:S3cret}",
		"{password:S3cret, password:S3cret}", "{password, S3cret}", "{password: S3cret, password: S3cret}", "{passwort: S3cret}", `{password: "S3cret\qS3cret"}`,
		`{password: "S3cret`, "{password: 'S3cret", "{password: @S3cret}", "{password: `S3cret}", "{password: %S3cret}", "{password: S3cret: S3cret}",
		`{password: "S3cret\nS3cret"}`, "{password: '${S3cret S3cret}'}", "{password: '${S3cret'}", "{password: '${STABILITY_EXPORTER_UNSET}S3cret'}",
		"{username: S3cret, token: S3cret}", "{? {S3cret: S3cret} : x}", "{? [S3cret] : x}", "{<<: S3cret}", "{<<: *S3cret}", `{"password\nS3cret": x}`,
		"{password: S3cret, password_file: /x}", "{targets: ['redis://:S3cret@x']}", "{targets: [':S3cret@x:1']}", "{targets: {S3cret: x}}", "\n  S3cret: [\n",
	} {
		for _, section := range []string{"credentials: {a: %s}", "targets: [{name: a, kind: redis, address: a, credential: %s}]"} {
			if strings.HasPrefix(section, "targets") && strings.ContainsAny(credential[:1], "S!") {
				continue // that is the name of a credential
			}
			_, mistakes := parseConfig([]byte("middleware:\n  " + fmt.Sprintf(section, credential) + "\n"))
			if len(mistakes) == 0 {
				t.Errorf("%s is accepted as a credential", credential)
			}
			for _, m := range mistakes {
				if strings.Contains(m.text, "S3cret") || m.line == 0 {
					t.Errorf("%s: %s", credential, m)
				}
			}
		}
	}
}

func TestEveryMistakeAboutMiddlewareIsTold(t *testing.T) {
	_, mistakes := parseConfig([]byte(`
middleware:
  interval: 1s
  concurrency: 0
  credentials:
    a: {}
    b: {password_file: x, targets: ["*", y/z]}
  targets:
    -
    - {name: a, kind: nginx, address: "x:y", credential: c, max_lag: 5s, options: {page_status: 9, foo: bar}}
    - {name: a, kind: redis, members: {"": x, y: "169.254.1.1"}}
  modules:
    m:
  discovery:
    rules:
      -
`))
	var lines []int
	for _, m := range mistakes {
		lines = append(lines, m.line)
	}
	if diff := cmp.Diff([]int{3, 4, 6, 6, 7, 7, 7, 9, 9, 9, 10, 10, 10, 10, 10, 11, 11, 11, 13, 13, 16, 16}, lines); diff != "" {
		t.Errorf("lines of the mistakes: %s\n%v", diff, mistakes)
	}
}

// A file that is missing is no mistake: a Secret may be mounted later, and a configuration checked elsewhere.
func TestMissingFilesAreNoted(t *testing.T) {
	there := writeFile(t, "password", "x")
	file := writeFile(t, "config.yaml", "middleware:\n  targets:\n    - {name: a, kind: redis, address: x, credential: {password_file: "+there+"}}\n"+
		"    - {name: b, kind: redis, address: x, credential: {password_file: /nonexistent/b}, tls: {ca_file: /nonexistent/ca}}\n")
	code, stdout, stderr := runMainWithOutput(t, "config", "check", file)
	check(t, "exit code", code, exitOK)
	check(t, "stdout", stdout, file+" is valid\n")
	check(t, "stderr", stderr, file+":4: note: ca_file cannot be read here: open /nonexistent/ca: no such file or directory\n"+
		file+":4: note: password_file cannot be read here: open /nonexistent/b: no such file or directory\n")
}

// What is accepted can be used: names, times and bindings are as they must be.
func FuzzMiddlewareConfig(f *testing.F) {
	files, err := filepath.Glob("testdata/config/middleware_*.yaml")
	if err != nil || len(files) < 50 {
		f.Fatalf("found %d files, error %v", len(files), err)
	}
	for _, file := range append(files, "../examples/config.yaml") {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, mistakes := parseConfig(text)
		for _, m := range mistakes {
			if strings.Contains(m.text, "exporter.") {
				t.Errorf("a mistake tells of Go: %s", m)
			}
		}
		if len(mistakes) > 0 {
			return
		}
		names := map[string]bool{}
		for _, target := range c.Middleware.settings().Targets {
			address, err := target.HostPort()
			if err != nil || target.Timeout <= 0 || target.Interval < 5*time.Second || names[target.Name] || target.Kind.CheckAddress(target.Address) != nil ||
				target.Credential != nil && !target.Credential.Covers(address) {
				t.Errorf("accepted: %s", told(target))
			}
			names[target.Name] = true
		}
	})
}
