// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"stability-exporter/internal/state"
)

// probeServiceChecks are about what gets traffic, and whether it says when it can serve.
func probeServiceChecks() []Check {
	return []Check{
		readinessMissingSelected(), livenessWithoutReadiness(), minReadyZeroNoReadiness(), readinessMissingPortOwner(), probeWrongPortVsService(),
	}
}

// trafficSpares is what all checks leave alone that ask whether traffic finds the pods ready.
const trafficSpares = "Services that publish addresses that are not ready on purpose (publishNotReadyAddresses), headless Services of StatefulSets and DaemonSets, by which " +
	"members find each other, Services without a selector, and those whose ports are all for metrics or all UDP, which no probe can ask. Exporters. Pods that get " +
	"their real container when they are made (image auto or pause). Jobs."

// inTraffic returns the Services that send users' traffic to the pods, so that it matters whether these are ready.
func inTraffic(w *state.SetupView) []*state.Service {
	name := w.Ref.Name.String()
	if strings.HasSuffix(name, "-exporter") || strings.HasSuffix(name, "kube-state-metrics") || slices.ContainsFunc(longRunning(w.Template), standsIn) {
		return nil
	}
	var services []*state.Service
	for _, s := range w.Services {
		members := s.Headless && (w.Kind == state.StatefulSets || w.Kind == state.DaemonSets)
		if s.Selector != nil && !s.PublishNotReady && !s.Portless && !members && !metricsOnly(w.Template, s) && !udpOnly(s) {
			services = append(services, s)
		}
	}
	return services
}

// standsIn reports whether the container only keeps a place for one that an admission webhook puts there.
func standsIn(c *state.ContainerSpec) bool {
	image := path.Base(c.Image.Repository.String())
	return image == "auto" || image == "pause"
}

func udpOnly(s *state.Service) bool {
	return len(s.Ports) > 0 && !slices.ContainsFunc(s.Ports, func(p state.ServicePort) bool { return !p.UDP })
}

func metricsOnly(t *state.Template, s *state.Service) bool {
	for _, port := range s.Ports {
		if !forMetrics(port.Name.String()) && !forMetrics(port.TargetName.String()) && !forMetrics(targetOf(t, port).name) {
			return false
		}
	}
	return len(s.Ports) > 0
}

func forMetrics(name string) bool {
	return slices.ContainsFunc([]string{"metric", "prom", "monitor", "telemetry", "scrape", "exporter", "profiling", "pprof", "https-self", "https-main", "probes"}, func(part string) bool { return strings.Contains(strings.ToLower(name), part) })
}

// portOwner is where a port of a Service leads to.
type portOwner struct {
	owner  *state.ContainerSpec // nil where no container declares the port
	number int32                // zero where a name leads nowhere
	name   string               // of the container's port, if it has one
}

// targetOf finds the container port as the endpoint controller does: a name in the first container that has it for the protocol, a number
// whoever listens on it.
func targetOf(t *state.Template, port state.ServicePort) portOwner {
	number := target(port)
	for _, c := range longRunning(t) {
		for _, p := range c.Ports {
			named := port.TargetName != (state.Symbol{})
			if p.UDP == port.UDP && (named && p.Name == port.TargetName || !named && p.Number == number) {
				return portOwner{c, p.Number, p.Name.String()}
			}
		}
	}
	return portOwner{number: number}
}

func anyReadiness(t *state.Template) bool {
	return slices.ContainsFunc(longRunning(t), func(c *state.ContainerSpec) bool { return c.Readiness != nil })
}

func anyLiveness(t *state.Template) bool {
	return slices.ContainsFunc(longRunning(t), func(c *state.ContainerSpec) bool { return c.Liveness != nil })
}

func readinessMissingSelected() Check {
	return Check{
		ID: "readiness_missing_selected", Category: Probe, Levels: []Level{Warning}, Reads: state.KindSet(state.Services),
		English: "Pods get traffic as soon as their process runs, without a readiness probe",
		Chinese: "Service 后端的 Pod 没有就绪探针",
		Why: "Without a readiness probe a container counts as ready the moment it starts: in every rollout and after every restart users meet a program that is still starting, " +
			"and one that cannot serve stays in traffic.",
		Fix:    "Add a readinessProbe to the container that serves, on the port that the Service leads to.",
		Spares: trafficSpares + " Workloads with a liveness probe: see liveness_without_readiness.",
		OfWorkload: func(w *WorkloadSubject) Verdict {
			services := inTraffic(w.SetupView)
			if len(services) == 0 || anyReadiness(w.Template) || anyLiveness(w.Template) {
				return Verdict{}
			}
			return Verdict{Warning, "no container has a readiness probe, and Service " + services[0].Name + " sends traffic"}
		},
	}
}

