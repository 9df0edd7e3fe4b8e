// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

func zookeeperKind() Kind {
	return Kind{
		Name: "zookeeper",
		Help: "Asks the four-letter words srvr (allowed by default) and mntr (4lw.commands.whitelist), or its AdminServer where the address " +
			"is a URL (http://HOST:8080). ruok is not asked: it answers imok without a quorum, too.",
		Port: "2181", TLSPort: "2281", Address: BaseURL,
		Facts: []string{"role", "writable", "members{healthy}", "members_expected", "saturation_ratio{fd}", "fact{avg_latency_ms}",
			"fact{outstanding_requests}", "fact{connections}", "fact{znodes}", "fact{data_bytes}"},
		Verified: Verification{
			Live: []string{"ZooKeeper 3.8: an ensemble of three that loses its members, an observer, the AdminServer, a member that serves reads only"},
		},
		Probe:    probeZooKeeper,
		Together: electorate,
	}
}

// notServing is how every command is answered by a member that sees no quorum, or has just started.
const notServing = "is not currently serving requests"

// notAllowed is how a command is answered that 4lw.commands.whitelist lacks.
const notAllowed = "is not in the whitelist"

func probeZooKeeper(ctx context.Context, p *Probe) error {
	if strings.Contains(p.Target.Address, "://") {
		return p.askAdminServer(ctx)
	}
	text, err := p.fourLetters(ctx, "srvr")
	switch {
	case err != nil:
		return err
	case strings.Contains(text, notServing):
		p.zooKeeperNotServing()
		return nil
	case strings.Contains(text, notAllowed):
		return fail(Permission, "srvr is not in 4lw.commands.whitelist")
	}
	srvr := parseSrvr(text)
	if srvr["Zookeeper version"] == "" || srvr["Mode"] == "" {
		return fail(Protocol, "the answer to srvr is not ZooKeeper's")
	}
	p.Up()
	mode := srvr["Mode"]
	p.zooKeeperMode(mode)
	mntr, why := map[string]string{}, Why("")
	if text, err = p.fourLetters(ctx, "mntr"); err != nil {
		return fmt.Errorf("mntr: %w", err)
	}
	switch {
	case strings.Contains(text, notAllowed):
		why = NoPermission
	case strings.Contains(text, notServing): // lost just now: the role was that of a moment ago
		p.zooKeeperNotServing()
		return nil
	default:
		mntr = parseMntr(text)
	}
	for key, name := range map[string]string{"Outstanding": "zk_outstanding_requests", "Connections": "zk_num_alive_connections", "Node count": "zk_znode_count"} {
		if mntr[name] == "" {
			mntr[name] = srvr[key]
		}
	}
	if mntr["zk_avg_latency"] == "" {
		_, rest, _ := strings.Cut(srvr["Latency min/avg/max"], "/")
		mntr["zk_avg_latency"], _, _ = strings.Cut(rest, "/")
	}
	p.tellZooKeeper(mode, mntr, why)
	return nil
}

// zooKeeperNotServing tells of a member that answers and does not serve. Nothing else is known of it then.
func (p *Probe) zooKeeperNotServing() {
	p.Up()
	p.Role("unknown")
	p.Writable(false)
	p.Problem(NoQuorum, "it serves no requests: no quorum, or it is starting")
	for _, fact := range zookeeperKind().Facts[2:] {
		if expected := p.Target.Limits.ExpectedMembers; fact == "members_expected" && expected > 0 {
			p.Expected(expected)
		} else {
			p.Unknown(fact, WarmingUp)
		}
	}
}

// maxFourLetters is far above what any of the commands answers.
const maxFourLetters = 1 << 20

