// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"testing"
	"time"

	"stability-exporter/internal/state"
)

func readinessMissingCases() caseTable {
	bare := withContainers(aContainer("app", withPort("http", 8080)))
	daemon := withContainers(aContainer("node-exporter", withPort("https", 9100)))
	return caseTable{
		"readiness_missing_selected": {
			{name: "none", subject: aWorkload(bare), want: Warning, detail: "Service web sends traffic"},
			{name: "StatefulSet with a Service for clients too", want: Warning, subject: aWorkload(ofKind(state.StatefulSets), bare, withServices(aService("peers", 80, 80, headless), aService("web", 80, 80)))},
			{name: "headless, balanced by the clients of a Deployment", subject: aWorkload(bare, withServices(aService("web", 80, 80, headless))), want: Warning},
			{name: "one port of two is for metrics", want: Warning, subject: aWorkload(withContainers(aContainer("app", withPort("http", 8080), withPort("metrics", 9100))),
				withServices(aService("web", 80, "http", alsoPort(9100, "metrics"))))},
			{name: "plain init container with one", want: Warning, subject: aWorkload(withContainers(aContainer("i", ofType(state.InitContainer), withReadiness(httpGet("/", 80))), aContainer("app")))},
			{name: "liveness is for another check", subject: aWorkload(withContainers(aContainer("app", withPort("http", 8080), withLiveness(httpGet("/", 8080)))))},
			{name: "readiness", subject: aWorkload()},
			{name: "of a sidecar", subject: aWorkload(withContainers(aContainer("proxy", ofType(state.SidecarContainer), withReadiness(httpGet("/", 80))), aContainer("app")))},
			{name: "no Service", subject: aWorkload(bare, withServices())},
			{name: "Service without selector", subject: aWorkload(bare, withServices(aService("web", 80, 8080, withoutSelector)))},
			{name: "publishNotReadyAddresses", subject: aWorkload(bare, withServices(aService("web", 80, 8080, publishingNotReady)))},
			{name: "members that find each other", subject: aWorkload(ofKind(state.StatefulSets), bare, withServices(aService("peers", 80, 8080, headless)))},
			{name: "daemons that are scraped", subject: aWorkload(ofKind(state.DaemonSets), daemon, withServices(aService("node-exporter", 9100, "https", headless)))},
			{name: "metrics only", subject: aWorkload(withContainers(aContainer("app", withPort("metrics", 9100))), withServices(aService("web", 9100, "metrics")))},
			{name: "metrics only, by number", subject: aWorkload(withContainers(aContainer("app", withPort("http-metrics", 9100))), withServices(aService("web", 80, 9100)))},
			{name: "metrics, profiles and probes", subject: aWorkload(withContainers(aContainer("app", withPort("http-metrics", 9090), withPort("http-profiling", 8008), withPort("probes", 8080))),
				withServices(aService("web", 9090, "http-metrics", alsoPort(8008, "http-profiling"), alsoPort(8080, "probes"))))},
			{name: "exporter by its name", subject: aWorkload(named("kafka-exporter"), bare)},
			{name: "kube-state-metrics", subject: aWorkload(named("kube-state-metrics"), bare)},
			{name: "UDP", subject: aWorkload(bare, withServices(aService("web", 5683, 5683, func(s *state.Service) { s.Ports[0].UDP = true })))},
			{name: "UDP and TCP", subject: aWorkload(bare, withServices(aService("web", 53, 53, alsoPort(53, "http"), func(s *state.Service) { s.Ports[0].UDP = true }))), want: Warning},
			{name: "injected proxy", subject: aWorkload(withContainers(aContainer("istio-proxy", withImage("auto", ""))))},
			{name: "pause beside an injected proxy", subject: aWorkload(withContainers(aContainer("pause", withImage("gcr.io/google_containers/pause", "3.2"))))},
			{name: "job", subject: aWorkload(ofKind(state.Jobs), bare)},
			{name: "Services are not observed", subject: aWorkload(bare, withServices(aService("web", 80, 80))), unobserved: state.KindSet(state.Services)},
		},
		"min_ready_zero_no_readiness": {
			{name: "neither", subject: aWorkload(bare), want: Info},
			{name: "minReadySeconds", subject: aWorkload(bare, func(w *state.SetupView) { w.MinReady = 10 * time.Second })},
			{name: "readiness", subject: aWorkload()},
			{name: "no Service", subject: aWorkload(bare, withServices())},
			{name: "StatefulSet", subject: aWorkload(ofKind(state.StatefulSets), bare)},
		},
	}
}

