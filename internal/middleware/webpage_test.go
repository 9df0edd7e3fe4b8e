// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

const licence = `{"status":"UP","licence":{"product":"ERP","daysLeft":42,"validUntil":"2027-01-31","seats":{"total":100,"free":"7"}},
	"nodes":[{"name":"a","state":"ok"},{"name":"b","state":"standby"}],"ended":1000,"ends_ms":4000000000000,"nothing":null}`

func TestWebPage(t *testing.T) {
	address := served(t, pages(map[string]string{
		"/": "welcome to the shop", "/licence": licence, "/broken": "503 overloaded", "/login": "302 see elsewhere", "/private": "401 who are you?",
		"/forbidden": "403 no", "/missing": "404 gone", "/busy": "429 later", "/text": "UP",
	}))
	for _, c := range []struct {
		name, path string
		options    map[string]string
		want       string
		up         bool
	}{
		{"it answers", "/", nil, "", true},
		{"the text is there", "/", map[string]string{"text": "the sh.p"}, "", true},
		{"the text is missing", "/", map[string]string{"text": "maintenance"}, "mismatch", true},
		{"the text must not be there", "/", map[string]string{"not_text": "welcome"}, "mismatch", true},
		{"it cannot serve", "/broken", nil, "unavailable", true},
		{"it cannot serve, as it should", "/broken", map[string]string{"status": "503"}, "", true},
		{"it leads elsewhere", "/login", nil, "mismatch", true},
		{"it leads elsewhere, as it should", "/login", map[string]string{"status": "2xx\n300-399"}, "", true},
		{"no credentials", "/private", nil, "auth", false},
		{"no credentials, as it should", "/private", map[string]string{"status": "401"}, "", true},
		{"not allowed", "/forbidden", nil, "permission", false},
		{"no such page", "/missing", nil, "mismatch", true},
		{"too many requests", "/busy", nil, "saturated", true},
		{"JSON as wanted", "/licence", map[string]string{"json": "status == \"UP\"\nlicence.seats.free >= 1\nnodes[1].state =~ ^(ok|standby)$\nlicence.product"}, "", true},
		{"JSON otherwise", "/licence", map[string]string{"json": "status == UP\nlicence.seats.free > 7"}, "mismatch", true},
		{"no such value", "/licence", map[string]string{"json": "licence.owner != x"}, "mismatch", true},
		{"a value that is null", "/licence", map[string]string{"json": "nothing"}, "mismatch", true},
		{"no JSON", "/text", map[string]string{"json": "status == UP"}, "protocol", true},
		{"no JSON, as it cannot serve", "/broken", map[string]string{"json": "status == UP"}, "unavailable", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			options := map[string]string{"path": c.path}
			for name, value := range c.options {
				options[name] = value
			}
			for _, o := range httpKind().Options {
				for _, value := range strings.Split(options[o.Name], "\n") {
					if o.Check != nil && value != "" && o.Check(value) != nil {
						t.Errorf("option %s: %v", o.Name, o.Check(value))
					}
				}
			}
			v := Run(t.Context(), probing(httpKind(), address, options), nil)
			if problems(v) != c.want || v.Up != c.up {
				t.Errorf("up %t, problems %v, want %t, %q", v.Up, v.Problems, c.up, c.want)
			}
		})
	}
}

