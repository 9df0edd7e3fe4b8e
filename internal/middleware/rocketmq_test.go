// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"stability-exporter/internal/state"
)

// Answers of RocketMQ 5.3: keys that are numbers are not quoted.
const (
	rocketmqClusterText = `{"brokerAddrTable":{"broker-a":{"brokerAddrs":{0:"10.0.0.1:10911",1:"10.0.0.2:10911"},"brokerName":"broker-a","cluster":"c","enableActingMaster":false},
		"broker-b":{"brokerAddrs":{0:"10.0.0.3:10911"},"brokerName":"broker-b","cluster":"c","enableActingMaster":false}},"clusterAddrTable":{"c":["broker-a","broker-b"]}}`
	rocketmqBrokerText = `{"table":{"brokerVersionDesc":"V5_3_1","brokerActive":"true","commitLogDiskRatio":"0.5","commitLogDiskRatio_/store/commitlog":"0.5","consumeQueueDiskRatio":"0.25",
		"dispatchBehindBytes":"42","sendThreadPoolQueueSize":"100","sendThreadPoolQueueCapacity":"10000","pullThreadPoolQueueSize":"0","pullThreadPoolQueueCapacity":"100000",
		"sendThreadPoolQueueHeadWaitTimeMills":"250","pullThreadPoolQueueHeadWaitTimeMills":"0","startAcceptSendRequestTimeStamp":"0",
		"commitLogDirCapacity":"Total : 98.3 GiB, Free : 49.1 GiB.","runtime":"[ 0 days, 1 hours, 2 minutes, 3 seconds ]"}}`
	rocketmqPrimaryText = `{"haClientRuntimeInfo":{"activated":false,"lastReadTimestamp":0,"lastWriteTimestamp":0,"masterFlushOffset":0,"maxOffset":0,"transferredByteInSecond":0},
		"haConnectionInfo":[{"addr":"10.0.0.2:54321","diff":64,"inSync":true,"slaveAckOffset":936,"transferFromWhere":936,"transferredByteInSecond":10},
		{"addr":"10.0.0.4:54321","diff":1001,"inSync":false,"slaveAckOffset":-1,"transferFromWhere":-1,"transferredByteInSecond":0}],"inSyncSlaveNums":1,"master":true,"masterCommitLogMaxOffset":1000}`
)

// rocketmqReplicaText is a replica that last read at a time, in milliseconds.
func rocketmqReplicaText(lastRead int64) string {
	return fmt.Sprintf(`{"haClientRuntimeInfo":{"activated":false,"lastReadTimestamp":%d,"lastWriteTimestamp":%d,"masterAddr":"10.0.0.1:10912","masterFlushOffset":1000,"maxOffset":900,
		"transferredByteInSecond":10},"haConnectionInfo":[],"inSyncSlaveNums":0,"master":false,"masterCommitLogMaxOffset":0}`, lastRead, lastRead)
}

// remotingAnswer is what is answered to a request: a body, or another code and a remark.
type remotingAnswer struct {
	code int
	text string
}

// fakeRocketMQ is a server of the protocol. What it has no answer to it does not support.
type fakeRocketMQ struct {
	answers              map[int]remotingAnswer
	accessKey, signature string // wanted, when not empty

	mu    sync.Mutex
	asked []int
}

func (f *fakeRocketMQ) listen(t *testing.T) string {
	t.Helper()
	return listen(t, func(conn net.Conn) {
		for {
			request, _, err := readRemoting(conn)
			if err != nil {
				return
			}
			f.mu.Lock()
			f.asked = append(f.asked, request.Code)
			f.mu.Unlock()
			frame, err := f.answer(request)
			if err != nil {
				return
			}
			if _, err := conn.Write(frame); err != nil {
				return
			}
		}
	})
}

func (f *fakeRocketMQ) answer(request remotingHeader) ([]byte, error) {
	answer, known := f.answers[request.Code]
	if !known {
		answer = remotingAnswer{remotingNotSupported, fmt.Sprintf(" request type %d not supported", request.Code)}
	}
	if f.signature != "" && (request.Fields["AccessKey"] != f.accessKey || request.Fields["Signature"] != f.signature) {
		answer = remotingAnswer{remotingNoPermission, "check signature failed. " + request.Fields["Signature"]}
	}
	header := remotingHeader{Code: answer.code, Flag: 1, Language: "JAVA", Opaque: request.Opaque, Version: 493, Type: "JSON"}
	if answer.code != remotingSuccess {
		header.Remark = answer.text
		return remotingFrame(header, nil)
	}
	return remotingFrame(header, []byte(answer.text))
}

