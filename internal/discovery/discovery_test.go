// SPDX-License-Identifier: Apache-2.0

package discovery

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stability-exporter/internal/middleware"
	"stability-exporter/internal/state"
)

// picture is a Service in the making; the last workload is the one that takes pods.
type picture struct{ state.MiddlewareService }

// service returns a Service with a selector and ports, each NAME:NUMBER, or NAME:NUMBER>TARGET.
func service(name string, ports ...string) *picture {
	p := &picture{state.MiddlewareService{Namespace: "shop", Name: name, Selects: true}}
	for _, text := range ports {
		name, number, _ := strings.Cut(text, ":")
		number, target, given := strings.Cut(number, ">")
		port := state.ServicePort{Name: state.Sym(name)}
		fmt.Sscan(number, &port.Port)
		port.Target = port.Port
		if _, err := fmt.Sscan(target, &port.Target); given && err != nil {
			port.Target, port.TargetName = 0, state.Sym(target)
		}
		p.Ports = append(p.Ports, port)
	}
	return p
}

func (p *picture) with(edit func(*picture)) *picture { edit(p); return p }

func (p *picture) app(name string) *picture { p.Probing.App = state.Sym(name); return p }

func (p *picture) probe(kind string) *picture { p.Probing.Probe = state.Sym(kind); return p }

func (p *picture) headless() *picture { p.Headless = true; return p }

// workload adds one that the Service is meant for, of an image and container ports, each NAME:NUMBER.
func (p *picture) workload(kind, name string, desired int32, image string, ports ...string) *picture {
	repository, tag, _ := strings.Cut(image, ":")
	c := state.ContainerSpec{Name: state.Sym("main"), Image: state.Image{Repository: state.Sym(repository), Tag: state.Sym(tag)}}
	for _, text := range ports {
		name, number, _ := strings.Cut(text, ":")
		port := state.Port{Name: state.Sym(name)}
		fmt.Sscan(number, &port.Number)
		c.Ports = append(c.Ports, port)
	}
	template := &state.Template{Containers: []state.ContainerSpec{
		{Name: state.Sym("init"), Type: state.InitContainer, Image: state.Image{Repository: state.Sym("bitnami/memcached")}}, c,
	}}
	p.Workloads = append(p.Workloads, state.MiddlewareWorkload{
		Ref: state.WorkloadRef{Namespace: state.Sym(p.Namespace), Name: state.Sym(name), Type: state.Sym(kind)}, Desired: desired, Template: template,
	})
	return p
}

// pod adds one of the last workload; the address is 10.0.0.N, and 0 is none.
func (p *picture) pod(name string, n byte) *picture {
	m := state.MiddlewareMember{Pod: name, UID: state.ParseUID(name), Created: state.Time(len(p.Members) + 1), Node: "node-" + name}
	if n > 0 {
		m.Address = state.Address{10: 0xff, 11: 0xff, 12: 10, 15: n}
	}
	if len(p.Workloads) > 0 {
		w := p.Workloads[len(p.Workloads)-1]
		m.Workload, m.Template = w.Ref, w.Template
		m.Replica = w.Ref.Type.String() == state.TypeDeployment
	}
	p.Members = append(p.Members, m)
	return p
}

// redis is a Service of a StatefulSet with one pod, that rules recognise by its name.
func redis() *picture {
	return service("cache", "redis:6379").app("redis").workload(state.TypeStatefulSet, "redis", 1, "bitnami/redis:7.2", "redis:6379").pod("redis-0", 1)
}

func kindNamed(name string) *middleware.Kind {
	for _, k := range middleware.Kinds() {
		if k.Name == name {
			return &k
		}
	}
	panic("there is no kind " + name)
}

func template(kind string) middleware.Target {
	return middleware.Target{Kind: kindNamed(kind), Interval: time.Minute, Timeout: time.Second, Limits: middleware.Limits{Lag: time.Hour}}
}

