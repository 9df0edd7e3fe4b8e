// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

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
		m := &zooKeeper{dir: serverDir(t, "")}
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
		writeFile(t, filepath.Join(m.dir, "myid"), fmt.Sprintln(i+1))
		writeFile(t, filepath.Join(m.dir, "log4j.properties"), "log4j.rootLogger=WARN, out\nlog4j.appender.out=org.apache.log4j.ConsoleAppender\n"+
			"log4j.appender.out.layout=org.apache.log4j.PatternLayout\nlog4j.appender.out.layout.ConversionPattern=%d %p %m%n\n")
		members[i] = m
	}
	return members
}

// start starts the member, with properties of the virtual machine.
func (m *zooKeeper) start(t *testing.T, properties ...string) {
	t.Helper()
	file := writeFile(t, filepath.Join(m.dir, "zoo.cfg"), strings.Join(m.settings, "\n")+"\n")
	machine := append(properties, "-Xmx64m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", m.dir+":/usr/share/java/zookeeper.jar:/usr/share/java/slf4j-log4j12.jar:"+
		"/usr/share/java/log4j-1.2.jar:/usr/share/java/servlet-api.jar", "org.apache.zookeeper.server.quorum.QuorumPeerMain", file)
	m.Daemon = run(t, "java", machine...)
}

// asked is the member as a target.
func (m *zooKeeper) asked(t *testing.T, with ...func(*middleware.Target)) *middleware.Target {
	t.Helper()
	return target(t, "zookeeper", m.address, with...)
}

// askedAdmin is its AdminServer as a target.
func (m *zooKeeper) askedAdmin(t *testing.T, with ...func(*middleware.Target)) *middleware.Target {
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

// ensemble are all members as targets.
func ensemble(t *testing.T, members []*zooKeeper) []*middleware.Target {
	t.Helper()
	var targets []*middleware.Target
	for _, m := range members {
		targets = append(targets, m.asked(t, grouped))
	}
	return targets
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
	check(t, probe(t, guarded.asked(t)), healthy, unknownIs(middleware.NoPermission, "saturation_ratio{fd}", "fact{data_bytes}"))
	t.Run("observer", func(t *testing.T) { // it has no vote, and is neither missing nor counted
		check(t, probe(t, leader.asked(t)), healthy, told("members", "healthy", exactly(3)))
		observer.start(t)
		for _, asked := range []*middleware.Target{observer.asked(t), observer.askedAdmin(t)} {
			check(t, awaitView(t, asked, "the observer", roleIs("observer")), healthy)
		}
		check(t, probe(t, leader.asked(t)), healthy, told("members", "healthy", exactly(3)))
		check(t, asGroup(t, ensemble(t, all)...), healthy, told("members", "healthy", exactly(3)))
	})
	t.Run("hung", func(t *testing.T) {
		stopped(t, follower.Daemon)
		check(t, probe(t, follower.asked(t, answerWithin(time.Second))), onlyProblems(middleware.Timeout))
		check(t, probe(t, follower.askedAdmin(t, answerWithin(time.Second))), onlyProblems(middleware.Timeout))
		awaitView(t, leader.asked(t), "the leader to miss it", onlyProblems(middleware.MembersMissing))
	})
	awaitView(t, leader.asked(t), "the follower to be back", healthy)
	t.Run("two of three", func(t *testing.T) {
		follower.Kill()
		check(t, probe(t, follower.asked(t)), onlyProblems(middleware.Refused))
		for _, asked := range []*middleware.Target{leader.asked(t), leader.askedAdmin(t)} {
			check(t, awaitView(t, asked, "the leader to miss it", unhealthy(middleware.MembersMissing, "2 of 3")), onlyProblems(middleware.MembersMissing),
				told("members", "healthy", exactly(2)), roleIs("leader"), writableIs(state.True))
		}
		check(t, probe(t, guarded.asked(t)), healthy, roleIs("follower")) // which does not know
		awaitGroup(t, "the loss to be told", told("members", "healthy", exactly(2)), ensemble(t, members)...)
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
			check(t, view, onlyProblems(middleware.NoQuorum, middleware.NotWritable), roleIs("unknown"), writableIs(state.False))
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
			check(t, view, healthy, roleIs(role), writableIs(state.True), told("fact", "avg_latency_ms", func(ms float64) bool { return ms >= 0 }),
				told("fact", "znodes", func(n float64) bool { return n > 0 }), told("fact", "connections", func(n float64) bool { return n >= 0 }))
		}
	}
	check(t, probe(t, leader.asked(t)), told("saturation", "fd", func(share float64) bool { return share > 0 && share < 1 }), told("members", "healthy", exactly(3)))
	check(t, asGroup(t, ensemble(t, members)...), healthy, told("members", "healthy", exactly(3)))
	check(t, probe(t, leader.askedAdmin(t)), told("members", "healthy", exactly(3)))
	check(t, probe(t, leader.askedAdmin(t, func(t *middleware.Target) { t.Limits.ExpectedMembers = 5 })), onlyProblems(middleware.MembersMissing))
	check(t, probe(t, leader.asked(t, roleWanted("follower"))), onlyProblems(middleware.RoleConflict))
	foreign(t, leader.address, "mysql", "postgres", "redis", "etcd", "memcached")
	foreign(t, leader.admin, "zookeeper", "etcd", "rabbitmq")
}

// Without a quorum it answers that it is ok when it is asked so, and the AdminServer with HTTP 200.
func zooKeeperAlone(t *testing.T, members []*zooKeeper, last *zooKeeper) {
	for _, asked := range []*middleware.Target{last.asked(t), last.askedAdmin(t)} {
		view := awaitView(t, asked, "the loss to be told", unhealthy(middleware.NoQuorum, ""))
		check(t, view, onlyProblems(middleware.NoQuorum), roleIs("unknown"), writableIs(state.False))
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
	check(t, asGroup(t, ensemble(t, members)...), unhealthy(middleware.NoQuorum, ""))
}
