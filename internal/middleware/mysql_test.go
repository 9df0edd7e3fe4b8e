// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"stability-exporter/internal/state"
)

// fakeMySQL is a server of the protocol: it lets in who proves that they know the password, and answers statements by what they begin with.
type fakeMySQL struct {
	version, plugin, switchTo string
	password                  string
	first                     []byte // said instead of a greeting
	answers                   map[string]sqlAnswer
	tls                       bool          // it offers TLS and goes away when it is to begin
	left                      chan struct{} // closed when the client takes leave
}

// sqlAnswer is a table, or an error when it has a code. A value "NULL" is NULL.
type sqlAnswer struct {
	code    int
	columns []string
	rows    [][]string
}

const fakeNonce = "abcdefghijklmnopqrst"

func (f fakeMySQL) listen(t *testing.T) string {
	t.Helper()
	return listen(t, func(conn net.Conn) {
		c := &mysqlConn{Conn: conn}
		if f.first != nil {
			_ = c.writePacket(f.first)
			return
		}
		if !f.letIn(c) {
			return
		}
		for {
			packet, err := c.readPacket()
			if err != nil || len(packet) == 0 {
				return
			}
			if packet[0] == sqlQuit && f.left != nil {
				close(f.left)
				return
			}
			f.answer(c, string(packet[1:]))
		}
	})
}

func (f fakeMySQL) letIn(c *mysqlConn) bool {
	plugin := f.plugin
	if plugin == "" {
		plugin = nativePassword
	}
	capabilities := sqlLongFlag | sqlProtocol41 | sqlTransactions | sqlSecure | sqlPluginAuth | sqlConnectAttrs
	if f.tls {
		capabilities |= sqlSSL
	}
	b := append(append([]byte{10}, f.version...), 0)
	b = binary.LittleEndian.AppendUint32(b, 7)
	b = append(append(b, fakeNonce[:8]...), 0)
	b = binary.LittleEndian.AppendUint16(b, uint16(capabilities&0xffff))
	b = append(b, sqlUTF8, 2, 0)
	b = binary.LittleEndian.AppendUint16(b, uint16(capabilities>>16))
	b = append(append(b, 21), make([]byte, 10)...)
	b = append(append(append(append(b, fakeNonce[8:]...), 0), plugin...), 0)
	if c.writePacket(b) != nil {
		return false
	}
	answer, err := c.readPacket()
	if err != nil || len(answer) < 33 { // a request for TLS is shorter
		return false
	}
	_, rest, _ := bytes.Cut(answer[32:], []byte{0})
	proof := rest[1 : 1+int(rest[0])]
	if f.switchTo != "" {
		plugin = f.switchTo
		_ = c.writePacket(append(append(append([]byte{0xfe}, plugin...), 0), fakeNonce+"\x00"...))
		if proof, err = c.readPacket(); err != nil {
			return false
		}
	}
	want := nativeProof([]byte(fakeNonce), f.password)
	if plugin == cachingPassword {
		want = cachingProof([]byte(fakeNonce), f.password)
	}
	if !bytes.Equal(proof, want) {
		_ = c.writePacket(sqlErrorPacket(1045, "Access denied for user"))
		return false
	}
	if plugin == cachingPassword {
		_ = c.writePacket([]byte{1, 3})
	}
	return c.writePacket([]byte{0, 0, 0, 2, 0, 0, 0}) == nil
}

func sqlErrorPacket(code int, text string) []byte {
	return append([]byte{0xff, byte(code), byte(code >> 8)}, "#HY000"+text...)
}

func (f fakeMySQL) answer(c *mysqlConn, statement string) {
	answer, known := sqlAnswer{code: 1064}, false
	for begin, a := range f.answers {
		if strings.HasPrefix(statement, begin) {
			answer, known = a, true
		}
	}
	if !known && statement == "SELECT 1" {
		answer = sqlAnswer{columns: []string{"1"}, rows: [][]string{{"1"}}}
	}
	if answer.code != 0 {
		_ = c.writePacket(sqlErrorPacket(answer.code, "no"))
		return
	}
	end := []byte{0xfe, 0, 0, 2, 0}
	text := func(b []byte, s string) []byte { return append(append(b, byte(len(s))), s...) }
	_ = c.writePacket([]byte{byte(len(answer.columns))})
	for _, name := range answer.columns {
		var b []byte
		for _, s := range []string{"def", "", "", "", name, name} {
			b = text(b, s)
		}
		_ = c.writePacket(append(b, make([]byte, 13)...))
	}
	_ = c.writePacket(end)
	for _, row := range answer.rows {
		var b []byte
		for _, s := range row {
			if s == "NULL" {
				b = append(b, 0xfb)
			} else {
				b = text(b, s)
			}
		}
		_ = c.writePacket(b)
	}
	_ = c.writePacket(end)
}

