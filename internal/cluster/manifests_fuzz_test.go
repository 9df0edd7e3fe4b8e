// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// addSeeds gives a fuzz test every fixture, cut in a few places too.
func addSeeds(f *testing.F) {
	files, err := filepath.Glob("testdata/manifests/*.*")
	if err != nil || len(files) == 0 {
		f.Fatal("no fixtures", err)
	}
	for _, file := range files {
		text := fixture(f, filepath.Base(file))
		f.Add([]byte(text))
		f.Add([]byte(text[:len(text)/2]))
		f.Add([]byte(text[len(text)/3:]))
	}
	for _, text := range []string{
		"", "\n", "---", "--- ", "...\n---\n", "items:\n", "items:\n-", "items:\n-\n-\n", "{", "[", "]", "[{}]", `{"items":[`,
		`{"items":[{},1,"a",[],null]}`, `{"items":[]}{"items":[{}]}`, "\xef\xbb\xbfkind: a", "\xff\xfe", logStart, logEnd + "\n",
		logStart + "a of pod b/c ====\nx" + logEnd + "a of pod b/c ====\n{}", "a: &a [*a]", "<<: {a: b}", "? a\n: b", "- a\n- b",
		"kind: List\napiVersion: v1\nitems:\n  - kind: List\n    apiVersion: v1\n    items:\n    - kind: Node\n",
	} {
		f.Add([]byte(text))
	}
}

// FuzzSplit: pieces come in the order of the file, name lines that it has, and valid JSON is never found broken.
func FuzzSplit(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		lines := bytes.Count(data, []byte("\n")) + 1
		document, pieces := 0, 0
		shallow := bytes.Count(data, []byte("["))+bytes.Count(data, []byte("{")) < maxDepth
		object := bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")) && json.Valid(data) && shallow
		for p := range split(bytes.NewReader(data)) {
			pieces++
			if p.document < document || p.line < 1 || p.line > lines {
				t.Fatalf("document %d after %d, line %d of %d", p.document, document, p.line, lines)
			}
			document = p.document
			if object && (p.err != nil || p.document != 1) {
				t.Fatalf("valid JSON gave %+v", p)
			}
			if object && !p.item && !bytes.Contains(data, []byte(`items`)) && string(p.text) != string(bytes.TrimSpace(data)) {
				t.Fatalf("text %q, want %q", p.text, data)
			}
		}
		if pieces > len(data)+1 {
			t.Fatalf("%d pieces of %d bytes", pieces, len(data))
		}
	})
}

// FuzzDecode: whatever a file holds, it becomes objects with names or errors with lines.
func FuzzDecode(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		lines := bytes.Count(data, []byte("\n")) + 1
		clock := newDumpClock(time.Now())
		p := newPicture(&ManifestOptions{}, clock, func(e documentError) {
			if e.Line < 1 || e.Line > lines {
				t.Errorf("line %d of %d: %v", e.Line, lines, e.Err)
			}
			if strings.TrimSpace(e.Err.Error()) == "" {
				t.Error("an error without words")
			}
		})
		p.add("fuzz", bytes.NewReader(data))
		for _, row := range kinds() {
			list := p.list(row.Kind)
			for _, o := range list {
				if m := o.ObjectMeta(); m.Name == "" || row.Namespaced != (m.Namespace.String() != "") {
					t.Errorf("%s without its name: %+v", row.Name, m)
				}
			}
			if len(list) > 0 && !p.seen.Has(row.Kind) {
				t.Errorf("%s are there and not seen", row.Kind)
			}
		}
		if clock.now().After(clock.wall) {
			t.Error("now lies ahead of our clock")
		}
	})
}
