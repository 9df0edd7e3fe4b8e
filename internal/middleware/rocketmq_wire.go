// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strings"
	"time"
)

// maxRemoting bounds one answer: that of a name server has some hundred bytes for each broker.
const maxRemoting = 1 << 20

// The codes of requests and answers of RocketMQ.
const (
	remotingBrokerRuntime  = 28
	remotingClusterInfo    = 106
	remotingHAStatus       = 907 // from version 5 on
	remotingSuccess        = 0
	remotingSystemError    = 1
	remotingBusy           = 2
	remotingNotSupported   = 3
	remotingUnavailable    = 14
	remotingNoPermission   = 16
	remotingFlowControlled = 215
	remotingUserUnknown    = 3001
)

// remotingHeader begins a request or an answer.
type remotingHeader struct {
	Code     int               `json:"code"`
	Flag     int               `json:"flag"` // its first bit is set in answers
	Language string            `json:"language"`
	Opaque   int               `json:"opaque"`
	Version  int               `json:"version"`
	Type     string            `json:"serializeTypeCurrentRPC"`
	Remark   string            `json:"remark,omitempty"`
	Fields   map[string]string `json:"extFields,omitempty"`
}

// remotingError is an answer that says that something is wrong.
type remotingError struct {
	code   int
	remark string
}

// Error implements error.
func (e *remotingError) Error() string {
	first, _, _ := strings.Cut(e.remark, "\n") // stack traces follow
	return fmt.Sprintf("code %d: %s", e.code, clean(first))
}

// reason tells what an answer means that ends a probe. Version 4 refuses whom it does not know as it tells of any error.
func (e *remotingError) reason() Reason {
	remark := strings.ToLower(e.remark)
	refused := e.code == remotingNoPermission || e.code == remotingUserUnknown || e.code == remotingSystemError && strings.Contains(remark, "aclexception")
	switch {
	case refused && (strings.Contains(remark, "has no permission") || strings.Contains(remark, "need admin permission")):
		return Permission
	case refused:
		return Auth
	case e.code == remotingBusy, e.code == remotingFlowControlled:
		return Saturated
	case e.code == remotingUnavailable:
		return Unavailable
	}
	return Protocol
}

// whyRemoting tells why a request was refused; said is false when it was not, or when the connection broke.
func whyRemoting(err error) (why Why, said bool) {
	var e *remotingError
	if !errors.As(err, &e) {
		return "", false
	}
	switch e.reason() {
	case Permission, Auth:
		return NoPermission, true
	}
	return Unsupported, true
}

// remotingConn is a connection to a name server or a broker.
type remotingConn struct {
	net.Conn
	p      *Probe
	opaque int
	// Who asks, nobody when accessKey is empty.
	accessKey            string
	secretKey, sessionID Secret
}

// dialRemoting connects. Every request is signed by itself where there is a credential.
func (p *Probe) dialRemoting(ctx context.Context) (*remotingConn, error) {
	username, password, token, err := p.Login()
	if err != nil {
		return nil, err
	}
	conn, err := p.Dial(ctx)
	if err != nil {
		return nil, err
	}
	return &remotingConn{Conn: conn, p: p, accessKey: username, secretKey: password, sessionID: token}, nil
}

// ask sends a request without a body of its own and returns the body of the answer.
func (c *remotingConn) ask(code int) ([]byte, error) {
	began := time.Now()
	defer func() { c.p.Phase("query", time.Since(began)) }()
	c.opaque++
	header := remotingHeader{Code: code, Language: "GO", Opaque: c.opaque, Type: "JSON"}
	if c.accessKey != "" {
		header.Fields = c.signed(map[string]string{})
	}
	frame, err := remotingFrame(header, nil)
	if err != nil {
		return nil, fail(Internal, "cannot write the request: %w", err)
	}
	if _, err := c.Conn.Write(frame); err != nil {
		return nil, fmt.Errorf("cannot ask: %w", err)
	}
	answer, body, err := readRemoting(c.Conn)
	switch {
	case err != nil:
		return nil, fmt.Errorf("cannot ask for %d: %w", code, err)
	case answer.Flag&1 == 0 || answer.Opaque != c.opaque:
		return nil, fail(Protocol, "the answer is not RocketMQ's")
	case answer.Code != remotingSuccess:
		e := &remotingError{answer.Code, answer.Remark}
		return nil, fmt.Errorf("cannot ask for %d: %w", code, &reasoned{e.reason(), e})
	}
	return body, nil
}

