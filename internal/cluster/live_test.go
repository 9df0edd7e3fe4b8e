// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"

	"stability-exporter/internal/state"
)

var onlyNodes = LiveOptions{Kinds: state.KindSet(state.Nodes)}

func node(name string, version int) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID("uid-" + name), ResourceVersion: strconv.Itoa(version)}}
}

func nodeBookmark(version string, end bool) watch.Event {
	return bookmark(&corev1.Node{}, version, end)
}

func TestLiveStreamsListAndFollows(t *testing.T) {
	for name, json := range map[string]bool{"protobuf": false, "json": true} {
		t.Run(name, func(t *testing.T) {
			api := newFakeAPI(t)
			api.json = json
			more := make(chan struct{})
			api.on("nodes", func(c *call) {
				if !c.streamsList() {
					c.fail(http.StatusInternalServerError, metav1.StatusReasonInternalError)
					return
				}
				c.stream(added(node("a", 1)), added(node("b", 2)))
				<-more
				c.stream(nodeBookmark("5", true))
				<-more
				c.stream(added(node("c", 6)), deleted(node("a", 7)), modified(node("b", 8)))
				c.hold()
			})
			o := observe(t, api, onlyNodes, nil)
			o.await("the list is requested", func() bool { return len(api.seen()) > 0 })
			if !o.is(state.Nodes, state.Pending)() {
				t.Error("half a list counts as synchronised")
			}
			more <- struct{}{}
			o.await("the list is there", func() bool { return o.nodes() == "a b" })
			more <- struct{}{}
			o.await("the changes are there", func() bool { return o.nodes() == "b c" })
			if got := o.stats(state.Nodes); got != (Stats{Kind: state.Nodes}) || len(o.journal.all()) != 0 {
				t.Errorf("%+v, logged %q; want no errors", got, o.journal.all())
			}
		})
	}
}

func TestLivePagesListsWhereTheServerCannotStream(t *testing.T) {
	api := newFakeAPI(t)
	api.on("nodes", func(c *call) {
		switch next := c.query.Get("continue"); {
		case c.streamsList():
			c.refuseStreaming()
		case c.watches():
			c.stream(added(node("c", 11)))
			c.hold()
		case next == "":
			c.list("10", "second", node("a", 1))
		default:
			c.list("10", "", node("b", 2))
		}
	})
	o := observe(t, api, onlyNodes, nil)
	o.await("both pages and the event are there", func() bool { return o.nodes() == "a b c" })
	for _, c := range api.seen() {
		if c.watches() && !c.streamsList() && c.query.Get("resourceVersion") != "10" {
			t.Errorf("the watch began at %q; want the version of the list", c.query.Get("resourceVersion"))
		}
		if !c.watches() && (c.query.Get("limit") != "100" || c.query.Get("resourceVersion") != "") {
			t.Errorf("list with %v; want pages of 100 at the newest version", c.query)
		}
	}
	if got := o.stats(state.Nodes); got.WatchErrors != 0 || len(o.journal.all()) != 0 {
		t.Errorf("%+v, logged %q; an old server is no error", got, o.journal.all())
	}
}

func TestLiveSettlesWhatIsDenied(t *testing.T) {
	for name, test := range map[string]struct {
		code int
		why  metav1.StatusReason
		want state.Observation
	}{
		"forbidden":   {http.StatusForbidden, metav1.StatusReasonForbidden, state.Forbidden},
		"unsupported": {http.StatusNotFound, metav1.StatusReasonNotFound, state.Unsupported},
	} {
		t.Run(name, func(t *testing.T) {
			api := newFakeAPI(t)
			granted := make(chan struct{})
			api.on("nodes", func(c *call) {
				select {
				case <-granted:
					c.stream(added(node("a", 1)), nodeBookmark("5", true))
					c.hold()
				default:
					c.fail(test.code, test.why)
				}
			})
			o := observe(t, api, onlyNodes, nil)
			o.await("it is settled", o.is(state.Nodes, test.want))
			o.await("it is retried", func() bool { return len(api.seen()) > 4 })
			for _, c := range api.seen() {
				if !c.watches() {
					t.Error("a refused watch was followed by a list")
				}
			}
			close(granted)
			o.await("the grant is picked up", func() bool { return o.is(state.Nodes, state.Synced)() && o.nodes() == "a" })
			words := []string{"level=warn", "verb=watch", "resource=nodes", "collectors=first,of_nodes", "why=" + test.want.String()}
			if o.logged(words...) != 1 || o.logged("level=info", "resource can be observed now") != 1 || len(o.journal.all()) != 2 {
				t.Errorf("want one line for each transition, got %q", o.journal.all())
			}
		})
	}
}

