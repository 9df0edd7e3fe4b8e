// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// The rules that the whole repository keeps, the modules below test/ included. Each says what is wrong and where; that
// each can find something is tried by TestEveryRuleFindsWhatItForbids.
func TestRepository(t *testing.T) {
	r, err := readRepository(os.DirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	if len(r.files) < 20 || r.texts["go.mod"] == "" {
		t.Fatalf("this is not the repository: %d Go files", len(r.files))
	}
	for name, rule := range rules() {
		t.Run(name, func(t *testing.T) {
			for _, problem := range problemsOf(r, rule) {
				t.Error(problem)
			}
		})
	}
}

// repository is the text files of the working tree, and what the Go files among them say.
type repository struct {
	fset  *token.FileSet
	texts map[string]string // by path; without data files
	files []goFile          // by path
}

type goFile struct {
	*ast.File
	path, text string
	test       bool
}

func (f goFile) dir() string { return path.Dir(f.path) }

// nested says that the file belongs to a module of its own: its dependencies are not the product's.
func (f goFile) nested() bool { return strings.HasPrefix(f.path, "test/") }

// imports returns the imported paths with the place of each.
func (f goFile) imports() map[string]token.Pos {
	imports := map[string]token.Pos{}
	for _, spec := range f.Imports {
		imports[strings.Trim(spec.Path.Value, `"`)] = spec.Pos()
	}
	return imports
}

func readRepository(tree fs.FS) (*repository, error) {
	r := &repository{fset: token.NewFileSet(), texts: map[string]string{}}
	err := fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (slices.Contains([]string{".git", "bin", "dist", "testdata"}, entry.Name())):
			return fs.SkipDir
		case entry.IsDir() || path.Base(name) == "go.sum" || !isText(name):
			return nil
		}
		text, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		r.texts[name] = string(text)
		if path.Ext(name) != ".go" {
			return nil
		}
		file, err := parser.ParseFile(r.fset, name, text, parser.ParseComments)
		r.files = append(r.files, goFile{file, name, string(text), strings.HasSuffix(name, "_test.go")})
		return err
	})
	return r, err
}

// isText tells what people write from data and programs that lie about.
func isText(name string) bool {
	known := []string{".go", ".md", ".yaml", ".yml", ".mod", ".sh", ".json"}
	base := path.Base(name)
	return slices.Contains(known, path.Ext(name)) || slices.Contains([]string{"Makefile", "Dockerfile", "LICENSE"}, base) ||
		strings.HasPrefix(name, ".ci/")
}

// report notes one problem at a place; line 0 is the whole file.
type report func(file string, line int, format string, args ...any)

// A rule reports every problem of the repository that is its business.
type rule func(*repository, report)

func problemsOf(r *repository, check rule) []string {
	var problems []string
	check(r, func(file string, line int, format string, args ...any) {
		problems = append(problems, fmt.Sprintf("%s:%d: %s", file, line, fmt.Sprintf(format, args...)))
	})
	slices.Sort(problems)
	return slices.Compact(problems)
}

func (r *repository) line(pos token.Pos) int { return r.fset.Position(pos).Line }

const header = "// SPDX-License-Identifier: Apache-2.0\n\n"

// A case is a repository of few files in which the rule of its name finds a problem in each file called bad, and no
// other.
type ruleCase map[string]string

func TestEveryRuleFindsWhatItForbids(t *testing.T) {
	cases := ruleCases()
	for name, rule := range rules() {
		t.Run(name, func(t *testing.T) {
			if len(cases[name]) == 0 {
				t.Fatal("no case shows that the rule can find something")
			}
			for _, files := range cases[name] {
				checkCase(t, rule, files)
			}
			delete(cases, name)
		})
	}
	for name := range cases {
		t.Errorf("there is a case but no rule %q", name)
	}
}

func checkCase(t *testing.T, check rule, files ruleCase) {
	t.Helper()
	tree, want := fstest.MapFS{}, map[string]bool{}
	for name, text := range files {
		tree[name] = &fstest.MapFile{Data: []byte(text)}
		if strings.Contains(name, "bad") || strings.Contains(text, "bad") {
			want[name] = true
		}
	}
	r, err := readRepository(tree)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	problems := problemsOf(r, check)
	for _, problem := range problems {
		file, _, _ := strings.Cut(problem, ":")
		got[file] = true
	}
	if !maps.Equal(got, want) {
		t.Errorf("found %q, want problems in %v", problems, slices.Sorted(maps.Keys(want)))
	}
}

