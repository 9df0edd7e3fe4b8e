// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"maps"
	"strconv"
	"time"
)

// app is a Deployment with its ReplicaSets, Pods, Service, EndpointSlice and PodDisruptionBudget.
type app struct {
	name     string
	replicas int
	tag      string // of the image

	pods     []podState   // of the first replicas; the others are ready
	nodes    []*node      // where the replicas are, in turn; nil spreads them
	stuckTag string       // the tag of a rollout that hangs
	selects  string       // what the Service selects instead of the app
	keepAll  bool         // the budget forbids every disruption
	change   func(Object) // of the container
	settings string       // its application.yml, in a ConfigMap of its name
}

const (
	product  = "product"
	registry = "registry.example.com/erp/"
	appPort  = 8080
)

func (b *builder) addApp(a app, spread []*node) {
	const age = 20 * 24 * time.Hour
	labels := Object{"app": a.name}
	if a.settings != "" {
		b.add("configmaps", "v1", "ConfigMap", product, a.name, age, Object{"data": Object{"application.yml": a.settings}})
	}
	nodes := a.nodes
	if nodes == nil {
		nodes = spread
	}
	old := replicaSet{app: a, revision: 3, age: age, spec: a.template(a.tag), states: a.pods, nodes: nodes, desired: a.replicas}
	pods := b.addReplicaSet(old)
	revision, updated, progress := old.revision, a.replicas, condition("Progressing", "True", "NewReplicaSetAvailable", b.ago(age))
	total := a.replicas
	progress["lastUpdateTime"] = b.ago(age - time.Minute)
	newest := old
	if a.stuckTag != "" {
		revision, updated, total = 4, 1, total+1
		newest = replicaSet{
			app: a, revision: 4, age: 25 * time.Minute, spec: a.template(a.stuckTag), states: []podState{podImagePull},
			nodes: nodes[len(nodes)-1:], desired: 1,
		}
		pods = append(pods, b.addReplicaSet(newest)...)
		progress = condition("Progressing", "False", "ProgressDeadlineExceeded", b.ago(15*time.Minute))
		progress["lastUpdateTime"] = b.ago(15 * time.Minute)
	}
	available := countAvailable(pods)
	enough := "True"
	if available < a.replicas-a.replicas/4 {
		enough = "False"
	}
	b.add("deployments", "apps/v1", "Deployment", product, a.name, age, Object{
		"metadata": Object{
			"generation": revision + 1, "labels": Object{"app": a.name, "team": "erp", "tier": "business"},
			"annotations": Object{"deployment.kubernetes.io/revision": strconv.Itoa(revision)},
		},
		"spec": Object{
			"replicas": a.replicas, "progressDeadlineSeconds": 600, "revisionHistoryLimit": 2, "selector": Object{"matchLabels": labels},
			"strategy": Object{"type": "RollingUpdate", "rollingUpdate": Object{"maxSurge": "25%", "maxUnavailable": "25%"}},
			"template": Object{"metadata": Object{"labels": labels}, "spec": newest.spec},
		},
		"status": Object{
			"observedGeneration": revision + 1, "replicas": total, "updatedReplicas": updated,
			"readyReplicas": available, "availableReplicas": available, "unavailableReplicas": total - available,
			"conditions": []any{condition("Available", enough, "", b.ago(lostFor)), progress},
		},
	})
	b.addService(product, a.name, a.serviceSelector(), pods)
	budget := Object{"maxUnavailable": 1, "selector": Object{"matchLabels": labels}}
	if a.keepAll {
		budget = Object{"minAvailable": a.replicas, "selector": Object{"matchLabels": labels}}
	}
	b.addBudget(product, a.name, budget, a.replicas, available)
}

// template returns the spec of the app's pods with the image of a tag.
func (a app) template(tag string) Object {
	c := container("app", registry+a.name+":"+tag, appPort)
	if a.change != nil {
		a.change(c)
	}
	spec := podSpec(Object{"app": a.name}, c)
	if a.settings != "" {
		c["volumeMounts"] = []any{Object{"name": "settings", "mountPath": "/config", "readOnly": true}}
		spec["volumes"] = []any{Object{"name": "settings", "configMap": Object{"name": a.name, "defaultMode": 420}}}
	}
	return spec
}

func (a app) serviceSelector() Object {
	if a.selects != "" {
		return Object{"app": a.selects}
	}
	return Object{"app": a.name}
}

func countAvailable(pods []pod) int {
	n := 0
	for _, p := range pods {
		if p.available() {
			n++
		}
	}
	return n
}

