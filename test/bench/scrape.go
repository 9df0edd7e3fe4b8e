// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// scraper reads what an exporter serves over one connection, as a Prometheus does.
type scraper struct {
	url    string
	client http.Client
}

func newScraper(url string) *scraper {
	return &scraper{url: url, client: http.Client{Transport: &http.Transport{DisableCompression: true}}}
}

func (s *scraper) close() { s.client.CloseIdleConnections() }

// get returns the status and the body of a path; gzip asks for a compressed one.
func (s *scraper) get(ctx context.Context, path string, compressed bool, into io.Writer) (int, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+path, nil)
	if err != nil {
		return 0, fmt.Errorf("cannot ask for %s: %w", path, err)
	}
	if compressed {
		request.Header.Set("Accept-Encoding", "gzip")
	}
	answer, err := s.client.Do(request)
	if err != nil {
		return 0, fmt.Errorf("cannot get %s: %w", path, err)
	}
	defer answer.Body.Close()
	if _, err := io.Copy(into, answer.Body); err != nil {
		return 0, fmt.Errorf("cannot read %s: %w", path, err)
	}
	return answer.StatusCode, nil
}

// scrape returns one whole answer of /metrics.
func (s *scraper) scrape(ctx context.Context) (*answer, error) {
	var body bytes.Buffer
	code, err := s.get(ctx, "/metrics", false, &body)
	if err != nil {
		return nil, err
	}
	if code != http.StatusOK {
		return nil, fmt.Errorf("/metrics answered %d: %s", code, body.String())
	}
	return parse(body.String()), nil
}

// total is what an answer says of one family.
type total struct {
	series int
	sum    float64
}

// answer is one answer of /metrics.
type answer struct {
	text     string
	families map[string]total
}

func parse(text string) *answer {
	a := &answer{text: text, families: map[string]total{}}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		name := line[:strings.IndexAny(line, "{ ")]
		value, _ := strconv.ParseFloat(strings.TrimSpace(line[strings.LastIndexByte(line, ' ')+1:]), 64)
		t := a.families[name]
		t.series++
		t.sum += value
		a.families[name] = t
	}
	return a
}

// series returns the number of samples.
func (a *answer) series() int {
	n := 0
	for _, t := range a.families {
		n += t.series
	}
	return n
}

// value returns the only sample of a family, zero when there is none.
func (a *answer) value(family string) float64 { return a.families[family].sum }

// seriesOf counts the samples of a workload and of the Service of the same name.
func (a *answer) seriesOf(w workload) int {
	n := 0
	for _, label := range []string{"workload", "service"} {
		n += strings.Count(a.text, fmt.Sprintf("namespace=%q,%s=%q", w.namespace, label, w.name))
	}
	return n
}

// describesCluster reports whether a family tells of the cluster and not of the exporter itself.
func describesCluster(family string) bool {
	return strings.HasPrefix(family, "stability_") && !strings.HasPrefix(family, "stability_exporter_")
}

// missing returns the families that hold something else than in the whole answer. A family that is absent altogether
// counts only when absence is no excuse. Where the sums do not depend on the time of day they are compared too.
func (a *answer) missing(whole *answer, absenceExcused bool) []string {
	var all []string
	for name, want := range whole.families {
		got, present := a.families[name]
		steady := strings.HasSuffix(name, "_replicas") || name == "stability_service_ready_endpoints" || name == "stability_node_ready"
		switch {
		case !describesCluster(name), !present && absenceExcused:
		case got.series != want.series, steady && got.sum != want.sum:
			all = append(all, fmt.Sprintf("%s: %d series, sum %v, not %d, sum %v", name, got.series, got.sum, want.series, want.sum))
		}
	}
	return all
}

// series of scrapes and what they cost.
type scrapeCost struct {
	cpu         time.Duration // of the exporter, each
	median, p99 time.Duration // wall
	bytes       int64
	allocated   float64 // bytes each
	objects     float64 // allocations each
}

// measureScrapes scrapes n times, one after the other, and throws the answers away.
func (r *run) measureScrapes(ctx context.Context, n int, compressed bool) (scrapeCost, error) {
	var walls []time.Duration
	var size counter
	before, err := r.scraper.scrape(ctx)
	if err != nil {
		return scrapeCost{}, err
	}
	start := r.exporter.cpu()
	for range n {
		size = 0
		began := time.Now()
		if _, err := r.scraper.get(ctx, "/metrics", compressed, &size); err != nil {
			return scrapeCost{}, err
		}
		walls = append(walls, time.Since(began))
	}
	used := r.exporter.cpu() - start
	after, err := r.scraper.scrape(ctx)
	if err != nil {
		return scrapeCost{}, err
	}
	slices.Sort(walls)
	each := func(family string) float64 { return (after.value(family) - before.value(family)) / float64(n+1) }
	return scrapeCost{
		cpu: used / time.Duration(n), median: walls[n/2], p99: walls[n*99/100], bytes: int64(size),
		allocated: each("go_memstats_alloc_bytes_total"), objects: each("go_memstats_mallocs_total"),
	}, nil
}

// counter counts the bytes written to it.
type counter int64

// Write implements io.Writer.
func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// inflate measures nothing: it proves that the compressed answer reads back as a whole one.
func (s *scraper) inflate(ctx context.Context) (*answer, error) {
	var body bytes.Buffer
	if _, err := s.get(ctx, "/metrics", true, &body); err != nil {
		return nil, err
	}
	plain, err := gzip.NewReader(&body)
	if err != nil {
		return nil, fmt.Errorf("cannot inflate /metrics: %w", err)
	}
	text, err := io.ReadAll(plain)
	if err != nil {
		return nil, fmt.Errorf("cannot inflate /metrics: %w", err)
	}
	return parse(string(text)), nil
}
