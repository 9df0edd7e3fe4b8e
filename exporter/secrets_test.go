// SPDX-License-Identifier: Apache-2.0

package exporter

import (
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"stability-exporter/internal/middleware"
)

const (
	theUser     = "the-monitoring-user"
	thePassword = "s3cret/of the+probe"
	theToken    = "t0ken.of-the.probe"
)

// echoing sends back whatever it is told, in one line that begins as given.
func echoing(t *testing.T, prefix string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				told := make([]byte, 4<<10)
				for {
					n, err := conn.Read(told)
					if err != nil {
						return
					}
					fmt.Fprintf(conn, "%s%s\r\n", prefix, strings.NewReplacer("\r", " ", "\n", " ").Replace(string(told[:n])))
				}
			}()
		}
	}()
	return l.Addr().String()
}

// reflecting is a web server that says what it was told, wherever an answer has room for it.
func reflecting(t *testing.T, status int) string {
	return page(t, func(w http.ResponseWriter, r *http.Request) {
		authorization := r.Header.Get("Authorization")
		_, encoded, _ := strings.Cut(authorization, " ")
		decoded, _ := base64.StdEncoding.DecodeString(encoded)
		_, password, _ := strings.Cut(string(decoded), ":")
		w.Header().Set("Location", authorization)
		w.Header().Set("Server", password)
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"rabbitmq_version": %[1]q, "reason": %[1]q, "error": %[2]q, "status": "failed", "alarms": [{"resource": %[1]q}],
			"cluster_name": %[1]q, "health": %[1]q, "errors": [%[1]q], "message": %[2]q, "data": %[1]q}`, password+encoded, authorization+string(decoded))
	})
}

// Whatever a server sends back of what it was told, the secret appears nowhere.
func TestSecretsAppearNowhere(t *testing.T) {
	t.Setenv("SECRET_OF_THE_TEST", thePassword)
	file := writeFile(t, "token", theToken+"\n")
	var text strings.Builder
	fmt.Fprintf(&text, "middleware:\n  timeout: 500ms\n  credentials:\n    basic: {username: %s, password: \"${SECRET_OF_THE_TEST}\", targets: [127.0.0.1]}\n"+
		"    bearer: {token_file: %s, targets: [127.0.0.1]}\n  targets:\n", theUser, file)
	servers := map[string]string{"echo": echoing(t, ""), "error": echoing(t, "-ERR "), "fine": reflecting(t, 200), "broken": reflecting(t, 500), "forbidden": reflecting(t, 403), "refused": reflecting(t, 401)}
	var names []string
	for _, kind := range middleware.Kinds() {
		for server, address := range servers {
			for _, credential := range []string{"basic", "bearer"} {
				name := kind.Name + "-" + server + "-" + credential
				names = append(names, name)
				fmt.Fprintf(&text, "    - {name: %s, kind: %s, address: %q, credential: %s}\n", name, kind.Name, address, credential)
			}
		}
	}
	config := writeFile(t, "config.yaml", text.String())
	r := start(t, "--config.file="+config, "--log.level=debug")
	var told strings.Builder
	eventually(t, "all targets are asked", func() bool {
		return strings.Count(r.get("/metrics").text, "\nstability_middleware_up{") == len(names)
	})
	for _, path := range []string{"/metrics", "/", "/readyz"} {
		told.WriteString(r.get(path).text)
	}
	answers := make([]string, len(names))
	var asking errgroup.Group
	asking.SetLimit(50)
	for i, name := range names {
		asking.Go(func() error {
			answer, err := r.try(http.MethodGet, "http://"+r.address+"/probe?debug=true&target="+name)
			answers[i] = answer.text
			return err
		})
	}
	if err := asking.Wait(); err != nil {
		t.Fatal(err)
	}
	told.WriteString(strings.Join(answers, "\n"))
	if err := os.WriteFile(config, []byte(strings.Replace(text.String(), "username", "usrname", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	told.WriteString(r.do(http.MethodPost, "http://"+r.address+reloadPath).text)
	told.WriteString(r.log.String())
	all := told.String()
	for _, secret := range []string{thePassword, theToken, base64.StdEncoding.EncodeToString([]byte(theUser + ":" + thePassword)), "s3cret", "t0ken"} {
		if i := strings.Index(all, secret); i >= 0 {
			t.Errorf("%q appears:\n%s", secret, all[max(0, i-300):min(len(all), i+300)])
		}
	}
	if !strings.Contains(all, "[secret]") {
		t.Error("no server sent a secret back: the test proves nothing")
	}
}

// The files of credentials are read anew for every probe, and what was a secret once stays one while it is in use.
func TestRotatedSecretsAreUsed(t *testing.T) {
	asked := make(chan string, 100)
	address := page(t, func(_ http.ResponseWriter, r *http.Request) { asked <- r.Header.Get("Authorization") })
	file := writeFile(t, "token", "first-token")
	r := asking(t, `
  credentials:
    token: {token_file: %s, targets: [127.0.0.1]}
  interval: 1h
  targets:
    - {name: web, kind: http, address: "http://%s/", credential: token}
`, file, address)
	for _, token := range []string{"first-token", "second-token"} {
		if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
		r.get("/probe?target=web")
		deadline := time.After(10 * time.Second)
		for found := false; !found; {
			select {
			case got := <-asked:
				found = got == "Bearer "+token
			case <-deadline:
				t.Fatalf("%s was never sent", token)
			}
		}
	}
}
