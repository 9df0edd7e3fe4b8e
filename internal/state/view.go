// SPDX-License-Identifier: Apache-2.0

package state

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"
)

// Snapshot returns the present picture. Two calls with nothing changed in between share one.
func (s *Store) Snapshot() *Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if s.snapshot != nil && s.snapshot.Generation == s.generation && s.snapshot.Now == now {
		return s.snapshot
	}
	s.prune()
	snap := &Snapshot{Now: now, Generation: s.generation, observed: s.observed, Inspected: s.inspected}
	snap.Resources = s.resourceViews()
	snap.Zones = s.zoneViews(now)
	s.viewEntities(snap)
	snap.Nodes = s.nodeViews(now)
	snap.Budgets = s.budgetViews()
	if snap.Observed(KindSet(Nodes, Pods, PodDisruptionBudgets)) {
		s.countDrainBlocked(snap.Nodes)
	}
	snap.Services = s.serviceViews()
	snap.Autoscalers = s.autoscalerViews()
	snap.CronJobs = s.cronJobViews()
	snap.Leases = s.leaseViews()
	snap.Setups = s.setupViews(now)
	s.snapshot = snap
	return snap
}

// prune forgets workloads of which nothing is left; while a kind that could still show them is not observed, they stay.
func (s *Store) prune() {
	for ref, e := range s.entities {
		if e.idle() && len(e.templates) == 0 && s.wouldShow(ref) {
			delete(s.entities, ref)
			s.matches.stale, s.sorted = true, nil
		}
	}
}

// wouldShow reports whether a workload that exists would be seen by its own object or, where it has none of a kind we
// know, by its pods.
func (s *Store) wouldShow(ref WorkloadRef) bool {
	if !s.observes(Pods) && s.known[Pods] {
		return false
	}
	for kind, name := range map[Kind]WorkloadType{
		Deployments: TypeDeployment, StatefulSets: TypeStatefulSet, DaemonSets: TypeDaemonSet, ReplicaSets: TypeReplicaSet,
	} {
		if ref.Type.String() == name {
			return s.observes(kind) || !s.known[kind]
		}
	}
	return true
}

// sortedEntities returns the accumulators by reference; the order is kept until one is added or forgotten.
func (s *Store) sortedEntities() []*entity {
	if s.sorted == nil {
		s.sorted = slices.AppendSeq(make([]*entity, 0, len(s.entities)), maps.Values(s.entities))
		slices.SortFunc(s.sorted, func(a, b *entity) int { return compareRefs(a.ref, b.ref) })
	}
	return s.sorted
}

func (s *Store) viewEntities(snap *Snapshot) {
	for _, e := range s.sortedEntities() {
		if j := s.judge(e, snap.Now); j.controller != nil && !s.leaving[e.ref.Namespace] {
			snap.Workloads = append(snap.Workloads, s.workloadView(e, j, snap))
		}
		if len(e.restarts.containers) > 0 || len(e.restarts.log) > 0 || len(e.restarts.disruptions) > 0 {
			snap.Restarts = append(snap.Restarts, e.restartView(snap.Now))
		}
	}
}

func (s *Store) workloadView(e *entity, j judgement, snap *Snapshot) WorkloadView {
	w, r := j.controller, j.rollout
	v := WorkloadView{
		Ref: e.ref, Info: w.Info, HasStatus: w.HasStatus, Paused: w.Paused,
		Desired: w.Desired, Current: w.Current, Updated: w.Updated, Ready: j.ready, Available: j.available,
		PodsKnown: snap.Observed(KindSet(Pods)),
	}
	if j.onReady {
		v.OnReadyNodes, v.OnReadyDesired, v.OnReadyAvailable = true, j.desired, j.counted
	}
	if e.damage != nil && w.HasStatus {
		v.MinAvailable, v.State = j.line, j.state
		if spell := e.history.current(); spell != nil {
			v.DamagedSince = spell.Began
		}
		v.DamageDelta, v.DamagedShare = e.history.within(snap.Now)
		v.Lagging = e.lagSince != 0 && snap.Now.Sub(e.lagSince) > statusLagLimit
		v.Stuck, v.Rolling = r.stuck, r.active
		v.RolloutStarted, v.LastProgress = r.started, r.lastProgress
		v.UnhealthyUpdated, v.RolloutRestarts, v.UpdatedPodsUnknown = r.unhealthy, r.restarts, r.podsUnknown
	}
	if v.PodsKnown {
		s.viewPods(&v, e, snap)
	}
	return v
}

