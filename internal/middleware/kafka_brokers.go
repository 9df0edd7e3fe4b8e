// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"cmp"
	"context"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"stability-exporter/internal/state"
)

// maxKafkaBrokers bounds how many brokers are asked. All are asked at the same time, so that one that hangs delays none.
// maxKafkaMembers is far above the brokers of any cluster.
const (
	maxKafkaBrokers = 64
	maxKafkaMembers = 10000
)

// kafkaBroker is a broker that the metadata list.
type kafkaBroker struct {
	id      int32
	address string
	aside   *Probe // takes what belongs to this broker: phases do not add up when brokers are asked at the same time
	conn    *kafkaConn
	err     error // why there is no connection
	dirs    []kafkaDir
	noDirs  error
}

// kafkaDir is a log directory. Free is negative when it is not told how full it is.
type kafkaDir struct {
	offline     bool
	total, free int64
}

// list takes the brokers out of the metadata.
func (k *kafka) list() {
	for _, b := range k.metadata.Brokers {
		if k.broker(b.NodeID) == nil {
			at, _ := slices.BinarySearchFunc(k.brokers, b.NodeID, byID)
			k.brokers = slices.Insert(k.brokers, at, k.newBroker(b.NodeID, b.Host, b.Port))
		}
	}
}

func (k *kafka) newBroker(id int32, host string, port int32) *kafkaBroker {
	aside := &Probe{Recorder: &Recorder{}, Target: k.Target, now: k.now}
	return &kafkaBroker{id: id, address: net.JoinHostPort(host, strconv.Itoa(int(port))), aside: aside}
}

func byID(b *kafkaBroker, id int32) int { return cmp.Compare(b.id, id) }

// broker returns the broker with a number, nil when it is not listed.
func (k *kafka) broker(id int32) *kafkaBroker {
	if at, found := slices.BinarySearchFunc(k.brokers, id, byID); found {
		return k.brokers[at]
	}
	return nil
}

// reach returns a connection to a broker, which lasts as long as whole; one that could not be reached is not tried again.
func (k *kafka) reach(ctx, whole context.Context, b *kafkaBroker) (*kafkaConn, error) {
	if b.err == nil && (b.conn == nil || b.conn.broken) {
		if b.conn != nil {
			b.conn.close()
		}
		b.conn, b.err = k.connect(whole, b.aside, b.address, share(ctx, 0.7))
	}
	return b.conn, b.err
}

// askBrokers asks every broker whether it answers, and for its log directories.
func (k *kafka) askBrokers(ctx, whole context.Context) {
	if !k.OptionFlag("every_broker") {
		return
	}
	var each []func() error
	for _, b := range k.brokers[:min(len(k.brokers), maxKafkaBrokers)] {
		each = append(each, func() error {
			k.askBroker(ctx, whole, b)
			return nil
		})
	}
	if err := together(each...); err != nil {
		k.Problem(reasonOf(err), "%v", err)
	}
}

// askBroker asks for the log directories, and none of what they hold.
func (k *kafka) askBroker(ctx, whole context.Context, b *kafkaBroker) {
	c, err := k.reach(ctx, whole, b)
	if err != nil {
		b.noDirs = err
		return
	}
	request := kmsg.NewPtrDescribeLogDirsRequest()
	request.Topics = []kmsg.DescribeLogDirsRequestTopic{}
	answer, err := c.ask(ctx, request, maxKafkaDirs)
	if err != nil {
		b.noDirs = err
		if reasonOf(err) == Timeout {
			b.err = err // it does not answer, be it that its disks do not
		}
		return
	}
	said := answer.(*kmsg.DescribeLogDirsResponse)
	for _, dir := range said.Dirs {
		told := kafkaDir{dir.ErrorCode != 0, dir.TotalBytes, dir.UsableBytes}
		if said.Version < 4 {
			told.free = -1
		}
		b.dirs = append(b.dirs, told)
	}
	b.noDirs = kafkaCode(said.ErrorCode, "log directories")
	if b.noDirs == nil && len(b.dirs) == 0 {
		b.noDirs = fail(Permission, "no log directories are told") // as before Kafka 2.8, which had no code for it
	}
}

// judgeBrokers tells which brokers serve: those that are listed and answer. What is missing is found by the replicas that there should be.
func (k *kafka) judgeBrokers(t *kafkaTopics) {
	known := map[int32]bool{}
	for _, b := range k.brokers {
		known[b.id] = true
	}
	for _, topic := range k.metadata.Topics {
		for _, p := range topic.Partitions {
			for _, id := range p.Replicas {
				if len(known) < maxKafkaMembers {
					known[id] = true
				}
			}
		}
	}
	silent := 0
	for _, b := range k.brokers {
		k.adopt(b.aside.view)
		if b.err == nil {
			continue
		}
		switch reason := reasonOf(b.err); {
		case reason == Forbidden && k.login != nil && !k.Target.Credential.mayGo(b.address):
			continue // not asked, which says nothing of it
		case slices.Contains([]Reason{DNS, Refused, Timeout, Closed}, reason):
			silent++
			k.Problem(MembersMissing, "broker %d does not answer at %s: %v", b.id, b.address, b.err)
		default:
			silent++
			k.Problem(reason, "broker %d at %s: %v", b.id, b.address, b.err)
		}
	}
	k.membership(len(k.brokers)-silent, len(known))
	k.judgeLogDirs()
}

// adopt takes over what a connection told of certificates: the one that ends first, and whether all verify.
func (k *kafka) adopt(v state.MiddlewareView) {
	k.change(func(all *state.MiddlewareView) {
		if v.TLSNotAfter != 0 && (all.TLSNotAfter == 0 || v.TLSNotAfter < all.TLSNotAfter) {
			all.TLSNotAfter = v.TLSNotAfter
		}
		if v.TLSVerified == state.False {
			all.TLSVerified = state.False
		}
	})
}

