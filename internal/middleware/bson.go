// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"bytes"
	"encoding/binary"
	"math"
	"time"
)

// maxBSONDepth is how deep documents may lie within one another; what is read of MongoDB lies four deep.
const maxBSONDepth = 32

// The types of BSON that are read or written; of the others only the length is known.
const (
	bsonDouble    = 0x01
	bsonText      = 0x02
	bsonObject    = 0x03
	bsonArray     = 0x04
	bsonBinary    = 0x05
	bsonBool      = 0x08
	bsonDate      = 0x09
	bsonInt32     = 0x10
	bsonTimestamp = 0x11
	bsonInt64     = 0x12
)

// bson is a document that was checked as a whole. It stays as it came: nothing is allocated for what a server puts into it.
type bson []byte

// bsonValue is a value within a document; the zero one is none.
type bsonValue struct {
	kind byte
	data []byte
}

// readBSON checks a document that takes up all of b.
func readBSON(b []byte) (bson, error) {
	if !validBSON(b, maxBSONDepth) {
		return nil, fail(Protocol, "the answer is no BSON")
	}
	return b, nil
}

func validBSON(b []byte, depth int) bool {
	if depth == 0 || len(b) < 5 || uint64(binary.LittleEndian.Uint32(b)) != uint64(len(b)) || b[len(b)-1] != 0 {
		return false
	}
	for rest := b[4 : len(b)-1]; len(rest) > 0; {
		value, _, after, ok := nextBSON(rest)
		if !ok {
			return false
		}
		if value.kind == bsonObject || value.kind == bsonArray {
			if !validBSON(value.data, depth-1) {
				return false
			}
		}
		rest = after
	}
	return true
}

// nextBSON cuts the first element off.
func nextBSON(b []byte) (value bsonValue, name, rest []byte, ok bool) {
	name, rest, ok = bytes.Cut(b[1:], []byte{0})
	if !ok {
		return bsonValue{}, nil, nil, false
	}
	n, ok := bsonLength(b[0], rest)
	if !ok || n > len(rest) {
		return bsonValue{}, nil, nil, false
	}
	return bsonValue{b[0], rest[:n]}, name, rest[n:], true
}

// bsonLength returns how many bytes a value takes that begins b.
func bsonLength(kind byte, b []byte) (int, bool) {
	announced := func(more, least int) (int, bool) {
		if len(b) < 4 {
			return 0, false
		}
		n := binary.LittleEndian.Uint32(b)
		return int(n) + more, n <= maxMongoMessage && int(n) >= least
	}
	switch kind {
	case 0x06, 0x0a, 0x7f, 0xff: // undefined, null, the keys that are more and less than all others
		return 0, true
	case bsonBool:
		return 1, len(b) > 0 && b[0] <= 1
	case bsonInt32:
		return 4, true
	case bsonDouble, bsonDate, bsonTimestamp, bsonInt64:
		return 8, true
	case 0x07: // an object's id
		return 12, true
	case 0x13: // decimal
		return 16, true
	case bsonText, 0x0d, 0x0e: // code, symbol
		n, ok := announced(4, 1)
		return n, ok && n <= len(b) && b[n-1] == 0
	case bsonObject, bsonArray:
		return announced(0, 5)
	case 0x0f: // code with variables
		return announced(0, 14)
	case bsonBinary:
		return announced(5, 0)
	case 0x0c: // pointer
		return announced(4+12, 1)
	case 0x0b: // regular expression: two texts that end with a zero
		first := bytes.IndexByte(b, 0)
		second := bytes.IndexByte(b[first+1:], 0)
		return first + 1 + second + 1, first >= 0 && second >= 0
	}
	return 0, false
}

// each calls visit with every element until it returns false.
func (d bson) each(visit func(name string, value bsonValue) bool) {
	if len(d) < 5 {
		return
	}
	for rest := []byte(d[4 : len(d)-1]); len(rest) > 0; {
		value, name, after, ok := nextBSON(rest)
		if !ok || !visit(string(name), value) {
			return
		}
		rest = after
	}
}

