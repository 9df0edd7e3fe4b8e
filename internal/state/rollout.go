// SPDX-License-Identifier: Apache-2.0

package state

import "time"

// statusLagLimit is how long a status that lags the spec may pass for a rollout that has only just begun.
const statusLagLimit = time.Minute

// stuckAfter is how long a rollout without a deadline of its own may go without progress; the same as the default
// progressDeadlineSeconds of a Deployment.
const stuckAfter = 10 * time.Minute

// deadlineSlack is how much later than Kubernetes we find that a deadline has passed; clocks differ.
const deadlineSlack = 30 * time.Second

// rollout is what is known of the replacement of a workload's pods by those of a newer template.
type rollout struct {
	active       bool
	floor        int32 // replicas that the strategy promises to keep available; meaningful while active
	stuck        bool
	started      Time
	lastProgress Time
	idleSince    Time  // the newest of all signs of progress; zero when there is none
	unhealthy    int32 // updated pods that are not available
	restarts     int32 // of the updated pods
	podsUnknown  bool  // which pods are updated cannot be told: nothing that owns the new version is observed
}

// of returns the part of total, rounded up or down; never negative and never more than total.
func (v IntOrPercent) of(total int32, roundUp bool) int32 {
	n := int64(v.Value)
	if v.Percent {
		n *= int64(total)
		if roundUp {
			n += 99
		}
		n /= 100
	}
	return int32(max(0, min(n, int64(total))))
}

// deploymentFloor is desired minus the effective maxUnavailable: unavailable rounds down, surge up, and when both come
// to nothing one pod may go (ResolveFenceposts in pkg/controller/deployment/util).
func deploymentFloor(w *Workload) int32 {
	if w.Strategy == Recreate {
		return 0
	}
	unavailable := w.MaxUnavailable.of(w.Desired, false)
	surge := w.MaxSurge
	if unavailable == 0 && (surge.Value <= 0 || w.Desired == 0) {
		unavailable = 1
	}
	return max(0, w.Desired-unavailable)
}

// statefulSetFloor keeps all but maxUnavailable pods, which is one unless the gate MaxUnavailableStatefulSet is on;
// a percentage rounds down (pkg/controller/statefulset/stateful_set_utils.go).
func statefulSetFloor(w *Workload) int32 {
	return max(0, w.Desired-max(1, w.MaxUnavailable.of(w.Desired, false)))
}

// daemonSetFloor counts down from the desired pods on ready nodes by maxUnavailable of all desired pods, rounded up;
// with a surge no pod may be missing (pkg/controller/daemon/util).
func daemonSetFloor(w *Workload, onReady int32) int32 {
	if w.MaxSurge.Value > 0 {
		return onReady
	}
	return max(0, onReady-w.MaxUnavailable.of(w.Desired, true))
}

// replacing reports whether the controller says that pods of an older template are still being replaced. It mirrors
// kubectl rollout status, except that a daemon pod on a dead node cannot be replaced and holds no rollout open.
func (e *entity) replacing(w *Workload) bool {
	switch {
	case w.Strategy == OnDelete:
		return false
	case w.Kind == Deployments:
		if w.Current > w.Updated {
			return true
		}
		switch w.Progressing.Reason.String() {
		case "NewReplicaSetCreated", "FoundNewReplicaSet", "ReplicaSetUpdated", "ProgressDeadlineExceeded":
			return true
		case "": // no deadline, so no condition
			return w.Updated < w.Desired
		}
		return false
	case w.Kind == StatefulSets:
		if w.CurrentRevision == w.UpdateRevision {
			return false
		}
		// Without a partition the revisions differ until every pod of the new one is ready.
		return w.Partition <= 0 || w.Updated < w.Desired-w.Partition
	case w.Kind == DaemonSets:
		if hash, known := e.newestTemplate(w); known != 0 && e.summary.outdated(hash) > 0 {
			return true
		}
		return w.Updated+e.summary.notReadyNodes < w.Desired
	}
	return false
}

