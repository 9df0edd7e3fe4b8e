// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"stability-exporter/internal/state"
)

func serviceChecks() []Check {
	return []Check{
		{
			ID: "service_no_ready_endpoints", Category: Service, Levels: []Level{Warning, Critical},
			English: "Nothing is ready behind a Service",
			Chinese: "Service 后面没有任何就绪的端点",
			Why:     "Every connection to it is refused, although a workload behind it wants to run.",
			Fix:     "See why its pods are not ready, are missing, or do not declare the port it names; the detail says which.",
			Spares: "What is scaled to zero, Services that publish pods that are not ready, and those that no workload belongs to (service_selects_nothing). What has not had an endpoint " +
				"yet, and whose pods are still starting, is a warning.",
			Reads:     state.KindSet(state.EndpointSlices),
			OfService: noReadyEndpoints,
		},
		{
			ID: "service_single_endpoint", Category: Service, Levels: []Level{Warning},
			English:   "A Service hangs on one endpoint although more replicas are wanted",
			Chinese:   "期望多个副本，Service 却只剩一个就绪端点",
			Why:       "The next pod that fails, is evicted or replaced is an outage.",
			Fix:       "See why the other pods are not ready, or why the selector of the Service does not select them.",
			Spares:    "Workloads that want one replica, and Services that publish pods that are not ready.",
			Reads:     state.KindSet(state.EndpointSlices),
			OfService: singleEndpoint,
		},
		{
			ID: "service_selects_nothing", Category: Service, Levels: []Level{Info, Warning},
			English: "A Service selects no pod and no workload",
			Chinese: "Service 的选择器没有选中任何 Pod 或工作负载",
			Why:     "Its labels are misspelt, or what it was for is gone: every connection to it is refused.",
			Fix:     "Write the labels of the pod template into its selector, or delete it.",
			Spares: "Services without a selector, and those whose workload is scaled to zero. It is info for headless Services, which only name what may be there; for selectors " +
				"of labels that pods get while they run (a role, the name of a pod of a StatefulSet); and where endpoints are not observed, as in manifests.",
			OfService: selectsNothing,
		},
		{
			ID: "service_port_mismatch", Category: Service, Levels: []Level{Info, Warning, Critical},
			English: "A Service leads to a port that no container has",
			Chinese: "Service 的 targetPort 在任何后端容器中都不存在",
			Why: "A target port that is a name must be declared under that name, for the same protocol, by a container of the pod, else the Service has no endpoint for it. A number is used as " +
				"it is, and refused if nothing listens there.",
			Fix: "Let targetPort be the name or the number of a port in the containers' ports.",
			Spares: "A name that at least one workload behind it knows. Numbers are info at most, because declaring ports is optional; none where the containers declare no port, where a " +
				"probe asks that port, and with headless Services, which do not use it. A name is critical when no port of the Service leads anywhere, else a warning; with headless " +
				"Services it is info, because only SRV records lack it.",
			OfService: portMismatch,
		},
	}
}

// wanted returns how many pods the workloads behind the Service want that run for ever.
func (s *ServiceSubject) wanted() int32 {
	var n int32
	for _, v := range s.Backends {
		if w := (WorkloadSubject{SetupView: v}); w.Serving() {
			n += v.Desired
		}
	}
	return n
}

func noReadyEndpoints(s *ServiceSubject) Verdict {
	if s.View == nil || s.View.ReadyEndpoints > 0 || s.PublishNotReady || s.wanted() < 1 {
		return Verdict{}
	}
	why := map[string]string{
		"pods_missing": "its workload has no pods", "pods_not_ready": "none of its pods is ready", "only_terminating": "all of its pods are about to end",
		"port_mismatch": "its pods do not declare the port that it names", "unknown": "its pods were not entered into its endpoints",
	}[s.View.Cause]
	switch {
	case why == "" || s.View.Cause == "unknown" && !s.View.Lost:
		return Verdict{}
	case s.View.Lost || s.View.Cause == "port_mismatch":
		return Verdict{Critical, why}
	}
	return Verdict{Warning, why + ", and it has not had an endpoint yet"}
}

