// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/cache"

	"stability-exporter/internal/state"
)

// sink is the store of a reflector. It converts objects and hands them on; it keeps nothing.
type sink struct {
	kind    kind
	scope   state.Scope
	store   *state.Store
	options convertOptions
	monitor *monitor
	free    *freeReplicaSets // of the kind ReplicaSets, else nil
	events  *recentEvents    // of the kind Events, else nil
}

var (
	_ cache.TransformingStore      = (*sink)(nil)
	_ cache.ReflectorBookmarkStore = (*sink)(nil)
)

// compact carries a converted object through a list, whose items must be runtime.Objects.
type compact struct{ object state.Object }

// GetObjectKind implements runtime.Object.
func (compact) GetObjectKind() schema.ObjectKind { return schema.EmptyObjectKind }

// DeepCopyObject implements runtime.Object; nobody changes what it holds.
func (c compact) DeepCopyObject() runtime.Object { return c }

// convert returns nil for what tells nothing, and an error for what is no object of the kind; a selective kind does not tell them
// apart.
func (s *sink) convert(obj any) (state.Object, error) {
	var object state.Object
	switch o := obj.(type) {
	case compact:
		return o.object, nil
	case runtime.Object:
		object = s.kind.Convert(o, s.options)
	}
	if object == nil && !s.kind.Selective {
		return nil, fmt.Errorf("unexpected %T among %s", obj, s.scope.Kind)
	}
	return object, nil
}

// beginList takes that a list is about to be read.
func (s *sink) beginList() {
	if s.events != nil {
		s.events.listed = 0
	}
}

// listed converts an item of a list; of one that has not changed it is what the store holds already.
func (s *sink) listed(obj any) (state.Object, error) {
	object, err := s.held(obj), error(nil)
	if object == nil {
		object, err = s.convert(obj)
	}
	if event, ok := object.(*state.ProbeEvent); ok && !s.events.takes(event, state.At(time.Now())) {
		return nil, nil
	}
	return object, err
}

func (s *sink) held(obj any) state.Object {
	o, ok := obj.(metav1.Object)
	if !ok {
		return nil
	}
	return s.store.Held(s.scope.Kind, state.ParseUID(string(o.GetUID())), resourceVersion(o))
}

// Transformer implements cache.TransformingStore: the reflector keeps the objects of a streaming list in this form.
func (s *sink) Transformer() cache.TransformFunc {
	return func(obj any) (any, error) {
		object, err := s.listed(obj)
		return compact{object}, err
	}
}

// Add implements cache.ReflectorStore.
func (s *sink) Add(obj any) error {
	object, err := s.convert(obj)
	switch {
	case err != nil:
		return err
	case object == nil:
		return s.Delete(obj)
	}
	s.store.Apply(s.scope, object)
	if s.free != nil {
		s.free.changed(object)
	}
	if event, ok := object.(*state.ProbeEvent); ok {
		if surplus := s.events.keep(event); surplus != nil {
			s.store.Delete(s.scope, surplus)
		}
	}
	return nil
}

// Update implements cache.ReflectorStore.
func (s *sink) Update(obj any) error { return s.Add(obj) }

// Delete implements cache.ReflectorStore.
func (s *sink) Delete(obj any) error {
	if s.events != nil {
		return s.deleteEvent(obj)
	}
	object, err := s.convert(obj)
	if err != nil {
		return err
	}
	if s.free != nil {
		s.free.gone(object)
	}
	s.store.Delete(s.scope, object)
	return nil
}

// deleteEvent drops an event that is gone, or that tells nothing any more; most were not kept.
func (s *sink) deleteEvent(obj any) error {
	o, ok := obj.(metav1.Object)
	if !ok {
		return fmt.Errorf("unexpected %T among %s", obj, s.scope.Kind)
	}
	if kept := s.events.forget(state.ParseUID(string(o.GetUID()))); kept != nil {
		s.store.Delete(s.scope, kept)
	} else {
		s.store.Touch(s.scope)
	}
	return nil
}

// Replace implements cache.ReflectorStore: the end of a list.
func (s *sink) Replace(list []any, _ string) error {
	objects := make([]state.Object, 0, len(list))
	for _, obj := range list {
		if object, err := s.convert(obj); err == nil && object != nil {
			objects = append(objects, object)
		}
	}
	s.monitor.listed()
	if s.events != nil {
		s.events.replace(objects)
	}
	if s.free != nil {
		s.free.replace(objects)
		return nil
	}
	s.store.Replace(s.scope, objects)
	return nil
}

// Resync implements cache.ReflectorStore; it never happens, because no period is set.
func (s *sink) Resync() error { return nil }

// Bookmark implements cache.ReflectorBookmarkStore.
func (s *sink) Bookmark(string) error {
	s.store.Touch(s.scope)
	return nil
}
