// SPDX-License-Identifier: Apache-2.0

package collectors

import (
	"strings"
	"testing"

	"stability-exporter/internal/state"
)

func TestDocsMarkdown(t *testing.T) {
	got := string(DocsMarkdown([]Spec{
		{
			Name: "first", Help: "The first.", Default: true, Reads: state.KindSet(state.Pods, state.Nodes),
			Families: []*Family{
				gauge("stability_first_pods", "Pods | of <one> kind.", "namespace", "pod_kind"),
				sparseCounter("stability_first_total", "A counter."),
			},
		},
		{Name: "second", Help: "The second."},
	}))
	_, got, _ = strings.Cut(got, "\n## first\n")
	wantText(t, got, `

The first. By default on.
Reads nodes, pods.

| metric | type | labels | samples | meaning |
|---|---|---|---|---|
| `+"`stability_first_pods` | gauge | `namespace`, `pod_kind`"+` | dense | Pods \| of &lt;one> kind. |
| `+"`stability_first_total`"+` | counter |  | sparse | A counter. |

## second

The second. By default off.

| metric | type | labels | samples | meaning |
|---|---|---|---|---|
`)
}

func TestDocsNameEveryFamily(t *testing.T) {
	specs, err := All(Options{})
	if err != nil {
		t.Fatal(err)
	}
	doc := string(DocsMarkdown(specs))
	for _, f := range allFamilies(t) {
		if strings.Count(doc, "| `"+f.Name+"` |") != 1 {
			t.Errorf("%s is not documented once", f.Name)
		}
	}
}
