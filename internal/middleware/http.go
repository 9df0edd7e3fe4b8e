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

// request asks the target over HTTP: path is appended to its address, which may be a URL or host:port. Redirects are not followed: they are
// an answer. The credential goes along as basic or bearer authorisation.
func (p *Probe) request(ctx context.Context, method, path string, body string) (*answer, error) {
	base, err := p.baseURL()
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(base, "/")+path, strings.NewReader(body))
	if err != nil {
		return nil, fail(Protocol, "cannot make a request of the address")
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	r.Header.Set("User-Agent", "stability_exporter")
	username, password, token, err := p.Login()
	switch {
	case err != nil:
		return nil, err
	case !token.Empty():
		r.Header.Set("Authorization", "Bearer "+token.Reveal())
	case username != "" || !password.Empty():
		r.SetBasicAuth(username, password.Reveal())
	}
	client := p.httpClient(ctx)
	defer client.CloseIdleConnections()
	began := time.Now()
	response, err := client.Do(r)
	if err != nil {
		if wrapped, ok := err.(*url.Error); ok { // its text holds the URL
			err = wrapped.Err
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
		return nil, fail(Protocol, "the answer is longer than %d bytes", maxBody)
	}
	return &answer{response.StatusCode, response.Header, text}, nil
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

// httpClient returns a client for one request: no proxy, no redirect. Its connections end with ctx, whatever context the transport dials in.
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
