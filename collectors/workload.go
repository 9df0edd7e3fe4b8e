// SPDX-License-Identifier: Apache-2.0

package collectors

import (
	"fmt"
	"slices"
	"strings"

	"github.com/go-kit/log"

	"stability-exporter/internal/state"
)

var (
	workloadLabels = []string{"namespace", "workload", "workload_type"}

	workloadDesired = gauge("stability_workload_desired_replicas",
		"Pods the workload should have: spec.replicas, for a DaemonSet the nodes it should run on. 0 means scaled to zero.",
		workloadLabels...)
	workloadCurrent = gauge("stability_workload_current_replicas",
		"Pods the controller has created, old and new version alike, ready or not. Above desired during a rollout with surge; "+
			"below desired means that pods cannot even be created.",
		workloadLabels...)
	workloadUpdated = gauge("stability_workload_updated_replicas",
		"Pods of the newest version. Below desired while a rollout runs, is paused or is stuck.",
		workloadLabels...)
	workloadReady = gauge("stability_workload_ready_replicas",
		"Pods that pass their readiness probe now. 0 while desired is above 0 means that nothing serves.",
		workloadLabels...)
	workloadAvailable = gauge("stability_workload_available_replicas",
		"Pods that have been ready for at least minReadySeconds. May exceed desired during a rollout or a scale-down.",
		workloadLabels...)
	workloadAvailableRatio = gauge("stability_workload_available_ratio",
		"Available share of the desired pods, at most 1. 0 is a total outage. No series while the workload is scaled to zero.",
		workloadLabels...)
	workloadMinAvailable = gauge("stability_workload_min_available_replicas",
		"The line below which the workload is damaged now: fewer available pods than this is degraded, none is down. "+
			"A rollout and a scale-up lower it by what they permit, pods that a scheduling gate holds back do not raise it; 0 means that "+
			"nothing is expected at present.",
		workloadLabels...)
	workloadState = gauge("stability_workload_state",
		"Verdict on the workload: 1 for the state it is in. degraded is partial damage, down is total damage; these two are "+
			"always shown, as 0 or 1. Otherwise one of healthy, rolling, scaling and scaled_to_zero is shown as 1.",
		withLabels(workloadLabels, "state")...)
	workloadDamagedSince = sparseGauge("stability_workload_damaged_since_timestamp_seconds",
		"Since when the workload is degraded or down without a break, in Unix seconds. Exact while the exporter watches, and kept "+
			"over its restarts; for damage that is older than its first look, since when the pods that are missing prove it. "+
			"No series while the workload is not damaged.",
		workloadLabels...)
	workloadDamageDelta = sparseGauge("stability_workload_damage_delta",
		"How often the workload became damaged (degraded or down) within the window up to now, also between two scrapes. Many "+
			"times: it flaps. No series means that it never did.",
		withLabels(workloadLabels, "window")...)
	workloadDamagedRatio = sparseGauge("stability_workload_damaged_ratio",
		"Share of the window up to now in which the workload was damaged (degraded or down). 1 means all the time. No series means never.",
		withLabels(workloadLabels, "window")...)
	workloadUnavailable = sparseGauge("stability_workload_unavailable_replicas",
		"Missing replicas by the cause that keeps them from being available; the causes add up to the whole deficit. "+
			"No series means that no replica is missing.",
		withLabels(workloadLabels, "cause")...)
	workloadAbnormal = sparseGauge("stability_workload_abnormal_pods",
		"Pods that would catch the eye in a pod list, by what the STATUS column would say, also when the workload as a whole is "+
			"healthy. No series means that there is none.",
		withLabels(workloadLabels, "reason")...)
	workloadStuck = gauge("stability_workload_rollout_stuck",
		"1 when the rollout makes no progress any more: its deadline has passed or pods cannot be created. The old version may "+
			"still serve. 0 means that no rollout runs, or that it advances or is paused.",
		workloadLabels...)
	workloadPaused = sparseGauge("stability_workload_paused",
		"1 when the rollout of the workload is paused: template changes do not take effect. No series means not paused.",
		workloadLabels...)
	workloadRolloutStarted = sparseGauge("stability_workload_rollout_started_timestamp_seconds",
		"When the version that is being rolled out was made, in Unix seconds. Only while a rollout runs.",
		workloadLabels...)
	workloadLastProgress = sparseGauge("stability_workload_rollout_last_progress_timestamp_seconds",
		"When the running rollout last advanced, in Unix seconds. Only while a rollout runs.",
		workloadLabels...)
	workloadUnhealthyUpdated = sparseGauge("stability_workload_rollout_unhealthy_updated_replicas",
		"Pods of the new version that are not available. Staying above 0 suggests that the new version is bad. Only while a "+
			"rollout runs.",
		workloadLabels...)
	workloadRolloutRestarts = sparseGauge("stability_workload_rollout_restarts",
		"Container restarts in the present pods of the new version. Above 0 suggests that the new version is bad. Only while a "+
			"rollout runs.",
		workloadLabels...)
	workloadOnReadyNodes = gauge("stability_workload_on_ready_nodes_replicas",
		"DaemonSets only: pods desired and pods available on nodes that are ready. Damage is judged on these, so that a dead "+
			"node is not reported once more by every DaemonSet.",
		withLabels(workloadLabels, "state")...)
	workloadUnschedulable = sparseGauge("stability_workload_unschedulable_replicas",
		"Pods the scheduler finds no node for, by what is in the way. No series means that all pods have a node.",
		withLabels(workloadLabels, "blocker")...)
	workloadUnschedulableSince = sparseGauge("stability_workload_unschedulable_since_timestamp_seconds",
		"Since when the oldest of the pods that the scheduler finds no node for has been waiting, in Unix seconds. No series means "+
			"that all pods have a node.",
		workloadLabels...)
	workloadTerminatingOverdue = sparseGauge("stability_workload_terminating_overdue_pods",
		"Pods that should have been gone by now: deleted, grace period over, still there (a finalizer, or a lost node). "+
			"No series means that there is none.",
		workloadLabels...)
	workloadTerminatingOverdueSince = sparseGauge("stability_workload_terminating_overdue_since_timestamp_seconds",
		"When the oldest of the pods that should have been gone by now was due to be gone, in Unix seconds. No series means that "+
			"there is none.",
		workloadLabels...)
	workloadImagePull = sparseGauge("stability_image_pull_failing_pods",
		"Pods that cannot get a container image, by the host of the registry. Many workloads with one registry: look there. "+
			"No series means that every image was pulled.",
		withLabels(workloadLabels, "registry")...)
	workloadImagePullSince = sparseGauge("stability_image_pull_failing_since_timestamp_seconds",
		"Since when the oldest of the pods that cannot get an image is not ready, in Unix seconds. No series means that every image "+
			"was pulled.",
		workloadLabels...)
	hpaLimited = sparseGauge("stability_hpa_limited",
		"1 when the autoscaler wants another number of replicas than it may set, by reason: TooManyReplicas is at its maximum, "+
			"TooFewReplicas at its minimum. workload is what it scales. No series means not limited, or pinned to one number on purpose "+
			"(minimum and maximum are the same).",
		"namespace", "horizontalpodautoscaler", "workload", "workload_type", "reason")
	hpaLastScale = sparseGauge("stability_hpa_last_scale_timestamp_seconds",
		"When an autoscaler that is limited last changed the number of replicas, in Unix seconds: at its limit since then. No series "+
			"means that it is not limited, or never changed the number.",
		"namespace", "horizontalpodautoscaler", "workload", "workload_type")
	cronJobLastRunFailed = gauge("stability_cronjob_last_run_failed",
		"1 when the Job that finished last failed, 0 when it succeeded. No series before the first Job has finished.",
		workloadLabels...)
	cronJobLastRunFinished = gauge("stability_cronjob_last_run_finished_timestamp_seconds",
		"When the Job that finished last did so, in Unix seconds. No series before the first Job has finished.",
		workloadLabels...)
	laggingWorkloads = gauge("stability_status_lagging_workloads",
		"Workloads whose status has not taken notice of their present spec for more than a minute. 0 means that none lags. Above 0: "+
			"suspect the controller manager, which is slow, stuck or not alive.",
		"workload_type")
)

