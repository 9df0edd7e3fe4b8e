// SPDX-License-Identifier: Apache-2.0

package checks

import "stability-exporter/internal/state"

func serviceCases() caseTable {
	return caseTable{
		"service_no_ready_endpoints": noEndpointCases(),
		"service_single_endpoint": {
			{name: "three", subject: seen(3, "", false, aService("web", 80, "http"), aWorkload()), want: Fine},
			{name: "one of three", subject: seen(1, "", false, aService("web", 80, "http"), aWorkload()), want: Warning, detail: `3 pods are wanted`},
			{name: "one of one and one", subject: seen(1, "", false, aService("web", 80, "http"), aWorkload(withReplicas(1)), aWorkload(withReplicas(1), named("web-b"))), want: Warning},
			{name: "one of one", subject: seen(1, "", false, aService("web", 80, "http"), aWorkload(withReplicas(1))), want: Fine},
			{name: "none is another matter", subject: seen(0, "pods_not_ready", true, aService("web", 80, "http"), aWorkload()), want: Fine},
			{name: "what is not ready is published", subject: seen(1, "", false, aService("web", 80, "http", publishingNotReady), aWorkload()), want: Fine},
			{name: "Jobs", subject: seen(1, "", false, aService("web", 80, "http"), aWorkload(ofKind(state.Jobs)), aWorkload(ofKind(state.Jobs), named("b"))), want: Fine},
			{name: "one that leads, told by a label of the running pod", subject: seen(1, "", false, aService("web", 80, "http")), want: Fine},
			{name: "endpoints are not observed", subject: unseen(aService("web", 80, "http"), aWorkload()), want: Fine},
		},
		"service_selects_nothing": {
			{name: "a workload", subject: aServiceSubject(aService("web", 80, "http"), aWorkload()), want: Fine},
			{name: "nothing", subject: seen(0, "no_matching_pods", true, aService("web", 80, "http")), want: Warning, detail: `by app$`},
			{name: "nothing, headless", subject: seen(0, "no_matching_pods", true, aService("web", 80, "http", headless)), want: Info},
			{name: "nothing, publishing what is not ready", subject: seen(0, "no_matching_pods", true, aService("web", 80, "http", publishingNotReady)), want: Info},
			{name: "nothing in manifests", subject: unseen(aService("web", 80, "http")), want: Info},
			{name: "a role that nobody has", want: Info,
				subject: seen(0, "no_matching_pods", true, aService("web", 80, "http", selecting(map[string]string{"app": "web", "redis-role": "replica"})))},
			{name: "a pod of a StatefulSet", want: Info,
				subject: seen(0, "no_matching_pods", false, aService("web-7", 80, "http", selecting(map[string]string{"statefulset.kubernetes.io/pod-name": "web-7"})))},
			{name: "scaled to zero", subject: seen(0, "scaled_to_zero", false, aService("web", 80, "http"), aWorkload(withReplicas(0))), want: Fine},
			{name: "pods of a foreign controller", subject: seen(2, "", false, aService("web", 80, "http")), want: Fine},
			{name: "pods of a foreign controller that are not ready", subject: seen(0, "pods_not_ready", true, aService("web", 80, "http")), want: Fine},
			{name: "pods are not observed", subject: seen(0, "unknown", true, aService("web", 80, "http")), want: Fine},
			{name: "no selector", subject: unseen(aService("web", 80, "http", withoutSelector)), want: Fine},
		},
		"service_port_mismatch": portCases(),
	}
}

func noEndpointCases() []testCase {
	service := aService("web", 80, "http")
	return []testCase{
		{name: "three", subject: aServiceSubject(service, aWorkload()), want: Fine},
		{name: "none is ready", subject: seen(0, "pods_not_ready", true, service, aWorkload()), want: Critical, detail: `none of its pods is ready`},
		{name: "there are no pods", subject: seen(0, "pods_missing", true, service, aWorkload()), want: Critical, detail: `no pods`},
		{name: "all are going", subject: seen(0, "only_terminating", true, service, aWorkload()), want: Critical},
		{name: "nobody enters them", subject: seen(0, "unknown", true, service, aWorkload()), want: Critical, detail: `not entered`},
		{name: "nobody enters them yet", subject: seen(0, "unknown", false, service, aWorkload()), want: Fine},
		{name: "the port does not fit, and never did", subject: seen(0, "port_mismatch", false, service, aWorkload()), want: Critical, detail: `port`},
		{name: "it is still starting, or never will", subject: seen(0, "pods_not_ready", false, service, aWorkload()), want: Warning, detail: `not had an endpoint yet`},
		{name: "scaled to zero", subject: seen(0, "scaled_to_zero", false, service, aWorkload(withReplicas(0))), want: Fine},
		{name: "blue is scaled to zero, green is not ready", subject: seen(0, "pods_not_ready", true, service, aWorkload(withReplicas(0)), aWorkload(named("green"))), want: Critical},
		{name: "no workload behind it", subject: seen(0, "no_matching_pods", true, service), want: Fine},
		{name: "a Job behind it", subject: seen(0, "pods_not_ready", true, service, aWorkload(ofKind(state.Jobs))), want: Fine},
		{name: "what is not ready is published", subject: seen(0, "pods_not_ready", true, aService("web", 80, "http", publishingNotReady), aWorkload()), want: Fine},
		{name: "endpoints are not observed", subject: unseen(service, aWorkload()), want: Fine},
	}
}

