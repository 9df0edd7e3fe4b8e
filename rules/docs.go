// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"bytes"
	_ "embed"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

//go:embed alertmanager/inhibit_rules.yaml
var inhibition string

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
	doc.WriteString(docsInhibition + strings.TrimSpace(inhibition) + "\n```\n")
	return doc.Bytes(), nil
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

- An alert stands for one workload, Service, node or zone of a ` + "`cluster`" + `, never for a pod or for the exporter that saw it: an
  exporter that moves, and a second one, change nothing. Of two that disagree the one that sees more damage is believed.
- ` + "`critical`" + ` is an outage or blindness and keeps firing for five minutes longer; ` + "`warning`" + ` becomes one or shows that redundancy is gone;
  ` + "`info`" + ` is for the morning round.
- The description tells how much is lost, why, and where to look. It asks Prometheus for the causes when the alert fires, so that a cause
  that changes does not make another alert.
- ` + "`scope=\"node\"`" + ` marks a workload whose whole deficit is explained by lost nodes, ` + "`redundancy=\"none\"`" + ` one of a single replica.
- What the exporter may not read has no samples, and alerts on it stay silent. Without ` + "`honor_labels: true`" + ` in the scrape
  configuration the label ` + "`namespace`" + ` is lost, and rules do not match.
- StabilityExporterDown knows of a cluster for one day after its exporter was last seen. Alert on the scrape itself for longer absences.

## Alerting rules
`

const docsInhibition = `
## Inhibition

What follows from something else need not be told again. For Alertmanager
([inhibit_rules.yaml](../rules/alertmanager/inhibit_rules.yaml)):

` + "```yaml\n"
