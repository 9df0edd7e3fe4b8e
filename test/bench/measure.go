// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// effort is how much is done to measure.
type effort struct {
	settle  time.Duration // pause after which memory counts as settled
	scrapes int
	events  int
	rate    int    // events per second
	profile string // folder for Go profiles; empty for none
}

// result is what is measured of one scenario.
type result struct {
	scenario scenario

	ready       time.Duration // from the start of the process to its first complete scrape
	readyCPU    time.Duration
	readyPeak   int64
	settled     memory
	afterChurn  memory
	afterList   memory // after everything was listed anew
	live        int64  // heap
	plain, gzip scrapeCost
	series      int
	perWorkload int // series of a healthy workload and its Service

	eventCPU     time.Duration // each, with decoding
	eventBytes   float64       // allocated each
	eventObjects float64
	decodeCPU    time.Duration // each: client-go alone, on the same frames

	relistScrapes, coldScrapes int
	partial                    []string // what was missing when the exporter was ready, and while it listed anew
	coldPartial                []string // what was missing in the families that were there before it was ready
}

// run is one exporter under measurement.
type run struct {
	effort
	server   *server
	exporter *process
	scraper  *scraper
}

const patience = 5 * time.Minute

// measure runs one scenario: twice a start from nothing, the first in peace, the second under scrapes.
func measure(ctx context.Context, binary string, s scenario, e effort, progress io.Writer) (*result, error) {
	fmt.Fprintf(progress, "%s: making the objects\n", s)
	c := newCluster(s)
	server, err := newServer(c.resources, s.pagedLists)
	if err != nil {
		return nil, err
	}
	defer server.close()
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, fmt.Errorf("cannot make a folder: %w", err)
	}
	defer os.RemoveAll(dir)
	res := &result{scenario: s}
	for _, phase := range []func(context.Context, *run, *cluster, *result) error{measurePeace, measureColdScrapes} {
		exporter, err := startExporter(ctx, binary, dir, server.URL)
		if err != nil {
			return nil, err
		}
		r := &run{effort: e, server: server, exporter: exporter, scraper: newScraper(exporter.URL)}
		err = phase(ctx, r, c, res)
		r.scraper.close()
		exporter.stop()
		if err != nil {
			return nil, fmt.Errorf("cannot measure %s: %w; the exporter's log:\n%s", s, err, exporter.log)
		}
	}
	fmt.Fprintf(progress, "%s: peak %.1f MiB, %d scrapes, %d of them partial\n", s, mebibytes(res.afterList.peak),
		res.relistScrapes+res.coldScrapes, len(res.partial)+len(res.coldPartial))
	return res, nil
}

// measurePeace starts the exporter and lets it synchronise undisturbed; then come scrapes, churn, and a forgotten history.
func measurePeace(ctx context.Context, r *run, c *cluster, res *result) error {
	if err := await(ctx, 20*time.Millisecond, "readiness", func() (bool, error) {
		code, err := r.scraper.get(ctx, "/readyz", false, io.Discard)
		return code == http.StatusOK, err
	}); err != nil {
		return err
	}
	first, err := r.scraper.scrape(ctx)
	if err != nil {
		return err
	}
	res.ready, res.readyCPU, res.readyPeak = time.Since(r.exporter.started), r.exporter.cpu(), r.exporter.memory().peak
	r.pause(ctx)
	res.settled = r.exporter.memory()
	whole, err := r.scraper.inflate(ctx)
	if err != nil {
		return err
	}
	res.partial = append(res.partial, first.missing(whole, false)...)
	res.series, res.perWorkload = whole.series(), whole.seriesOf(c.workloads[1])
	if whole.families["stability_workload_desired_replicas"].sum != float64(c.pods) {
		return fmt.Errorf("the exporter tells of %v replicas, not %d", whole.families["stability_workload_desired_replicas"].sum, c.pods)
	}
	if res.plain, err = r.measureScrapes(ctx, r.scrapes, false); err != nil {
		return err
	}
	if res.gzip, err = r.measureScrapes(ctx, r.scrapes, true); err != nil {
		return err
	}
	if err := r.measureEvents(ctx, c, res); err != nil {
		return err
	}
	r.pause(ctx)
	res.afterChurn = r.exporter.memory()
	if err := r.measureRelist(ctx, res); err != nil {
		return err
	}
	r.pause(ctx)
	res.afterList = r.exporter.memory()
	return r.measureHeap(ctx, res)
}

