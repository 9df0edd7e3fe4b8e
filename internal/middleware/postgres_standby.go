// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"context"
	"time"
)

// tellStandby judges by the receiver of the log: without one nothing comes, and the lag of what had come before is none.
func (g pgProbe) tellStandby(ctx context.Context) error {
	g.Role("replica")
	g.Writable(false)
	rows, _, err := g.session.query(ctx, `SELECT status, extract(epoch FROM now() - last_msg_receipt_time)::text, pg_is_wal_replay_paused()::text,
pg_wal_lsn_diff(greatest(latest_end_lsn, pg_last_wal_receive_lsn()), pg_last_wal_replay_lsn())::text,
CASE WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN '0' ELSE extract(epoch FROM now() - pg_last_xact_replay_timestamp())::text END,
(SELECT setting FROM pg_settings WHERE name = 'wal_receiver_timeout')
FROM pg_stat_wal_receiver`)
	switch {
	case err != nil:
		return err
	case len(rows) == 0:
		return g.tellWithoutReceiver(ctx)
	case rows[0].null(0):
		for _, fact := range standbyFacts() {
			g.Unknown(fact, NoPermission)
		}
		g.Problem(Permission, "the receiver of the write-ahead log may not be seen: grant pg_monitor")
		return nil
	case rows[0].text(0) != "streaming":
		g.notReceiving("the receiver of the write-ahead log is %s", rows[0].text(0))
		return nil
	}
	row := rows[0]
	g.tellSilence(row)
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

// standbyFacts are what only a receiver of the log knows.
func standbyFacts() []string {
	return []string{"replication_link_up", "replication_lag_seconds", "replication_lag_bytes", "fact{replication_silence_seconds}"}
}

func (g pgProbe) notReceiving(detail string, args ...any) {
	g.LinkUp(false)
	g.Problem(ReplicationBroken, detail, args...)
	for _, fact := range standbyFacts()[1:] {
		g.Unknown(fact, Unsupported)
	}
}

// tellWithoutReceiver tells a standby that lost its primary from one that is fed from an archive only and never has a receiver. What that
// one has replayed last is as old as it is behind, or as nothing was written.
func (g pgProbe) tellWithoutReceiver(ctx context.Context) error {
	row, err := g.session.one(ctx, `SELECT (SELECT setting FROM pg_settings WHERE name = 'primary_conninfo'), pg_is_wal_replay_paused()::text,
extract(epoch FROM now() - pg_last_xact_replay_timestamp())::text`, 3)
	if err != nil {
		return err
	}
	if row.null(0) || row.text(0) != "" {
		g.notReceiving("no receiver of the write-ahead log runs: nothing comes from the primary")
		return nil
	}
	if row.text(1) == "true" {
		g.Problem(ReplicationBroken, "replay is paused")
	}
	for _, fact := range []string{"replication_link_up", "replication_lag_bytes", "fact{replication_silence_seconds}"} {
		g.Unknown(fact, Unsupported)
	}
	if seconds, ok := row.number(2); ok {
		g.LagSeconds(max(0, seconds))
	} else {
		g.Unknown("replication_lag_seconds", WarmingUp)
	}
	return nil
}

// tellSilence judges the link by when something came last: a primary that hangs keeps it open.
func (g pgProbe) tellSilence(row pgRow) {
	silence, heard := row.number(1)
	if heard {
		g.Fact("replication_silence_seconds", max(0, silence))
	} else {
		g.Unknown("fact{replication_silence_seconds}", Garbled)
	}
	longest := g.OptionDuration("max_silence")
	if timeout, ok := row.number(5); longest == 0 && ok { // zero: it never asks, and an idle primary says nothing
		longest = time.Duration(timeout) * time.Millisecond / 4 * 3
	}
	if heard && longest > 0 && silence > longest.Seconds() {
		g.LinkUp(false)
		g.Problem(ReplicationBroken, "nothing heard of the primary for %.0fs", silence)
	} else {
		g.LinkUp(true)
	}
}