// alsoPort adds another port to a Service.
func alsoPort(port int32, target string) func(*state.Service) {
	return func(s *state.Service) {
		s.Ports = append(s.Ports, state.ServicePort{Name: state.Sym(target), Port: port, TargetName: state.Sym(target)})
	}
}

func livenessWithoutReadinessCases() caseTable {
	live := withContainers(aContainer("app", withPort("http", 8080), withLiveness(httpGet("/", 8080))))
	return caseTable{"liveness_without_readiness": {
		{name: "behind a Service", subject: aWorkload(live), want: Warning, detail: "behind Service web"},
		{name: "no liveness either", subject: aWorkload(withContainers(aContainer("app")))},
		{name: "no Service", subject: aWorkload(live, withServices())},
		{name: "publishNotReadyAddresses", subject: aWorkload(live, withServices(aService("web", 80, 8080, publishingNotReady)))},
		{name: "both", subject: aWorkload()},
	}}
}

func portOwnerCases() caseTable {
	ready := withReadiness(httpGet("/", "http"))
	pair := func(target any, app ...func(*state.ContainerSpec)) *state.SetupView {
		return aWorkload(withServices(aService("web", 80, target)), withContainers(
			aContainer("app", append([]func(*state.ContainerSpec){withPort("web", 8080)}, app...)...), aContainer("proxy", withPort("http", 8443), withPort("metrics", 9100), ready)))
	}
	return caseTable{"readiness_missing_port_owner": {
		{name: "by name", subject: pair("web"), want: Info, detail: "port 80 of Service web"},
		{name: "by number", subject: pair(8080), want: Info},
		{name: "it has one", subject: pair("web", withReadiness(httpGet("/", "web")))},
		{name: "traffic comes to the other one", subject: pair("http")},
		{name: "nobody has one", subject: aWorkload(withContainers(aContainer("app", withPort("http", 8080))))},
		{name: "port that nobody declares", subject: pair(7000)},
		{name: "metrics of a helper", subject: aWorkload(withServices(aService("web", 80, "http", alsoPort(9100, "metrics"))), withContainers(
			aContainer("app", withPort("http", 8080), ready), aContainer("helper", withPort("metrics", 9100))))},
		{name: "name that two containers have: the first one serves", subject: aWorkload(withContainers(
			aContainer("app", withPort("http", 8080), ready), aContainer("other", withPort("http", 8081))))},
		{name: "UDP", subject: aWorkload(withServices(aService("web", 53, "dns")), withContainers(
			aContainer("app", withUDPPort("dns", 53)), aContainer("http", withPort("http", 80), ready)))},
	}}
}

func wrongPortCases() caseTable {
	asking := func(p *state.Probe, ports ...func(*state.ContainerSpec)) *state.SetupView {
		return aWorkload(withContainers(aContainer("app", append(ports, withPort("http", 8080), withReadiness(p))...)))
	}
	return caseTable{"probe_wrong_port_vs_service": {
		{name: "another port", subject: asking(httpGet("/", 8081), withPort("grpc", 8081)), want: Info, detail: "asks port 8081, and traffic comes to port 8080"},
		{name: "undeclared", subject: asking(tcpSocket(10254)), want: Info},
		{name: "the same", subject: asking(httpGet("/", 8080))},
		{name: "by name", subject: asking(httpGet("/", "http"))},
		{name: "one of several Services", subject: aWorkload(withServices(aService("web", 80, "http"), aService("api", 80, 8081)),
			withContainers(aContainer("app", withPort("http", 8080), withReadiness(httpGet("/", 8081)))))},
		{name: "named for management", subject: asking(httpGet("/", "management"), withPort("management", 8081))},
		{name: "metrics by number", subject: asking(httpGet("/", 9100), withPort("metrics", 9100))},
		{name: "liveness", subject: aWorkload(withContainers(aContainer("app", withPort("http", 8080), withLiveness(httpGet("/", 8081)))))},
		{name: "container to which no Service leads", subject: aWorkload(withContainers(
			aContainer("app", withPort("http", 8080), withReadiness(httpGet("/", 8080))), aContainer("helper", withReadiness(httpGet("/", 9000)))))},
		{name: "no Service", subject: aWorkload(withServices(), withContainers(aContainer("app", withPort("http", 8080), withReadiness(httpGet("/", 8081)))))},
		{name: "exec", subject: asking(execute([]string{"/check"}))},
		{name: "other host", subject: asking(tcpSocket(3306, onHost("db")))},
	}}
}