// variables makes an answer to SHOW VARIABLES or SHOW STATUS of "name=value".
func variables(pairs ...string) sqlAnswer {
	a := sqlAnswer{columns: []string{"Variable_name", "Value"}}
	for _, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		a.rows = append(a.rows, []string{name, value})
	}
	return a
}

func slaveStatus(name, io, sql, behind, said string) sqlAnswer {
	return sqlAnswer{columns: []string{"Connection_name", "Slave_IO_Running", "Slave_SQL_Running", "Seconds_Behind_Master", "Last_SQL_Error"},
		rows: [][]string{{name, io, sql, behind, said}}}
}

func replicaStatus(io, sql, behind string) sqlAnswer {
	return sqlAnswer{columns: []string{"Channel_Name", "Replica_IO_Running", "Replica_SQL_Running", "Seconds_Behind_Source", "SQL_Delay"},
		rows: [][]string{{"", io, sql, behind, "0"}}}
}

const maria, mysql8 = "5.5.5-10.11.6-MariaDB", "8.4.0"

// mysqlCase is a server and what is to be found out about it.
type mysqlCase struct {
	name, version   string
	variables       sqlAnswer
	status          []string
	replica, others sqlAnswer // to SHOW REPLICA STATUS or SHOW ALL SLAVES STATUS; to anything else
	change          func(*Target)
	role            string
	link            state.Tristate
	lag             float64
	want            []Reason
}

func groupMembers(states ...string) sqlAnswer {
	a := sqlAnswer{columns: []string{"MEMBER_ID", "MEMBER_STATE", "MEMBER_ROLE"}}
	for i, s := range states {
		role := "SECONDARY"
		if i == 0 {
			role = "PRIMARY"
		}
		a.rows = append(a.rows, []string{fmt.Sprint(i), s, role})
	}
	return a
}

