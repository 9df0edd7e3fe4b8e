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
		wanted:    map[*Service]*MiddlewareService{}, first: map[Symbol]map[string]map[string]bool{},
	}
	b.choose(wanted)
	for _, e := range s.sortedEntities() {
		b.addMembers(e)
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
	relations setupBuilder
	wanted    map[*Service]*MiddlewareService
	// first are the values that wanted Services want of the label which they want first, by namespace and key. Most pods are told by it to be of none.
	first map[Symbol]map[string]map[string]bool
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
			b.want(svc, m)
		}
	}
}

func (b *behind) want(svc *Service, m *MiddlewareService) {
	b.wanted[svc] = m
	pair, ok := svc.Selector.first()
	if !ok {
		return
	}
	values := b.first[svc.Namespace]
	if values == nil {
		values = map[string]map[string]bool{}
		b.first[svc.Namespace] = values
	}
	key := pair.key.String()
	if values[key] == nil {
		values[key] = map[string]bool{}
	}
	values[key][pair.value.String()] = true
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

// addMembers adds the pods of a workload to the wanted Services that select them.
func (b *behind) addMembers(e *entity) {
	values := b.first[e.ref.Namespace]
	for _, p := range e.pods {
		if !anyOf(values, p.Labels) || p.Phase == PhaseSucceeded || p.Phase == PhaseFailed || p.Owner.Kind.String() == "Job" {
			continue
		}
		for _, svc := range b.servicesOf(e.ref.Namespace, p.Labels) {
			if m := b.wanted[svc]; m != nil {
				m.Members = append(m.Members, MiddlewareMember{
					Pod: p.Name, Node: p.Node.String(), UID: p.UID, Created: p.Created, Leaving: p.Deleted != 0,
					Replica: p.Owner.Kind.String() == "ReplicaSet", Workload: e.ref, Template: p.templateIn(e), Address: p.Address,
				})
			}
		}
	}
}

// anyOf reports whether one of the labels has one of the values.
func anyOf(values map[string]map[string]bool, labels Labels) bool {
	for key, wanted := range values {
		if value, set := labels.Get(key); set && wanted[value] {
			return true
		}
	}
	return false
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
