// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"fmt"
	"maps"
	"net"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

const protobufType = "application/vnd.kubernetes.protobuf"

// bookmarkEvery is how often a quiet watch gets a bookmark; kube-apiserver takes a minute.
const bookmarkEvery = 30 * time.Second

// resource is what the server holds of one resource.
type resource struct {
	kind     runtime.TypeMeta // of the objects as they are sent
	listKind runtime.TypeMeta
	objects  []object
	watches  map[*subscription]struct{}
}

// subscription is where the events for one open watch go.
type subscription struct {
	events chan []byte
	gone   <-chan struct{} // closed when the client leaves
}

// server replays a cluster: it speaks the list, watch and get protocol of a Kubernetes API server in protobuf over plain
// HTTP, out of memory, with every object marshalled beforehand. It checks no credentials and knows no selectors, because
// the cluster has nothing that the exporter's selectors would leave out.
type server struct {
	URL        string
	pagedLists bool // refuse streaming lists, as a server before 1.34 does by default

	http     http.Server
	version  atomic.Uint64
	lists    atomic.Int64 // complete lists sent, streamed or not
	mu       sync.Mutex
	all      map[string]*resource
	expiring chan struct{} // closed when the history of all watches is forgotten
}

// newServer serves the resources on a free port of the loopback interface.
func newServer(all map[string]*resource, pagedLists bool) (*server, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("cannot listen: %w", err)
	}
	s := &server{URL: "http://" + listener.Addr().String(), pagedLists: pagedLists, all: all, expiring: make(chan struct{})}
	s.version.Store(1_000_000)
	s.http.Handler = s
	go func() { _ = s.http.Serve(listener) }() // returns when the server is closed
	return s, nil
}

func (s *server) close() { _ = s.http.Close() }

// ServeHTTP implements http.Handler.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	parent, last := path.Split(strings.TrimSuffix(r.URL.Path, "/"))
	res := s.all[last]
	switch {
	case path.Base(parent) == "leases":
		s.serveLease(w, last)
	case res == nil:
		respond(w, http.StatusNotFound, statusKind(), failure(http.StatusNotFound, metav1.StatusReasonNotFound))
	case r.URL.Query().Get("watch") == "":
		s.serveList(w, r, res)
	case r.URL.Query().Get("sendInitialEvents") == "true" && s.pagedLists:
		respond(w, http.StatusUnprocessableEntity, statusKind(), failure(http.StatusUnprocessableEntity, metav1.StatusReasonInvalid))
	default:
		s.serveWatch(w, r, res)
	}
}

func respond(w http.ResponseWriter, code int, kind runtime.TypeMeta, raw []byte) {
	w.Header().Set("Content-Type", protobufType)
	w.WriteHeader(code)
	_, _ = w.Write(envelope(kind, raw)) // the client may be gone
}

// serveLease answers with a lease that was renewed just now.
func (s *server) serveLease(w http.ResponseWriter, name string) {
	now, holder, seconds := metav1.NowMicro(), "control-plane-1_6ba7b810-9dad-11d1-80b4-00c04fd430c8", int32(15)
	respond(w, http.StatusOK, runtime.TypeMeta{APIVersion: "coordination.k8s.io/v1", Kind: "Lease"}, mustMarshal(&coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: name, UID: uid("lease", len(name))},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: &holder, LeaseDurationSeconds: &seconds, RenewTime: &now},
	}))
}

// serveList answers with one page; the token of the next one is the number of its first object.
func (s *server) serveList(w http.ResponseWriter, r *http.Request, res *resource) {
	s.mu.Lock()
	objects := slices.Clone(res.objects)
	s.mu.Unlock()
	first, _ := strconv.Atoi(r.URL.Query().Get("continue"))
	limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
	first = min(first, len(objects))
	end, next := len(objects), ""
	if limit > 0 && first+limit < len(objects) {
		end = first + limit
		next = strconv.Itoa(end)
	}
	respond(w, http.StatusOK, res.listKind, list(s.version.Load(), next, objects[first:end]))
	if next == "" {
		s.lists.Add(1)
	}
}

// watched is one open watch.
type watched struct {
	*resource
	out     *bufio.Writer
	flusher http.Flusher
	*subscription
}

// send writes and flushes frames; it reports whether the client still takes them.
func (w *watched) send(frames ...[]byte) bool {
	for _, frame := range frames {
		if _, err := w.out.Write(frame); err != nil {
			return false
		}
	}
	if w.out.Flush() != nil {
		return false
	}
	w.flusher.Flush()
	return true
}

func (s *server) serveWatch(rw http.ResponseWriter, r *http.Request, res *resource) {
	w := &watched{
		resource: res, out: bufio.NewWriterSize(rw, 64<<10), flusher: rw.(http.Flusher),
		subscription: &subscription{events: make(chan []byte, 256), gone: r.Context().Done()},
	}
	var initial []object
	s.mu.Lock()
	if r.URL.Query().Get("sendInitialEvents") == "true" {
		initial = slices.Clone(res.objects)
	}
	res.watches[w.subscription] = struct{}{}
	expired := s.expiring
	s.mu.Unlock()
	defer s.unsubscribe(res, w.subscription)

	rw.Header().Set("Content-Type", protobufType+";stream=watch")
	rw.WriteHeader(http.StatusOK)
	for _, o := range initial {
		if _, err := w.out.Write(o.frame); err != nil {
			return
		}
	}
	var end []byte
	if r.URL.Query().Get("sendInitialEvents") == "true" {
		end = appendBookmark(nil, res.kind, s.version.Load(), true)
	}
	if !w.send(end) {
		return
	}
	if end != nil {
		s.lists.Add(1)
	}
	s.follow(w, expired)
}

// follow passes events on until the client leaves or the history expires.
func (s *server) follow(w *watched, expired chan struct{}) {
	quiet := time.NewTicker(bookmarkEvery)
	defer quiet.Stop()
	for open := true; open; {
		select {
		case <-w.gone:
			return
		case <-expired:
			w.send(appendFrame(nil, "ERROR", statusKind(), failure(http.StatusGone, metav1.StatusReasonExpired)))
			return
		case <-quiet.C:
			open = w.send(appendBookmark(nil, w.kind, s.version.Load(), false))
		case frame := <-w.events:
			open = w.send(frame)
		}
	}
}

func (s *server) unsubscribe(res *resource, w *subscription) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(res.watches, w)
}

// expire forgets the history: every open watch ends with 410, and its client has to list anew.
func (s *server) expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.expiring)
	s.expiring = make(chan struct{})
}

// modify changes an object and tells the watches; it waits until they take the event.
func (s *server) modify(name string, index int, o object) {
	s.mu.Lock()
	res := s.all[name]
	res.objects[index] = o
	watches := slices.Collect(maps.Keys(res.watches))
	s.mu.Unlock()
	s.version.Add(1)
	for _, w := range watches {
		select {
		case w.events <- o.frame:
		case <-w.gone:
		}
	}
}
