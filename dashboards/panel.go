// SPDX-License-Identifier: Apache-2.0

package dashboards

import (
	"fmt"
	"strconv"
)

// object is a JSON object of Grafana's that is passed on as it is.
type object = map[string]any

// panel is one panel. Its id is part of links and never changes: a new panel takes the next free one of its dashboard.
type panel struct {
	id                 int
	title, description string
	kind               string // as Grafana calls it
	width, height      int    // of 24 columns; a row of text is about 1
	targets            []target
	defaults           object
	overrides          []object
	options            object
	transformations    []object
}

// target is one query of a panel.
type target struct {
	expr    string
	legend  string   // of a line
	labels  []string // that the panel shows
	instant bool     // for one moment, as a table
	sparse  bool     // finds nothing while all is well
}

func refID(i int) string { return string(rune('A' + i)) }

// line is a query over time. The legend is the text, followed by the labels; the cluster, which many do not have, is the last.
func line(expr, text string, labels ...string) target {
	for i, label := range labels {
		switch {
		case label == "cluster":
			text += " "
		case i > 0:
			text += "/"
		}
		text += "{{" + label + "}}"
	}
	return target{expr: expr, legend: text, labels: labels}
}

// step is a colour from a value on.
type step struct {
	from  float64
	color string
}

func thresholds(base string, steps ...step) object {
	all := []object{{"color": base, "value": nil}}
	for _, s := range steps {
		all = append(all, object{"color": s.color, "value": s.from})
	}
	return object{"mode": "absolute", "steps": all}
}

// bad colours everything from a value on.
func bad(from float64) object { return thresholds("green", step{from, "red"}) }

// text is how a value is shown.
type text struct {
	value       float64
	text, color string
}

func mapping(texts ...text) []object {
	options := object{}
	for i, t := range texts {
		options[strconv.FormatFloat(t.value, 'g', -1, 64)] = object{"text": t.text, "color": t.color, "index": i}
	}
	return []object{{"type": "value", "options": options}}
}

func yesIsBad() []object { return mapping(text{0, "no", "green"}, text{1, "yes", "red"}) }

func yesIsGood() []object { return mapping(text{0, "no", "red"}, text{1, "yes", "green"}) }

// unknown is how a tile shows that its query found nothing. Without it the tile would have the colour of the lowest
// threshold, which is that of health.
func unknown() object {
	return object{"type": "special", "options": object{
		"match": "null", "result": object{"text": "unknown", "color": "#808080", "index": 0},
	}}
}

// stat shows one number now. Where the query finds nothing it says unknown.
func stat(id int, title, description, unit string, colors object, expr string) panel {
	return panel{
		id: id, title: title, description: description, kind: "stat", width: 4, height: 4,
		targets: []target{{expr: expr, instant: true}},
		defaults: object{
			"unit": unit, "thresholds": colors, "mappings": []object{unknown()}, "noValue": "unknown",
			"color": object{"mode": "thresholds"},
		},
		options: object{
			"colorMode": "background", "graphMode": "none", "justifyMode": "auto", "orientation": "auto", "textMode": "auto",
			"reduceOptions": object{"calcs": []string{"lastNotNull"}, "fields": "", "values": false},
		},
	}
}

// mapped replaces the number by words.
func (p panel) mapped(mappings []object) panel {
	p.defaults["mappings"] = append(mappings, unknown())
	return p
}

// graph shows lines over time.
func graph(id int, title, description, unit string, targets ...target) panel {
	return panel{
		id: id, title: title, description: description, kind: "timeseries", width: 12, height: 8, targets: targets,
		defaults: object{
			"unit": unit, "min": 0, "color": object{"mode": "palette-classic"},
			"custom": object{"lineWidth": 1, "fillOpacity": 10, "showPoints": "auto", "spanNulls": false},
		},
		options: object{
			"legend":  object{"displayMode": "table", "placement": "right", "showLegend": true, "calcs": []string{"lastNotNull"}},
			"tooltip": object{"mode": "multi", "sort": "desc"},
		},
	}
}

// stacked puts the lines on top of each other.
func (p panel) stacked() panel {
	custom := p.defaults["custom"].(object)
	custom["fillOpacity"], custom["stacking"] = 60, object{"mode": "normal", "group": "A"}
	return p
}

// ratio is for graphs of shares: the axis ends at 1.
func (p panel) ratio() panel {
	p.defaults["max"] = 1
	return p
}

// timeline shows which of some states a thing was in over time.
func timeline(id int, title, description string, states []object, t target) panel {
	return panel{
		id: id, title: title, description: description, kind: "state-timeline", width: 24, height: 8, targets: []target{t},
		defaults: object{
			"unit": "short", "mappings": states, "thresholds": thresholds("green"), "color": object{"mode": "thresholds"},
			"custom": object{"lineWidth": 0, "fillOpacity": 80},
		},
		options: object{
			"alignValue": "left", "mergeValues": true, "rowHeight": 0.9, "showValue": "never",
			"legend":  object{"displayMode": "list", "placement": "bottom", "showLegend": true},
			"tooltip": object{"mode": "single", "sort": "none"},
		},
	}
}

// sized changes how much room the panel takes.
func (p panel) sized(width, height int) panel {
	p.width, p.height = width, height
	return p
}

// sparsely is for queries that find nothing while all is well. They find nothing either while nothing is known, so that
// the panel claims no more; the numbers of the row Now tell the one from the other.
func (p panel) sparsely() panel {
	for i := range p.targets {
		p.targets[i].sparse = true
	}
	p.defaults["noValue"] = "none known"
	return p
}

// json returns the panel as Grafana wants it, at a place of the grid.
func (p panel) json(source Datasource, x, y int) object {
	datasource := object{"type": source.plugin(), "uid": "${datasource}"}
	targets := make([]object, 0, len(p.targets))
	for i, t := range p.targets {
		format := "time_series"
		if p.kind == "table" {
			format = "table"
		}
		targets = append(targets, object{
			"refId": refID(i), "datasource": datasource, "editorMode": "code", "expr": t.expr, "format": format,
			"instant": t.instant, "range": !t.instant, "legendFormat": t.legend,
		})
	}
	overrides := p.overrides
	if overrides == nil {
		overrides = []object{}
	}
	made := object{
		"id": p.id, "type": p.kind, "title": p.title, "description": p.description, "datasource": datasource,
		"gridPos":     object{"x": x, "y": y, "w": p.width, "h": p.height},
		"targets":     targets,
		"fieldConfig": object{"defaults": p.defaults, "overrides": overrides},
		"options":     p.options,
	}
	if p.transformations != nil {
		made["transformations"] = p.transformations
	}
	return made
}

// byName is an override of Grafana's for the field of a name.
func byName(name string, properties object) object {
	list := []object{}
	for _, id := range []string{"unit", "mappings", "thresholds", "custom.cellOptions", "links", "noValue"} {
		if value, given := properties[id]; given {
			list = append(list, object{"id": id, "value": value})
		}
	}
	if len(list) != len(properties) {
		panic(fmt.Sprintf("BUG: unknown properties for the field %s: %v", name, properties))
	}
	return object{"matcher": object{"id": "byName", "options": name}, "properties": list}
}
