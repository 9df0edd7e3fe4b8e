// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"strings"

	"stability-exporter/internal/state"
)

// probePortChecks are about where a probe asks.
func probePortChecks() []Check {
	return []Check{
		probePortUnresolved(), probePortUndeclared(), probeHostSet(), probeSchemeMismatch(), grpcProbeTLS(),
	}
}

func probePortUnresolved() Check {
	return Check{
		ID: "probe_port_unresolved", Category: Probe, Levels: []Level{Critical},
		English: "A probe asks a port by a name that its container does not declare",
		Chinese: "探针引用的端口名称在其容器中未声明",
		Why: "Kubernetes takes such a probe and can never ask it. A readiness probe never passes, so the pod gets no traffic; a liveness probe never acts, " +
			"so a hung container stays; with a startup probe the pod waits for ever and is not even started again.",
		Fix: "Declare the name in ports of the same container (a name in another container of the pod does not count), or write the number.",
		Spares: "Names that the container gives to a UDP port: the kubelet finds the number all the same. Ports given as numbers need no " +
			"declaration (see probe_port_undeclared).",
		OfProbe: judgePortUnresolved,
	}
}

func judgePortUnresolved(p *ProbeSubject) Verdict {
	if p.Handler != state.HandlerHTTP && p.Handler != state.HandlerTCP || p.PortName == (state.Symbol{}) {
		return Verdict{}
	}
	if _, known := probedPort(p.ContainerSpec, p.Probe); known {
		return Verdict{}
	}
	elsewhere := ""
	for _, c := range longRunning(p.Template) {
		for _, port := range c.Ports {
			if port.Name == p.PortName {
				elsewhere = fmt.Sprintf(" (container %s does)", c.Name)
			}
		}
	}
	effect := map[string]string{
		"Liveness": "it never acts", "Readiness": "the pod never becomes ready", "Startup": "the pod never counts as started",
	}[p.Type]
	return Verdict{Critical, fmt.Sprintf("%s probe: the container declares no port %q%s, so %s", p.Type, p.PortName, elsewhere, effect)}
}

func probePortUndeclared() Check {
	return Check{
		ID: "probe_port_undeclared", Category: Probe, Levels: []Level{Info},
		English: "A probe asks a TCP port that no container of the pod declares",
		Chinese: "探针使用的 TCP 端口未在 Pod 的任何容器中声明",
		Why:     "Ports need not be declared, so this may well work; it is also what a typing error in the number looks like.",
		Fix:     "Declare the port in the container that listens on it, and let the probe use its name.",
		Spares:  "Ports that another container of the pod declares, sidecars included; probes that ask another host.",
		OfProbe: judgePortUndeclared,
	}
}

func judgePortUndeclared(p *ProbeSubject) Verdict {
	number, known := probedPort(p.ContainerSpec, p.Probe)
	if !known || p.Host != (state.Symbol{}) {
		return Verdict{}
	}
	for _, c := range longRunning(p.Template) {
		if declaredTCP(c, number) != nil {
			return Verdict{}
		}
	}
	return Verdict{Info, fmt.Sprintf("%s probe: no container declares TCP port %d", p.Type, number)}
}

func probeHostSet() Check {
	return Check{
		ID: "probe_host_set", Category: Probe, Levels: []Level{Warning, Critical},
		English: "A probe asks another host than its own pod",
		Chinese: "探针访问的主机不是所属 Pod 本身",
		Why: "The kubelet asks from the node, not from within the pod: 127.0.0.1 or localhost is the node itself, and any other name is somebody else. " +
			"The probe passes or fails whatever this container does, and a failure elsewhere restarts it.",
		Fix: "Leave host empty, so that the pod's own address is asked; where a virtual host is meant, set the HTTP header Host.",
		Spares: "Addresses in pods of the host network, which are those of the node, as in the static pods of the control plane. Programs that listen on the " +
			"loopback of their pod only can be asked by an exec probe.",
		OfProbe: judgeHostSet,
	}
}

