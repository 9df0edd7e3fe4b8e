// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/binary"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// marshaler is what every API type is in protobuf.
type marshaler interface{ Marshal() ([]byte, error) }

func mustMarshal(m marshaler) []byte {
	raw, err := m.Marshal()
	if err != nil {
		panic("BUG: cannot encode an object of our own: " + err.Error())
	}
	return raw
}

// object is an API object as the server holds it: a frame of a watch, which ends with the object's own bytes.
type object struct {
	frame []byte
	size  int // of the object's own bytes
}

func newObject(event string, kind runtime.TypeMeta, m marshaler) object {
	raw := mustMarshal(m)
	return object{frame: appendFrame(nil, event, kind, raw), size: len(raw)}
}

func (o object) raw() []byte { return o.frame[len(o.frame)-o.size:] }

// appendField appends a length-delimited protobuf field.
func appendField(dst []byte, field int, value []byte) []byte {
	const lengthDelimited = 2
	dst = binary.AppendUvarint(dst, uint64(field)<<3|lengthDelimited)
	dst = binary.AppendUvarint(dst, uint64(len(value)))
	return append(dst, value...)
}

// envelope is the form in which an object is sent: a magic number, its kind (field 1) and its bytes (field 2).
func envelope(kind runtime.TypeMeta, raw []byte) []byte {
	out := make([]byte, 0, len(raw)+64)
	out = append(out, "k8s\x00"...)
	about := appendField(appendField(nil, 1, []byte(kind.APIVersion)), 2, []byte(kind.Kind))
	return appendField(appendField(out, 1, about), 2, raw)
}

// appendFrame appends one event of a watch as it goes over the wire: its length in four bytes, then a WatchEvent.
func appendFrame(dst []byte, event string, kind runtime.TypeMeta, raw []byte) []byte {
	extension := appendField(nil, 1, envelope(kind, raw))
	body := appendField(appendField(nil, 1, []byte(event)), 2, extension)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(body)))
	return append(dst, body...)
}

// appendBookmark appends a bookmark of the kind; initial marks the end of a streaming list. Every kind has its metadata
// in field 1.
func appendBookmark(dst []byte, kind runtime.TypeMeta, version uint64, initial bool) []byte {
	about := metav1.ObjectMeta{ResourceVersion: fmt.Sprint(version)}
	if initial {
		about.Annotations = map[string]string{metav1.InitialEventsAnnotationKey: "true"}
	}
	return appendFrame(dst, "BOOKMARK", kind, appendField(nil, 1, mustMarshal(&about)))
}

func failure(code int32, reason metav1.StatusReason) []byte {
	return mustMarshal(&metav1.Status{Status: metav1.StatusFailure, Code: code, Reason: reason, Message: "scripted: " + string(reason)})
}

func statusKind() runtime.TypeMeta { return runtime.TypeMeta{APIVersion: "v1", Kind: "Status"} }

// list is a page of objects: metadata in field 1, items in field 2, as in every list kind.
func list(version uint64, next string, page []object) []byte {
	raw := appendField(nil, 1, mustMarshal(&metav1.ListMeta{ResourceVersion: fmt.Sprint(version), Continue: next}))
	for _, o := range page {
		raw = appendField(raw, 2, o.raw())
	}
	return raw
}
