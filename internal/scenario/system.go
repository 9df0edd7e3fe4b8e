// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"fmt"
	"time"
)

const kubeSystem = "kube-system"

// addDaemonSet adds a DaemonSet of kube-system with one pod on each of the nodes.
func (b *builder) addDaemonSet(name, image string, nodes []*node) []pod {
	const age = 27 * 24 * time.Hour
	labels := Object{"k8s-app": name}
	c := container(name, image, 9099)
	delete(c, "env")
	spec := podSpec(labels, c)
	delete(spec, "topologySpreadConstraints")
	spec["tolerations"] = []any{Object{"operator": "Exists"}}
	spec["priorityClassName"] = "system-node-critical"
	hash := suffix(9, name, "revision")
	var pods []pod
	for _, n := range nodes {
		p := pod{
			namespace: kubeSystem, name: name + "-" + suffix(5, name, n.name),
			labels: Object{"k8s-app": name, "controller-revision-hash": hash, "pod-template-generation": "1"},
			owner:  owner("apps/v1", "DaemonSet", kubeSystem, name), spec: spec, age: age, node: n,
		}
		b.addPod(p)
		pods = append(pods, p)
	}
	total, available := len(pods), countAvailable(pods)
	b.addRevision("DaemonSet", kubeSystem, name, name+"-"+hash, age)
	b.add("daemonsets", "apps/v1", "DaemonSet", kubeSystem, name, age, Object{
		"metadata": Object{"generation": 1, "labels": labels},
		"spec": Object{
			"selector":       Object{"matchLabels": labels},
			"updateStrategy": Object{"type": "RollingUpdate", "rollingUpdate": Object{"maxSurge": 0, "maxUnavailable": 1}},
			"template":       Object{"metadata": Object{"labels": labels}, "spec": spec},
		},
		"status": Object{
			"observedGeneration": 1, "desiredNumberScheduled": total, "currentNumberScheduled": total,
			"updatedNumberScheduled": total, "numberReady": available, "numberAvailable": available,
			"numberUnavailable": total - available, "numberMisscheduled": 0,
		},
	})
	return pods
}

// addControlPlane adds the static pods of the control plane nodes and the leases of those components that elect one.
func (b *builder) addControlPlane(nodes []*node) {
	const age = 27 * 24 * time.Hour
	for _, n := range nodes {
		for i, component := range []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"} {
			port := []int{2381, 6443, 10257, 10259}[i]
			c := container(component, "registry.k8s.io/"+component+":v1.34.4", port)
			delete(c, "env")
			delete(c, "lifecycle")
			labels := Object{"component": component, "tier": "control-plane"}
			spec := podSpec(labels, c)
			delete(spec, "topologySpreadConstraints")
			spec["hostNetwork"], spec["priorityClassName"] = true, "system-node-critical"
			spec["tolerations"] = []any{Object{"operator": "Exists", "effect": "NoExecute"}}
			b.addPod(pod{
				namespace: kubeSystem, name: component + "-" + n.name, labels: labels,
				owner: owner("v1", "Node", "", n.name), spec: spec, age: age, node: n,
			})
		}
	}
	holder := nodes[0].name + "_" + uid("leader", nodes[0].name)
	b.addLease(kubeSystem, "kube-scheduler", holder, 15, age, time.Second)
	b.addLease(kubeSystem, "kube-controller-manager", holder, 15, age, 0)
}

// addService adds a Service and the EndpointSlice that follows from its selector.
func (b *builder) addService(namespace, name string, selector Object, pods []pod) {
	const age = 26 * 24 * time.Hour
	b.add("services", "v1", "Service", namespace, name, age, Object{
		"spec": Object{
			"type": "ClusterIP", "clusterIP": "10.96." + ordinal(namespace, name), "selector": selector,
			"ports": []any{Object{"name": "http", "port": appPort, "targetPort": "http", "protocol": "TCP"}},
		},
	})
	var endpoints []any
	for _, p := range pods {
		if p.node == nil || !selects(selector, p.labels) {
			continue
		}
		ready := p.available()
		endpoints = append(endpoints, Object{
			"addresses":  []any{"10.244." + ordinal(p.namespace, p.name)},
			"conditions": Object{"ready": ready, "serving": ready, "terminating": false},
			"nodeName":   p.node.name, "zone": p.node.zone,
			"targetRef": Object{"kind": "Pod", "namespace": p.namespace, "name": p.name, "uid": uid("Pod", p.namespace, p.name)},
		})
	}
	slice := Object{
		"metadata": Object{
			"labels":          Object{"kubernetes.io/service-name": name, "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"},
			"ownerReferences": owner("v1", "Service", namespace, name),
		},
		"addressType": "IPv4", "endpoints": endpoints, "ports": nil,
	}
	if endpoints != nil {
		slice["ports"] = []any{Object{"name": "http", "port": appPort, "protocol": "TCP"}}
	}
	b.add("endpointslices", "discovery.k8s.io/v1", "EndpointSlice", namespace, name+"-"+suffix(5, "slice", name), age, slice)
}

