// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"stability-exporter/internal/state"
)

// reading is what a test sees of a picture.
type reading struct {
	*picture
	objects []string // kind namespace/name, sorted
	errors  []string
}

func readText(t *testing.T, options ManifestOptions, texts ...string) reading {
	t.Helper()
	var r reading
	clock := newDumpClock(time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC))
	r.picture = newPicture(&options, clock, func(e documentError) {
		r.errors = append(r.errors, strings.TrimPrefix(e.Error(), e.File+": "))
	})
	for i, text := range texts {
		r.picture.add(fmt.Sprintf("file%d", i), strings.NewReader(text))
	}
	for _, row := range kinds() {
		for _, o := range r.picture.list(row.Kind) {
			m := o.ObjectMeta()
			r.objects = append(r.objects, strings.TrimPrefix(fmt.Sprintf("%T ", o), "*state.")+m.Namespace.String()+"/"+m.Name)
		}
	}
	slices.Sort(r.objects)
	return r
}

func fixture(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata/manifests", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func readFixtures(t *testing.T, names ...string) reading {
	t.Helper()
	var texts []string
	for _, name := range names {
		texts = append(texts, fixture(t, name))
	}
	return readText(t, ManifestOptions{}, texts...)
}

func wantLines(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n  %s\nwant:\n  %s", what, strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

// seenKinds names the kinds that occur.
func seenKinds(p *picture) string {
	var names []string
	for _, k := range p.seen.All() {
		names = append(names, k.String())
	}
	return strings.Join(names, " ")
}

func TestEveryFormOfOutputIsRead(t *testing.T) {
	shown := []string{"Pod product/app-base-5c9f8d7b6c-q8z2k", "Service product/app-base", "Workload product/app-base"}
	got := append([]string{"ConfigMap product/app-base"}, shown...)
	dump := append([]string{"Node /k8snode04", "Pod kube-system/coredns-7d764666f9-x2k4p"}, shown...)
	const gotKinds = "configmaps deployments services pods"
	const dumpKinds = "nodes deployments daemonsets replicasets services pods events" // of which none tells of a probe
	folder, err := filepath.Glob("testdata/manifests/dump/*/*.json")
	if err != nil || len(folder) == 0 {
		t.Fatal("no dump folder", err)
	}
	files := []string{"dump/nodes.json"}
	for _, f := range folder {
		files = append(files, strings.TrimPrefix(f, "testdata/manifests/"))
	}
	for _, c := range []struct {
		name    string
		files   []string
		objects []string
		kinds   string
		foreign int
	}{
		{"kubectl get -o yaml", []string{"get.yaml"}, got, gotKinds, 0},
		{"kubectl get -o json", []string{"get.json"}, got, gotKinds, 0},
		{"cluster-info dump, standard output", []string{"dump.txt"}, dump, dumpKinds, 0},
		{"cluster-info dump -o yaml, standard output", []string{"dump-yaml.txt"}, dump, dumpKinds, 0},
		{"cluster-info dump, folder", files, dump, dumpKinds, 0},
		{"the same twice", []string{"get.yaml", "get.json"}, got, gotKinds, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := readFixtures(t, c.files...)
			wantLines(t, "objects", r.objects, c.objects)
			wantLines(t, "errors", r.errors, nil)
			if kinds := seenKinds(r.picture); kinds != c.kinds {
				t.Errorf("kinds %q, want %q", kinds, c.kinds)
			}
			if r.foreign != c.foreign {
				t.Errorf("%d objects of other kinds, want %d", r.foreign, c.foreign)
			}
		})
	}
}

func TestLineEndingsAndMarks(t *testing.T) {
	for _, name := range []string{"get.yaml", "get.json", "dump.txt", "dump-yaml.txt"} {
		want := readFixtures(t, name)
		r := readText(t, ManifestOptions{}, "\xef\xbb\xbf"+strings.ReplaceAll(fixture(t, name), "\n", "\r\n"))
		wantLines(t, name+" from Windows", r.objects, want.objects)
		wantLines(t, name+" from Windows: errors", r.errors, nil)
	}
}

