// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"io"
	"net"
	"strings"
	"testing"

	"stability-exporter/internal/state"
)

// Answers of ZooKeeper 3.8.0.
const (
	srvrText = "Zookeeper version: 3.8.0-${mvngit.commit.id}, built on 2024-12-29 17:54 UTC\nLatency min/avg/max: 0/1.5/7\nReceived: 1\nSent: 0\nConnections: 4\n" +
		"Outstanding: 2\nZxid: 0x100000000\nMode: leader\nNode count: 5\nProposal sizes last/min/max: -1/-1/-1\n"
	mntrText = "zk_version\t3.8.0-${mvngit.commit.id}, built on 2024-12-29 17:54 UTC\nzk_server_state\tleader\nzk_num_alive_connections\t4\nzk_avg_latency\t1.5\n" +
		"zk_outstanding_requests\t2\nzk_znode_count\t5\nzk_synced_followers\t2\nzk_synced_non_voting_followers\t0\nzk_synced_observers\t0\n" +
		"zk_max_file_descriptor_count\t20000\nzk_approximate_data_size\t182\nzk_open_file_descriptor_count\t50\nzk_quorum_size\t3\n"
	notServingText  = "This ZooKeeper instance is not currently serving requests\n"
	notAllowedText  = " is not executed because it is not in the whitelist.\n"
	serverStatsPage = `{"version":"3.8.0","read_only":false,"server_stats":{"server_state":"leader","outstanding_requests":0},"node_count":5,"command":"server_stats","error":null}`
	monitorPage     = `{"version":"3.8.0","server_state":"leader","num_alive_connections":4,"avg_latency":1.5,"outstanding_requests":2,"znode_count":5,
		"synced_followers":2,"max_file_descriptor_count":20000,"approximate_data_size":182,"open_file_descriptor_count":50,"quorum_size":3,"command":"monitor","error":null}`
	notServingPage = `{"command":"server_stats","error":"This ZooKeeper instance is not currently serving requests"}`
)

func fourLetterServer(t *testing.T, answers map[string]string) string {
	return listen(t, func(conn net.Conn) {
		command := make([]byte, 4)
		if _, err := io.ReadFull(conn, command); err == nil {
			_, _ = io.WriteString(conn, answers[string(command)])
		}
	})
}

func TestZooKeeper(t *testing.T) {
	mode := func(mode string) string { return strings.Replace(srvrText, "Mode: leader", "Mode: "+mode, 1) }
	follower := strings.Replace(mntrText, "zk_synced_followers\t2\n", "", 1)
	for _, c := range []struct {
		name, srvr, mntr, want, role string
		writable                     state.Tristate
		without                      []string
	}{
		{"it leads", srvrText, mntrText, "", "leader", state.True, nil},
		{"it follows", mode("follower"), follower, "", "follower", state.True, []string{"members{healthy}"}},
		{"it observes", mode("observer"), follower, "", "observer", state.True, []string{"members{healthy}"}},
		{"it is alone", mode("standalone"), strings.Replace(follower, "zk_quorum_size\t3\n", "", 1), "", "standalone", state.True, []string{"members{healthy}", "members_expected"}},
		{"srvr alone is allowed", srvrText, "mntr" + notAllowedText, "", "leader", state.True, nil},
		{"a follower is missing", srvrText, strings.Replace(mntrText, "followers\t2", "followers\t1", 1), "members_missing", "leader", state.True, nil},
		{"no quorum: ruok would be imok", notServingText, notServingText, "no_quorum", "unknown", state.False, nil},
		{"the quorum is lost between the two", srvrText, notServingText, "no_quorum", "unknown", state.False, nil},
		{"cut off, serving reads", mode("read-only"), follower, "no_quorum not_writable", "unknown", state.False, []string{"members{healthy}"}},
		{"a version without the numbers", srvrText, "zk_version\t3.4\n", "", "leader", state.True, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := Run(t.Context(), probing(zookeeperKind(), fourLetterServer(t, map[string]string{"srvr": c.srvr, "mntr": c.mntr, "ruok": "imok"}), nil), nil)
			if problems(v) != c.want || !v.Up || v.Role != c.role || v.Writable != c.writable {
				t.Errorf("up %t, role %s, writable %d, problems %v, want %q", v.Up, v.Role, v.Writable, v.Problems, c.want)
			}
			wantTold(t, zookeeperKind(), v, c.without...)
		})
	}
	for name, c := range map[string]struct {
		srvr string
		want Reason
	}{
		"nothing is allowed": {"srvr" + notAllowedText, Permission}, "another program": {"+OK\r\n", Protocol}, "one word": {"Mode", Protocol}, "nothing": {"", Closed},
	} {
		t.Run(name, func(t *testing.T) {
			wantProblem(t, Run(t.Context(), probing(zookeeperKind(), fourLetterServer(t, map[string]string{"srvr": c.srvr}), nil), nil), c.want)
		})
	}
}

