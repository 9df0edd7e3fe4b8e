// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
)

// The caps of what one file may hold. etcd refuses objects above 1.5 MiB, so no genuine object comes near them.
const (
	maxObjectBytes = 8 << 20
	maxFileBytes   = 4 << 30
	maxDepth       = 200
)

// The lines that `kubectl cluster-info dump` prints around the logs of a container. A log without a final newline
// shares its last line with the end marker.
const (
	logStart = "==== START logs for container "
	logEnd   = "==== END logs for container "
)

// piece is one object of a file, or what went wrong in its place.
type piece struct {
	document int // number of the document in the file, from 1
	line     int // of the first byte of text, or of the error, from 1
	text     []byte
	yaml     bool
	item     bool     // an element of the document's items; the document itself follows without them
	list     typeMeta // of an item: what the document said about itself so far
	err      error    // instead of text
}

// typeMeta says what an object is.
type typeMeta struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
}

// split cuts a stream into the objects it holds: JSON documents in a row, YAML documents between separators, and the
// two mixed with the pod logs of `kubectl cluster-info dump`. Lists are cut into their items, so that memory holds one
// object at a time. A broken document is a piece with an error; reading goes on at the next one. The text of a piece
// is valid until the next piece.
func split(r io.Reader) iter.Seq[piece] {
	return func(yield func(piece) bool) {
		s := &splitter{
			in: bufio.NewReaderSize(&cappedReader{r: r, left: maxFileBytes}, 64<<10), line: 1, yield: yield,
		}
		s.run()
	}
}

// cappedReader reads at most left bytes and says so when there are more.
type cappedReader struct {
	r    io.Reader
	left int64
}

func (c *cappedReader) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, fmt.Errorf("the file is larger than %d MiB", maxFileBytes>>20)
	}
	n, err := c.r.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	return n, err
}

type splitter struct {
	in       *bufio.Reader
	line     int // of the next byte
	document int
	yield    func(piece) bool
	stopped  bool // the consumer has enough, or the input failed
}

func (s *splitter) run() {
	if mark, _ := s.in.Peek(3); bytes.Equal(mark, []byte("\xef\xbb\xbf")) {
		s.in.Discard(3)
	} else if len(mark) > 1 && (mark[0] == 0xff && mark[1] == 0xfe || mark[0] == 0xfe && mark[1] == 0xff) {
		s.fail(1, errors.New("the file is UTF-16; save it as UTF-8"))
		return
	}
	for !s.stopped {
		b, err := s.in.ReadByte()
		switch {
		case err != nil:
			s.inputEnded(err)
		case b == '\n':
			s.line++
		case b == ' ' || b == '\t' || b == '\r':
		default:
			s.in.UnreadByte()
			s.next(b)
		}
	}
}

// next reads what begins with the byte first, which is still unread.
func (s *splitter) next(first byte) {
	switch {
	case first == '{' || first == '[':
		s.document++
		s.splitJSON()
	case first == '#' || s.atSeparator():
		s.skipLine()
	case s.at(logStart):
		s.skipLogs()
	case s.at(logEnd):
		s.fail(s.line, errors.New("the log before this line imitates the marks of a dump; take the folder form of the dump"))
		s.skipLine()
	default:
		s.document++
		s.splitYAML()
	}
}

func (s *splitter) at(prefix string) bool {
	ahead, _ := s.in.Peek(len(prefix))
	return string(ahead) == prefix
}

// atSeparator reports whether the next line is --- or ... and nothing but a comment.
func (s *splitter) atSeparator() bool {
	if !s.at("---") && !s.at("...") {
		return false
	}
	ahead, _ := s.in.Peek(256)
	line, _, _ := bytes.Cut(ahead[3:], []byte("\n"))
	rest := bytes.TrimLeft(line, " \t\r")
	return len(rest) == 0 || len(rest) < len(line) && rest[0] == '#'
}

// emit hands a piece on.
func (s *splitter) emit(p piece) {
	if s.stopped {
		return
	}
	p.document = s.document
	s.stopped = !s.yield(p)
}

// fail reports an error on a line of the file.
func (s *splitter) fail(line int, err error) { s.emit(piece{line: line, err: err}) }

// inputEnded ends the loop, with an error unless this is simply the end.
func (s *splitter) inputEnded(err error) {
	if err != io.EOF {
		s.fail(s.line, fmt.Errorf("cannot read on: %w", err))
	}
	s.stopped = true
}

// readLine appends the next line with its newline to text, which it keeps below the cap by dropping bytes; it returns
// whether there was one, and whether it fitted.
func (s *splitter) readLine(text []byte) (line []byte, ok, fits bool) {
	fits = true
	for {
		part, err := s.in.ReadSlice('\n')
		ok = ok || len(part) > 0
		if len(text)+len(part) > maxObjectBytes {
			fits = false
		} else {
			text = append(text, part...)
		}
		if err == nil {
			s.line++
			return text, true, fits
		}
		if err != bufio.ErrBufferFull {
			if err != io.EOF {
				s.inputEnded(err)
			}
			return text, ok, fits
		}
	}
}

