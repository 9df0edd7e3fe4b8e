// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Answers of RabbitMQ 3.10.8.
const (
	rabbitmqNodesPage = `[{"name":"rabbit@a","running":true,"partitions":[],"mem_used":50,"mem_limit":100,"mem_alarm":false,"disk_free_alarm":false,"fd_used":40,"fd_total":20000,
		"sockets_used":0,"sockets_total":17910,"proc_used":387,"proc_total":1048576},{"name":"rabbit@b","running":true,"partitions":[],"mem_used":75,"mem_limit":100,"fd_used":20,"fd_total":20000,
		"sockets_used":1,"sockets_total":17910,"proc_used":387,"proc_total":1048576}]`
	rabbitmqEarlyNodes = `[{"partitions":[],"name":"rabbit@a","running":true,"fd_total":20000,"sockets_total":17910,"mem_limit":100,"mem_alarm":false,"disk_free_alarm":false,"proc_total":1048576}]`
	rabbitmqNotMonitor = `401 {"error":"not_authorised","reason":"Not monitor user"}`
	rabbitmqNoVhost    = `401 {"error":"not_authorised","reason":"User not authorised to access virtual host"}`
	rabbitmqDiskAlarm  = `503 {"alarms":[{"node":"rabbit@a","resource":"disk space"}],"reason":"There are alarms in effect in the cluster","status":"failed"}`
	rabbitmqFailed     = `503 {"status":"failed","reason":"x"}`
	rabbitmqPlugin     = "# TYPE rabbitmq_alarms_free_disk_space_watermark gauge\nrabbitmq_alarms_file_descriptor_limit 0\nrabbitmq_alarms_free_disk_space_watermark 0\n" +
		"rabbitmq_alarms_memory_used_watermark 0\nrabbitmq_process_open_fds 40\nrabbitmq_process_open_tcp_sockets 0\nrabbitmq_process_resident_memory_bytes 75\n" +
		"rabbitmq_erlang_processes_used 387\nrabbitmq_process_max_fds 20000\nrabbitmq_process_max_tcp_sockets 17910\nrabbitmq_resident_memory_limit_bytes 100\n" +
		"rabbitmq_erlang_processes_limit 1048576\nrabbitmq_build_info{rabbitmq_version=\"3.10.8\"} 1\n"
	rabbitmqDetailed = "rabbitmq_detailed_queue_messages_ready{vhost=\"/\",queue=\"orders\"} 7\nrabbitmq_detailed_queue_messages_ready{vhost=\"b\",queue=\"other\"} 7\n" +
		"rabbitmq_detailed_queue_consumers{vhost=\"/\",queue=\"orders\"} 2\n"
)

func rabbitmqPages(change map[string]string) map[string]string {
	const fine, checks = `{"status":"ok"}`, "/api/health/checks/"
	all := map[string]string{
		"/api/overview": `{"rabbitmq_version":"3.10.8"}`, "/api/nodes": rabbitmqNodesPage, checks + "alarms": fine, checks + "node-is-quorum-critical": fine,
		checks + "virtual-hosts": fine, checks + "protocol-listener/amqp": fine, "/api/aliveness-test/%2F": fine,
		"/api/queues/%2F/orders?columns=state,messages_ready,consumers": `{"consumers":2,"messages_ready":7,"name":"orders","state":"running","vhost":"/"}`,
	}
	maps.Copy(all, change)
	for path, text := range all {
		if text == "" {
			delete(all, path)
		}
	}
	return all
}

