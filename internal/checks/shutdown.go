// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"stability-exporter/internal/settings"
	"stability-exporter/internal/state"
)

// leastGrace is what the kubelet gives a container after its preStop hook even when the grace period is over (pkg/kubelet/kuberuntime).
const leastGrace = 2 * time.Second

// defaultGrace is terminationGracePeriodSeconds where nothing is written.
const defaultGrace = 30 * time.Second

// springPhase is spring.lifecycle.timeout-per-shutdown-phase where nothing is written.
const springPhase = 30 * time.Second

func shutdownChecks() []Check {
	return []Check{
		{
			ID: "grace_lt_prestop", Category: Shutdown, Levels: []Level{Info, Warning, Critical},
			English: "The preStop hook leaves the program no time to end",
			Chinese: "preStop 用完了优雅终止时间，程序来不及退出",
			Why: "terminationGracePeriodSeconds includes the preStop hook. A hook that sleeps as long or longer is cut off, and two seconds after SIGTERM the program is killed " +
				"with its requests under way, in every rollout. A grace period of 0 leaves the hook one second, and the pod's name is free while it still runs: another member of a " +
				"StatefulSet may start under it.",
			Fix: "terminationGracePeriodSeconds = the sleep + the time the program needs to end, and some seconds more.",
			Spares: "Hooks of which it cannot be seen how long they take. A grace period of 0 is a warning with such a hook and for StatefulSets; info behind Services, and for " +
				"DaemonSets, which often end at once on purpose.",
			OfContainer: graceUsedUp,
		},
		{
			ID: "grace_lt_app_shutdown", Category: Shutdown, Levels: []Level{Info},
			English: "The grace period is shorter than what the application takes to end",
			Chinese: "优雅终止时间短于应用自身的关闭时间",
			Why: "A Spring application that shuts down gracefully waits up to spring.lifecycle.timeout-per-shutdown-phase (30 s by default) for requests under way, after the preStop " +
				"hook. Kubernetes kills it before.",
			Fix: "terminationGracePeriodSeconds = the sleep of the preStop hook + the timeout per phase, and some seconds more.",
			Spares: "Applications that do not say that they shut down gracefully (server.shutdown, or that timeout): since Spring Boot 3.4 it is the default, but the version " +
				"cannot be seen. What is written inside of the image, or on a configuration server.",
			OfContainer: graceForApplication,
		},
		{
			ID: "no_drain", Category: Shutdown, Levels: []Level{Info},
			English: "Pods end while they are still being sent requests",
			Chinese: "没有 preStop，滚动更新时 Pod 退出前仍会收到请求",
			Why: "A pod gets SIGTERM at the same moment at which its endpoint is being removed. Proxies and load balancers learn of that later; what they send until then is refused, " +
				"in every rollout.",
			Fix:    "Add a preStop hook that sleeps for 5 to 15 seconds (lifecycle.preStop.sleep), and raise terminationGracePeriodSeconds by as much.",
			Spares: "A preStop hook of any container, a grace period above the default of 30 s (somebody has thought of it), StatefulSets, DaemonSets, and the strategy Recreate.",
			Reads:  state.KindSet(state.Services),

			OfWorkload: noDrain,
		},
	}
}

func graceUsedUp(c *ContainerSubject) Verdict {
	grace, hook := c.Template.Grace, c.PreStop
	left := grace - hook.Sleep
	switch {
	case c.Type == state.InitContainer:
	case hook.Sleep > 0 && left <= 0:
		return Verdict{Critical, fmt.Sprintf("preStop sleeps for %s, the grace period is %s", hook.Sleep, grace)}
	case hook.Sleep > 0 && left < leastGrace:
		return Verdict{Warning, fmt.Sprintf("preStop sleeps for %s, which leaves %s of the grace period of %s", hook.Sleep, left, grace)}
	case grace == 0 && hasHook(hook):
		return Verdict{c.atOnce(Warning), "the grace period is 0: the preStop hook gets 1s, the program 2s more"}
	case grace == 0 && c.isFirst() && (c.Kind == state.StatefulSets || c.Serving() && len(c.Services) > 0):
		return Verdict{c.atOnce(Info), "the grace period is 0: 2s after SIGTERM it is killed"}
	}
	return Verdict{}
}

// atOnce is the level of a grace period of 0. Daemons often have it on purpose, to be replaced quickly; members of a StatefulSet must not,
// because the successor may start while they still run.
func (c *ContainerSubject) atOnce(usual Level) Level {
	switch c.Kind {
	case state.DaemonSets:
		return Info
	case state.StatefulSets:
		return Warning
	}
	return usual
}

func hasHook(h state.Hook) bool { return h.Native || h.Handler != state.HandlerNone }

// isFirst tells of one container only what is true of the pod as a whole.
func (c *ContainerSubject) isFirst() bool {
	i := slices.IndexFunc(c.Template.Containers, func(other state.ContainerSpec) bool { return other.Type == state.AppContainer })
	return i >= 0 && c.ContainerSpec == &c.Template.Containers[i]
}

func graceForApplication(c *ContainerSubject) Verdict {
	if c.Type == state.InitContainer || len(c.InEffect()) == 0 {
		return Verdict{}
	}
	how, _ := settings.Value(c.InEffect(), settings.KeyShutdown)
	phase, known := shutdownPhase(c, strings.EqualFold(how, "graceful"))
	if !known || strings.EqualFold(how, "immediate") {
		return Verdict{}
	}
	if c.PreStop.Sleep+phase <= c.Template.Grace {
		return Verdict{}
	}
	return Verdict{Info, fmt.Sprintf("preStop sleeps for %s and a phase may take %s, the grace period is %s", c.PreStop.Sleep, phase, c.Template.Grace)}
}

// shutdownPhase returns how long a phase of the shutdown may take; known is false when that is written and not understood, and when nothing
// is written of an application that need not be graceful.
func shutdownPhase(c *ContainerSubject, graceful bool) (phase time.Duration, known bool) {
	for _, interval := range c.Intervals() {
		if interval.Row.Key == settings.KeyShutdownPhase {
			return interval.Effective, true
		}
	}
	written, _ := settings.Value(c.InEffect(), settings.KeyShutdownPhase)
	return springPhase, graceful && written == ""
}

func noDrain(w *WorkloadSubject) Verdict {
	if w.Kind != state.Deployments && w.Kind != state.ReplicaSets || w.Strategy != state.RollingUpdate || w.Desired == 0 || w.Template.Grace > defaultGrace {
		return Verdict{}
	}
	served := slices.IndexFunc(w.Services, func(s *state.Service) bool { return !s.PublishNotReady })
	if served < 0 || slices.ContainsFunc(w.Template.Containers, func(c state.ContainerSpec) bool { return hasHook(c.PreStop) }) {
		return Verdict{}
	}
	return Verdict{Info, fmt.Sprintf("no container behind the Service %s has a preStop hook", w.Services[served].Name)}
}
