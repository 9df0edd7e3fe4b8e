// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"stability-exporter/internal/state"
)

func TestConvertProbing(t *testing.T) {
	kept := convertOptions{Middleware: true}
	service := decode[corev1.Service](t, `{"metadata": {"name": "cache", "namespace": "shop", "labels": {"app.kubernetes.io/name": "redis",
	 "app.kubernetes.io/component": "node"}, "annotations": {"stability-exporter/probe": "redis", "stability-exporter/port": "6380",
	 "stability-exporter/probe-credential": "cache", "stability-exporter/expected-members": "3"}}, "spec": {"type": "ExternalName"}}`)
	compare(t, convertService(service, kept).Probing, &state.Probing{Probe: state.Sym("redis"), Port: state.Sym("6380"), Credential: state.Sym("cache"),
		ExpectedMembers: state.Sym("3"), App: state.Sym("redis"), Component: state.Sym("node"), External: true})
	if got := convertService(service, convertOptions{}).Probing; got != nil {
		t.Errorf("kept although discovery is off: %+v", got)
	}
	if got := convertService(&corev1.Service{}, kept).Probing; got != nil {
		t.Errorf("a Service that tells nothing has %+v", got)
	}
	service.Annotations[probeAnnotation] = strings.Repeat("x", 10_000)
	if got := len(convertService(service, kept).Probing.Probe.String()); got != maxProbing {
		t.Errorf("%d bytes of an annotation are kept", got)
	}
}

func TestConvertAddress(t *testing.T) {
	for ip, want := range map[string]state.Address{
		"10.0.0.7": {10: 0xff, 11: 0xff, 12: 10, 15: 7}, "fd00::7": {0: 0xfd, 15: 7}, "": {}, "redis-0": {}, "fe80::1%eth0": {}, "10.0.0.7:6379": {},
	} {
		pod := &corev1.Pod{Status: corev1.PodStatus{PodIP: ip}}
		compare(t, convertPod(pod, convertOptions{Middleware: true}).Address, want)
		compare(t, convertPod(pod, convertOptions{}).Address, state.Address{})
	}
}

func TestConvertFirstOrdinal(t *testing.T) {
	set := decode[appsv1.StatefulSet](t, `{"spec": {"ordinals": {"start": 5}}}`)
	compare(t, convertStatefulSet(set, convertOptions{}).FirstOrdinal, 5)
}

// Discovery asks for nothing that is not granted anyway, and never for Secrets or EndpointSlices.
func TestDiscoveryNeedsNoFurtherPermission(t *testing.T) {
	for _, rule := range PolicyRules(state.DiscoveryReads()) {
		for _, resource := range rule.Resources {
			if resource == "secrets" || resource == "endpointslices" || resource == "endpoints" {
				t.Errorf("the role lets read %s", resource)
			}
		}
		for _, verb := range rule.Verbs {
			if verb != "list" && verb != "watch" && verb != "get" {
				t.Errorf("the role has the verb %s", verb)
			}
		}
	}
	for _, k := range state.DiscoveryReads().All() {
		if kindOf(k).OnRequest {
			t.Errorf("%s is no part of the ClusterRole", k)
		}
	}
}
