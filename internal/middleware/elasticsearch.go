// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

func elasticsearchKind() Kind { return searchKind("elasticsearch", "Elasticsearch") }

func opensearchKind() Kind { return searchKind("opensearch", "OpenSearch") }

// searchKind declares either of two programs that answer alike.
func searchKind(name, product string) Kind {
	return Kind{
		Name: name,
		Help: "Asks " + product + " for the health of the cluster, first as the node sees it and then as the master does, for blocks and for the disks and heaps of " +
			"all nodes; the account needs the cluster privilege monitor.",
		Port: "9200", TLSPort: "9200", Address: BaseURL,
		Options: []Option{{Name: "tolerate_yellow", Type: Flag, Default: "false",
			Help: "replicas that are not assigned are no problem, as on a single node that has nowhere to put them"}},
		Facts: []string{"members{healthy}", "members_expected", "writable", "partitions{offline}", "partitions{under_replicated}", "alarm{flood_stage}",
			"saturation_ratio{disk}", "saturation_ratio{heap}", "fact{pending_tasks}", "fact{read_only_indices}"},
		Verified: Verification{Fake: []string{"answers as the documentation and the source have them"}},
		Probe:    probeSearch,
	}
}

// searchHealth is the answer of /_cluster/health.
type searchHealth struct {
	Status       string `json:"status"`
	Nodes        *int   `json:"number_of_nodes"`
	Unassigned   int    `json:"unassigned_shards"`
	Initializing int    `json:"initializing_shards"`
	PendingTasks int    `json:"number_of_pending_tasks"`
	Indices      map[string]struct {
		Shards map[string]struct {
			PrimaryActive bool `json:"primary_active"`
		} `json:"shards"`
	} `json:"indices"`
}

func (h *searchHealth) valid() bool {
	return h.Nodes != nil && (h.Status == "green" || h.Status == "yellow" || h.Status == "red")
}

func probeSearch(ctx context.Context, p *Probe) error {
	var local, whole searchHealth
	a, err := p.getJSON(ctx, "/_cluster/health?local=true", &local)
	if err != nil {
		return err
	}
	if a.status != http.StatusServiceUnavailable {
		if err := a.refused("/_cluster/health"); err != nil {
			return err
		}
		if !local.valid() {
			return fail(Protocol, "the answer is no health of a cluster")
		}
	}
	led, err := p.askMaster(ctx, &whole)
	if err != nil {
		return err
	}
	if !led {
		p.searchWithoutMaster()
		return nil
	}
	p.Up()
	if err := p.tellSearchHealth(ctx, &whole); err != nil {
		return err
	}
	if err := p.tellSearchBlocks(ctx); err != nil {
		return err
	}
	return p.tellSearchNodes(ctx)
}

// askMaster asks for the health as the master has it, and reports whether there is one. The name of the parameter that keeps a node
// from waiting half a minute for a master has changed with OpenSearch 2.
func (p *Probe) askMaster(ctx context.Context, health *searchHealth) (bool, error) {
	wait := 2 * time.Second
	if deadline, ok := ctx.Deadline(); ok {
		wait = min(wait, time.Until(deadline)/3)
	}
	patience := strconv.FormatInt(max(1, wait.Milliseconds()), 10) + "ms"
	for _, parameter := range []string{"master_timeout", "cluster_manager_timeout"} {
		a, err := p.getJSON(ctx, "/_cluster/health?"+parameter+"="+patience, health)
		if err != nil {
			return false, fmt.Errorf("/_cluster/health: %w", err)
		}
		var said struct {
			Error struct{ Type string } `json:"error"`
		}
		_ = json.Unmarshal(a.body, &said) // only errors have it
		switch {
		case said.Error.Type == "master_not_discovered_exception", said.Error.Type == "cluster_manager_not_discovered_exception":
			return false, nil
		case a.status == http.StatusBadRequest:
			continue
		}
		if err := a.refused("/_cluster/health"); err != nil {
			return false, err
		}
		if !health.valid() {
			return false, fail(Protocol, "the answer is no health of a cluster")
		}
		return true, nil
	}
	return false, fail(Protocol, "it takes no timeout for the master")
}

// searchWithoutMaster tells of a node that knows no master: what it says of the cluster is of the past.
func (p *Probe) searchWithoutMaster() {
	p.Up()
	p.Problem(NoLeader, "no master is discovered")
	p.Problem(NoQuorum, "no master is discovered")
	p.Writable(false)
	for _, fact := range elasticsearchKind().Facts {
		if fact != "writable" {
			p.Unknown(fact, TimedOut)
		}
	}
}

