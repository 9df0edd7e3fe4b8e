// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"testing"

	"stability-exporter/internal/state"
)

// Answers of a replica set of three, its primary is the first.
const (
	mongoSecondaryHello = `{"setName":"rs0","hosts":["a:27017","b:27017","c:27017"],"isWritablePrimary":false,"secondary":true,"primary":"a:27017","me":"b:27017",
		"maxWireVersion":21,"readOnly":false,"saslSupportedMechs":["SCRAM-SHA-256","SCRAM-SHA-1"],"ok":1.0}`
	mongoStatusText = `{"set":"rs0","myState":2,"majorityVoteCount":2,"members":[
		{"_id":0,"name":"a:27017","health":1.0,"state":1,"stateStr":"PRIMARY","optime":{"ts":{"$ts":1700000100},"t":4},"optimeDate":{"$date":1700000100000}},
		{"_id":1,"name":"b:27017","health":1.0,"state":2,"stateStr":"SECONDARY","optimeDate":{"$date":1700000097000},"syncSourceHost":"a:27017","infoMessage":"","self":true},
		{"_id":2,"name":"c:27017","health":1.0,"state":2,"stateStr":"SECONDARY","optimeDate":{"$date":1700000099000},"syncSourceHost":"a:27017"}],"ok":1}`
	mongoServerStatus = `{"connections":{"current":11,"available":89,"totalCreated":300},"oplog":{"latestOptime":{"$ts":1700000097},"earliestOptime":{"$ts":1699990097}},"ok":1}`
)

// mongoAnswers are those of a secondary, with some replaced; an empty one is not answered.
func mongoAnswers(change map[string]string) map[string]string {
	all := map[string]string{"hello": mongoSecondaryHello, "replSetGetStatus": mongoStatusText, "serverStatus": mongoServerStatus}
	maps.Copy(all, change)
	for name, text := range all {
		if text == "" {
			delete(all, name)
		}
	}
	return all
}

type mongoCase struct {
	name     string
	answers  map[string]string
	change   func(*Target)
	role     string
	writable state.Tristate
	link     state.Tristate
	want     []Reason
	without  []string
}

