// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

func rabbitmqKind() Kind {
	return Kind{
		Name: "rabbitmq",
		Help: "Asks the management API (tag monitoring; for queues also a permission on their virtual host, ^$ ^$ ^$ is enough) for alarms, nodes, " +
			"partitions and what would lose its quorum; or the rabbitmq_prometheus plugin. Nothing is declared or published: that works while alarms stand.",
		Port: "15672", TLSPort: "15671", Address: BaseURL,
		Options: []Option{
			{Name: "plugin", Type: Flag, Default: "false", Help: "ask rabbitmq_prometheus (port 15692) instead of the management API"},
			{Name: "vhost", Type: Text, Default: "/", Help: "virtual host of the queues"},
			{Name: "queues", Type: List, Help: "names of queues whose messages and consumers are told"},
		},
		Facts: []string{"alarm{memory}", "alarm{disk}", "members{healthy}", "members_expected", "saturation_ratio{memory}", "saturation_ratio{fd}",
			"saturation_ratio{sockets}", "saturation_ratio{processes}", "fact{network_partitions}", "fact{quorum_critical}", "fact{virtual_hosts_down}",
			"fact{without_listener}", "fact{queues_without_leader}", "fact{not_ready}", "queue_messages", "queue_consumers"},
		Asked: func(p *Probe) (facts []string) {
			for _, name := range p.queuesOf() {
				facts = append(facts, "queue_messages{"+name+"}", "queue_consumers{"+name+"}")
			}
			return facts
		},
		Verified: Verification{
			Live: []string{"RabbitMQ 3.10: one node, its management API and its plugin, with 2,000 queues"},
			Fake: []string{"several nodes, partitions, what would lose its quorum, 4.x: recorded answers, those of 4.x as its source has them"},
		},
		Probe: probeRabbitMQ,
	}
}

func probeRabbitMQ(ctx context.Context, p *Probe) error {
	if p.OptionFlag("plugin") {
		return p.askRabbitMQPlugin(ctx)
	}
	var overview struct {
		Version string `json:"rabbitmq_version"`
	}
	a, err := p.getJSON(ctx, "/api/overview?columns=rabbitmq_version", &overview)
	if err != nil {
		return err
	}
	if err := rabbitmqRefusal(a, "overview"); err != nil {
		return err
	}
	if overview.Version == "" {
		return fail(Protocol, "the answer is not that of RabbitMQ's management API")
	}
	p.Up()
	var alarms rabbitmqAlarms
	for _, ask := range []func(context.Context, *rabbitmqAlarms) error{
		p.rabbitmqAlarmCheck, p.rabbitmqChecks, p.rabbitmqNodes, p.rabbitmqQueues,
	} {
		if err := ask(ctx, &alarms); err != nil {
			return err
		}
	}
	if !alarms.known {
		p.Unknown("alarm{memory}", NoPermission)
		p.Unknown("alarm{disk}", NoPermission)
		return fail(Permission, "whether alarms stand is not told: the account needs the tag monitoring")
	}
	p.Alarm("memory", alarms.memory)
	p.Alarm("disk", alarms.disk)
	if alarms.other != "" {
		p.Problem(Alarm, "alarm %s", alarms.other)
	}
	return nil
}

// rabbitmqRefusal tells a wrong password from a missing tag or permission: both are HTTP 401.
func rabbitmqRefusal(a *answer, what string) error {
	if a.status == http.StatusUnauthorized && rabbitmqForbids(a) {
		return fail(Permission, "%s: the account lacks a tag or permission", what)
	}
	return a.refused(what)
}

func rabbitmqForbids(a *answer) bool {
	var said struct{ Reason string }
	return json.Unmarshal(a.body, &said) == nil && said.Reason != "" && !strings.Contains(strings.ToLower(said.Reason), "login failed")
}

// rabbitmqAlarms are those of any node: each blocks publishers everywhere.
type rabbitmqAlarms struct {
	known, memory, disk bool
	other               string
}

func (a *rabbitmqAlarms) add(resource string) {
	switch {
	case strings.HasPrefix(resource, "memory"):
		a.memory = true
	case strings.HasPrefix(resource, "disk"): // "disk" or "disk space"
		a.disk = true
	default:
		a.other = resource
	}
}

