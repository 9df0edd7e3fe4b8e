// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"stability-exporter/internal/state"
)

// fakePostgres is a server of the protocol that answers statements by a word that stands in them.
type fakePostgres struct {
	ask     pgproto3.BackendMessage // for a proof, instead of letting everybody in
	refuse  *pgproto3.ErrorResponse
	answers map[string]pgAnswer
}

// pgAnswer is a table, or an error when it has a code. A value "NULL" is NULL.
type pgAnswer struct {
	code  string
	names []string
	rows  [][]string
}

func (f fakePostgres) listen(t *testing.T) string {
	t.Helper()
	return listen(t, func(conn net.Conn) {
		backend := pgproto3.NewBackend(conn, conn)
		if _, err := backend.ReceiveStartupMessage(); err != nil {
			return
		}
		if f.refuse != nil {
			backend.Send(f.refuse)
			_ = backend.Flush()
			return
		}
		if f.ask != nil {
			backend.Send(f.ask)
			if backend.Flush() != nil {
				return
			}
			if _, ok := f.ask.(*pgproto3.AuthenticationMD5Password); ok {
				_ = backend.SetAuthType(pgproto3.AuthTypeMD5Password)
			}
			if _, err := backend.Receive(); err != nil {
				return
			}
		}
		backend.Send(&pgproto3.AuthenticationOk{})
		for {
			backend.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
			if backend.Flush() != nil {
				return
			}
			message, err := backend.Receive()
			query, ok := message.(*pgproto3.Query)
			if err != nil || !ok {
				return
			}
			f.answer(backend, query.String)
		}
	})
}

func (f fakePostgres) answer(backend *pgproto3.Backend, statement string) {
	answer := pgAnswer{code: "42601"}
	for word, a := range f.answers {
		if strings.Contains(statement, word) {
			answer = a
		}
	}
	if answer.code != "" {
		backend.Send(&pgproto3.ErrorResponse{Severity: "ERROR", Code: answer.code, Message: "no"})
		return
	}
	description := &pgproto3.RowDescription{}
	for i := range max(len(answer.names), len(slices.Concat(answer.rows...))/max(1, len(answer.rows))) {
		name := "c"
		if i < len(answer.names) {
			name = answer.names[i]
		}
		description.Fields = append(description.Fields, pgproto3.FieldDescription{Name: []byte(name), DataTypeOID: 25, DataTypeSize: -1})
	}
	backend.Send(description)
	for _, row := range answer.rows {
		data := &pgproto3.DataRow{}
		for _, value := range row {
			if value == "NULL" {
				data.Values = append(data.Values, nil)
			} else {
				data.Values = append(data.Values, []byte(value))
			}
		}
		backend.Send(data)
	}
	backend.Send(&pgproto3.CommandComplete{CommandTag: []byte("SELECT")})
}

func pgRowOf(values ...string) pgAnswer { return pgAnswer{rows: [][]string{values}} }

// pgServer is a primary that is well, or a standby; changes replace answers.
func pgServer(recovery bool, monitor string, changes map[string]pgAnswer) fakePostgres {
	f := fakePostgres{answers: map[string]pgAnswer{
		"pg_is_in_recovery()":  pgRowOf(fmt.Sprint(recovery), "100", "3", "0", "off", monitor, "98", "1000000"),
		"pg_stat_wal_receiver": pgRowOf("streaming", "0.5", "false", "512", "2.5", "60000"),
		"primary_conninfo":     pgRowOf("host=primary", "false", "7"),
		"pg_stat_replication":  pgRowOf("1", "1", "0", "0.25", "2048", "1", "", "on"),
		"pg_replication_slots": pgRowOf("s", "true", "reserved", "100"),
		"pg_stat_archiver":     pgRowOf("on", "false"),
	}}
	for word, answer := range changes {
		f.answers[word] = answer
	}
	return f
}

// pgVerdict is what is to be found out of a server.
type pgVerdict struct {
	name     string
	standby  bool
	changes  map[string]pgAnswer
	change   func(*Target)
	role     string
	writable state.Tristate
	link     state.Tristate
	unknown  string
	want     []Reason
}

