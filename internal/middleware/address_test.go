// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestAddresses(t *testing.T) {
	f := func(form AddressForm, address, want string) {
		t.Helper()
		kind := &Kind{Name: "k", Port: "6379", Address: form}
		got := "fine"
		if err := kind.CheckAddress(address); err != nil {
			got = err.Error()
		} else if _, err := (&Target{Kind: kind, Address: address}).HostPort(); err != nil {
			t.Errorf("%s: is fine, and no HOST:PORT: %v", address, err)
		}
		if !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
	for _, address := range []string{"a", "a:1", "a_b.c-d.:65535", "10.0.0.1", "10.0.0.1:80", "[fd00::1]:80", "fd00::1", "[fd00::1]", "127.0.0.1:1", "::1",
		"1a.example", "xn--a"} {
		f(HostPort, address, "fine")
	}
	for _, address := range []string{"http://a", "https://a:8443/b", "HTTP://10.0.0.1", "http://[fd00::1]:80/x/", "http://a/b@c"} {
		f(BaseURL, address, "fine")
		f(PageURL, address, "fine")
		f(HostPort, address, "not asked over HTTP")
	}
	f(PageURL, "https://a/b?c=d", "fine")
	f(BaseURL, "https://a/b?c=d", "has a query")
	f(PageURL, "https://a/b#c", "behind #")
	f(PageURL, "https://a:/b", "no port behind it")
	f(PageURL, "https:///b", "name of a host")
	f(PageURL, "https://a:0/b", "no port from 1 to 65535")
	f(PageURL, "https://a:b/", "no URL")
	for _, scheme := range []string{"ftp://a", "file:///etc/passwd", "gopher://a", "://a"} {
		f(PageURL, scheme, "URL")
	}
	for _, address := range []string{"http://u:p@a", "http://u@a", "http://u:p%zz@a", "redis://:p@a:1"} {
		f(PageURL, address, "a user or a password")
		f(HostPort, address, "a user or a password")
	}
	f(HostPort, "u:p@a:1", "a user or a password")
	for _, address := range []string{"/run/x", "unix:/run/x", "unix:///run/x", "UNIX://x"} {
		f(PageURL, address, "socket")
	}
	for _, address := range []string{"a b", "a:1\r\nQUIT", "a\x00", "http://a/\nb", "a\ufffd"} {
		f(PageURL, address, "a line break or another character")
	}
	for _, address := range []string{"", "a:", "a:http", "a:+1", "a:01", "a:65536", ":1:", "a:-1"} {
		f(HostPort, address, "no ")
	}
	for _, address := range []string{":80", "127.1:80", "2130706433", "0x7f000001:80", "a.0x7f", "-a", "a..b", "a,b", "[a]:1:2", "*", "ä.example", strings.Repeat("a.", 127) + "a"} {
		f(HostPort, address, "no")
	}
	for _, host := range []string{"169.254.169.254", "0.0.0.0", "224.0.0.1", "255.255.255.255", "100.100.100.200", "[::ffff:169.254.1.1]", "[fd00:ec2::254]", "[fe80::1]"} {
		f(PageURL, host+":80", "never asked")
		f(PageURL, "http://"+host+"/", "never asked")
	}
	f(HostPort, "[fe80::1%eth0]:80", "zone")
	f(HostPort, strings.Repeat("a", maxAddress+1), "longer")
	if err := (&Kind{Name: "k"}).CheckAddress("a"); err == nil {
		t.Error("an address without a port is fine although there is no usual one")
	}
}

// What says that it takes URLs asks over HTTP, and what asks over HTTP says so.
func TestKindsSayWhetherTheyTakeURLs(t *testing.T) {
	for _, kind := range Kinds() {
		if http := asksOverHTTP(t, &kind); http != (kind.Address != HostPort) {
			t.Errorf("%s: asks over HTTP: %t, takes URLs: %t", kind.Name, http, kind.Address != HostPort)
		}
	}
}

// asksOverHTTP reports whether a probe of a kind sends a request over HTTP to a URL.
func asksOverHTTP(t *testing.T, kind *Kind) bool {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	asked := make(chan bool)
	go func() {
		over := false
		for {
			conn, err := listener.Accept()
			if err != nil {
				asked <- over
				return
			}
			_ = conn.SetDeadline(time.Now().Add(300 * time.Millisecond)) // some kinds wait for the server to speak first
			request, err := http.ReadRequest(bufio.NewReader(conn))
			over = over || err == nil && request.ProtoAtLeast(1, 1)
			conn.Close()
		}
	}()
	Run(t.Context(), &Target{Kind: kind, Name: "t", Address: "http://" + listener.Addr().String(), Timeout: 5 * time.Second,
		Policy: Policy{Configured: true}, Options: map[string]string{}}, nil)
	listener.Close()
	return <-asked
}