// rabbitmqAlarmCheck asks for the alarms in a way that any account with access to the API may. Versions before 3.8.10 do not have it.
func (p *Probe) rabbitmqAlarmCheck(ctx context.Context, alarms *rabbitmqAlarms) error {
	var said struct {
		Status string
		Alarms []struct{ Resource string }
	}
	a, err := p.getJSON(ctx, "/api/health/checks/alarms", &said)
	if err != nil {
		return fmt.Errorf("alarms: %w", err)
	}
	switch {
	case a.status == http.StatusOK && said.Status == "ok":
		alarms.known = true
	case a.status == http.StatusServiceUnavailable && said.Status == "failed":
		alarms.known = true
		for _, alarm := range said.Alarms {
			alarms.add(alarm.Resource)
		}
		if len(said.Alarms) == 0 {
			alarms.other = "of an unknown resource"
		}
	case a.whyNot() == Garbled:
		return fail(Protocol, "alarms: HTTP %d", a.status)
	}
	return nil
}

// rabbitmqCheck is a health check of the API: 200 or 503; a version that lacks it answers 404.
type rabbitmqCheck struct {
	fact, path string
	reason     Reason
	detail     string
}

func rabbitmqHealthChecks() []rabbitmqCheck {
	return []rabbitmqCheck{
		{"quorum_critical", "node-is-quorum-critical", Degraded, "queues would lose their quorum without this node"},
		{"virtual_hosts_down", "virtual-hosts", Unavailable, "a virtual host is down"},
		{"without_listener", "protocol-listener/amqp", Unavailable, "nothing listens for AMQP"},
		{"queues_without_leader", "quorum-queues-without-elected-leaders/all-vhosts/", NoLeader, "quorum queues have no leader"},
		{"not_ready", "ready-to-serve-clients", Unavailable, "it is not ready to serve clients"},
	}
}

func (p *Probe) rabbitmqChecks(ctx context.Context, _ *rabbitmqAlarms) error {
	for _, check := range rabbitmqHealthChecks() {
		failed, why, err := p.rabbitmqCheck(ctx, check.path)
		if err == nil && failed && check.fact == "without_listener" {
			failed, why, err = p.rabbitmqCheck(ctx, "protocol-listener/amqps")
		}
		switch {
		case err != nil:
			return err
		case why != "":
			p.Unknown("fact{"+check.fact+"}", why)
		case failed:
			p.Fact(check.fact, 1)
			p.Problem(check.reason, "%s", check.detail)
		default:
			p.Fact(check.fact, 0)
		}
	}
	return nil
}

func (p *Probe) rabbitmqCheck(ctx context.Context, path string) (failed bool, why Why, err error) {
	var said struct{ Status string }
	a, err := p.getJSON(ctx, "/api/health/checks/"+path, &said)
	switch {
	case err != nil:
		return false, "", fmt.Errorf("check %s: %w", path, err)
	case a.status == http.StatusServiceUnavailable && said.Status == "failed":
		return true, "", nil
	case a.status == http.StatusOK && said.Status == "ok":
		return false, "", nil
	case a.status == http.StatusOK:
		return false, Garbled, nil
	}
	return false, a.whyNot(), nil
}

// rabbitmqNode is one of /api/nodes. What it counts is missing until its statistics were first collected, 5 seconds after its start.
type rabbitmqNode struct {
	Name         string
	Running      bool
	Partitions   []string
	MemUsed      *float64 `json:"mem_used"`
	MemLimit     *float64 `json:"mem_limit"`
	MemAlarm     bool     `json:"mem_alarm"`
	DiskAlarm    bool     `json:"disk_free_alarm"`
	FDUsed       *float64 `json:"fd_used"`
	FDTotal      *float64 `json:"fd_total"`
	SocketsUsed  *float64 `json:"sockets_used"`
	SocketsTotal *float64 `json:"sockets_total"`
	ProcUsed     *float64 `json:"proc_used"`
	ProcTotal    *float64 `json:"proc_total"`
}

