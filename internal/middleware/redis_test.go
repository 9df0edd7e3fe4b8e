// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"bufio"
	"fmt"
	"maps"
	"net"
	"strings"
	"testing"
	"time"

	"stability-exporter/internal/state"
)

// fakeRedis answers commands as a server that speaks RESP2 does: by the whole command, or its first word.
func fakeRedis(t *testing.T, answers map[string]string) string {
	t.Helper()
	return listen(t, func(conn net.Conn) {
		in := bufio.NewReader(conn)
		for {
			command, err := readReply(in)
			if err != nil {
				return
			}
			var words []string
			for _, w := range command.list {
				words = append(words, w.text)
			}
			whole := strings.Join(words, " ")
			answer, ok := answers[whole]
			if !ok {
				answer, ok = answers[words[0]]
			}
			if !ok {
				answer = fmt.Sprintf("-ERR unknown command '%s'\r\n", words[0])
			}
			if _, err := conn.Write([]byte(answer)); err != nil {
				return
			}
		}
	})
}

func bulk(text string) string { return fmt.Sprintf("$%d\r\n%s\r\n", len(text), text) }

func array(items ...string) string {
	return fmt.Sprintf("*%d\r\n%s", len(items), strings.Join(items, ""))
}

const redisLoads = "# Clients\r\nconnected_clients:11\r\nmaxclients:100\r\n# Memory\r\nused_memory:400\r\nmaxmemory:1000\r\nmaxmemory_policy:noeviction\r\n" +
	"mem_not_counted_for_evict:0\r\n# Persistence\r\nloading:0\r\nrdb_last_bgsave_status:ok\r\naof_last_write_status:ok\r\n# Stats\r\nrejected_connections:2\r\nevicted_keys:0\r\n"

const redisAlone = "# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\n# Replication\r\nrole:master\r\nconnected_slaves:0\r\nmaster_repl_offset:0\r\n" + redisLoads

const redisPrimary = "# Replication\r\nrole:master\r\nconnected_slaves:2\r\nslave0:ip=10.0.0.2,port=6379,state=online,offset=900,lag=1\r\n" +
	"slave1:ip=10.0.0.3,port=6379,state=wait_bgsave,offset=0,lag=0\r\nmaster_repl_offset:1000\r\n" + redisLoads

const redisReplica = "# Replication\r\nrole:slave\r\nmaster_link_status:up\r\nmaster_last_io_seconds_ago:1\r\nmaster_sync_in_progress:0\r\nslave_read_only:1\r\n" +
	"slave_repl_offset:1000\r\n" + redisLoads

const redisNode = "# Replication\r\nrole:master\r\nconnected_slaves:0\r\ncluster_enabled:1\r\n" + redisLoads

const clusterOK = "cluster_enabled:1\r\ncluster_state:ok\r\ncluster_slots_assigned:16384\r\ncluster_slots_pfail:0\r\ncluster_slots_fail:0\r\n"

const threeNodes = "07c37df 127.0.0.1:30004@31004 myself,master - 0 1426238317239 4 connected 0-5460\n" +
	"67ed2db 127.0.0.1:30002@31002 master - 0 1426238316232 2 connected 5461-10922\n" +
	"292f8b3 127.0.0.1:30003@31003 master - 0 1426238318243 3 connected 10923-16383\n"

func replaced(text string, pairs ...string) string {
	return strings.NewReplacer(pairs...).Replace(text)
}

