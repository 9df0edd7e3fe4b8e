// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"stability-exporter/internal/state"
)

// templateOf converts a pod without a controller of the namespace shop.
func templateOf(t *testing.T, spec string) *state.Template {
	t.Helper()
	pod := decode[corev1.Pod](t, `{"metadata": {"name": "p", "namespace": "shop"}, "spec": `+spec+`}`)
	return convertPod(pod, convertOptions{}).Alone.Template
}

// containerOf converts a container.
func containerOf(t *testing.T, container string) state.ContainerSpec {
	t.Helper()
	return templateOf(t, `{"containers": [`+container+`]}`).Containers[0]
}

func TestConvertTemplate(t *testing.T) {
	got := templateOf(t, `{"restartPolicy": "OnFailure", "hostNetwork": true, "terminationGracePeriodSeconds": 0,
	 "initContainers": [{"name": "migrate", "image": "m"}, {"name": "mesh", "restartPolicy": "Always", "startupProbe": {"grpc": {"port": 9}}}],
	 "containers": [{"name": "web", "image": "reg:5000/shop/web:2", "ports": [{"name": "http", "containerPort": 8080},
	  {"containerPort": 53, "hostPort": 53, "protocol": "UDP"}, {"containerPort": -1, "hostPort": -1}],
	  "resources": {"requests": {"cpu": "0.5m", "memory": "512m"}, "limits": {"cpu": "100", "memory": "1Gi"}}}],
	 "ephemeralContainers": [{"name": "debugger"}]}`)
	second := time.Second
	compare(t, got, &state.Template{HostNetwork: true, RunsToEnd: true, Containers: []state.ContainerSpec{
		{Name: state.Sym("migrate"), Type: state.InitContainer, Image: state.Image{Repository: state.Sym("m")}},
		{Name: state.Sym("mesh"), Type: state.SidecarContainer, Startup: &state.Probe{Handler: state.HandlerGRPC, Port: 9,
			Period: 10 * second, Timeout: second, Success: 1, Failure: 3}},
		{Name: state.Sym("web"), Image: state.Image{Repository: state.Sym("shop/web"), Tag: state.Sym("2")},
			Ports:    []state.Port{{Name: state.Sym("http"), Number: 8080, HostPort: 8080}, {Number: 53, HostPort: 53, UDP: true}, {}},
			Requests: state.Resources{CPU: state.Quantity{Set: true, Milli: 1}, Memory: state.Quantity{Set: true, Milli: 512}},
			Limits:   state.Resources{CPU: state.Quantity{Set: true, Milli: 100_000}, Memory: state.Quantity{Set: true, Milli: 1 << 30 * 1000}}},
	}})
	if got := templateOf(t, `{"terminationGracePeriodSeconds": -1}`).Grace; got != 0 {
		t.Errorf("a negative grace became %s", got)
	}
	if got := templateOf(t, `{}`); got.Grace != 30*second || got.RunsToEnd {
		t.Errorf("the defaults are %+v", got)
	}
}

func TestOnlyPodsWithoutControllerHaveTemplates(t *testing.T) {
	owned := func(kind string, controls bool) *state.Pod {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
			OwnerReferences: []metav1.OwnerReference{{Kind: kind, Name: "o", UID: "o", Controller: &controls}}}}
		return convertPod(pod, convertOptions{})
	}
	if owned("ReplicaSet", true).Alone != nil || owned("Rollout", true).Alone != nil {
		t.Error("the template of a controlled pod is its controller's")
	}
	if owned("Node", true).Alone == nil || owned("Custom", false).Alone == nil {
		t.Error("mirror pods and bare pods have a template of their own")
	}
}

