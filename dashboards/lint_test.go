// SPDX-License-Identifier: Apache-2.0

package dashboards

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// model is what the tests read of a dashboard's JSON.
type model struct {
	UID, Title, Description string
	SchemaVersion           int
	Editable                *bool
	ID                      *int
	Refresh                 string
	Tags                    []string
	Inputs                  any `json:"__inputs"`
	Templating              struct {
		List []struct {
			Name, Type, Definition, AllValue string
			Query                            any
			Refresh                          int
			Datasource                       datasourceModel
		}
	}
	Panels []panelModel // those of closed rows too
	source Datasource
	text   string
}

type datasourceModel struct{ Type, UID string }

type panelModel struct {
	ID                       int
	Type, Title, Description string
	Panels                   []panelModel // of a row that is closed
	Collapsed                bool
	GridPos                  struct{ X, Y, W, H int }
	Datasource               datasourceModel
	Targets                  []struct {
		RefID, Expr, Format, LegendFormat string
		Instant, Range                    bool
		Datasource                        datasourceModel
	}
	FieldConfig struct {
		Defaults  fieldModel
		Overrides []struct {
			Matcher    struct{ ID, Options string }
			Properties []struct {
				ID    string
				Value any
			}
		}
	}
	Options struct {
		SortBy []struct{ DisplayName string }
	}
	Transformations []struct {
		ID      string
		Options struct{ RenameByName map[string]string }
	}
}

type fieldModel struct {
	Unit       string
	Mappings   []any
	Thresholds *struct{ Steps []struct{ Value *float64 } }
}

func bundledModels(t *testing.T, sources ...Datasource) []model {
	t.Helper()
	var all []model
	for _, source := range sources {
		files, err := Bundled(source)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			m := model{source: source, text: string(file.JSON)}
			if err := json.Unmarshal(file.JSON, &m); err != nil {
				t.Fatalf("%s/%s: %v", source, file.Name, err)
			}
			for _, p := range m.Panels {
				m.Panels = append(m.Panels, p.Panels...)
			}
			all = append(all, m)
		}
	}
	return all
}

// A check reports what is wrong with a dashboard.
type check func(m model, report func(format string, args ...any))

func checks() map[string]check {
	return map[string]check{
		"head": checkHead, "ids": checkIDs, "grid": checkGrid, "panels": checkPanels, "datasource": checkDatasource,
		"variables": checkVariables, "tables": checkTables, "legends": checkLegends, "links": checkLinks,
	}
}

func TestDashboardsAreSound(t *testing.T) {
	all := bundledModels(t, Datasources()...)
	seen := map[string]bool{}
	for _, m := range all {
		for _, name := range []string{m.UID, m.Title} {
			if seen[name] {
				t.Errorf("%s is the uid or title of two dashboards", name)
			}
			seen[name] = true
		}
		for _, problem := range problemsOf(m, checks()) {
			t.Errorf("%s: %s", m.UID, problem)
		}
	}
}

func problemsOf(m model, checks map[string]check) []string {
	var problems []string
	for _, name := range slices.Sorted(maps.Keys(checks)) {
		checks[name](m, func(format string, args ...any) {
			problems = append(problems, name+": "+fmt.Sprintf(format, args...))
		})
	}
	return problems
}

func checkHead(m model, report func(string, ...any)) {
	const limit = 240 << 10 // kubectl apply keeps a copy of the ConfigMap in an annotation, which may have 256 KiB
	if !regexp.MustCompile(`^stability-[a-z0-9-]{1,30}$`).MatchString(m.UID) || strings.HasSuffix(m.UID, "-vm") != (m.source == VictoriaMetrics) {
		report("uid %q", m.UID)
	}
	if m.Title == "" || m.Description == "" || !slices.Equal(m.Tags, []string{tag}) || m.Refresh == "" {
		report("title, description, tag or refresh is missing")
	}
	if m.SchemaVersion != 39 || m.ID != nil || m.Inputs != nil || m.Editable == nil || *m.Editable {
		report("want schemaVersion 39, no id, no __inputs, not editable")
	}
	if quoted, err := json.Marshal(m.text); err != nil || len(quoted) > limit {
		report("%d bytes as a JSON string, at most %d: %v", len(quoted), limit, err)
	}
}

func checkIDs(m model, report func(string, ...any)) {
	seen := map[int]bool{}
	for _, p := range m.Panels {
		if p.ID <= 0 || seen[p.ID] {
			report("panel %q has the id %d, which is not one of its own", p.Title, p.ID)
		}
		seen[p.ID] = true
	}
}