func TestItemsTakeTheirKindFromTheList(t *testing.T) {
	for _, text := range []string{
		"kind: PodList\napiVersion: v1\nitems:\n- metadata: {name: a}\n",
		"items:\n- metadata: {name: a}\nkind: \"PodList\"\napiVersion: v1\n",
		"kind: 'PodList' # of pods\napiVersion: v1\nitems:\n    # indented\n    - metadata:\n        name: a\n",
		"---\napiVersion: v1\nkind: PodList\nitems: [{metadata: {name: a}}]\n",
		`{"items":[{"metadata":{"name":"a"}}],"kind":"PodList","apiVersion":"v1"}`,
		`{"kind":"PodList","apiVersion":"v1","items":[{"metadata":{"name":"a"}}]}`,
	} {
		r := readText(t, ManifestOptions{}, text)
		wantLines(t, text, append(r.objects, r.errors...), []string{"Pod default/a"})
	}
}

func TestPlainManifests(t *testing.T) {
	r := readFixtures(t, "plain.yaml")
	wantLines(t, "errors", r.errors, nil)
	wantLines(t, "objects", r.objects, []string{
		"CronJob default/nightly", "DisruptionBudget product/everything", "Job default/migrate",
		"ReplicaSet product/free", "Service default/app-base", "Workload default/app-base", "Workload product/free",
	})
	w := r.list(state.Deployments)[0].(*state.Workload)
	if w.HasStatus || w.Desired != 3 {
		t.Errorf("HasStatus %v, Desired %d; a manifest tells what its spec tells", w.HasStatus, w.Desired)
	}
	if v, _ := w.TemplateLabels.Get("team"); v != "platform" {
		t.Errorf("template label team is %q; the alias was not followed", v)
	}
	if again := readFixtures(t, "plain.yaml").list(state.Deployments)[0].ObjectMeta(); w.UID == (state.UID{}) || w.UID != again.UID {
		t.Errorf("UIDs %x and %x; want the same in every reading", w.UID, again.UID)
	}
	if b := r.list(state.PodDisruptionBudgets)[0].(*state.DisruptionBudget); b.Selector != nil {
		t.Error("an empty selector of policy/v1beta1 selects something")
	}
}

func TestBadDocumentsAreNamedAndTheOthersCount(t *testing.T) {
	r := readFixtures(t, "broken.yaml")
	wantLines(t, "objects", r.objects, []string{
		"Service default/first", "Service default/fourth", "Service default/last", "Service default/second",
	})
	wantLines(t, "errors", r.errors, []string{
		"document 2, line 9: did not find expected ',' or ']'",
		"document 3, line 17: cannot read Deployment: spec.replicas must not be a string",
		"document 4, line 19: this is no Kubernetes object: it needs an apiVersion and a kind",
		"document 5, line 31: cannot read Service: metadata.labels must not be a string",
		"document 5, line 33: cannot read Service: it has no metadata.name",
	})
	r = readFixtures(t, "broken.json")
	wantLines(t, "objects", r.objects, []string{"Service default/first", "Service default/last", "Service default/second"})
	wantLines(t, "errors", r.errors, []string{
		"document 2, line 6: a string is not closed",
		"document 3, line 18: cannot read Service: metadata.name must not be a number",
		"document 3, line 24: unexpected '{'; what stands before it is incomplete",
	})
}

