// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"time"

	"stability-exporter/internal/state"
)

// probeTimingChecks are about how soon and how often a probe asks, as far as the spec alone tells.
func probeTimingChecks() []Check {
	return []Check{
		probeIdentical(), livenessHairTrigger(), timeoutGePeriod(), probeGraceOverride(), progressDeadlineLtStartup(),
	}
}

func probeIdentical() Check {
	return Check{
		ID: "probe_identical", Category: Probe, Levels: []Level{Info, Warning},
		English: "Liveness and readiness ask the same question",
		Chinese: "存活探针与就绪探针完全相同",
		Why: "What takes a container out of traffic also restarts it. It is a warning where liveness gives up no later than readiness: then a container that is " +
			"only busy is killed instead of being spared for a while, its load falls on the others, and they follow.",
		Fix: "Let liveness ask only whether the process still works, without dependencies; or at least give it a failureThreshold well above that of readiness.",
		Spares: "The same path on different ports: names are resolved first, so two names of one port are the same and two named ports are not. Headers and " +
			"the gRPC service count too. It is info where liveness has a minute or more to fail, where it asks only for a TCP connection or a process (what has none of these is " +
			"dead), and where liveness_includes_dependencies finds the same.",
		OfContainer: judgeIdentical,
	}
}

func judgeIdentical(c *ContainerSubject) Verdict {
	if c.Liveness == nil || c.Readiness == nil || c.Liveness.Handler == state.HandlerNone || !sameQuestion(c.ContainerSpec, c.Liveness, c.Readiness) {
		return Verdict{}
	}
	kill, spare := repeated(c.Liveness.Period, c.Liveness.Failure), repeated(c.Readiness.Period, c.Readiness.Failure)
	gone := c.Liveness.Handler == state.HandlerTCP || c.Liveness.Handler == state.HandlerExec && looksForProcess(c.Liveness.Command)
	if kill <= spare && kill < time.Minute && !gone && !forReadiness(c.Liveness.Path.String()) {
		return Verdict{Warning, fmt.Sprintf("the same question: killed after failing for %s, out of traffic after %s", kill, spare)}
	}
	return Verdict{Info, fmt.Sprintf("the same question: killed after failing for %s, out of traffic after %s", kill, spare)}
}

func livenessHairTrigger() Check {
	return Check{
		ID: "liveness_hair_trigger", Category: Probe, Levels: []Level{Warning},
		English: "A moment's pause is enough for the liveness probe to kill the container",
		Chinese: "存活探针过于敏感：短暂停顿即会重启容器",
		Why: "A long garbage collection, a slow disk or a busy node lasts for some seconds. A restart costs far more than it mends, and under load it comes " +
			"to all replicas at once.",
		Fix:    "Let liveness fail for at least 10 seconds, in more than one attempt, before it kills: periodSeconds 10 and failureThreshold 3, for example.",
		Spares: "Readiness and startup probes: they kill nothing that serves.",
		OfProbe: func(p *ProbeSubject) Verdict {
			if p.Type != "Liveness" || p.Handler == state.HandlerNone {
				return Verdict{}
			}
			switch patience := repeated(p.Period, p.Failure-1) + min(p.Timeout, veryLong); {
			case p.Failure == 1:
				return Verdict{Warning, fmt.Sprintf("one failed attempt kills (timeout %s)", p.Timeout)}
			case patience < 10*time.Second:
				return Verdict{Warning, fmt.Sprintf("%d attempts within %s kill", p.Failure, patience)}
			}
			return Verdict{}
		},
	}
}

func timeoutGePeriod() Check {
	return Check{
		ID: "timeout_ge_period", Category: Probe, Levels: []Level{Info},
		English: "The timeout of a probe is as long as its period, or longer",
		Chinese: "探针的超时时间大于或等于探测周期",
		Why: "Attempts do not overlap: while one waits, the next ones are left out. A container that hangs is found after failureThreshold times the timeout, " +
			"not times the period.",
		Fix: "Keep timeoutSeconds below periodSeconds, or know that the timeout is what counts.",
		OfProbe: func(p *ProbeSubject) Verdict {
			if p.Handler == state.HandlerNone || p.Timeout < p.Period {
				return Verdict{}
			}
			return Verdict{Info, fmt.Sprintf("%s probe: timeout %s, period %s", p.Type, p.Timeout, p.Period)}
		},
	}
}

func probeGraceOverride() Check {
	return Check{
		ID: "probe_grace_override", Category: Probe, Levels: []Level{Info},
		English: "A probe grants a longer end than the pod does",
		Chinese: "探针设置的终止宽限期长于 Pod 的宽限期",
		Why: "A container that hangs and is killed for it has the grace period of the probe, usually set to shorten its end. A longer one keeps the broken container " +
			"around for longer than a proper stop would take.",
		Fix: "Set terminationGracePeriodSeconds of the probe below that of the pod, or leave it out.",
		OfProbe: func(p *ProbeSubject) Verdict {
			if p.Type == "Readiness" || p.Probe.Grace <= max(p.Template.Grace, 0) {
				return Verdict{}
			}
			return Verdict{Info, fmt.Sprintf("%s probe: %s, the pod: %s", p.Type, p.Probe.Grace, p.Template.Grace)}
		},
	}
}

func progressDeadlineLtStartup() Check {
	return Check{
		ID: "progress_deadline_lt_startup", Category: Probe, Levels: []Level{Info},
		English: "A rollout counts as failed while its pods may still be starting",
		Chinese: "发布期限短于探针允许的启动时间：Pod 仍在启动时发布即被判为失败",
		Why: "The Deployment is reported as stuck (ProgressDeadlineExceeded), and pipelines that wait for it give up or roll back, although every pod is within the " +
			"time that its probes give it.",
		Fix:        "Set progressDeadlineSeconds above what the startup probe allows plus minReadySeconds, or shorten the startup probe.",
		Spares:     "Workloads other than Deployments: they have no such deadline.",
		OfWorkload: judgeProgressDeadline,
	}
}

func judgeProgressDeadline(w *WorkloadSubject) Verdict {
	if w.Kind != state.Deployments || w.ProgressDeadline == 0 {
		return Verdict{}
	}
	var longest time.Duration
	for _, c := range longRunning(w.Template) {
		switch {
		case c.Startup != nil:
			longest = max(longest, killedBy(c.Startup))
		case c.Liveness != nil:
			longest = max(longest, killedBy(c.Liveness))
		}
	}
	if longest == 0 || w.ProgressDeadline >= longest+w.MinReady {
		return Verdict{}
	}
	return Verdict{Info, fmt.Sprintf("the rollout has %s, a start %s and minReadySeconds %s", w.ProgressDeadline, longest, w.MinReady)}
}
