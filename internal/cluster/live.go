// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-kit/log"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/rest"

	"stability-exporter/internal/state"
)

// LiveOptions configure a Live source.
type LiveOptions struct {
	// Kubeconfig is a file, Context a context in it. With neither, the pod's own cluster is used, else $KUBECONFIG.
	Kubeconfig, Context string
	// Namespaces limit namespaced kinds to these; none means all. ExcludeNamespaces are left out.
	Namespaces, ExcludeNamespaces []string
	// Kinds are the kinds to observe. ConfigMaps and Events are so only as far as the two fields below grant it besides;
	// otherwise they are NotObserved and nothing is asked for.
	Kinds state.Kinds
	// ConfigMapNamespaces are the namespaces whose ConfigMaps may be read, as far as they are observed at all. None means none.
	ConfigMapNamespaces []string
	// Events says that Events of pods may be read.
	Events bool
	// WorkloadLabels are the keys of the object labels that are kept of workloads.
	WorkloadLabels []string
	// Middleware says that the store is asked for MiddlewareServices; what these need is not kept otherwise.
	Middleware bool
	// LeasePoll is the interval at which leases are read; zero means 10 seconds.
	LeasePoll time.Duration
	// Collectors names the collectors that a kind serves, for the log line that says what a missing permission costs;
	// may be nil.
	Collectors func(state.Kind) []string
	// Logger takes one line for each change of how a resource is observed; nil means none.
	Logger log.Logger
}

// timings are the intervals of the live source.
type timings struct {
	silence      time.Duration // a watch without event or bookmark for this long is torn down
	steady       time.Duration // a watch that is open for this long without an error works
	request      time.Duration // limit of one list page or GET
	deniedRetry  time.Duration // longest pause after "forbidden" and "not found"
	deniedProof  time.Duration // a resource that was readable must be denied for this long
	firstBackoff time.Duration
	maxBackoff   time.Duration
	leasePoll    time.Duration
	prefetch     time.Duration // limit for reading free ReplicaSets before the kind counts as synchronised
}

func defaultTimings() timings {
	return timings{
		silence: 3 * time.Minute, steady: 5 * time.Second, request: time.Minute,
		deniedRetry: 30 * time.Second, deniedProof: 20 * time.Second,
		firstBackoff: 500 * time.Millisecond, maxBackoff: 6 * time.Second,
		leasePoll: state.DefaultLeasePoll, prefetch: 10 * time.Second,
	}
}

// Live observes a cluster through its API server.
type Live struct {
	options    LiveOptions
	connection connection
	clients    map[schema.GroupVersion]rest.Interface
	namespaces []string // "" alone for all
	configMaps []string // the namespaces whose ConfigMaps are read
	timings    timings
	health     []*kindHealth // by state.Kind
}

// NewLive prepares a source; nothing is sent before Run. The error is ErrNoCluster when nothing names an API server.
func NewLive(options LiveOptions) (*Live, error) {
	connection, err := connect(options.Kubeconfig, options.Context)
	if err != nil {
		return nil, err
	}
	return newLive(options, connection)
}

func newLive(options LiveOptions, connection connection) (*Live, error) {
	if options.Logger == nil {
		options.Logger = log.NewNopLogger()
	}
	l := &Live{options: options, connection: connection, timings: defaultTimings()}
	if options.LeasePoll > 0 {
		l.timings.leasePoll = options.LeasePoll
	}
	var err error
	if l.namespaces, err = watchedNamespaces(options.Namespaces, options.ExcludeNamespaces); err != nil {
		return nil, err
	}
	if l.configMaps, err = l.granted(options.ConfigMapNamespaces); err != nil {
		return nil, err
	}
	if l.clients, err = restClients(connection.config); err != nil {
		return nil, err
	}
	for _, k := range kinds() {
		l.health = append(l.health, newKindHealth(k.Kind, options))
	}
	return l, nil
}

// watchedNamespaces returns the namespaces to observe one by one, or "" for all of them at once.
func watchedNamespaces(only, without []string) ([]string, error) {
	for _, namespace := range slices.Concat(only, without) {
		if wrong := validation.IsDNS1123Label(namespace); len(wrong) > 0 {
			return nil, fmt.Errorf("invalid namespace %q: %s", namespace, wrong[0])
		}
	}
	if len(only) == 0 {
		return []string{""}, nil
	}
	left := slices.DeleteFunc(slices.Clone(only), func(n string) bool { return slices.Contains(without, n) })
	if len(left) == 0 {
		return nil, errors.New("every namespace to observe is excluded")
	}
	slices.Sort(left)
	return slices.Compact(left), nil
}

