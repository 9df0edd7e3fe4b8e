// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"slices"
	"strings"

	"stability-exporter/internal/state"
)

// probeWorkloadChecks are about probes and rollouts that go wrong only together with something else.
func probeWorkloadChecks() []Check {
	return []Check{livenessIncludesDependencies(), livenessOnEveryContainer(), probeFieldDropped(), rolloutBlockedShape(), hostnetworkPortClash()}
}

func livenessIncludesDependencies() Check {
	return Check{
		ID: "liveness_includes_dependencies", Category: Probe, Levels: []Level{Warning},
		English: "The liveness probe depends on databases, brokers or other services",
		Chinese: "存活探针依赖外部组件（整体健康检查或就绪接口）",
		Why: "Spring Boot's /actuator/health is down as soon as the database, Redis or the message broker is, and so is a path for readiness (/ready, /readyz). Then every replica " +
			"of every service is restarted at once, which helps nobody and turns a short outage of one part into a long one of everything.",
		Fix: "Ask what tells only whether the process works: /actuator/health/liveness (on Kubernetes it is there from Spring Boot 2.3 on), /livez, /-/healthy; and keep the other path " +
			"for readiness.",
		Spares: "Readiness and startup probes on these paths: they restart nothing that serves. Groups such as /actuator/health/liveness. Whether the indicators of the " +
			"dependencies were switched off cannot be seen.",
		OfProbe: func(p *ProbeSubject) Verdict {
			if p.Type != "Liveness" {
				return Verdict{}
			}
			if path := p.Path.String(); p.Handler == state.HandlerHTTP && forReadiness(path) {
				return Verdict{Warning, fmt.Sprintf("Liveness probe: asks %s, which is for readiness", lastPart(path))}
			}
			asked := p.Handler == state.HandlerHTTP && bareHealth(p.Path.String())
			for _, word := range p.Command {
				asked = asked || p.Handler == state.HandlerExec && bareHealth(word)
			}
			if !asked {
				return Verdict{}
			}
			return Verdict{Warning, "Liveness probe: asks /actuator/health"}
		},
	}
}

// forReadiness reports whether the path is by its name one that tells of readiness.
func forReadiness(path string) bool {
	return slices.Contains([]string{"/ready", "/readyz", "/readiness"}, strings.ToLower(lastPart(path)))
}

// lastPart returns the last part of the path with the slash before it, without the query.
func lastPart(path string) string {
	path, _, _ = strings.Cut(path, "?")
	path = strings.TrimRight(path, "/")
	return "/" + path[strings.LastIndex(path, "/")+1:]
}

// bareHealth reports whether the text asks for /actuator/health and not for a group or a component below it.
func bareHealth(text string) bool {
	_, after, found := strings.Cut(text, "/actuator/health")
	after = strings.TrimPrefix(after, "/")
	return found && (after == "" || strings.ContainsAny(after[:1], "?#\"' |&;>)"))
}

func livenessOnEveryContainer() Check {
	return Check{
		ID: "liveness_on_every_container", Category: Probe, Levels: []Level{Info},
		English: "Helpers beside the program have liveness probes",
		Chinese: "辅助容器（sidecar）也配置了存活探针",
		Why: "When a helper is restarted the whole pod is out of traffic for that time, although the program works. With a probe on each of many containers the pod is only as " +
			"calm as the most sensitive one.",
		Fix: "Keep liveness for the program, and for helpers without which it cannot work; exporters and log shippers end by themselves when they break.",
		Spares: "Pods of one or two containers, unless one of them is a helper by its name (istio-proxy, linkerd-proxy, ...-exporter, fluent..., filebeat, promtail, logrotate) beside " +
			"the program, which is the first container.",
		OfWorkload: judgeLivenessEverywhere,
	}
}

