// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Kill ends a component at once, as a crash of its machine would; it stays down until Restart.
func (c *Cluster) Kill(component Component) error {
	process, err := c.process(component)
	if err != nil {
		return err
	}
	c.pauseSimulator(component, true)
	process.kill()
	return nil
}

// Freeze stops a component in the middle of what it does; its connections stay open and nothing answers. A frozen
// controller manager or scheduler that resumes after its lease has run out ends and is started again.
func (c *Cluster) Freeze(component Component) error {
	process, err := c.process(component)
	if err != nil {
		return err
	}
	c.pauseSimulator(component, true)
	return process.freeze()
}

// Resume lets a frozen component go on.
func (c *Cluster) Resume(component Component) error {
	process, err := c.process(component)
	if err != nil {
		return err
	}
	c.pauseSimulator(component, false)
	return process.resume()
}

// Restart kills a component where it runs, starts it on its old address and waits until it answers. A controller
// manager or scheduler then still waits for the lease of its predecessor to run out, up to 15 seconds.
func (c *Cluster) Restart(ctx context.Context, component Component) error {
	process, err := c.process(component)
	if err != nil {
		return err
	}
	process.kill()
	if err := process.start(); err != nil {
		return err
	}
	c.pauseSimulator(component, false)
	return c.waitReady(ctx, component)
}

// pauseSimulator lets the simulator share the fate of the other half of the simulated kubelets.
func (c *Cluster) pauseSimulator(component Component, pause bool) {
	if component == Kubelets {
		c.simulator.paused.Store(pause)
	}
}

// PID is the process id of a component, 0 while it is down.
func (c *Cluster) PID(component Component) int {
	process, err := c.process(component)
	if err != nil {
		return 0
	}
	return process.pid()
}

func (c *Cluster) process(component Component) (*process, error) {
	process := c.processes[component]
	if process == nil {
		return nil, fmt.Errorf("the cluster has no component %q", component)
	}
	return process, nil
}

// startTimeout is generous: a busy machine with two cores takes a multiple of the usual five seconds.
const startTimeout = 90 * time.Second

// waitReady waits until a component says that it is ready.
func (c *Cluster) waitReady(ctx context.Context, component Component) error {
	process := c.processes[component]
	url := map[Component]string{
		Etcd:              fmt.Sprintf("http://127.0.0.1:%d/health", c.ports.etcd),
		APIServer:         c.Server() + "/readyz",
		ControllerManager: fmt.Sprintf("https://127.0.0.1:%d/healthz", c.ports.controllerManager),
		Scheduler:         fmt.Sprintf("https://127.0.0.1:%d/healthz", c.ports.scheduler),
		Kubelets:          fmt.Sprintf("http://127.0.0.1:%d/healthz", c.ports.kubelets),
	}[component]
	// Controller manager and scheduler have made-up certificates of their own; only their health is asked.
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	defer transport.CloseIdleConnections()
	client := &http.Client{Timeout: 2 * time.Second, Transport: transport}
	failures := process.endedByItself()
	err := Await(ctx, startTimeout, string(component)+" to be ready", func(ctx context.Context) (bool, error) {
		if process.endedByItself() > failures+2 {
			return false, fmt.Errorf("%s ends again and again", component)
		}
		return answersOK(ctx, client, url), nil
	})
	if err != nil {
		return fmt.Errorf("cannot start %s: %w\n%s", component, err, process.logTail())
	}
	return nil
}

func answersOK(ctx context.Context, client *http.Client, url string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	response, err := client.Do(request)
	if err != nil {
		return false
	}
	defer func() { _ = response.Body.Close() }()
	return response.StatusCode == http.StatusOK
}

// waitLeaders waits until controller manager and scheduler hold their leases: before that they do nothing.
func (c *Cluster) waitLeaders(ctx context.Context) error {
	return Await(ctx, startTimeout, "controller manager and scheduler to lead", func(ctx context.Context) (bool, error) {
		for _, component := range []Component{ControllerManager, Scheduler} {
			lease, err := c.client.CoordinationV1().Leases(metav1.NamespaceSystem).Get(ctx, string(component), metav1.GetOptions{})
			if err != nil || lease.Spec.HolderIdentity == nil || *lease.Spec.HolderIdentity == "" {
				return false, nil
			}
		}
		return true, nil
	})
}

// awaitInterval is short against what is waited for and long against what the question costs.
const awaitInterval = 100 * time.Millisecond

// Await asks condition again and again until it holds, fails, or timeout has passed; what names the awaited thing in
// the error. A condition that wants to go on asking returns false and no error.
func Await(ctx context.Context, timeout time.Duration, what string, condition func(context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	ticker := time.NewTicker(awaitInterval)
	defer ticker.Stop()
	for {
		done, err := condition(ctx)
		if err != nil {
			return fmt.Errorf("waiting for %s: %w", what, err)
		}
		if done {
			return nil
		}
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return fmt.Errorf("waited %s in vain for %s", timeout, what)
			}
			return fmt.Errorf("waiting for %s: %w", what, ctx.Err())
		case <-ticker.C:
		}
	}
}
