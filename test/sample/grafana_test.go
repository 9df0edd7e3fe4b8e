// SPDX-License-Identifier: Apache-2.0

package sample

import (
	"encoding/json"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"stability-exporter/dashboards"
)

// board is what Grafana reads of a dashboard to ask its data source and to show the answers.
type board struct {
	UID        string
	Panels     []panel
	Templating struct {
		List []struct{ Name, Type, Definition, AllValue string }
	}
}

type panel struct {
	ID              int
	Type, Title     string
	Targets         []target
	Panels          []panel // of a row that is closed
	FieldConfig     fieldConfig
	Transformations []transformation
}

type target struct {
	RefID, Expr, LegendFormat string
	Instant                   bool
}

type transformation struct {
	ID      string
	Options struct{ RenameByName map[string]string }
}

type fieldConfig struct {
	Defaults  field
	Overrides []struct {
		Matcher    struct{ Options string }
		Properties []struct {
			ID    string
			Value json.RawMessage
		}
	}
}

// field is how a value is shown.
type field struct {
	Thresholds struct {
		Steps []struct {
			Color string
			Value *float64
		}
	}
	Mappings []struct {
		Type    string
		Options json.RawMessage
	}
}

// boards returns the bundled dashboards of a set.
func boards(t *testing.T, source dashboards.Datasource) []board {
	t.Helper()
	files, err := dashboards.Bundled(source)
	if err != nil {
		t.Fatal(err)
	}
	all := make([]board, len(files))
	for i, file := range files {
		if err := json.Unmarshal(file.JSON, &all[i]); err != nil {
			t.Fatal(err)
		}
		for _, p := range all[i].Panels {
			all[i].Panels = append(all[i].Panels, p.Panels...)
		}
	}
	return all
}

// choice is what a user has chosen of the variables by their names; all the others stand for everything.
type choice map[string][]string

// interpolate replaces the variables of a dashboard and Grafana's own as Grafana does in a query.
func (c choice) interpolate(t *testing.T, b board, expr string) string {
	t.Helper()
	replaced := strings.NewReplacer("$__rate_interval", "2m", "$__range", "5m", "$__interval", "15s").Replace(expr)
	return regexp.MustCompile(`\$\{?(\w+)\}?`).ReplaceAllStringFunc(replaced, func(name string) string {
		name = strings.Trim(name, "${}")
		for _, v := range b.Templating.List {
			if v.Name == name && v.Type == "query" {
				return c.value(name, v.AllValue)
			}
		}
		t.Errorf("%s: no variable %s: %s", b.UID, name, expr)
		return ""
	})
}

// value is what a variable with several values becomes inside a string of a query.
func (c choice) value(name, all string) string {
	chosen, limited := c[name]
	if !limited {
		return all
	}
	var patterns []string
	for _, value := range chosen {
		patterns = append(patterns, strings.ReplaceAll(regexp.QuoteMeta(value), `\`, `\\`))
	}
	if len(patterns) == 1 {
		return patterns[0]
	}
	return "(" + strings.Join(patterns, "|") + ")"
}

// shownAs is how a panel shows the values of a query: by its defaults, or as the column that they are made into.
func (p panel) shownAs(t *testing.T, refID string) (string, field) {
	t.Helper()
	shown, name := p.FieldConfig.Defaults, "Value"
	if len(p.Targets) > 1 {
		name += " #" + refID
	}
	for _, change := range p.Transformations {
		if title, renamed := change.Options.RenameByName[name]; renamed {
			name = title
		}
	}
	for _, override := range p.FieldConfig.Overrides {
		if override.Matcher.Options != name {
			continue
		}
		for _, property := range override.Properties {
			var err error
			switch property.ID {
			case "thresholds":
				err = json.Unmarshal(property.Value, &shown.Thresholds)
			case "mappings":
				err = json.Unmarshal(property.Value, &shown.Mappings)
			}
			if err != nil {
				t.Fatalf("panel %q: %v", p.Title, err)
			}
		}
	}
	return name, shown
}

// color is the colour of a value, "" if it has none.
func (f field) color(t *testing.T, value float64) string {
	t.Helper()
	for _, mapping := range f.Mappings {
		options := map[string]struct{ Color string }{}
		if mapping.Type != "value" {
			continue
		}
		if err := json.Unmarshal(mapping.Options, &options); err != nil {
			t.Fatal(err)
		}
		if option, mapped := options[strconv.FormatFloat(value, 'g', -1, 64)]; mapped {
			return option.Color
		}
	}
	color := ""
	for _, step := range f.Thresholds.Steps {
		if step.Value == nil || value >= *step.Value {
			color = step.Color
		}
	}
	return color
}

// nothing is the colour of a tile whose query finds nothing: what the mapping of null says, else the first one of all.
func (f field) nothing(t *testing.T) string {
	t.Helper()
	for _, mapping := range f.Mappings {
		var options struct {
			Match  string
			Result struct{ Color string }
		}
		if mapping.Type != "special" {
			continue
		}
		if err := json.Unmarshal(mapping.Options, &options); err != nil {
			t.Fatal(err)
		}
		if options.Match == "null" {
			return options.Result.Color
		}
	}
	return f.color(t, math.Inf(-1))
}

// legendLabels are the labels that a legend shows.
func (q target) legendLabels() []string {
	var labels []string
	for _, match := range regexp.MustCompile(`\{\{(\w+)\}\}`).FindAllStringSubmatch(q.LegendFormat, -1) {
		labels = append(labels, match[1])
	}
	return labels
}

// declaredQuery is what the dashboards say of a query.
func declaredQuery(t *testing.T, b board, p panel, q target) dashboards.Query {
	t.Helper()
	all := dashboards.Queries()
	i := slices.IndexFunc(all, func(d dashboards.Query) bool {
		return d.Dashboard == strings.TrimSuffix(b.UID, "-vm") && d.Panel == p.ID && d.RefID == q.RefID
	})
	if i < 0 {
		t.Fatalf("%s: query %s of panel %q is not listed", b.UID, q.RefID, p.Title)
	}
	return all[i]
}
