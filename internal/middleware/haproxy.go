// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"io"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
)

func haproxyKind() Kind {
	return Kind{
		Name: "haproxy",
		Help: "Asks the statistics as CSV or the built-in /metrics, whichever is there, for backends without servers.",
		Port: "8404", TLSPort: "8404", Address: BaseURL,
		Options: []Option{
			{Name: "path", Type: Text, Help: "where the statistics are, such as /haproxy?stats;csv; empty: /stats;csv, else /metrics"},
			{Name: "ignore", Type: List, Help: "patterns of backends that do not count", Check: checkGlob},
		},
		Facts: []string{"members{healthy}", "members{down}", "members{maintenance}", "members{draining}", "saturation_ratio{sessions}",
			"saturation_ratio{connections}", "fact{backends}", "fact{backends_without_servers}", "fact{queued_requests}"},
		Verified: Verification{
			Live: []string{"HAProxy 2.6: both forms of the statistics"},
			Fake: []string{"recorded metrics of HAProxy 2.2"},
		},
		Probe: probeHAProxy,
	}
}

func checkGlob(text string) error {
	_, err := path.Match(text, "")
	return err
}

// haproxy is what the statistics say. Unknown values of a status are neither of the counted ones.
type haproxy struct {
	ignore    []string
	backends  int
	dead      []string // backends whose servers are all gone
	servers   map[string]int
	frontends int
	full      []string // frontends that take no more sessions
	sessions  float64  // share of the fullest frontend
	limited   bool     // a frontend tells its limit
	queued    float64

	// of the process; only /metrics tells
	connections, maxConnections float64
}

func probeHAProxy(ctx context.Context, p *Probe) error {
	a, err := p.askHAProxy(ctx)
	if err != nil {
		return err
	}
	h := haproxy{ignore: p.OptionList("ignore"), servers: map[string]int{}}
	if bytes.HasPrefix(a.body, []byte("# pxname,")) {
		err = h.readCSV(a.body)
	} else {
		h.readMetrics(a.body)
	}
	if err != nil {
		return err
	}
	if h.frontends+h.backends == 0 {
		return fail(Protocol, "the answer holds no statistics of HAProxy: the path of the page needs ;csv at its end")
	}
	p.Up()
	p.tellHAProxy(&h)
	return nil
}

// askHAProxy asks for the statistics where they are.
func (p *Probe) askHAProxy(ctx context.Context) (*answer, error) {
	paths := []string{"/stats;csv", "/metrics"}
	if configured := p.Option("path"); configured != "" {
		paths = []string{configured}
	}
	var a *answer
	for _, path := range paths {
		var err error
		if a, err = p.request(ctx, http.MethodGet, path, ""); err != nil {
			return nil, err
		}
		if a.status == http.StatusOK {
			return a, nil
		}
		if a.status != http.StatusNotFound && a.status != http.StatusServiceUnavailable { // a proxy without a backend for it answers 503
			break
		}
	}
	if a.status == http.StatusNotFound || a.status == http.StatusServiceUnavailable {
		return nil, fail(Mismatch, "there are no statistics at %s: configure path", strings.Join(paths, " or "))
	}
	return nil, a.refused("statistics")
}

func (h *haproxy) ignored(backend string) bool {
	return slices.ContainsFunc(h.ignore, func(pattern string) bool {
		fits, err := path.Match(pattern, backend)
		return err == nil && fits
	})
}

// readCSV reads the statistics page. A backend without any server is UP there, and is no problem: it may only redirect.
func (h *haproxy) readCSV(text []byte) error {
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(text, []byte("# "))))
	r.FieldsPerRecord, r.LazyQuotes, r.ReuseRecord = -1, true, true
	head, err := r.Read()
	if err != nil {
		return fail(Protocol, "the statistics are no CSV")
	}
	column := map[string]int{}
	for i, name := range head {
		column[strings.Clone(name)] = i
	}
	if _, found := column["status"]; !found {
		return fail(Protocol, "the statistics have no column status")
	}
	for {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fail(Protocol, "the statistics are no CSV")
		}
		h.addRow(func(name string) string {
			if i, found := column[name]; found && i < len(record) {
				return record[i]
			}
			return ""
		})
	}
}

