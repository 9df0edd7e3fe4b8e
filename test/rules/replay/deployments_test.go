// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// deployment is a Deployment. Its pods change as a story tells; its status follows as the deployment controller of
// Kubernetes would have it.
type deployment struct {
	*appsv1.Deployment
	w       *world
	sets    []*appsv1.ReplicaSet // one per revision, the newest last
	made    int                  // pods so far
	deleted bool
	refused string   // why no pod can be created; empty when they can
	best    [3]int32 // updated, ready and fewest outdated pods, when there was progress last
}

// addDeployment adds a Deployment that has been whole for long.
func (w *world) addDeployment(name string, replicas int32, edits ...func(*appsv1.Deployment)) *deployment {
	d := &deployment{w: w, Deployment: &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{}},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas, ProgressDeadlineSeconds: new(int32(600)), Template: template(name),
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}},
		},
	}}
	w.stamp("deployment", &d.ObjectMeta, old)
	for _, edit := range edits {
		edit(d.Deployment)
	}
	d.rollOut()
	d.sets[0].CreationTimestamp = w.ago(old)
	d.add(int(*d.Spec.Replicas), ready)
	for _, p := range d.pods() {
		p.CreationTimestamp = w.ago(old)
		p.become(func(p *pod) {
			for i := range p.Status.Conditions {
				p.Status.Conditions[i].LastTransitionTime = w.ago(old)
			}
		})
	}
	d.progress(corev1.ConditionTrue, "NewReplicaSetAvailable")
	w.controllers = append(w.controllers, d.reconcile)
	d.reconcile()
	return d
}

// rollOut asks for a new template.
func (d *deployment) rollOut() {
	d.Generation++
	revision := strconv.Itoa(len(d.sets) + 1)
	hash := "rev" + revision
	set := &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{
		Name: d.Name + "-" + hash, OwnerReferences: controlledBy("Deployment", d),
		Labels:      map[string]string{"app": d.Name, "pod-template-hash": hash},
		Annotations: map[string]string{"deployment.kubernetes.io/revision": revision},
	}}
	d.w.stamp("replicaset", &set.ObjectMeta, 0)
	d.sets = append(d.sets, set)
	d.Annotations["deployment.kubernetes.io/revision"] = revision
	d.w.put(set)
	d.best = [3]int32{}
	d.progress(corev1.ConditionTrue, "NewReplicaSetCreated")
	d.w.put(d.Deployment)
}

// gone deletes the Deployment with its ReplicaSets.
func (d *deployment) gone() {
	for _, set := range d.sets {
		d.w.remove(set)
	}
	d.w.remove(d.Deployment)
	d.deleted = true
}

// scale changes the desired number; pods follow as the story tells.
func (d *deployment) scale(replicas int32) {
	d.Generation++
	d.Spec.Replicas = &replicas
	d.w.put(d.Deployment)
}

// add creates pods of the newest revision.
func (d *deployment) add(n int, become func(*pod)) []*pod {
	var added []*pod
	for range n {
		added = append(added, d.addOn(d.w.schedule(d.Name), become))
	}
	return added
}

func (d *deployment) addOn(on *node, become func(*pod)) *pod {
	d.made++
	set := d.sets[len(d.sets)-1]
	return d.w.addPod(metav1.ObjectMeta{
		Name: fmt.Sprintf("%s-%d", set.Name, d.made), Labels: set.Labels, OwnerReferences: controlledBy("ReplicaSet", set),
	}, d.Spec.Template.Spec, on, 0, become)
}

// replace puts a new pod in the place of an old one, which takes a while to be ready.
func (d *deployment) replace(takes time.Duration) {
	p := d.add(1, starting)[0]
	d.w.pass(takes)
	p.become(ready)
	d.outdated()[0].vanish()
}

func (d *deployment) pods() []*pod {
	return slices.DeleteFunc(slices.Clone(d.w.pods), func(p *pod) bool { return p.Labels["app"] != d.Name || !p.live() })
}