// An API server that has just started forbids everything for a moment; that must not drop what is known.
func TestLiveKeepsDataWhenDeniedForAMoment(t *testing.T) {
	api := newFakeAPI(t)
	api.on("nodes", func(c *call) {
		switch {
		case c.nth == 0:
			c.stream(added(node("a", 1)), nodeBookmark("5", true), failed(http.StatusGone, metav1.StatusReasonExpired))
		case c.nth < 5:
			c.fail(http.StatusForbidden, metav1.StatusReasonForbidden)
		default:
			c.stream(added(node("a", 1)), added(node("b", 6)), nodeBookmark("7", true))
			c.hold()
		}
	})
	o := observe(t, api, onlyNodes, func(t *timings) { t.deniedProof = time.Hour })
	o.await("the first list is there", func() bool { return o.nodes() != "" })
	o.await("the second list is there", func() bool {
		if !o.is(state.Nodes, state.Synced)() {
			t.Fatal("a moment of refusal settled the resource")
		}
		return o.nodes() == "a b"
	})
	if o.logged("why=forbidden") != 0 {
		t.Errorf("logged %q", o.journal.all())
	}
}

func TestLiveSettlesWhatIsDeniedForLong(t *testing.T) {
	api := newFakeAPI(t)
	api.on("nodes", func(c *call) {
		if c.nth > 0 {
			c.fail(http.StatusForbidden, metav1.StatusReasonForbidden)
			return
		}
		c.stream(added(node("a", 1)), nodeBookmark("5", true), failed(http.StatusGone, metav1.StatusReasonExpired))
	})
	o := observe(t, api, onlyNodes, func(t *timings) { t.deniedProof = 50 * time.Millisecond })
	o.await("it is settled", func() bool { return o.is(state.Nodes, state.Forbidden)() && o.logged("why=forbidden") == 1 })
	if o.nodes() != "" {
		t.Errorf("nodes %q, logged %q", o.nodes(), o.journal.all())
	}
}

func TestLiveRelistsWhenItsVersionExpired(t *testing.T) {
	api := newFakeAPI(t)
	api.on("nodes", func(c *call) {
		if c.nth == 0 {
			c.stream(added(node("a", 1)), added(node("b", 2)), nodeBookmark("5", true),
				failed(http.StatusGone, metav1.StatusReasonExpired))
			return
		}
		c.stream(added(node("b", 2)), added(node("c", 6)), nodeBookmark("9", true))
		c.hold()
	})
	o := observe(t, api, onlyNodes, nil)
	o.await("the second list replaced the first", func() bool { return o.nodes() == "b c" })
	if got := o.stats(state.Nodes); got.Relists != 1 || got.WatchErrors != 1 {
		t.Errorf("%+v; want 1 relist, 1 error", got)
	}
	if o.logged("level=debug", "listing anew") != len(o.journal.all()) {
		t.Errorf("logged %q", o.journal.all())
	}
}

func TestLiveNotesBookmarks(t *testing.T) {
	api := newFakeAPI(t)
	later := make(chan struct{})
	api.on("nodes", func(c *call) {
		c.stream(nodeBookmark("5", true))
		<-later
		c.stream(nodeBookmark("6", false))
		c.hold()
	})
	o := observe(t, api, onlyNodes, nil)
	o.await("it is synchronised", o.is(state.Nodes, state.Synced))
	o.ahead.Store(int64(time.Hour))
	close(later)
	o.await("the bookmark is an event", func() bool {
		return o.store.Snapshot().Resources[0].LastEvent.Within(time.Minute, o.store.Snapshot().Now)
	})
}