func TestConvertImage(t *testing.T) {
	for reference, want := range map[string][3]string{
		"nginx":                            {"nginx", "", ""},
		"nginx:1.27":                       {"nginx", "1.27", ""},
		"library/nginx:latest":             {"library/nginx", "latest", ""},
		"reg:5000/img":                     {"img", "", ""},
		"ko://knative.dev/serving/cmd":     {"", "", ""},
		"reg:5000/team/img:v1":             {"team/img", "v1", ""},
		"localhost/img":                    {"img", "", ""},
		"ghcr.io/a/b:1@sha256:00ff":        {"a/b", "1", "pinned"},
		"ghcr.io/a/b@sha256:00ff":          {"a/b", "", "pinned"},
		"[::1]:5000/img:2":                 {"img", "2", ""},
		"":                                 {"", "", ""},
		"user:secret@reg.local/img:1":      {"invalid", "invalid", ""},
		"{{ .Values.image }}":              {"invalid", "invalid", ""},
		"$(IMAGE):1":                       {"invalid", "invalid", ""},
		"a:b:c":                            {"invalid", "invalid", ""},
		strings.Repeat("a/", 5000) + "b:1": {strings.Repeat("a/", 127)[:maxName], "", ""},
	} {
		got := image(reference)
		pinned := ""
		if got.Digest {
			pinned = "pinned"
		}
		if [3]string{got.Repository.String(), got.Tag.String(), pinned} != want {
			t.Errorf("%.60q is %q:%q %s; want %q", reference, got.Repository.String(), got.Tag.String(), pinned, want)
		}
	}
}

func TestConvertQuantity(t *testing.T) {
	for written, want := range map[string]int64{
		"1": 1000, "250m": 250, "0.5m": 1, "1n": 1, "512Mi": 512 << 20 * 1000, "1e3": 1_000_000, "-5": 0, "0": 0,
		"8Ei": math.MaxInt64, "9e18": math.MaxInt64, "1e400": math.MaxInt64, "9223372036854775": 9223372036854775000,
		"9223372036854775.807": math.MaxInt64, "9223372036854776": math.MaxInt64,
	} {
		q, err := resource.ParseQuantity(written)
		if err != nil {
			t.Fatal(err)
		}
		if got := milli(&q); got != want && !(want == math.MaxInt64 && got > math.MaxInt64-1000) {
			t.Errorf("%s is %d; want %d", written, got, want)
		}
	}
}

// What the API server accepts (and what a manifest may hold besides) becomes what the kubelet makes of it.
func TestConvertProbe(t *testing.T) {
	get := func(change func(*state.Probe)) *state.Probe {
		p := &state.Probe{Handler: state.HandlerHTTP, Path: state.Sym("/"), Port: 8080, Period: 10 * time.Second, Timeout: time.Second, Success: 1, Failure: 3}
		change(p)
		return p
	}
	same := func(*state.Probe) {}
	for text, want := range map[string]*state.Probe{
		`{"httpGet": {"port": 8080}}`:                                             get(same),
		`{"httpGet": {"port": 8080, "scheme": ""}, "periodSeconds": 0}`:           get(same),
		`{"httpGet": {"port": 8080}, "timeoutSeconds": 0, "failureThreshold": 0}`: get(same),
		`{"httpGet": {"port": 8080}, "periodSeconds": -1, "timeoutSeconds": -1}`:  get(same),
		`{"httpGet": {"port": 8080}, "initialDelaySeconds": -1}`:                  get(same),
		`{"httpGet": {"port": 8080}, "failureThreshold": -1}`:                     get(same),
		`{"httpGet": {"port": "8080"}}`:                                           get(same),
		`{"httpGet": {"port": 8080}, "readinessProbe": 1}`:                        get(same),
		`{"httpGet": {"port": 8080, "path": "healthz"}}`:                          get(func(p *state.Probe) { p.Path = state.Sym("/healthz") }),
		`{"httpGet": {"port": 8080, "host": "127.0.0.1"}}`:                        get(func(p *state.Probe) { p.Host = state.Sym("127.0.0.1") }),
		`{"httpGet": {"port": 8080, "scheme": "HTTPS"}}`:                          get(func(p *state.Probe) { p.HTTPS = true }),
		`{"httpGet": {"port": 8080, "scheme": "https"}}`:                          get(func(p *state.Probe) { p.HTTPS = true }),
		`{"httpGet": {"port": 8080}, "successThreshold": 2}`:                      get(func(p *state.Probe) { p.Success = 2 }),
		`{"httpGet": {"port": 8080}, "terminationGracePeriodSeconds": 600}`:       get(func(p *state.Probe) { p.Grace = 10 * time.Minute }),
		`{"httpGet": {"port": 8080}, "timeoutSeconds": 30, "periodSeconds": 5}`:   get(func(p *state.Probe) { p.Timeout, p.Period = 30*time.Second, 5*time.Second }),
		`{"httpGet": {"port": 8080}, "periodSeconds": 1, "failureThreshold": 1}`:  get(func(p *state.Probe) { p.Period, p.Failure = time.Second, 1 }),
		`{"httpGet": {"port": "http"}, "initialDelaySeconds": 60}`:                get(func(p *state.Probe) { p.Port, p.PortName, p.InitialDelay = 0, state.Sym("http"), time.Minute }),
		`{"tcpSocket": {"port": "dns"}}`: get(func(p *state.Probe) {
			p.Handler, p.Path, p.Port, p.PortName = state.HandlerTCP, state.Symbol{}, 0, state.Sym("dns")
		}),
		`{"tcpSocket": {"port": 8080, "host": "mysql.db"}}`: get(func(p *state.Probe) {
			p.Handler, p.Path, p.Host = state.HandlerTCP, state.Symbol{}, state.Sym("mysql.db")
		}),
		`{"grpc": {"port": 8080, "service": ""}}`: get(func(p *state.Probe) { p.Handler, p.Path = state.HandlerGRPC, state.Symbol{} }),
		`{"grpc": {"port": 8080, "service": "live"}}`: get(func(p *state.Probe) {
			p.Handler, p.Path, p.Service = state.HandlerGRPC, state.Symbol{}, state.Sym("live")
		}),
		`{"exec": {"command": ["curl -f http://localhost:8080"]}}`: get(func(p *state.Probe) {
			p.Handler, p.Path, p.Port, p.Command = state.HandlerExec, state.Symbol{}, 0, []string{"curl -f http://localhost:8080"}
		}),
		`{"exec": {}, "httpGet": {"port": 8080}}`: get(func(p *state.Probe) { p.Handler, p.Path, p.Port = state.HandlerExec, state.Symbol{}, 0 }),
		`{}`: get(func(p *state.Probe) { p.Handler, p.Path, p.Port = state.HandlerNone, state.Symbol{}, 0 }),
	} {
		got := containerOf(t, `{"livenessProbe": `+text+`}`)
		if got.Readiness != nil || got.Startup != nil {
			t.Errorf("%s: there are other probes", text)
		}
		compare(t, got.Liveness, want)
	}
}

