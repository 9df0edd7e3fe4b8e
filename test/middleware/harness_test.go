// SPDX-License-Identifier: Apache-2.0

// Package middleware holds the probes against real servers, those of the Debian packages, which the tests start on free ports of
// the loopback interface, break and mend: what is broken must come out unhealthy with the right reason, what is whole must not.
package middleware

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"stability-exporter/internal/middleware"
	"stability-exporter/internal/state"
	"stability-exporter/test/cluster"
	"stability-exporter/test/daemon"
)

// probeTimeout is the timeout of the probes unless a test is about it: generous, for many servers share a small machine.
const probeTimeout = 10 * time.Second

// freeAddress returns 127.0.0.1 with a port on which nobody listens, and the port by itself.
func freeAddress(t *testing.T) (address, port string) {
	t.Helper()
	number, err := cluster.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	port = strconv.Itoa(number)
	return net.JoinHostPort("127.0.0.1", port), port
}

// run starts a server that ends with the test; what it wrote is shown when the test fails.
func run(t *testing.T, path string, arguments ...string) *daemon.Daemon {
	t.Helper()
	d, err := daemon.Start(path, arguments...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		d.Kill()
		if t.Failed() {
			t.Logf("log of %s %s:\n%s", path, strings.Join(arguments, " "), d.Log())
		}
	})
	return d
}

// await calls condition until it returns nil.
func await(t *testing.T, what string, condition func(context.Context) error) {
	t.Helper()
	var last error
	err := cluster.Await(t.Context(), daemon.Patience, what, func(ctx context.Context) (bool, error) {
		if err := condition(ctx); ctx.Err() == nil {
			last = err
		}
		return last == nil && ctx.Err() == nil, nil
	})
	if err != nil {
		t.Fatal(errors.Join(err, last))
	}
}

// target is a target of a kind; with changes it before it is used.
func target(t *testing.T, kind, address string, with ...func(*middleware.Target)) *middleware.Target {
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
func as(username, password string) func(*middleware.Target) {
	return func(t *middleware.Target) {
		t.Credential = &middleware.Credential{
			Name: "test", Username: username, Password: middleware.NewSecret(password), Targets: []string{"127.0.0.1:*"},
		}
	}
}

// option sets an option of the kind.
func option(name, value string) func(*middleware.Target) {
	return func(t *middleware.Target) {
		if t.Options == nil {
			t.Options = map[string]string{}
		}
		t.Options[name] = value
	}
}

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
func awaitView(t *testing.T, target *middleware.Target, what string, wanted func(*state.MiddlewareView) error) *state.MiddlewareView {
	t.Helper()
	var view *state.MiddlewareView
	await(t, what, func(ctx context.Context) error {
		view = middleware.Run(ctx, target, nil)
		if err := wanted(view); err != nil {
			return fmt.Errorf("%w: %s", err, describe(view))
		}
		return nil
	})
	return view
}

// healthy wants a target to be up without any problem.
func healthy(view *state.MiddlewareView) error {
	if !view.Healthy() {
		return errors.New("it should be healthy")
	}
	return nil
}

// unhealthy wants a problem of the reason, whose detail tells the text.
func unhealthy(reason middleware.Reason, text string) func(*state.MiddlewareView) error {
	return func(view *state.MiddlewareView) error {
		for _, problem := range view.Problems {
			if problem.Reason == string(reason) && strings.Contains(problem.Detail, text) {
				return nil
			}
		}
		return fmt.Errorf("it should have the problem %s with %q", reason, text)
	}
}

// check fails the test when a view is not as it is wanted.
func check(t *testing.T, view *state.MiddlewareView, wanted ...func(*state.MiddlewareView) error) {
	t.Helper()
	for _, want := range wanted {
		if err := want(view); err != nil {
			t.Errorf("%v: %s", err, describe(view))
		}
	}
}

// describe shows a view in one line.
func describe(v *state.MiddlewareView) string { return fmt.Sprintf("%+v", *v) }
