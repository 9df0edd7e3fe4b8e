// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	quantity "k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// The fields that two managers of a pod own, as they write them.
const (
	specFields = `{"f:metadata":{"f:annotations":{".":{},"f:checksum/config":{},"f:checksum/secret":{},"f:prometheus.io/port":{},` +
		`"f:prometheus.io/scrape":{}},"f:generateName":{},"f:labels":{".":{},"f:app.kubernetes.io/component":{},` +
		`"f:app.kubernetes.io/instance":{},"f:app.kubernetes.io/name":{},"f:pod-template-hash":{},"f:team":{},"f:tier":{}},` +
		`"f:ownerReferences":{".":{},"k:{\"uid\":\"5f3cdd0b-9a29-4d6f-b34d-6a5b3b3e9a11\"}":{}}},"f:spec":{"f:containers":` +
		`{"k:{\"name\":\"app\"}":{".":{},"f:args":{},"f:env":{".":{},"k:{\"name\":\"SHOP_SETTING_00\"}":{".":{},"f:name":{},"f:value":{}},` +
		`"k:{\"name\":\"SHOP_SETTING_01\"}":{".":{},"f:name":{},"f:valueFrom":{".":{},"f:secretKeyRef":{}}},"k:{\"name\":\"SHOP_SETTING_02\"}":` +
		`{".":{},"f:name":{},"f:valueFrom":{".":{},"f:fieldRef":{}}},"k:{\"name\":\"SHOP_SETTING_03\"}":{".":{},"f:name":{},"f:value":{}}},` +
		`"f:image":{},"f:imagePullPolicy":{},"f:livenessProbe":{".":{},"f:failureThreshold":{},"f:httpGet":{".":{},"f:path":{},"f:port":{},` +
		`"f:scheme":{}},"f:initialDelaySeconds":{},"f:periodSeconds":{},"f:successThreshold":{},"f:timeoutSeconds":{}},"f:name":{},` +
		`"f:resources":{".":{},"f:limits":{".":{},"f:cpu":{},"f:memory":{}},"f:requests":{".":{},"f:cpu":{},"f:memory":{}}}}}}}`
	statusFields = `{"f:status":{"f:conditions":{"k:{\"type\":\"ContainersReady\"}":{".":{},"f:lastProbeTime":{},"f:lastTransitionTime":{},` +
		`"f:observedGeneration":{},"f:status":{},"f:type":{}},"k:{\"type\":\"Initialized\"}":{".":{},"f:lastProbeTime":{},` +
		`"f:lastTransitionTime":{},"f:observedGeneration":{},"f:status":{},"f:type":{}},"k:{\"type\":\"Ready\"}":{".":{},"f:lastProbeTime":{},` +
		`"f:lastTransitionTime":{},"f:observedGeneration":{},"f:status":{},"f:type":{}}},"f:containerStatuses":{},"f:hostIP":{},` +
		`"f:initContainerStatuses":{},"f:phase":{},"f:podIP":{},"f:podIPs":{".":{},"k:{\"ip\":\"10.128.4.17\"}":{".":{},"f:ip":{}}},"f:startTime":{}}}`
)

func managed(manager, subresource, fields string, since time.Time) metav1.ManagedFieldsEntry {
	at := metav1.NewTime(since)
	return metav1.ManagedFieldsEntry{
		Manager: manager, Operation: metav1.ManagedFieldsOperationUpdate, APIVersion: "v1", Time: &at, FieldsType: "FieldsV1",
		Subresource: subresource, FieldsV1: &metav1.FieldsV1{Raw: []byte(fields)},
	}
}

func (w workload) meta(kind, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: w.namespace, Name: name, UID: uid(kind, w.index), ResourceVersion: fmt.Sprint(500_000 + w.index), Generation: 3,
		CreationTimestamp: metav1.NewTime(w.created), Labels: w.labels(),
		ManagedFields: []metav1.ManagedFieldsEntry{managed("helm", "", specFields, w.created)},
	}
}

func newDeployment(w workload) *appsv1.Deployment {
	replicas, available, deadline := int32(w.replicas), int32(w.replicas), int32(600)
	if w.trouble != none {
		available--
	}
	quarter := intstr.FromString("25%")
	labels := w.labels()
	d := &appsv1.Deployment{
		ObjectMeta: w.meta("deployment", w.name),
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas, ProgressDeadlineSeconds: &deadline,
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app.kubernetes.io/name": w.name}},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: podSpec(w)},
			Strategy: appsv1.DeploymentStrategy{
				Type:          appsv1.RollingUpdateDeploymentStrategyType,
				RollingUpdate: &appsv1.RollingUpdateDeployment{MaxUnavailable: &quarter, MaxSurge: &quarter},
			},
		},
		Status: appsv1.DeploymentStatus{
			ObservedGeneration: 3, Replicas: replicas, UpdatedReplicas: replicas, ReadyReplicas: available, AvailableReplicas: available,
			UnavailableReplicas: replicas - available,
			Conditions: []appsv1.DeploymentCondition{
				{Type: appsv1.DeploymentAvailable, Status: corev1.ConditionTrue, Reason: "MinimumReplicasAvailable",
					Message: "Deployment has minimum availability.", LastUpdateTime: metav1.NewTime(w.created)},
				{Type: appsv1.DeploymentProgressing, Status: corev1.ConditionTrue, Reason: "NewReplicaSetAvailable",
					Message: "ReplicaSet has successfully progressed.", LastUpdateTime: metav1.NewTime(w.created)},
			},
		},
	}
	d.Annotations = map[string]string{"deployment.kubernetes.io/revision": fmt.Sprint(oldRevisions + 1), "meta.helm.sh/release-name": w.name}
	return d
}