func mysqlCases() []mysqlCase {
	empty := sqlAnswer{columns: []string{"Slave_IO_State"}}
	two := slaveStatus("a", "Yes", "Yes", "2", "")
	two.rows = append(two.rows, []string{"b", "Connecting", "Yes", "NULL", ""})
	synced := []string{"Threads_connected=2", "wsrep_cluster_status=Primary", "wsrep_ready=ON", "wsrep_local_state_comment=Synced", "wsrep_cluster_size=3"}
	split := []string{"Threads_connected=2", "wsrep_cluster_status=non-Primary", "wsrep_ready=OFF", "wsrep_local_state_comment=Initialized", "wsrep_cluster_size=1"}
	writable, locked := variables("read_only=OFF", "max_connections=11"), variables("read_only=ON", "max_connections=11")
	grouped := variables("read_only=OFF", "max_connections=11", "group_replication_group_name=g", "server_uuid=0")
	return []mysqlCase{
		{name: "alone", version: mysql8, variables: writable, replica: empty, role: "standalone"},
		{name: "locked", version: mysql8, variables: locked, replica: empty, role: "standalone", want: []Reason{NotWritable}},
		{name: "primary locked", version: maria, variables: locked, replica: empty, change: withGroup, role: "primary", want: []Reason{NotWritable}},
		{name: "should be a replica", version: maria, variables: writable, replica: empty, change: func(t *Target) { t.Limits.Role = "replica" }, role: "standalone", want: []Reason{RoleConflict}},
		{name: "replica", version: maria, variables: locked, replica: slaveStatus("", "Yes", "Yes", "3", ""), role: "replica", link: state.True, lag: 3},
		{name: "replica in the new words", version: mysql8, variables: locked, replica: replicaStatus("Yes", "Yes", "4"), role: "replica", link: state.True, lag: 4},
		{name: "replica that takes writes", version: maria, variables: writable, replica: slaveStatus("", "Yes", "Yes", "0", ""), role: "replica", link: state.True, want: []Reason{RoleConflict}},
		{name: "replica that may take writes", version: maria, variables: writable, replica: slaveStatus("", "Yes", "Yes", "0", ""), change: withOption("writable_replica", "true"), role: "replica", link: state.True},
		{name: "connecting: its lag is NULL", version: maria, variables: locked, replica: slaveStatus("", "Connecting", "Yes", "NULL", ""), role: "replica", link: state.False, lag: -1, want: []Reason{ReplicationBroken}},
		{name: "applying stopped", version: mysql8, variables: locked, replica: replicaStatus("Yes", "No", "NULL"), role: "replica", link: state.False, lag: -1, want: []Reason{ReplicationBroken}},
		{name: "one of two sources is gone", version: maria, variables: locked, replica: two, role: "replica", link: state.False, lag: -1, want: []Reason{ReplicationBroken}},
		{name: "replication may not be asked", version: maria, variables: writable, replica: sqlAnswer{code: 1227}, role: "unknown", want: []Reason{Permission}},
		{name: "reader of shared storage", version: mysql8, variables: variables("read_only=ON", "innodb_read_only=ON", "max_connections=11"), replica: empty, role: "replica"},
		{name: "galera", version: maria, variables: variables("read_only=OFF", "wsrep_on=ON", "max_connections=11"), status: synced, replica: empty, role: "primary"},
		{name: "galera with one node less", version: maria, variables: variables("read_only=OFF", "wsrep_on=ON", "max_connections=11"), status: synced, replica: empty,
			change: func(t *Target) { t.Limits.ExpectedMembers = 4 }, role: "primary", want: []Reason{MembersMissing}},
		{name: "galera cut off", version: maria, variables: variables("read_only=OFF", "wsrep_on=ON", "max_connections=11"), status: split, replica: empty, others: sqlAnswer{code: 1047},
			role: "primary", want: []Reason{NoQuorum, NotWritable, Degraded}},
		{name: "group", version: mysql8, variables: grouped, replica: empty, others: groupMembers("ONLINE", "ONLINE", "ONLINE"), role: "primary"},
		{name: "group without majority: the member itself is still online", version: mysql8, variables: grouped, replica: empty, others: groupMembers("ONLINE", "UNREACHABLE", "UNREACHABLE"),
			role: "primary", want: []Reason{NoQuorum, MembersMissing}},
		{name: "group that may not be asked", version: mysql8, variables: grouped, replica: empty, others: sqlAnswer{code: 1142}, role: "standalone", want: []Reason{Permission}},
	}
}

func TestMySQLVerdicts(t *testing.T) {
	for _, c := range mysqlCases() {
		t.Run(c.name, func(t *testing.T) {
			if c.status == nil {
				c.status = []string{"Threads_connected=2", "Connection_errors_max_connections=5"}
			}
			answers := map[string]sqlAnswer{"SHOW GLOBAL VARIABLES": c.variables, "SHOW GLOBAL STATUS": variables(c.status...)}
			if c.version == maria {
				answers["SHOW ALL SLAVES STATUS"] = c.replica
			} else {
				answers["SHOW REPLICA STATUS"] = c.replica
			}
			if c.others.code == 1047 {
				answers["SELECT 1"] = c.others
			} else if c.others.code != 0 || c.others.columns != nil {
				answers["SELECT MEMBER_ID"] = c.others
			}
			server := fakeMySQL{version: c.version, password: "p", answers: answers}
			target := targetOf(t, "mysql", server.listen(t), withLogin("u", "p"))
			if c.change != nil {
				c.change(target)
			}
			checkMySQL(t, Run(t.Context(), target, nil), c.role, c.link, c.lag, c.want)
		})
	}
}

func checkMySQL(t *testing.T, v *state.MiddlewareView, role string, link state.Tristate, lag float64, want []Reason) {
	t.Helper()
	wantUp(t, v, want...)
	if v.Role != role || v.LinkUp != link {
		t.Errorf("role %q, link %d, want %q, %d", v.Role, v.LinkUp, role, link)
	}
	switch {
	case link == state.Absent:
	case lag < 0 && (v.LagSeconds.Known || unknownWhy(v, "replication_lag_seconds") == ""), lag >= 0 && v.LagSeconds != (state.Measure{Known: true, Value: lag}):
		t.Errorf("lag %v, want %v", v.LagSeconds, lag)
	}
	wantValue(t, v.Saturation, "connections", 1.0/11)
}

