// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metainternal "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/flowcontrol"
	"k8s.io/klog/v2"

	"stability-exporter/internal/state"
)

// pageSize is the number of objects in a page where the server cannot stream lists.
const pageSize = 100

// watch keeps one scope of the store up to date until ctx is done.
func (l *Live) watch(ctx context.Context, store *state.Store, k kind, m *monitor) {
	// What the reflector would log, the monitor tells better, and once.
	ctx = klog.NewContext(ctx, logr.Discard())
	s := &sink{kind: k, scope: m.scope, store: store, options: l.convertOptions(), monitor: m}
	if k.Kind == state.Events {
		s.events = newRecentEvents()
	}
	var running sync.WaitGroup
	defer running.Wait()
	if k.AlsoGet {
		s.free = l.newFreeReplicaSets(ctx, k, s)
		running.Go(func() { s.free.run(ctx) })
	}
	w := &watcher{
		client: l.clients[k.Group], kind: k, fieldSelector: l.fieldSelector(m.scope), sink: s, monitor: m, timings: l.timings,
		pace: flowcontrol.NewTokenBucketRateLimiter(1, 5),
	}
	var expected any = k.Object()
	if k.Access == watchMetadata {
		expected = &metav1.PartialObjectMetadata{}
	}
	reflector := cache.NewReflectorWithOptions(
		&cache.ListWatch{ListWithContextFunc: w.list, WatchFuncWithContext: w.watch}, expected, s,
		cache.ReflectorOptions{
			Name: k.Kind.String(),
			Backoff: &wait.Backoff{
				Duration: l.timings.firstBackoff, Cap: l.timings.maxBackoff, Factor: 2, Jitter: 0.5, Steps: 32,
			},
		})
	reflector.RunWithContext(ctx)
}

// watcher lists and watches one scope for a reflector.
type watcher struct {
	client        rest.Interface
	kind          kind
	fieldSelector string
	sink          *sink
	monitor       *monitor
	timings       timings
	pace          flowcontrol.RateLimiter // client-go limits no watches: one that is cut at once must not spin
	refused       error                   // of a streaming list; the plain list after it would fare no better
}

func (w *watcher) request(options *metav1.ListOptions, list string) *rest.Request {
	options.FieldSelector = w.fieldSelector
	r := w.client.Get().
		NamespaceIfScoped(w.monitor.scope.Namespace, w.monitor.scope.Namespace != "").
		Resource(w.kind.Kind.String()).
		VersionedParams(options, metav1.ParameterCodec)
	if w.kind.Access == watchMetadata {
		as := ";as=PartialObjectMetadata" + list + ";g=meta.k8s.io;v=v1"
		r.SetHeader("Accept", protobufType+as+",application/json"+as)
	}
	return r
}

// watch opens a watch that is torn down when it falls silent. With SendInitialEvents it is a streaming list.
func (w *watcher) watch(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	if err := w.waitTurn(ctx); err != nil {
		return nil, err
	}
	streamsList := options.SendInitialEvents != nil && *options.SendInitialEvents
	if streamsList {
		w.sink.beginList()
	}
	options.Watch = true
	opened, cancel := context.WithCancel(ctx)
	opening := time.AfterFunc(w.timings.silence, cancel)
	stream, err := w.request(&options, "").Watch(opened)
	inTime := opening.Stop()
	switch {
	case err == nil && inTime:
		lasts := time.Duration(0)
		if options.TimeoutSeconds != nil {
			lasts = time.Duration(*options.TimeoutSeconds) * time.Second
		}
		g := newGuardedWatch(stream, cancel, w.monitor, w.timings)
		g.ends = time.Now().Add(lasts)
		if !streamsList {
			g.began = time.Now()
		}
		go g.run()
		return g, nil
	case err == nil:
		stream.Stop()
		fallthrough
	case !inTime:
		err = fmt.Errorf("no answer within %s", w.timings.silence)
	}
	cancel()
	if ctx.Err() != nil {
		return nil, ctx.Err() // we are stopping: that the request ended is no failure, whatever its error says
	}
	if streamsList && apierrors.IsInvalid(err) {
		return nil, err // the server cannot stream lists; the reflector lists instead
	}
	w.monitor.failed("watch", err)
	if streamsList && hopeless(err) {
		// As plain text: by the type of some errors the reflector would wait where no context ends it.
		w.refused = fmt.Errorf("cannot watch %s: %v", w.kind.Kind, err)
		return nil, w.refused
	}
	return nil, err
}

