// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"strconv"
	"strings"
)

// blockerPhrase says which phrase of a scheduler message means which value of the label blocker.
type blockerPhrase struct{ phrase, blocker string }

// blockerPhrases lists the phrases in the order in which they are tried: the reasons of the scheduler's filter plugins
// of Kubernetes 1.21 to 1.36, in lower case, narrow ones first.
func blockerPhrases() []blockerPhrase {
	return []blockerPhrase{
		{"insufficient cpu", "cpu"},
		{"insufficient memory", "memory"},
		{"too many pods", "pods_limit"},
		{"insufficient pods", "pods_limit"},
		{"topology spread", "topology_spread"},
		{"volume", "volume"}, // before node affinity: "PersistentVolume's node affinity", "volume node affinity conflict"
		{"pvc", "volume"},
		{"no available disk", "volume"},
		{"enough free storage", "volume"},
		{"taint", "untolerated_taint"},
		{"were unschedulable", "untolerated_taint"}, // a cordoned node: the plugin asks for a toleration
		{"free ports", "ports"},
		{"pod affinity", "pod_affinity"},
		{"anti-affinity", "pod_affinity"},
		{"inter-pod affinity", "pod_affinity"},
		{"node affinity", "node_affinity"},
		{"node selector", "node_affinity"},
		{"requested node name", "node_affinity"},
		{"nodeaffinity", "node_affinity"},
	}
}

// maxMessage bounds how much of a scheduler message is read.
const maxMessage = 8 << 10

// blocker returns what keeps the most nodes from taking a pod, by the message of its condition PodScheduled:
// "0/6 nodes are available: 3 Insufficient cpu, 2 node(s) had untolerated taint {a: b}. preemption: ...".
// Nodes that were never meant for the pod, by a taint of the operator's or by the pod's own affinity, count only where
// nothing else is in the way: most clusters have them, and they are not what is missing.
// What the scheduler says about preemption is about other pods and is left out. Among equals the first named wins.
func blocker(message string) string {
	message = strings.ToLower(message[:min(len(message), maxMessage)])
	message, _, _ = strings.Cut(message, "preemption:")
	if _, reasons, found := strings.Cut(message, "nodes are available:"); found {
		message = reasons
	}
	best := clause{blocker: "other", nodes: -1, reserved: true}
	for _, c := range clauses(message) {
		if best.reserved && !c.reserved || best.reserved == c.reserved && c.nodes > best.nodes {
			best = c
		}
	}
	return best.blocker
}

type clause struct {
	blocker  string
	nodes    int  // 0 when the clause is about the pod and names no number
	reserved bool // the nodes are meant for others
}

// clauses splits at ", " followed by a number, because a reason may hold a comma itself: "1 node(s) had taint {a: b},
// that the pod didn't tolerate, 2 Insufficient memory". Reasons with the same blocker are added up.
func clauses(message string) []clause {
	var all []clause
	phrases := blockerPhrases()
	for start := 0; start < len(message); {
		end := len(message)
		for i := start; ; {
			comma := strings.Index(message[i:], ", ")
			if comma < 0 {
				break
			}
			i += comma + len(", ")
			if i < len(message) && message[i] >= '0' && message[i] <= '9' {
				end = i
				break
			}
		}
		all = add(all, parseClause(strings.TrimSpace(message[start:end]), phrases))
		start = end
	}
	return all
}

func add(all []clause, c clause) []clause {
	for i := range all {
		if all[i].blocker == c.blocker && all[i].reserved == c.reserved {
			all[i].nodes += c.nodes
			return all
		}
	}
	return append(all, c)
}

func parseClause(reason string, phrases []blockerPhrase) clause {
	digits, _, _ := strings.Cut(reason, " ")
	nodes, err := strconv.Atoi(digits)
	if err != nil || nodes < 0 || nodes > 1e6 {
		nodes = 0
	}
	// What stands in braces is the taint's own text, which may hold any phrase.
	reason, taint, _ := strings.Cut(reason, "{")
	for _, p := range phrases {
		if strings.Contains(reason, p.phrase) {
			return clause{blocker: p.blocker, nodes: nodes, reserved: isReserved(reason, taint, p.blocker)}
		}
	}
	return clause{blocker: "other", nodes: nodes}
}

// isReserved tells nodes that are meant for others from nodes that are lost or cordoned, whose taints Kubernetes sets.
func isReserved(reason, taint, blocker string) bool {
	switch blocker {
	case "node_affinity":
		return true
	case "untolerated_taint":
		return !strings.HasPrefix(taint, "node.kubernetes.io/") && !strings.Contains(reason, "were unschedulable")
	}
	return false
}
