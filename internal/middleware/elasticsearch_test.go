// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"maps"
	"net/http"
	"strings"
	"testing"

	"stability-exporter/internal/state"
)

const (
	searchGreen  = `{"cluster_name":"c","status":"green","timed_out":false,"number_of_nodes":3,"number_of_data_nodes":3,"unassigned_shards":0,"initializing_shards":0,"number_of_pending_tasks":1}`
	searchNoMain = `503 {"error":{"root_cause":[{"type":"master_not_discovered_exception","reason":null}],"type":"master_not_discovered_exception","reason":null},"status":503}`
	searchStats  = `{"nodes":{"a":{"fs":{"total":{"total_in_bytes":100,"available_in_bytes":50}},"jvm":{"mem":{"heap_used_percent":60}}},
		"b":{"fs":{"total":{"total_in_bytes":100,"available_in_bytes":25}},"jvm":{"mem":{"heap_used_percent":20}}}}}`
	searchFlood = `{"blocks":{"indices":{"i":{"12":{"description":"index read-only / allow delete (api)","retryable":false,"levels":["metadata_write","write"]}}}}}`
)

// searchServer answers the health as the node sees it and as the master does, and the other paths.
func searchServer(t *testing.T, local, whole string, change map[string]string) string {
	all := map[string]string{"/_cluster/state/blocks": "{}", "/_nodes/stats/fs,jvm": searchStats, "local": local, "whole": whole}
	maps.Copy(all, change)
	return served(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/_cluster/health" {
			query := r.URL.Query()
			switch {
			case query.Get("local") == "true":
				r.URL.Path = "local"
			case query.Get("level") == "shards":
				r.URL.Path = "shards"
			case query.Has("master_timeout") && all["whole of OpenSearch"] != "":
				r.URL.Path = "refused"
			case all["whole of OpenSearch"] != "":
				r.URL.Path = "whole of OpenSearch"
			default:
				r.URL.Path = "whole"
			}
			r.URL.RawQuery = ""
		}
		pages(all)(w, r)
	})
}

func TestSearch(t *testing.T) {
	colour := func(colour string) string { return strings.Replace(searchGreen, "green", colour, 1) }
	yellow := strings.Replace(colour("yellow"), `"unassigned_shards":0`, `"unassigned_shards":2`, 1)
	for _, c := range []struct {
		name, local, whole, want string
		change, options          map[string]string
		writable                 state.Tristate
		down                     bool
	}{
		{"it is well", searchGreen, searchGreen, "", nil, nil, state.True, false},
		{"the node sees green, the master red", searchGreen, colour("red"), "degraded", map[string]string{"shards": `{"indices":{"i":{"shards":{"0":{"primary_active":false},"1":{"primary_active":true}}}}}`}, nil, state.True, false},
		{"replicas are missing", yellow, yellow, "degraded", nil, nil, state.True, false},
		{"replicas are missing, as they should", yellow, yellow, "", nil, map[string]string{"tolerate_yellow": "true"}, state.True, false},
		{"no master: the node still sees green", searchGreen, searchNoMain, "no_leader no_quorum", nil, nil, state.False, false},
		{"another name of the parameter", searchGreen, "", "", map[string]string{"whole of OpenSearch": searchGreen, "refused": `400 {"error":{"type":"illegal_argument_exception"}}`}, nil, state.True, false},
		{"a disk is full", searchGreen, searchGreen, "alarm", map[string]string{"/_cluster/state/blocks": searchFlood}, nil, state.True, false},
		{"read-only", searchGreen, searchGreen, "not_writable", map[string]string{"/_cluster/state/blocks": `{"blocks":{"global":{"6":{"levels":["write","metadata_write"]}}}}`}, nil, state.False, false},
		{"blocks are not told", searchGreen, searchGreen, "", map[string]string{"/_cluster/state/blocks": "403 no"}, nil, state.Absent, false},
		{"stats are not told", searchGreen, searchGreen, "", map[string]string{"/_nodes/stats/fs,jvm": "403 no"}, nil, state.True, false},
		{"wrong credentials", "401 no", "401 no", "auth", nil, nil, state.Absent, true},
		{"missing privilege", "403 no", "403 no", "permission", nil, nil, state.Absent, true},
		{"another program", `{"status":"UP"}`, `{"status":"UP"}`, "protocol", nil, nil, state.Absent, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := Run(t.Context(), probing(elasticsearchKind(), searchServer(t, c.local, c.whole, c.change), c.options), nil)
			if problems(v) != c.want || v.Up == c.down || v.Writable != c.writable {
				t.Errorf("up %t, writable %d, problems %v, want %q", v.Up, v.Writable, v.Problems, c.want)
			}
			if !c.down {
				wantTold(t, elasticsearchKind(), v)
			}
			if c.name == "it is well" && (measured(v.Saturation, "disk") != 0.75 || measured(v.Saturation, "heap") != 0.6 || measured(v.Members, "healthy") != 3) {
				t.Errorf("%+v", v)
			}
			if c.change["shards"] != "" && measured(v.Partitions, "offline") != 1 {
				t.Errorf("partitions %v", v.Partitions)
			}
		})
	}
}

// How many nodes there should be only the configuration knows.
func TestSearchMembers(t *testing.T) {
	target := probing(opensearchKind(), searchServer(t, searchGreen, searchGreen, nil), nil)
	target.Limits.ExpectedMembers = 4
	if v := Run(t.Context(), target, nil); problems(v) != "members_missing" {
		t.Errorf("problems %v", v.Problems)
	}
}

func TestSearchWithstands(t *testing.T) { withstands(t, elasticsearchKind(), nil) }
