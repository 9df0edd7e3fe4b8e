// SPDX-License-Identifier: Apache-2.0

package exporter

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"stability-exporter/internal/state"
)

// fakeSource announces kinds and settles them when it is told to.
type fakeSource struct {
	kinds  state.Kinds
	settle chan func(*state.Store)
	fail   chan error
}

func newFakeSource() *fakeSource {
	return &fakeSource{settle: make(chan func(*state.Store)), fail: make(chan error)}
}

func (f *fakeSource) String() string { return "a fake <cluster>" }

func (f *fakeSource) Run(ctx context.Context, store *state.Store) error {
	for _, kind := range f.kinds.All() {
		store.Expect(state.Scope{Kind: kind})
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case act := <-f.settle:
			act(store)
		case err := <-f.fail:
			return err
		}
	}
}

// syncAll makes the source list every kind: two nodes, and nothing else.
func (f *fakeSource) syncAll() {
	done := make(chan struct{})
	f.settle <- func(store *state.Store) {
		for _, kind := range f.kinds.All() {
			var objects []state.Object
			if kind == state.Nodes {
				objects = append(objects, node("worker-1"), node("worker-2"))
			}
			store.Replace(state.Scope{Kind: kind}, objects)
		}
		close(done)
	}
	<-done
}

func node(name string) *state.Node {
	return &state.Node{
		Meta:       state.Meta{Name: name, UID: state.ParseUID(name), Created: state.At(time.Now().Add(-time.Hour))},
		Zone:       state.Sym("a"),
		Ready:      state.Sym("True"),
		ReadySince: state.At(time.Now().Add(-time.Hour)),
		Conditions: []state.NodeCondition{{Type: state.Sym("DiskPressure"), Status: state.Sym("True")}},
	}
}

// logBuffer collects log lines of several goroutines.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// eventually waits until the condition holds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for !condition() {
		select {
		case <-deadline:
			t.Fatalf("waited in vain: %s", what)
		case <-ticker.C:
		}
	}
}

// running is an exporter that serves on a free port of the loopback interface.
type running struct {
	*exporter
	t       *testing.T
	source  *fakeSource
	log     *logBuffer
	address string
	client  *http.Client
	hangups chan os.Signal
	wait    func() error // waits for the end of the exporter and returns what run returned
	stop    func() error // brings the end about, and waits for it
}

// start runs an exporter over a fake source with further flags, and waits until it listens.
func start(t *testing.T, flags ...string) *running {
	t.Helper()
	fake := newFakeSource()
	r := startOver(t, func(e *exporter) (source, func() time.Time, error) {
		fake.kinds = e.reads
		return fake, nil, nil
	}, append([]string{"--manifests=unused"}, flags...)...)
	r.source = fake
	return r
}

// startOver runs an exporter over the source that open opens, and waits until it listens.
func startOver(t *testing.T, open func(*exporter) (source, func() time.Time, error), flags ...string) *running {
	t.Helper()
	r := &running{t: t, log: new(logBuffer), client: new(http.Client), hangups: make(chan os.Signal)}
	o, err := parse(append([]string{"--web.listen-address=127.0.0.1:0"}, flags...), io.Discard, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	loggers, err := newLoggers(r.log, o.logFormat, o.logLevel)
	if err != nil {
		t.Fatal(err)
	}
	if r.exporter, err = newExporter(o, loggers, open); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() { result <- r.run(ctx, r.hangups) }()
	r.wait = sync.OnceValue(func() error {
		select {
		case err := <-result:
			return err
		case <-time.After(20 * time.Second):
			return errors.New("the exporter does not end")
		}
	})
	r.stop = func() error { cancel(); return r.wait() }
	t.Cleanup(func() { _ = r.stop() })
	r.awaitAddress()
	return r
}

// awaitAddress reads in the log where the server listens.
func (r *running) awaitAddress() {
	r.t.Helper()
	listening := regexp.MustCompile(`msg="Listening on" address=(\S+)`)
	eventually(r.t, "the server listens", func() bool {
		match := listening.FindStringSubmatch(r.log.String())
		if match != nil {
			r.address = match[1]
		}
		return match != nil
	})
}

// response is an answer that was read to its end.
type response struct {
	*http.Response
	text string
}

func (r *running) do(method, url string, header ...string) response {
	r.t.Helper()
	answer, err := r.try(method, url, header...)
	if err != nil {
		r.t.Fatal(err)
	}
	return answer
}

func (r *running) try(method, url string, header ...string) (response, error) {
	request, err := http.NewRequestWithContext(r.t.Context(), method, url, nil)
	if err != nil {
		return response{}, err
	}
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	answer, err := r.client.Do(request)
	if err != nil {
		return response{}, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return response{answer, string(text)}, err
}

func (r *running) get(path string) response {
	r.t.Helper()
	return r.do(http.MethodGet, "http://"+r.address+path)
}

// sample returns the value of the series as /metrics spells it, "" when there is none.
func (r *running) sample(series string) string {
	r.t.Helper()
	return sampleOf(r.get("/metrics").text, series)
}

func sampleOf(text, series string) string {
	for line := range strings.Lines(text) {
		if value, found := strings.CutPrefix(line, series+" "); found {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// writeFile writes a file into the test's own folder and returns its path.
func writeFile(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// trusting returns a client that trusts what the configuration says.
func trusting(config *tls.Config) *http.Client {
	return &http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
}

func check[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, fmt.Sprintf("%#v", got), fmt.Sprintf("%#v", want))
	}
}