func livenessWithoutReadiness() Check {
	return Check{
		ID: "liveness_without_readiness", Category: Probe, Levels: []Level{Warning}, Reads: state.KindSet(state.Services),
		English: "The only answer to trouble is a restart: there is a liveness probe and no readiness probe",
		Chinese: "只有存活探针而没有就绪探针，遇到问题只能重启",
		Why: "A container that cannot serve for a while keeps its traffic until it has failed liveness often enough, and is killed then, with all its requests. Readiness takes " +
			"it out of traffic and lets it recover.",
		Fix:    "Add a readinessProbe that fails before the liveness probe does.",
		Spares: trafficSpares,
		OfWorkload: func(w *WorkloadSubject) Verdict {
			services := inTraffic(w.SetupView)
			if len(services) == 0 || anyReadiness(w.Template) || !anyLiveness(w.Template) {
				return Verdict{}
			}
			return Verdict{Warning, "liveness without readiness behind Service " + services[0].Name}
		},
	}
}

func minReadyZeroNoReadiness() Check {
	return Check{
		ID: "min_ready_zero_no_readiness", Category: Probe, Levels: []Level{Info}, Reads: state.KindSet(state.Services),
		English: "A rollout goes on the moment a process runs: neither a readiness probe nor minReadySeconds holds it",
		Chinese: "既无就绪探针也无 minReadySeconds：进程一启动即视为可用",
		Why: "Pods count as available the second they run, so a rollout replaces all old pods by new ones that may not work, and the ratio of available replicas " +
			"says nothing of whether they serve.",
		Fix:    "Add a readinessProbe; minReadySeconds alone only slows the rollout down, which is better than nothing.",
		Spares: trafficSpares + " Workloads other than Deployments.",
		OfWorkload: func(w *WorkloadSubject) Verdict {
			if w.Kind != state.Deployments || w.MinReady > 0 || len(inTraffic(w.SetupView)) == 0 || anyReadiness(w.Template) {
				return Verdict{}
			}
			return Verdict{Info, "neither a readiness probe nor minReadySeconds"}
		},
	}
}

func readinessMissingPortOwner() Check {
	return Check{
		ID: "readiness_missing_port_owner", Category: Probe, Levels: []Level{Info}, Reads: state.KindSet(state.Services),
		English: "The container that gets the traffic has no readiness probe, another one has",
		Chinese: "接收流量的容器没有就绪探针，而其他容器有",
		Why:     "The pod counts as ready when all its containers do: one without a probe always does. The one that serves is not asked.",
		Fix:     "Give the container that listens on the Service's target port a readinessProbe.",
		Spares:  trafficSpares + " Ports for metrics; target ports that no container declares.",
		OfContainer: func(c *ContainerSubject) Verdict {
			if c.Readiness != nil || !anyReadiness(c.Template) {
				return Verdict{}
			}
			for _, s := range inTraffic(c.SetupView) {
				for _, port := range s.Ports {
					if t := targetOf(c.Template, port); t.owner == c.ContainerSpec && !forMetrics(t.name) && !forMetrics(port.Name.String()) {
						return Verdict{Info, fmt.Sprintf("port %d of Service %s leads here", port.Port, s.Name)}
					}
				}
			}
			return Verdict{}
		},
	}
}

func probeWrongPortVsService() Check {
	return Check{
		ID: "probe_wrong_port_vs_service", Category: Probe, Levels: []Level{Info}, Reads: state.KindSet(state.Services),
		English: "The readiness probe asks another port than the one that gets the traffic",
		Chinese: "就绪探针访问的端口不是 Service 转发流量的端口",
		Why:     "A management port can answer while the port that users come to is dead: the pod stays in traffic and fails every request.",
		Fix: "Ask the port that the Service leads to. Spring Boot does so with management.endpoint.health.probes.add-additional-paths=true (/readyz on the main " +
			"port).",
		Spares:  trafficSpares + " Ports that are named for it (metrics, admin, management, health, probe, status and the like); containers to which no Service leads; exec probes.",
		OfProbe: judgeWrongPort,
	}
}

func judgeWrongPort(p *ProbeSubject) Verdict {
	number, known := probedPort(p.ContainerSpec, p.Probe)
	if p.Type != "Readiness" || !known || p.Host != (state.Symbol{}) || forAdministration(p, number) {
		return Verdict{}
	}
	var served int32
	for _, s := range inTraffic(p.SetupView) {
		for _, port := range s.Ports {
			switch t := targetOf(p.Template, port); {
			case t.number == number:
				return Verdict{}
			case t.owner == p.ContainerSpec && !port.UDP:
				served = t.number
			}
		}
	}
	if served == 0 {
		return Verdict{}
	}
	return Verdict{Info, fmt.Sprintf("Readiness probe: asks port %d, and traffic comes to port %d", number, served)}
}

// forAdministration reports whether the name of the port says that it is not there for users.
func forAdministration(p *ProbeSubject, number int32) bool {
	name := strings.ToLower(p.PortName.String())
	if port := declaredTCP(p.ContainerSpec, number); port != nil {
		name += " " + strings.ToLower(port.Name.String())
	}
	return forMetrics(name) || slices.ContainsFunc([]string{"admin", "manage", "mgmt", "health", "probe", "status", "actuator", "live", "ready", "check", "debug"},
		func(part string) bool { return strings.Contains(name, part) })
}
