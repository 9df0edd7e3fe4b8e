// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"context"
	"fmt"
	"net"
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
	certificate, key   string
}

// newMariaDB makes the files of a server, with accounts: root of its socket, monitor as the documentation has it, plain without privileges.
func newMariaDB(t *testing.T, id int, authority *pki) *mariaDB {
	t.Helper()
	m := &mariaDB{dir: serverDir(t, "mysql"), id: id}
	m.address, m.port = freeAddress(t)
	m.socket = filepath.Join(m.dir, "s")
	m.certificate, m.key = authority.issue("mariadb"+strconv.Itoa(id), "mysql")
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
		"--ssl-cert="+m.certificate, "--ssl-key="+m.key)
	m.Daemon = run(t, command[0], command[1:]...)
	await(t, "MariaDB to answer", func(ctx context.Context) error {
		if err := m.Ended(); err != nil {
			return err
		}
		_, err := m.ask(ctx, "SELECT 1")
		return err
	})
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
func startMariaDB(t *testing.T, id int, authority *pki) *mariaDB {
	t.Helper()
	m := newMariaDB(t, id, authority)
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
func (m *mariaDB) asked(t *testing.T, with ...func(*middleware.Target)) *middleware.Target {
	t.Helper()
	return target(t, "mysql", m.address, append([]func(*middleware.Target){as("monitor", "monitor-secret")}, with...)...)
}

const replicationLag = "replication_lag_seconds"

// TestMariaDB goes from one server to a primary with its replica and a replica of both, breaks what can break and mends it again.
func TestMariaDB(t *testing.T) {
	t.Parallel()
	authority := newPKI(t, "mysql")
	primary, replica, both := startMariaDB(t, 1, authority), startMariaDB(t, 2, authority), startMariaDB(t, 3, authority)
	t.Run("alone", func(t *testing.T) { mariaDBAlone(t, primary, authority) })
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
	t.Run("hung", func(t *testing.T) {
		stopped(t, primary.Daemon)
		check(t, probe(t, primary.asked(t, answerWithin(time.Second))), onlyProblems(middleware.Timeout))
	})
	t.Run("primary killed", func(t *testing.T) { mariaDBPrimaryKilled(t, primary, replica, both) })
	primary.start(t)
	for _, m := range []*mariaDB{replica, both} {
		awaitView(t, m.asked(t), "the replica to be connected again", healthy)
	}
	t.Run("replication forgotten", func(t *testing.T) {
		both.sql(t, "STOP ALL SLAVES", "RESET SLAVE 'one' ALL", "RESET SLAVE 'two' ALL")
		check(t, probe(t, both.asked(t, roleWanted("replica"))), onlyProblems(middleware.RoleConflict, middleware.NotWritable), roleIs("standalone"))
	})
}

func mariaDBAlone(t *testing.T, m *mariaDB, authority *pki) {
	check(t, probe(t, m.asked(t)), healthy, roleIs("standalone"), writableIs(state.True), linkIs(state.Absent),
		told("saturation", "connections", func(share float64) bool { return share < 0.1 }), told("fact", "rejected_connections", exactly(0)))
	if lost := m.sql(t, "SHOW GLOBAL STATUS LIKE 'Aborted_clients'"); lost != "Aborted_clients\t0" {
		t.Errorf("the server takes a probe for a client that was lost: %s", lost)
	}
	check(t, probe(t, m.asked(t, roleWanted("replica"))), onlyProblems(middleware.RoleConflict))
	check(t, probe(t, m.asked(t, as("monitor", "wrong-secret"))), onlyProblems(middleware.Auth), unhealthy(middleware.Auth, "1045"))
	check(t, probe(t, target(t, "mysql", m.address)), onlyProblems(middleware.Auth))
	check(t, probe(t, m.asked(t, withTLS(authority.CA))), healthy, verified)
	check(t, probe(t, m.asked(t, as("guarded", "guarded-secret"), withTLS(authority.CA))), healthy, verified)
	check(t, probe(t, m.asked(t, as("guarded", "guarded-secret"))), onlyProblems(middleware.Auth))
	check(t, probe(t, m.asked(t, withTLS(newPKI(t, "mysql").CA))), onlyProblems(middleware.CertInvalid))
	foreign(t, m.address, "postgres", "redis", "zookeeper", "etcd", "rabbitmq")
}

func mariaDBReplicas(t *testing.T, primary, replica, both *mariaDB) {
	for _, m := range []*mariaDB{replica, both} {
		awaitView(t, m.asked(t, roleWanted("replica")), "the replica to follow", healthy)
		check(t, probe(t, m.asked(t)), roleIs("replica"), linkIs(state.True), writableIs(state.False), lagKnown(true))
	}
	check(t, probe(t, both.asked(t)), told("fact", "replication_channels", exactly(2)), told("fact", "replication_channels_broken", exactly(0)))
	awaitView(t, primary.asked(t), "the primary to know its replicas", roleIs("primary"))
	check(t, probe(t, primary.asked(t)), healthy, writableIs(state.True))
	check(t, asGroup(t, primary.asked(t, grouped), replica.asked(t, grouped), both.asked(t, grouped)), healthy)
	check(t, asGroup(t, replica.asked(t, grouped), both.asked(t, grouped)), onlyProblems(middleware.NoLeader))
}

// An account without SLAVE MONITOR must not make a replica look like a server by itself.
func mariaDBAccounts(t *testing.T, replica *mariaDB) {
	for _, account := range []string{"plain", "binlog"} {
		check(t, probe(t, replica.asked(t, as(account, account+"-secret"))), onlyProblems(middleware.Permission), roleIs("unknown"), linkIs(state.Absent),
			lagKnown(false), unknownIs(middleware.NoPermission, "replication_link_up", replicationLag))
	}
}

func mariaDBApplyingBroken(t *testing.T, primary, replica *mariaDB) {
	awaitView(t, replica.asked(t), "the replica to be whole", healthy)
	replica.sql(t, "SET sql_log_bin=0", "DROP TABLE shop.orders")
	primary.sql(t, "INSERT INTO shop.orders VALUES (4711)")
	view := awaitView(t, replica.asked(t, lagLimit(time.Second)), "the error to be told", unhealthy(middleware.ReplicationBroken, "the applying thread says No"))
	check(t, view, onlyProblems(middleware.ReplicationBroken), linkIs(state.False), lagKnown(false), unknownIs(middleware.Unsupported, replicationLag))
	if strings.Contains(describe(view), "4711") {
		t.Errorf("it shows what users write: %s", describe(view))
	}
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
	check(t, view, onlyProblems(middleware.ReplicationBroken), linkIs(state.False), lagKnown(false), told("fact", "replication_channels", exactly(2)),
		told("fact", "replication_channels_broken", exactly(1)))
	both.sql(t, "SET sql_log_bin=0", "CREATE TABLE own.orders (id INT)", "START SLAVE 'two'")
	awaitView(t, both.asked(t), "the replica to be whole again", healthy)
	both.sql(t, "STOP SLAVE 'one'")
	check(t, probe(t, both.asked(t)), onlyProblems(middleware.ReplicationBroken), unhealthy(middleware.ReplicationBroken, "channel one: the receiving thread says No"))
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
	check(t, view, onlyProblems(middleware.ReplicationLagging), linkIs(state.True), lagKnown(true))
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
	check(t, probe(t, replica.asked(t, lagLimit(time.Second))), healthy, lagKnown(true))
	replica.sql(t, "STOP SLAVE", "CHANGE MASTER TO MASTER_DELAY=0", "START SLAVE")
	awaitView(t, replica.asked(t), "the replica to catch up", healthy)
}

func mariaDBReadOnly(t *testing.T, primary, replica *mariaDB) {
	primary.sql(t, "SET GLOBAL read_only=1")
	check(t, probe(t, primary.asked(t, roleWanted("primary"))), onlyProblems(middleware.NotWritable), roleIs("primary"), writableIs(state.False))
	primary.sql(t, "SET GLOBAL read_only=0")
	replica.sql(t, "SET GLOBAL read_only=0")
	check(t, probe(t, replica.asked(t)), onlyProblems(middleware.RoleConflict), roleIs("replica"), writableIs(state.True))
	check(t, probe(t, replica.asked(t, option("writable_replica", "true"))), healthy)
	replica.sql(t, "SET GLOBAL read_only=1")
}

// 1040 is not "down": somebody has to raise a limit or to close connections.
func mariaDBFull(t *testing.T, primary *mariaDB) {
	primary.sql(t, "SET GLOBAL max_connections=10")
	var held []net.Conn
	for range 20 { // each counts before it has logged in
		conn, err := net.Dial("tcp", primary.address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		held = append(held, conn)
	}
	check(t, probe(t, primary.asked(t)), onlyProblems(middleware.Saturated), unhealthy(middleware.Saturated, "1040"))
	for _, conn := range held {
		conn.Close()
	}
	awaitView(t, primary.asked(t), "connections to be free", healthy)
	check(t, probe(t, primary.asked(t)), told("fact", "rejected_connections", func(n float64) bool { return n > 0 }))
	primary.sql(t, "SET GLOBAL max_connections=151")
}

func mariaDBPrimaryKilled(t *testing.T, primary, replica, both *mariaDB) {
	primary.Kill()
	check(t, probe(t, primary.asked(t)), onlyProblems(middleware.Refused))
	for _, m := range []*mariaDB{replica, both} {
		view := awaitView(t, m.asked(t), "the loss to be told", unhealthy(middleware.ReplicationBroken, "the receiving thread says Connecting"))
		check(t, view, onlyProblems(middleware.ReplicationBroken), linkIs(state.False), lagKnown(false), unknownIs(middleware.Unsupported, replicationLag))
	}
	check(t, asGroup(t, primary.asked(t, grouped), replica.asked(t, grouped), both.asked(t, grouped)), unhealthy(middleware.NoLeader, "no member that answers"))
}
