// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stability-exporter/internal/middleware"
	"stability-exporter/internal/state"
	"stability-exporter/test/daemon"
)

// rabbitMQ is a node of RabbitMQ with its management API, its plugin for Prometheus and a port mapper of its own.
type rabbitMQ struct {
	*daemon.Daemon
	dir, amqp, api, plugin string
	environment            []string
}

// rabbitPrograms finds the programs of the server, whose wrappers in the PATH want to be another user.
func rabbitPrograms(t *testing.T) string {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin")
	if err != nil || len(found) != 1 {
		t.Fatalf("RabbitMQ is not installed: %v, %v", found, err)
	}
	return found[0]
}

// startRabbitMQ starts a node. Its scripts are told to become the server instead of waiting for it, and the port mapper is started first, as the
// server would leave one behind.
func startRabbitMQ(t *testing.T) *rabbitMQ {
	t.Helper()
	r := &rabbitMQ{dir: t.TempDir()}
	var amqpPort, apiPort, pluginPort string
	r.amqp, amqpPort = freeAddress(t)
	r.api, apiPort = freeAddress(t)
	r.plugin, pluginPort = freeAddress(t)
	mapper, mapperPort := freeAddress(t)
	_, distribution := freeAddress(t)
	serve(t, mapper, "epmd", "-port", mapperPort, "-address", "127.0.0.1")
	write(t, r.dir, "plugins", "[rabbitmq_management,rabbitmq_prometheus].\n")
	write(t, r.dir, "rabbit.conf", strings.Join([]string{
		"listeners.tcp.1 = 127.0.0.1:" + amqpPort, "management.tcp.ip = 127.0.0.1", "management.tcp.port = " + apiPort, "prometheus.tcp.ip = 127.0.0.1",
		"prometheus.tcp.port = " + pluginPort, "default_user = admin", "default_pass = admin-secret", "log.console = true", "disk_free_limit.absolute = 1MB",
	}, "\n")+"\n")
	r.environment = []string{
		"env", "HOME=" + r.dir, "ERL_EPMD_PORT=" + mapperPort, "ERL_EPMD_ADDRESS=127.0.0.1", "RABBITMQ_NODENAME=stability" + amqpPort + "@localhost",
		"RABBITMQ_DIST_PORT=" + distribution, "RABBITMQ_MNESIA_BASE=" + r.dir, "RABBITMQ_LOG_BASE=" + r.dir, "RABBITMQ_ENABLED_PLUGINS_FILE=" + filepath.Join(r.dir, "plugins"),
		"RABBITMQ_CONFIG_FILE=" + filepath.Join(r.dir, "rabbit.conf"), "RABBITMQ_CONF_ENV_FILE=/dev/null", "RUNNING_UNDER_SYSTEMD=true",
		"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=+S 1:1 +sbwt none -start_epmd false",
	}
	r.Daemon = run(t, append(r.environment, filepath.Join(rabbitPrograms(t), "rabbitmq-server"))...)
	return r
}

// control runs rabbitmqctl.
func (r *rabbitMQ) control(t *testing.T, arguments ...string) {
	t.Helper()
	call(t, append(append(r.environment, filepath.Join(rabbitPrograms(t), "rabbitmqctl")), arguments...)...)
}

// manage asks the management API as the administrator.
func (r *rabbitMQ) manage(ctx context.Context, method, path string, body any) (string, error) {
	answer, err := send(ctx, method, "http://"+r.api+path, body, func(request *http.Request) { request.SetBasicAuth("admin", "admin-secret") })
	return string(answer), err
}

