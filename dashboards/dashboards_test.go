// SPDX-License-Identifier: Apache-2.0

package dashboards

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the generated dashboards instead of comparing them")

func TestGoldenDashboards(t *testing.T) {
	for _, source := range Datasources() {
		files, err := Generate(source)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, file := range files {
			names = append(names, file.Name)
			path := filepath.Join(string(source), file.Name)
			if *update {
				if err := os.WriteFile(path, file.JSON, 0o644); err != nil {
					t.Fatal(err)
				}
				continue
			}
			got, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(file.JSON), string(got)); diff != "" {
				t.Errorf("dashboards/%s is not what the code says; run 'go test ./dashboards -run Golden -update':\n%s", path, diff)
			}
		}
		folder, err := os.ReadDir(string(source))
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range folder {
			if !slices.Contains(names, entry.Name()) {
				t.Errorf("dashboards/%s/%s is declared nowhere: delete it", source, entry.Name())
			}
		}
	}
}

func TestBundledAreThoseOfTheFolder(t *testing.T) {
	for _, source := range Datasources() {
		want, err := Generate(source)
		if err != nil {
			t.Fatal(err)
		}
		slices.SortFunc(want, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
		got, err := Bundled(source)
		if err != nil {
			t.Fatal(err)
		}
		if *update {
			continue // what is built in is what stood there before
		}
		if !slices.EqualFunc(want, got, sameFile) {
			t.Errorf("%s: built in is something else than declared: build it once more", source)
		}
	}
	if _, err := Bundled("influx"); err == nil || !strings.Contains(err.Error(), "influx") {
		t.Errorf("a data source without dashboards: error %v", err)
	}
}

func sameFile(a, b File) bool {
	return a.UID == b.UID && a.Name == b.Name && bytes.Equal(a.JSON, b.JSON)
}

// The sets may differ in nothing but the type of the data source and in what keeps them apart when both are installed.
func TestSetsDifferOnlyInTheDatasource(t *testing.T) {
	prometheus, err := Bundled(Prometheus)
	if err != nil {
		t.Fatal(err)
	}
	others, err := Bundled(VictoriaMetrics)
	if err != nil {
		t.Fatal(err)
	}
	if len(prometheus) != len(others) {
		t.Fatalf("%d dashboards for Prometheus, %d for VictoriaMetrics", len(prometheus), len(others))
	}
	for i, file := range prometheus {
		other := others[i]
		if file.UID == other.UID || bytes.Equal(file.JSON, other.JSON) {
			t.Errorf("%s: the sets cannot both be installed", file.Name)
		}
		undo := []string{
			`"victoriametrics-metrics-datasource"`, `"prometheus"`, `"` + other.UID + `"`, `"` + file.UID + `"`, ` (VictoriaMetrics)"`, `"`,
		}
		for j := range prometheus {
			undo = append(undo, "/d/"+others[j].UID+"?", "/d/"+prometheus[j].UID+"?")
		}
		undone := strings.NewReplacer(undo...).Replace(string(other.JSON))
		if diff := cmp.Diff(string(file.JSON), undone); diff != "" {
			t.Errorf("%s: the sets differ in more than the data source:\n%s", file.Name, diff)
		}
	}
}

func TestQueries(t *testing.T) {
	seen := map[string]bool{}
	for _, q := range Queries() {
		key := q.Dashboard + "/" + q.Title + "/" + q.RefID
		if seen[key] {
			t.Errorf("%s is listed twice", key)
		}
		seen[key] = true
		if q.Dashboard == "" || q.Panel == 0 || q.Expr == "" {
			t.Errorf("%s is incomplete: %+v", key, q)
		}
	}
	// Every query that is asked is listed: nobody can hide one from the tests that read the list.
	asked := 0
	for _, d := range bundledModels(t, Prometheus) {
		for _, p := range d.Panels {
			asked += len(p.Targets)
		}
	}
	if asked == 0 || len(seen) != asked {
		t.Errorf("%d queries are listed, the dashboards ask %d", len(seen), asked)
	}
}
