// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"

	"stability-exporter/internal/state"
)

// probeEventChecks are about what events of the last minutes tell of probes: that they were seen, never how often.
func probeEventChecks() []Check {
	return []Check{probeCurrentlyFailing(), probeErrored(), probeRedirect()}
}

// factsOf returns what events told of the probe.
func factsOf(p *ProbeSubject) []state.ProbeFact {
	var facts []state.ProbeFact
	for _, fact := range p.SetupView.Probes {
		if fact.Container == p.ContainerSpec.Name && state.ProbeTypes[fact.ProbeType] == p.Type {
			facts = append(facts, fact)
		}
	}
	return facts
}

func eventTells(p *ProbeSubject, outcome state.ProbeOutcome) bool {
	for _, fact := range factsOf(p) {
		if fact.Outcome == outcome {
			return true
		}
	}
	return false
}

// allReady reports whether no pod of the workload waits for anything.
func allReady(w *state.SetupView) bool { return w.Pods > 0 && w.Ready >= w.Pods }

func probeCurrentlyFailing() Check {
	return Check{
		ID: "probe_currently_failing", Category: Probe, Levels: []Level{Warning}, Reads: state.KindSet(state.Events, state.Pods),
		English: "A probe is failing",
		Chinese: "探针正在失败",
		Why: "Events of the last 11 minutes say so. A failing readiness probe keeps the pod out of traffic; a failing liveness probe restarts the container when it goes on, " +
			"or has done so.",
		Fix: "Look at the event (kubectl describe pod): a timeout points to load or to timeoutSeconds, a refused connection to the port or to a program that is not up, a status " +
			"code to the program itself.",
		Spares: "Startup probes that fail, which is what they are for; readiness probes while all pods are ready: every start fails a few attempts. Events of " +
			"pods that are gone.",
		OfProbe: func(p *ProbeSubject) Verdict {
			switch failed := eventTells(p, state.ProbeFailed); {
			case eventTells(p, state.ProbeKilled):
				return Verdict{Warning, fmt.Sprintf("%s probe: the container was killed for it within the last 11 minutes", p.Type)}
			case failed && p.Type == "Liveness":
				return Verdict{Warning, "Liveness probe: failed within the last 11 minutes"}
			case failed && p.Type == "Readiness" && !allReady(p.SetupView):
				return Verdict{Warning, fmt.Sprintf("Readiness probe: failed within the last 11 minutes, and %d of %d pods are ready", p.Ready, p.Pods)}
			}
			return Verdict{}
		},
	}
}

func probeErrored() Check {
	return Check{
		ID: "probe_errored", Category: Probe, Levels: []Level{Critical}, Reads: state.KindSet(state.Events, state.Pods),
		English: "A probe cannot be asked, and its result is thrown away",
		Chinese: "探针无法执行，其结果被丢弃",
		Why: "A program that does not exist, or a port name that nobody declares: such an attempt counts neither as passed nor as failed. Liveness never acts, readiness " +
			"never passes, and behind a startup probe the pod waits for ever.",
		Fix:    "The event (kubectl describe pod) says what is missing: mend the command or the port.",
		Spares: "Readiness and startup probes while all pods are ready: then they have been asked.",
		OfProbe: func(p *ProbeSubject) Verdict {
			if !eventTells(p, state.ProbeErrored) || p.Type != "Liveness" && allReady(p.SetupView) {
				return Verdict{}
			}
			return Verdict{Critical, fmt.Sprintf("%s probe: could not be asked within the last 11 minutes", p.Type)}
		},
	}
}

func probeRedirect() Check {
	return Check{
		ID: "probe_redirect", Category: Probe, Levels: []Level{Warning}, Reads: state.KindSet(state.Events, state.Pods),
		English: "An HTTP probe is redirected to another host, which counts as success",
		Chinese: "HTTP 探针被重定向到其他主机，结果总被视为成功",
		Why: "The kubelet does not follow redirects to other hosts and takes them for a success: the probe passes as long as something redirects, a login page " +
			"for example, whatever the program behind it does.",
		Fix:    "Ask a path that answers by itself, without authentication; where a virtual host is needed, set the HTTP header Host.",
		Spares: "Redirects within the pod: they are followed.",
		OfProbe: func(p *ProbeSubject) Verdict {
			if !eventTells(p, state.ProbeRedirected) {
				return Verdict{}
			}
			return Verdict{Warning, fmt.Sprintf("%s probe: redirected within the last 11 minutes", p.Type)}
		},
	}
}
