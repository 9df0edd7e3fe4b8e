// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/go-kit/log"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"

	"stability-exporter/internal/state"
)

// fakeAPI speaks the protocol of the Kubernetes API as far as get, list and watch go, in protobuf or JSON. It is no
// API server: it answers what a test tells it to, wrong answers included.
type fakeAPI struct {
	t      *testing.T
	server *httptest.Server
	json   bool        // answer in JSON although the client prefers protobuf
	down   atomic.Bool // refuse connections

	mu      sync.Mutex
	answers map[string]func(*call)
	calls   []*call
}

// call is one request, and the ways to answer it.
type call struct {
	api      *fakeAPI
	w        http.ResponseWriter
	r        *http.Request
	path     string
	query    url.Values
	resource string
	name     string // of a GET
	metadata bool
	nth      int // calls of the same resource before this one
	streams  bool
}

func newFakeAPI(t *testing.T) *fakeAPI {
	api := &fakeAPI{t: t, answers: map[string]func(*call){}}
	api.server = httptest.NewServer(http.HandlerFunc(api.serve))
	t.Cleanup(api.server.Close)
	return api
}

// on says how requests of a resource are answered.
func (api *fakeAPI) on(resource string, answer func(*call)) {
	api.mu.Lock()
	defer api.mu.Unlock()
	api.answers[resource] = answer
}

func (api *fakeAPI) serve(w http.ResponseWriter, r *http.Request) {
	c := &call{api: api, w: w, r: r, path: r.URL.Path, query: r.URL.Query()}
	c.metadata = strings.Contains(r.Header.Get("Accept"), "as=PartialObjectMetadata")
	segments := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	for i, segment := range segments {
		if slices.ContainsFunc(kinds(), func(k kind) bool { return k.Kind.String() == segment }) {
			c.resource = segment
			c.name = strings.Join(segments[i+1:], "/")
		}
	}
	api.mu.Lock()
	answer := api.answers[c.resource]
	for _, other := range api.calls {
		if other.resource == c.resource {
			c.nth++
		}
	}
	api.calls = append(api.calls, c)
	api.mu.Unlock()
	if answer == nil {
		c.fail(http.StatusNotFound, metav1.StatusReasonNotFound)
		return
	}
	answer(c)
}

// seen returns the requests so far.
func (api *fakeAPI) seen() []*call {
	api.mu.Lock()
	defer api.mu.Unlock()
	return slices.Clone(api.calls)
}

// config of a client of the fake server.
func (api *fakeAPI) config() *rest.Config {
	return prepare(&rest.Config{
		Host: api.server.URL,
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			if api.down.Load() {
				return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
			}
			return (&net.Dialer{}).DialContext(ctx, network, address)
		},
	})
}

// refuse cuts all connections and lets no new one in.
func (api *fakeAPI) refuse() {
	api.down.Store(true)
	api.server.CloseClientConnections()
}

func (c *call) watches() bool     { return c.query.Get("watch") == "true" || c.query.Get("watch") == "1" }
func (c *call) streamsList() bool { return c.query.Get("sendInitialEvents") == "true" }

func (c *call) media() (runtime.SerializerInfo, serializer.CodecFactory) {
	codecs := serializer.NewCodecFactory(newScheme())
	wanted := protobufType
	if c.api.json {
		wanted = runtime.ContentTypeJSON
	}
	info, ok := runtime.SerializerInfoForMediaType(codecs.SupportedMediaTypes(), wanted)
	if !ok {
		c.api.t.Errorf("no serializer for %s", wanted)
	}
	return info, codecs
}

// encode gives the object in the form that the request asks for.
func (c *call) encode(object runtime.Object) []byte {
	info, codecs := c.media()
	version := schema.GroupVersion{Version: "v1"}
	if _, isStatus := object.(*metav1.Status); !isStatus {
		if c.metadata {
			version = schema.GroupVersion{Group: "meta.k8s.io", Version: "v1"}
		} else {
			i := slices.IndexFunc(kinds(), func(k kind) bool { return k.Kind.String() == c.resource })
			version = kinds()[i].Group
		}
	}
	data, err := runtime.Encode(codecs.EncoderForVersion(info.Serializer, version), object)
	if err != nil {
		c.api.t.Errorf("cannot encode %T: %v", object, err)
	}
	return data
}

func (c *call) respond(code int, object runtime.Object) {
	info, _ := c.media()
	c.w.Header().Set("Content-Type", info.MediaType)
	c.w.WriteHeader(code)
	_, _ = c.w.Write(c.encode(object)) // the client may be gone
}

func status(code int, why metav1.StatusReason) *metav1.Status {
	return &metav1.Status{Status: metav1.StatusFailure, Code: int32(code), Reason: why, Message: "scripted " + string(why)}
}

func (c *call) fail(code int, why metav1.StatusReason) { c.respond(code, status(code, why)) }

// refuseStreaming answers as a server does that cannot stream lists.
func (c *call) refuseStreaming() { c.fail(http.StatusUnprocessableEntity, metav1.StatusReasonInvalid) }

// list answers with one page.
func (c *call) list(version, next string, objects ...runtime.Object) {
	var list runtime.Object = &metav1.PartialObjectMetadataList{}
	if !c.metadata {
		i := slices.IndexFunc(kinds(), func(k kind) bool { return k.Kind.String() == c.resource })
		list = kinds()[i].List()
	}
	if err := apimeta.SetList(list, c.shaped(objects)); err != nil {
		c.api.t.Error(err)
	}
	about, err := apimeta.ListAccessor(list)
	if err != nil {
		c.api.t.Error(err)
	}
	about.SetResourceVersion(version)
	about.SetContinue(next)
	c.respond(http.StatusOK, list)
}