func TestProbesAreEqualOnlyIfTheyAskTheSame(t *testing.T) {
	liveness := func(text string) *state.Probe { return containerOf(t, `{"livenessProbe": `+text+`}`).Liveness }
	with := func(headers string) state.UID {
		return liveness(`{"httpGet": {"port": 1, "httpHeaders": [` + headers + `]}}`).Headers
	}
	const a, b = `{"name": "Host", "value": "a"}`, `{"name": "X", "value": "b"}`
	if with(a) == (state.UID{}) || with("") != (state.UID{}) || with(a+", "+b) != with(b+`, {"name": "HOST", "value": "a"}`) {
		t.Error("order and case of names must count for nothing")
	}
	if with(a) == with(b) || with(`{"name": "a", "value": "bc"}`) == with(`{"name": "ab", "value": "c"}`) {
		t.Error("different headers have the same hash")
	}

	long := strings.Repeat("x", maxArgument+1)
	words := slices.Repeat([]string{"w"}, maxArguments)
	for name, pair := range map[string][2][]string{
		"the end of a long word":    {{long + "a"}, {long + "b"}},
		"the last of many words":    {append(words, "a"), append(words, "b")},
		"the number of many words":  {words, append(words, "w")},
		"how many words are joined": {append(words, "a", "b"), append(words, "a\x00b")},
	} {
		if slices.Equal(command(pair[0]), command(pair[1])) && name != "how many words are joined" {
			t.Errorf("%s makes no difference", name)
		}
		for _, word := range command(pair[0]) {
			if len(word) > maxArgument || len(command(pair[0])) > maxArguments {
				t.Errorf("%s: %d words, one of %d bytes", name, len(command(pair[0])), len(word))
			}
		}
	}
}

