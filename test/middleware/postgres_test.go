// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"stability-exporter/internal/middleware"
	"stability-exporter/internal/state"
	"stability-exporter/test/daemon"
)

// postgresPrograms is where Debian keeps the programs of the server.
const postgresPrograms = "/usr/lib/postgresql/15/bin/"

// postgresServer is a server of PostgreSQL.
type postgresServer struct {
	*daemon.Daemon
	dir, data, address, port string
	tls                      pair
}

func newPostgresFolder(t *testing.T) *postgresServer {
	t.Helper()
	p := &postgresServer{dir: dirOf(t, "postgres")}
	p.data = filepath.Join(p.dir, "data")
	p.address, p.port = freeAddress(t)
	return p
}

// startPostgres starts a new server with its accounts: postgres of its socket, monitor as the documentation has it, plain without privileges,
// clear whose password the server wants to see.
func startPostgres(t *testing.T, ca *authority) *postgresServer {
	t.Helper()
	p := newPostgresFolder(t)
	call(t, withUser("postgres", postgresPrograms+"initdb", "--pgdata="+p.data, "--username=postgres", "--auth-local=trust", "--auth-host=scram-sha-256", "--no-sync")...)
	p.tls = ca.issueGood(t)
	giveTo(t, "postgres", p.tls.certificate, p.tls.key)
	p.configure(t, "postgresql.conf", "listen_addresses = '127.0.0.1'", "unix_socket_directories = '"+p.dir+"'", "fsync = off", "shared_buffers = 16MB",
		"max_connections = 10", "superuser_reserved_connections = 3", "wal_receiver_status_interval = 1", "wal_retrieve_retry_interval = 500",
		"archive_mode = on", "archive_command = '/bin/true'", "client_connection_check_interval = 500", "ssl = on",
		"ssl_cert_file = '"+p.tls.certificate+"'", "ssl_key_file = '"+p.tls.key+"'")
	hba, err := os.ReadFile(filepath.Join(p.data, "pg_hba.conf"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, p.data, "pg_hba.conf", "host all clear 127.0.0.1/32 password\n"+string(hba))
	p.start(t)
	p.sql(t, "CREATE ROLE monitor LOGIN PASSWORD 'monitor-secret'", "GRANT pg_monitor TO monitor", "CREATE ROLE plain LOGIN PASSWORD 'plain-secret'",
		"CREATE ROLE clear LOGIN PASSWORD 'clear-secret'", "GRANT pg_monitor TO clear", "CREATE TABLE orders (id INT)")
	return p
}

// standby copies a server to one that follows it through a slot.
func (p *postgresServer) standby(t *testing.T, slot string) *postgresServer {
	t.Helper()
	s := p.copied(t, slot)
	s.start(t)
	return s
}

// copied is standby without starting it.
func (p *postgresServer) copied(t *testing.T, slot string) *postgresServer {
	t.Helper()
	s := newPostgresFolder(t)
	call(t, withUser("postgres", postgresPrograms+"pg_basebackup", "--host="+p.dir, "--port="+p.port, "--username=postgres", "--pgdata="+s.data,
		"--write-recovery-conf", "--create-slot", "--slot="+slot, "--checkpoint=fast", "--no-sync")...)
	s.configure(t, "postgresql.auto.conf", "unix_socket_directories = '"+s.dir+"'")
	return s
}

func (p *postgresServer) configure(t *testing.T, file string, lines ...string) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(p.data, file), os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteString(strings.Join(lines, "\n") + "\n")
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// start starts the server and waits until it answers.
func (p *postgresServer) start(t *testing.T) {
	t.Helper()
	p.Daemon = runUntil(t, func(ctx context.Context) error {
		_, err := p.ask(ctx, "SELECT 1")
		return err
	}, withUser("postgres", postgresPrograms+"postgres", "-D", p.data, "-p", p.port)...)
}

func (p *postgresServer) ask(ctx context.Context, statement string) (string, error) {
	return try(ctx, "psql", "--host="+p.dir, "--port="+p.port, "--username=postgres", "--no-psqlrc", "--tuples-only", "--no-align", "--command="+statement)
}

// sql runs statements as the superuser, one after the other.
func (p *postgresServer) sql(t *testing.T, statements ...string) string {
	t.Helper()
	last := ""
	for _, statement := range statements {
		out, err := p.ask(t.Context(), statement)
		if err != nil {
			t.Fatal(err)
		}
		last = out
	}
	return last
}

// set changes settings of the running server.
func (p *postgresServer) set(t *testing.T, name, value string) {
	t.Helper()
	p.sql(t, fmt.Sprintf("ALTER SYSTEM SET %s = '%s'", name, value), "SELECT pg_reload_conf()")
	await(t, name+" to be in force", func(ctx context.Context) error {
		now, err := p.ask(ctx, "SHOW "+name)
		if err == nil && now != value {
			err = fmt.Errorf("%s is %s", name, now)
		}
		return err
	})
}

// asked is the server as a target, with the account of the documentation.
func (p *postgresServer) asked(t *testing.T, with ...setting) *middleware.Target {
	t.Helper()
	return target(t, "postgres", p.address, append([]setting{asMonitor()}, with...)...)
}

// TestPostgreSQL goes from one server to a primary with its standby, breaks what can break and mends it again.
func TestPostgreSQL(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	primary := startPostgres(t, ca)
	t.Run("alone", func(t *testing.T) { postgresAlone(t, primary, ca) })
	t.Run("old log", func(t *testing.T) { postgresOldLog(t, primary) })
	t.Run("no writes", func(t *testing.T) { postgresNoWrites(t, primary) })
	t.Run("too many connections", func(t *testing.T) { postgresFull(t, primary) })
	standby := primary.standby(t, "one")
	t.Run("standby", func(t *testing.T) { postgresStandby(t, primary, standby) })
	t.Run("accounts", func(t *testing.T) { postgresAccounts(t, primary, standby) })
	t.Run("lag", func(t *testing.T) { postgresLag(t, primary, standby) })
	t.Run("silence", func(t *testing.T) { postgresSilence(t, primary, standby) })
	t.Run("fed from an archive", func(t *testing.T) { postgresFedFromArchive(t, primary) })
	t.Run("hung", func(t *testing.T) { checkHang(t, primary.Daemon, primary.asked(t)) })
	t.Run("primary killed", func(t *testing.T) { postgresPrimaryKilled(t, primary, standby) })
	primary.start(t)
	awaitView(t, standby.asked(t), "the standby to be connected again", healthy)
	t.Run("standby promoted", func(t *testing.T) { postgresPromoted(t, primary, standby) })
}

func postgresAlone(t *testing.T, p *postgresServer, ca *authority) {
	check(t, probe(t, p.asked(t)), healthy, roleIs("standalone"), writableIs(state.True), linkIs(state.Absent), tells("alarm{archiver_failing}", 0),
		tells("alarm{slot_lost}", 0), tells("alarm{slot_retains_wal}", 0), tells("alarm{wraparound}", 0),
		tellsBetween("saturation_ratio{connections}", 0, 0.5))
	check(t, probe(t, p.asked(t, roleWanted("replica"))), upWith(middleware.RoleConflict))
	check(t, probe(t, p.asked(t, as("monitor", "wrong-secret"))), down(middleware.Auth, "28P01"))
	check(t, probe(t, p.asked(t, as("nobody-known", "any-secret"))), down(middleware.Auth, ""))
	check(t, probe(t, target(t, "postgres", p.address)), down(middleware.Auth, ""))
	check(t, probe(t, p.asked(t, option("database", "missing"))), down(middleware.Mismatch, "3D000"))
	check(t, probe(t, p.asked(t, option("pgbouncer", "true"))), down(middleware.Mismatch, ""))
	check(t, probe(t, p.asked(t, as("clear", "clear-secret"))), down(middleware.Auth, "not allowed"))
	check(t, probe(t, p.asked(t, as("clear", "clear-secret"), overTLS(ca.file))), healthy, certified(p.tls, state.True))
	check(t, probe(t, p.asked(t, overTLS(newAuthority(t).file))), down(middleware.CertInvalid, ""))
	askAsEverything(t, stranger{"a PostgreSQL", p.address, []string{"postgres", "tcp"}, []string{"tcp"}})
	awaitView(t, p.asked(t), "its few connections to be free again", healthy)
}

// Slots keep log that nobody fetches, and an archive that takes none keeps it as well: both fill the disk.
func postgresOldLog(t *testing.T, p *postgresServer) {
	p.sql(t, "SELECT pg_create_physical_replication_slot('idle', true)")
	for range 2 {
		p.sql(t, "INSERT INTO orders VALUES (1)", "SELECT pg_switch_wal()")
	}
	check(t, probe(t, p.asked(t)), healthy, tellsBetween("fact{slot_retained_bytes}", 1<<24+1, unlimited))
	check(t, probe(t, p.asked(t, option("max_retained_wal_bytes", "1000000"))), upWith(middleware.Alarm), unhealthy(middleware.Alarm, "slot idle keeps"),
		tells("alarm{slot_retains_wal}", 1), tells("alarm{slot_lost}", 0))
	p.set(t, "max_slot_wal_keep_size", "1MB")
	for range 5 {
		p.sql(t, "INSERT INTO orders VALUES (1)", "SELECT pg_switch_wal()")
	}
	p.sql(t, "CHECKPOINT")
	check(t, probe(t, p.asked(t)), upWith(middleware.Alarm), unhealthy(middleware.Alarm, "slot idle has lost"), tells("alarm{slot_lost}", 1))
	p.set(t, "max_slot_wal_keep_size", "-1")
	p.sql(t, "SELECT pg_drop_replication_slot('idle')")
	check(t, probe(t, p.asked(t)), healthy)

	p.set(t, "archive_command", "/bin/false")
	p.sql(t, "INSERT INTO orders VALUES (1)", "SELECT pg_switch_wal()")
	awaitView(t, p.asked(t), "the archiver to fail", unhealthy(middleware.Alarm, "archiver_failing"))
	p.set(t, "archive_command", "/bin/true")
	p.sql(t, "INSERT INTO orders VALUES (1)", "SELECT pg_switch_wal()") // wakes it
	awaitView(t, p.asked(t), "the archiver to succeed", healthy)
}

func postgresNoWrites(t *testing.T, p *postgresServer) {
	p.set(t, "default_transaction_read_only", "on")
	check(t, probe(t, p.asked(t)), upWith(middleware.NotWritable), writableIs(state.False))
	p.set(t, "default_transaction_read_only", "off")
	p.set(t, "synchronous_standby_names", "somebody")
	check(t, probe(t, p.asked(t)), upWith(middleware.NotWritable), unhealthy(middleware.NotWritable, "commits wait"), writableIs(state.False))
	p.set(t, "synchronous_standby_names", "")
	check(t, probe(t, p.asked(t)), healthy, writableIs(state.True))
}

// 53300 is not "down": somebody has to raise a limit or to close connections.
func postgresFull(t *testing.T, p *postgresServer) {
	const slots, sleeping = 7, "FROM pg_stat_activity WHERE usename = 'plain' AND query LIKE '%pg_sleep%'" // slots: those not reserved for superusers
	var clients []*daemon.Daemon
	await(t, "the connections to be taken", func(ctx context.Context) error {
		count, err := p.ask(ctx, "SELECT count(*) "+sleeping)
		if err == nil && count != strconv.Itoa(slots) { // one that comes while somebody else is there is refused and ends
			clients = append(clients, run(t, "psql", "host=127.0.0.1 port="+p.port+" user=plain password=plain-secret dbname=postgres", "--command=SELECT pg_sleep(600)"))
			err = fmt.Errorf("%s are", count)
		}
		return err
	})
	check(t, probe(t, p.asked(t)), down(middleware.Saturated, "53300"))
	p.sql(t, "SELECT pg_terminate_backend(pid) "+sleeping+" LIMIT 1")
	view := awaitView(t, p.asked(t), "a connection to be free", tells("saturation_ratio{connections}", 6./slots))
	check(t, view, healthy)
	for _, client := range clients {
		client.Kill()
	}
	awaitView(t, p.asked(t), "connections to be free", tells("saturation_ratio{connections}", 0))
}

func postgresStandby(t *testing.T, primary, standby *postgresServer) {
	awaitView(t, standby.asked(t, roleWanted("replica"), lagLimit(10*time.Second)), "the standby to follow", healthy)
	awaitView(t, primary.asked(t), "the primary to know it", tells("members{synced}", 2))
	check(t, probe(t, standby.asked(t)), roleIs("replica"), linkIs(state.True), writableIs(state.False), tellsAny(replicationLag))
	check(t, probe(t, primary.asked(t)), healthy, roleIs("primary"), writableIs(state.True), tells("members{connected}", 2))
	check(t, probe(t, primary.asked(t, expecting(3))), upWith(middleware.MembersMissing), unhealthy(middleware.MembersMissing, "2 of 3"))
	checkGroup(t, asGroup(t, primary, standby), healthy)
	checkGroup(t, asGroup(t, standby), upWith(middleware.NoLeader))
	primary.set(t, "synchronous_standby_names", "*")
	awaitView(t, primary.asked(t), "the standby to be the synchronous one", healthy)
	primary.set(t, "synchronous_standby_names", "")
}

// An account without pg_monitor sees NULL where the state of the replication is. That is neither "down" nor "fine".
func postgresAccounts(t *testing.T, primary, standby *postgresServer) {
	plain := as("plain", "plain-secret")
	check(t, probe(t, standby.asked(t, plain)), upWith(middleware.Permission), roleIs("replica"), linkIs(state.Absent), tellsNot(replicationLag),
		unknown(middleware.NoPermission, "replication_link_up", replicationLag, replicationLagBytes))
	check(t, probe(t, primary.asked(t, plain)), roleIs("primary"), tellsNot(replicationLag), unknown(middleware.NoPermission, replicationLag, "members{synced}"))
}

func postgresLag(t *testing.T, primary, standby *postgresServer) {
	primary.sql(t, "INSERT INTO orders VALUES (1)") // before the first one it does not know how old is what it has replayed
	awaitView(t, standby.asked(t), "the standby to know its lag", tellsAny(replicationLag))
	standby.sql(t, "SELECT pg_wal_replay_pause()")
	primary.sql(t, "INSERT INTO orders VALUES (1)")
	view := awaitView(t, standby.asked(t, lagLimit(time.Second)), "the lag to grow", unhealthy(middleware.ReplicationLagging, "more than 1s"))
	check(t, view, upWith(middleware.ReplicationBroken, middleware.ReplicationLagging), unhealthy(middleware.ReplicationBroken, "replay is paused"),
		linkIs(state.True), tellsBetween(replicationLagBytes, 1, unlimited))
	view = awaitView(t, primary.asked(t, lagLimit(time.Second)), "the primary to see the lag", unhealthy(middleware.ReplicationLagging, ""))
	check(t, view, upWith(middleware.ReplicationLagging))
	standby.sql(t, "SELECT pg_wal_replay_resume()")
	awaitView(t, standby.asked(t, lagLimit(time.Second)), "the standby to catch up", healthy)
	awaitView(t, primary.asked(t, lagLimit(time.Second)), "the primary to see it", healthy)
}

// A primary that hangs keeps its connections: only that nothing is heard of it tells.
func postgresSilence(t *testing.T, primary, standby *postgresServer) {
	sender, err := strconv.Atoi(primary.sql(t, "SELECT pid FROM pg_stat_replication"))
	if err != nil {
		t.Fatal(err)
	}
	silent := option("max_silence", "2s")
	primary.sql(t, "INSERT INTO orders VALUES (1)")
	awaitView(t, standby.asked(t, silent), "something to be heard", healthy)
	freeze(t, sender)
	primary.sql(t, "INSERT INTO orders VALUES (1)")
	view := awaitView(t, standby.asked(t, silent), "the silence to be told", unhealthy(middleware.ReplicationBroken, "nothing heard of the primary"))
	check(t, view, upWith(middleware.ReplicationBroken), linkIs(state.False), tellsBetween("fact{replication_silence_seconds}", 2, unlimited))
	check(t, probe(t, standby.asked(t)), healthy) // 60 s of wal_receiver_timeout want more silence
	standby.set(t, "wal_receiver_timeout", "4s")
	awaitView(t, standby.asked(t), "the silence to be told", unhealthy(middleware.ReplicationBroken, ""))
	standby.set(t, "wal_receiver_timeout", "1min")
}

// The standby has replayed all that it got, so its lag is zero; that nothing comes any more is what counts.
func postgresPrimaryKilled(t *testing.T, primary, standby *postgresServer) {
	awaitView(t, standby.asked(t), "the standby to be whole", healthy)
	primary.Kill()
	check(t, probe(t, primary.asked(t)), down(middleware.Refused, ""), hides("127.0.0.1:1 ")) // which is no address of anybody
	view := awaitView(t, standby.asked(t, lagLimit(time.Second)), "the loss to be told", unhealthy(middleware.ReplicationBroken, ""))
	check(t, view, upWith(middleware.ReplicationBroken), linkIs(state.False), tellsNot(replicationLag), unknown(middleware.Unsupported, replicationLag))
	if zero := standby.sql(t, "SELECT pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())"); zero != "0" {
		t.Errorf("it is %s bytes behind what it got; the case is about 0", zero)
	}
	checkGroup(t, asGroup(t, primary, standby), upWith(middleware.NoLeader, middleware.MembersMissing), tells("members{healthy}", 1))
}

func postgresPromoted(t *testing.T, primary, standby *postgresServer) {
	standby.sql(t, "SELECT pg_promote()")
	check(t, probe(t, standby.asked(t, roleWanted("replica"))), upWith(middleware.RoleConflict), writableIs(state.True))
	checkGroup(t, asGroup(t, primary, standby), upWith(middleware.RoleConflict), unhealthy(middleware.RoleConflict, "2 members"))
}

// A standby that follows an archive has no receiver, and misses none.
func postgresFedFromArchive(t *testing.T, primary *postgresServer) {
	s := primary.copied(t, "two")
	s.configure(t, "postgresql.auto.conf", "primary_conninfo = ''", "primary_slot_name = ''", "restore_command = 'cp "+primary.data+"/pg_wal/%f %p'")
	s.start(t)
	primary.sql(t, "SELECT pg_drop_replication_slot('two')", "INSERT INTO orders VALUES (1)", "SELECT pg_switch_wal()")
	view := awaitView(t, s.asked(t), "the standby to replay", tellsAny(replicationLag))
	check(t, view, healthy, roleIs("replica"), linkIs(state.Absent), unknown(middleware.Unsupported, "replication_link_up", replicationLagBytes))
	check(t, probe(t, s.asked(t, lagLimit(time.Nanosecond))), upWith(middleware.ReplicationLagging))
}
