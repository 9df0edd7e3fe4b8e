// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"cmp"
	"errors"
	"strconv"
	"strings"
)

// channels asks what the server replicates from; known is false when it may not be asked. MySQL and MariaDB say it by different
// statements, and MySQL 8.4 no longer knows the old ones.
func (m *mysqlProbe) channels() (channels []sqlRow, known bool, err error) {
	statements := []string{"SHOW REPLICA STATUS", "SHOW SLAVE STATUS"}
	if m.mariadb {
		statements = []string{"SHOW ALL SLAVES STATUS", "SHOW SLAVE STATUS"}
	}
	for _, statement := range statements {
		rows, err := m.conn.query(statement)
		why, said := whySQL(err)
		switch {
		case err == nil:
			return ownChannels(rows), true, nil
		case !said:
			return nil, false, err
		case why == NoPermission:
			m.channelsUnknown(NoPermission)
			m.Problem(Permission, "whether it replicates may not be asked: grant REPLICATION CLIENT, with MariaDB SLAVE MONITOR")
			return nil, false, nil
		}
	}
	m.channelsUnknown(Unsupported)
	return nil, false, nil
}

func (m *mysqlProbe) channelsUnknown(why Why) {
	for _, fact := range []string{"replication_link_up", "replication_lag_seconds", "fact{replication_channels}", "fact{replication_channels_broken}"} {
		m.Unknown(fact, why)
	}
}

// ownChannels leaves out the channels that belong to group replication, which is judged by its members.
func ownChannels(rows []sqlRow) []sqlRow {
	var own []sqlRow
	for _, row := range rows {
		if !strings.HasPrefix(row["channel_name"], "group_replication_") {
			own = append(own, row)
		}
	}
	return own
}

// channel is one source that a server replicates from.
type channel struct {
	name      string
	io, sql   string
	lag       float64 // seconds, less those that are wanted
	lagKnown  bool
	lastError string
}

// readChannel reads a row of SHOW REPLICA STATUS in the words of MySQL before and after 8.0.22 or of MariaDB.
func readChannel(row sqlRow) channel {
	c := channel{
		name:      cmp.Or(row["connection_name"], row["channel_name"], "the only one"),
		io:        cmp.Or(row["replica_io_running"], row["slave_io_running"]),
		sql:       cmp.Or(row["replica_sql_running"], row["slave_sql_running"]),
		lastError: cmp.Or(row["last_sql_error"], row["last_io_error"], row["last_error"]),
	}
	behind, err := strconv.ParseFloat(cmp.Or(row["seconds_behind_source"], row["seconds_behind_master"]), 64)
	wanted, _ := strconv.ParseFloat(row["sql_delay"], 64)
	c.lag, c.lagKnown = max(0, behind-wanted), err == nil && finite(behind-wanted)
	return c
}

// broken returns what keeps a channel from running. Its lag says nothing of it: that is NULL then, or stays as it was.
func (c channel) broken() string {
	switch {
	case c.io == "" || c.sql == "":
		return "it does not tell whether it runs"
	case c.io != "Yes":
		return "the receiving thread says " + c.io
	case c.sql != "Yes":
		return "the applying thread says " + c.sql
	}
	return ""
}

// maxErrorText is how much of a replication error is shown: the rest may be statements with values of users.
const maxErrorText = 60

func (m *mysqlProbe) tellChannels(rows []sqlRow) {
	broken, furthest, unknown := 0, 0.0, 0
	for _, row := range rows {
		c := readChannel(row)
		if why := c.broken(); why != "" {
			broken++
			shown := c.lastError[:min(len(c.lastError), maxErrorText)]
			m.Problem(ReplicationBroken, "channel %s: %s %s", c.name, why, shown)
		}
		if !c.lagKnown {
			unknown++
			continue
		}
		furthest = max(furthest, c.lag)
	}
	m.LinkUp(broken == 0)
	m.Fact("replication_channels", float64(len(rows)))
	m.Fact("replication_channels_broken", float64(broken))
	switch {
	case unknown == 0:
		m.LagSeconds(furthest)
	case broken > 0:
		m.Unknown("replication_lag_seconds", Unsupported) // NULL: nothing is being applied
	default:
		m.Unknown("replication_lag_seconds", WarmingUp)
	}
}

// tellGalera judges a node of a Galera cluster and returns whether it takes statements.
func (m *mysqlProbe) tellGalera() bool {
	status, ok := m.status["wsrep_cluster_status"]
	if !ok {
		m.Unknown("members{healthy}", Unsupported)
		m.Problem(Protocol, "it is a node of Galera and does not tell its state")
		return true
	}
	takes := true
	if !strings.EqualFold(status, "Primary") {
		m.Problem(NoQuorum, "its part of the cluster is %s", status)
		takes = false
	}
	if ready, ok := m.status["wsrep_ready"]; ok && !on(ready) {
		takes = false
	}
	switch local := m.status["wsrep_local_state_comment"]; {
	case local == "Synced":
	case strings.HasPrefix(local, "Donor"):
		m.Problem(Degraded, "it feeds another node and is out of step: %s", local)
	case strings.HasPrefix(local, "Join"):
		m.Problem(Loading, "it is joining the cluster: %s", local)
		takes = false
	default:
		m.Problem(Degraded, "it is not in step with the cluster: %s", local)
	}
	if size, ok := m.number(m.status, "wsrep_cluster_size"); ok && size >= 0 && size < 1000 {
		m.membership(int(size), 0)
	} else {
		m.Unknown("members{healthy}", Garbled)
	}
	return takes
}

// tellGroup judges a member of group replication, which still answers when it has lost the others, and returns its role.
func (m *mysqlProbe) tellGroup(role string) (string, error) {
	rows, err := m.conn.query("SELECT MEMBER_ID, MEMBER_STATE, MEMBER_ROLE FROM performance_schema.replication_group_members")
	var said *sqlError
	if errors.As(err, &said) {
		why, _ := whySQL(err)
		m.Unknown("members{healthy}", why)
		m.Problem(Permission, "the members of its group may not be asked: grant SELECT on performance_schema.replication_group_members")
		return role, nil
	}
	if err != nil {
		return role, err
	}
	online, leaders := 0, 0
	for _, row := range rows {
		if row["member_state"] == "ONLINE" {
			online++
			if row["member_role"] == "PRIMARY" {
				leaders++
			}
		}
		if row["member_id"] == m.variables["server_uuid"] {
			role = map[string]string{"PRIMARY": "primary", "SECONDARY": "replica"}[row["member_role"]]
			m.tellMemberState(row["member_state"])
		}
	}
	if 2*online <= len(rows) {
		m.Problem(NoQuorum, "%d of %d members of the group are online", online, len(rows))
	} else if leaders == 0 {
		m.Problem(NoLeader, "no member of the group is the primary")
	}
	m.membership(online, len(rows))
	return cmp.Or(role, "unknown"), nil
}

func (m *mysqlProbe) tellMemberState(state string) {
	switch state {
	case "ONLINE":
	case "RECOVERING":
		m.Problem(Loading, "it is joining the group")
	default:
		m.Problem(Degraded, "as a member of the group it is %s", state)
	}
}