func TestConvertSpread(t *testing.T) {
	host, self := state.Sym("kubernetes.io/hostname"), state.SelectorFromMap(map[string]string{"app": "web"})
	const labels = `"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "web"}}`
	anti := func(required string) string {
		return `{"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [` + required + `]}}}`
	}
	got := templateOf(t, `{"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{`+labels+`}],
	 "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "podAffinityTerm": {"topologyKey": "kubernetes.io/hostname",
	  "matchLabelKeys": ["pod-template-hash"]}}]}, "podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{`+labels+`}]}},
	 "topologySpreadConstraints": [{"maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule", "matchLabelKeys": ["team"], `+labels+`},
	  {"whenUnsatisfiable": "ScheduleAnyway", "topologyKey": "kubernetes.io/hostname", "labelSelector": {}}]}`).Spread
	compare(t, got, []state.SpreadTerm{
		{Kind: state.AntiAffinityRequired, TopologyKey: host, Selector: self},
		{Kind: state.AntiAffinityPreferred, TopologyKey: host, OwnRevision: true},
		{Kind: state.SpreadDoNotSchedule, TopologyKey: host, Selector: self},
		{Kind: state.SpreadScheduleAnyway, TopologyKey: host, Selector: state.Selector{}},
	})
	for extra, others := range map[string]bool{
		`"namespaces": []`:                                                           false,
		`"namespaces": ["shop", "x"]`:                                                false,
		`"namespaces": ["x"]`:                                                        true,
		`"namespaces": ["x"], "namespaceSelector": {}`:                               false,
		`"namespaceSelector": {"matchLabels": {"team": "other"}}`:                    false, // nobody knows
		`"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "x"}}`: true,
		`"namespaceSelector": {"matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["x", "shop"]}]}`:          false,
		`"namespaces": ["shop"], "namespaceSelector": {"matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "DoesNotExist"}]}`: false,
	} {
		if got := templateOf(t, anti(`{`+labels+`, `+extra+`}`)).Spread[0].OtherNamespaces; got != others {
			t.Errorf("%s: leaves the pod's namespace out: %v", extra, got)
		}
	}
}

func TestConvertPinned(t *testing.T) {
	required := func(terms string) string {
		return `{"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [` + terms + `]}}}}`
	}
	const linux, pool = `{"key": "kubernetes.io/os", "operator": "In", "values": ["linux"]}`, `{"key": "pool", "operator": "Exists"}`
	for spec, want := range map[string]bool{
		`{}`:                false,
		`{"nodeName": "n"}`: false, // the scheduler wrote it
		`{"nodeSelector": {"kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64", "beta.kubernetes.io/os": "linux"}}`:                                         false,
		`{"nodeSelector": {"kubernetes.io/os": "linux", "pool": "big"}}`:                                                                                           true,
		required(`{"matchExpressions": [` + linux + `]}`):                                                                                                          false,
		required(`{"matchExpressions": [` + linux + `, ` + pool + `]}`):                                                                                            true,
		required(`{"matchExpressions": [` + pool + `]}, {"matchExpressions": [` + linux + `]}`):                                                                    false,
		required(`{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n"]}]}`):                                                                 true,
		`{"affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "preference": {"matchExpressions": [` + pool + `]}}]}}}`: false,
	} {
		if got := templateOf(t, spec).Pinned; got != want {
			t.Errorf("%s: pinned is %v", spec, got)
		}
	}
}

func TestATemplateIsPinnedByItsNodeName(t *testing.T) {
	d := &appsv1.Deployment{}
	d.Spec.Template.Spec.NodeName = "n"
	if !convertDeployment(d, convertOptions{}).Template.Pinned {
		t.Error("it is not pinned")
	}
}

func TestConvertIgnore(t *testing.T) {
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{"stability-exporter/ignore": " a, b ,,c"}}}
	want := state.Ignore{Checks: []state.Symbol{state.Sym("a"), state.Sym("b"), state.Sym("c")}}
	compare(t, convertService(service, convertOptions{}).Ignore, want)
	service.Annotations["stability-exporter/ignore-reason"] = " "
	compare(t, convertService(service, convertOptions{}).Ignore, want)
	service.Annotations["stability-exporter/ignore-reason"] = "known"
	want.Reasoned = true
	compare(t, convertService(service, convertOptions{}).Ignore, want)
	service.Annotations["stability-exporter/ignore"] = strings.Repeat("x,", 1000)
	if got := convertService(service, convertOptions{}).Ignore.Checks; len(got) != maxIgnored {
		t.Errorf("%d ids were kept", len(got))
	}
	delete(service.Annotations, "stability-exporter/ignore")
	compare(t, convertService(service, convertOptions{}).Ignore, state.Ignore{})
}