func TestMySQLLogins(t *testing.T) {
	answers := map[string]sqlAnswer{"SHOW GLOBAL VARIABLES": variables("read_only=OFF"), "SHOW REPLICA STATUS": {columns: []string{"x"}}}
	for _, c := range []struct {
		name     string
		server   fakeMySQL
		password string
		want     Reason
	}{
		{"native", fakeMySQL{}, "right-password", ""},
		{"caching", fakeMySQL{plugin: cachingPassword}, "right-password", ""},
		{"from caching to native", fakeMySQL{plugin: cachingPassword, switchTo: nativePassword}, "right-password", ""},
		{"from an unknown one to caching", fakeMySQL{plugin: "auth_gssapi_client", switchTo: cachingPassword}, "right-password", ""},
		{"wrong password", fakeMySQL{}, "wrong-password", Auth},
		{"the password in clear", fakeMySQL{switchTo: clearPassword}, "right-password", Auth},
		{"too many connections, before the greeting", fakeMySQL{first: sqlErrorPacket(1040, "Too many connections")}, "p", Saturated},
		{"the same of an old server", fakeMySQL{first: append([]byte{0xff, 0x10, 0x04}, "Too many connections"...)}, "p", Saturated},
		{"this host is blocked", fakeMySQL{first: sqlErrorPacket(1129, "Host is blocked")}, "p", Unavailable},
		{"this host may not", fakeMySQL{first: sqlErrorPacket(1130, "Host is not allowed")}, "p", Auth},
		{"half a greeting", fakeMySQL{first: []byte("\x0a8.0\x00\x01\x02")}, "p", Protocol},
		{"another protocol", fakeMySQL{first: []byte("\x09old")}, "p", Protocol},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.server.version, c.server.password, c.server.answers = "8.4.0", "right-password", answers
			v := Run(t.Context(), targetOf(t, "mysql", c.server.listen(t), withLogin("u", c.password)), nil)
			if c.want == "" {
				wantUp(t, v)
			} else {
				wantProblem(t, v, c.want)
			}
			if strings.Contains(fmt.Sprint(v), c.password) && len(c.password) > 3 {
				t.Errorf("the password is shown: %v", v)
			}
		})
	}
	tls := targetOf(t, "mysql", fakeMySQL{version: "8.4.0"}.listen(t), func(t *Target) { t.TLS.Enabled = true })
	wantProblem(t, Run(t.Context(), tls, nil), TLS)
	tls = targetOf(t, "mysql", fakeMySQL{version: "8.4.0", tls: true}.listen(t), func(t *Target) { t.TLS.Enabled = true })
	wantProblem(t, Run(t.Context(), tls, nil), TLS)
}

// The proofs are those that other implementations of the protocol make of the same password and nonce.
func TestMySQLProofs(t *testing.T) {
	if got := fmt.Sprintf("%x", nativeProof([]byte(fakeNonce), "secret")); got != "8817c50fa779daef010ee7577825b0847df9842e" {
		t.Errorf("native proof %s", got)
	}
	if got := fmt.Sprintf("%x", cachingProof([]byte(fakeNonce), "secret")); got != "c76e2898612a4cf042c77fa8c4702c4c64c0c2c557c53c4d75595aaa6abae809" {
		t.Errorf("caching proof %s", got)
	}
}

func FuzzMySQL(f *testing.F) {
	f.Add([]byte("\x0a8.0.30\x00\x01\x00\x00\x00abcdefgh\x00\xff\xf7\x2d\x02\x00\xff\xc7\x15\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00abcdefghijkl\x00native\x00"), []byte("\x01|\x03def\x00\x00\x00\x01a|\xfe\x00\x00\x02\x00|\x01x|\xfe\x00\x00\x02\x00"))
	f.Fuzz(func(t *testing.T, first, answer []byte) {
		if g, err := readGreeting(first); err == nil && len(g.nonce) != 20 {
			t.Errorf("a nonce of %d bytes", len(g.nonce))
		}
		packets := bytes.Split(answer, []byte("|"))
		rows, err := readResult(func() ([]byte, error) {
			if len(packets) == 0 {
				return nil, net.ErrClosed
			}
			packet := packets[0]
			packets = packets[1:]
			return packet, nil
		})
		if err == nil && len(rows) > len(answer) {
			t.Errorf("%d rows of %d bytes", len(rows), len(answer))
		}
	})
}

func TestMySQLTakesLeave(t *testing.T) {
	left := make(chan struct{})
	Run(t.Context(), targetOf(t, "mysql", fakeMySQL{version: "8.4.0", left: left}.listen(t)), nil)
	select {
	case <-left:
	case <-time.After(5 * time.Second):
		t.Error("the server would log that the client was lost")
	}
}