func rocketmqNameServer(text string) *fakeRocketMQ {
	return &fakeRocketMQ{answers: map[int]remotingAnswer{remotingClusterInfo: {text: text}}}
}

func rocketmqBrokerServer(table, replication string) *fakeRocketMQ {
	f := &fakeRocketMQ{answers: map[int]remotingAnswer{remotingBrokerRuntime: {text: table}}}
	if replication != "" {
		f.answers[remotingHAStatus] = remotingAnswer{text: replication}
	}
	return f
}

// rocketmqFacts are those of name servers, and those of brokers.
func rocketmqFacts() (nameServer, broker []string) {
	facts := rocketmqKind().Facts
	return facts[:4], facts[4:]
}

func TestRocketMQNameServer(t *testing.T) {
	_, brokers := rocketmqFacts()
	for name, c := range map[string]struct {
		text     string
		change   func(*Target)
		brokers  float64
		headless float64
		want     []Reason
	}{
		"all are there":             {rocketmqClusterText, nil, 3, 0, nil},
		"as many as expected":       {rocketmqClusterText, func(t *Target) { t.Limits.ExpectedMembers = 3 }, 3, 0, nil},
		"one is missing":            {rocketmqClusterText, func(t *Target) { t.Limits.ExpectedMembers = 4 }, 3, 0, []Reason{MembersMissing}},
		"a primary is missing":      {strings.Replace(rocketmqClusterText, `0:"10.0.0.3:10911"`, `2:"10.0.0.3:10911"`, 1), nil, 3, 1, []Reason{NoLeader}},
		"a name without a broker":   {strings.Replace(rocketmqClusterText, `0:"10.0.0.3:10911"`, ``, 1), nil, 2, 1, []Reason{NoLeader}},
		"keys are quoted":           {strings.NewReplacer(`0:"`, `"0":"`, `1:"`, `"1":"`).Replace(rocketmqClusterText), nil, 3, 0, nil},
		"nobody is registered":      {`{"brokerAddrTable":{},"clusterAddrTable":{}}`, nil, 0, 0, []Reason{Unavailable}},
		"nobody, some are expected": {`{"brokerAddrTable":{},"clusterAddrTable":{}}`, func(t *Target) { t.Limits.ExpectedMembers = 4 }, 0, 0, []Reason{Unavailable, MembersMissing}},
	} {
		t.Run(name, func(t *testing.T) {
			server := rocketmqNameServer(c.text)
			target := targetOf(t, "rocketmq", server.listen(t))
			if c.change != nil {
				c.change(target)
			}
			v := Run(t.Context(), target, nil)
			wantUp(t, v, c.want...)
			wantValue(t, v.Members, "healthy", c.brokers)
			wantValue(t, v.Facts, "broker_names_without_primary", c.headless)
			wantTold(t, rocketmqKind(), v, brokers...)
			if !slices.Equal(server.asked, []int{remotingClusterInfo}) {
				t.Errorf("asked %v", server.asked)
			}
		})
	}
}