func (k *kafka) judgeLogDirs() {
	var why Why
	offline, fullest, measured := 0, 0.0, false
	for _, b := range k.brokers {
		if b.noDirs != nil {
			why = kafkaWhy(b.noDirs)
		}
		for _, dir := range b.dirs {
			if dir.offline {
				offline++
			} else if dir.total > 0 && dir.free >= 0 {
				fullest, measured = max(fullest, 1-float64(dir.free)/float64(dir.total)), true
			}
		}
	}
	if !k.OptionFlag("every_broker") || len(k.brokers) == 0 || len(k.brokers) > maxKafkaBrokers && why == "" {
		why = NotConfigured
	}
	k.count("fact{log_dirs_offline}", offline, why)
	switch {
	case offline > 0 || why == "":
		k.Alarm("log_dir_offline", offline > 0)
	default:
		k.Unknown("alarm{log_dir_offline}", why)
	}
	switch {
	case measured:
		k.Saturation("disk", fullest, 1)
	case why != "":
		k.Unknown("saturation_ratio{disk}", why)
	default:
		k.Unknown("saturation_ratio{disk}", Unsupported) // from Kafka 3.3 on
	}
}

// kafkaQuorum is what the controllers of KRaft say of themselves.
type kafkaQuorum struct {
	voters, behind int
	leaderless     string // why they have no leader; empty: they have, or it is not known
	unknown        Why
	noTimes        bool // before Kafka 3.4 nobody says when a voter was last heard of
}

const (
	// longSilence is from how long on a controller that has not caught up is behind; by default one that hears nothing for 2 s calls an election.
	longSilence = 10 * time.Second
	// longEnough is how long controllers that elect anew may take to answer.
	longEnough = time.Second
)

// askQuorum asks the controllers through the broker, over a connection of its own: without a leader it waits for one. That is also why no
// answer is one, given time enough.
func (k *kafka) askQuorum(ctx context.Context) kafkaQuorum {
	aside := &Probe{Recorder: &Recorder{}, Target: k.Target, now: k.now}
	if _, known := k.first.knows(kmsg.DescribeQuorum.Int16()); !known {
		return kafkaQuorum{unknown: Unsupported}
	}
	c, err := k.connect(ctx, aside, k.address, share(ctx, 0.5))
	if err != nil {
		return kafkaQuorum{unknown: kafkaWhy(err)}
	}
	defer c.close()
	began := time.Now()
	request := kmsg.NewPtrDescribeQuorumRequest()
	topic, partition := kmsg.NewDescribeQuorumRequestTopic(), kmsg.NewDescribeQuorumRequestTopicPartition()
	topic.Topic, topic.Partitions = "__cluster_metadata", []kmsg.DescribeQuorumRequestTopicPartition{partition}
	request.Topics = []kmsg.DescribeQuorumRequestTopic{topic}
	answer, err := c.ask(ctx, request, maxKafkaAnswer)
	if err == nil {
		return readQuorum(answer.(*kmsg.DescribeQuorumResponse))
	}
	q := kafkaQuorum{unknown: kafkaWhy(err)}
	if took := time.Since(began); reasonOf(err) == Timeout && took >= longEnough {
		q.leaderless = "the broker has no answer of the controllers within " + took.Round(100*time.Millisecond).String()
	}
	return q
}

func readQuorum(said *kmsg.DescribeQuorumResponse) kafkaQuorum {
	code := said.ErrorCode
	var p *kmsg.DescribeQuorumResponseTopicPartition
	if len(said.Topics) == 1 && len(said.Topics[0].Partitions) == 1 {
		p = &said.Topics[0].Partitions[0]
		if code == 0 {
			code = p.ErrorCode
		}
	}
	if err := kafkaCode(code, "controllers"); err != nil {
		q := kafkaQuorum{unknown: kafkaWhy(err)}
		switch kerr.TypedErrorForCode(code) {
		case kerr.NotController, kerr.NotLeaderForPartition, kerr.LeaderNotAvailable, kerr.BrokerNotAvailable, kerr.RequestTimedOut:
			q.unknown, q.leaderless = TimedOut, "the controllers answer "+kerr.TypedErrorForCode(code).Message
		}
		return q
	}
	if p == nil {
		return kafkaQuorum{unknown: Garbled}
	}
	q := kafkaQuorum{voters: len(p.CurrentVoters)}
	if p.LeaderID < 0 {
		q.leaderless = "the controllers have no leader"
	}
	now := int64(0) // by the clock of the leader, which is caught up with itself
	for _, v := range p.CurrentVoters {
		now = max(now, v.LastCaughtUpTimestamp)
	}
	q.noTimes = now <= 0
	for _, v := range p.CurrentVoters {
		if now-v.LastCaughtUpTimestamp > longSilence.Milliseconds() {
			q.behind++
		}
	}
	return q
}

func (k *kafka) judgeQuorum(q kafkaQuorum) {
	if q.leaderless != "" {
		k.Problem(NoLeader, "%s", q.leaderless)
	}
	if q.unknown != "" {
		k.Unknown("fact{controllers}", q.unknown)
		k.Unknown("fact{controllers_behind}", q.unknown)
		return
	}
	k.Fact("controllers", float64(q.voters))
	if q.noTimes {
		k.Unknown("fact{controllers_behind}", Unsupported)
		return
	}
	k.Fact("controllers_behind", float64(q.behind))
	if q.behind > 0 {
		k.Problem(MembersMissing, "%d of %d controllers are behind by more than %s", q.behind, q.voters, longSilence)
	}
}
