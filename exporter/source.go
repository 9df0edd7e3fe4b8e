// SPDX-License-Identifier: Apache-2.0

package exporter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"stability-exporter/internal/cluster"
	"stability-exporter/internal/state"
)

// source puts what it observes of a cluster into a store.
type source interface {
	// Run blocks until the context is done, or until the source cannot go on.
	Run(context.Context, *state.Store) error
	// String names what is observed, without secrets.
	String() string
}

// sourceOptions say where the picture of the cluster comes from.
type sourceOptions struct {
	kubeconfig, kubeContext string
	namespaces, exclude     []string
	manifests               []string
	manifestsNow            time.Time
	workloadLabels          []string
}

func (o *sourceOptions) addFlags(app *kingpin.Application) {
	app.Flag("kubeconfig", "Kubeconfig file of the cluster to watch. Without it: the cluster the exporter runs in, else $KUBECONFIG.").
		PlaceHolder("FILE").StringVar(&o.kubeconfig)
	app.Flag("kube-context", "Context of the kubeconfig; without it, its current context.").
		PlaceHolder("NAME").StringVar(&o.kubeContext)
	app.Flag("namespace", "Watch only this namespace. Repeatable.").PlaceHolder("NAME").StringsVar(&o.namespaces)
	app.Flag("exclude-namespace", "Do not watch this namespace. Repeatable.").PlaceHolder("NAME").StringsVar(&o.exclude)
	app.Flag("manifests", "Read manifests or a cluster dump instead of a live cluster: a file, a folder or - for stdin; read again when changed. Repeatable.").
		PlaceHolder("PATH").StringsVar(&o.manifests)
	valueFlag(app, "manifests.now", "Judge the manifests as of this moment (RFC 3339) instead of the newest one they hold.",
		&o.manifestsNow, parseMoment).PlaceHolder("TIME")
	valueFlag(app, "workload-labels", "Object labels to publish in stability_workload_info, separated by commas.",
		&o.workloadLabels, parseList).PlaceHolder("LABEL,...")
}

// errNoSource is the mistake of giving the exporter nothing to look at.
var errNoSource = errors.New("nothing to watch: give --kubeconfig=FILE, set $KUBECONFIG, run inside a cluster " +
	"with a service account, or give --manifests=PATH; or give --config.file=FILE with middleware targets, which need no cluster")

// namespaceName is a DNS label, as RFC 1123 has it.
var namespaceName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

// live reports whether a live cluster is asked for.
func (o *sourceOptions) live() bool { return o.kubeconfig != "" || o.kubeContext != "" }

// cluster reports whether there is a cluster to look at, live or in manifests.
func (o *sourceOptions) cluster() bool {
	return o.live() || len(o.manifests) > 0 || os.Getenv("KUBECONFIG") != "" || os.Getenv("KUBERNETES_SERVICE_HOST") != ""
}

func (o *sourceOptions) validate() error {
	switch {
	case o.live() && len(o.manifests) > 0:
		return errors.New("--manifests and --kubeconfig or --kube-context exclude each other: give one source")
	case !o.manifestsNow.IsZero() && len(o.manifests) == 0:
		return errors.New("--manifests.now needs --manifests")
	}
	for _, namespace := range slices.Concat(o.namespaces, o.exclude) {
		if !namespaceName.MatchString(namespace) {
			return fmt.Errorf("%q is no name of a namespace: give lower-case letters, digits and hyphens", namespace)
		}
		if slices.Contains(o.namespaces, namespace) && slices.Contains(o.exclude, namespace) {
			return fmt.Errorf("namespace %q is both in --namespace and in --exclude-namespace: keep one", namespace)
		}
	}
	return nil
}

// openSource opens the source that the options name, and returns the clock by which what it gives is to be judged; a nil
// one is the real time.
func (e *exporter) openSource(stdin io.Reader) (source, func() time.Time, error) {
	o := e.options.source
	if !o.cluster() {
		return noCluster{}, nil, nil
	}
	if len(o.manifests) > 0 {
		manifests, err := cluster.NewManifests(cluster.ManifestOptions{
			Paths: o.manifests, Stdin: stdin, Now: o.manifestsNow, Kinds: e.reads, WorkloadLabels: o.workloadLabels,
			Namespaces: o.namespaces, ExcludeNamespaces: o.exclude, Middleware: e.discover, Logger: e.loggers.own,
		})
		if err != nil {
			return nil, nil, err
		}
		return manifests, manifests.Now, nil
	}
	live, err := cluster.NewLive(cluster.LiveOptions{
		Kubeconfig: o.kubeconfig, Context: o.kubeContext, Kinds: e.reads, WorkloadLabels: o.workloadLabels,
		Namespaces: o.namespaces, ExcludeNamespaces: o.exclude, Collectors: e.readersOf, Logger: e.loggers.own,
		ConfigMapNamespaces: e.granted.configMapNamespaces, Events: e.granted.events, Middleware: e.discover,
	})
	if err != nil {
		return nil, nil, err
	}
	e.self.watched(live.Stats)
	return live, nil, nil
}

// noCluster is the source of an exporter that only asks middleware. It announces no kind, so nothing of a cluster is unknown: there is none.
type noCluster struct{}

// Run implements source.
func (noCluster) Run(ctx context.Context, _ *state.Store) error {
	<-ctx.Done()
	return ctx.Err()
}

// String implements source.
func (noCluster) String() string { return "no cluster, only middleware" }

// readersOf names the enabled collectors that read a kind.
func (e *exporter) readersOf(kind state.Kind) []string {
	var names []string
	for _, spec := range e.enabled(e.specs) {
		if spec.Reads.Has(kind) {
			names = append(names, spec.Name)
		}
	}
	return names
}
