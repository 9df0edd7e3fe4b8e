// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"

	"github.com/prometheus/common/model"
)

func TestLint(t *testing.T) {
	metrics := documentedMetrics(t)
	for _, file := range ruleFiles(t) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, problem := range lint(string(text), metrics) {
			t.Errorf("%s: %s", filepath.Base(file), problem)
		}
	}
}

// documentedMetrics returns the labels of each metric in docs/metrics.md, which is generated from the declarations.
func documentedMetrics(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	metrics := map[string][]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\| \\w+ \\| ([^|]*) \\|").FindAllStringSubmatch(string(text), -1) {
		metrics[row[1]] = strings.Fields(strings.NewReplacer("`", "", ",", "").Replace(row[2]))
	}
	if len(metrics) < 50 {
		t.Fatalf("found %d metrics only", len(metrics))
	}
	return metrics
}

// lint returns what is wrong with a file of rules.
func lint(text string, metrics map[string][]string) []string {
	var problems []string
	var keys struct {
		Groups []map[string]yaml.Node
	}
	groups, errs := rulefmt.Parse([]byte(text), false, model.UTF8Validation, parser.NewParser(parser.Options{}), slog.Default())
	if len(errs) > 0 {
		for _, err := range errs {
			problems = append(problems, err.Error())
		}
		return problems
	}
	if err := yaml.Unmarshal([]byte(text), &keys); err != nil {
		return []string{err.Error()}
	}
	if strings.Contains(text, "%{") {
		problems = append(problems, "vmalert would replace %{…} from its environment")
	}
	for _, group := range keys.Groups {
		for key := range group {
			if !slices.Contains([]string{"name", "interval", "limit", "rules"}, key) {
				problems = append(problems, "group key "+key+" is not known everywhere")
			}
		}
	}
	for _, group := range groups.Groups {
		kinds := map[bool]bool{}
		for _, rule := range group.Rules {
			kinds[rule.Alert == ""] = true
			for _, problem := range lintRule(rule, metrics) {
				problems = append(problems, rule.Alert+rule.Record+": "+problem)
			}
		}
		if len(kinds) > 1 {
			problems = append(problems, group.Name+": records and alerts in one group")
		}
	}
	return problems
}

func lintRule(rule rulefmt.Rule, metrics map[string][]string) []string {
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(rule.Expr)
	if err != nil {
		return []string{err.Error()}
	}
	problems := lintExpr(expr, metrics)
	output, known := outputLabels(expr, metrics)
	switch {
	case !known:
		problems = append(problems, "the labels of the result are not certain: aggregate")
	case !slices.Contains(output, "cluster"):
		problems = append(problems, "the result does not say of which cluster it is")
	case slices.ContainsFunc(output, func(l string) bool { return slices.Contains(exporterLabels(), l) }):
		problems = append(problems, "the result tells which exporter saw it")
	}
	if rule.Record != "" {
		if !regexp.MustCompile(`^[a-z_]+:stability_[a-z0-9_]+:[a-z0-9]+$`).MatchString(rule.Record) {
			problems = append(problems, "the name is not level:metric:operations")
		}
		return problems
	}
	return append(problems, lintAlert(rule, output, metrics)...)
}

// exporterLabels say who scraped or saw something.
func exporterLabels() []string {
	return []string{"instance", "job", "pod", "endpoint", "container_id", "prometheus"}
}