func actuatorCases() caseTable {
	live := func(path string) *state.SetupView { return probed(withLiveness(httpGet(path, 8080))) }
	return caseTable{"liveness_includes_dependencies": {
		{name: "bare", subject: live("/actuator/health"), want: Warning, detail: "/actuator/health"},
		{name: "below a context path", subject: live("/api/actuator/health/"), want: Warning},
		{name: "with a query", subject: live("/actuator/health?x=1"), want: Warning},
		{name: "curl", subject: commanded("sh", "-c", "curl -f http://localhost:8080/actuator/health || exit 1"), want: Warning},
		{name: "for readiness", subject: live("/ready"), want: Warning, detail: "asks /ready, which is for readiness"},
		{name: "for readiness, below a path", subject: live("/api/v1/Readyz/"), want: Warning, detail: "/Readyz"},
		{name: "the group for readiness", subject: live("/actuator/health/readiness"), want: Warning},
		{name: "already", subject: live("/already")},
		{name: "below ready", subject: live("/ready/live")},
		{name: "group", subject: live("/actuator/health/liveness")},
		{name: "curl of a group", subject: commanded("curl", "-f", "http://localhost:8080/actuator/health/liveness")},
		{name: "something else", subject: live("/actuator/healthcheck")},
		{name: "readiness", subject: probed(withReadiness(httpGet("/actuator/health", 8080)))},
		{name: "startup", subject: probed(withStartup(httpGet("/actuator/health", 8080)))},
	}}
}

func everyContainerCases() caseTable {
	live := withLiveness(httpGet("/", 80))
	return caseTable{"liveness_on_every_container": {
		{name: "three of three", subject: aWorkload(withContainers(aContainer("a", live), aContainer("b", live), aContainer("c", live))), want: Info, detail: "all 3 containers"},
		{name: "a helper", subject: aWorkload(withContainers(aContainer("redis", live), aContainer("redis-exporter", live))), want: Info, detail: "redis-exporter"},
		{name: "a sidecar", want: Info, subject: aWorkload(withContainers(aContainer("istio-proxy", ofType(state.SidecarContainer), live), aContainer("app")))},
		{name: "two of three", subject: aWorkload(withContainers(aContainer("a", live), aContainer("b", live), aContainer("c")))},
		{name: "two of two", subject: aWorkload(withContainers(aContainer("a", live), aContainer("b", live)))},
		{name: "an exporter that is the program", subject: aWorkload(withContainers(aContainer("redis-exporter", live)))},
		{name: "an exporter with a proxy beside it", subject: aWorkload(withContainers(aContainer("node-exporter", live), aContainer("kube-rbac-proxy")))},
		{name: "plain init containers are not counted", subject: aWorkload(withContainers(aContainer("i", ofType(state.InitContainer)), aContainer("a", live), aContainer("b", live)))},
	}}
}

