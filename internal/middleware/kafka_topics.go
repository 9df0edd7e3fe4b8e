// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// kafkaTopics is what is known of the topics that may be described.
type kafkaTopics struct {
	names      []string
	partitions []kafkaPartition
	// unread says why some topics are missing although there are such, empty when none is.
	unread Why
	minISR map[string]int
	// noMinISR says why min.insync.replicas of some topics is not known.
	noMinISR Why
	// moving are partitions that are being reassigned, by topic and number: some of their replicas are not meant to be in sync yet.
	moving   map[kafkaPartitionName]bool
	noMoving Why
}

type kafkaPartitionName struct {
	topic  string
	number int32
}

type kafkaPartition struct {
	kafkaPartitionName
	leader        int32 // negative: none
	replicas, isr int
}

// String names it as Kafka's tools do.
func (n kafkaPartitionName) String() string { return n.topic + "-" + strconv.Itoa(int(n.number)) }

// partitions reads the metadata. A topic that is being created or deleted has an error instead of partitions; one that is marked for
// deletion is not listed.
func (k *kafka) partitions() *kafkaTopics {
	t := &kafkaTopics{}
	for _, topic := range k.metadata.Topics {
		switch code := kerr.TypedErrorForCode(topic.ErrorCode); {
		case topic.Topic == nil, code == kerr.UnknownTopicOrPartition, code == kerr.LeaderNotAvailable:
			continue
		case code != nil:
			t.unread = kafkaWhy(kafkaCode(topic.ErrorCode, "metadata"))
			continue
		}
		t.names = append(t.names, *topic.Topic)
		for _, p := range topic.Partitions {
			leader := p.Leader
			if k.broker(leader) == nil {
				leader = -1 // one that is not listed serves nobody
			}
			t.partitions = append(t.partitions, kafkaPartition{kafkaPartitionName{*topic.Topic, p.Partition}, leader, len(p.Replicas), len(p.ISR)})
		}
	}
	if len(t.names) == 0 && t.unread == "" {
		t.unread = NoPermission // a cluster without topics looks the same to an account that may describe none
	}
	return t
}

// askTopics asks for what the metadata do not tell of topics, all over the first connection.
func (k *kafka) askTopics(ctx context.Context, t *kafkaTopics) {
	k.askWanted(ctx, t)
	if err := k.askMinISR(ctx, t); err != nil {
		t.noMinISR = kafkaWhy(err)
	}
}

// askWanted asks for the topics that there must be and that are not listed. Of those that there are not, Kafka says so only to who may
// describe them.
func (k *kafka) askWanted(ctx context.Context, t *kafkaTopics) {
	request := kmsg.NewPtrMetadataRequest()
	request.Topics = []kmsg.MetadataRequestTopic{}
	for _, wanted := range k.OptionList("topics") {
		if !slices.Contains(t.names, wanted) {
			topic := kmsg.NewMetadataRequestTopic()
			topic.Topic = kmsg.StringPtr(wanted)
			request.Topics = append(request.Topics, topic)
		}
	}
	if len(request.Topics) == 0 {
		return
	}
	request.AllowAutoTopicCreation = false
	answer, err := k.first.ask(ctx, request, maxKafkaAnswer)
	if err != nil {
		k.Problem(reasonOf(err), "cannot ask for topics that there must be: %v", err)
		return
	}
	for _, topic := range answer.(*kmsg.MetadataResponse).Topics {
		switch code := kerr.TypedErrorForCode(topic.ErrorCode); {
		case topic.Topic == nil || code == nil:
		case code == kerr.TopicAuthorizationFailed:
			k.Problem(Permission, "topic %s may not be described", *topic.Topic)
		default:
			k.Problem(Mismatch, "there is no topic %s: %s", *topic.Topic, code.Message)
		}
	}
}

// askMoving asks which partitions are being reassigned, where any lacks replicas. With ZooKeeper the controller alone knows; with KRaft the
// broker that is named in its place asks it, and waits for it: so the connection is not one that others need.
func (k *kafka) askMoving(ctx context.Context, t *kafkaTopics) {
	if !slices.ContainsFunc(t.partitions, func(p kafkaPartition) bool { return p.leader >= 0 && p.isr < p.replicas }) {
		return
	}
	moving, err := k.reassignments(ctx)
	if err != nil {
		t.noMoving = kafkaWhy(err)
		return
	}
	t.moving = map[kafkaPartitionName]bool{}
	for _, topic := range moving {
		for _, p := range topic.Partitions {
			if len(p.AddingReplicas) > 0 {
				t.moving[kafkaPartitionName{topic.Topic, p.Partition}] = true
			}
		}
	}
}

func (k *kafka) reassignments(ctx context.Context) ([]kmsg.ListPartitionReassignmentsResponseTopic, error) {
	controller := k.broker(k.metadata.ControllerID)
	if controller == nil {
		return nil, fail(Timeout, "no controller")
	}
	aside := &Probe{Recorder: &Recorder{}, Target: k.Target, now: k.now}
	c, err := k.connect(ctx, aside, controller.address, share(ctx, 0.5))
	if err != nil {
		return nil, err
	}
	defer c.close()
	request := kmsg.NewPtrListPartitionReassignmentsRequest()
	request.TimeoutMillis = int32(share(ctx, 1).Milliseconds())
	answer, err := c.ask(ctx, request, maxKafkaAnswer)
	if err != nil {
		return nil, err
	}
	said := answer.(*kmsg.ListPartitionReassignmentsResponse)
	return said.Topics, kafkaCode(said.ErrorCode, "reassignments")
}