func TestRedisVerdicts(t *testing.T) {
	for _, c := range []struct {
		name, info string
		more       map[string]string
		change     func(*Target)
		role       string
		writable   state.Tristate
		want       []Reason
	}{
		{name: "alone", info: redisAlone, role: "standalone", writable: state.True},
		{name: "alone in a group", info: redisAlone, change: withGroup, role: "primary", writable: state.True},
		{name: "primary", info: redisPrimary, role: "primary", writable: state.True},
		{name: "primary that lacks a replica", info: redisPrimary, change: func(t *Target) { t.Limits.ExpectedMembers = 3 }, role: "primary",
			writable: state.True, want: []Reason{MembersMissing}},
		{name: "primary of a replica that hangs", info: replaced(redisPrimary, "lag=1", "lag=31"), change: func(t *Target) { t.Limits.ExpectedMembers = 2 }, role: "primary", writable: state.True, want: []Reason{MembersMissing}},
		{name: "replica", info: redisReplica, role: "replica", writable: state.False},
		{name: "replica that should be the primary", info: redisReplica, change: func(t *Target) { t.Limits.Role = "primary" }, role: "replica",
			writable: state.False, want: []Reason{RoleConflict}},
		{name: "replica cut off", info: replaced(redisReplica, "link_status:up", "link_status:down", "ago:1", "ago:-1"), role: "replica",
			writable: state.False, want: []Reason{ReplicationBroken}},
		{name: "replica whose primary hangs: its link is still up", info: replaced(redisReplica, "seconds_ago:1\r", "seconds_ago:45\r"), role: "replica",
			writable: state.False, want: []Reason{ReplicationBroken}},
		{name: "loading", info: replaced(redisAlone, "loading:0", "loading:1"), role: "standalone", writable: state.False, want: []Reason{Loading, NotWritable}},
		{name: "memory full", info: replaced(redisAlone, "used_memory:400", "used_memory:1001"), role: "standalone", writable: state.False, want: []Reason{NotWritable}},
		{name: "memory full, but of buffers", info: replaced(redisAlone, "used_memory:400", "used_memory:1001", "evict:0", "evict:10"), role: "standalone", writable: state.True},
		{name: "memory full, evicting", info: replaced(redisAlone, "used_memory:400", "used_memory:1001", "noeviction", "allkeys-lru"), role: "standalone", writable: state.True},
		{name: "memory full, nothing expires", info: replaced(redisAlone, "used_memory:400", "used_memory:1001", "noeviction", "volatile-lru"), role: "standalone",
			writable: state.False, want: []Reason{NotWritable}},
		{name: "memory full, something expires", info: replaced(redisAlone, "used_memory:400", "used_memory:1001", "noeviction", "volatile-lru") + "db0:keys=3,expires=1,avg_ttl=5\r\n",
			role: "standalone", writable: state.True},
		{name: "append-only file", info: replaced(redisAlone, "write_status:ok", "write_status:err"), role: "standalone", writable: state.False, want: []Reason{Alarm, NotWritable}},
		{name: "snapshot failed, settings secret", info: replaced(redisAlone, "bgsave_status:ok", "bgsave_status:err"), role: "standalone", want: []Reason{Alarm}},
		{name: "snapshot failed", info: replaced(redisAlone, "bgsave_status:ok", "bgsave_status:err"), role: "standalone", writable: state.False, want: []Reason{Alarm, NotWritable},
			more: map[string]string{"CONFIG GET stop-writes-on-bgsave-error": array(bulk("stop-writes-on-bgsave-error"), bulk("yes")), "CONFIG GET save": array(bulk("save"), bulk("3600 1"))}},
		{name: "replicas demanded", info: redisAlone + "min_slaves_good_slaves:0\r\n", role: "standalone", writable: state.False, want: []Reason{NotWritable}},
		{name: "cluster", info: redisNode, role: "primary", writable: state.True, more: map[string]string{"CLUSTER INFO": bulk(clusterOK), "CLUSTER NODES": bulk(threeNodes)}},
		{name: "cluster that failed", info: redisNode, role: "primary", writable: state.False, want: []Reason{Degraded, NotWritable},
			more: map[string]string{"CLUSTER INFO": bulk(replaced(clusterOK, "state:ok", "state:fail", "slots_fail:0", "slots_fail:5461")), "CLUSTER NODES": bulk(replaced(threeNodes, "2 master", "2 master,fail"))}},
		{name: "cluster with holes that serves the rest", info: redisNode, role: "primary", writable: state.True, want: []Reason{Degraded},
			more: map[string]string{"CLUSTER INFO": bulk(replaced(clusterOK, "assigned:16384", "assigned:10923")), "CLUSTER NODES": bulk(threeNodes)}},
		{name: "cluster with too few nodes", info: redisNode, role: "primary", writable: state.True, want: []Reason{MembersMissing}, change: func(t *Target) { t.Limits.ExpectedMembers = 6 },
			more: map[string]string{"CLUSTER INFO": bulk(clusterOK), "CLUSTER NODES": bulk(threeNodes)}},
		{name: "cluster that may not be asked", info: redisNode, role: "primary", writable: state.Absent, want: []Reason{Permission},
			more: map[string]string{"CLUSTER": "-NOPERM this user has no permissions to run the 'cluster|info' command\r\n"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			answers := map[string]string{"INFO": bulk(c.info), "PING": "+PONG\r\n"}
			maps.Copy(answers, c.more)
			target := targetOf(t, "redis", fakeRedis(t, answers))
			if c.change != nil {
				c.change(target)
			}
			v := Run(t.Context(), target, nil)
			wantUp(t, v, c.want...)
			if v.Role != c.role || v.Writable != c.writable {
				t.Errorf("role %q, writable %d, want %q, %d", v.Role, v.Writable, c.role, c.writable)
			}
		})
	}
}

