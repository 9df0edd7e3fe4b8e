// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	corev1 "k8s.io/api/core/v1"

	"stability-exporter/internal/state"
)

func convertConfigMap(c *corev1.ConfigMap, _ convertOptions) *state.ConfigMap {
	return &state.ConfigMap{Meta: identity(c)}
}

func convertEvent(e *corev1.Event, _ convertOptions) *state.ProbeEvent {
	return &state.ProbeEvent{Meta: identity(e), Last: moment(e.LastTimestamp.Time)}
}
