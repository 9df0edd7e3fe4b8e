// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"stability-exporter/test/cluster"
	"stability-exporter/test/exporterproc"
)

// What kubelets tell of probes in Events is read where that is granted. The kubelets here are simulated: the Events are written
// as a kubelet writes them.
func TestEventsOfProbes(t *testing.T) {
	s := newSpace(t)
	s.Deployment("web", 2, appsv1.DeploymentStrategy{})
	s.awaitHealthy(2, "web")
	const identity = "exporter-5"
	rules, err := exporterproc.DefaultRules()
	must(t, err)
	rules = append(rules, rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"events"}, Verbs: []string{"list", "watch"}})
	must(t, exporterproc.GrantRules(t.Context(), shared.cluster, identity, rules))
	kubeconfig, err := shared.cluster.Kubeconfig(identity)
	must(t, err)
	config := filepath.Join(t.TempDir(), "config.yaml")
	must(t, os.WriteFile(config, []byte("checks:\n  events: true\n"), 0o644))
	p := exporterproc.Start(t, shared.binary, "--kubeconfig="+kubeconfig, "--namespace="+s.Name, "--config.file="+config)
	p.AwaitReady(t)

	pods := s.Pods("web")
	s.Behave(cluster.NeverReady, pods[0])
	tell := func(pod corev1.Pod, reason, message string) {
		now := metav1.Now()
		_, err := s.Client().CoreV1().Events(s.Name).Create(t.Context(), &corev1.Event{
			ObjectMeta:     metav1.ObjectMeta{GenerateName: pod.Name + "."},
			InvolvedObject: corev1.ObjectReference{Kind: "Pod", Namespace: s.Name, Name: pod.Name, UID: pod.UID, FieldPath: "spec.containers{app}"},
			Reason:         reason, Message: message, Type: corev1.EventTypeWarning, FirstTimestamp: now, LastTimestamp: now, Count: 1,
			Source: corev1.EventSource{Component: "kubelet", Host: pod.Spec.NodeName},
		}, metav1.CreateOptions{})
		must(t, err)
	}
	tell(pods[0], "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503")
	tell(pods[1], "Unhealthy", `Liveness probe errored and resulted in unknown state: strconv.Atoi: parsing "http": invalid syntax`)
	tell(pods[1], "ProbeWarning", "Liveness probe warning: Probe terminated redirects")
	tell(pods[0], "BackOff", "Back-off restarting failed container")
	p.Await(t, 30*time.Second, "what the kubelets tell of probes", func(m exporterproc.Metrics) error {
		for _, check := range []string{"probe_currently_failing", "probe_errored", "probe_redirect"} {
			if err := m.Expect(1, "stability_misconfiguration", "check", check, "namespace", s.Name, "workload", "web", "container", "app"); err != nil {
				return fmt.Errorf("%s: %w", check, err)
			}
		}
		return nil
	})
	p.Stop(t)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
