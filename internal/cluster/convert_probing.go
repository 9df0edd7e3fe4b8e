// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"

	"stability-exporter/internal/state"
)

// The annotations of Services that ask for a probe, and the labels that tell what stands behind one
// (https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/).
const (
	probeAnnotation           = "stability-exporter/probe"
	portAnnotation            = "stability-exporter/port"
	probeCredentialAnnotation = "stability-exporter/probe-credential"
	expectedMembersAnnotation = "stability-exporter/expected-members"

	appLabel       = "app.kubernetes.io/name"
	componentLabel = "app.kubernetes.io/component"
)

// maxProbing bounds what somebody wrote into such an annotation; what is longer is no kind, port or name anyway.
const maxProbing = 128

// probing returns what a Service tells of itself for the discovery of middleware; nil when that is nothing.
func probing(s *corev1.Service) *state.Probing {
	asked := func(annotation string) state.Symbol { return state.Sym(text(s.Annotations[annotation], maxProbing)) }
	p := state.Probing{
		Probe: asked(probeAnnotation), Port: asked(portAnnotation), Credential: asked(probeCredentialAnnotation),
		ExpectedMembers: asked(expectedMembersAnnotation), App: name(s.Labels[appLabel]), Component: name(s.Labels[componentLabel]),
		External: s.Spec.Type == corev1.ServiceTypeExternalName,
	}
	if p == (state.Probing{}) {
		return nil
	}
	return &p
}

// address returns an IP address in the form of the model; the zero one for what is none.
func address(ip string) state.Address {
	addr, err := netip.ParseAddr(ip)
	if err != nil || addr.Zone() != "" {
		return state.Address{}
	}
	return addr.As16()
}
