// SPDX-License-Identifier: Apache-2.0

package exporter

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"stability-exporter/collectors"
	"stability-exporter/dashboards"
)

func printed(t *testing.T, args ...string) []byte {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if code := Main(append([]string{"dashboards"}, args...), strings.NewReader(""), &stdout, &stderr); code != exitOK || stderr.Len() > 0 {
		t.Fatalf("%v: exit code %d: %s", args, code, &stderr)
	}
	return stdout.Bytes()
}

func bundledDashboards(t *testing.T, source dashboards.Datasource) []dashboards.File {
	t.Helper()
	files, err := dashboards.Bundled(source)
	if err != nil || len(files) == 0 {
		t.Fatalf("%d dashboards for %s: %v", len(files), source, err)
	}
	return files
}

func TestDashboardsAreOneArray(t *testing.T) {
	for source, output := range map[dashboards.Datasource][]byte{
		dashboards.Prometheus:      printed(t),
		dashboards.VictoriaMetrics: printed(t, "--datasource=victoriametrics", "--format=json"),
	} {
		var got []struct{ UID string }
		if err := json.Unmarshal(output, &got); err != nil {
			t.Fatal(err)
		}
		want := bundledDashboards(t, source)
		if len(got) != len(want) || got[0].UID != want[0].UID {
			t.Errorf("%s: printed %v", source, got)
		}
	}
}

func TestDashboardsAsConfigMaps(t *testing.T) {
	files := bundledDashboards(t, dashboards.VictoriaMetrics)
	decoder := yaml.NewDecoder(bytes.NewReader(printed(t, "--datasource=victoriametrics", "--format=configmap")))
	for _, file := range files {
		var got struct {
			APIVersion, Kind string
			Metadata         struct {
				Name   string
				Labels map[string]string
			}
			Data map[string]string
		}
		if err := decoder.Decode(&got); err != nil {
			t.Fatal(err)
		}
		if got.Kind != "ConfigMap" || got.Metadata.Name != file.UID || got.Metadata.Labels["grafana_dashboard"] != "1" {
			t.Errorf("%s: %+v", file.UID, got.Metadata)
		}
		if len(got.Data) != 1 || got.Data[file.UID+".json"] != string(file.JSON) {
			t.Errorf("%s: the ConfigMap holds something else than the dashboard", file.UID)
		}
	}
	if err := decoder.Decode(new(any)); !errors.Is(err, io.EOF) {
		t.Errorf("more than %d ConfigMaps: %v", len(files), err)
	}
}

func TestDashboardsIntoFolder(t *testing.T) {
	folder := t.TempDir()
	if output := printed(t, "--output-dir="+folder); len(output) > 0 {
		t.Errorf("printed %q although there is a folder", output)
	}
	printed(t, "--output-dir="+folder, "--format=configmap")
	for _, file := range bundledDashboards(t, dashboards.Prometheus) {
		got, err := os.ReadFile(filepath.Join(folder, file.UID+".json"))
		if err != nil || !bytes.Equal(got, file.JSON) {
			t.Errorf("%s: written is something else than bundled, error %v", file.UID, err)
		}
		if got, err := os.ReadFile(filepath.Join(folder, file.UID+".yaml")); err != nil || !bytes.Contains(got, []byte("kind: ConfigMap")) {
			t.Errorf("%s: no ConfigMap, error %v", file.UID, err)
		}
	}
}

func TestDashboardsRefuse(t *testing.T) {
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"--datasource=influx"}, exitUsage, "give one of prometheus, victoriametrics"},
		{[]string{"--format=xml"}, exitUsage, "give one of json, configmap"},
		{[]string{"--output-dir=" + filepath.Join(t.TempDir(), "missing")}, exitFailure, "--output-dir has to be a folder that exists"},
	} {
		var stdout, stderr bytes.Buffer
		code := Main(append([]string{"dashboards"}, c.args...), strings.NewReader(""), &stdout, &stderr)
		if code != c.code || !strings.Contains(stderr.String(), c.says) || stdout.Len() > 0 {
			t.Errorf("%v: exit code %d, %q, %q", c.args, code, &stdout, &stderr)
		}
	}
}

