// SPDX-License-Identifier: Apache-2.0

package exporter

import (
	"strings"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"stability-exporter/internal/state"
)

// logVerdicts returns a function that logs when the verdict on a target changes, with what is behind it.
func logVerdicts(logger log.Logger) func(before, after *state.MiddlewareView) {
	return func(before, after *state.MiddlewareView) {
		was, is := verdictOn(before), verdictOn(after)
		if was == is || before == nil && is == verdictHealthy {
			return
		}
		logger := log.With(logger, "middleware", after.Kind, "target", after.Target)
		if is == verdictHealthy {
			level.Info(logger).Log("msg", "target is healthy again")
			return
		}
		level.Warn(logger).Log("msg", "target is not healthy", "up", after.Up, "why", explain(after))
	}
}

const verdictHealthy = "healthy"

// verdictOn is the verdict on a target with its reasons, without what changes from probe to probe.
func verdictOn(v *state.MiddlewareView) string {
	if v == nil {
		return ""
	}
	if v.Healthy() {
		return verdictHealthy
	}
	var reasons []string
	for _, p := range v.Problems {
		reasons = append(reasons, p.Reason)
	}
	return strings.Join(reasons, ", ")
}

// explain tells each problem with its detail.
func explain(v *state.MiddlewareView) string {
	var problems []string
	for _, p := range v.Problems {
		problems = append(problems, p.Reason+": "+p.Detail)
	}
	return strings.Join(problems, "; ")
}
