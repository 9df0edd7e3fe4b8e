// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"stability-exporter/internal/state"
)

// written returns what is in effect for a key that stands in a file of its own kind, or in a variable.
func written(key, value string) *Interval {
	w := mount(map[string]string{"application.properties": key + "=" + value, "zoo.cfg": key + "=" + value, "consumer.properties": key + "=" + value})
	if strings.ToUpper(key) == key {
		w = env(key, value)
	}
	for _, i := range Intervals(w.collect()) {
		return &i
	}
	return nil
}

// A rowCase is a key of the unit table with a slip, what was meant ("loud" where the program itself complains), and the same
// written well.
type rowCase struct{ key, slip, likely, fine string }

func rowCases() []rowCase {
	return []rowCase{
		{"spring.kafka.consumer.heartbeat-interval", "7", "7s", "3000"},
		{"spring.cloud.stream.kafka.binder.consumer-properties[heartbeat.interval.ms]", "3", "3s", "3000"},
		{"heartbeat.interval.ms", "10", "10s", "10000"},
		{"KAFKA_HEARTBEAT_INTERVAL", "3", "3s", "3000"},
		{"spring.kafka.consumer.properties[session.timeout.ms]", "45", "loud", "45000"},
		{"session.timeout.ms", "45", "loud", "45000"},
		{"spring.kafka.consumer.max-poll-interval", "300", "5m0s", "30000"},
		{"max.poll.interval.ms", "300", "5m0s", "300000"},
		{"spring.kafka.listener.poll-timeout", "5", "5s", "100"},
		{"spring.kafka.listener.monitor-interval", "30000", "30s", "30"},
		{"spring.kafka.consumer.auto-commit-interval", "5", "5s", "100"},
		{"spring.kafka.consumer.fetch-max-wait", "5", "5s", "10"},
		{"spring.rabbitmq.requested-heartbeat", "60000", "1m0s", "60"},
		{"spring.rabbitmq.connection-timeout", "60", "loud", "60000"},
		{"spring.rabbitmq.channel-rpc-timeout", "600", "loud", "600000"},
		{"spring.data.redis.timeout", "5", "5s", "5000"},
		{"spring.cache.redis.time-to-live", "60", "1m0s", "60000"},
		{"spring.cloud.nacos.discovery.heart-beat-interval", "5", "5s", "5000"},
		{"spring.cloud.nacos.discovery.heart-beat-timeout", "15", "15s", "15000"},
		{"spring.cloud.nacos.discovery.ip-delete-timeout", "30", "30s", "30000"},
		{"eureka.instance.lease-renewal-interval-in-seconds", "30000", "30s", "5"},
		{"eureka.instance.lease-expiration-duration-in-seconds", "90000", "1m30s", "15"},
		{"eureka.server.eviction-interval-timer-in-ms", "60", "1m0s", "5000"},
		{"eureka.client.registry-fetch-interval-seconds", "30000", "30s", "5"},
		{"dubbo.protocol.heartbeat", "60", "1m0s", "60000"},
		{"dubbo.service.shutdown.wait", "10", "10s", "10000"},
		{"tickTime", "2", "2s", "2000"},
		{"spring.cloud.stream.rocketmq.binder.heartbeat-broker-interval", "30", "30s", "30000"},
		{"spring.lifecycle.timeout-per-shutdown-phase", "30", "30s", "20s"},
	}
}

func TestEveryRow(t *testing.T) {
	const loud = "loud"
	seen := map[string]bool{}
	for _, c := range rowCases() {
		seen[c.key] = true
		i := written(c.key, c.slip)
		switch {
		case i == nil || i.Row.Key != c.key:
			t.Errorf("%s=%s: %+v, want it known", c.key, c.slip, i)
		case c.likely == loud && (i.Slip || !i.Row.Loud):
			t.Errorf("%s=%s: want it known and no slip", c.key, c.slip)
		case c.likely != loud && (!i.Slip || i.Likely.String() != c.likely):
			t.Errorf("%s=%s: slip %v, likely %s; want a slip for %s", c.key, c.slip, i.Slip, i.Likely, c.likely)
		}
		for _, value := range []string{c.fine, "0"} {
			if i := written(c.key, value); i == nil || i.Slip && (value != "0" || i.Row.Floor == 0) {
				t.Errorf("%s=%s: %+v, want it known and no slip", c.key, value, i)
			}
		}
	}
	for _, row := range Table() {
		if !seen[row.Key] {
			t.Errorf("%s: no case", row.Key)
		}
		if row.Min <= 0 || row.Max <= row.Min || row.Unit == 0 || row.Kind == "" || !row.Loud && row.Effect == "" {
			t.Errorf("%s: incomplete: %+v", row.Key, row)
		}
		if row.Default > 0 && (row.Default < row.Min || row.Default > row.Max) {
			t.Errorf("%s: the default is not within the sane range", row.Key)
		}
		if row.Partner != "" && !seen[row.Partner] {
			t.Errorf("%s: no row for its partner %s", row.Key, row.Partner)
		}
	}
}

func TestNearMissesOfSlips(t *testing.T) {
	for _, c := range []struct {
		key, value string
		slip       bool
	}{
		{"spring.rabbitmq.requested-heartbeat", "500ms", true}, // cut down to none
		{"spring.rabbitmq.requested-heartbeat", "60s", false},
		{"spring.rabbitmq.requested-heartbeat", "1m", false},
		{"spring.rabbitmq.requested-heartbeat", "3600", false}, // an hour is odd, and no milliseconds either
		{"spring.cache.redis.time-to-live", "3600", true},
		{"spring.cache.redis.time-to-live", "86400", true},
		{"spring.cache.redis.time-to-live", "3600000", false},
		{"spring.cache.redis.time-to-live", "1500", false},
		{"spring.cache.redis.time-to-live", "1h", false},
		{heartbeat, "500ms", false},
		{heartbeat, "7ms", true},
		{heartbeat, "7us", true},
		{heartbeat, "20", true},
		{heartbeat, "999", true},
		{heartbeat, "1000", false},
		{heartbeat, "30000", false},
	} {
		if i := written(c.key, c.value); i == nil || i.Slip != c.slip {
			t.Errorf("%s=%s: %+v, want slip %v", c.key, c.value, i, c.slip)
		}
	}
	// A long session makes a long heartbeat likely.
	w := mount(map[string]string{"application.properties": heartbeat + "=50\nspring.kafka.consumer.properties.session.timeout.ms=180000"})
	if i := intervalOf(w.collect(), heartbeat); i == nil || i.Likely != 50*time.Second {
		t.Errorf("%+v, want 50s as likely", i)
	}
	// Of several bindings the one that is wrong.
	binding := "spring.cloud.stream.kafka.bindings.%s.consumer.configuration.heartbeat.interval.ms=%s\n"
	w = mount(map[string]string{"application.properties": fmt.Sprintf(binding, "in-0", "3") + fmt.Sprintf(binding, "out-0", "3000")})
	if all := Intervals(w.collect()); len(all) != 1 || !all[0].Slip {
		t.Errorf("%+v, want the slip of the first binding", all)
	}
}

func TestPhantoms(t *testing.T) {
	for _, p := range phantoms {
		for _, key := range p.key {
			if row, _ := rowFor(state.FromFile, key); row >= 0 {
				t.Errorf("%s is in the unit table, too", key)
			}
			found := Phantoms(mount(map[string]string{"application.properties": key + "=45000"}).collect())
			if len(found) != 1 || found[0].Phantom.Key != p.Key {
				t.Errorf("%s: %v, want the phantom %s", key, found, p.Key)
			}
		}
	}
}
