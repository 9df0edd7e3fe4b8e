// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"time"

	"stability-exporter/internal/state"
)

// probeStartChecks are about how long containers take to start, as their pods have shown, against what their probes allow.
func probeStartChecks() []Check {
	return []Check{livenessBudgetLtStart(), startupBudget(), killedByLivenessAtStart(), startupMissingSlow()}
}

func livenessBudgetLtStart() Check {
	return Check{
		ID: "liveness_budget_lt_start", Category: Probe, Levels: []Level{Warning, Critical}, Reads: state.KindSet(state.Pods),
		English: "The container took longer to start than its liveness probe allows",
		Chinese: "容器实际启动时间超过存活探针允许的时间",
		Why: "There is no startup probe, so liveness counts from the start of the container. One that starts a little slower than it did (a cold cache, a busy node) " +
			"is killed before it is up, starts anew, and is killed again. Beyond the last moment that liveness allows it is luck that it ever came up.",
		Fix: "Add a startupProbe with the same question and a failureThreshold for the slowest start to be expected; leave liveness as short as it is.",
		Spares: "Liveness that asks something else than readiness: what became ready later than liveness allows, without a restart, proves that liveness had passed by " +
			"then. Time that readiness lets pass by itself (initialDelaySeconds, successThreshold). Containers with a startup probe: see startup_budget.",
		OfContainer: judgeLivenessBudget,
	}
}

func judgeLivenessBudget(c *ContainerSubject) Verdict {
	if c.Liveness == nil || c.Startup != nil || c.Readiness == nil || !sameQuestion(c.ContainerSpec, c.Liveness, c.Readiness) {
		return Verdict{}
	}
	took := startedAfter(c)
	switch from, by := killedFrom(c.Liveness), killedBy(c.Liveness); {
	case took > by:
		return Verdict{Critical, fmt.Sprintf("it took %s to answer, and is killed after %s at the latest", took, by)}
	case took > from:
		return Verdict{Warning, fmt.Sprintf("it took %s to answer, and may be killed from %s on", took, from)}
	}
	return Verdict{}
}

// startedAfter returns within what time after its start the container first answered its readiness probe. It is zero while no start was
// observed, and where nothing shows that the container ever failed to answer: then the time is that of the probe, not of the start.
func startedAfter(c *ContainerSubject) time.Duration {
	fact := startOf(c)
	if c.Readiness == nil || fact.ToReady == 0 {
		return 0
	}
	answered := fact.ToReady - repeated(c.Readiness.Period, c.Readiness.Success-1)
	if answered <= c.Readiness.InitialDelay+c.Readiness.Period+c.Readiness.Timeout {
		return 0
	}
	return answered
}

// startOf returns what is known of the starts of the container; the zero StartFact when that is nothing.
func startOf(c *ContainerSubject) state.StartFact {
	for _, fact := range c.Starts {
		if fact.Container == c.ContainerSpec.Name {
			return fact
		}
	}
	return state.StartFact{}
}

func startupBudget() Check {
	return Check{
		ID: "startup_budget", Category: Probe, Levels: []Level{Critical}, Reads: state.KindSet(state.Pods),
		English: "The container started with the last attempt that its startup probe allows",
		Chinese: "容器启动时间已达到启动探针允许的上限",
		Why: "A start that is a little slower, on a busy node or with more data, does not end before the container is killed: it never comes up again, and neither " +
			"does any replica that is started under the same conditions.",
		Fix:    "Raise failureThreshold of the startup probe: it costs nothing where the start is quick, for the probe ends with its first success.",
		Spares: "A startup probe with a single attempt: that it passed tells nothing of how near it was.",
		OfContainer: func(c *ContainerSubject) Verdict {
			took := startOf(c).ToStarted
			if c.Startup == nil || c.Startup.Failure < 2 || took <= killedFrom(c.Startup) {
				return Verdict{}
			}
			return Verdict{Critical, fmt.Sprintf("it took %s to start, and may be killed from %s on", took, killedFrom(c.Startup))}
		},
	}
}

func killedByLivenessAtStart() Check {
	return Check{
		ID: "killed_by_liveness_at_start", Category: Probe, Levels: []Level{Warning, Critical}, Reads: state.KindSet(state.Pods),
		English: "The container is killed by its liveness or startup probe before it has started",
		Chinese: "容器在启动完成前被存活（或启动）探针终止",
		Why: "Every attempt to start is cut off. It looks like a crash of the program, and its log shows nothing but an orderly end. It is critical while a container that " +
			"was killed so is still not up.",
		Fix: "Add a startupProbe, or raise its failureThreshold, so that it allows for the slowest start.",
		Spares: "Containers that ended by themselves or for want of memory, and those that had been ready before: the time at which they ended tells these " +
			"apart, without events.",
		OfContainer: func(c *ContainerSubject) Verdict {
			fact, probe, name := startOf(c), c.Startup, "startup"
			if probe == nil {
				probe, name = c.Liveness, "liveness"
			}
			if probe == nil || fact.KilledAtStart == 0 {
				return Verdict{}
			}
			detail := fmt.Sprintf("%d pods: killed within the %s to %s that the %s probe allows, before ever being ready", fact.KilledAtStart, killedFrom(probe),
				killedBy(probe), name)
			if fact.Recovered {
				return Verdict{Warning, detail + "; up since"}
			}
			return Verdict{Critical, detail}
		},
	}
}

func startupMissingSlow() Check {
	return Check{
		ID: "startup_missing_slow", Category: Probe, Levels: []Level{Info},
		English: "A slow start is bridged by the liveness probe itself",
		Chinese: "启动较慢的容器没有启动探针",
		Why: "Without a startup probe the liveness probe has to wait for the slowest start, after every restart, and a hung container is found that much later; or it does not " +
			"wait, and kills a slow one.",
		Fix:    "Add a startupProbe with the same question, and drop initialDelaySeconds of the liveness probe.",
		Spares: "Containers without a liveness probe; starts that look slow because readiness only asks late (initialDelaySeconds).",
		OfContainer: func(c *ContainerSubject) Verdict {
			if c.Liveness == nil || c.Startup != nil {
				return Verdict{}
			}
			if took := startedAfter(c); took > 30*time.Second {
				return Verdict{Info, fmt.Sprintf("it took %s to start", took)}
			}
			if delay := c.Liveness.InitialDelay; delay >= time.Minute {
				return Verdict{Info, fmt.Sprintf("the liveness probe waits for %s", delay)}
			}
			return Verdict{}
		},
	}
}
