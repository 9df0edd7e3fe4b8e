// SPDX-License-Identifier: Apache-2.0

package dashboards

import (
	"fmt"
	"slices"
	"strings"
)

// subject is what a query is about. Every query aggregates over the exporter's own labels (instance and the like), so that
// a panel shows one line when the exporter moves or runs twice, and it does so towards damage.
type subject struct {
	variables []string // of the dashboard: those that select the subject, named like the labels
	identity  []string // labels that tell one from another
}

func workloads() subject {
	return subject{[]string{"cluster", "namespace", "workload"}, []string{"cluster", "namespace", "workload", "workload_type"}}
}

func services() subject {
	return subject{[]string{"cluster", "namespace"}, []string{"cluster", "namespace", "service"}}
}

func inNamespaces() subject {
	return subject{[]string{"cluster", "namespace"}, []string{"cluster", "namespace"}}
}

func budgets() subject {
	return subject{[]string{"cluster", "namespace"}, []string{"cluster", "namespace", "poddisruptionbudget"}}
}

func nodes() subject {
	return subject{[]string{"cluster", "zone", "node"}, []string{"cluster", "node", "zone"}}
}

func zones() subject { return subject{[]string{"cluster", "zone"}, []string{"cluster", "zone"}} }

func middlewareTargets() subject {
	return subject{[]string{"cluster", "middleware", "target"}, []string{"cluster", "middleware", "target"}}
}

func clusters() subject { return subject{[]string{"cluster"}, []string{"cluster"}} }

// samples selects what the variables choose of a metric, which may have matchers of its own: name{label="value"}.
func (s subject) samples(metric string) string {
	name, own, _ := strings.Cut(strings.TrimSuffix(metric, "}"), "{")
	var matchers []string
	for _, variable := range s.variables {
		pattern := "$" + variable
		if variable == "target" {
			pattern += "(/.+)?" // who selects a group sees its members too, which are GROUP/MEMBER
		}
		matchers = append(matchers, fmt.Sprintf(`%s=~"%s"`, variable, pattern))
	}
	if own != "" {
		matchers = append(matchers, own)
	}
	if len(matchers) == 0 {
		return name
	}
	return name + "{" + strings.Join(matchers, ",") + "}"
}

// max is for flags, deltas and timestamps: one value for each subject and each value of the other labels.
func (s subject) max(metric string, labels ...string) string {
	return s.aggregate("max", s.samples(metric), labels...)
}

// min is for ratios, readiness and replicas.
func (s subject) min(metric string, labels ...string) string {
	return s.aggregate("min", s.samples(metric), labels...)
}

func (s subject) aggregate(how, what string, labels ...string) string {
	return fmt.Sprintf("%s by (%s) (%s)", how, strings.Join(slices.Concat(s.identity, labels), ", "), what)
}

// where keeps those values of a query whose subject a condition finds.
func (s subject) where(query, condition string) string {
	return fmt.Sprintf("%s and on (%s) (%s)", query, strings.Join(s.identity, ", "), condition)
}

// spread gives every value of a query those of the subject: the query has more labels than the subject, which stay.
func (s subject) spread(values, query string) string {
	return fmt.Sprintf("(%s > bool 0) * on (%s) group_left () (%s)", query, strings.Join(s.identity, ", "), values)
}

// zeroIf gives a query that finds nothing while all is well a 0, provided that somebody looks: the dense metric is there.
// Without it nothing is shown, for the unknown is not health.
func (s subject) zeroIf(query, dense string) string {
	return fmt.Sprintf("%s or sum(%s) * 0", query, s.samples(dense))
}