// A licence server tells how many days and seats are left.
func TestLicence(t *testing.T) {
	address := served(t, pages(map[string]string{"/": licence}))
	options := map[string]string{
		"facts":   "seats_free=licence.seats.free\nseats=licence.seats.total\nowners=licence.owners",
		"expires": "by_days=days:licence.daysLeft\nby_date=date:licence.validUntil\nby_ms=unix_ms:ends_ms",
	}
	now := time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)
	v := Run(t.Context(), probing(httpKind(), address, options), func() time.Time { return now })
	if !v.Healthy() {
		t.Errorf("up %t, problems %v", v.Up, v.Problems)
	}
	if measured(v.Facts, "seats_free") != 7 || measured(v.Facts, "seats") != 100 || unknownWhy(v, "fact{owners}") != "protocol" {
		t.Errorf("facts %v, unknown %v", v.Facts, v.Unknown)
	}
	for what, at := range map[string]time.Time{
		"by_days": now.AddDate(0, 0, 42), "by_date": time.Date(2027, 2, 1, 0, 0, 0, 0, time.UTC), "by_ms": time.UnixMilli(4000000000000),
	} {
		if measured(v.Expiry, what) != float64(at.Unix()) {
			t.Errorf("%s: %v, want %d", what, v.Expiry, at.Unix())
		}
	}
	for expires, want := range map[string]string{
		"l=unix:ended": "expired", "l=days:licence.none": "mismatch", "l=date:licence.product": "mismatch", "l=date:ended": "mismatch", "l=unix:status": "mismatch",
	} {
		v := Run(t.Context(), probing(httpKind(), address, map[string]string{"expires": expires}), nil)
		if problems(v) != want || (unknownWhy(v, "expiry_timestamp_seconds{l}") == "") != (want == "expired") {
			t.Errorf("%s: problems %v, unknown %v, want %s", expires, v.Problems, v.Unknown, want)
		}
	}
	later := Run(t.Context(), probing(httpKind(), address, options), func() time.Time { return now.AddDate(0, 3, 0) })
	if problems(later) != "expired" {
		t.Errorf("three months later: %v", later.Problems)
	}
}

// What is asked for reaches the server: the name, the method and the body.
func TestWebPageRequest(t *testing.T) {
	var got string
	address := served(t, func(_ http.ResponseWriter, r *http.Request) {
		body := make([]byte, 100)
		n, _ := readFull(r.Body, body)
		got = r.Method + " " + r.Host + r.URL.RequestURI() + " " + string(body[:n])
	})
	v := Run(t.Context(), probing(httpKind(), address, map[string]string{"method": "POST", "host": "shop.example.org", "path": "/a?b=c", "body": "{}"}), nil)
	if want := "POST shop.example.org/a?b=c {}"; !v.Healthy() || got != want {
		t.Errorf("problems %v, asked %q, want %q", v.Problems, got, want)
	}
}

func TestWebPageWithstands(t *testing.T) {
	withstands(t, httpKind(), map[string]string{"json": "status == UP", "facts": "a=a", "expires": "a=days:a"})
}

func TestWrongOptionsOfWebPages(t *testing.T) {
	for name, wrong := range map[string][]string{
		"status": {"20", "6xx", "200-100", "a", "2xx-3xx", ""}, "text": {"("}, "method": {"DELETE", "get"},
		"json": {"a. == 1", "a >= x", "a =~ (", "a ==", "a[ > 1"}, "facts": {"a", "A=b", "a b=c", "a=b[", "=a"},
		"expires": {"a=b", "a=weeks:b", "a=:b", "=days:b", "a=days:b."},
	} {
		for _, o := range httpKind().Options {
			if o.Name != name {
				continue
			}
			for _, value := range wrong {
				if o.Check(value) == nil {
					t.Errorf("option %s takes %q", name, value)
				}
			}
		}
	}
}

func FuzzWebPage(f *testing.F) {
	f.Add(`a.b[0] == "x"`, "n=days:a", licence)
	f.Add(`a["=="] =~ "^a$"`, "n=date:a", `{"==":"a"}`)
	f.Fuzz(func(t *testing.T, wanted, expires, text string) {
		document, err := decodeJSON([]byte(text))
		if err != nil {
			return
		}
		p := &Probe{Recorder: &Recorder{}, Target: probing(httpKind(), "", nil), now: time.Now}
		p.judgePredicate(wanted, document)
		p.tellExpiry(expires, document)
		p.tellFact("a="+wanted, document)
		for _, e := range p.finish().Expiry {
			if e.Value > farFuture+1e9 {
				t.Errorf("expires at %v", e.Value)
			}
		}
	})
}
