// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	corev1 "k8s.io/api/core/v1"

	"stability-exporter/internal/settings"
	"stability-exporter/internal/state"
)

// convertConfigMap keeps the entries that may be a setting. Binary data never is one.
func convertConfigMap(c *corev1.ConfigMap, _ convertOptions) *state.ConfigMap {
	return &state.ConfigMap{Meta: identity(c), Entries: settings.FromConfigMap(c.Data)}
}