func singleEndpoint(s *ServiceSubject) Verdict {
	if s.View == nil || s.View.ReadyEndpoints != 1 || s.PublishNotReady || s.wanted() < 2 {
		return Verdict{}
	}
	return Verdict{Warning, fmt.Sprintf("one endpoint is ready, %d pods are wanted", s.wanted())}
}

func selectsNothing(s *ServiceSubject) Verdict {
	if len(s.Selector) == 0 || len(s.Backends) > 0 || s.View != nil && (s.View.ReadyEndpoints > 0 || s.View.Cause != "no_matching_pods") {
		return Verdict{}
	}
	keys := make([]string, 0, len(s.Selector))
	level := Warning
	if s.View == nil || s.Headless || s.PublishNotReady {
		level = Info
	}
	for _, r := range s.Selector {
		key := r.Key.String()
		keys = append(keys, key)
		// What leads and what follows is told by labels that an operator sets on running pods.
		if givenToPods(key) || strings.HasSuffix(strings.ToLower(key), "role") {
			level = Info
		}
	}
	return Verdict{level, "nothing has the labels that it selects by " + enumerate(keys)}
}

func portMismatch(s *ServiceSubject) Verdict {
	if len(s.Selector) == 0 || len(s.Backends) == 0 {
		return Verdict{}
	}
	var lost []string
	var undeclared Verdict
	for _, p := range s.Ports {
		switch name := p.TargetName.String(); {
		case name != "" && !slices.ContainsFunc(s.Backends, func(v *state.SetupView) bool { return declares(v, p) }):
			lost = append(lost, fmt.Sprintf("%q", name))
		case name == "" && !s.Headless && !slices.ContainsFunc(s.Backends, func(v *state.SetupView) bool { return mayListen(v, p) }):
			undeclared = Verdict{Info, fmt.Sprintf("no container declares the target port %d", target(p))}
		}
	}
	if len(lost) == 0 {
		return undeclared
	}
	level := Warning
	switch {
	case s.Headless:
		level = Info // clients connect to the pods themselves; the port lacks in SRV records only
	case len(lost) == len(s.Ports) && s.wanted() > 0 && (s.View == nil || s.View.ReadyEndpoints == 0):
		level = Critical
	}
	return Verdict{level, fmt.Sprintf("no container declares the target port %s; declared: %s", enumerate(lost), s.declared())}
}

func target(p state.ServicePort) int32 { return cmp.Or(p.Target, p.Port) }

// hasPort reports whether one of the containers that run side by side has such a port. Those of init containers are not used.
func hasPort(v *state.SetupView, such func(state.Port) bool) bool {
	for i := range v.Template.Containers {
		c := &v.Template.Containers[i]
		if c.Type != state.InitContainer && slices.ContainsFunc(c.Ports, such) {
			return true
		}
	}
	return false
}

// declares reports whether a container declares the port that a Service leads to.
func declares(v *state.SetupView, p state.ServicePort) bool {
	return hasPort(v, func(port state.Port) bool {
		if p.TargetName != (state.Symbol{}) {
			return port.Name == p.TargetName && port.UDP == p.UDP
		}
		return port.Number == target(p) && port.UDP == p.UDP
	})
}

// mayListen reports whether nothing speaks against a port by number: it is declared, a probe asks it, or no port is declared at all.
func mayListen(v *state.SetupView, p state.ServicePort) bool {
	if declares(v, p) || !hasPort(v, func(state.Port) bool { return true }) {
		return true
	}
	for i := range v.Template.Containers {
		for _, probe := range v.Template.Containers[i].Probes() {
			if probe != nil && probe.Handler != state.HandlerExec && probe.Port == target(p) && !p.UDP {
				return true
			}
		}
	}
	return false
}

// declared names the ports that the workloads behind the Service declare.
func (s *ServiceSubject) declared() string {
	var names []string
	for _, v := range s.Backends {
		hasPort(v, func(port state.Port) bool {
			name := cmp.Or(port.Name.String(), fmt.Sprint(port.Number))
			if port.UDP {
				name += " (not TCP)"
			}
			names = append(names, name)
			return false
		})
	}
	slices.Sort(names)
	if names = slices.Compact(names); len(names) == 0 {
		return "none"
	}
	return enumerate(names)
}
