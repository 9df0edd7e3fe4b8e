// SPDX-License-Identifier: Apache-2.0

package discovery

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stability-exporter/internal/middleware"
	"stability-exporter/internal/state"
)

// Whoever owns a Service must not lead us, or a credential, to an address of his choice; and what is refused is told.
func TestRefusals(t *testing.T) {
	edited := func(edit func(*picture)) *picture { return redis().with(edit) }
	address := func(a ...byte) *picture {
		return edited(func(p *picture) { copy(p.Members[0].Address[16-len(a):], a) })
	}
	forced := func(p *picture) *picture { return p.probe("redis") }
	const external = "conflict shop/cache: it is of type ExternalName and leads wherever its owner likes"
	const foreign = "conflict shop/cache: it has no selector: its endpoints are whatever somebody wrote into them"
	for _, c := range []struct {
		name string
		p    *picture
		want []string
	}{
		{"an ExternalName that is annotated", forced(edited(func(p *picture) { p.Probing.External, p.Selects = true, false })), []string{external}},
		{"an ExternalName that a rule would fit", edited(func(p *picture) { p.Probing.External, p.Selects = true, false }), nil},
		{"without selector and annotated", forced(edited(func(p *picture) { p.Selects, p.Members = false, nil })), []string{foreign}},
		{"without selector, a rule would fit", edited(func(p *picture) { p.Selects, p.Members = false, nil }), nil},
		{"loopback", address(0, 0, 0xff, 0xff, 127, 0, 0, 1), []string{"conflict shop/cache: pod redis-0 has the address 127.0.0.1, which is never asked"}},
		{"the metadata service", address(0, 0, 0xff, 0xff, 169, 254, 169, 254), []string{
			"conflict shop/cache: pod redis-0 has the address 169.254.169.254, which is never asked"}},
		{"multicast", address(0, 0, 0xff, 0xff, 224, 0, 0, 1), []string{"conflict shop/cache: pod redis-0 has the address 224.0.0.1, which is never asked"}},
		{"nothing behind what is annotated", service("cache", "redis:6379").probe("redis"), []string{
			"conflict shop/cache: its selector selects no pod and no workload"}},
		{"nothing behind what a rule fits", service("cache", "redis:6379").app("redis"), nil},
		{"an unknown kind", redis().probe("redis-7"), []string{`conflict shop/cache: its annotation stability-exporter/probe names no kind of middleware: "redis-7"`}},
		{"a credential that is not there", edited(func(p *picture) { p.Probing.Credential = state.Sym("root") }), []string{
			`conflict shop/cache: its annotation stability-exporter/probe-credential names no credential of the configuration: "root"`}},
		{"a credential for others", edited(func(p *picture) { p.Probing.Credential = state.Sym("bank") }), []string{
			"conflict shop/cache: credential bank is not meant for namespace shop"}},
		{"a number of members that is none", edited(func(p *picture) { p.Probing.ExpectedMembers = state.Sym("-3") }), []string{
			`conflict shop/cache: its annotation stability-exporter/expected-members is no number of members: "-3"`}},
		{"more members than anybody probes", edited(func(p *picture) { p.Workloads[0].Desired = 1 << 30 }), []string{
			"conflict shop/cache: it has 1073741824 members, more than 256"}},
		{"names that no API server takes", edited(func(p *picture) { p.Namespace = "shop/\nx" }), []string{
			"conflict shop/\nx/cache: its name is none that a Service may have"}},
		{"a pod's name that no API server takes", edited(func(p *picture) { p.Members[0].Pod = `redis-0"} 1` }), []string{
			"conflict shop/cache: the name of a pod, its node or its workload is none that one may have"}},
		{"two members of one name", edited(func(p *picture) { p.workload(state.TypeDeployment, "redis", 1, "redis") }), []string{
			"conflict shop/cache: two of its members would have the name redis-0"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := Discover(services(c.p), rules(), nil)
			expect(t, r, c.want...)
			if len(r.Conflicts) != r.View.Conflicts {
				t.Errorf("%d conflicts are counted", r.View.Conflicts)
			}
			for _, conflict := range r.Conflicts {
				if conflict.Fix == "" {
					t.Errorf("nothing says how to mend %+v", conflict)
				}
			}
		})
	}
}

