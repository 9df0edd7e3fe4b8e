// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// tell returns a critical rule as two: what is outside of the tier comes as a warning, the rest stays. That something is
// outside must be seen; when in doubt it pages.
func tell(rule *yaml.Node, outside string) []*yaml.Node {
	warning := clone(rule)
	setSeverity(rule, "critical")
	setSeverity(warning, "warning")
	expr := "(\n  " + strings.ReplaceAll(text(rule, "expr"), "\n", "\n  ") + "\n)\n"
	set(warning, "expr", expr+"and "+outside)
	set(rule, "expr", expr+"unless "+outside)
	return []*yaml.Node{rule, warning}
}

// outside returns the right side of a set operation that selects what is outside of the tier, out of what an expression
// tells about. It is empty when there are no tiers, or when what the expression tells about has no namespace and is no target of
// middleware.
func (c Config) outside(expr string) string {
	about := subject(expr)
	switch {
	case slices.Contains(about, "middleware") && slices.Contains(append(attached(expr), about...), "group"):
		return c.outsideByTargets()
	case !slices.Contains(about, "namespace"):
		return ""
	case len(c.CriticalLabels) > 0:
		return c.outsideByLabels(about)
	case len(c.CriticalNamespaces) > 0:
		by := "(cluster, namespace)"
		return fmt.Sprintf("on %s group by %s (%s)", by, by, selector(evidence(expr), c.elsewhere()))
	}
	return ""
}

// outsideByLabels is about workloads; what belongs to none, such as a Service, is outside when all workloads of its
// namespace are. A cluster where nothing has the label is not judged: the exporter may not have been told to show it.
func (c Config) outsideByLabels(about []string) string {
	const info = "stability_workload_info"
	by := "(cluster, namespace)"
	if slices.Contains(about, "workload") && slices.Contains(about, "workload_type") {
		by = "(cluster, namespace, workload, workload_type)"
	}
	lines := []string{"group by " + by + " (" + selector(info, c.elsewhere()) + ")"}
	keys := slices.Sorted(maps.Keys(c.CriticalLabels))
	for _, key := range keys {
		lines = append(lines, fmt.Sprintf("unless on %s group by %s (%s)", by, by,
			selector(info, matcher(InfoLabel(key), "=", c.CriticalLabels[key]))))
	}
	for _, key := range keys {
		lines = append(lines, fmt.Sprintf("and on (cluster) group by (cluster) (%s)", selector(info, InfoLabel(key)+`!=""`)))
	}
	return "on " + by + " (\n  " + strings.Join(lines, "\n  ") + "\n)"
}

// outsideByTargets is about middleware: a group, or a target that stands alone, by its name.
func (c Config) outsideByTargets() string {
	if len(c.CriticalTargets) == 0 {
		return ""
	}
	const by = "(cluster, middleware, group)"
	return fmt.Sprintf("on %s group by %s (%s)", by, by,
		selector("stability_middleware_group_info", matcher("group", "!=", alternatives(c.CriticalTargets))))
}

// elsewhere matches all namespaces but those of the tier; it is empty when the tier names none.
func (c Config) elsewhere() string {
	if len(c.CriticalNamespaces) == 0 {
		return ""
	}
	return matcher("namespace", "!=", alternatives(c.CriticalNamespaces))
}

// alternatives joins regular expressions to one that matches what any of them does. A flag such as (?i) stays with its own.
func alternatives(patterns []string) string {
	var each []string
	for _, pattern := range patterns {
		if len(patterns) > 1 && strings.Contains(pattern, "(?") {
			pattern = "(?:" + pattern + ")"
		}
		each = append(each, pattern)
	}
	return strings.Join(each, "|")
}

// evidence returns a metric that an expression is made of and that there is for each namespace it tells about.
func evidence(expr string) string {
	for _, dense := range []string{"stability_workload_desired_replicas", "stability_service_ready_endpoints"} {
		if strings.Contains(expr, dense) {
			return dense
		}
	}
	return regexp.MustCompile(`\bstability_\w+`).FindString(expr)
}

func selector(metric, matcher string) string {
	if matcher == "" {
		return metric
	}
	return metric + "{" + matcher + "}"
}

// matcher returns a matcher of a label: operator is = where it is to match the pattern, and != where it is not.
func matcher(label, operator, pattern string) string {
	if regexp.QuoteMeta(pattern) != pattern {
		operator = operator[:1] + "~"
	}
	return label + operator + strconv.Quote(pattern)
}

// InfoLabel returns the label of stability_workload_info that shows the object label with the given key.
func InfoLabel(key string) string {
	return "label_" + regexp.MustCompile(`[^A-Za-z0-9]`).ReplaceAllString(key, "_")
}