func judgeHostSet(p *ProbeSubject) Verdict {
	host := strings.Trim(p.Host.String(), "[]")
	if host == "" || p.Handler != state.HandlerHTTP && p.Handler != state.HandlerTCP {
		return Verdict{}
	}
	address := strings.Contains(host, ":") || strings.Trim(host, "0123456789.") == ""
	switch local := strings.EqualFold(host, "localhost") || address && isLoopback(host); {
	case p.Template.HostNetwork && (local || address):
		return Verdict{}
	case local:
		return Verdict{Critical, fmt.Sprintf("%s probe: %s is the node here, not the pod", p.Type, host)}
	}
	return Verdict{Warning, fmt.Sprintf("%s probe: asks %s instead of the pod", p.Type, host)}
}

// isLoopback reports whether the address leads to where the asking is done: 127.0.0.0/8 and ::1, and also 0.0.0.0 and ::.
func isLoopback(address string) bool {
	return strings.HasPrefix(address, "127.") || strings.Trim(address, "0:.") == "" || strings.Trim(address, "0:") == "1"
}

func probeSchemeMismatch() Check {
	return Check{
		ID: "probe_scheme_mismatch", Category: Probe, Levels: []Level{Info, Warning},
		English: "A probe speaks HTTP where HTTPS is expected, or the reverse",
		Chinese: "探针的协议与端口不符：对 HTTPS 端口使用 HTTP，或相反",
		Why: "Many servers answer plain HTTP on a TLS port with an error, and no HTTP server answers HTTPS: the probe fails although the program works. " +
			"It is a warning where an event of the cluster proves it.",
		Fix:    "Set scheme: HTTPS for a port that speaks TLS (the certificate is not verified), and leave it out for others.",
		Spares: "Ports whose name and number tell nothing. A name counts more than a number: port 8443 named http is plain HTTP.",
		OfProbe: func(p *ProbeSubject) Verdict {
			if p.Handler != state.HandlerHTTP {
				return Verdict{}
			}
			scheme := map[bool]string{true: "HTTPS", false: "HTTP"}
			for _, fact := range factsOf(p) {
				if fact.Scheme {
					return Verdict{Warning, fmt.Sprintf("%s probe: an event shows that the server does not speak %s", p.Type, scheme[p.HTTPS])}
				}
			}
			if tls, told, by := speaksTLS(p); told && tls != p.HTTPS {
				return Verdict{Info, fmt.Sprintf("%s probe: asks over %s, and port %s sounds like %s", p.Type, scheme[p.HTTPS], by, scheme[tls])}
			}
			return Verdict{}
		},
	}
}

// speaksTLS guesses from the name, else the number, of the port that is asked whether it speaks TLS; told says that one of them tells.
func speaksTLS(p *ProbeSubject) (tls, told bool, by string) {
	number, known := probedPort(p.ContainerSpec, p.Probe)
	name := strings.ToLower(p.PortName.String())
	if port := declaredTCP(p.ContainerSpec, number); known && name == "" && port != nil {
		name = strings.ToLower(port.Name.String())
	}
	switch {
	case strings.HasPrefix(name, "https"), strings.HasPrefix(name, "tls"), strings.HasSuffix(name, "-https"), strings.HasSuffix(name, "-tls"):
		return true, true, name
	case name == "http", strings.HasPrefix(name, "http-"), strings.HasSuffix(name, "-http"):
		return false, true, name
	case !known:
		return false, false, ""
	case number == 443 || number == 8443 || number == 6443:
		return true, true, fmt.Sprint(number)
	case number == 80:
		return false, true, fmt.Sprint(number)
	}
	return false, false, ""
}

func grpcProbeTLS() Check {
	return Check{
		ID: "grpc_probe_tls", Category: Probe, Levels: []Level{Info},
		English: "A gRPC probe asks a port that sounds like TLS",
		Chinese: "gRPC 探针访问的端口疑似使用 TLS",
		Why:     "The kubelet asks gRPC probes without TLS and cannot be told otherwise: on a port that speaks TLS the probe fails for ever.",
		Fix:     "Serve the health service on a port without TLS, or ask it with an exec probe (grpc_health_probe -tls).",
		Spares:  "Ports whose name and number tell nothing.",
		OfProbe: func(p *ProbeSubject) Verdict {
			if tls, told, by := speaksTLS(p); p.Handler == state.HandlerGRPC && told && tls {
				return Verdict{Info, fmt.Sprintf("%s probe: asks gRPC without TLS on port %s", p.Type, by)}
			}
			return Verdict{}
		},
	}
}
