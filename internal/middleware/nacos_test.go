// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"
)

// nacosMemberText is one member, with the Raft groups that it knows when it is the one that is asked.
func nacosMemberText(last int, memberState, groups string) string {
	raft := ""
	if groups != "" {
		raft = `,"raftMetaData":{"metaDataMap":{` + groups + `}}`
	}
	return fmt.Sprintf(`{"ip":"10.0.0.%d","port":8848,"state":"%s","extendInfo":{"lastRefreshTime":1700000000000,"raftPort":"7848"%s,"readyToUpgrade":true,"version":"2.5.1"},
		"address":"10.0.0.%d:8848","failAccessCnt":0,"abilities":{"remoteAbility":{"supportRemoteConnection":true}},"grpcReportEnabled":true}`, last, memberState, raft, last)
}

const (
	nacosGroupLed  = `"naming_persistent_service_v2":{"leader":"10.0.0.1:7848","raftGroupMember":["10.0.0.1:7848","10.0.0.2:7848","10.0.0.3:7848"],"term":3}`
	nacosGroupLone = `"nacos_config":{"raftGroupMember":["10.0.0.1:7848"],"term":4,"errMsg":"no leader"}`
)

// nacosMembersText is the list of members in states.
func nacosMembersText(states ...string) string {
	var texts []string
	for i, s := range states {
		texts = append(texts, nacosMemberText(i+1, s, ""))
	}
	return "[" + strings.Join(texts, ",") + "]"
}

// nacosPages are what a server of a version answers; code is that of a good answer. An empty page is none.
func nacosPages(version string, members, self string, change map[string]string) map[string]string {
	result := func(code, data string) string {
		return fmt.Sprintf(`{"code":%s,"message":"success","data":%s}`, code, data)
	}
	condition := fmt.Sprintf(`{"version":"%s","standalone_mode":"cluster","function_mode":null,"startup_mode":"cluster"}`, version)
	all := map[string]string{}
	switch version[0] {
	case '1':
		all = map[string]string{"/v1/console/server/state": condition, "/v1/console/health/readiness": "OK",
			"/v1/core/cluster/nodes": result("200", members), "/v1/core/cluster/self": result("200", self)}
	case '2':
		all = map[string]string{"/v1/console/server/state": condition, "/v1/console/health/readiness": "OK",
			"/v2/core/cluster/node/list": result("0", members), "/v2/core/cluster/node/self": result("0", self)}
	case '3':
		all = map[string]string{"/v3/admin/core/state": result("0", condition), "/v3/admin/core/state/readiness": result("0", `"ok"`),
			"/v3/admin/core/cluster/node/list": result("0", members), "/v3/admin/core/cluster/node/self": result("0", self),
			"/v1/console/server/state": `410 {"code":30003,"message":"API deprecated"}`}
	}
	maps.Copy(all, change)
	prefixed := map[string]string{}
	for path, text := range all {
		if text != "" {
			prefixed["/nacos"+path] = text
		}
	}
	return prefixed
}

func TestNacos(t *testing.T) {
	three, self := nacosMembersText("UP", "UP", "UP"), nacosMemberText(2, "UP", nacosGroupLed)
	for _, c := range []struct {
		name, version, members, self, want string
		change                             map[string]string
		ready, leaderless                  float64
	}{
		{"version 1", "1.4.6", three, self, "", nil, 1, 0},
		{"version 2", "2.5.1", three, self, "", nil, 1, 0},
		{"version 3", "3.1.0", three, self, "", nil, 1, 0},
		{"version 2 not ready", "2.5.1", three, self, "unavailable", map[string]string{"/v1/console/health/readiness": "500 config not in readiness"}, 0, 0},
		{"version 3 not ready: HTTP 200", "3.1.0", three, self, "unavailable", map[string]string{"/v3/admin/core/state/readiness": `{"code":30000,"message":"naming not in readiness","data":null}`}, 0, 0},
		{"version 3 not ready, as its console says it", "3.1.0", three, self, "unavailable", map[string]string{"/v3/admin/core/state/readiness": `500 {"code":30000,"message":"naming not in readiness","data":null}`}, 0, 0},
		{"a member is suspicious", "2.5.1", nacosMembersText("UP", "UP", "SUSPICIOUS"), self, "members_missing", nil, 1, 0},
		{"the leader is down, and still said to lead", "2.5.1", nacosMembersText("DOWN", "UP", "UP"), self, "members_missing no_leader", nil, 1, 1},
		{"two of three are down: it is ready all the same", "2.5.1", nacosMembersText("DOWN", "UP", "DOWN"), self, "members_missing no_quorum no_leader", nil, 1, 1},
		{"a group without a leader", "3.1.0", three, nacosMemberText(2, "UP", nacosGroupLed+","+nacosGroupLone), "no_leader", nil, 1, 1},
		{"no groups", "2.5.1", three, nacosMemberText(2, "UP", ""), "", nil, 1, -1},
		{"a leader by another name", "2.5.1", three, nacosMemberText(2, "UP", strings.Replace(nacosGroupLed, "10.0.0.1:7848\",\"raft", "nacos-0.nacos:7848\",\"raft", 1)), "", nil, 1, 0},
		{"it is starting", "2.5.1", nacosMembersText("STARTING"), nacosMemberText(1, "STARTING", ""), "members_missing loading", nil, 1, -1},
		{"it is isolated", "2.5.1", three, nacosMemberText(2, "ISOLATION", nacosGroupLed), "degraded", nil, 1, 0},
		{"alone", "2.5.1", nacosMembersText("UP"), nacosMemberText(1, "UP", nacosGroupLed), "", nil, 1, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := Run(t.Context(), probing(nacosKind(), served(t, pages(nacosPages(c.version, c.members, c.self, c.change))), nil), nil)
			if !v.Up || problems(v) != c.want || measured(v.Facts, "ready") != c.ready || measured(v.Facts, "raft_groups_without_leader") != c.leaderless {
				t.Errorf("up %t, facts %v, problems %v, want %q", v.Up, v.Facts, v.Problems, c.want)
			}
			wantTold(t, nacosKind(), v)
		})
	}
}