func selects(selector, labels Object) bool {
	for k, v := range selector {
		if labels[k] != v {
			return false
		}
	}
	return true
}

// addBudget adds a PodDisruptionBudget over so many expected pods, of which so many are healthy.
func (b *builder) addBudget(namespace, name string, spec Object, expected, healthy int) {
	const age = 20 * 24 * time.Hour
	desired := expected - 1
	if least, ok := spec["minAvailable"].(int); ok {
		desired = least
	}
	allowed, status, reason := max(healthy-desired, 0), "True", "SufficientPods"
	if expected == 0 {
		desired, allowed = 0, 0
	}
	if allowed == 0 {
		status, reason = "False", "InsufficientPods"
	}
	b.add("poddisruptionbudgets", "policy/v1", "PodDisruptionBudget", namespace, name, age, Object{
		"metadata": Object{"generation": 1},
		"spec":     spec,
		"status": Object{
			"observedGeneration": 1, "expectedPods": expected, "currentHealthy": healthy, "desiredHealthy": desired,
			"disruptionsAllowed": allowed, "conditions": []any{condition("DisruptionAllowed", status, reason, b.ago(time.Hour))},
		},
	})
}

// addAutoscaler adds a HorizontalPodAutoscaler of a Deployment; limited is the reason for which it stops short.
func (b *builder) addAutoscaler(namespace, name string, least, most, current int, limited string) {
	status, reason := "False", "DesiredWithinRange"
	if limited != "" {
		status, reason = "True", limited
	}
	since := b.ago(3 * time.Hour)
	b.add("horizontalpodautoscalers", "autoscaling/v2", "HorizontalPodAutoscaler", namespace, name, 20*24*time.Hour, Object{
		"spec": Object{
			"minReplicas": least, "maxReplicas": most,
			"scaleTargetRef": Object{"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
			"metrics": []any{Object{"type": "Resource", "resource": Object{
				"name": "cpu", "target": Object{"type": "Utilization", "averageUtilization": 60},
			}}},
		},
		"status": Object{
			"currentReplicas": current, "desiredReplicas": current, "lastScaleTime": since,
			"conditions": []any{
				condition("AbleToScale", "True", "ReadyForNewScale", since),
				condition("ScalingActive", "True", "ValidMetricFound", since), condition("ScalingLimited", status, reason, since),
			},
		},
	})
}

// addCronJob adds a CronJob that runs every night and its last Job, which ended well or not.
func (b *builder) addCronJob(namespace, name string, node *node, failed bool) {
	const age = 20 * 24 * time.Hour
	const ran = 7 * time.Hour
	labels := Object{"job": name}
	c := container("settle", registry+name+":6.5.1", appPort)
	for _, key := range []string{"ports", "lifecycle", "startupProbe", "readinessProbe", "livenessProbe"} {
		delete(c, key)
	}
	spec := podSpec(labels, c)
	delete(spec, "topologySpreadConstraints")
	spec["restartPolicy"] = "Never"
	job := Object{"backoffLimit": 0, "template": Object{"metadata": Object{"labels": labels}, "spec": spec}}
	b.add("cronjobs", "batch/v1", "CronJob", namespace, name, age, Object{
		"spec": Object{
			"schedule": "0 2 * * *", "timeZone": "Asia/Shanghai", "concurrencyPolicy": "Forbid", "suspend": false,
			"jobTemplate": Object{"spec": job},
		},
		"status": Object{"lastScheduleTime": b.ago(ran)},
	})
	run := name + "-29540280"
	status := Object{"startTime": b.ago(ran), "succeeded": 1, "completionTime": b.ago(ran - time.Minute),
		"conditions": []any{condition("Complete", "True", "CompletionsReached", b.ago(ran-time.Minute))}}
	if failed {
		status = Object{"startTime": b.ago(ran), "failed": 1,
			"conditions": []any{condition("Failed", "True", "BackoffLimitExceeded", b.ago(ran-time.Minute))}}
		b.addPod(pod{
			namespace: namespace, name: run + "-" + suffix(5, run), labels: labels, owner: owner("batch/v1", "Job", namespace, run),
			spec: spec, age: ran, node: node, state: podFailed,
		})
	}
	b.add("jobs", "batch/v1", "Job", namespace, run, ran, Object{
		"metadata": Object{"labels": labels, "ownerReferences": owner("batch/v1", "CronJob", namespace, name)},
		"spec":     job, "status": status,
	})
}

// ordinal returns the last two numbers of an address.
func ordinal(parts ...string) string {
	sum := hash(parts...)
	return fmt.Sprintf("%d.%d", sum[0], sum[1])
}
