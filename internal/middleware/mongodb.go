// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"context"
	"fmt"
	"time"

	"stability-exporter/internal/state"
)

// mongodbKind asks one server, never those that it names: a member that has lost the others still answers, and that is what to tell.
func mongodbKind() Kind {
	return Kind{
		Name: "mongodb",
		Help: "MongoDB from 3.6 on: a member of a replica set, an arbiter, a server by itself or mongos. What it is and whether it knows a primary is " +
			"told without a login; the rest needs an account with the role clusterMonitor (SCRAM-SHA-256 or SCRAM-SHA-1). Arbiters have no accounts.",
		Port: "27017",
		Options: []Option{
			{Name: "auth_database", Type: Text, Default: "admin", Help: "the database that the account belongs to"},
			{Name: "min_oplog_window", Type: Duration, Help: "an oplog that reaches back less far is an alarm, as in a set that was just made; without it none is raised"},
		},
		Facts: []string{
			"role", "writable", "replication_link_up", "replication_lag_seconds", "members{healthy}", "members_expected", "saturation_ratio{connections}",
			"alarm{oplog_window}", "fact{oplog_window_seconds}", "fact{shards}",
		},
		Verified: Verification{Fake: []string{
			"all of it, against a fake of the protocol with answers in the shape of the documentation of MongoDB 7.0; the logins of both kinds, and servers that only pretend to know the password",
		}},
		Probe:    probeMongoDB,
		Together: replicaSet,
	}
}

// mongoProbe is one asking of one server.
type mongoProbe struct {
	*Probe
	conn  *mongoConn
	hello bson
}

func probeMongoDB(ctx context.Context, p *Probe) error {
	username, password, _, err := p.Login()
	if err != nil {
		return err
	}
	database := p.Option("auth_database")
	conn, hello, err := p.dialMongo(ctx, database, username)
	if err != nil {
		return err
	}
	defer conn.Close()
	m := mongoProbe{p, conn, hello}
	if !m.is("isWritablePrimary") && !m.is("ismaster") && !hello.get("maxWireVersion").present() {
		return fail(Protocol, "the answer is not MongoDB's")
	}
	if username != "" && !m.is("arbiterOnly") {
		if err := conn.login(hello, database, username, password); err != nil {
			return err
		}
	}
	p.Up()
	switch {
	case hello.get("msg").text() == "isdbgrid":
		return m.tellRouter(ctx)
	case hello.get("setName").text() == "" && !m.is("isreplicaset"):
		return m.tellStandalone(ctx)
	}
	return m.tellMember(ctx)
}

func (m *mongoProbe) is(name string) bool { return m.hello.get(name).truth() }

// primary reports whether the server takes writes, in the words of before and after MongoDB 5.
func (m *mongoProbe) primary() bool { return m.is("isWritablePrimary") || m.is("ismaster") }

// tellRouter tells of mongos, which keeps nothing and so has no role; the shards it reads from the config servers.
func (m *mongoProbe) tellRouter(ctx context.Context) error {
	for _, fact := range []string{"role", "writable"} {
		m.Unknown(fact, Unsupported)
	}
	if err := m.tellServer(ctx, false); err != nil {
		return err
	}
	shards, err := m.conn.ask(ctx, bsonField{"listShards", int32(1)})
	why, said := whyMongo(err)
	switch {
	case err == nil:
		m.Fact("shards", float64(len(shards.get("shards").list())))
		return nil
	case !said:
		return err
	}
	m.Unknown("fact{shards}", why)
	if why != NoPermission {
		m.Problem(Unavailable, "the config servers do not tell the shards: %v", err)
	}
	return nil
}

func (m *mongoProbe) tellStandalone(ctx context.Context) error {
	m.Role("standalone")
	writable := m.primary() && !m.is("readOnly")
	m.Writable(writable)
	if !writable {
		m.Problem(NotWritable, "it takes no writes")
	}
	return m.tellServer(ctx, false)
}

// tellMember tells of a member of a replica set: first what it tells everybody, then what it tells a monitor.
func (m *mongoProbe) tellMember(ctx context.Context) error {
	role := "unknown"
	switch {
	case m.is("arbiterOnly"):
		role = "arbiter"
	case m.primary():
		role = "primary"
	case m.is("secondary"):
		role = "replica"
	}
	m.Role(role)
	if role == "arbiter" {
		m.Unknown("writable", Unsupported)
	} else {
		m.Writable(role == "primary")
	}
	if m.is("isreplicaset") {
		m.Problem(Loading, "it belongs to no replica set yet, or not any more: %s", m.hello.get("info").text())
		for _, fact := range []string{"members{healthy}", "members_expected"} {
			m.Unknown(fact, WarmingUp)
		}
		return m.tellServer(ctx, false)
	}
	if m.hello.get("primary").text() == "" && role != "primary" {
		m.Problem(NoLeader, "it knows no primary: the set takes no writes")
	}
	status, err := m.conn.ask(ctx, bsonField{"replSetGetStatus", int32(1)})
	why, said := whyMongo(err)
	switch {
	case err == nil:
		m.tellSet(role, status)
	case !said:
		return fmt.Errorf("the state of the set: %w", err)
	default:
		m.tellSetFromHello(role, why)
	}
	return m.tellServer(ctx, role != "arbiter")
}