func (s *splitter) skipLine() {
	for {
		_, err := s.in.ReadSlice('\n')
		if err == nil {
			s.line++
			return
		}
		if err != bufio.ErrBufferFull {
			s.inputEnded(err)
			return
		}
	}
}

// skipLogs skips from the start mark of a container's log to its end mark. Whatever stands between is text.
func (s *splitter) skipLogs() {
	start := s.line
	head, _, _ := s.readLine(nil)
	end := logEnd + strings.TrimSpace(strings.TrimPrefix(string(head), logStart))
	var tail []byte // the end of the line so far, as much as the mark needs
	for {
		part, err := s.in.ReadSlice('\n')
		tail = append(tail, part...)
		if cut := len(tail) - len(end) - 2; cut > 0 {
			tail = append(tail[:0], tail[cut:]...)
		}
		if err == nil {
			s.line++
		}
		if err == bufio.ErrBufferFull {
			continue
		}
		if bytes.HasSuffix(bytes.TrimRight(tail, "\r\n"), []byte(end)) {
			return
		}
		if err != nil {
			s.fail(start, errors.New("the log that starts here has no end mark; the dump is cut short"))
			s.inputEnded(err)
			return
		}
		tail = tail[:0]
	}
}

// resync skips to the next line that begins a document.
func (s *splitter) resync() {
	for !s.stopped && !s.at("{") && !s.at("---") && !s.at(logStart) {
		s.skipLine()
	}
}

// splitYAML reads one YAML document by its lines. What stands below a top-level line "items:" is cut at its dashes.
func (s *splitter) splitYAML() {
	d := yamlDocument{s: s, line: s.line, indent: -1}
	for first := true; !s.stopped; first = false {
		if !first && (s.atSeparator() || s.at(logStart)) {
			break
		}
		number := s.line
		line, more, fits := s.readLine(d.buffer[:0])
		d.buffer = line
		if !more {
			break
		}
		d.add(line, number, fits)
	}
	d.flush()
	if d.tooLarge {
		s.fail(d.line, errTooLarge)
		return
	}
	s.emit(piece{line: d.line, text: d.rest, yaml: true})
}

// errTooLarge is the error of an object above the cap.
var errTooLarge = fmt.Errorf("the object is larger than %d MiB", maxObjectBytes>>20)

// yamlDocument gathers the lines of a document; rest is what does not belong to its items.
type yamlDocument struct {
	s         *splitter
	line      int
	buffer    []byte
	rest      []byte
	restLines int
	tooLarge  bool
	list      typeMeta

	inItems  bool
	indent   int // column of the dashes below items; -1 before the first
	item     []byte
	itemLine int
	itemFits bool
}

// add takes the line with the given number of the file; fits is false for one that was too long to keep.
func (d *yamlDocument) add(line []byte, number int, fits bool) {
	text := bytes.TrimRight(line, " \t\r\n")
	column := len(text) - len(bytes.TrimLeft(text, " "))
	blank := column == len(text) || text[column] == '#'
	if d.inItems && !blank {
		dash := text[column] == '-' && (column+1 == len(text) || text[column+1] == ' ')
		switch {
		case dash && (d.indent < 0 || column == d.indent):
			d.flush()
			d.indent, d.itemLine, d.itemFits = column, number, true
			line[column] = ' '
		case column <= d.indent || d.indent < 0:
			d.flush()
			d.inItems = false
		}
	}
	if d.itemLine > 0 {
		if d.itemFits = d.itemFits && fits && len(d.item)+len(line) <= maxObjectBytes; d.itemFits {
			d.item = append(d.item, line...)
		}
		return
	}
	if !fits || len(d.rest)+len(line) > maxObjectBytes {
		d.tooLarge = true
		return
	}
	// The lines of the items are missing in rest; empty ones in their place keep its line numbers true.
	for ; d.line+d.restLines < number; d.restLines++ {
		d.rest = append(d.rest, '\n')
	}
	d.rest = append(d.rest, line...)
	d.restLines++
	d.heed(string(text))
}

// heed notes what a top-level line says about the document.
func (d *yamlDocument) heed(text string) {
	if text == "items:" {
		d.inItems, d.indent = true, -1
	} else if value, found := strings.CutPrefix(text, "kind: "); found && isPlain(value) {
		d.list.Kind = value
	} else if value, found := strings.CutPrefix(text, "apiVersion: "); found && isPlain(value) {
		d.list.APIVersion = value
	}
}

// isPlain reports whether a YAML value means its text; anything else waits for the parser.
func isPlain(value string) bool { return !strings.ContainsAny(value, " \"'#&*!|>") }

// flush hands on the item that is complete now.
func (d *yamlDocument) flush() {
	if d.itemLine == 0 {
		return
	}
	if d.itemFits {
		d.s.emit(piece{line: d.itemLine, text: d.item, yaml: true, item: true, list: d.list})
	} else {
		d.s.fail(d.itemLine, errTooLarge)
	}
	d.item, d.itemLine = d.item[:0], 0
}
