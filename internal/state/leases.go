// SPDX-License-Identifier: Apache-2.0

package state

// controllerManagerLease is the lease whose holder writes the statuses of workloads.
const controllerManagerLease = "kube-controller-manager"

// leaseAccount dates the last renewal by our own clock: clocks of the control plane may differ from ours, and a
// component that died before we came must be seen as well.
type leaseAccount struct {
	lease   *Lease
	changed Time // when the renewal was seen to change, or first seen
	read    Time // when the lease was last read: while it cannot be, its age proves nothing
	unread  bool // it could not be read since: perhaps nobody could renew it either
}

// LeaseUnread takes that the lease of that name could not be read. Its age counts anew from when it can be again: a holder that was cut
// off as well has lost it, and needs its whole duration to get it back.
func (s *Store) LeaseUnread(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.leases {
		if a.lease.Name == name {
			a.unread = true
		}
	}
}

func (s *Store) putLease(l *Lease, now Time) {
	a := s.leases[l.UID]
	if a == nil {
		a = &leaseAccount{changed: now}
		s.leases[l.UID] = a
	} else if a.unread || !a.lease.Renewed.Equal(l.Renewed) || a.lease.Holder != l.Holder {
		a.changed = now
	}
	a.lease, a.read, a.unread = l, now, false
}

func (s *Store) leaseStale(a *leaseAccount) bool {
	poll := s.options.LeasePoll
	if poll <= 0 {
		poll = DefaultLeasePoll
	}
	return a.read.Sub(a.changed) > a.lease.Duration+poll
}

// statusStale reports whether the statuses of a kind are no longer written: the controller manager does not renew its
// lease. It is false while that is not known.
func (s *Store) statusStale() bool {
	for _, a := range s.leases {
		if a.lease.Name == controllerManagerLease && s.leaseStale(a) {
			return true
		}
	}
	return false
}

func (s *Store) leaseViews() []LeaseView {
	views := make([]LeaseView, 0, len(s.leases))
	for _, a := range s.leases {
		views = append(views, LeaseView{
			Name: a.lease.Name, Holder: a.lease.Holder.String(), Renewed: At(a.lease.Renewed), Stale: s.leaseStale(a),
		})
	}
	sortBy(views, func(v LeaseView) (string, string) { return v.Name, "" })
	return views
}
