// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"strconv"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"stability-exporter/internal/state"
)

// unreadyAnnotation is what publishNotReadyAddresses was before it was a field.
const unreadyAnnotation = "service.alpha.kubernetes.io/tolerate-unready-endpoints"

func convertService(s *corev1.Service, options convertOptions) *state.Service {
	service := &state.Service{
		Meta:            identity(s),
		Portless:        len(s.Spec.Ports) == 0,
		Headless:        s.Spec.ClusterIP == corev1.ClusterIPNone,
		PublishNotReady: s.Spec.PublishNotReadyAddresses,
		Ports:           servicePorts(s.Spec.Ports),
		Ignore:          ignore(&s.ObjectMeta),
	}
	if tolerates, err := strconv.ParseBool(s.Annotations[unreadyAnnotation]); err == nil && tolerates {
		service.PublishNotReady = true
	}
	if options.Middleware {
		service.Probing = probing(s)
	}
	if s.Spec.Type != corev1.ServiceTypeExternalName {
		service.Selector = state.SelectorFromMap(s.Spec.Selector)
	}
	return service
}

func servicePorts(all []corev1.ServicePort) []state.ServicePort {
	if len(all) == 0 {
		return nil
	}
	converted := make([]state.ServicePort, 0, min(len(all), maxPorts))
	for i := range all[:min(len(all), maxPorts)] {
		p := &all[i]
		s := state.ServicePort{Name: name(p.Name), Port: count(p.Port), UDP: notTCP(p.Protocol)}
		if p.TargetPort.Type == intstr.String {
			s.TargetName = name(p.TargetPort.StrVal)
		} else if s.Target = count(p.TargetPort.IntVal); s.Target == 0 {
			s.Target = s.Port // what the API server fills in
		}
		converted = append(converted, s)
	}
	return converted
}

// maxEndpoints is what the API accepts in one EndpointSlice.
const maxEndpoints = 1000

func convertEndpointSlice(e *discoveryv1.EndpointSlice, _ convertOptions) *state.EndpointSlice {
	slice := &state.EndpointSlice{
		Meta:     identity(e),
		Service:  name(e.Labels[discoveryv1.LabelServiceName]),
		HasPorts: len(e.Ports) > 0,
	}
	for i := range e.Endpoints[:min(len(e.Endpoints), maxEndpoints)] {
		endpoint := &e.Endpoints[i]
		target := ""
		switch {
		case endpoint.TargetRef != nil && endpoint.TargetRef.UID != "":
			target = string(endpoint.TargetRef.UID)
		case len(endpoint.Addresses) > 0:
			target = endpoint.Addresses[0]
		default:
			continue
		}
		// The API reads an absent ready as true and an absent serving (before 1.22) as equal to ready.
		ready := deref(endpoint.Conditions.Ready, true)
		slice.Endpoints = append(slice.Endpoints, state.Endpoint{
			Target:      state.ParseUID(target),
			Serving:     deref(endpoint.Conditions.Serving, ready),
			Terminating: deref(endpoint.Conditions.Terminating, false),
		})
	}
	return slice
}