func TestRocketMQBroker(t *testing.T) {
	now := time.Unix(1700000000, 0)
	replica, inactive := rocketmqReplicaText(now.Add(-3*time.Second).UnixMilli()), strings.Replace(rocketmqBrokerText, `"brokerActive":"true"`, `"brokerActive":"false"`, 1)
	disk := func(name, ratio string) string {
		return strings.NewReplacer(`"`+name+`":"0.5"`, `"`+name+`":"`+ratio+`"`, `"`+name+`":"0.25"`, `"`+name+`":"`+ratio+`"`).Replace(rocketmqBrokerText)
	}
	names, _ := rocketmqFacts()
	names = slices.DeleteFunc(slices.Clone(names), func(fact string) bool { return fact == "members_expected" })
	ofReplica := append([]string{"members_expected", "members{connected}", "members{synced}"}, names...)
	alone := append([]string{"members_expected", "replication_link_up"}, names...)
	noHA := append([]string{"members_expected"}, names...)
	for _, c := range []struct {
		name, table, replication, role string
		writable, link                 state.Tristate
		change                         func(*Target)
		want                           []Reason
		without                        []string
	}{
		{"primary", rocketmqBrokerText, rocketmqPrimaryText, "primary", state.True, state.Absent, nil, nil, alone},
		{"primary that misses a replica", rocketmqBrokerText, rocketmqPrimaryText, "primary", state.True, state.Absent, func(t *Target) { t.Limits.ExpectedMembers = 4 }, []Reason{MembersMissing}, append([]string{"replication_link_up"}, names...)},
		{"inactive primary", inactive, rocketmqPrimaryText, "primary", state.True, state.Absent, nil, []Reason{Degraded}, alone},
		{"replica, never active", inactive, replica, "replica", state.False, state.True, nil, nil, ofReplica},
		{"replica that lost its primary", inactive, rocketmqReplicaText(0), "replica", state.False, state.False, nil, []Reason{ReplicationBroken}, ofReplica},
		{"replica that never had one", inactive, rocketmqReplicaText(now.Add(-time.Hour).UnixMilli()), "replica", state.False, state.False, nil, []Reason{ReplicationBroken}, ofReplica},
		{"replica that is told of none", inactive, strings.Replace(replica, `"masterAddr":"10.0.0.1:10912",`, "", 1), "replica", state.False, state.False, nil, []Reason{ReplicationBroken}, ofReplica},
		{"should be the primary", inactive, replica, "replica", state.False, state.True, func(t *Target) { t.Limits.Role = "primary" }, []Reason{RoleConflict}, ofReplica},
		{"a disk is full", disk("commitLogDiskRatio", "0.93"), rocketmqPrimaryText, "primary", state.False, state.Absent, nil, []Reason{Alarm, NotWritable}, alone},
		{"the other disk is full", disk("consumeQueueDiskRatio", "0.93"), rocketmqPrimaryText, "primary", state.False, state.Absent, nil, []Reason{Alarm, NotWritable}, alone},
		{"a fuller disk is wanted", disk("commitLogDiskRatio", "0.93"), rocketmqPrimaryText, "primary", state.True, state.Absent, withOption("disk_full_ratio", "0.95"), nil, alone},
		{"a path is not there", disk("commitLogDiskRatio", "-1.0"), rocketmqPrimaryText, "primary", state.True, state.Absent, nil, nil, alone},
		{"it takes messages later", strings.Replace(rocketmqBrokerText, `TimeStamp":"0"`, `TimeStamp":"1700000060000"`, 1), rocketmqPrimaryText, "primary", state.False, state.Absent, nil, []Reason{Loading}, alone},
		{"version 4", strings.Replace(rocketmqBrokerText, `"brokerActive":"true",`, "", 1), "", "", state.Absent, state.Absent, nil, nil, noHA},
		{"replication in other words", rocketmqBrokerText, `{"x":1}`, "", state.Absent, state.Absent, nil, nil, noHA},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := rocketmqBrokerServer(c.table, c.replication)
			target := targetOf(t, "rocketmq", server.listen(t))
			if c.change != nil {
				c.change(target)
			}
			v := Run(t.Context(), target, func() time.Time { return now })
			wantUp(t, v, c.want...)
			if v.Role != c.role || v.Writable != c.writable || v.LinkUp != c.link {
				t.Errorf("role %q, writable %d, link %d", v.Role, v.Writable, v.LinkUp)
			}
			wantTold(t, rocketmqKind(), v, c.without...)
			if want := []int{remotingClusterInfo, remotingBrokerRuntime, remotingHAStatus}; !slices.Equal(server.asked, want) {
				t.Errorf("asked %v, want %v", server.asked, want)
			}
		})
	}
}

func TestRocketMQNumbers(t *testing.T) {
	v := Run(t.Context(), targetOf(t, "rocketmq", rocketmqBrokerServer(rocketmqBrokerText, rocketmqPrimaryText).listen(t), withOption("server", "broker")), nil)
	wantUp(t, v)
	wantValue(t, v.Saturation, "disk", 0.5)
	wantValue(t, v.Saturation, "consume_queue_disk", 0.25)
	wantValue(t, v.Saturation, "send_queue", 0.01)
	wantValue(t, v.Facts, "dispatch_behind_bytes", 42)
	wantValue(t, v.Facts, "send_queue_wait_seconds", 0.25)
	wantValue(t, v.Members, "connected", 2)
	wantValue(t, v.Members, "synced", 1)
	if v.LagBytes.Value != 64 { // the replica that has acknowledged nothing yet is 1001 behind
		t.Errorf("lag %v", v.LagBytes)
	}
	replica := Run(t.Context(), targetOf(t, "rocketmq", rocketmqBrokerServer(rocketmqBrokerText, rocketmqReplicaText(time.Now().UnixMilli())).listen(t)), nil)
	if replica.LagBytes.Value != 100 {
		t.Errorf("lag %v", replica.LagBytes)
	}
}