// workload is the collector of availability: how many pods there should be, how many there are, and why some are not.
type workload struct {
	info     *Family
	infoKeys []string
}

func workloadSpec(labelKeys []string) (Spec, error) {
	names, err := infoLabels(labelKeys)
	if err != nil {
		return Spec{}, err
	}
	info := sparseGauge("stability_workload_info",
		"Always 1; carries the object labels chosen with --workload-labels, each as label_NAME and empty where the object does "+
			"not have it, to be joined to the other workload series. No series while no labels are chosen.",
		withLabels(workloadLabels, names...)...)
	return Spec{
		Name:    "workload",
		Help:    "Availability, damage and rollouts of workloads, and why pods are missing.",
		Default: true,
		Reads: workloadKinds | state.KindSet(state.Nodes, state.ControllerRevisions, state.CronJobs, state.Jobs,
			state.HorizontalPodAutoscalers, state.Pods, state.Leases),
		Families: []*Family{
			workloadDesired, workloadCurrent, workloadUpdated, workloadReady, workloadAvailable,
			workloadAvailableRatio, workloadMinAvailable, workloadState, workloadDamagedSince, workloadDamageDelta,
			workloadDamagedRatio, workloadUnavailable, workloadAbnormal,
			workloadStuck, workloadPaused, workloadRolloutStarted, workloadLastProgress, workloadUnhealthyUpdated,
			workloadRolloutRestarts, workloadOnReadyNodes, workloadUnschedulable, workloadUnschedulableSince,
			workloadTerminatingOverdue, workloadTerminatingOverdueSince, workloadImagePull, workloadImagePullSince,
			hpaLimited, hpaLastScale, cronJobLastRunFailed, cronJobLastRunFinished, laggingWorkloads, info,
		},
		New: func(log.Logger) Collector { return workload{info, labelKeys} },
	}, nil
}