func judgeLivenessEverywhere(w *WorkloadSubject) Verdict {
	containers := longRunning(w.Template)
	with, helper := 0, ""
	for i, c := range containers {
		if c.Liveness == nil {
			continue
		}
		with++
		if i > 0 && helps(c.Name.String()) {
			helper = c.Name.String()
		}
	}
	switch {
	case helper != "":
		return Verdict{Info, fmt.Sprintf("the helper %s has a liveness probe", helper)}
	case len(containers) >= 3 && with == len(containers):
		return Verdict{Info, fmt.Sprintf("all %d containers have liveness probes", with)}
	}
	return Verdict{}
}

// helps reports whether a container of that name is one that people put beside their program.
func helps(name string) bool {
	switch name {
	case "istio-proxy", "linkerd-proxy", "logrotate", "filebeat", "promtail", "exporter":
		return true
	}
	return strings.HasSuffix(name, "-exporter") || strings.HasPrefix(name, "fluent") || strings.HasSuffix(name, "-logrotate")
}

func probeFieldDropped() Check {
	return Check{
		ID: "probe_field_dropped", Category: Probe, Levels: []Level{Warning},
		English: "A field of a probe was misspelt and thrown away",
		Chinese: "探针中有拼写错误的字段，已被忽略",
		Why: "Clients that do not validate strictly have unknown fields dropped without an error: the default applies instead of what was meant, such as ten seconds instead of one, or " +
			"one second instead of ten.",
		Fix:    "Correct the name in the manifest (periodSeconds, timeoutSeconds, initialDelaySeconds, failureThreshold, successThreshold), and apply it with --validate=strict.",
		Spares: "Objects that were not made with kubectl apply: nothing tells what was written.",
		OfContainer: func(c *ContainerSubject) Verdict {
			for _, dropped := range c.Template.Dropped {
				if dropped.Container == c.ContainerSpec.Name {
					return Verdict{Warning, fmt.Sprintf("%s probe: there is no field %q", dropped.ProbeType, dropped.Field)}
				}
			}
			return Verdict{}
		},
	}
}

func rolloutBlockedShape() Check {
	return Check{
		ID: "rollout_blocked_shape", Category: Probe, Levels: []Level{Warning}, Reads: state.KindSet(state.Nodes),
		English: "A rollout cannot begin: every node has a replica, and none may be missing",
		Chinese: "滚动更新无法进行：每个节点已有一个副本，且不允许副本缺失",
		Why: "The replicas must not share a node, and none of them may go before a new one is up: the new one finds no node. Every rollout hangs until somebody notices, a security " +
			"fix included. Up to three replicas 25 % of them are none.",
		Fix: "Set maxUnavailable: 1 (and maxSurge: 0), make the anti-affinity preferred, or have more nodes than replicas.",
		Spares: "Anti-affinity that concerns pods of one revision only (matchLabelKeys) or other pods; Recreate; replicas that run on nodes which are tainted, or on more nodes than are not. Where " +
			"a cluster adds nodes by itself the rollout waits for one.",
		OfWorkload: judgeRolloutShape,
	}
}

func judgeRolloutShape(w *WorkloadSubject) Verdict {
	if w.Kind != state.Deployments || w.Strategy != state.RollingUpdate || w.Cluster == nil || w.Desired < 1 || w.Cluster.Schedulable == 0 {
		return Verdict{}
	}
	elsewhere := slices.ContainsFunc(w.Placement, func(share state.NodeShare) bool { return share.Tainted })
	if w.Desired < w.Cluster.Schedulable || len(w.Placement) > int(w.Cluster.Schedulable) || elsewhere || mayBeMissing(w.SetupView) > 0 {
		return Verdict{}
	}
	for _, term := range w.Template.Spread {
		if term.Kind == state.AntiAffinityRequired && term.TopologyKey == state.Sym("kubernetes.io/hostname") && !term.OwnRevision && !term.OtherNamespaces &&
			term.Selector.Matches(w.Template.Labels) {
			return Verdict{Warning, fmt.Sprintf("%d replicas, each on a node of its own, %d nodes for them, and none may be missing", w.Desired, w.Cluster.Schedulable)}
		}
	}
	return Verdict{}
}

