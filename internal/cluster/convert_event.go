// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"

	"stability-exporter/internal/state"
)

// The reasons of events that tell of probes (pkg/kubelet/events).
const (
	reasonUnhealthy    = "Unhealthy"
	reasonProbeWarning = "ProbeWarning"
	reasonKilling      = "Killing"
)

// frequentReasons lists the reasons of pods' events that never tell of a probe and of which every start of a pod brings some:
// four of the five events in the life of a pod with one container.
func frequentReasons() []string {
	return []string{"Scheduled", "Pulling", "Pulled", "Created", "Started", "BackOff", "FailedScheduling"}
}

// convertEvent returns nil for an event that tells nothing of a probe. Its count is not read: the kubelet's rate limit and
// the aggregation of similar events make it meaningless.
func convertEvent(e *corev1.Event, _ convertOptions) *state.ProbeEvent {
	container := containerPath(e.InvolvedObject.FieldPath)
	if e.InvolvedObject.Kind != "Pod" || container == "" {
		return nil
	}
	message := strings.TrimPrefix(text(e.Message, maxMessage), "(combined from similar events): ")
	event := &state.ProbeEvent{Pod: state.ParseUID(string(e.InvolvedObject.UID)), Container: name(container), Last: lastSeen(e)}
	known := false
	switch e.Reason {
	case reasonUnhealthy, reasonProbeWarning:
		known = probed(event, message)
	case reasonKilling:
		known = killed(event, message)
	}
	if !known {
		return nil
	}
	event.Meta = identity(e)
	return event
}

// containerPath returns the container of spec.containers{NAME} or spec.initContainers{NAME}.
func containerPath(fieldPath string) string {
	list, of, found := strings.Cut(fieldPath, "{")
	if !found || list != "spec.containers" && list != "spec.initContainers" {
		return ""
	}
	return strings.TrimSuffix(of, "}")
}

// probed reads the outcome of a probe: "Readiness probe failed: ...". The kubelet of Kubernetes 1.36 writes "probe errored and
// resulted in unknown state: ...", older ones "probe errored: ...".
func probed(event *state.ProbeEvent, message string) bool {
	first, rest, _ := strings.Cut(message, " probe ")
	for i, probeType := range state.ProbeTypes {
		if first != probeType {
			continue
		}
		event.ProbeType = uint8(i)
		event.Scheme = mixesSchemes(rest)
		switch {
		case strings.HasPrefix(rest, "failed"):
			event.Outcome = state.ProbeFailed
		case strings.HasPrefix(rest, "errored"):
			event.Outcome = state.ProbeErrored
			return !lostContainer(rest)
		case strings.HasPrefix(rest, "warning"): // the kubelet warns of redirects to other hosts alone
			event.Outcome = state.ProbeRedirected
		default:
			return false
		}
		return true
	}
	return false
}

// lostContainer finds the errors of a probe that only say that the container has ended or is about to: an exec probe races
// with every stop.
func lostContainer(message string) bool {
	return containsAny(message, "container not running", "CONTAINER_EXITED", "stopped state", "container not found", "not found in pod",
		"NotFound", "container is not created or running", "process already finished", "ttrpc: closed")
}

func containsAny(message string, phrases ...string) bool {
	return slices.ContainsFunc(phrases, func(phrase string) bool { return strings.Contains(message, phrase) })
}

// mixesSchemes finds what Go's HTTP client says when it speaks TLS to a server that does not, or the reverse.
func mixesSchemes(message string) bool {
	return containsAny(message, "server gave HTTP response to HTTPS client", "first record does not look like a TLS handshake",
		"Client sent an HTTP request to an HTTPS server", `malformed HTTP response "\x15\x03`)
}

// killed reads why a container is ended: "Container web failed liveness probe, will be restarted".
func killed(event *state.ProbeEvent, message string) bool {
	event.Outcome = state.ProbeKilled
	switch message = strings.ToLower(message); {
	case strings.Contains(message, "failed liveness probe"):
		event.ProbeType = 0
	case strings.Contains(message, "failed startup probe"):
		event.ProbeType = 2
	default:
		return false
	}
	return true
}

// lastSeen returns the newest time of an event: writers fill in different fields.
func lastSeen(e *corev1.Event) state.Time {
	last := max(moment(e.LastTimestamp.Time), moment(e.EventTime.Time), moment(e.FirstTimestamp.Time))
	if e.Series != nil {
		last = max(last, moment(e.Series.LastObservedTime.Time))
	}
	if last == 0 {
		last = moment(e.CreationTimestamp.Time)
	}
	return last
}

// coreEvent gives an event of the group events.k8s.io the form it has in the core group, as far as it is read. They are one
// object under two names.
func coreEvent(e *eventsv1.Event) *corev1.Event {
	core := &corev1.Event{
		ObjectMeta: e.ObjectMeta, InvolvedObject: e.Regarding, Reason: e.Reason, Message: e.Note, EventTime: e.EventTime,
		FirstTimestamp: e.DeprecatedFirstTimestamp, LastTimestamp: e.DeprecatedLastTimestamp,
	}
	if e.Series != nil {
		core.Series = &corev1.EventSeries{LastObservedTime: e.Series.LastObservedTime}
	}
	return core
}
