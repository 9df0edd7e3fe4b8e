// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"slices"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"stability-exporter/internal/state"
)

// meta of the objects below.
func named(name string) state.Meta {
	return state.Meta{Namespace: state.Sym("shop"), Name: name, UID: state.ParseUID("u")}
}

const head = `"metadata": {"name": "web", "namespace": "shop", "uid": "u", "generation": 4, "labels": {"team": "a", "x": "y"},
 "annotations": {"deployment.kubernetes.io/revision": "7"}}`

// withoutTemplate takes the template off, which has tests of its own.
func withoutTemplate(t *testing.T, w *state.Workload) *state.Workload {
	t.Helper()
	if w.Template == nil || w.Template.Grace != w.TerminationGrace || w.Template.Labels != w.TemplateLabels {
		t.Errorf("the template is %+v", w.Template)
	}
	w.Template = nil
	return w
}

func TestConvertDeployment(t *testing.T) {
	quarter := state.IntOrPercent{Value: 25, Percent: true}
	base := func(change func(*state.Workload)) *state.Workload {
		w := &state.Workload{
			Meta: named("web"), Kind: state.Deployments, Generation: 4, Desired: 1, MaxUnavailable: quarter, MaxSurge: quarter,
			ProgressDeadline: 10 * time.Minute, TerminationGrace: 30 * time.Second, RolledOut: true,
			Info: state.MakeLabels(map[string]string{"team": "a"}),
		}
		change(w)
		return w
	}
	for name, test := range map[string]struct {
		body string
		live bool
		want *state.Workload
	}{
		"defaults of a plain manifest": {"", false, base(func(*state.Workload) {})},
		"just created":                 {"", true, base(func(w *state.Workload) { w.HasStatus = true })},
		"scaled to zero": {`, "spec": {"replicas": 0}, "status": {"observedGeneration": 4}`, false, base(func(w *state.Workload) {
			w.Desired, w.ObservedGeneration, w.HasStatus = 0, 4, true
		})},
		"everything": {`, "spec": {"replicas": 3, "minReadySeconds": 5, "paused": true, "progressDeadlineSeconds": 60,
			"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "10%", "maxSurge": 2}},
			"template": {"metadata": {"labels": {"app": "web"}}, "spec": {"terminationGracePeriodSeconds": 9}}},
			"status": {"observedGeneration": 3, "replicas": 5, "updatedReplicas": 2, "readyReplicas": 4, "availableReplicas": 3,
			"conditions": [{"type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated",
			"lastUpdateTime": "2026-01-02T01:00:00Z", "lastTransitionTime": "2026-01-02T00:30:00Z"},
			{"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "lastTransitionTime": "2026-01-02T00:30:00Z"}]}`,
			false, base(func(w *state.Workload) {
				w.Desired, w.MinReady, w.Paused, w.ProgressDeadline = 3, 5*time.Second, true, time.Minute
				w.MaxUnavailable, w.MaxSurge = state.IntOrPercent{Value: 10, Percent: true}, state.IntOrPercent{Value: 2}
				w.TerminationGrace, w.TemplateLabels = 9*time.Second, state.MakeLabels(map[string]string{"app": "web"})
				w.ObservedGeneration, w.Current, w.Updated, w.Ready, w.Available, w.HasStatus = 3, 5, 2, 4, 3, true
				w.Progressing = state.Condition{Status: state.Sym("True"), Reason: state.Sym("ReplicaSetUpdated"), Updated: clock("01:00:00")}
				w.ReplicaFailure = state.Condition{Status: state.Sym("True"), Reason: state.Sym("FailedCreate"), Updated: clock("00:30:00")}
			})},
		"no deadline, recreate": {`, "spec": {"progressDeadlineSeconds": 2147483647, "strategy": {"type": "Recreate"}}`, false,
			base(func(w *state.Workload) {
				w.ProgressDeadline, w.Strategy = 0, state.Recreate
				w.MaxUnavailable, w.MaxSurge = state.IntOrPercent{}, state.IntOrPercent{}
			})},
		"absurd": {`, "spec": {"replicas": -3, "minReadySeconds": -1, "progressDeadlineSeconds": -1, "strategy": {"rollingUpdate":
			{"maxUnavailable": "lots", "maxSurge": -4}}, "template": {"spec": {"terminationGracePeriodSeconds": -9223372036854775808}}},
			"status": {"replicas": -1, "availableReplicas": -2147483648}`, false, base(func(w *state.Workload) {
			w.Desired, w.ProgressDeadline, w.TerminationGrace, w.MaxSurge = 0, 0, 0, state.IntOrPercent{}
		})},
	} {
		t.Run(name, func(t *testing.T) {
			d := decode[appsv1.Deployment](t, "{"+head+test.body+"}")
			got := convertDeployment(d, convertOptions{Live: test.live, WorkloadLabels: []string{"team", "absent"}})
			compare(t, withoutTemplate(t, got), test.want)
		})
	}
}