func (r *rabbitMQ) must(t *testing.T, method, path string, body any) string {
	t.Helper()
	answer, err := r.manage(t.Context(), method, path, body)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// accounts makes monitor as the documentation has it, blind without the permission on the virtual host, and tagless.
func (r *rabbitMQ) accounts(t *testing.T) {
	t.Helper()
	for name, tags := range map[string]string{"monitor": "monitoring", "blind": "monitoring", "managing": "management", "tagless": ""} {
		r.must(t, "PUT", "/api/users/"+name, object{"password": name + "-secret", "tags": tags})
	}
	r.must(t, "PUT", "/api/permissions/%2F/monitor", object{"configure": "^$", "write": "^$", "read": "^$"})
}

// asked is the management API as a target, with the account of the documentation.
func (r *rabbitMQ) asked(t *testing.T, with ...setting) *middleware.Target {
	t.Helper()
	return target(t, "rabbitmq", r.api, append([]setting{asMonitor()}, with...)...)
}

// askedPlugin is the plugin for Prometheus as a target; it knows no accounts.
func (r *rabbitMQ) askedPlugin(t *testing.T, with ...setting) *middleware.Target {
	t.Helper()
	return target(t, "rabbitmq", r.plugin, append([]setting{option("plugin", "true")}, with...)...)
}

// TestRabbitMQ starts one node, which takes a while, and asks it for everything.
func TestRabbitMQ(t *testing.T) {
	t.Parallel()
	r := startRabbitMQ(t)
	saturations := []string{"saturation_ratio{memory}", "saturation_ratio{fd}", "saturation_ratio{sockets}", "saturation_ratio{processes}"}
	// Until it has counted for the first time, 5 seconds after its start, it does not know what it uses: that is not nothing.
	awaitView(t, r.asked(t, as("admin", "admin-secret")), "the first answer", unknown(middleware.WarmingUp, saturations...))
	r.accounts(t)
	known := awaitView(t, r.asked(t), "it to have counted", tellsBetween("saturation_ratio{memory}", some, 0.99))
	check(t, known, healthy, tells("members{healthy}", 1), tells("fact{network_partitions}", 0), tells("fact{virtual_hosts_down}", 0),
		tells("fact{without_listener}", 0), tells("fact{quorum_critical}", 0), tells("alarm{disk}", 0), tells("alarm{memory}", 0),
		unknown(middleware.Unsupported, "fact{queues_without_leader}", "fact{not_ready}")) // 3.10 does not have them
	t.Run("accounts", func(t *testing.T) { rabbitMQAccounts(t, r) })
	t.Run("plugin", func(t *testing.T) {
		check(t, awaitView(t, r.askedPlugin(t), "the plugin", healthy), tellsBetween("saturation_ratio{memory}", some, 0.99),
			tells("alarm{disk}", 0), unknown(middleware.Unsupported, "members{healthy}"))
		check(t, probe(t, target(t, "rabbitmq", r.plugin)), down(middleware.Protocol, "")) // it is no management API
		check(t, probe(t, target(t, "rabbitmq", r.api, option("plugin", "true"))), down(middleware.Protocol, ""))
	})
	t.Run("queues", func(t *testing.T) { rabbitMQQueues(t, r) })
	t.Run("thousands of queues", func(t *testing.T) { rabbitMQManyQueues(t, r) })
	t.Run("alarms", func(t *testing.T) { rabbitMQAlarms(t, r) })
	t.Run("foreign", func(t *testing.T) {
		askAsEverything(t, stranger{"the port for clients of a RabbitMQ", r.amqp, []string{"tcp"}, []string{"tcp"}})
		askAsEverything(t, stranger{"the API of a RabbitMQ", r.api, []string{"http", "tcp"}, []string{"http", "tcp"}})
	})
	t.Run("hung", func(t *testing.T) { checkHang(t, r.Daemon, r.asked(t), r.askedPlugin(t)) })
	t.Run("application stopped", func(t *testing.T) {
		r.control(t, "stop_app")
		check(t, probe(t, r.asked(t)), down(middleware.Refused, ""))
		check(t, probe(t, r.askedPlugin(t)), down(middleware.Refused, ""))
	})
}

func rabbitMQAccounts(t *testing.T, r *rabbitMQ) {
	check(t, probe(t, r.asked(t, as("monitor", "wrong-secret"))), down(middleware.Auth, ""))
	check(t, probe(t, target(t, "rabbitmq", r.api)), down(middleware.Auth, ""))
	check(t, probe(t, r.asked(t, as("tagless", "tagless-secret"))), down(middleware.Permission, ""))
	check(t, probe(t, r.asked(t, as("managing", "managing-secret"))), upWith(middleware.Permission), unknown(middleware.NoPermission, "members{healthy}",
		"fact{network_partitions}"), tells("alarm{disk}", 0))
	r.must(t, "PUT", "/api/queues/%2F/seen", object{})
	seen := option("queues", "seen")
	check(t, awaitView(t, r.asked(t, seen), "the queue to be counted", tells("queue_messages{seen}", 0)), healthy)
	check(t, probe(t, r.asked(t, as("blind", "blind-secret"), seen)), unknown(middleware.NoPermission, "queue_messages{seen}", "queue_consumers{seen}"),
		tellsNot("queue_messages{seen}", "queue_consumers{seen}"))
}

func rabbitMQQueues(t *testing.T, r *rabbitMQ) {
	r.must(t, "PUT", "/api/queues/%2F/orders", object{})
	r.must(t, "PUT", "/api/queues/%2F/not%2Ffit%20for%20paths", object{})
	for range 3 {
		r.must(t, "POST", "/api/exchanges/%2F/amq.default/publish", object{"routing_key": "orders", "payload": "x", "payload_encoding": "string", "properties": object{}})
	}
	queues := option("queues", "orders\nnot/fit for paths")
	for _, asked := range []*middleware.Target{r.asked(t, queues), r.askedPlugin(t, queues)} {
		check(t, awaitView(t, asked, "the messages to be counted", tells("queue_messages{orders}", 3)), healthy, tells("queue_consumers{orders}", 0),
			tells("queue_messages{not/fit for paths}", 0))
	}
	missing := option("queues", "missing")
	for _, asked := range []*middleware.Target{r.asked(t, missing), r.askedPlugin(t, missing)} {
		check(t, probe(t, asked), upWith(middleware.Mismatch), unhealthy(middleware.Mismatch, "no queue missing"))
	}
	elsewhere := option("vhost", "elsewhere")
	for _, asked := range []*middleware.Target{r.asked(t, missing, elsewhere), r.askedPlugin(t, missing, elsewhere)} {
		view := probe(t, asked)
		if view.Healthy() && len(view.Unknown) == 0 {
			t.Errorf("a virtual host that does not exist is well: %s", describe(view))
		}
	}
}

// rabbitMQManyQueues holds the probe against as many queues as make others of its kind slow: it asks for those that are named.
func rabbitMQManyQueues(t *testing.T, r *rabbitMQ) {
	const many = 2000
	var queues []object
	for i := range many {
		queues = append(queues, object{"name": fmt.Sprintf("many.%d", i), "vhost": "/", "durable": false, "auto_delete": false, "arguments": object{}})
	}
	r.must(t, "POST", "/api/definitions", object{"queues": queues})
	await(t, "the queues to be there", func(ctx context.Context) error {
		var overview struct {
			Totals struct{ Queues int } `json:"object_totals"`
		}
		answer, err := r.manage(ctx, "GET", "/api/overview", nil)
		if err == nil {
			err = json.Unmarshal([]byte(answer), &overview)
		}
		if err == nil && overview.Totals.Queues < many {
			err = fmt.Errorf("there are %d", overview.Totals.Queues)
		}
		return err
	})
	var names []string
	for i := range 60 { // more than are told of
		names = append(names, fmt.Sprintf("many.%d", i))
	}
	api, plugin := relayed(t, r.api), relayed(t, r.plugin)
	for _, c := range []struct {
		name   string
		over   *relay
		with   []setting
		atMost int64 // bytes
	}{
		{"API", api, nil, 10 << 10},
		{"API, one queue", api, []setting{option("queues", "many.7")}, 10 << 10},
		{"API, 60 queues", api, []setting{option("queues", strings.Join(names, "\n"))}, 50 << 10},
		{"plugin", plugin, []setting{option("plugin", "true")}, 100 << 10},
		{"plugin, one queue", plugin, []setting{option("plugin", "true"), option("queues", "many.7")}, 1 << 20},
	} {
		asked := r.asked(t, c.with...)
		asked.Address = c.over.address
		awaitView(t, asked, "the queues to be counted", func(view *state.MiddlewareView) error {
			for _, u := range view.Unknown {
				if strings.HasPrefix(u.Fact, "queue_") {
					return fmt.Errorf("%s is unknown", u.Fact)
				}
			}
			return healthy(view)
		})
		before, began := c.over.bytes.Load(), time.Now()
		view := probe(t, asked)
		took, read := time.Since(began), c.over.bytes.Load()-before
		t.Logf("%d queues, %s: %s, %d bytes, %d queues told", many, c.name, took.Round(time.Millisecond), read, len(view.QueueMessages))
		check(t, view, healthy)
		if len(view.QueueMessages) > 51 || read > c.atMost {
			t.Errorf("%s: it tells of %d queues and reads %d bytes", c.name, len(view.QueueMessages), read)
		}
	}
}

// Publishers are blocked while a check that declares and reads a queue says that all is well.
func rabbitMQAlarms(t *testing.T, r *rabbitMQ) {
	r.control(t, "set_disk_free_limit", "1000000GB")
	for _, asked := range []*middleware.Target{r.asked(t), r.askedPlugin(t)} {
		check(t, awaitView(t, asked, "the alarm", unhealthy(middleware.Alarm, "disk")), upWith(middleware.Alarm), tells("alarm{disk}", 1),
			tells("alarm{memory}", 0))
	}
	check(t, probe(t, r.asked(t, as("managing", "managing-secret"))), unhealthy(middleware.Alarm, "disk")) // without seeing the nodes
	if alive := r.must(t, "GET", "/api/aliveness-test/%2F", nil); alive != `{"status":"ok"}` {
		t.Errorf("the case is about an aliveness test that passes: %s", alive)
	}
	r.control(t, "set_disk_free_limit", "1MB")
	r.control(t, "set_vm_memory_high_watermark", "absolute", "1MB")
	for _, asked := range []*middleware.Target{r.asked(t), r.askedPlugin(t)} {
		check(t, awaitView(t, asked, "the alarm", tells("alarm{memory}", 1)), upWith(middleware.Alarm))
		awaitView(t, asked, "the new limit to be counted with", tells("saturation_ratio{memory}", 1))
	}
	r.control(t, "set_vm_memory_high_watermark", "0.4")
	awaitView(t, r.asked(t), "the end of the alarms", healthy)
}
