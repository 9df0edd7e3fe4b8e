// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"context"
	"errors"
	"slices"
)

// postgresKind asks PostgreSQL for what its role decides; a standby whose primary is dead has no lag, and no receiver either.
func postgresKind() Kind {
	return Kind{
		Name: "postgres",
		Help: "PostgreSQL from 10 on, primary or standby, and PgBouncer. An account needs the role pg_monitor; PgBouncer wants it in stats_users.",
		Port: "5432",
		Options: []Option{
			{Name: "database", Type: Text, Default: "postgres", Help: "the database to log in to"},
			{Name: "require_auth", Type: Text, Help: "the ways to log in that the server may ask for, as libpq's require_auth; without it, scram-sha-256 and md5, and " +
				"the password itself over verified TLS"},
			{Name: "pgbouncer", Type: Flag, Help: "it is PgBouncer: its own database is asked for clients that wait"},
			{Name: "max_silence", Type: Duration, Default: "45s", Help: "from how long a standby that hears nothing of its primary counts as cut off"},
			{Name: "max_retained_wal_bytes", Type: Number, Default: "10737418240", Help: "from how much write-ahead log a slot that nobody uses is an alarm"},
		},
		Facts: []string{
			"role", "writable", "replication_link_up", "replication_lag_seconds", "replication_lag_bytes", "members{synced}", "members{connected}", "members_expected",
			"saturation_ratio{connections}", "saturation_ratio{transaction_ids}", "alarm{wraparound}", "alarm{slot_lost}", "alarm{slot_retains_wal}",
			"alarm{archiver_failing}", "fact{replication_silence_seconds}", "fact{slot_retained_bytes}", "fact{clients_waiting}", "fact{longest_wait_seconds}",
		},
		Verified: Verification{
			Fake: []string{"all of it, against a fake of the protocol with answers in the shape of PostgreSQL 15 and PgBouncer 1.18"},
		},
		Probe:    probePostgres,
		Together: onePrimary,
	}
}

// pgProbe is one asking of one server.
type pgProbe struct {
	*Probe
	session *pgSession
	monitor bool // may see what pg_monitor may
}

func probePostgres(ctx context.Context, p *Probe) error {
	pooler := p.OptionFlag("pgbouncer")
	database := p.Option("database")
	if pooler {
		database = "pgbouncer"
	}
	session, err := p.dialPostgres(ctx, database)
	if err != nil {
		return err
	}
	defer session.conn.Close(ctx)
	if pooler {
		return tellPools(ctx, p, session)
	}
	base, err := session.one(ctx, `SELECT pg_is_in_recovery()::text, current_setting('max_connections'), current_setting('superuser_reserved_connections'),
coalesce(current_setting('reserved_connections', true), '0'), current_setting('default_transaction_read_only'),
(SELECT bool_or(pg_has_role(oid, 'USAGE'))::text FROM pg_roles WHERE rolname IN ('pg_monitor', 'pg_read_all_stats')),
(SELECT sum(numbackends) FROM pg_stat_database)::text, (SELECT max(age(datfrozenxid)) FROM pg_database)::text`, 8)
	if err != nil {
		return err
	}
	p.Up()
	g := pgProbe{p, session, base.text(5) == "true"}
	g.tellLoad(base)
	if base.text(0) == "true" {
		return g.tellStandby(ctx)
	}
	return g.tellPrimary(ctx, base.text(4) == "on")
}

// maxTransactionIDs is where PostgreSQL stops to take writes, about.
const (
	maxTransactionIDs = 1<<31 - 1
	wraparoundShare   = 0.75
)

func (g pgProbe) tellLoad(base pgRow) {
	limit, ok := base.number(1)
	for _, i := range []int{2, 3} {
		reserved, _ := base.number(i)
		limit -= reserved
	}
	used, okToo := base.number(6)
	if ok && okToo && limit > 0 {
		g.Saturation("connections", max(0, used-1), limit) // one is ours
	} else {
		g.Unknown("saturation_ratio{connections}", Garbled)
	}
	if age, ok := base.number(7); ok {
		g.Saturation("transaction_ids", age, maxTransactionIDs)
		g.Alarm("wraparound", age > wraparoundShare*maxTransactionIDs)
	} else {
		g.Unknown("saturation_ratio{transaction_ids}", Garbled)
		g.Unknown("alarm{wraparound}", Garbled)
	}
}