func (p *Probe) rabbitmqNodes(ctx context.Context, alarms *rabbitmqAlarms) error {
	const columns = "name,running,partitions,mem_used,mem_limit,mem_alarm,disk_free_alarm,fd_used,fd_total,sockets_used,sockets_total,proc_used,proc_total"
	var nodes []rabbitmqNode
	a, err := p.getJSON(ctx, "/api/nodes?columns="+columns, &nodes)
	if err != nil {
		return fmt.Errorf("nodes: %w", err)
	}
	if a.status != http.StatusOK || len(nodes) == 0 {
		why := a.whyNot()
		for _, fact := range []string{"members{healthy}", "members_expected", "saturation_ratio{memory}", "saturation_ratio{fd}", "saturation_ratio{sockets}",
			"saturation_ratio{processes}", "fact{network_partitions}"} {
			p.Unknown(fact, why)
		}
		if err := rabbitmqRefusal(a, "nodes"); err != nil {
			p.Problem(reasonOf(err), "nodes and partitions are not told: %v", err)
		} else {
			p.Problem(Protocol, "it tells of no node")
		}
		return nil
	}
	running, partitioned := 0, 0
	alarms.known = true
	for _, n := range nodes {
		if n.Running {
			running++
		}
		if len(n.Partitions) > 0 {
			partitioned++
		}
		alarms.memory, alarms.disk = alarms.memory || n.MemAlarm, alarms.disk || n.DiskAlarm
	}
	p.membership(running, len(nodes))
	p.Fact("network_partitions", float64(partitioned))
	if partitioned > 0 {
		p.Problem(Degraded, "%d nodes do not see others: the cluster is partitioned", partitioned)
	}
	p.rabbitmqSaturation(nodes)
	return nil
}

// rabbitmqSaturation tells of each resource the share on the node that has least of it left.
func (p *Probe) rabbitmqSaturation(nodes []rabbitmqNode) {
	for _, of := range []struct {
		resource string
		share    func(rabbitmqNode) (used, limit *float64)
	}{
		{"memory", func(n rabbitmqNode) (*float64, *float64) { return n.MemUsed, n.MemLimit }},
		{"fd", func(n rabbitmqNode) (*float64, *float64) { return n.FDUsed, n.FDTotal }},
		{"sockets", func(n rabbitmqNode) (*float64, *float64) { return n.SocketsUsed, n.SocketsTotal }},
		{"processes", func(n rabbitmqNode) (*float64, *float64) { return n.ProcUsed, n.ProcTotal }},
	} {
		most, known, collected := 0.0, false, false
		for _, n := range nodes {
			collected = collected || n.MemUsed != nil || n.ProcUsed != nil
			if used, limit := of.share(n); used != nil && limit != nil && *limit > 0 {
				most, known = max(most, *used / *limit), true
			}
		}
		switch {
		case known:
			p.Saturation(of.resource, most, 1)
		case collected: // file descriptors and sockets are not told from 4.0 on
			p.Unknown("saturation_ratio{"+of.resource+"}", Unsupported)
		default:
			p.Unknown("saturation_ratio{"+of.resource+"}", WarmingUp)
		}
	}
}

// queuesOf are the queues that the configuration names, as many as are told.
func (p *Probe) queuesOf() []string {
	queues := p.OptionList("queues")
	return queues[:min(len(queues), maxNamed)]
}

// unknownQueue says that nothing is known of a queue: an account without a permission on the virtual host sees none.
func (p *Probe) unknownQueue(name string, why Why) {
	p.Unknown("queue_messages{"+name+"}", why)
	p.Unknown("queue_consumers{"+name+"}", why)
}

// slowQueues makes queues unknown that were not told of in time. Of a broker with very many of them the alarms and nodes count all the same;
// any other error stays one.
func (p *Probe) slowQueues(ctx context.Context, err error, names []string) error {
	if ctx.Err() == nil && reasonOf(err) != Timeout {
		return err
	}
	for _, name := range names {
		p.unknownQueue(name, TimedOut)
	}
	return nil
}

func (p *Probe) rabbitmqQueues(ctx context.Context, _ *rabbitmqAlarms) error {
	names := p.queuesOf()
	for i, name := range names {
		var queue struct {
			State     string
			Messages  *float64 `json:"messages_ready"`
			Consumers *float64
		}
		path := "/api/queues/" + url.PathEscape(p.Option("vhost")) + "/" + url.PathEscape(name) + "?columns=state,messages_ready,consumers"
		a, err := p.getJSON(ctx, path, &queue)
		switch {
		case err != nil:
			return p.slowQueues(ctx, fmt.Errorf("queue %s: %w", name, err), names[i:])
		case a.status == http.StatusNotFound:
			p.unknownQueue(name, Garbled)
			p.Problem(Mismatch, "there is no queue %s in virtual host %s", name, p.Option("vhost"))
		case a.status != http.StatusOK:
			p.unknownQueue(name, a.whyNot())
		case queue.Messages == nil || queue.Consumers == nil:
			p.unknownQueue(name, WarmingUp)
		default:
			p.Queue(name, *queue.Messages, *queue.Consumers)
		}
		if slices.Contains([]string{"down", "crashed", "stopped", "minority"}, queue.State) {
			p.Problem(Unavailable, "queue %s is %s", name, queue.State)
		}
	}
	return nil
}
