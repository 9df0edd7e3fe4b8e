// SPDX-License-Identifier: Apache-2.0

package failures

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"stability-exporter/test/exporterproc"
)

// scrapeInterval is how often a witness scrapes.
const scrapeInterval = 200 * time.Millisecond

// witness scrapes a program all the time and notes every scrape that is not as it should be.
type witness struct {
	cancel   context.CancelFunc
	done     chan struct{}
	scrapes  int
	mistakes []string
	counters map[string]float64
}

// witnessed has the program scraped until the returned function is called, which fails the test if any scrape was not
// answered with 200, a counter fell, or check returned an error.
func witnessed(t *testing.T, p *exporterproc.Process, check func(exporterproc.Metrics) error) (end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	w := &witness{cancel: cancel, done: make(chan struct{}), counters: map[string]float64{}}
	go w.run(ctx, p, check)
	t.Cleanup(cancel)
	return func() {
		t.Helper()
		cancel()
		<-w.done
		if w.scrapes < 5 {
			t.Errorf("there were only %d scrapes", w.scrapes)
		}
		if n := len(w.mistakes); n > 0 {
			t.Errorf("%d of %d scrapes were wrong, the first:\n%s", n, w.scrapes, w.mistakes[0])
		}
	}
}

func (w *witness) run(ctx context.Context, p *exporterproc.Process, check func(exporterproc.Metrics) error) {
	defer close(w.done)
	tick := time.NewTicker(scrapeInterval)
	defer tick.Stop()
	for {
		m, err := p.Scrape(ctx)
		if ctx.Err() != nil {
			return
		}
		w.scrapes++
		if err == nil {
			err = w.countersFall(m)
		}
		if err == nil {
			err = check(m)
		}
		if err != nil {
			w.mistakes = append(w.mistakes, fmt.Sprintf("%s scrape %d: %v", time.Now().Format(time.TimeOnly), w.scrapes, err))
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// countersFall returns an error when a counter is lower than it ever was, also if it was away in between.
func (w *witness) countersFall(m exporterproc.Metrics) error {
	for _, name := range m.Names() {
		if !strings.HasSuffix(name, "_total") {
			continue
		}
		for _, sample := range m.Select(name) {
			series := seriesOf(sample)
			if before, known := w.counters[series]; known && sample.Value < before {
				return fmt.Errorf("%s fell from %v to %v", series, before, sample.Value)
			}
			w.counters[series] = sample.Value
		}
	}
	return nil
}

// wholeLike returns a check that the steady world looks as it did, but for what may differ.
func wholeLike(before picture, mayDiffer func(exporterproc.Sample) bool) func(exporterproc.Metrics) error {
	return func(m exporterproc.Metrics) error {
		want := picture{}
		for series, value := range before {
			want[series] = value
		}
		now := pictureOf(m, func(s exporterproc.Sample) bool {
			if mayDiffer == nil || !mayDiffer(s) {
				return inSteadyWorld(s)
			}
			delete(want, seriesOf(s)) // it must be there all the same, or it stays wanted
			return false
		})
		return now.differs(want)
	}
}
