// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"

	"stability-exporter/internal/state"
)

const (
	oneNode  = `{"kind":"Node","apiVersion":"v1","metadata":{"name":"a"}}`
	twoNodes = `{"kind":"NodeList","apiVersion":"v1","items":[{"metadata":{"name":"a"}},{"metadata":{"name":"b"}}]}`
)

// follower runs a source on a folder until the test ends. It must run inside a synctest bubble.
type follower struct {
	t      *testing.T
	folder string
	source *Manifests
	store  *state.Store
	logged *lockedBuffer
	failed chan error
}

// lockedBuffer takes log lines from one goroutine while another reads them.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func follow(t *testing.T, files map[string]string, paths ...string) *follower {
	f := &follower{t: t, folder: t.TempDir(), logged: &lockedBuffer{}, failed: make(chan error, 1)}
	for name, text := range files {
		f.write(name, text)
	}
	if len(paths) == 0 {
		paths = []string{"."}
	}
	for i := range paths {
		paths[i] = filepath.Join(f.folder, paths[i])
	}
	source, err := NewManifests(ManifestOptions{Paths: paths, Logger: log.NewLogfmtLogger(f.logged)})
	if err != nil {
		t.Fatal(err)
	}
	f.source = source
	f.store = state.NewStore(state.Options{Clock: source.Now})
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	go func() { f.failed <- f.source.Run(ctx, f.store) }()
	synctest.Wait()
	return f
}

func (f *follower) write(name, text string) {
	f.t.Helper()
	path := filepath.Join(f.folder, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		f.t.Fatal(err)
	}
}

// poll lets the source look at the files n times.
func (f *follower) poll(n int) {
	for range n {
		time.Sleep(manifestPoll) // of the bubble's clock, which does not pass by itself
		synctest.Wait()
	}
}

func (f *follower) want(when, nodes string) {
	f.t.Helper()
	snapshot := f.store.Snapshot()
	var names []string
	for _, n := range snapshot.Nodes {
		names = append(names, n.Name)
	}
	got := strings.Join(names, " ")
	if !snapshot.Observed(state.KindSet(state.Nodes)) {
		got = "not observed"
	}
	if got != nodes {
		f.t.Errorf("%s: nodes %q, want %q; log:\n%s", when, got, nodes, f.logged)
	}
}

func TestChangedManifestsAreReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := follow(t, map[string]string{"nodes.json": oneNode, "notes.txt": "kind: [", ".hidden.yaml": "kind: ["})
		f.want("at start", "a")
		f.write("nodes.json", twoNodes)
		f.poll(1)
		f.want("while it may still be written", "a")
		f.poll(1)
		f.want("after a change", "a b")
		f.write("more/node.yaml", "apiVersion: v1\nkind: Node\nmetadata:\n  name: c\n")
		f.poll(2)
		f.want("after a file came", "a b c")
		f.write("nodes.json", `{"kind":"Pod","apiVersion":"v1","metadata":{"name":"p"}}`)
		if err := os.RemoveAll(filepath.Join(f.folder, "more")); err != nil {
			t.Fatal(err)
		}
		f.poll(2)
		f.want("after the kind went", "not observed")
		if strings.Contains(f.logged.String(), "left_out=1") {
			t.Errorf("a file that is no manifest was read; log:\n%s", f.logged)
		}
	})
}

func TestAFailedReadingKeepsTheLastGoodOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := follow(t, map[string]string{"nodes.json": oneNode}, "nodes.json")
		path := filepath.Join(f.folder, "nodes.json")
		for name, breakIt := range map[string]func() error{
			"not a manifest": func() error { return os.WriteFile(path, []byte("oops: ["), 0o644) },
			"empty":          func() error { return os.WriteFile(path, nil, 0o644) },
			"gone":           func() error { return os.Remove(path) },
		} {
			if err := breakIt(); err != nil {
				t.Fatal(err)
			}
			f.poll(2)
			f.want(name, "a")
			f.poll(3)
			if n := strings.Count(f.logged.String(), "not re-read"); n != 1 {
				t.Errorf("%s: logged %d times, want once:\n%s", name, n, f.logged)
			}
			f.write("nodes.json", oneNode)
			f.poll(2)
			f.logged.mu.Lock()
			f.logged.b.Reset()
			f.logged.mu.Unlock()
		}
		f.write("nodes.json", twoNodes)
		f.poll(2)
		f.want("mended", "a b")
	})
}

// TestMountedConfigMap swaps the symbolic link that the kubelet swaps. Size and time of the file do not change.
func TestMountedConfigMap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		folder := t.TempDir()
		run := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		version := func(name, text string) {
			t.Helper()
			run(os.Mkdir(filepath.Join(folder, name), 0o755))
			run(os.WriteFile(filepath.Join(folder, name, "nodes.json"), []byte(text), 0o644))
			run(os.Chtimes(filepath.Join(folder, name, "nodes.json"), time.Unix(1, 0), time.Unix(1, 0)))
			run(os.Symlink(name, filepath.Join(folder, "..next")))
			run(os.Rename(filepath.Join(folder, "..next"), filepath.Join(folder, "..data")))
		}
		version("..1", oneNode)
		run(os.Symlink("..data/nodes.json", filepath.Join(folder, "nodes.json")))
		f := &follower{t: t, folder: folder, logged: &lockedBuffer{}}
		source, err := NewManifests(ManifestOptions{Paths: []string{folder}, Logger: log.NewLogfmtLogger(f.logged)})
		run(err)
		f.store = state.NewStore(state.Options{Clock: source.Now})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go source.Run(ctx, f.store)
		synctest.Wait()
		f.want("mounted", "a")
		version("..2", strings.Replace(oneNode, `"a"`, `"b"`, 1))
		f.poll(2)
		f.want("swapped", "b")
	})
}

func TestRunFailsWhenNothingCanBeRead(t *testing.T) {
	for name, text := range map[string]string{"empty": "", "text": "Unable to connect to the server"} {
		path := filepath.Join(t.TempDir(), "dump.yaml")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		source, err := NewManifests(ManifestOptions{Paths: []string{path}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := source.Run(ctx, state.NewStore(state.Options{})); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: error %v, want one that names the file", name, err)
		}
	}
	for _, options := range []ManifestOptions{{}, {Paths: []string{"-"}}, {Paths: []string{filepath.Join(t.TempDir(), "nothing")}}} {
		if _, err := NewManifests(options); err == nil {
			t.Errorf("no error for %+v", options)
		}
	}
}

func TestStandardInputIsReadOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before := time.Now()
		source, err := NewManifests(ManifestOptions{Paths: []string{"-"}, Stdin: strings.NewReader(oneNode)})
		if err != nil {
			t.Fatal(err)
		}
		f := &follower{t: t, store: state.NewStore(state.Options{Clock: source.Now}), logged: &lockedBuffer{}}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- source.Run(ctx, f.store) }()
		synctest.Wait()
		f.want("read", "a")
		f.poll(3)
		f.want("later", "a")
		if !source.Now().Equal(before) {
			t.Errorf("now is %v, want the time of reading %v", source.Now(), before)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestGivenNowWins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		given := time.Date(1999, 1, 2, 3, 4, 5, 0, time.UTC)
		source, err := NewManifests(ManifestOptions{Paths: []string{"-"}, Stdin: strings.NewReader(oneNode), Now: given})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go source.Run(ctx, state.NewStore(state.Options{Clock: source.Now}))
		synctest.Wait()
		if !source.Now().Equal(given) {
			t.Errorf("now is %v, want %v", source.Now(), given)
		}
	})
}
