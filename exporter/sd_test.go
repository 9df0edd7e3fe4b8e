// SPDX-License-Identifier: Apache-2.0

package exporter

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-kit/log"
	"github.com/google/go-cmp/cmp"

	"stability-exporter/internal/middleware"
)

func askSD(t *testing.T, query string, targets ...*middleware.Target) *httptest.ResponseRecorder {
	t.Helper()
	pool := middleware.NewPool(nil, nil)
	pool.Use(targets, 0)
	w := httptest.NewRecorder()
	sdHandler{pool.Targets, log.NewNopLogger()}.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, sdPath+query, nil))
	return w
}

func TestTargetsAreListed(t *testing.T) {
	redis, mysql := &middleware.Kind{Name: "redis"}, &middleware.Kind{Name: "mysql"}
	targets := []*middleware.Target{
		{Kind: redis, Name: "shop.cache/redis-1", Group: "shop.cache", Address: "10.0.0.2:6379"},
		{Kind: mysql, Name: "orders", Address: "db.example:3306", Credential: &middleware.Credential{Name: "orders", Username: "monitor"}},
		{Kind: redis, Name: "shop.cache/redis-0", Group: "shop.cache", Address: "10.0.0.1:6379"},
	}
	entry := func(name, kind, group string) sdGroup {
		g := sdGroup{[]string{name}, map[string]string{"__param_target": name, "__meta_stability_middleware": kind}}
		if group != "" {
			g.Labels["__meta_stability_group"] = group
		}
		return g
	}
	for query, want := range map[string][]sdGroup{
		"":                     {entry("orders", "mysql", ""), entry("shop.cache/redis-0", "redis", "shop.cache"), entry("shop.cache/redis-1", "redis", "shop.cache")},
		"?kind=redis":          {entry("shop.cache/redis-0", "redis", "shop.cache"), entry("shop.cache/redis-1", "redis", "shop.cache")},
		"?by=group":            {entry("orders", "mysql", ""), entry("shop.cache", "redis", "shop.cache")},
		"?by=group&kind=mysql": {entry("orders", "mysql", "")},
		"?kind=zookeeper":      {},
	} {
		w := askSD(t, query, targets...)
		var got []sdGroup
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" || w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s: status %d, want -, got +\n%s", query, w.Code, diff)
		}
		for _, secret := range []string{"10.0.0", "db.example", "monitor"} {
			if strings.Contains(w.Body.String(), secret) {
				t.Errorf("%s: the list shows %s", query, secret)
			}
		}
	}
	check(t, "no targets", strings.TrimSpace(askSD(t, "").Body.String()), "[]")
}

func TestListsThatNobodyCanMean(t *testing.T) {
	for query, part := range map[string]string{"?kind=redsi": "redis", "?by=member": "by=group"} {
		w := askSD(t, query)
		check(t, query, w.Code, http.StatusBadRequest)
		if !strings.Contains(w.Body.String(), part) {
			t.Errorf("%s: %s", query, w.Body.String())
		}
	}
}