// present reports whether there is a value.
func (v bsonValue) present() bool { return v.kind != 0 }

// get returns the value of a name, and of names within it; the zero value when there is none.
func (d bson) get(names ...string) bsonValue {
	var found bsonValue
	d.each(func(name string, value bsonValue) bool {
		if name == names[0] {
			found = value
			return false
		}
		return true
	})
	if len(names) > 1 {
		return found.document().get(names[1:]...)
	}
	return found
}

// document returns a document or an array, empty when it is neither.
func (v bsonValue) document() bson {
	if v.kind == bsonObject || v.kind == bsonArray {
		return v.data
	}
	return nil
}

// list returns the elements of an array.
func (v bsonValue) list() []bsonValue {
	var list []bsonValue
	if v.kind == bsonArray {
		v.document().each(func(_ string, value bsonValue) bool {
			list = append(list, value)
			return len(list) < maxBSONList
		})
	}
	return list
}

// maxBSONList is far above the members that a replica set may have, which are 50.
const maxBSONList = 1000

// text returns a text, empty when it is none.
func (v bsonValue) text() string {
	if v.kind != bsonText {
		return ""
	}
	return string(v.data[4 : len(v.data)-1])
}

// binary returns bytes, or nil.
func (v bsonValue) binary() []byte {
	if v.kind != bsonBinary {
		return nil
	}
	return v.data[5:]
}

// truth reports whether it is true, or a number other than zero, as servers write it for one another.
func (v bsonValue) truth() bool {
	if v.kind == bsonBool {
		return v.data[0] == 1
	}
	n, ok := v.number()
	return ok && n != 0
}

// number returns a number of any type.
func (v bsonValue) number() (float64, bool) {
	switch v.kind {
	case bsonDouble:
		n := math.Float64frombits(binary.LittleEndian.Uint64(v.data))
		return n, finite(n)
	case bsonInt32:
		return float64(int32(binary.LittleEndian.Uint32(v.data))), true
	case bsonInt64:
		return float64(int64(binary.LittleEndian.Uint64(v.data))), true
	}
	return 0, false
}

// seconds returns a date, or a timestamp of replication, in Unix seconds; zero when it is neither or was never set.
func (v bsonValue) seconds() float64 {
	switch v.kind {
	case bsonDate:
		return float64(int64(binary.LittleEndian.Uint64(v.data))) / float64(time.Second/time.Millisecond)
	case bsonTimestamp:
		return float64(binary.LittleEndian.Uint32(v.data[4:]))
	}
	return 0
}

// bsonField is an element of a document that we send.
type bsonField struct {
	name  string
	value any // string, int32, bool, []byte or []bsonField
}

// writeBSON makes a document.
func writeBSON(fields ...bsonField) []byte {
	b := make([]byte, 4)
	for _, f := range fields {
		kind, data := bsonEncoded(f.value)
		b = append(append(append(b, kind), f.name...), 0)
		b = append(b, data...)
	}
	b = append(b, 0)
	binary.LittleEndian.PutUint32(b, uint32(len(b)))
	return b
}

func bsonEncoded(value any) (kind byte, data []byte) {
	switch v := value.(type) {
	case string:
		return bsonText, append(append(binary.LittleEndian.AppendUint32(nil, uint32(len(v)+1)), v...), 0)
	case int32:
		return bsonInt32, binary.LittleEndian.AppendUint32(nil, uint32(v))
	case bool:
		return bsonBool, []byte{map[bool]byte{true: 1}[v]}
	case []byte:
		return bsonBinary, append(append(binary.LittleEndian.AppendUint32(nil, uint32(len(v))), 0), v...)
	case []bsonField:
		return bsonObject, writeBSON(v...)
	}
	panic("BUG: a value of this type is never sent")
}