// replicaSet is one revision of an app.
type replicaSet struct {
	app      app
	revision int
	age      time.Duration
	spec     Object
	states   []podState
	nodes    []*node
	desired  int
}

func (b *builder) addReplicaSet(r replicaSet) []pod {
	templateHash := suffix(9, r.app.name, strconv.Itoa(r.revision))
	name := r.app.name + "-" + templateHash
	labels := Object{"app": r.app.name, "pod-template-hash": templateHash}
	var pods []pod
	for i := range r.desired {
		p := pod{
			namespace: product, name: name + "-" + suffix(5, name, strconv.Itoa(i)), labels: labels,
			owner: owner("apps/v1", "ReplicaSet", product, name), spec: r.spec, age: r.age - time.Duration(i)*time.Second,
			node: r.nodes[i%len(r.nodes)],
		}
		if i < len(r.states) {
			p.state = r.states[i]
		}
		switch p.state {
		case podUnschedulable:
			p.node, p.age = nil, 25*time.Minute
		case podCrashLooping:
			p.age = crashRestarts * 5 * time.Minute // the longest pause between two restarts
		}
		b.addPod(p)
		pods = append(pods, p)
	}
	available := countAvailable(pods)
	b.add("replicasets", "apps/v1", "ReplicaSet", product, name, r.age, Object{
		"metadata": Object{
			"generation": 1, "labels": labels, "ownerReferences": owner("apps/v1", "Deployment", product, r.app.name),
			"annotations": Object{"deployment.kubernetes.io/revision": strconv.Itoa(r.revision)},
		},
		"spec": Object{
			"replicas": r.desired, "selector": Object{"matchLabels": labels},
			"template": Object{"metadata": Object{"labels": labels}, "spec": r.spec},
		},
		"status": Object{
			"observedGeneration": 1, "replicas": r.desired, "fullyLabeledReplicas": r.desired,
			"readyReplicas": available, "availableReplicas": available,
		},
	})
	return pods
}

// addStatefulSet adds a healthy StatefulSet with its headless Service.
func (b *builder) addStatefulSet(namespace, name, image string, port, replicas int, nodes []*node) {
	const age = 26 * 24 * time.Hour
	labels := Object{"app": name}
	c := container(name, image, port)
	delete(c, "env")
	spec := podSpec(labels, c)
	revision := name + "-" + suffix(10, name, "revision")
	var pods []pod
	for i := range replicas {
		podName := name + "-" + strconv.Itoa(i)
		podLabels := Object{
			"controller-revision-hash": revision, "statefulset.kubernetes.io/pod-name": podName,
			"apps.kubernetes.io/pod-index": strconv.Itoa(i),
		}
		maps.Copy(podLabels, labels)
		p := pod{
			namespace: namespace, name: podName, labels: podLabels, owner: owner("apps/v1", "StatefulSet", namespace, name),
			spec: spec, age: age - time.Duration(i)*time.Minute, node: nodes[i%len(nodes)],
		}
		b.addPod(p)
		pods = append(pods, p)
	}
	available := countAvailable(pods)
	b.addRevision("StatefulSet", namespace, name, revision, age)
	b.add("statefulsets", "apps/v1", "StatefulSet", namespace, name, age, Object{
		"metadata": Object{"generation": 1, "labels": labels},
		"spec": Object{
			"replicas": replicas, "serviceName": name, "podManagementPolicy": "OrderedReady", "selector": Object{"matchLabels": labels},
			"updateStrategy": Object{"type": "RollingUpdate", "rollingUpdate": Object{"partition": 0}},
			"template":       Object{"metadata": Object{"labels": labels}, "spec": spec},
		},
		"status": Object{
			"observedGeneration": 1, "replicas": replicas, "currentReplicas": replicas, "updatedReplicas": replicas,
			"readyReplicas": available, "availableReplicas": available, "currentRevision": revision, "updateRevision": revision,
		},
	})
	b.addService(namespace, name, labels, pods)
	b.addBudget(namespace, name, Object{"maxUnavailable": 1, "selector": Object{"matchLabels": labels}}, replicas, available)
}

func (b *builder) addRevision(kind, namespace, name, revision string, age time.Duration) {
	b.add("controllerrevisions", "apps/v1", "ControllerRevision", namespace, revision, age, Object{
		"metadata": Object{
			"labels":          Object{"controller-revision-hash": revision[len(name)+1:]},
			"ownerReferences": owner("apps/v1", kind, namespace, name),
		},
		"revision": 1,
	})
}
