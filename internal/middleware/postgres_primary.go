// SPDX-License-Identifier: Apache-2.0

package middleware

import "context"

// tellPrimary judges a server that is not in recovery: whether commits are taken, who follows, and what keeps old log.
func (g pgProbe) tellPrimary(ctx context.Context, readOnly bool) error {
	row, err := g.session.one(ctx, `SELECT count(*)::text, count(*) FILTER (WHERE state = 'streaming')::text, count(*) FILTER (WHERE state IS NULL)::text,
max(extract(epoch FROM replay_lag))::text, max(pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn))::text,
count(*) FILTER (WHERE sync_state IN ('sync', 'quorum'))::text, current_setting('synchronous_standby_names'), current_setting('synchronous_commit')
FROM pg_stat_replication`, 8)
	if err != nil {
		return err
	}
	connected, _ := row.number(0)
	limits := g.Target.Limits
	if connected > 0 || g.Target.Group != "" || limits.Role == "primary" || limits.ExpectedMembers > 1 {
		g.Role("primary")
	} else {
		g.Role("standalone")
	}
	seen := g.tellFollowers(row)
	followed, _ := row.number(5)
	switch {
	case readOnly:
		g.Writable(false)
		g.Problem(NotWritable, "default_transaction_read_only is on")
	case row.text(6) == "", row.text(7) == "off", row.text(7) == "local", seen && followed > 0:
		g.Writable(true)
	case !seen:
		g.Unknown("writable", NoPermission)
	default:
		g.Writable(false)
		g.Problem(NotWritable, "commits wait for a synchronous standby, and none is there")
	}
	if err := g.tellSlots(ctx); err != nil {
		return err
	}
	return g.tellArchiver(ctx)
}

// tellFollowers tells of the standbys that are connected. It returns whether their states may be seen: without pg_monitor they are NULL.
func (g pgProbe) tellFollowers(row pgRow) (seen bool) {
	connected, _ := row.number(0)
	streaming, _ := row.number(1)
	hidden, _ := row.number(2)
	g.Members("connected", int(connected)+1)
	if hidden > 0 || connected > 0 && !g.monitor {
		for _, fact := range []string{"members{synced}", "replication_lag_seconds", "replication_lag_bytes"} {
			g.Unknown(fact, NoPermission)
		}
		streaming = connected - hidden
	} else {
		seen = true
		g.Members("synced", int(streaming)+1)
		if bytes, ok := row.number(4); ok {
			g.LagBytes(max(0, bytes))
		}
		if seconds, ok := row.number(3); ok {
			g.LagSeconds(max(0, seconds))
		} else if streaming > 0 {
			g.LagSeconds(0) // NULL while nothing is written and everything is replayed
		}
	}
	if expected := g.Target.Limits.ExpectedMembers; expected > 0 {
		g.Expected(expected)
		if seen && int(streaming)+1 < expected {
			g.Problem(MembersMissing, "%d of %d members are there: the primary and %d standbys that stream", int(streaming)+1, expected, int(streaming))
		}
	}
	return seen
}

// tellSlots judges replication slots: one that nobody uses keeps log until the disk is full.
func (g pgProbe) tellSlots(ctx context.Context) error {
	rows, _, err := g.session.query(ctx, `SELECT s.slot_name, s.active::text, to_jsonb(s)->>'wal_status', pg_wal_lsn_diff(pg_current_wal_lsn(), s.restart_lsn)::text
FROM pg_replication_slots s`)
	if err != nil {
		return g.unseen(err, "alarm{slot_lost}", "alarm{slot_retains_wal}", "fact{slot_retained_bytes}")
	}
	lost, retained, idle := "", 0.0, ""
	for _, row := range rows {
		if status := row.text(2); status == "lost" || status == "unreserved" {
			lost = row.text(0)
		}
		if n, ok := row.number(3); ok && n > retained && row.text(1) == "false" {
			retained, idle = n, row.text(0)
		}
	}
	tooMuch := g.OptionNumber("max_retained_wal_bytes")
	g.Fact("slot_retained_bytes", retained)
	if lost != "" {
		g.Problem(Alarm, "slot %s has lost log that its standby needs, or is about to", lost)
	}
	g.Alarm("slot_lost", lost != "")
	retains := tooMuch > 0 && retained > tooMuch
	if retains {
		g.Problem(Alarm, "slot %s keeps %.0f bytes of log and nobody uses it", idle, retained)
	}
	g.Alarm("slot_retains_wal", retains)
	return nil
}

func (g pgProbe) tellArchiver(ctx context.Context) error {
	row, err := g.session.one(ctx, `SELECT current_setting('archive_mode'), (last_failed_time > coalesce(last_archived_time, '-infinity'))::text FROM pg_stat_archiver`, 2)
	switch {
	case err != nil:
		return g.unseen(err, "alarm{archiver_failing}")
	case row.text(0) != "off":
		g.Alarm("archiver_failing", row.text(1) == "true")
	}
	return nil
}

// unseen turns a refusal of the server into unknown facts; what broke the connection stays an error.
func (g pgProbe) unseen(err error, facts ...string) error {
	why := Unsupported
	switch reasonOf(err) {
	case Permission:
		why = NoPermission
	case Protocol:
	default:
		return err
	}
	for _, fact := range facts {
		g.Unknown(fact, why)
	}
	return nil
}
