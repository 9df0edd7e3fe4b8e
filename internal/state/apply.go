// SPDX-License-Identifier: Apache-2.0

package state

import (
	"reflect"
	"strings"
)

func tableOf(obj Object) Kind {
	if w, ok := obj.(*Workload); ok && w.Kind == ReplicaSets {
		return freeReplicaSets
	}
	return obj.ObjectKind()
}

// put takes an object's new state and brings up to date what depends on it.
func (s *Store) put(scope Scope, obj Object, now Time) {
	uid := obj.ObjectMeta().UID
	table := s.tables[tableOf(obj)]
	old := table[uid]
	if old == obj {
		return
	}
	table[uid] = obj
	s.noteSetup(obj)
	switch o := obj.(type) {
	case *Pod:
		before, _ := old.(*Pod)
		s.putPod(scope, before, o, now)
	case *Workload:
		s.putWorkload(o, old, now)
	case *ReplicaSet:
		s.putReplicaSet(o, now)
	case *Revision:
		if e := s.ownerEntity(&o.Meta); e != nil {
			hash := o.Hash
			if o.Owner.Kind.String() == "StatefulSet" {
				hash = Sym(o.Name)
			}
			e.setTemplate(template{uid: o.UID, hash: hash, created: o.Created})
		}
	case *Job:
		if old == nil {
			s.rehome(&o.Meta, now)
		}
	case *Autoscaler:
		s.putAutoscaler(o, now)
	case *Namespace:
		s.putNamespace(o)
	case *Node:
		before, _ := old.(*Node)
		s.putNode(before, o, now)
	case *Service:
		s.putService(o, now)
	case *EndpointSlice:
		if before, ok := old.(*EndpointSlice); ok && before.Service != o.Service {
			s.removeSlice(before, now)
		}
		s.endpointsOf(o).put(o, now)
	case *DisruptionBudget:
		s.matches.stale = true
	case *Lease:
		s.putLease(o, now)
	}
}

// drop removes an object that is known.
func (s *Store) drop(obj Object, now Time) {
	meta := obj.ObjectMeta()
	delete(s.tables[tableOf(obj)], meta.UID)
	s.noteSetup(obj)
	switch o := obj.(type) {
	case *Pod:
		o.entity.removePod(o)
	case *Workload:
		s.entity(o.ref()).removeController(o.UID)
		s.matches.stale = true
	case *ReplicaSet:
		if free := s.tables[freeReplicaSets][o.UID]; free != nil {
			s.drop(free, now)
		}
		if e := s.ownerEntity(meta); e != nil {
			e.removeTemplate(o.UID)
		}
	case *Revision:
		if e := s.ownerEntity(meta); e != nil {
			e.removeTemplate(o.UID)
		}
	case *Namespace:
		delete(s.leaving, Sym(o.Name))
	case *Node:
		if s.nodesByName[Sym(o.Name)] == o {
			delete(s.nodesByName, Sym(o.Name))
			delete(s.reboots, Sym(o.Name))
		}
		s.touchAll()
	case *Service:
		s.removeService(o)
	case *EndpointSlice:
		s.removeSlice(o, now)
	case *DisruptionBudget:
		s.matches.stale = true
	case *Lease:
		delete(s.leases, o.UID)
	}
}

// putNamespace notes whether a namespace is being deleted: its pods go first (Kubernetes 1.33, KEP-5080), and nothing of
// what is left meanwhile says anything about a failure.
func (s *Store) putNamespace(n *Namespace) {
	if n.Deleted != 0 {
		s.leaving[Sym(n.Name)] = true
	} else {
		delete(s.leaving, Sym(n.Name))
	}
}

func (s *Store) entity(ref WorkloadRef) *entity {
	e := s.entities[ref]
	if e == nil {
		e = &entity{ref: ref, dirty: true}
		s.entities[ref] = e
		s.sorted = nil
	}
	return e
}

func (s *Store) putPod(scope Scope, old, p *Pod, now Time) {
	home := s.home(p)
	home.setupStale = true
	home.starts.observe(old, p, now)
	if old != nil {
		home.restarts.changed(old, p, now)
		if old.entity == home {
			p.entity, p.slot = home, old.slot
			home.pods[p.slot] = p
			home.dirty = true
			old.entity = nil
			return
		}
		old.entity.removePod(old)
	} else {
		s.accountFirstSeen(scope, home, p, now)
	}
	home.addPod(p)
}

// accountFirstSeen counts a pod that was not known. In a scope that was synchronised before, it must have come into
// being since; the same holds for what a state file knew.
func (s *Store) accountFirstSeen(scope Scope, home *entity, p *Pod, now Time) {
	switch {
	case s.scope(scope).everSynced:
		home.restarts.firstSeen(p, countAll, now)
	case s.imported.covers(p):
		home.restarts.changed(s.imported.before(p), p, now)
	default:
		home.restarts.firstSeen(p, countProven, now)
	}
}

func (w *Workload) ref() WorkloadRef {
	ref := WorkloadRef{Namespace: w.Namespace, Name: Sym(w.Name)}
	switch w.Kind {
	case Deployments:
		ref.Type = Sym(TypeDeployment)
	case StatefulSets:
		ref.Type = Sym(TypeStatefulSet)
	case DaemonSets:
		ref.Type = Sym(TypeDaemonSet)
	case ReplicaSets:
		ref.Type = Sym(TypeReplicaSet)
		if w.Owner.Name != (Symbol{}) {
			ref.Name, ref.Type = w.Owner.Name, Sym(strings.ToLower(w.Owner.Kind.String()))
		}
	}
	return ref
}

func (s *Store) putWorkload(w *Workload, old Object, now Time) {
	if before, ok := old.(*Workload); ok && before.ref() != w.ref() {
		s.entity(before.ref()).removeController(w.UID) // adopted by another controller
	}
	e := s.entity(w.ref())
	before, known := old.(*Workload)
	if !known || before.MinReady != w.MinReady {
		e.dirty = true
	}
	if !known || otherTemplate(before, w) {
		s.matches.stale = true
	}
	if known && before.Template != nil && reflect.DeepEqual(before.Template, w.Template) {
		w.Template = before.Template
	}
	e.setController(w)
	for _, o := range s.tables[HorizontalPodAutoscalers] {
		if a := o.(*Autoscaler); old == nil && a.target() == e.ref {
			e.lastScale = max(e.lastScale, a.LastScale)
		}
	}
	if s.settled.Has(w.Kind) {
		s.judge(e, now)
	}
}

func (a *Autoscaler) target() WorkloadRef {
	return WorkloadRef{Namespace: a.Namespace, Name: a.TargetName, Type: a.TargetKind}
}

func (s *Store) putAutoscaler(a *Autoscaler, now Time) {
	if e := s.entities[a.target()]; e != nil && a.LastScale > e.lastScale {
		e.lastScale = a.LastScale
		if e.damage != nil {
			e.damage.excuse(a.LastScale)
		}
	}
}

func (s *Store) putNode(old, n *Node, now Time) {
	name := Sym(n.Name)
	s.nodesByName[name] = n
	n.beenReady = n.ready() || old != nil && old.beenReady
	if old == nil || old.ready() != n.ready() || old.Zone != n.Zone {
		s.touchAll()
	}
	if old != nil && old.BootID != n.BootID && old.BootID != (Symbol{}) && n.BootID != (Symbol{}) {
		s.rebooted(name, old, now)
	}
}

func (n *Node) ready() bool { return n.Ready.String() == "True" }
