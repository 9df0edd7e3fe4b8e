// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"encoding/json"
	"strconv"
	"time"
)

// rocketmqReplication is what a broker tells of its replication.
type rocketmqReplication struct {
	Primary  *bool `json:"master"`
	Synced   int   `json:"inSyncSlaveNums"`
	Replicas []struct {
		Acknowledged float64 `json:"slaveAckOffset"` // negative: nothing yet
		Behind       float64 `json:"diff"`
	} `json:"haConnectionInfo"`
	Client struct {
		Primary  string  `json:"masterAddr"`
		Own      float64 `json:"maxOffset"`
		LastRead float64 `json:"lastReadTimestamp"` // in milliseconds; zero once the connection is lost
		Flushed  float64 `json:"masterFlushOffset"`
	} `json:"haClientRuntimeInfo"`
}

// rocketmqBroker is one asking of one broker.
type rocketmqBroker struct {
	*Probe
	values map[string]string
}

func (p *Probe) tellBroker(c *remotingConn, body []byte) error {
	var said struct {
		Table map[string]string `json:"table"`
	}
	if err := json.Unmarshal(quoteKeys(body), &said); err != nil || said.Table["commitLogDiskRatio"] == "" {
		return fail(Protocol, "the answer is not that of a broker")
	}
	p.Up()
	b := rocketmqBroker{p, said.Table}
	full := b.tellDisks()
	b.tellQueues()
	role, err := b.tellReplication(c)
	if err != nil {
		return err
	}
	b.tellActive(role)
	b.tellWritable(role, full)
	return nil
}

// number returns a value that is a number and not negative.
func (b *rocketmqBroker) number(name string) (float64, bool) {
	n, err := strconv.ParseFloat(b.values[name], 64)
	return n, err == nil && finite(n) && n >= 0
}

// tellDisks tells how full the disks are, and reports whether one is so full that messages are refused. Of several paths for messages the
// emptiest counts, as it does for the broker.
func (b *rocketmqBroker) tellDisks() (full bool) {
	limit := b.OptionNumber("disk_full_ratio")
	for _, disk := range []struct{ resource, name string }{{"disk", "commitLogDiskRatio"}, {"consume_queue_disk", "consumeQueueDiskRatio"}} {
		ratio, ok := b.number(disk.name)
		if !ok {
			b.Unknown("saturation_ratio{"+disk.resource+"}", Garbled)
			continue
		}
		b.Saturation(disk.resource, ratio, 1)
		full = full || limit > 0 && ratio > limit
	}
	b.Alarm("disk_full", full)
	return full
}

func (b *rocketmqBroker) tellQueues() {
	for _, queue := range []string{"send", "pull"} {
		size, ok := b.number(queue + "ThreadPoolQueueSize")
		capacity, okToo := b.number(queue + "ThreadPoolQueueCapacity")
		if ok && okToo && capacity > 0 {
			b.Saturation(queue+"_queue", size, capacity)
		} else {
			b.Unknown("saturation_ratio{"+queue+"_queue}", Unsupported)
		}
		if wait, ok := b.number(queue + "ThreadPoolQueueHeadWaitTimeMills"); ok {
			b.Fact(queue+"_queue_wait_seconds", wait/float64(time.Second/time.Millisecond))
		} else {
			b.Unknown("fact{"+queue+"_queue_wait_seconds}", Unsupported)
		}
	}
	if behind, ok := b.number("dispatchBehindBytes"); ok {
		b.Fact("dispatch_behind_bytes", behind)
	} else {
		b.Unknown("fact{dispatch_behind_bytes}", Unsupported)
	}
}

// tellReplication tells the role and what replicates, which only brokers from version 5 on say.
func (b *rocketmqBroker) tellReplication(c *remotingConn) (role string, err error) {
	body, err := c.ask(remotingHAStatus)
	why, said := whyRemoting(err)
	var r rocketmqReplication
	switch {
	case err != nil && !said:
		return "", err
	case err == nil && (json.Unmarshal(quoteKeys(body), &r) != nil || r.Primary == nil):
		why = Garbled
	}
	switch {
	case why != "":
		for _, fact := range []string{"role", "replication_link_up", "replication_lag_bytes", "members{connected}", "members{synced}"} {
			b.Unknown(fact, why)
		}
		return "", nil
	case *r.Primary:
		b.Role("primary")
		b.tellReplicas(r)
		return "primary", nil
	}
	b.Role("replica")
	b.tellPrimary(r)
	return "replica", nil
}

// tellReplicas tells what a primary knows of its replicas. How many there should be only the configuration knows.
func (b *rocketmqBroker) tellReplicas(r rocketmqReplication) {
	furthest := 0.0
	for _, replica := range r.Replicas {
		if replica.Acknowledged >= 0 {
			furthest = max(furthest, replica.Behind)
		}
	}
	b.Members("connected", len(r.Replicas))
	b.Members("synced", max(0, r.Synced))
	if len(r.Replicas) > 0 {
		b.LagBytes(furthest)
	}
	if expected := b.Target.Limits.ExpectedMembers; expected > 0 {
		b.Expected(expected)
		if connected := len(r.Replicas) + 1; connected < expected {
			b.Problem(MembersMissing, "%d of %d brokers, the primary included", connected, expected)
		}
	}
}

// tellPrimary tells what a replica knows of its primary. It takes the time of its start for that of the last message until it has once
// been connected, so that what is long ago counts as never.
func (b *rocketmqBroker) tellPrimary(r rocketmqReplication) {
	silence := b.Now().Sub(milliseconds(r.Client.LastRead))
	longest := b.OptionDuration("max_silence")
	connected := r.Client.Primary != "" && r.Client.LastRead > 0 && (longest <= 0 || silence <= longest)
	b.LinkUp(connected)
	if !connected {
		b.Problem(ReplicationBroken, "it is not connected to its primary")
	}
	if connected && r.Client.Flushed > 0 {
		b.LagBytes(max(0, r.Client.Flushed-r.Client.Own))
	} else {
		b.Unknown("replication_lag_bytes", Unsupported)
	}
}

// tellActive tells whether scheduled messages and transactions are worked on, which is the business of a primary.
func (b *rocketmqBroker) tellActive(role string) {
	active, err := strconv.ParseBool(b.values["brokerActive"])
	if err != nil {
		b.Unknown("fact{active}", Unsupported)
		return
	}
	b.Fact("active", map[bool]float64{true: 1}[active])
	if !active && role == "primary" {
		b.Problem(Degraded, "it is not active: scheduled messages and transactions are not worked on")
	}
}

func (b *rocketmqBroker) tellWritable(role string, full bool) {
	from, _ := b.number("startAcceptSendRequestTimeStamp")
	waits := milliseconds(from).After(b.Now())
	if waits {
		b.Problem(Loading, "it takes messages only later (startAcceptSendRequestTimeStamp)")
	}
	switch role {
	case "primary":
		b.Writable(!full && !waits)
		if full {
			b.Problem(NotWritable, "a disk is too full to take messages")
		}
	case "replica":
		b.Writable(false)
	default:
		b.Unknown("writable", Unsupported)
	}
}

// milliseconds returns a time that is told in milliseconds; what lies beyond all calendars is cut off.
func milliseconds(ms float64) time.Time {
	const most = 1 << 48 // the year 10889
	return time.UnixMilli(int64(min(max(ms, 0), most)))
}
