// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"stability-exporter/internal/state"
)

// commit writes so many messages to each partition of the topic orders and lets a group without members commit an offset in each.
func commit(t *testing.T, c *kfake.Cluster, group string, messages int, offset int64) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.MaxVersions(kversion.V3_0_0()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	request := kmsg.NewPtrOffsetCommitRequest()
	request.Group = group
	topic := kmsg.NewOffsetCommitRequestTopic()
	topic.Topic = "orders"
	for i := range int32(3) {
		for range messages {
			if err := client.ProduceSync(ctx, &kgo.Record{Topic: "orders", Partition: i, Value: []byte("m")}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		p := kmsg.NewOffsetCommitRequestTopicPartition()
		p.Partition, p.Offset = i, offset
		topic.Partitions = append(topic.Partitions, p)
	}
	request.Topics = append(request.Topics, topic)
	response, err := request.RequestWith(ctx, client)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range response.Topics[0].Partitions {
		if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
			t.Fatal(err)
		}
	}
}

// join lets a member read the topic orders from its begin until the test ends, without committing.
func join(t *testing.T, c *kfake.Cluster, group string) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.ConsumerGroup(group), kgo.ConsumeTopics("orders"), kgo.DisableAutoCommit())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := c.WaitGroupStable(ctx, group, 1); err != nil {
		t.Fatal(err)
	}
}

func TestKafkaGroups(t *testing.T) {
	c := startKafka(t)
	commit(t, c, "billing", 5, 3)
	v := askKafka(t, c, withOption("groups", "billing"))
	wantUp(t, v)
	wantValue(t, v.ConsumerLag, "billing", 6)
	wantValue(t, v.Facts, "groups_without_members", 1)
	wantTold(t, kafkaKind(), v)

	v = askKafka(t, c, withOption("groups", "billing"), withOption("groups_must_consume", "true"))
	wantUp(t, v, Degraded)

	join(t, c, "billing")
	v = askKafka(t, c, withOption("groups", "billing"), withOption("groups_must_consume", "true"))
	wantUp(t, v)
	wantValue(t, v.ConsumerLag, "billing", 6)
	wantValue(t, v.Facts, "groups_without_members", 0)

	v = askKafka(t, c, withOption("groups", "billing\nshipping"))
	wantUp(t, v, Mismatch)
	wantValue(t, v.ConsumerLag, "billing", 6)
	wantUnknown(t, v, "consumer_lag{shipping}", Garbled)
}

// A lag that is not known is not zero, nor that of those partitions that are known.
func TestKafkaGroupsThatAreNotTold(t *testing.T) {
	for _, c := range []struct {
		name   string
		script func(*kfake.Cluster)
		why    Why
		want   []Reason
	}{
		{"it may not be described", func(c *kfake.Cluster) {
			c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetFetch}, Err: kerr.GroupAuthorizationFailed, TopLevel: true, Count: -1})
		}, NoPermission, nil},
		{"its coordinator starts", func(c *kfake.Cluster) {
			c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.FindCoordinator}, Err: kerr.CoordinatorNotAvailable, TopLevel: true, Count: -1})
		}, WarmingUp, nil},
		{"a partition has no leader", func(c *kfake.Cluster) {
			withMetadata(c, func(m *kmsg.MetadataResponse) { m.Topics[0].Partitions[1].Leader = -1 })
		}, TimedOut, []Reason{Degraded}},
		{"the end of a partition is not told", func(c *kfake.Cluster) {
			c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.ListOffsets}, Partitions: []int32{1}, Topic: "orders", Err: kerr.NotLeaderForPartition, Count: -1})
		}, WarmingUp, nil},
		{"a leader hangs", func(c *kfake.Cluster) {
			c.ControlKey(kmsg.ListOffsets.Int16(), func(kmsg.Request) (kmsg.Response, error, bool) { return nil, nil, true })
		}, TimedOut, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			fake := startKafka(t)
			commit(t, fake, "billing", 5, 3)
			c.script(fake)
			v := askKafka(t, fake, withOption("groups", "billing"), func(t *Target) { t.Timeout = 3 * time.Second })
			wantUp(t, v, c.want...)
			wantUnknown(t, v, "consumer_lag{billing}", c.why)
			wantTold(t, kafkaKind(), v, "consumer_lag")
		})
	}
}

// A group of the protocol of Kafka 4 is dead to those who ask as before.
func TestKafkaNewerGroups(t *testing.T) {
	c := startKafka(t)
	commit(t, c, "billing", 5, 3)
	answering(c, kmsg.DescribeGroups, func(kmsg.Request) kmsg.Response {
		response := kmsg.NewPtrDescribeGroupsResponse()
		group := kmsg.NewDescribeGroupsResponseGroup()
		group.Group, group.State = "billing", "Dead"
		response.Groups = append(response.Groups, group)
		return response
	})
	answering(c, kmsg.ConsumerGroupDescribe, func(kmsg.Request) kmsg.Response {
		response := kmsg.NewPtrConsumerGroupDescribeResponse()
		group := kmsg.NewConsumerGroupDescribeResponseGroup()
		group.Group, group.State = "billing", "Stable"
		response.Groups = append(response.Groups, group)
		return response
	})
	v := askKafka(t, c, withOption("groups", "billing"))
	wantUp(t, v)
	wantValue(t, v.Facts, "groups_without_members", 0)
}

// Brokers of one cluster as a group: one that answers tells of those that are not asked.
func TestKafkaTogether(t *testing.T) {
	member := func(up bool, healthy float64) *state.MiddlewareView {
		v := &state.MiddlewareView{Up: up}
		if up {
			v.Members = []state.Measurement{{Name: "healthy", Value: healthy}}
			v.MembersExpected = state.Measure{Known: true, Value: 3}
		}
		return v
	}
	for _, c := range []struct {
		name    string
		members []*state.MiddlewareView
		up      bool
		want    []Reason
	}{
		{"all answer", []*state.MiddlewareView{member(true, 3), member(true, 3), member(true, 3)}, true, nil},
		{"one is missing", []*state.MiddlewareView{member(true, 2), member(true, 2), member(false, 0)}, true, []Reason{MembersMissing}},
		{"one is asked", []*state.MiddlewareView{member(true, 3)}, true, nil},
		{"none answers", []*state.MiddlewareView{member(false, 0)}, false, nil},
	} {
		group := &Recorder{}
		kafkaTogether(c.members, group)
		v := group.finish()
		if got := reasons(v); v.Up != c.up || len(got) != len(c.want) || len(got) > 0 && got[0] != c.want[0] {
			t.Errorf("%s: up %t, problems %v", c.name, v.Up, v.Problems)
		}
	}
}
