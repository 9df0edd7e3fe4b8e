// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// maxKafkaOffsets bounds the offsets that are kept of all groups together.
const maxKafkaOffsets = 200_000

// kafkaGroup is a consumer group that the configuration names.
type kafkaGroup struct {
	name      string
	err       error
	committed map[kafkaPartitionName]int64
	empty     bool  // it has no members
	dead      bool  // nor is there such a group
	noState   error // why that is not known
}

// tellGroups tells how far the groups are behind: the ends of their partitions less what they have committed.
func (k *kafka) tellGroups(ctx context.Context, t *kafkaTopics) {
	names := k.OptionList("groups")
	if len(names) == 0 {
		k.Unknown("consumer_lag", NotConfigured)
		k.Unknown("fact{groups_without_members}", NotConfigured)
		return
	}
	leaders := map[kafkaPartitionName]int32{}
	for _, p := range t.partitions {
		leaders[p.kafkaPartitionName] = p.leader
	}
	var groups []*kafkaGroup
	left := maxKafkaOffsets
	for _, name := range names[:min(len(names), maxNamed)] {
		g := &kafkaGroup{name: name}
		g.err = k.askGroup(ctx, g, leaders, &left)
		groups = append(groups, g)
	}
	ends := k.askEnds(ctx, groups, leaders)
	without, noState := 0, Why("")
	for _, g := range groups {
		k.tellGroup(g, ends)
		switch {
		case g.err != nil:
			noState = kafkaWhy(g.err)
		case g.noState != nil:
			noState = kafkaWhy(g.noState)
		case g.empty:
			without++
		}
	}
	k.count("fact{groups_without_members}", without, noState)
}

// askGroup asks the coordinator of a group for what it has committed and whether it has members.
func (k *kafka) askGroup(ctx context.Context, g *kafkaGroup, leaders map[kafkaPartitionName]int32, left *int) error {
	coordinator, err := k.coordinator(ctx, g.name)
	if err != nil {
		return err
	}
	c, err := k.reach(ctx, ctx, coordinator)
	if err != nil {
		return fmt.Errorf("its coordinator: %w", err)
	}
	limited, cancel := context.WithTimeout(ctx, share(ctx, 0.6)) // one that hangs does not keep the others from being asked
	defer cancel()
	request := kmsg.NewPtrOffsetFetchRequest() // without a list: of all topics
	request.Group = g.name
	answer, err := c.ask(limited, request, maxKafkaAnswer)
	if err != nil {
		coordinator.err = err
		return err
	}
	said := answer.(*kmsg.OffsetFetchResponse)
	if kerr.TypedErrorForCode(said.ErrorCode) == kerr.GroupIDNotFound {
		g.dead, g.empty = true, true
		return nil
	}
	if err := kafkaCode(said.ErrorCode, "offsets"); err != nil {
		return err
	}
	g.committed = map[kafkaPartitionName]int64{}
	for _, topic := range said.Topics {
		for _, p := range topic.Partitions {
			if err := kafkaCode(p.ErrorCode, "offset"); err != nil {
				return err
			}
			name := kafkaPartitionName{topic.Topic, p.Partition}
			if _, known := leaders[name]; !known || p.Offset < 0 {
				continue // deleted since, or nothing committed
			}
			if *left--; *left < 0 {
				return fail(Protocol, "more than %d offsets", maxKafkaOffsets)
			}
			g.committed[name] = p.Offset
		}
	}
	g.noState = askState(limited, c, g)
	return nil
}

// coordinator returns the broker that looks after a group.
func (k *kafka) coordinator(ctx context.Context, group string) (*kafkaBroker, error) {
	if k.first.broken {
		k.first.close()
		c, err := k.connect(ctx, k.Probe, k.address, share(ctx, 0.5))
		if err != nil {
			return nil, err
		}
		k.first = c
	}
	request := kmsg.NewPtrFindCoordinatorRequest()
	request.CoordinatorKey = group
	answer, err := k.first.ask(ctx, request, maxKafkaSmall)
	if err != nil {
		return nil, err
	}
	said := answer.(*kmsg.FindCoordinatorResponse)
	if err := kafkaCode(said.ErrorCode, "coordinator"); err != nil {
		return nil, err
	}
	if b := k.broker(said.NodeID); b != nil {
		return b, nil
	}
	return nil, fail(Protocol, "its coordinator is not listed")
}

// askState asks whether a group has members. A group of the protocol of Kafka 4 is dead to those who ask for the older one.
func askState(ctx context.Context, c *kafkaConn, g *kafkaGroup) error {
	request := kmsg.NewPtrDescribeGroupsRequest()
	request.Groups = []string{g.name}
	answer, err := c.ask(ctx, request, maxKafkaMetadata)
	if err != nil {
		return err
	}
	said := answer.(*kmsg.DescribeGroupsResponse).Groups
	if len(said) != 1 {
		return fail(Protocol, "no answer for the group")
	}
	if err := kafkaCode(said[0].ErrorCode, "group"); err != nil {
		return err
	}
	state := said[0].State
	if state == "Dead" {
		switch newer, err := askNewerState(ctx, c, g.name); {
		case err == nil:
			state = newer
		case !errors.Is(err, errKafkaUnsupported):
			return err
		}
	}
	g.dead = state == "Dead"
	g.empty = g.dead || state == "Empty"
	return nil
}

