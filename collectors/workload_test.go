// SPDX-License-Identifier: Apache-2.0

package collectors

import (
	"strings"
	"testing"

	"stability-exporter/internal/state"
)

// Every family of the collector once, with its HELP and TYPE lines.
func TestWorkloadExposition(t *testing.T) {
	s := observed(&state.Snapshot{
		Workloads: []state.WorkloadView{{
			Ref: ref("shop", "web", state.TypeDeployment), HasStatus: true,
			Info:    state.MakeLabels(map[string]string{"team": "checkout", "app/tier": "1", "other": "x"}),
			Desired: 4, Current: 5, Updated: 2, Ready: 3, Available: 2, MinAvailable: 3, State: state.Degraded, Stuck: true,
			DamagedSince: 1_794_999_700, DamageDelta: 3, DamagedShare: 0.25, Lagging: true,
			Paused: true, Rolling: true, RolloutStarted: 1_794_999_000, LastProgress: 1_794_999_500, UnhealthyUpdated: 2, RolloutRestarts: 7,
			OnReadyNodes: true, OnReadyDesired: 4, OnReadyAvailable: 2,
			PodsKnown: true, Causes: []state.Count{{Name: "crash_loop", N: 1}, {Name: "image_pull", N: 1}},
			Abnormal:           []state.Count{{Name: "CrashLoopBackOff", N: 1}, {Name: "ImagePullBackOff", N: 1}},
			Unschedulable:      []state.Count{{Name: "cpu", N: 1}},
			ImagePull:          []state.Count{{Name: "registry.example:5000", N: 1}},
			TerminatingOverdue: 1,
			UnschedulableSince: 1_794_999_600, ImagePullSince: 1_794_999_500, OverdueSince: 1_794_999_400,
		}, {
			Ref: ref("shop", "canary", "rollout"), Lagging: true,
		}},
		Autoscalers: []state.AutoscalerView{
			{Namespace: "shop", Name: "web-hpa", Target: ref("shop", "web", state.TypeDeployment), Limited: "TooManyReplicas", LastScale: 1_794_990_000},
			{Namespace: "shop", Name: "idle-hpa", Target: ref("shop", "idle", state.TypeDeployment), LastScale: 5},
		},
		CronJobs: []state.CronJobView{
			{Namespace: "shop", Name: "backup", LastRunKnown: true, LastRunFailed: true, LastRunEnded: 1_794_991_000},
			{Namespace: "shop", Name: "clean", LastRunKnown: true, LastRunEnded: 1_794_992_000},
			{Namespace: "shop", Name: "never"},
		},
	}, state.Deployments, state.StatefulSets, state.ReplicaSets)
	got := collect(t, specOf(t, Options{WorkloadLabels: []string{"team", "app/tier", "missing"}}, "workload"), s)
	golden(t, "workload.txt", got)
}

func workloadSnapshot(w state.WorkloadView) *state.Snapshot {
	w.Ref = ref("shop", "web", state.TypeDeployment)
	return observed(&state.Snapshot{Workloads: []state.WorkloadView{w}}, state.Pods, state.Nodes)
}

func TestAHealthyWorkloadHasNoSparseSamples(t *testing.T) {
	wantSamples(t, "workload", workloadSnapshot(state.WorkloadView{
		HasStatus: true, Desired: 3, Current: 3, Updated: 3, Ready: 3, Available: 3, MinAvailable: 3, PodsKnown: true,
		Causes: []state.Count{{Name: "unknown"}}, Abnormal: []state.Count{{Name: "Pending"}},
	}), `
stability_workload_available_ratio{namespace="shop",workload="web",workload_type="deployment"} 1
stability_workload_available_replicas{namespace="shop",workload="web",workload_type="deployment"} 3
stability_workload_current_replicas{namespace="shop",workload="web",workload_type="deployment"} 3
stability_workload_desired_replicas{namespace="shop",workload="web",workload_type="deployment"} 3
stability_workload_min_available_replicas{namespace="shop",workload="web",workload_type="deployment"} 3
stability_workload_ready_replicas{namespace="shop",workload="web",workload_type="deployment"} 3
stability_workload_rollout_stuck{namespace="shop",workload="web",workload_type="deployment"} 0
stability_workload_state{namespace="shop",workload="web",workload_type="deployment",state="degraded"} 0
stability_workload_state{namespace="shop",workload="web",workload_type="deployment",state="down"} 0
stability_workload_state{namespace="shop",workload="web",workload_type="deployment",state="healthy"} 1
stability_workload_updated_replicas{namespace="shop",workload="web",workload_type="deployment"} 3
`)
}

