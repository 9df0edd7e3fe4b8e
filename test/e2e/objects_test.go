// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"stability-exporter/test/cluster"
	"stability-exporter/test/exporterproc"
	"stability-exporter/test/sandbox"
)

// nodesOf lists the names of the nodes of a zone.
func nodesOf(t *testing.T, zone string) []string {
	t.Helper()
	list, err := client().CoreV1().Nodes().List(t.Context(), metav1.ListOptions{LabelSelector: corev1.LabelTopologyZone + "=" + zone})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, node := range list.Items {
		names = append(names, node.Name)
	}
	return names
}

// awaitNode waits until a scrape says everything expected of a node or zone.
func awaitNode(t *testing.T, what string, expected ...sample) {
	t.Helper()
	(&space{&sandbox.Space{T: t}}).await(what, func(m exporterproc.Metrics) error {
		for _, e := range expected {
			err := m.Expect(e.want, e.name, e.labels...)
			if e.want == none {
				err = m.ExpectNone(e.name, e.labels...)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func TestDeadNode(t *testing.T) {
	s := newSpace(t)
	nodes := nodesOf(t, doomedZone)
	s.Deployment("web", 4, appsv1.DeploymentStrategy{}, sandbox.InZone(doomedZone), sandbox.Spread)
	s.DaemonSet("agent", "1", "0", sandbox.InZone(doomedZone))
	s.DaemonSet("network", "1", "0", sandbox.InZone(doomedZone), func(t *corev1.PodTemplateSpec) {
		t.Spec.Tolerations = []corev1.Toleration{{Operator: corev1.TolerationOpExists}}
	})
	s.Service("web", map[string]string{"app": "web"})
	s.awaitHealthy(4, "web")
	s.awaitHealthy(2, "agent", "network")
	s.awaitSamples("two nodes with half of it each",
		is(0.5, "stability_workload_survivable_ratio", "workload", "web", "topology", "node"),
		is(0, "stability_workload_survivable_ratio", "workload", "web", "topology", "zone"),
		is(4, "stability_workload_zone_available_replicas", "workload", "web", "zone", doomedZone),
		is(4, "stability_service_ready_endpoints", "service", "web"))
	if err := shared.cluster.FailNode(t.Context(), nodes[0]); err != nil {
		t.Fatal(err)
	}
	if err := shared.cluster.AwaitNode(t.Context(), nodes[0], corev1.ConditionUnknown); err != nil {
		t.Fatal(err)
	}
	awaitNode(t, "the zone with a dead node",
		is(0, "stability_node_ready", "node", nodes[0], "zone", doomedZone),
		is(1, "stability_node_ready", "node", nodes[1], "zone", doomedZone),
		is(1, "stability_zone_unhealthy_nodes", "zone", doomedZone),
		is(0.5, "stability_zone_healthy_ratio", "zone", doomedZone),
		is(1, "stability_zone_healthy_ratio", "zone", "a"))
	s.awaitSamples("what ran on the dead node",
		is(1, "stability_workload_state", "workload", "web", "state", "degraded"),
		is(2, "stability_workload_unavailable_replicas", "workload", "web", "cause", "node_not_ready"),
		is(2, "stability_service_ready_endpoints", "service", "web"),
		// A dead node is not told once more by every DaemonSet. One that tolerates its taint still wants a pod there.
		is(1, "stability_workload_desired_replicas", "workload", "agent"),
		is(0, "stability_workload_state", "workload", "agent", "state", "degraded"),
		is(2, "stability_workload_desired_replicas", "workload", "network"),
		is(1, "stability_workload_unavailable_replicas", "workload", "network", "cause", "node_not_ready"),
		is(1, "stability_workload_on_ready_nodes_replicas", "workload", "network", "state", "desired"),
		is(1, "stability_workload_on_ready_nodes_replicas", "workload", "network", "state", "available"),
		is(0, "stability_workload_state", "workload", "network", "state", "degraded"))
	if err := shared.cluster.RecoverNode(t.Context(), nodes[0]); err != nil {
		t.Fatal(err)
	}
	awaitNode(t, "the zone to recover", is(1, "stability_zone_healthy_ratio", "zone", doomedZone))
	s.awaitHealthy(4, "web")
	s.awaitHealthy(2, "agent", "network")
}

func TestBudgets(t *testing.T) {
	s := newSpace(t)
	for _, name := range []string{"strict", "loose", "tight"} {
		s.Deployment(name, 2, appsv1.DeploymentStrategy{})
	}
	s.Budget("strict", 2)
	s.Budget("loose", 1)
	s.Budget("tight", 1)
	s.Budget("nobody", 1)
	s.awaitHealthy(2, "strict", "loose", "tight")
	s.awaitSamples("two budgets that block",
		is(1, "stability_pdb_blocking", "poddisruptionbudget", "strict", "cause", "config"),
		is(1, "stability_pdb_blocking", "poddisruptionbudget", "nobody", "cause", "orphan"),
		no("stability_pdb_blocking", "poddisruptionbudget", "loose"), no("stability_pdb_blocking", "poddisruptionbudget", "tight"))
	loose, tight := s.Pods("loose"), s.Pods("tight")
	s.Behave(cluster.NeverReady, loose[0], tight[0], tight[1])
	s.awaitSamples("budgets without a pod to spare",
		is(1, "stability_pdb_blocking", "poddisruptionbudget", "loose", "cause", "at_limit"),
		is(1, "stability_pdb_blocking", "poddisruptionbudget", "tight", "cause", "unhealthy"))
	s.Behave("", loose[0], tight[0], tight[1])
	s.Kubectl("delete", "pdb", "strict", "nobody")
	s.awaitSamples("nothing that blocks", no("stability_pdb_blocking"))
}

func TestDrainHeldUpByABudget(t *testing.T) {
	s := newSpace(t)
	s.Deployment("web", 2, appsv1.DeploymentStrategy{}, sandbox.InZone(drainedZone), sandbox.Spread)
	s.Budget("web", 2)
	s.awaitHealthy(2, "web")
	pod := s.Pods("web")[0]
	node := pod.Spec.NodeName
	labels := []string{"node", node, "zone", drainedZone}
	awaitNode(t, "a node that nobody drains",
		is(0, "stability_node_cordoned", labels...), no("stability_node_drain_blocked_pods", labels...))

	s.Kubectl("cordon", node)
	awaitNode(t, "the cordoned node",
		is(1, "stability_node_cordoned", labels...), is(1, "stability_node_ready", labels...),
		is(1, "stability_zone_nodes", "zone", drainedZone, "class", "cordoned"),
		is(1, "stability_zone_healthy_ratio", "zone", drainedZone),
		is(1, "stability_node_drain_blocked_pods", labels...))
	if line := s.Kubectl("get", "node", node, "--no-headers"); !strings.Contains(line, "Ready,SchedulingDisabled") {
		t.Errorf("kubectl shows the cordoned node as %q", line)
	}
	eviction := &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: pod.Name, Namespace: s.Name}}
	if err := client().PolicyV1().Evictions(s.Name).Evict(t.Context(), eviction); !apierrors.IsTooManyRequests(err) {
		t.Errorf("an eviction that the exporter calls blocked gives %v", err)
	}
	s.awaitSamples("no damage", is(1, "stability_workload_state", "workload", "web", "state", "healthy"))

	s.Patch("pdb/web", object{"spec": object{"minAvailable": 1}})
	s.awaitSamples("a budget that lets the drain go on", no("stability_pdb_blocking"))
	awaitNode(t, "the drain to be free", no("stability_node_drain_blocked_pods", labels...))
	s.Kubectl("drain", node, "--pod-selector=app=web", "--timeout="+patience.String())
	s.awaitPodsElsewhere("web", node)
	s.Kubectl("uncordon", node)
	awaitNode(t, "the node in use", is(0, "stability_node_cordoned", labels...))
}

// awaitPodsElsewhere: the drained pod cannot come back, because the node is cordoned and the pods spread over both.
func (s *space) awaitPodsElsewhere(app, node string) {
	s.T.Helper()
	err := cluster.Await(s.T.Context(), patience, "the pods to leave "+node, func(context.Context) (bool, error) {
		for _, pod := range s.Pods(app) {
			if pod.Spec.NodeName == node {
				return false, nil
			}
		}
		return true, nil
	})
	if err != nil {
		s.T.Fatal(err)
	}
	s.awaitSamples("the eviction to be counted",
		is(1, "stability_workload_pod_disruptions_total", "workload", app, "reason", "EvictionAPI"))
}

func TestServiceWithMistypedSelector(t *testing.T) {
	s := newSpace(t)
	s.Deployment("web", 2, appsv1.DeploymentStrategy{})
	s.Service("web", map[string]string{"app": "web"})
	s.Service("typo", map[string]string{"app": "wbe"})
	s.awaitHealthy(2, "web")
	s.awaitSamples("a Service that never had an endpoint",
		is(2, "stability_service_ready_endpoints", "service", "web"),
		is(0, "stability_service_ready_endpoints", "service", "typo"),
		is(1, "stability_service_no_endpoints", "service", "typo", "cause", "no_matching_pods"),
		no("stability_service_no_endpoints", "service", "web"),
		no("stability_service_endpoints_lost"))
	s.Patch("service/web", object{"spec": object{"selector": object{"app": "wbe"}}})
	s.Patch("service/typo", object{"spec": object{"selector": object{"app": "web"}}})
	s.awaitSamples("the mistake in the other Service",
		is(1, "stability_service_endpoints_lost", "service", "web", "cause", "no_matching_pods"),
		is(2, "stability_service_ready_endpoints", "service", "typo"), no("stability_service_no_endpoints", "service", "typo"))
	s.Patch("service/web", object{"spec": object{"selector": object{"app": "web"}}})
	s.awaitSamples("both mended", no("stability_service_no_endpoints"), no("stability_service_endpoints_lost"))
}

func TestCronJobs(t *testing.T) {
	s := newSpace(t)
	pod := sandbox.Template("report", sandbox.Behaving(cluster.Failed))
	pod.Spec.RestartPolicy = corev1.RestartPolicyNever
	suspended := true
	_, err := client().BatchV1().CronJobs(s.Name).Create(t.Context(), &batchv1.CronJob{
		ObjectMeta: metav1.ObjectMeta{Name: "report"},
		Spec: batchv1.CronJobSpec{
			Schedule: "0 3 * * *", Suspend: &suspended,
			JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{Template: pod, BackoffLimit: new(int32)}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s.awaitSamples("no word before the first run", no("stability_cronjob_last_run_failed"))
	s.Kubectl("create", "job", "first", "--from=cronjob/report")
	s.awaitSamples("the failed run", is(1, "stability_cronjob_last_run_failed", "workload", "report", "workload_type", "cronjob"))
	s.Patch("cronjob/report", object{"spec": object{"jobTemplate": object{"spec": object{"template": object{
		"metadata": object{"labels": object{cluster.BehaviourLabel: nil}}}}}}})
	s.Kubectl("create", "job", "second", "--from=cronjob/report")
	s.awaitSamples("the run that went well", is(0, "stability_cronjob_last_run_failed", "workload", "report"))
}
