// SPDX-License-Identifier: Apache-2.0

package dashboards

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// dashboard declares one dashboard.
type dashboard struct {
	uid         string // of the set for Prometheus; links lead to it, it never changes
	title       string
	description string
	variables   []variable // besides the data source
	rows        []row
}

// row is a heading and the panels below it, from left to right and from top to bottom.
type row struct {
	id     int // unique among those of the panels
	title  string
	panels []panel
	closed bool // until somebody opens it; its panels ask nothing before
}

// variable is a choice of values of a label, named like it.
type variable struct {
	label  string
	title  string
	metric string // that has the label
}

// declared returns every dashboard. A new one is a file with a function, and a line here.
func declared(source Datasource) []dashboard {
	return []dashboard{workloadAvailability(source), nodesAndZones(source), probeAndConfigurationHygiene(source), middlewareHealth(source)}
}

// Generate returns the dashboards that ask the data source, made from their declarations: what Bundled returns, once it is
// committed.
func Generate(source Datasource) ([]File, error) {
	var files []File
	for _, d := range declared(source) {
		var text bytes.Buffer
		encoder := json.NewEncoder(&text)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(d.json(source)); err != nil {
			return nil, fmt.Errorf("cannot write the dashboard %s: %w", d.uid, err)
		}
		name := strings.TrimPrefix(d.uid, uidPrefix) + ".json"
		files = append(files, File{UID: source.uid(d.uid), Name: name, JSON: text.Bytes()})
	}
	return files, nil
}

// What the dashboards have in common.
const (
	uidPrefix = "stability-"
	tag       = "stability-exporter"
	columns   = 24 // of Grafana's grid
)

func (d dashboard) json(source Datasource) object {
	return object{
		"uid": source.uid(d.uid), "title": source.title(d.title), "description": d.description, "tags": []string{tag},
		"schemaVersion": 39, "version": 1, "id": nil, "editable": false, "graphTooltip": 1, "timezone": "browser",
		"refresh": "1m", "time": object{"from": "now-6h", "to": "now"}, "timepicker": object{},
		"annotations": object{"list": []object{}},
		"links": []object{{
			"type": "dashboards", "title": "Stability", "tags": []string{tag}, "asDropdown": true, "includeVars": true,
			"keepTime": true, "targetBlank": false, "icon": "external link", "tooltip": "", "url": "",
		}},
		"templating": object{"list": d.templating(source)},
		"panels":     d.panels(source),
	}
}

// templating returns the variables, each narrowed down by those before it.
func (d dashboard) templating(source Datasource) []object {
	list := []object{{
		"type": "datasource", "name": "datasource", "label": "Data source", "query": source.plugin(), "current": object{},
		"refresh": 1, "hide": 0, "includeAll": false, "multi": false, "regex": "", "options": []object{},
	}}
	var before []string
	for _, v := range d.variables {
		query := fmt.Sprintf("label_values(%s, %s)", subject{variables: before}.samples(v.metric), v.label)
		list = append(list, object{
			"type": "query", "name": v.label, "label": v.title, "datasource": object{"type": source.plugin(), "uid": "${datasource}"},
			"definition": query, "query": object{"qryType": 1, "query": query, "refId": "VariableQuery"},
			// .* also finds what does not have the label, as cluster is missing where there is one only.
			"includeAll": true, "allValue": ".*", "current": object{"text": []string{"All"}, "value": []string{"$__all"}},
			"multi": true, "refresh": 2, "sort": 1, "hide": 0, "regex": "", "options": []object{},
		})
		before = append(before, v.label)
	}
	return list
}

// panels lays the panels out. Those of a row stand side by side as long as there is room.
func (d dashboard) panels(source Datasource) []object {
	var all []object
	y := 0
	for _, r := range d.rows {
		heading := object{
			"id": r.id, "type": "row", "title": r.title, "collapsed": r.closed, "panels": []object{},
			"gridPos": object{"x": 0, "y": y, "w": columns, "h": 1},
		}
		panels, below := r.layOut(source, y+1)
		all = append(all, heading)
		if r.closed {
			heading["panels"] = panels
			y++
			continue
		}
		all, y = append(all, panels...), below
	}
	return all
}

// layOut returns the panels of the row from a line of the grid on, and the line below them.
func (r row) layOut(source Datasource, y int) (panels []object, below int) {
	x, tallest := 0, 0
	for _, p := range r.panels {
		if x+p.width > columns {
			x, y, tallest = 0, y+tallest, 0
		}
		panels = append(panels, p.json(source, x, y))
		x, tallest = x+p.width, max(tallest, p.height)
	}
	return panels, y + tallest
}
