// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"strings"
	"testing"
)

// Statistics of HAProxy 2.6.12, some columns left out: shop has lost its servers, none never had any, unchecked is not checked.
const (
	haproxyCSV = "# pxname,svname,qcur,qmax,scur,smax,slim,status,weight,act,bck,type\n" +
		"stats,FRONTEND,,,1,1,100,OPEN,,,,0\nshop,FRONTEND,,,5,5,10,OPEN,,,,0\nshop,s1,0,0,0,0,,DOWN,1,1,0,2\nshop,s2,0,0,0,0,,DOWN 1/2,1,1,0,2\n" +
		"shop,s3,0,0,0,0,,MAINT,1,1,0,2\nshop,BACKEND,4,0,0,0,1,DOWN,0,0,0,1\nnone,BACKEND,0,0,0,0,1,UP,0,0,0,1\n" +
		"unchecked,u1,0,0,0,0,,no check,1,1,0,2\nunchecked,BACKEND,0,0,0,0,1,UP,1,1,0,1\n"
	haproxyMetrics = "# HELP haproxy_x y\nhaproxy_process_max_connections 100\nhaproxy_process_current_connections 25\n" +
		"haproxy_frontend_current_sessions{proxy=\"shop\"} 5\nhaproxy_frontend_limit_sessions{proxy=\"shop\"} 10\n" +
		"haproxy_backend_current_queue{proxy=\"shop\"} 4\nhaproxy_backend_current_queue{proxy=\"none\"} 0\n" +
		"haproxy_backend_status{proxy=\"shop\",state=\"DOWN\"} 1\nhaproxy_backend_status{proxy=\"shop\",state=\"UP\"} 0\n" +
		"haproxy_backend_status{proxy=\"none\",state=\"DOWN\"} 0\nhaproxy_backend_status{proxy=\"none\",state=\"UP\"} 1\nhaproxy_backend_status{proxy=\"unchecked\",state=\"UP\"} 1\n" +
		"haproxy_server_status{proxy=\"shop\",server=\"s1\",state=\"DOWN\"} 1\nhaproxy_server_status{proxy=\"shop\",server=\"s1\",state=\"UP\"} 0\n" +
		"haproxy_server_status{proxy=\"shop\",server=\"s2\",state=\"DOWN\"} 1\nhaproxy_server_status{proxy=\"shop\",server=\"s3\",state=\"MAINT\"} 1\n" +
		"haproxy_server_status{proxy=\"unchecked\",server=\"u1\",state=\"UP\"} 1\n"
	haproxyOldMetrics = "haproxy_process_max_connections 100\nhaproxy_process_current_connections 25\nhaproxy_frontend_current_sessions{proxy=\"shop\"} 5\n" +
		"haproxy_frontend_limit_sessions{proxy=\"shop\"} 10\nhaproxy_backend_status{proxy=\"shop\"} 0\nhaproxy_backend_status{proxy=\"none\"} 1\n" +
		"haproxy_backend_status{proxy=\"unchecked\"} 1\nhaproxy_backend_current_queue{proxy=\"shop\"} 4\nhaproxy_server_status{proxy=\"shop\",server=\"s1\"} 0\n" +
		"haproxy_server_status{proxy=\"shop\",server=\"s2\"} 0\nhaproxy_server_status{proxy=\"shop\",server=\"s3\"} 2\nhaproxy_server_status{proxy=\"unchecked\",server=\"u1\"} 1\n"
)

// The two forms, and the older one of the second, tell the same.
func TestHAProxyFacts(t *testing.T) {
	for name, texts := range map[string]map[string]string{
		"CSV": {"/stats;csv": haproxyCSV}, "metrics": {"/metrics": haproxyMetrics, "/stats;csv": "503 no server"}, "metrics before 2.4": {"/metrics": haproxyOldMetrics},
	} {
		t.Run(name, func(t *testing.T) {
			v := Run(t.Context(), probing(haproxyKind(), served(t, pages(texts)), nil), nil)
			if problems(v) != "unavailable degraded" || !v.Up || !strings.Contains(v.Problems[0].Detail, "shop") {
				t.Errorf("up %t, problems %v", v.Up, v.Problems)
			}
			if measured(v.Members, "healthy") != 1 || measured(v.Members, "down") != 2 || measured(v.Members, "maintenance") != 1 || measured(v.Members, "draining") != 0 ||
				measured(v.Saturation, "sessions") != 0.5 || measured(v.Facts, "backends") != 3 || measured(v.Facts, "backends_without_servers") != 1 ||
				measured(v.Facts, "queued_requests") != 4 {
				t.Errorf("members %v, saturation %v, facts %v", v.Members, v.Saturation, v.Facts)
			}
			wantTold(t, haproxyKind(), v)
		})
	}
}

func TestHAProxy(t *testing.T) {
	whole := strings.NewReplacer("shop,s1,0,0,0,0,,DOWN", "shop,s1,0,0,0,0,,UP", "shop,s2,0,0,0,0,,DOWN 1/2", "shop,s2,0,0,0,0,,UP 1/3",
		"shop,BACKEND,4,0,0,0,1,DOWN", "shop,BACKEND,0,0,0,0,1,UP").Replace(haproxyCSV)
	for _, c := range []struct {
		name, want string
		pages      map[string]string
		options    map[string]string
		up         bool
	}{
		{"all servers are there", "", map[string]string{"/stats;csv": whole}, nil, true},
		{"one server is down", "degraded", map[string]string{"/stats;csv": strings.Replace(whole, "UP 1/3", "DOWN (agent)", 1)}, nil, true},
		{"the broken backend does not count", "", map[string]string{"/stats;csv": haproxyCSV}, map[string]string{"ignore": "sh*"}, true},
		{"a frontend is full", "saturated", map[string]string{"/stats;csv": strings.Replace(whole, "5,5,10,OPEN", "10,10,10,FULL", 1)}, nil, true},
		{"the page elsewhere", "", map[string]string{"/lb?stats;csv": whole}, map[string]string{"path": "/lb?stats;csv"}, true},
		{"the page for people", "protocol", map[string]string{"/stats": "<html>Statistics Report for HAProxy</html>"}, map[string]string{"path": "/stats"}, false},
		{"no page", "mismatch", nil, nil, false},
		{"it wants credentials", "auth", map[string]string{"/stats;csv": "401 who?"}, nil, false},
		{"metrics of something else", "protocol", map[string]string{"/metrics": "go_goroutines 5\n"}, nil, false},
		{"a head alone", "protocol", map[string]string{"/stats;csv": "# pxname,svname,status\n"}, nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := Run(t.Context(), probing(haproxyKind(), served(t, pages(c.pages)), c.options), nil)
			if problems(v) != c.want || v.Up != c.up {
				t.Errorf("up %t, problems %v, want %q", v.Up, v.Problems, c.want)
			}
		})
	}
}

func TestHAProxyWithstands(t *testing.T) { withstands(t, haproxyKind(), nil) }

func FuzzHAProxy(f *testing.F) {
	f.Add([]byte(haproxyCSV))
	f.Add([]byte(haproxyMetrics))
	f.Add([]byte("# pxname,svname,status\n\"a,b\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		h := haproxy{servers: map[string]int{}}
		_ = h.readCSV(text)
		h.readMetrics(text)
		p := &Probe{Recorder: &Recorder{}, Target: probing(haproxyKind(), "", nil)}
		p.tellHAProxy(&h)
		for _, m := range p.finish().Saturation {
			if m.Value < 0 || m.Value > 1 {
				t.Errorf("saturation %v", m)
			}
		}
	})
}
