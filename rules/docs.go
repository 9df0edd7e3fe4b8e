// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"bytes"
	_ "embed"
	"encoding/csv"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

//go:embed alertmanager/inhibit_rules.yaml
var inhibition string

// measured is what test/pages writes: fault, alert, severity, seconds to the page at full length, seconds measured, and by
// what the times of the rules were divided then.
//
//go:embed seconds.csv
var measured string

// group is a group of rules as far as the documentation tells of it.
type group struct {
	Name  string
	Rules []struct {
		Alert, Record, For string
		Labels             map[string]string
		Annotations        map[string]string
	}
}

// DocsMarkdown returns the reference of all alerts and records, docs/alerts.md.
func DocsMarkdown() ([]byte, error) {
	node, err := readGroups()
	if err != nil {
		return nil, err
	}
	var groups []group
	if err := node.Decode(&groups); err != nil {
		return nil, fmt.Errorf("cannot decode the bundled rules: %w", err)
	}
	doc := bytes.NewBufferString(docsHead)
	for _, g := range groups {
		if g.Rules[0].Alert == "" {
			continue
		}
		fmt.Fprintf(doc, "\n### %s\n\n| alert | severity | for | meaning | tells why by |\n|---|---|---|---|---|\n", g.Name)
		for _, r := range g.Rules {
			fmt.Fprintf(doc, "| [%s](runbooks/%s.md) | %s | %s | %s | %s |\n",
				r.Alert, r.Alert, r.Labels["severity"], r.For, r.Annotations["summary"], causes(r.Annotations["description"]))
		}
	}
	doc.WriteString("\n## Recording rules\n\nAggregates for dashboards and for storage over a long time. No alert depends on them.\n\n")
	for _, g := range groups {
		for _, r := range g.Rules {
			if r.Record != "" {
				fmt.Fprintf(doc, "- `%s`\n", r.Record)
			}
		}
	}
	if err := writeSeconds(doc); err != nil {
		return nil, err
	}
	doc.WriteString(docsConfiguration)
	for _, t := range Thresholds() {
		fmt.Fprintf(doc, "| `%s` | [%s](runbooks/%s.md) | %s | %s | %s |\n", t.Name, t.Alert, t.Alert, t.Write(t.Default), t.Range(), t.Meaning)
	}
	doc.WriteString(docsInhibition + strings.TrimSpace(inhibition) + "\n```\n")
	return doc.Bytes(), nil
}

// writeSeconds writes the table of the seconds from each fault to its pages.
func writeSeconds(doc *bytes.Buffer) error {
	rows, err := csv.NewReader(strings.NewReader(measured)).ReadAll()
	if err != nil {
		return fmt.Errorf("cannot read the measured seconds: %w", err)
	}
	if len(rows) < 2 { // the first one names the columns
		return nil
	}
	doc.WriteString(docsSeconds)
	for _, row := range rows[1:] {
		how := "at full length"
		if row[5] != "1" {
			how = row[4] + " s with the times divided by " + row[5]
		}
		fmt.Fprintf(doc, "| %s | [%s](runbooks/%s.md) | %s | %s | %s |\n", row[0], row[1], row[1], row[2], row[3], how)
	}
	return nil
}

// causes names the metrics that a description is filled from.
func causes(description string) string {
	names := regexp.MustCompile(`\bstability_[a-z_]+`).FindAllString(strings.Join(
		regexp.MustCompile(`\(printf "(?:[^"\\]|\\.)*"`).FindAllString(description, -1), " "), -1)
	if len(names) == 0 {
		return "its labels and text"
	}
	slices.Sort(names)
	return "`" + strings.Join(slices.Compact(names), "`, `") + "`"
}

