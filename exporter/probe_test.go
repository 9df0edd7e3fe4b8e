// SPDX-License-Identifier: Apache-2.0

package exporter

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
)

// page is a server that answers each request with what answer says.
func page(t *testing.T, answer http.HandlerFunc) (address string) {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// hanging is an address that takes connections and never answers.
func hanging(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

// asking starts an exporter with that section middleware, its lines indented by two.
func asking(t *testing.T, format string, args ...any) *running {
	t.Helper()
	return start(t, "--config.file="+writeFile(t, "config.yaml", "middleware:\n"+fmt.Sprintf(format, args...)))
}

func fine(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"daysLeft": 12}`) }

func TestMiddlewareIsAskedInTheBackgroundAndOnDemand(t *testing.T) {
	r := asking(t, `
  targets:
    - {name: licence, kind: http, address: "http://%s/status"}
    - {name: gone, kind: tcp, address: "%s", timeout: 300ms}
`, page(t, fine), hanging(t))
	eventually(t, "both are asked", func() bool {
		return r.sample(`stability_middleware_healthy{middleware="http",target="licence"}`) == "1" &&
			r.sample(`stability_middleware_up{middleware="tcp",target="gone"}`) != ""
	})
	answer := r.get("/probe?target=licence")
	check(t, "status", answer.StatusCode, http.StatusOK)
	check(t, "type", answer.Header.Get("Content-Type"), textFormat)
	check(t, "up", sampleOf(answer.text, `stability_middleware_up{middleware="http",target="licence"}`), "1")
	if strings.Contains(answer.text, "gone") || strings.Contains(answer.text, "stability_node") || strings.Contains(answer.text, "go_goroutines") {
		t.Errorf("the answer tells of more than was asked for:\n%s", answer.text)
	}
	if text := r.get("/").text; !strings.Contains(text, "/probe?target=licence&amp;debug=true") {
		t.Error("the landing page does not lead to the target")
	}
}

func TestATargetThatHangsIsDownInTime(t *testing.T) {
	r := asking(t, `
  timeout: 20s
  targets:
    - {name: hangs, kind: redis, address: "%s"}
`, hanging(t))
	began := time.Now()
	answer := r.do(http.MethodGet, "http://"+r.address+"/probe?target=hangs", timeoutHeader, "0.500")
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
	check(t, "status", answer.StatusCode, http.StatusOK)
	check(t, "up", sampleOf(answer.text, `stability_middleware_up{middleware="redis",target="hangs"}`), "0")
	check(t, "reason", sampleOf(answer.text, `stability_middleware_problem{middleware="redis",target="hangs",reason="timeout"}`), "1")
}

func TestAGroupIsAskedWhole(t *testing.T) {
	r := asking(t, `
  targets:
    - name: web
      kind: http
      timeout: 300ms
      members: {a: "http://%s/", b: "http://%s/"}
`, page(t, fine), hanging(t))
	text := r.get("/probe?target=web").text
	for series, want := range map[string]string{
		`stability_middleware_up{middleware="http",target="web/a"}`:                             "1",
		`stability_middleware_up{middleware="http",target="web/b"}`:                             "0",
		`stability_middleware_up{middleware="http",target="web"}`:                               "1",
		`stability_middleware_members{middleware="http",target="web",state="healthy"}`:          "1",
		`stability_middleware_members_expected{middleware="http",target="web"}`:                 "2",
		`stability_middleware_problem{middleware="http",target="web",reason="members_missing"}`: "1",
	} {
		check(t, series, sampleOf(text, series), want)
	}
	if text := r.get("/probe?target=web/a").text; strings.Contains(text, `target="web"`) || strings.Contains(text, "web/b") {
		t.Errorf("one member was asked for, and the answer is:\n%s", text)
	}
}

func TestOnlyWhatIsAllowedIsAsked(t *testing.T) {
	asked := make(chan string, 10)
	address := page(t, func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		asked <- user + ":" + password
	})
	r := asking(t, `
  credentials:
    page: {username: u, password: s3cret-of-the-page, targets: ["localhost:1"]}
  targets:
    - {name: known, kind: http, address: "http://%[1]s/"}
  modules:
    any: {kind: http, allow: ["127.0.0.0/8"]}
    other: {kind: http, allow: ["10.0.0.0/8"]}
    login: {kind: http, credential: page, allow: ["127.0.0.0/8"]}
`, address)
	for path, want := range map[string]struct {
		status int
		text   string
	}{
		"":                                  {http.StatusBadRequest, "give a target"},
		"?target=unknown":                   {http.StatusBadRequest, "middleware.targets"},
		"?target=" + address:                {http.StatusBadRequest, "middleware.targets"},
		"?target=" + address + "&module=no": {http.StatusBadRequest, "middleware.modules"},
		"?target=unix:///run/x&module=any":  {http.StatusBadRequest, ""},
		"?target=http://u:p@" + address + "&module=any": {http.StatusBadRequest, ""},
		"?target=" + address + "&module=login":          {http.StatusBadRequest, "credential page"},
		"?target=169.254.169.254:80&module=any":         {http.StatusBadRequest, ""},
		"?target=" + address + "&module=other":          {http.StatusOK, `reason="forbidden"`},
		"?target=" + address + "&module=any":            {http.StatusOK, `stability_middleware_up{middleware="http",target="` + address + `"} 1`},
		"?target=known":                                 {http.StatusOK, `target="known"} 1`},
	} {
		answer := r.get("/probe" + path)
		if answer.StatusCode != want.status || !strings.Contains(answer.text, want.text) {
			t.Errorf("/probe%s: status %d, want %d with %q:\n%s", path, answer.StatusCode, want.status, want.text, answer.text)
		}
		if strings.Contains(answer.text, "s3cret") {
			t.Errorf("/probe%s tells the password", path)
		}
	}
	close(asked)
	for login := range asked {
		check(t, "what the page was sent", login, ":")
	}
	check(t, "refusals", r.sample(`stability_exporter_probe_requests_refused_total{why="unknown_target"}`), "2")
	check(t, "refusals", r.sample(`stability_exporter_probe_requests_refused_total{why="unknown_module"}`), "1")
}

func TestTheTimeOfAProbe(t *testing.T) {
	for header, want := range map[string]time.Duration{
		"": 10 * time.Second, "10": 9 * time.Second, "10.000": 9 * time.Second, "1": 750 * time.Millisecond, "0.2": 100 * time.Millisecond,
		"3600": 50 * time.Second, "1e300": 50 * time.Second,
	} {
		got, err := patienceOf(header)
		if err != nil || got != want {
			t.Errorf("%q: %s, %v, want %s", header, got, err, want)
		}
	}
	for _, header := range []string{"ten", "-1", "0", "NaN", "10s"} {
		if got, err := patienceOf(header); err == nil {
			t.Errorf("%q is taken for %s", header, got)
		}
	}
}

// A configuration that is refused leaves what was asked before; a good one takes its place.
func TestMiddlewareFollowsTheConfiguration(t *testing.T) {
	address := page(t, fine)
	file := writeFile(t, "config.yaml", fmt.Sprintf("middleware: {targets: [{name: first, kind: http, address: 'http://%s/'}]}", address))
	r := start(t, "--config.file="+file)
	reload := func(text string) int {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return r.do(http.MethodPost, "http://"+r.address+reloadPath).StatusCode
	}
	check(t, "a broken one", reload("middleware: {targets: [{name: second, kind: htp, address: 'x'}]}"), http.StatusInternalServerError)
	check(t, "the first target", r.get("/probe?target=first").StatusCode, http.StatusOK)
	check(t, "a good one", reload(fmt.Sprintf("middleware: {targets: [{name: second, kind: http, address: 'http://%s/'}]}", address)), http.StatusOK)
	check(t, "the first target", r.get("/probe?target=first").StatusCode, http.StatusBadRequest)
	eventually(t, "the second target is asked", func() bool {
		return r.sample(`stability_middleware_up{middleware="http",target="second"}`) == "1"
	})
}

func TestVerdictsAreLoggedWhenTheyChange(t *testing.T) {
	r := asking(t, `
  targets:
    - {name: mute, kind: redis, address: "%s", timeout: 200ms}
`, hanging(t))
	eventually(t, "the verdict is logged", func() bool {
		return strings.Contains(r.log.String(), `target=mute msg="target is not healthy" up=false why="timeout: `)
	})
	text := r.get("/probe?target=mute&debug=true").text
	if !strings.Contains(text, "redis mute\n  up       false\n") || !strings.Contains(text, "problem  timeout: ") {
		t.Errorf("the page says:\n%s", text)
	}
}