// fourLetters sends a command over a connection of its own, as ZooKeeper wants it.
func (p *Probe) fourLetters(ctx context.Context, command string) (string, error) {
	conn, err := p.Dial(ctx)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	began := time.Now()
	defer func() { p.Phase("query", time.Since(began)) }()
	if _, err := io.WriteString(conn, command); err != nil {
		return "", fmt.Errorf("cannot ask: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(conn, maxFourLetters+1))
	switch {
	case err != nil:
		return "", fmt.Errorf("cannot read the answer: %w", err)
	case len(text) > maxFourLetters:
		return "", fail(Protocol, "the answer is longer than %d bytes", maxFourLetters)
	case len(text) == 0:
		return "", fmt.Errorf("it answers nothing: %w", io.EOF)
	}
	return string(text), nil
}

// parseSrvr reads lines such as "Mode: leader".
func parseSrvr(text string) map[string]string {
	values := map[string]string{}
	for line := range strings.Lines(text) {
		if key, value, found := strings.Cut(line, ": "); found {
			values[key] = strings.TrimSpace(value)
		}
	}
	return values
}

// parseMntr reads lines of a name, a tab and a value.
func parseMntr(text string) map[string]string {
	values := map[string]string{}
	for line := range strings.Lines(text) {
		if key, value, found := strings.Cut(line, "\t"); found {
			values[key] = strings.TrimSpace(value)
		}
	}
	return values
}

// zooKeeperMode tells the role. A member that is cut off from the quorum may serve reads (readonlymode.enabled).
func (p *Probe) zooKeeperMode(mode string) {
	switch mode {
	case "leader", "follower", "observer", "standalone":
		p.Role(mode)
		p.Writable(true)
	case "read-only":
		p.Role("unknown")
		p.Writable(false)
		p.Problem(NoQuorum, "it is cut off from the quorum and serves reads only")
		p.Problem(NotWritable, "it serves reads only")
	default:
		p.Unknown("role", Garbled)
		p.Unknown("writable", Garbled)
		p.Problem(Protocol, "it is in a mode that is not known: %s", mode)
	}
}

// tellZooKeeper tells the numbers, which are named as mntr names them. Why says why some are missing; empty: this version does not have them.
func (p *Probe) tellZooKeeper(mode string, values map[string]string, why Why) {
	if why == "" {
		why = Unsupported
	}
	number := func(name string) (float64, bool) {
		n, err := strconv.ParseFloat(values[name], 64)
		return n, err == nil && finite(n)
	}
	open, known := number("zk_open_file_descriptor_count")
	limit, limited := number("zk_max_file_descriptor_count")
	if known && limited && limit > 0 {
		p.Saturation("fd", open, limit)
	} else {
		p.Unknown("saturation_ratio{fd}", why)
	}
	for _, f := range []struct{ fact, name string }{
		{"avg_latency_ms", "zk_avg_latency"}, {"outstanding_requests", "zk_outstanding_requests"}, {"connections", "zk_num_alive_connections"},
		{"znodes", "zk_znode_count"}, {"data_bytes", "zk_approximate_data_size"},
	} {
		if n, known := number(f.name); known {
			p.Fact(f.fact, n)
		} else {
			p.Unknown("fact{"+f.fact+"}", why)
		}
	}
	quorum, sized := number("zk_quorum_size") // the members that vote; from 3.6 on
	followers, leads := number("zk_synced_followers")
	expected := p.Target.Limits.ExpectedMembers
	if sized && quorum >= 1 && quorum < 1000 && expected == 0 {
		expected = int(quorum)
	}
	switch {
	case mode == "leader" && leads && followers >= 0 && followers < 1000:
		p.membership(int(followers)+1, expected)
		return
	case mode == "leader":
		p.Unknown("members{healthy}", why)
	}
	if expected > 0 {
		p.Expected(expected)
	} else if mode != "standalone" {
		p.Unknown("members_expected", why)
	}
}

// askAdminServer asks over HTTP. Without a quorum the status is 200 and the answer holds an error; monitor fails altogether.
func (p *Probe) askAdminServer(ctx context.Context) error {
	var stats struct {
		Error    string `json:"error"`
		ReadOnly *bool  `json:"read_only"`
		Server   struct {
			State string `json:"server_state"`
		} `json:"server_stats"`
	}
	a, err := p.getJSON(ctx, "/commands/server_stats", &stats)
	if err != nil {
		return err
	}
	if err := a.refused("server_stats"); err != nil {
		return err
	}
	switch {
	case strings.Contains(stats.Error, notServing):
		p.zooKeeperNotServing()
		return nil
	case stats.Error != "":
		return fail(Unavailable, "server_stats: %s", stats.Error)
	case stats.Server.State == "" || stats.ReadOnly == nil:
		return fail(Protocol, "the answer to server_stats is not ZooKeeper's")
	}
	p.Up()
	mode := stats.Server.State
	if *stats.ReadOnly {
		mode = "read-only"
	}
	p.zooKeeperMode(mode)
	a, err = p.request(ctx, http.MethodGet, "/commands/monitor", "")
	if err != nil {
		return fmt.Errorf("monitor: %w", err)
	}
	var monitor map[string]any
	d := json.NewDecoder(strings.NewReader(string(a.body)))
	d.UseNumber()
	values, why := map[string]string{}, Why("")
	switch {
	case a.status != http.StatusOK:
		why = a.whyNot()
	case d.Decode(&monitor) != nil:
		why = Garbled
	case strings.Contains(jsonText(monitor["error"]), notServing): // lost just now
		p.zooKeeperNotServing()
		return nil
	}
	for name, value := range monitor {
		values["zk_"+name] = jsonText(value)
	}
	p.tellZooKeeper(mode, values, why)
	return nil
}
