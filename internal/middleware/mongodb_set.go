// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"cmp"
	"strings"
)

// The states of a member of a replica set.
const (
	mongoStartup    = 0
	mongoPrimary    = 1
	mongoSecondary  = 2
	mongoRecovering = 3
	mongoStartup2   = 5 // it copies the data of another member
	mongoArbiter    = 7
	mongoRollback   = 9
)

// noopPeriod is how often a primary writes into the oplog when there is nothing to write, in seconds.
const noopPeriod = 10

// mongoMember is a member as one member sees it, at the last heartbeat.
type mongoMember struct {
	state     int
	name      string // of the state
	reachable bool
	itself    bool
	written   float64 // of the last operation, in Unix seconds; zero: not known
	source    string  // from whom it replicates
	said      string  // what it says about its state
}

func mongoMembers(status bson) []mongoMember {
	var members []mongoMember
	for _, value := range status.get("members").list() {
		d := value.document()
		number, _ := d.get("state").number()
		health, known := d.get("health").number()
		m := mongoMember{
			state: int(number), name: d.get("stateStr").text(), itself: d.get("self").truth(), written: d.get("optimeDate").seconds(),
			source: cmp.Or(d.get("syncSourceHost").text(), d.get("syncingTo").text()), said: d.get("infoMessage").text(),
		}
		m.reachable = m.itself || known && health == 1
		if m.written == 0 {
			m.written = mongoOptime(d.get("optime"))
		}
		members = append(members, m)
	}
	return members
}

// serves reports whether a member does what it is there for.
func (m mongoMember) serves() bool {
	return m.reachable && (m.state == mongoPrimary || m.state == mongoSecondary || m.state == mongoArbiter)
}

// votes reports whether a member would answer in an election, if it has a vote.
func (m mongoMember) votes() bool {
	switch m.state {
	case mongoPrimary, mongoSecondary, mongoRecovering, mongoStartup2, mongoArbiter, mongoRollback:
		return m.reachable
	}
	return false
}

// tellSet judges the set as this member sees it.
func (m *mongoProbe) tellSet(role string, status bson) {
	members := mongoMembers(status)
	var itself mongoMember
	serving, voting, newest, led := 0, 0, 0.0, role == "primary"
	for _, member := range members {
		if member.itself {
			itself = member
		}
		if member.serves() {
			serving++
		}
		if member.votes() {
			voting++
		}
		if member.reachable && member.state == mongoPrimary {
			led, newest = true, max(newest, member.written)
		}
	}
	if len(members) == 0 {
		m.Unknown("members{healthy}", Garbled)
		m.Unknown("members_expected", Garbled)
		return
	}
	needed, ok := status.get("majorityVoteCount").number() // from 4.2.1 on; there may be members without a vote
	if !ok {
		needed = float64(len(members)/2 + 1)
	}
	if float64(voting) < needed {
		m.Problem(NoQuorum, "%d members of the set answer, %.0f are needed to elect a primary", voting, needed)
	}
	if !led {
		m.Problem(NoLeader, "no member of the set is the primary")
	}
	m.membership(serving, len(members))
	if itself.state == mongoPrimary && role != "primary" { // it catches up with what its predecessor took, or has stepped down just now
		role = "primary"
		m.Role(role)
		m.Problem(NotWritable, "it is the primary of the set and takes no writes")
	}
	m.tellState(role, itself)
	if role == "replica" {
		m.tellLag(itself, newest, led)
	}
}

// tellState tells of a member that is neither primary, secondary nor arbiter.
func (m *mongoProbe) tellState(role string, itself mongoMember) {
	if role != "unknown" {
		return
	}
	for _, fact := range []string{"replication_link_up", "replication_lag_seconds"} {
		m.Unknown(fact, WarmingUp)
	}
	detail := strings.TrimSpace(itself.name + " " + itself.said)
	switch itself.state {
	case mongoStartup, mongoStartup2:
		m.Problem(Loading, "it starts and serves nothing yet: %s", detail)
	default:
		m.Problem(Degraded, "it does not serve: %s", detail)
	}
}

// tellLag tells how far a secondary is behind the primary, by the operations that both have written. Without a primary nothing tells how
// far that would be.
func (m *mongoProbe) tellLag(itself mongoMember, newest float64, led bool) {
	connected := itself.source != ""
	m.LinkUp(connected && led)
	if !led || newest == 0 || itself.written == 0 {
		m.Unknown("replication_lag_seconds", Unsupported)
		return
	}
	wanted, _ := m.hello.get("secondaryDelaySecs").number()
	if wanted == 0 {
		wanted, _ = m.hello.get("slaveDelay").number()
	}
	lag := max(0, newest-itself.written-max(0, wanted))
	m.LagSeconds(lag)
	// Who is not behind has nobody to replicate from until the primary writes again.
	if !connected && lag > 2*noopPeriod {
		m.Problem(ReplicationBroken, "it replicates from nobody")
	}
}
