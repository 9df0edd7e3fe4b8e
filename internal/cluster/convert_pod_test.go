// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"stability-exporter/internal/state"
)

const examplePod = `{
 "metadata": {
  "name": "web-1", "namespace": "shop", "uid": "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
  "creationTimestamp": "2026-01-02T03:04:05Z", "deletionTimestamp": "2026-01-02T05:00:00Z", "finalizers": ["a/b"],
  "labels": {"app": "web", "controller-revision-hash": "web-6d4b", "statefulset.kubernetes.io/pod-name": "web-1"},
  "ownerReferences": [{"kind": "Foo", "name": "foo", "uid": "x"},
   {"kind": "StatefulSet", "name": "web", "uid": "6ba7b811-9dad-11d1-80b4-00c04fd430c8", "controller": true}]
 },
 "spec": {
  "nodeName": "node-a", "restartPolicy": "Never",
  "initContainers": [{"name": "proxy", "image": "ghcr.io/x/proxy@sha256:00", "restartPolicy": "Always", "startupProbe": {}},
   {"name": "migrate", "image": "migrate:1"}],
  "containers": [{"name": "main", "image": "reg:5000/web:2", "readinessProbe": {}}, {"name": "new", "image": "localhost/new"}],
  "ephemeralContainers": [{"name": "debugger", "image": "busybox"}]
 },
 "status": {
  "phase": "Running", "reason": "Evil reason\n",
  "conditions": [
   {"type": "Ready", "status": "False", "lastTransitionTime": "2026-01-02T03:05:00Z"},
   {"type": "ContainersReady", "status": "Unknown"}, {"type": "PodReadyToStartContainers", "status": "True"},
   {"type": "Initialized", "status": "True"},
   {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "lastTransitionTime": "2026-01-02T03:04:06Z",
    "message": "0/1 nodes are available: 1 Insufficient cpu."},
   {"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}],
  "initContainerStatuses": [
   {"name": "proxy", "ready": true, "restartCount": 2, "state": {"running": {"startedAt": "2026-01-02T03:04:10Z"}}},
   {"name": "migrate", "state": {"terminated": {"exitCode": 0, "reason": "Completed", "finishedAt": "2026-01-02T03:04:11Z"}}}],
  "containerStatuses": [
   {"name": "main", "restartCount": 7, "started": true, "state": {"waiting": {"reason": "CrashLoopBackOff"}},
    "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled", "startedAt": "2026-01-02T03:04:11Z", "finishedAt": "2026-01-02T03:04:12Z"}}}],
  "ephemeralContainerStatuses": [{"name": "debugger", "restartCount": 9}]
 }
}`

func clock(s string) state.Time {
	t, err := time.Parse(time.TimeOnly, s)
	if err != nil {
		panic(err)
	}
	return state.At(time.Date(2026, 1, 2, t.Hour(), t.Minute(), t.Second(), 0, time.UTC))
}

// compare lets go-cmp look into the types of package state.
func compare[T any](t *testing.T, got, want T) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmp.Exporter(func(reflect.Type) bool { return true })); diff != "" {
		t.Errorf("want -, got +\n%s", diff)
	}
}

func decode[T any](t *testing.T, text string) *T {
	t.Helper()
	object := new(T)
	if err := json.Unmarshal([]byte(text), object); err != nil {
		t.Fatal(err)
	}
	return object
}

