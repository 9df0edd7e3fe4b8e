// SPDX-License-Identifier: Apache-2.0

package exporter

import (
	"context"
	"sync"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"stability-exporter/internal/discovery"
	"stability-exporter/internal/middleware"
	"stability-exporter/internal/state"
)

// discoveryInterval is the time between two looks at the store. A pod that is replaced is asked at its old address for so long.
const discoveryInterval = 10 * time.Second

// middlewareDiscovery looks for middleware in the store again and again, hands on what it finds and remembers what became of it.
type middlewareDiscovery struct {
	store *state.Store
	// use takes the targets after every look, the same ones mostly; none while nothing is known of the cluster.
	use    func([]*middleware.Target)
	probed bool // false for manifests: their addresses are of another time and place, and are counted only
	logger log.Logger

	looking sync.Mutex // one look at a time; guards what looks remember
	slots   discovery.Slots
	told    map[discovery.Conflict]bool

	mu    sync.Mutex
	rules *discovery.Rules
	view  *state.DiscoveryView
}

func newMiddlewareDiscovery(store *state.Store, probed bool, use func([]*middleware.Target), logger log.Logger) *middlewareDiscovery {
	return &middlewareDiscovery{store: store, probed: probed, use: use, logger: logger}
}

// configure makes the rules those of all coming looks, and looks. Nil switches discovery off.
func (d *middlewareDiscovery) configure(rules *discovery.Rules) {
	d.mu.Lock()
	d.rules = rules
	d.mu.Unlock()
	d.look()
}

// run looks until the context is done.
func (d *middlewareDiscovery) run(ctx context.Context) {
	ticker := time.NewTicker(discoveryInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			d.look()
		}
	}
}

// found returns what became of the last look; nil while discovery is off or nothing is known of the cluster.
func (d *middlewareDiscovery) found() *state.DiscoveryView {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.view
}

func (d *middlewareDiscovery) look() {
	d.looking.Lock()
	defer d.looking.Unlock()
	d.mu.Lock()
	rules, before := d.rules, d.view
	d.mu.Unlock()
	var targets []*middleware.Target
	var view *state.DiscoveryView
	if services, known := d.services(rules); known {
		result := discovery.Discover(services, rules, d.slots)
		targets, view, d.slots = result.Targets, &result.View, result.Slots
		d.tell(result.Conflicts)
	} else if rules != nil && before != nil {
		level.Warn(d.logger).Log("msg", "middleware is not discovered any more: Services, pods or workloads are not observed")
	}
	d.mu.Lock()
	d.view = view
	d.mu.Unlock()
	if !d.probed {
		targets = nil
	}
	d.use(targets)
}

func (d *middlewareDiscovery) services(rules *discovery.Rules) ([]state.MiddlewareService, bool) {
	if rules == nil {
		return nil, false
	}
	return d.store.MiddlewareServices(rules.Wants)
}

// tell logs each conflict once, and again when it has been away.
func (d *middlewareDiscovery) tell(conflicts []discovery.Conflict) {
	told := map[discovery.Conflict]bool{}
	for _, c := range conflicts {
		if told[c] = true; !d.told[c] {
			level.Warn(d.logger).Log("msg", "a Service is not probed", "service", c.Namespace+"/"+c.Service, "cause", c.Cause, "fix", c.Fix)
		}
	}
	d.told = told
}
