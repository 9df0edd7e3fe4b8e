// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"stability-exporter/internal/state"
)

// rocketmqKind asks a name server or a broker. Brokers that a name server tells of are never asked: each is a target of its own.
func rocketmqKind() Kind {
	return Kind{
		Name: "rocketmq",
		Help: "A name server of RocketMQ (which brokers are registered) or a broker (disks, queues, replication); each broker is a target of its own, and " +
			"those that a name server names are not asked. With ACL the user is the access key and the password the secret key.",
		Port: "9876",
		Options: []Option{
			{Name: "server", Type: Text, Help: "namesrv or broker; without it, it is found out by what is answered", Check: checkRocketMQServer},
			{Name: "disk_full_ratio", Type: Number, Default: "0.9", Help: "from which share of the disk on a broker refuses messages (rocketmq.broker.diskSpaceWarningLevelRatio)"},
			{Name: "max_silence", Type: Duration, Default: "60s", Help: "from how long on a replica that hears nothing of its primary counts as cut off; their clocks may differ from ours"},
		},
		Facts: []string{
			"members{healthy}", "members_expected", "fact{broker_names}", "fact{broker_names_without_primary}",
			"role", "writable", "replication_link_up", "replication_lag_bytes", "members{connected}", "members{synced}",
			"saturation_ratio{disk}", "saturation_ratio{consume_queue_disk}", "saturation_ratio{send_queue}", "saturation_ratio{pull_queue}",
			"alarm{disk_full}", "fact{active}", "fact{dispatch_behind_bytes}", "fact{send_queue_wait_seconds}", "fact{pull_queue_wait_seconds}",
		},
		Verified: Verification{Fake: []string{
			"all of it, against a fake of the remoting protocol with answers in the shape that the sources of RocketMQ 4.9 and 5.3 give them",
		}},
		Probe:    probeRocketMQ,
		Together: rocketmqGroup,
	}
}

func checkRocketMQServer(value string) error {
	if value != "" && value != "namesrv" && value != "broker" {
		return fmt.Errorf("%q is neither namesrv nor broker", value)
	}
	return nil
}

// rocketmqCluster is the answer of a name server.
type rocketmqCluster struct {
	Brokers map[string]struct {
		Addresses map[string]string `json:"brokerAddrs"` // by the number of the broker; 0 is the primary
	} `json:"brokerAddrTable"`
}

func probeRocketMQ(ctx context.Context, p *Probe) error {
	c, err := p.dialRemoting(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	server := p.Option("server")
	var refused error
	if server != "broker" {
		body, err := c.ask(remotingClusterInfo)
		if err == nil {
			return p.tellNameServer(body)
		}
		if _, said := whyRemoting(err); !said || server == "namesrv" {
			return err
		}
		refused = err
	}
	body, err := c.ask(remotingBrokerRuntime)
	var said *remotingError
	if errors.As(err, &said) && said.code == remotingNotSupported && refused != nil {
		return refused // it is no broker either: what was wrong first counts
	}
	if err != nil {
		return err
	}
	return p.tellBroker(c, body)
}

// tellNameServer tells which brokers are registered. A broker that is gone is dropped two minutes later, and is missing then.
func (p *Probe) tellNameServer(body []byte) error {
	var cluster rocketmqCluster
	if err := json.Unmarshal(quoteKeys(body), &cluster); err != nil || cluster.Brokers == nil {
		return fail(Protocol, "the answer is not that of a name server")
	}
	p.Up()
	registered, headless := 0, 0
	for _, name := range slices.Sorted(maps.Keys(cluster.Brokers)) {
		addresses := cluster.Brokers[name].Addresses
		registered += len(addresses)
		if _, led := addresses["0"]; !led {
			headless++
			p.Problem(NoLeader, "no primary is registered for %s", name)
		}
	}
	p.membership(registered, 0)
	p.Fact("broker_names", float64(len(cluster.Brokers)))
	p.Fact("broker_names_without_primary", float64(headless))
	if registered == 0 {
		p.Problem(Unavailable, "no broker is registered")
	}
	return nil
}

// rocketmqGroup judges brokers that replicate from one another; name servers know nothing of each other. Several primaries are no conflict:
// a group may hold several names of brokers.
func rocketmqGroup(members []*state.MiddlewareView, group *Recorder) {
	primaries, replicas := 0, 0
	for _, m := range members {
		switch m.Role {
		case "primary":
			primaries++
		case "replica":
			replicas++
		}
	}
	if primaries == 0 && replicas > 0 {
		group.Problem(NoLeader, "no broker that answers is a primary")
	}
}
