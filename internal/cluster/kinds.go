// SPDX-License-Identifier: Apache-2.0

// Package cluster turns Kubernetes API objects into the compact model of package state: from a live API server (Live)
// or from files that hold what kubectl prints (Manifests). It is the only package that imports k8s.io.
//
// One table, kinds, says what is read and how; what is watched, how a manifest is decoded and which permissions the
// exporter asks for all follow from it.
package cluster

import (
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"stability-exporter/internal/state"
)

// access is how the live source reads a kind.
type access uint8

const (
	watchObjects  access = iota // list and watch of whole objects
	watchMetadata               // list and watch of metadata only: the objects are large and nothing else of them is needed
	pollByName                  // GET of a few named objects: a watch would carry every lease of the namespace
)

// kind is one row of the table of kinds.
type kind struct {
	Kind       state.Kind // its String is the resource name
	Group      schema.GroupVersion
	Name       string // as manifests spell it
	Namespaced bool
	Access     access
	// AlsoGet says that single objects are read too: ReplicaSets that no Deployment controls.
	AlsoGet bool
	// OnRequest says that the live source reads the kind only where LiveOptions say so besides, and that the permission is no
	// part of the ClusterRole.
	OnRequest bool
	// Selective says that Convert also returns nil for objects of the kind that tell nothing.
	Selective bool
	// Object and List return empty typed objects of the kind.
	Object func() runtime.Object
	List   func() runtime.Object
	// Convert returns nil for an object of another type. With watchMetadata it takes metadata and whole objects alike.
	Convert func(runtime.Object, convertOptions) state.Object
}

// Resource is the resource as the API addresses it.
func (k kind) Resource() schema.GroupVersionResource { return k.Group.WithResource(k.Kind.String()) }

// convertOptions say what a conversion cannot see in the object.
type convertOptions struct {
	// Live says that the object comes from an API server, where a workload always has a status, an empty one included.
	Live bool
	// WorkloadLabels are the keys of the object labels that become state.Workload.Info.
	WorkloadLabels []string
	// Middleware says that what the discovery of middleware needs is kept: the addresses of pods and what Services tell of themselves.
	Middleware bool
	// Document is the JSON of a plain manifest, with the fields that the API server would drop.
	Document string
}

const (
	leaseNamespace = "kube-system"
)

// componentLeases lists the leases of leaseNamespace whose holders are control plane components.
func componentLeases() []string { return []string{"kube-controller-manager", "kube-scheduler"} }

// kinds is the table, in the order of state.Kind.
func kinds() []kind {
	return append(workloadKinds(), relatedKinds()...)
}

func workloadKinds() []kind {
	apps, batch := appsv1.SchemeGroupVersion, batchv1.SchemeGroupVersion
	return []kind{
		{Kind: state.Nodes, Group: corev1.SchemeGroupVersion, Name: "Node",
			Object: empty[corev1.Node], List: empty[corev1.NodeList], Convert: typed(convertNode)},
		{Kind: state.Namespaces, Group: corev1.SchemeGroupVersion, Name: "Namespace", Access: watchMetadata,
			Object: empty[corev1.Namespace], List: empty[corev1.NamespaceList], Convert: typed(convertNamespace)},
		{Kind: state.ConfigMaps, Group: corev1.SchemeGroupVersion, Name: "ConfigMap", Namespaced: true, OnRequest: true,
			Object: empty[corev1.ConfigMap], List: empty[corev1.ConfigMapList], Convert: typed(convertConfigMap)},
		{Kind: state.Deployments, Group: apps, Name: "Deployment", Namespaced: true,
			Object: empty[appsv1.Deployment], List: empty[appsv1.DeploymentList], Convert: typed(convertDeployment)},
		{Kind: state.StatefulSets, Group: apps, Name: "StatefulSet", Namespaced: true,
			Object: empty[appsv1.StatefulSet], List: empty[appsv1.StatefulSetList], Convert: typed(convertStatefulSet)},
		{Kind: state.DaemonSets, Group: apps, Name: "DaemonSet", Namespaced: true,
			Object: empty[appsv1.DaemonSet], List: empty[appsv1.DaemonSetList], Convert: typed(convertDaemonSet)},
		{Kind: state.ReplicaSets, Group: apps, Name: "ReplicaSet", Namespaced: true, Access: watchMetadata, AlsoGet: true,
			Object: empty[appsv1.ReplicaSet], List: empty[appsv1.ReplicaSetList], Convert: typed(convertReplicaSet)},
		{Kind: state.ControllerRevisions, Group: apps, Name: "ControllerRevision", Namespaced: true, Access: watchMetadata,
			Object: empty[appsv1.ControllerRevision], List: empty[appsv1.ControllerRevisionList], Convert: typed(convertRevision)},
		{Kind: state.CronJobs, Group: batch, Name: "CronJob", Namespaced: true,
			Object: empty[batchv1.CronJob], List: empty[batchv1.CronJobList], Convert: typed(convertCronJob)},
		{Kind: state.Jobs, Group: batch, Name: "Job", Namespaced: true,
			Object: empty[batchv1.Job], List: empty[batchv1.JobList], Convert: typed(convertJob)},
	}
}

