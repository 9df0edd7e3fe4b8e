// SPDX-License-Identifier: Apache-2.0

package prometheus

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"

	"stability-exporter/test/daemon"
)

// Alertmanager is a running Alertmanager that sends every alert by itself to its Inbox.
type Alertmanager struct {
	*daemon.Daemon
	*Inbox
	Addr string // host:port
}

// StartAlertmanager starts an Alertmanager with inhibit rules: a YAML file with the key inhibit_rules. An alert is sent
// when it has been firing for wait, so that what inhibits it may come first.
func StartAlertmanager(ctx context.Context, dir string, inhibitRules []byte, wait time.Duration) (*Alertmanager, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("cannot create the folder of Alertmanager: %w", err)
	}
	inbox, err := newInbox()
	if err != nil {
		return nil, err
	}
	type object = map[string]any
	configuration := object{
		"route": object{
			"receiver": "inbox", "group_by": []string{"..."},
			"group_wait": wait.String(), "group_interval": "1s", "repeat_interval": "24h",
		},
		"receivers": []object{{"name": "inbox", "webhook_configs": []object{{"url": inbox.url(), "send_resolved": true}}}},
	}
	if err := yaml.Unmarshal(inhibitRules, &configuration); err != nil { // adds its one key
		return nil, fmt.Errorf("cannot read the inhibit rules: %w", err)
	}
	path, err := writeYAML(filepath.Join(dir, "alertmanager.yaml"), configuration)
	if err != nil {
		return nil, err
	}
	a := &Alertmanager{Inbox: inbox}
	a.Daemon, err = daemon.Start("prometheus-alertmanager", "--config.file="+path, "--web.listen-address=127.0.0.1:0",
		"--cluster.listen-address=", "--storage.path="+filepath.Join(dir, "data"))
	if err == nil {
		a.Addr, err = listening(ctx, a.Daemon)
	}
	if err != nil {
		inbox.close()
		return nil, err
	}
	return a, nil
}

// Kill ends the Alertmanager and its inbox.
func (a *Alertmanager) Kill() {
	a.Daemon.Kill()
	a.close()
}

// Page is a notification: an alert begins to fire, or is over.
type Page struct {
	Received    time.Time      `json:"-"`
	Status      string         `json:"status"` // firing or resolved
	Labels      model.LabelSet `json:"labels"`
	Annotations model.LabelSet `json:"annotations"`
	StartsAt    time.Time      `json:"startsAt"`
}

// Inbox holds all notifications that have come in, the oldest first.
type Inbox struct {
	listener net.Listener
	server   *http.Server

	mu    sync.Mutex
	pages []Page
	err   error // the first notification that could not be read
}

func newInbox() (*Inbox, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("cannot open the inbox: %w", err)
	}
	i := &Inbox{listener: listener}
	i.server = &http.Server{Handler: http.HandlerFunc(i.receive), ReadHeaderTimeout: daemon.Patience}
	go func() { _ = i.server.Serve(listener) }() // until close
	return i, nil
}

func (i *Inbox) url() string { return "http://" + i.listener.Addr().String() }

func (i *Inbox) close() { _ = i.server.Close() }

func (i *Inbox) receive(_ http.ResponseWriter, request *http.Request) {
	var notification struct {
		Alerts []Page `json:"alerts"`
	}
	err := json.NewDecoder(request.Body).Decode(&notification)
	now := time.Now()
	i.mu.Lock()
	defer i.mu.Unlock()
	if err != nil && i.err == nil {
		i.err = fmt.Errorf("cannot read a notification: %w", err)
	}
	for _, page := range notification.Alerts {
		page.Received = now
		i.pages = append(i.pages, page)
	}
}

// Pages returns the notifications whose alerts have the labels, the oldest first.
func (i *Inbox) Pages(labels model.LabelSet) ([]Page, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	var found []Page
	for _, page := range i.pages {
		if Has(page.Labels, labels) {
			found = append(found, page)
		}
	}
	return found, i.err
}

// Has tells whether all of the wanted labels are among the given ones; the empty value stands for no label.
func Has(labels, wanted model.LabelSet) bool {
	for name, value := range wanted {
		if labels[name] != value {
			return false
		}
	}
	return true
}