func (d *deployment) updated() []*pod {
	hash := d.sets[len(d.sets)-1].Labels["pod-template-hash"]
	return slices.DeleteFunc(d.pods(), func(p *pod) bool { return p.Labels["pod-template-hash"] != hash })
}

func (d *deployment) outdated() []*pod {
	updated := d.updated()
	return slices.DeleteFunc(d.pods(), func(p *pod) bool { return slices.Contains(updated, p) })
}

// reconcile brings the status up to date (syncRolloutStatus in pkg/controller/deployment).
func (d *deployment) reconcile() {
	if d.deleted {
		return
	}
	before := d.Status.DeepCopy()
	s := &d.Status
	s.ObservedGeneration = d.Generation
	s.Replicas, s.UpdatedReplicas, s.ReadyReplicas = int32(len(d.pods())), int32(len(d.updated())), 0
	for _, p := range d.pods() {
		if p.isReady() {
			s.ReadyReplicas++
		}
	}
	s.AvailableReplicas = s.ReadyReplicas
	desired := *d.Spec.Replicas
	s.UnavailableReplicas = max(0, s.Replicas-s.AvailableReplicas)
	switch now := [3]int32{s.UpdatedReplicas, s.ReadyReplicas, -int32(len(d.outdated()))}; {
	case s.UpdatedReplicas == desired && s.Replicas == desired && s.AvailableReplicas >= desired:
		d.progress(corev1.ConditionTrue, "NewReplicaSetAvailable")
	case d.progressing().Reason == "NewReplicaSetAvailable":
	case d.Spec.Paused && d.progressing().Reason != "ProgressDeadlineExceeded":
		d.progress(corev1.ConditionUnknown, "DeploymentPaused")
	case d.Spec.Paused:
	case now[0] > d.best[0] || now[1] > d.best[1] || now[2] > d.best[2]:
		d.progress(corev1.ConditionTrue, "ReplicaSetUpdated")
		d.progressing().LastUpdateTime = d.w.ago(0)
	case d.w.now.Sub(d.progressing().LastUpdateTime.Time) > time.Duration(*d.Spec.ProgressDeadlineSeconds)*time.Second:
		d.progress(corev1.ConditionFalse, "ProgressDeadlineExceeded")
	}
	d.best = [3]int32{s.UpdatedReplicas, s.ReadyReplicas, -int32(len(d.outdated()))}
	d.fail()
	if !reflect.DeepEqual(before, s) {
		d.w.put(d.Deployment)
	}
}

// fail sets the condition ReplicaFailure.
func (d *deployment) fail() {
	s := &d.Status
	i := slices.IndexFunc(s.Conditions, func(c appsv1.DeploymentCondition) bool { return c.Type == appsv1.DeploymentReplicaFailure })
	switch {
	case d.refused == "" && i >= 0:
		s.Conditions = slices.Delete(s.Conditions, i, i+1)
	case d.refused != "" && i < 0 && s.Replicas < *d.Spec.Replicas:
		s.Conditions = append(s.Conditions, appsv1.DeploymentCondition{
			Type: appsv1.DeploymentReplicaFailure, Status: corev1.ConditionTrue, Reason: "FailedCreate", Message: d.refused,
			LastUpdateTime: d.w.ago(0), LastTransitionTime: d.w.ago(0),
		})
	}
}

func (d *deployment) progressing() *appsv1.DeploymentCondition {
	s := &d.Status
	i := slices.IndexFunc(s.Conditions, func(c appsv1.DeploymentCondition) bool { return c.Type == appsv1.DeploymentProgressing })
	if i < 0 {
		i = len(s.Conditions)
		s.Conditions = append(s.Conditions, appsv1.DeploymentCondition{Type: appsv1.DeploymentProgressing})
	}
	return &s.Conditions[i]
}

func (d *deployment) progress(status corev1.ConditionStatus, reason string) {
	if c := d.progressing(); c.Status != status || c.Reason != reason {
		c.Status, c.Reason, c.LastUpdateTime = status, reason, d.w.ago(0)
	}
}
