// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"net"
	"slices"
	"time"
)

// maxMongoMessage bounds one answer: the status of fifty members and of the server take some ten kilobytes.
const maxMongoMessage = 1 << 20

// What the messages of MongoDB from 3.6 on consist of.
const (
	mongoOpMsg      = 2013
	mongoHeader     = 16
	mongoChecksum   = 1 << 0 // a checksum ends the message
	mongoMoreToCome = 1 << 1
)

// Codes of errors.
const (
	mongoUnauthorized    = 13
	mongoNoReplication   = 76
	mongoNotMemberOfSet  = 93 // it has no valid configuration: not one of the set any more
	mongoNotInitialised  = 94
	mongoNoSuchCommand   = 59
	mongoMaxTimeExpired  = 50
	mongoNoReadableShard = 133
)

// mongoError is an error that a MongoDB server answered.
type mongoError struct {
	code       int
	name, text string
}

// Error implements error.
func (e *mongoError) Error() string {
	return fmt.Sprintf("error %d (%s): %s", e.code, clean(cmp.Or(e.name, "unnamed")), clean(e.text))
}

// reason tells what an error means that ends a probe.
func (e *mongoError) reason() Reason {
	switch e.code {
	case 11, 18, 334, 391: // no such user, authentication failed, no such mechanism, log in anew
		return Auth
	case mongoUnauthorized:
		return Permission
	case 91, 11600, 11602, mongoNoReadableShard: // it is shutting down, or stepping down
		return Unavailable
	case mongoMaxTimeExpired, 89, 202, 262:
		return Timeout
	}
	return Protocol
}

// whyMongo tells why a server refused a command; said is false when it did not, or when the connection broke.
func whyMongo(err error) (why Why, said bool) {
	var e *mongoError
	if !errors.As(err, &e) {
		return "", false
	}
	switch e.reason() {
	case Permission, Auth:
		return NoPermission, true
	case Timeout:
		return TimedOut, true
	}
	return Unsupported, true
}

// mongoConn is a connection to one server; which others there are it never follows.
type mongoConn struct {
	net.Conn
	p        *Probe
	requests uint32
}

// run asks a command of a database and returns the answer, which is an error when the server says so.
func (c *mongoConn) run(phase, database string, fields ...bsonField) (bson, error) {
	began := time.Now()
	defer func() { c.p.Phase(phase, time.Since(began)) }()
	command := fields[0].name
	c.requests++
	if _, err := c.Conn.Write(mongoRequest(c.requests, writeBSON(append(slices.Clip(fields), bsonField{"$db", database})...))); err != nil {
		return nil, fmt.Errorf("cannot ask: %w", err)
	}
	answer, err := readMongo(c.Conn, c.requests)
	if err != nil {
		return nil, fmt.Errorf("cannot ask %s: %w", command, err)
	}
	if !answer.get("ok").truth() {
		code, _ := answer.get("code").number()
		e := &mongoError{int(code), answer.get("codeName").text(), answer.get("errmsg").text()}
		return nil, fmt.Errorf("cannot ask %s: %w", command, &reasoned{e.reason(), e})
	}
	return answer, nil
}

// ask asks a command of the database admin, which the server is not to spend more time on than we have.
func (c *mongoConn) ask(ctx context.Context, fields ...bsonField) (bson, error) {
	if deadline, ok := ctx.Deadline(); ok {
		left := min(max(1, time.Until(deadline).Milliseconds()), math.MaxInt32)
		fields = append(slices.Clip(fields), bsonField{"maxTimeMS", int32(left)})
	}
	return c.run("query", "admin", fields...)
}

// mongoRequest puts a command into a message.
func mongoRequest(id uint32, command []byte) []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(mongoHeader+4+1+len(command)))
	b = binary.LittleEndian.AppendUint32(b, id)
	b = binary.LittleEndian.AppendUint32(b, 0)
	b = binary.LittleEndian.AppendUint32(b, mongoOpMsg)
	b = append(b, 0, 0, 0, 0, 0) // no flags; a section that is a document
	return append(b, command...)
}

// readMongo reads the answer to a request. What is announced is not allocated before it came.
func readMongo(r io.Reader, request uint32) (bson, error) {
	var head [mongoHeader]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint32(head[:])
	switch {
	case binary.LittleEndian.Uint32(head[12:]) != mongoOpMsg || binary.LittleEndian.Uint32(head[8:]) != request:
		return nil, fail(Protocol, "the answer is not MongoDB's")
	case n < mongoHeader+4+1+5 || n > maxMongoMessage:
		return nil, fail(Protocol, "a message of %d bytes is none that was asked for", n)
	}
	body, err := io.ReadAll(io.LimitReader(r, int64(n-mongoHeader)))
	if err == nil && len(body) < int(n-mongoHeader) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, err
	}
	return readMongoBody(head[:], body)
}

// readMongoBody reads the flags, the only section, and the checksum where there is one.
func readMongoBody(head, body []byte) (bson, error) {
	flags := binary.LittleEndian.Uint32(body)
	if flags&mongoChecksum != 0 {
		end := len(body) - 4
		sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
		sum.Write(head)
		sum.Write(body[:end])
		if sum.Sum32() != binary.LittleEndian.Uint32(body[end:]) {
			return nil, fail(Protocol, "the checksum of the answer is wrong")
		}
		body = body[:end]
	}
	if flags&mongoMoreToCome != 0 || len(body) < 5 || body[4] != 0 {
		return nil, fail(Protocol, "the answer is not the one document that was asked for")
	}
	return readBSON(body[5:])
}

// dialMongo connects and asks the server what it is, which needs no login.
func (p *Probe) dialMongo(ctx context.Context, database, username string) (*mongoConn, bson, error) {
	conn, err := p.Dial(ctx)
	if err != nil {
		return nil, nil, err
	}
	c := &mongoConn{Conn: conn, p: p}
	hello := []bsonField{{"hello", int32(1)}, {"client", []bsonField{
		{"application", []bsonField{{"name", "stability_exporter"}}},
		{"driver", []bsonField{{"name", "stability_exporter"}, {"version", "1"}}},
		{"os", []bsonField{{"type", "unknown"}}},
	}}}
	if username != "" {
		hello = append(hello, bsonField{"saslSupportedMechs", database + "." + username})
	}
	answer, err := c.run("query", "admin", hello...)
	var said *mongoError
	if errors.As(err, &said) && said.code == mongoNoSuchCommand { // older than 3.6.21, 4.0.21, 4.2.10 or 4.4.2
		hello = slices.Clone(hello)
		hello[0].name = "isMaster"
		answer, err = c.run("query", "admin", hello...)
	}
	if err != nil {
		c.Close()
		return nil, nil, err
	}
	return c, answer, nil
}