// ruleCases has for each rule what it finds, and beside it what it does not mind. A file with bad in its name or in its
// text has a problem.
func ruleCases() map[string][]ruleCase {
	source := func(text string) string { return header + "// Package p is one.\npackage p\n" + text }
	cases := map[string][]ruleCase{
		"sizes": {
			{"bad.go": source(strings.Repeat("//\n", 400)), "good.go": source(strings.Repeat("//\n", 300))},
			{"bad_test.go": source(strings.Repeat("//\n", 800)), "good_test.go": source(strings.Repeat("//\n", 700))},
			{"bad.go": source("func f() {" + strings.Repeat("\n", 61) + "}"), "good.go": source("func f() {" + strings.Repeat("\n", 58) + "}")},
		},
		"no init": {{"bad.go": source("func init() {}"), "good.go": source("type t int\nfunc (t) init() {}")}},
		"package names": {{"bad.go": header + "package utils", "good.go": header + "package utility", "x/common/f.go": header + "package bad"},
			{"helpers/good.go": header + "package main // bad: the folder"}},
		"package documentation": {
			{"a/bad.go": header + "package p", "b/good.go": header + "// Package p is one.\npackage p", "b/more.go": header + "package p"},
			{"a/a.go": header + "// Package p is one.\npackage p", "a/bad.go": header + "// Package p is two.\npackage p"},
			{"a/bad.go": header + "// This is one.\npackage p", "b/good.go": header + "// Command b is one.\npackage main"},
		},
		"header": {{"bad.go": "package p", "good.go": header + "package p"}, {"bad.go": strings.TrimSpace(header) + "\npackage p"}},
		"documentation": {
			{"bad.go": source("func F() {}"), "good.go": source("// F does.\nfunc F() {}\nfunc g() {}\ntype h int\nfunc (h) Exported() {}")},
			{"bad.go": source("type T int\n// G is good.\nconst G = 1"), "b/bad.go": source("const C = 1"), "c/bad.go": source("var V = 1")},
			{"bad.go": source("// T is good.\ntype T int\nfunc (T) F() {}"), "good.go": source("// These are good.\nconst (\nA = 1\nB = 2)")},
		},
		"no waiting": {
			{"bad_test.go": source("func f() { t.Skip() }"), "bad2_test.go": source("func f() { time.Sleep(1) }"), "good.go": source("func f() { time.Sleep(1) }")},
			{"bad_test.go": source("func f() { testing.Short() }"), "good_test.go": source("import \"testing/synctest\"\nfunc f() { time.Sleep(1) }")},
		},
		"nothing left to do": {{"bad.md": "TO" + "DO", "bad.go": source("// FIX" + "ME: x"), "good.go": source("// todo list")}},
		"panics":             {{"bad.go": source("func f() { panic(err) }"), "good.go": source("func f() { panic(\"BUG: x\"); panic(fmt.Sprintf(\"BUG: %d\", 1)); panic(\"BUG: \" + x) }")}},
		"go.mod":             goModCases(),
		"links":              {{"bad.md": "[a](b.md)", "good.md": "[a](sub/c.md) [web](https://example.com/x.md) `[a](b)`", "sub/c.md": "[up](../good.md)"}, {"bad.md": "[a](#here)\n# There", "good.md": "[a](#here--there)\n# Here & there"}},
		"names in documents": {{"README.md": "stability_up bad", "docs/metrics.md": "`stability_down`"}, {"README.md": "stability_down{} stability_exporter stability_d*", "docs/metrics.md": "`stability_down`"}},
		"image":              {{"Dockerfile": "FROM scratch # bad: no user"}, {"Dockerfile": goodDockerfile}, {"Dockerfile": strings.Replace(goodDockerfile, "65532:65532", "root", 1) + "# bad"}, {"Dockerfile": strings.Replace(goodDockerfile, "FROM scratch", "FROM debian", 1) + "# bad"}, {"Dockerfile": strings.Replace(goodDockerfile, "zoneinfo", "nothing", 1) + "# bad"}, {"Dockerfile": strings.Replace(goodDockerfile, "$TARGETARCH", "amd64", 1) + "# bad"}},
		"imports":            importCases(source),
		"no mutable globals": globalCases(source),
	}
	return cases
}
