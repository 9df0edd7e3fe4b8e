// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"stability-exporter/internal/state"
)

// leaseTimeout bounds one GET of a lease.
const leaseTimeout = 10 * time.Second

// pollLeases reads the leases of the control plane's components until ctx is done. They are read by name because a
// watch would carry the lease of every node, renewed every ten seconds.
func (l *Live) pollLeases(ctx context.Context, store *state.Store, m *monitor) {
	tick := time.NewTicker(l.timings.leasePoll)
	defer tick.Stop()
	for {
		l.pollOnce(ctx, store, m)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// pollOnce tells the store what is there. A lease that is not there is no news: the component may run elsewhere, out
// of the cluster's sight.
func (l *Live) pollOnce(ctx context.Context, store *state.Store, m *monitor) {
	var found []state.Object
	var failure error
	for _, name := range componentLeases() {
		lease, err := l.getLease(ctx, name)
		switch {
		case err == nil:
			found = append(found, convertLease(lease, l.convertOptions()))
		case !apierrors.IsNotFound(err):
			failure = err
			if ctx.Err() == nil {
				store.LeaseUnread(name)
			}
		}
	}
	switch {
	case ctx.Err() != nil:
	case failure != nil:
		m.failed("get", failure)
		if len(found) > 0 {
			store.Apply(m.scope, found...)
		}
	case len(found) == 0:
		m.works()
		store.Settle(m.scope, state.NotObserved)
	default:
		m.read()
		store.Replace(m.scope, found)
	}
}

func (l *Live) getLease(ctx context.Context, name string) (*coordinationv1.Lease, error) {
	k := kindOf(state.Leases)
	ctx, cancel := context.WithTimeout(ctx, leaseTimeout)
	defer cancel()
	lease := &coordinationv1.Lease{}
	err := l.clients[k.Group].Get().Namespace(leaseNamespace).Resource(k.Kind.String()).Name(name).Do(ctx).Into(lease)
	return lease, err
}
