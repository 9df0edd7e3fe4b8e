// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"stability-exporter/internal/middleware"
	"stability-exporter/internal/state"
	"stability-exporter/test/daemon"
)

// mariaDB is a server of MariaDB.
type mariaDB struct {
	*daemon.Daemon
	dir, address, port string
	socket             string
	id                 int
	tls                pair
}

// newMariaDB makes the files of a server, with accounts: root of its socket, monitor as the documentation has it, plain without privileges.
func newMariaDB(t *testing.T, id int, ca *authority) *mariaDB {
	t.Helper()
	m := &mariaDB{dir: dirOf(t, "mysql"), id: id}
	m.address, m.port = freeAddress(t)
	m.socket = filepath.Join(m.dir, "s")
	m.tls = ca.issueGood(t)
	giveTo(t, "mysql", m.tls.certificate, m.tls.key)
	call(t, withUser("mysql", "mariadb-install-db", "--no-defaults", "--datadir="+filepath.Join(m.dir, "data"), "--auth-root-authentication-method=normal",
		"--skip-test-db", "--skip-name-resolve", "--innodb-log-file-size=8M")...)
	return m
}

// start starts the server and waits until it answers.
func (m *mariaDB) start(t *testing.T) {
	t.Helper()
	command := withUser("mysql", "mariadbd", "--no-defaults", "--datadir="+filepath.Join(m.dir, "data"), "--socket="+m.socket, "--port="+m.port,
		"--bind-address=127.0.0.1", "--skip-name-resolve", "--server-id="+strconv.Itoa(m.id), "--log-bin=bin", "--innodb-log-file-size=8M",
		"--innodb-buffer-pool-size=16M", "--innodb-flush-log-at-trx-commit=0", "--performance-schema=off", "--extra-port=0",
		"--ssl-cert="+m.tls.certificate, "--ssl-key="+m.tls.key)
	m.Daemon = runUntil(t, func(ctx context.Context) error {
		_, err := m.ask(ctx, "SELECT 1")
		return err
	}, command...)
}

func (m *mariaDB) ask(ctx context.Context, statements string) (string, error) {
	return try(ctx, "mariadb", "--no-defaults", "--socket="+m.socket, "--user=root", "--skip-column-names", "--batch", "--execute="+statements)
}

