// SPDX-License-Identifier: Apache-2.0

package state

import (
	"math/rand/v2"
)

// The models below are simplified controllers: they keep what decides how many pods are available while a workload is
// rolled out, scaled and paused, and leave out everything else.

type modelPod struct {
	ready   bool
	readyAt Time // when it becomes ready
	rev     int
}

type modelReplicaSet struct {
	revision int
	spec     int32
	pods     []*modelPod
}

// modelDeployment follows pkg/controller/deployment: fenceposts, reconcileNewReplicaSet, reconcileOldReplicaSets,
// proportional scaling, and the Progressing condition.
type modelDeployment struct {
	rng         *rand.Rand
	w           Workload
	now         Time
	revision    int
	sets        []*modelReplicaSet // newest last
	lastDesired int32
	startDelay  int
	outage      bool // no pod becomes ready
}

func newModelDeployment(rng *rand.Rand, now Time, desired int32, unavailable, surge IntOrPercent) *modelDeployment {
	m := &modelDeployment{rng: rng, now: now, revision: 1, lastDesired: desired, startDelay: 1 + rng.IntN(30)}
	m.w = Workload{
		Meta: Meta{Namespace: Sym("shop"), Name: "web", UID: ParseUID("web"), Created: now - 86400}, Kind: Deployments,
		Generation: 1, HasStatus: true, Desired: desired, MaxUnavailable: unavailable, MaxSurge: surge, RolledOut: true,
	}
	set := &modelReplicaSet{revision: 1, spec: desired}
	for range desired {
		set.pods = append(set.pods, &modelPod{ready: true})
	}
	m.sets = []*modelReplicaSet{set}
	m.status(true)
	return m
}

func (m *modelDeployment) surge() int32 {
	s := m.w.MaxSurge
	if !s.Percent {
		return s.Value
	}
	return (s.Value*m.w.Desired + 99) / 100
}

func (m *modelDeployment) rollOut() {
	m.revision++
	m.w.Generation++
}

func (m *modelDeployment) scale(desired int32) {
	if desired != m.w.Desired {
		m.w.Desired = desired
		m.w.Generation++
	}
}

// step lets time pass, pods become ready and, most of the time, the controllers run.
func (m *modelDeployment) step(seconds int32) {
	m.now += Time(seconds)
	for _, set := range m.sets {
		for _, p := range set.pods {
			if !m.outage && !p.ready && p.readyAt <= m.now {
				p.ready = true
			}
		}
	}
	if m.rng.IntN(4) == 0 {
		return // the controller is late
	}
	m.reconcile()
	m.syncPods()
	m.status(false)
}

func (m *modelDeployment) newest() *modelReplicaSet {
	last := m.sets[len(m.sets)-1]
	if last.revision != m.revision && !m.w.Paused {
		last = &modelReplicaSet{revision: m.revision}
		m.w.Progressing = Condition{Status: Sym("True"), Reason: Sym("NewReplicaSetCreated"), Updated: m.now}
		m.sets = append(m.sets, last)
	}
	return last
}

func (m *modelDeployment) total() (spec, available int32) {
	for _, set := range m.sets {
		spec += set.spec
		available += set.available()
	}
	return spec, available
}

func (set *modelReplicaSet) available() int32 {
	n := int32(0)
	for _, p := range set.pods {
		if p.ready {
			n++
		}
	}
	return n
}

func (m *modelDeployment) reconcile() {
	newest := m.newest()
	if m.w.Desired != m.lastDesired {
		m.scaleProportionally()
		m.lastDesired = m.w.Desired
		return
	}
	if m.w.Paused {
		return
	}
	total, _ := m.total()
	if newest.spec > m.w.Desired {
		newest.spec = m.w.Desired
		return
	}
	if room := m.w.Desired + m.surge() - total; newest.spec < m.w.Desired && room > 0 {
		newest.spec += min(room, m.w.Desired-newest.spec)
		return
	}
	floor := deploymentFloor(&m.w)
	newestUnavailable := newest.spec - newest.available()
	budget := total - floor - newestUnavailable
	for _, set := range m.sets[:len(m.sets)-1] { // unhealthy pods of old ReplicaSets first
		n := min(budget, set.spec-set.available())
		if n > 0 {
			set.spec -= n
			budget -= n
		}
	}
	_, available := m.total()
	budget = available - floor
	for _, set := range m.sets[:len(m.sets)-1] {
		n := min(budget, set.spec)
		if n > 0 {
			set.spec -= n
			budget -= n
		}
	}
}

func (m *modelDeployment) scaleProportionally() {
	var active []*modelReplicaSet
	for _, set := range m.sets {
		if set.spec > 0 {
			active = append(active, set)
		}
	}
	if len(active) <= 1 {
		set := m.sets[len(m.sets)-1]
		if len(active) == 1 {
			set = active[0]
		}
		set.spec = m.w.Desired
		return
	}
	total, _ := m.total()
	allowed := int32(0)
	if m.w.Desired > 0 {
		allowed = m.w.Desired + m.surge()
	}
	left := allowed - total
	for i, set := range active {
		n := set.spec*allowed/total - set.spec
		if left > 0 {
			n = max(0, min(n, left))
		} else {
			n = min(0, max(n, left))
		}
		if i == len(active)-1 {
			n = left
		}
		set.spec = max(0, set.spec+n)
		left -= n
	}
}

