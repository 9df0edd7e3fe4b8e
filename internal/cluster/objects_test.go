// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"

	"stability-exporter/internal/state"
)

var onlyReplicaSets = LiveOptions{Kinds: state.KindSet(state.ReplicaSets)}

func replicaSet(name, ownerKind string, replicas int32) *appsv1.ReplicaSet {
	rs := &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID("uid-" + name), ResourceVersion: "1"},
		Spec:       appsv1.ReplicaSetSpec{Replicas: &replicas},
	}
	if ownerKind != "" {
		rs.OwnerReferences = []metav1.OwnerReference{{
			Kind: ownerKind, Name: strings.TrimSuffix(name, "-1"), UID: "owner", Controller: new(true)}}
	}
	return rs
}

// workloads lists what the store shows, as type/name:desired.
func (o *observed) workloads() string {
	var all []string
	for _, w := range o.store.Snapshot().Workloads {
		all = append(all, fmt.Sprintf("%s/%s:%d", w.Ref.Type.String(), w.Ref.Name.String(), w.Desired))
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// gets lists the names that were read one by one.
func (api *fakeAPI) gets() string {
	var names []string
	for _, c := range api.seen() {
		if c.name != "" {
			names = append(names, c.name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

func replicaSetBookmark() watch.Event { return bookmark(&appsv1.ReplicaSet{}, "5", true) }

func TestLiveReadsOnlyFreeReplicaSets(t *testing.T) {
	api := newFakeAPI(t)
	more := make(chan struct{})
	api.on("replicasets", func(c *call) {
		switch {
		case c.name != "":
			c.respond(http.StatusOK, replicaSet(c.name, map[string]string{"canary-1": "Rollout"}[c.name], 3))
		case !c.metadata:
			t.Error("whole ReplicaSets were watched")
		default:
			c.stream(added(replicaSet("web-1", "Deployment", 2)), added(replicaSet("canary-1", "Rollout", 3)),
				added(replicaSet("bare", "", 3)), replicaSetBookmark())
			<-more
			c.stream(deleted(replicaSet("bare", "", 3)), modified(replicaSet("web-1", "Deployment", 2)))
			<-more
			c.stream(modified(replicaSet("canary-1", "Deployment", 3)))
			c.hold()
		}
	})
	o := observe(t, api, onlyReplicaSets, nil)
	o.await("it is synchronised", o.is(state.ReplicaSets, state.Synced))
	o.await("the free ones are workloads", func() bool { return o.workloads() == "replicaset/bare:3 rollout/canary:3" })
	more <- struct{}{}
	o.await("the deleted one is gone", func() bool { return o.workloads() == "rollout/canary:3" })
	more <- struct{}{}
	o.await("the adopted one is gone", func() bool { return o.workloads() == "" })
	if got := api.gets(); got != "bare canary-1" {
		t.Errorf("read %s; want each free one once", got)
	}
}

func TestLiveRefreshesFreeReplicaSetOnceForManyChanges(t *testing.T) {
	api := newFakeAPI(t)
	release := make(chan struct{})
	api.on("replicasets", func(c *call) {
		switch c.name {
		case "bare":
			if api.gets() != "bare" { // not the first
				<-release
			}
			fallthrough
		case "last":
			c.respond(http.StatusOK, replicaSet(c.name, "", 1))
			return
		}
		c.stream(added(replicaSet("bare", "", 1)), replicaSetBookmark())
		for range 50 {
			c.stream(modified(replicaSet("bare", "", 1)))
		}
		close(release)
		c.stream(added(replicaSet("last", "", 1)))
		c.hold()
	})
	o := observe(t, api, onlyReplicaSets, nil)
	o.await("the queue is worked off", func() bool { return o.workloads() == "replicaset/bare:1 replicaset/last:1" })
	if got := strings.Count(api.gets(), "bare"); got > 10 {
		t.Errorf("50 changes cost %d requests", got)
	}
}

func TestFreeReplicaSetThatGoesWhileItIsReadStaysGone(t *testing.T) {
	api := newFakeAPI(t)
	o := observe(t, api, LiveOptions{}, nil)
	k := kindOf(state.ReplicaSets)
	m := newMonitor(o.health[k.Kind], state.Scope{Kind: k.Kind}, o.store, o.timings)
	s := &sink{kind: k, scope: m.scope, store: o.store, monitor: m}
	s.free = o.newFreeReplicaSets(t.Context(), k, s)
	bare := replicaSet("bare", "", 1)
	s.free.get = func(context.Context, types.NamespacedName) (*appsv1.ReplicaSet, error) {
		return bare, s.Delete(bare)
	}
	if err := s.Add(bare); err != nil {
		t.Fatal(err)
	}
	if err := s.free.refresh(t.Context(), types.NamespacedName{Namespace: "shop", Name: "bare"}); err != nil {
		t.Fatal(err)
	}
	if got := o.workloads(); got != "" {
		t.Errorf("a deleted ReplicaSet came back as %s", got)
	}
}

func TestLiveToleratesThatReplicaSetsCannotBeRead(t *testing.T) {
	api := newFakeAPI(t)
	granted := make(chan struct{})
	api.on("replicasets", func(c *call) {
		if c.name == "" {
			c.stream(added(replicaSet("bare", "", 1)), replicaSetBookmark())
			c.hold()
			return
		}
		select {
		case <-granted:
			c.respond(http.StatusOK, replicaSet("bare", "", 1))
		default:
			c.fail(http.StatusForbidden, metav1.StatusReasonForbidden)
		}
	})
	o := observe(t, api, onlyReplicaSets, nil)
	o.await("it is tried again", func() bool { return strings.Count(api.gets(), "bare") > 2 })
	if !o.is(state.ReplicaSets, state.Partial)() || o.logged("level=warn", "verb=get", "resource=replicasets") != 1 {
		t.Errorf("want the metadata and one line, got %q", o.journal.all())
	}
	close(granted)
	o.await("the workload is there", func() bool { return o.workloads() == "replicaset/bare:1" })
	o.await("the kind is whole", o.is(state.ReplicaSets, state.Synced))
	o.await("the log says so", func() bool { return o.logged("level=info", "can be read now") == 1 })
}

func lease(name string) *coordinationv1.Lease {
	now := metav1.NewMicroTime(time.Now())
	return &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: leaseNamespace, Name: name, UID: types.UID(name)},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: new("master_1"), LeaseDurationSeconds: new(int32(15)), RenewTime: &now},
	}
}

func (o *observed) leases() string {
	var names []string
	for _, l := range o.store.Snapshot().Leases {
		names = append(names, l.Name)
	}
	return strings.Join(names, " ")
}

func TestLivePollsLeases(t *testing.T) {
	api := newFakeAPI(t)
	both := func(c *call) { c.respond(http.StatusOK, lease(c.name)) }
	api.on("leases", both)
	options := LiveOptions{Kinds: state.KindSet(state.Leases), Namespaces: []string{"shop"}, LeasePoll: 5 * time.Millisecond}
	o := observe(t, api, options, nil)
	o.await("both are there", func() bool { return o.leases() == "kube-controller-manager kube-scheduler" })

	api.on("leases", func(c *call) { c.fail(http.StatusInternalServerError, metav1.StatusReasonInternalError) })
	o.await("the outage is noticed", func() bool { return o.logged("level=warn", "resource=leases") == 1 })
	if o.leases() == "" || !o.is(state.Leases, state.Synced)() {
		t.Error("an outage withdrew the leases")
	}
	api.on("leases", func(c *call) {
		if c.name == "kube-scheduler" {
			c.respond(http.StatusOK, lease(c.name))
			return
		}
		c.fail(http.StatusNotFound, metav1.StatusReasonNotFound)
	})
	o.await("one is left", func() bool { return o.leases() == "kube-scheduler" })
	api.on("leases", func(c *call) { c.fail(http.StatusNotFound, metav1.StatusReasonNotFound) })
	o.await("none is observed", o.is(state.Leases, state.NotObserved))
	api.on("leases", func(c *call) { c.fail(http.StatusForbidden, metav1.StatusReasonForbidden) })
	o.await("they are forbidden", o.is(state.Leases, state.Forbidden))
	api.on("leases", both)
	o.await("both are back", func() bool { return o.leases() == "kube-controller-manager kube-scheduler" })
	if o.logged("why=forbidden", "verb=get", "namespace=kube-system") != 1 || o.stats(state.Leases).Relists != 0 {
		t.Errorf("%+v, logged %q", o.stats(state.Leases), o.journal.all())
	}
	for _, c := range api.seen() {
		if !strings.HasPrefix(c.path, "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/kube-") {
			t.Errorf("requested %s", c.path)
		}
	}
}