func (s *Store) viewPods(v *WorkloadView, e *entity, snap *Snapshot) {
	sum := &e.summary
	if v.HasStatus {
		v.Causes = sum.causesOf(max(0, v.Desired-max(0, v.Available)), v.Desired)
	}
	v.Abnormal = slices.Clone(sum.abnormal)
	v.Unschedulable = slices.Clone(sum.unschedulable)
	v.UnschedulableSince = sum.unschedulableSince
	v.ImagePull, v.ImagePullSince = slices.Clone(sum.imagePull), sum.imagePullSince
	v.TerminatingOverdue, v.OverdueSince = sum.overdue, sum.overdueSince
	if v.Desired <= 0 || !snap.Observed(KindSet(Nodes)) {
		return
	}
	v.ZoneAvailable = make([]int32, len(snap.Zones))
	for i := range snap.Zones {
		for _, c := range sum.zones {
			if name := c.name.String(); name == snap.Zones[i].Name || name == "" && snap.Zones[i].Name == unknownZone {
				v.ZoneAvailable[i] += c.n
			}
		}
	}
	survivors := func(fullest int32) float64 {
		return min(1, max(0, float64(sum.available-fullest)/float64(v.Desired)))
	}
	v.SurvivableNode, v.SurvivableZone = survivors(sum.fullestNode), survivors(sum.fullestZone)
}

func (e *entity) restartView(now Time) RestartView {
	a := &e.restarts
	v := RestartView{Ref: e.ref, Disruptions: slices.Clone(a.disruptions), SinceInspection: a.total() - a.inspected}
	for _, c := range a.containers {
		v.Containers = append(v.Containers, ContainerRestarts{
			Name: c.name.String(), Type: c.kind, Restarts: c.restarts, Terminations: slices.Clone(c.terminations),
			LastRestart: c.last, LastReason: c.lastReason,
		})
	}
	sortBy(v.Containers, func(c ContainerRestarts) (string, string) { return c.Name, c.Type.String() })
	for i, d := range []time.Duration{15 * time.Minute, time.Hour, 24 * time.Hour} {
		v.Deltas[i], _ = a.within(d, now)
	}
	for i, d := range []time.Duration{time.Hour, 24 * time.Hour} {
		_, v.OOMKills[i] = a.within(d, now)
	}
	return v
}

func (s *Store) entitiesIn(namespace Symbol) []*entity {
	var entities []*entity
	for ref, e := range s.entities {
		if ref.Namespace == namespace {
			entities = append(entities, e)
		}
	}
	return entities
}

// limited returns the reason for which an autoscaler does not set the number it wants. One that may set a single number has no
// limit that anybody could want to hear of.
func (a *Autoscaler) limited() string {
	if a.Pinned {
		return ""
	}
	return a.Limited.String()
}

func (s *Store) autoscalerViews() []AutoscalerView {
	views := make([]AutoscalerView, 0, len(s.tables[HorizontalPodAutoscalers]))
	for _, o := range s.tables[HorizontalPodAutoscalers] {
		a := o.(*Autoscaler)
		if s.leaving[a.Namespace] {
			continue
		}
		views = append(views, AutoscalerView{
			Namespace: a.Namespace.String(), Name: a.Name, Target: a.target(), LastScale: a.LastScale,
			Limited: a.limited(),
		})
	}
	sortBy(views, func(v AutoscalerView) (string, string) { return v.Namespace, v.Name })
	return views
}

// cronJobViews tells of each CronJob how the newest of its finished Jobs ended; older failures are history.
func (s *Store) cronJobViews() []CronJobView {
	newest := map[UID]*Job{}
	for _, o := range s.tables[Jobs] {
		j := o.(*Job)
		if j.Finished == 0 || j.Owner.Kind.String() != "CronJob" {
			continue
		}
		if old := newest[j.Owner.UID]; old == nil || j.Created > old.Created || j.Created == old.Created && j.Finished > old.Finished {
			newest[j.Owner.UID] = j
		}
	}
	views := make([]CronJobView, 0, len(s.tables[CronJobs]))
	for _, o := range s.tables[CronJobs] {
		c := o.(*CronJob)
		if s.leaving[c.Namespace] {
			continue
		}
		v := CronJobView{Namespace: c.Namespace.String(), Name: c.Name}
		if j := newest[c.UID]; j != nil {
			v.LastRunKnown, v.LastRunFailed, v.LastRunEnded = true, j.Failed, j.Finished
		}
		views = append(views, v)
	}
	sortBy(views, func(v CronJobView) (string, string) { return v.Namespace, v.Name })
	return views
}

// resourceViews tells of every declared kind the worst of its scopes and the oldest of their last events.
func (s *Store) resourceViews() []ResourceView {
	var views []ResourceView
	for k := Kind(0); k < kindCount; k++ {
		view, declared := ResourceView{Kind: k}, false
		for scope, status := range s.scopes {
			if scope.Kind != k {
				continue
			}
			if !declared || status.lastEvent < view.LastEvent {
				view.LastEvent = status.lastEvent
			}
			observation := status.observation
			if observation == Synced && status.partial {
				observation = Partial
			}
			view.Observation, declared = max(view.Observation, observation), true
		}
		if declared {
			views = append(views, view)
		}
	}
	return views
}

func sortBy[T any](views []T, key func(T) (string, string)) {
	slices.SortFunc(views, func(a, b T) int {
		a1, a2 := key(a)
		b1, b2 := key(b)
		return cmp.Or(strings.Compare(a1, b1), strings.Compare(a2, b2))
	})
}