func portCases() []testCase {
	having := func(options ...func(*state.ContainerSpec)) *state.SetupView {
		return aWorkload(withContainers(aContainer("app", options...)))
	}
	web, silent := having(withPort("http", 8080)), having()
	another := func(port int32, name string) func(*state.Service) {
		return func(s *state.Service) {
			s.Ports = append(s.Ports, state.ServicePort{Port: port, TargetName: state.Sym(name)})
		}
	}
	overUDP := func(s *state.Service) { s.Ports[0].UDP = true }
	sidecar := aWorkload(withContainers(aContainer("app"), aContainer("proxy", ofType(state.SidecarContainer), withPort("http", 15000))))
	setup := aWorkload(withContainers(aContainer("setup", ofType(state.InitContainer), withPort("http", 8080)), aContainer("app", withPort("web", 8080))))
	return []testCase{
		{name: "by name", subject: unseen(aService("web", 80, "http"), web), want: Fine},
		{name: "by number", subject: unseen(aService("web", 80, 8080), web), want: Fine},
		{name: "a name that nobody has", subject: unseen(aService("web", 80, "htpp"), web), want: Critical, detail: `"htpp"; declared: http$`},
		{name: "a name where no port is declared", subject: unseen(aService("web", 80, "http"), silent), want: Critical, detail: `declared: none`},
		{name: "a name, seen to have no endpoint", subject: seen(0, "port_mismatch", true, aService("web", 80, "htpp"), web), want: Critical},
		{name: "a name that running pods still have", subject: seen(3, "", false, aService("web", 80, "http2"), web), want: Warning},
		{name: "one of two ports", subject: unseen(aService("web", 80, "http", another(9090, "metrics")), web), want: Warning, detail: `"metrics"`},
		{name: "a name, headless", subject: unseen(aService("web", 80, "htpp", headless), web), want: Info},
		{name: "a name, scaled to zero", subject: unseen(aService("web", 80, "htpp"), aWorkload(withReplicas(0))), want: Warning},
		{name: "a name that one of two workloads has", subject: unseen(aService("web", 80, "http"), silent, web), want: Fine},
		{name: "a name of another protocol", subject: unseen(aService("dns", 53, "dns"), having(withUDPPort("dns", 53))), want: Critical, detail: `dns \(not TCP\)`},
		{name: "a name over UDP", subject: unseen(aService("dns", 53, "dns", overUDP), having(withUDPPort("dns", 53))), want: Fine},
		{name: "a name of a sidecar", subject: unseen(aService("web", 80, "http"), sidecar), want: Fine},
		{name: "a name of an init container", subject: unseen(aService("web", 80, "http"), setup), want: Critical},
		{name: "a number that is not declared", subject: unseen(aService("web", 80, 9999), web), want: Info, detail: `9999`},
		{name: "no target port is the port", subject: unseen(aService("web", 8080, 0), web), want: Fine},
		{name: "a number where no port is declared", subject: unseen(aService("web", 80, 9999), silent), want: Fine},
		{name: "a number that a probe asks", subject: unseen(aService("web", 80, 9999), having(withPort("http", 8080), withReadiness(tcpSocket(9999)))), want: Fine},
		{name: "a number of another protocol", subject: unseen(aService("dns", 53, 53), having(withUDPPort("dns", 53))), want: Info},
		{name: "a number, headless", subject: unseen(aService("web", 80, 9999, headless), web), want: Fine},
		{name: "no workload behind it", subject: unseen(aService("web", 80, "htpp")), want: Fine},
		{name: "no selector", subject: unseen(aService("web", 80, "htpp", withoutSelector)), want: Fine},
	}
}

// seen is a Service of whose endpoints that is known.
func seen(ready int32, cause string, lost bool, s *state.Service, backends ...*state.SetupView) *ServiceSubject {
	subject := aServiceSubject(s, backends...)
	subject.View.ReadyEndpoints, subject.View.Cause, subject.View.Lost = ready, cause, lost
	return subject
}

// unseen is a Service whose endpoints are not observed.
func unseen(s *state.Service, backends ...*state.SetupView) *ServiceSubject {
	return &ServiceSubject{Service: s, Backends: backends}
}

func selecting(labels map[string]string) func(*state.Service) {
	return func(s *state.Service) { s.Selector = state.SelectorFromMap(labels) }
}