func TestNacosRefusals(t *testing.T) {
	three, self := nacosMembersText("UP", "UP", "UP"), nacosMemberText(2, "UP", nacosGroupLed)
	for _, c := range []struct {
		name, version string
		change        map[string]string
		want          Reason
	}{
		{"it is starting", "2.5.1", map[string]string{"/v1/console/server/state": "503 server is STARTINGnow, please try again later!"}, Loading},
		{"it fails", "3.1.0", map[string]string{"/v3/admin/core/state": "500 oops"}, Unavailable},
		{"another program", "2.5.1", map[string]string{"/v1/console/server/state": `{"status":"UP"}`}, Protocol},
		{"another program, politely", "3.1.0", map[string]string{"/v3/admin/core/state": `{"code":0,"data":null}`}, Protocol},
		{"nothing there", "2.5.1", map[string]string{"/v1/console/server/state": ""}, Protocol},
		{"readiness is a page", "2.5.1", map[string]string{"/v1/console/health/readiness": "<html>Welcome</html>"}, Protocol},
		{"readiness is not there", "2.5.1", map[string]string{"/v1/console/health/readiness": ""}, Protocol},
	} {
		t.Run(c.name, func(t *testing.T) {
			wantProblem(t, Run(t.Context(), probing(nacosKind(), served(t, pages(nacosPages(c.version, three, self, c.change))), nil), nil), c.want)
		})
	}
	v := Run(t.Context(), probing(nacosKind(), served(t, pages(nacosPages("3.1.0", three, self, map[string]string{"/v3/admin/core/cluster/node/list": "403 no"}))), nil), nil)
	wantUp(t, v)
	wantUnknown(t, v, "members{healthy}", NoPermission)
	v = Run(t.Context(), probing(nacosKind(), served(t, pages(nacosPages("2.5.1", "[]", self, nil))), nil), nil)
	wantUp(t, v)
	wantUnknown(t, v, "members{healthy}", Garbled)
	v = Run(t.Context(), probing(nacosKind(), served(t, pages(nacosPages("2.5.1", `"x"`, self, nil))), nil), nil)
	wantUp(t, v, Protocol)
	v = Run(t.Context(), probing(nacosKind(), served(t, pages(nacosPages("2.0.3", three, self, map[string]string{"/v2/core/cluster/node/list": "", "/v2/core/cluster/node/self": "",
		"/v1/core/cluster/nodes": `{"code":200,"data":` + three + `}`, "/v1/core/cluster/self": "403 no"}))), nil), nil)
	wantUp(t, v)
	wantValue(t, v.Members, "healthy", 3)
	wantUnknown(t, v, "fact{raft_groups}", NoPermission)
}