func TestWhatOccursIsObserved(t *testing.T) {
	const lease = "apiVersion: coordination.k8s.io/v1\nkind: Lease\nmetadata: {namespace: %s, name: %s}\n"
	for _, c := range []struct{ name, text, kinds string }{
		{"an empty typed list", `{"kind":"PodList","apiVersion":"v1","items":[]}`, "pods"},
		{"an empty typed list in YAML", "apiVersion: v1\nitems: []\nkind: PodList\n", "pods"},
		{"an empty list without a type", `{"kind":"List","apiVersion":"v1","items":[]}`, ""},
		{"an empty list of another group", `{"kind":"PodList","apiVersion":"example.com/v1","items":[]}`, ""},
		{"a foreign kind of a known name", `{"kind":"Service","apiVersion":"serving.knative.dev/v1","metadata":{"name":"a"}}`, ""},
		{"a nested typed list", `{"kind":"List","apiVersion":"v1","items":[{"kind":"NodeList","apiVersion":"v1","items":[]}]}`, "nodes"},
		{"an array", `[{"kind":"Node","apiVersion":"v1","metadata":{"name":"a"}}]`, "nodes"},
		{"a bad object", `{"kind":"Node","apiVersion":"v1","metadata":{}}`, ""},
		{"the lease of a component", fmt.Sprintf(lease, "kube-system", "kube-scheduler"), "leases"},
		{"the lease of a node", fmt.Sprintf(lease, "kube-node-lease", "k8snode04"), ""},
	} {
		if kinds := seenKinds(readText(t, ManifestOptions{}, c.text).picture); kinds != c.kinds {
			t.Errorf("%s: kinds %q, want %q", c.name, kinds, c.kinds)
		}
	}
}

func TestOneObjectInSeveralFiles(t *testing.T) {
	pod := func(version, node string) string {
		return fmt.Sprintf(`{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a","namespace":"n","resourceVersion":%q},"spec":{"nodeName":%q}}`,
			version, node)
	}
	for _, c := range []struct {
		name  string
		files []string
		want  string
	}{
		{"newer later", []string{pod("9", "old"), pod("10", "new")}, "new"},
		{"newer first", []string{pod("10", "new"), pod("9", "old")}, "new"},
		{"equal", []string{pod("10", "first"), pod("10", "later")}, "later"},
		{"later without version", []string{pod("10", "first"), pod("", "later")}, "later"},
		{"first without version", []string{pod("", "first"), pod("1", "later")}, "later"},
	} {
		pods := readText(t, ManifestOptions{}, c.files...).list(state.Pods)
		if len(pods) != 1 {
			t.Errorf("%s: %d pods, want 1", c.name, len(pods))
		} else if node := pods[0].(*state.Pod).Node.String(); node != c.want {
			t.Errorf("%s: got the %s one, want the %s one", c.name, node, c.want)
		}
	}
}

func TestNamespacesAndKindsLimitWhatIsPut(t *testing.T) {
	const text = `{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a","namespace":"n1"}}
		{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a","namespace":"n2"}}
		{"kind":"Node","apiVersion":"v1","metadata":{"name":"a"}}
		{"kind":"Lease","apiVersion":"coordination.k8s.io/v1","metadata":{"name":"kube-scheduler","namespace":"kube-system"}}`
	for _, c := range []struct {
		name    string
		options ManifestOptions
		want    []string
	}{
		{"one namespace", ManifestOptions{Namespaces: []string{"n1"}}, []string{"Lease kube-system/kube-scheduler", "Node /a", "Pod n1/a"}},
		{"without one", ManifestOptions{ExcludeNamespaces: []string{"n1"}}, []string{"Lease kube-system/kube-scheduler", "Node /a", "Pod n2/a"}},
		{"one kind", ManifestOptions{Kinds: state.KindSet(state.Nodes)}, []string{"Node /a"}},
	} {
		r := readText(t, c.options, text)
		wantLines(t, c.name, r.objects, c.want)
		if kinds := seenKinds(r.picture); kinds != "nodes pods leases" {
			t.Errorf("%s: kinds %q; a filter hides objects, not that the dump holds their kind", c.name, kinds)
		}
	}
}

