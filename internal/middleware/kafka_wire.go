// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Bounds of what a broker may answer. What is read becomes up to some twenty times as large when it is decoded, so they are no larger than
// they have to be: 8 MiB of metadata are about 150,000 partitions with three replicas.
const (
	maxKafkaMetadata = 8 << 20
	maxKafkaAnswer   = 1 << 20   // of what grows with topics or groups, and is asked in pieces
	maxKafkaDirs     = 512 << 10 // of what every broker is asked at the same time; older ones name all topics there
	maxKafkaSmall    = 64 << 10
)

// kafkaAPI is a request that we know how to ask, in the versions whose answers we read alike.
type kafkaAPI struct{ lowest, highest int16 }

// kafkaAPIs are the requests by their key. Kafka 4, which dropped old versions, has all of the highest ones still. Metadata are those of
// Kafka 1.0 at least; from 2.8 on log directories say when they may not be described, from 3.3 on how full they are.
func kafkaAPIs() map[int16]kafkaAPI {
	return map[int16]kafkaAPI{
		kmsg.ListOffsets.Int16(): {1, 5}, kmsg.Metadata.Int16(): {5, 8}, kmsg.OffsetFetch.Int16(): {2, 5}, kmsg.FindCoordinator.Int16(): {0, 2},
		kmsg.DescribeGroups.Int16(): {0, 4}, kmsg.SASLHandshake.Int16(): {1, 1}, kmsg.ApiVersions.Int16(): {0, 0},
		kmsg.DescribeConfigs.Int16(): {1, 3}, kmsg.DescribeLogDirs.Int16(): {0, 4}, kmsg.SASLAuthenticate.Int16(): {0, 1},
		kmsg.DescribeQuorum.Int16(): {0, 1}, kmsg.ConsumerGroupDescribe.Int16(): {0, 1}, kmsg.ListPartitionReassignments.Int16(): {0, 0},
	}
}

// errKafkaUnsupported says that a broker does not know a request in a version that we know.
var errKafkaUnsupported = errors.New("it does not know this request")

// kafkaConn is a connection to one broker. One request is asked at a time.
type kafkaConn struct {
	*Probe   // whose phases are added to
	conn     net.Conn
	end      context.CancelFunc
	versions map[int16]kafkaAPI // what the broker says it knows
	asked    int32
	broken   bool        // an answer is missing: what comes next cannot be told apart from it
	decoding *sync.Mutex // of all connections of the probe: one answer at a time becomes large
}

// dialKafka connects to host:port within so much time and asks what the broker knows. The connection ends with ctx.
func (p *Probe) dialKafka(ctx context.Context, address string, within time.Duration) (*kafkaConn, error) {
	ctx, cancel := context.WithCancel(ctx)
	late := time.AfterFunc(within, cancel)
	conn, err := p.dialPlain(ctx, address)
	if err == nil && p.Target.TLS.Enabled {
		conn, err = p.handshake(ctx, conn, address)
	}
	if !late.Stop() {
		if err == nil {
			conn.Close()
		}
		err = fail(Timeout, "no connection within %s", within.Round(time.Millisecond))
	}
	if err != nil {
		cancel()
		return nil, err
	}
	c := &kafkaConn{Probe: p, conn: conn, end: cancel, decoding: &sync.Mutex{}}
	c.versions = map[int16]kafkaAPI{kmsg.ApiVersions.Int16(): {0, 0}}
	return c, nil
}

// close ends the connection.
func (c *kafkaConn) close() {
	c.broken = true
	c.conn.Close()
	c.end()
}

// learn asks which requests the broker knows: the first thing that every version of Kafka since 0.10 answers, also before a login.
func (c *kafkaConn) learn(ctx context.Context) error {
	answer, err := c.ask(ctx, kmsg.NewPtrApiVersionsRequest(), maxKafkaSmall)
	if reasonOf(err) == Closed && err != nil {
		return fmt.Errorf("it ends the connection at the first request, as one does that wants TLS: %w", err)
	}
	if err != nil {
		return err
	}
	said := answer.(*kmsg.ApiVersionsResponse)
	if err := kafkaCode(said.ErrorCode, "which requests it knows"); err != nil {
		return err
	}
	for _, key := range said.ApiKeys {
		c.versions[key.ApiKey] = kafkaAPI{key.MinVersion, key.MaxVersion}
	}
	if _, known := c.versions[kmsg.Metadata.Int16()]; !known {
		return fail(Protocol, "it does not know what a broker of Kafka knows")
	}
	return nil
}

// knows reports whether the broker knows a request in a version that we know, and the highest one.
func (c *kafkaConn) knows(key int16) (version int16, known bool) {
	ours, asked := kafkaAPIs()[key]
	theirs, told := c.versions[key]
	version = min(ours.highest, theirs.highest)
	return version, asked && told && version >= max(ours.lowest, theirs.lowest)
}