// rules returns rules that find redis by its name and mysql by its image. A credential goes to the namespaces in its user name.
func rules(more ...Rule) *Rules {
	return &Rules{
		List:  append(more, Rule{Name: "redis*", Template: template("redis")}, Rule{Image: "mysql:8*", Template: template("mysql")}),
		Kinds: middleware.Kinds(), Plain: middleware.Target{Interval: 30 * time.Second, Timeout: 5 * time.Second},
		Credentials: map[string]*middleware.Credential{"cache": {Name: "cache", Username: "shop"}, "bank": {Name: "bank", Username: "bank"}},
		Bind: func(c *middleware.Credential, namespace, address string) (*middleware.Credential, error) {
			if !strings.Contains(c.Username, namespace) {
				return nil, errors.New("credential " + c.Name + " is not meant for namespace " + namespace)
			}
			return &middleware.Credential{Name: c.Name, Targets: []string{address}}, nil
		},
	}
}

func services(pictures ...*picture) []state.MiddlewareService {
	var all []state.MiddlewareService
	for _, p := range pictures {
		all = append(all, p.MiddlewareService)
	}
	return all
}

// told is what a result says in short: every target as KIND NAME ADDRESS, and what is absent with the reason.
func told(r Result) []string {
	var lines []string
	for _, t := range r.Targets {
		where := t.Address
		if t.Absent != "" {
			where = "absent: " + t.Absent
		}
		lines = append(lines, strings.TrimSpace(t.Kind.Name+" "+t.Name+" "+where))
	}
	for _, c := range r.Conflicts {
		lines = append(lines, "conflict "+c.Namespace+"/"+c.Service+": "+c.Cause)
	}
	return lines
}

func expect(t *testing.T, r Result, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, told(r)); diff != "" {
		t.Errorf("want -, got +\n%s", diff)
	}
}

func TestWhatIsFound(t *testing.T) {
	const one = "redis shop.cache/redis-0 10.0.0.1:6379"
	web := func() *picture {
		return service("web", "http:80>8080").workload(state.TypeDeployment, "web", 1, "shop/web:1", "http:8080").pod("web-x", 2)
	}
	for _, c := range []struct {
		name     string
		services *picture
		rules    []Rule
		want     []string
	}{
		{"by the name", redis(), nil, []string{one}},
		{"not by the number of a port alone", redis().app("cache"), nil, nil},
		{"by the annotation", redis().app("").probe("redis"), nil, []string{one}},
		{"left alone", redis().probe("false"), nil, nil},
		{"the annotation before the rule", redis().probe("tcp"), nil, []string{"tcp shop.cache/redis-0 10.0.0.1:6379"}},
		{"the first rule that fits", redis(), []Rule{{Name: "r?dis", Template: template("tcp")}}, []string{"tcp shop.cache/redis-0 10.0.0.1:6379"}},
		{"by the component", redis().app("x").with(func(p *picture) { p.Probing.Component = state.Sym("cache") }), []Rule{
			{Component: "cache", Template: template("redis")}}, []string{one}},
		{"by the image", redis().app(""), []Rule{{Image: "redis", Template: template("redis")}}, []string{one}},
		{"by the whole image", redis().app(""), []Rule{{Image: "bitnami/*", Template: template("redis")}}, []string{one}},
		{"by the image and its tag", redis().app(""), []Rule{{Image: "redis:7.*", Template: template("redis")}}, []string{one}},
		{"another tag", redis().app(""), []Rule{{Image: "redis:6*", Template: template("redis")}}, nil},
		{"another image", redis().app(""), []Rule{{Image: "*/valkey", Template: template("redis")}}, nil},
		{"not by an init container", redis().app(""), []Rule{{Image: "memcached", Template: template("memcached")}}, nil},
		{"by the name of a port of the Service", web(), []Rule{{PortName: "http", Template: template("http")}}, []string{
			"http shop.web/web-0 10.0.0.2:8080"}},
		{"by the name of a port of a container", web().with(func(p *picture) { p.Ports = nil }), []Rule{{PortName: "ht*", Template: template("http")}},
			[]string{"http shop.web/web-0 10.0.0.2:8080"}},
		{"no port of the name", web(), []Rule{{PortName: "admin", Template: template("http")}}, nil},
		{"all that a rule says has to fit", redis(), []Rule{{Name: "redis", Namespace: "bank", Template: template("tcp")}}, []string{one}},
		{"a rule that recognises nothing", web(), []Rule{{Namespace: "shop", Template: template("http")}}, nil},
		{"a pattern of everything is not for a label that is not there", web(), []Rule{{Name: "*", Template: template("http")}}, nil},
		{"nothing of it is recognised", web(), nil, nil},
		{"scaled to zero", service("cache", "redis:6379").app("redis").workload(state.TypeStatefulSet, "redis", 0, "redis"), nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			expect(t, Discover(services(c.services), rules(c.rules...), nil), c.want...)
		})
	}
}

