// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// What is read of one answer at most. Nothing is allocated for a length or a number that a server only announces.
const (
	maxSQLPacket  = 1 << 20
	maxSQLColumns = 512
	maxSQLRows    = 10000
)

// Capabilities of the protocol, version 10.
const (
	sqlLongFlag     = 0x4
	sqlWithDatabase = 0x8
	sqlProtocol41   = 0x200
	sqlSSL          = 0x800
	sqlTransactions = 0x2000
	sqlSecure       = 0x8000
	sqlPluginAuth   = 0x80000
	sqlConnectAttrs = 0x100000
	sqlUTF8         = 45 // utf8mb4_general_ci
	sqlQuit         = 1  // the command COM_QUIT
	sqlQuery        = 3  // the command COM_QUERY
	sqlTooMany      = 1040
)

// sqlError is an error that a MySQL server answered.
type sqlError struct {
	code int
	text string
}

// Error implements error.
func (e *sqlError) Error() string { return fmt.Sprintf("error %d: %s", e.code, clean(e.text)) }

// reason tells what an error means that ends a probe.
func (e *sqlError) reason() Reason {
	switch e.code {
	case sqlTooMany, 1203, 1226:
		return Saturated
	case 1044, 1045, 1130, 1251, 1396, 1698, 1820, 1862, 3118, 4151:
		return Auth
	case 1142, 1143, 1227, 1370:
		return Permission
	case 1047, 1053, 1129, 1927, 3032:
		return Unavailable
	}
	return Protocol
}

// sqlRow is a row by the lower-case name of the column; what is NULL is not in it.
type sqlRow map[string]string

// mysqlConn is a connection that has logged in.
type mysqlConn struct {
	net.Conn
	p        *Probe
	sequence byte
	version  string
}

// dialMySQL connects, protects the connection where the target is asked with TLS, and logs in.
func (p *Probe) dialMySQL(ctx context.Context) (*mysqlConn, error) {
	username, password, _, err := p.Login()
	if err != nil {
		return nil, err
	}
	address, err := p.Target.hostPort()
	if err != nil {
		return nil, err
	}
	conn, err := p.dialPlain(ctx, address)
	if err != nil {
		return nil, err
	}
	c := &mysqlConn{Conn: conn, p: p}
	if err := c.login(ctx, username, password); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func (c *mysqlConn) login(ctx context.Context, username string, password Secret) error {
	packet, err := c.readPacket()
	if err != nil {
		return fmt.Errorf("cannot read the greeting: %w", err)
	}
	g, err := readGreeting(packet)
	if err != nil {
		return err
	}
	c.version = g.version
	capabilities := uint32(sqlLongFlag | sqlProtocol41 | sqlTransactions | sqlSecure | sqlPluginAuth | sqlConnectAttrs)
	if c.p.Option("database") != "" {
		capabilities |= sqlWithDatabase
	}
	capabilities &= g.capabilities
	if c.p.Target.TLS.Enabled {
		if g.capabilities&sqlSSL == 0 {
			return fail(TLS, "the server offers no TLS")
		}
		capabilities |= sqlSSL
		if err := c.writePacket(sqlPreface(capabilities)); err != nil {
			return err
		}
		secured, err := c.p.StartTLS(ctx, c.Conn)
		if err != nil {
			return err
		}
		c.Conn = secured
	}
	began := time.Now()
	defer func() { c.p.Phase("auth", time.Since(began)) }()
	return c.authenticate(g, capabilities, username, password)
}

// sqlPreface is what a request for TLS and an answer to the greeting begin with.
func sqlPreface(capabilities uint32) []byte {
	b := binary.LittleEndian.AppendUint32(nil, capabilities)
	b = binary.LittleEndian.AppendUint32(b, maxSQLPacket)
	return append(append(b, sqlUTF8), make([]byte, 23)...)
}

// greeting is what a server says first.
type greeting struct {
	version      string
	capabilities uint32
	nonce        []byte
	plugin       string
}

func readGreeting(packet []byte) (greeting, error) {
	if len(packet) > 0 && packet[0] == 0xff {
		return greeting{}, sqlFailure(packet)
	}
	if len(packet) == 0 || packet[0] != 10 {
		return greeting{}, fail(Protocol, "the greeting is not one of MySQL")
	}
	version, rest, found := bytes.Cut(packet[1:], []byte{0})
	if !found || len(rest) < 4+8+1+2 {
		return greeting{}, fail(Protocol, "the greeting is cut short")
	}
	g := greeting{version: string(version), nonce: bytes.Clone(rest[4:12]), plugin: nativePassword}
	g.capabilities = uint32(binary.LittleEndian.Uint16(rest[13:15]))
	if g.capabilities&sqlProtocol41 == 0 {
		return greeting{}, fail(Protocol, "the server is older than MySQL 4.1")
	}
	if rest = rest[15:]; len(rest) < 1+2+2+1+10+12 {
		return greeting{}, fail(Protocol, "the greeting is cut short")
	}
	g.capabilities |= uint32(binary.LittleEndian.Uint16(rest[3:5])) << 16
	g.nonce = append(g.nonce, rest[16:28]...)
	if g.capabilities&sqlPluginAuth != 0 && len(rest) > 29 {
		name, _, _ := bytes.Cut(rest[29:], []byte{0})
		g.plugin = string(name)
	}
	return g, nil
}

// sqlFailure reads an error packet, also one from before the greeting, which may have no SQL state.
func sqlFailure(packet []byte) error {
	if len(packet) < 3 {
		return fail(Protocol, "the error of the server is cut short")
	}
	text := packet[3:]
	if len(text) >= 6 && text[0] == '#' {
		text = text[6:]
	}
	e := &sqlError{int(binary.LittleEndian.Uint16(packet[1:3])), string(text)}
	return &reasoned{e.reason(), e}
}

// readPacket reads one packet; longer ones than the bound, and so those in several parts, are refused.
func (c *mysqlConn) readPacket() ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(c.Conn, head[:]); err != nil {
		return nil, err
	}
	n := int(head[0]) | int(head[1])<<8 | int(head[2])<<16
	if n > maxSQLPacket {
		return nil, fail(Protocol, "a packet is longer than %d bytes", maxSQLPacket)
	}
	c.sequence = head[3] + 1
	body, err := io.ReadAll(io.LimitReader(c.Conn, int64(n)))
	if err == nil && len(body) < n {
		err = io.ErrUnexpectedEOF
	}
	return body, err
}