func (p *Probe) tellSearchHealth(ctx context.Context, h *searchHealth) error {
	p.membership(*h.Nodes, 0)
	p.Fact("pending_tasks", float64(h.PendingTasks))
	missing := h.Unassigned + h.Initializing
	switch h.Status {
	case "green":
		p.Partitions("offline", 0)
		p.Partitions("under_replicated", missing)
	case "yellow":
		p.Partitions("offline", 0)
		p.Partitions("under_replicated", missing)
		if !p.OptionFlag("tolerate_yellow") {
			p.Problem(Degraded, "yellow: %d shards are not assigned", h.Unassigned)
		}
	case "red":
		p.Problem(Degraded, "red: primary shards are missing")
		var shards searchHealth
		a, err := p.getJSON(ctx, "/_cluster/health?level=shards&filter_path=indices.*.shards.*.primary_active", &shards)
		if err != nil || a.status != http.StatusOK {
			p.Unknown("partitions{offline}", Garbled)
			p.Unknown("partitions{under_replicated}", Garbled)
			return nil
		}
		offline := 0
		for _, index := range shards.Indices {
			for _, shard := range index.Shards {
				if !shard.PrimaryActive {
					offline++
				}
			}
		}
		p.Partitions("offline", offline)
		p.Partitions("under_replicated", max(0, missing-offline))
	}
	return nil
}

// searchBlock is a block of the cluster or of an index.
type searchBlock struct {
	Levels []string `json:"levels"`
}

// The numbers of blocks.
const (
	blockNotRecovered = "1"
	blockNoMaster     = "2"
	blockReadOnly     = "5"
	blockWrite        = "8"
	blockFloodStage   = "12" // index read-only / allow delete
)

func (p *Probe) tellSearchBlocks(ctx context.Context) error {
	var said struct {
		Blocks struct {
			Global  map[string]searchBlock            `json:"global"`
			Indices map[string]map[string]searchBlock `json:"indices"`
		} `json:"blocks"`
	}
	a, err := p.getJSON(ctx, "/_cluster/state/blocks?filter_path=blocks", &said)
	if err != nil {
		return fmt.Errorf("blocks: %w", err)
	}
	if a.status != http.StatusOK {
		for _, fact := range []string{"writable", "alarm{flood_stage}", "fact{read_only_indices}"} {
			p.Unknown(fact, a.whyNot())
		}
		return nil
	}
	readOnly, flooded, writable := 0, false, true
	for number, block := range said.Blocks.Global {
		switch number {
		case blockNotRecovered:
			p.Problem(Loading, "the state of the cluster is not recovered yet")
		case blockNoMaster:
			p.Problem(NoLeader, "the cluster has no master")
		}
		for _, level := range block.Levels {
			writable = writable && level != "write"
		}
	}
	for _, blocks := range said.Blocks.Indices {
		_, flood := blocks[blockFloodStage]
		_, only := blocks[blockReadOnly]
		_, write := blocks[blockWrite]
		if flood || only || write {
			readOnly++
		}
		flooded = flooded || flood
	}
	p.Writable(writable)
	if !writable {
		p.Problem(NotWritable, "a block keeps the cluster from taking writes")
	}
	p.Alarm("flood_stage", flooded)
	p.Fact("read_only_indices", float64(readOnly))
	return nil
}

// tellSearchNodes tells how full the fullest disk and heap are.
func (p *Probe) tellSearchNodes(ctx context.Context) error {
	var said struct {
		Nodes map[string]struct {
			FS struct {
				Total struct {
					Total     float64 `json:"total_in_bytes"`
					Available float64 `json:"available_in_bytes"`
				} `json:"total"`
			} `json:"fs"`
			JVM struct {
				Mem struct {
					HeapUsed *float64 `json:"heap_used_percent"`
				} `json:"mem"`
			} `json:"jvm"`
		} `json:"nodes"`
	}
	a, err := p.getJSON(ctx, "/_nodes/stats/fs,jvm?filter_path=nodes.*.fs.total,nodes.*.jvm.mem.heap_used_percent", &said)
	if err != nil {
		return fmt.Errorf("nodes: %w", err)
	}
	disk, heap := -1.0, -1.0
	for _, n := range said.Nodes {
		if total := n.FS.Total; total.Total > 0 {
			disk = max(disk, 1-total.Available/total.Total)
		}
		if n.JVM.Mem.HeapUsed != nil {
			heap = max(heap, *n.JVM.Mem.HeapUsed/100)
		}
	}
	for resource, share := range map[string]float64{"disk": disk, "heap": heap} {
		switch {
		case share >= 0:
			p.Saturation(resource, share, 1)
		case a.status != http.StatusOK:
			p.Unknown("saturation_ratio{"+resource+"}", a.whyNot())
		default:
			p.Unknown("saturation_ratio{"+resource+"}", Garbled)
		}
	}
	return nil
}
