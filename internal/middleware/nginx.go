// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

func nginxKind() Kind {
	return Kind{
		Name: "nginx",
		Help: "Asks stub_status and one page that users need: stub_status alone knows nothing of what nginx passes requests to, and is fine " +
			"while every page is an error.",
		Port: "80", TLSPort: "443", Address: BaseURL,
		Options: slices.Concat([]Option{
			{Name: "status_path", Type: Text, Default: "/stub_status", Help: "where stub_status is; empty: it is not asked"},
			{Name: "worker_processes", Type: Number, Help: "as nginx has it; stub_status does not tell"},
			{Name: "worker_connections", Type: Number,
				Help: "as nginx has it, for each process; a request that is passed on takes two of them"},
			{Name: "page", Type: Text, Help: "path, or URL of another address, of a page that users need; to another address no credential is sent"},
		}, pageOptions("page_")),
		Facts: append(tlsFacts(), "saturation_ratio{connections}", "fact{active_connections}", "fact{reading_connections}",
			"fact{writing_connections}", "fact{waiting_connections}", "fact{requests}", "fact{dropped_connections}"),
		Verified: Verification{
			Live: []string{"nginx 1.22: in front of another server, with and without TLS"},
			Fake: []string{"recorded stub_status pages of Tengine"},
		},
		Probe: probeNginx,
	}
}

func probeNginx(ctx context.Context, p *Probe) error {
	status, page := p.Option("status_path"), p.Option("page")
	if status == "" && page == "" {
		return fail(Mismatch, "neither status_path nor page is configured: there is nothing to ask for")
	}
	if err := p.askStubStatus(ctx, status, page != ""); err != nil {
		return err
	}
	if page == "" {
		return nil
	}
	e := exchange{method: http.MethodGet, path: page, host: p.Option("page_host")}
	if strings.Contains(page, "://") {
		e.url = page
	}
	a, err := p.exchange(ctx, e)
	if err != nil {
		return fmt.Errorf("page: %w", err)
	}
	if _, err := p.judgePage("page_", a); err != nil {
		return fmt.Errorf("page: %w", err)
	}
	p.Up()
	return nil
}

// askStubStatus tells what stub_status says. Where a page decides the verdict, nginx may go without stub_status.
func (p *Probe) askStubStatus(ctx context.Context, path string, optional bool) error {
	if path == "" {
		p.unknownStubStatus(NotConfigured)
		return nil
	}
	a, err := p.request(ctx, http.MethodGet, path, "")
	if err != nil {
		return fmt.Errorf("stub_status: %w", err)
	}
	if a.status != http.StatusOK && optional {
		p.unknownStubStatus(a.whyNot())
		return nil
	}
	if a.status == http.StatusNotFound {
		return fail(Mismatch, "there is no stub_status at %s: configure status_path or page", path)
	}
	if err := a.refused("stub_status"); err != nil {
		return err
	}
	s, ok := parseStubStatus(a.body)
	if !ok && optional { // a program behind it that has a page for every path
		p.unknownStubStatus(Garbled)
		return nil
	}
	if !ok {
		return fail(Protocol, "what is at %s is no stub_status", path)
	}
	p.Up()
	p.tellStubStatus(s)
	return nil
}

func (p *Probe) unknownStubStatus(why Why) {
	for _, fact := range nginxKind().Facts {
		if !slices.Contains(tlsFacts(), fact) {
			p.Unknown(fact, why)
		}
	}
}

func (p *Probe) tellStubStatus(s stubStatus) {
	limit := p.OptionNumber("worker_processes") * p.OptionNumber("worker_connections")
	if limit > 0 {
		p.Saturation("connections", s.active, limit)
	} else {
		p.Unknown("saturation_ratio{connections}", NotConfigured)
	}
	p.Fact("active_connections", s.active)
	p.Fact("reading_connections", s.reading)
	p.Fact("writing_connections", s.writing)
	p.Fact("waiting_connections", s.waiting)
	p.Fact("requests", s.requests)
	p.Fact("dropped_connections", max(0, s.accepts-s.handled))
}

// stubStatus is what the page of stub_status holds; accepts, handled and requests have been counted since nginx started.
type stubStatus struct {
	active, accepts, handled, requests, reading, writing, waiting float64
}

// parseStubStatus reads the page. Tengine has a fourth number in the third line.
func parseStubStatus(text []byte) (stubStatus, bool) {
	const number = `(\d{1,15})`
	form := regexp.MustCompile(`^\s*Active connections:\s+` + number + `\s+server accepts handled requests(?: request_time)?\s+` +
		number + `\s+` + number + `\s+` + number + `(?:\s+\d+)?\s+Reading:\s+` + number + `\s+Writing:\s+` + number + `\s+Waiting:\s+` + number + `\s*$`)
	found := form.FindSubmatch(bytes.TrimSpace(text))
	if found == nil {
		return stubStatus{}, false
	}
	var s stubStatus
	for i, into := range []*float64{&s.active, &s.accepts, &s.handled, &s.requests, &s.reading, &s.writing, &s.waiting} {
		n, err := strconv.ParseFloat(string(found[i+1]), 64)
		if err != nil {
			return stubStatus{}, false
		}
		*into = n
	}
	return s, true
}