func TestConvertOtherWorkloads(t *testing.T) {
	sts := decode[appsv1.StatefulSet](t, `{`+head+`, "spec": {"updateStrategy": {"rollingUpdate": {"partition": 2}}},
	 "status": {"replicas": 3, "updateRevision": "web-2", "currentRevision": "web-1"}}`)
	compare(t, withoutTemplate(t, convertStatefulSet(sts, convertOptions{})), &state.Workload{
		Meta: named("web"), Kind: state.StatefulSets, Generation: 4, Desired: 1, Current: 3, HasStatus: true, Partition: 2,
		MaxUnavailable: state.IntOrPercent{Value: 1}, TerminationGrace: 30 * time.Second,
		CurrentRevision: state.Sym("web-1"), UpdateRevision: state.Sym("web-2"),
	})
	ds := decode[appsv1.DaemonSet](t, `{`+head+`, "spec": {"updateStrategy": {"type": "OnDelete"}}, "status": {"desiredNumberScheduled": 5,
	 "currentNumberScheduled": 4, "updatedNumberScheduled": 3, "numberReady": 2, "numberAvailable": 1}}`)
	compare(t, withoutTemplate(t, convertDaemonSet(ds, convertOptions{})), &state.Workload{
		Meta: named("web"), Kind: state.DaemonSets, Generation: 4, Desired: 5, Current: 4, Updated: 3, Ready: 2, Available: 1,
		HasStatus: true, Strategy: state.OnDelete, TerminationGrace: 30 * time.Second,
	})
	rolling := convertDaemonSet(&appsv1.DaemonSet{}, convertOptions{})
	if rolling.MaxUnavailable != (state.IntOrPercent{Value: 1}) || rolling.MaxSurge != (state.IntOrPercent{}) || rolling.HasStatus {
		t.Errorf("defaults of a DaemonSet are %+v", rolling)
	}
	free := decode[appsv1.ReplicaSet](t, `{`+head+`, "spec": {"replicas": 2}, "status": {"replicas": 2, "readyReplicas": 1}}`)
	free.OwnerReferences = []metav1.OwnerReference{{Kind: "Rollout", Name: "r", UID: "r", Controller: new(true)}}
	want := &state.Workload{Meta: named("web"), Kind: state.ReplicaSets, Generation: 4, Desired: 2, Current: 2, Updated: 2, Ready: 1,
		HasStatus: true, Strategy: state.OnDelete, TerminationGrace: 30 * time.Second}
	want.Owner = state.Owner{Kind: state.Sym("Rollout"), Name: state.Sym("r"), UID: state.ParseUID("r")}
	compare(t, withoutTemplate(t, convertFreeReplicaSet(free, convertOptions{})), want)
	free.OwnerReferences[0].Kind = "Deployment"
	if got := convertFreeReplicaSet(free, convertOptions{}); got != nil {
		t.Errorf("a Deployment's ReplicaSet became the workload %+v", got)
	}
}

// Metadata-only kinds come as metadata from the API and as whole objects from a file.
func TestConvertMetadata(t *testing.T) {
	partial := decode[metav1.PartialObjectMetadata](t, `{`+head+`}`)
	partial.Labels["pod-template-hash"] = "abc"
	want := &state.ReplicaSet{Meta: named("web"), TemplateHash: state.Sym("abc"), Revision: 7}
	compare(t, kindOf(state.ReplicaSets).Convert(partial, convertOptions{}), state.Object(want))
	compare(t, kindOf(state.ReplicaSets).Convert(&appsv1.ReplicaSet{ObjectMeta: partial.ObjectMeta}, convertOptions{}), state.Object(want))

	partial.Labels["controller-revision-hash"] = "5d4"
	compare(t, convertRevision(partial, convertOptions{}), &state.Revision{Meta: named("web"), Hash: state.Sym("5d4")})
	partial.OwnerReferences = []metav1.OwnerReference{{Kind: "StatefulSet", Controller: new(true)}}
	if got := convertRevision(partial, convertOptions{}).Hash.String(); got != "web" {
		t.Errorf("pods of a StatefulSet carry %q; want the name of the revision", got)
	}
	if got := kindOf(state.Pods).Convert(partial, convertOptions{}); got != nil {
		t.Errorf("metadata became the pod %v", got)
	}
}