// A signature is the same as RocketMQ's own client makes, and is refused when it is another.
func TestRocketMQSignature(t *testing.T) {
	server := rocketmqNameServer(rocketmqClusterText)
	server.accessKey, server.signature = "RocketMQ", "IUc8rrO/0gDch8CjObLQsW2rsiA="
	address := server.listen(t)
	wantUp(t, Run(t.Context(), targetOf(t, "rocketmq", address, withLogin("RocketMQ", "12345678")), nil))
	v := Run(t.Context(), targetOf(t, "rocketmq", address, withLogin("RocketMQ", "another-key")), nil)
	wantProblem(t, v, Auth)
	if text := fmt.Sprint(v); strings.Contains(text, "another-key") || !strings.Contains(text, "check signature failed. [secret]") {
		t.Errorf("the signature or the key is shown: %s", text)
	}
	wantProblem(t, Run(t.Context(), targetOf(t, "rocketmq", address), nil), Auth)
	elsewhere := targetOf(t, "rocketmq", address, withLogin("RocketMQ", "12345678"))
	elsewhere.Credential.Targets = []string{"mq.example.com"}
	wantProblem(t, Run(t.Context(), elsewhere, nil), Forbidden)
	c := &remotingConn{p: &Probe{Recorder: &Recorder{}}, accessKey: "access", secretKey: NewSecret("secret-key"), sessionID: NewSecret("token")}
	if got := c.signed(map[string]string{})["Signature"]; got != "rHV+IRLt/AiXRLU0Vdomzt6AmcU=" {
		t.Errorf("with a session: %s", got)
	}
}

func TestRocketMQRefusals(t *testing.T) {
	of := func(code, number int, text string) *fakeRocketMQ {
		return &fakeRocketMQ{answers: map[int]remotingAnswer{code: {number, text}}}
	}
	for name, c := range map[string]struct {
		server *fakeRocketMQ
		option string
		want   Reason
	}{
		"neither of the two":        {&fakeRocketMQ{}, "", Protocol},
		"a broker for a namesrv":    {rocketmqBrokerServer(rocketmqBrokerText, ""), "namesrv", Protocol},
		"a namesrv for a broker":    {rocketmqNameServer(rocketmqClusterText), "broker", Protocol},
		"no such user, version 4":   {of(remotingBrokerRuntime, 1, "org.apache.rocketmq.acl.common.AclException: No acl config for access, org.apache...\n\tat x"), "broker", Auth},
		"not an admin, version 4":   {of(remotingBrokerRuntime, 1, "org.apache.rocketmq.acl.common.AclException: Need admin permission for request code=28"), "broker", Permission},
		"not permitted, version 5":  {of(remotingBrokerRuntime, 16, "User:u has no permission to access Cluster:c from 10.0.0.9"), "broker", Permission},
		"busy":                      {of(remotingClusterInfo, 2, "[REJECTREQUEST]system busy, start flow control for a while"), "namesrv", Saturated},
		"busy, whatever it is":      {of(remotingClusterInfo, 2, "[OVERLOAD]system busy"), "", Saturated},
		"something is wrong":        {of(remotingBrokerRuntime, 1, "java.lang.NullPointerException"), "broker", Protocol},
		"not what a namesrv says":   {rocketmqNameServer(`{"table":{}}`), "", Protocol},
		"not what a broker says":    {rocketmqBrokerServer(`{"table":{}}`, ""), "", Protocol},
		"no JSON":                   {rocketmqBrokerServer(`hello`, ""), "", Protocol},
		"it cannot serve right now": {of(remotingBrokerRuntime, 14, "the broker is slave"), "broker", Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			wantProblem(t, Run(t.Context(), targetOf(t, "rocketmq", c.server.listen(t), withOption("server", c.option)), nil), c.want)
		})
	}
	for value, right := range map[string]bool{"": true, "namesrv": true, "broker": true, "proxy": false} {
		if (checkRocketMQServer(value) == nil) != right {
			t.Errorf("%q is judged wrongly", value)
		}
	}
}

func TestRocketMQRefusesOtherFrames(t *testing.T) {
	good := clusterFrame(t, remotingHeader{Flag: 1, Opaque: 1})
	for name, frame := range map[string][]byte{
		"another codec":           append(append(bytes.Clone(good[:4]), 1), good[5:]...),
		"a gigabyte":              append([]byte{0x40, 0, 0, 0}, good[4:]...),
		"less than a header":      append([]byte{0, 0, 0, 3}, good[4:]...),
		"a header beyond its end": append(append(bytes.Clone(good[:4]), 0, 0xff, 0xff, 0xff), good[8:]...),
		"a header that is none":   {0, 0, 0, 6, 0, 0, 0, 2, 'h', 'i'},
		"no answer":               clusterFrame(t, remotingHeader{Opaque: 1}),
		"another's answer":        clusterFrame(t, remotingHeader{Flag: 1, Opaque: 7}),
	} {
		t.Run(name, func(t *testing.T) {
			address := listen(t, func(conn net.Conn) {
				_, _ = conn.Read(make([]byte, 1<<10))
				_, _ = conn.Write(frame)
				_, _ = io.Copy(io.Discard, conn)
			})
			wantProblem(t, Run(t.Context(), targetOf(t, "rocketmq", address), nil), Protocol)
		})
	}
}