// granted returns those of the namespaces that are observed.
func (l *Live) granted(namespaces []string) ([]string, error) {
	if len(namespaces) == 0 {
		return nil, nil
	}
	if _, err := watchedNamespaces(namespaces, nil); err != nil {
		return nil, err
	}
	left := slices.DeleteFunc(slices.Clone(namespaces), func(n string) bool {
		return slices.Contains(l.options.ExcludeNamespaces, n) || l.namespaces[0] != "" && !slices.Contains(l.namespaces, n)
	})
	slices.Sort(left)
	return slices.Compact(left), nil
}

// String names what is observed: server, context and namespaces; no secrets.
func (l *Live) String() string {
	what := l.connection.String()
	if l.namespaces[0] != "" {
		what += ", namespaces " + strings.Join(l.namespaces, ", ")
	}
	if len(l.options.ExcludeNamespaces) > 0 {
		what += ", without " + strings.Join(l.options.ExcludeNamespaces, ", ")
	}
	return what
}

// Stats counts what happened to the observation of a kind since the start.
type Stats struct {
	Kind state.Kind
	// WatchErrors counts requests that failed and watches that broke off, were refused or fell silent.
	WatchErrors uint64
	// Relists counts complete lists after the first.
	Relists uint64
}

// Stats returns the counts of the observed kinds, in the order of state.Kind.
func (l *Live) Stats() []Stats {
	var all []Stats
	for _, k := range l.options.Kinds.All() {
		all = append(all, l.health[k].stats())
	}
	return all
}

// Run observes the cluster and keeps the store up to date until ctx is done. It returns nil: what cannot be reached
// is retried for ever, and the store and the log tell.
func (l *Live) Run(ctx context.Context, store *state.Store) error {
	var running sync.WaitGroup
	defer running.Wait()
	var observers []func()
	for _, k := range kinds() {
		if !l.options.Kinds.Has(k.Kind) {
			continue
		}
		scopes := l.scopes(k)
		if len(scopes) == 0 {
			store.Settle(state.Scope{Kind: k.Kind}, state.NotObserved)
		}
		for _, scope := range scopes {
			store.Expect(scope)
			m := newMonitor(l.health[k.Kind], scope, store, l.timings)
			if k.Access == pollByName {
				observers = append(observers, func() { l.pollLeases(ctx, store, m) })
			} else {
				observers = append(observers, func() { l.watch(ctx, store, k, m) })
			}
		}
	}
	for _, observe := range observers {
		running.Go(observe)
	}
	<-ctx.Done()
	return nil
}

// scopes returns the scopes of a kind, none for one that was not granted. Cluster-wide kinds are tried even if only some
// namespaces are observed.
func (l *Live) scopes(k kind) []state.Scope {
	if !k.Namespaced || k.Access == pollByName {
		return []state.Scope{{Kind: k.Kind}}
	}
	namespaces := l.namespaces
	switch {
	case k.Kind == state.ConfigMaps:
		namespaces = l.configMaps
	case k.Kind == state.Events && !l.options.Events:
		return nil
	}
	var scopes []state.Scope
	for _, namespace := range namespaces {
		scopes = append(scopes, state.Scope{Kind: k.Kind, Namespace: namespace})
	}
	return scopes
}

// fieldSelector leaves out on the server what is not wanted: excluded namespaces, pods that are done, and most events. One of the
// reasons that tell of probes cannot be selected together with another, but the frequent other ones can be left out.
func (l *Live) fieldSelector(scope state.Scope) string {
	var terms []fields.Selector
	if scope.Kind == state.Pods {
		terms = append(terms, fields.OneTermNotEqualSelector("status.phase", "Succeeded"))
	}
	if scope.Kind == state.Events {
		terms = append(terms, fields.OneTermEqualSelector("involvedObject.kind", "Pod"))
		for _, reason := range frequentReasons() {
			terms = append(terms, fields.OneTermNotEqualSelector("reason", reason))
		}
	}
	if kindOf(scope.Kind).Namespaced && scope.Namespace == "" {
		for _, namespace := range l.options.ExcludeNamespaces {
			terms = append(terms, fields.OneTermNotEqualSelector("metadata.namespace", namespace))
		}
	}
	return fields.AndSelectors(terms...).String()
}

func (l *Live) convertOptions() convertOptions {
	return convertOptions{Live: true, WorkloadLabels: l.options.WorkloadLabels, Middleware: l.options.Middleware}
}
