// SPDX-License-Identifier: Apache-2.0

// Package failures tests the program, as it is shipped and with the permissions it asks for, while a real control plane
// fails around it: the API server dies, freezes, forgets its history or cannot be reached, permissions are missing, come
// and go, the controller manager freezes.
package failures

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"stability-exporter/test/cluster"
	"stability-exporter/test/exporterproc"
)

// lab is what the tests of this package share.
type lab struct {
	binary string // the program
	config string // its configuration file
	// cluster streams lists, as servers since 1.34 do.
	cluster *cluster.Cluster
	denials []denial
}

var shared lab

// The grace is short so that the world is judged the same by a program that has watched it for long and by one that
// has just begun.
const settings = "damage:\n  grace: 1s\n"

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	flag.Parse()
	// Tests with permissions wait most of the time; two of them do not keep two cores busy.
	if err := flag.Set("test.parallel", "6"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	dir, err := os.MkdirTemp("", "stability-failures-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := shared.prepare(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return cluster.RunTests(m, shared.options(), func(c *cluster.Cluster) { shared.cluster = c })
}

func (l *lab) prepare(dir string) error {
	var err error
	if l.denials, err = allDenials(); err != nil {
		return err
	}
	l.config = filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(l.config, []byte(settings), 0o600); err != nil {
		return fmt.Errorf("cannot write the configuration: %w", err)
	}
	l.binary, err = exporterproc.Build(context.Background(), dir)
	return err
}

// options are those of a cluster whose nodes outlive an outage of the API server: real grace periods.
func (l *lab) options() cluster.Options {
	options := cluster.Options{NodeLeaseDuration: 40 * time.Second, NodeMonitorGracePeriod: 50 * time.Second}
	for _, d := range l.denials {
		options.Users = append(options.Users, d.identity())
	}
	return options
}

// start starts the program as an identity with a kubeconfig.
func start(t *testing.T, kubeconfig string, flags ...string) *exporterproc.Process {
	t.Helper()
	flags = append([]string{"--kubeconfig=" + kubeconfig, "--config.file=" + shared.config}, flags...)
	return exporterproc.Start(t, shared.binary, flags...)
}

// grant gives an identity everything that the program asks for and returns its kubeconfig.
func grant(t *testing.T, c *cluster.Cluster, identity string) string {
	t.Helper()
	kubeconfig, err := exporterproc.Grant(t.Context(), c, identity)
	if err != nil {
		t.Fatal(err)
	}
	return kubeconfig
}

// throughProxy gives an identity everything that the program asks for and a way to the API server that can fail.
func throughProxy(t *testing.T, c *cluster.Cluster, identity string) (string, *cluster.Proxy) {
	t.Helper()
	grant(t, c, identity)
	proxy, err := cluster.NewProxy(c.Server())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Close)
	kubeconfig, err := c.KubeconfigVia(proxy, identity)
	if err != nil {
		t.Fatal(err)
	}
	return kubeconfig, proxy
}

// pass lets time go by in which nothing is awaited but that nothing happens.
func pass(t *testing.T, duration time.Duration) {
	t.Helper()
	select {
	case <-time.After(duration):
	case <-t.Context().Done():
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