// shaped reduces objects to metadata where that is what the client wants.
func (c *call) shaped(objects []runtime.Object) []runtime.Object {
	if !c.metadata {
		return objects
	}
	var all []runtime.Object
	for _, object := range objects {
		o := object.(metav1.Object)
		all = append(all, &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
			Name: o.GetName(), Namespace: o.GetNamespace(), UID: o.GetUID(), ResourceVersion: o.GetResourceVersion(),
			Labels: o.GetLabels(), Annotations: o.GetAnnotations(), OwnerReferences: o.GetOwnerReferences(),
		}})
	}
	return all
}

// stream sends events; hold keeps the stream open after them.
func (c *call) stream(events ...watch.Event) {
	info, codecs := c.media()
	if !c.streams {
		c.w.Header().Set("Content-Type", info.MediaType+";stream=watch")
		c.w.WriteHeader(http.StatusOK)
		c.streams = true
	}
	for _, event := range events {
		c.send(info, codecs, event)
	}
	if err := http.NewResponseController(c.w).Flush(); err != nil {
		c.api.t.Error(err)
	}
}

// hold keeps the connection open until the client leaves.
func (c *call) hold() { <-c.r.Context().Done() }

func (c *call) send(info runtime.SerializerInfo, codecs serializer.CodecFactory, event watch.Event) {
	object := event.Object
	if _, isStatus := object.(*metav1.Status); !isStatus {
		object = c.shaped([]runtime.Object{object})[0]
	}
	var frame bytes.Buffer
	encoder := codecs.EncoderForVersion(info.StreamSerializer.Serializer, schema.GroupVersion{Version: "v1"})
	err := encoder.Encode(&metav1.WatchEvent{Type: string(event.Type), Object: runtime.RawExtension{Raw: c.encode(object)}}, &frame)
	if err != nil {
		c.api.t.Errorf("cannot encode a %s event: %v", event.Type, err)
	}
	_, _ = info.StreamSerializer.Framer.NewFrameWriter(c.w).Write(frame.Bytes()) // the client may be gone
}

func added(o runtime.Object) watch.Event    { return watch.Event{Type: watch.Added, Object: o} }
func modified(o runtime.Object) watch.Event { return watch.Event{Type: watch.Modified, Object: o} }
func deleted(o runtime.Object) watch.Event  { return watch.Event{Type: watch.Deleted, Object: o} }
func failed(code int, why metav1.StatusReason) watch.Event {
	return watch.Event{Type: watch.Error, Object: status(code, why)}
}

// bookmark of the kind of o; end marks the end of a streaming list.
func bookmark(o runtime.Object, version string, end bool) watch.Event {
	m := o.(metav1.Object)
	m.SetResourceVersion(version)
	if end {
		m.SetAnnotations(map[string]string{metav1.InitialEventsAnnotationKey: "true"})
	}
	return watch.Event{Type: watch.Bookmark, Object: o}
}

// journal collects log lines.
type journal struct {
	mu    sync.Mutex
	lines []string
}

// Write implements io.Writer; the logger writes a line at a time.
func (j *journal) Write(line []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, string(line))
	return len(line), nil
}

func (j *journal) all() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.lines)
}

// observed is a live source that watches the fake server.
type observed struct {
	*Live
	store   *state.Store
	journal *journal
	ahead   atomic.Int64 // nanoseconds that the store's clock is ahead
	t       *testing.T
}

// observe starts a source with quick timings; the test's end stops it and checks that it stops.
func observe(t *testing.T, api *fakeAPI, options LiveOptions, change func(*timings)) *observed {
	t.Helper()
	o := &observed{journal: &journal{}, t: t}
	o.store = state.NewStore(state.Options{Clock: func() time.Time { return time.Now().Add(time.Duration(o.ahead.Load())) }})
	options.Logger = log.NewLogfmtLogger(o.journal)
	options.Collectors = func(k state.Kind) []string { return []string{"first", "of_" + k.String()} }
	var err error
	if o.Live, err = newLive(options, connection{config: api.config()}); err != nil {
		t.Fatal(err)
	}
	o.timings.firstBackoff, o.timings.maxBackoff = 5*time.Millisecond, 20*time.Millisecond
	o.timings.deniedRetry, o.timings.deniedProof = 20*time.Millisecond, 0
	if change != nil {
		change(&o.timings)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- o.Run(ctx, o.store) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("Run returned %v", err)
			}
		case <-time.After(20 * time.Second):
			t.Error("Run did not end with its context")
		}
	})
	return o
}

// await waits until the condition holds.
func (o *observed) await(what string, holds func() bool) {
	o.t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			o.t.Fatalf("not within 20 s: %s\nnodes %v, resources %+v\n%s", what, o.nodes(), o.store.Snapshot().Resources,
				strings.Join(o.journal.all(), ""))
		}
	}
}

func (o *observed) is(k state.Kind, want state.Observation) func() bool {
	return func() bool {
		for _, r := range o.store.Snapshot().Resources {
			if r.Kind == k {
				return r.Observation == want
			}
		}
		return false
	}
}

// nodes lists the names of the nodes that the store knows.
func (o *observed) nodes() string {
	var names []string
	for _, node := range o.store.Snapshot().Nodes {
		names = append(names, node.Name)
	}
	return strings.Join(names, " ")
}

// logged counts the lines that hold all the words.
func (o *observed) logged(words ...string) (n int) {
	for _, line := range o.journal.all() {
		if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) }) {
			n++
		}
	}
	return n
}

func (o *observed) stats(k state.Kind) Stats {
	for _, s := range o.Stats() {
		if s.Kind == k {
			return s
		}
	}
	o.t.Fatal(fmt.Errorf("no stats of %s", k))
	return Stats{}
}