func TestPostgresPrimaries(t *testing.T) {
	checkPostgres(t, []pgVerdict{
		{name: "primary", role: "primary", writable: state.True},
		{name: "alone", changes: map[string]pgAnswer{"pg_stat_replication": pgRowOf("0", "0", "0", "NULL", "NULL", "0", "", "on")}, role: "standalone", writable: state.True},
		{name: "a standby is missing", change: func(t *Target) { t.Limits.ExpectedMembers = 3 }, role: "primary", writable: state.True, want: []Reason{MembersMissing}},
		{name: "commits wait for a standby that is not there", changes: map[string]pgAnswer{"pg_stat_replication": pgRowOf("0", "0", "0", "NULL", "NULL", "0", "s1", "on")},
			change: withGroup, role: "primary", writable: state.False, want: []Reason{NotWritable}},
		{name: "commits do not wait", changes: map[string]pgAnswer{"pg_stat_replication": pgRowOf("0", "0", "0", "NULL", "NULL", "0", "s1", "local")},
			change: withGroup, role: "primary", writable: state.True},
		{name: "standbys without pg_monitor: their state is NULL", changes: map[string]pgAnswer{"pg_stat_replication": pgRowOf("1", "0", "1", "NULL", "NULL", "0", "", "on")},
			role: "primary", writable: state.True, unknown: "members{synced}"},
		{name: "read only", changes: map[string]pgAnswer{"pg_is_in_recovery()": pgRowOf("false", "100", "3", "0", "on", "true", "5", "5")}, role: "primary", writable: state.False, want: []Reason{NotWritable}},
		{name: "a slot lost its log", changes: map[string]pgAnswer{"pg_replication_slots": pgRowOf("s", "false", "lost", "NULL")}, role: "primary", writable: state.True, want: []Reason{Alarm}},
		{name: "a slot that nobody uses", changes: map[string]pgAnswer{"pg_replication_slots": pgRowOf("s", "false", "extended", "20000000000")}, role: "primary", writable: state.True, want: []Reason{Alarm}},
		{name: "slots may not be seen", changes: map[string]pgAnswer{"pg_replication_slots": {code: "42501"}}, role: "primary", writable: state.True, unknown: "alarm{slot_lost}"},
		{name: "archiving fails", changes: map[string]pgAnswer{"pg_stat_archiver": pgRowOf("on", "true")}, role: "primary", writable: state.True, want: []Reason{Alarm}},
		{name: "transaction ids run out", changes: map[string]pgAnswer{"pg_is_in_recovery()": pgRowOf("false", "100", "3", "0", "off", "true", "98", "1900000000")},
			role: "primary", writable: state.True, want: []Reason{Alarm}},
	})
}

