// SPDX-License-Identifier: Apache-2.0

package state

import (
	"cmp"
	"slices"
	"strings"
)

// MiddlewareService is a Service as the discovery of middleware sees it. What stands behind it is told by its selector and the pods themselves,
// never by EndpointSlices: those may hold any address that somebody wrote into them.
type MiddlewareService struct {
	Namespace, Name string
	Probing         Probing
	Selects         bool // it has a selector
	Headless        bool
	Ports           []ServicePort
	// Workloads are those whose pods it is meant for: its selector selects the labels of their templates.
	Workloads []MiddlewareWorkload
	// Members are the pods that its selector selects, ready or not, but for those that have ended and those of Jobs; the oldest first.
	Members []MiddlewareMember
}

// MiddlewareWorkload is a workload behind a Service.
type MiddlewareWorkload struct {
	Ref          WorkloadRef
	Desired      int32
	FirstOrdinal int32     // of a StatefulSet
	Template     *Template // nil where the source does not give it
}

// MiddlewareMember is a pod behind a Service.
type MiddlewareMember struct {
	Pod, Node string
	UID       UID
	Created   Time
	Leaving   bool        // it is being deleted
	Replica   bool        // of a ReplicaSet: its name is made up, and its successor has another one
	Workload  WorkloadRef // its Name is empty for a pod without a controller
	Template  *Template   // of its workload or its own; nil when it is not known
	Address   Address
}

// DiscoveryReads are the kinds that MiddlewareServices is made from.
func DiscoveryReads() Kinds {
	return KindSet(Namespaces, Deployments, StatefulSets, DaemonSets, ReplicaSets, Services, Pods)
}

// MiddlewareServices returns the Services that are wanted and what stands behind each, sorted by namespace and name. It is false while that is
// not known: Services and pods have to be observed, and of workloads it must be known whether they can be. wanted is shown each Service without
// its Members and must not call the store.
func (s *Store) MiddlewareServices(wanted func(*MiddlewareService) bool) ([]MiddlewareService, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.observes(Services) || !s.observes(Pods) || s.settled&DiscoveryReads() != DiscoveryReads() {
		return nil, false
	}
	b := behind{
		relations: setupBuilder{store: s, namespaces: map[Symbol]*selecting{}},
		wanted:    map[*Service]*MiddlewareService{}, namespaces: map[Symbol]bool{}, selecting: map[labelsIn][]*MiddlewareService{},
	}
	b.choose(wanted)
	for _, e := range s.sortedEntities() {
		if b.namespaces[e.ref.Namespace] {
			b.addMembers(e)
		}
	}
	services := make([]MiddlewareService, 0, len(b.wanted))
	for _, m := range b.wanted {
		slices.SortFunc(m.Members, func(a, b MiddlewareMember) int {
			return cmp.Or(cmp.Compare(a.Created, b.Created), strings.Compare(a.Pod, b.Pod))
		})
		services = append(services, *m)
	}
	sortBy(services, func(m MiddlewareService) (string, string) { return m.Namespace, m.Name })
	return services, true
}

// behind finds what stands behind Services.
type behind struct {
	relations  setupBuilder
	wanted     map[*Service]*MiddlewareService
	namespaces map[Symbol]bool                   // of those
	selecting  map[labelsIn][]*MiddlewareService // which of them select pods with such labels
}

type labelsIn struct {
	namespace Symbol
	labels    Labels
}

// choose finds the workloads of every Service and asks which Services are wanted.
func (b *behind) choose(wanted func(*MiddlewareService) bool) {
	s := b.relations.store
	workloads := map[*Service][]MiddlewareWorkload{}
	for _, e := range s.sortedEntities() {
		w := e.controller()
		if w == nil {
			continue
		}
		for _, svc := range b.servicesOf(e.ref.Namespace, w.TemplateLabels) {
			workloads[svc] = append(workloads[svc], MiddlewareWorkload{
				Ref: e.ref, Desired: w.Desired, FirstOrdinal: w.FirstOrdinal, Template: e.currentTemplate(),
			})
		}
	}
	for _, o := range s.tables[Services] {
		svc := o.(*Service)
		if svc.Deleted != 0 || s.leaving[svc.Namespace] {
			continue
		}
		m := &MiddlewareService{
			Namespace: svc.Namespace.String(), Name: svc.Name, Selects: len(svc.Selector) > 0, Headless: svc.Headless, Ports: svc.Ports,
			Workloads: workloads[svc],
		}
		if svc.Probing != nil {
			m.Probing = *svc.Probing
		}
		if wanted(m) {
			b.wanted[svc], b.namespaces[svc.Namespace] = m, true
		}
	}
}

// servicesOf returns the Services of a namespace that select the labels.
func (b *behind) servicesOf(namespace Symbol, labels Labels) []*Service {
	var selecting []*Service
	n := b.relations.in(namespace)
	for pair := range labels.pairs {
		for _, svc := range n.services[pair] {
			if svc.Selector.Matches(labels) {
				selecting = append(selecting, svc)
			}
		}
	}
	return selecting
}

// addMembers adds the pods of a workload to the wanted Services that select them. Those of one template mostly have the same labels.
func (b *behind) addMembers(e *entity) {
	for _, p := range e.pods {
		if p.Phase == PhaseSucceeded || p.Phase == PhaseFailed || p.Owner.Kind.String() == "Job" {
			continue
		}
		key := labelsIn{e.ref.Namespace, p.Labels}
		services, known := b.selecting[key]
		if !known {
			for _, svc := range b.servicesOf(key.namespace, key.labels) {
				if m := b.wanted[svc]; m != nil {
					services = append(services, m)
				}
			}
			b.selecting[key] = services
		}
		for _, m := range services {
			m.Members = append(m.Members, MiddlewareMember{
				Pod: p.Name, Node: p.Node.String(), UID: p.UID, Created: p.Created, Leaving: p.Deleted != 0,
				Replica: p.Owner.Kind.String() == "ReplicaSet", Workload: e.ref, Template: p.templateIn(e), Address: p.Address,
			})
		}
	}
}

// currentTemplate is the one that the workload wants; of the ReplicaSets of a foreign controller the newest tells. It is nil when there is none.
func (e *entity) currentTemplate() *Template {
	if len(e.controllers) == 0 {
		return nil
	}
	return slices.MaxFunc(e.controllers, func(a, b *Workload) int { return cmp.Compare(a.Created, b.Created) }).Template
}

func (p *Pod) templateIn(e *entity) *Template {
	if p.Alone != nil {
		return p.Alone.Template
	}
	return e.currentTemplate()
}
