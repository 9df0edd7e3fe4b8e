// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A ruleCase is one way in which an alert comes to fire. All else that is tried of it, such as two exporters instead of
// one, follows from it. W stands for the labels of a workload.
type ruleCase struct {
	Alert string
	How   string // tells cases of one alert apart
	// Series have by name and labels a good and a bad value, "-" being none: "0 1" is 0 up to minute 4 and 1 from then on.
	// A text that begins with "=" has the values of all minutes instead, the good ones after "/"; the last one goes on, t is the
	// time itself, and 1*3 is 1 1 1.
	Series map[string]string
	// Fires is the minute from which on the alert fires; one minute earlier it does not.
	Fires       int
	Labels      string            // of the alert, apart from cluster and those that are the rule's own
	Own         map[string]string // labels of the rule that is meant, or that the expression adds
	Description string            // with " in cluster east" where the cluster is named
	Guards      map[string]guard  // by what is guarded against
	Alone       bool              // the case is about the exporter's absence: a second one changes everything
	Changing    bool              // the description changes from minute to minute
	Ends        int               // the minute from which on it does not fire any more; zero: it is not tried
	Lingers     int               // minutes for which what has passed makes it go on when all is well, give or take one; zero: it ends at once
}

// A guard is series that keep the alert from firing, over or beside those of the case.
type guard map[string]string

const (
	onset    = 5 // the minute in which good turns bad
	lasting  = 40
	workload = `namespace="shop",workload="web",workload_type="deployment"`
)

func (c ruleCase) name() string { return strings.TrimSuffix(c.Alert+"/"+c.How, "/") }

// situations returns what promtool is to try. In all of them the cluster west is well, and nothing fires for it.
func (c ruleCase) situations(rule alertRule) []situation {
	firing := alert{labelsOf(strings.ReplaceAll(c.Labels, "W", workload)), map[string]string{
		"summary":     rule.Annotations["summary"],
		"description": c.Description,
		"runbook_url": rule.Annotations["runbook_url"],
	}}
	firing.Labels["severity"] = rule.Labels["severity"]
	for name, value := range c.Own {
		firing.Labels[name] = value
	}
	east := firing.clone()
	east.Labels["cluster"] = "east"
	unnamed := firing.clone()
	unnamed.Annotations["description"] = strings.ReplaceAll(c.Description, " in cluster east", "")

	west := c.exporter(`cluster="west",instance="a"`, c.length(), allGood)
	one := c.exporter(`cluster="east",instance="a"`, c.length(), asItIs)
	all := []situation{
		c.situation("fires", slices.Concat(one, west), &east),
		c.situation("without a cluster label", c.exporter(`instance="a"`, c.length(), asItIs), &unnamed),
	}
	for _, name := range sortedKeys(c.Guards) {
		guarded := c
		guarded.Series = map[string]string{}
		for _, each := range []map[string]string{c.Series, c.Guards[name]} {
			for key, values := range each {
				guarded.Series[key] = values
			}
		}
		all = append(all, c.situation(name, guarded.exporter(`cluster="east",instance="a"`, c.length(), asItIs), nil))
	}
	if c.Alone {
		return all
	}
	moved := (onset + c.Fires) / 2
	return append(all,
		c.situation("the exporter moves meanwhile", slices.Concat(west,
			c.exporter(`cluster="east",instance="a",pod="x-0"`, c.length(), func(_, v string, m int) string { return when(m <= moved, v, gone(m, moved+1)) }),
			c.exporter(`cluster="east",instance="b",pod="x-1"`, c.length(), func(_, v string, m int) string { return when(m > moved, v, "_") })), &east),
		c.situation("one of two exporters stands still", slices.Concat(one, west,
			c.exporter(`cluster="east",instance="b"`, c.length(), allGood)), &east),
		c.situation("one of two exporters restarts", slices.Concat(one, west,
			c.exporter(`cluster="east",instance="b"`, c.length(), func(_, v string, m int) string {
				return when(m < onset || m > c.Fires+2, v, gone(m, onset))
			})), &east),
	)
}

func (c ruleCase) length() int { return c.Fires + lasting }

