// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"maps"
	"testing"
	"time"

	"stability-exporter/internal/state"
)

func probeCases() caseTable {
	all := caseTable{}
	for _, table := range []caseTable{
		probePortCases(), probeHostCases(), probeSchemeCases(), execNotShellCases(), execEnvCases(), execTimeoutCases(), probeIdenticalCases(), probeTimingCases(),
		progressDeadlineCases(), livenessBudgetCases(), probeStartCases(), probeEventCases(), readinessMissingCases(), livenessWithoutReadinessCases(),
		portOwnerCases(), wrongPortCases(), actuatorCases(), everyContainerCases(), rolloutShapeCases(), portClashCases(),
	} {
		maps.Copy(all, table)
	}
	return all
}

// probed is a workload of one container with an HTTP port "http" (8080), and what the options give it.
func probed(options ...func(*state.ContainerSpec)) *state.SetupView {
	return aWorkload(withContainers(aContainer("app", append([]func(*state.ContainerSpec){withPort("http", 8080)}, options...)...)))
}

// commanded has a liveness probe that runs the words, with time enough.
func commanded(argv ...string) *state.SetupView {
	return probed(withLiveness(execute(argv, within(5*time.Second))))
}

func probePortCases() caseTable {
	sidecar := aContainer("proxy", ofType(state.SidecarContainer), withPort("admin", 9901), withReadiness(httpGet("/ready", "http")))
	plainInit := aContainer("migrate", ofType(state.InitContainer), withPort("tmp", 7000))
	return caseTable{
		"probe_port_unresolved": {
			{name: "name that nobody declares", subject: probed(withLiveness(httpGet("/", "web"))), want: Critical, detail: `Liveness.*"web".*never acts`},
			{name: "tcp", subject: probed(withReadiness(tcpSocket("web"))), want: Critical, detail: "Readiness.*never becomes ready"},
			{name: "startup", subject: probed(withStartup(tcpSocket("web"))), want: Critical, detail: "Startup.*never counts as started"},
			{name: "name of another container", want: Critical, detail: `"metrics" \(container exporter does\)`, subject: aWorkload(withContainers(
				aContainer("app", withPort("http", 8080), withLiveness(httpGet("/", "metrics"))), aContainer("exporter", withPort("metrics", 9100))))},
			{name: "sidecar that means the app's port", want: Critical, detail: `"http" \(container app does\)`, subject: aWorkload(withContainers(
				sidecar, aContainer("app", withPort("http", 8080), withLiveness(httpGet("/", "http")))))},
			{name: "another case", subject: probed(withLiveness(httpGet("/", "HTTP"))), want: Critical},
			{name: "pod by itself", subject: aWorkload(ofKind(state.Pods), withContainers(aContainer("app", withLiveness(httpGet("/", "web"))))), want: Critical},
			{name: "plain init container, which has no probes", subject: aWorkload(withContainers(
				aContainer("migrate", ofType(state.InitContainer), withLiveness(httpGet("/", "web"))), aContainer("app")))},
			{name: "declared", subject: probed(withLiveness(httpGet("/", "http")))},
			{name: "number that nobody declares", subject: probed(withLiveness(httpGet("/", 9090)))},
			{name: "number as text", subject: probed(withLiveness(httpGet("/", "9090")))},
			{name: "name of a UDP port: the kubelet does not look at the protocol", subject: aWorkload(withContainers(
				aContainer("dns", withUDPPort("dns", 53), withLiveness(tcpSocket("dns")))))},
			{name: "job", subject: aWorkload(ofKind(state.Jobs), withContainers(aContainer("app", withLiveness(httpGet("/", "web")))))},
		},
		"probe_port_undeclared": {
			{name: "number that nobody declares", subject: probed(withReadiness(httpGet("/", 9090))), want: Info, detail: "Readiness probe: .*9090"},
			{name: "no ports at all", subject: aWorkload(withContainers(aContainer("app", withReadiness(tcpSocket(9090))))), want: Info},
			{name: "grpc", subject: probed(withLiveness(grpcOn(9090))), want: Info},
			{name: "port of a plain init container", want: Info, subject: aWorkload(withContainers(plainInit, aContainer("app", withLiveness(tcpSocket(7000)))))},
			{name: "declared for UDP only", want: Info, detail: "TCP port 53", subject: aWorkload(withContainers(
				aContainer("dns", withUDPPort("dns", 53), withLiveness(tcpSocket("dns")))))},
			{name: "declared", subject: probed(withReadiness(httpGet("/", 8080)))},
			{name: "by name", subject: probed(withReadiness(httpGet("/", "http")))},
			{name: "declared by another container", subject: aWorkload(withContainers(
				aContainer("app", withReadiness(httpGet("/", 9100))), aContainer("exporter", withPort("", 9100))))},
			{name: "declared by a sidecar", subject: aWorkload(withContainers(
				aContainer("proxy", ofType(state.SidecarContainer), withPort("", 9901)), aContainer("app", withReadiness(httpGet("/", 9901)))))},
			{name: "for UDP and TCP", subject: aWorkload(withContainers(
				aContainer("dns", withUDPPort("dns", 53), withPort("dns-tcp", 53), withLiveness(tcpSocket("dns")))))},
			{name: "unresolved name", subject: probed(withLiveness(httpGet("/", "web")))},
			{name: "other host", subject: probed(withLiveness(tcpSocket(9090, onHost("db"))))},
			{name: "exec", subject: commanded("true")},
		},
	}
}