func TestConvertNode(t *testing.T) {
	node := decode[corev1.Node](t, `{"metadata": {"name": "n", "uid": "u", "labels": {"failure-domain.beta.kubernetes.io/zone": "z",
	 "node.kubernetes.io/exclude-disruption": ""}}, "spec": {"unschedulable": true, "taints": [{"key": "DeletionCandidateOfClusterAutoscaler"}]},
	 "status": {"nodeInfo": {"bootID": "b"}, "conditions": [{"type": "DiskPressure", "status": "False"},
	 {"type": "Ready", "status": "Unknown", "lastHeartbeatTime": "2026-01-02T01:00:00Z", "lastTransitionTime": "2026-01-02T02:00:00Z"}]}}`)
	want := &state.Node{
		Meta: state.Meta{Name: "n", UID: state.ParseUID("u")}, Zone: state.Sym("z"), Ready: state.Sym("Unknown"),
		ReadySince: clock("02:00:00"), Heartbeat: clock("01:00:00"), Cordoned: true, ExcludedFromDisruption: true,
		BootID: state.Sym("b"), Conditions: []state.NodeCondition{{Type: state.Sym("DiskPressure"), Status: state.Sym("False")}},
	}
	compare(t, convertNode(node, convertOptions{}), want)

	node.Labels["topology.kubernetes.io/zone"] = "newer"
	if got := convertNode(node, convertOptions{}).Zone.String(); got != "newer" {
		t.Errorf("zone %q; want newer", got)
	}
	for effect, tainted := range map[corev1.TaintEffect]bool{
		corev1.TaintEffectNoSchedule: true, corev1.TaintEffectNoExecute: true, corev1.TaintEffectPreferNoSchedule: false, "": false,
	} {
		node.Spec.Taints[0].Effect = effect
		if got := convertNode(node, convertOptions{}).Tainted; got != tainted {
			t.Errorf("the effect %s keeps pods away: %v", effect, got)
		}
	}
	for _, taint := range []string{"ToBeDeletedByClusterAutoscaler", "karpenter.sh/disrupted", "karpenter.sh/disruption",
		"node.cloudprovider.kubernetes.io/shutdown", "cloud.google.com/impending-node-termination",
		"aws-node-termination-handler/spot-itn"} {
		node.Spec.Taints[0].Key = taint
		if !convertNode(node, convertOptions{}).Leaving {
			t.Errorf("a node tainted %s is not leaving", taint)
		}
	}
}

func TestConvertLease(t *testing.T) {
	lease := decode[coordinationv1.Lease](t, `{`+head+`, "spec": {"renewTime": "2026-01-02T03:04:05.123456Z", "leaseDurationSeconds": 20,
	 "holderIdentity": "master_1_6ba7b810-9dad-11d1-80b4-00c04fd430c8"}}`)
	got := convertLease(lease, convertOptions{})
	if got.Holder.String() != "master_1" || got.Duration != 20*time.Second || got.Renewed.Nanosecond() != 123456000 {
		t.Errorf("got %+v; want holder master_1, 20 s, .123456", got)
	}
	got = convertLease(&coordinationv1.Lease{Spec: coordinationv1.LeaseSpec{HolderIdentity: new("x")}}, convertOptions{})
	if got.Holder.String() != "x" || got.Duration != 15*time.Second || !got.Renewed.IsZero() {
		t.Errorf("got %+v; want holder x, 15 s, never renewed", got)
	}
}

