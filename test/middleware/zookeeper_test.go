// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"stability-exporter/internal/middleware"
	"stability-exporter/internal/state"
	"stability-exporter/test/daemon"
)

// zooKeeper is a member of an ensemble.
type zooKeeper struct {
	*daemon.Daemon
	dir, address, admin string
	settings            []string
}

// newEnsemble makes the files of three members and an observer. The first one allows what is allowed by default, the others all commands.
func newEnsemble(t *testing.T) []*zooKeeper {
	t.Helper()
	members := make([]*zooKeeper, 4)
	var servers []string
	for i := range members {
		_, peers := freeAddress(t)
		_, elections := freeAddress(t)
		servers = append(servers, fmt.Sprintf("server.%d=127.0.0.1:%s:%s", i+1, peers, elections))
	}
	servers[3] += ":observer"
	for i := range members {
		m := &zooKeeper{dir: t.TempDir()}
		var port, adminPort string
		m.address, port = freeAddress(t)
		m.admin, adminPort = freeAddress(t)
		m.settings = append([]string{
			"tickTime=500", "initLimit=20", "syncLimit=4", "dataDir=" + m.dir, "clientPort=" + port, "clientPortAddress=127.0.0.1", "admin.serverPort=" + adminPort,
			"admin.serverAddress=127.0.0.1", "forceSync=no",
		}, servers...)
		if i > 0 {
			m.settings = append(m.settings, "4lw.commands.whitelist=*")
		}
		write(t, m.dir, "myid", fmt.Sprintln(i+1))
		write(t, m.dir, "log4j.properties", "log4j.rootLogger=WARN, out\nlog4j.appender.out=org.apache.log4j.ConsoleAppender\n"+
			"log4j.appender.out.layout=org.apache.log4j.PatternLayout\nlog4j.appender.out.layout.ConversionPattern=%d %p %m%n\n")
		members[i] = m
	}
	return members
}

// start starts the member, with properties of the virtual machine.
func (m *zooKeeper) start(t *testing.T, properties ...string) {
	t.Helper()
	file := write(t, m.dir, "zoo.cfg", strings.Join(m.settings, "\n")+"\n")
	machine := append(properties, "-Xmx64m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", m.dir+":/usr/share/java/zookeeper.jar:/usr/share/java/slf4j-log4j12.jar:"+
		"/usr/share/java/log4j-1.2.jar:/usr/share/java/servlet-api.jar", "org.apache.zookeeper.server.quorum.QuorumPeerMain", file)
	m.Daemon = run(t, append([]string{"java"}, machine...)...)
}

// asked is the member as a target.
func (m *zooKeeper) asked(t *testing.T, with ...setting) *middleware.Target {
	t.Helper()
	return target(t, "zookeeper", m.address, with...)
}

// askedAdmin is its AdminServer as a target.
func (m *zooKeeper) askedAdmin(t *testing.T, with ...setting) *middleware.Target {
	t.Helper()
	return target(t, "zookeeper", "http://"+m.admin, with...)
}

// says returns what the member answers to a command.
func (m *zooKeeper) says(t *testing.T, command string) string {
	t.Helper()
	conn, err := net.Dial("tcp", m.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, command); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(answer)
}

// startEnsemble starts all but the observer. The first member is the one with the default settings, the second one leads.
func startEnsemble(t *testing.T) []*zooKeeper {
	t.Helper()
	all := newEnsemble(t)
	for _, joins := range [][]*zooKeeper{all[1:3], all[:1]} { // who joins later does not lead
		for _, m := range joins {
			m.start(t)
		}
		for _, m := range joins {
			awaitView(t, m.asked(t), "it to serve", writableIs(state.True))
			awaitView(t, m.askedAdmin(t), "its AdminServer", writableIs(state.True))
		}
	}
	for _, m := range all[:3] {
		awaitView(t, m.asked(t), "the ensemble to be whole", healthy)
	}
	if probe(t, all[1].asked(t)).Role != "leader" {
		all[1], all[2] = all[2], all[1]
	}
	return all
}

