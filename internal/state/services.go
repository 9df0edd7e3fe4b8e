// SPDX-License-Identifier: Apache-2.0

package state

import "strings"

type serviceKey struct{ namespace, name Symbol }

// serviceAccount is a Service together with the slices of its endpoints; either may come first.
type serviceAccount struct {
	service *Service
	slices  map[UID]*EndpointSlice
	ready   int32
	dirty   bool

	had bool // it had an endpoint that served, or is assumed to have had one
}

func (s *Store) service(key serviceKey) *serviceAccount {
	a := s.services[key]
	if a == nil {
		a = &serviceAccount{slices: map[UID]*EndpointSlice{}}
		s.services[key] = a
	}
	return a
}

func (s *Store) endpointsOf(slice *EndpointSlice) *serviceAccount {
	return s.service(serviceKey{slice.Namespace, slice.Service})
}

func (a *serviceAccount) put(slice *EndpointSlice) { a.slices[slice.UID], a.dirty = slice, true }

// removeSlice takes a slice away from the Service it belonged to.
func (s *Store) removeSlice(slice *EndpointSlice) {
	a := s.endpointsOf(slice)
	delete(a.slices, slice.UID)
	a.dirty = true
	s.forgetService(serviceKey{slice.Namespace, slice.Service}, a)
}

func (s *Store) removeService(svc *Service) {
	key := serviceKey{svc.Namespace, Sym(svc.Name)}
	if a := s.service(key); a.service == nil || a.service.UID == svc.UID {
		a.service = nil
		s.forgetService(key, a)
	}
}

// forgetService drops an account of which neither the Service nor a slice is left.
func (s *Store) forgetService(key serviceKey, a *serviceAccount) {
	if a.service == nil && len(a.slices) == 0 {
		delete(s.services, key)
	}
}

func (s *Store) putService(svc *Service, now Time) {
	a := s.service(serviceKey{svc.Namespace, Sym(svc.Name)})
	if a.service == nil || a.service.UID != svc.UID {
		// A Service that is not new is assumed to have had endpoints: an exporter that starts in an outage tells it.
		a.had = !svc.Created.Within(s.grace(), now)
	}
	a.service, a.dirty = svc, true
}

// count returns the number of distinct pods (or addresses) that serve and are not terminating. The condition serving
// decides, because publishNotReadyAddresses forces ready to true (pkg/controller/endpointslice).
func (a *serviceAccount) count() int32 {
	if !a.dirty {
		return a.ready
	}
	seen := map[UID]struct{}{}
	for _, slice := range a.slices {
		if !slice.HasPorts && (a.service == nil || !a.service.Portless) {
			continue
		}
		for _, e := range slice.Endpoints {
			if e.Serving && !e.Terminating {
				seen[e.Target] = struct{}{}
			}
		}
	}
	a.ready, a.dirty = int32(len(seen)), false
	return a.ready
}

func (a *serviceAccount) hasPortlessEndpoint() bool {
	for _, slice := range a.slices {
		if !slice.HasPorts && len(slice.Endpoints) > 0 {
			return true
		}
	}
	return false
}

func (s *Store) serviceViews() []ServiceView {
	views := make([]ServiceView, 0, len(s.services))
	for key, a := range s.services {
		if a.service == nil || len(a.service.Selector) == 0 || a.service.Deleted != 0 {
			continue
		}
		v := ServiceView{Namespace: key.namespace.String(), Name: key.name.String(), ReadyEndpoints: a.count()}
		if v.ReadyEndpoints > 0 {
			a.had = true
		} else {
			v.Cause = s.noEndpointsCause(a)
			// What somebody scaled to zero is not lost, and until it serves again it has nothing to lose.
			if v.Cause == "scaled_to_zero" {
				a.had = false
			}
			v.Lost = a.had
		}
		views = append(views, v)
	}
	sortBy(views, func(v ServiceView) (string, string) { return v.Namespace, v.Name })
	return views
}

func (s *Store) noEndpointsCause(a *serviceAccount) string {
	selector := a.service.Selector
	matched, live, ready := 0, 0, 0
	scaledToZero, wanted := false, false
	for _, e := range s.entitiesIn(a.service.Namespace) {
		for _, p := range e.pods {
			if !selector.Matches(p.Labels) || p.Phase == PhaseSucceeded || p.Phase == PhaseFailed {
				continue
			}
			matched++
			if p.Deleted == 0 {
				live++
				if p.Ready == True {
					ready++
				}
			}
		}
		if w := e.controller(); w != nil && selector.Matches(w.TemplateLabels) {
			scaledToZero = scaledToZero || w.Desired == 0
			wanted = wanted || w.Desired > 0
		}
	}
	podsKnown := s.observes(Pods)
	switch {
	case scaledToZero && live == 0 && (podsKnown || !wanted):
		return "scaled_to_zero"
	case !podsKnown, matched == 0 && !s.observesWorkloads():
		return "unknown"
	case matched == 0:
		return "no_matching_pods"
	case live == 0:
		return "only_terminating"
	case ready > 0 && (a.hasPortlessEndpoint() || len(a.slices) > 0):
		return "port_mismatch"
	}
	return "pods_not_ready"
}

// observesWorkloads reports whether every workload that may have been scaled to zero is seen.
func (s *Store) observesWorkloads() bool {
	for _, k := range []Kind{Deployments, StatefulSets, DaemonSets, ReplicaSets} {
		if s.known[k] && !s.observes(k) {
			return false
		}
	}
	return true
}

func sortKeyLess(an, aName, bn, bName string) int {
	if c := strings.Compare(an, bn); c != 0 {
		return c
	}
	return strings.Compare(aName, bName)
}
