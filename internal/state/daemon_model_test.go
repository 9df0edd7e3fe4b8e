// SPDX-License-Identifier: Apache-2.0

package state

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

type modelNode struct {
	name  string
	ready bool
	pod   *modelPod
}

// modelDaemonSet follows pkg/controller/daemon: a pod on every node, replaced within maxUnavailable; nodes come, go,
// die and return.
type modelDaemonSet struct {
	rng        *rand.Rand
	bench      *bench
	w          Workload
	revision   int
	published  int // the newest revision that has a ControllerRevision
	nodes      []*modelNode
	named      int
	startDelay int
	outage     bool
}

func newModelDaemonSet(rng *rand.Rand, b *bench, nodes int, unavailable, surge IntOrPercent) *modelDaemonSet {
	m := &modelDaemonSet{rng: rng, bench: b, revision: 1, startDelay: 1 + rng.IntN(30)}
	m.w = Workload{
		Meta: Meta{Namespace: Sym("infra"), Name: "agent", UID: ParseUID("agent"), Created: b.now - 86400}, Kind: DaemonSets,
		Generation: 1, HasStatus: true, MaxUnavailable: unavailable, MaxSurge: surge,
	}
	for range nodes {
		m.addNode().pod = &modelPod{ready: true, rev: 1}
	}
	m.status()
	return m
}

func (m *modelDaemonSet) addNode() *modelNode {
	m.named++
	n := &modelNode{name: fmt.Sprintf("node-%d", m.named), ready: true}
	m.nodes = append(m.nodes, n)
	return n
}

func (m *modelDaemonSet) step(seconds int32) {
	m.bench.now += Time(seconds)
	for _, n := range m.nodes {
		if n.pod != nil && n.ready && !m.outage && n.pod.readyAt <= m.bench.now {
			n.pod.ready = true
		}
	}
	if m.rng.IntN(4) > 0 {
		m.reconcile()
	}
	m.status()
}

func (m *modelDaemonSet) reconcile() {
	budget := m.w.MaxUnavailable.of(int32(len(m.nodes)), true)
	for _, n := range m.nodes {
		if n.pod == nil || !n.pod.ready || !n.ready {
			budget--
		}
	}
	for _, n := range m.nodes {
		outdated := n.pod != nil && n.pod.rev != m.revision
		if outdated && n.ready && !n.pod.ready {
			budget++ // it is unavailable already
		}
		if n.pod == nil || outdated && n.ready && budget > 0 {
			if outdated {
				budget--
			}
			n.pod = &modelPod{readyAt: m.bench.now + Time(1+m.rng.IntN(m.startDelay)), rev: m.revision}
		}
	}
	m.w.Generation = int64(m.revision)
	m.w.ObservedGeneration = m.w.Generation
}

// status shows what the API server holds: nodes, pods and the DaemonSet.
func (m *modelDaemonSet) status() {
	var nodes, pods []Object
	m.w.Desired, m.w.Current, m.w.Updated, m.w.Available = int32(len(m.nodes)), 0, 0, 0
	for _, n := range m.nodes {
		status := "True"
		if !n.ready {
			status = "Unknown"
		}
		nodes = append(nodes, &Node{Meta: Meta{Name: n.name, UID: ParseUID(n.name)}, Ready: Sym(status)})
		if n.pod == nil {
			continue
		}
		ready := False
		if n.pod.ready && n.ready {
			ready = True
			m.w.Available++
		}
		m.w.Current++
		if n.pod.rev == m.revision {
			m.w.Updated++
		}
		pods = append(pods, &Pod{
			Meta: Meta{
				Namespace: m.w.Namespace, Name: n.name, UID: ParseUID(fmt.Sprintf("%p", n.pod)),
				Owner: Owner{Kind: Sym("DaemonSet"), Name: Sym("agent"), UID: m.w.UID},
			},
			Node: Sym(n.name), Phase: PhaseRunning, Ready: ready, Revision: Sym(fmt.Sprint(n.pod.rev)),
		})
	}
	m.w.Ready = m.w.Available
	w := m.w
	for ; m.published < m.revision; m.published++ {
		hash := fmt.Sprint(m.published + 1)
		m.bench.put(&Revision{Hash: Sym(hash), Meta: Meta{
			Namespace: w.Namespace, Name: "agent-" + hash, UID: ParseUID("agent-" + hash), Created: m.bench.now,
			Owner: Owner{Kind: Sym("DaemonSet"), Name: Sym("agent"), UID: w.UID},
		}})
	}
	m.bench.store.Replace(Scope{Kind: Nodes}, nodes)
	m.bench.store.Replace(Scope{Kind: Pods}, pods)
	m.bench.put(&w)
}

var daemonStrategies = []struct{ unavailable, surge IntOrPercent }{
	{IntOrPercent{1, false}, IntOrPercent{}},
	{IntOrPercent{30, true}, IntOrPercent{}},
	{IntOrPercent{2, false}, IntOrPercent{}},
}

func TestDaemonSetWithoutLossIsNotDamaged(t *testing.T) {
	for seed := range uint64(600) {
		rng := rand.New(rand.NewPCG(seed, 3))
		b := newBench(Nodes, Pods, DaemonSets, ControllerRevisions)
		s := daemonStrategies[rng.IntN(len(daemonStrategies))]
		m := newModelDaemonSet(rng, b, 3+rng.IntN(8), s.unavailable, s.surge)
		for step := range 120 {
			switch rng.IntN(16) {
			case 0:
				m.revision++
			case 1:
				m.addNode()
			case 2:
				// Removing a node in the middle of a rollout is the documented exception of scaling down there.
				if len(m.nodes) > 2 && b.workload(t).State == Healthy {
					m.nodes = m.nodes[:len(m.nodes)-1]
				}
			case 3, 4:
				n := m.nodes[rng.IntN(len(m.nodes))]
				n.ready = !n.ready
				if n.ready && n.pod != nil {
					n.pod.ready, n.pod.readyAt = false, b.now+Time(rng.IntN(10))
				}
			}
			m.step(5)
			if v := b.workload(t); damaged(v.State) {
				t.Fatalf("seed %d step %d: %s without a loss on a ready node: %+v", seed, step, v.State, v)
			}
		}
	}
}

func TestDaemonSetLossOnReadyNodesIsDamage(t *testing.T) {
	for seed := range uint64(600) {
		rng := rand.New(rand.NewPCG(seed, 4))
		b := newBench(Nodes, Pods, DaemonSets, ControllerRevisions)
		s := daemonStrategies[rng.IntN(len(daemonStrategies))]
		m := newModelDaemonSet(rng, b, 5+rng.IntN(8), s.unavailable, s.surge)
		m.nodes[0].ready = rng.IntN(2) == 0
		m.step(5)
		if rng.IntN(2) == 0 {
			m.revision++
			m.step(5)
		}
		m.outage = true
		lost := int(m.w.MaxUnavailable.of(m.w.Desired, true)) + 1
		for _, n := range m.nodes[1 : 1+lost] {
			n.pod.ready = false
		}
		m.step(5)
		for step := range 30 {
			if v := b.workload(t); !damaged(v.State) {
				t.Fatalf("seed %d step %d: %s although %d of %d daemons are lost: %+v", seed, step, v.State, lost, len(m.nodes), v)
			}
			if step%6 == 5 {
				m.addNode()
			}
			m.step(5)
		}
	}
}