func mongoCases() []mongoCase {
	replicaOnly := []string{"replication_link_up", "replication_lag_seconds", "fact{shards}"}
	lonely := []string{"replication_link_up", "replication_lag_seconds", "members{healthy}", "members_expected", "alarm{oplog_window}", "fact{oplog_window_seconds}"}
	primary := replaced(mongoSecondaryHello, `"isWritablePrimary":false,"secondary":true`, `"isWritablePrimary":true,"secondary":false`)
	isPrimary := replaced(mongoStatusText, `,"self":true`, "", `"health":1.0,"state":1,`, `"health":1.0,"self":true,"state":1,`)
	nobody := replaced(mongoSecondaryHello, `"primary":"a:27017",`, "")
	lost := func(states ...string) string { return replaced(mongoStatusText, states...) }
	aDown := []string{`"health":1.0,"state":1,"stateStr":"PRIMARY"`, `"health":0.0,"state":8,"stateStr":"(not reachable/healthy)"`}
	cDown := []string{`"name":"c:27017","health":1.0,"state":2,"stateStr":"SECONDARY"`, `"name":"c:27017","health":0.0,"state":8,"stateStr":"(not reachable/healthy)"`}
	arbiter := replaced(mongoSecondaryHello, `"secondary":true`, `"secondary":false,"arbiterOnly":true`)
	neither := replaced(mongoSecondaryHello, `"secondary":true`, `"secondary":false`)
	inState := func(number int, name string) string {
		return replaced(mongoStatusText, `"name":"b:27017","health":1.0,"state":2,"stateStr":"SECONDARY"`, fmt.Sprintf(`"name":"b:27017","health":1.0,"state":%d,"stateStr":"%s"`, number, name))
	}
	unauthorized := `{"ok":0,"code":13,"codeName":"Unauthorized","errmsg":"not authorized on admin"}`
	router := map[string]string{"hello": `{"isWritablePrimary":true,"msg":"isdbgrid","maxWireVersion":21,"ok":1}`, "listShards": `{"shards":[{"_id":"a"},{"_id":"b"}],"ok":1}`}
	routed := []string{"replication_link_up", "replication_lag_seconds", "members{healthy}", "members_expected", "alarm{oplog_window}", "fact{oplog_window_seconds}"}
	alone := map[string]string{"hello": `{"isWritablePrimary":true,"maxWireVersion":21,"readOnly":false,"ok":1}`, "replSetGetStatus": ""}
	return []mongoCase{
		{name: "secondary", role: "replica", writable: state.False, link: state.True, without: replicaOnly[2:]},
		{name: "primary", answers: map[string]string{"hello": primary, "replSetGetStatus": isPrimary}, role: "primary", writable: state.True, without: replicaOnly},
		{name: "primary that takes no writes yet", answers: map[string]string{"hello": neither, "replSetGetStatus": isPrimary}, role: "primary", writable: state.False,
			want: []Reason{NotWritable}, without: replicaOnly},
		{name: "secondary of an old version", answers: map[string]string{"hello": "", "isMaster": replaced(mongoSecondaryHello, "isWritablePrimary", "ismaster"),
			"replSetGetStatus": replaced(mongoStatusText, "syncSourceHost", "syncingTo", `"majorityVoteCount":2,`, "")}, role: "replica", writable: state.False, link: state.True, without: replicaOnly[2:]},
		{name: "two of three are down: who is left still answers", answers: map[string]string{"hello": nobody, "replSetGetStatus": lost(slices.Concat(aDown, cDown)...)},
			role: "replica", writable: state.False, link: state.False, want: []Reason{NoLeader, NoQuorum, MembersMissing}, without: replicaOnly[2:]},
		{name: "two of three are down, and nothing may be asked", answers: map[string]string{"hello": nobody, "replSetGetStatus": unauthorized, "serverStatus": unauthorized},
			role: "replica", writable: state.False, want: []Reason{NoLeader}, without: replicaOnly[2:]},
		{name: "one of three is down", answers: map[string]string{"replSetGetStatus": lost(cDown...)}, role: "replica", writable: state.False, link: state.True, want: []Reason{MembersMissing}, without: replicaOnly[2:]},
		{name: "the primary is gone this very moment: hello still names it", answers: map[string]string{"replSetGetStatus": lost(aDown...)}, role: "replica", writable: state.False, link: state.False,
			want: []Reason{NoLeader, MembersMissing}, without: replicaOnly[2:]},
		{name: "it replicates from nobody and is behind", answers: map[string]string{"replSetGetStatus": replaced(mongoStatusText, `1700000097000},"syncSourceHost":"a:27017"`, `1699999000000},"syncSourceHost":""`)},
			role: "replica", writable: state.False, link: state.False, want: []Reason{ReplicationBroken}, without: replicaOnly[2:]},
		{name: "it has caught up and replicates from nobody", answers: map[string]string{"replSetGetStatus": replaced(mongoStatusText, `1700000097000},"syncSourceHost":"a:27017"`, `1700000100000},"syncSourceHost":""`)},
			role: "replica", writable: state.False, link: state.False, without: replicaOnly[2:]},
		{name: "behind by more than the limit", change: func(t *Target) { t.Limits.Lag = 2e9 }, role: "replica", writable: state.False, link: state.True, want: []Reason{ReplicationLagging}, without: replicaOnly[2:]},
		{name: "behind as it is meant to be", answers: map[string]string{"hello": replaced(mongoSecondaryHello, `"me"`, `"secondaryDelaySecs":3,"me"`)},
			change: func(t *Target) { t.Limits.Lag = 2e9 }, role: "replica", writable: state.False, link: state.True, without: replicaOnly[2:]},
		{name: "arbiter", answers: map[string]string{"hello": arbiter, "replSetGetStatus": unauthorized, "serverStatus": unauthorized}, change: withLogin("u", "p"), role: "arbiter",
			without: append([]string{"alarm{oplog_window}", "fact{oplog_window_seconds}"}, replicaOnly...)},
		{name: "it copies its data", answers: map[string]string{"hello": neither, "replSetGetStatus": inState(5, "STARTUP2")}, role: "unknown", writable: state.False, want: []Reason{Loading, MembersMissing}, without: replicaOnly[2:]},
		{name: "it is too stale", answers: map[string]string{"hello": neither, "replSetGetStatus": inState(3, "RECOVERING")}, role: "unknown", writable: state.False, want: []Reason{Degraded, MembersMissing}, without: replicaOnly[2:]},
		{name: "it does not serve, and nothing may be asked", answers: map[string]string{"hello": neither, "replSetGetStatus": unauthorized}, role: "unknown", writable: state.False, want: []Reason{Unavailable}, without: replicaOnly},
		{name: "not in a set yet", answers: map[string]string{"hello": `{"isWritablePrimary":false,"secondary":false,"isreplicaset":true,"info":"Does not have a valid replica set config","maxWireVersion":21,"ok":1}`,
			"replSetGetStatus": `{"ok":0,"code":94,"codeName":"NotYetInitialized"}`}, role: "unknown", writable: state.False, want: []Reason{Loading},
			without: append([]string{"alarm{oplog_window}", "fact{oplog_window_seconds}"}, replicaOnly...)},
		{name: "alone", answers: alone, role: "standalone", writable: state.True, without: append([]string{"fact{shards}"}, lonely...)},
		{name: "alone and locked", answers: map[string]string{"hello": `{"isWritablePrimary":true,"maxWireVersion":21,"readOnly":true,"ok":1}`}, role: "standalone", writable: state.False,
			want: []Reason{NotWritable}, without: append([]string{"fact{shards}"}, lonely...)},
		{name: "router", answers: router, without: routed},
		{name: "router without config servers", answers: map[string]string{"hello": router["hello"], "listShards": `{"ok":0,"code":133,"codeName":"FailedToSatisfyReadPreference","errmsg":"Could not find host"}`},
			want: []Reason{Unavailable}, without: routed},
		{name: "should be the primary", change: func(t *Target) { t.Limits.Role = "primary" }, role: "replica", writable: state.False, link: state.True, want: []Reason{RoleConflict}, without: replicaOnly[2:]},
		{name: "more are expected", change: func(t *Target) { t.Limits.ExpectedMembers = 5 }, role: "replica", writable: state.False, link: state.True, want: []Reason{MembersMissing}, without: replicaOnly[2:]},
		{name: "the oplog is short", change: withOption("min_oplog_window", "24h"), role: "replica", writable: state.False, link: state.True, want: []Reason{Alarm}, without: replicaOnly[2:]},
	}
}