func TestPorts(t *testing.T) {
	cache := func(ports ...string) *picture {
		return service("cache", ports...).app("redis").workload(state.TypeStatefulSet, "redis", 1, "redis", "main:7000", "cache:6379").pod("redis-0", 1)
	}
	bare := func(ports ...string) *picture {
		p := cache(ports...)
		p.Workloads[0].Template.Containers = nil
		return p
	}
	annotated := func(port string, p *picture) *picture { p.Probing.Port = state.Sym(port); return p }
	at := func(port string) []string { return []string{"redis shop.cache/redis-0 10.0.0.1:" + port} }
	const untold = "conflict shop/cache: nothing tells which port is that of kind redis"
	for _, c := range []struct {
		name string
		p    *picture
		want []string
	}{
		{"the usual number among several", cache("a:7000", "b:6379>7001", "redis:7002"), at("7001")},
		{"the usual number behind another one", cache("a:7000", "b:80>6379"), at("6379")},
		{"the name of the kind", cache("a:7000", "tcp-redis:7002"), at("7002")},
		{"a target by name", cache("redis:80>main"), at("7000")},
		{"a port of a container", cache("a:7002", "metrics:9121"), at("6379")},
		{"none is told of, so the usual one", bare(), at("6379")},
		{"none fits", bare("redis-metrics:9121"), []string{untold}},
		{"not one of UDP", bare("redis:7000").with(func(p *picture) { p.Ports[0].UDP = true }), []string{untold}},
		{"a single one, when somebody says what it is", bare("x:7002").probe("redis"), at("7002")},
		{"annotated by the name of the Service's", annotated("a", cache("a:7002", "b:6379")), at("7002")},
		{"annotated by the number of the Service's", annotated("80", cache("a:80>7002", "b:6379")), at("7002")},
		{"annotated by the name of a container's", annotated("main", cache("b:6379")), at("7000")},
		{"annotated by another number", annotated("7003", cache("b:6379")), at("7003")},
		{"annotated by a name that is not there", annotated("admin", cache("b:6379")), []string{
			`conflict shop/cache: its annotation stability-exporter/port names a port that is not there: "admin"`}},
		{"annotated by a number that is none", annotated("70000", cache("b:6379")), []string{
			`conflict shop/cache: its annotation stability-exporter/port names a port that is not there: "70000"`}},
		{"a target by a name that no container has", bare("redis:80>main"), []string{
			"conflict shop/cache: nothing tells the number of port main of pod redis-0"}},
		{"a target by name, of a pod without a template", cache("redis:80>main").with(func(p *picture) { p.Members[0].Template = nil }), []string{
			"conflict shop/cache: nothing tells the number of port main of pod redis-0"}},
	} {
		t.Run(c.name, func(t *testing.T) { expect(t, Discover(services(c.p), rules(), nil), c.want...) })
	}
}