func (h *haproxy) addRow(field func(string) string) {
	number := func(name string) float64 {
		n, err := strconv.ParseFloat(field(name), 64)
		if err != nil || !finite(n) {
			return 0
		}
		return n
	}
	proxy, server, status := strings.Clone(field("pxname")), field("svname"), field("status")
	switch {
	case server == "FRONTEND":
		h.addFrontend(proxy, status != "STOP", number("scur"), number("slim"))
	case h.ignored(proxy):
	case server == "BACKEND":
		h.queued += number("qcur")
		h.addBackend(proxy, !strings.HasPrefix(status, "DOWN"))
	case field("type") == "2":
		h.addServer(status)
	}
}

func (h *haproxy) addFrontend(name string, open bool, sessions, limit float64) {
	h.frontends++
	if !open || limit <= 0 {
		return
	}
	h.limited = true
	h.sessions = max(h.sessions, sessions/limit)
	if sessions >= limit {
		h.full = append(h.full, name)
	}
}

func (h *haproxy) addBackend(name string, up bool) {
	h.backends++
	if !up {
		h.dead = append(h.dead, name)
	}
}

// addServer counts a server by its status, such as "UP", "UP 1/3" (going down), "DOWN (agent)", "MAINT (via a/b)", "no check".
func (h *haproxy) addServer(status string) {
	first, _, _ := strings.Cut(strings.ToUpper(status), " ")
	first, _, _ = strings.Cut(first, "(")
	switch first {
	case "UP", "NO", "OPEN":
		h.servers["healthy"]++
	case "DOWN":
		h.servers["down"]++
	case "MAINT":
		h.servers["maintenance"]++
	case "DRAIN", "NOLB":
		h.servers["draining"]++
	}
}

// readMetrics reads the built-in exporter. From 2.4 on a status is 1 under the label of its state, before it was a number.
func (h *haproxy) readMetrics(page []byte) {
	sessions, limits := map[string]float64{}, map[string]float64{}
	numbered := []string{"DOWN", "UP", "MAINT", "DRAIN", "NOLB"}
	eachSample(page, []string{"haproxy_"}, func(s sample) {
		proxy, state := s.label("proxy"), s.label("state")
		if state == "" && s.value >= 0 && int(s.value) < len(numbered) {
			state = numbered[int(s.value)]
		} else if s.value != 1 {
			state = ""
		}
		switch s.name {
		case "haproxy_process_max_connections":
			h.maxConnections = s.value
		case "haproxy_process_current_connections":
			h.connections = s.value
		case "haproxy_frontend_current_sessions":
			sessions[proxy] = s.value
		case "haproxy_frontend_limit_sessions":
			limits[proxy] = s.value
		case "haproxy_backend_current_queue":
			if !h.ignored(proxy) {
				h.queued += s.value
			}
		case "haproxy_backend_status":
			if state != "" && !h.ignored(proxy) {
				h.addBackend(proxy, state == "UP")
			}
		case "haproxy_server_status":
			if state != "" && !h.ignored(proxy) {
				h.addServer(state)
			}
		}
	})
	for proxy, now := range sessions {
		h.addFrontend(proxy, true, now, limits[proxy])
	}
}

// maxListed is how many names a detail lists.
const maxListed = 3

// list writes some names, and how many more there are.
func list(names []string) string {
	slices.Sort(names)
	if len(names) > maxListed {
		return strings.Join(names[:maxListed], ", ") + " and " + strconv.Itoa(len(names)-maxListed) + " more"
	}
	return strings.Join(names, ", ")
}

func (p *Probe) tellHAProxy(h *haproxy) {
	if len(h.dead) > 0 {
		p.Problem(Unavailable, "backends without servers: %s", list(h.dead))
	}
	if n := h.servers["down"]; n > 0 {
		p.Problem(Degraded, "%d servers are down", n)
	}
	if len(h.full) > 0 {
		p.Problem(Saturated, "frontends take no more sessions: %s", list(h.full))
	}
	for _, state := range []string{"healthy", "down", "maintenance", "draining"} {
		p.Members(state, h.servers[state])
	}
	if h.limited {
		p.Saturation("sessions", h.sessions, 1)
	} else {
		p.Unknown("saturation_ratio{sessions}", Unsupported)
	}
	if h.maxConnections > 0 {
		p.Saturation("connections", h.connections, h.maxConnections)
	} else {
		p.Unknown("saturation_ratio{connections}", Unsupported)
	}
	p.Fact("backends", float64(h.backends))
	p.Fact("backends_without_servers", float64(len(h.dead)))
	p.Fact("queued_requests", h.queued)
}
