// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-kit/log"

	"stability-exporter/collectors"
	"stability-exporter/internal/cluster"
	"stability-exporter/internal/state"
)

const example = "../../examples/erp-cluster"

func snapshot(t *testing.T, p Picture) *state.Snapshot {
	t.Helper()
	store, err := p.Store(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return store.Snapshot()
}

// TestTheExampleIsWhatIsDeclared: run go run ./internal/scenario/generate examples/erp-cluster when it fails.
func TestTheExampleIsWhatIsDeclared(t *testing.T) {
	files, err := ERPWithFaults().Files()
	if err != nil {
		t.Fatal(err)
	}
	committed, err := filepath.Glob(filepath.Join(example, "*"))
	if err != nil || len(committed) != len(files) {
		t.Errorf("%d files are committed, %d declared: %v", len(committed), len(files), err)
	}
	total := 0
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join(example, name))
		if err != nil {
			t.Error(err)
		} else if !bytes.Equal(got, want) {
			t.Errorf("%s differs from what is declared", name)
		}
		total += len(got)
	}
	if total > 1_500_000 {
		t.Errorf("the example has %d bytes; nobody wants to clone that", total)
	}
}

func TestTheExampleTellsItsMoment(t *testing.T) {
	source, err := cluster.NewManifests(cluster.ManifestOptions{Paths: []string{example}})
	if err != nil {
		t.Fatal(err)
	}
	if err := source.Load(t.Context(), state.NewStore(state.Options{Clock: source.Now})); err != nil {
		t.Fatal(err)
	}
	if !source.Now().Equal(erpNow()) {
		t.Errorf("the example is judged as of %v, want %v", source.Now(), erpNow())
	}
}

// TestTheManualsCluster counts what the operations manual lists.
func TestTheManualsCluster(t *testing.T) {
	for name, picture := range map[string]Picture{"good day": ERP(), "bad day": ERPWithFaults()} {
		s := snapshot(t, picture)
		deployments, replicas, single := 0, int32(0), ""
		for _, w := range s.Workloads {
			if w.Ref.Type.String() == state.TypeDeployment {
				deployments++
				replicas += w.Desired
				if w.Desired == 1 {
					single += w.Ref.Name.String()
				}
			}
		}
		if len(s.Nodes) != 14 || len(s.Zones) != 3 || deployments != 41 || replicas != 107 || single != erpOne {
			t.Errorf("%s: %d nodes in %d zones, %d deployments with %d replicas, single %q",
				name, len(s.Nodes), len(s.Zones), deployments, replicas, single)
		}
		for _, r := range s.Resources {
			if r.Observation != state.Synced && r.Kind != state.Events { // nobody dumps those of an hour
				t.Errorf("%s: %v are %v", name, r.Kind, r.Observation)
			}
		}
	}
}

func TestAGoodDayHasNothingToReport(t *testing.T) {
	s := snapshot(t, ERP())
	for _, w := range s.Workloads {
		if w.State != state.Healthy || w.Stuck || len(w.Causes)+len(w.Abnormal) > 0 || w.Available != w.Desired {
			t.Errorf("%s %s: %v, %d of %d available", w.Ref.Type, w.Ref.Name, w.State, w.Available, w.Desired)
		}
		if w.Desired > 1 && (w.SurvivableNode == 0 || w.SurvivableZone == 0) {
			t.Errorf("%s %s does not survive a node or zone", w.Ref.Type, w.Ref.Name)
		}
	}
	for _, r := range s.Restarts {
		if r.Deltas != [len(r.Deltas)]uint64{} {
			t.Errorf("%s restarted: %v", r.Ref.Name, r.Deltas)
		}
	}
	for _, n := range s.Nodes {
		if !n.Ready || n.Class != state.Member {
			t.Errorf("node %s is not a ready member", n.Name)
		}
	}
	for _, v := range s.Services {
		if v.Cause != "" {
			t.Errorf("service %s has no endpoints: %s", v.Name, v.Cause)
		}
	}
	for _, v := range s.Budgets {
		if v.Blocking != "" {
			t.Errorf("budget %s blocks: %s", v.Name, v.Blocking)
		}
	}
	for _, v := range s.Leases {
		if v.Stale {
			t.Errorf("lease %s is stale", v.Name)
		}
	}
}

// TestTheExampleShowsWhatItsReadmeSays compares the series in examples/README.md with what the collectors emit.
func TestTheExampleShowsWhatItsReadmeSays(t *testing.T) {
	s := snapshot(t, ERPWithFaults())
	specs, err := collectors.All(collectors.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var text []byte
	for _, spec := range specs {
		emitter := collectors.NewEmitter(spec.Families)
		if err := spec.New(log.NewNopLogger()).Collect(s, emitter); err != nil {
			t.Fatal(err)
		}
		text = emitter.AppendTo(text)
	}
	emitted := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		emitted[strings.TrimSpace(line)] = true
	}
	readme, err := os.ReadFile("../../examples/README.md")
	if err != nil {
		t.Fatal(err)
	}
	promised := 0
	for line := range strings.Lines(string(readme)) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "stability_") && strings.Contains(line, "{") {
			promised++
			if !emitted[line] {
				t.Errorf("not emitted: %s", line)
			}
		}
	}
	if promised < 25 {
		t.Errorf("the README promises %d series only; was its form changed?", promised)
	}
}
