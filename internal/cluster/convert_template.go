// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"math"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"stability-exporter/internal/state"
)

// The caps of a template. Nothing genuine comes near them; what is above is left out.
const (
	maxPorts      = 1024 // of a container or a Service: media servers declare ranges one by one
	maxSpread     = 64   // terms of each kind
	maxIgnored    = 64   // ids that one annotation names
	maxArguments  = 64   // words of a command
	maxArgument   = 2048 // bytes of one; scripts are longer at times
	maxProbePath  = 1024
	maxHookScript = 4096 // bytes that are searched for sleeps
)

// template converts what the pods of an object are made from. options.Document is searched for misspelt fields, and so is
// the annotation of the object, whose metadata m is.
func template(m *metav1.ObjectMeta, path templatePath, podLabels map[string]string, spec *corev1.PodSpec, options convertOptions) *state.Template {
	t := &state.Template{
		Labels:      labels(podLabels),
		HostNetwork: spec.HostNetwork,
		RunsToEnd:   spec.RestartPolicy == corev1.RestartPolicyNever || spec.RestartPolicy == corev1.RestartPolicyOnFailure,
		Grace:       seconds(deref(spec.TerminationGracePeriodSeconds, defaultTerminationGrace)),
		Pinned:      path != inPod && spec.NodeName != "" || selectsNodes(spec), // a pod's nodeName is the scheduler's
		Spread:      spread(spec, m.Namespace),
		Dropped:     droppedFields(m, path, options),
	}
	inits := spec.InitContainers[:min(len(spec.InitContainers), maxContainers)]
	apps := spec.Containers[:min(len(spec.Containers), maxContainers)]
	t.Containers = make([]state.ContainerSpec, 0, len(inits)+len(apps))
	for i := range inits {
		t.Containers = append(t.Containers, containerSpec(initType(&inits[i]), &inits[i], spec))
	}
	for i := range apps {
		t.Containers = append(t.Containers, containerSpec(state.AppContainer, &apps[i], spec))
	}
	return t
}

// initType tells sidecars from init containers that end.
func initType(c *corev1.Container) state.ContainerType {
	if deref(c.RestartPolicy, "") == corev1.ContainerRestartPolicyAlways {
		return state.SidecarContainer
	}
	return state.InitContainer
}

func containerSpec(t state.ContainerType, c *corev1.Container, pod *corev1.PodSpec) state.ContainerSpec {
	spec := state.ContainerSpec{
		Name:       name(c.Name),
		Type:       t,
		Image:      image(c.Image),
		Ports:      ports(c.Ports, pod.HostNetwork),
		Liveness:   probe(c.LivenessProbe),
		Readiness:  probe(c.ReadinessProbe),
		Startup:    probe(c.StartupProbe),
		Requests:   resources(c.Resources.Requests),
		Limits:     resources(c.Resources.Limits),
		References: references(c, pod.Volumes),
	}
	if c.Lifecycle != nil {
		spec.PreStop = hook(c.Lifecycle.PreStop)
	}
	spec.Settings, spec.Java = ownSettings(c)
	return spec
}

func ports(all []corev1.ContainerPort, hostNetwork bool) []state.Port {
	if len(all) == 0 {
		return nil
	}
	converted := make([]state.Port, 0, min(len(all), maxPorts))
	for i := range all[:min(len(all), maxPorts)] {
		p := &all[i]
		port := state.Port{Name: name(p.Name), Number: count(p.ContainerPort), HostPort: count(p.HostPort), UDP: notTCP(p.Protocol)}
		if hostNetwork {
			port.HostPort = port.Number // the API server fills it in and takes no other
		}
		converted = append(converted, port)
	}
	return converted
}

func notTCP(p corev1.Protocol) bool { return p != "" && p != corev1.ProtocolTCP }

// image takes an image reference apart: [registry/]repository[:tag][@algorithm:digest]. What is none, a reference with
// credentials in it among others, becomes "invalid" as a whole.
func image(reference string) state.Image {
	if strings.Contains(reference, "://") {
		return state.Image{} // a build tool puts the image there: ko://
	}
	rest, digest, pinned := strings.Cut(text(reference, 4096), "@")
	if host, path, found := strings.Cut(rest, "/"); found && isHost(host) {
		rest = path
	}
	// A colon before the last slash belongs to nothing that a repository may have.
	repository, tag := rest, ""
	if colon := strings.LastIndexByte(rest, ':'); colon > strings.LastIndexByte(rest, '/') {
		repository, tag = rest[:colon], rest[colon+1:]
	}
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
	if strings.Trim(repository, allowed+"/") != "" || strings.Trim(tag, allowed) != "" || strings.ContainsAny(digest, "@/") {
		return state.Image{Repository: name("invalid"), Tag: name("invalid")}
	}
	return state.Image{Repository: name(repository), Tag: name(tag), Digest: pinned}
}

func resources(list corev1.ResourceList) state.Resources {
	return state.Resources{CPU: quantity(list, corev1.ResourceCPU), Memory: quantity(list, corev1.ResourceMemory)}
}

func quantity(list corev1.ResourceList, of corev1.ResourceName) state.Quantity {
	q, set := list[of]
	if !set {
		return state.Quantity{}
	}
	return state.Quantity{Set: true, Milli: milli(&q)}
}

// milli returns a quantity in thousandths, rounded up, between zero and math.MaxInt64.
func milli(q *resource.Quantity) int64 {
	if q.CmpInt64(math.MaxInt64/1000) > 0 {
		return math.MaxInt64
	}
	return max(q.MilliValue(), 0)
}

// The annotations that exempt an object from checks.
const (
	ignoreAnnotation       = "stability-exporter/ignore"
	ignoreReasonAnnotation = "stability-exporter/ignore-reason"
)

func ignore(m *metav1.ObjectMeta) state.Ignore {
	ids := m.Annotations[ignoreAnnotation]
	if ids == "" {
		return state.Ignore{}
	}
	ignored := state.Ignore{Reasoned: strings.TrimSpace(m.Annotations[ignoreReasonAnnotation]) != ""}
	for id := range strings.SplitSeq(ids, ",") {
		if id = strings.TrimSpace(id); id != "" && len(ignored.Checks) < maxIgnored {
			ignored.Checks = append(ignored.Checks, state.Sym(text(id, maxReason)))
		}
	}
	return ignored
}

// positive returns what the API fills in for zero also for what is less, which it refuses.
func positive(n, absent int32) int32 {
	if n <= 0 {
		return absent
	}
	return n
}

// interval returns a number of seconds of a probe, with its default.
func interval(n, absent int32) time.Duration { return seconds(int64(positive(n, absent))) }
