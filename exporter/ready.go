// SPDX-License-Identifier: Apache-2.0

package exporter

import (
	"fmt"
	"net/http"
	"strings"
)

// serveReady answers 503 until every permitted resource is synchronised, and names those that are not.
func (e *exporter) serveReady(w http.ResponseWriter, _ *http.Request) {
	var names []string
	for _, kind := range e.snapshot().Pending(e.reads).All() {
		names = append(names, kind.String())
	}
	if len(names) > 0 {
		http.Error(w, "not synchronised yet: "+strings.Join(names, ", "), http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ready")
}

func (e *exporter) routes() routes {
	return routes{
		telemetryPath: e.options.telemetryPath,
		metrics:       newScrapeHandler(e.gatherer, e.options.maxScrapes, e.loggers.own),
		ready:         e.serveReady,
		reload:        e.reload,
		inspected:     e.inspected,
		landing:       landingHandler(e.landing, e.loggers.own),
		probe:         &probeHandler{pool: e.prober.pool, modules: e.prober.modules, self: e.self, logger: e.loggers.own},
		targets:       sdHandler{e.prober.pool.Targets, e.loggers.own},
		profiling:     e.options.profiling,
	}
}