func TestConvertBatch(t *testing.T) {
	job := decode[batchv1.Job](t, `{`+head+`, "status": {"active": 1, "conditions": [{"type": "SuccessCriteriaMet", "status": "True"},
	 {"type": "Failed", "status": "True", "lastTransitionTime": "2026-01-02T01:00:00Z"}]}}`)
	ends := &state.Template{RunsToEnd: true, Grace: 30 * time.Second, Containers: []state.ContainerSpec{}}
	compare(t, convertJob(job, convertOptions{}),
		&state.Job{Meta: named("web"), Active: 1, Failed: true, Finished: clock("01:00:00"), Template: ends})
	job = decode[batchv1.Job](t, `{`+head+`, "status": {"completionTime": "2026-01-02T02:00:00Z", "conditions": [{"type": "Complete",
	 "status": "True", "lastTransitionTime": "2026-01-02T02:00:01Z"}, {"type": "Failed", "status": "False"}]}}`)
	job.OwnerReferences = []metav1.OwnerReference{{Kind: "CronJob", Name: "c", UID: "c", Controller: new(true)}}
	want := &state.Job{Meta: named("web"), Finished: clock("02:00:00")}
	want.Owner = state.Owner{Kind: state.Sym("CronJob"), Name: state.Sym("c"), UID: state.ParseUID("c")}
	compare(t, convertJob(job, convertOptions{}), want)
	cron := decode[batchv1.CronJob](t, `{`+head+`, "spec": {"suspend": true}}`)
	compare(t, convertCronJob(cron, convertOptions{}), &state.CronJob{Meta: named("web"), Suspended: true, Template: ends})
}

func TestConvertAutoscalerAndBudget(t *testing.T) {
	hpa := decode[autoscalingv2.HorizontalPodAutoscaler](t, `{`+head+`, "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "web"}},
	 "status": {"lastScaleTime": "2026-01-02T01:00:00Z", "conditions": [{"type": "ScalingLimited", "status": "True", "reason": "TooManyReplicas"},
	 {"type": "ScalingActive", "status": "False", "reason": "ScalingDisabled"}, {"type": "AbleToScale", "status": "False", "reason": "X"}]}}`)
	compare(t, convertAutoscaler(hpa, convertOptions{}), &state.Autoscaler{Meta: named("web"), TargetKind: state.Sym("deployment"),
		TargetName: state.Sym("web"), LastScale: clock("01:00:00"), Limited: state.Sym("TooManyReplicas"), Inactive: state.Sym("ScalingDisabled")})

	for spec, pinned := range map[string]bool{
		`{"minReplicas": 3, "maxReplicas": 3}`: true, `{"maxReplicas": 1}`: true, `{"maxReplicas": 3}`: false,
		`{"minReplicas": 0, "maxReplicas": 1}`: false,
	} {
		hpa := decode[autoscalingv2.HorizontalPodAutoscaler](t, `{`+head+`, "spec": `+spec+`}`)
		if got := convertAutoscaler(hpa, convertOptions{}).Pinned; got != pinned {
			t.Errorf("%s: pinned %v", spec, got)
		}
	}

	for spec, want := range map[string][2]*state.IntOrPercent{
		`{}`: {}, `{"minAvailable": 1}`: {{Value: 1}, nil}, `{"minAvailable": "100%"}`: {{Value: 100, Percent: true}, nil},
		`{"maxUnavailable": 0}`: {nil, {}}, `{"maxUnavailable": "lots"}`: {}, `{"maxUnavailable": "-1"}`: {},
	} {
		pdb := convertBudget(decode[policyv1.PodDisruptionBudget](t, `{`+head+`, "spec": `+spec+`}`), convertOptions{})
		compare(t, [2]*state.IntOrPercent{pdb.MinAvailable, pdb.MaxUnavailable}, want)
	}

	pdb := decode[policyv1.PodDisruptionBudget](t, `{`+head+`, "spec": {"selector": {"matchLabels": {"a": "b"},
	 "matchExpressions": [{"key": "c", "operator": "NotIn", "values": ["d"]}, {"key": "e", "operator": "Exists"}]}},
	 "status": {"currentHealthy": 2, "desiredHealthy": 3, "expectedPods": 4, "disruptionsAllowed": 1,
	 "conditions": [{"type": "DisruptionAllowed", "status": "False", "reason": "SyncFailed"}]}}`)
	compare(t, convertBudget(pdb, convertOptions{}), &state.DisruptionBudget{Meta: named("web"), HasStatus: true, CurrentHealthy: 2,
		DesiredHealthy: 3, ExpectedPods: 4, DisruptionsAllowed: 1, SyncFailed: true, Selector: state.Selector{
			{Key: state.Sym("a"), Op: state.OpIn, Values: []state.Symbol{state.Sym("b")}},
			{Key: state.Sym("c"), Op: state.OpNotIn, Values: []state.Symbol{state.Sym("d")}},
			{Key: state.Sym("e"), Op: state.OpExists}}})
}

