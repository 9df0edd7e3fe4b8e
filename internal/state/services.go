// SPDX-License-Identifier: Apache-2.0

package state

import "slices"

type serviceKey struct{ namespace, name Symbol }

// serviceAccount is a Service together with the slices of its endpoints; either may come first.
type serviceAccount struct {
	service *Service
	slices  map[UID]*EndpointSlice
	ready   int32
	dirty   bool
	empty   Time // since when no endpoint is seen to serve; zero while one does

	had  bool // it had an endpoint that served, or is assumed to have had one
	seen bool // it was seen to have one
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

func (a *serviceAccount) put(slice *EndpointSlice, now Time) {
	a.slices[slice.UID] = slice
	a.changed(now)
}

// changed notes that a slice, or the Service, is another one now.
func (a *serviceAccount) changed(now Time) {
	a.dirty = true
	if a.serves() {
		a.empty = 0
	} else if a.empty == 0 {
		a.empty = now
	}
}

// serves reports whether there is an endpoint at all; most have one in the first place that is looked at.
func (a *serviceAccount) serves() bool {
	for _, slice := range a.slices {
		if a.counts(slice) && slices.ContainsFunc(slice.Endpoints, Endpoint.serves) {
			return true
		}
	}
	return false
}

// counts reports whether the endpoints of a slice can be reached: those without a port cannot, unless the Service has none.
func (a *serviceAccount) counts(slice *EndpointSlice) bool {
	return slice.HasPorts || a.service != nil && a.service.Portless
}

// serves reports whether the endpoint takes connections. The condition serving decides, because publishNotReadyAddresses
// forces ready to true (pkg/controller/endpointslice).
func (e Endpoint) serves() bool { return e.Serving && !e.Terminating }

// removeSlice takes a slice away from the Service it belonged to.
func (s *Store) removeSlice(slice *EndpointSlice, now Time) {
	a := s.endpointsOf(slice)
	delete(a.slices, slice.UID)
	a.changed(now)
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
		a.had, a.seen = !svc.Created.Within(s.grace(), now), false
	}
	a.service = svc
	a.changed(now)
}

// count returns the number of distinct pods (or addresses) that serve and are not terminating.
func (a *serviceAccount) count() int32 {
	if !a.dirty {
		return a.ready
	}
	seen := map[UID]struct{}{}
	for _, slice := range a.slices {
		if !a.counts(slice) {
			continue
		}
		for _, e := range slice.Endpoints {
			if e.serves() {
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
		if a.service == nil || len(a.service.Selector) == 0 || a.service.Deleted != 0 || s.leaving[key.namespace] {
			continue
		}
		v := ServiceView{Namespace: key.namespace.String(), Name: key.name.String(), Object: a.service, ReadyEndpoints: a.count()}
		if v.ReadyEndpoints > 0 {
			a.had, a.seen = true, true
		} else {
			b := s.backingOf(a.service)
			v.Cause, v.Lost = s.judgeEmpty(a, b)
			v.EmptySince = a.emptySince(b, v.Cause)
		}
		views = append(views, v)
	}
	sortBy(views, func(v ServiceView) (string, string) { return v.Namespace, v.Name })
	return views
}

// backing is what could stand behind a Service.
type backing struct {
	matched, live, ready int  // pods its selector selects
	lost                 Time // when the last of them that is not ready ceased to be, or was created
	off, wanted          bool // workloads of such pods that are scaled to zero, and that are not
}

func (s *Store) backingOf(svc *Service) backing {
	var b backing
	for _, e := range s.entitiesIn(svc.Namespace) {
		for _, p := range e.pods {
			if !svc.Selector.Matches(p.Labels) || p.Phase == PhaseSucceeded || p.Phase == PhaseFailed {
				continue
			}
			b.matched++
			if p.Deleted == 0 {
				b.live++
				if p.Ready == True {
					b.ready++
				} else {
					b.lost = max(b.lost, p.ReadySince, p.Created)
				}
			}
		}
		if w := e.controller(); w != nil && svc.Selector.Matches(w.TemplateLabels) {
			b.off = b.off || w.Desired == 0
			b.wanted = b.wanted || w.Desired > 0
		}
	}
	return b
}

// judgeEmpty says why a Service has no endpoint, and whether it has lost what it had.
func (s *Store) judgeEmpty(a *serviceAccount, b backing) (cause string, lost bool) {
	switch cause = s.emptyCause(a, b); {
	case cause == "scaled_to_zero":
		// What somebody scaled to zero is not lost, and until it serves again it has nothing to lose.
		a.had, a.seen = false, false
	case cause == "unknown" && !b.wanted && b.live == 0:
		// It may have been scaled to zero: the assumption that it had endpoints is not enough to accuse.
		return cause, a.seen
	}
	return cause, a.had
}

// emptySince is since when a Service has no endpoint. When it had none at first sight already, its pods prove more.
func (a *serviceAccount) emptySince(b backing, cause string) Time {
	since := a.empty
	if !a.seen && cause == "pods_not_ready" && b.lost != 0 {
		since = min(since, b.lost)
	}
	return max(since, a.service.Created)
}

func (s *Store) emptyCause(a *serviceAccount, b backing) string {
	podsKnown := s.observes(Pods)
	switch {
	case b.off && !b.wanted && b.live == 0:
		return "scaled_to_zero"
	case !podsKnown, b.matched == 0 && !b.wanted && !s.observesWorkloads():
		return "unknown"
	case b.matched == 0 && b.wanted:
		return "pods_missing" // the selector is right: its workload cannot make pods, or somebody deletes them
	case b.matched == 0:
		return "no_matching_pods"
	case b.live == 0:
		return "only_terminating"
	case b.ready == 0:
		return "pods_not_ready"
	case a.hasPortlessEndpoint():
		return "port_mismatch"
	}
	return "unknown" // pods are ready and nobody has entered them: the endpoint slice controller is behind, or gone
}

// observesWorkloads reports whether every workload that may have been scaled to zero is seen.
func (s *Store) observesWorkloads() bool {
	for _, k := range []Kind{Deployments, StatefulSets, DaemonSets, ReplicaSets} {
		if s.known[k] && !s.observes(k) {
			return false
		}
	}
	for scope, status := range s.scopes {
		if scope.Kind == ReplicaSets && status.partial {
			return false
		}
	}
	return true
}
