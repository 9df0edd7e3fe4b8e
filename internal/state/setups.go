// SPDX-License-Identifier: Apache-2.0

package state

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
	"time"
)

// eventMemory is how long an event tells of the present: the kubelet reports one that recurs at least every 5 minutes
// (one in 300 s after a burst of 25, client-go's EventSourceObjectSpamFilter).
const eventMemory = 11 * time.Minute

// setupIndex keeps the views of everything that makes pods, and what tells which of them are to be made anew.
type setupIndex struct {
	namespaces map[Symbol]bool    // in which a Service, a budget, an autoscaler or a ConfigMap has changed
	all        bool               // everything is to be made anew
	objects    map[UID]Object     // pods without a controller, Jobs and CronJobs
	alone      map[UID]*SetupView // theirs
	changed    map[UID]bool       // which of them have changed
	maps       map[serviceKey]*ConfigMap
	shape      *Shape
	list       []*SetupView // what the last snapshot had
}

func newSetupIndex() setupIndex {
	return setupIndex{
		namespaces: map[Symbol]bool{}, objects: map[UID]Object{}, alone: map[UID]*SetupView{}, changed: map[UID]bool{}, maps: map[serviceKey]*ConfigMap{},
	}
}

// noteSetup notes that an object which setups depend on was put or dropped.
func (s *Store) noteSetup(obj Object) {
	x := &s.setups
	switch o := obj.(type) {
	case *Service, *DisruptionBudget, *Autoscaler:
		x.namespaces[obj.ObjectMeta().Namespace] = true
	case *ConfigMap:
		x.namespaces[o.Namespace] = true
		delete(x.maps, serviceKey{o.Namespace, Sym(o.Name)})
		if s.tables[ConfigMaps][o.UID] == obj {
			x.maps[serviceKey{o.Namespace, Sym(o.Name)}] = o
		}
	case *Job, *CronJob, *Pod:
		s.noteAlone(obj)
	case *ProbeEvent:
		if p, ok := s.tables[Pods][o.Pod].(*Pod); ok {
			p.entity.setupStale = true
		}
	}
}

// noteAlone files an object that is judged by itself.
func (s *Store) noteAlone(obj Object) {
	uid := obj.ObjectMeta().UID
	if template, _, _ := alone(obj); template == nil || s.tables[obj.ObjectKind()][uid] != obj {
		delete(s.setups.objects, uid)
		return
	}
	s.setups.objects[uid] = obj
	s.setups.changed[uid] = true
}

// setupViews returns the views of all that makes pods; those of which nothing has changed are the same as before.
func (s *Store) setupViews(now Time) []*SetupView {
	x := &s.setups
	s.renewShape()
	b := setupBuilder{store: s, now: now, namespaces: map[Symbol]*selecting{}, events: s.recentEvents(now)}
	views := make([]*SetupView, 0, len(x.list))
	for _, e := range s.sortedEntities() {
		if v := b.ofEntity(e); v != nil {
			views = append(views, v)
		}
	}
	if more := b.ofAlone(); len(more) > 0 {
		views = append(views, more...)
		slices.SortFunc(views, func(a, b *SetupView) int { return compareRefs(a.Ref, b.Ref) })
	}
	x.list, x.all = views, false
	clear(x.namespaces)
	clear(x.changed)
	return views
}

// renewShape brings up to date what the nodes offer. That is the same value as long as it is equal.
func (s *Store) renewShape() {
	var shape *Shape
	if s.observes(Nodes) {
		shape = &Shape{}
		zones := map[Symbol]bool{}
		for _, n := range s.nodesByName {
			if n.ready() && !n.Cordoned && !n.Leaving && !n.Tainted && n.Deleted == 0 {
				shape.Schedulable++
				zones[n.Zone] = true
			}
		}
		shape.Zones = int32(len(zones))
	}
	if x := &s.setups; (shape == nil) != (x.shape == nil) || shape != nil && *shape != *x.shape {
		x.shape, x.all = shape, true
	}
}

// recentEvents returns the events that tell of the present, by pod.
func (s *Store) recentEvents(now Time) map[UID][]*ProbeEvent {
	if len(s.tables[Events]) == 0 {
		return nil
	}
	recent := map[UID][]*ProbeEvent{}
	for _, o := range s.tables[Events] {
		if e := o.(*ProbeEvent); e.Last.Within(eventMemory, now) {
			recent[e.Pod] = append(recent[e.Pod], e)
		}
	}
	return recent
}

// setupBuilder makes the views of one snapshot.
type setupBuilder struct {
	store      *Store
	now        Time
	namespaces map[Symbol]*selecting // made when the first view of a namespace needs it
	events     map[UID][]*ProbeEvent
}

// ofEntity returns the view of a workload with a controller, or of a static pod.
func (b *setupBuilder) ofEntity(e *entity) *SetupView {
	w := e.controller()
	static := w == nil && e.ref.Type.String() == TypeStaticPod && len(e.pods) > 0 && e.pods[0].Alone != nil
	if w == nil && !static || b.store.leaving[e.ref.Namespace] {
		e.setup = nil
		return nil
	}
	fresh := e.setup == nil || e.setupStale || b.store.setups.all || b.store.setups.namespaces[e.ref.Namespace] || e.setupExpires <= b.now
	if !fresh {
		return e.setup
	}
	v := &SetupView{Ref: e.ref, Desired: 1, Kind: Pods, Cluster: b.store.setups.shape}
	if static {
		first := slices.MinFunc(e.pods, func(a, b *Pod) int { return strings.Compare(a.Name, b.Name) })
		if first.Alone == nil {
			return nil
		}
		v.Template, v.Ignore, v.Created = first.Alone.Template, first.Alone.Ignore, first.Created
	} else {
		v.ofController(w, e)
	}
	e.setupStale, e.setupExpires = false, never
	if v.Template == nil {
		e.setup = nil
		return nil
	}
	b.relate(v)
	b.addPods(v, e)
	e.setup = same(e.setup, v)
	return e.setup
}