// tellStandby judges by the receiver of the log: without one nothing comes, and the lag of what had come before is none.
func (g pgProbe) tellStandby(ctx context.Context) error {
	g.Role("replica")
	g.Writable(false)
	rows, _, err := g.session.query(ctx, `SELECT status, extract(epoch FROM now() - last_msg_receipt_time)::text, pg_is_wal_replay_paused()::text,
pg_wal_lsn_diff(greatest(latest_end_lsn, pg_last_wal_receive_lsn()), pg_last_wal_replay_lsn())::text,
CASE WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN '0' ELSE extract(epoch FROM now() - pg_last_xact_replay_timestamp())::text END
FROM pg_stat_wal_receiver`)
	lag := []string{"replication_lag_seconds", "replication_lag_bytes"}
	notRunning := func(detail string, args ...any) error {
		g.LinkUp(false)
		g.Problem(ReplicationBroken, detail, args...)
		for _, fact := range append(lag, "fact{replication_silence_seconds}") {
			g.Unknown(fact, Unsupported)
		}
		return nil
	}
	switch {
	case err != nil:
		return err
	case len(rows) == 0:
		return notRunning("no receiver of the write-ahead log runs: nothing comes from the primary")
	case rows[0].null(0):
		for _, fact := range append(lag, "replication_link_up", "fact{replication_silence_seconds}") {
			g.Unknown(fact, NoPermission)
		}
		g.Problem(Permission, "the receiver of the write-ahead log may not be seen: grant pg_monitor")
		return nil
	case rows[0].text(0) != "streaming":
		return notRunning("the receiver of the write-ahead log is %s", rows[0].text(0))
	}
	row := rows[0]
	silence, heard := row.number(1)
	longest := g.OptionDuration("max_silence")
	if heard {
		g.Fact("replication_silence_seconds", max(0, silence))
	} else {
		g.Unknown("fact{replication_silence_seconds}", Garbled)
	}
	if heard && longest > 0 && silence > longest.Seconds() {
		g.LinkUp(false)
		g.Problem(ReplicationBroken, "nothing heard of the primary for %.0fs", silence)
	} else {
		g.LinkUp(true)
	}
	if row.text(2) == "true" {
		g.Problem(ReplicationBroken, "replay is paused")
	}
	for i, tell := range []func(float64){g.LagBytes, g.LagSeconds} {
		if n, ok := row.number(3 + i); ok {
			tell(max(0, n))
		} else {
			g.Unknown([]string{"replication_lag_bytes", "replication_lag_seconds"}[i], WarmingUp)
		}
	}
	return nil
}

// tellPools asks PgBouncer who waits: that is what it is there to prevent.
func tellPools(ctx context.Context, p *Probe, session *pgSession) error {
	rows, names, err := session.query(ctx, "SHOW POOLS")
	var known *reasoned
	if errors.As(err, &known) && known.reason == Protocol {
		return fail(Mismatch, "it does not answer as PgBouncer: %w", err)
	}
	if err != nil {
		return err
	}
	waiting, longest := slices.Index(names, "cl_waiting"), slices.Index(names, "maxwait")
	if waiting < 0 || longest < 0 {
		return fail(Mismatch, "it does not answer as PgBouncer")
	}
	p.Up()
	clients, seconds := 0.0, 0.0
	for _, row := range rows {
		n, _ := row.number(waiting)
		s, _ := row.number(longest)
		clients, seconds = clients+n, max(seconds, s)
	}
	p.Fact("clients_waiting", clients)
	p.Fact("longest_wait_seconds", seconds)
	if clients > 0 && seconds >= tooLongAWait {
		p.Problem(Saturated, "%.0f clients wait for a connection, for up to %.0fs", clients, seconds)
	}
	return nil
}

// tooLongAWait is from how many seconds on a client of PgBouncer does not merely queue.
const tooLongAWait = 5