func TestConvertSelector(t *testing.T) {
	app := state.MakeLabels(map[string]string{"app": "web"})
	for name, test := range map[string]struct {
		selector *metav1.LabelSelector
		want     bool
	}{
		"absent selects nothing":           {nil, false},
		"empty selects everything":         {&metav1.LabelSelector{}, true},
		"equal":                            {&metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}, true},
		"unknown operator selects nothing": {&metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "app", Operator: "Like"}}}, false},
	} {
		if got := selector(test.selector).Matches(app); got != test.want {
			t.Errorf("%s: matches is %v", name, got)
		}
	}
}

func TestConvertService(t *testing.T) {
	service := decode[corev1.Service](t, `{`+head+`, "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}}`)
	compare(t, convertService(service, convertOptions{}), &state.Service{Meta: named("web"), Selector: state.Selector{
		{Key: state.Sym("app"), Op: state.OpIn, Values: []state.Symbol{state.Sym("web")}}}, Ports: []state.ServicePort{{Port: 80, Target: 80}}})
	service.Spec.Type, service.Spec.Ports = corev1.ServiceTypeExternalName, nil
	compare(t, convertService(service, convertOptions{}), &state.Service{Meta: named("web"), Portless: true})

	service = decode[corev1.Service](t, `{`+head+`, "spec": {"clusterIP": "None", "publishNotReadyAddresses": true, "ports": [
	 {"name": "http", "port": 80, "targetPort": 8080}, {"port": 81, "targetPort": "admin"}, {"port": 53, "protocol": "UDP"}, {"port": -1}]}}`)
	compare(t, convertService(service, convertOptions{}), &state.Service{Meta: named("web"), Headless: true, PublishNotReady: true,
		Ports: []state.ServicePort{{Name: state.Sym("http"), Port: 80, Target: 8080}, {Port: 81, TargetName: state.Sym("admin")},
			{Port: 53, Target: 53, UDP: true}, {}}})
	for value, want := range map[string]bool{"true": true, "1": true, "false": false, "yes": false} {
		older := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{unreadyAnnotation: value}}}
		if got := convertService(older, convertOptions{}).PublishNotReady; got != want {
			t.Errorf("the older annotation with %q publishes unready addresses: %v", value, got)
		}
	}

	slice := decode[discoveryv1.EndpointSlice](t, `{`+head+`, "ports": [{}], "endpoints": [
	 {"addresses": ["10.0.0.1"], "targetRef": {"uid": "p1"}, "conditions": {"ready": false, "serving": true, "terminating": true}},
	 {"addresses": ["10.0.0.2"], "conditions": {"ready": false}}, {"addresses": ["10.0.0.3"]}, {}]}`)
	slice.Labels["kubernetes.io/service-name"] = "svc"
	compare(t, convertEndpointSlice(slice, convertOptions{}), &state.EndpointSlice{Meta: named("web"), Service: state.Sym("svc"),
		HasPorts: true, Endpoints: []state.Endpoint{
			{Target: state.ParseUID("p1"), Serving: true, Terminating: true},
			{Target: state.ParseUID("10.0.0.2")}, {Target: state.ParseUID("10.0.0.3"), Serving: true}}})
}

func TestConvertTellsKindsApart(t *testing.T) {
	controlled := metav1.ObjectMeta{OwnerReferences: []metav1.OwnerReference{{Kind: "Deployment", Name: "web", Controller: new(true)}}}
	for _, test := range []struct {
		object runtime.Object
		want   []state.Kind
	}{
		{&corev1.Pod{}, []state.Kind{state.Pods}},
		{&appsv1.ReplicaSet{ObjectMeta: controlled}, []state.Kind{state.ReplicaSets}},
		{&appsv1.ReplicaSet{}, []state.Kind{state.ReplicaSets, state.ReplicaSets}},
		{&corev1.Event{}, nil},
	} {
		var got []state.Kind
		for _, converted := range Convert(test.object) {
			got = append(got, converted.ObjectKind())
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%T becomes %v, want %v", test.object, got, test.want)
		}
	}
}