func TestMongoDB(t *testing.T) {
	for _, c := range mongoCases() {
		t.Run(c.name, func(t *testing.T) {
			server := &fakeMongo{answers: mongoAnswers(c.answers)}
			target := targetOf(t, "mongodb", server.listen(t))
			if c.change != nil {
				c.change(target)
			}
			v := Run(t.Context(), target, nil)
			wantUp(t, v, c.want...)
			if v.Role != c.role || v.Writable != c.writable || v.LinkUp != c.link {
				t.Errorf("role %q, writable %d, link %d, want %q, %d, %d", v.Role, v.Writable, v.LinkUp, c.role, c.writable, c.link)
			}
			wantTold(t, mongodbKind(), v, c.without...)
		})
	}
}

func TestMongoDBFacts(t *testing.T) {
	server := &fakeMongo{answers: mongoAnswers(nil), checksum: true}
	v := Run(t.Context(), targetOf(t, "mongodb", server.listen(t), withOption("min_oplog_window", "1h")), nil)
	wantUp(t, v)
	if v.LagSeconds.Value != 3 || v.MembersExpected.Value != 3 || measured(v.Members, "healthy") != 3 {
		t.Errorf("lag %v, members %v of %v", v.LagSeconds, v.Members, v.MembersExpected)
	}
	wantValue(t, v.Saturation, "connections", 0.1)
	wantValue(t, v.Facts, "oplog_window_seconds", 10000)
	wantValue(t, v.Alarms, "oplog_window", 0)
	if want := []string{"hello admin", "replSetGetStatus admin", "serverStatus admin"}; !slices.Equal(server.asked, want) {
		t.Errorf("asked %v, want %v", server.asked, want)
	}
}

// Whoever has no account with clusterMonitor is told so; whoever has none at all is told what anybody may know.
func TestMongoDBWithoutPermission(t *testing.T) {
	server := &fakeMongo{answers: mongoAnswers(nil), username: "somebody", password: "p"}
	v := Run(t.Context(), targetOf(t, "mongodb", server.listen(t)), nil)
	wantUp(t, v)
	for _, fact := range []string{"members{healthy}", "members_expected", "replication_lag_seconds", "replication_link_up", "saturation_ratio{connections}", "fact{oplog_window_seconds}"} {
		wantUnknown(t, v, fact, NoPermission)
	}
	server = &fakeMongo{answers: mongoAnswers(map[string]string{"replSetGetStatus": `{"ok":0,"code":13}`}), username: "u", password: "right"}
	wantUp(t, Run(t.Context(), targetOf(t, "mongodb", server.listen(t), withLogin("u", "right")), nil), Permission)
}