func TestCredentialsGoNoFurther(t *testing.T) {
	with := func(name string) Rule {
		secret := template("redis")
		secret.Credential = rules().Credentials[name]
		return Rule{Name: "redis", Template: secret}
	}
	r := Discover(services(redis()), rules(with("cache")), nil)
	expect(t, r, "redis shop.cache/redis-0 10.0.0.1:6379")
	if diff := cmp.Diff([]string{"10.0.0.1:6379"}, r.Targets[0].Credential.Targets); diff != "" {
		t.Errorf("the credential is not bound to the address: %s", diff)
	}
	refused := "conflict shop/cache: credential bank is not meant for namespace shop"
	expect(t, Discover(services(redis()), rules(with("bank")), nil), refused)
	careless := rules(with("cache"))
	careless.Bind = nil
	expect(t, Discover(services(redis()), careless, nil), "conflict shop/cache: credential cache is not meant for discovered servers")
	// The rule does not fit what is annotated here, so its credential stays at home.
	r = Discover(services(redis().app("x").probe("redis")), rules(with("cache")), nil)
	if expect(t, r, "redis shop.cache/redis-0 10.0.0.1:6379"); r.Targets[0].Credential != nil {
		t.Error("an annotation alone gets the credential of a rule")
	}
	// Nobody is there, so nothing goes along.
	absent := redis()
	absent.Members = nil
	if r = Discover(services(absent), rules(with("cache")), nil); r.Targets[0].Credential != nil || r.Targets[0].Address != "" {
		t.Errorf("%+v", r.Targets[0])
	}
}

func TestNamespacesAreKept(t *testing.T) {
	only := rules()
	only.Namespaces = []string{"bank", "prod-*"}
	expect(t, Discover(services(redis(), redis().probe("nonsense")), only, nil))
	if only.Wants(&redis().MiddlewareService) {
		t.Error("a Service of another namespace is wanted")
	}
	only.Namespaces = []string{"sh*"}
	expect(t, Discover(services(redis()), only, nil), "redis shop.cache/redis-0 10.0.0.1:6379")
}

func TestConfiguredNamesAreTaken(t *testing.T) {
	for _, taken := range []*middleware.Target{{Name: "shop.cache"}, {Name: "shop.cache/a", Group: "shop.cache"}} {
		named := rules()
		named.Configured = []*middleware.Target{taken}
		expect(t, Discover(services(redis()), named, nil), "conflict shop/cache: the configuration has a target of the name shop.cache")
	}
}

func TestAnOptionThatMustBeGiven(t *testing.T) {
	needy := rules()
	needy.Kinds = []middleware.Kind{{Name: "needy", Port: "1", Options: []middleware.Option{{Name: "path", Required: true}}}}
	expect(t, Discover(services(redis().probe("needy")), needy, nil),
		"conflict shop/cache: kind needy needs the option path, which an annotation cannot give")
}

func TestTooManyTargets(t *testing.T) {
	var many []*picture
	for i := range maxTargets/maxMembers + 1 {
		many = append(many, service(fmt.Sprintf("cache-%d", i), "redis:6379").app("redis").
			workload(state.TypeStatefulSet, fmt.Sprintf("redis-%d", i), maxMembers, "redis"))
	}
	r := Discover(services(many...), rules(), nil)
	if len(r.Targets) > maxTargets || len(r.Conflicts) != 1 || !strings.Contains(r.Conflicts[0].Cause, "2000") {
		t.Errorf("%d targets, conflicts %v", len(r.Targets), r.Conflicts)
	}
}

// What is wanted is whatever leads to a target or a conflict, so that the store need not look behind anything else.
func TestWants(t *testing.T) {
	for p, want := range map[*picture]bool{
		redis(): true, redis().app("x"): false, redis().probe("false"): false, redis().app("x").probe("nonsense"): true, redis().app("x").probe("tcp"): true,
	} {
		p.Members = nil
		if got := rules().Wants(&p.MiddlewareService); got != want {
			t.Errorf("Wants(%+v) = %v", p.Probing, got)
		}
	}
}

// Zero is told: a rule that finds nothing any more must not look like one that was never written.
func TestNothingIsFoundIsTold(t *testing.T) {
	r := Discover(services(service("x", "tcp:1").probe("tcp").pod("x", 1)), rules(Rule{Name: "mq", Template: template("rabbitmq")}), nil)
	want := []state.Count{{Name: "mysql"}, {Name: "rabbitmq"}, {Name: "redis"}, {Name: "tcp", N: 1}}
	if diff := cmp.Diff(want, r.View.Targets); diff != "" {
		t.Error(diff)
	}
}
