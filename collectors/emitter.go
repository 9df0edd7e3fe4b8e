// SPDX-License-Identifier: Apache-2.0

package collectors

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Emitter takes the samples of one collector and renders them as they come, in the Prometheus text format 0.0.4. It
// keeps one buffer per family and reuses it, so that a scrape allocates nothing once the buffers have grown. It is not
// safe for concurrent use.
//
// A mistake of the collector (an undeclared family, a wrong number of label values, a value that is no number, a ratio
// outside [0,1]) is kept as Err: half of a collector's findings would look like the other half had been resolved, so
// the caller then withholds them all.
type Emitter struct {
	byName   []*buffer // sorted by family name: the order of the output
	byFamily map[*Family]*buffer
	shared   []byte // the label text of the present subject
	err      error
}

// buffer holds the rendered samples of one family.
type buffer struct {
	family *Family
	header string   // the HELP and TYPE lines
	open   string   // the name, and the brace where there are labels
	before []string // what precedes each label value: the label's name, and the end of the label before it
	after  string   // what follows the last label value, or the name where there are no labels
	ratio  bool
	text   []byte
}

// NewEmitter returns an emitter for the families of one Spec.
func NewEmitter(families []*Family) *Emitter {
	e := &Emitter{byFamily: make(map[*Family]*buffer, len(families))}
	for _, f := range families {
		b := newBuffer(f)
		e.byFamily[f] = b
		e.byName = append(e.byName, b)
	}
	slices.SortFunc(e.byName, func(a, b *buffer) int { return strings.Compare(a.family.Name, b.family.Name) })
	return e
}

func newBuffer(f *Family) *buffer {
	help := strings.NewReplacer(`\`, `\\`, "\n", `\n`).Replace(f.Help)
	b := &buffer{
		family: f,
		header: "# HELP " + f.Name + " " + help + "\n# TYPE " + f.Name + " " + f.Type.String() + "\n",
		open:   f.Name,
		after:  " ",
		ratio:  strings.HasSuffix(f.Name, "_ratio"),
	}
	if len(f.Labels) > 0 {
		b.open, b.after = f.Name+"{", `"} `
	}
	for i, label := range f.Labels {
		before := label + `="`
		if i > 0 {
			before = `",` + before
		}
		b.before = append(b.before, before)
	}
	return b
}

// Emit adds a sample of f; the label values stand in the order of f.Labels.
func (e *Emitter) Emit(f *Family, value float64, labelValues ...string) {
	e.sample(f, value, nil, 0, labelValues)
}

// sample adds a sample of f: the text of its first n labels, and the values of the others.
func (e *Emitter) sample(f *Family, value float64, shared []byte, n int, more []string) {
	b := e.byFamily[f]
	if b == nil || n+len(more) != len(b.before) || value-value != 0 || b.ratio && (value < 0 || value > 1) {
		e.refuse(b, f, value, n+len(more))
		return
	}
	text := append(b.text, b.open...)
	text = append(text, shared...)
	for i, v := range more {
		text = append(text, b.before[n+i]...)
		text = appendEscaped(text, v)
	}
	text = append(text, b.after...)
	text = appendValue(text, value)
	b.text = append(text, '\n')
}

// subject emits samples of families that begin with the same labels, of the same values: their order is written once per
// subject, and so is their text.
type subject struct {
	to     *Emitter
	labels int
}

// subject begins the samples of a subject and ends those of the one before it.
func (e *Emitter) subject(labels []string, values ...string) subject {
	e.shared = e.shared[:0]
	for i, v := range values {
		if i > 0 {
			e.shared = append(e.shared, `",`...)
		}
		e.shared = append(append(e.shared, labels[i]...), `="`...)
		e.shared = appendEscaped(e.shared, v)
	}
	return subject{e, len(values)}
}

// emit adds a sample of f with the labels of the subject and more of its own.
func (s subject) emit(f *Family, value float64, more ...string) {
	s.to.sample(f, value, s.to.shared, s.labels, more)
}

// refuse keeps the first mistake. It takes no label values, for then they would have to be allocated with every sample.
func (e *Emitter) refuse(b *buffer, f *Family, value float64, labels int) {
	switch {
	case e.err != nil:
	case b == nil:
		e.err = fmt.Errorf("family %s is not declared by this collector", f.Name)
	case labels != len(b.before):
		e.err = fmt.Errorf("family %s has %d labels but was given %d values", f.Name, len(b.before), labels)
	case b.ratio:
		e.err = fmt.Errorf("family %s was given %v, which is no ratio between 0 and 1", f.Name, value)
	default:
		e.err = fmt.Errorf("family %s was given %v, which is no number", f.Name, value)
	}
}

// Err returns the first mistake since the last Reset, nil if there was none.
func (e *Emitter) Err() error { return e.err }

// Reset drops all samples and the error and keeps the buffers for the next run.
func (e *Emitter) Reset() {
	e.err = nil
	for _, b := range e.byName {
		b.text = b.text[:0]
	}
}

// AppendTo appends the families that have samples to dst, sorted by name.
func (e *Emitter) AppendTo(dst []byte) []byte {
	for _, b := range e.byName {
		if len(b.text) > 0 {
			dst = append(dst, b.header...)
			dst = append(dst, b.text...)
		}
	}
	return dst
}

// WriteTo writes the families that have samples to w, sorted by name. It implements io.WriterTo.
func (e *Emitter) WriteTo(w io.Writer) (int64, error) {
	var written int64
	for _, b := range e.byName {
		if len(b.text) == 0 {
			continue
		}
		n, err := io.WriteString(w, b.header)
		written += int64(n)
		if err != nil {
			return written, fmt.Errorf("cannot write family %s: %w", b.family.Name, err)
		}
		n, err = w.Write(b.text)
		written += int64(n)
		if err != nil {
			return written, fmt.Errorf("cannot write family %s: %w", b.family.Name, err)
		}
	}
	return written, nil
}

// appendValue formats as client_golang does: the shortest form that reads back as the same number. Below a million that of
// a whole number is its digits.
func appendValue(dst []byte, v float64) []byte {
	if i := int64(v); v == float64(i) && i > -1e6 && i < 1e6 {
		return strconv.AppendInt(dst, i, 10)
	}
	return strconv.AppendFloat(dst, v, 'g', -1, 64)
}

// appendEscaped appends a label value. Names of Kubernetes objects need no escaping: that is the fast path.
func appendEscaped(dst []byte, v string) []byte {
	for i := range len(v) {
		if c := v[i]; c == '\\' || c == '"' || c == '\n' || c >= utf8.RuneSelf {
			return appendEscapedSlowly(dst, v)
		}
	}
	return append(dst, v...)
}

func appendEscapedSlowly(dst []byte, v string) []byte {
	for _, r := range v { // an invalid byte is read as utf8.RuneError, and written as its replacement character
		switch r {
		case '\\':
			dst = append(dst, `\\`...)
		case '"':
			dst = append(dst, `\"`...)
		case '\n':
			dst = append(dst, `\n`...)
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	return dst
}
