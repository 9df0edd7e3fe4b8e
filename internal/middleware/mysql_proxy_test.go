// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"bytes"
	"io"
	"net"
	"testing"
)

// datasources is the answer of DRDS and PolarDB-X to SHOW DATASOURCES, with connections in use of so many.
func datasources(pairs ...string) sqlAnswer {
	a := sqlAnswer{columns: []string{"ID", "SCHEMA", "NAME", "GROUP", "URL", "USER", "TYPE", "MAX", "ACTIVE_COUNT", "POOLING_COUNT", "READ_WEIGHT", "WRITE_WEIGHT"}}
	for i := 0; i < len(pairs); i += 2 {
		a.rows = append(a.rows, []string{"0", "s", "n", "g", "jdbc:mysql://x", "u", "mysql", pairs[i+1], pairs[i], "3", "10", "10"})
	}
	return a
}

// storage is the answer of PolarDB-X to SHOW STORAGE, of kinds of nodes and whether their leaders answer.
func storage(pairs ...string) sqlAnswer {
	a := sqlAnswer{columns: []string{"STORAGE_INST_ID", "LEADER_NODE", "IS_HEALTHY", "INST_KIND", "DB_COUNT", "GROUP_COUNT", "STATUS", "DELETABLE"}}
	for i := 0; i < len(pairs); i += 2 {
		a.rows = append(a.rows, []string{"dn", "10.0.0.1:3306", pairs[i+1], pairs[i], "1", "1", "0", "false"})
	}
	return a
}

const drds, polarDBX = "5.6.29-TDDL-5.4.12", "8.0.32-PolarDB-X-5.4.20"

func TestMySQLProxies(t *testing.T) {
	for name, c := range map[string]struct {
		version              string
		change               func(*Target)
		datasources, storage sqlAnswer
		pools, fullest       float64 // -1: not told
		healthy              float64
		want                 []Reason
	}{
		"DRDS":                             {drds, withGroup, datasources("1", "10", "4", "10"), sqlAnswer{code: 4500}, 2, 0.4, -1, nil},
		"DRDS without limits":              {drds, withGroup, datasources("1", "-1"), sqlAnswer{code: 4500}, 1, -1, -1, nil},
		"PolarDB-X":                        {polarDBX, withGroup, datasources("2", "10"), storage("MASTER", "true", "MASTER", "true", "META_DB", "true"), 1, 0.2, 3, nil},
		"PolarDB-X has lost a storage":     {polarDBX, withGroup, datasources("2", "10"), storage("MASTER", "false", "MASTER", "true", "META_DB", "true"), 1, 0.2, 2, []Reason{Degraded, MembersMissing}},
		"PolarDB-X has lost a reader":      {polarDBX, withGroup, datasources("2", "10"), storage("MASTER", "true", "SLAVE", "false"), 1, 0.2, 1, []Reason{MembersMissing}},
		"more are expected":                {polarDBX, func(t *Target) { t.Limits.ExpectedMembers = 3 }, datasources("2", "10"), storage("MASTER", "true"), 1, 0.2, 1, []Reason{MembersMissing}},
		"by an option, and nothing may be": {"8.0.30", withOption("proxy", "true"), sqlAnswer{code: 1064}, sqlAnswer{code: 1227}, -1, -1, -1, nil},
		"within no database":               {drds, withGroup, sqlAnswer{code: 4618}, sqlAnswer{code: 4500}, -1, -1, -1, nil},
		"storage in other words":           {drds, withGroup, datasources("1", "10"), datasources("1", "10"), 1, 0.1, -1, nil},
	} {
		t.Run(name, func(t *testing.T) {
			server := fakeMySQL{version: c.version, answers: map[string]sqlAnswer{"SHOW DATASOURCES": c.datasources, "SHOW STORAGE": c.storage}}
			v := Run(t.Context(), targetOf(t, "mysql", server.listen(t), c.change), nil)
			wantUp(t, v, c.want...)
			wantTold(t, mysqlKind(), v)
			wantUnknown(t, v, "writable", Unsupported)
			if got, fullest := measured(v.Facts, "datasources"), measured(v.Saturation, "backend_connections"); got != c.pools || fullest != c.fullest {
				t.Errorf("%v datasources, %v full", got, fullest)
			}
			if got := measured(v.Members, "healthy"); got != c.healthy {
				t.Errorf("%v healthy", got)
			}
			if c.storage.code == 1227 {
				wantUnknown(t, v, "members{healthy}", NoPermission)
			}
		})
	}
}

