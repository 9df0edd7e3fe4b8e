// SPDX-License-Identifier: Apache-2.0

// Package dashboards holds the Grafana dashboards: declarations in Go, one file for each dashboard, and beside them the JSON
// that is generated from them, committed and built into the program. A test compares the two.
package dashboards

import (
	"embed"
	"encoding/json"
	"fmt"
	"path"
)

// Datasource is the type of Grafana data source that a set of dashboards asks.
type Datasource string

// The data sources there is a set for, by the name of its folder and of the flag's value. The first one works with
// VictoriaMetrics too; the second one is for those who have only VictoriaMetrics' own plugin.
const (
	Prometheus      Datasource = "prometheus"
	VictoriaMetrics Datasource = "victoriametrics"
)

// Datasources returns every data source there is a set for; the first one is the default.
func Datasources() []Datasource { return []Datasource{Prometheus, VictoriaMetrics} }

// plugin is how Grafana calls the type.
func (d Datasource) plugin() string {
	if d == VictoriaMetrics {
		return "victoriametrics-metrics-datasource"
	}
	return "prometheus"
}

// uid makes the two sets' uids differ, so that both can be installed.
func (d Datasource) uid(uid string) string {
	if d == VictoriaMetrics {
		return uid + "-vm"
	}
	return uid
}

// title makes the two sets' titles differ.
func (d Datasource) title(title string) string {
	if d == VictoriaMetrics {
		return title + " (VictoriaMetrics)"
	}
	return title
}

// File is one dashboard as Grafana imports it.
type File struct {
	UID  string // unique over both sets, and for ever the same
	Name string // of the file, without its folder
	JSON []byte // classic model, schemaVersion 39
}

//go:embed prometheus/*.json victoriametrics/*.json
var bundled embed.FS

// Bundled returns the dashboards that ask the data source, in the order of their names.
func Bundled(source Datasource) ([]File, error) {
	entries, err := bundled.ReadDir(string(source))
	if err != nil {
		return nil, fmt.Errorf("cannot find dashboards for the data source %s: %w", source, err)
	}
	files := make([]File, 0, len(entries))
	for _, entry := range entries {
		file := File{Name: entry.Name()}
		if file.JSON, err = bundled.ReadFile(path.Join(string(source), entry.Name())); err != nil {
			return nil, fmt.Errorf("cannot read the dashboard %s: %w", entry.Name(), err)
		}
		if err = json.Unmarshal(file.JSON, &struct{ UID *string }{&file.UID}); err != nil {
			return nil, fmt.Errorf("cannot read the dashboard %s: %w", entry.Name(), err)
		}
		files = append(files, file)
	}
	return files, nil
}

// Query is what a panel asks its data source.
type Query struct {
	Dashboard string // uid in the set for Prometheus
	Panel     int    // id
	Title     string // of the panel
	RefID     string // tells the queries of a panel apart
	// Expr is PromQL with the variables of the dashboard ($cluster and the like, for =~ matchers) and Grafana's own
	// ($__range, $__rate_interval) still in it.
	Expr    string
	Instant bool // asked for one moment; otherwise for a range
	// Sparse queries find nothing while all is well, or where the exporter has nothing to watch.
	Sparse bool
	// Labels are those that the panel shows: what the query answers must carry them.
	Labels []string
}

// Queries returns every query of every dashboard. The sets for the data sources ask the same.
func Queries() []Query {
	var all []Query
	for _, d := range declared(Prometheus) {
		for _, r := range d.rows {
			for _, p := range r.panels {
				for i, t := range p.targets {
					all = append(all, Query{
						Dashboard: d.uid, Panel: p.id, Title: p.title, RefID: refID(i), Expr: t.expr, Instant: t.instant,
						Sparse: t.sparse, Labels: t.labels,
					})
				}
			}
		}
	}
	return all
}
