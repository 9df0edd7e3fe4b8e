// SPDX-License-Identifier: Apache-2.0

package exporter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/go-kit/log"

	"stability-exporter/collectors"
	"stability-exporter/internal/middleware"
	"stability-exporter/internal/state"
)

// timeoutHeader is where Prometheus and vmagent say how many seconds they wait for an answer; vmagent sends a fraction.
const timeoutHeader = "X-Prometheus-Scrape-Timeout-Seconds"

// probeHandler serves /probe: one target, asked now, in the families of /metrics. A target that is down is an answer like any other.
type probeHandler struct {
	pool    *middleware.Pool
	modules func() map[string]*middleware.Module
	self    *selfMetrics
	logger  log.Logger
}

// refusal is why a request for a probe gets no answer.
type refusal struct {
	status int
	why    string // the label why of stability_exporter_probe_requests_refused_total
	text   string
}

// Error implements error.
func (r *refusal) Error() string { return r.text }

// ServeHTTP implements http.Handler.
func (h *probeHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	views, err := h.ask(r)
	var refused *refusal
	switch {
	case errors.As(err, &refused):
		h.self.refuse(refused.why)
		http.Error(w, refused.text, refused.status)
		return
	case err != nil:
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if r.URL.Query().Get("debug") == "true" {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		describeViews(w, views)
		return
	}
	spec := collectors.Middleware()
	e := collectors.NewEmitter(spec.Families)
	err = errors.Join(spec.New(h.logger).Collect(&state.Snapshot{Middleware: views}, e), e.Err())
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", textFormat)
	_, _ = w.Write(e.AppendTo(nil)) // whoever asked may have gone away
}

// ask returns the views of what a request asks for: a target, or the members of a group and the group.
func (h *probeHandler) ask(r *http.Request) ([]*state.MiddlewareView, error) {
	patience, err := patienceOf(r.Header.Get(timeoutHeader))
	if err != nil {
		return nil, err
	}
	name, module := r.URL.Query().Get("target"), r.URL.Query().Get("module")
	targets, err := h.targets(name, module)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	views, errs := make([]*state.MiddlewareView, len(targets)), make([]error, len(targets))
	var all sync.WaitGroup
	for i, t := range targets {
		all.Go(func() { views[i], errs[i] = h.pool.Ask(ctx, module+"\x00"+t.Name, t) })
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, &refusal{http.StatusServiceUnavailable, "busy", err.Error() + ": raise middleware.concurrency in the configuration"}
	}
	if len(targets) > 0 && targets[0].Group == name && module == "" {
		views = append(views, middleware.Group(targets, views))
	}
	return views, nil
}

// targets returns what is to be asked. Only what is configured or discovered has a name; any other address needs a module that allows it.
func (h *probeHandler) targets(name, module string) ([]*middleware.Target, error) {
	if name == "" {
		return nil, &refusal{http.StatusBadRequest, "bad_request", "give a target: /probe?target=NAME, or /probe?target=ADDRESS&module=NAME"}
	}
	if module == "" {
		targets := h.pool.Named(name)
		if len(targets) == 0 {
			return nil, &refusal{http.StatusBadRequest, "unknown_target", fmt.Sprintf("there is no target %q: "+
				"add it to middleware.targets in the configuration, or give a module that may ask the address", name)}
		}
		return targets, nil
	}
	m := h.modules()[module]
	if m == nil {
		return nil, &refusal{http.StatusBadRequest, "unknown_module",
			fmt.Sprintf("there is no module %q: add it to middleware.modules in the configuration", module)}
	}
	target, err := m.Target(name, name)
	if err != nil {
		return nil, &refusal{http.StatusBadRequest, "bad_address", err.Error()}
	}
	return []*middleware.Target{target}, nil
}

// How long a probe on demand may take.
const (
	defaultPatience = 10 * time.Second // when nobody says how long he waits
	maxPatience     = writeTimeout - 10*time.Second
)

// patienceOf returns how long a probe may take for a scraper that waits so many seconds: a tenth less, and at least a quarter of a second, so
// that the answer arrives in time.
func patienceOf(header string) (time.Duration, error) {
	if header == "" {
		return defaultPatience, nil
	}
	seconds, err := strconv.ParseFloat(header, 64)
	if err != nil || math.IsNaN(seconds) || seconds <= 0 {
		return 0, &refusal{http.StatusBadRequest, "bad_request", fmt.Sprintf("%s: %q is no number of seconds", timeoutHeader, header)}
	}
	left := max(min(seconds*0.9, seconds-0.25), seconds/2)
	return time.Duration(min(left, maxPatience.Seconds()) * float64(time.Second)), nil
}

// describeViews writes what was found out for a person.
func describeViews(w io.Writer, views []*state.MiddlewareView) {
	for _, v := range views {
		fmt.Fprintf(w, "%s %s\n  up       %t\n  healthy  %t\n", v.Kind, v.Target, v.Up, v.Healthy())
		for _, p := range v.Problems {
			fmt.Fprintf(w, "  problem  %s: %s\n", p.Reason, p.Detail)
		}
		if v.Role != "" {
			fmt.Fprintf(w, "  role     %s\n", v.Role)
		}
		for _, u := range v.Unknown {
			fmt.Fprintf(w, "  unknown  %s: %s\n", u.Fact, u.Why)
		}
		for _, phase := range v.Phases {
			fmt.Fprintf(w, "  took     %s in phase %s\n", phase.Took.Round(10*time.Microsecond), phase.Name)
		}
	}
}