func TestRabbitMQ(t *testing.T) {
	const checks = "/api/health/checks/"
	orders := map[string]string{"queues": "orders"}
	const queue = "/api/queues/%2F/orders?columns=state,messages_ready,consumers"
	for _, c := range []struct {
		name, want, unknown string // what is unknown, and why
		pages, options      map[string]string
		down                bool
	}{
		{"it is well; 3.10 lacks some checks", "", "fact{not_ready}=unsupported", nil, orders, false},
		{"a disk alarm: aliveness-test is ok", "alarm", "", map[string]string{checks + "alarms": rabbitmqDiskAlarm}, nil, false},
		{"a memory alarm, in a version without the check", "alarm", "", map[string]string{checks + "alarms": "", "/api/nodes": strings.Replace(rabbitmqNodesPage, `"mem_alarm":false`, `"mem_alarm":true`, 1)}, nil, false},
		{"an alarm of a new kind", "alarm", "", map[string]string{checks + "alarms": strings.Replace(rabbitmqDiskAlarm, "disk space", "moon", 1)}, nil, false},
		{"it just started: nothing is 0", "", "saturation_ratio{memory}=warming_up", map[string]string{"/api/nodes": rabbitmqEarlyNodes}, nil, false},
		{"4.x counts no sockets", "", "saturation_ratio{sockets}=unsupported", map[string]string{"/api/nodes": strings.ReplaceAll(rabbitmqNodesPage, "sockets_", "x_")}, nil, false},
		{"a node is down", "members_missing", "", map[string]string{"/api/nodes": strings.Replace(rabbitmqNodesPage, `"running":true`, `"running":false`, 1)}, nil, false},
		{"the cluster is partitioned", "degraded", "", map[string]string{"/api/nodes": strings.Replace(rabbitmqNodesPage, `"partitions":[]`, `"partitions":["rabbit@b"]`, 1)}, nil, false},
		{"a quorum hangs on this node", "degraded", "", map[string]string{checks + "node-is-quorum-critical": rabbitmqFailed}, nil, false},
		{"a virtual host is down", "unavailable", "", map[string]string{checks + "virtual-hosts": rabbitmqFailed}, nil, false},
		{"nothing listens", "unavailable", "", map[string]string{checks + "protocol-listener/amqp": rabbitmqFailed, checks + "protocol-listener/amqps": rabbitmqFailed}, nil, false},
		{"TLS alone listens", "", "", map[string]string{checks + "protocol-listener/amqp": rabbitmqFailed, checks + "protocol-listener/amqps": `{"status":"ok"}`}, nil, false},
		{"queues without a leader, as 4.1 tells", "no_leader", "", map[string]string{checks + "quorum-queues-without-elected-leaders/all-vhosts/": rabbitmqFailed}, nil, false},
		{"not ready, as 4.2 tells", "unavailable", "", map[string]string{checks + "ready-to-serve-clients": rabbitmqFailed}, nil, false},
		{"the tag management alone", "permission", "members{healthy}=permission", map[string]string{"/api/nodes": rabbitmqNotMonitor}, nil, false},
		{"neither alarms nor nodes are told", "permission", "alarm{disk}=permission", map[string]string{"/api/nodes": rabbitmqNotMonitor, checks + "alarms": ""}, nil, false},
		{"no permission on the virtual host: not 0 messages", "", "queue_messages{orders}=permission", map[string]string{queue: rabbitmqNoVhost}, orders, false},
		{"a queue without statistics yet", "", "queue_messages{orders}=warming_up", map[string]string{queue: `{"name":"orders"}`}, orders, false},
		{"no such queue", "mismatch", "queue_consumers{orders}=protocol", map[string]string{queue: ""}, orders, false},
		{"the queue is down", "unavailable", "", map[string]string{queue: `{"name":"orders","state":"down","messages_ready":0,"consumers":0}`}, orders, false},
		{"a wrong password", "auth", "", map[string]string{"/api/overview": `401 {"error":"not_authorized","reason":"Login failed"}`}, nil, true},
		{"no tag", "permission", "", map[string]string{"/api/overview": `401 {"error":"not_authorised","reason":"Not management user"}`}, nil, true},
		{"another program", "protocol", "", map[string]string{"/api/overview": `{"version":1}`}, nil, true},
		{"nothing there", "protocol", "", map[string]string{"/api/overview": ""}, nil, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := Run(t.Context(), probing(rabbitmqKind(), served(t, pages(rabbitmqPages(c.pages))), c.options), nil)
			if problems(v) != c.want || v.Up == c.down {
				t.Errorf("up %t, problems %v, want %q", v.Up, v.Problems, c.want)
			}
			if fact, why, found := strings.Cut(c.unknown, "="); found && unknownWhy(v, fact) != why {
				t.Errorf("%s is unknown because of %q, want %q", fact, unknownWhy(v, fact), why)
			}
			if !c.down && (c.options == nil || unknownWhy(v, "queue_messages{orders}") == "") {
				without := []string{"queue_messages", "queue_consumers"}
				if c.options != nil {
					without = nil
				}
				wantTold(t, rabbitmqKind(), v, without...)
			}
		})
	}
}