// same returns the old view if the new one says the same, of the same objects: others refer to them, too.
func same(old, v *SetupView) *SetupView {
	if old != nil && slices.Equal(old.Services, v.Services) && slices.Equal(old.Budgets, v.Budgets) && reflect.DeepEqual(old, v) {
		return old
	}
	return v
}

func (v *SetupView) ofController(w *Workload, e *entity) {
	// Of the ReplicaSets of a foreign controller the newest says what it wants.
	newest := slices.MaxFunc(e.controllers, func(a, b *Workload) int { return cmp.Compare(a.Created, b.Created) })
	v.Template, v.Ignore, v.Created, v.Kind = newest.Template, newest.Ignore, w.Created, w.Kind
	v.Desired, v.Strategy, v.MaxUnavailable, v.MaxSurge = w.Desired, w.Strategy, w.MaxUnavailable, w.MaxSurge
	v.MinReady, v.ProgressDeadline = w.MinReady, w.ProgressDeadline
}

// addPods adds what the pods of a workload tell.
func (b *setupBuilder) addPods(v *SetupView, e *entity) {
	nodesKnown := b.store.observes(Nodes)
	onNode := map[Symbol]int32{}
	for _, p := range e.pods {
		if !p.live() {
			continue
		}
		v.Pods++
		if p.Ready == True {
			v.Ready++
			if nodesKnown && p.Node != (Symbol{}) {
				onNode[p.Node]++
			}
		}
		for _, event := range b.events[p.UID] {
			v.addEvent(event)
			e.setupExpires = min(e.setupExpires, event.Last.Add(eventMemory)+1)
		}
	}
	for node, pods := range onNode {
		share := NodeShare{Node: node, Pods: pods}
		if n := b.store.nodesByName[node]; n != nil {
			share.Zone, share.Tainted = n.Zone, n.Tainted
		}
		v.Placement = append(v.Placement, share)
	}
	slices.SortFunc(v.Placement, func(a, b NodeShare) int { return strings.Compare(a.Node.String(), b.Node.String()) })
	v.Starts = e.startFacts(v.Template)
}

// addEvent keeps the newest event of each container, probe and outcome.
func (v *SetupView) addEvent(e *ProbeEvent) {
	fact := ProbeFact{Container: e.Container, ProbeType: e.ProbeType, Outcome: e.Outcome, Scheme: e.Scheme, Last: e.Last}
	i, found := slices.BinarySearchFunc(v.Probes, fact, func(a, b ProbeFact) int {
		return cmp.Or(strings.Compare(a.Container.String(), b.Container.String()), cmp.Compare(a.ProbeType, b.ProbeType),
			cmp.Compare(a.Outcome, b.Outcome))
	})
	if !found {
		v.Probes = slices.Insert(v.Probes, i, fact)
		return
	}
	known := &v.Probes[i]
	known.Last, known.Scheme = max(known.Last, fact.Last), known.Scheme || fact.Scheme
}

// ofAlone returns the views of pods without a controller, of Jobs and of CronJobs.
func (b *setupBuilder) ofAlone() []*SetupView {
	x := &b.store.setups
	var views []*SetupView
	held := map[UID]*SetupView{}
	for uid, o := range x.objects {
		meta := o.ObjectMeta()
		if meta.Deleted != 0 || b.store.leaving[meta.Namespace] {
			continue
		}
		v := x.alone[uid]
		if v == nil || x.all || x.changed[uid] || x.namespaces[meta.Namespace] || len(b.events[uid]) > 0 || len(v.Probes) > 0 {
			v = same(v, b.aloneView(o))
		}
		held[uid] = v
		views = append(views, v)
	}
	x.alone = held
	return views
}

// alone returns the template of an object that is judged by itself, and the workload type it has then.
func alone(o Object) (*Template, Ignore, WorkloadType) {
	switch o := o.(type) {
	case *CronJob:
		return o.Template, o.Ignore, TypeCronJob
	case *Job:
		return o.Template, o.Ignore, TypeJob
	case *Pod:
		if o.Alone != nil && o.Owner.Kind == (Symbol{}) && o.Phase != PhaseSucceeded && o.Phase != PhaseFailed {
			return o.Alone.Template, o.Alone.Ignore, TypePod
		}
	}
	return nil, Ignore{}, ""
}

func (b *setupBuilder) aloneView(o Object) *SetupView {
	meta := o.ObjectMeta()
	template, ignore, workload := alone(o)
	v := &SetupView{
		Ref: WorkloadRef{meta.Namespace, Sym(meta.Name), Sym(workload)}, Template: template, Ignore: ignore, Created: meta.Created,
		Kind: o.ObjectKind(), Desired: 1, Cluster: b.store.setups.shape,
	}
	b.relate(v)
	if p, ok := o.(*Pod); ok && p.live() {
		v.Pods = 1
		if p.Ready == True {
			v.Ready = 1
		}
		for _, event := range b.events[p.UID] {
			v.addEvent(event)
		}
	}
	return v
}
