// SPDX-License-Identifier: Apache-2.0

package collectors

import (
	"github.com/go-kit/log"

	"stability-exporter/internal/state"
)

var (
	serviceReadyEndpoints = gauge("stability_service_ready_endpoints",
		"Backends that serve and are not shutting down, of a Service with a selector. 0 means that every connection to the "+
			"Service fails.",
		"namespace", "service")
	serviceNoEndpoints = sparseGauge("stability_service_no_endpoints",
		"1 when the Service has no backend, by cause: no_matching_pods (look at the selector), pods_missing (its workload wants pods "+
			"and has none: look at the workload), scaled_to_zero, pods_not_ready, port_mismatch (no pod has the target port), "+
			"only_terminating, unknown (what would tell may not be read). No series means that it has one.",
		"namespace", "service", "cause")
	serviceEndpointsLost = sparseGauge("stability_service_endpoints_lost",
		"1 when the Service had backends, has none now and nobody scaled it to zero: an outage, by the cause of "+
			"stability_service_no_endpoints. No series means that none is known.",
		"namespace", "service", "cause")
	serviceNoEndpointsSince = sparseGauge("stability_service_no_endpoints_since_timestamp_seconds",
		"Since when the Service has no backend, in Unix seconds. Exact while the exporter watches; for what is older than its first "+
			"look, since when its pods prove it. No series means that it has one.",
		"namespace", "service")
)

// service is the collector of Services without endpoints.
type service struct{}

func serviceSpec() Spec {
	return Spec{
		Name:     "service",
		Help:     "Services, how many backends they have, and why they have none.",
		Default:  true,
		Reads:    workloadKinds | state.KindSet(state.Services, state.EndpointSlices, state.Pods),
		Families: []*Family{serviceReadyEndpoints, serviceNoEndpoints, serviceEndpointsLost, serviceNoEndpointsSince},
		New:      func(log.Logger) Collector { return service{} },
	}
}

// Collect implements Collector.
func (service) Collect(s *state.Snapshot, emit *Emitter) error {
	if !s.Observed(state.KindSet(state.Services, state.EndpointSlices)) {
		return nil
	}
	for i := range s.Services {
		v := &s.Services[i]
		emit.Emit(serviceReadyEndpoints, float64(v.ReadyEndpoints), v.Namespace, v.Name)
		if v.Cause != "" {
			emit.Emit(serviceNoEndpoints, 1, v.Namespace, v.Name, v.Cause)
			if v.EmptySince != 0 {
				emit.Emit(serviceNoEndpointsSince, float64(v.EmptySince), v.Namespace, v.Name)
			}
		}
		if v.Lost {
			emit.Emit(serviceEndpointsLost, 1, v.Namespace, v.Name, v.Cause)
		}
	}
	return nil
}
