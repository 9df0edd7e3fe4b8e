// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"errors"
	"fmt"
)

// splitJSON reads one JSON document byte by byte. The elements of its top-level "items", or of a top-level array, are
// pieces of their own. It checks no more of the grammar than it needs to find the next document after a broken one;
// decoding finds the rest.
func (s *splitter) splitJSON() {
	d := jsonDocument{s: s, line: s.line}
	for !s.stopped {
		b, err := s.in.ReadByte()
		if err != nil {
			s.fail(d.line, errors.New("the document is cut short"))
			s.inputEnded(err)
			return
		}
		if err := d.add(b); err != nil {
			s.fail(s.line, err)
			if b == '\n' {
				s.line++
			} else if !d.lineBegun {
				s.in.UnreadByte() // what is wrong here may be the start of the next document
			} else {
				s.skipLine()
			}
			s.resync()
			return
		}
		d.lineBegun = b != '\n'
		if b == '\n' {
			s.line++
		}
		if len(d.stack) == 0 {
			d.end()
			return
		}
	}
}

// jsonDocument is a document being read.
type jsonDocument struct {
	s         *splitter
	line      int
	lineBegun bool
	stack     []byte // the open brackets
	last      byte   // of the structure: a bracket, a comma, a colon, or 'v' after a value
	inString  bool
	escaped   bool

	rest     jsonText
	item     jsonText
	itemLine int // zero between items
	items    int // depth of the stack inside the array of items; zero elsewhere

	word []byte // the top-level string that is being read or was read last
	key  string // of the top-level member
	list typeMeta
}

// jsonText is text up to the cap.
type jsonText struct {
	text     []byte
	tooLarge bool
}

func (t *jsonText) add(b byte) {
	if t.tooLarge = t.tooLarge || len(t.text) == maxObjectBytes; !t.tooLarge {
		t.text = append(t.text, b)
	}
}

// add takes the next byte, or says why the document cannot go on with it.
func (d *jsonDocument) add(b byte) error {
	if d.inString {
		return d.addToString(b)
	}
	switch b {
	case ' ', '\t', '\r', '\n':
		d.store(b)
		return nil
	case '{', '[':
		return d.open(b)
	case '}', ']':
		return d.close(b)
	case '"':
		if d.last == 'v' {
			return errors.New(`unexpected '"' after a value`)
		}
		d.inString, d.word = true, d.word[:0]
	case ',':
		if d.items > 0 && len(d.stack) == d.items {
			d.flush()
			d.last = b
			return nil
		}
		d.last = b
	case ':':
		if len(d.stack) == 1 {
			d.key = string(d.word)
		}
		d.last = b
	default:
		if (b < '0' || b > '9') && (b < 'a' || b > 'z') && (b < 'A' || b > 'Z') && b != '-' && b != '+' && b != '.' {
			return fmt.Errorf("unexpected character %q", b)
		}
		d.last = 'v'
	}
	d.store(b)
	return nil
}

func (d *jsonDocument) addToString(b byte) error {
	if b < ' ' {
		return errors.New("a string is not closed")
	}
	d.store(b)
	switch {
	case d.escaped:
		d.escaped = false
	case b == '\\':
		d.escaped = true
	case b == '"':
		d.inString = false
		if len(d.stack) == 1 && d.last == ':' {
			d.heed()
		}
		d.last = 'v'
		return nil
	}
	if len(d.stack) == 1 && len(d.word) < 256 {
		d.word = append(d.word, b)
	}
	return nil
}

// heed notes what a top-level member of type string says about the document.
func (d *jsonDocument) heed() {
	switch d.key {
	case "kind":
		d.list.Kind = string(d.word)
	case "apiVersion":
		d.list.APIVersion = string(d.word)
	}
}

func (d *jsonDocument) open(b byte) error {
	depth := len(d.stack)
	inObject := depth > 0 && d.stack[depth-1] == '{'
	if d.last == 'v' || d.last == '{' || d.last == ',' && inObject {
		return fmt.Errorf("unexpected %q; what stands before it is incomplete", b)
	}
	if depth == maxDepth {
		return fmt.Errorf("nested deeper than %d levels", maxDepth)
	}
	d.store(b)
	d.stack = append(d.stack, b)
	if b == '[' && (depth == 0 || depth == 1 && inObject && d.key == "items") {
		d.items = depth + 1
	}
	d.last = b
	return nil
}

func (d *jsonDocument) close(b byte) error {
	depth := len(d.stack)
	if opener := d.stack[depth-1]; opener == '{' != (b == '}') {
		return fmt.Errorf("unexpected %q", b)
	}
	if depth == d.items {
		d.flush()
		d.items = 0
	}
	d.store(b)
	d.stack, d.last = d.stack[:depth-1], 'v'
	if d.items > 0 && depth-1 == d.items {
		d.flush()
	}
	return nil
}

// store keeps a byte where it belongs: with the item that is being read, else with the rest of the document.
func (d *jsonDocument) store(b byte) {
	if d.items == 0 || len(d.stack) < d.items {
		d.rest.add(b)
		return
	}
	if d.itemLine == 0 {
		if b == ' ' || b == '\t' || b == '\r' || b == '\n' {
			return
		}
		d.itemLine = d.s.line
	}
	d.item.add(b)
}

// flush hands on the item that is complete now.
func (d *jsonDocument) flush() {
	if d.itemLine == 0 {
		return
	}
	if d.item.tooLarge {
		d.s.fail(d.itemLine, errTooLarge)
	} else {
		d.s.emit(piece{line: d.itemLine, text: d.item.text, item: true, list: d.list})
	}
	d.item, d.itemLine = jsonText{text: d.item.text[:0]}, 0
}

// end hands on the document without its items.
func (d *jsonDocument) end() {
	if d.rest.tooLarge {
		d.s.fail(d.line, errTooLarge)
		return
	}
	d.s.emit(piece{line: d.line, text: d.rest.text, list: d.list})
}