// checkGrid takes the panels of a closed row by themselves: Grafana moves what is below when somebody opens it.
func checkGrid(m model, report func(string, ...any)) {
	var open []panelModel
	hidden := map[int]bool{}
	for _, row := range m.Panels {
		checkRoom(row.Panels, report)
		for _, p := range row.Panels {
			hidden[p.ID] = true
		}
	}
	for _, p := range m.Panels {
		if !hidden[p.ID] {
			open = append(open, p)
		}
	}
	checkRoom(open, report)
}

func checkRoom(panels []panelModel, report func(string, ...any)) {
	taken := map[[2]int]string{}
	for _, p := range panels {
		g := p.GridPos
		if g.X < 0 || g.Y < 0 || g.W <= 0 || g.H <= 0 || g.X+g.W > 24 {
			report("panel %q does not fit: %+v", p.Title, g)
			continue
		}
		for x := g.X; x < g.X+g.W; x++ {
			for y := g.Y; y < g.Y+g.H; y++ {
				if other, found := taken[[2]int{x, y}]; found {
					report("panel %q lies upon %q", p.Title, other)
					return
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
	}
}

func checkPanels(m model, report func(string, ...any)) {
	titles := map[string]bool{}
	for _, p := range m.Panels {
		if p.Title == "" || titles[p.Title] {
			report("panel %d has no title of its own: %q", p.ID, p.Title)
		}
		titles[p.Title] = true
		if p.Type == "row" {
			if p.Collapsed != (len(p.Panels) > 0) {
				report("row %q is closed: %t, and has %d panels in it; Grafana drops those of an open one", p.Title, p.Collapsed, len(p.Panels))
			}
			continue
		}
		if p.Description == "" || !strings.HasSuffix(p.Description, ".") || len(p.Targets) == 0 {
			report("panel %q lacks a query, or a description that is a sentence", p.Title)
		}
		d := p.FieldConfig.Defaults
		if d.Unit == "" && len(d.Mappings) == 0 {
			report("panel %q has neither a unit nor mappings", p.Title)
		}
		if d.Thresholds != nil && (len(d.Thresholds.Steps) == 0 || d.Thresholds.Steps[0].Value != nil) {
			report("panel %q: the first threshold has a value", p.Title)
		}
		if p.Type == "stat" && (d.Thresholds == nil || !strings.Contains(fmt.Sprint(d.Mappings), "match:null")) {
			report("panel %q has no thresholds, or the colour of health while nothing is known", p.Title)
		}
	}
}

func checkDatasource(m model, report func(string, ...any)) {
	want := datasourceModel{m.source.plugin(), "${datasource}"}
	for _, p := range m.Panels {
		if p.Type == "row" {
			continue
		}
		if p.Datasource != want {
			report("panel %q asks %v", p.Title, p.Datasource)
		}
		for i, target := range p.Targets {
			if target.Datasource != want || target.RefID != refID(i) || target.Instant == target.Range {
				report("panel %q: query %d asks %v", p.Title, i, target.Datasource)
			}
		}
	}
	for i, v := range m.Templating.List {
		if i == 0 && (v.Type != "datasource" || v.Query != m.source.plugin()) || i > 0 && v.Datasource != want {
			report("variable %s asks %v", v.Name, v.Datasource)
		}
	}
}

func checkVariables(m model, report func(string, ...any)) {
	declared := map[string]bool{}
	for _, v := range m.Templating.List {
		declared[v.Name] = true
		if v.Type == "query" && (v.AllValue != ".*" || v.Refresh != 2 || v.Definition == "") {
			report("variable %s: want allValue .*, refresh 2 and a definition", v.Name)
		}
	}
	used := map[string]bool{}
	for _, name := range regexp.MustCompile(`\$\{?([a-zA-Z_]+)`).FindAllStringSubmatch(m.text, -1) {
		if !strings.HasPrefix(name[1], "__") { // Grafana's own
			used[name[1]] = true
		}
	}
	if !maps.Equal(declared, used) {
		report("variables %v are declared, %v are used", slices.Sorted(maps.Keys(declared)), slices.Sorted(maps.Keys(used)))
	}
	for _, p := range m.Panels {
		for _, target := range p.Targets {
			for _, match := range regexp.MustCompile(`(\S+)"\$[a-z]+"`).FindAllStringSubmatch(target.Expr, -1) {
				if !strings.HasSuffix(match[1], "=~") {
					report("panel %q: a variable may stand for several values, match it with =~: %s", p.Title, match[0])
				}
			}
		}
	}
}

// checkTables finds titles that no column has: overrides and orders that do nothing.
func checkTables(m model, report func(string, ...any)) {
	for _, p := range m.Panels {
		if p.Type != "table" {
			continue
		}
		titles := map[string]bool{}
		for _, transformation := range p.Transformations {
			for _, title := range transformation.Options.RenameByName {
				if titles[title] {
					report("panel %q has two columns %q", p.Title, title)
				}
				titles[title] = true
			}
		}
		for _, o := range p.FieldConfig.Overrides {
			if o.Matcher.ID != "byName" || !titles[o.Matcher.Options] {
				report("panel %q overrides %q, which is no column", p.Title, o.Matcher.Options)
			}
		}
		for _, sort := range p.Options.SortBy {
			if !titles[sort.DisplayName] {
				report("panel %q is sorted by %q, which is no column", p.Title, sort.DisplayName)
			}
		}
		for _, target := range p.Targets {
			if target.Format != "table" || !target.Instant {
				report("panel %q: query %s is not for a table", p.Title, target.RefID)
			}
		}
	}
}

// checkLegends finds names of labels, in legends and columns, that the query aggregates away.
func checkLegends(m model, report func(string, ...any)) {
	label := regexp.MustCompile(`\{\{(\w+)\}\}`)
	for _, p := range m.Panels {
		for _, target := range p.Targets {
			for _, match := range label.FindAllStringSubmatch(target.LegendFormat, -1) {
				if !slices.Contains(keptLabels(target.Expr), match[1]) {
					report("panel %q shows the label %s, which query %s does not give", p.Title, match[1], target.RefID)
				}
			}
			if p.Type == "timeseries" && target.LegendFormat == "" {
				report("panel %q: query %s has no legend", p.Title, target.RefID)
			}
		}
	}
	for _, q := range Queries() {
		for _, shown := range q.Labels {
			if q.Dashboard == strings.TrimSuffix(m.UID, "-vm") && !slices.Contains(keptLabels(q.Expr), shown) {
				report("panel %q shows the label %s, which query %s does not give", q.Title, shown, q.RefID)
			}
		}
	}
}

// keptLabels returns the labels of the outermost aggregation that names any.
func keptLabels(expr string) []string {
	match := regexp.MustCompile(`\bby \(([^)]*)\)`).FindStringSubmatch(expr)
	if match == nil {
		return nil
	}
	kept := strings.Split(match[1], ", ")
	if strings.Contains(expr, "topk by") { // gives the labels of what it chooses from
		kept = append(kept, keptLabels(expr[strings.Index(expr, match[0])+len(match[0]):])...)
	}
	return kept
}

func checkLinks(m model, report func(string, ...any)) {
	files, err := Bundled(m.source)
	if err != nil {
		report("%v", err)
	}
	for _, match := range regexp.MustCompile(`"/d/([^?"]*)`).FindAllStringSubmatch(m.text, -1) {
		if !slices.ContainsFunc(files, func(f File) bool { return f.UID == match[1] }) {
			report("a link leads to %s, which is no dashboard of the set", match[1])
		}
	}
}

// Each check finds what it is for in a dashboard that was damaged on purpose.
func TestChecksFindWhatIsWrong(t *testing.T) {
	sound := bundledModels(t, Prometheus)[0]
	for name, damage := range map[string]struct{ from, to string }{
		"head":       {`"schemaVersion": 39`, `"schemaVersion": 42`},
		"ids":        {`"id": 12,`, `"id": 11,`},
		"grid":       {`"x": 12,`, `"x": 13,`},
		"panels":     {`"unit": "short"`, `"unit": ""`},
		"datasource": {`"uid": "${datasource}"`, `"uid": "abc"`},
		"variables":  {`=~\"$cluster\"`, `=\"$cluster\"`},
		"tables":     {`"displayName": "`, `"displayName": "No `},
		"legends":    {`"legendFormat": "{{`, `"legendFormat": "{{no_`},
		"links":      {`"/d/stability-`, `"/d/unstable-`},
	} {
		text := strings.ReplaceAll(sound.text, damage.from, damage.to)
		if name == "links" && !strings.Contains(sound.text, damage.from) {
			text += damage.to + `"`
		}
		damaged := model{source: sound.source, text: text}
		if err := json.NewDecoder(strings.NewReader(text)).Decode(&damaged); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if problems := problemsOf(damaged, map[string]check{name: checks()[name]}); len(problems) == 0 {
			t.Errorf("%s finds nothing wrong once %s is %s", name, damage.from, damage.to)
		}
	}
	for name := range checks() {
		if problems := problemsOf(sound, map[string]check{name: checks()[name]}); len(problems) > 0 {
			t.Errorf("%s finds %q in what is sound", name, problems)
		}
	}
}