func TestMongoDBLogins(t *testing.T) {
	stored := strings.Replace(mongoSecondaryHello, `["SCRAM-SHA-256","SCRAM-SHA-1"]`, `["SCRAM-SHA-1"]`, 1)
	plain := strings.Replace(mongoSecondaryHello, `["SCRAM-SHA-256","SCRAM-SHA-1"]`, `["PLAIN"]`, 1)
	instead := func(at int, text string, done bool) func(int, string) (string, bool) {
		return func(step int, payload string) (string, bool) {
			if step == at {
				return text, done
			}
			return payload, step > 0
		}
	}
	extended := func(rest string) func(int, string) (string, bool) { // what the client sent first goes on
		return func(step int, payload string) (string, bool) {
			nonce, _, _ := strings.Cut(payload, ",")
			return nonce + rest, false
		}
	}
	for _, c := range []struct {
		name     string
		server   *fakeMongo
		hello    string
		password string
		want     Reason
	}{
		{"SHA-256", &fakeMongo{}, mongoSecondaryHello, "right-password", ""},
		{"SHA-256, one message more", &fakeMongo{old: true}, mongoSecondaryHello, "right-password", ""},
		{"SHA-1", &fakeMongo{sha1: true}, stored, "right-password", ""},
		{"SHA-1 of a server that offers nothing", &fakeMongo{sha1: true}, strings.Replace(mongoSecondaryHello, "saslSupportedMechs", "other", 1), "right-password", ""},
		{"wrong password", &fakeMongo{}, mongoSecondaryHello, "wrong-password", Auth},
		{"wrong password, SHA-1", &fakeMongo{sha1: true}, stored, "wrong-password", Auth},
		{"the password in clear", &fakeMongo{}, plain, "right-password", Auth},
		{"it lets anybody in", &fakeMongo{saying: instead(0, "", true)}, mongoSecondaryHello, "right-password", Auth},
		{"it lets us in and does not prove itself", &fakeMongo{saying: instead(1, "", true)}, mongoSecondaryHello, "right-password", Auth},
		{"it proves something else", &fakeMongo{saying: instead(1, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", true)}, mongoSecondaryHello, "right-password", Auth},
		{"it says that it is an error", &fakeMongo{saying: instead(1, "e=other-error", true)}, mongoSecondaryHello, "right-password", Auth},
		{"a nonce of its own", &fakeMongo{saying: instead(0, "r=abcdef,s=c2FsdA==,i=4096", false)}, mongoSecondaryHello, "right-password", Auth},
		{"hashing for ever", &fakeMongo{saying: extended(",s=c2FsdA==,i=2000000000")}, mongoSecondaryHello, "right-password", Protocol},
		{"hashing beyond numbers", &fakeMongo{saying: extended(",s=c2FsdA==,i=99999999999999999999")}, mongoSecondaryHello, "right-password", Protocol},
		{"hardly any hashing", &fakeMongo{saying: extended(",s=c2FsdA==,i=1")}, mongoSecondaryHello, "right-password", Auth},
		{"it never ends", &fakeMongo{old: true, saying: func(_ int, payload string) (string, bool) { return payload, false }}, mongoSecondaryHello, "right-password", Protocol},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.server.answers, c.server.username, c.server.password = mongoAnswers(map[string]string{"hello": c.hello}), "u", "right-password"
			v := Run(t.Context(), targetOf(t, "mongodb", c.server.listen(t), withLogin("u", c.password)), nil)
			if c.want == "" {
				wantUp(t, v)
			} else {
				wantProblem(t, v, c.want)
			}
			if strings.Contains(fmt.Sprint(v), c.password) {
				t.Errorf("the password is shown: %v", v)
			}
		})
	}
}

// The account's database is where one logs in; everything else is asked of admin.
func TestMongoDBAuthDatabase(t *testing.T) {
	server := &fakeMongo{answers: mongoAnswers(nil), username: "u", password: "p"}
	v := Run(t.Context(), targetOf(t, "mongodb", server.listen(t), withLogin("u", "p"), withOption("auth_database", "ops")), nil)
	wantUp(t, v)
	if want := []string{"hello admin", "saslStart ops", "saslContinue ops", "replSetGetStatus admin", "serverStatus admin"}; !slices.Equal(server.asked, want) {
		t.Errorf("asked %v, want %v", server.asked, want)
	}
}

// The proofs are those of the examples in RFC 7677 and in the specification of MongoDB's drivers.
func TestMongoDBProofs(t *testing.T) {
	for mechanism, c := range map[string]struct{ nonce, challenge, proof, verified string }{
		scramSHA256: {"rOprNGfwEbeRWgbNEkqO", "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
			"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="},
		scramSHA1: {"fyko+d2lbbFgONRv9qkxdawL", "r=fyko+d2lbbFgONRv9qkxdawLHo+Vgk7qvUOKUwuWLIWg4l/9SraGMHEE,s=rQ9ZY3MntBeuP3E1TDVC4w==,i=10000",
			"p=MC2T8BvbmWRckDw8oWl5IVghwCY=", "v=UMWeI25JD1yNYZRMpZ4VHvhZ9e0="},
	} {
		client, err := scramClient(mechanism, "user", "pencil")
		if err != nil {
			t.Fatal(err)
		}
		conversation := client.WithNonceGenerator(func() string { return c.nonce }).NewConversation()
		if _, err := conversation.Step(""); err != nil {
			t.Fatal(err)
		}
		proof, err := conversation.Step(c.challenge)
		if err != nil || !strings.HasSuffix(proof, c.proof) {
			t.Errorf("%s: proof %s, %v", mechanism, proof, err)
		}
		if _, err := conversation.Step(c.verified); err != nil || !conversation.Valid() {
			t.Errorf("%s: the server is not believed: %v", mechanism, err)
		}
	}
}

func TestMongoDBRefusesOtherAnswers(t *testing.T) {
	document := mongoDocument(`{"isWritablePrimary":true,"maxWireVersion":21,"ok":1}`)
	answer := func(change func([]byte) []byte) string {
		return listen(t, func(conn net.Conn) {
			head := make([]byte, mongoHeader)
			_, _ = conn.Read(head)
			b := mongoRequest(7, document)
			copy(b[8:12], head[4:8])
			_, _ = conn.Write(change(b))
			_, _ = conn.Read(make([]byte, 1<<10))
			_, _ = conn.Read(make([]byte, 1<<10))
		})
	}
	for name, change := range map[string]func([]byte) []byte{
		"another request's": func(b []byte) []byte { b[8]++; return b },
		"the old protocol":  func(b []byte) []byte { b[12] = 1; return b },
		"more to come":      func(b []byte) []byte { b[16] = mongoMoreToCome; return b },
		"a wrong checksum":  func(b []byte) []byte { b[16] = mongoChecksum; return b },
		"a sequence":        func(b []byte) []byte { b[20] = 1; return b },
		"a gigabyte":        func(b []byte) []byte { b[3] = 0x40; return b },
		"not a document":    func(b []byte) []byte { b[21]++; return b },
		"nothing of MongoDB": func(b []byte) []byte {
			return append(mongoRequest(7, mongoDocument(`{"ok":1}`))[:8], append(b[8:12], mongoRequest(7, mongoDocument(`{"ok":1}`))[12:]...)...)
		},
		"less than a message": func(b []byte) []byte { b[0] = 20; return b },
	} {
		t.Run(name, func(t *testing.T) {
			wantProblem(t, Run(t.Context(), targetOf(t, "mongodb", answer(change)), nil), Protocol)
		})
	}
	shutting := &fakeMongo{answers: map[string]string{"hello": `{"ok":0,"code":91,"codeName":"ShutdownInProgress","errmsg":"The server is in quiesce mode and will shut down"}`}}
	wantProblem(t, Run(t.Context(), targetOf(t, "mongodb", shutting.listen(t)), nil), Unavailable)
}

func TestReplicaSet(t *testing.T) {
	member := func(role string) *state.MiddlewareView {
		return &state.MiddlewareView{Role: role, Up: role != "", MembersExpected: state.Measure{Known: role != "" && role != "arbiter", Value: 3}}
	}
	router, down := &state.MiddlewareView{Up: true}, &state.MiddlewareView{}
	for name, c := range map[string]struct {
		want    string
		members []*state.MiddlewareView
	}{
		"all serve":        {"", []*state.MiddlewareView{member("primary"), member("replica"), member("arbiter")}},
		"one is down":      {"", []*state.MiddlewareView{member("primary"), member("replica"), down}},
		"nobody leads":     {"no_leader", []*state.MiddlewareView{member("replica"), member("replica"), member("arbiter")}},
		"two primaries":    {"role_conflict", []*state.MiddlewareView{member("primary"), member("primary"), member("replica")}},
		"one starts":       {"", []*state.MiddlewareView{member("primary"), member("unknown"), member("replica")}},
		"the others may":   {"", []*state.MiddlewareView{down, member("replica"), down}},
		"routers":          {"", []*state.MiddlewareView{router, router}},
		"a router is down": {"", []*state.MiddlewareView{router, down}},
	} {
		group := &Recorder{}
		replicaSet(c.members, group)
		v := group.finish()
		if problems(v) != c.want {
			t.Errorf("%s: %v, want %q", name, v.Problems, c.want)
		}
		if name == "one starts" && (measured(v.Members, "healthy") != 2 || v.MembersExpected.Value != 3) {
			t.Errorf("%s: members %v of %v", name, v.Members, v.MembersExpected)
		}
	}
}

func TestMongoDBWithstands(t *testing.T) { withstands(t, mongodbKind(), nil) }
