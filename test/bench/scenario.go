// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
)

const (
	podsPerNode   = 50
	namespaces    = 40
	oldRevisions  = 2 // ReplicaSets of each Deployment beside the current one
	abnormalEvery = 10
)

// scenario describes a cluster: Deployments of equal size with a Service each, on nodes in three zones.
type scenario struct {
	pods, workloads int
	nameLength      int // of a workload's name
	abnormal        bool
	pagedLists      bool // the server refuses streaming lists
}

func (s scenario) String() string {
	text := fmt.Sprintf("%d pods, %d workloads", s.pods, s.workloads)
	if s.pagedLists {
		text += ", paged lists"
	}
	return text
}

// workload is one Deployment of a scenario, and what belongs to it.
type workload struct {
	index     int
	namespace string
	name      string
	replicas  int
	trouble   trouble
	created   time.Time
}

// trouble is what the first pod of an abnormal workload suffers from.
type trouble int

const (
	none trouble = iota
	crashLoop
	imagePull
	unschedulable
	troubles
)

func (s scenario) workload(i int, now time.Time) workload {
	name := fmt.Sprintf("%s-%05d", []string{"checkout", "customer-portal", "invoice", "stock", "recommendation"}[i%5], i)
	if missing := s.nameLength - len(name); missing > 0 {
		name = "shop-backend-services-"[:min(missing, 22)] + name
	}
	w := workload{
		index: i, namespace: fmt.Sprintf("team-%02d-production", i%namespaces), name: name,
		replicas: s.pods / s.workloads, created: now.Add(-90 * 24 * time.Hour),
	}
	if i < s.pods%s.workloads {
		w.replicas++
	}
	if s.abnormal && i%abnormalEvery == 0 {
		w.trouble = none + 1 + trouble(i/abnormalEvery)%(troubles-1)
	}
	return w
}

func (s scenario) nodes() int { return max(6, s.pods/podsPerNode) }

// cluster is a scenario in the form in which the server holds it.
type cluster struct {
	scenario
	now       time.Time
	resources map[string]*resource
	workloads []workload
	podOwners []int // by pod: the index of its workload
}

func kind(group, name string) runtime.TypeMeta {
	return runtime.TypeMeta{APIVersion: group, Kind: name}
}

func newCluster(s scenario) *cluster {
	const metadata = "meta.k8s.io/v1"
	c := &cluster{scenario: s, now: time.Now().Truncate(time.Second), resources: map[string]*resource{}}
	add := func(name, group, k string) *resource {
		listKind := kind(group, k+"List")
		c.resources[name] = &resource{kind: kind(group, k), listKind: listKind, watches: map[*subscription]struct{}{}}
		return c.resources[name]
	}
	pods, nodes := add("pods", "v1", "Pod"), add("nodes", "v1", "Node")
	services, slices := add("services", "v1", "Service"), add("endpointslices", "discovery.k8s.io/v1", "EndpointSlice")
	deployments := add("deployments", "apps/v1", "Deployment")
	sets := add("replicasets", metadata, "PartialObjectMetadata")
	add("controllerrevisions", metadata, "PartialObjectMetadata")
	add("statefulsets", "apps/v1", "StatefulSet")
	add("daemonsets", "apps/v1", "DaemonSet")
	add("cronjobs", "batch/v1", "CronJob")
	add("jobs", "batch/v1", "Job")
	add("horizontalpodautoscalers", "autoscaling/v2", "HorizontalPodAutoscaler")
	add("poddisruptionbudgets", "policy/v1", "PodDisruptionBudget")
	for i := range s.nodes() {
		nodes.add(newNode(i, c.now))
	}
	for i := range s.workloads {
		w := s.workload(i, c.now)
		c.workloads = append(c.workloads, w)
		deployments.add(newDeployment(w))
		for revision := range oldRevisions + 1 {
			sets.add(newReplicaSetMetadata(w, revision))
		}
		services.add(newService(w))
		slices.add(newEndpointSlice(w, len(c.podOwners), s.nodes()))
		for replica := range w.replicas {
			pods.add(c.pod(len(c.podOwners), w, c.usual(w, replica)))
			c.podOwners = append(c.podOwners, i)
		}
	}
	return c
}

func (r *resource) add(m marshaler) { r.objects = append(r.objects, newObject("ADDED", r.kind, m)) }

// usual is how a replica of the workload fares while nothing happens: the first one of an abnormal workload is in
// trouble.
func (c *cluster) usual(w workload, replica int) podState {
	s := podState{ready: true, since: c.now.Add(-36 * time.Hour)}
	if replica == 0 && w.trouble != none {
		s.trouble, s.ready = w.trouble, false
		if w.trouble == crashLoop {
			s.restarts = 41
		}
	}
	return s
}

// uid returns an identifier that is always the same for the same thing.
func uid(kind string, number int) types.UID {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", kind, number))
	text := hex.EncodeToString(sum[:16])
	return types.UID(strings.Join([]string{text[:8], text[8:12], text[12:16], text[16:20], text[20:]}, "-"))
}

// hash returns the first hexadecimal digits of a hash, as names and digests end in.
func hash(digits int, text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])[:digits]
}

func (w workload) revision(number int) string { return hash(10, fmt.Sprint(w.name, number)) }

func (w workload) labels() map[string]string {
	return map[string]string{
		"app.kubernetes.io/name": w.name, "app.kubernetes.io/instance": w.name + "-production",
		"app.kubernetes.io/part-of": "shop", "app.kubernetes.io/managed-by": "Helm", "app.kubernetes.io/component": "backend",
		"app.kubernetes.io/version": "4.17.2", "team": w.namespace, "tier": "backend",
	}
}

func controller(apiVersion, kind, name string, id types.UID) []metav1.OwnerReference {
	yes := true
	return []metav1.OwnerReference{{
		APIVersion: apiVersion, Kind: kind, Name: name, UID: id, Controller: &yes, BlockOwnerDeletion: &yes,
	}}
}

func zoneOf(node int) string { return "eu-central-1" + string(rune('a'+node%3)) }

func nodeName(i int) string {
	return fmt.Sprintf("ip-10-%d-%d-%d.eu-central-1.compute.internal", i%3, i/3/200, i/3%200)
}

// nodeOf places a pod: neighbours of one workload on different nodes.
func nodeOf(pod, nodes int) int { return pod % nodes }

func condition(kind corev1.PodConditionType, holds bool, since time.Time, reason, message string) corev1.PodCondition {
	status := corev1.ConditionTrue
	if !holds {
		status = corev1.ConditionFalse
	}
	return corev1.PodCondition{
		Type: kind, Status: status, LastTransitionTime: metav1.NewTime(since), Reason: reason, Message: message, ObservedGeneration: 1,
	}
}
