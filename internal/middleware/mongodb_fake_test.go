// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/xdg-go/scram"
)

// mongoDocument makes BSON of JSON in which {"$date": ms} and {"$ts": s} are a date and a timestamp.
func mongoDocument(text string) []byte {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var document any
	if err := d.Decode(&document); err != nil {
		panic("BUG: " + err.Error() + " in " + text)
	}
	_, data := mongoEncoded(document)
	return data
}

func mongoEncoded(value any) (kind byte, data []byte) {
	switch v := value.(type) {
	case map[string]any:
		if ms, ok := v["$date"].(json.Number); ok {
			n, _ := ms.Int64()
			return bsonDate, binary.LittleEndian.AppendUint64(nil, uint64(n))
		}
		if s, ok := v["$ts"].(json.Number); ok {
			n, _ := s.Int64()
			return bsonTimestamp, binary.LittleEndian.AppendUint64(nil, uint64(n)<<32|1)
		}
		var elements []byte
		for name, value := range v {
			elements = append(elements, mongoElement(name, value)...)
		}
		return bsonObject, framed(elements)
	case []any:
		var elements []byte
		for i, value := range v {
			elements = append(elements, mongoElement(fmt.Sprint(i), value)...)
		}
		return bsonArray, framed(elements)
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return bsonInt64, binary.LittleEndian.AppendUint64(nil, uint64(n))
		}
		n, _ := v.Float64()
		return bsonDouble, binary.LittleEndian.AppendUint64(nil, math.Float64bits(n))
	case nil:
		return 0x0a, nil
	}
	return bsonEncoded(value)
}

func mongoElement(name string, value any) []byte {
	kind, data := mongoEncoded(value)
	return append(append(append([]byte{kind}, name...), 0), data...)
}

func framed(elements []byte) []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(len(elements)+5))
	return append(append(b, elements...), 0)
}

// fakeMongo is a server of the protocol: it answers commands by their names with what is written as JSON, and lets in who logs in.
type fakeMongo struct {
	answers  map[string]string
	username string // empty: nobody needs to log in
	password string
	sha1     bool
	old      bool // wants an empty message at the end of a login
	checksum bool
	// saying changes what the server says in a login.
	saying func(step int, payload string) (text string, done bool)

	mu    sync.Mutex
	asked []string // what came, one text for each command
}

// mongoSession is one connection to the fake.
type mongoSession struct {
	f       *fakeMongo
	proving *scram.ServerConversation
	step    int
	in      bool
}

func (f *fakeMongo) listen(t *testing.T) string {
	t.Helper()
	return listen(t, func(conn net.Conn) {
		s := mongoSession{f: f, in: f.username == ""}
		for {
			head := make([]byte, mongoHeader)
			if _, err := io.ReadFull(conn, head); err != nil {
				return
			}
			body := make([]byte, binary.LittleEndian.Uint32(head)-mongoHeader)
			if _, err := io.ReadFull(conn, body); err != nil {
				return
			}
			command, err := readBSON(body[5:])
			if err != nil {
				return
			}
			if _, err := conn.Write(f.reply(head, s.answer(command))); err != nil {
				return
			}
		}
	})
}

// reply puts an answer into a message.
func (f *fakeMongo) reply(head, document []byte) []byte {
	b := mongoRequest(77, document)
	copy(b[8:12], head[4:8])
	if f.checksum {
		b[mongoHeader] |= mongoChecksum
		binary.LittleEndian.PutUint32(b, uint32(len(b)+4))
		b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
	}
	return b
}

func (s *mongoSession) answer(command bson) []byte {
	var name string
	command.each(func(first string, _ bsonValue) bool { name = first; return false })
	s.f.mu.Lock()
	s.f.asked = append(s.f.asked, name+" "+command.get("$db").text())
	s.f.mu.Unlock()
	switch {
	case name == "saslStart" || name == "saslContinue":
		return s.login(command)
	case !s.in && name != "hello" && name != "isMaster":
		return mongoDocument(`{"ok":0,"code":13,"codeName":"Unauthorized","errmsg":"command requires authentication"}`)
	}
	text, known := s.f.answers[name]
	if !known {
		text = `{"ok":0,"code":59,"codeName":"CommandNotFound","errmsg":"no such command"}`
	}
	return mongoDocument(text)
}

