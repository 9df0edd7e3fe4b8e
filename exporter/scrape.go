// SPDX-License-Identifier: Apache-2.0

package exporter

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
)

// textFormat is the only format we answer in: Prometheus and vmagent both ask for others but accept this one.
const textFormat = "text/plain; version=0.0.4; charset=utf-8"

// scrapeHandler serves /metrics. The answer is complete before its first byte is sent, so an error is never a partial 200.
type scrapeHandler struct {
	gatherer *gatherer
	slots    chan struct{} // one for each scrape in progress; nil means any number
	buffers  sync.Pool     // of *bytes.Buffer: compressed answers
	logger   log.Logger
}

// newScrapeHandler returns a handler that serves at most limit scrapes at a time; zero means any number.
func newScrapeHandler(g *gatherer, limit int, logger log.Logger) *scrapeHandler {
	h := &scrapeHandler{gatherer: g, logger: logger}
	h.buffers.New = func() any { return new(bytes.Buffer) }
	if limit > 0 {
		h.slots = make(chan struct{}, limit)
	}
	return h
}

// ServeHTTP implements http.Handler.
func (h *scrapeHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h.slots != nil {
		select {
		case h.slots <- struct{}{}:
			defer func() { <-h.slots }()
		default:
			http.Error(w, "too many scrapes at a time (--web.max-requests)", http.StatusServiceUnavailable)
			return
		}
	}
	w.Header().Set("Vary", "Accept-Encoding")
	if acceptsGzip(r.Header.Get("Accept-Encoding")) {
		h.serveCompressed(w)
	} else {
		h.servePlain(w)
	}
}

func (h *scrapeHandler) serveCompressed(w http.ResponseWriter) {
	answer := h.buffers.Get().(*bytes.Buffer)
	defer h.buffers.Put(answer)
	answer.Reset()
	if err := h.gatherer.compress(answer); err != nil {
		h.fail(w, err)
		return
	}
	w.Header().Set("Content-Encoding", "gzip")
	h.send(w, answer, int64(answer.Len()))
}

func (h *scrapeHandler) servePlain(w http.ResponseWriter) {
	answer, err := h.gatherer.render()
	if err != nil {
		h.fail(w, err)
		return
	}
	defer h.gatherer.release(answer)
	length, _ := answer.WriteTo(io.Discard)
	h.send(w, answer, length)
}

func (h *scrapeHandler) send(w http.ResponseWriter, answer io.WriterTo, length int64) {
	w.Header().Set("Content-Type", textFormat)
	w.Header().Set("Content-Length", strconv.FormatInt(length, 10))
	if _, err := answer.WriteTo(w); err != nil {
		level.Debug(h.logger).Log("msg", "scraper went away", "err", err)
	}
}

func (h *scrapeHandler) fail(w http.ResponseWriter, err error) {
	level.Error(h.logger).Log("msg", "cannot answer a scrape", "err", err)
	http.Error(w, err.Error(), http.StatusInternalServerError)
}

// acceptsGzip reads an Accept-Encoding header as RFC 9110, section 12.5.3, has it, except that only gzip by name counts.
func acceptsGzip(header string) bool {
	for item := range strings.SplitSeq(header, ",") {
		coding, parameters, _ := strings.Cut(item, ";")
		if !strings.EqualFold(strings.TrimSpace(coding), "gzip") {
			continue
		}
		quality, given := strings.CutPrefix(strings.TrimSpace(parameters), "q=")
		q, err := strconv.ParseFloat(quality, 64)
		return !given || err == nil && q > 0
	}
	return false
}