func TestAWorkloadScaledToZeroHasNoRatio(t *testing.T) {
	wantSamples(t, "workload", workloadSnapshot(state.WorkloadView{HasStatus: true, State: state.ScaledToZero, PodsKnown: true}), `
stability_workload_available_replicas{namespace="shop",workload="web",workload_type="deployment"} 0
stability_workload_current_replicas{namespace="shop",workload="web",workload_type="deployment"} 0
stability_workload_desired_replicas{namespace="shop",workload="web",workload_type="deployment"} 0
stability_workload_min_available_replicas{namespace="shop",workload="web",workload_type="deployment"} 0
stability_workload_ready_replicas{namespace="shop",workload="web",workload_type="deployment"} 0
stability_workload_rollout_stuck{namespace="shop",workload="web",workload_type="deployment"} 0
stability_workload_state{namespace="shop",workload="web",workload_type="deployment",state="degraded"} 0
stability_workload_state{namespace="shop",workload="web",workload_type="deployment",state="down"} 0
stability_workload_state{namespace="shop",workload="web",workload_type="deployment",state="scaled_to_zero"} 1
stability_workload_updated_replicas{namespace="shop",workload="web",workload_type="deployment"} 0
`)
}

func TestAWorkloadWithoutStatusTellsWhatItsSpecTells(t *testing.T) {
	wantSamples(t, "workload", workloadSnapshot(state.WorkloadView{
		Desired: 3, Paused: true, State: state.Down, PodsKnown: true, Causes: []state.Count{{Name: "not_created", N: 3}},
		Rolling: true, RolloutStarted: 5, OnReadyNodes: true, TerminatingOverdue: 2,
	}), `
stability_workload_desired_replicas{namespace="shop",workload="web",workload_type="deployment"} 3
stability_workload_paused{namespace="shop",workload="web",workload_type="deployment"} 1
`)
}

func TestADaemonSetWithoutStatusDoesNotPretendToBeScaledToZero(t *testing.T) {
	s := workloadSnapshot(state.WorkloadView{})
	s.Workloads[0].Ref = ref("shop", "agent", state.TypeDaemonSet)
	wantSamples(t, "workload", s, "")
}

func TestWhatOnlyPodsTellIsWithheldWithoutPods(t *testing.T) {
	text := string(collect(t, specOf(t, Options{}, "workload"), workloadSnapshot(state.WorkloadView{
		HasStatus: true, Desired: 3, Available: 1, Rolling: true, RolloutStarted: 5, UnhealthyUpdated: 1, RolloutRestarts: 1,
		Causes: []state.Count{{Name: "unknown", N: 2}}, Abnormal: []state.Count{{Name: "Pending", N: 2}},
		Unschedulable: []state.Count{{Name: "cpu", N: 2}}, ImagePull: []state.Count{{Name: "docker.io", N: 2}}, TerminatingOverdue: 2,
		UnschedulableSince: 5, ImagePullSince: 5, OverdueSince: 5,
	})))
	for _, f := range []*Family{
		workloadUnavailable, workloadAbnormal, workloadUnschedulable, workloadImagePull, workloadTerminatingOverdue,
		workloadUnschedulableSince, workloadImagePullSince, workloadTerminatingOverdueSince,
		workloadUnhealthyUpdated, workloadRolloutRestarts,
	} {
		if strings.Contains(text, f.Name) {
			t.Errorf("%s is shown although pods are not observed", f.Name)
		}
	}
	for _, f := range []*Family{workloadAvailableRatio, workloadRolloutStarted} {
		if !strings.Contains(text, f.Name+"{") {
			t.Errorf("%s is missing although it needs no pods:\n%s", f.Name, text)
		}
	}
}

