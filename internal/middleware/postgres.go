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
			{Name: "max_silence", Type: Duration, Help: "from how long a standby that hears nothing of its primary counts as cut off; without it, from three " +
				"quarters of its wal_receiver_timeout (45s of the usual 60s): after half of it, it asks whether the primary is there"},
			{Name: "max_retained_wal_bytes", Type: Number, Default: "10737418240", Help: "from how much write-ahead log a slot that nobody uses is an alarm"},
		},
		Facts: []string{
			"role", "writable", "replication_link_up", "replication_lag_seconds", "replication_lag_bytes", "members{synced}", "members{connected}", "members_expected",
			"saturation_ratio{connections}", "saturation_ratio{transaction_ids}", "alarm{wraparound}", "alarm{slot_lost}", "alarm{slot_retains_wal}",
			"alarm{archiver_failing}", "fact{replication_silence_seconds}", "fact{slot_retained_bytes}", "fact{clients_waiting}", "fact{longest_wait_seconds}",
		},
		Verified: Verification{
			Live: []string{"PostgreSQL 15: a server alone, a primary with a standby, a standby fed from an archive, with and without TLS"},
			Fake: []string{"PgBouncer 1.18, and what servers do that hang or are hostile: a fake of the protocol"},
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