// A proxy that cannot ask anybody is there and cannot serve.
func TestMySQLProxyWithoutServers(t *testing.T) {
	for name, c := range map[string]struct {
		version string
		change  func(*Target)
		code    int
		want    Reason
	}{
		"DRDS":             {drds, withGroup, 4006, Unavailable},
		"by an option":     {"8.0.30", withOption("proxy", "true"), 9001, Unavailable},
		"no proxy":         {"8.0.30", withGroup, 9001, Protocol},
		"no database":      {drds, withGroup, 4618, Mismatch},
		"no database, too": {"5.7.1-dble", withGroup, 1046, Mismatch},
		"wrong password":   {drds, withGroup, 1045, Auth},
		"too many":         {drds, withGroup, 1040, Saturated},
	} {
		t.Run(name, func(t *testing.T) {
			server := fakeMySQL{version: c.version, answers: map[string]sqlAnswer{"SELECT 1": {code: c.code}}}
			wantProblem(t, Run(t.Context(), targetOf(t, "mysql", server.listen(t), c.change), nil), c.want)
		})
	}
}

// What a cloud database refuses is unknown, with the reason; what it tells is judged.
func TestMySQLStatementsRefused(t *testing.T) {
	empty := sqlAnswer{columns: []string{"Slave_IO_State"}}
	wide := variables("read_only=OFF", "max_connections=11")
	threads := variables("Threads_connected=2", "Connection_errors_max_connections=5")
	for name, c := range map[string]struct {
		variables, status, replica sqlAnswer
		role                       string
		unknown                    map[string]Why
		want                       []Reason
	}{
		"variables are forbidden": {sqlAnswer{code: 1142}, threads, empty, "standalone", map[string]Why{"writable": NoPermission, "saturation_ratio{connections}": NoPermission}, nil},
		"variables are not known": {sqlAnswer{code: 1064}, threads, empty, "standalone", map[string]Why{"writable": Unsupported, "saturation_ratio{connections}": Unsupported}, nil},
		"status is forbidden":     {wide, sqlAnswer{code: 1142}, empty, "standalone", map[string]Why{"saturation_ratio{connections}": NoPermission, "fact{rejected_connections}": NoPermission}, nil},
		"replication is not known": {wide, threads, sqlAnswer{code: 1235}, "unknown", map[string]Why{"replication_link_up": Unsupported, "replication_lag_seconds": Unsupported,
			"fact{replication_channels}": Unsupported, "fact{replication_channels_broken}": Unsupported}, nil},
		"replication is forbidden": {wide, threads, sqlAnswer{code: 1227}, "unknown", map[string]Why{"replication_link_up": NoPermission, "fact{replication_channels}": NoPermission}, []Reason{Permission}},
		"a reader of shared storage": {variables("innodb_read_only=ON", "read_only=ON", "max_connections=11"), threads, empty, "replica",
			map[string]Why{"replication_link_up": Unsupported, "replication_lag_seconds": Unsupported}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			server := fakeMySQL{version: mysql8, answers: map[string]sqlAnswer{"SHOW GLOBAL VARIABLES": c.variables, "SHOW GLOBAL STATUS": c.status, "SHOW REPLICA STATUS": c.replica}}
			if c.replica.code != 0 {
				server.answers["SHOW SLAVE STATUS"] = c.replica
			}
			v := Run(t.Context(), targetOf(t, "mysql", server.listen(t)), nil)
			wantUp(t, v, c.want...)
			if v.Role != c.role {
				t.Errorf("role %q, want %q", v.Role, c.role)
			}
			for fact, why := range c.unknown {
				wantUnknown(t, v, fact, why)
			}
		})
	}
}

// The database is named when one logs in, between the proof and the way it was made.
func TestMySQLDatabase(t *testing.T) {
	for _, database := range []string{"", "shop"} {
		var sent bytes.Buffer
		c := &mysqlConn{Conn: writeOnly{to: &sent}, p: &Probe{Recorder: &Recorder{}, Target: targetOf(t, "mysql", "", withOption("database", database))}}
		capabilities := uint32(sqlPluginAuth)
		want := "u\x00\x00" + nativePassword + "\x00"
		if database != "" {
			capabilities |= sqlWithDatabase
			want = "u\x00\x00shop\x00" + nativePassword + "\x00"
		}
		_ = c.authenticate(greeting{plugin: nativePassword}, capabilities, "u", Secret{}) // nobody answers
		if got := sent.Bytes()[4+32:]; string(got) != want {
			t.Errorf("sent %q, want %q", got, want)
		}
	}
}

// writeOnly is a connection on which nothing is answered.
type writeOnly struct {
	net.Conn
	to *bytes.Buffer
}

func (w writeOnly) Write(b []byte) (int, error) { return w.to.Write(b) }

func (w writeOnly) Read([]byte) (int, error) { return 0, io.EOF }