// tellSetFromHello tells what is known of a set whose status may not be asked. Hidden members are not in it, so that the number of
// members is known only when it is configured.
func (m *mongoProbe) tellSetFromHello(role string, why Why) {
	m.Unknown("members{healthy}", why)
	if expected := m.Target.Limits.ExpectedMembers; expected > 0 {
		m.Expected(expected)
	} else {
		m.Unknown("members_expected", why)
	}
	if role == "replica" {
		m.Unknown("replication_link_up", why)
		m.Unknown("replication_lag_seconds", why)
	}
	if role == "unknown" {
		m.Problem(Unavailable, "it is neither primary, secondary nor arbiter: it starts, recovers or rolls back")
	}
	if why == NoPermission && m.Target.Credential != nil && role != "arbiter" {
		m.Problem(Permission, "the state of the set may not be asked: grant clusterMonitor")
	}
}

// tellServer tells how many connections there are and how far back the oplog reaches.
func (m *mongoProbe) tellServer(ctx context.Context, withOplog bool) error {
	fields := []bsonField{{"serverStatus", int32(1)}, {"oplog", withOplog}}
	for _, section := range []string{"metrics", "wiredTiger", "tcmalloc", "locks", "opLatencies", "transactions", "flowControl", "repl"} {
		fields = append(fields, bsonField{section, false}) // long, and not looked at
	}
	status, err := m.conn.ask(ctx, fields...)
	why, said := whyMongo(err)
	switch {
	case err != nil && !said:
		return fmt.Errorf("the state of the server: %w", err)
	case err == nil:
		why = Unsupported
	}
	current, ok := status.get("connections", "current").number()
	available, okToo := status.get("connections", "available").number()
	if ok && okToo && current >= 0 && available >= 0 {
		m.Saturation("connections", max(0, current-1), current+available) // one is ours
	} else {
		m.Unknown("saturation_ratio{connections}", why)
	}
	if withOplog {
		m.tellOplog(status, why)
	}
	return nil
}

// tellOplog tells for how long a member may be away and still catch up.
func (m *mongoProbe) tellOplog(status bson, why Why) {
	first, last := status.get("oplog", "earliestOptime"), status.get("oplog", "latestOptime")
	from, to := mongoOptime(first), mongoOptime(last)
	wanted := m.OptionDuration("min_oplog_window")
	if from == 0 || to < from {
		m.Unknown("fact{oplog_window_seconds}", why)
		if wanted > 0 {
			m.Unknown("alarm{oplog_window}", why)
		} else {
			m.Unknown("alarm{oplog_window}", NotConfigured)
		}
		return
	}
	m.Fact("oplog_window_seconds", to-from)
	if wanted > 0 {
		m.Alarm("oplog_window", time.Duration((to-from)*float64(time.Second)) < wanted)
	} else {
		m.Unknown("alarm{oplog_window}", NotConfigured)
	}
}

// mongoOptime returns the time of an operation in Unix seconds, which is written as a timestamp or as a document that holds one.
func mongoOptime(v bsonValue) float64 {
	if within := v.document(); within != nil {
		v = within.get("ts")
	}
	return v.seconds()
}

// replicaSet judges members of a set, which elect their primary, or routers, which have nothing to elect. That there is a majority is what
// the members tell themselves: those that we do not reach may well reach each other.
func replicaSet(members []*state.MiddlewareView, group *Recorder) {
	routers, answering, serving, primaries := 0, 0, 0, 0
	for _, m := range members {
		if !m.Up {
			continue
		}
		answering++
		switch m.Role {
		case "": // mongos
			routers++
		case "primary", "standalone":
			serving, primaries = serving+1, primaries+1
		case "replica", "arbiter":
			serving++
		}
	}
	if routers > 0 {
		return
	}
	expected := electors(members)
	group.Members("healthy", serving)
	group.Expected(expected)
	switch {
	case primaries > 1:
		group.Problem(RoleConflict, "%d members say that they are the primary", primaries)
	case primaries == 0 && answering >= expected:
		group.Problem(NoLeader, "no member is the primary")
	}
}