func TestZooKeeperFacts(t *testing.T) {
	for name, address := range map[string]string{
		"words":       fourLetterServer(t, map[string]string{"srvr": srvrText, "mntr": mntrText}),
		"AdminServer": served(t, pages(map[string]string{"/commands/server_stats": serverStatsPage, "/commands/monitor": monitorPage})),
		"srvr alone":  fourLetterServer(t, map[string]string{"srvr": srvrText, "mntr": "mntr" + notAllowedText}),
	} {
		v := Run(t.Context(), probing(zookeeperKind(), address, nil), nil)
		if !v.Healthy() || measured(v.Facts, "avg_latency_ms") != 1.5 || measured(v.Facts, "connections") != 4 || measured(v.Facts, "outstanding_requests") != 2 {
			t.Errorf("%s: problems %v, facts %v", name, v.Problems, v.Facts)
		}
		if name == "srvr alone" {
			if unknownWhy(v, "members{healthy}") != "permission" || unknownWhy(v, "saturation_ratio{fd}") != "permission" {
				t.Errorf("%s: unknown %v", name, v.Unknown)
			}
		} else if measured(v.Members, "healthy") != 3 || v.MembersExpected.Value != 3 || measured(v.Saturation, "fd") != 0.0025 {
			t.Errorf("%s: members %v of %v, saturation %v", name, v.Members, v.MembersExpected, v.Saturation)
		}
	}
}

func TestZooKeeperAdminServer(t *testing.T) {
	for _, c := range []struct {
		name, stats, monitor, want string
		up                         bool
	}{
		{"no quorum: HTTP 200", notServingPage, "500 <html>java.lang.NullPointerException</html>", "no_quorum", true},
		{"the quorum is lost between the two", serverStatsPage, strings.Replace(notServingPage, "server_stats", "monitor", 1), "no_quorum", true},
		{"reads only", strings.Replace(serverStatsPage, `"read_only":false`, `"read_only":true`, 1), monitorPage, "no_quorum not_writable", true},
		{"monitor fails", serverStatsPage, "500 oops", "", true},
		{"another error", `{"command":"server_stats","error":"out of luck"}`, "", "unavailable", false},
		{"another program", `{"status":"UP"}`, "", "protocol", false},
		{"it wants credentials", "401 no", "", "auth", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := Run(t.Context(), probing(zookeeperKind(), served(t, pages(map[string]string{"/commands/server_stats": c.stats, "/commands/monitor": c.monitor})), nil), nil)
			if problems(v) != c.want || v.Up != c.up {
				t.Errorf("up %t, problems %v, want %q", v.Up, v.Problems, c.want)
			}
			if c.name == "reads only" {
				wantTold(t, zookeeperKind(), v, "members{healthy}")
			} else if v.Up {
				wantTold(t, zookeeperKind(), v)
			}
		})
	}
}

func TestZooKeeperWithstands(t *testing.T) { withstands(t, zookeeperKind(), nil) }

func FuzzZooKeeper(f *testing.F) {
	f.Add(srvrText, mntrText)
	f.Add("Mode: leader\nLatency min/avg/max: ", "zk_synced_followers\t1e300\nzk_quorum_size\t-1\n")
	f.Fuzz(func(t *testing.T, srvr, mntr string) {
		p := &Probe{Recorder: &Recorder{}, Target: probing(zookeeperKind(), "", nil)}
		mode := parseSrvr(srvr)["Mode"]
		p.zooKeeperMode(mode)
		p.tellZooKeeper(mode, parseMntr(mntr), "")
		if v := p.finish(); v.MembersExpected.Known && v.MembersExpected.Value < 1 {
			t.Errorf("expected %v", v.MembersExpected)
		}
	})
}
