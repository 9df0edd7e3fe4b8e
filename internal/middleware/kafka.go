// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"context"
	"errors"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"stability-exporter/internal/state"
)

func kafkaKind() Kind {
	return Kind{
		Name: "kafka",
		Help: "Apache Kafka from 1.0 on, with ZooKeeper or KRaft. One broker is asked for the metadata of the cluster, and every broker that these list for its log " +
			"directories. Topics that the account may not describe (Describe) are not told at all, so look at fact topics; min.insync.replicas wants " +
			"DescribeConfigs on topics, log directories and controllers Describe on the cluster, consumer groups Describe on the group and its topics. " +
			"A credential must be meant for the addresses that all brokers advertise.",
		Port: "9092", TLSPort: "9093",
		Options: []Option{
			{Name: "brokers", Type: List, Check: checkHostPort, Help: "further brokers, host:port, one of which is asked when the address does not answer"},
			{Name: "sasl", Type: Text, Default: saslScram512, Check: checkSASL, Help: "how a credential is sent: scram-sha-512, scram-sha-256 or plain"},
			{Name: "plain_without_tls", Type: Flag, Default: "false", Help: "allow sasl plain, which sends the password itself, without TLS that verifies"},
			{Name: "every_broker", Type: Flag, Default: "true", Help: "ask every broker at the address that it advertises, and miss it when it does not answer; false where " +
				"these addresses do not lead to it from here"},
			{Name: "topics", Type: List, Help: "topics that there must be: one that is missing, or may not be described, is a problem"},
			{Name: "groups", Type: List, Help: "consumer groups whose lag is told"},
			{Name: "groups_must_consume", Type: Flag, Default: "false", Help: "a group without members that is behind is a problem, not only a number: not for jobs that consume now and then"},
		},
		Facts: []string{"writable", "members{healthy}", "members_expected", "partitions{offline}", "partitions{under_min_isr}", "partitions{under_replicated}",
			"consumer_lag", "alarm{log_dir_offline}", "saturation_ratio{disk}", "fact{topics}", "fact{partitions}", "fact{reassigning_partitions}",
			"fact{log_dirs_offline}", "fact{controllers}", "fact{controllers_behind}", "fact{groups_without_members}"},
		Asked: func(p *Probe) (facts []string) {
			for _, group := range p.OptionList("groups") {
				facts = append(facts, "consumer_lag{"+group+"}")
			}
			return facts
		},
		Verified: Verification{Fake: []string{
			"all of it but the controllers of KRaft, against the protocol-level fake kfake of franz-go, with faults scripted into its answers",
			"controllers of KRaft, disks and connections that end or hang: answers put into the fake by hand",
		}},
		Probe:    probeKafka,
		Together: kafkaTogether,
	}
}

func checkHostPort(value string) error {
	host, port, err := net.SplitHostPort(value)
	if err != nil || host == "" {
		return errors.New("want host:port")
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return errors.New("want a port from 1 to 65535")
	}
	return nil
}

// kafka is one asking of one cluster.
type kafka struct {
	*Probe
	login    *login // nil: none
	address  string // that answered first
	first    *kafkaConn
	metadata *kmsg.MetadataResponse
	brokers  []*kafkaBroker // that the metadata list, by their number
	decoding sync.Mutex     // see kafkaConn
}

func probeKafka(ctx context.Context, p *Probe) error {
	k := &kafka{Probe: p}
	var err error
	if k.login, err = p.kafkaLogin(); err != nil {
		return err
	}
	if err := k.begin(ctx); err != nil {
		return err
	}
	defer k.close()
	p.Up()
	k.judgeController()
	k.list()
	parts := k.partitions()
	work, cancel := context.WithTimeout(ctx, share(ctx, 0.6))
	defer cancel()
	var quorum kafkaQuorum
	err = together(
		func() error { k.askTopics(work, parts); return nil },
		func() error { quorum = k.askQuorum(work); return nil },
		func() error { k.askBrokers(work, ctx); return nil },
		func() error { k.askMoving(work, parts); return nil },
	)
	if err != nil {
		return err
	}
	k.judgePartitions(parts)
	k.judgeBrokers(parts)
	k.judgeQuorum(quorum)
	rest, cancelRest := context.WithTimeout(ctx, share(ctx, 0.9))
	defer cancelRest()
	k.tellGroups(rest, parts)
	return nil
}

// share returns a part of the time that is left.
func share(ctx context.Context, part float64) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return time.Minute
	}
	return time.Duration(part * float64(time.Until(deadline)))
}