const docsHead = `<!-- Generated from the rules in rules/. Do not edit. -->
# Alerts

The rules load unchanged into Prometheus (2.42 and newer) and vmalert, and as an object of either operator:

    stability_exporter rules > stability.rules.yaml
    stability_exporter rules --format=prometheusrule | kubectl -n monitoring apply -f -
    stability_exporter rules --format=vmrule | kubectl -n monitoring apply -f -

` + "`--runbook-url=https://wiki.example.com/runbooks/`" + ` makes the alerts link to where you keep the [runbooks](runbooks/StabilityWorkloadDown.md).

- An alert stands for one workload, Service, node or zone of a ` + "`cluster`" + `, or target of middleware, never for a pod or for the exporter that
  saw it: an exporter that moves, and a second one, change nothing. Of two that disagree the one that sees more damage is believed, but
  middleware that one of them gets an answer from is not down.
- Alerts on middleware have the label ` + "`group`" + `: of a member that of its group, else the target itself. What concerns a group as a whole has the
  group as its ` + "`target`" + ` too and comes once; a member that fails while others serve is a warning. A password or certificate that is wrong for
  the exporter does not make middleware down: StabilityMiddlewareBlind tells of it.
- ` + "`critical`" + ` is an outage or blindness and keeps firing for five minutes longer; ` + "`warning`" + ` becomes one or shows that redundancy is gone;
  ` + "`info`" + ` is for the morning round.
- The description tells how much is lost, why, and where to look. It asks Prometheus for the causes when the alert fires, so that a cause
  that changes does not make another alert.
- ` + "`scope=\"node\"`" + ` marks a workload whose whole deficit is explained by lost nodes, ` + "`redundancy=\"none\"`" + ` one of a single replica.
- What the exporter may not read has no samples, and alerts on it stay silent. Without ` + "`honor_labels: true`" + ` in the scrape
  configuration the label ` + "`namespace`" + ` is lost, and rules do not match.
- [What people complain of](pains.md) elsewhere is played against these rules: it does not page, or does.
- StabilityExporterDown knows of a cluster for one day after its exporter was last seen. Alert on the scrape itself for longer absences.

## Alerting rules
`

const docsSeconds = `
## Seconds to the page

From the fault to the notification, on a real control plane with a scrape and an evaluation every 5 s; Alertmanager waits
10 s, so that what inhibits an alert may come first. A scrape every 30 s adds up to a minute. What was measured with
the times of the rules divided is told for the full length; a plus marks what takes longer still, because more than the rule
waits then. The target soak of the Makefile measures at full length.

| fault | alert | severity | seconds | measured |
|---|---|---|---|---|
`

const docsConfiguration = `
## Configuration

The section ` + "`rules`" + ` of the configuration says what is to be different; ` + "`config check`" + ` names every mistake in it with its line.
The exporter does not use it: print the rules again after a change, and load them.

    stability_exporter rules --config=FILE > stability.rules.yaml

` + "```yaml" + `
rules:
  alerts:
    StabilityHpaCapped:
      enabled: false                       # leaves it out
    StabilityCrashLoop:
      severity: critical                   # critical, warning or info
      for: 10m
      keep_firing_for: 15m                 # a critical alert has 5m when nothing is said
      labels: {team: platform}             # added; not those that the alert has by itself
  thresholds:
    crash_loop_restarts: 8                 # from the table below
  critical_namespaces: ['prod-.*', kube-system]
  critical_labels: {tier: 'gold|silver'}   # by the keys in --workload-labels
  critical_targets: ['erp-.*', bus]        # middleware, by target or group
` + "```" + `

An alert of several rules, such as StabilityWorkloadDown, is changed in all of them. What has another severity than in the tables
above tells that one in the label ` + "`default_severity`" + `. The inhibition below holds with any tier; an alert that silences others there
and is made less severe than they are would silence what pages, so change these as well or leave that rule of inhibition out.

**Tiers** keep what matters less from paging. With ` + "`critical_namespaces`" + ` or ` + "`critical_labels`" + `, a critical alert that has a namespace stays
critical inside of the tier and comes as a warning outside of it, under the same name, as soon and with the same text.
` + "`critical_targets`" + ` does the same for middleware, which has no namespace. Alerts with neither stay critical: zones, registries, the
control plane, the exporter itself.

- The regular expressions (RE2) have to match whole names and values. One that matches is enough: a workload is inside if its
  namespace is listed, and also if one of its labels is.
- ` + "`critical_labels`" + ` needs the labels in ` + "`stability_workload_info`" + `: start the exporter with ` + "`--workload-labels`" + `. A Service and a namespace have no
  such labels: they are inside if one workload of the namespace is.
- ` + "`critical_targets`" + ` are the names of targets that stand alone and of groups; a group is inside as a whole. Without
  it all middleware is inside.
- When in doubt it pages: outside is only what is seen to be. With ` + "`critical_labels`" + ` critical stays critical where no workload of the
  cluster has one of the labels, because ` + "`--workload-labels`" + ` does not name it for instance, and for what belongs to no workload in a
  namespace without any.

**Thresholds** are numbers in the expressions. Texts that tell the number change with it; the runbooks tell of the defaults.

| threshold | alert | default | range | meaning |
|---|---|---|---|---|
`

const docsInhibition = `
## Inhibition

What follows from something else need not be told again. For Alertmanager
([inhibit_rules.yaml](../rules/alertmanager/inhibit_rules.yaml)):

` + "```yaml\n"