func TestConvertPod(t *testing.T) {
	want := &state.Pod{
		Meta: state.Meta{
			Namespace: state.Sym("shop"), Name: "web-1", UID: state.ParseUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8"),
			Created: clock("03:04:05"), Deleted: clock("05:00:00"),
			Owner: state.Owner{Kind: state.Sym("StatefulSet"), Name: state.Sym("web"),
				UID: state.ParseUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")},
		},
		Node: state.Sym("node-a"),
		Labels: state.MakeLabels(map[string]string{
			"app": "web", "controller-revision-hash": "web-6d4b", "statefulset.kubernetes.io/pod-name": "web-1"}),
		Revision: state.Sym("web-6d4b"), Phase: state.PhaseRunning, Reason: state.Sym("Evil_reason_"),
		Ready: state.False, ContainersReady: state.False, SandboxReady: state.True, Initialized: state.True,
		Scheduled: state.False, ReadySince: clock("03:05:00"), ScheduledReason: state.Sym("Unschedulable"),
		ScheduledSince: clock("03:04:06"), Blocker: state.Sym("cpu"), Disruption: state.Sym("PreemptionByScheduler"),
		HasFinalizers: true, RestartNever: true,
		Containers: []state.Container{
			{Name: state.Sym("proxy"), Registry: state.Sym("ghcr.io"), Type: state.SidecarContainer, HasStart: true, Ready: true,
				Restarts: 2, State: state.StateRunning, Since: clock("03:04:10")},
			{Name: state.Sym("migrate"), Registry: state.Sym("docker.io"), Type: state.InitContainer,
				State: state.StateTerminated, Reason: state.Sym("Completed"), Since: clock("03:04:11")},
			{Name: state.Sym("main"), Registry: state.Sym("reg:5000"), HasReady: true, Restarts: 7, Started: true,
				State: state.StateWaiting, Reason: state.Sym("CrashLoopBackOff"),
				Last: state.Termination{Reason: state.Sym("OOMKilled"), ExitCode: 137, Started: clock("03:04:11"), Finished: clock("03:04:12")}},
			{Name: state.Sym("new"), Registry: state.Sym("localhost")},
		},
	}
	compare(t, convertPod(decode[corev1.Pod](t, examplePod), convertOptions{}), want)
}

func TestConvertPodBringsAbsurdValuesIntoRange(t *testing.T) {
	p := decode[corev1.Pod](t, examplePod)
	p.Name = strings.Repeat("é", 500)
	p.Labels = map[string]string{"a=b": "1", "c": "x\ny=z", "ok": "v"}
	p.Status.Reason = strings.Repeat("r", 500)
	p.CreationTimestamp.Time = time.Unix(math.MaxInt64, 0)
	p.DeletionTimestamp = &metav1.Time{Time: time.Unix(math.MinInt64, 0)}
	p.Status.ContainerStatuses[0].RestartCount = -5
	p.Spec.Containers = append(p.Spec.Containers, make([]corev1.Container, 1e5)...)

	pod := convertPod(p, convertOptions{})
	if len(pod.Name) != 252 || len(pod.Reason.String()) != maxReason || pod.Labels != state.MakeLabels(map[string]string{"ok": "v"}) {
		t.Errorf("name of %d, reason of %d bytes, labels %v; want 252, 64, ok=v", len(pod.Name), len(pod.Reason.String()), pod.Labels)
	}
	if pod.Created != maxTime || pod.Deleted != 1 {
		t.Errorf("created %d, deleted %d; want both in range and set", pod.Created, pod.Deleted)
	}
	if len(pod.Containers) != 2+maxContainers || pod.Containers[2].Restarts != 0 {
		t.Errorf("%d containers, %d restarts; want %d and 0", len(pod.Containers), pod.Containers[2].Restarts, 2+maxContainers)
	}
}

func TestRegistry(t *testing.T) {
	for image, want := range map[string]string{
		"":                              "docker.io",
		"nginx":                         "docker.io",
		"nginx:1.27":                    "docker.io",
		"library/nginx":                 "docker.io",
		"index.docker.io/library/x":     "docker.io",
		"nginx@sha256:0123":             "docker.io",
		"reg:5000/img":                  "reg:5000",
		"localhost/img":                 "localhost",
		"Quay.io/a/b@sha256:0":          "quay.io",
		"[::1]:5000/img":                "[::1]:5000",
		"user:pass@reg.local/img":       "invalid",
		"a\nb.c/img":                    "invalid",
		strings.Repeat("a.", 500) + "/": "invalid",
	} {
		if got := registry(image); got != want {
			t.Errorf("registry of %q is %q; want %q", image, got, want)
		}
	}
}

func TestConvertPodWithoutAnything(t *testing.T) {
	compare(t, convertPod(&corev1.Pod{}, convertOptions{}), &state.Pod{Containers: []state.Container{},
		Alone: &state.Alone{Template: &state.Template{Grace: 30 * time.Second, Containers: []state.ContainerSpec{}}}})
}

// FuzzConvertPod looks for panics and for values outside the range that package state relies on.
func FuzzConvertPod(f *testing.F) {
	f.Add([]byte(examplePod))
	p := &corev1.Pod{}
	if err := json.Unmarshal([]byte(examplePod), p); err != nil {
		f.Fatal(err)
	}
	wire, err := p.Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(wire)
	f.Fuzz(func(t *testing.T, data []byte) {
		p := &corev1.Pod{}
		if json.Unmarshal(data, p) != nil {
			p = &corev1.Pod{}
			if p.Unmarshal(data) != nil {
				return
			}
		}
		pod := convertPod(p, convertOptions{Live: true})
		if len(pod.Name) > maxName || len(pod.Reason.String()) > maxReason || len(pod.Containers) > 2*maxContainers {
			t.Errorf("name of %d bytes, reason of %d, %d containers", len(pod.Name), len(pod.Reason.String()), len(pod.Containers))
		}
		for _, moment := range []state.Time{pod.Created, pod.Deleted, pod.ReadySince, pod.ScheduledSince} {
			if moment < 0 || moment > maxTime {
				t.Errorf("time %d is out of range", moment)
			}
		}
		if p.DeletionTimestamp != nil && !p.DeletionTimestamp.IsZero() && pod.Deleted == 0 {
			t.Error("a pod that is being deleted does not look so")
		}
		for _, c := range pod.Containers {
			if c.Restarts < 0 || c.Since < 0 || c.Last.Finished < 0 || c.Registry.String() == "" {
				t.Errorf("container %+v is out of range", c)
			}
		}
	})
}