func onHostNetwork(t *state.Template) { t.HostNetwork = true }

func probeHostCases() caseTable {
	asking := func(host string) *state.SetupView { return probed(withLiveness(httpGet("/", 8080, onHost(host)))) }
	onNode := func(host string) *state.SetupView {
		w := asking(host)
		onHostNetwork(w.Template)
		return w
	}
	return caseTable{"probe_host_set": {
		{name: "127.0.0.1", subject: asking("127.0.0.1"), want: Critical, detail: "127.0.0.1 is the node"},
		{name: "localhost", subject: asking("localhost"), want: Critical},
		{name: "127.1.2.3", subject: asking("127.1.2.3"), want: Critical},
		{name: "::1", subject: asking("::1"), want: Critical},
		{name: "[::1]", subject: asking("[::1]"), want: Critical},
		{name: "0:0:0:0:0:0:0:1", subject: asking("0:0:0:0:0:0:0:1"), want: Critical},
		{name: "0.0.0.0", subject: asking("0.0.0.0"), want: Critical},
		{name: "::", subject: asking("::"), want: Critical},
		{name: "fd00::1", subject: asking("fd00::1"), want: Warning},
		{name: "127.example.com is a name", subject: asking("127.example.com"), want: Warning},
		{name: "tcp to another workload", subject: probed(withReadiness(tcpSocket(3306, onHost("mysql.db")))), want: Warning, detail: "Readiness.*mysql.db"},
		{name: "address", subject: asking("10.0.0.7"), want: Warning},
		{name: "name from a pod of the host network", subject: onNode("mysql.db"), want: Warning},
		{name: "loopback of the host network", subject: onNode("127.0.0.1")},
		{name: "localhost of the host network", subject: onNode("localhost")},
		{name: "address of the node, as kubeadm writes it", subject: onNode("192.168.1.10")},
		{name: "none", subject: asking("")},
	}}
}

func probeSchemeCases() caseTable {
	on := func(name string, number int32, p *state.Probe) *state.SetupView {
		return aWorkload(withContainers(aContainer("app", withPort(name, number), withLiveness(p))))
	}
	proof := state.ProbeFact{Container: state.Sym("app"), ProbeType: 0, Outcome: state.ProbeFailed, Scheme: true}
	proven := func(probeType uint8) *state.SetupView {
		w := on("web", 9000, httpGet("/", 9000))
		f := proof
		f.ProbeType = probeType
		withEvents(f)(w)
		return w
	}
	return caseTable{
		"probe_scheme_mismatch": {
			{name: "http on https", subject: on("https", 8080, httpGet("/", "https")), want: Info, detail: "over HTTP, and port https"},
			{name: "http on tls-web by number", subject: on("tls-web", 9000, httpGet("/", 9000)), want: Info},
			{name: "http on 8443", subject: on("", 8443, httpGet("/", 8443)), want: Info, detail: "8443"},
			{name: "https on 80", subject: on("", 80, httpGet("/", 80, overHTTPS)), want: Info, detail: "over HTTPS, and port 80 sounds like HTTP$"},
			{name: "https on http", subject: on("http", 9000, httpGet("/", "http", overHTTPS)), want: Info},
			{name: "an event proves it", subject: proven(0), want: Warning, detail: "does not speak HTTP$"},
			{name: "an event of another probe", subject: proven(1)},
			{name: "https on https", subject: on("https", 8080, httpGet("/", "https", overHTTPS))},
			{name: "http on a port 8443 named http", subject: on("http", 8443, httpGet("/", 8443))},
			{name: "http on 8080", subject: on("web", 8080, httpGet("/", 8080))},
			{name: "https on 8080 without a name", subject: on("", 8080, httpGet("/", 8080, overHTTPS))},
			{name: "tcp on 443", subject: on("https", 443, tcpSocket("https"))},
			{name: "unresolved name", subject: on("web", 9000, httpGet("/", "api"))},
		},
		"grpc_probe_tls": {
			{name: "named tls", subject: on("grpc-tls", 9000, grpcOn(9000)), want: Info, detail: "grpc-tls"},
			{name: "443", subject: on("", 443, grpcOn(443)), want: Info},
			{name: "plain", subject: on("grpc", 9000, grpcOn(9000))},
			{name: "http on tls is for another check", subject: on("tls", 9000, httpGet("/", 9000))},
		},
	}
}

func TestProbeBudgets(t *testing.T) {
	p := httpGet("/", 80, after(5*time.Second)) // first asked between 5 and 15 seconds after the start, a third time 20 seconds later
	if from, by := killedFrom(p), killedBy(p); from != 25*time.Second || by != 36*time.Second {
		t.Errorf("killed between %s and %s, want 25s and 36s", from, by)
	}
	forever := httpGet("/", 80, after(1<<31*time.Second), every(1<<31*time.Second), within(1<<31*time.Second), failing(1<<31-1))
	if from, by := killedFrom(forever), killedBy(forever); from < veryLong || by < from {
		t.Errorf("with the largest numbers: killed between %s and %s", from, by)
	}
}
