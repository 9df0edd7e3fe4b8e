// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"log/slog"

	"k8s.io/klog/v2"
)

// SetLogger sends what the Kubernetes client libraries log to the given logger, whose level alone decides what is kept:
// klog's own verbosity flag is ignored, and its V(4) is debug. It sets a global of klog and is called once, at start.
func SetLogger(logger *slog.Logger) { klog.SetSlogLogger(logger) }
