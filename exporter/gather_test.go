// SPDX-License-Identifier: Apache-2.0

package exporter

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"stability-exporter/collectors"
	"stability-exporter/internal/cluster"
	"stability-exporter/internal/state"
)

// collectorFunc is a collector made of a function.
type collectorFunc func(s *state.Snapshot, emit *collectors.Emitter) error

func (f collectorFunc) Collect(s *state.Snapshot, emit *collectors.Emitter) error { return f(s, emit) }

// specOf declares a collector of one family, named stability_ and its own name, that reads nodes.
func specOf(name string, collect func(f *collectors.Family, emit *collectors.Emitter) error) collectors.Spec {
	family := &collectors.Family{Name: "stability_" + name, Help: "Test.", Labels: []string{"zone"}}
	return collectors.Spec{
		Name: name, Reads: state.KindSet(state.Nodes), Families: []*collectors.Family{family},
		New: func(log.Logger) collectors.Collector {
			return collectorFunc(func(_ *state.Snapshot, emit *collectors.Emitter) error { return collect(family, emit) })
		},
	}
}

func emitOne(f *collectors.Family, emit *collectors.Emitter) error {
	emit.Emit(f, 1, "a")
	return nil
}

// gathererOf returns a gatherer over a snapshot in which nodes are as observed.
func gathererOf(observed state.Observation, output io.Writer, specs ...collectors.Spec) *gatherer {
	snapshot := &state.Snapshot{Resources: []state.ResourceView{{Kind: state.Nodes, Observation: observed}}}
	self := new(selfMetrics)
	registry := prometheus.NewRegistry()
	registry.MustRegister(self)
	g := newGatherer(func() *state.Snapshot { return snapshot }, self, registry, log.NewLogfmtLogger(log.NewSyncWriter(output)))
	g.use(specs)
	return g
}