// hopeless reports whether a plain list would meet the same error as the streaming one.
func hopeless(err error) bool {
	return apierrors.IsForbidden(err) || apierrors.IsNotFound(err) || apierrors.IsTooManyRequests(err) ||
		utilnet.IsConnectionRefused(err)
}

func (w *watcher) waitTurn(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(w.monitor.pause()):
		return w.pace.Wait(ctx)
	}
}

// list reads all pages and converts each at once, so that whole objects of one page at most exist. It asks for the
// newest state whatever the reflector asks: by resource version 0 the server would ignore the limit.
func (w *watcher) list(ctx context.Context, _ metav1.ListOptions) (runtime.Object, error) {
	if err := w.refused; err != nil {
		w.refused = nil
		return nil, err
	}
	w.sink.beginList()
	all := &metainternal.List{}
	for options := (metav1.ListOptions{Limit: pageSize}); ; {
		page, err := w.page(ctx, options)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			w.monitor.failed("list", err)
			return nil, err
		}
		err = meta.EachListItem(page, func(item runtime.Object) error {
			object, err := w.sink.listed(item)
			if object != nil {
				all.Items = append(all.Items, compact{object})
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("cannot read a page of %s: %w", w.kind.Kind, err)
		}
		about, err := meta.ListAccessor(page)
		if err != nil {
			return nil, fmt.Errorf("cannot read a page of %s: %w", w.kind.Kind, err)
		}
		all.ResourceVersion = about.GetResourceVersion()
		if options.Continue = about.GetContinue(); options.Continue == "" {
			return all, nil
		}
	}
}

func (w *watcher) page(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, w.timings.request, errors.New("the server is too slow"))
	defer cancel()
	return w.request(&options, "List").Do(ctx).Get()
}

// guardedWatch passes a watch on and observes it.
type guardedWatch struct {
	stream  watch.Interface
	cancel  context.CancelFunc
	monitor *monitor
	timings timings
	ends    time.Time // when the server was asked to end it
	began   time.Time // when it became a plain watch: at once, or when the streaming list ended; else zero
	result  chan watch.Event
	stopped chan struct{}
	stop    sync.Once
}

func newGuardedWatch(stream watch.Interface, cancel context.CancelFunc, m *monitor, t timings) *guardedWatch {
	return &guardedWatch{
		stream: stream, cancel: cancel, monitor: m, timings: t,
		result: make(chan watch.Event), stopped: make(chan struct{}),
	}
}

// ResultChan implements watch.Interface.
func (g *guardedWatch) ResultChan() <-chan watch.Event { return g.result }

// Stop implements watch.Interface.
func (g *guardedWatch) Stop() {
	g.stop.Do(func() {
		close(g.stopped)
		g.cancel()
		g.stream.Stop()
	})
}

func (g *guardedWatch) run() {
	defer g.Stop()
	defer close(g.result)
	silence, steady := time.NewTimer(g.timings.silence), time.NewTimer(g.timings.steady)
	defer silence.Stop()
	defer steady.Stop()
	for works := false; ; {
		select {
		case <-g.stopped:
			return
		case <-steady.C:
			g.monitor.works()
			works = true
		case <-silence.C:
			g.monitor.failed("watch", errSilent(g.timings.silence))
			return
		case event, open := <-g.stream.ResultChan():
			if !open {
				g.closed(works)
				return
			}
			if event.Type == watch.Error {
				g.monitor.failed("watch", apierrors.FromObject(event.Object))
				g.pass(event) // nothing comes after it
				return
			}
			if !works {
				g.monitor.works()
				works = true
			}
			if event.Type == watch.Bookmark && g.began.IsZero() {
				g.began = time.Now()
			}
			if !g.pass(event) {
				return
			}
			silence.Reset(g.timings.silence)
		}
	}
}

func (g *guardedWatch) pass(event watch.Event) bool {
	select {
	case g.result <- event:
		return true
	case <-g.stopped:
		return false
	}
}

// shortWatch is a little longer than what the reflector finds too short for a watch without events.
const shortWatch = 1100 * time.Millisecond

// closed judges the end of the stream: at its time it is routine, before that it was cut.
func (g *guardedWatch) closed(worked bool) {
	select {
	case <-g.stopped:
		return
	default:
	}
	switch {
	case !worked:
		g.monitor.failed("watch", errors.New("the connection was cut before anything came"))
	case time.Until(g.ends) > time.Second:
		g.monitor.broken()
	}
	if g.began.IsZero() {
		return
	}
	// After a watch so short the reflector would list everything anew; an API server that restarts cuts connections
	// like this.
	select {
	case <-g.stopped:
	case <-time.After(time.Until(g.began.Add(shortWatch))):
	}
}