// nacosLogin is a server that tells its members to who has logged in; it notes what came with which authorisation.
func nacosLogin(t *testing.T, version, path string, sent map[string]string) string {
	all := nacosPages(version, nacosMembersText("UP", "UP", "UP"), nacosMemberText(2, "UP", nacosGroupLed), nil)
	return served(t, func(w http.ResponseWriter, r *http.Request) {
		sent[r.URL.Path] = r.Header.Get("Authorization") + r.URL.RawQuery
		switch {
		case r.URL.Path == path && r.Method == http.MethodPost:
			body, _ := io.ReadAll(r.Body)
			if r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" || string(body) != "password=secret%26pass&username=u" {
				w.WriteHeader(http.StatusForbidden)
				_, _ = w.Write([]byte("unknown user! " + string(body)))
				return
			}
			_, _ = w.Write([]byte(`{"accessToken":"eyJ.token.x","tokenTtl":18000,"globalAdmin":true,"username":"u"}`))
		case strings.Contains(r.URL.Path, "/cluster/") && r.Header.Get("Authorization") != "Bearer eyJ.token.x":
			w.WriteHeader(http.StatusForbidden)
		default:
			pages(all)(w, r)
		}
	})
}

func TestNacosLogin(t *testing.T) {
	for version, path := range map[string]string{"1.4.6": "/nacos/v1/auth/login", "2.5.1": "/nacos/v1/auth/login", "3.1.0": "/nacos/v3/auth/user/login"} {
		t.Run(version, func(t *testing.T) {
			sent := map[string]string{}
			target := probing(nacosKind(), nacosLogin(t, version, path, sent), nil)
			target.Credential = &Credential{Username: "u", Password: NewSecret("secret&pass"), Targets: []string{"127.0.0.1"}}
			wantUp(t, Run(t.Context(), target, nil))
			for asked, with := range sent {
				if with != "" && (!strings.Contains(asked, "/cluster/") || with != "Bearer eyJ.token.x") {
					t.Errorf("%s got %q", asked, with)
				}
			}
			target.Credential.Password = NewSecret("mistaken&pass")
			v := Run(t.Context(), target, nil)
			wantProblem(t, v, Auth)
			if text := fmt.Sprint(v); strings.Contains(text, "mistaken") {
				t.Errorf("the password is shown: %s", text)
			}
			target.Credential = &Credential{Token: NewSecret("eyJ.token.x"), Targets: []string{"127.0.0.1"}}
			wantUp(t, Run(t.Context(), target, nil))
			target.Credential.Token = NewSecret("eyJ.another.x")
			wantUp(t, Run(t.Context(), target, nil), Permission)
			target.Credential.Targets = []string{"nacos.example.com"}
			clear(sent)
			wantProblem(t, Run(t.Context(), target, nil), Forbidden)
			if len(sent) > 0 {
				t.Errorf("asked %v although the credential is not meant for it", sent)
			}
		})
	}
	sent := map[string]string{} // without a way to log in nothing is sent, and the members are not told
	target := probing(nacosKind(), nacosLogin(t, "2.5.1", "/elsewhere", sent), nil)
	target.Credential = &Credential{Username: "u", Password: NewSecret("p"), Targets: []string{"*"}}
	wantUnknown(t, Run(t.Context(), target, nil), "members{healthy}", NoPermission)
}

func TestNacosPath(t *testing.T) {
	all := map[string]string{}
	for path, text := range nacosPages("2.5.1", nacosMembersText("UP"), nacosMemberText(1, "UP", ""), nil) {
		all[strings.TrimPrefix(path, "/nacos")] = text
	}
	address := served(t, pages(all))
	wantUp(t, Run(t.Context(), probing(nacosKind(), address, map[string]string{"context_path": "/"}), nil))
	wantProblem(t, Run(t.Context(), probing(nacosKind(), address, nil), nil), Protocol)
	for _, wrong := range []string{"nacos", "", "/a?b=c", "/a b"} {
		if checkContextPath(wrong) == nil {
			t.Errorf("%q is taken for a path", wrong)
		}
	}
}

func TestNacosWithstands(t *testing.T) { withstands(t, nacosKind(), nil) }

func FuzzNacos(f *testing.F) {
	f.Add(nacosMembersText("UP", "DOWN", "STARTING"), nacosMemberText(1, "UP", nacosGroupLed+","+nacosGroupLone))
	f.Fuzz(func(t *testing.T, list, self string) {
		var members []nacosMember
		var itself nacosMember
		if json.Unmarshal([]byte(list), &members) != nil || json.Unmarshal([]byte(self), &itself) != nil {
			return
		}
		n := nacosProbe{Probe: &Probe{Recorder: &Recorder{}, Target: probing(nacosKind(), "", nil)}}
		n.tellItself(itself)
		n.tellRaft(itself.Extended.Raft.Groups, members)
		if v := n.finish(); measured(v.Facts, "raft_groups_without_leader") > measured(v.Facts, "raft_groups") {
			t.Errorf("facts %v", v.Facts)
		}
	})
}
