// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"errors"
	"strconv"
	"strings"
)

// isProxy recognises proxies by the version they show.
func (c *mysqlConn) isProxy() bool {
	version := strings.ToLower(c.version)
	for _, mark := range []string{"tddl", "drds", "polardb-x", "polarx", "dble", "proxysql", "mycat", "shardingsphere"} {
		if strings.Contains(version, mark) {
			return true
		}
	}
	return false
}

// cannotAnswer says what it means that the simplest of all queries fails: for a proxy, that it has nobody to ask.
func (c *mysqlConn) cannotAnswer(err error) error {
	var said *sqlError
	switch {
	case !errors.As(err, &said):
	case said.code == 1046, said.code == 4618: // of MySQL, and of DRDS and PolarDB-X
		return fail(Mismatch, "it answers within a database only: name one by the option database: %w", err)
	case said.reason() == Protocol && (c.isProxy() || c.p.OptionFlag("proxy")):
		return &reasoned{Unavailable, err}
	}
	return err
}

// tellProxy asks for no more than what a proxy tells of itself and of the servers behind it. Each statement is tried, and one that is
// refused leaves what it would have told unknown: which proxy of which version knows which cannot be told in advance.
func (m *mysqlProbe) tellProxy() error {
	for _, fact := range []string{"role", "writable", "replication_link_up", "replication_lag_seconds", "saturation_ratio{connections}",
		"fact{replication_channels}", "fact{replication_channels_broken}", "fact{rejected_connections}"} {
		m.Unknown(fact, Unsupported)
	}
	for _, ask := range []struct {
		statement string
		tell      func([]sqlRow) bool
		facts     []string
	}{
		{"SHOW DATASOURCES", m.tellDatasources, []string{"fact{datasources}", "saturation_ratio{backend_connections}"}},
		{"SHOW STORAGE", m.tellStorage, []string{"members{healthy}", "members_expected"}},
	} {
		rows, err := m.conn.query(ask.statement)
		why, said := whySQL(err)
		switch {
		case err != nil && !said:
			return err
		case err == nil && !ask.tell(rows):
			why = Unsupported // a statement of the same name that tells something else
		}
		if why != "" {
			for _, fact := range ask.facts {
				m.Unknown(fact, why)
			}
		}
	}
	return nil
}

// tellDatasources tells of the connections that DRDS and PolarDB-X keep to the databases behind them: how many pools there are, and how
// far the fullest is used.
func (m *mysqlProbe) tellDatasources(rows []sqlRow) bool {
	fullest, limited := 0.0, false
	for _, row := range rows {
		active, err1 := strconv.ParseFloat(row["active_count"], 64)
		limit, err2 := strconv.ParseFloat(row["max"], 64)
		if err1 == nil && err2 == nil && limit > 0 {
			fullest, limited = max(fullest, active/limit), true
		}
	}
	m.Fact("datasources", float64(len(rows)))
	if limited {
		m.Saturation("backend_connections", fullest, 1)
	} else {
		m.Unknown("saturation_ratio{backend_connections}", Unsupported)
	}
	return true
}

// tellStorage tells which storage nodes of PolarDB-X have a leader that answers. One without is data that nobody can read; of a copy for
// reading it is a member that is missing.
func (m *mysqlProbe) tellStorage(rows []sqlRow) bool {
	if len(rows) == 0 || rows[0]["is_healthy"] == "" {
		return false
	}
	healthy := 0
	for _, row := range rows {
		if strings.EqualFold(row["is_healthy"], "true") {
			healthy++
		} else if kind := row["inst_kind"]; kind != "SLAVE" {
			m.Problem(Degraded, "storage %s (%s) has no leader that answers", row["storage_inst_id"], kind)
		}
	}
	m.membership(healthy, len(rows))
	return true
}