// signed adds to the fields of a request who asks, and the proof that they know the secret key, which itself is not sent.
func (c *remotingConn) signed(fields map[string]string) map[string]string {
	fields["AccessKey"] = c.accessKey
	if !c.sessionID.Empty() {
		fields["SecurityToken"] = c.sessionID.Reveal()
	}
	mac := hmac.New(sha1.New, []byte(c.secretKey.Reveal()))
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		mac.Write([]byte(fields[name]))
	}
	signature := base64.StdEncoding.EncodeToString(mac.Sum(nil))
	c.p.hide(signature)
	fields["Signature"] = signature
	return fields
}

// remotingFrame is how a header and a body are sent: the length of all that follows; a byte that says that the header is JSON, and its
// length; the header; the body.
func remotingFrame(header remotingHeader, body []byte) ([]byte, error) {
	text, err := json.Marshal(header)
	if err != nil {
		return nil, err
	}
	b := binary.BigEndian.AppendUint32(nil, uint32(4+len(text)+len(body)))
	b = binary.BigEndian.AppendUint32(b, uint32(len(text))) // the first byte, the codec, is 0
	return append(append(b, text...), body...), nil
}

// readRemoting reads an answer. What is announced is not allocated before it came.
func readRemoting(r io.Reader) (remotingHeader, []byte, error) {
	var header remotingHeader
	var head [8]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return header, nil, err
	}
	total, long := binary.BigEndian.Uint32(head[:]), binary.BigEndian.Uint32(head[4:])
	switch {
	case total > maxRemoting || total < 4 || long>>24 == 0 && long > total-4:
		return header, nil, fail(Protocol, "an answer of %d bytes with a header of %d is none that was asked for", total, long)
	case long>>24 != 0:
		return header, nil, fail(Protocol, "the header of the answer is not in the form that was asked for")
	}
	text, err := io.ReadAll(io.LimitReader(r, int64(total-4)))
	if err == nil && len(text) < int(total-4) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return header, nil, err
	}
	if json.Unmarshal(text[:long], &header) != nil {
		return header, nil, fail(Protocol, "the header of the answer is no JSON")
	}
	return header, text[long:], nil
}

// quoteKeys makes JSON of what RocketMQ writes, which leaves numbers that are keys unquoted: {0:"a"} becomes {"0":"a"}. The result is at
// most twice as long.
func quoteKeys(text []byte) []byte {
	out := make([]byte, 0, len(text)+len(text)/8)
	var before byte // the last one that is no blank, outside of texts
	for i := 0; i < len(text); {
		switch b := text[i]; {
		case b == '"':
			end := endOfText(text, i)
			out, before = append(out, text[i:end]...), '"'
			i = end
			continue
		case (before == '{' || before == ',') && (b == '-' || '0' <= b && b <= '9'):
			end := i + 1
			for end < len(text) && '0' <= text[end] && text[end] <= '9' {
				end++
			}
			if isKey(text[end:]) {
				out = append(append(append(out, '"'), text[i:end]...), '"')
			} else {
				out = append(out, text[i:end]...)
			}
			i, before = end, '0'
			continue
		case b != ' ' && b != '\t' && b != '\r' && b != '\n':
			before = b
		}
		out = append(out, text[i])
		i++
	}
	return out
}

// endOfText returns where a text ends that begins at i.
func endOfText(text []byte, i int) int {
	for i++; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(text)
}

// isKey reports whether a colon follows.
func isKey(rest []byte) bool {
	for _, b := range rest {
		switch b {
		case ' ', '\t', '\r', '\n':
		default:
			return b == ':'
		}
	}
	return false
}