// newReplicaSetMetadata returns the metadata of a ReplicaSet; the revision 0 is the current one.
func newReplicaSetMetadata(w workload, revision int) *metav1.PartialObjectMetadata {
	m := w.meta(fmt.Sprintf("replicaset %d", revision), w.name+"-"+w.revision(revision))
	m.Labels["pod-template-hash"] = w.revision(revision)
	m.OwnerReferences = controller("apps/v1", "Deployment", w.name, uid("deployment", w.index))
	m.Annotations = map[string]string{
		"deployment.kubernetes.io/revision":         fmt.Sprint(oldRevisions + 1 - revision),
		"deployment.kubernetes.io/desired-replicas": fmt.Sprint(w.replicas), "deployment.kubernetes.io/max-replicas": fmt.Sprint(w.replicas * 5 / 4),
	}
	return &metav1.PartialObjectMetadata{ObjectMeta: m}
}

func newService(w workload) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: w.meta("service", w.name),
		Spec: corev1.ServiceSpec{
			Selector: map[string]string{"app.kubernetes.io/name": w.name}, Type: corev1.ServiceTypeClusterIP,
			ClusterIP: fmt.Sprintf("10.96.%d.%d", w.index/250, w.index%250),
			Ports:     []corev1.ServicePort{{Name: "http", Port: 80, TargetPort: intstr.FromString("http"), Protocol: corev1.ProtocolTCP}},
		},
	}
}

// newEndpointSlice returns the endpoints of a workload whose pods are numbered from firstPod.
func newEndpointSlice(w workload, firstPod, nodes int) *discoveryv1.EndpointSlice {
	m := w.meta("endpointslice", w.name+"-x7k2p")
	m.Labels[discoveryv1.LabelServiceName] = w.name
	m.OwnerReferences = controller("v1", "Service", w.name, uid("service", w.index))
	name, port := "http", int32(8080)
	slice := &discoveryv1.EndpointSlice{ObjectMeta: m, AddressType: discoveryv1.AddressTypeIPv4,
		Ports: []discoveryv1.EndpointPort{{Name: &name, Port: &port}}}
	for i := range w.replicas {
		ready, terminating := i > 0 || w.trouble == none, false
		node := nodeOf(firstPod+i, nodes)
		host, zone := nodeName(node), zoneOf(node)
		slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{
			Addresses: []string{fmt.Sprintf("10.128.%d.%d", (firstPod+i)/250%250, (firstPod+i)%250)}, NodeName: &host, Zone: &zone,
			Conditions: discoveryv1.EndpointConditions{Ready: &ready, Serving: &ready, Terminating: &terminating},
			TargetRef:  &corev1.ObjectReference{Kind: "Pod", Namespace: w.namespace, UID: uid("pod", firstPod+i)},
		})
	}
	return slice
}

func newNode(i int, now time.Time) *corev1.Node {
	const imagesPerNode = 50
	since := now.Add(-40 * 24 * time.Hour)
	room := corev1.ResourceList{
		corev1.ResourceCPU: quantity.MustParse("16"), corev1.ResourceMemory: quantity.MustParse("64Gi"), corev1.ResourcePods: quantity.MustParse("110"),
	}
	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{
			Name: nodeName(i), UID: uid("node", i), CreationTimestamp: metav1.NewTime(since), ResourceVersion: fmt.Sprint(700_000 + i),
			Labels: map[string]string{
				corev1.LabelTopologyZone: zoneOf(i), corev1.LabelTopologyRegion: "eu-central-1", corev1.LabelHostname: nodeName(i),
				corev1.LabelInstanceTypeStable: "m6i.4xlarge", corev1.LabelArchStable: "amd64", corev1.LabelOSStable: "linux",
			},
			ManagedFields: []metav1.ManagedFieldsEntry{managed("kubelet", "status", statusFields, since)},
		},
		Spec:   corev1.NodeSpec{ProviderID: "aws:///" + zoneOf(i) + "/i-" + hash(17, nodeName(i)), PodCIDR: fmt.Sprintf("10.128.%d.0/24", i%250)},
		Status: corev1.NodeStatus{Capacity: room, Allocatable: room, NodeInfo: corev1.NodeSystemInfo{BootID: string(uid("boot", i))}},
	}
	for _, kind := range []corev1.NodeConditionType{
		corev1.NodeMemoryPressure, corev1.NodeDiskPressure, corev1.NodePIDPressure, corev1.NodeNetworkUnavailable, corev1.NodeReady,
	} {
		status := corev1.ConditionFalse
		if kind == corev1.NodeReady {
			status = corev1.ConditionTrue
		}
		node.Status.Conditions = append(node.Status.Conditions, corev1.NodeCondition{
			Type: kind, Status: status, Reason: "Kubelet" + string(kind), Message: "kubelet reports on " + string(kind),
			LastTransitionTime: metav1.NewTime(since), LastHeartbeatTime: metav1.NewTime(now),
		})
	}
	for n := range imagesPerNode {
		name := fmt.Sprintf("registry.example.org/shop/image-%d", n)
		node.Status.Images = append(node.Status.Images, corev1.ContainerImage{
			Names: []string{name + "@sha256:" + hash64(name), name + ":4.17.2"}, SizeBytes: 123_456_789,
		})
	}
	return node
}
