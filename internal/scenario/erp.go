// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"strings"
	"time"
)

// The ERP cluster is the one an operations team inspects every morning at nine: 14 nodes in three zones, and in the
// namespace product 41 Deployments with 107 replicas, one of which stands alone.
const (
	erpThree = "help-center order-center bill-center inventory-center purchase-center sales-center finance-gl finance-ar " +
		"finance-ap cost-center budget-center contract-center supplier-portal customer-portal workflow-engine message-center " +
		"auth-center user-center org-center menu-center file-service print-service report-center search-center data-sync gateway"
	erpTwo = "app-base license-proxy tenant-center audit-log job-scheduler config-center tax-service invoice-ocr payroll " +
		"attendance asset-center quality-center mobile-bff open-api"
	erpOne = "wcs-webui-1-3-0"
)

// erpNow is nine o'clock in the morning where the team sits.
func erpNow() time.Time { return time.Date(2026, 3, 2, 9, 0, 0, 0, time.FixedZone("CST", 8*60*60)) }

// ERP is the cluster on a good day: nothing to report but the single replica.
func ERP() Picture { return erp(false) }

// ERPWithFaults is the cluster on a bad day. Every fault is described in examples/README.md.
func ERPWithFaults() Picture { return erp(true) }

func erp(faulty bool) Picture {
	b := &builder{now: erpNow()}
	nodes := fleet(14, 3, "zone-a", "zone-b", "zone-c")
	apps := erpApps()
	if faulty {
		breakNodes(nodes)
		breakApps(apps, nodes)
	}
	for _, n := range nodes {
		b.addNode(n)
	}
	all := pointers(nodes)
	planes, workers := all[:3], all[3:]
	for i, a := range apps {
		if a.name == "message-center" {
			a.settings = kafka(faulty)
		}
		b.addApp(a, rotate(workers, 3*i))
	}
	b.addStatefulSet("middleware", "redis", "registry.example.com/library/redis:7.4.2", 6379, 3, rotate(workers, 1))
	b.addStatefulSet("middleware", "rabbitmq", "registry.example.com/library/rabbitmq:4.1.3", 5672, 3, rotate(workers, 7))
	b.addStatefulSet("middleware", "mysql", "registry.example.com/library/mysql:8.4.6", 3306, 3, rotate(workers, 2))
	b.addDaemonSet("kube-proxy", "registry.k8s.io/kube-proxy:v1.34.4", all)
	b.addDaemonSet("calico-node", "registry.example.com/calico/node:v3.31.0", all)
	dns := b.addDaemonSet("coredns", "registry.k8s.io/coredns/coredns:v1.12.1", planes)
	b.addService(kubeSystem, "kube-dns", Object{"k8s-app": "coredns"}, dns)
	b.addControlPlane(planes)
	limited := ""
	if faulty {
		limited = "TooManyReplicas"
		b.addBudget(product, "old-portal", Object{"minAvailable": 1, "selector": Object{"matchLabels": Object{"app": "old-portal"}}}, 0, 0)
	}
	b.addAutoscaler(product, "gateway", 2, 3, 3, limited)
	b.addAutoscaler(product, "app-base", 2, 6, 2, "")
	b.addCronJob(product, "nightly-settlement", workers[0], faulty)
	return b.picture()
}

// kafka is the configuration of a Kafka client. Without a unit the time between two heartbeats is one of milliseconds.
func kafka(faulty bool) string {
	heartbeat := "7s"
	if faulty {
		heartbeat = "7"
	}
	return "spring:\n  kafka:\n    bootstrap-servers: kafka.middleware:9092\n    consumer:\n      group-id: messages\n      heartbeat-interval: " +
		heartbeat + "\n"
}

func erpApps() []app {
	var apps []app
	for replicas, names := range []string{1: erpOne, 2: erpTwo, 3: erpThree} {
		for _, name := range strings.Fields(names) {
			apps = append(apps, app{name: name, replicas: replicas, tag: "6.5.1"})
		}
	}
	return apps
}

func breakNodes(nodes []node) {
	nodes[8].state = nodeLost      // k8snode09
	nodes[12].state = nodeCordoned // k8snode13
}

// breakApps gives each fault an app of its own. Where a fault is the topic, the replicas stay away from the lost node.
func breakApps(apps []app, nodes []node) {
	all := pointers(nodes)
	sound := []*node{all[3], all[4], all[5]} // one of each zone
	for i := range apps {
		a := &apps[i]
		switch a.name {
		case "print-service": // a rollout to a tag that is not in the registry
			a.nodes, a.stuckTag = sound, "6.5.2-hotfix"
		case "bill-center": // a replica that runs out of memory again and again
			a.nodes, a.pods = sound, []podState{podCrashLooping}
		case "order-center": // 1 of 3: one fails its readiness probe, one fits nowhere
			a.nodes, a.pods = sound, []podState{podReady, podUnready, podUnschedulable}
		case "payroll": // all replicas fail their readiness probe
			a.nodes, a.pods = sound, []podState{podUnready, podUnready}
		case "report-center": // a Service whose selector is mistyped
			a.nodes, a.selects = sound, "report-centre"
		case "license-proxy": // all replicas on one node
			a.nodes = all[6:7]
		case erpOne: // a single replica on a node somebody wants to drain, kept there by its budget
			a.nodes, a.keepAll = all[12:13], true
		case "file-service": // a heap as large as the limit
			a.nodes, a.change = sound, func(c Object) {
				c["env"] = []any{Object{"name": "JAVA_TOOL_OPTIONS", "value": "-Xms2g -Xmx2g"}}
			}
		case "invoice-ocr": // a liveness probe on a dependency's terms and no readiness probe
			a.nodes, a.change = sound, func(c Object) {
				delete(c, "readinessProbe")
				delete(c, "startupProbe")
				c["livenessProbe"].(Object)["timeoutSeconds"] = 30
			}
		case "tenant-center": // a liveness probe that asks a port by a name that is not there: it is off
			a.nodes, a.change = sound, func(c Object) { c["livenessProbe"].(Object)["httpGet"].(Object)["port"] = "management" }
		case "search-center": // an image that can be another one tomorrow, and no limits
			a.nodes, a.tag, a.change = sound, "latest", func(c Object) { delete(c, "resources") }
		}
	}
}

func pointers(nodes []node) []*node {
	all := make([]*node, len(nodes))
	for i := range nodes {
		all[i] = &nodes[i]
	}
	return all
}

// rotate returns the nodes beginning with the given one. Neighbours are in different zones.
func rotate(nodes []*node, first int) []*node {
	first %= len(nodes)
	return append(append([]*node{}, nodes[first:]...), nodes[:first]...)
}
