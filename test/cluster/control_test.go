// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"syscall"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
)

func TestDeadNodeIsMarkedAndRecovers(t *testing.T) {
	ctx := t.Context()
	names := mustNodes(t, 2, "a", "b")
	namespace := shared.NewNamespace(t)
	createDeployment(t, namespace, "web", 4, func(template *corev1.PodTemplateSpec) {
		template.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{
			MaxSkew: 1, TopologyKey: corev1.LabelTopologyZone, WhenUnsatisfiable: corev1.DoNotSchedule,
			LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}},
		}}
	})
	awaitAvailable(t, namespace, "web", 4)
	if err := shared.FailNode(ctx, names[0]); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if err := shared.AwaitNode(ctx, names[0], corev1.ConditionUnknown); err != nil {
		t.Fatal(err)
	}
	t.Logf("marked as Unknown after %s", time.Since(start))
	awaitAvailable(t, namespace, "web", 2)
	if err := shared.RecoverNode(ctx, names[0]); err != nil {
		t.Fatal(err)
	}
	if err := shared.AwaitNode(ctx, names[0], corev1.ConditionTrue); err != nil {
		t.Fatal(err)
	}
	awaitAvailable(t, namespace, "web", 4)
}

func TestFrozenControllerManagerDoesNothing(t *testing.T) {
	mustNodes(t, 1)
	namespace := shared.NewNamespace(t)
	createDeployment(t, namespace, "web", 1, nil)
	awaitAvailable(t, namespace, "web", 1)
	if err := shared.Freeze(ControllerManager); err != nil {
		t.Fatal(err)
	}
	scale := &autoscalingv1.Scale{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: namespace}, Spec: autoscalingv1.ScaleSpec{Replicas: 2}}
	if _, err := shared.Client().AppsV1().Deployments(namespace).UpdateScale(t.Context(), "web", scale, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	lease := func() *metav1.MicroTime {
		lease, err := shared.Client().CoordinationV1().Leases(metav1.NamespaceSystem).Get(t.Context(), string(ControllerManager), metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return lease.Spec.RenewTime
	}
	await(t, "the lease to be old", func(context.Context) (bool, error) { return time.Since(lease().Time) > 4*time.Second, nil })
	if deployment := getDeployment(t, namespace, "web"); deployment.Status.ObservedGeneration >= deployment.Generation {
		t.Error("a frozen controller manager has seen the new generation")
	}
	if err := shared.Resume(ControllerManager); err != nil {
		t.Fatal(err)
	}
	awaitAvailable(t, namespace, "web", 2)
	await(t, "the lease to be renewed", func(context.Context) (bool, error) { return time.Since(lease().Time) < 4*time.Second, nil })
}

func TestComponentThatEndsIsStartedAgain(t *testing.T) {
	before := shared.PID(Scheduler)
	if err := syscall.Kill(before, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	await(t, "another scheduler", func(context.Context) (bool, error) {
		now := shared.PID(Scheduler)
		return now != 0 && now != before, nil
	})
	if err := shared.Kill(Scheduler); err != nil {
		t.Fatal(err)
	}
	if pid := shared.PID(Scheduler); pid != 0 {
		t.Errorf("a killed scheduler runs as process %d", pid)
	}
	if err := shared.Freeze(Scheduler); err == nil {
		t.Error("a killed scheduler can be frozen")
	}
	if err := shared.Restart(t.Context(), Scheduler); err != nil {
		t.Fatal(err)
	}
}

func getDeployment(t *testing.T, namespace, name string) *appsv1.Deployment {
	t.Helper()
	deployment, err := shared.Client().AppsV1().Deployments(namespace).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return deployment
}

func TestAPIServerComesBackOnItsPort(t *testing.T) {
	mustNodes(t, 1)
	namespace := shared.NewNamespace(t)
	createDeployment(t, namespace, "web", 1, func(template *corev1.PodTemplateSpec) {
		template.Labels[BehaviourLabel] = string(OOM)
	})
	awaitAvailable(t, namespace, "web", 1)
	if err := shared.Kill(APIServer); err != nil {
		t.Fatal(err)
	}
	if _, err := shared.Client().CoreV1().Namespaces().Get(t.Context(), namespace, metav1.GetOptions{}); err == nil {
		t.Fatal("a killed API server answers")
	}
	start := time.Now()
	if err := shared.Restart(t.Context(), APIServer); err != nil {
		t.Fatal(err)
	}
	t.Logf("ready again after %s", time.Since(start))
	createDeployment(t, namespace, "later", 2, nil)
	awaitAvailable(t, namespace, "later", 2)
	awaitAvailable(t, namespace, "web", 1)
}

func TestForgottenHistoryIsGone(t *testing.T) {
	namespace := shared.NewNamespace(t)
	config := shared.Client().CoreV1().ConfigMaps(namespace)
	create := func(name string) string {
		created, err := config.Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return created.ResourceVersion
	}
	create("first")
	before := create("second")
	create("third")

	page, err := config.List(t.Context(), metav1.ListOptions{Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	if watchIsGone(t, config.Watch, before) {
		t.Fatal("the history is gone before it is forgotten")
	}
	if err := shared.ForgetHistory(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err = config.List(t.Context(), metav1.ListOptions{Limit: 1, Continue: page.Continue})
	if !apierrors.IsResourceExpired(err) {
		t.Errorf("the next page of a forgotten list gives %v, want 410 Gone", err)
	}
	if !watchIsGone(t, config.Watch, before) {
		t.Error("a watch from a forgotten resource version is served, want 410 Gone")
	}
}

// watchIsGone tells whether a watch from a resource version is answered with 410, at once or as its first event.
func watchIsGone(t *testing.T, start func(context.Context, metav1.ListOptions) (watch.Interface, error), resourceVersion string) bool {
	t.Helper()
	timeout := int64(10)
	watcher, err := start(t.Context(), metav1.ListOptions{ResourceVersion: resourceVersion, TimeoutSeconds: &timeout})
	if err != nil {
		return apierrors.IsResourceExpired(err) || apierrors.IsGone(err)
	}
	defer watcher.Stop()
	event, open := <-watcher.ResultChan()
	if !open || event.Type != watch.Error {
		return false
	}
	err = apierrors.FromObject(event.Object)
	return apierrors.IsResourceExpired(err) || apierrors.IsGone(err)
}

func TestIdentitiesHaveNoRightsUntilBound(t *testing.T) {
	if _, err := shared.ConfigFor("nobody"); err == nil {
		t.Error("an unknown identity has a configuration")
	}
	for _, identity := range []string{"exporter-0", "auditor"} {
		config, err := shared.ConfigFor(identity)
		if err != nil {
			t.Fatal(err)
		}
		client, err := kubernetes.NewForConfig(config)
		if err != nil {
			t.Fatal(err)
		}
		_, err = client.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
		if !apierrors.IsForbidden(err) {
			t.Errorf("%s without a binding lists nodes: %v", identity, err)
		}
		binding := &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: "view-" + identity},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: identity}},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "system:kube-scheduler"},
		}
		if _, err := shared.Client().RbacV1().ClusterRoleBindings().Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		await(t, "the binding to work", func(ctx context.Context) (bool, error) {
			_, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
			return err == nil, nil
		})
	}
}
