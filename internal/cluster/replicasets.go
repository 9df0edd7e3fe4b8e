// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/flowcontrol"

	"stability-exporter/internal/state"
)

const (
	freeReplicaSetsPerSecond = 20
	freeReplicaSetsBurst     = 100
)

// freeReplicaSets reads the ReplicaSets that no Deployment controls: bare ones and those of foreign controllers. All
// ReplicaSets are watched as metadata only, because most of them are old revisions of a Deployment; each change of a
// free one costs a GET. Changes that come while one is queued cost no more.
type freeReplicaSets struct {
	get      func(context.Context, types.NamespacedName) (*appsv1.ReplicaSet, error)
	prefetch func(keys []types.NamespacedName) []state.Object
	limit    flowcontrol.RateLimiter
	scope    state.Scope
	store    *state.Store
	options  convertOptions
	monitor  *monitor
	wake     chan struct{}

	mu     sync.Mutex
	known  map[types.NamespacedName]state.UID
	queued map[types.NamespacedName]bool
	queue  []types.NamespacedName
	synced bool
}

func (l *Live) newFreeReplicaSets(ctx context.Context, k kind, s *sink) *freeReplicaSets {
	f := &freeReplicaSets{
		limit: flowcontrol.NewTokenBucketRateLimiter(freeReplicaSetsPerSecond, freeReplicaSetsBurst),
		scope: s.scope, store: s.store, options: s.options, monitor: s.monitor,
		known: map[types.NamespacedName]state.UID{}, queued: map[types.NamespacedName]bool{}, wake: make(chan struct{}, 1),
	}
	f.get = func(ctx context.Context, key types.NamespacedName) (*appsv1.ReplicaSet, error) {
		ctx, cancel := context.WithTimeout(ctx, l.timings.request)
		defer cancel()
		rs := &appsv1.ReplicaSet{}
		err := l.clients[k.Group].Get().Namespace(key.Namespace).Resource(k.Kind.String()).Name(key.Name).Do(ctx).Into(rs)
		return rs, err
	}
	f.prefetch = func(keys []types.NamespacedName) []state.Object { return f.fetchAll(ctx, keys, l.timings.prefetch) }
	return f
}

func keyOf(m *state.Meta) types.NamespacedName {
	return types.NamespacedName{Namespace: m.Namespace.String(), Name: m.Name}
}

// changed takes a new or changed ReplicaSet.
func (f *freeReplicaSets) changed(object state.Object) {
	m := object.ObjectMeta()
	key := keyOf(m)
	f.mu.Lock()
	defer f.mu.Unlock()
	if !controlledByDeployment(m) {
		f.known[key] = m.UID
		f.enqueue(key)
	} else if _, wasFree := f.known[key]; wasFree {
		delete(f.known, key)
		f.store.Delete(f.scope, &state.Workload{Meta: *m, Kind: state.ReplicaSets})
	}
}

// gone takes a deleted ReplicaSet; a GET of it that is under way will not bring it back.
func (f *freeReplicaSets) gone(object state.Object) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.known, keyOf(object.ObjectMeta()))
}

// replace hands a complete list to the store. The first time the free ones are read before, so that they do not show
// up piece by piece in a kind that counts as synchronised.
func (f *freeReplicaSets) replace(objects []state.Object) {
	known := map[types.NamespacedName]state.UID{}
	var keys []types.NamespacedName
	for _, object := range objects {
		if m := object.ObjectMeta(); !controlledByDeployment(m) {
			known[keyOf(m)] = m.UID
			keys = append(keys, keyOf(m))
		}
	}
	f.mu.Lock()
	f.known = known
	first := !f.synced
	f.synced = true
	f.mu.Unlock()

	var whole []state.Object
	if first {
		whole = f.prefetch(keys)
	}
	f.store.Replace(f.scope, objects)
	f.store.Apply(f.scope, whole...)

	f.mu.Lock()
	defer f.mu.Unlock()
	for _, key := range keys[len(whole):] {
		f.enqueue(key)
	}
}

// fetchAll reads the first ReplicaSets of the list within the limit; it stops at the first that cannot be read.
func (f *freeReplicaSets) fetchAll(ctx context.Context, keys []types.NamespacedName, limit time.Duration) []state.Object {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var all []state.Object
	for _, key := range keys {
		if f.limit.Wait(ctx) != nil {
			break
		}
		rs, err := f.get(ctx, key)
		if err != nil {
			break
		}
		w := convertFreeReplicaSet(rs, f.options)
		if w == nil {
			break
		}
		all = append(all, w)
	}
	return all
}

func (f *freeReplicaSets) enqueue(key types.NamespacedName) {
	if !f.queued[key] {
		f.queued[key] = true
		f.queue = append(f.queue, key)
	}
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

func (f *freeReplicaSets) next() (types.NamespacedName, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.queue) == 0 {
		return types.NamespacedName{}, false
	}
	key := f.queue[0]
	f.queue = f.queue[1:]
	delete(f.queued, key)
	return key, true
}

// run works the queue off until ctx is done.
func (f *freeReplicaSets) run(ctx context.Context) {
	for {
		key, ok := f.next()
		if !ok {
			select {
			case <-ctx.Done():
				return
			case <-f.wake:
			}
			continue
		}
		if f.limit.Wait(ctx) != nil {
			return
		}
		if err := f.refresh(ctx, key); err != nil {
			f.retry(ctx, key, err)
		}
	}
}

func (f *freeReplicaSets) refresh(ctx context.Context, key types.NamespacedName) error {
	rs, err := f.get(ctx, key)
	if apierrors.IsNotFound(err) {
		return nil // the watch will tell that it is gone
	}
	if err != nil {
		return err
	}
	w := convertFreeReplicaSet(rs, f.options)
	f.mu.Lock()
	defer f.mu.Unlock()
	if w != nil && f.known[key] == w.UID {
		f.store.Apply(f.scope, w)
	}
	f.monitor.objectRead(nil)
	return nil
}

// retry puts the key back and waits: what made one GET fail would make the next fail.
func (f *freeReplicaSets) retry(ctx context.Context, key types.NamespacedName, err error) {
	f.monitor.objectRead(err)
	f.mu.Lock()
	if _, free := f.known[key]; free {
		f.enqueue(key)
	}
	f.mu.Unlock()
	pause := f.monitor.timings.maxBackoff
	if apierrors.IsForbidden(err) {
		pause = f.monitor.timings.deniedRetry
	}
	select {
	case <-ctx.Done():
	case <-time.After(pause):
	}
}