func textOf(t *testing.T, g *gatherer) string {
	t.Helper()
	r, err := g.render()
	if err != nil {
		t.Fatal(err)
	}
	defer g.release(r)
	var text bytes.Buffer
	if _, err := r.WriteTo(&text); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

func TestOneFailingCollectorDoesNotFailTheScrape(t *testing.T) {
	broken := true
	fail := func(how func()) func(*collectors.Family, *collectors.Emitter) error {
		return func(f *collectors.Family, emit *collectors.Emitter) error {
			emit.Emit(f, 1, "partial")
			if broken {
				how()
				return errors.New("no luck")
			}
			return nil
		}
	}
	var output logBuffer
	g := gathererOf(state.Synced, &output,
		specOf("good", emitOne),
		specOf("panicking", fail(func() { panic("out of tune") })),
		specOf("failing", fail(func() {})),
		specOf("mistaken", func(f *collectors.Family, emit *collectors.Emitter) error {
			emit.Emit(f, 1, "one", "too many")
			return nil
		}),
	)
	for range 3 {
		text := textOf(t, g)
		check(t, "good sample", sampleOf(text, `stability_good{zone="a"}`), "1")
		check(t, "good success", sampleOf(text, `stability_exporter_collector_success{collector="good"}`), "1")
		for _, name := range []string{"panicking", "failing", "mistaken"} {
			check(t, name+" success", sampleOf(text, `stability_exporter_collector_success{collector="`+name+`"}`), "0")
			if strings.Contains(text, "stability_"+name) {
				t.Errorf("%s left samples:\n%s", name, text)
			}
		}
	}
	check(t, "log lines", strings.Count(output.String(), "collector fails"), 3)
	if !strings.Contains(output.String(), "out of tune") || !strings.Contains(output.String(), "gather_test.go") {
		t.Error("the log does not tell where the panic was")
	}
	broken = false
	check(t, "recovered", sampleOf(textOf(t, g), `stability_panicking{zone="partial"}`), "1")
	check(t, "log lines", strings.Count(output.String(), "collector works again"), 2)
}

func TestACollectorWaitsForWhatItReads(t *testing.T) {
	for observation, want := range map[state.Observation]string{
		state.Pending: "", state.Synced: "1", state.Forbidden: "1", state.Unsupported: "1", state.NotObserved: "1",
	} {
		text := textOf(t, gathererOf(observation, io.Discard, specOf("good", emitOne)))
		check(t, "sample when "+observation.String(), sampleOf(text, `stability_good{zone="a"}`), want)
		check(t, "success when "+observation.String(), sampleOf(text, `stability_exporter_collector_success{collector="good"}`), "1")
	}
	unannounced := gathererOf(state.Synced, io.Discard, specOf("good", emitOne))
	unannounced.snapshot = func() *state.Snapshot { return new(state.Snapshot) }
	check(t, "sample before the source has begun", sampleOf(textOf(t, unannounced), `stability_good{zone="a"}`), "")
}

func TestExchangedCollectorsLeaveNothingBehind(t *testing.T) {
	g := gathererOf(state.Synced, io.Discard, specOf("old", emitOne))
	check(t, "old sample", sampleOf(textOf(t, g), `stability_old{zone="a"}`), "1")
	g.use([]collectors.Spec{specOf("new", emitOne)})
	text := textOf(t, g)
	check(t, "new sample", sampleOf(text, `stability_new{zone="a"}`), "1")
	check(t, "success", sampleOf(text, `stability_exporter_collector_success{collector="new"}`), "1")
	if strings.Contains(text, "old") {
		t.Errorf("a collector that is not used any more shows:\n%s", text)
	}
}

func TestOwnFamiliesPassTheLinter(t *testing.T) {
	self := new(selfMetrics)
	for _, o := range []*outcome{&self.reload, &self.load, &self.save} {
		self.note(o, nil)
	}
	self.watched(func() []cluster.Stats { return []cluster.Stats{{Kind: state.Nodes}} })
	self.scraped(&state.Snapshot{Resources: []state.ResourceView{
		{Kind: state.Nodes, Observation: state.Synced, LastEvent: 1}, {Kind: state.Pods, Observation: state.NotObserved},
	}}, []*runner{{spec: collectors.Spec{Name: "node"}}})
	problems, err := testutil.CollectAndLint(self)
	if err != nil || len(problems) > 0 {
		t.Errorf("problems %v, error %v", problems, err)
	}
	check(t, "families without a sample", len(selfFamilies())-countFamilies(t, self), 0)
}

func countFamilies(t *testing.T, c prometheus.Collector) int {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(c)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	return len(families)
}

func TestFamilyNamesAreUnique(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range selfFamilies() {
		seen[f.Name] = true
	}
	specs, err := collectors.All(collectors.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, spec := range specs {
		for _, f := range spec.Families {
			if seen[f.Name] || strings.HasPrefix(f.Name, "go_") || strings.HasPrefix(f.Name, "process_") {
				t.Errorf("family %s of the collector %s is declared elsewhere too", f.Name, spec.Name)
			}
			seen[f.Name] = true
		}
	}
}

func TestScrapesBeyondTheLimitAreRefused(t *testing.T) {
	entered, leave := make(chan struct{}, 2), make(chan struct{})
	g := gathererOf(state.Synced, io.Discard, specOf("slow", func(*collectors.Family, *collectors.Emitter) error {
		entered <- struct{}{}
		<-leave
		return nil
	}))
	handler := newScrapeHandler(g, 2, log.NewNopLogger())
	scrape := func() int {
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		return recorder.Code
	}
	results := make(chan int, 2)
	for range 2 {
		go func() { results <- scrape() }()
	}
	<-entered
	eventually(t, "two scrapes are in progress", func() bool { return len(handler.slots) == 2 })
	check(t, "third scrape", scrape(), http.StatusServiceUnavailable)
	close(leave)
	check(t, "first scrape", <-results, http.StatusOK)
	check(t, "second scrape", <-results, http.StatusOK)
	check(t, "later scrape", scrape(), http.StatusOK)
}

func TestConcurrentScrapesGetWholeAnswers(t *testing.T) {
	g := gathererOf(state.Synced, io.Discard, specOf("many", func(f *collectors.Family, emit *collectors.Emitter) error {
		for range 5000 {
			emit.Emit(f, 1, "a")
		}
		return nil
	}))
	server := httptest.NewServer(newScrapeHandler(g, 0, log.NewNopLogger()))
	defer server.Close()
	var scrapes sync.WaitGroup
	for i := range 16 {
		scrapes.Go(func() {
			if i%4 == 0 {
				g.use([]collectors.Spec{specOf("many", func(f *collectors.Family, emit *collectors.Emitter) error {
					for range 5000 {
						emit.Emit(f, 1, "a")
					}
					return nil
				})})
			}
			answer, err := http.DefaultTransport.RoundTrip(mustRequest(server.URL, i%2 == 0))
			if err != nil {
				t.Error(err)
				return
			}
			defer answer.Body.Close()
			text, err := readBody(answer)
			if n := strings.Count(text, `stability_many{zone="a"} 1`+"\n"); err != nil || n != 5000 {
				t.Errorf("got %d samples, error %v", n, err)
			}
		})
	}
	scrapes.Wait()
}

func mustRequest(url string, compressed bool) *http.Request {
	request := httptest.NewRequest(http.MethodGet, url, nil)
	request.RequestURI = ""
	request.Header.Set("Accept-Encoding", map[bool]string{true: "gzip", false: "identity"}[compressed])
	return request
}

func readBody(answer *http.Response) (string, error) {
	var body io.Reader = answer.Body
	if answer.Header.Get("Content-Encoding") == "gzip" {
		var err error
		if body, err = gzip.NewReader(body); err != nil {
			return "", err
		}
	}
	text, err := io.ReadAll(body)
	return string(text), err
}

func TestAnErrorIsNeverAPartialAnswer(t *testing.T) {
	g := gathererOf(state.Synced, io.Discard, specOf("good", emitOne))
	g.registry.MustRegister(brokenCollector{})
	for _, encoding := range []string{"gzip", "identity"} {
		request := httptest.NewRequest(http.MethodGet, "/metrics", nil)
		request.Header.Set("Accept-Encoding", encoding)
		recorder := httptest.NewRecorder()
		newScrapeHandler(g, 1, log.NewNopLogger()).ServeHTTP(recorder, request)
		check(t, "status", recorder.Code, http.StatusInternalServerError)
		check(t, "encoding", recorder.Header().Get("Content-Encoding"), "")
		if strings.Contains(recorder.Body.String(), "stability_good") {
			t.Error("an error carries samples")
		}
	}
}

// brokenCollector makes a registry fail.
type brokenCollector struct{}

func (brokenCollector) Describe(chan<- *prometheus.Desc) {}

func (brokenCollector) Collect(to chan<- prometheus.Metric) {
	to <- prometheus.NewInvalidMetric(prometheus.NewInvalidDesc(errors.New("broken")), errors.New("broken"))
}

// BenchmarkScrape renders as many series as 5,000 workloads have; the goals are 6 ms plain and 25 ms compressed.
func BenchmarkScrape(b *testing.B) {
	family := &collectors.Family{Name: "stability_workload_state", Help: "Test.", Labels: []string{"namespace", "workload", "state"}}
	var names []string
	for i := range 5000 {
		names = append(names, fmt.Sprintf("a-workload-of-the-shop-%05d", i))
	}
	spec := collectors.Spec{
		Name: "many", Reads: state.KindSet(state.Nodes), Families: []*collectors.Family{family},
		New: func(log.Logger) collectors.Collector {
			return collectorFunc(func(_ *state.Snapshot, emit *collectors.Emitter) error {
				for range 24 {
					for i, name := range names {
						emit.Emit(family, float64(i%7), "shop", name, "degraded")
					}
				}
				return nil
			})
		},
	}
	handler := newScrapeHandler(gathererOf(state.Synced, io.Discard, spec), 1, log.NewNopLogger())
	for _, encoding := range []string{"identity", "gzip"} {
		b.Run(encoding, func(b *testing.B) {
			request := httptest.NewRequest(http.MethodGet, "/metrics", nil)
			request.Header.Set("Accept-Encoding", encoding)
			for b.Loop() {
				handler.ServeHTTP(discard{http.Header{}}, request)
			}
		})
	}
}

// discard is an answer that nobody reads.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}
