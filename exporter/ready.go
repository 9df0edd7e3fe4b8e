// SPDX-License-Identifier: Apache-2.0

package exporter

import (
	"fmt"
	"net/http"
	"strings"

	"stability-exporter/internal/state"
)

// pending returns the kinds of which it is not known yet whether they can be observed. A kind that the source has not
// announced is one of them: it has not begun.
func pending(s *state.Snapshot, kinds state.Kinds) state.Kinds {
	for _, r := range s.Resources {
		if r.Observation != state.Pending {
			kinds &^= state.KindSet(r.Kind)
		}
	}
	return kinds
}

// serveReady answers 503 until every permitted resource is synchronised, and names those that are not.
func (e *exporter) serveReady(w http.ResponseWriter, _ *http.Request) {
	var names []string
	for _, kind := range pending(e.snapshot(), e.reads).All() {
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
		landing:       landingHandler(e.landing, e.loggers.own),
		profiling:     e.options.profiling,
	}
}
