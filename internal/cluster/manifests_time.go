// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"reflect"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// dumpClock finds the moment a dump was taken.
//
// Nodes renew their heartbeat, Leases their renewTime and Events happen all the time, so the newest timestamp of a dump
// that holds one of them is close to the moment of the dump. Without them nothing may have happened for weeks before
// it, and the file's own time is the better guess. Deletion timestamps lie in the future by the grace period, and
// timestamps of kinds we do not read can mean anything (the end of a certificate), so neither counts; nor does a
// timestamp ahead of our own clock.
type dumpClock struct {
	wall     time.Time // the present by our own clock
	newest   time.Time // newest timestamp seen
	ticks    bool      // something that ticks was seen
	modified time.Time // newest modification time of the files, or the time of reading for a pipe
	timed    map[reflect.Type]bool
}

func newDumpClock(wall time.Time) *dumpClock {
	return &dumpClock{wall: wall, timed: map[reflect.Type]bool{}}
}

// now is the moment of the dump.
func (c *dumpClock) now() time.Time {
	switch {
	case c.ticks:
		return c.newest
	case !c.modified.IsZero():
		return c.modified
	default:
		return c.wall
	}
}

// file notes when a file was modified; a time ahead of our own clock counts as now.
func (c *dumpClock) file(modified time.Time) {
	if modified.After(c.wall) {
		modified = c.wall
	}
	if modified.After(c.modified) {
		c.modified = modified
	}
}

// object notes the timestamps of an object of a kind we read.
func (c *dumpClock) object(obj any) {
	switch o := obj.(type) {
	case *corev1.Node:
		for _, condition := range o.Status.Conditions {
			c.tick(condition.LastHeartbeatTime.Time)
		}
	case *coordinationv1.Lease:
		if o.Spec.RenewTime != nil {
			c.tick(o.Spec.RenewTime.Time)
		}
	case *corev1.Event:
		for _, t := range []time.Time{o.CreationTimestamp.Time, o.FirstTimestamp.Time, o.LastTimestamp.Time, o.EventTime.Time} {
			c.tick(t)
		}
		if o.Series != nil {
			c.tick(o.Series.LastObservedTime.Time)
		}
	}
	c.walk(reflect.ValueOf(obj))
}

func (c *dumpClock) tick(t time.Time) {
	if c.see(t) {
		c.ticks = true
	}
}

// see notes a timestamp and reports whether it counts.
func (c *dumpClock) see(t time.Time) bool {
	if t.IsZero() || t.After(c.wall) {
		return false
	}
	if t.After(c.newest) {
		c.newest = t
	}
	return true
}

var (
	timeType      = reflect.TypeFor[metav1.Time]()
	microTimeType = reflect.TypeFor[metav1.MicroTime]()
)

// walk notes every timestamp below v except deletion timestamps.
func (c *dumpClock) walk(v reflect.Value) {
	if !c.holdsTime(v.Type()) {
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			c.walk(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			c.walk(v.Index(i))
		}
	case reflect.Struct:
		switch t := v.Interface().(type) {
		case metav1.Time:
			c.see(t.Time)
		case metav1.MicroTime:
			c.see(t.Time)
		default:
			for i := range v.NumField() {
				if field := v.Type().Field(i); field.IsExported() && field.Name != "DeletionTimestamp" {
					c.walk(v.Field(i))
				}
			}
		}
	}
}

// holdsTime reports whether values of the type can hold a timestamp, so that most of a pod need not be walked.
func (c *dumpClock) holdsTime(t reflect.Type) bool {
	if t == timeType || t == microTimeType {
		return true
	}
	if holds, known := c.timed[t]; known {
		return holds
	}
	c.timed[t] = false // of a type within itself: no more than its other fields hold
	holds := false
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice:
		holds = c.holdsTime(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			field := t.Field(i)
			holds = field.IsExported() && field.Name != "DeletionTimestamp" && c.holdsTime(field.Type) || holds
		}
	}
	c.timed[t] = holds
	return holds
}
