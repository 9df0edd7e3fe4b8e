// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"fmt"
	"maps"
	"time"
)

// podState is what is the matter with a pod.
type podState uint8

const (
	podReady podState = iota
	podUnready
	podCrashLooping
	podImagePull
	podUnschedulable
	podFailed // ended, of a Job
)

// pod is a pod of a workload.
type pod struct {
	namespace, name string
	labels          Object
	owner           []any
	spec            Object // of the template
	node            *node  // nil while it is not scheduled
	age             time.Duration
	state           podState
}

// available reports whether the pod counts as available.
func (p pod) available() bool { return p.state == podReady && p.node.state != nodeLost }

const crashRestarts = 37 // of a crash-looping container

func (b *builder) addPod(p pod) {
	spec := maps.Clone(p.spec)
	spec["serviceAccountName"], spec["schedulerName"] = "default", "default-scheduler"
	if _, set := spec["tolerations"]; !set {
		spec["tolerations"] = []any{
			Object{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300},
			Object{"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300},
		}
	}
	status := Object{"phase": "Pending", "qosClass": qosClass(spec), "conditions": b.podConditions(p)}
	if p.node != nil {
		spec["nodeName"] = p.node.name
		status["hostIP"], status["startTime"] = p.node.address, b.ago(p.age)
		status["containerStatuses"] = b.containerStatuses(p)
		sum := hash(p.namespace, p.name)
		status["podIP"] = fmt.Sprintf("10.244.%s.%d", p.node.name[len(p.node.name)-2:], sum[0])
		switch p.state {
		case podFailed:
			status["phase"] = "Failed"
		case podImagePull:
		default:
			status["phase"] = "Running"
		}
	}
	b.add("pods", "v1", "Pod", p.namespace, p.name, p.age, Object{
		"metadata": Object{"labels": p.labels, "ownerReferences": p.owner}, "spec": spec, "status": status,
	})
}

// qosClass is the class of pods whose containers have equal requests and limits or nothing at all.
func qosClass(spec Object) string {
	for _, c := range spec["containers"].([]any) {
		if c.(Object)["resources"] == nil {
			return "BestEffort"
		}
	}
	return "Guaranteed"
}

func (b *builder) podConditions(p pod) []any {
	if p.state == podUnschedulable {
		c := condition("PodScheduled", "False", "Unschedulable", b.ago(p.age))
		c["message"] = "0/14 nodes are available: 1 node(s) had untolerated taint {node.kubernetes.io/unreachable: }, " +
			"1 node(s) were unschedulable, 3 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }, " +
			"9 Insufficient memory. preemption: 0/14 nodes are available: 14 No preemption victims found for incoming pod."
		return []any{c}
	}
	ready, reason, since, started := "True", "", b.ago(p.age-40*time.Second), b.ago(p.age)
	containers := ready
	switch {
	case p.state != podReady:
		ready, containers, reason, since = "False", "False", "ContainersNotReady", b.ago(25*time.Minute)
	case p.node.state == nodeLost: // the node lifecycle controller says so for the silent kubelet
		ready, since = "False", b.ago(lostFor)
	}
	return []any{
		condition("PodReadyToStartContainers", "True", "", started),
		condition("Initialized", "True", "", started),
		condition("Ready", ready, reason, since),
		condition("ContainersReady", containers, reason, since),
		condition("PodScheduled", "True", "", started),
	}
}

func (b *builder) containerStatuses(p pod) []any {
	var all []any
	for _, c := range p.spec["containers"].([]any) {
		container := c.(Object)
		startedAt := b.ago(p.age - 5*time.Second)
		s := Object{
			"name": container["name"], "image": container["image"], "imageID": "", "ready": p.state == podReady,
			"started": true, "restartCount": 0, "lastState": Object{},
			"state": Object{"running": Object{"startedAt": startedAt}},
		}
		switch p.state {
		case podCrashLooping:
			s["restartCount"], s["started"] = crashRestarts, false
			s["state"] = Object{"waiting": Object{
				"reason":  "CrashLoopBackOff",
				"message": fmt.Sprintf("back-off 5m0s restarting failed container=%s pod=%s", container["name"], p.name),
			}}
			s["lastState"] = Object{"terminated": Object{
				"exitCode": 137, "reason": "OOMKilled", "startedAt": b.ago(6 * time.Minute), "finishedAt": b.ago(4 * time.Minute),
			}}
		case podImagePull:
			s["started"] = false
			s["state"] = Object{"waiting": Object{
				"reason": "ImagePullBackOff", "message": fmt.Sprintf("Back-off pulling image %q", container["image"]),
			}}
		case podFailed:
			s["started"] = false
			s["state"] = Object{"terminated": Object{
				"exitCode": 1, "reason": "Error", "startedAt": startedAt, "finishedAt": b.ago(p.age - time.Minute),
			}}
		}
		all = append(all, s)
	}
	return all
}

// container is a container with everything a careful team gives one: probes, equal requests and limits, a heap below
// the limit, time for clients to leave.
func container(name, image string, port int) Object {
	probe := func(path string, more Object) Object {
		p := Object{
			"httpGet":       Object{"path": path, "port": "http", "scheme": "HTTP"},
			"periodSeconds": 10, "timeoutSeconds": 3, "successThreshold": 1, "failureThreshold": 3,
		}
		maps.Copy(p, more)
		return p
	}
	resources := Object{"cpu": "500m", "memory": "2Gi"}
	return Object{
		"name": name, "image": image, "imagePullPolicy": "IfNotPresent",
		"env":            []any{Object{"name": "JAVA_TOOL_OPTIONS", "value": "-XX:MaxRAMPercentage=70"}},
		"ports":          []any{Object{"name": "http", "containerPort": port, "protocol": "TCP"}},
		"resources":      Object{"requests": resources, "limits": resources},
		"lifecycle":      Object{"preStop": Object{"sleep": Object{"seconds": 10}}},
		"startupProbe":   probe("/health/started", Object{"failureThreshold": 30}),
		"readinessProbe": probe("/health/ready", nil),
		"livenessProbe":  probe("/health/live", Object{"failureThreshold": 6}),
	}
}

// podSpec is a pod template's spec with the container and the defaults that the API server fills in.
func podSpec(labels Object, containers ...any) Object {
	return Object{
		"containers": containers, "restartPolicy": "Always", "dnsPolicy": "ClusterFirst", "terminationGracePeriodSeconds": 45,
		"topologySpreadConstraints": []any{
			Object{
				"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "ScheduleAnyway",
				"labelSelector": Object{"matchLabels": labels},
			},
			Object{
				"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway",
				"labelSelector": Object{"matchLabels": labels},
			},
		},
	}
}
