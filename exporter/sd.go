// SPDX-License-Identifier: Apache-2.0

package exporter

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"stability-exporter/internal/middleware"
)

// sdPath is where targets are listed for http_sd_configs.
const sdPath = "/sd"

// sdGroup is one element of the answer (https://prometheus.io/docs/prometheus/latest/http_sd/).
type sdGroup struct {
	Targets []string          `json:"targets"`
	Labels  map[string]string `json:"labels"`
}

// sdHandler lists all middleware targets, configured and discovered, for those who scrape /probe: each as an element of its own with the label
// __param_target. ?kind= limits the list to one kind, ?by=group names every group instead of its members. Labels that would stay on the series
// are not set: the answers of /probe have middleware and target already. Addresses are not told.
type sdHandler struct {
	targets func() []*middleware.Target
	logger  log.Logger
}

// ServeHTTP implements http.Handler.
func (h sdHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	kind, by := r.FormValue("kind"), r.FormValue("by")
	if err := checkSD(kind, by); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	groups := []sdGroup{} // no targets are an empty list, not null
	for _, t := range h.targets() {
		if kind != "" && t.Kind.Name != kind {
			continue
		}
		name := t.Name
		if by == "group" {
			name = cmp.Or(t.Group, t.Name)
		}
		if n := len(groups); n > 0 && groups[n-1].Targets[0] == name { // the members of a group follow one another
			continue
		}
		labels := map[string]string{"__param_target": name, "__meta_stability_middleware": t.Kind.Name}
		if t.Group != "" {
			labels["__meta_stability_group"] = t.Group
		}
		groups = append(groups, sdGroup{[]string{name}, labels})
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(groups); err != nil {
		level.Debug(h.logger).Log("msg", "client of "+sdPath+" went away", "err", err)
	}
}

// checkSD refuses what would silently give an empty list, or another one than was asked for.
func checkSD(kind, by string) error {
	var known []string
	for _, k := range middleware.Kinds() {
		known = append(known, k.Name)
	}
	slices.Sort(known)
	switch {
	case kind != "" && !slices.Contains(known, kind):
		return fmt.Errorf("there is no kind %q: known are %s", kind, strings.Join(known, ", "))
	case by != "" && by != "group":
		return fmt.Errorf("there is no way to list targets by %q: give by=group or leave it out", by)
	}
	return nil
}
