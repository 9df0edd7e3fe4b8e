// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"strings"
	"testing"
)

const goodRule = `groups:
- name: stability.nodes
  rules:
  - alert: StabilityNodeNotReady
    expr: min by (cluster, node) (stability_node_ready) == 0
    for: 5m
    labels:
      severity: warning
    annotations:
      summary: A node is not ready.
      description: 'Node {{ $labels.node }} is not ready. Cause: {{ range query (printf "max(stability_node_cordoned{cluster=%q})" $labels.cluster) }}{{ . | value }}{{ else }}none{{ end }}. Look: there'
      runbook_url: docs/runbooks/StabilityNodeNotReady.md
`

func TestLintFindsWhatItForbids(t *testing.T) {
	metrics := documentedMetrics(t)
	if problems := lint(goodRule, metrics); len(problems) > 0 {
		t.Fatalf("a good rule has problems: %q", problems)
	}
	for _, c := range []struct{ from, to, problem string }{
		{"stability_node_ready)", "stability_node_well)", "there is no metric stability_node_well"},
		{"stability_node_ready)", `stability_node_ready{pool="a"})`, "has no label pool"},
		{"stability_node_ready)", `stability_node_ready{zone=~"a"})`, "use ="},
		{"by (cluster, node)", "by (cluster, node, instance)", "aggregate by what the alert is about"},
		{"by (cluster, node)", "by (node)", "does not say of which cluster"},
		{"by (cluster, node)", "without (zone)", "aggregate by what the alert is about"},
		{"min by (cluster, node) (stability_node_ready)", "stability_node_ready", "the labels of the result are not certain"},
		{"min by (cluster, node) (stability_node_ready)", "min by (cluster, node) (rate(stability_node_reboots_total[5m]))", "function rate"},
		{"min by (cluster, node) (stability_node_ready)", "avg_over_time(min by (cluster, node) (stability_node_ready)[5m:])", "no step"},
		{"$labels.node ", "$labels.zone ", "uses label zone"},
		{"cluster=%q", "cluster=%q,zone=%q", "as many arguments"},
		{"cluster=%q", "zone=%q", "asks by zone"},
		{"max(stability_node_cordoned", "max(stability_node_gone", "there is no metric stability_node_gone"},
		{"max(stability_node_cordoned", "max(ALERTS_FOR_STATE", "asks for the state of any alert"},
		{"max(stability_node_cordoned{", `max(ALERTS_FOR_STATE{alertname=\"StabilityNodeGone\",`, "another alert is pending: StabilityNodeGone"},
		{"{{ . | value }}", "{{ . | first | value }}", "not total or not portable"},
		{"severity: warning", "severity: page", "severity is none of"},
		{"severity: warning", "severity: critical", "keep_firing_for"},
		{"severity: warning", "severity: warning\n      node: x", "hides the one of the result"},
		{"severity: warning", "severity: warning\n      a: '{{ $value }}'", "label a is a template"},
		{"for: 5m", "for: 30s", "for is less than a minute"},
		{"summary: A node", "summary: '{{ $value }} nodes' #", "the summary changes"},
		{" Look: there", "", "where to look"},
		{"Cause: ", "", "does not tell the cause"},
		{"runbook_url: docs/", "runbook_url: doc/", "runbook_url is not"},
		{"NotReady\n    expr", "Gone\n    expr", "there is no runbook"},
		{"alert: Stability", "alert: ", "does not begin with Stability"},
		{"- name: stability.nodes\n", "- name: stability.nodes\n  query_offset: 1m\n", "group key query_offset"},
		{"  rules:\n", "  rules:\n  - record: cluster:stability_node_ready:min\n    expr: min by (cluster) (stability_node_ready)\n", "records and alerts in one group"},
		{"A node is", "A %{NODE} is", "vmalert would replace"},
		{"    for: 5m\n", "    for: 5m\n    debug: true\n", "debug"},
	} {
		text := strings.Replace(goodRule, c.from, c.to, 1)
		if problems := strings.Join(lint(text, metrics), "\n"); text == goodRule || !strings.Contains(problems, c.problem) {
			t.Errorf("%q instead of %q: found %q, want %q", c.to, c.from, problems, c.problem)
		}
	}
}