func TestRabbitMQFacts(t *testing.T) {
	v := Run(t.Context(), probing(rabbitmqKind(), served(t, pages(rabbitmqPages(nil))), map[string]string{"queues": "orders"}), nil)
	if measured(v.Saturation, "memory") != 0.75 || measured(v.Saturation, "fd") != 0.002 || measured(v.Members, "healthy") != 2 || v.MembersExpected.Value != 2 ||
		measured(v.QueueMessages, "orders") != 7 || measured(v.QueueConsumers, "orders") != 2 || measured(v.Alarms, "disk") != 0 {
		t.Errorf("%+v", v)
	}
}

func TestRabbitMQPlugin(t *testing.T) {
	const detailed = "/metrics/detailed"
	for _, c := range []struct {
		name, want string
		pages      map[string]string
		up         bool
	}{
		{"it is well", "", map[string]string{"/metrics": rabbitmqPlugin, detailed: rabbitmqDetailed}, true},
		{"an alarm", "alarm", map[string]string{"/metrics": strings.Replace(rabbitmqPlugin, "memory_used_watermark 0", "memory_used_watermark 1", 1), detailed: rabbitmqDetailed}, true},
		{"no such queue", "mismatch", map[string]string{"/metrics": rabbitmqPlugin, detailed: "rabbitmq_detailed_queue_messages_ready{vhost=\"b\",queue=\"orders\"} 1\n"}, true},
		{"a version without details", "", map[string]string{"/metrics": rabbitmqPlugin}, true},
		{"no alarms told", "permission", map[string]string{"/metrics": "rabbitmq_build_info{a=\"b\"} 1\n"}, false},
		{"another program", "protocol", map[string]string{"/metrics": "go_goroutines 1\n"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := Run(t.Context(), probing(rabbitmqKind(), served(t, pages(c.pages)), map[string]string{"plugin": "true", "queues": "orders"}), nil)
			if problems(v) != c.want || v.Up != c.up {
				t.Errorf("up %t, problems %v, want %q", v.Up, v.Problems, c.want)
			}
			switch {
			case c.want == "" && c.pages[detailed] == "":
				if unknownWhy(v, "queue_messages{orders}") != "unsupported" {
					t.Errorf("unknown %v", v.Unknown)
				}
			case c.want == "":
				wantTold(t, rabbitmqKind(), v)
				if measured(v.QueueMessages, "orders") != 7 || measured(v.QueueConsumers, "orders") != 2 || measured(v.Saturation, "memory") != 0.75 {
					t.Errorf("%+v", v)
				}
			}
		})
	}
}

func TestRabbitMQWithstands(t *testing.T) {
	t.Run("management", func(t *testing.T) { withstands(t, rabbitmqKind(), nil) })
	t.Run("plugin", func(t *testing.T) { withstands(t, rabbitmqKind(), map[string]string{"plugin": "true"}) })
}

// A broker with very many queues is slow to tell of them, or tells more than is read. Its alarms and nodes are known all the same.
func TestRabbitMQOfVeryManyQueues(t *testing.T) {
	all := rabbitmqPages(map[string]string{"/metrics": rabbitmqPlugin})
	for _, c := range []struct {
		name, plugin string
		queues       http.HandlerFunc
		why          Why
	}{
		{"slow", "false", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, TimedOut},
		{"slow plugin", "true", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, TimedOut},
		{"long plugin", "true", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, maxBody+1)) }, Unsupported},
	} {
		t.Run(c.name, func(t *testing.T) {
			target := probing(rabbitmqKind(), served(t, func(w http.ResponseWriter, r *http.Request) {
				if strings.HasPrefix(r.URL.Path, "/api/queues/") || r.URL.Path == "/metrics/detailed" {
					c.queues(w, r)
					return
				}
				pages(all)(w, r)
			}), map[string]string{"plugin": c.plugin, "queues": "orders\nothers"})
			target.Timeout = 500 * time.Millisecond
			v := Run(t.Context(), target, nil)
			wantUp(t, v)
			for _, queue := range []string{"orders", "others"} {
				wantUnknown(t, v, "queue_messages{"+queue+"}", c.why)
			}
			if measured(v.Alarms, "disk") != 0 {
				t.Errorf("the alarm is not told: %+v", v)
			}
		})
	}
}