func askNewerState(ctx context.Context, c *kafkaConn, group string) (string, error) {
	request := kmsg.NewPtrConsumerGroupDescribeRequest()
	request.Groups = []string{group}
	answer, err := c.ask(ctx, request, maxKafkaMetadata)
	if err != nil {
		return "", err
	}
	said := answer.(*kmsg.ConsumerGroupDescribeResponse).Groups
	if len(said) != 1 {
		return "", fail(Protocol, "no answer for the group")
	}
	if kerr.TypedErrorForCode(said[0].ErrorCode) == kerr.GroupIDNotFound {
		return "Dead", nil
	}
	return said[0].State, kafkaCode(said[0].ErrorCode, "group")
}

// kafkaEnd is where a partition ends, or why that is not known.
type kafkaEnd struct {
	offset int64
	err    error
}

// askEnds asks the leaders where the partitions end that the groups read.
func (k *kafka) askEnds(ctx context.Context, groups []*kafkaGroup, leaders map[kafkaPartitionName]int32) map[kafkaPartitionName]kafkaEnd {
	ends := map[kafkaPartitionName]kafkaEnd{}
	byLeader := map[int32]map[string][]int32{}
	for _, g := range groups {
		for name := range g.committed {
			if _, asked := ends[name]; asked {
				continue
			}
			ends[name] = kafkaEnd{err: fail(Timeout, "%s has no leader that answers", name)}
			if leader := leaders[name]; leader >= 0 {
				if byLeader[leader] == nil {
					byLeader[leader] = map[string][]int32{}
				}
				byLeader[leader][name.topic] = append(byLeader[leader][name.topic], name.number)
			}
		}
	}
	for leader, topics := range byLeader {
		limited, cancel := context.WithTimeout(ctx, share(ctx, 0.6))
		k.askLeader(limited, ctx, leader, topics, ends)
		cancel()
	}
	return ends
}

func (k *kafka) askLeader(ctx, whole context.Context, leader int32, topics map[string][]int32, ends map[kafkaPartitionName]kafkaEnd) {
	b := k.broker(leader)
	if b == nil {
		return
	}
	c, err := k.reach(ctx, whole, b)
	if err != nil {
		return
	}
	request := kmsg.NewPtrListOffsetsRequest()
	request.ReplicaID = -1
	for name, partitions := range topics {
		topic := kmsg.NewListOffsetsRequestTopic()
		topic.Topic = name
		for _, number := range partitions {
			partition := kmsg.NewListOffsetsRequestTopicPartition()
			partition.Partition, partition.CurrentLeaderEpoch, partition.Timestamp = number, -1, -1 // the end
			topic.Partitions = append(topic.Partitions, partition)
		}
		request.Topics = append(request.Topics, topic)
	}
	answer, err := c.ask(ctx, request, maxKafkaMetadata)
	if err != nil {
		b.err = err
		return
	}
	for _, topic := range answer.(*kmsg.ListOffsetsResponse).Topics {
		for _, p := range topic.Partitions {
			name := kafkaPartitionName{topic.Topic, p.Partition}
			if _, asked := ends[name]; asked {
				ends[name] = kafkaEnd{p.Offset, kafkaCode(p.ErrorCode, "end of %s", name)}
			}
		}
	}
}

// tellGroup tells the lag of a group; that of a part of its partitions is not told, it would be too small. A group without members may be
// one of a job that comes again: that is a problem only where groups must consume.
func (k *kafka) tellGroup(g *kafkaGroup, ends map[kafkaPartitionName]kafkaEnd) {
	fact := "consumer_lag{" + g.name + "}"
	lag := 0.0
	for name, offset := range g.committed {
		end := ends[name]
		if end.err != nil && g.err == nil {
			g.err = end.err
		}
		lag += float64(max(0, end.offset-offset))
	}
	switch {
	case g.err != nil:
		k.Unknown(fact, kafkaWhy(g.err))
	case len(g.committed) == 0 && g.dead:
		k.Problem(Mismatch, "there is no consumer group %s", g.name)
		k.Unknown(fact, Garbled)
	case len(g.committed) == 0:
		k.Unknown(fact, WarmingUp) // it has committed nothing yet
	default:
		k.ConsumerLag(g.name, lag)
	}
	if g.err == nil && g.empty && lag > 0 && k.OptionFlag("groups_must_consume") {
		k.Problem(Degraded, "consumer group %s has no members and is %.0f messages behind", g.name, lag)
	}
}