// rolloutOf judges the rollout of an entity with a controller, given the damage input of the moment.
func (e *entity) rolloutOf(w *Workload, desired, available int32, now Time, grace time.Duration) rollout {
	lagging := w.Generation > w.ObservedGeneration
	if !lagging {
		e.lagSince = 0
	} else if e.lagSince == 0 {
		e.lagSince = now
	}
	replacing := e.replacing(w)
	begun := e.begun(w)
	active := replacing || begun || lagging && w.Strategy != OnDelete && now.Sub(e.lagSince) < statusLagLimit
	switch {
	case active:
		if e.rolloutSeen == 0 && e.watched {
			e.rolloutSeen = now
		}
		if replacing || begun {
			e.rollingUntil = now.Add(grace)
		}
	case e.rollingUntil != 0 && available < desired && now < e.rollingUntil:
		active = true // updated counts a pod before it is available: the last ones are still coming
	default:
		e.rollingUntil, e.rolloutSeen = 0, 0
	}
	e.watched = true
	r := rollout{active: active}
	if active {
		e.describeRollout(w, &r, desired)
	}
	r.stuck = !w.Paused && e.isStuck(w, r, now)
	return r
}

// begun reports whether a StatefulSet or DaemonSet wants another template than when it was last judged: all its pods may
// be replaced, though not all started, by the time that is seen. Deployments tell by their Progressing condition.
func (e *entity) begun(w *Workload) bool {
	if w.Kind == Deployments || w.Strategy == OnDelete {
		return false
	}
	before := e.wanted
	e.wanted, _ = e.newestTemplate(w)
	return before != (Symbol{}) && e.wanted != before
}

func (e *entity) describeRollout(w *Workload, r *rollout, desired int32) {
	switch w.Kind {
	case Deployments:
		r.floor = deploymentFloor(w)
	case StatefulSets:
		r.floor = statefulSetFloor(w)
	case DaemonSets:
		r.floor = daemonSetFloor(w, desired)
	}
	hash, created := e.newestTemplate(w)
	updated := e.summary.revision(hash)
	r.unhealthy, r.restarts, r.podsUnknown = updated.unhealthy, updated.restarts, hash == (Symbol{})
	r.started = max(created, updated.oldest)
	if e.rolloutSeen != 0 {
		r.started = e.rolloutSeen
	}
	r.lastProgress = max(created, updated.progress, e.rolloutSeen)
	r.idleSince = r.lastProgress
	if w.Kind == Deployments && w.Progressing.Updated != 0 {
		r.lastProgress = w.progressed()
		r.idleSince = max(r.idleSince, r.lastProgress)
	}
}

// progressed is when the rollout of a Deployment last advanced. When its deadline has passed, Kubernetes stamps the condition
// anew, so that it is as much earlier as the deadline is long.
func (w *Workload) progressed() Time {
	if w.Progressing.Reason.String() == "ProgressDeadlineExceeded" {
		return w.Progressing.Updated.Add(-w.ProgressDeadline)
	}
	return w.Progressing.Updated
}

func (e *entity) isStuck(w *Workload, r rollout, now Time) bool {
	if w.ReplicaFailure.Status.String() == "True" {
		return true
	}
	if w.Kind == Deployments && w.Progressing.Status.String() == "False" && w.Progressing.Reason.String() == "ProgressDeadlineExceeded" {
		return true
	}
	return r.active && r.idleSince != 0 && now.Sub(r.idleSince) > w.patience()
}

// patience is how long a rollout may be idle. For a Deployment it is its deadline and a little more: Kubernetes does not
// judge a rollout any more that it takes for complete, as it does when old and new pods are gone alike for a moment. A
// StatefulSet or DaemonSet waits for an old pod to end before a new one can come.
func (w *Workload) patience() time.Duration {
	switch {
	case w.Kind != Deployments:
		return stuckAfter + w.TerminationGrace
	case w.ProgressDeadline == 0:
		return stuckAfter
	}
	return w.ProgressDeadline + deadlineSlack
}

// newestTemplate returns the revision label of the pods the controller wants now, and when that template appeared.
func (e *entity) newestTemplate(w *Workload) (Symbol, Time) {
	var newest *template
	for i := range e.templates {
		t := &e.templates[i]
		if w.Kind == StatefulSets {
			if t.hash == w.UpdateRevision {
				return t.hash, t.created
			}
			continue
		}
		if newest == nil || t.number > newest.number || t.number == newest.number && t.created > newest.created {
			newest = t
		}
	}
	switch {
	case w.Kind == StatefulSets:
		return w.UpdateRevision, 0
	case newest == nil:
		return Symbol{}, 0
	}
	if w.Kind == DaemonSets {
		// A rollback re-uses an old ControllerRevision; the newest pod tells which template is wanted.
		if hash, at := e.summary.newestRevision(); at > newest.created && hash != newest.hash {
			return hash, at
		}
	}
	return newest.hash, newest.created
}