// clusterFrame is the answer of a name server under a header.
func clusterFrame(t *testing.T, header remotingHeader) []byte {
	t.Helper()
	frame, err := remotingFrame(header, []byte(rocketmqClusterText))
	if err != nil {
		t.Fatal(err)
	}
	return frame
}

func TestQuoteKeys(t *testing.T) {
	for text, want := range map[string]string{
		`{0:"a",1:"b"}`:          `{"0":"a","1":"b"}`,
		"{ 0 : 1 ,\n -12\t: 2 }": "{ \"0\" : 1 ,\n \"-12\"\t: 2 }",
		`{"a":[1,2,{3:4}]}`:      `{"a":[1,2,{"3":4}]}`,
		`{"a,1:{2:":"\",3:"}`:    `{"a,1:{2:":"\",3:"}`,
		`[1,2,-3.5e7]`:           `[1,2,-3.5e7]`,
		`{"0":"a"}`:              `{"0":"a"}`,
		`"a\`:                    `"a\`,
		`{1`:                     `{1`,
		``:                       ``,
	} {
		if got := string(quoteKeys([]byte(text))); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func TestRocketMQGroup(t *testing.T) {
	member := func(role string) *state.MiddlewareView { return &state.MiddlewareView{Up: true, Role: role} }
	down := &state.MiddlewareView{}
	for name, c := range map[string]struct {
		want    string
		members []*state.MiddlewareView
	}{
		"brokers":           {"", []*state.MiddlewareView{member("primary"), member("replica")}},
		"of two names":      {"", []*state.MiddlewareView{member("primary"), member("replica"), member("primary"), member("replica")}},
		"no primary":        {"no_leader", []*state.MiddlewareView{down, member("replica")}},
		"name servers":      {"", []*state.MiddlewareView{member(""), member("")}},
		"a replica is down": {"", []*state.MiddlewareView{member("primary"), down}},
	} {
		group := &Recorder{}
		rocketmqGroup(c.members, group)
		if v := group.finish(); problems(v) != c.want {
			t.Errorf("%s: %v, want %q", name, v.Problems, c.want)
		}
	}
}

func TestRocketMQWithstands(t *testing.T) { withstands(t, rocketmqKind(), nil) }

func FuzzRocketMQ(f *testing.F) {
	f.Add([]byte(rocketmqClusterText), []byte(rocketmqBrokerText))
	f.Add([]byte("\x00\x00\x00\x06\x00\x00\x00\x02{}"), []byte(`{"table":{"commitLogDiskRatio":"1e308","startAcceptSendRequestTimeStamp":"1e308"}}`))
	f.Fuzz(func(t *testing.T, answer, table []byte) {
		_, body, err := readRemoting(bytes.NewReader(answer))
		if err == nil && len(body) > len(answer) {
			t.Errorf("a body of %d bytes of %d", len(body), len(answer))
		}
		quoted := quoteKeys(answer)
		if len(quoted) > 2*len(answer) {
			t.Errorf("%d bytes of %d", len(quoted), len(answer))
		}
		if json.Valid(answer) && !bytes.Equal(quoted, answer) {
			t.Errorf("%s was right, and is %s", answer, quoted)
		}
		p := &Probe{Recorder: &Recorder{}, Target: probing(rocketmqKind(), "", nil), now: time.Now}
		_ = p.tellNameServer(answer)
		b := rocketmqBroker{p, map[string]string{}}
		var said struct{ Table map[string]string }
		if json.Unmarshal(table, &said) == nil {
			b.values = said.Table
		}
		b.tellWritable("primary", b.tellDisks())
		b.tellQueues()
		var r rocketmqReplication
		if json.Unmarshal(quoteKeys(table), &r) == nil {
			b.tellReplicas(r)
			b.tellPrimary(r)
		}
		for _, s := range p.finish().Saturation {
			if s.Value < 0 || s.Value > 1 {
				t.Errorf("%v", s)
			}
		}
	})
}