func lintAlert(rule rulefmt.Rule, output []string, metrics map[string][]string) []string {
	var problems []string
	want := func(ok bool, problem string) {
		if !ok {
			problems = append(problems, problem)
		}
	}
	want(regexp.MustCompile(`^Stability[A-Z]\w+$`).MatchString(rule.Alert), "the name does not begin with Stability")
	severity := rule.Labels["severity"]
	want(slices.Contains([]string{"critical", "warning", "info"}, severity), "severity is none of critical, warning, info")
	want(rule.For >= model.Duration(60e9), "for is less than a minute: one scrape must not do")
	want(severity != "critical" || rule.KeepFiringFor >= model.Duration(300e9), "keep_firing_for of a critical alert is less than 5m")
	want(slices.Equal(sortedKeys(rule.Annotations), []string{"description", "runbook_url", "summary"}), "annotations are not description, runbook_url, summary")
	want(!strings.Contains(rule.Annotations["summary"], "{{"), "the summary changes: it must be the same for all alerts of the name")
	want(rule.Annotations["runbook_url"] == "docs/runbooks/"+rule.Alert+".md", "runbook_url is not docs/runbooks/"+rule.Alert+".md")
	_, err := os.Stat("../../docs/runbooks/" + rule.Alert + ".md")
	want(err == nil, "there is no runbook")
	description := rule.Annotations["description"]
	want(strings.Contains(description, " Look: "), "the description does not say where to look")
	want(regexp.MustCompile(`[Cc]auses?\b|In the way: |Last: |Not ready: |Pods that are not well: |it is away, |TooManyReplicas|permit nothing|Other conditions: |suspect |a finalizer`).MatchString(description), "the description does not tell the cause")
	for _, match := range regexp.MustCompile(`\$labels\.(\w+)`).FindAllStringSubmatch(description, -1) {
		want(slices.Contains(output, match[1]), "the description uses label "+match[1]+", which the result does not have")
	}
	for name := range rule.Labels {
		want(!slices.Contains(output, name), "label "+name+" of the rule hides the one of the result")
		want(!strings.Contains(rule.Labels[name], "{{"), "label "+name+" is a template")
	}
	for _, match := range regexp.MustCompile(`alertname=\\"(\w+)`).FindAllStringSubmatch(description, -1) {
		want(match[1] == rule.Alert, "the description tells since when another alert is pending: "+match[1])
	}
	actions := strings.Join(regexp.MustCompile(`\{\{.*?\}\}`).FindAllString(description, -1), " ")
	want(!regexp.MustCompile(`\| *first\b|\$externalLabels|\$externalURL|toDuration|urlQueryEscape|graphLink|tableLink|tmpl|strvalue|\bnow\b`).MatchString(actions), "the description is not total or not portable")
	return append(problems, lintQueries(description, output, metrics)...)
}

// lintQueries checks the queries within a template: range (printf "query" arguments) | sortByLabel "label".
func lintQueries(description string, output []string, metrics map[string][]string) []string {
	var problems []string
	queries := regexp.MustCompile(`query \(printf ("(?:[^"\\]|\\.)*")([^)]*)\)`).FindAllStringSubmatch(description, -1)
	if len(regexp.MustCompile(`\bquery\b`).FindAllString(description, -1)) != len(queries) {
		return []string{"a query of the description has not the form query (printf \"…\" …)"}
	}
	for _, match := range queries {
		text := strings.ReplaceAll(strings.Trim(match[1], `"`), `\"`, `"`)
		if strings.Count(text, "%q") != len(strings.Fields(match[2])) {
			problems = append(problems, "a query of the description has not as many arguments as places: "+text)
		}
		for _, name := range regexp.MustCompile(`(\w+)=%q`).FindAllStringSubmatch(text, -1) {
			if name[1] != "lease" && !slices.Contains(output, name[1]) {
				problems = append(problems, "a query of the description asks by "+name[1]+": "+text)
			}
		}
		text = strings.NewReplacer("=~%q", `=~"x.*"`, "%q", `"x"`).Replace(text)
		expr, err := parser.NewParser(parser.Options{}).ParseExpr(text)
		if err != nil {
			problems = append(problems, err.Error())
			continue
		}
		problems = append(problems, lintExpr(expr, metrics)...)
	}
	return problems
}

// lintExpr checks that an expression means the same to Prometheus and to VictoriaMetrics, and speaks of what exists.
func lintExpr(expr parser.Expr, metrics map[string][]string) []string {
	var problems []string
	functions := []string{"avg_over_time", "changes", "clamp_min", "count_over_time", "label_replace", "last_over_time", "max_over_time", "min_over_time", "time"}
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		switch n := node.(type) {
		case *parser.Call:
			if !slices.Contains(functions, n.Func.Name) {
				problems = append(problems, "function "+n.Func.Name+" is not known to be the same everywhere")
			}
		case *parser.VectorSelector:
			problems = append(problems, lintSelector(n, metrics)...)
		case *parser.SubqueryExpr:
			if n.Step == 0 {
				problems = append(problems, "a subquery has no step: the default differs")
			}
		case *parser.AggregateExpr:
			if n.Without || slices.ContainsFunc(n.Grouping, func(l string) bool { return slices.Contains(exporterLabels(), l) }) {
				problems = append(problems, "aggregate by what the alert is about: "+n.String())
			}
			if n.Op == parser.STDDEV || n.Op == parser.LIMITK {
				problems = append(problems, "aggregation "+n.Op.String()+" is not known to be the same everywhere")
			}
		}
		return nil
	})
	return problems
}