// sql runs statements as root.
func (m *mariaDB) sql(t *testing.T, statements ...string) string {
	t.Helper()
	out, err := m.ask(t.Context(), strings.Join(statements, "; "))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// startMariaDB starts a new server with its accounts.
func startMariaDB(t *testing.T, id int, ca *authority) *mariaDB {
	t.Helper()
	m := newMariaDB(t, id, ca)
	m.start(t)
	m.sql(t, "SET sql_log_bin=0",
		"CREATE USER monitor@'%' IDENTIFIED BY 'monitor-secret'", "GRANT SLAVE MONITOR ON *.* TO monitor@'%'",
		"CREATE USER plain@'%' IDENTIFIED BY 'plain-secret'",
		"CREATE USER binlog@'%' IDENTIFIED BY 'binlog-secret'", "GRANT REPLICATION CLIENT ON *.* TO binlog@'%'",
		"CREATE USER guarded@'%' IDENTIFIED BY 'guarded-secret' REQUIRE SSL", "GRANT SLAVE MONITOR ON *.* TO guarded@'%'",
		"CREATE USER repl@'%' IDENTIFIED BY 'repl-secret'", "GRANT REPLICATION SLAVE ON *.* TO repl@'%'")
	return m
}

// follow makes it a replica of another one, from where that one stands now; name tells several apart.
func (m *mariaDB) follow(t *testing.T, source *mariaDB, name string) {
	t.Helper()
	at := strings.Fields(source.sql(t, "SHOW MASTER STATUS"))
	m.sql(t, fmt.Sprintf("CHANGE MASTER '%s' TO MASTER_HOST='127.0.0.1', MASTER_PORT=%s, MASTER_USER='repl', MASTER_PASSWORD='repl-secret', "+
		"MASTER_LOG_FILE='%s', MASTER_LOG_POS=%s, MASTER_CONNECT_RETRY=1", name, source.port, at[0], at[1]), "START SLAVE '"+name+"'")
}

// asked is the server as a target, with the account of the documentation.
func (m *mariaDB) asked(t *testing.T, with ...setting) *middleware.Target {
	t.Helper()
	return target(t, "mysql", m.address, append([]setting{asMonitor()}, with...)...)
}

// TestMariaDB goes from one server to a primary with its replica and a replica of both, breaks what can break and mends it again.
func TestMariaDB(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	primary, replica, both := startMariaDB(t, 1, ca), startMariaDB(t, 2, ca), startMariaDB(t, 3, ca)
	t.Run("alone", func(t *testing.T) { mariaDBAlone(t, primary, ca) })
	replica.follow(t, primary, "")
	replica.sql(t, "SET GLOBAL read_only=1")
	both.follow(t, primary, "one")
	both.follow(t, replica, "two")
	both.sql(t, "SET GLOBAL read_only=1")
	primary.sql(t, "CREATE DATABASE shop", "CREATE TABLE shop.orders (id INT)")
	t.Run("replicas", func(t *testing.T) { mariaDBReplicas(t, primary, replica, both) })
	t.Run("accounts", func(t *testing.T) { mariaDBAccounts(t, replica) })
	t.Run("applying thread broken", func(t *testing.T) { mariaDBApplyingBroken(t, primary, replica) })
	t.Run("one of two sources broken", func(t *testing.T) { mariaDBOneSourceBroken(t, replica, both) })
	t.Run("lag", func(t *testing.T) { mariaDBLag(t, primary, replica) })
	t.Run("not read_only as it should be", func(t *testing.T) { mariaDBReadOnly(t, primary, replica) })
	t.Run("too many connections", func(t *testing.T) { mariaDBFull(t, primary) })
	t.Run("hung", func(t *testing.T) { checkHang(t, primary.Daemon, primary.asked(t)) })
	t.Run("primary killed", func(t *testing.T) { mariaDBPrimaryKilled(t, primary, replica, both) })
	primary.start(t)
	for _, m := range []*mariaDB{replica, both} {
		awaitView(t, m.asked(t), "the replica to be connected again", healthy)
	}
	t.Run("replication forgotten", func(t *testing.T) {
		both.sql(t, "STOP ALL SLAVES", "RESET SLAVE 'one' ALL", "RESET SLAVE 'two' ALL")
		check(t, probe(t, both.asked(t, roleWanted("replica"))), upWith(middleware.RoleConflict, middleware.NotWritable), roleIs("standalone"))
	})
}

func mariaDBAlone(t *testing.T, m *mariaDB, ca *authority) {
	check(t, probe(t, m.asked(t)), healthy, roleIs("standalone"), writableIs(state.True), linkIs(state.Absent),
		tellsBetween("saturation_ratio{connections}", 0, 0.1), tells("fact{rejected_connections}", 0))
	if lost := m.sql(t, "SHOW GLOBAL STATUS LIKE 'Aborted_clients'"); lost != "Aborted_clients\t0" {
		t.Errorf("the server takes a probe for a client that was lost: %s", lost)
	}
	check(t, probe(t, m.asked(t, roleWanted("replica"))), upWith(middleware.RoleConflict))
	check(t, probe(t, m.asked(t, as("monitor", "wrong-secret"))), down(middleware.Auth, "1045"))
	check(t, probe(t, target(t, "mysql", m.address)), down(middleware.Auth, ""))
	check(t, probe(t, m.asked(t, overTLS(ca.file))), healthy, certified(m.tls, state.True))
	check(t, probe(t, m.asked(t, as("guarded", "guarded-secret"), overTLS(ca.file))), healthy, certified(m.tls, state.True))
	check(t, probe(t, m.asked(t, as("guarded", "guarded-secret"))), down(middleware.Auth, ""))
	check(t, probe(t, m.asked(t, overTLS(newAuthority(t).file))), down(middleware.CertInvalid, ""))
	askAsEverything(t, stranger{"a MariaDB", m.address, []string{"mysql", "tcp"}, []string{"tcp"}})
}

func mariaDBReplicas(t *testing.T, primary, replica, both *mariaDB) {
	for _, m := range []*mariaDB{replica, both} {
		awaitView(t, m.asked(t, roleWanted("replica")), "the replica to follow", healthy)
		check(t, probe(t, m.asked(t)), roleIs("replica"), linkIs(state.True), writableIs(state.False), tellsAny(replicationLag))
	}
	check(t, probe(t, both.asked(t)), tells("fact{replication_channels}", 2), tells("fact{replication_channels_broken}", 0))
	awaitView(t, primary.asked(t), "the primary to know its replicas", roleIs("primary"))
	check(t, probe(t, primary.asked(t)), healthy, writableIs(state.True))
	checkGroup(t, asGroup(t, primary, replica, both), healthy)
	checkGroup(t, asGroup(t, replica, both), upWith(middleware.NoLeader))
}

// An account without SLAVE MONITOR must not make a replica look like a server by itself.
func mariaDBAccounts(t *testing.T, replica *mariaDB) {
	for _, account := range []string{"plain", "binlog"} {
		check(t, probe(t, replica.asked(t, as(account, account+"-secret"))), upWith(middleware.Permission), roleIs("unknown"), linkIs(state.Absent),
			tellsNot(replicationLag), unknown(middleware.NoPermission, "replication_link_up", replicationLag))
	}
}

func mariaDBApplyingBroken(t *testing.T, primary, replica *mariaDB) {
	awaitView(t, replica.asked(t), "the replica to be whole", healthy)
	replica.sql(t, "SET sql_log_bin=0", "DROP TABLE shop.orders")
	primary.sql(t, "INSERT INTO shop.orders VALUES (4711)")
	view := awaitView(t, replica.asked(t, lagLimit(time.Second)), "the error to be told", unhealthy(middleware.ReplicationBroken, "the applying thread says No"))
	check(t, view, upWith(middleware.ReplicationBroken), linkIs(state.False), tellsNot(replicationLag), unknown(middleware.Unsupported, replicationLag),
		hides("4711")) // what users write
	replica.sql(t, "SET sql_log_bin=0", "CREATE TABLE shop.orders (id INT)", "START SLAVE")
	awaitView(t, replica.asked(t), "the replica to be whole again", healthy)
}

func mariaDBOneSourceBroken(t *testing.T, replica, both *mariaDB) {
	replica.sql(t, "CREATE DATABASE own", "CREATE TABLE own.orders (id INT)")
	await(t, "the table to be replicated", func(ctx context.Context) error {
		_, err := both.ask(ctx, "SELECT * FROM own.orders")
		return err
	})
	both.sql(t, "SET sql_log_bin=0", "DROP TABLE own.orders")
	replica.sql(t, "INSERT INTO own.orders VALUES (1)")
	view := awaitView(t, both.asked(t), "the error to be told", unhealthy(middleware.ReplicationBroken, "channel two: the applying thread says No"))
	check(t, view, upWith(middleware.ReplicationBroken), linkIs(state.False), tellsNot(replicationLag), tells("fact{replication_channels}", 2),
		tells("fact{replication_channels_broken}", 1))
	both.sql(t, "SET sql_log_bin=0", "CREATE TABLE own.orders (id INT)", "START SLAVE 'two'")
	awaitView(t, both.asked(t), "the replica to be whole again", healthy)
	both.sql(t, "STOP SLAVE 'one'")
	check(t, probe(t, both.asked(t)), upWith(middleware.ReplicationBroken), unhealthy(middleware.ReplicationBroken, "channel one: the receiving thread says No"))
	both.sql(t, "START SLAVE 'one'")
	awaitView(t, both.asked(t), "the replica to be whole again", healthy)
}

func mariaDBLag(t *testing.T, primary, replica *mariaDB) {
	client := run(t, "mariadb", "--no-defaults", "--socket="+replica.socket, "--user=root", "--execute=LOCK TABLES shop.orders WRITE; SELECT SLEEP(600)")
	await(t, "the table to be locked", func(ctx context.Context) error {
		count, err := replica.ask(ctx, "SELECT COUNT(*) FROM information_schema.processlist WHERE state = 'User sleep'")
		if err == nil && count != "1" {
			err = fmt.Errorf("%s sessions sleep", count)
		}
		return err
	})
	primary.sql(t, "INSERT INTO shop.orders VALUES (1)")
	view := awaitView(t, replica.asked(t, lagLimit(time.Second)), "the lag to grow", unhealthy(middleware.ReplicationLagging, "more than 1s"))
	check(t, view, upWith(middleware.ReplicationLagging), linkIs(state.True), tellsAny(replicationLag))
	replica.sql(t, "KILL "+replica.sql(t, "SELECT id FROM information_schema.processlist WHERE state = 'User sleep'"))
	client.Kill()
	awaitView(t, replica.asked(t, lagLimit(time.Second)), "the replica to catch up", healthy)
	// A delay that somebody asked for is no lag.
	replica.sql(t, "STOP SLAVE", "CHANGE MASTER TO MASTER_DELAY=600", "START SLAVE")
	primary.sql(t, "INSERT INTO shop.orders VALUES (2)")
	await(t, "the replica to wait", func(ctx context.Context) error {
		status, err := replica.ask(ctx, "SHOW SLAVE STATUS")
		if err == nil && !strings.Contains(status, "Waiting until MASTER_DELAY seconds") {
			err = fmt.Errorf("it does not: %s", status)
		}
		return err
	})
	check(t, probe(t, replica.asked(t, lagLimit(time.Second))), healthy, tellsAny(replicationLag))
	replica.sql(t, "STOP SLAVE", "CHANGE MASTER TO MASTER_DELAY=0", "START SLAVE")
	awaitView(t, replica.asked(t), "the replica to catch up", healthy)
}

func mariaDBReadOnly(t *testing.T, primary, replica *mariaDB) {
	primary.sql(t, "SET GLOBAL read_only=1")
	check(t, probe(t, primary.asked(t, roleWanted("primary"))), upWith(middleware.NotWritable), roleIs("primary"), writableIs(state.False))
	primary.sql(t, "SET GLOBAL read_only=0")
	replica.sql(t, "SET GLOBAL read_only=0")
	check(t, probe(t, replica.asked(t)), upWith(middleware.RoleConflict), roleIs("replica"), writableIs(state.True))
	check(t, probe(t, replica.asked(t, option("writable_replica", "true"))), healthy)
	replica.sql(t, "SET GLOBAL read_only=1")
}

// 1040 is not "down": somebody has to raise a limit or to close connections.
func mariaDBFull(t *testing.T, primary *mariaDB) {
	primary.sql(t, "SET GLOBAL max_connections=10")
	release := occupy(t, primary.address, 20, "") // each counts before it has logged in
	check(t, probe(t, primary.asked(t)), down(middleware.Saturated, "1040"))
	release()
	awaitView(t, primary.asked(t), "connections to be free", healthy)
	check(t, probe(t, primary.asked(t)), tellsBetween("fact{rejected_connections}", 1, unlimited))
	primary.sql(t, "SET GLOBAL max_connections=151")
}

func mariaDBPrimaryKilled(t *testing.T, primary, replica, both *mariaDB) {
	primary.Kill()
	check(t, probe(t, primary.asked(t)), down(middleware.Refused, ""))
	for _, m := range []*mariaDB{replica, both} {
		view := awaitView(t, m.asked(t), "the loss to be told", unhealthy(middleware.ReplicationBroken, "the receiving thread says Connecting"))
		check(t, view, upWith(middleware.ReplicationBroken), linkIs(state.False), tellsNot(replicationLag), unknown(middleware.Unsupported, replicationLag))
	}
	checkGroup(t, asGroup(t, primary, replica, both), upWith(middleware.NoLeader, middleware.MembersMissing), tells("members{healthy}", 2))
}