// TestZooKeeper takes one member after the other from an ensemble of three.
func TestZooKeeper(t *testing.T) {
	t.Parallel()
	all := startEnsemble(t)
	members, guarded, leader, follower, observer := all[:3], all[0], all[1], all[2], all[3]
	t.Run("whole", func(t *testing.T) { zooKeeperWhole(t, members, leader) })
	check(t, probe(t, guarded.asked(t)), healthy, unknown(middleware.NoPermission, "saturation_ratio{fd}", "fact{data_bytes}"))
	t.Run("observer", func(t *testing.T) { // it has no vote, and is neither missing nor counted
		check(t, probe(t, leader.asked(t)), healthy, tells("members{healthy}", 3))
		observer.start(t)
		for _, asked := range []*middleware.Target{observer.asked(t), observer.askedAdmin(t)} {
			check(t, awaitView(t, asked, "the observer", roleIs("observer")), healthy)
		}
		check(t, probe(t, leader.asked(t)), healthy, tells("members{healthy}", 3))
		checkGroup(t, asGroup(t, all...), healthy, tells("members{healthy}", 3))
	})
	t.Run("hung", func(t *testing.T) {
		freeze(t, follower.PID())
		check(t, probe(t, follower.asked(t, within(hangPatience))), down(middleware.Timeout, ""))
		check(t, probe(t, follower.askedAdmin(t, within(hangPatience))), down(middleware.Timeout, ""))
		awaitView(t, leader.asked(t), "the leader to miss it", upWith(middleware.MembersMissing))
	})
	awaitView(t, leader.asked(t), "the follower to be back", healthy)
	t.Run("two of three", func(t *testing.T) {
		follower.Kill()
		check(t, probe(t, follower.asked(t)), down(middleware.Refused, ""))
		for _, asked := range []*middleware.Target{leader.asked(t), leader.askedAdmin(t)} {
			check(t, awaitView(t, asked, "the leader to miss it", unhealthy(middleware.MembersMissing, "2 of 3")), upWith(middleware.MembersMissing),
				tells("members{healthy}", 2), roleIs("leader"), writableIs(state.True))
		}
		check(t, probe(t, guarded.asked(t)), healthy, roleIs("follower")) // which does not know
		awaitGroup(t, asGroup(t, members...), "the loss to be told", upWith(middleware.MembersMissing), tells("members{healthy}", 2))
	})
	t.Run("one of three", func(t *testing.T) {
		guarded.Kill()
		zooKeeperAlone(t, members, leader)
	})
	leader.Kill()
	leader.start(t, "-Dreadonlymode.enabled=true")
	t.Run("read only", func(t *testing.T) {
		for _, asked := range []*middleware.Target{leader.asked(t), leader.askedAdmin(t)} {
			view := awaitView(t, asked, "it to serve reads", unhealthy(middleware.NotWritable, "reads only"))
			check(t, view, upWith(middleware.NoQuorum, middleware.NotWritable), roleIs("unknown"), writableIs(state.False))
		}
	})
}

func zooKeeperWhole(t *testing.T, members []*zooKeeper, leader *zooKeeper) {
	for _, m := range members {
		role := "follower"
		if m == leader {
			role = "leader"
		}
		for _, view := range []*state.MiddlewareView{probe(t, m.asked(t)), probe(t, m.askedAdmin(t))} {
			check(t, view, healthy, roleIs(role), writableIs(state.True), tellsBetween("fact{avg_latency_ms}", 0, unlimited),
				tellsBetween("fact{znodes}", 1, unlimited), tellsBetween("fact{connections}", 0, unlimited))
		}
	}
	check(t, probe(t, leader.asked(t)), tellsBetween("saturation_ratio{fd}", some, 0.99), tells("members{healthy}", 3))
	checkGroup(t, asGroup(t, members...), healthy, tells("members{healthy}", 3))
	check(t, probe(t, leader.askedAdmin(t)), tells("members{healthy}", 3))
	check(t, probe(t, leader.askedAdmin(t, expecting(5))), upWith(middleware.MembersMissing))
	check(t, probe(t, leader.asked(t, roleWanted("follower"))), upWith(middleware.RoleConflict))
	askAsEverything(t, stranger{"a ZooKeeper", leader.address, []string{"zookeeper", "tcp"}, []string{"zookeeper", "tcp"}})
	askAsEverything(t, stranger{"the AdminServer of a ZooKeeper", leader.admin, []string{"http", "tcp"}, []string{"tcp"}})
}

// Without a quorum it answers that it is ok when it is asked so, and the AdminServer with HTTP 200.
func zooKeeperAlone(t *testing.T, members []*zooKeeper, last *zooKeeper) {
	for _, asked := range []*middleware.Target{last.asked(t), last.askedAdmin(t)} {
		view := awaitView(t, asked, "the loss to be told", unhealthy(middleware.NoQuorum, ""))
		check(t, view, upWith(middleware.NoQuorum), roleIs("unknown"), writableIs(state.False))
	}
	if said := last.says(t, "ruok"); said != "imok" {
		t.Errorf("the case is about a member that says imok: %q", said)
	}
	response, err := http.Get("http://" + last.admin + "/commands/server_stats")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Errorf("the case is about an AdminServer that answers 200: %d", response.StatusCode)
	}
	checkGroup(t, asGroup(t, members...), upWith(middleware.NoQuorum, middleware.MembersMissing), tells("members{healthy}", 0))
}