// resumed checks that a watch was opened anew at the version of the last bookmark, without a list.
func resumed(t *testing.T, api *fakeAPI, o *observed) {
	t.Helper()
	o.await("the event after the break is there", func() bool { return o.nodes() == "a b" })
	second := api.seen()[1]
	if second.query.Get("resourceVersion") != "8" || second.streamsList() {
		t.Errorf("resumed with %v; want version 8 and no list", second.query)
	}
	if got := o.stats(state.Nodes); got.Relists != 0 || got.WatchErrors != 1 {
		t.Errorf("%+v; want 1 error and no relist", got)
	}
}

func TestLiveTearsDownSilentWatch(t *testing.T) {
	api := newFakeAPI(t)
	api.on("nodes", func(c *call) {
		if c.nth == 0 {
			c.stream(added(node("a", 1)), nodeBookmark("5", true), nodeBookmark("8", false))
		} else {
			c.stream(added(node("b", 9)))
		}
		c.hold()
	})
	o := observe(t, api, onlyNodes, func(t *timings) { t.silence = 300 * time.Millisecond })
	resumed(t, api, o)
	if o.logged("no event or bookmark for 300ms") == 0 {
		t.Errorf("logged %q", o.journal.all())
	}
}

func TestLiveResumesCutWatch(t *testing.T) {
	api := newFakeAPI(t)
	api.on("nodes", func(c *call) {
		if c.nth > 0 {
			c.stream(added(node("b", 9)))
			c.hold()
			return
		}
		c.stream(added(node("a", 1)), nodeBookmark("5", true), nodeBookmark("8", false))
		panic(http.ErrAbortHandler)
	})
	o := observe(t, api, onlyNodes, nil)
	resumed(t, api, o)
	if len(o.journal.all()) != 0 {
		t.Errorf("logged %q; a cut that heals at once is no outage", o.journal.all())
	}
}

// All namespaces of a resource share one line for an outage, and one for its end.
func TestLiveSurvivesOutage(t *testing.T) {
	api := newFakeAPI(t)
	api.on("services", func(c *call) {
		if c.streamsList() {
			c.stream(bookmark(&corev1.Service{}, "5", true))
		} else {
			c.stream(bookmark(&corev1.Service{}, "9", false))
		}
		c.hold()
	})
	options := LiveOptions{Kinds: state.KindSet(state.Services), Namespaces: []string{"one", "two"}}
	o := observe(t, api, options, nil)
	o.await("it is synchronised", o.is(state.Services, state.Synced))
	before := len(api.seen())
	api.refuse()
	o.await("the outage is noticed", func() bool { return o.stats(state.Services).WatchErrors > 10 })
	if !o.is(state.Services, state.Synced)() {
		t.Error("an outage withdrew what is known")
	}
	api.down.Store(false)
	o.await("the end is noticed", func() bool { return o.logged("level=info", "observed again", "resource=services") == 1 })
	if o.logged("level=warn", "connection refused") != 1 || len(o.journal.all()) != 2 {
		t.Errorf("want two lines, got %q", o.journal.all())
	}
	for _, c := range api.seen()[before:] {
		if c.streamsList() || !c.watches() {
			t.Errorf("the outage cost a list: %v", c.query)
		}
	}
}

func TestLiveStartsDuringOutage(t *testing.T) {
	api := newFakeAPI(t)
	api.refuse()
	api.on("nodes", func(c *call) {
		c.stream(added(node("a", 1)), nodeBookmark("5", true))
		c.hold()
	})
	o := observe(t, api, onlyNodes, nil)
	o.await("the outage is noticed", func() bool { return o.stats(state.Nodes).WatchErrors > 3 })
	if !o.is(state.Nodes, state.Pending)() {
		t.Error("an outage settled the resource")
	}
	api.down.Store(false)
	o.await("the list is there", func() bool { return o.nodes() == "a" })
	if len(o.journal.all()) != 2 {
		t.Errorf("want two lines, got %q", o.journal.all())
	}
}