// situation expects the alert from its minute on, or never.
func (c ruleCase) situation(name string, input []series, firing *alert) situation {
	s := situation{Name: c.name() + ": " + name, Interval: "1m", Series: input}
	minutes := []int{c.Fires - 1, c.Fires, c.Fires + 4}
	switch {
	case c.Changing:
		minutes = minutes[:2]
	case c.Ends > 0:
		minutes = append(minutes[:2], c.Ends-1, c.Ends)
	}
	for _, m := range minutes {
		e := expectation{EvalTime: minute(m), Alertname: c.Alert}
		if firing != nil && m >= c.Fires && (c.Ends == 0 || m < c.Ends) {
			e.ExpAlerts = []alert{firing.clone()}
		}
		s.Alerts = append(s.Alerts, e)
	}
	return s
}

// exporter returns the series of one exporter with labels of the scrape; change gives the value of each minute from the
// good one, the one of the case, and the minute.
func (c ruleCase) exporter(labels string, length int, change func(good, value string, minute int) string) []series {
	var all []series
	for _, name := range sortedKeys(c.Series) {
		good, minutes := timeline(c.Series[name], length)
		values := make([]string, length)
		for m, value := range minutes {
			values[m] = change(good[m], value, m)
			if values[m] == "_" && m > 0 && !slices.Contains([]string{"_", "stale"}, values[m-1]) {
				values[m] = "stale"
			}
		}
		metric, own, _ := strings.Cut(strings.ReplaceAll(name, "W", workload), "{")
		own = strings.TrimSuffix(own, "}")
		all = append(all, series{metric + "{" + labels + prefixed(own) + "}", strings.Join(values, " ")})
		if metric == "stability_middleware_up" {
			all = append(all, c.groupInfo(labels, own, values))
		}
	}
	return all
}

// groupInfo is what the exporter tells beside whether a target is up, at the same times: the group of the target. A member of a group is
// GROUP/MEMBER, and the case has a series for GROUP; the name of a target that was discovered by itself has a slash too.
func (c ruleCase) groupInfo(labels, own string, up []string) series {
	group := labelsOf(own)["target"]
	if slash := strings.LastIndex(group, "/"); slash >= 0 {
		together := fmt.Sprintf("stability_middleware_up{middleware=%q,target=%q}", labelsOf(own)["middleware"], group[:slash])
		if _, isMember := c.Series[together]; isMember {
			group = group[:slash]
		}
	}
	values := slices.Clone(up)
	for m, value := range values {
		if value == "0" {
			values[m] = "1"
		}
	}
	return series{fmt.Sprintf("stability_middleware_group_info{%s,%s,group=%q}", labels, own, group), strings.Join(values, " ")}
}

func prefixed(labels string) string {
	if labels == "" {
		return ""
	}
	return "," + labels
}

// timeline returns the good value and that of the case for each minute.
func timeline(values string, length int) (good, minutes []string) {
	if listed, found := strings.CutPrefix(values, "="); found {
		bad, fine, _ := strings.Cut(listed, "/")
		return goOn(repeated(fine), length), goOn(repeated(bad), length)
	}
	parts := strings.Fields(strings.ReplaceAll(values, "-", "_"))
	for m := range length {
		good = append(good, parts[0])
		minutes = append(minutes, when(m < onset, parts[0], parts[len(parts)-1]))
	}
	return good, minutes
}

func goOn(values []string, length int) []string {
	var minutes []string
	for m := range length {
		minutes = append(minutes, strings.ReplaceAll(values[min(m, len(values)-1)], "t", strconv.Itoa(60*m)))
	}
	return minutes
}

// repeated returns the values of a text in which 1*3 is 1 1 1.
func repeated(text string) []string {
	var values []string
	for _, field := range strings.Fields(text) {
		value, times, _ := strings.Cut(field, "*")
		n, err := strconv.Atoi(times)
		if err != nil {
			n = 1
		}
		values = append(values, slices.Repeat([]string{value}, n)...)
	}
	return values
}

func asItIs(_, value string, _ int) string { return value }
func allGood(good, _ string, _ int) string { return good }

// gone is the end of a series: Prometheus marks the first scrape without it.
func gone(m, first int) string { return when(m == first, "stale", "_") }

func when(condition bool, yes, no string) string {
	if condition {
		return yes
	}
	return no
}
