// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// What is read of one reply at most. Nothing is allocated for a length that a server only announces.
const (
	maxRESPLine  = 64 << 10
	maxRESPBulk  = 8 << 20
	maxRESPItems = 1 << 16 // of a reply with all its arrays
	maxRESPDepth = 8
)

// reply is an answer in RESP2. An error of the server within an array is a text like any other.
type reply struct {
	text string
	list []reply
}

// replyError is an error that the server answered: its first word is its kind.
type replyError string

// Error implements error.
func (e replyError) Error() string { return string(e) }

// respConn is a connection to a server that speaks RESP2.
type respConn struct {
	net.Conn
	in *bufio.Reader
	p  *Probe
}

// dialRedis connects and logs in. A server that wants no password although there is one is a problem, and asked all the same.
func (p *Probe) dialRedis(ctx context.Context) (*respConn, error) {
	username, password, _, err := p.Login()
	if err != nil {
		return nil, err
	}
	conn, err := p.Dial(ctx)
	if err != nil {
		return nil, err
	}
	c := &respConn{conn, bufio.NewReader(conn), p}
	if password.Empty() {
		return c, nil
	}
	began := time.Now()
	if username == "" {
		_, err = c.do("AUTH", password.Reveal())
	} else {
		_, err = c.do("AUTH", username, password.Reveal())
	}
	p.Phase("auth", time.Since(began))
	var said replyError
	switch {
	case err == nil:
		return c, nil
	case errors.As(err, &said) && (strings.Contains(err.Error(), "without any password") || strings.Contains(err.Error(), "no password is set")):
		p.Problem(Auth, "it wants no password, but there is one: anybody may ask it")
		return c, nil
	case errors.As(err, &said):
		err = redisError(err, Auth)
	}
	conn.Close()
	return nil, err
}

// redisError gives an error of the server its reason; other errors stay what they are.
func redisError(err error, otherwise Reason) error {
	var said replyError
	if !errors.As(err, &said) {
		return err
	}
	kind, _, _ := strings.Cut(string(said), " ")
	switch kind {
	case "NOAUTH", "WRONGPASS", "DENIED":
		return fail(Auth, "%w", err)
	case "NOPERM":
		return fail(Permission, "%w", err)
	case "LOADING":
		return fail(Loading, "%w", err)
	case "BUSY": // a script does not end: nothing else is served
		return fail(Unavailable, "%w", err)
	}
	switch {
	case strings.Contains(string(said), "max number of clients"):
		return fail(Saturated, "%w", err)
	case strings.Contains(string(said), "invalid password"), strings.Contains(string(said), "invalid username"), strings.Contains(string(said), "operation not permitted"):
		return fail(Auth, "%w", err)
	}
	return fail(otherwise, "%w", err)
}

// ask is do, with the time it took as the phase query.
func (c *respConn) ask(command ...string) (reply, error) {
	began := time.Now()
	r, err := c.do(command...)
	c.p.Phase("query", time.Since(began))
	return r, err
}

// do sends a command and reads the reply to it.
func (c *respConn) do(command ...string) (reply, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(command))
	for _, word := range command {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(word), word)
	}
	if _, err := io.WriteString(c, b.String()); err != nil {
		// A server that takes no more clients says so and closes before it was asked.
		if said, readErr := c.read(); readErr != nil {
			var known replyError
			if errors.As(readErr, &known) {
				return said, readErr
			}
		}
		return reply{}, fmt.Errorf("cannot ask: %w", err)
	}
	return c.read()
}

func (c *respConn) read() (reply, error) {
	r, err := readReply(c.in)
	if err != nil {
		return reply{}, fmt.Errorf("cannot read the reply: %w", err)
	}
	return r, nil
}

// readReply reads one reply; an error that the server answers is a replyError.
func readReply(in *bufio.Reader) (reply, error) {
	items := maxRESPItems
	return readRESP(in, &items, maxRESPDepth)
}

func readRESP(in *bufio.Reader, items *int, depth int) (reply, error) {
	line, err := respLine(in, maxRESPLine)
	if err != nil {
		return reply{}, err
	}
	if line == "" {
		return reply{}, fail(Protocol, "the reply is empty")
	}
	if *items--; *items < 0 {
		return reply{}, fail(Protocol, "the reply has more than %d parts", maxRESPItems)
	}
	switch rest := line[1:]; line[0] {
	case '+', ':':
		return reply{text: rest}, nil
	case '-':
		return reply{text: rest}, replyError(clean(rest))
	case '$':
		return readBulk(in, rest)
	case '*':
		return readArray(in, rest, items, depth)
	}
	return reply{}, fail(Protocol, "the reply is none of Redis")
}

// respLine reads a line without its end, which may be CR LF or LF.
func respLine(in *bufio.Reader, most int) (string, error) {
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case len(line) > most:
			return "", fail(Protocol, "a line is longer than %d bytes", most)
		case err == nil:
			return strings.TrimRight(string(line), "\r\n"), nil
		case errors.Is(err, io.EOF) && len(line) > 0:
			return "", io.ErrUnexpectedEOF
		case !errors.Is(err, bufio.ErrBufferFull):
			return "", err
		}
	}
}

func readBulk(in *bufio.Reader, length string) (reply, error) {
	n, err := strconv.Atoi(length)
	switch {
	case err != nil || n < -1 || n > maxRESPBulk:
		return reply{}, fail(Protocol, "a text of the reply has no fit length")
	case n == -1:
		return reply{}, nil
	}
	text, err := io.ReadAll(io.LimitReader(in, int64(n)+2))
	switch {
	case err != nil:
		return reply{}, err
	case len(text) < n+2:
		return reply{}, io.ErrUnexpectedEOF
	case string(text[n:]) != "\r\n":
		return reply{}, fail(Protocol, "a text of the reply does not end where it should")
	}
	return reply{text: string(text[:n])}, nil
}

func readArray(in *bufio.Reader, length string, items *int, depth int) (reply, error) {
	n, err := strconv.Atoi(length)
	if err != nil || n < -1 || n > maxRESPItems || depth == 0 {
		return reply{}, fail(Protocol, "an array of the reply is too long or too deep")
	}
	var r reply
	for range n {
		item, err := readRESP(in, items, depth-1)
		var said replyError
		if err != nil && !errors.As(err, &said) {
			return reply{}, err
		}
		r.list = append(r.list, item)
	}
	return r, nil
}

// keyValues reads "key<separator>value" from each line of a text; of a key that occurs again the first value stays.
func keyValues(text, separator string) map[string]string {
	found := map[string]string{}
	for line := range strings.Lines(text) {
		key, value, ok := strings.Cut(strings.TrimRight(line, "\r\n"), separator)
		if _, known := found[key]; ok && !known {
			found[key] = value
		}
	}
	return found
}

// commaPairs reads "a=1,b=2".
func commaPairs(text string) map[string]string {
	return keyValues(strings.ReplaceAll(text, ",", "\n"), "=")
}
