// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// ForgetHistory restarts the API server on an etcd that remembers only the present. What goes on from an earlier
// resource version is then answered with 410 Gone: a watch, the next page of a list. Compacting etcd alone would not do,
// because the API server serves both from its own cache.
func (c *Cluster) ForgetHistory(ctx context.Context) error {
	if err := c.Kill(APIServer); err != nil {
		return err
	}
	if err := c.compactEtcd(ctx); err != nil {
		return err
	}
	return c.Restart(ctx, APIServer)
}

func (c *Cluster) compactEtcd(ctx context.Context) error {
	// A new revision, because etcd refuses to compact the same one twice.
	write := map[string]any{"key": []byte("stability-test/compaction"), "value": []byte("marker")}
	var written struct {
		Header struct{ Revision string }
	}
	if err := c.askEtcd(ctx, "/v3/kv/put", write, &written); err != nil {
		return err
	}
	compaction := map[string]any{"revision": written.Header.Revision, "physical": true}
	return c.askEtcd(ctx, "/v3/kv/compaction", compaction, &struct{}{})
}

// askEtcd uses etcd's JSON gateway, which saves a dependency on its client.
func (c *Cluster) askEtcd(ctx context.Context, path string, question, answer any) error {
	body, err := json.Marshal(question)
	if err != nil {
		return fmt.Errorf("cannot encode a question to etcd: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	url := fmt.Sprintf("http://127.0.0.1:%d%s", c.ports.etcd, path)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("cannot ask etcd %s: %w", path, err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("cannot ask etcd %s: %w", path, err)
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return fmt.Errorf("cannot read etcd's answer to %s: %w", path, err)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("etcd refuses %s: %s: %s", path, response.Status, content)
	}
	if err := json.Unmarshal(content, answer); err != nil {
		return fmt.Errorf("cannot decode etcd's answer to %s: %w", path, err)
	}
	return nil
}