// minISRAtOnce is for how many topics min.insync.replicas is asked at once.
const minISRAtOnce = 500

// askMinISR asks for min.insync.replicas of all topics: one may be set higher than a topic has replicas.
func (k *kafka) askMinISR(ctx context.Context, t *kafkaTopics) error {
	t.minISR = map[string]int{}
	for names := range slices.Chunk(t.names, minISRAtOnce) {
		request := kmsg.NewPtrDescribeConfigsRequest()
		for _, name := range names {
			resource := kmsg.NewDescribeConfigsRequestResource()
			resource.ResourceType, resource.ResourceName = kmsg.ConfigResourceTypeTopic, name
			resource.ConfigNames = []string{"min.insync.replicas"}
			request.Resources = append(request.Resources, resource)
		}
		answer, err := k.first.ask(ctx, request, maxKafkaAnswer)
		if err != nil {
			return err
		}
		for _, r := range answer.(*kmsg.DescribeConfigsResponse).Resources {
			if kerr.TypedErrorForCode(r.ErrorCode) == kerr.UnknownTopicOrPartition {
				t.minISR[r.ResourceName] = 0 // deleted just now
				continue
			}
			if err := kafkaCode(r.ErrorCode, "min.insync.replicas"); err != nil {
				t.noMinISR = kafkaWhy(err)
				continue
			}
			if n, ok := minISROf(r.Configs); ok {
				t.minISR[r.ResourceName] = n
			}
		}
	}
	for _, name := range t.names {
		if _, known := t.minISR[name]; !known && t.noMinISR == "" {
			t.noMinISR = Garbled
		}
	}
	return nil
}

func minISROf(configs []kmsg.DescribeConfigsResponseResourceConfig) (int, bool) {
	for _, c := range configs {
		if c.Name == "min.insync.replicas" && c.Value != nil {
			n, err := strconv.Atoi(*c.Value)
			return n, err == nil
		}
	}
	return 0, false
}

// kafkaCount are partitions in a state: how many, and the first few by name.
type kafkaCount struct {
	n     int
	named []string
}

func (c *kafkaCount) add(p kafkaPartition) {
	const enough = 3
	if c.n++; len(c.named) < enough {
		c.named = append(c.named, p.String())
	}
}

// String says how many, and names some.
func (c *kafkaCount) String() string {
	text := fmt.Sprintf("%d (%s", c.n, strings.Join(c.named, ", "))
	if c.n > len(c.named) {
		text += ", …"
	}
	return text + ")"
}

// judgePartitions tells the partitions by state, as Kafka's own metrics count them: those without a leader are offline and nothing else.
// Too few in sync refuse what is to be acknowledged by all replicas, which is what producers ask for by default.
func (k *kafka) judgePartitions(t *kafkaTopics) {
	var offline, underMin, under kafkaCount
	moving := 0
	for _, p := range t.partitions {
		if p.leader < 0 {
			offline.add(p)
			continue
		}
		if p.isr < t.minISR[p.topic] {
			underMin.add(p)
		}
		switch {
		case t.moving[p.kafkaPartitionName]:
			moving++
		case p.isr < p.replicas:
			under.add(p)
		}
	}
	noMinISR := t.unread
	if noMinISR == "" {
		noMinISR = t.noMinISR
	}
	k.count("partitions{offline}", offline.n, t.unread)
	k.count("partitions{under_min_isr}", underMin.n, noMinISR)
	k.count("partitions{under_replicated}", under.n, t.unread)
	k.count("fact{topics}", len(t.names), t.unread)
	k.count("fact{partitions}", len(t.partitions), t.unread)
	k.count("fact{reassigning_partitions}", moving, t.noMoving)
	switch {
	case offline.n+underMin.n > 0:
		k.Writable(false)
	case noMinISR != "":
		k.Unknown("writable", noMinISR)
	default:
		k.Writable(true)
	}
	if underMin.n > 0 {
		k.Problem(NotWritable, "partitions with fewer replicas in sync than min.insync.replicas: %s", &underMin)
	}
	var wrong []string
	if offline.n > 0 {
		wrong = append(wrong, "partitions without a leader: "+offline.String())
	}
	if under.n > 0 {
		wrong = append(wrong, "partitions with replicas out of sync: "+under.String())
	}
	if len(wrong) > 0 {
		k.Problem(Degraded, "%s", strings.Join(wrong, "; "))
	}
}

// count tells a number, which is a lower bound where something is not known: zero is then no number at all.
func (k *kafka) count(fact string, n int, why Why) {
	family, name, _ := strings.Cut(strings.TrimSuffix(fact, "}"), "{")
	switch {
	case n == 0 && why != "":
		k.Unknown(fact, why)
	case family == "partitions":
		k.Partitions(name, n)
	default:
		k.Fact(name, float64(n))
	}
}
