// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"stability-exporter/internal/state"
)

const (
	manifestPoll  = 3 * time.Second // between looks at the files
	loggedErrors  = 20              // bad documents logged one by one in each reading
	stdinPath     = "-"
	stdinFileName = "standard input"
)

// ManifestOptions configure Manifests.
type ManifestOptions struct {
	// Paths are files, folders and "-" for Stdin. A folder stands for the .yaml, .yml and .json files below it; names
	// that begin with a dot are left out. A file that is named itself may be called anything.
	Paths []string
	Stdin io.Reader
	// Now replaces the moment that is read from the dump; zero reads it.
	Now time.Time
	// Kinds are the kinds to put; zero means every kind there is.
	Kinds state.Kinds
	// WorkloadLabels are the keys of the object labels that become state.Workload.Info.
	WorkloadLabels []string
	// Middleware says that the store is asked for MiddlewareServices; what these need is not kept otherwise.
	Middleware bool
	// Namespaces limits what is put to these namespaces, ExcludeNamespaces leaves some out; cluster-wide kinds and the
	// leases of the control plane always stay.
	Namespaces, ExcludeNamespaces []string
	Logger                        log.Logger
}

func (o *ManifestOptions) wantsKind(k state.Kind) bool { return o.Kinds == 0 || o.Kinds.Has(k) }

func (o *ManifestOptions) wants(row kind, namespace string) bool {
	if !o.wantsKind(row.Kind) {
		return false
	}
	if !row.Namespaced || row.Access == pollByName {
		return true
	}
	return (len(o.Namespaces) == 0 || slices.Contains(o.Namespaces, namespace)) &&
		!slices.Contains(o.ExcludeNamespaces, namespace)
}

// Manifests is a source that reads what kubectl prints, or plain manifests, instead of watching an API server.
type Manifests struct {
	options ManifestOptions
	now     atomic.Pointer[time.Time]
}

// NewManifests returns the source. It reads nothing yet, but a path that does not exist is an error at once.
func NewManifests(options ManifestOptions) (*Manifests, error) {
	if len(options.Paths) == 0 {
		return nil, errors.New("no manifests are named")
	}
	if options.Logger == nil {
		options.Logger = log.NewNopLogger()
	}
	m := &Manifests{options: options}
	if slices.Contains(options.Paths, stdinPath) && options.Stdin == nil {
		return nil, errors.New(`the manifest path "-" needs a standard input`)
	}
	if _, err := m.look(); err != nil {
		return nil, err
	}
	return m, nil
}

// String names what is read.
func (m *Manifests) String() string { return "manifests " + strings.Join(m.options.Paths, ", ") }

// Now is the moment of the dump, and the present before it was read. It is the clock of the store: a dump of last week
// is judged as of last week.
func (m *Manifests) Now() time.Time {
	if now := m.now.Load(); now != nil {
		return *now
	}
	return time.Now()
}

// Load reads the manifests into the store once.
func (m *Manifests) Load(ctx context.Context, store *state.Store) error {
	m.expect(store)
	files, err := m.look()
	if err != nil {
		return err
	}
	return m.load(ctx, store, files)
}

// Run reads the manifests into the store and again whenever they change, until ctx is done. What comes through a pipe
// is read once, and so are the files named beside it. It fails when the first reading fails; later the last good
// reading stays.
func (m *Manifests) Run(ctx context.Context, store *state.Store) error {
	m.expect(store)
	files, err := m.look()
	if err != nil {
		return err
	}
	loaded := make(chan error, 1)
	go func() { loaded <- m.load(ctx, store, files) }()
	select {
	case <-ctx.Done(): // a pipe that nobody writes to cannot be interrupted, so nobody waits for it
		return nil
	case err = <-loaded:
	}
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return err
	}
	if !files.piped() {
		m.follow(ctx, store, files)
	}
	<-ctx.Done()
	return nil
}

func (m *Manifests) expect(store *state.Store) {
	var scopes []state.Scope
	for _, row := range kinds() {
		if m.options.wantsKind(row.Kind) {
			scopes = append(scopes, state.Scope{Kind: row.Kind})
		}
	}
	store.Expect(scopes...)
}

// follow re-reads the files once they have changed and then stayed the same for one poll, so that a file is not read
// while it is being written.
func (m *Manifests) follow(ctx context.Context, store *state.Store, loaded fileSet) {
	ticker := time.NewTicker(manifestPoll)
	defer ticker.Stop()
	previous := loaded
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		files, err := m.look()
		if err != nil {
			files = fileSet{err: err}
		}
		if !files.equal(loaded) && files.equal(previous) {
			if err == nil {
				err = m.load(ctx, store, files)
			}
			if err != nil && ctx.Err() == nil {
				level.Error(m.options.Logger).Log("msg", "manifests not re-read, the last good reading stays", "err", err)
			}
			loaded = files
		}
		previous = files
	}
}

// load reads the files and replaces what the store holds. It fails, and leaves the store as it is, when a file cannot
// be opened or nothing in them is a Kubernetes object.
func (m *Manifests) load(ctx context.Context, store *state.Store, files fileSet) error {
	clock := newDumpClock(time.Now())
	logger := m.options.Logger
	bad := 0
	picture := newPicture(&m.options, clock, func(e documentError) {
		if bad++; bad <= loggedErrors && ctx.Err() == nil {
			level.Warn(logger).Log("msg", "document left out", "file", e.File, "document", e.Document, "line", e.Line, "err", e.Err)
		}
	})
	for _, f := range files.files {
		if err := m.read(ctx, picture, f); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if picture.good == 0 {
		return fmt.Errorf("cannot read %s: no Kubernetes object is in there", m)
	}
	now := m.options.Now
	if now.IsZero() {
		now = clock.now()
	}
	m.now.Store(&now)
	m.put(store, picture)
	level.Info(logger).Log("msg", "manifests read", "files", len(files.files), "objects", len(picture.index),
		"documents_of_other_kinds", picture.foreign, "documents_left_out", picture.bad, "now", now.UTC().Format(time.RFC3339))
	return nil
}

func (m *Manifests) put(store *state.Store, picture *picture) {
	lists := map[state.Scope][]state.Object{}
	for _, row := range kinds() {
		switch scope := (state.Scope{Kind: row.Kind}); {
		case !m.options.wantsKind(row.Kind):
		case picture.seen.Has(row.Kind):
			lists[scope] = append([]state.Object{}, picture.list(row.Kind)...)
		default:
			lists[scope] = nil
		}
	}
	store.Load(lists)
}