func TestRedisNumbers(t *testing.T) {
	v := Run(t.Context(), targetOf(t, "redis", fakeRedis(t, map[string]string{"INFO": bulk(redisPrimary)})), nil)
	wantUp(t, v)
	if v.LagBytes != (state.Measure{Known: true, Value: 100}) {
		t.Errorf("lag %v", v.LagBytes)
	}
	wantValue(t, v.Saturation, "memory", 0.4)
	wantValue(t, v.Saturation, "connections", 0.1)
	wantValue(t, v.Members, "synced", 2)
	wantValue(t, v.Members, "connected", 3)
	wantValue(t, v.Facts, "rejected_connections", 2)

	old := strings.ReplaceAll(redisReplica, "maxclients:100\r\n", "")
	v = Run(t.Context(), targetOf(t, "redis", fakeRedis(t, map[string]string{"INFO": bulk(old)})), nil)
	wantUp(t, v)
	wantUnknown(t, v, "saturation_ratio{connections}", NoPermission)
	if v.LagBytes.Known || v.LinkUp != state.True {
		t.Errorf("a replica does not know its lag: %v, link %d", v.LagBytes, v.LinkUp)
	}
}

// What ends a probe has its reason, so that a wrong password does not look like an outage.
func TestRedisRefusals(t *testing.T) {
	for _, c := range []struct {
		name    string
		answers map[string]string
		want    Reason
	}{
		{"no password given", map[string]string{"INFO": "-NOAUTH Authentication required.\r\n"}, Auth},
		{"wrong password", map[string]string{"AUTH": "-WRONGPASS invalid username-password pair or user is disabled.\r\n"}, Auth},
		{"wrong password, before Redis 6", map[string]string{"AUTH": "-ERR invalid password\r\n"}, Auth},
		{"protected mode", map[string]string{"AUTH": "-DENIED Redis is running in protected mode\r\n"}, Auth},
		{"INFO forbidden", map[string]string{"AUTH": "+OK\r\n", "INFO": "-NOPERM this user has no permissions to run the 'info' command\r\n"}, Permission},
		{"full", map[string]string{"AUTH": "-ERR max number of clients reached\r\n"}, Saturated},
		{"busy", map[string]string{"AUTH": "+OK\r\n", "INFO": "-BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.\r\n"}, Unavailable},
		{"busy, before Redis 7", map[string]string{"AUTH": "-BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.\r\n"}, Unavailable},
		{"a sentinel", map[string]string{"AUTH": "+OK\r\n", "INFO": bulk("redis_mode:sentinel\r\n")}, Mismatch},
		{"nothing told", map[string]string{"AUTH": "+OK\r\n", "INFO": bulk("")}, Protocol},
		{"a length beyond all bounds", map[string]string{"AUTH": "+OK\r\n", "INFO": "$9223372036854775807\r\n"}, Protocol},
		{"an array beyond all bounds", map[string]string{"AUTH": "+OK\r\n", "INFO": "*2147483647\r\n"}, Protocol},
		{"arrays without end", map[string]string{"AUTH": "+OK\r\n", "INFO": strings.Repeat("*1\r\n", 100)}, Protocol},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := Run(t.Context(), targetOf(t, "redis", fakeRedis(t, c.answers), withLogin("", "secret-password")), nil)
			if c.name == "no password given" {
				v = Run(t.Context(), targetOf(t, "redis", fakeRedis(t, c.answers)), nil)
			}
			wantProblem(t, v, c.want)
			if strings.Contains(fmt.Sprint(v), "secret-password") {
				t.Errorf("the password is shown: %v", v)
			}
		})
	}
}

