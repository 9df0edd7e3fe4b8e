// SPDX-License-Identifier: Apache-2.0

// Package cluster starts a real Kubernetes control plane on the loopback interface for tests: etcd, kube-apiserver,
// kube-controller-manager and kube-scheduler, with simulated kubelets. Rollouts, evictions, budgets, leases and RBAC
// are real; containers do not run, their statuses are made up as described at Behaviour.
package cluster

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// Options of a cluster; the zero value is a good cluster.
type Options struct {
	// Dir holds data, logs and kubeconfigs. Empty means a new directory that Stop removes.
	Dir string
	// Users are identities for ConfigFor beside Admin and exporter-0 to exporter-19. They have no rights until bound.
	Users []string
	// ExtraFlags are appended to a component's command line and so override the harness's own, for example
	// "--feature-gates=WatchList=false" for APIServer.
	ExtraFlags map[Component][]string
	// NodeMonitorGracePeriod is how long a node may be silent before it becomes Unknown. Zero means 6 seconds.
	NodeMonitorGracePeriod time.Duration
	// NodeLeaseDuration is four times the interval in which nodes renew their leases, in whole seconds. Zero means 4
	// seconds; with thousands of nodes take 40 seconds, as real kubelets do, and a grace period above that.
	NodeLeaseDuration time.Duration
	// Progress is told about a slow build. Nil means standard error.
	Progress io.Writer
}

func (o *Options) setDefaults() {
	if o.NodeMonitorGracePeriod == 0 {
		o.NodeMonitorGracePeriod = 6 * time.Second
	}
	if o.NodeLeaseDuration == 0 {
		o.NodeLeaseDuration = 4 * time.Second
	}
	if o.Progress == nil {
		o.Progress = os.Stderr
	}
}

// Cluster is a running control plane.
type Cluster struct {
	options         Options
	dir             string
	ownDir          bool
	binaries        string
	ports           ports
	credentials     *credentials
	adminKubeconfig string
	spawner         *spawner
	processes       map[Component]*process
	client          kubernetes.Interface
	nodeCount       atomic.Int64
	simulator       *simulator
}

// Start starts a cluster and waits until it is ready to run pods. The first Start on a machine builds the programs.
// The processes end with Stop, and also when this process ends in whatever way.
func Start(ctx context.Context, options Options) (*Cluster, error) {
	options.setDefaults()
	binaries, err := Binaries(ctx, options.Progress)
	if err != nil {
		return nil, err
	}
	c := &Cluster{options: options, binaries: binaries, dir: options.Dir, spawner: newSpawner()}
	if err := c.prepare(); err != nil {
		c.Stop()
		return nil, err
	}
	if err := c.startComponents(ctx); err != nil {
		c.Stop()
		return nil, err
	}
	return c, nil
}

// prepare writes every file the components need.
func (c *Cluster) prepare() error {
	var err error
	if c.dir == "" {
		c.ownDir = true
		if c.dir, err = os.MkdirTemp("", "stability-cluster-"); err != nil {
			return fmt.Errorf("cannot create the cluster's directory: %w", err)
		}
	}
	certificates := filepath.Join(c.dir, "credentials")
	if err := os.MkdirAll(certificates, 0o700); err != nil {
		return fmt.Errorf("cannot create the directory of the credentials: %w", err)
	}
	if c.ports, err = freePorts(); err != nil {
		return err
	}
	if c.credentials, err = newCredentials(certificates, c.options.Users); err != nil {
		return err
	}
	if c.adminKubeconfig, err = c.Kubeconfig(Admin); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(c.dir, "stages.yaml"), stages, 0o644); err != nil {
		return fmt.Errorf("cannot write the stages of the simulated kubelets: %w", err)
	}
	if c.client, err = kubernetes.NewForConfig(c.AdminConfig()); err != nil {
		return fmt.Errorf("cannot make the admin client: %w", err)
	}
	c.processes, err = c.newProcesses(c.binaries)
	return err
}

func (c *Cluster) startComponents(ctx context.Context) error {
	for _, component := range components() {
		if err := c.processes[component].start(); err != nil {
			return err
		}
		if component == Etcd || component == APIServer { // the others start side by side
			if err := c.waitReady(ctx, component); err != nil {
				return err
			}
		}
	}
	for _, component := range []Component{ControllerManager, Scheduler, Kubelets} {
		if err := c.waitReady(ctx, component); err != nil {
			return err
		}
	}
	if err := c.waitLeaders(ctx); err != nil {
		return err
	}
	var err error
	c.simulator, err = startSimulator(c.client, filepath.Join(c.dir, "logs", "simulator.log"))
	return err
}

// Stop kills every process, removes the directory unless Options.Dir named it, and may be called twice.
func (c *Cluster) Stop() {
	if c.simulator != nil {
		c.simulator.stop()
		c.simulator = nil
	}
	for _, process := range c.processes {
		process.kill()
	}
	c.processes = nil
	if c.spawner != nil {
		c.spawner.close()
		c.spawner = nil
	}
	if c.ownDir {
		_ = os.RemoveAll(c.dir) // a leftover in the temporary directory harms nobody
	}
}

// Dir holds the cluster's data, its kubeconfigs and the directory logs with one file for each component.
func (c *Cluster) Dir() string { return c.dir }

// Kubectl is the path of a kubectl of the cluster's version.
func (c *Cluster) Kubectl() string { return filepath.Join(c.binaries, "kubectl") }

// Server is the address of the API server, https://host:port; it stays the same when the server restarts.
func (c *Cluster) Server() string { return fmt.Sprintf("https://127.0.0.1:%d", c.ports.apiserver) }

// Client is an administrator's client without a rate limit.
func (c *Cluster) Client() kubernetes.Interface { return c.client }

// AdminConfig is the configuration of an administrator, without a rate limit.
func (c *Cluster) AdminConfig() *rest.Config {
	config, err := c.credentials.config(c.Server(), Admin)
	if err != nil {
		panic("BUG: no credentials of the administrator: " + err.Error())
	}
	config.QPS = -1
	return config
}

// ConfigFor is the configuration of an identity: Admin, exporter-0 to exporter-19 or one of Options.Users. It is an
// RBAC user of that name.
func (c *Cluster) ConfigFor(identity string) (*rest.Config, error) {
	return c.credentials.config(c.Server(), identity)
}

// Kubeconfig writes the configuration of an identity as a kubeconfig file and returns its path.
func (c *Cluster) Kubeconfig(identity string) (string, error) {
	config, err := c.ConfigFor(identity)
	if err != nil {
		return "", err
	}
	path := filepath.Join(c.dir, identity+".kubeconfig")
	return path, writeKubeconfig(path, identity, config)
}

// KubeconfigVia is Kubeconfig for an API server that is reached through a proxy.
func (c *Cluster) KubeconfigVia(proxy *Proxy, identity string) (string, error) {
	config, err := c.credentials.config("https://"+proxy.Addr(), identity)
	if err != nil {
		return "", err
	}
	path := filepath.Join(c.dir, identity+".via-proxy.kubeconfig")
	return path, writeKubeconfig(path, identity, config)
}