// Dashboards ask for metrics and labels by name: each has to be declared, and be what the query takes it for.
func TestDashboardsAskForWhatIsDeclared(t *testing.T) {
	families := declaredFamilies(t)
	queries := dashboards.Queries()
	if len(queries) < 20 {
		t.Fatalf("only %d queries", len(queries))
	}
	for _, q := range queries {
		for _, problem := range undeclared(q.Expr, families) {
			t.Errorf("%s, panel %q, query %s: %s\n%s", q.Dashboard, q.Title, q.RefID, problem, q.Expr)
		}
		if onlySparse(q.Expr, families) && !q.Sparse {
			t.Errorf("%s, panel %q, query %s finds nothing while all is well and is not marked as sparse", q.Dashboard, q.Title, q.RefID)
		}
	}
	variable := regexp.MustCompile(`label_values\(([^()]+), ([a-z_]+)\)`)
	for _, file := range bundledDashboards(t, dashboards.Prometheus) {
		for _, match := range variable.FindAllStringSubmatch(string(file.JSON), -1) {
			selector := strings.ReplaceAll(match[1], `\"`, `"`)
			for _, problem := range undeclared("max by ("+match[2]+") ("+selector+")", families) {
				t.Errorf("%s, variable %s: %s", file.UID, match[2], problem)
			}
		}
	}
	for _, wrong := range []string{
		`stability_workload_stat{state="down"}`, `stability_workload_state{status="down"}`, `max by (node) (stability_workload_state)`,
		`max by (cluster, state) (stability_workload_state or stability_node_ready)`, `increase(stability_node_ready[1h])`,
		`increase(stability_container_restarts_total[1h])`, `workload_state`, `cluster_namespace:stability_workload:ratio`,
		`max by (node) (cluster_namespace:stability_workload_damaged:count)`, `stability_node_ready and on (pod) stability_node_ready`,
	} {
		if len(undeclared(wrong, families)) == 0 {
			t.Errorf("nothing is found wrong with %s", wrong)
		}
	}
}

// declaredFamilies are those of the collectors, those of the exporter itself, the bundled records, whose labels stand before
// the first colon of their names, and what the rules give besides.
func declaredFamilies(t *testing.T) map[string]*collectors.Family {
	t.Helper()
	specs, err := collectors.All(collectors.Options{})
	if err != nil {
		t.Fatal(err)
	}
	families := map[string]*collectors.Family{}
	for _, spec := range specs {
		for _, family := range spec.Families {
			families[family.Name] = family
		}
	}
	for _, family := range selfFamilies() {
		families[family.Name] = family.Family
	}
	records, err := os.ReadFile("../rules/records.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, match := range regexp.MustCompile(`record: (([a-z_]+):\S+)`).FindAllStringSubmatch(string(records), -1) {
		families[match[1]] = &collectors.Family{Name: match[1], Labels: strings.Split(match[2], "_"), Sparse: true}
	}
	for _, name := range []string{"ALERTS", "ALERTS_FOR_STATE"} {
		families[name] = &collectors.Family{Name: name, Sparse: true, Labels: []string{
			"alertname", "alertstate", "severity", "namespace", "workload", "service", "zone", "node", "check", "middleware", "target",
		}}
	}
	return families
}

// undeclared returns what is wrong with the names in a query. Every label that it groups by must belong to every family
// below the aggregation; families are joined on labels that all of them have.
func undeclared(expr string, families map[string]*collectors.Family) []string {
	var problems []string
	selector := regexp.MustCompile(`\b([a-z]+_[a-z_0-9:]+|ALERTS\w*)\b(?:\{([^}]*)\})?`)
	matcher := regexp.MustCompile(`([a-z_]+)(?:=~|=|!=|!~)"`)
	grouping := regexp.MustCompile(`\b(?:by|on) \(([^)]*)\) (?:group_left \(\) )?(\()?`)
	functions := []string{"max_over_time", "min_over_time", "count_over_time", "avg_over_time", "sum_over_time"}
	check := func(name, labels string) {
		for label := range strings.SplitSeq(labels, ", ") {
			if label != "cluster" && !slices.Contains(families[name].Labels, label) {
				problems = append(problems, name+" has no label "+label)
			}
		}
	}
	bare := grouping.ReplaceAllString(expr, "")
	found := selector.FindAllStringSubmatch(strings.ReplaceAll(bare, "$__rate_interval", ""), -1)
	for _, match := range found {
		name := match[1]
		if slices.Contains(functions, name) || families[name] == nil {
			if !slices.Contains(functions, name) {
				problems = append(problems, name+" is declared nowhere")
			}
			continue
		}
		for _, m := range matcher.FindAllStringSubmatch(match[2], -1) {
			check(name, m[1])
		}
		counts := families[name].Type == collectors.Counter
		if strings.Contains(expr, "rate("+name) && !counts || strings.Contains(expr, "increase(") {
			problems = append(problems, name+": rate is for counters, and nothing is for increase")
		}
	}
	if len(found) == 0 {
		problems = append(problems, "asks for no metric")
	}
	for _, place := range grouping.FindAllStringSubmatchIndex(expr, -1) {
		labels, below := expr[place[2]:place[3]], expr[place[1]:]
		if place[4] >= 0 {
			below = parenthesized(below)
		}
		for _, match := range selector.FindAllStringSubmatch(grouping.ReplaceAllString(below, ""), -1) {
			if families[match[1]] != nil {
				check(match[1], labels)
			}
		}
	}
	return problems
}

// onlySparse says that no dense family is in the query.
func onlySparse(expr string, families map[string]*collectors.Family) bool {
	for _, name := range regexp.MustCompile(`stability_[a-z_0-9]+`).FindAllString(expr, -1) {
		if family := families[name]; family != nil && !family.Sparse {
			return false
		}
	}
	return true
}

// parenthesized returns the text up to the parenthesis that closes the one before it.
func parenthesized(text string) string {
	depth := 1
	for i, c := range text {
		switch c {
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return text[:i]
			}
		}
	}
	return text
}