// ask sends a request and reads its answer, which has at most so many bytes, until ctx ends. After an error other than
// errKafkaUnsupported the connection is of no use any more.
func (c *kafkaConn) ask(ctx context.Context, request kmsg.Request, most int) (kmsg.Response, error) {
	version, known := c.knows(request.Key())
	if !known {
		return nil, fmt.Errorf("%s: %w", kmsg.NameForKey(request.Key()), errKafkaUnsupported)
	}
	if c.broken {
		return nil, fail(Closed, "the connection has ended")
	}
	if deadline, ok := ctx.Deadline(); ok {
		_ = c.conn.SetDeadline(deadline) // fails only on a connection that is closed, which the next use tells
	}
	if key := request.Key(); key != kmsg.SASLHandshake.Int16() && key != kmsg.SASLAuthenticate.Int16() {
		began := time.Now()
		defer func() { c.Phase("query", time.Since(began)) }()
	}
	request.SetVersion(version)
	c.asked++
	c.broken = true
	format := kmsg.NewRequestFormatter(kmsg.FormatterClientID("stability_exporter"))
	if _, err := c.conn.Write(format.AppendRequest(nil, request, c.asked)); err != nil {
		return nil, inTime(ctx, fmt.Errorf("cannot ask: %w", err))
	}
	frame, err := readKafkaFrame(c.conn, most)
	if err != nil {
		return nil, inTime(ctx, err)
	}
	c.decoding.Lock()
	defer c.decoding.Unlock()
	response := request.ResponseKind()
	if err := decodeKafka(frame, c.asked, response); err != nil {
		return nil, err
	}
	c.broken = false
	return response, nil
}

// inTime tells a connection that ended because our time was up from one that the other side ended.
func inTime(ctx context.Context, err error) error {
	if ctx.Err() != nil && reasonOf(err) == Closed {
		return fail(Timeout, "no answer in time")
	}
	return err
}

// readKafkaFrame reads a length and so many bytes. No more is allocated than comes.
func readKafkaFrame(r io.Reader, most int) ([]byte, error) {
	var length [4]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, fmt.Errorf("cannot read the answer: %w", err)
	}
	const alert = 0x15
	if length[0] == alert && length[1] == 3 {
		return nil, fail(TLS, "it answers with an alert of TLS: it wants TLS")
	}
	size := binary.BigEndian.Uint32(length[:])
	if size > uint32(most) {
		return nil, fail(Protocol, "the answer is not Kafka's, or is longer than %d bytes", most)
	}
	var frame bytes.Buffer
	if _, err := io.CopyN(&frame, r, int64(size)); err != nil {
		return nil, fmt.Errorf("cannot read the answer: %w", err)
	}
	return frame.Bytes(), nil
}

// decodeKafka reads an answer: the number of the request, with newer versions fields that nobody defined yet, and the answer itself.
func decodeKafka(frame []byte, asked int32, into kmsg.Response) error {
	if len(frame) < 4 || int32(binary.BigEndian.Uint32(frame)) != asked {
		return fail(Protocol, "the answer is not one to what was asked")
	}
	body, ok := frame[4:], true
	if into.IsFlexible() && into.Key() != kmsg.ApiVersions.Int16() {
		body, ok = skipTags(body)
	}
	if !ok || into.ReadFrom(body) != nil {
		return fail(Protocol, "the answer cannot be read")
	}
	return nil
}

// skipTags returns what comes after a list of tagged fields.
func skipTags(b []byte) ([]byte, bool) {
	next := func() (uint64, bool) {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			return 0, false
		}
		b = b[n:]
		return v, true
	}
	for left, ok := next(); ; left-- {
		if !ok || left == 0 {
			return b, ok
		}
		_, okTag := next()
		size, okSize := next()
		if ok = okTag && okSize && size <= uint64(len(b)); ok {
			b = b[size:]
		}
	}
}

// kafkaCode returns the error of an error code, nil for none.
func kafkaCode(code int16, format string, args ...any) error {
	said := kerr.TypedErrorForCode(code)
	if said == nil {
		return nil
	}
	reason := Protocol
	switch said {
	case kerr.SaslAuthenticationFailed, kerr.UnsupportedSaslMechanism, kerr.IllegalSaslState:
		reason = Auth
	case kerr.TopicAuthorizationFailed, kerr.GroupAuthorizationFailed, kerr.ClusterAuthorizationFailed:
		reason = Permission
	case kerr.RequestTimedOut:
		reason = Timeout
	case kerr.CoordinatorLoadInProgress, kerr.CoordinatorNotAvailable, kerr.NotCoordinator, kerr.NotController, kerr.LeaderNotAvailable,
		kerr.NotLeaderForPartition, kerr.OffsetNotAvailable: // who is in charge changes just now
		reason = Loading
	case kerr.UnsupportedVersion:
		return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), errKafkaUnsupported)
	}
	return fail(reason, "%s: %w", fmt.Sprintf(format, args...), kafkaSaid{said})
}

// kafkaSaid is an error code as Kafka names it, without the explanation.
type kafkaSaid struct{ code *kerr.Error }

// Error implements error.
func (s kafkaSaid) Error() string { return s.code.Message }

// Unwrap returns the error code.
func (s kafkaSaid) Unwrap() error { return s.code }

// kafkaWhy says why a fact is unknown after an error.
func kafkaWhy(err error) Why {
	if errors.Is(err, errKafkaUnsupported) {
		return Unsupported
	}
	switch reasonOf(err) {
	case Permission:
		return NoPermission
	case Forbidden:
		return NotConfigured
	case Loading:
		return WarmingUp
	case Timeout, Refused, DNS, Closed:
		return TimedOut
	}
	return Garbled
}
