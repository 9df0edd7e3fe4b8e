// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"context"
	"strconv"
	"strings"

	"stability-exporter/internal/state"
)

// redisKind asks Redis and what speaks its protocol by INFO, never by PING: a node of a broken cluster answers PONG.
func redisKind() Kind {
	return Kind{
		Name: "redis",
		Help: "Redis alone, a primary, a replica or a node of a cluster: found out by INFO. An account needs +info and, in a cluster, " +
			"+cluster|info +cluster|nodes; with +config|get more is known of what stops writes.",
		Port: "6379",
		Options: []Option{
			{Name: "max_silence", Type: Duration, Default: "30s",
				Help: "from how long a replica that hears nothing of its primary, or of which its primary hears nothing, counts as cut off, although " +
					"the link between them still counts as up"},
		},
		Facts: []string{
			"role", "writable", "replication_link_up", "replication_lag_bytes", "members{connected}", "members{synced}", "members{healthy}", "members{failed}",
			"members_expected", "partitions{offline}", "saturation_ratio{memory}", "saturation_ratio{connections}", "alarm{snapshot_failed}",
			"alarm{append_only_file_failed}", "fact{loading}", "fact{replication_silence_seconds}", "fact{rejected_connections}", "fact{evicted_keys}",
			"fact{cluster_slots_suspected}",
		},
		Verified: Verification{
			Live: []string{"Redis 7.0: alone, a primary with a replica, a cluster of three; with accounts and with TLS"},
			Fake: []string{"servers that tell less than Redis 7 or forbid more"},
		},
		Probe:    probeRedis,
		Together: onePrimary,
	}
}

