// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"
)

// Pages outlive a restart of the exporter: they are neither taken back nor sent again. They end when what they tell of is
// mended, as late as their rule says and no later.
func TestPagesOutliveARestart(t *testing.T) {
	promtools := []string{debianPromtool(t), newPromtool(t)}
	rules := alertRules(t)
	all := map[string][]watched{} // by alert
	for _, c := range cases(t) {
		all[c.Alert] = append(all[c.Alert], c.unnoticed())
		rule := c.rule(rules[c.Alert])
		keep := keepFiring(t, rule)
		switch {
		case keep == 0 && rule.Labels["severity"] == "critical":
			t.Errorf("%s is a page and has no keep_firing_for: a restart of the exporter takes it back", c.name())
		case keep > 0 && c.Alone:
			all[c.Alert] = append(all[c.Alert], c.mended(rule, keep))
		case keep > 0:
			all[c.Alert] = append(all[c.Alert], c.mended(rule, keep), c.away(rule, downtime))
		}
	}
	for name, watched := range all {
		file := writeWatched(t, rules[name], watched)
		for _, promtool := range promtools {
			if output, err := exec.Command(promtool, "test", "rules", file).CombinedOutput(); err != nil {
				t.Errorf("%s: %s: %v\n%s", name, promtool, err, output)
			}
		}
	}
}

// What is wrongly expected is found: the situations above are able to fail.
func TestRestartsAndMendingCanFail(t *testing.T) {
	c := cases(t)[0]
	rules := alertRules(t)[c.Alert]
	rule := c.rule(rules)
	keep := keepFiring(t, rule)
	for name, all := range map[string][]watched{
		"resolves too early": {c.mended(rule, keep-1)}, "resolves too late": {c.mended(rule, keep+1)},
		"away for too long": {c.away(rule, keep+1)},
	} {
		if exec.Command(debianPromtool(t), "test", "rules", writeWatched(t, rules, all)).Run() == nil {
			t.Errorf("%s: passes", name)
		}
	}
}

// rule is the one of an alert's rules that the case is about: that which has most of the case's own labels.
func (c ruleCase) rule(rules []alertRule) alertRule {
	shared := func(rule alertRule) (count int) {
		for name, value := range c.Own {
			if rule.Labels[name] == value {
				count++
			}
		}
		return count
	}
	return slices.MaxFunc(rules, func(a, b alertRule) int { return shared(a) - shared(b) })
}

// keepFiring is for how many minutes a rule lets its alert fire on; 0 if it does not.
func keepFiring(t *testing.T, rule alertRule) int {
	t.Helper()
	if rule.KeepFiringFor == "" {
		return 0
	}
	keep, err := model.ParseDuration(rule.KeepFiringFor)
	if err != nil {
		t.Fatal(err)
	}
	return int(time.Duration(keep) / time.Minute)
}

// watched is a situation in which the alerts are looked at in every minute.
type watched struct {
	Name     string   `yaml:"name"`
	Interval string   `yaml:"interval"`
	Series   []series `yaml:"input_series"`
	Looks    []look   `yaml:"promql_expr_test"`
}

type look struct {
	Expr     string   `yaml:"expr"`
	EvalTime string   `yaml:"eval_time"`
	Samples  []sample `yaml:"exp_samples"`
}

type sample struct {
	Labels string  `yaml:"labels"`
	Value  float64 `yaml:"value"`
}

// downtime is how many minutes a restart of the exporter takes.
const downtime = 2

// away has the exporter stay away for some minutes while the alert fires: it fires on, since the same moment.
func (c ruleCase) away(rule alertRule, minutes int) watched {
	from := c.Fires + 2
	w := c.watched("the exporter restarts while it fires", func(_, value string, m int) string {
		return when(m >= from && m < from+minutes, "_", value)
	})
	last := from + minutes + 10
	w.firing(selector(rule), c.Fires, last, true)
	since, window := "ALERTS_FOR_STATE"+selector(rule), minute(last-c.Fires)
	w.Looks = append(w.Looks, look{
		fmt.Sprintf("max(max_over_time(%s[%s])) - min(min_over_time(%[1]s[%[2]s]))", since, window), minute(last), []sample{{"{}", 0}},
	})
	return w
}

// mended has all be well again while the alert fires.
func (c ruleCase) mended(rule alertRule, keep int) watched {
	from := c.Fires + 3
	w := c.watched("it is mended", func(good, value string, m int) string { return when(m >= from, good, value) })
	if c.Lingers > 0 { // versions of Prometheus differ in what is on the edge of a window
		from += c.Lingers
		w.firing(selector(rule), c.Fires, from+keep-2, true)
		w.firing(selector(rule), from+keep+1, from+keep+10, false)
		return w
	}
	w.firing(selector(rule), c.Fires, from+keep-1, true)
	w.firing(selector(rule), from+keep, from+keep+10, false)
	return w
}

// unnoticed has the exporter restart while all is well.
func (c ruleCase) unnoticed() watched {
	w := c.watched("the exporter restarts while all is well", func(good, _ string, m int) string {
		return when(m >= onset && m < onset+downtime, "_", good)
	})
	w.firing(selector(alertRule{Alert: c.Alert}), 0, onset+20, false)
	return w
}

func (c ruleCase) watched(name string, change func(good, value string, minute int) string) watched {
	return watched{Name: c.name() + ": " + name, Interval: "1m", Series: c.exporter(`instance="a"`, c.length(), change)}
}

// firing expects one of the selected alerts to fire, or none, in every minute from the first to the last.
func (w *watched) firing(selector string, first, last int, fires bool) {
	for m := first; m <= last; m++ {
		each := look{"count(ALERTS" + selector + ` and ALERTS{alertstate="firing"})`, minute(m), nil}
		if fires {
			each.Samples = []sample{{"{}", 1}}
		}
		w.Looks = append(w.Looks, each)
	}
}

// selector finds the alerts of a rule; those of another severity have the name in common with it only.
func selector(rule alertRule) string {
	if severity := rule.Labels["severity"]; severity != "" {
		return fmt.Sprintf("{alertname=%q,severity=%q}", rule.Alert, severity)
	}
	return fmt.Sprintf("{alertname=%q}", rule.Alert)
}

// writeWatched writes the situations, and the rules of the one alert that they are about, and returns the path.
func writeWatched(t *testing.T, rules []alertRule, all []watched) string {
	t.Helper()
	dir := t.TempDir()
	type object = map[string]any
	var bare []object // without the empty fields, which promtool takes for mistakes
	for _, rule := range rules {
		each := object{"alert": rule.Alert, "expr": rule.Expr, "for": rule.For, "labels": rule.Labels}
		if rule.KeepFiringFor != "" {
			each["keep_firing_for"] = rule.KeepFiringFor
		}
		bare = append(bare, each)
	}
	for name, content := range map[string]object{
		"rules.yaml":   {"groups": []object{{"name": "watched", "rules": bare}}},
		"watched.yaml": {"rule_files": []string{"rules.yaml"}, "evaluation_interval": "1m", "tests": all},
	} {
		text, err := yaml.Marshal(content)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "watched.yaml")
}