func TestLiveObservesTheWantedNamespaces(t *testing.T) {
	for name, test := range map[string]struct {
		options LiveOptions
		want    []string
	}{
		"all": {LiveOptions{}, []string{"/api/v1/nodes ", "/api/v1/pods status.phase!=Succeeded"}},
		"some": {LiveOptions{Namespaces: []string{"b", "a", "b", "c"}, ExcludeNamespaces: []string{"c"}}, []string{
			"/api/v1/namespaces/a/pods status.phase!=Succeeded", "/api/v1/namespaces/b/pods status.phase!=Succeeded", "/api/v1/nodes "}},
		"all but some": {LiveOptions{ExcludeNamespaces: []string{"x", "y"}}, []string{
			"/api/v1/nodes ", "/api/v1/pods status.phase!=Succeeded,metadata.namespace!=x,metadata.namespace!=y"}},
	} {
		t.Run(name, func(t *testing.T) {
			api := newFakeAPI(t)
			hold := func(c *call) { c.hold() }
			api.on("nodes", hold)
			api.on("pods", hold)
			test.options.Kinds = state.KindSet(state.Nodes, state.Pods)
			o := observe(t, api, test.options, nil)
			o.await("all are watched", func() bool { return len(api.seen()) == len(test.want) })
			var got []string
			for _, c := range api.seen() {
				got = append(got, c.path+" "+c.query.Get("fieldSelector"))
				if agent := c.r.UserAgent(); !strings.HasPrefix(agent, "stability_exporter/") {
					t.Errorf("user agent %q", agent)
				}
			}
			slices.Sort(got)
			compare(t, got, test.want)
		})
	}
}

func TestNewLiveRefusesNamespaces(t *testing.T) {
	for _, options := range []LiveOptions{
		{Namespaces: []string{"../../nodes"}}, {ExcludeNamespaces: []string{"a,b"}},
		{Namespaces: []string{"a"}, ExcludeNamespaces: []string{"a"}},
	} {
		if _, err := newLive(options, connection{config: &rest.Config{}}); err == nil {
			t.Errorf("%+v was accepted", options)
		}
	}
}

func TestConnect(t *testing.T) {
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	t.Setenv("KUBECONFIG", "")
	if _, err := NewLive(LiveOptions{}); !errors.Is(err, ErrNoCluster) {
		t.Errorf("without any source the error is %v", err)
	}
	file := filepath.Join(t.TempDir(), "config")
	content := `{"apiVersion": "v1", "kind": "Config", "current-context": "one", "users": [{"name": "u", "user": {"token": "sesame"}}],
	 "clusters": [{"name": "a", "cluster": {"server": "https://me:sesame@a.example:6443/x?sesame"}}, {"name": "b", "cluster": {"server": "https://b.example"}}],
	 "contexts": [{"name": "one", "context": {"cluster": "a", "user": "u"}}, {"name": "two", "context": {"cluster": "b", "user": "u"}}]}`
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	given := func(options LiveOptions, want string) {
		t.Helper()
		l, err := NewLive(options)
		if err != nil {
			t.Fatal(err)
		}
		if got := l.String(); got != want {
			t.Errorf("it observes %q; want %q", got, want)
		}
	}
	given(LiveOptions{Kubeconfig: file}, "https://a.example:6443/x (context one)")
	given(LiveOptions{Kubeconfig: file, Context: "two", Namespaces: []string{"n"}}, "https://b.example (context two), namespaces n")
	t.Setenv("KUBECONFIG", file)
	given(LiveOptions{ExcludeNamespaces: []string{"n"}}, "https://a.example:6443/x (context one), without n")
	if _, err := NewLive(LiveOptions{Context: "absent"}); err == nil || !strings.Contains(err.Error(), "absent") {
		t.Errorf("an absent context gives the error %v", err)
	}
	if _, err := NewLive(LiveOptions{Kubeconfig: file + "x"}); err == nil {
		t.Error("an absent kubeconfig was accepted")
	}
	t.Setenv("KUBECONFIG", file+"x")
	if _, err := NewLive(LiveOptions{}); err == nil || !strings.Contains(err.Error(), file+"x") {
		t.Errorf("an absent $KUBECONFIG gives the error %v", err)
	}
}

// The reflector copies nothing of what the sink gives it.
func TestCompactPassesThroughLists(t *testing.T) {
	w := &watcher{kind: kindOf(state.Nodes)}
	w.refused = errors.New("refused before")
	if _, err := w.list(context.Background(), metav1.ListOptions{}); err == nil {
		t.Error("a list followed a refused watch")
	}
	object := compact{&state.Node{}}
	if object.DeepCopyObject() != runtime.Object(object) {
		t.Error("a copy was made")
	}
}
