// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"fmt"
	"reflect"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// statefulSet is a StatefulSet. Its pods change as a story tells; its status follows.
type statefulSet struct {
	*appsv1.StatefulSet
	w         *world
	revisions int
}

// addStatefulSet adds a StatefulSet that has been whole for long.
func (w *world) addStatefulSet(name string, replicas int32, edits ...func(*appsv1.StatefulSet)) *statefulSet {
	s := &statefulSet{w: w, StatefulSet: &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       appsv1.StatefulSetSpec{Replicas: &replicas, Template: template(name)},
	}}
	w.stamp("statefulset", &s.ObjectMeta, old)
	for _, edit := range edits {
		edit(s.StatefulSet)
	}
	s.rollOut()
	s.Status.CurrentRevision = s.Status.UpdateRevision
	for i := range int(replicas) {
		s.add(i, ready)
	}
	w.controllers = append(w.controllers, s.reconcile)
	s.reconcile()
	return s
}

// rollOut asks for a new template.
func (s *statefulSet) rollOut() {
	s.revisions++
	s.Generation++
	s.Status.UpdateRevision = s.w.addRevision("StatefulSet", s, s.revisions)
	s.w.put(s.StatefulSet)
}

// addRevision adds a ControllerRevision and returns what pods of it carry.
func (w *world) addRevision(kind string, of object, number int) string {
	revision := &appsv1.ControllerRevision{
		ObjectMeta: metav1.ObjectMeta{
			Name: fmt.Sprintf("%s-rev%d", of.GetName(), number), OwnerReferences: controlledBy(kind, of),
			Labels: map[string]string{appsv1.ControllerRevisionHashLabelKey: fmt.Sprintf("rev%d", number)},
		},
		Revision: int64(number),
	}
	age := old
	if number > 1 {
		age = 0
	}
	w.stamp("controllerrevision", &revision.ObjectMeta, age)
	w.put(revision)
	return revision.Name
}

// add creates the pod of an ordinal, of the newest revision.
func (s *statefulSet) add(ordinal int, become func(*pod)) *pod {
	return s.w.addPod(metav1.ObjectMeta{
		Name: fmt.Sprintf("%s-%d", s.Name, ordinal), OwnerReferences: controlledBy("StatefulSet", s),
		Labels: map[string]string{"app": s.Name, appsv1.ControllerRevisionHashLabelKey: s.Status.UpdateRevision},
	}, s.Spec.Template.Spec, s.w.schedule(s.Name), 0, become)
}

// pod returns the pod of an ordinal.
func (s *statefulSet) pod(ordinal int) *pod {
	name := fmt.Sprintf("%s-%d", s.Name, ordinal)
	for _, p := range s.w.pods {
		if p.Name == name {
			return p
		}
	}
	s.w.t.Fatalf("there is no pod %s", name)
	return nil
}

func (s *statefulSet) reconcile() {
	before := s.Status.DeepCopy()
	status := &s.Status
	status.ObservedGeneration = s.Generation
	status.Replicas, status.UpdatedReplicas, status.CurrentReplicas, status.ReadyReplicas = 0, 0, 0, 0
	for _, p := range s.w.pods {
		if p.Labels["app"] != s.Name || !p.live() {
			continue
		}
		status.Replicas++
		switch p.Labels[appsv1.ControllerRevisionHashLabelKey] {
		case status.UpdateRevision:
			status.UpdatedReplicas++
		case status.CurrentRevision:
			status.CurrentReplicas++
		}
		if p.isReady() {
			status.ReadyReplicas++
		}
	}
	status.AvailableReplicas = status.ReadyReplicas
	if status.UpdatedReplicas == *s.Spec.Replicas && status.ReadyReplicas == *s.Spec.Replicas {
		status.CurrentRevision = status.UpdateRevision
	}
	if !reflect.DeepEqual(before, status) {
		s.w.put(s.StatefulSet)
	}
}