// infoLabels returns the label names under which the object labels of the given keys appear.
func infoLabels(keys []string) ([]string, error) {
	var names []string
	from := map[string]string{}
	for _, key := range keys {
		name := "label_" + strings.Map(metricLabelRune, key)
		if key == "" {
			return nil, fmt.Errorf("a label key is empty: leave it out")
		}
		if other, taken := from[name]; taken && other == key {
			return nil, fmt.Errorf("%q is listed twice: list it once", key)
		} else if taken {
			return nil, fmt.Errorf("%q and %q would both become %s: leave one out", other, key, name)
		}
		from[name] = key
		names = append(names, name)
	}
	return names, nil
}

// metricLabelRune maps what a label name of Prometheus cannot hold to an underscore.
func metricLabelRune(r rune) rune {
	if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
		return r
	}
	return '_'
}

// Collect implements Collector.
func (c workload) Collect(s *state.Snapshot, emit *Emitter) error {
	scratch := make([]string, len(c.infoKeys))
	for i := range s.Workloads {
		w := &s.Workloads[i]
		samples := emit.workload(w.Ref)
		c.emitSpec(w, samples, scratch)
		if !w.HasStatus {
			continue
		}
		emitReplicas(w, samples)
		emitDamage(w, samples)
		emitRollout(w, samples)
		emitPods(w, samples)
	}
	for _, a := range s.Autoscalers {
		emitAutoscaler(a, emit)
	}
	for _, c := range s.CronJobs {
		if c.LastRunKnown {
			emit.Emit(cronJobLastRunFailed, boolValue(c.LastRunFailed), c.Namespace, c.Name, state.TypeCronJob)
			emit.Emit(cronJobLastRunFinished, float64(c.LastRunEnded), c.Namespace, c.Name, state.TypeCronJob)
		}
	}
	emitLagging(s, emit)
	return nil
}

func emitAutoscaler(a state.AutoscalerView, emit *Emitter) {
	if a.Limited == "" {
		return
	}
	workload, kind := a.Target.Name.String(), a.Target.Type.String()
	emit.Emit(hpaLimited, 1, a.Namespace, a.Name, workload, kind, a.Limited)
	if a.LastScale != 0 {
		emit.Emit(hpaLastScale, float64(a.LastScale), a.Namespace, a.Name, workload, kind)
	}
}

// emitLagging counts the workloads of each kind that is observed whole whose status lags. A foreign controller's ReplicaSets
// count as such.
func emitLagging(s *state.Snapshot, emit *Emitter) {
	lagging := map[state.WorkloadType]int{}
	for i := range s.Workloads {
		if w := &s.Workloads[i]; w.Lagging {
			switch name := w.Ref.Type.String(); name {
			case state.TypeDeployment, state.TypeStatefulSet, state.TypeDaemonSet:
				lagging[name]++
			default:
				lagging[state.TypeReplicaSet]++
			}
		}
	}
	part := func(kind state.Kind) bool { // forbidden in one of several namespaces, or single objects are
		return slices.ContainsFunc(s.Resources, func(r state.ResourceView) bool { return r.Kind == kind && r.Observation != state.Synced })
	}
	for _, k := range [...]struct {
		kind state.Kind
		name state.WorkloadType
	}{
		{state.Deployments, state.TypeDeployment}, {state.StatefulSets, state.TypeStatefulSet},
		{state.DaemonSets, state.TypeDaemonSet}, {state.ReplicaSets, state.TypeReplicaSet},
	} {
		if s.Observed(state.KindSet(k.kind)) && !part(k.kind) {
			emit.Emit(laggingWorkloads, float64(lagging[k.name]), k.name)
		}
	}
}

