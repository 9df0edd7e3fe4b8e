// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"net/http"
	"testing"
)

const stubStatusPage = "Active connections: 291 \nserver accepts handled requests\n 16630948 16630940 31070465 \nReading: 6 Writing: 179 Waiting: 106 \n"

func TestNginx(t *testing.T) {
	for _, c := range []struct {
		name    string
		pages   map[string]string
		options map[string]string
		want    string
		up      bool
		unknown string // why the facts of stub_status are unknown
	}{
		{"it is well", map[string]string{"/stub_status": stubStatusPage}, nil, "", true, ""},
		{"it is well, and so is the page", map[string]string{"/stub_status": stubStatusPage, "/shop": "buy"},
			map[string]string{"page": "/shop", "page_text": "buy"}, "", true, ""},
		{"stub_status is fine, what nginx passes requests to is dead", map[string]string{"/stub_status": stubStatusPage, "/shop": "502 Bad Gateway"},
			map[string]string{"page": "/shop"}, "unavailable", true, ""},
		{"the page is another one", map[string]string{"/stub_status": stubStatusPage, "/shop": "maintenance"},
			map[string]string{"page": "/shop", "page_text": "buy"}, "mismatch", true, ""},
		{"no stub_status", nil, nil, "mismatch", false, "none"},
		{"stub_status for others only", map[string]string{"/stub_status": "403 no"}, nil, "permission", false, "none"},
		{"no stub_status, and a page", map[string]string{"/shop": "buy"}, map[string]string{"page": "/shop"}, "", true, "unsupported"},
		{"stub_status for others only, and a page", map[string]string{"/stub_status": "403 no", "/shop": "buy"}, map[string]string{"page": "/shop"}, "", true, "permission"},
		{"a page alone", map[string]string{"/shop": "buy"}, map[string]string{"page": "/shop", "status_path": ""}, "", true, "not_configured"},
		{"nothing to ask for", nil, map[string]string{"status_path": ""}, "mismatch", false, "none"},
		{"another program", map[string]string{"/stub_status": "<html>Welcome</html>"}, nil, "protocol", false, "none"},
		{"a program that has a page for every path", map[string]string{"/stub_status": "<html>Shop</html>", "/shop": "buy"}, map[string]string{"page": "/shop"}, "", true,
			"protocol"},
		{"stub_status elsewhere", map[string]string{"/status": stubStatusPage}, map[string]string{"status_path": "/status"}, "", true, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := Run(t.Context(), probing(nginxKind(), served(t, pages(c.pages)), c.options), nil)
			if problems(v) != c.want || v.Up != c.up {
				t.Errorf("up %t, problems %v, want %q", v.Up, v.Problems, c.want)
			}
			if c.unknown == "none" {
				return
			}
			wantTold(t, nginxKind(), v, tlsFacts()...)
			if got := unknownWhy(v, "fact{active_connections}"); got != c.unknown {
				t.Errorf("unknown %q, want %q", got, c.unknown)
			}
		})
	}
}

func TestNginxFacts(t *testing.T) {
	address := served(t, pages(map[string]string{"/stub_status": stubStatusPage}))
	v := Run(t.Context(), probing(nginxKind(), address, map[string]string{"worker_processes": "4", "worker_connections": "97"}), nil)
	if measured(v.Saturation, "connections") != 0.75 || measured(v.Facts, "dropped_connections") != 8 || measured(v.Facts, "waiting_connections") != 106 ||
		measured(v.Facts, "requests") != 31070465 {
		t.Errorf("saturation %v, facts %v", v.Saturation, v.Facts)
	}
	if v = Run(t.Context(), probing(nginxKind(), address, nil), nil); unknownWhy(v, "saturation_ratio{connections}") != "not_configured" {
		t.Errorf("unknown %v", v.Unknown)
	}
}

// The page of another address gets no credential.
func TestNginxPageElsewhere(t *testing.T) {
	sent := "nothing"
	page := served(t, func(_ http.ResponseWriter, r *http.Request) { sent = r.Header.Get("Authorization") })
	target := probing(nginxKind(), served(t, pages(map[string]string{"/stub_status": stubStatusPage})), map[string]string{"page": page + "/shop"})
	target.Credential = &Credential{Username: "u", Password: NewSecret("secret"), Targets: []string{"*"}}
	if v := Run(t.Context(), target, nil); !v.Healthy() || sent != "" {
		t.Errorf("problems %v, sent %q", v.Problems, sent)
	}
}

func TestNginxWithstands(t *testing.T) {
	withstands(t, nginxKind(), map[string]string{"page": "/", "page_text": "buy"})
}

func FuzzStubStatus(f *testing.F) {
	f.Add([]byte(stubStatusPage))
	f.Add([]byte("Active connections: 1 \nserver accepts handled requests request_time\n 1 1 1 3\nReading: 0 Writing: 1 Waiting: 0 \n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if s, ok := parseStubStatus(text); ok && (!finite(s.accepts) || s.active < 0) {
			t.Errorf("%+v", s)
		}
	})
}

func TestTengine(t *testing.T) {
	s, ok := parseStubStatus([]byte("Active connections: 1 \nserver accepts handled requests request_time\n 28 28 58 4\nReading: 0 Writing: 1 Waiting: 0 \n"))
	if !ok || s.requests != 58 || s.writing != 1 {
		t.Errorf("%+v, %t", s, ok)
	}
}