func TestRedisWithoutThePasswordThatThereIs(t *testing.T) {
	answers := map[string]string{"AUTH": "-ERR AUTH <password> called without any password configured for the default user.\r\n", "INFO": bulk(redisAlone)}
	wantUp(t, Run(t.Context(), targetOf(t, "redis", fakeRedis(t, answers), withLogin("", "p")), nil), Auth)
}

const sentinelInfo = "# Sentinel\r\nsentinel_masters:1\r\nsentinel_tilt:0\r\nmaster0:name=mymaster,status=ok,address=127.0.0.1:6379,slaves=1,sentinels=3\r\n"

func TestSentinelVerdicts(t *testing.T) {
	const quorum, none = "+OK 3 usable Sentinels. Quorum and failover authorization can be reached\r\n",
		"-NOQUORUM 1 usable Sentinels. Not enough available Sentinels to reach the specified quorum for this master\r\n"
	replicas := func(flags string) string { return array(array(bulk("name"), bulk("r"), bulk("flags"), bulk(flags))) }
	for _, c := range []struct {
		name                   string
		info, quorum, replicas string
		change                 func(*Target)
		usable                 float64
		want                   []Reason
	}{
		{"well", sentinelInfo, quorum, replicas("slave"), nil, 3, nil},
		{"the others are gone: INFO still lists them", sentinelInfo, none, replicas("slave"), nil, 1, []Reason{NoQuorum}},
		{"a sentinel is missing", sentinelInfo, quorum, replicas("slave"), func(t *Target) { t.Limits.ExpectedMembers = 5 }, 3, []Reason{MembersMissing}},
		{"the primary is down", replaced(sentinelInfo, "status=ok", "status=odown"), quorum, replicas("slave"), nil, 3, []Reason{Unavailable}},
		{"no replica to take over", sentinelInfo, quorum, replicas("slave,s_down,disconnected"), nil, 3, []Reason{Degraded}},
		{"tilt", replaced(sentinelInfo, "tilt:0", "tilt:1"), quorum, replicas("slave"), nil, 3, []Reason{Alarm}},
		{"another primary is wanted", sentinelInfo, quorum, replicas("slave"), withOption("masters", "mymaster\ncart"), 3, []Reason{Mismatch}},
		{"quorum may not be asked", sentinelInfo, "-NOPERM no\r\n", replicas("slave"), nil, -1, []Reason{Permission}},
	} {
		t.Run(c.name, func(t *testing.T) {
			target := targetOf(t, "redis_sentinel", fakeRedis(t, map[string]string{
				"INFO": bulk(c.info), "SENTINEL CKQUORUM mymaster": c.quorum, "SENTINEL REPLICAS mymaster": c.replicas,
			}))
			if c.change != nil {
				c.change(target)
			}
			v := Run(t.Context(), target, nil)
			wantUp(t, v, c.want...)
			if got, ok := valueOf(v.Members, "healthy"); ok && got != c.usable || !ok && c.usable >= 0 {
				t.Errorf("%v usable sentinels, known %t, want %v", got, ok, c.usable)
			}
		})
	}
	v := Run(t.Context(), targetOf(t, "redis_sentinel", fakeRedis(t, map[string]string{"INFO": bulk("sentinel_masters:0\r\n")})), nil)
	wantUp(t, v, Mismatch)
	wantProblem(t, Run(t.Context(), targetOf(t, "redis_sentinel", fakeRedis(t, map[string]string{"INFO": bulk(redisAlone)})), nil), Mismatch)
}

// A server that answers its last byte late is waited for no longer than told.
func TestRedisHalfAnAnswer(t *testing.T) {
	end := make(chan struct{})
	t.Cleanup(func() { close(end) })
	address := listen(t, func(conn net.Conn) { _, _ = conn.Write([]byte(bulk(redisAlone)[:200])); <-end })
	target := targetOf(t, "redis", address)
	target.Timeout = 200 * time.Millisecond
	wantProblem(t, Run(t.Context(), target, nil), Timeout)
}