func TestPostgresStandbys(t *testing.T) {
	checkPostgres(t, []pgVerdict{
		{name: "standby", standby: true, role: "replica", writable: state.False, link: state.True},
		{name: "standby that should be the primary", standby: true, change: func(t *Target) { t.Limits.Role = "primary" }, role: "replica", writable: state.False, link: state.True, want: []Reason{RoleConflict}},
		{name: "standby whose primary is dead: no lag is not none", standby: true, changes: map[string]pgAnswer{"pg_stat_wal_receiver": {}}, role: "replica", writable: state.False,
			link: state.False, unknown: "replication_lag_seconds", want: []Reason{ReplicationBroken}},
		{name: "standby that waits", standby: true, changes: map[string]pgAnswer{"pg_stat_wal_receiver": pgRowOf("waiting", "1", "false", "0", "0")}, role: "replica", writable: state.False,
			link: state.False, unknown: "replication_lag_bytes", want: []Reason{ReplicationBroken}},
		{name: "standby whose primary hangs", standby: true, changes: map[string]pgAnswer{"pg_stat_wal_receiver": pgRowOf("streaming", "50", "false", "0", "0", "60000")}, role: "replica", writable: state.False,
			link: state.False, want: []Reason{ReplicationBroken}},
		{name: "standby of an idle primary, asking it every 5 minutes", standby: true, changes: map[string]pgAnswer{"pg_stat_wal_receiver": pgRowOf("streaming", "290", "false", "0", "0", "600000")},
			role: "replica", writable: state.False, link: state.True},
		{name: "standby of an idle primary, never asking it", standby: true, changes: map[string]pgAnswer{"pg_stat_wal_receiver": pgRowOf("streaming", "9000", "false", "0", "0", "0")},
			role: "replica", writable: state.False, link: state.True},
		{name: "standby that must hear more often", standby: true, change: func(t *Target) { t.Options = map[string]string{"max_silence": "20s"} }, role: "replica", writable: state.False,
			changes: map[string]pgAnswer{"pg_stat_wal_receiver": pgRowOf("streaming", "25", "false", "0", "0", "60000")}, link: state.False, want: []Reason{ReplicationBroken}},
		{name: "standby that an archive feeds", standby: true, changes: map[string]pgAnswer{"pg_stat_wal_receiver": {}, "primary_conninfo": pgRowOf("", "false", "7")}, role: "replica",
			writable: state.False, unknown: "replication_link_up"},
		{name: "standby that an archive feeds, behind", standby: true, change: func(t *Target) { t.Limits.Lag = 2 * time.Second }, role: "replica", writable: state.False,
			changes: map[string]pgAnswer{"pg_stat_wal_receiver": {}, "primary_conninfo": pgRowOf("", "false", "7")}, unknown: "replication_link_up", want: []Reason{ReplicationLagging}},
		{name: "standby that is paused", standby: true, changes: map[string]pgAnswer{"pg_stat_wal_receiver": pgRowOf("streaming", "1", "true", "0", "0", "60000")}, role: "replica", writable: state.False,
			link: state.True, want: []Reason{ReplicationBroken}},
		{name: "standby without pg_monitor", standby: true, changes: map[string]pgAnswer{"pg_stat_wal_receiver": pgRowOf("NULL", "NULL", "false", "NULL", "NULL")}, role: "replica", writable: state.False,
			unknown: "replication_link_up", want: []Reason{Permission}},
		{name: "standby that lags", standby: true, change: func(t *Target) { t.Limits.Lag = 2 * time.Second }, role: "replica", writable: state.False, link: state.True, want: []Reason{ReplicationLagging}},
	})
}

func checkPostgres(t *testing.T, cases []pgVerdict) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			target := targetOf(t, "postgres", pgServer(c.standby, "true", c.changes).listen(t))
			if c.change != nil {
				c.change(target)
			}
			v := Run(t.Context(), target, nil)
			wantUp(t, v, c.want...)
			if v.Role != c.role || v.Writable != c.writable || v.LinkUp != c.link {
				t.Errorf("role %q, writable %d, link %d, want %q, %d, %d", v.Role, v.Writable, v.LinkUp, c.role, c.writable, c.link)
			}
			if c.unknown != "" && unknownWhy(v, c.unknown) == "" {
				t.Errorf("%s is not unknown: %v", c.unknown, v.Unknown)
			}
		})
	}
}

func TestPostgresNumbers(t *testing.T) {
	v := Run(t.Context(), targetOf(t, "postgres", pgServer(false, "true", nil).listen(t)), nil)
	wantValue(t, v.Saturation, "connections", 1)
	wantValue(t, v.Members, "synced", 2)
	if v.LagBytes.Value != 2048 || v.LagSeconds.Value != 0.25 {
		t.Errorf("lag %v, %v", v.LagBytes, v.LagSeconds)
	}
	v = Run(t.Context(), targetOf(t, "postgres", pgServer(true, "true", nil).listen(t)), nil)
	if v.LagBytes.Value != 512 || v.LagSeconds.Value != 2.5 {
		t.Errorf("lag of the standby %v, %v", v.LagBytes, v.LagSeconds)
	}
	v = Run(t.Context(), targetOf(t, "postgres", pgServer(false, "NULL", nil).listen(t)), nil)
	wantUnknown(t, v, "members{synced}", NoPermission)
}

