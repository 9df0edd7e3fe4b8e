// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"fmt"
	"reflect"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// daemonSet is a DaemonSet with a pod on every node. It tolerates everything.
type daemonSet struct {
	*appsv1.DaemonSet
	w         *world
	revisions int
	unwanted  []*node // that it does not tolerate any more; what is there stays, as misscheduled
}

// addDaemonSet adds a DaemonSet that has been whole for long.
func (w *world) addDaemonSet(name string) *daemonSet {
	d := &daemonSet{w: w, DaemonSet: &appsv1.DaemonSet{
		ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: appsv1.DaemonSetSpec{Template: template(name)},
	}}
	w.stamp("daemonset", &d.ObjectMeta, old)
	d.rollOut()
	for _, n := range w.nodes {
		d.add(n, ready)
	}
	w.controllers = append(w.controllers, d.reconcile)
	d.reconcile()
	return d
}

func (d *daemonSet) rollOut() {
	d.revisions++
	d.Generation++
	d.w.addRevision("DaemonSet", d, d.revisions)
	d.w.put(d.DaemonSet)
}

func (d *daemonSet) add(on *node, become func(*pod)) *pod {
	return d.w.addPod(metav1.ObjectMeta{
		Name: fmt.Sprintf("%s-%s-%d", d.Name, on.Name, d.revisions), OwnerReferences: controlledBy("DaemonSet", d),
		Labels: map[string]string{"app": d.Name, appsv1.ControllerRevisionHashLabelKey: fmt.Sprintf("rev%d", d.revisions)},
	}, d.Spec.Template.Spec, on, 0, become)
}

func (d *daemonSet) on(n *node) *pod {
	i := slices.IndexFunc(d.w.pods, func(p *pod) bool { return p.node == n && p.Labels["app"] == d.Name })
	if i < 0 {
		d.w.t.Fatalf("there is no %s on %s", d.Name, n.Name)
	}
	return d.w.pods[i]
}

func (d *daemonSet) reconcile() {
	before := d.Status.DeepCopy()
	s := &d.Status
	*s = appsv1.DaemonSetStatus{ObservedGeneration: d.Generation, DesiredNumberScheduled: int32(len(d.w.nodes) - len(d.unwanted))}
	newest := fmt.Sprintf("rev%d", d.revisions)
	for _, p := range d.w.pods {
		if p.Labels["app"] != d.Name || !p.live() {
			continue
		}
		if slices.Contains(d.unwanted, p.node) {
			s.NumberMisscheduled++
			continue
		}
		s.CurrentNumberScheduled++
		if p.Labels[appsv1.ControllerRevisionHashLabelKey] == newest {
			s.UpdatedNumberScheduled++
		}
		if p.isReady() {
			s.NumberReady++
		}
	}
	s.NumberAvailable, s.NumberUnavailable = s.NumberReady, s.DesiredNumberScheduled-s.NumberReady
	if !reflect.DeepEqual(before, s) {
		d.w.put(d.DaemonSet)
	}
}
