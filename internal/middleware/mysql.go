// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// mysqlKind asks MySQL, MariaDB and what speaks their protocol. What a server can tell is tried, not guessed from its version.
func mysqlKind() Kind {
	return Kind{
		Name: "mysql",
		Help: "MySQL, MariaDB, Galera, group replication, and cloud databases and proxies that speak their protocol (RDS, PolarDB, DRDS). An " +
			"account needs REPLICATION CLIENT (MariaDB: SLAVE MONITOR) and, for group replication, SELECT on performance_schema.replication_group_members.",
		Port: "3306",
		Options: []Option{
			{Name: "proxy", Type: Flag, Help: "it is a proxy in front of several servers (DRDS, PolarDB-X, ProxySQL, dble): variables and replication are those of any " +
				"of them and are not judged; proxies that tell what they are are found out"},
			{Name: "database", Type: Text, Help: "the database to log in to, without which some proxies answer nothing"},
			{Name: "writable_replica", Type: Flag, Help: "a replica may take writes, as two primaries that replicate each other do"},
		},
		Facts: []string{
			"role", "writable", "replication_link_up", "replication_lag_seconds", "members{healthy}", "members_expected", "saturation_ratio{connections}",
			"fact{replication_channels}", "fact{replication_channels_broken}", "fact{rejected_connections}", "fact{datasources}", "saturation_ratio{backend_connections}",
		},
		Verified: Verification{
			Live: []string{"MariaDB 10.11: a server alone, a primary with replicas, a replica of two sources, with and without TLS"},
			Fake: []string{"MySQL 8.4 with and without group replication, Galera, DRDS and PolarDB: a fake of the protocol with answers in their shape"},
		},
		Probe:    probeMySQL,
		Together: onePrimary,
	}
}

// mysqlProbe is one asking of one server.
type mysqlProbe struct {
	*Probe
	conn      *mysqlConn
	variables map[string]string
	status    map[string]string
	mariadb   bool
	// Why there are no variables or no status; empty when there are.
	whyNoVariables, whyNoStatus Why
}

func probeMySQL(ctx context.Context, p *Probe) error {
	c, err := p.dialMySQL(ctx)
	if err != nil {
		return err
	}
	defer c.quit()
	_, err = c.query("SELECT 1")
	var said *sqlError
	if err != nil && !(errors.As(err, &said) && said.code == 1047) { // a Galera node without quorum answers SHOW only
		return c.cannotAnswer(err)
	}
	p.Up()
	m := mysqlProbe{Probe: p, conn: c, mariadb: strings.Contains(strings.ToLower(c.version), "mariadb")}
	if p.OptionFlag("proxy") || c.isProxy() {
		return m.tellProxy()
	}
	if m.variables, m.whyNoVariables, err = m.named("SHOW GLOBAL VARIABLES", "read_only", "super_read_only", "innodb_read_only", "max_connections", "wsrep_on",
		"group_replication_group_name", "server_uuid"); err != nil {
		return err
	}
	if m.status, m.whyNoStatus, err = m.named("SHOW GLOBAL STATUS", "Threads_connected", "Connection_errors_max_connections", "Slaves_connected", "wsrep_cluster_status",
		"wsrep_ready", "wsrep_local_state_comment", "wsrep_cluster_size"); err != nil {
		return err
	}
	m.tellLoad()
	return m.tellRole()
}

// whySQL tells why a server refused a statement; said is false when it did not, or when the connection broke.
func whySQL(err error) (why Why, said bool) {
	var e *sqlError
	if !errors.As(err, &e) {
		return "", false
	}
	switch e.reason() {
	case Permission, Auth:
		return NoPermission, true
	}
	return Unsupported, true
}

// named asks for a few variables by their names; a server that refuses tells none of them, and why says why.
func (m *mysqlProbe) named(statement string, names ...string) (values map[string]string, why Why, err error) {
	rows, err := m.conn.query(fmt.Sprintf("%s WHERE Variable_name IN ('%s')", statement, strings.Join(names, "','")))
	if why, said := whySQL(err); said {
		return nil, why, nil
	}
	if err != nil {
		return nil, "", err
	}
	values = map[string]string{}
	for _, row := range rows {
		values[strings.ToLower(row["variable_name"])] = row["value"]
	}
	return values, "", nil
}

func (m *mysqlProbe) number(of map[string]string, name string) (float64, bool) {
	n, err := strconv.ParseFloat(of[name], 64)
	return n, err == nil && finite(n)
}

func (m *mysqlProbe) tellLoad() {
	connected, ok := m.number(m.status, "threads_connected")
	limit, okToo := m.number(m.variables, "max_connections")
	if ok && okToo {
		m.Saturation("connections", max(0, connected-1), limit) // one is ours
	} else {
		m.Unknown("saturation_ratio{connections}", cmp.Or(m.whyNoStatus, m.whyNoVariables, Unsupported))
	}
	if n, ok := m.number(m.status, "connection_errors_max_connections"); ok {
		m.Fact("rejected_connections", n)
	} else {
		m.Unknown("fact{rejected_connections}", cmp.Or(m.whyNoStatus, Unsupported))
	}
}

// tellRole finds out what the server is to others, and judges it by that.
func (m *mysqlProbe) tellRole() error {
	channels, known, err := m.channels()
	if err != nil {
		return err
	}
	role := "standalone"
	connected, _ := m.number(m.status, "slaves_connected")
	switch {
	case len(channels) > 0, on(m.variables["innodb_read_only"]): // a reader of shared storage, as Aurora and PolarDB have it
		role = "replica"
	case !known:
		role = "unknown"
	case connected > 0, m.Target.Group != "", m.Target.Limits.Role == "primary":
		role = "primary"
	}
	if len(channels) > 0 {
		m.tellChannels(channels)
	} else if role == "replica" {
		m.channelsUnknown(Unsupported)
	}
	takes := true
	switch {
	case on(m.variables["wsrep_on"]):
		takes = m.tellGalera()
		if role != "replica" {
			role = "primary"
		}
	case m.variables["group_replication_group_name"] != "":
		if role, err = m.tellGroup(role); err != nil {
			return err
		}
	}
	m.Role(role)
	m.tellWritable(role, takes)
	return nil
}

func on(value string) bool {
	return value != "" && value != "0" && !strings.EqualFold(value, "off")
}

// tellWritable holds the role against read_only: a primary must take writes, a replica must not.
func (m *mysqlProbe) tellWritable(role string, takes bool) {
	readOnly, ok := m.variables["read_only"]
	switch locked := on(readOnly) || on(m.variables["super_read_only"]) || on(m.variables["innodb_read_only"]); {
	case !ok:
		m.Unknown("writable", cmp.Or(m.whyNoVariables, Unsupported))
	case locked && (role == "primary" || role == "standalone"):
		m.Writable(false)
		m.Problem(NotWritable, "it is %s and read_only", role)
	case locked:
		m.Writable(false)
	case !takes:
		m.Writable(false)
		m.Problem(NotWritable, "the node of the cluster takes no statements")
	default:
		m.Writable(true)
		if role == "replica" && !m.OptionFlag("writable_replica") {
			m.Problem(RoleConflict, "it is a replica and not read_only: it takes writes of its own")
		}
	}
}
