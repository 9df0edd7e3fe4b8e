// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
)

// askRabbitMQPlugin asks the metrics of the node. They hold its alarms and shares; of other nodes and of what health checks say they hold nothing.
func (p *Probe) askRabbitMQPlugin(ctx context.Context) error {
	a, err := p.request(ctx, http.MethodGet, "/metrics", "")
	if err != nil {
		return err
	}
	if err := a.refused("metrics"); err != nil {
		return err
	}
	values := map[string]float64{}
	eachSample(a.body, []string{"rabbitmq_", "erlang_vm_process_"}, func(s sample) {
		if _, known := values[s.name]; s.labels == "" || !known {
			values[s.name] = s.value
		}
	})
	if _, known := values["rabbitmq_build_info"]; !known {
		return fail(Protocol, "the answer holds no metrics of RabbitMQ")
	}
	memory, known1 := values["rabbitmq_alarms_memory_used_watermark"]
	disk, known2 := values["rabbitmq_alarms_free_disk_space_watermark"]
	if !known1 || !known2 {
		p.Unknown("alarm{memory}", Unsupported)
		p.Unknown("alarm{disk}", Unsupported)
		return fail(Permission, "the plugin tells no alarms: ask the management API instead")
	}
	p.Up()
	p.Alarm("memory", memory != 0)
	p.Alarm("disk", disk != 0)
	for _, of := range []struct{ resource, used, limit string }{
		{"memory", "rabbitmq_process_resident_memory_bytes", "rabbitmq_resident_memory_limit_bytes"},
		{"fd", "rabbitmq_process_open_fds", "rabbitmq_process_max_fds"},
		{"sockets", "rabbitmq_process_open_tcp_sockets", "rabbitmq_process_max_tcp_sockets"},
		{"processes", "rabbitmq_erlang_processes_used", "rabbitmq_erlang_processes_limit"},
	} {
		used, known := values[of.used]
		if limit := values[of.limit]; known && limit > 0 {
			p.Saturation(of.resource, used, limit)
		} else {
			p.Unknown("saturation_ratio{"+of.resource+"}", Unsupported)
		}
	}
	for _, fact := range []string{"members{healthy}", "members_expected", "fact{network_partitions}"} {
		p.Unknown(fact, Unsupported)
	}
	for _, check := range rabbitmqHealthChecks() {
		p.Unknown("fact{"+check.fact+"}", Unsupported)
	}
	return p.rabbitmqPluginQueues(ctx)
}

func (p *Probe) rabbitmqPluginQueues(ctx context.Context) error {
	names := p.queuesOf()
	if len(names) == 0 {
		return nil
	}
	vhost := p.Option("vhost")
	path := "/metrics/detailed?family=queue_coarse_metrics&family=queue_consumer_count&vhost=" + url.QueryEscape(vhost)
	a, err := p.request(ctx, http.MethodGet, path, "")
	if errors.Is(err, errTooLong) { // there is no asking for a few queues only
		for _, name := range names {
			p.unknownQueue(name, Unsupported)
		}
		return nil
	}
	if err != nil {
		return p.slowQueues(ctx, fmt.Errorf("queues: %w", err), names)
	}
	messages, consumers := map[string]float64{}, map[string]float64{}
	if a.status == http.StatusOK {
		eachSample(a.body, []string{"rabbitmq_detailed_queue_messages_ready{", "rabbitmq_detailed_queue_consumers{"}, func(s sample) {
			if s.label("vhost") != vhost {
				return
			}
			into := messages
			if s.name == "rabbitmq_detailed_queue_consumers" {
				into = consumers
			}
			into[s.label("queue")] = s.value
		})
	}
	for _, name := range names {
		ready, known := messages[name]
		switch {
		case a.status != http.StatusOK:
			p.unknownQueue(name, a.whyNot())
		case known:
			p.Queue(name, ready, consumers[name])
		default:
			p.unknownQueue(name, Garbled)
			p.Problem(Mismatch, "there is no queue %s in virtual host %s", name, vhost)
		}
	}
	return nil
}