func TestTLSHasAPortAndANameOfItsOwn(t *testing.T) {
	secure := template("rabbitmq")
	secure.TLS.Enabled = true
	for configured, want := range map[string]string{"": "mq.shop.svc", "{member}.{service}.{namespace}.svc": "mq-0.mq.shop.svc", "mq.example": "mq.example"} {
		secure.TLS.ServerName = configured
		p := service("mq", "amqp:5672", "http:15672", "https:15671").app("mq").workload(state.TypeStatefulSet, "mq", 1, "mq").pod("mq-0", 1)
		r := Discover(services(p), rules(Rule{Name: "mq", Template: secure}), nil)
		expect(t, r, "rabbitmq shop.mq/mq-0 10.0.0.1:15671")
		if got := r.Targets[0].TLS.ServerName; got != want {
			t.Errorf("server name %q, want %q", got, want)
		}
	}
}

func TestTargetsAreAskedAsTheirRuleSays(t *testing.T) {
	r := Discover(services(redis(), service("other", "redis:6379").probe("redis").pod("other", 2)), rules(), nil)
	expect(t, r, "redis shop.cache/redis-0 10.0.0.1:6379", "redis shop.other/other 10.0.0.2:6379")
	ruled, plain := r.Targets[0], r.Targets[1]
	if ruled.Group != "shop.cache" || ruled.Interval != time.Minute || ruled.Limits.Lag != time.Hour || ruled.Credential != nil {
		t.Errorf("%+v", ruled)
	}
	if plain.Interval != 30*time.Second || plain.Timeout != 5*time.Second || plain.Limits != (middleware.Limits{}) {
		t.Errorf("%+v", plain)
	}
	for _, target := range r.Targets {
		if diff := cmp.Diff(middleware.Policy{Configured: true}, target.Policy); diff != "" {
			t.Error(diff)
		}
	}
}

// The first rule of the kind that an annotation names says how it is asked, if it fits.
func TestAnnotationAndRuleGoTogether(t *testing.T) {
	r := Discover(services(redis().probe("redis")), rules(Rule{Name: "redis", Template: template("tcp")}), nil)
	expect(t, r, "redis shop.cache/redis-0 10.0.0.1:6379")
	if r.Targets[0].Limits.Lag != time.Hour {
		t.Errorf("%+v", r.Targets[0])
	}
}

func TestImages(t *testing.T) {
	for _, c := range []struct {
		pattern, repository, tag string
		want                     bool
	}{
		{"redis", "redis", "7", true}, {"redis", "bitnami/redis", "7", true}, {"redis", "bitnami/redis-exporter", "7", false},
		{"bitnami/redis", "bitnami/redis", "7", true}, {"bitnami/redis", "redis", "7", false}, {"*/redis", "redis", "", true},
		{"*/redis*", "elastic/redis-stack", "", true}, {"redis:7*", "bitnami/redis", "7.2", true}, {"redis:7*", "redis", "6", false},
		{"*/redis:7", "redis", "7", true}, {"*", "redis", "", true}, {"*", "", "", false}, {"registry:5000/*", "a/redis", "", false},
	} {
		if got := imageFits(c.pattern, state.Image{Repository: state.Sym(c.repository), Tag: state.Sym(c.tag)}); got != c.want {
			t.Errorf("imageFits(%q, %s:%s) = %v", c.pattern, c.repository, c.tag, got)
		}
	}
}

func TestPatterns(t *testing.T) {
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{"redis", "redis", true}, {"redis", "redis2", false}, {"redis", "xredis", false}, {"redis*", "redis-ha", true}, {"*redis", "my-redis", true},
		{"*", "", true}, {"", "", true}, {"", "x", false}, {"?", "", false}, {"?", "x", true}, {"r?d*s", "redis", true}, {"*a*b*", "xxaxxbxx", true},
		{"*a*b", "abab", true}, {"*a*b", "aba", false}, {"a**", "a", true}, {"[a]", "a", false}, {"*/redis", "a/b/redis", true},
	} {
		if got := middleware.Fits(c.pattern, c.text); got != c.want {
			t.Errorf("fits(%q, %q) = %v", c.pattern, c.text, got)
		}
	}
}
