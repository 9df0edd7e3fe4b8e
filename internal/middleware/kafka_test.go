// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"stability-exporter/internal/state"
)

// startKafka starts three brokers of the protocol-level fake, with one topic of three partitions and three replicas.
func startKafka(t *testing.T, options ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	options = append([]kfake.Opt{kfake.NumBrokers(3), kfake.SeedTopics(3, "orders")}, options...)
	c, err := kfake.NewCluster(options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	for i := range int32(3) {
		if err := c.MoveTopicPartition("orders", i, i); err != nil { // as metadataOf has it
			t.Fatal(err)
		}
	}
	return c
}

// answering lets a function answer requests; where it returns nil the fake does.
func answering(c *kfake.Cluster, key kmsg.Key, answer func(kmsg.Request) kmsg.Response) {
	c.ControlKey(int16(key), func(request kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		if response := answer(request); response != nil {
			response.SetVersion(request.GetVersion())
			return response, nil, true
		}
		return nil, nil, false
	})
}

// logDirs is a broker's answer: two directories, of which so many are offline. Real brokers list them without any topic; the fake does not.
func logDirs(offline int) kmsg.Response {
	response := kmsg.NewPtrDescribeLogDirsResponse()
	for i := range 2 {
		dir := kmsg.NewDescribeLogDirsResponseDir()
		dir.Dir, dir.TotalBytes, dir.UsableBytes = fmt.Sprintf("/d%d", i), 1000, int64(250+500*i)
		if i < offline {
			dir.ErrorCode = kerr.KafkaStorageError.Code
		}
		response.Dirs = append(response.Dirs, dir)
	}
	return response
}

// metadataOf is what a broker tells of a cluster, all well but for what change does. Without a cluster it lists no broker.
func metadataOf(c *kfake.Cluster, change func(*kmsg.MetadataResponse)) *kmsg.MetadataResponse {
	response := kmsg.NewPtrMetadataResponse()
	var addresses []string
	if c != nil {
		addresses = c.ListenAddrs()
	}
	for i, address := range addresses {
		response.Brokers = append(response.Brokers, brokerAt(int32(i), address))
	}
	topic := kmsg.NewMetadataResponseTopic()
	topic.Topic = kmsg.StringPtr("orders")
	for i := range 3 {
		p := kmsg.NewMetadataResponseTopicPartition()
		p.Partition, p.Leader, p.Replicas, p.ISR = int32(i), int32(i), []int32{0, 1, 2}, []int32{0, 1, 2}
		topic.Partitions = append(topic.Partitions, p)
	}
	response.Topics = append(response.Topics, topic)
	response.ControllerID = 0
	change(response)
	return response
}

func brokerAt(id int32, address string) kmsg.MetadataResponseBroker {
	host, port, _ := net.SplitHostPort(address)
	number, _ := strconv.Atoi(port)
	b := kmsg.NewMetadataResponseBroker()
	b.NodeID, b.Host, b.Port = id, host, int32(number)
	return b
}

// withMetadata lets all brokers answer with changed metadata.
func withMetadata(c *kfake.Cluster, change func(*kmsg.MetadataResponse)) {
	answering(c, kmsg.Metadata, func(request kmsg.Request) kmsg.Response {
		if request.(*kmsg.MetadataRequest).Topics != nil {
			return nil
		}
		return metadataOf(c, change)
	})
}

func askKafka(t *testing.T, c *kfake.Cluster, change ...func(*Target)) *state.MiddlewareView {
	t.Helper()
	return Run(t.Context(), targetOf(t, "kafka", c.ListenAddrs()[0], change...), nil)
}

func TestKafkaThatIsWell(t *testing.T) {
	c := startKafka(t)
	answering(c, kmsg.DescribeLogDirs, func(kmsg.Request) kmsg.Response { return logDirs(0) })
	v := askKafka(t, c)
	wantUp(t, v)
	for in, want := range map[string]float64{"offline": 0, "under_min_isr": 0, "under_replicated": 0} {
		wantValue(t, v.Partitions, in, want)
	}
	wantValue(t, v.Members, "healthy", 3)
	wantValue(t, v.Facts, "topics", 1)
	wantValue(t, v.Facts, "partitions", 3)
	wantValue(t, v.Alarms, "log_dir_offline", 0)
	wantValue(t, v.Saturation, "disk", 0.75)
	if v.MembersExpected.Value != 3 || v.Writable != state.True {
		t.Errorf("%v expected, writable %v", v.MembersExpected, v.Writable)
	}
	wantUnknown(t, v, "fact{controllers}", Unsupported)
	wantTold(t, kafkaKind(), v)
}

// kafkaVerdict is what a cluster says of itself, and what is made of it.
type kafkaVerdict struct {
	name     string
	change   func(*kmsg.MetadataResponse)
	options  []kfake.Opt
	target   func(*Target)
	want     []Reason
	offline  float64
	underMin float64
	under    float64
	writable state.Tristate
	detail   string
}

func kafkaVerdicts() []kafkaVerdict {
	partition := func(m *kmsg.MetadataResponse, i int) *kmsg.MetadataResponseTopicPartition {
		return &m.Topics[0].Partitions[i]
	}
	without2 := func(m *kmsg.MetadataResponse) { m.Brokers = m.Brokers[:2] }
	return []kafkaVerdict{
		{name: "a partition without a leader", change: func(m *kmsg.MetadataResponse) {
			p := partition(m, 1)
			p.ErrorCode, p.Leader, p.ISR, p.OfflineReplicas = kerr.LeaderNotAvailable.Code, -1, []int32{1}, []int32{1}
		}, want: []Reason{Degraded}, offline: 1, writable: state.False, detail: "orders-1"},
		{name: "a leader that is not listed", change: func(m *kmsg.MetadataResponse) { partition(m, 1).Leader = 77 },
			want: []Reason{Degraded}, offline: 1, writable: state.False},
		{name: "a replica is out of sync", change: func(m *kmsg.MetadataResponse) { partition(m, 2).ISR = []int32{1, 2} },
			want: []Reason{Degraded}, under: 1, writable: state.True, detail: "orders-2"},
		{name: "a broker is missing", change: func(m *kmsg.MetadataResponse) {
			without2(m)
			for i := range 3 {
				p := partition(m, i)
				p.Leader, p.ISR, p.OfflineReplicas = int32(i%2), []int32{0, 1}, []int32{2}
			}
		}, want: []Reason{Degraded, MembersMissing}, under: 3, writable: state.True},
		{name: "too few in sync", change: func(m *kmsg.MetadataResponse) { partition(m, 0).ISR = []int32{0} },
			options: []kfake.Opt{kfake.BrokerConfigs(map[string]string{"min.insync.replicas": "2"})},
			want:    []Reason{NotWritable, Degraded}, underMin: 1, under: 1, writable: state.False, detail: "orders-0"},
		{name: "more wanted in sync than there are replicas", change: func(m *kmsg.MetadataResponse) { partition(m, 0).ISR, partition(m, 0).Replicas = []int32{0}, []int32{0} },
			options: []kfake.Opt{kfake.BrokerConfigs(map[string]string{"min.insync.replicas": "2"})},
			want:    []Reason{NotWritable}, underMin: 1, writable: state.False},
		{name: "no controller", change: func(m *kmsg.MetadataResponse) { m.ControllerID = -1 }, want: []Reason{NoLeader}, writable: state.True},
		{name: "a controller that is gone", change: func(m *kmsg.MetadataResponse) { m.ControllerID = 9 }, want: []Reason{NoLeader}, writable: state.True},
		{name: "no broker serves", change: func(m *kmsg.MetadataResponse) { m.Brokers = nil }, want: []Reason{Unavailable, Degraded, MembersMissing}, offline: 3, writable: state.False},
		{name: "fewer than there should be", change: func(*kmsg.MetadataResponse) {}, target: func(t *Target) { t.Limits.ExpectedMembers = 5 },
			want: []Reason{MembersMissing}, writable: state.True},
		{name: "topics that are made or deleted just now", change: func(m *kmsg.MetadataResponse) {
			for _, code := range []int16{kerr.LeaderNotAvailable.Code, kerr.UnknownTopicOrPartition.Code} {
				topic := kmsg.NewMetadataResponseTopic()
				topic.Topic, topic.ErrorCode = kmsg.StringPtr("t"+strconv.Itoa(int(code))), code
				m.Topics = append(m.Topics, topic)
			}
		}, writable: state.True},
		{name: "a topic that is missing", change: func(*kmsg.MetadataResponse) {}, target: withOption("topics", "orders\npayments"),
			want: []Reason{Mismatch}, writable: state.True, detail: "payments"},
	}
}

func TestKafkaVerdicts(t *testing.T) {
	for _, c := range kafkaVerdicts() {
		t.Run(c.name, func(t *testing.T) {
			fake := startKafka(t, c.options...)
			withMetadata(fake, c.change)
			change := c.target
			if change == nil {
				change = func(*Target) {}
			}
			v := askKafka(t, fake, change)
			wantUp(t, v, c.want...)
			wantValue(t, v.Partitions, "offline", c.offline)
			wantValue(t, v.Partitions, "under_min_isr", c.underMin)
			wantValue(t, v.Partitions, "under_replicated", c.under)
			if v.Writable != c.writable {
				t.Errorf("writable %v, want %v", v.Writable, c.writable)
			}
			if c.detail != "" && !strings.Contains(fmt.Sprint(v.Problems), c.detail) {
				t.Errorf("problems %v do not name %s", v.Problems, c.detail)
			}
			wantTold(t, kafkaKind(), v)
		})
	}
}

// What may not be asked is unknown, and never zero.
func TestKafkaThatDoesNotTell(t *testing.T) {
	refusing := func(key kmsg.Key, err *kerr.Error, topLevel bool) func(*kfake.Cluster) {
		return func(c *kfake.Cluster) {
			c.Fault(kfake.Fault{Keys: []kmsg.Key{key}, Err: err, TopLevel: topLevel, Count: -1})
		}
	}
	for _, c := range []struct {
		name   string
		script func(*kfake.Cluster)
		why    Why
		facts  []string
		want   []Reason
	}{
		{"configurations may not be asked", refusing(kmsg.DescribeConfigs, kerr.TopicAuthorizationFailed, false), NoPermission, []string{"partitions{under_min_isr}", "writable"}, nil},
		{"no topic may be described", func(c *kfake.Cluster) { withMetadata(c, func(m *kmsg.MetadataResponse) { m.Topics = nil }) }, NoPermission,
			[]string{"partitions{offline}", "partitions{under_min_isr}", "partitions{under_replicated}", "fact{topics}", "writable"}, nil},
		{"a topic may not be described", func(c *kfake.Cluster) {
			withMetadata(c, func(m *kmsg.MetadataResponse) {
				topic := kmsg.NewMetadataResponseTopic()
				topic.Topic, topic.ErrorCode = kmsg.StringPtr("secret"), kerr.TopicAuthorizationFailed.Code
				m.Topics = append(m.Topics, topic)
			})
		}, NoPermission, []string{"partitions{offline}", "writable"}, nil},
		{"log directories may not be asked", func(c *kfake.Cluster) {
			answering(c, kmsg.DescribeLogDirs, func(kmsg.Request) kmsg.Response {
				response := kmsg.NewPtrDescribeLogDirsResponse()
				response.ErrorCode = kerr.ClusterAuthorizationFailed.Code
				return response
			})
		}, NoPermission, []string{"alarm{log_dir_offline}", "fact{log_dirs_offline}", "saturation_ratio{disk}"}, nil},
		{"log directories are not told, as before 2.8", func(c *kfake.Cluster) {
			answering(c, kmsg.DescribeLogDirs, func(kmsg.Request) kmsg.Response { return kmsg.NewPtrDescribeLogDirsResponse() })
		}, NoPermission, []string{"alarm{log_dir_offline}"}, nil},
		{"a cluster that is too old to tell", func(c *kfake.Cluster) {
			apiVersions(c, func(keys []kmsg.ApiVersionsResponseApiKey) []kmsg.ApiVersionsResponseApiKey {
				return slices.DeleteFunc(keys, func(k kmsg.ApiVersionsResponseApiKey) bool {
					return k.ApiKey == kmsg.DescribeConfigs.Int16() || k.ApiKey == kmsg.DescribeLogDirs.Int16()
				})
			})
		}, Unsupported, []string{"partitions{under_min_isr}", "writable", "alarm{log_dir_offline}", "saturation_ratio{disk}"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			fake := startKafka(t)
			c.script(fake)
			v := askKafka(t, fake)
			wantUp(t, v, c.want...)
			for _, fact := range c.facts {
				wantUnknown(t, v, fact, c.why)
			}
			wantTold(t, kafkaKind(), v)
		})
	}
}

// apiVersions changes what brokers say they know.
func apiVersions(c *kfake.Cluster, change func([]kmsg.ApiVersionsResponseApiKey) []kmsg.ApiVersionsResponseApiKey) {
	answering(c, kmsg.ApiVersions, func(kmsg.Request) kmsg.Response {
		response := kmsg.NewPtrApiVersionsResponse()
		for key, ours := range kafkaAPIs() {
			if key != kmsg.DescribeQuorum.Int16() {
				k := kmsg.NewApiVersionsResponseApiKey()
				k.ApiKey, k.MinVersion, k.MaxVersion = key, ours.lowest, ours.highest
				response.ApiKeys = append(response.ApiKeys, k)
			}
		}
		response.ApiKeys = change(response.ApiKeys)
		return response
	})
}

func TestKafkaLogDirs(t *testing.T) {
	c := startKafka(t)
	answering(c, kmsg.DescribeLogDirs, func(kmsg.Request) kmsg.Response {
		if c.CurrentNode() == 1 {
			return logDirs(1)
		}
		return logDirs(0)
	})
	v := askKafka(t, c)
	wantUp(t, v, Alarm)
	wantValue(t, v.Alarms, "log_dir_offline", 1)
	wantValue(t, v.Facts, "log_dirs_offline", 1)
}

// Partitions that are being reassigned have replicas that are not meant to be in sync yet.
func TestKafkaReassignments(t *testing.T) {
	c := startKafka(t)
	withMetadata(c, func(m *kmsg.MetadataResponse) {
		for i := range 2 {
			m.Topics[0].Partitions[i].ISR = []int32{0, 1}
		}
	})
	answering(c, kmsg.ListPartitionReassignments, func(kmsg.Request) kmsg.Response {
		response := kmsg.NewPtrListPartitionReassignmentsResponse()
		topic, p := kmsg.NewListPartitionReassignmentsResponseTopic(), kmsg.NewListPartitionReassignmentsResponseTopicPartition()
		topic.Topic, p.Partition, p.AddingReplicas = "orders", 1, []int32{2}
		topic.Partitions = append(topic.Partitions, p)
		response.Topics = append(response.Topics, topic)
		return response
	})
	v := askKafka(t, c)
	wantUp(t, v, Degraded)
	wantValue(t, v.Partitions, "under_replicated", 1)
	wantValue(t, v.Facts, "reassigning_partitions", 1)
}

// quorum is what the controllers of KRaft answer, with the time at which each of them had last caught up.
func quorum(leader int32, caughtUp ...int64) kmsg.Response {
	response := kmsg.NewPtrDescribeQuorumResponse()
	topic, p := kmsg.NewDescribeQuorumResponseTopic(), kmsg.NewDescribeQuorumResponseTopicPartition()
	p.LeaderID = leader
	for i, at := range caughtUp {
		voter := kmsg.NewDescribeQuorumResponseTopicPartitionReplicaState()
		voter.ReplicaID, voter.LastCaughtUpTimestamp = int32(3000+i), at
		p.CurrentVoters = append(p.CurrentVoters, voter)
	}
	topic.Topic, topic.Partitions = "__cluster_metadata", append(topic.Partitions, p)
	response.Topics = append(response.Topics, topic)
	return response
}

func TestKafkaQuorum(t *testing.T) {
	failing := func(code *kerr.Error) kmsg.Response {
		response := kmsg.NewPtrDescribeQuorumResponse()
		response.ErrorCode = code.Code
		return response
	}
	for _, c := range []struct {
		name    string
		answer  kmsg.Response // nil: none comes
		want    []Reason
		behind  float64
		unknown Why
	}{
		{name: "well", answer: quorum(3000, 1_000_000, 999_500, 999_000)},
		{name: "one is behind", answer: quorum(3000, 1_000_000, 999_500, 980_000), want: []Reason{MembersMissing}, behind: 1},
		{name: "one was never heard of", answer: quorum(3000, 1_000_000, 999_500, -1), want: []Reason{MembersMissing}, behind: 1},
		{name: "no leader", answer: quorum(-1, 1_000_000, 999_500), want: []Reason{NoLeader}},
		{name: "may not be asked", answer: failing(kerr.ClusterAuthorizationFailed), unknown: NoPermission},
		{name: "no controller to ask", answer: failing(kerr.NotController), want: []Reason{NoLeader}, unknown: TimedOut},
		{name: "no answer", want: []Reason{NoLeader}, unknown: TimedOut},
		{name: "an answer to something else", answer: kmsg.NewPtrDescribeQuorumResponse(), unknown: Garbled},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			fake := startKafka(t)
			apiVersions(fake, func(keys []kmsg.ApiVersionsResponseApiKey) []kmsg.ApiVersionsResponseApiKey {
				k := kmsg.NewApiVersionsResponseApiKey()
				k.ApiKey, k.MaxVersion = kmsg.DescribeQuorum.Int16(), 2
				return append(keys, k)
			})
			fake.ControlKey(kmsg.DescribeQuorum.Int16(), func(request kmsg.Request) (kmsg.Response, error, bool) {
				if c.answer == nil {
					return nil, nil, true
				}
				c.answer.SetVersion(request.GetVersion())
				return c.answer, nil, true
			})
			v := askKafka(t, fake, func(t *Target) { t.Timeout = 4 * time.Second })
			wantUp(t, v, c.want...)
			if c.unknown != "" {
				wantUnknown(t, v, "fact{controllers}", c.unknown)
			} else {
				wantValue(t, v.Facts, "controllers_behind", c.behind)
			}
			wantTold(t, kafkaKind(), v)
		})
	}
}