func probeRedis(ctx context.Context, p *Probe) error {
	c, err := p.dialRedis(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	answer, err := c.ask("INFO")
	if err != nil {
		return redisError(err, Protocol)
	}
	info := redisInfo(keyValues(answer.text, ":"))
	switch {
	case info["redis_mode"] == "sentinel":
		return fail(Mismatch, "it is a sentinel: ask it as redis_sentinel")
	case info["role"] == "" && info["loading"] == "":
		return fail(Protocol, "INFO tells no role")
	}
	p.Up()
	r := redisProbe{p, c, info}
	r.tellLoads()
	if info["loading"] == "1" {
		p.Problem(Loading, "it loads its data")
	}
	r.tellReplication()
	whole := state.True
	if info["cluster_enabled"] == "1" {
		if whole, err = r.tellCluster(); err != nil {
			return err
		}
	}
	r.tellWritable(whole)
	return nil
}

// redisInfo is what INFO tells.
type redisInfo map[string]string

// number returns a number of INFO; ok is false when it is not told.
func (i redisInfo) number(key string) (float64, bool) {
	n, err := strconv.ParseFloat(i[key], 64)
	return n, err == nil && finite(n)
}

// redisProbe is one asking of one server.
type redisProbe struct {
	*Probe
	conn *respConn
	info redisInfo
}

// setting returns a setting that INFO does not tell; ok is false when CONFIG GET may not be asked, which is usual in clouds.
func (r redisProbe) setting(name string) (value string, ok bool) {
	answer, err := r.conn.ask("CONFIG", "GET", name)
	if err != nil || len(answer.list) != 2 {
		return "", false
	}
	return answer.list[1].text, true
}

func (r redisProbe) tellLoads() {
	used, known := r.info.number("used_memory")
	if limit, ok := r.info.number("maxmemory"); ok && known {
		r.Saturation("memory", used, limit)
	} else {
		r.Unknown("saturation_ratio{memory}", Unsupported)
	}
	clients, known := r.info.number("connected_clients")
	limit, ok := r.info.number("maxclients")
	if !ok { // before Redis 7
		if text, asked := r.setting("maxclients"); asked {
			limit, _ = strconv.ParseFloat(text, 64)
			ok = limit > 0
		}
	}
	switch {
	case known && ok:
		r.Saturation("connections", max(0, clients-1), limit) // one is ours
	case known:
		r.Unknown("saturation_ratio{connections}", NoPermission)
	default:
		r.Unknown("saturation_ratio{connections}", Unsupported)
	}
	for key, fact := range map[string]string{
		"rejected_connections": "rejected_connections", "evicted_keys": "evicted_keys", "loading": "loading",
	} {
		if n, ok := r.info.number(key); ok {
			r.Fact(fact, n)
		} else {
			r.Unknown("fact{"+fact+"}", Unsupported)
		}
	}
	for key, alarm := range map[string]string{"rdb_last_bgsave_status": "snapshot_failed", "aof_last_write_status": "append_only_file_failed"} {
		if status, ok := r.info[key]; ok {
			r.Alarm(alarm, status != "ok")
		} else {
			r.Unknown("alarm{"+alarm+"}", Unsupported)
		}
	}
}

func (r redisProbe) tellReplication() {
	switch r.info["role"] {
	case "slave":
		r.Role("replica")
		r.tellLink()
	case "master":
		r.tellReplicas()
	default:
		r.Role("unknown")
		r.Unknown("role", Unsupported)
	}
}

// tellLink judges the link to the primary. A primary that hangs keeps it up for repl-timeout; that nothing is heard tells earlier.
func (r redisProbe) tellLink() {
	status, known := r.info["master_link_status"]
	silence, heard := r.info.number("master_last_io_seconds_ago")
	longest := r.OptionDuration("max_silence")
	heard = heard && silence >= 0
	if heard {
		r.Fact("replication_silence_seconds", silence)
	} else if status == "up" {
		r.Unknown("fact{replication_silence_seconds}", Unsupported)
	}
	switch {
	case !known:
		r.Unknown("replication_link_up", Unsupported)
	case status != "up" && r.info["master_sync_in_progress"] == "1":
		r.LinkUp(false)
		r.Problem(ReplicationBroken, "it is being copied anew from its primary")
	case status != "up":
		r.LinkUp(false)
		r.Problem(ReplicationBroken, "the link to its primary is %s", status)
	case heard && longest > 0 && silence > longest.Seconds():
		r.LinkUp(false)
		r.Problem(ReplicationBroken, "nothing heard of its primary for %.0fs", silence)
	default:
		r.LinkUp(true)
	}
}

// maxRedisReplicas is far above what one primary feeds.
const maxRedisReplicas = 1000

func (r redisProbe) tellReplicas() {
	connected, ok := r.info.number("connected_slaves")
	if !ok {
		r.Unknown("members{connected}", Unsupported)
	}
	alone := connected == 0 && r.info["cluster_enabled"] != "1" && r.Target.Group == "" && r.Target.Limits.Role != "primary" &&
		r.Target.Limits.ExpectedMembers < 2
	if alone {
		r.Role("standalone")
		return
	}
	r.Role("primary")
	offset, known := r.info.number("master_repl_offset")
	longest := r.OptionDuration("max_silence")
	online, synced, furthest := 0, 0, 0.0
	for i := range min(int(connected), maxRedisReplicas) {
		replica := commaPairs(r.info["slave"+strconv.Itoa(i)])
		if replica["state"] != "online" {
			continue
		}
		online++
		if at, err := strconv.ParseFloat(replica["offset"], 64); err == nil {
			furthest = max(furthest, offset-at)
		}
		silence, err := strconv.ParseFloat(replica["lag"], 64) // since it last acknowledged, which it does every second
		if err != nil || longest <= 0 || silence <= longest.Seconds() {
			synced++
		}
	}
	if ok {
		r.Members("connected", int(min(connected, maxRedisReplicas))+1)
		r.Members("synced", synced+1)
	}
	switch {
	case online > 0 && known:
		r.LagBytes(furthest)
	case online > 0:
		r.Unknown("replication_lag_bytes", Unsupported)
	}
	if expected := r.Target.Limits.ExpectedMembers; expected > 0 && r.info["cluster_enabled"] != "1" {
		r.Expected(expected)
		if ok && synced+1 < expected {
			r.Problem(MembersMissing, "%d of %d members are there: the primary and %d replicas in step", synced+1, expected, synced)
		}
	}
}

// tellWritable says whether a write would be taken now; of a replica it is no problem that it is not.
func (r redisProbe) tellWritable(clusterWhole state.Tristate) {
	if r.info["role"] != "master" {
		if readOnly, ok := r.info["slave_read_only"]; ok {
			r.Writable(readOnly == "0")
		} else {
			r.Unknown("writable", Unsupported)
		}
		return
	}
	why, unknown := r.stopped(clusterWhole)
	switch {
	case why != "":
		r.Writable(false)
		r.Problem(NotWritable, "%s", why)
	case unknown:
		r.Unknown("writable", NoPermission)
	default:
		r.Writable(true)
	}
}

// stopped returns why a primary takes no writes; unknown says that something which decides it could not be asked.
func (r redisProbe) stopped(clusterWhole state.Tristate) (why string, unknown bool) {
	used, _ := r.info.number("used_memory")
	uncounted, _ := r.info.number("mem_not_counted_for_evict")
	limit, _ := r.info.number("maxmemory")
	policy := r.info["maxmemory_policy"]
	cannotEvict := policy == "noeviction" || strings.HasPrefix(policy, "volatile-") && !r.anythingExpires()
	switch {
	case r.info["loading"] == "1":
		return "it loads its data", false
	case clusterWhole == state.False:
		return "the cluster is down", false
	case limit > 0 && used-uncounted > limit && cannotEvict:
		return "its memory is full and nothing may be evicted", false
	case r.info["aof_last_write_status"] == "err":
		return "the append-only file cannot be written", false
	}
	unknown = clusterWhole == state.Absent
	if r.info["rdb_last_bgsave_status"] == "err" {
		stops, asked := r.setting("stop-writes-on-bgsave-error")
		saves, askedToo := r.setting("save")
		if asked && askedToo && stops == "yes" && saves != "" {
			return "the last snapshot failed, which stops writes", false
		}
		unknown = unknown || !asked || !askedToo
	}
	if good, told := r.info.number("min_slaves_good_slaves"); told { // only when a number of replicas is demanded
		text, asked := r.setting("min-replicas-to-write")
		demanded, err := strconv.ParseFloat(text, 64)
		switch {
		case good == 0, asked && err == nil && good < demanded:
			return "fewer replicas are in step than it demands", false
		case !asked || err != nil:
			unknown = true
		}
	}
	return "", unknown
}

// anythingExpires reports whether any key has an end, so that a volatile-* policy has something to evict.
func (r redisProbe) anythingExpires() bool {
	for key, value := range r.info {
		if strings.HasPrefix(key, "db") && strings.HasPrefix(value, "keys=") {
			if n, err := strconv.Atoi(commaPairs(value)["expires"]); err == nil && n > 0 {
				return true
			}
		}
	}
	return false
}