func TestUpdatedPodsAreNotWellWhenTheyCannotBeTold(t *testing.T) {
	text := samples(collect(t, specOf(t, Options{}, "workload"), workloadSnapshot(state.WorkloadView{
		HasStatus: true, State: state.Rolling, Rolling: true, PodsKnown: true, UpdatedPodsUnknown: true,
	})))
	for _, f := range []*Family{workloadUnhealthyUpdated, workloadRolloutRestarts} {
		if strings.Contains(text, f.Name) {
			t.Errorf("%s is shown:\n%s", f.Name, text)
		}
	}
}

func TestARolloutOfUnknownAgeShowsNoTimestamps(t *testing.T) {
	text := samples(collect(t, specOf(t, Options{}, "workload"), workloadSnapshot(state.WorkloadView{
		HasStatus: true, State: state.Rolling, Rolling: true, PodsKnown: true,
	})))
	if strings.Contains(text, "_timestamp_seconds") {
		t.Errorf("a timestamp is shown:\n%s", text)
	}
	for _, f := range []*Family{workloadUnhealthyUpdated, workloadRolloutRestarts} {
		if !strings.Contains(text, f.Name+`{namespace="shop",workload="web",workload_type="deployment"} 0`) {
			t.Errorf("%s is not 0 while a rollout runs without trouble:\n%s", f.Name, text)
		}
	}
}

func TestStateShowsDamageAlwaysAndOneOtherStateWithoutDamage(t *testing.T) {
	prefix := `stability_workload_state{namespace="shop",workload="web",workload_type="deployment",state=`
	for current, want := range map[state.State][]string{
		state.Healthy:      {`"degraded"} 0`, `"down"} 0`, `"healthy"} 1`},
		state.Rolling:      {`"degraded"} 0`, `"down"} 0`, `"rolling"} 1`},
		state.Scaling:      {`"degraded"} 0`, `"down"} 0`, `"scaling"} 1`},
		state.ScaledToZero: {`"degraded"} 0`, `"down"} 0`, `"scaled_to_zero"} 1`},
		state.Degraded:     {`"degraded"} 1`, `"down"} 0`},
		state.Down:         {`"degraded"} 0`, `"down"} 1`},
	} {
		var got []string
		s := workloadSnapshot(state.WorkloadView{HasStatus: true, State: current})
		for line := range strings.Lines(string(collect(t, specOf(t, Options{}, "workload"), s))) {
			if rest, ok := strings.CutPrefix(line, prefix); ok {
				got = append(got, strings.TrimSpace(rest))
			}
		}
		if strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("%s: %q, want %q", current, got, want)
		}
	}
}

func TestTheRatioIsAtMostOne(t *testing.T) {
	for _, c := range []struct {
		desired, available int32
		want               string
	}{{4, 5, "1"}, {4, 3, "0.75"}, {3, 0, "0"}, {10, 8, "0.8"}} {
		s := workloadSnapshot(state.WorkloadView{HasStatus: true, Desired: c.desired, Available: c.available})
		text := string(collect(t, specOf(t, Options{}, "workload"), s))
		want := workloadAvailableRatio.Name + `{namespace="shop",workload="web",workload_type="deployment"} ` + c.want + "\n"
		if !strings.Contains(text, want) {
			t.Errorf("%d of %d: want %s in:\n%s", c.available, c.desired, want, text)
		}
	}
}
