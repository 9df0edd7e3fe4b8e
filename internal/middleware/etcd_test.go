// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"

	"stability-exporter/internal/state"
)

// Answers of etcd 3.4.23, a member of three that leads.
const (
	etcdStatusPage  = `{"header":{"cluster_id":"1","member_id":"33","revision":"1","raft_term":"2"},"version":"3.4.23","dbSize":"30000","leader":"33","raftIndex":"9"}`
	etcdMembersPage = `{"header":{"cluster_id":"1","member_id":"33"},"members":[{"ID":"33","name":"a"},{"ID":"170","name":"b"},{"ID":"229","name":"c"}]}`
	etcdMetricsPage = "# TYPE x gauge\netcd_mvcc_db_total_size_in_bytes 30000\netcd_network_active_peers{Local=\"2f\",Remote=\"aa\"} 1\n" +
		"etcd_network_active_peers{Local=\"2f\",Remote=\"e5\"} 1\netcd_server_has_leader 1\netcd_server_is_leader 1\netcd_server_quota_backend_bytes 3e+06\n" +
		"etcd_server_leader_changes_seen_total 1\netcd_server_proposals_pending 0\netcd_server_proposals_failed_total 0\n"
)

func etcdPages(change map[string]string) map[string]string {
	all := map[string]string{
		"/health": `{"health":"true"}`, "/metrics": etcdMetricsPage, "/v3/maintenance/status": etcdStatusPage, "/v3/cluster/member/list": etcdMembersPage,
		"/v3/auth/authenticate": `412 {"error":"etcdserver: authentication is not enabled","code":9}`,
	}
	maps.Copy(all, change)
	for path, text := range all {
		if text == "" {
			delete(all, path)
		}
	}
	return all
}

func noPeers(text string) string {
	return strings.NewReplacer("\"aa\"} 1", "\"aa\"} 0", "\"e5\"} 1", "\"e5\"} 0").Replace(text)
}

func TestEtcd(t *testing.T) {
	const noSpace = `"errors":["memberID:33 alarm:NOSPACE "],"raftIndex"`
	down := map[string]string{"/health": `503 {"health":"false"}`}
	with := func(pages ...map[string]string) map[string]string {
		all := map[string]string{}
		for _, p := range pages {
			maps.Copy(all, p)
		}
		return all
	}
	metricsOnly := map[string]string{"/v3/maintenance/status": "", "/v3/cluster/member/list": "", "/v3/auth/authenticate": ""}
	for _, c := range []struct {
		name, want, role string
		pages            map[string]string
		writable         state.Tristate
	}{
		{"it leads", "", "leader", nil, state.True},
		{"it follows", "", "follower", map[string]string{"/v3/maintenance/status": strings.Replace(etcdStatusPage, `"leader":"33"`, `"leader":"12"`, 1)}, state.True},
		{"a member is missing", "members_missing", "leader", map[string]string{"/metrics": strings.Replace(etcdMetricsPage, "\"aa\"} 1", "\"aa\"} 0", 1)}, state.True},
		{"the quorum is lost this very moment: has_leader is still 1, and the status tells of a leader", "no_quorum members_missing", "leader",
			with(down, map[string]string{"/metrics": noPeers(etcdMetricsPage)}), state.False},
		{"the quorum is lost", "no_leader no_quorum members_missing", "unknown",
			with(down, map[string]string{"/metrics": noPeers(etcdMetricsPage), "/v3/maintenance/status": strings.Replace(etcdStatusPage, `"leader":"33"`, `"errors":["etcdserver: no leader"]`, 1)}), state.False},
		{"the quorum is lost, and /health says so", "no_leader no_quorum", "unknown", with(metricsOnly, map[string]string{"/metrics": "",
			"/health": `503 {"health":"false","reason":"RAFT NO LEADER"}`}), state.False},
		{"no space", "alarm not_writable", "leader", with(down, map[string]string{"/health?exclude=NOSPACE&exclude=CORRUPT": `{"health":"true"}`,
			"/v3/maintenance/status": strings.Replace(etcdStatusPage, `"raftIndex"`, noSpace, 1)}), state.False},
		{"no space, on a port with metrics alone", "alarm not_writable", "leader", with(down, metricsOnly,
			map[string]string{"/health?exclude=NOSPACE": `{"health":"true"}`, "/health?exclude=NOSPACE&exclude=CORRUPT": `{"health":"true"}`}), state.False},
		{"no space, and no quorum", "alarm no_quorum not_writable members_missing", "leader", with(down, map[string]string{"/metrics": noPeers(etcdMetricsPage),
			"/v3/maintenance/status": strings.Replace(etcdStatusPage, `"raftIndex"`, noSpace, 1)}), state.False},
		{"reads fail although a majority is connected", "unavailable", "leader", down, state.False},
		{"not ready", "unavailable", "leader", map[string]string{"/readyz": "503 [-]linearizable_read failed"}, state.True},
		{"ready", "", "leader", map[string]string{"/readyz": "ok"}, state.True},
		{"a port with metrics alone", "", "leader", metricsOnly, state.True},
		{"no metrics", "", "leader", map[string]string{"/metrics": ""}, state.True},
		{"a learner", "", "observer", map[string]string{"/v3/maintenance/status": strings.Replace(etcdStatusPage, `"leader":"33"`, `"leader":"12","isLearner":true`, 1),
			"/v3/cluster/member/list": `503 {"error":"etcdserver: rpc not supported for learner","code":14}`}, state.True},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := Run(t.Context(), probing(etcdKind(), served(t, pages(etcdPages(c.pages))), nil), nil)
			if problems(v) != c.want || !v.Up || v.Role != c.role || v.Writable != c.writable {
				t.Errorf("up %t, role %s, writable %d, problems %v, want %q", v.Up, v.Role, v.Writable, v.Problems, c.want)
			}
			wantTold(t, etcdKind(), v)
		})
	}
}