// measureRelist makes every watch expire and scrapes until all is listed again, and a little longer.
func (r *run) measureRelist(ctx context.Context, res *result) error {
	whole, err := r.scraper.scrape(ctx)
	if err != nil {
		return err
	}
	const relists = "stability_exporter_relists_total"
	want := whole.value(relists) + float64(len(r.server.all))
	r.server.expire()
	after := 20 // scrapes
	return await(ctx, time.Millisecond, "lists after a forgotten history", func() (bool, error) {
		a, err := r.scraper.scrape(ctx)
		if err != nil {
			return false, err
		}
		res.relistScrapes++
		res.partial = append(res.partial, a.missing(whole, false)...)
		if a.value(relists) >= want {
			after--
		}
		return after == 0, nil
	})
}

// measureColdScrapes scrapes from the first moment on: what is there must be whole.
func measureColdScrapes(ctx context.Context, r *run, _ *cluster, res *result) error {
	var answers []*answer
	after := 20
	err := await(ctx, time.Millisecond, "readiness under scrapes", func() (bool, error) {
		a, err := r.scraper.scrape(ctx)
		if err != nil {
			return false, err
		}
		a.text = "" // there are many
		answers = append(answers, a)
		code, err := r.scraper.get(ctx, "/readyz", false, io.Discard)
		if code == http.StatusOK {
			after--
		}
		return after == 0, err
	})
	if err != nil {
		return err
	}
	res.coldScrapes = len(answers)
	for _, a := range answers {
		res.coldPartial = append(res.coldPartial, a.missing(answers[len(answers)-1], true)...)
	}
	return nil
}

// measureHeap measures what is alive after a garbage collection.
func (r *run) measureHeap(ctx context.Context, res *result) error {
	var text strings.Builder
	if _, err := r.scraper.get(ctx, "/debug/pprof/heap?gc=1&debug=1", false, &text); err != nil {
		return err
	}
	_, rest, _ := strings.Cut(text.String(), "\n# HeapAlloc = ")
	line, _, _ := strings.Cut(rest, "\n")
	live, err := strconv.ParseInt(line, 10, 64)
	if err != nil {
		return fmt.Errorf("cannot find the live heap in the profile: %w", err)
	}
	res.live = live
	return errors.Join(r.keepProfile(ctx, "heap", ""), r.keepProfile(ctx, "allocs", ""))
}

// keepProfile writes a Go profile of the exporter into the folder for profiles, if there is one.
func (r *run) keepProfile(ctx context.Context, name, query string) error {
	if r.profile == "" {
		return nil
	}
	var profile bytes.Buffer
	if _, err := r.scraper.get(ctx, "/debug/pprof/"+name+query, false, &profile); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(r.profile, name+".pprof"), profile.Bytes(), 0o644); err != nil {
		return fmt.Errorf("cannot keep the profile: %w", err)
	}
	return nil
}

// pause waits until memory has settled.
func (r *run) pause(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(r.settle):
	}
}

// await asks again and again until the answer is yes.
func await(ctx context.Context, every time.Duration, what string, done func() (bool, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errors.New("waited too long"))
	defer cancel()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		switch yes, err := done(); {
		case err != nil:
			return err
		case yes:
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("cannot see %s: %w", what, context.Cause(ctx))
		case <-tick.C:
		}
	}
}