func TestPatternsOfCredentials(t *testing.T) {
	for pattern, fine := range map[string]bool{
		"a": true, "a:1": true, "redis-*.erp:6379": true, "10.0.*": true, "10.0.0.?:63*": true, "[fd00::1]:6379": true, "fd00::1": true, "a:*": true,
		"": false, "*": false, "*:*": false, "*:6379": false, "?*.*": false, "**": false, "a/b": false, "10.0.0.0/8": false, "http://a": false,
		"[a-z]*": false, "a:b": false, "a b": false, "u:p@a": false, "a:1:2": false, ":1": false,
	} {
		if err := CheckTargets(pattern); (err == nil) != fine {
			t.Errorf("%q: %v", pattern, err)
		}
	}
	for _, c := range []struct {
		pattern, address string
		want             bool
	}{
		{"redis-*.erp:6379", "redis-a.erp:6379", true},
		{"REDIS-*.erp", "redis-a.ERP:1", true},
		{"redis-*.erp:6379", "redis-a.erp:6380", false},
		{"redis-*.erp:6379", "redis-a.erp.example:6379", false},
		{"10.0.*", "10.0.0.1:6379", true},
		{"10.*", "10.example.org:6379", false},
		{"10.0.0.1", "10.0.0.1:6379", true},
		{"1*", "1a.example:1", false},
		{"[fd00::1]:6379", "[fd00::1]:6379", true},
		{"fd00::1", "[fd00::1]:6379", true},
		{"a", "b:1", false},
		{"a", "a", false},
	} {
		if got := (&Credential{Targets: []string{"nobody", c.pattern}}).Covers(c.address); got != c.want {
			t.Errorf("%s for %s: %t", c.pattern, c.address, got)
		}
	}
}

func TestWhatMayBeAllowed(t *testing.T) {
	var p Policy
	for _, text := range []string{"10.0.0.0/8", "10.1.2.3", "fd00::1", "fd00::/8", "db", "*.erp:6379", "10.1.2.3:80"} {
		if err := p.Allow(text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	if got, want := fmt.Sprint(p), "{false [10.0.0.0/8 10.1.2.3/32 fd00::1/128 fd00::/8] [db *.erp:6379 10.1.2.3:80]}"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for _, text := range []string{"", "*", "*:6379", "0.0.0.0/0", "::/0", "10.1.2.3/8", "10.*", "10.0.0.?:80", "169.254.169.254", "[fd00::1]:80", "a:b", "http://a", "a b"} {
		if err := p.Allow(text); err == nil {
			t.Errorf("%q is allowed", text)
		}
	}
	if !p.permits("10.1.2.3", "80", netip.MustParseAddr("10.1.2.3")) || (Policy{AllowHosts: []string{"10.*"}}).permits("10.example.org", "80", netip.MustParseAddr("1.2.3.4")) {
		t.Error("a pattern of addresses fits a name, or an address nothing")
	}
}

func TestFits(t *testing.T) {
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{"*/redis*", "registry.example/library/redis:7", true}, {"redis*", "library/redis", false}, {"redis", "redis", true}, {"redis", "redis-a", false},
		{"redi?", "redis", true}, {"*", "", true}, {"?", "/", true}, {"[a]", "[a]", true}, {"[a]", "a", false}, {`a\*`, `a\b`, true}, {"a[", "a[", true},
	} {
		if got := Fits(c.pattern, c.text); got != c.want {
			t.Errorf("%s for %s: %t", c.pattern, c.text, got)
		}
	}
}

// Who may annotate a Service must not have a credential sent to where he likes.
func TestCredentialsForWhatIsDiscovered(t *testing.T) {
	c := &Credential{Name: "c", Targets: []string{"db"}, Namespaces: []string{"prod-*"}}
	bound, err := c.ForDiscovered("prod-a", "10.0.0.1:6379")
	if err != nil || !bound.Covers("10.0.0.1:6379") || bound.Covers("db:1") || bound.Covers("10.0.0.2:6379") {
		t.Errorf("%+v, %v", bound, err)
	}
	if bound, err := c.ForDiscovered("dev", "10.0.0.1:6379"); err == nil || bound != nil {
		t.Errorf("goes to another namespace: %+v", bound)
	}
	if (&Credential{Targets: []string{"db"}}).Covers("10.0.0.1:6379") || !slices.Equal(c.Targets, []string{"db"}) {
		t.Error("the credential itself has changed")
	}
	for pattern, fine := range map[string]bool{"prod": true, "prod-*": true, "*": false, "?": false, "": false, "a.b": false, "A": false, "**-*": false} {
		if err := CheckNamespaces(pattern); (err == nil) != fine {
			t.Errorf("%q: %v", pattern, err)
		}
	}
}

func TestModulesMakeTargets(t *testing.T) {
	kind := redisKind()
	m := &Module{Name: "m", Template: Target{Kind: &kind, Timeout: time.Second, Credential: &Credential{Name: "c", Targets: []string{"redis-*"}}}}
	target, err := m.Target("t", "redis-a")
	if err != nil || target.Name != "t" || target.Address != "redis-a" || target.Timeout != time.Second || m.Template.Address != "" {
		t.Errorf("%+v, %v", target, err)
	}
	for address, want := range map[string]string{"other": "credential c is not meant for this address", "redis-a:0": "no port", "redis://redis-a": "HTTP"} {
		if target, err := m.Target("t", address); err == nil || !strings.Contains(err.Error(), want) || target != nil {
			t.Errorf("%s: %v, want %s", address, err, want)
		}
	}
}