func lintSelector(n *parser.VectorSelector, metrics map[string][]string) []string {
	if n.Name == "ALERTS_FOR_STATE" {
		// Since when an alert is pending. vmalert has it with remote write only: good for what may be missing in a text.
		if !slices.ContainsFunc(n.LabelMatchers, func(m *labels.Matcher) bool { return m.Name == "alertname" }) {
			return []string{"asks for the state of any alert"}
		}
		return nil
	}
	own, known := metrics[n.Name]
	if !known {
		return []string{"there is no metric " + n.Name}
	}
	var problems []string
	for _, matcher := range n.LabelMatchers {
		if matcher.Name != labels.MetricName && matcher.Name != "cluster" && !slices.Contains(own, matcher.Name) {
			problems = append(problems, n.Name+" has no label "+matcher.Name)
		}
		if matcher.Type == labels.MatchRegexp && !strings.ContainsAny(matcher.Value, `|.*+[`) {
			problems = append(problems, matcher.String()+" matches no pattern: use =")
		}
	}
	return problems
}

// outputLabels returns the labels of the result of an expression; certain is false where series keep what the scrape adds.
func outputLabels(expr parser.Expr, metrics map[string][]string) (names []string, certain bool) {
	switch e := expr.(type) {
	case *parser.AggregateExpr:
		if e.Op == parser.TOPK || e.Op == parser.BOTTOMK {
			return outputLabels(e.Expr, metrics)
		}
		within, certain := outputLabels(e.Expr, metrics)
		for _, label := range e.Grouping {
			if label != "cluster" && !slices.Contains(within, label) {
				return nil, false // by what is not there
			}
		}
		return e.Grouping, certain || !e.Without
	case *parser.VectorSelector:
		return metrics[e.Name], false
	case *parser.MatrixSelector:
		return outputLabels(e.VectorSelector, metrics)
	case *parser.SubqueryExpr:
		return outputLabels(e.Expr, metrics)
	case *parser.ParenExpr:
		return outputLabels(e.Expr, metrics)
	case *parser.StepInvariantExpr:
		return outputLabels(e.Expr, metrics)
	case *parser.Call:
		return callLabels(e, metrics)
	case *parser.BinaryExpr:
		return binaryLabels(e, metrics)
	}
	return nil, true // a number
}

func callLabels(e *parser.Call, metrics map[string][]string) ([]string, bool) {
	for _, argument := range e.Args {
		if argument.Type() == parser.ValueTypeVector || argument.Type() == parser.ValueTypeMatrix {
			names, certain := outputLabels(argument, metrics)
			if e.Func.Name == "label_replace" {
				names = append(slices.Clone(names), e.Args[1].(*parser.StringLiteral).Val)
			}
			return names, certain
		}
	}
	return nil, true
}

func binaryLabels(e *parser.BinaryExpr, metrics map[string][]string) ([]string, bool) {
	left, leftCertain := outputLabels(e.LHS, metrics)
	right, rightCertain := outputLabels(e.RHS, metrics)
	switch {
	case e.LHS.Type() == parser.ValueTypeScalar:
		return right, rightCertain
	case e.RHS.Type() == parser.ValueTypeScalar || e.Op == parser.LAND || e.Op == parser.LUNLESS:
		return left, leftCertain
	case e.Op == parser.LOR:
		both := map[string]bool{}
		for _, name := range slices.Concat(left, right) {
			both[name] = true
		}
		return sortedKeys(both), leftCertain && rightCertain
	}
	return slices.Concat(left, e.VectorMatching.Include), leftCertain && rightCertain
}
