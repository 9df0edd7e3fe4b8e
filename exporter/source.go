// SPDX-License-Identifier: Apache-2.0

package exporter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
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
	"with a service account, or give --manifests=PATH")

func (o *sourceOptions) validate() error {
	live := o.kubeconfig != "" || o.kubeContext != ""
	switch {
	case live && len(o.manifests) > 0:
		return errors.New("--manifests and --kubeconfig or --kube-context exclude each other: give one source")
	case !o.manifestsNow.IsZero() && len(o.manifests) == 0:
		return errors.New("--manifests.now needs --manifests")
	case len(o.manifests) > 0 || o.kubeconfig != "" || os.Getenv("KUBECONFIG") != "" || os.Getenv("KUBERNETES_SERVICE_HOST") != "":
	default:
		return errNoSource
	}
	for _, namespace := range o.exclude {
		if slices.Contains(o.namespaces, namespace) {
			return fmt.Errorf("namespace %q is both in --namespace and in --exclude-namespace: keep one", namespace)
		}
	}
	return nil
}

// newSource returns the source that the options name, and the clock by which what it gives is judged (nil: the real one).
func newSource(o sourceOptions, reads state.Kinds, stdin io.Reader, loggers loggers) (source, func() time.Time, error) {
	if len(o.manifests) == 0 {
		return nil, nil, errNoSource
	}
	manifests, err := cluster.NewManifests(cluster.ManifestOptions{
		Paths: o.manifests, Stdin: stdin, Now: o.manifestsNow, Kinds: reads, WorkloadLabels: o.workloadLabels,
		Namespaces: o.namespaces, ExcludeNamespaces: o.exclude, Logger: loggers.own,
	})
	if err != nil {
		return nil, nil, err
	}
	return manifests, manifests.Now, nil
}