func rolloutShapeCases() caseTable {
	apart := func(change ...func(*state.SpreadTerm)) func(*state.SetupView) {
		return withTemplate(func(t *state.Template) {
			term := state.SpreadTerm{Kind: state.AntiAffinityRequired, TopologyKey: state.Sym("kubernetes.io/hostname"), Selector: selects("web")}
			for _, c := range change {
				c(&term)
			}
			t.Spread = []state.SpreadTerm{term}
		})
	}
	missing := func(unavailable, surge int32, percent bool) func(*state.SetupView) {
		return func(w *state.SetupView) {
			w.MaxUnavailable, w.MaxSurge = state.IntOrPercent{Value: unavailable, Percent: percent}, state.IntOrPercent{Value: surge, Percent: percent}
		}
	}
	three := withShape(3, 1)
	return caseTable{"rollout_blocked_shape": {
		{name: "three on three", subject: aWorkload(apart(), three), want: Warning, detail: "3 replicas, each on a node of its own, 3 nodes"},
		{name: "maxUnavailable 0", subject: aWorkload(apart(), three, missing(0, 1, false)), want: Warning},
		{name: "more replicas than nodes", subject: aWorkload(apart(), three, missing(0, 1, false), withReplicas(5), withPlacement()), want: Warning},
		{name: "a node to spare", subject: aWorkload(apart(), withShape(4, 1))},
		{name: "25 % of four is one", subject: aWorkload(apart(), withReplicas(4), withShape(4, 1))},
		{name: "maxUnavailable 1", subject: aWorkload(apart(), three, missing(1, 1, false))},
		{name: "both nothing, which is one", subject: aWorkload(apart(), three, missing(0, 0, true))},
		{name: "preferred", subject: aWorkload(apart(func(s *state.SpreadTerm) { s.Kind = state.AntiAffinityPreferred }), three)},
		{name: "spread over nodes allows two", subject: aWorkload(apart(func(s *state.SpreadTerm) { s.Kind = state.SpreadDoNotSchedule }), three)},
		{name: "zones", subject: aWorkload(apart(func(s *state.SpreadTerm) { s.TopologyKey = state.Sym("topology.kubernetes.io/zone") }), three)},
		{name: "other pods", subject: aWorkload(apart(func(s *state.SpreadTerm) { s.Selector = selects("db") }), three)},
		{name: "nobody", subject: aWorkload(apart(func(s *state.SpreadTerm) { s.Selector = nil }), three)},
		{name: "other namespaces", subject: aWorkload(apart(func(s *state.SpreadTerm) { s.OtherNamespaces = true }), three)},
		{name: "own revision", subject: aWorkload(apart(func(s *state.SpreadTerm) { s.OwnRevision = true }), three)},
		{name: "recreate", subject: aWorkload(apart(), three, func(w *state.SetupView) { w.Strategy = state.Recreate })},
		{name: "StatefulSet", subject: aWorkload(ofKind(state.StatefulSets), apart(), three)},
		{name: "runs on more nodes than are free of taints", subject: aWorkload(apart(), withShape(2, 1))},
		{name: "tolerates taints", subject: aWorkload(apart(), three, withPlacement(state.NodeShare{Node: state.Sym("n"), Pods: 1, Tainted: true}))},
		{name: "scaled to zero", subject: aWorkload(apart(), withReplicas(0), withShape(0, 0))},
		{name: "nodes are not observed", subject: aWorkload(apart(), func(w *state.SetupView) { w.Cluster = nil })},
	}}
}

func portClashCases() caseTable {
	daemon := func(name string, node string, options ...func(*state.ContainerSpec)) *state.SetupView {
		return aWorkload(named(name), ofKind(state.DaemonSets), withTemplate(onHostNetwork), withContainers(aContainer("app", options...)),
			withPlacement(state.NodeShare{Node: state.Sym(node), Pods: 1}, state.NodeShare{Node: state.Sym("only-" + name), Pods: 1}))
	}
	asks, listens := withLiveness(httpGet("/", 10254)), withPort("health", 10254)
	all := func(setups ...*state.SetupView) *ClusterSubject {
		return &ClusterSubject{Setups: setups, settings: &Settings{}}
	}
	inside := daemon("inside", "n1", asks)
	inside.Template.HostNetwork = false
	return caseTable{"hostnetwork_port_clash": {
		{name: "declared by another one", subject: all(daemon("a", "n1", asks), daemon("b", "n1", listens)), want: Warning, detail: "port 10254 of node n1 is also that of daemonset shop/b"},
		{name: "asked by both", subject: all(daemon("a", "n1", asks), daemon("b", "n1", asks)), want: Warning},
		{name: "other nodes", subject: all(daemon("a", "n1", asks), daemon("b", "n2", listens))},
		{name: "other ports", subject: all(daemon("a", "n1", asks), daemon("b", "n1", withPort("health", 10255)))},
		{name: "UDP", subject: all(daemon("a", "n1", asks), daemon("b", "n1", withUDPPort("health", 10254)))},
		{name: "network of its own", subject: all(daemon("a", "n1", asks), inside)},
		{name: "alone", subject: all(daemon("a", "n1", asks, listens))},
		{name: "asks another host", subject: all(daemon("a", "n1", withLiveness(httpGet("/", 10254, onHost("169.254.20.10")))), daemon("b", "n1", listens))},
	}}
}

func TestPortClashNamesWhoAsks(t *testing.T) {
	cases := portClashCases()["hostnetwork_port_clash"]
	if found := judgePortClash(cases[0].subject.(*ClusterSubject)); len(found) != 1 || found[0].Ref.Name.String() != "a" || found[0].Container != "app" {
		t.Errorf("got %v, want one finding, of the container app of a", found)
	}
	if found := judgePortClash(cases[1].subject.(*ClusterSubject)); len(found) != 2 {
		t.Errorf("got %v, want a finding for each of the two that ask", found)
	}
}
