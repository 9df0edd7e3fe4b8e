// SPDX-License-Identifier: Apache-2.0

package sample

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"

	"stability-exporter/dashboards"
	"stability-exporter/internal/scenario"
	"stability-exporter/test/daemon"
	"stability-exporter/test/prometheus"
)

// rarities are what the sample cluster does not have. With them every query of every dashboard finds something; a query
// that never can is a panel that is always empty.
const rarities = `
stability_exporter_build_info{version="1.2.3",revision="abc"} 1
stability_exporter_informer_unavailable{resource="cronjobs",reason="forbidden"} 1
stability_exporter_relists_total{resource="pods"} 1
stability_exporter_watch_errors_total{resource="pods"} 1
stability_exporter_state_file_load_successful 1
stability_exporter_state_file_last_save_successful 1
stability_exporter_state_file_last_save_success_timestamp_seconds 1772413200
stability_inspection_baseline_timestamp_seconds 1772413200
stability_node_condition_problem{node="k8snode10",zone="zone-a",condition="DiskPressure"} 1
stability_node_reboots_total{node="k8snode10",zone="zone-a"} 1
stability_node_condition_problem_since_timestamp_seconds{node="k8snode10",zone="zone-a",condition="DiskPressure"} 1772413200
stability_node_last_reboot_timestamp_seconds{node="k8snode10",zone="zone-a"} 1772413200
stability_node_crash_delta{node="k8snode10",zone="zone-a",window="1h"} 1
stability_workload_paused{namespace="product",workload="print-service",workload_type="deployment"} 1
stability_workload_rollout_restarts{namespace="product",workload="print-service",workload_type="deployment"} 2
stability_workload_restarts_since_inspection{namespace="product",workload="bill-center",workload_type="deployment"} 3
stability_workload_terminating_overdue_pods{namespace="product",workload="audit-log",workload_type="deployment"} 1
stability_workload_terminating_overdue_since_timestamp_seconds{namespace="product",workload="audit-log",workload_type="deployment"} 1772413200
stability_container_terminations_total{namespace="product",workload="audit-log",workload_type="deployment",container="app",reason="OOMKilled"} 1
stability_workload_pod_disruptions_total{namespace="product",workload="audit-log",workload_type="deployment",reason="EvictionByEvictionAPI"} 1
stability_check_exempted{check="single_replica",namespace="product",by="annotation"} 1
stability_check_exemptions_refused{namespace="product",workload="audit-log",workload_type="deployment",why="no_reason"} 1
`

// serveRarities serves the rarities, and middleware on a bad day.
func serveRarities(t *testing.T) string { return serveText(t, rarities+badDay(t)) }

// serveText serves metrics until the test ends and returns the address.
func serveText(t *testing.T, text string) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// A view is a dashboard as somebody looks at it: every query with its answer.
type view []answer

type answer struct {
	board  board
	panel  panel
	target target
	query  dashboards.Query
	asked  string       // what Prometheus was asked
	result model.Matrix // a vector is a matrix with one point each
}

func (a answer) String() string {
	return fmt.Sprintf("%s, panel %q, query %s", a.board.UID, a.panel.Title, a.target.RefID)
}

