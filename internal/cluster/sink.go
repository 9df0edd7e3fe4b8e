// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"fmt"

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

// convert returns nil for what is no object of the kind.
func (s *sink) convert(obj any) state.Object {
	switch o := obj.(type) {
	case compact:
		return o.object
	case runtime.Object:
		return s.kind.Convert(o, s.options)
	}
	return nil
}

// listed converts an item of a list; of one that has not changed it is what the store holds already.
func (s *sink) listed(obj any) state.Object {
	if o, ok := obj.(metav1.Object); ok {
		uid, version := state.ParseUID(string(o.GetUID())), resourceVersion(o)
		if held := s.store.Held(s.scope.Kind, uid, version); held != nil {
			return held
		}
	}
	return s.convert(obj)
}

// Transformer implements cache.TransformingStore: the reflector keeps the objects of a streaming list in this form.
func (s *sink) Transformer() cache.TransformFunc {
	return func(obj any) (any, error) {
		if object := s.listed(obj); object != nil {
			return compact{object}, nil
		}
		return nil, fmt.Errorf("unexpected %T among %s", obj, s.scope.Kind)
	}
}

// Add implements cache.ReflectorStore.
func (s *sink) Add(obj any) error {
	object := s.convert(obj)
	if object == nil {
		return fmt.Errorf("unexpected %T among %s", obj, s.scope.Kind)
	}
	s.store.Apply(s.scope, object)
	if s.free != nil {
		s.free.changed(object)
	}
	return nil
}

// Update implements cache.ReflectorStore.
func (s *sink) Update(obj any) error { return s.Add(obj) }

// Delete implements cache.ReflectorStore.
func (s *sink) Delete(obj any) error {
	object := s.convert(obj)
	if object == nil {
		return fmt.Errorf("unexpected %T among %s", obj, s.scope.Kind)
	}
	if s.free != nil {
		s.free.gone(object)
	}
	s.store.Delete(s.scope, object)
	return nil
}

// Replace implements cache.ReflectorStore: the end of a list.
func (s *sink) Replace(list []any, _ string) error {
	objects := make([]state.Object, 0, len(list))
	for _, obj := range list {
		if object := s.convert(obj); object != nil {
			objects = append(objects, object)
		}
	}
	s.monitor.listed()
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