// What ends a probe has its reason; above all a server without free connections is not one that is gone.
func TestPostgresRefusals(t *testing.T) {
	said := func(code, message string) *pgproto3.ErrorResponse {
		return &pgproto3.ErrorResponse{Severity: "FATAL", Code: code, Message: message}
	}
	for _, c := range []struct {
		name   string
		server fakePostgres
		want   Reason
	}{
		{"no free connection", fakePostgres{refuse: said("53300", "remaining connection slots are reserved for roles with the SUPERUSER attribute")}, Saturated},
		{"starting", fakePostgres{refuse: said("57P03", "the database system is starting up")}, Loading},
		{"ending", fakePostgres{refuse: said("57P03", "the database system is shutting down")}, Unavailable},
		{"wrong password", fakePostgres{refuse: said("28P01", "password authentication failed for user \"u\"")}, Auth},
		{"no such database", fakePostgres{refuse: said("3D000", "database does not exist")}, Mismatch},
		{"PgBouncer is full", fakePostgres{refuse: said("08P01", "no more connections allowed (max_client_conn)")}, Saturated},
		{"it wants the password itself", fakePostgres{ask: &pgproto3.AuthenticationCleartextPassword{}}, Auth},
		{"it answers something else", pgServer(false, "true", map[string]pgAnswer{"pg_is_in_recovery()": pgRowOf("1")}), Protocol},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := Run(t.Context(), targetOf(t, "postgres", c.server.listen(t), withLogin("u", "secret-password")), nil)
			wantProblem(t, v, c.want)
			if strings.Contains(fmt.Sprint(v), "secret-password") {
				t.Errorf("the password is shown: %v", v)
			}
		})
	}
	md5 := pgServer(false, "true", nil)
	md5.ask = &pgproto3.AuthenticationMD5Password{}
	wantUp(t, Run(t.Context(), targetOf(t, "postgres", md5.listen(t), withLogin("u", "p")), nil))
	strict := targetOf(t, "postgres", md5.listen(t), withLogin("u", "p"), withOption("require_auth", "scram-sha-256"))
	wantProblem(t, Run(t.Context(), strict, nil), Auth)
}

// Nothing of the environment reaches a server: neither a password nor where to look for one.
func TestPostgresTakesNothingFromTheEnvironment(t *testing.T) {
	for name, value := range map[string]string{"PGPASSWORD": "from-the-environment", "PGUSER": "root", "PGDATABASE": "other", "PGHOST": "192.0.2.1", "PGSSLMODE": "verify-full"} {
		t.Setenv(name, value)
	}
	seen := make(chan map[string]string, 1)
	address := listen(t, func(conn net.Conn) {
		backend := pgproto3.NewBackend(conn, conn)
		message, err := backend.ReceiveStartupMessage()
		if startup, ok := message.(*pgproto3.StartupMessage); err == nil && ok {
			seen <- startup.Parameters
		}
		backend.Send(&pgproto3.AuthenticationMD5Password{})
		_ = backend.Flush()
	})
	wantProblem(t, Run(t.Context(), targetOf(t, "postgres", address), nil), Auth)
	select {
	case got := <-seen:
		if got["user"] != "stability_exporter" || got["database"] != "postgres" {
			t.Errorf("it was told %v", got)
		}
	default:
		t.Error("it was asked nothing")
	}
}

func TestPgBouncer(t *testing.T) {
	pools := func(waiting, longest string) fakePostgres {
		return fakePostgres{answers: map[string]pgAnswer{"SHOW POOLS": {names: []string{"database", "cl_waiting", "maxwait"}, rows: [][]string{{"shop", waiting, longest}, {"a", "1", "0"}}}}}
	}
	pooler := withOption("pgbouncer", "true")
	v := Run(t.Context(), targetOf(t, "postgres", pools("0", "0").listen(t), pooler), nil)
	wantUp(t, v)
	wantValue(t, v.Facts, "clients_waiting", 1)
	wantUp(t, Run(t.Context(), targetOf(t, "postgres", pools("9", "20").listen(t), pooler), nil), Saturated)
	wantProblem(t, Run(t.Context(), targetOf(t, "postgres", pgServer(false, "true", nil).listen(t), pooler), nil), Mismatch)
}
