// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

func nacosKind() Kind {
	return Kind{
		Name: "nacos",
		Help: "Nacos 1.3 and newer: whether it is ready, its members as it sees them, and the leaders of its Raft groups. Whether it is ready is told without a " +
			"login; with authentication the rest needs an account (Nacos 3: an administrator), which logs in for a token, or a token by itself.",
		Port: "8848", Address: BaseURL,
		Options: []Option{{Name: "context_path", Type: Text, Default: "/nacos", Help: "the path below which the server answers (server.servlet.context-path, in Nacos 3 " +
			"nacos.server.contextPath); / for none", Check: checkContextPath}},
		Facts: []string{"members{healthy}", "members_expected", "fact{ready}", "fact{raft_groups}", "fact{raft_groups_without_leader}"},
		Verified: Verification{Fake: []string{
			"answers in the shape that the sources of Nacos 1.4, 2.0, 2.5 and 3.1 give them",
		}},
		Probe: probeNacos,
	}
}

func checkContextPath(path string) error {
	if !strings.HasPrefix(path, "/") || strings.ContainsAny(path, "?#\r\n ") {
		return fmt.Errorf("%q is no path such as /nacos", path)
	}
	return nil
}

// nacosState is what a server says of itself.
type nacosState struct {
	Version    *string `json:"version"`
	Standalone string  `json:"standalone_mode"`
}

// nacosProbe is one asking of one server.
type nacosProbe struct {
	*Probe
	path    string // before every other
	modern  bool   // Nacos 3
	state   nacosState
	session Secret
}

func probeNacos(ctx context.Context, p *Probe) error {
	username, password, token, err := p.Login()
	if err != nil {
		return err
	}
	n := nacosProbe{Probe: p, path: strings.TrimSuffix(p.Option("context_path"), "/")}
	if err := n.askState(ctx); err != nil {
		return err
	}
	ready, err := n.askReadiness(ctx)
	if err != nil {
		return err
	}
	switch {
	case !token.Empty():
		n.session = NewSecret("Bearer " + token.Reveal())
	case username != "":
		if err := n.login(ctx, username, password); err != nil {
			return err
		}
	}
	n.Up()
	n.Fact("ready", map[bool]float64{true: 1}[ready])
	return n.askMembers(ctx)
}

// anonymously asks without the credential, which nothing but the login and the list of members needs.
func (n *nacosProbe) anonymously(ctx context.Context, path string) (*answer, error) {
	return n.exchange(ctx, exchange{method: http.MethodGet, path: n.path + path, anonymous: true})
}

// askState finds out which version it is, by which of two ways it says so.
func (n *nacosProbe) askState(ctx context.Context) error {
	for _, path := range []string{"/v3/admin/core/state", "/v1/console/server/state"} {
		a, err := n.anonymously(ctx, path)
		if err != nil {
			return err
		}
		n.modern = strings.HasPrefix(path, "/v3")
		switch {
		case n.modern && a.status >= 400 && a.status < 500 && a.status != http.StatusTooManyRequests: // an older one does not have it
			continue
		case a.status == http.StatusServiceUnavailable && strings.Contains(strings.ToUpper(string(a.body)), "STARTING"):
			return fail(Loading, "it is starting")
		}
		if err := a.refused("the state of the server"); err != nil {
			return err
		}
		if n.modern {
			var said struct{ Data nacosState }
			err = json.Unmarshal(a.body, &said)
			n.state = said.Data
		} else {
			err = json.Unmarshal(a.body, &n.state)
		}
		if err != nil || n.state.Version == nil {
			return fail(Protocol, "the answer is not Nacos's")
		}
		return nil
	}
	return nil
}

// askReadiness asks whether it serves. Nacos 3 says in the body that it does not, and HTTP 200 all the same.
func (n *nacosProbe) askReadiness(ctx context.Context) (bool, error) {
	path := "/v1/console/health/readiness"
	if n.modern {
		path = "/v3/admin/core/state/readiness"
	}
	a, err := n.anonymously(ctx, path)
	if err != nil {
		return false, fmt.Errorf("readiness: %w", err)
	}
	said := strings.TrimSpace(string(a.body))
	ready := a.status == http.StatusOK && strings.EqualFold(said, "OK")
	var result nacosResult[string]
	if json.Unmarshal(a.body, &result) == nil && result.Code != nil {
		ready, said = a.status == http.StatusOK && result.good(), result.Message
	}
	switch {
	case ready:
		return true, nil
	case a.status != http.StatusOK && a.status != http.StatusInternalServerError && a.status != http.StatusServiceUnavailable:
		return false, a.refused("readiness")
	case a.status == http.StatusOK && result.Code == nil:
		return false, fail(Protocol, "the answer to readiness is not Nacos's")
	}
	n.Problem(Unavailable, "it is not ready: %s", said)
	return false, nil
}

// nacosResult is how answers are wrapped: the code is 0, or 200 in version 1 of the API, when all is well.
type nacosResult[T any] struct {
	Code    *int   `json:"code"`
	Message string `json:"message"`
	Data    T      `json:"data"`
}

func (r *nacosResult[T]) good() bool {
	return r.Code != nil && (*r.Code == 0 || *r.Code == http.StatusOK)
}

// login gets a token for the account. A server without this way to log in is asked without one.
func (n *nacosProbe) login(ctx context.Context, username string, password Secret) error {
	path := "/v1/auth/login"
	if n.modern {
		path = "/v3/auth/user/login"
	}
	form := url.Values{"username": {username}, "password": {password.Reveal()}}.Encode()
	n.hide(form, url.QueryEscape(password.Reveal()))
	a, err := n.exchange(ctx, exchange{method: http.MethodPost, path: n.path + path, body: form, form: true, anonymous: true})
	if err != nil {
		return fmt.Errorf("login: %w", err)
	}
	var said struct {
		Token string `json:"accessToken"`
	}
	_ = json.Unmarshal(a.body, &said) // what it does not say is empty
	switch {
	case a.status == http.StatusOK && said.Token != "":
		n.hide(said.Token)
		n.session = NewSecret("Bearer " + said.Token)
		return nil
	case a.status == http.StatusUnauthorized, a.status == http.StatusForbidden:
		return fail(Auth, "wrong user or password (HTTP %d)", a.status)
	case a.status >= 500 && a.status != http.StatusNotImplemented, a.status == http.StatusTooManyRequests:
		return a.refused("login")
	}
	return nil
}

// raftAddress splits what Raft calls a member: its address, and a port that is not that of HTTP.
func raftAddress(text string) (host, port string) {
	i := strings.LastIndexByte(text, ':')
	if i < 0 {
		return text, ""
	}
	if _, err := strconv.ParseUint(text[i+1:], 10, 16); err != nil {
		return text, ""
	}
	return text[:i], text[i+1:]
}
