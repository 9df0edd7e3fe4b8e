// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"slices"
	"strconv"
	"time"

	"stability-exporter/internal/state"
)

// What the kubelet does, on which these checks rest (pkg/kubelet/prober and pkg/probe of Kubernetes 1.36): a probe is asked first
// between initialDelay and initialDelay+period after its container started. An unanswered one counts as failed; one that
// cannot be asked at all (a port name that does not exist, a program that cannot be started) does not count: its result is
// thrown away. Until their first result liveness counts as passed, readiness as failed, and startup as pending, which holds up the two
// others.

// probeChecks are about whether Kubernetes is told the truth: when a container may get traffic, and when it must be started again.
func probeChecks() []Check {
	checks := slices.Concat(probePortChecks(), probeCommandChecks(), probeTimingChecks(), probeStartChecks(), probeEventChecks(),
		probeServiceChecks(), probeWorkloadChecks())
	for i := range checks {
		onlyServing(&checks[i])
	}
	return checks
}

// onlyServing has the check leave alone what runs to its end, as Jobs do: nobody waits for it to be ready. Init containers other than
// sidecars have no probes: no API server would take them.
func onlyServing(c *Check) {
	switch {
	case c.OfProbe != nil:
		judge := c.OfProbe
		c.OfProbe = func(p *ProbeSubject) Verdict {
			if !p.Serving() || p.ContainerSpec.Type == state.InitContainer {
				return Verdict{}
			}
			return judge(p)
		}
	case c.OfContainer != nil:
		judge := c.OfContainer
		c.OfContainer = func(s *ContainerSubject) Verdict {
			if !s.Serving() || s.ContainerSpec.Type == state.InitContainer {
				return Verdict{}
			}
			return judge(s)
		}
	case c.OfWorkload != nil:
		judge := c.OfWorkload
		c.OfWorkload = func(w *WorkloadSubject) Verdict {
			if !w.Serving() {
				return Verdict{}
			}
			return judge(w)
		}
	}
}

// longRunning returns the containers that run as long as the pod does: those of the app, then sidecars, which is the order in which
// Services look for a named port.
func longRunning(t *state.Template) []*state.ContainerSpec {
	var containers []*state.ContainerSpec
	for _, kind := range []state.ContainerType{state.AppContainer, state.SidecarContainer} {
		for i := range t.Containers {
			if t.Containers[i].Type == kind {
				containers = append(containers, &t.Containers[i])
			}
		}
	}
	return containers
}

// overNetwork reports whether the probe asks a port.
func overNetwork(p *state.Probe) bool {
	return p.Handler == state.HandlerHTTP || p.Handler == state.HandlerTCP || p.Handler == state.HandlerGRPC
}

// probedPort returns the number of the port that a probe asks. The kubelet looks for a name in the probe's own container only,
// whatever the protocol, and takes one of digits for a number (pkg/probe/util.go).
func probedPort(c *state.ContainerSpec, p *state.Probe) (number int32, known bool) {
	if !overNetwork(p) {
		return 0, false
	}
	if p.PortName == (state.Symbol{}) {
		return p.Port, p.Port != 0
	}
	for _, port := range c.Ports {
		if port.Name == p.PortName {
			return port.Number, true
		}
	}
	n, err := strconv.ParseUint(p.PortName.String(), 10, 16)
	return int32(n), err == nil && n != 0
}

// declaredTCP returns the TCP port of that number that the container declares, nil for none.
func declaredTCP(c *state.ContainerSpec, number int32) *state.Port {
	i := slices.IndexFunc(c.Ports, func(p state.Port) bool { return p.Number == number && !p.UDP })
	if i < 0 {
		return nil
	}
	return &c.Ports[i]
}

// sameQuestion reports whether two probes of a container ask the same: their timing aside. Names of ports are resolved before.
func sameQuestion(c *state.ContainerSpec, a, b *state.Probe) bool {
	if a.Handler != b.Handler || a.Host != b.Host || a.Path != b.Path || a.HTTPS != b.HTTPS || a.Headers != b.Headers || a.Service != b.Service {
		return false
	}
	if a.Handler == state.HandlerExec {
		return slices.Equal(a.Command, b.Command)
	}
	portA, knownA := probedPort(c, a)
	portB, knownB := probedPort(c, b)
	if !knownA || !knownB {
		return a.PortName == b.PortName && a.Port == b.Port
	}
	return portA == portB
}

// veryLong is what is longer than anything that matters: sums of a few do not overflow.
const veryLong = 50 * 365 * 24 * time.Hour

// repeated returns n times d.
func repeated(d time.Duration, n int32) time.Duration {
	if n <= 0 || d <= 0 {
		return 0
	}
	return min(d, veryLong/time.Duration(n)) * time.Duration(n)
}

// killedFrom returns how long after its start a container may be killed at the earliest, if the probe fails from the beginning.
func killedFrom(p *state.Probe) time.Duration {
	return min(p.InitialDelay, veryLong) + repeated(p.Period, p.Failure-1)
}

// killedBy returns how long after its start a container is killed at the latest, if the probe fails from the beginning.
func killedBy(p *state.Probe) time.Duration {
	return min(p.InitialDelay, veryLong) + repeated(p.Period, p.Failure) + min(p.Timeout, veryLong)
}