func TestAutoscalerOfAnOldServer(t *testing.T) {
	r := readText(t, ManifestOptions{}, `{"kind":"HorizontalPodAutoscaler","apiVersion":"autoscaling/v1","metadata":{"name":"a","annotations":
		{"autoscaling.alpha.kubernetes.io/conditions":"[{\"type\":\"ScalingLimited\",\"status\":\"True\",\"reason\":\"TooManyReplicas\"}]"}}}`)
	if a := r.list(state.HorizontalPodAutoscalers)[0].(*state.Autoscaler); a.Limited.String() != "TooManyReplicas" {
		t.Errorf("limited by %q, want TooManyReplicas", a.Limited)
	}
}

// TestHostileDocuments: whatever a file holds, reading it ends soon and takes no more than the caps allow.
func TestHostileDocuments(t *testing.T) {
	const good = "\n---\n{\"kind\":\"Node\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"good\"}}\n"
	bomb := "a0: &a0 [x,x,x,x,x,x,x,x,x]\n"
	merge := "m0: &m0 {k: v}\n"
	for i := 1; i < 40; i++ {
		bomb += fmt.Sprintf("a%d: &a%d [*a%d,*a%d,*a%d,*a%d,*a%d]\n", i, i, i-1, i-1, i-1, i-1, i-1)
		merge += fmt.Sprintf("m%d: &m%d {<<: [*m%d,*m%d,*m%d,*m%d]}\n", i, i, i-1, i-1, i-1, i-1)
	}
	large := strings.Repeat("x", maxObjectBytes)
	for name, text := range map[string]string{
		"alias bomb":            bomb,
		"merge bomb":            merge,
		"alias of itself":       "a: &a {b: *a}",
		"merge of itself":       "a: &a {<<: *a}",
		"deep JSON":             strings.Repeat(`{"a":`, 100_000),
		"deep JSON arrays":      strings.Repeat(`[`, 100_000),
		"deep YAML":             strings.Repeat(`[`, 9_000),
		"deep lists":            strings.Repeat(`{"apiVersion":"v1","kind":"List","items":[`, 50) + strings.Repeat(`]}`, 50),
		"long string":           `{"kind":"Node","apiVersion":"v1","metadata":{"name":"` + large + `"}}`,
		"long line":             "kind: " + large,
		"long item":             "kind: List\nitems:\n- name: " + large + "\n  kind: Node",
		"not a number":          "kind: Node\napiVersion: v1\nx: .nan",
		"a list as a key":       "kind: Node\napiVersion: v1\n? [a]\n: b",
		"log without end":       "kind: [\n---\n",
		"stray end of a log":    logEnd + "a of pod b/c ====",
		"binary":                "\x00\x01\x02\xff",
		"word":                  "Unable to connect to the server",
		"unknown alias":         "a: *nowhere",
		"wrong brackets":        `{"items":[}]`,
		"array in a list":       `{"apiVersion":"v1","kind":"List","items":[[1],2,null,"x"]}`,
		"list without its kind": `{"items":[{"metadata":{"name":"a"}}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			r := readText(t, ManifestOptions{}, text+good)
			if len(r.errors) == 0 || len(r.errors) > 5 {
				t.Errorf("errors %.300q, want some and few", r.errors)
			}
			for _, e := range r.errors {
				if len(e) > 300 {
					t.Errorf("an error of %d bytes: %.300s", len(e), e)
				}
			}
			if !slices.Contains(r.objects, "Node /good") {
				t.Error("the good document after it was not read")
			}
		})
	}
}

func TestUTF16IsNamed(t *testing.T) {
	r := readText(t, ManifestOptions{}, "\xff\xfea\x00p\x00i\x00")
	wantLines(t, "errors", r.errors, []string{"document 0, line 1: the file is UTF-16; save it as UTF-8"})
}

func TestReadErrorsAreReported(t *testing.T) {
	var errs []error
	p := newPicture(&ManifestOptions{}, newDumpClock(time.Now()), func(e documentError) { errs = append(errs, e) })
	p.add("pipe", io.MultiReader(strings.NewReader("kind: Node\n"), failingReader{}))
	if len(errs) == 0 || !strings.Contains(errs[0].Error(), "disk on fire") {
		t.Errorf("errors %v", errs)
	}
}

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, fmt.Errorf("disk on fire") }
