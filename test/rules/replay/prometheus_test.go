// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"context"
	"io"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
)

// interval is that of scrapes and of evaluations.
const interval = 30 * time.Second

// prometheus is Prometheus' own database, query engine and rule groups, by a clock that is given to them.
type prometheus struct {
	t       *testing.T
	cluster string // the label that scrapes add; empty for none
	db      *tsdb.DB
	engine  *promql.Engine
	groups  []*rules.Group
	targets map[string]map[string]*series // by instance and the text of the series
}

type series struct {
	labels labels.Labels
	ref    storage.SeriesRef
	last   time.Time // of its last sample; zero once it is marked as stale
}

func newPrometheus(t *testing.T) *prometheus {
	t.Helper()
	options := tsdb.DefaultOptions()
	options.MinBlockDuration = (48 * time.Hour).Milliseconds()
	options.MaxBlockDuration = options.MinBlockDuration
	options.WALSegmentSize = -1 // no log on disk
	db, err := tsdb.Open(t.TempDir(), promslog.NewNopLogger(), nil, options, nil)
	if err != nil {
		t.Fatalf("cannot open the database: %v", err)
	}
	t.Cleanup(func() { _ = db.Close() })
	p := &prometheus{t: t, cluster: "east", db: db, targets: map[string]map[string]*series{}}
	language := parser.NewParser(parser.Options{})
	p.engine = promql.NewEngine(promql.EngineOpts{
		Logger: promslog.NewNopLogger(), MaxSamples: 1e7, Timeout: time.Minute, Parser: language, EnableAtModifier: true,
		NoStepSubqueryIntervalFn: func(int64) int64 { return interval.Milliseconds() },
	})
	manager := rules.NewManager(&rules.ManagerOptions{
		QueryFunc: rules.EngineQueryFunc(p.engine, db), Appendable: db, Queryable: db, Context: t.Context(), Parser: language,
		NotifyFunc: func(context.Context, string, ...*rules.Alert) {}, Logger: promslog.NewNopLogger(),
	})
	files, err := filepath.Glob("../../../rules/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("cannot find the rules: %v", err)
	}
	groups, errs := manager.LoadGroups(interval, labels.EmptyLabels(), "http://prometheus", nil, false, files...)
	if errs != nil {
		t.Fatalf("cannot load the rules: %v", errs)
	}
	for _, name := range slices.Sorted(maps.Keys(groups)) {
		p.groups = append(p.groups, groups[name])
		for _, rule := range groups[name].AlertingRules() {
			rule.SetRestored(true) // else it waits for what a Prometheus before it may have left
		}
	}
	return p
}

// scrape takes the answer of a target, nil when there was none. Series that are not in it any more are marked as stale.
func (p *prometheus) scrape(now time.Time, instance string, text []byte) {
	known := p.targets[instance]
	if known == nil {
		known = map[string]*series{}
		p.targets[instance] = known
	}
	appender := p.db.Appender(p.t.Context())
	parse := textparse.NewPromParser(text, labels.NewSymbolTable(), false)
	for len(text) > 0 {
		entry, err := parse.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			p.t.Fatalf("cannot parse the metrics of %s: %v", instance, err)
		}
		if entry != textparse.EntrySeries {
			continue
		}
		name, _, number := parse.Series()
		s := known[string(name)]
		if s == nil {
			s = &series{labels: p.targetLabels(parse, instance)}
			known[string(name)] = s
		}
		p.append(appender, s, now, number)
		s.last = now
	}
	for _, s := range known {
		if !s.last.IsZero() && s.last != now {
			p.append(appender, s, now, math.Float64frombits(value.StaleNaN))
			s.last = time.Time{}
		}
	}
	if err := appender.Commit(); err != nil {
		p.t.Fatalf("cannot store the metrics of %s: %v", instance, err)
	}
}

// targetLabels are the labels of a sample with those that a scrape adds.
func (p *prometheus) targetLabels(parse textparse.Parser, instance string) labels.Labels {
	var all labels.Labels
	parse.Labels(&all)
	b := labels.NewBuilder(all)
	for name, text := range map[string]string{
		"cluster": p.cluster, "job": "stability-exporter", "instance": instance, "pod": "stability-exporter-" + instance,
	} {
		b.Set(name, text)
	}
	return b.Labels()
}

func (p *prometheus) append(to storage.Appender, s *series, at time.Time, number float64) {
	ref, err := to.Append(s.ref, s.labels, at.UnixMilli(), number)
	if err != nil {
		p.t.Fatalf("cannot store %s: %v", s.labels, err)
	}
	s.ref = ref
}

// evaluate evaluates all rules and returns the alerts that fire.
func (p *prometheus) evaluate(now time.Time) []*rules.Alert {
	var firing []*rules.Alert
	for _, group := range p.groups {
		group.Eval(p.t.Context(), now)
		for _, rule := range group.Rules() {
			if err := rule.LastError(); err != nil {
				p.t.Fatalf("cannot evaluate %s: %v", rule.Name(), err)
			}
		}
		for _, rule := range group.AlertingRules() {
			rule.ForEachActiveAlert(func(a *rules.Alert) {
				if a.State == rules.StateFiring {
					copied := *a
					firing = append(firing, &copied)
				}
			})
		}
	}
	return firing
}

// query returns the value of an expression of a single sample, NaN when it has none.
func (p *prometheus) query(now time.Time, expression string) float64 {
	p.t.Helper()
	query, err := p.engine.NewInstantQuery(p.t.Context(), p.db, nil, expression, now)
	if err != nil {
		p.t.Fatalf("cannot parse %s: %v", expression, err)
	}
	defer query.Close()
	result, err := query.Exec(p.t.Context()).Vector()
	if err != nil {
		p.t.Fatalf("cannot evaluate %s: %v", expression, err)
	}
	switch len(result) {
	case 0:
		return math.NaN()
	case 1:
		return result[0].F
	}
	p.t.Fatalf("%s has %d samples", expression, len(result))
	return 0
}