func relatedKinds() []kind {
	core := corev1.SchemeGroupVersion
	return []kind{
		{Kind: state.HorizontalPodAutoscalers, Group: autoscalingv2.SchemeGroupVersion, Name: "HorizontalPodAutoscaler", Namespaced: true,
			Object: empty[autoscalingv2.HorizontalPodAutoscaler], List: empty[autoscalingv2.HorizontalPodAutoscalerList],
			Convert: typed(convertAutoscaler)},
		{Kind: state.PodDisruptionBudgets, Group: policyv1.SchemeGroupVersion, Name: "PodDisruptionBudget", Namespaced: true,
			Object: empty[policyv1.PodDisruptionBudget], List: empty[policyv1.PodDisruptionBudgetList],
			Convert: typed(convertBudget)},
		{Kind: state.Services, Group: core, Name: "Service", Namespaced: true,
			Object: empty[corev1.Service], List: empty[corev1.ServiceList], Convert: typed(convertService)},
		{Kind: state.Pods, Group: core, Name: "Pod", Namespaced: true,
			Object: empty[corev1.Pod], List: empty[corev1.PodList], Convert: typed(convertPod)},
		{Kind: state.EndpointSlices, Group: discoveryv1.SchemeGroupVersion, Name: "EndpointSlice", Namespaced: true,
			Object: empty[discoveryv1.EndpointSlice], List: empty[discoveryv1.EndpointSliceList],
			Convert: typed(convertEndpointSlice)},
		{Kind: state.Events, Group: core, Name: "Event", Namespaced: true, OnRequest: true, Selective: true,
			Object: empty[corev1.Event], List: empty[corev1.EventList], Convert: typed(convertEvent)},
		{Kind: state.Leases, Group: coordinationv1.SchemeGroupVersion, Name: "Lease", Namespaced: true, Access: pollByName,
			Object: empty[coordinationv1.Lease], List: empty[coordinationv1.LeaseList], Convert: typed(convertLease)},
	}
}

// kindOf returns the row of a kind.
func kindOf(k state.Kind) kind { return kinds()[k] }

// empty returns a new T as the runtime.Object that *T is.
func empty[T any, P interface {
	*T
	runtime.Object
}]() runtime.Object {
	return P(new(T))
}

// typed gives a conversion of one type the signature of the table.
func typed[T any, O interface {
	comparable
	state.Object
}](convert func(T, convertOptions) O) func(runtime.Object, convertOptions) state.Object {
	return func(object runtime.Object, options convertOptions) state.Object {
		var none O
		if t, ok := object.(T); ok {
			if converted := convert(t, options); converted != none {
				return converted
			}
		}
		return nil
	}
}

// newScheme knows the kinds of the table and the metadata-only form of them, nothing else.
func newScheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	groups := map[schema.GroupVersion]bool{}
	for _, k := range kinds() {
		scheme.AddKnownTypes(k.Group, k.Object(), k.List())
		if !groups[k.Group] {
			groups[k.Group] = true
			metav1.AddToGroupVersion(scheme, k.Group)
		}
	}
	if err := metav1.AddMetaToScheme(scheme); err != nil {
		panic("BUG: cannot register the metadata types: " + err.Error())
	}
	return scheme
}
