// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"stability-exporter/test/exporterproc"
)

// Middleware is found by an annotation and by a rule, under names that outlive the pods, with the rights of the default role; what leads anywhere but
// to pods is refused. Nothing is asked: the simulated pods have addresses that nobody listens on, and that are not ours.
func TestMiddlewareIsDiscovered(t *testing.T) {
	s := newSpace(t)
	s.StatefulSet("cache", 2)
	s.StatefulSet("bus", 1)
	s.service("cache", map[string]string{"app": "cache"}, corev1.ClusterIPNone, map[string]string{"stability-exporter/probe": "redis", "stability-exporter/port": "80"}, nil)
	s.service("cache-read", map[string]string{"app": "cache"}, "", map[string]string{"stability-exporter/port": "80"}, map[string]string{"app.kubernetes.io/name": "redis"})
	s.service("queue", map[string]string{"app": "bus"}, "", map[string]string{"stability-exporter/port": "main"}, map[string]string{"app.kubernetes.io/name": "rabbitmq"})
	s.service("elsewhere", nil, "", map[string]string{"stability-exporter/probe": "mysql"}, nil)
	const identity = "exporter-6"
	kubeconfig, err := exporterproc.Grant(t.Context(), shared.cluster, identity)
	must(t, err)
	config := filepath.Join(t.TempDir(), "config.yaml")
	must(t, os.WriteFile(config, []byte(`
middleware:
  discovery:
    enabled: true
    rules:
      - {kind: redis, match: {name: redis}}
      - {kind: rabbitmq, match: {name: rabbitmq}}
`), 0o644))
	p := exporterproc.Start(t, shared.binary, "--kubeconfig="+kubeconfig, "--namespace="+s.Name, "--config.file="+config, "--no-collector.middleware")
	p.AwaitReady(t)
	want := []string{s.Name + ".cache/cache-0", s.Name + ".cache/cache-1", s.Name + ".queue/bus-0"}
	awaitTargets(t, p, want)
	// The pods go and others come in their place: the names stay, also while there are fewer pods than there should be.
	began := time.Now()
	for _, pod := range s.Pods("cache") {
		s.Kubectl("delete", "pod", pod.Name, "--wait=false")
	}
	often := time.NewTicker(time.Second)
	defer often.Stop()
	for range often.C {
		if time.Since(began) > 15*time.Second { // longer than it takes to look again
			break
		}
		names, err := targetsOf(t.Context(), p)
		must(t, err)
		if !slices.Equal(names, want) {
			t.Fatalf("while pods are replaced the targets are %v, want %v", names, want)
		}
	}
	s.Kubectl("annotate", "service", "cache", "stability-exporter/probe=false", "--overwrite")
	awaitTargets(t, p, []string{s.Name + ".cache-read/cache-0", s.Name + ".cache-read/cache-1", s.Name + ".queue/bus-0"})
	s.Scale("statefulset/bus", 0)
	awaitTargets(t, p, []string{s.Name + ".cache-read/cache-0", s.Name + ".cache-read/cache-1"})
	p.Stop(t)
}

// service creates a Service of port 80.
func (s *space) service(name string, selector map[string]string, clusterIP string, annotations, labels map[string]string) {
	s.T.Helper()
	_, err := s.Client().CoreV1().Services(s.Name).Create(s.T.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: annotations, Labels: labels},
		Spec:       corev1.ServiceSpec{Selector: selector, ClusterIP: clusterIP, Ports: []corev1.ServicePort{{Name: "main", Port: 80}}},
	}, metav1.CreateOptions{})
	must(s.T, err)
}

// targetsOf asks for the targets as Prometheus does for http_sd_configs.
func targetsOf(ctx context.Context, p *exporterproc.Process) ([]string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.Addr()+"/sd", nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	var groups []struct{ Targets []string }
	if err := json.Unmarshal(text, &groups); err != nil {
		return nil, fmt.Errorf("%w in %s", err, text)
	}
	var names []string
	for _, g := range groups {
		names = append(names, g.Targets...)
	}
	slices.Sort(names)
	return names, nil
}

func awaitTargets(t *testing.T, p *exporterproc.Process, want []string) {
	t.Helper()
	must(t, p.Daemon.Await(t.Context(), patience, fmt.Sprint("the targets ", want), func(ctx context.Context) error {
		names, err := targetsOf(ctx, p)
		if err == nil && !slices.Equal(names, want) {
			err = fmt.Errorf("the targets are %v", names)
		}
		return err
	}))
}