// workload begins the samples of a workload.
func (e *Emitter) workload(w state.WorkloadRef) subject {
	return e.subject(workloadLabels, w.Namespace.String(), w.Name.String(), w.Type.String())
}

// emitCounts adds a sample for each count that is not zero: the way of sparse families.
func (s subject) emitCounts(f *Family, counts []state.Count) {
	for _, c := range counts {
		if c.N != 0 {
			s.emit(f, float64(c.N), c.Name)
		}
	}
}

// emitTime adds a sample for a time that is known.
func (s subject) emitTime(f *Family, at state.Time, more ...string) {
	if at != 0 {
		s.emit(f, float64(at), more...)
	}
}

// emitSpec emits what is known without a status.
func (c workload) emitSpec(w *state.WorkloadView, samples subject, scratch []string) {
	if w.HasStatus || w.Ref.Type.String() != state.TypeDaemonSet { // how many nodes it is for stands in the status
		samples.emit(workloadDesired, float64(w.Desired))
	}
	if w.Paused {
		samples.emit(workloadPaused, 1)
	}
	if len(c.infoKeys) == 0 {
		return
	}
	for i, key := range c.infoKeys {
		scratch[i], _ = w.Info.Get(key)
	}
	samples.emit(c.info, 1, scratch...)
}

func emitReplicas(w *state.WorkloadView, samples subject) {
	samples.emit(workloadCurrent, float64(w.Current))
	samples.emit(workloadUpdated, float64(w.Updated))
	samples.emit(workloadReady, float64(w.Ready))
	samples.emit(workloadAvailable, float64(w.Available))
	if w.Desired > 0 {
		samples.emit(workloadAvailableRatio, float64(min(w.Available, w.Desired))/float64(w.Desired))
	}
	samples.emit(workloadMinAvailable, float64(w.MinAvailable))
	samples.emit(workloadState, boolValue(w.State == state.Degraded), state.Degraded.String())
	samples.emit(workloadState, boolValue(w.State == state.Down), state.Down.String())
	if w.State != state.Degraded && w.State != state.Down {
		samples.emit(workloadState, 1, w.State.String())
	}
	if w.OnReadyNodes {
		samples.emit(workloadOnReadyNodes, float64(w.OnReadyDesired), "desired")
		samples.emit(workloadOnReadyNodes, float64(w.OnReadyAvailable), "available")
	}
}

// damageWindow is the label of the window of WorkloadView.DamageDelta and DamagedShare.
const damageWindow = "1h"

func emitDamage(w *state.WorkloadView, samples subject) {
	samples.emitTime(workloadDamagedSince, w.DamagedSince)
	if w.DamageDelta != 0 {
		samples.emit(workloadDamageDelta, float64(w.DamageDelta), damageWindow)
	}
	if w.DamagedShare != 0 {
		samples.emit(workloadDamagedRatio, w.DamagedShare, damageWindow)
	}
}

func emitRollout(w *state.WorkloadView, samples subject) {
	samples.emit(workloadStuck, boolValue(w.Stuck))
	if !w.Rolling {
		return
	}
	samples.emitTime(workloadRolloutStarted, w.RolloutStarted)
	samples.emitTime(workloadLastProgress, w.LastProgress)
	if w.PodsKnown && !w.UpdatedPodsUnknown {
		samples.emit(workloadUnhealthyUpdated, float64(w.UnhealthyUpdated))
		samples.emit(workloadRolloutRestarts, float64(w.RolloutRestarts))
	}
}

// emitPods emits what only the pods tell.
func emitPods(w *state.WorkloadView, samples subject) {
	if !w.PodsKnown {
		return
	}
	samples.emitCounts(workloadUnavailable, w.Causes)
	samples.emitCounts(workloadAbnormal, w.Abnormal)
	samples.emitCounts(workloadUnschedulable, w.Unschedulable)
	samples.emitCounts(workloadImagePull, w.ImagePull)
	if w.TerminatingOverdue != 0 {
		samples.emit(workloadTerminatingOverdue, float64(w.TerminatingOverdue))
	}
	samples.emitTime(workloadUnschedulableSince, w.UnschedulableSince)
	samples.emitTime(workloadImagePullSince, w.ImagePullSince)
	samples.emitTime(workloadTerminatingOverdueSince, w.OverdueSince)
}
