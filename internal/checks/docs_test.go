// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stability-exporter/internal/state"
)

func TestDocsMarkdown(t *testing.T) {
	ofProbe := func(*ProbeSubject) Verdict { return Verdict{} }
	got := string(DocsMarkdown([]Check{
		{ID: "first_one", Category: Probe, Levels: []Level{Info, Critical}, English: "A | is <b>", Chinese: "甲", Why: "It hurts.", Fix: "Mend it.",
			Spares: "What is fine.", Reads: state.KindSet(state.Events, state.Nodes), OfProbe: ofProbe},
		{ID: "second_one", Category: Probe, Levels: []Level{Warning}, English: "B", Chinese: "乙。", Why: "So.", Fix: "Do.",
			OfWorkload: func(*WorkloadSubject) Verdict { return Verdict{} }},
		{ID: "third_one", Category: Image, Levels: []Level{Info}, English: "C", Chinese: "丙", Why: "Because.", Fix: "Pin.",
			OfContainer: func(*ContainerSubject) Verdict { return Verdict{} }},
	}))
	_, got, _ = strings.Cut(got, "What a dump holds is read.\n")
	if diff := cmp.Diff(`
## Probes

| check | levels | what is wrong |
|---|---|---|
| [first_one](#first_one) | info, critical | A \| is &lt;b> |
| [second_one](#second_one) | warning | B |

### first_one

**A | is <b>.** 甲。

- Category `+"`probe`"+`, level info, critical.
- **Why it matters:** It hurts.
- **What to do:** Mend it.
- **Not flagged:** What is fine.
- Looks at each probe; needs to see `+"`nodes`, `events`"+`.

### second_one

**B.** 乙。

- Category `+"`probe`"+`, level warning.
- **Why it matters:** So.
- **What to do:** Do.
- Looks at each workload.

## Images

| check | levels | what is wrong |
|---|---|---|
| [third_one](#third_one) | info | C |

### third_one

**C.** 丙。

- Category `+"`image`"+`, level info.
- **Why it matters:** Because.
- **What to do:** Pin.
- Looks at each container.
`, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// Alerts, exemptions and links depend on the ids: testdata/ids.txt has those that were ever released.
func TestIdsStay(t *testing.T) {
	text, err := os.ReadFile("testdata/ids.txt")
	if err != nil {
		t.Fatal(err)
	}
	var declared []string
	for _, c := range All() {
		declared = append(declared, c.ID)
	}
	slices.Sort(declared)
	if diff := cmp.Diff(strings.Fields(string(text)), declared); diff != "" {
		t.Errorf("a check that was released is gone (-), or a new one (+) is not written into testdata/ids.txt, where it will stay:\n%s", diff)
	}
}

// A check that declares itself wrongly would never run, or be found nowhere.
func TestDeclarations(t *testing.T) {
	titles := map[string]string{}
	category := map[Category]bool{}
	all := All()
	for i, c := range all {
		functions := 0
		for _, set := range []bool{c.OfProbe != nil, c.OfContainer != nil, c.OfWorkload != nil, c.OfService != nil, c.OfBudget != nil, c.OfCluster != nil} {
			if set {
				functions++
			}
		}
		if functions != 1 {
			t.Errorf("%s has %d functions, want one", c.ID, functions)
		}
		if !regexp.MustCompile(`^[a-z]+(_[a-z]+)+$`).MatchString(c.ID) {
			t.Errorf("the id %q is not snake_case", c.ID)
		}
		if categoryTitles()[c.Category] == "" || category[c.Category] && all[i-1].Category != c.Category {
			t.Errorf("%s: the category %q is unknown, or its checks do not stand together", c.ID, c.Category)
		}
		category[c.Category] = true
		for _, title := range []string{c.English, c.Chinese} {
			if other := titles[title]; other != "" {
				t.Errorf("%s and %s have the same title %q", c.ID, other, title)
			}
			titles[title] = c.ID
		}
		for what, text := range map[string]string{"Why": c.Why, "Fix": c.Fix, "Spares": c.Spares} {
			if text != "" && (!strings.HasSuffix(text, ".") || strings.Contains(text, "\n")) {
				t.Errorf("%s: %s has to be one line that ends with a full stop: %q", c.ID, what, text)
			}
		}
	}
}