// syncPods is the ReplicaSet controller: pods that are not ready go first.
func (m *modelDeployment) syncPods() {
	for _, set := range m.sets {
		for int32(len(set.pods)) < set.spec {
			set.pods = append(set.pods, &modelPod{readyAt: m.now + Time(1+m.rng.IntN(m.startDelay))})
		}
		for int32(len(set.pods)) > set.spec {
			victim := len(set.pods) - 1
			for i, p := range set.pods {
				if !p.ready {
					victim = i
				}
			}
			set.pods = append(set.pods[:victim], set.pods[victim+1:]...)
		}
	}
	for len(m.sets) > 1 && m.sets[0].spec == 0 {
		m.sets = m.sets[1:]
	}
}

func (m *modelDeployment) status(first bool) {
	newest := m.sets[len(m.sets)-1]
	m.w.Current, m.w.Updated, m.w.Available = 0, 0, 0
	for _, set := range m.sets {
		m.w.Current += int32(len(set.pods))
		m.w.Available += set.available()
	}
	if newest.revision == m.revision {
		m.w.Updated = int32(len(newest.pods))
	}
	m.w.Ready = m.w.Available
	m.w.ObservedGeneration = m.w.Generation
	complete := m.w.Updated == m.w.Desired && m.w.Current == m.w.Desired && m.w.Available >= m.w.Desired
	was := m.w.Progressing.Reason.String() == "NewReplicaSetAvailable"
	switch {
	case complete || first:
		m.w.Progressing = Condition{Status: Sym("True"), Reason: Sym("NewReplicaSetAvailable"), Updated: m.now}
	case was && m.w.Current == m.w.Updated:
		// Scaling a complete Deployment is no rollout.
	default:
		m.w.Progressing = Condition{Status: Sym("True"), Reason: Sym("ReplicaSetUpdated"), Updated: m.now}
	}
}

// lose makes pods unavailable until no more than left are available; none comes back.
func (m *modelDeployment) lose(left int32) {
	_, available := m.total()
	for _, set := range m.sets {
		for _, p := range set.pods {
			if available > left && p.ready {
				p.ready = false
				available--
			}
		}
	}
	m.outage = true
	m.status(false)
}

// object is what the API shows now.
func (m *modelDeployment) object() *Workload {
	w := m.w
	return &w
}

// modelStatefulSet rolls one pod at a time, highest ordinal first, and scales in order.
type modelStatefulSet struct {
	rng        *rand.Rand
	w          Workload
	now        Time
	revision   int
	pods       []*modelPod
	startDelay int
	outage     bool
}

func newModelStatefulSet(rng *rand.Rand, now Time, desired, partition int32) *modelStatefulSet {
	m := &modelStatefulSet{rng: rng, now: now, revision: 1, startDelay: 1 + rng.IntN(30)}
	m.w = Workload{
		Meta: Meta{Namespace: Sym("shop"), Name: "db", UID: ParseUID("db"), Created: now - 86400}, Kind: StatefulSets,
		Generation: 1, HasStatus: true, Desired: desired, Partition: partition,
		CurrentRevision: Sym("1"), UpdateRevision: Sym("1"),
	}
	for range desired {
		m.pods = append(m.pods, &modelPod{ready: true, rev: 1})
	}
	m.status()
	return m
}

func (m *modelStatefulSet) rollOut() {
	m.revision++
	m.w.Generation++
}

func (m *modelStatefulSet) scale(desired int32) {
	if desired != m.w.Desired {
		m.w.Desired = desired
		m.w.Generation++
	}
}

func (m *modelStatefulSet) step(seconds int32) {
	m.now += Time(seconds)
	for _, p := range m.pods {
		if !m.outage && !p.ready && p.readyAt <= m.now {
			p.ready = true
		}
	}
	if m.rng.IntN(4) == 0 {
		return
	}
	m.reconcile()
	m.status()
}

func (m *modelStatefulSet) start() *modelPod {
	return &modelPod{readyAt: m.now + Time(1+m.rng.IntN(m.startDelay)), rev: m.revision}
}

func (m *modelStatefulSet) reconcile() {
	allReady := true
	for _, p := range m.pods {
		allReady = allReady && p.ready
	}
	switch n := int32(len(m.pods)); {
	case n > m.w.Desired && allReady:
		m.pods = m.pods[:n-1]
		return
	case n < m.w.Desired && allReady:
		m.pods = append(m.pods, m.start())
		return
	}
	if !allReady || int32(len(m.pods)) != m.w.Desired {
		return
	}
	for i := len(m.pods) - 1; i >= int(m.w.Partition); i-- {
		if m.pods[i].rev != m.revision {
			m.pods[i] = m.start()
			return
		}
	}
}

func (m *modelStatefulSet) status() {
	w := &m.w
	w.Current, w.Updated, w.Available = int32(len(m.pods)), 0, 0
	for _, p := range m.pods {
		if p.rev == m.revision {
			w.Updated++
		}
		if p.ready {
			w.Available++
		}
	}
	w.Ready = w.Available
	w.ObservedGeneration = w.Generation
	w.UpdateRevision = Sym(string(rune('0' + m.revision)))
	if w.Partition == 0 && w.Updated == w.Desired && w.Ready == w.Desired && w.Current == w.Desired {
		w.CurrentRevision = w.UpdateRevision
	}
}

func (m *modelStatefulSet) lose(left int32) {
	m.status()
	n := m.w.Available
	for _, p := range m.pods {
		if n > left && p.ready {
			p.ready = false
			n--
		}
	}
	m.outage = true
	m.status()
}

func (m *modelStatefulSet) object() *Workload {
	w := m.w
	return &w
}
