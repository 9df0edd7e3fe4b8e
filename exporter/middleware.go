// SPDX-License-Identifier: Apache-2.0

package exporter

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"golang.org/x/sync/errgroup"

	"stability-exporter/internal/discovery"
	"stability-exporter/internal/middleware"
	"stability-exporter/internal/state"
)

// prober asks what is configured and what is discovered.
type prober struct {
	pool       *middleware.Pool
	discovery  *middlewareDiscovery
	background bool // else targets are asked on demand only

	mu         sync.Mutex
	settings   *middleware.Settings
	discovered []*middleware.Target
}

// newProber returns a prober without targets. live says that what is discovered in the store may be asked.
func newProber(store *state.Store, live, background bool, logger log.Logger) *prober {
	p := &prober{pool: middleware.NewPool(nil, logVerdicts(logger)), background: background, settings: new(middleware.Settings)}
	p.discovery = newMiddlewareDiscovery(store, live, p.discover, logger)
	return p
}

// configure makes the settings those by which is asked from now on.
func (p *prober) configure(settings *middleware.Settings) {
	p.mu.Lock()
	p.settings = settings
	p.mu.Unlock()
	p.discovery.configure(discoveryRules(settings)) // calls discover
}

// discover takes what is discovered now.
func (p *prober) discover(targets []*middleware.Target) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.discovered = targets
	p.pool.Use(slices.Concat(p.settings.Targets, p.discovered), p.settings.Concurrency)
}

// modules are those of the configuration.
func (p *prober) modules() map[string]*middleware.Module {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.settings.Modules
}

// run asks and discovers until the context is done.
func (p *prober) run(ctx context.Context) error {
	var both errgroup.Group
	both.Go(func() error { p.discovery.run(ctx); return nil })
	if p.background {
		both.Go(func() error { p.pool.Run(ctx); return nil })
	}
	return both.Wait()
}

// discoveryRules returns what the settings say of discovery; nil when it is off.
func discoveryRules(s *middleware.Settings) *discovery.Rules {
	if !s.Discovery.Enabled {
		return nil
	}
	rules := &discovery.Rules{
		Kinds: middleware.Kinds(), Namespaces: s.Discovery.Namespaces, Credentials: s.Credentials, Configured: s.Targets,
		Plain: middleware.Target{Interval: s.Interval, Timeout: s.Timeout}, Bind: (*middleware.Credential).ForDiscovered,
	}
	for _, r := range s.Discovery.Rules {
		rules.List = append(rules.List, discovery.Rule(r))
	}
	return rules
}

// logVerdicts returns a function that logs when the verdict on a target changes, with what is behind it.
func logVerdicts(logger log.Logger) func(before, after *state.MiddlewareView) {
	return func(before, after *state.MiddlewareView) {
		was, is := verdictOn(before), verdictOn(after)
		if was == is || before == nil && is == verdictHealthy {
			return
		}
		logger := log.With(logger, "middleware", after.Kind, "target", after.Target)
		if is == verdictHealthy {
			level.Info(logger).Log("msg", "target is healthy again")
			return
		}
		level.Warn(logger).Log("msg", "target is not healthy", "up", after.Up, "why", explain(after))
	}
}

const verdictHealthy = "healthy"

// verdictOn is the verdict on a target with its reasons, without what changes from probe to probe.
func verdictOn(v *state.MiddlewareView) string {
	if v == nil {
		return ""
	}
	if v.Healthy() {
		return verdictHealthy
	}
	var reasons []string
	for _, p := range v.Problems {
		reasons = append(reasons, p.Reason)
	}
	return strings.Join(reasons, ", ")
}

// explain tells each problem with its detail.
func explain(v *state.MiddlewareView) string {
	var problems []string
	for _, p := range v.Problems {
		problems = append(problems, p.Reason+": "+p.Detail)
	}
	return strings.Join(problems, "; ")
}