// login proves the client, by a password that is stored as MongoDB stores it.
func (s *mongoSession) login(command bson) []byte {
	failed := mongoDocument(`{"ok":0,"code":18,"codeName":"AuthenticationFailed","errmsg":"Authentication failed."}`)
	if s.proving == nil {
		mechanism := scramSHA256
		if s.f.sha1 {
			mechanism = scramSHA1
		}
		if command.get("mechanism").text() != mechanism {
			return failed
		}
		s.proving = mongoServer(mechanism, s.f.username, s.f.password)
	}
	payload, done := "", true
	if !s.proving.Done() {
		var err error
		if payload, err = s.proving.Step(string(command.get("payload").binary())); err != nil {
			return failed
		}
		done = s.proving.Done() && !s.f.old
	}
	if s.f.saying != nil {
		payload, done = s.f.saying(s.step, payload)
	}
	s.step++
	s.in = s.proving.Valid()
	return writeBSON(bsonField{"conversationId", int32(5)}, bsonField{"done", done}, bsonField{"payload", []byte(payload)}, bsonField{"ok", int32(1)})
}

func mongoServer(mechanism, username, password string) *scram.ServerConversation {
	client, err := scramClient(mechanism, username, password)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	stored, err := client.GetStoredCredentialsWithError(scram.KeyFactors{Salt: "salt", Iters: 4096})
	if err != nil {
		panic("BUG: " + err.Error())
	}
	hash := scram.SHA256
	if mechanism == scramSHA1 {
		hash = scram.SHA1
	}
	server, err := hash.NewServer(func(name string) (scram.StoredCredentials, error) {
		if name != username {
			return scram.StoredCredentials{}, fmt.Errorf("no user %s", name)
		}
		return stored, nil
	})
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return server.NewConversation()
}

func FuzzMongo(f *testing.F) {
	f.Add(mongoRequest(1, mongoDocument(mongoStatusText)))
	f.Add(mongoRequest(1, mongoDocument(`{"a":[1,2.5,null,true,{"$date":5},{"$ts":7},{"b":[]}]}`)))
	f.Add([]byte("\x15\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\xdd\x07\x00\x00\x01\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, message []byte) {
		if len(message) > mongoHeader {
			copy(message[8:12], message[4:8])
		}
		id := uint32(1)
		if len(message) >= 8 {
			id = binary.LittleEndian.Uint32(message[4:8])
		}
		answer, err := readMongo(bytes.NewReader(message), id)
		if err != nil {
			return
		}
		p := &Probe{Recorder: &Recorder{}, Target: &Target{Kind: &Kind{}}}
		m := mongoProbe{p, nil, answer}
		m.tellSet("replica", answer)
		m.tellOplog(answer, Unsupported)
		for _, value := range answer.get("payload").list() {
			_ = value.text() + string(value.binary())
		}
		scramIterations(string(answer.get("payload").binary()))
		for _, members := range p.finish().Members {
			if members.Value < 0 || members.Value > float64(len(message)) {
				t.Errorf("%v members of %d bytes", members, len(message))
			}
		}
	})
}

func TestBSONIsRefused(t *testing.T) {
	good := mongoDocument(`{"a":"text","b":{"c":[1,2]}}`)
	deep := []byte{5, 0, 0, 0, 0}
	for range maxBSONDepth + 1 {
		deep = framed(append([]byte{bsonObject, 'a', 0}, deep...))
	}
	text := func(length uint32, ending byte) []byte {
		return framed(append(binary.LittleEndian.AppendUint32([]byte{bsonText, 'a', 0}, length), 'x', ending))
	}
	for name, b := range map[string][]byte{
		"nothing": {}, "cut short": good[:len(good)-1], "longer than it says": append(bytes.Clone(good), 0), "too deep": deep,
		"an unknown type": framed([]byte{0x42, 'a', 0}), "a name without an end": framed([]byte{bsonBool, 'a', 'b'}), "a truth of 7": framed([]byte{bsonBool, 'a', 0, 7}),
		"a text longer than the document": text(0x7fffffff, 0), "a text of no length": text(0, 0), "a text without an end": text(2, 'y'),
		"a number cut short": framed([]byte{bsonInt64, 'a', 0, 1, 2}), "a pattern without an end": framed([]byte{0x0b, 'a', 0, 'x', 'y'}),
		"a document that is longer than the one it is in": framed([]byte{bsonObject, 'a', 0, 9, 0, 0, 0, 0, 0}),
	} {
		if _, err := readBSON(b); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	for name, b := range map[string][]byte{"good": good, "text": text(2, 0), "empty": framed(nil), "pattern": framed([]byte{0x0b, 'a', 0, 'x', 0, 'i', 0})} {
		if _, err := readBSON(b); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
