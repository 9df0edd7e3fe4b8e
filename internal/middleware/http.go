// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// answer is what a target said over HTTP.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// maxBody bounds the body of one answer.
const maxBody = 8 << 20

// errTooLong says that an answer is longer than is read of one.
var errTooLong = fmt.Errorf("the answer is longer than %d bytes", maxBody)

// exchange is a request over HTTP.
type exchange struct {
	method, path, body string
	// url is asked instead of the target's address and path; it is another server, and no credential goes there.
	url string
	// host is what the server is asked for by name, when that is not its address.
	host string
	// session goes along as it is instead of the credential that it was got for.
	session Secret
	// anonymous sends neither.
	anonymous bool
	// form says that the body is a form instead of JSON.
	form bool
}

// request asks the target over HTTP: path is appended to its address, which may be a URL or host:port.
func (p *Probe) request(ctx context.Context, method, path string, body string) (*answer, error) {
	return p.exchange(ctx, exchange{method: method, path: path, body: body})
}

// exchange asks over HTTP. Redirects are not followed: they are an answer. The credential goes along as basic or bearer authorisation.
// All requests of a probe to one address use one connection where the server lets them, and so ask one and the same server.
func (p *Probe) exchange(ctx context.Context, e exchange) (*answer, error) {
	r, err := p.newRequest(ctx, e)
	if err != nil {
		return nil, err
	}
	p.connections.Do(func() { p.client = p.httpClient(ctx) })
	began := time.Now()
	response, err := p.client.Do(r)
	if err != nil {
		if wrapped, ok := err.(*url.Error); ok { // its text holds the URL
			err = wrapped.Err
		}
		// net/http has no name for it: the server hung up before the request was written.
		if strings.Contains(err.Error(), "server closed idle connection") {
			return nil, fail(Closed, "cannot ask: %w", err)
		}
		return nil, fmt.Errorf("cannot ask: %w", err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxBody+1))
	p.Phase("query", time.Since(began))
	switch {
	case err != nil:
		return nil, fmt.Errorf("cannot read the answer: %w", err)
	case len(text) > maxBody:
		return nil, fail(Protocol, "%w", errTooLong)
	}
	return &answer{response.StatusCode, response.Header, text}, nil
}

func (p *Probe) newRequest(ctx context.Context, e exchange) (*http.Request, error) {
	base, err := p.baseURL()
	if err != nil {
		return nil, err
	}
	whole := e.url
	switch {
	case whole == "" && e.path == "":
		whole = base
	case whole == "":
		whole = strings.TrimSuffix(base, "/") + e.path
	}
	r, err := http.NewRequestWithContext(ctx, e.method, whole, strings.NewReader(e.body))
	if err != nil {
		return nil, fail(Protocol, "cannot make a request of the address")
	}
	switch {
	case e.form:
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	case e.body != "":
		r.Header.Set("Content-Type", "application/json")
	}
	if e.host != "" {
		r.Host = e.host
	}
	r.Header.Set("User-Agent", "stability_exporter")
	if e.url != "" || e.anonymous {
		return r, nil
	}
	return r, p.authorize(r, e.session)
}

// authorize adds the session, else the credential.
func (p *Probe) authorize(r *http.Request, session Secret) error {
	if !session.Empty() {
		r.Header.Set("Authorization", session.Reveal())
		return nil
	}
	username, password, token, err := p.Login()
	switch {
	case err != nil:
		return err
	case !token.Empty():
		r.Header.Set("Authorization", "Bearer "+token.Reveal())
	case username != "" || !password.Empty():
		r.SetBasicAuth(username, password.Reveal())
	}
	return nil
}

// refused turns a status that is no answer into an error; what says what was asked for.
func (a *answer) refused(what string) error {
	switch {
	case a.status == http.StatusUnauthorized:
		return fail(Auth, "%s: the credentials are missing or wrong (HTTP 401)", what)
	case a.status == http.StatusForbidden:
		return fail(Permission, "%s: the account may not ask (HTTP 403)", what)
	case a.status == http.StatusTooManyRequests:
		return fail(Saturated, "%s: too many requests (HTTP 429)", what)
	case a.status >= 500:
		return fail(Unavailable, "%s: HTTP %d", what, a.status)
	case a.status != http.StatusOK:
		return fail(Protocol, "%s: HTTP %d", what, a.status)
	}
	return nil
}

// whyNot tells of a status other than 200 why a fact that is no part of the verdict is unknown.
func (a *answer) whyNot() Why {
	switch a.status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return NoPermission
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusGone, http.StatusNotImplemented:
		return Unsupported
	case http.StatusGatewayTimeout, http.StatusRequestTimeout:
		return TimedOut
	}
	return Garbled
}

// getJSON asks for a JSON document and decodes it into out. Another status than 200 is returned as it is, with what the body says decoded if
// it can be.
func (p *Probe) getJSON(ctx context.Context, path string, out any) (*answer, error) {
	a, err := p.request(ctx, http.MethodGet, path, "")
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(a.body, out); err != nil && a.status == http.StatusOK {
		return nil, fail(Protocol, "the answer is not the JSON that was asked for")
	}
	return a, nil
}

func (p *Probe) baseURL() (string, error) {
	if strings.Contains(p.Target.Address, "://") {
		return p.Target.Address, nil
	}
	address, err := p.Target.hostPort()
	if err != nil {
		return "", err
	}
	if p.Target.TLS.Enabled {
		return "https://" + address, nil
	}
	return "http://" + address, nil
}

// httpClient returns a client for one probe: no proxy, no redirect. Its connections end with ctx, whatever context the transport dials in.
func (p *Probe) httpClient(ctx context.Context) *http.Client {
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			MaxResponseHeaderBytes: 64 << 10,
			DialContext: func(_ context.Context, _, address string) (net.Conn, error) {
				return p.dialPlain(ctx, address)
			},
			DialTLSContext: func(_ context.Context, _, address string) (net.Conn, error) {
				conn, err := p.dialPlain(ctx, address)
				if err != nil {
					return nil, err
				}
				return p.handshake(ctx, conn, address)
			},
		},
	}
}