// watch starts a Prometheus with the bundled rules over some clusters: addresses of exporters by the label cluster, which
// is left out if it is empty.
func watch(t *testing.T, clusters map[string][]string) *prometheus.Server {
	t.Helper()
	server, err := prometheus.Start(t.Context(), prometheus.Options{Dir: t.TempDir(), Interval: time.Second, Rules: bundledRules(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Kill)
	for name, addresses := range clusters {
		labels := map[string]string{}
		if name != "" {
			labels["cluster"] = name
		}
		for i, address := range addresses {
			if err := server.Scrape(fmt.Sprintf("exporter-%s-%d", name, i), address, labels); err != nil {
				t.Fatal(err)
			}
		}
	}
	// Several scrapes for rate, and one evaluation of the rules after the first of them.
	err = server.Await(t.Context(), daemon.Patience, "scrapes and rules", func(ctx context.Context) error {
		found, err := server.Vector(ctx, "count_over_time(cluster:stability_node_ready:ratio[1m]) >= 3")
		if err == nil && len(found) < len(clusters) {
			err = fmt.Errorf("%d of %d clusters are known", len(found), len(clusters))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return server
}

// look opens every dashboard of a set.
func look(t *testing.T, server *prometheus.Server, source dashboards.Datasource, chosen choice) view {
	t.Helper()
	var all view
	for _, b := range boards(t, source) {
		for _, p := range b.Panels {
			for _, q := range p.Targets {
				a := answer{board: b, panel: p, target: q, query: declaredQuery(t, b, p, q), asked: chosen.interpolate(t, b, q.Expr)}
				var err error
				if a.result, err = ask(t.Context(), server, a.asked, q.Instant); err != nil {
					t.Errorf("%v: %v\n%s", a, err, a.asked)
				}
				all = append(all, a)
			}
		}
	}
	return all
}

func ask(ctx context.Context, server *prometheus.Server, query string, instant bool) (model.Matrix, error) {
	now := time.Now()
	if !instant {
		value, warnings, _, err := server.QueryRange(ctx, query, v1.Range{Start: now.Add(-time.Minute), End: now, Step: time.Second})
		if err == nil && len(warnings) > 0 {
			err = fmt.Errorf("warnings %v", warnings)
		}
		matrix, _ := value.(model.Matrix)
		return matrix, err
	}
	value, warnings, _, err := server.Query(ctx, query, now)
	if err == nil && len(warnings) > 0 {
		err = fmt.Errorf("warnings %v", warnings)
	}
	vector, ok := value.(model.Vector)
	if err == nil && !ok {
		err = errors.New("the answer is no vector")
	}
	var matrix model.Matrix
	for _, sample := range vector {
		matrix = append(matrix, &model.SampleStream{Metric: sample.Metric, Values: []model.SamplePair{{Value: sample.Value}}})
	}
	return matrix, err
}

// find returns the answers to a panel's queries in the set for Prometheus.
func (v view) find(dashboard, title string) view {
	return slices.DeleteFunc(slices.Clone(v), func(a answer) bool { return a.query.Dashboard != dashboard || a.panel.Title != title })
}

// mustFind reports queries without an answer, unless they may find nothing.
func (v view) mustFind(t *testing.T, sparseToo bool) {
	t.Helper()
	for _, a := range v {
		if len(a.result) == 0 && (!a.query.Sparse || sparseToo) {
			t.Errorf("%v finds nothing:\n%s", a, a.asked)
		}
	}
}

// mustShow reports labels that a panel shows and no answer has, and labels that say which exporter it was.
func (v view) mustShow(t *testing.T, cluster bool) {
	t.Helper()
	for _, a := range v {
		for _, name := range slices.Concat(a.query.Labels, a.target.legendLabels()) {
			has := slices.ContainsFunc(a.result, func(s *model.SampleStream) bool { return s.Metric[model.LabelName(name)] != "" })
			if len(a.result) > 0 && has != (name != "cluster" || cluster) {
				t.Errorf("%v shows the label %s, in the answer: %t:\n%s", a, name, has, a.asked)
			}
		}
		for _, series := range a.result {
			if series.Metric["instance"] != "" || series.Metric["job"] != "" {
				t.Errorf("%v tells exporters apart: %s", a, series.Metric)
			}
		}
	}
}

// mustKeepTo reports answers about something else than was chosen.
func (v view) mustKeepTo(t *testing.T, chosen choice) {
	t.Helper()
	for _, a := range v {
		for name, values := range chosen {
			for _, series := range a.result {
				value, has := series.Metric[model.LabelName(name)]
				if has && !slices.ContainsFunc(values, covers(name, string(value))) && slices.ContainsFunc(a.board.Templating.List, named(name)) {
					t.Errorf("%v shows %s of another %s:\n%s", a, series.Metric, name, a.asked)
				}
			}
		}
	}
}

// covers tells whether a chosen value stands for one that is shown: itself, or of a group the members.
func covers(name, shown string) func(chosen string) bool {
	return func(chosen string) bool {
		return chosen == shown || name == "target" && strings.HasPrefix(shown, chosen+"/")
	}
}

func named(name string) func(struct{ Name, Type, Definition, AllValue string }) bool {
	return func(v struct{ Name, Type, Definition, AllValue string }) bool { return v.Name == name }
}

// alarming are the cells, tiles and stretches that are red or orange, as panel: column.
func (v view) alarming(t *testing.T) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	for _, a := range v {
		if a.panel.Type == "timeseries" {
			continue // its colours tell lines apart
		}
		column, shown := a.panel.shownAs(t, a.target.RefID)
		for _, series := range a.result {
			for _, point := range series.Values {
				if color := shown.color(t, float64(point.Value)); color == "red" || color == "orange" {
					found[a.panel.Title+": "+column] = true
				}
			}
		}
	}
	return found
}

func TestEveryQueryFindsWhatItsPanelShows(t *testing.T) {
	server := watch(t, map[string][]string{"": {serve(t, faulty).Addr(), serveRarities(t)}})
	for _, source := range dashboards.Datasources() {
		all := look(t, server, source, nil)
		all.mustFind(t, true)
		all.mustShow(t, false)
	}
	narrow := choice{"namespace": {"product"}, "workload": {"bill-center"}, "zone": {"zone-c"}, "node": {"k8snode09"},
		"middleware": {"mysql"}, "target": {"erp-db"}}
	narrowed := look(t, server, dashboards.Prometheus, narrow)
	narrowed.mustFind(t, false)
	narrowed.mustKeepTo(t, narrow)
	narrowed.wantTargets(t, 2) // the group and its member
	// An alert's link names the cluster even where there is no such label.
	linked := look(t, server, dashboards.Prometheus, choice{"cluster": {""}, "namespace": {"product"}, "workload": {"payroll"}, "target": {"erp-db/b"}})
	linked.mustFind(t, false)
	linked.wantTargets(t, 1)
	if !linked.alarming(t)["Down: Value"] {
		t.Error("payroll is down, and its page does not say so")
	}
}

func TestClustersAreToldApart(t *testing.T) {
	server := watch(t, map[string][]string{
		"east": {serve(t, faulty).Addr(), serveRarities(t)}, "west": {serve(t, healthy(t)).Addr(), serveText(t, goodDay(t))},
	})
	all := look(t, server, dashboards.Prometheus, nil)
	all.mustFind(t, true)
	all.mustShow(t, true)
	if red := all.alarming(t); len(red) < 20 {
		t.Errorf("on a bad day only %d things are red or orange: %v", len(red), red)
	}
	west := choice{"cluster": {"west"}}
	well := look(t, server, dashboards.Prometheus, west)
	well.mustFind(t, false)
	well.mustKeepTo(t, west)
	for what := range well.alarming(t) {
		t.Errorf("on a good day this is red or orange: %s", what)
	}
	both := look(t, server, dashboards.Prometheus, choice{"cluster": {"east", "west"}, "namespace": {"product", "kube-system"}})
	both.mustFind(t, false)
}

// What nobody has looked at is not well: no tile is green, and no query fails.
func TestNothingIsClaimedWithoutAnExporter(t *testing.T) {
	for _, a := range look(t, watch(t, nil), dashboards.Prometheus, nil) {
		if len(a.result) > 0 {
			t.Errorf("%v finds something where nothing is known: %v", a, a.result)
		}
		if _, shown := a.panel.shownAs(t, a.target.RefID); a.panel.Type == "stat" && shown.nothing(t) != "#808080" {
			t.Errorf("%v is %s while nothing is known, want grey", a, shown.nothing(t))
		}
	}
}

func TestVariablesOfferWhatThereIs(t *testing.T) {
	server := watch(t, map[string][]string{"east": {serve(t, faulty).Addr(), serveRarities(t)}})
	offered := map[string]string{"cluster": "east", "namespace": "product", "workload": "payroll", "zone": "zone-c", "node": "k8snode09",
		"category": "interval", "check": "env_unit_suspect", "middleware": "mysql", "target": "erp-db/b"}
	query := regexp.MustCompile(`^label_values\((.+), (\w+)\)$`)
	for _, b := range boards(t, dashboards.Prometheus) {
		for _, v := range b.Templating.List {
			if v.Type != "query" {
				continue
			}
			match := query.FindStringSubmatch(v.Definition)
			if match == nil {
				t.Fatalf("%s: variable %s has another form: %s", b.UID, v.Name, v.Definition)
			}
			now := time.Now()
			for _, chosen := range []choice{nil, {"cluster": {"east"}, "namespace": {"product"}}} {
				selector := chosen.interpolate(t, b, match[1])
				values, _, _, err := server.LabelValues(t.Context(), match[2], []string{selector}, now.Add(-time.Hour), now)
				if err != nil || !slices.Contains(values, model.LabelValue(offered[v.Name])) {
					t.Errorf("%s: variable %s offers %v by %s: %v", b.UID, v.Name, values, selector, err)
				}
			}
		}
	}
}

// healthy writes the sample cluster as it is on a good day and returns the folder.
func healthy(t *testing.T) string {
	t.Helper()
	files, err := scenario.ERP().Files()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, content := range files {
		write(t, dir, name, content)
	}
	return dir
}