// A learner has no vote: it is neither missing nor there.
func TestEtcdDoesNotCountLearners(t *testing.T) {
	members := strings.Replace(etcdMembersPage, `]}`, `,{"ID":"171","name":"d","isLearner":true}]}`, 1)
	for _, c := range []struct {
		name, want string
		pages      map[string]string
		healthy    float64
	}{
		{"it is connected", "", map[string]string{"/metrics": etcdMetricsPage + "etcd_network_active_peers{Local=\"2f\",Remote=\"ab\"} 1\n"}, 3},
		{"it is not", "", nil, 3},
		{"it is, and a voter is missing", "members_missing", map[string]string{
			"/metrics": strings.Replace(etcdMetricsPage, "\"aa\"} 1", "\"aa\"} 0", 1) + "etcd_network_active_peers{Local=\"2f\",Remote=\"ab\"} 1\n"}, 2},
		{"it was removed, and is still taken for connected, and a voter is missing", "members_missing", map[string]string{"/v3/cluster/member/list": etcdMembersPage,
			"/metrics": strings.Replace(etcdMetricsPage, "\"aa\"} 1", "\"aa\"} 0", 1) + "etcd_network_active_peers{Local=\"2f\",Remote=\"ab\"} 1\n"}, 2},
		{"no voter but this one is there", "no_quorum members_missing", map[string]string{"/health": `503 {"health":"false"}`,
			"/metrics": noPeers(etcdMetricsPage) + "etcd_network_active_peers{Local=\"2f\",Remote=\"ab\"} 1\n"}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			all := map[string]string{"/v3/cluster/member/list": members}
			maps.Copy(all, c.pages)
			v := Run(t.Context(), probing(etcdKind(), served(t, pages(etcdPages(all))), nil), nil)
			if problems(v) != c.want || measured(v.Members, "healthy") != c.healthy || v.MembersExpected.Value != 3 {
				t.Errorf("problems %v, want %q; members %v of %v", v.Problems, c.want, v.Members, v.MembersExpected)
			}
		})
	}
}

func TestEtcdFacts(t *testing.T) {
	v := Run(t.Context(), probing(etcdKind(), served(t, pages(etcdPages(nil))), nil), nil)
	if measured(v.Saturation, "db_quota") != 0.01 || measured(v.Members, "healthy") != 3 || v.MembersExpected.Value != 3 || measured(v.Facts, "leader_changes") != 1 {
		t.Errorf("%+v", v)
	}
}

// The password goes to the login alone, what it yields to the gateway.
func TestEtcdLogin(t *testing.T) {
	sent := map[string]string{}
	address := served(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		sent[r.URL.Path] = r.Header.Get("Authorization")
		if r.URL.Path != "/v3/auth/authenticate" {
			pages(etcdPages(nil))(w, r)
			return
		}
		if string(body) != `{"name":"u","password":"secret"}` {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"error":"etcdserver: authentication failed, invalid user ID or password","code":3}`))
			return
		}
		_, _ = w.Write([]byte(`{"header":{},"token":"Tz.73"}`))
	})
	target := probing(etcdKind(), address, nil)
	target.Credential = &Credential{Username: "u", Password: NewSecret("secret"), Targets: []string{"*"}}
	if v := Run(t.Context(), target, nil); !v.Healthy() || sent["/v3/maintenance/status"] != "Tz.73" || sent["/health"]+sent["/metrics"]+sent["/v3/auth/authenticate"] != "" {
		t.Errorf("problems %v, sent %v", v.Problems, sent)
	}
	target.Credential.Password = NewSecret("wrong")
	wantProblem(t, Run(t.Context(), target, nil), Auth)
	// A cluster without authentication needs none.
	target.Address = served(t, pages(etcdPages(nil)))
	if v := Run(t.Context(), target, nil); !v.Healthy() {
		t.Errorf("without authentication: %v", v.Problems)
	}
}

func TestEtcdWithstands(t *testing.T) { withstands(t, etcdKind(), nil) }