// mayBeMissing returns how many replicas a rollout may do without: percentages are rounded down, those of the surplus up, and where both
// come to nothing it is one (ResolveFenceposts of the Deployment controller).
func mayBeMissing(w *state.SetupView) int32 {
	missing, surplus := w.MaxUnavailable.Value, w.MaxSurge.Value
	if w.MaxUnavailable.Percent {
		missing = int32(int64(missing) * int64(w.Desired) / 100)
	}
	if w.MaxSurge.Percent {
		surplus = int32((int64(surplus)*int64(w.Desired) + 99) / 100)
	}
	if missing == 0 && surplus == 0 {
		return 1
	}
	return missing
}

func hostnetworkPortClash() Check {
	return Check{
		ID: "hostnetwork_port_clash", Category: Probe, Levels: []Level{Warning}, Reads: state.KindSet(state.Nodes, state.Pods),
		English: "A probe asks a port of the node on which another workload listens",
		Chinese: "探针访问的节点端口被同一节点上的其他工作负载占用",
		Why: "Pods of the host network share the ports of their node. The probe may well be answered by the other program: it passes while this one is dead, or fails because of " +
			"the other one.",
		Fix:       "Give each workload of the host network ports of its own, and declare them, so that the scheduler keeps two that want the same apart.",
		Spares:    "Workloads whose ready pods are on different nodes; probes that ask another host; ports of UDP.",
		OfCluster: judgePortClash,
	}
}

// nodePort is a TCP port of a node.
type nodePort struct {
	node   state.Symbol
	number int32
}

// judgePortClash looks at workloads of the host network only: there are few.
func judgePortClash(all *ClusterSubject) []Finding {
	listens := map[nodePort][]*state.SetupView{}
	var hosts []*state.SetupView
	for _, w := range all.Setups {
		if !w.Template.HostNetwork || w.Template.RunsToEnd || len(w.Placement) == 0 {
			continue
		}
		hosts = append(hosts, w)
		for number := range hostPorts(w.Template) {
			for _, share := range w.Placement {
				at := nodePort{share.Node, number}
				listens[at] = append(listens[at], w)
			}
		}
	}
	var findings []Finding
	for _, w := range hosts {
		for _, c := range longRunning(w.Template) {
			if detail := clashOf(w, c, listens); detail != "" {
				findings = append(findings, Finding{Level: Warning, Ref: w.Ref, Container: c.Name.String(), Detail: detail})
			}
		}
	}
	return findings
}

// hostPorts are the TCP ports on which the pods of the template listen on their node, as far as it tells: those declared and those that
// probes ask.
func hostPorts(t *state.Template) map[int32]bool {
	ports := map[int32]bool{}
	for _, c := range longRunning(t) {
		for _, port := range c.Ports {
			if !port.UDP {
				ports[port.Number] = true
			}
		}
		for _, p := range c.Probes() {
			if p == nil || p.Host != (state.Symbol{}) {
				continue
			}
			if number, known := probedPort(c, p); known {
				ports[number] = true
			}
		}
	}
	return ports
}

func clashOf(w *state.SetupView, c *state.ContainerSpec, listens map[nodePort][]*state.SetupView) string {
	for i, p := range c.Probes() {
		if p == nil || p.Host != (state.Symbol{}) {
			continue
		}
		number, known := probedPort(c, p)
		if !known {
			continue
		}
		for _, share := range w.Placement {
			for _, other := range listens[nodePort{share.Node, number}] {
				if other != w {
					return fmt.Sprintf("%s probe: port %d of node %s is also that of %s %s/%s", state.ProbeTypes[i], number, share.Node, other.Ref.Type,
						other.Ref.Namespace, other.Ref.Name)
				}
			}
		}
	}
	return ""
}
