// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"bytes"
	"fmt"
	"strings"
)

// categoryTitles say what the checks of a category are about.
func categoryTitles() map[Category]string {
	return map[Category]string{
		Probe:      "Probes",
		Interval:   "Intervals and their units",
		JVM:        "Memory of Java",
		Resources:  "Requests and limits",
		Spread:     "Replicas and their places",
		Disruption: "Planned disruptions",
		Shutdown:   "Shutting down",
		Service:    "Services",
		Image:      "Images",
	}
}

// DocsMarkdown returns the reference of all checks, docs/checks.md. Each check has a heading of its id, to which links may lead.
func DocsMarkdown(all []Check) []byte {
	var doc bytes.Buffer
	doc.WriteString(docsIntroduction)
	titles := categoryTitles()
	for i := range all {
		if i == 0 || all[i].Category != all[i-1].Category {
			writeOverview(&doc, titles[all[i].Category], all[i:])
		}
		all[i].writeDocs(&doc)
	}
	return doc.Bytes()
}

// writeOverview begins a category with a table of its checks, which are the first of the given ones.
func writeOverview(doc *bytes.Buffer, title string, checks []Check) {
	fmt.Fprintf(doc, "\n## %s\n\n| check | levels | what is wrong |\n|---|---|---|\n", title)
	cell := strings.NewReplacer("|", `\|`, "<", "&lt;")
	for i := range checks {
		c := &checks[i]
		if c.Category != checks[0].Category {
			break
		}
		fmt.Fprintf(doc, "| [%s](#%s) | %s | %s |\n", c.ID, c.ID, c.levels(), cell.Replace(c.English))
	}
}

func (c *Check) levels() string {
	var names []string
	for _, l := range c.Levels {
		names = append(names, l.String())
	}
	return strings.Join(names, ", ")
}

func (c *Check) writeDocs(doc *bytes.Buffer) {
	fmt.Fprintf(doc, "\n### %s\n\n**%s.** %s。\n\n", c.ID, c.English, strings.TrimSuffix(c.Chinese, "。"))
	fmt.Fprintf(doc, "- Category `%s`, level %s.\n- **Why it matters:** %s\n- **What to do:** %s\n", c.Category, c.levels(), c.Why, c.Fix)
	if c.Spares != "" {
		fmt.Fprintf(doc, "- **Not flagged:** %s\n", c.Spares)
	}
	fmt.Fprintf(doc, "- Looks at %s.\n", c.subject())
}

// subject says what the check looks at, and what it needs to see beside it.
func (c *Check) subject() string {
	subject := map[bool]string{
		c.OfProbe != nil: "each probe", c.OfContainer != nil: "each container", c.OfWorkload != nil: "each workload", c.OfService != nil: "each Service",
		c.OfBudget != nil: "each PodDisruptionBudget", c.OfCluster != nil: "all workloads together",
	}[true]
	var names []string
	for _, kind := range c.Reads.All() {
		names = append(names, "`"+kind.String()+"`")
	}
	if len(names) > 0 {
		subject += "; needs to see " + strings.Join(names, ", ")
	}
	return subject
}

const docsIntroduction = `<!-- Generated from the declarations in internal/checks/. Do not edit. -->
# Checks

What the exporter looks for in how workloads, Services and PodDisruptionBudgets are set up. It compares specs with each other,
and with what the cluster proved of them: how long containers take to start, what was killed, where replicas really run.

- **critical**: it does not do what it is for, now.
- **warning**: it will hurt in a situation that is sure to come: mend it in working hours.
- **info**: worth knowing when somebody goes over the workload anyway. These are counted only.

` + "`stability_misconfiguration`" + ` has a series for each finding of level warning and critical, ` + "`stability_misconfigurations`" + ` counts all.
Nothing found means that all is well only where ` + "`stability_check_evaluated`" + ` is 1: a check that cannot see what it needs says nothing.
[Metrics](metrics.md#misconfiguration) has all families.

## To live with a finding

Say so on the object (the Deployment, StatefulSet, Service, PodDisruptionBudget ..., not its pod template), with a reason:

` + "```" + `
metadata:
  annotations:
    stability-exporter/ignore: probe_identical,single_replica
    stability-exporter/ignore-reason: batch worker, may be away for minutes
` + "```" + `

or in the configuration of the exporter:

` + "```" + `
checks:
  disabled: [image_mutable_tag]
  exempt:
    - {check: single_replica, namespace: 'dev-.*', reason: development may be away}
` + "```" + `

What is exempted is counted in ` + "`stability_check_exempted`" + `. An annotation without a reason, or with an id that is not on this
page, exempts nothing and is shown in ` + "`stability_check_exemptions_refused`" + `.

## What is not seen

- What is inside of images, and what programs fetch from a configuration server such as Nacos or Apollo.
- Secrets: they are never read.
- ConfigMaps and Events of a live cluster, unless the configuration asks for them (` + "`checks: configmap_namespaces`" + ` and ` + "`events`" + `) and the
  permissions allow it. What a dump holds is read.
`
