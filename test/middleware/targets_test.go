// SPDX-License-Identifier: Apache-2.0

// Package middleware holds the probes against real servers, those of the Debian packages, which the tests start on free ports of
// the loopback interface, break and mend: what is broken must come out unhealthy with the right reason, what is whole must not.
package middleware

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"stability-exporter/internal/middleware"
	"stability-exporter/internal/state"
)

const (
	// probeTimeout is the timeout of the probes unless a test is about it: generous, for many servers share a small machine.
	probeTimeout = 10 * time.Second
	// hangPatience is the timeout of a probe of a server that hangs: all of it is waited for.
	hangPatience = 500 * time.Millisecond
)

// setting changes how a target is asked.
type setting func(*middleware.Target)

// target is a target of a kind; with changes it before it is used.
func target(t *testing.T, kind, address string, with ...setting) *middleware.Target {
	t.Helper()
	kinds := middleware.Kinds()
	i := slices.IndexFunc(kinds, func(k middleware.Kind) bool { return k.Name == kind })
	if i < 0 {
		t.Fatalf("there is no kind %s", kind)
	}
	target := &middleware.Target{
		Kind: &kinds[i], Name: kind, Address: address, Timeout: probeTimeout, Policy: middleware.Policy{Configured: true},
	}
	for _, change := range with {
		change(target)
	}
	return target
}

// as makes a probe log in.
func as(username, password string) setting {
	return func(t *middleware.Target) {
		t.Credential = &middleware.Credential{
			Name: "test", Username: username, Password: middleware.NewSecret(password), Targets: []string{"127.0.0.1:*"},
		}
	}
}

// asMonitor logs in with the account of the documentation.
func asMonitor() setting { return as("monitor", "monitor-secret") }

// option sets an option of the kind.
func option(name, value string) setting {
	return func(t *middleware.Target) {
		if t.Options == nil {
			t.Options = map[string]string{}
		}
		t.Options[name] = value
	}
}

// within changes how long a probe may take.
func within(timeout time.Duration) setting {
	return func(t *middleware.Target) { t.Timeout = timeout }
}

// expecting says how many members there should be.
func expecting(members int) setting {
	return func(t *middleware.Target) { t.Limits.ExpectedMembers = members }
}

// roleWanted makes another role than this one a problem.
func roleWanted(role string) setting {
	return func(t *middleware.Target) { t.Limits.Role = role }
}

// lagLimit makes a greater lag a problem.
func lagLimit(limit time.Duration) setting {
	return func(t *middleware.Target) { t.Limits.Lag = limit }
}

// inGroup makes a target a member of a group.
func inGroup(t *middleware.Target) { t.Group = "group" }

// probe asks once.
func probe(t *testing.T, target *middleware.Target) *state.MiddlewareView {
	t.Helper()
	began := time.Now()
	view := middleware.Run(t.Context(), target, nil)
	if took := time.Since(began); took > target.Timeout+time.Second {
		t.Errorf("a probe of %s took %s, more than %s", target.Kind.Name, took, target.Timeout)
	}
	return view
}

// awaitView probes until a view is as it is wanted.
func awaitView(t *testing.T, target *middleware.Target, what string, wanted ...expectation) *state.MiddlewareView {
	t.Helper()
	var view *state.MiddlewareView
	await(t, what, func(ctx context.Context) error {
		view = middleware.Run(ctx, target, nil)
		return unmet(view, wanted)
	})
	return view
}

// asGroup are servers as the targets of one group.
func asGroup[server interface {
	asked(*testing.T, ...setting) *middleware.Target
}](t *testing.T, servers ...server) []*middleware.Target {
	t.Helper()
	var members []*middleware.Target
	for _, s := range servers {
		members = append(members, s.asked(t, inGroup))
	}
	return members
}

// checkGroup asks the members of a group and fails the test when what is known of them together is not as it is wanted.
func checkGroup(t *testing.T, members []*middleware.Target, wanted ...expectation) {
	t.Helper()
	if err := askGroup(t.Context(), members, wanted); err != nil {
		t.Error(err)
	}
}

// awaitGroup asks the members of a group until what is known of them together is as it is wanted.
func awaitGroup(t *testing.T, members []*middleware.Target, what string, wanted ...expectation) {
	t.Helper()
	await(t, what, func(ctx context.Context) error { return askGroup(ctx, members, wanted) })
}

// askGroup returns what is not as it is wanted of a group, with what was found out of every member.
func askGroup(ctx context.Context, members []*middleware.Target, wanted []expectation) error {
	var views []*state.MiddlewareView
	for _, member := range members {
		views = append(views, middleware.Run(ctx, member, nil))
	}
	err := unmet(middleware.Group(members, views), wanted)
	if err == nil {
		return nil
	}
	for _, view := range views {
		err = fmt.Errorf("%w\na member: %s", err, describe(view))
	}
	return err
}