// together does things at the same time and returns when all are done; a panic in one of them becomes an error.
func together(do ...func() error) error {
	errs := make(chan error, len(do))
	for _, f := range do {
		go func() {
			defer func() {
				if r := recover(); r != nil {
					errs <- fail(Internal, "the probe panicked: %v", r)
				}
			}()
			errs <- f()
		}()
	}
	var first error
	for range do {
		if err := <-errs; first == nil {
			first = err
		}
	}
	return first
}

// begin asks the addresses in turn until one tells the metadata. Who answers and refuses has the last word.
func (k *kafka) begin(ctx context.Context) error {
	address, err := k.Target.hostPort()
	if err != nil {
		return err
	}
	addresses := append([]string{address}, k.OptionList("brokers")...)
	var first error
	for i, address := range addresses {
		err := k.beginAt(ctx, address, share(ctx, 1/float64(len(addresses)-i)))
		if err == nil {
			return nil
		}
		if first == nil {
			first = err
		}
		if !slices.Contains([]Reason{DNS, Refused, Timeout, Closed}, reasonOf(err)) {
			return err
		}
	}
	return first
}

func (k *kafka) beginAt(ctx context.Context, address string, within time.Duration) error {
	limited, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	c, err := k.connect(ctx, k.Probe, address, within)
	if err != nil {
		return err
	}
	request := kmsg.NewPtrMetadataRequest() // without a list: of all topics
	request.AllowAutoTopicCreation = false
	answer, err := c.ask(limited, request, maxKafkaMetadata)
	switch {
	case err == nil:
		k.address, k.first, k.metadata = address, c, answer.(*kmsg.MetadataResponse)
		return nil
	case errors.Is(err, errKafkaUnsupported):
		err = fail(Protocol, "it is older than Kafka 1.0: %w", err)
	case k.login == nil && reasonOf(err) == Closed:
		err = fail(Auth, "it ends the connection when it is asked without a login: %w", err)
	}
	c.close()
	return err
}

// connect connects to a broker and logs in; phases are told to p. A credential goes nowhere that it is not meant for.
func (k *kafka) connect(ctx context.Context, p *Probe, address string, within time.Duration) (*kafkaConn, error) {
	if k.login != nil && !k.Target.Credential.mayGo(address) {
		return nil, fail(Forbidden, "credential %s is not meant for %s: add it to its targets", k.Target.Credential.Name, address)
	}
	limited, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	c, err := p.dialKafka(ctx, address, within)
	if err != nil {
		return nil, err
	}
	c.decoding = &k.decoding
	if k.first != nil && isLoopback(c.conn) && !isLoopback(k.first.conn) {
		c.close()
		return nil, fail(Forbidden, "it advertises an address of the machine that asks")
	}
	if err = c.learn(limited); err == nil && k.login != nil {
		err = c.logIn(limited, k.login)
	}
	if err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

func isLoopback(conn net.Conn) bool {
	addr, ok := conn.RemoteAddr().(*net.TCPAddr)
	return ok && addr.IP.IsLoopback()
}

// close ends all connections.
func (k *kafka) close() {
	k.first.close()
	for _, b := range k.brokers {
		if b.conn != nil {
			b.conn.close()
		}
	}
}

// judgeController looks for the controller. With KRaft brokers name any of themselves, so that it is askQuorum that knows.
func (k *kafka) judgeController() {
	switch id := k.metadata.ControllerID; {
	case len(k.metadata.Brokers) == 0:
		k.Problem(Unavailable, "it lists no broker that serves")
	case id < 0, !slices.ContainsFunc(k.metadata.Brokers, func(b kmsg.MetadataResponseBroker) bool { return b.NodeID == id }):
		k.Problem(NoLeader, "no broker is the controller")
	}
}

// kafkaTogether counts the brokers that answer, be it to us or to each other. What each knows of the cluster is told with itself.
func kafkaTogether(members []*state.MiddlewareView, group *Recorder) {
	up, serving := 0, 0
	for _, m := range members {
		if m.Up {
			up++
			for _, n := range m.Members {
				serving = max(serving, int(n.Value)) // of those that are healthy: there is no other state
			}
		}
	}
	if up == 0 {
		group.Members("healthy", 0)
		return
	}
	group.Up()
	serving = max(serving, up)
	expected := electors(members)
	group.Members("healthy", serving)
	group.Expected(expected)
	if serving < expected {
		group.Problem(MembersMissing, "%d of %d brokers serve", serving, expected)
	}
}