func (c *mysqlConn) writePacket(body []byte) error {
	head := []byte{byte(len(body)), byte(len(body) >> 8), byte(len(body) >> 16), c.sequence}
	c.sequence++
	if _, err := c.Conn.Write(append(head, body...)); err != nil {
		return fmt.Errorf("cannot ask: %w", err)
	}
	return nil
}

// quit takes leave: a server logs and counts (Aborted_clients) a client that just goes away.
func (c *mysqlConn) quit() {
	c.sequence = 0
	_ = c.writePacket([]byte{sqlQuit}) // the connection may be broken, and ends now in any case
	c.Close()
}

// query asks a statement that is not made of anything from outside and returns its rows.
func (c *mysqlConn) query(statement string) ([]sqlRow, error) {
	began := time.Now()
	defer func() { c.p.Phase("query", time.Since(began)) }()
	c.sequence = 0
	if err := c.writePacket(append([]byte{sqlQuery}, statement...)); err != nil {
		return nil, err
	}
	rows, err := readResult(c.readPacket)
	if err != nil {
		return nil, fmt.Errorf("cannot ask %s: %w", strings.SplitN(statement, " WHERE", 2)[0], err)
	}
	return rows, nil
}

// readResult reads the answer to a query, packet by packet.
func readResult(next func() ([]byte, error)) ([]sqlRow, error) {
	first, err := next()
	switch {
	case err != nil:
		return nil, err
	case len(first) == 0 || first[0] == 0xfb: // 0xfb asks for a file of ours
		return nil, fail(Protocol, "the answer is none to a query")
	case first[0] == 0:
		return nil, nil
	case first[0] == 0xff:
		return nil, sqlFailure(first)
	}
	columns, _, ok := sqlNumber(first)
	if !ok || columns == 0 || columns > maxSQLColumns {
		return nil, fail(Protocol, "the answer has no fit number of columns")
	}
	var names []string
	for range columns {
		packet, err := next()
		if err != nil {
			return nil, err
		}
		name, ok := sqlColumnName(packet)
		if !ok {
			return nil, fail(Protocol, "a column of the answer cannot be read")
		}
		names = append(names, strings.ToLower(name))
	}
	if end, err := next(); err != nil || !sqlEnd(end) {
		return nil, cmp.Or(err, fail(Protocol, "the columns of the answer do not end"))
	}
	return readRows(next, names)
}

func sqlEnd(packet []byte) bool { return len(packet) > 0 && len(packet) < 9 && packet[0] == 0xfe }

func readRows(next func() ([]byte, error), names []string) ([]sqlRow, error) {
	var rows []sqlRow
	for len(rows) <= maxSQLRows {
		packet, err := next()
		switch {
		case err != nil:
			return nil, err
		case sqlEnd(packet):
			return rows, nil
		case len(packet) > 0 && packet[0] == 0xff:
			return nil, sqlFailure(packet)
		}
		row := sqlRow{}
		for _, name := range names {
			if len(packet) > 0 && packet[0] == 0xfb { // NULL
				packet = packet[1:]
				continue
			}
			value, rest, ok := sqlText(packet)
			if !ok {
				return nil, fail(Protocol, "a row of the answer cannot be read")
			}
			row[name], packet = value, rest
		}
		rows = append(rows, row)
	}
	return nil, fail(Protocol, "the answer has more than %d rows", maxSQLRows)
}

// sqlColumnName returns the fifth text of a column's description.
func sqlColumnName(packet []byte) (name string, ok bool) {
	for range 5 {
		if name, packet, ok = sqlText(packet); !ok {
			return "", false
		}
	}
	return name, true
}

// sqlText reads a text that its length stands before.
func sqlText(b []byte) (text string, rest []byte, ok bool) {
	n, rest, ok := sqlNumber(b)
	if !ok || n > uint64(len(rest)) {
		return "", nil, false
	}
	return string(rest[:n]), rest[n:], true
}

// sqlNumber reads a number of one, three, four or nine bytes.
func sqlNumber(b []byte) (n uint64, rest []byte, ok bool) {
	if len(b) == 0 {
		return 0, nil, false
	}
	size := map[byte]int{0xfc: 2, 0xfd: 3, 0xfe: 8}[b[0]]
	switch {
	case b[0] < 0xfb:
		return uint64(b[0]), b[1:], true
	case size == 0 || len(b) < 1+size:
		return 0, nil, false
	}
	for i := size; i > 0; i-- {
		n = n<<8 | uint64(b[i])
	}
	return n, b[1+size:], true
}
