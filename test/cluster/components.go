// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// Component names one process of the cluster.
type Component string

// The processes of a cluster.
const (
	Etcd              Component = "etcd"
	APIServer         Component = "kube-apiserver"
	ControllerManager Component = "kube-controller-manager"
	Scheduler         Component = "kube-scheduler"
	// Kubelets plays the kubelets of all nodes.
	Kubelets Component = "kwok"
)

// components in the order in which they need each other.
func components() []Component {
	return []Component{Etcd, APIServer, ControllerManager, Scheduler, Kubelets}
}

// ports of the components, all on 127.0.0.1.
type ports struct {
	etcd, etcdPeer, apiserver, controllerManager, scheduler, kubelets int
}

func freePorts() (ports, error) {
	var p ports
	var held []net.Listener
	defer func() {
		for _, listener := range held {
			_ = listener.Close()
		}
	}()
	for _, port := range []*int{&p.etcd, &p.etcdPeer, &p.apiserver, &p.controllerManager, &p.scheduler, &p.kubelets} {
		listener, err := listenBelowEphemeral()
		if err != nil {
			return ports{}, err
		}
		held = append(held, listener)
		*port = listener.Addr().(*net.TCPAddr).Port
	}
	return p, nil
}

// FreePort returns a port of the loopback interface on which nobody listens, for a program that wants to be told one. It is one
// which the kernel gives to no outgoing connection, so that the program can come back on it after a restart.
func FreePort() (int, error) {
	listener, err := listenBelowEphemeral()
	if err != nil {
		return 0, err
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

// listenBelowEphemeral takes a port which the kernel gives to no outgoing connection, so that a component can come
// back on its own port after a restart.
func listenBelowEphemeral() (net.Listener, error) {
	var errs []error
	for range 50 {
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 12000+rand.IntN(20000)))
		if err == nil {
			return listener, nil
		}
		errs = append(errs, err)
	}
	return nil, fmt.Errorf("cannot find a free port: %w", errors.Join(errs...))
}

// arguments returns the command line of each component.
func (c *Cluster) arguments() map[Component][]string {
	etcd := fmt.Sprintf("http://127.0.0.1:%d", c.ports.etcd)
	peer := fmt.Sprintf("http://127.0.0.1:%d", c.ports.etcdPeer)
	flag := func(name string, value any) string { return fmt.Sprintf("--%s=%v", name, value) }
	admin := flag("kubeconfig", c.adminKubeconfig)
	arguments := map[Component][]string{
		Etcd: {
			flag("data-dir", filepath.Join(c.dir, "etcd")), "--unsafe-no-fsync", "--log-level=warn",
			flag("listen-client-urls", etcd), flag("advertise-client-urls", etcd), flag("listen-peer-urls", peer),
			flag("initial-advertise-peer-urls", peer), flag("initial-cluster", "default="+peer),
			flag("quota-backend-bytes", int64(8)<<30),
		},
		APIServer: {
			flag("etcd-servers", etcd), "--bind-address=127.0.0.1", flag("secure-port", c.ports.apiserver),
			flag("cert-dir", c.credentials.dir),
			flag("tls-cert-file", c.credentials.servingCertificateFile()),
			flag("tls-private-key-file", c.credentials.servingKeyFile()),
			flag("service-account-key-file", c.credentials.serviceAccountKeyFile()),
			flag("service-account-signing-key-file", c.credentials.serviceAccountKeyFile()),
			"--service-account-issuer=https://kubernetes.default.svc",
			flag("token-auth-file", c.credentials.tokensFile()), "--authorization-mode=RBAC",
			"--service-cluster-ip-range=10.96.0.0/16", "--disable-admission-plugins=ServiceAccount",
			"--endpoint-reconciler-type=none", "--max-requests-inflight=2000", "--max-mutating-requests-inflight=1000",
		},
		ControllerManager: {
			admin, "--leader-elect=true", "--bind-address=127.0.0.1", flag("secure-port", c.ports.controllerManager),
			flag("cert-dir", filepath.Join(c.dir, string(ControllerManager)+".certificates")),
			flag("service-account-private-key-file", c.credentials.serviceAccountKeyFile()),
			"--node-monitor-period=1s", flag("node-monitor-grace-period", c.options.NodeMonitorGracePeriod),
			"--kube-api-qps=500", "--kube-api-burst=1000",
		},
		Scheduler: {
			admin, "--leader-elect=true", "--bind-address=127.0.0.1", flag("secure-port", c.ports.scheduler),
			flag("cert-dir", filepath.Join(c.dir, string(Scheduler)+".certificates")),
			"--kube-api-qps=500", "--kube-api-burst=1000",
		},
		Kubelets: {
			admin, flag("config", filepath.Join(c.dir, "stages.yaml")),
			flag("manage-nodes-with-label-selector", kubeletLabel+"="+kubeletAlive),
			flag("node-lease-duration-seconds", int(c.options.NodeLeaseDuration/time.Second)),
			flag("server-address", "127.0.0.1:"+strconv.Itoa(c.ports.kubelets)), "--cidr=10.64.0.0/10",
		},
	}
	for component, extra := range c.options.ExtraFlags {
		arguments[component] = append(arguments[component], extra...)
	}
	return arguments
}

// newProcesses prepares every component without starting any.
func (c *Cluster) newProcesses(binaries string) (map[Component]*process, error) {
	logs := filepath.Join(c.dir, "logs")
	if err := os.MkdirAll(logs, 0o755); err != nil {
		return nil, fmt.Errorf("cannot create the directory of the logs: %w", err)
	}
	arguments := c.arguments()
	processes := map[Component]*process{}
	for _, component := range components() {
		processes[component] = &process{
			name:    string(component),
			path:    filepath.Join(binaries, string(component)),
			args:    arguments[component],
			log:     filepath.Join(logs, string(component)+".log"),
			spawner: c.spawner,
		}
	}
	return processes, nil
}
