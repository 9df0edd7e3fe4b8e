// SPDX-License-Identifier: Apache-2.0

package settings

import "time"

const (
	ms   = time.Millisecond
	sec  = time.Second
	mins = time.Minute
)

// The unit table. Units, defaults and types are those of the sources: KafkaProperties, RabbitProperties, CacheProperties,
// LifecycleProperties of Spring Boot 1.5 to 4.1 (a Duration without @DurationUnit counts milliseconds), ConsumerConfig of Kafka,
// NacosDiscoveryProperties, EurekaServerConfigBean and EurekaInstanceConfigBean, ProtocolConfig of Dubbo, QuorumPeerConfig of ZooKeeper.
var table = []Row{
	{Key: "spring.kafka.consumer.heartbeat-interval", Kind: Heartbeat, Unit: ms, Whole: ms, Default: 3 * sec, Min: sec, Max: 15 * sec, Floor: sec,
		Partner: "spring.kafka.consumer.properties[session.timeout.ms]", Ratio: 3, Effect: heartbeatEffect, forms: []form{
			{key: "spring.kafka.properties.heartbeat.interval.ms", whole: true},
			{key: "spring.kafka.consumer.heartbeat-interval"},
			{key: "spring.kafka.consumer.properties.heartbeat.interval.ms", whole: true},
		}},
	{Key: "spring.cloud.stream.kafka.binder.consumer-properties[heartbeat.interval.ms]", Kind: Heartbeat, Unit: ms, Default: 3 * sec,
		Min: sec, Max: 15 * sec, Floor: sec, Effect: heartbeatEffect, forms: []form{
			{key: "spring.cloud.stream.kafka.binder.configuration.heartbeat.interval.ms", whole: true},
			{key: "spring.cloud.stream.kafka.binder.consumer-properties.heartbeat.interval.ms", whole: true},
			{key: "spring.cloud.stream.kafka.default.consumer.configuration.heartbeat.interval.ms", whole: true},
			{key: "spring.cloud.stream.kafka.bindings.*.consumer.configuration.heartbeat.interval.ms", whole: true},
		}},
	{Key: "heartbeat.interval.ms", Kind: Heartbeat, Unit: ms, Default: 3 * sec, Min: sec, Max: 15 * sec, Floor: sec,
		Partner: "session.timeout.ms", Ratio: 3, Effect: heartbeatEffect, forms: []form{
			{key: "heartbeat.interval.ms", whole: true, file: ".properties"},
			{key: "heartbeat_interval_ms", whole: true, variable: true},
			{key: "CONNECT_HEARTBEAT_INTERVAL_MS", whole: true, variable: true},
			{key: "CONNECT_CONSUMER_HEARTBEAT_INTERVAL_MS", whole: true, variable: true},
			{key: "KAFKA_CONSUMER_HEARTBEAT_INTERVAL_MS", whole: true, variable: true},
			{key: "KAFKA_HEARTBEAT_INTERVAL_MS", whole: true, variable: true},
		}},
	{Key: "KAFKA_HEARTBEAT_INTERVAL", Kind: Heartbeat, Unit: ms, Default: 3 * sec, Min: sec, Max: 15 * sec, Floor: sec, Effect: heartbeatEffect,
		Doubt: "the program may count seconds", forms: []form{{key: "KAFKA_HEARTBEAT_INTERVAL", variable: true}}},
	{Key: "spring.kafka.consumer.properties[session.timeout.ms]", Kind: Timeout, Unit: ms, Default: 45 * sec, Min: 6 * sec, Max: 5 * mins, Loud: true,
		forms: []form{
			{key: "spring.kafka.properties.session.timeout.ms", whole: true},
			{key: "spring.kafka.consumer.properties.session.timeout.ms", whole: true},
		}},
	{Key: "session.timeout.ms", Kind: Timeout, Unit: ms, Default: 45 * sec, Min: 6 * sec, Max: 5 * mins, Loud: true, forms: []form{
		{key: "session.timeout.ms", whole: true, file: ".properties"},
		{key: "KAFKA_CONSUMER_SESSION_TIMEOUT_MS", whole: true, variable: true},
		{key: "KAFKA_SESSION_TIMEOUT_MS", whole: true, variable: true},
	}},
	{Key: "spring.kafka.consumer.max-poll-interval", Kind: Timeout, Unit: ms, Whole: ms, Default: 5 * mins, Min: mins, Max: 60 * mins,
		Effect: pollIntervalEffect, forms: []form{
			{key: "spring.kafka.properties.max.poll.interval.ms", whole: true},
			{key: "spring.kafka.consumer.max-poll-interval"},
			{key: "spring.kafka.consumer.properties.max.poll.interval.ms", whole: true},
		}},
	{Key: "max.poll.interval.ms", Kind: Timeout, Unit: ms, Default: 5 * mins, Min: mins, Max: 60 * mins, Effect: pollIntervalEffect, forms: []form{
		{key: "max.poll.interval.ms", whole: true, file: ".properties"},
		{key: "KAFKA_CONSUMER_MAX_POLL_INTERVAL_MS", whole: true, variable: true},
		{key: "KAFKA_MAX_POLL_INTERVAL_MS", whole: true, variable: true},
	}},
	{Key: "spring.kafka.listener.poll-timeout", Kind: Heartbeat, Unit: ms, Whole: ms, Default: 5 * sec, Min: 100 * ms, Max: 10 * sec,
		Effect: "every consumer thread wakes up that often and finds nothing", forms: []form{{key: "spring.kafka.listener.poll-timeout"}}},
	{Key: "spring.kafka.listener.monitor-interval", Kind: Periodic, Unit: sec, Whole: sec, Default: 30 * sec, Min: 10 * sec, Max: 5 * mins,
		Effect: "consumers that stopped polling are hardly ever looked for", forms: []form{{key: "spring.kafka.listener.monitor-interval"}}},
	{Key: "spring.kafka.consumer.auto-commit-interval", Kind: Periodic, Unit: ms, Whole: ms, Default: 5 * sec, Min: 100 * ms, Max: mins,
		Effect: "offsets are committed with almost every poll", forms: []form{
			{key: "spring.kafka.properties.auto.commit.interval.ms", whole: true},
			{key: "spring.kafka.consumer.auto-commit-interval"},
			{key: "spring.kafka.consumer.properties.auto.commit.interval.ms", whole: true},
		}},
	{Key: "spring.kafka.consumer.fetch-max-wait", Kind: Periodic, Unit: ms, Whole: ms, Default: 500 * ms, Min: 10 * ms, Max: 5 * sec,
		Effect: "brokers answer empty fetches at once, which are then sent again", forms: []form{
			{key: "spring.kafka.properties.fetch.max.wait.ms", whole: true},
			{key: "spring.kafka.consumer.fetch-max-wait"},
			{key: "spring.kafka.consumer.properties.fetch.max.wait.ms", whole: true},
		}},
	{Key: "spring.rabbitmq.requested-heartbeat", Kind: Heartbeat, Unit: sec, Whole: sec, Default: mins, Min: 5 * sec, Max: 10 * mins,
		Effect: "connections whose other end is gone are not noticed", forms: []form{{key: "spring.rabbitmq.requested-heartbeat"}}},
	{Key: "spring.rabbitmq.connection-timeout", Kind: Timeout, Unit: ms, Default: mins, Min: sec, Max: mins, Loud: true,
		forms: []form{{key: "spring.rabbitmq.connection-timeout"}}},
	{Key: "spring.rabbitmq.channel-rpc-timeout", Kind: Timeout, Unit: ms, Default: 10 * mins, Min: sec, Max: 10 * mins, Loud: true,
		forms: []form{{key: "spring.rabbitmq.channel-rpc-timeout"}}},
	{Key: "spring.data.redis.timeout", Kind: Timeout, Unit: ms, Default: mins, Min: 20 * ms, Max: mins,
		Effect: "commands fail whenever Redis or the network takes a little longer", forms: []form{
			{key: "spring.redis.timeout"}, {key: "spring.data.redis.timeout"}}},
	{Key: "spring.cache.redis.time-to-live", Kind: TTL, Unit: ms, Min: sec, Max: 366 * 24 * time.Hour,
		Effect: "the cache forgets before it is asked and every request reaches the database", forms: []form{{key: "spring.cache.redis.time-to-live"}}},
	{Key: "spring.cloud.nacos.discovery.heart-beat-interval", Kind: Heartbeat, Unit: ms, Default: 5 * sec, Min: sec, Max: mins,
		Partner: "spring.cloud.nacos.discovery.heart-beat-timeout", Ratio: 3, Doubt: "clients from 2.0 on do not heed it",
		Effect: "every instance sends a heartbeat that often", forms: []form{{key: "spring.cloud.nacos.discovery.heart-beat-interval", whole: true}}},
	{Key: "spring.cloud.nacos.discovery.heart-beat-timeout", Kind: Timeout, Unit: ms, Default: 15 * sec, Min: 3 * sec, Max: 5 * mins,
		Doubt: "clients from 2.0 on do not heed it", Effect: "instances are taken for unhealthy between two heartbeats",
		forms: []form{{key: "spring.cloud.nacos.discovery.heart-beat-timeout", whole: true}}},
	{Key: "spring.cloud.nacos.discovery.ip-delete-timeout", Kind: Timeout, Unit: ms, Default: 30 * sec, Min: 3 * sec, Max: 10 * mins,
		Doubt: "clients from 2.0 on do not heed it", Effect: "instances are taken out of the registry between two heartbeats",
		forms: []form{{key: "spring.cloud.nacos.discovery.ip-delete-timeout", whole: true}}},
	{Key: "eureka.instance.lease-renewal-interval-in-seconds", Kind: Heartbeat, Unit: sec, Default: 30 * sec, Min: sec, Max: 5 * mins,
		Partner: "eureka.instance.lease-expiration-duration-in-seconds", Ratio: 3, Effect: "the registry takes the instance out before it renews its lease",
		forms: []form{{key: "eureka.instance.lease-renewal-interval-in-seconds", whole: true}}},
	{Key: "eureka.instance.lease-expiration-duration-in-seconds", Kind: Timeout, Unit: sec, Default: 90 * sec, Min: 2 * sec, Max: 15 * mins,
		Effect: "instances that are gone stay in the registry", forms: []form{{key: "eureka.instance.lease-expiration-duration-in-seconds", whole: true}}},
	{Key: "eureka.server.eviction-interval-timer-in-ms", Kind: Periodic, Unit: ms, Default: mins, Min: sec, Max: 10 * mins,
		Effect: "the registry searches all leases all the time", forms: []form{{key: "eureka.server.eviction-interval-timer-in-ms", whole: true}}},
	{Key: "eureka.client.registry-fetch-interval-seconds", Kind: Periodic, Unit: sec, Default: 30 * sec, Min: sec, Max: 5 * mins,
		Effect: "callers go on with instances that are long gone", forms: []form{{key: "eureka.client.registry-fetch-interval-seconds", whole: true}}},
	{Key: "dubbo.protocol.heartbeat", Kind: Heartbeat, Unit: ms, Default: mins, Min: sec, Max: 10 * mins, Effect: "every connection sends a heartbeat that often",
		forms: []form{{key: "dubbo.protocol.heartbeat", whole: true}, {key: "dubbo.protocols.*.heartbeat", whole: true}}},
	{Key: "dubbo.service.shutdown.wait", Kind: Timeout, Unit: ms, Default: 10 * sec, Min: sec, Max: 10 * mins,
		Effect: "calls under way are cut off when a pod ends", forms: []form{
			{key: "dubbo.application.shutwait", whole: true}, {key: "dubbo.service.shutdown.wait", whole: true}}},
	{Key: "tickTime", Kind: Heartbeat, Unit: ms, Default: 2 * sec, Min: 200 * ms, Max: mins, Effect: "sessions are pinged that often and last no longer than 20 ticks",
		forms: []form{{key: "tickTime", whole: true, file: "zoo.cfg"}, {key: "ZOOKEEPER_TICK_TIME", whole: true, variable: true}, {key: "ZOO_TICK_TIME", whole: true, variable: true}}},
	{Key: "spring.cloud.stream.rocketmq.binder.heartbeat-broker-interval", Kind: Heartbeat, Unit: ms, Default: 30 * sec, Min: sec, Max: 5 * mins,
		Effect: "every client sends a heartbeat to every broker that often", forms: []form{
			{key: "spring.cloud.stream.rocketmq.binder.heartbeat-broker-interval", whole: true},
			{key: "spring.cloud.stream.rocketmq.bindings.*.consumer.heartbeat-broker-interval", whole: true},
			{key: "spring.cloud.stream.rocketmq.bindings.*.producer.heartbeat-broker-interval", whole: true}}},
	{Key: KeyShutdownPhase, Kind: Timeout, Unit: ms, Default: 30 * sec, Min: sec, Max: 15 * mins,
		Effect: "a shutdown that is meant to be graceful cuts off requests under way", forms: []form{{key: KeyShutdownPhase}}},
}

// KeyShutdownPhase is the row that says how long a Spring application may take for each phase of its shutdown.
const KeyShutdownPhase = "spring.lifecycle.timeout-per-shutdown-phase"

const (
	heartbeatEffect    = "every consumer thread wakes up and sends a heartbeat that often"
	pollIntervalEffect = "a consumer that handles its records for longer is thrown out of its group, which then rebalances"
)
