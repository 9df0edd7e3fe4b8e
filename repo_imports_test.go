// SPDX-License-Identifier: Apache-2.0

package main

import (
	"go/ast"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strings"
)

// confined are packages that only some folders or files may import.
func confined() []struct {
	imports []string // and what lies below
	to      []string // folders, with what lies below, and files
	tests   bool     // whether tests are bound too
	why     string
} {
	return []struct {
		imports []string
		to      []string
		tests   bool
		why     string
	}{
		{[]string{"k8s.io", "sigs.k8s.io"}, []string{"internal/cluster", "test"}, true,
			"everything else works on the compact model, and is built and tested without the client libraries"},
		{[]string{"log/slog"}, []string{"exporter/log.go", "exporter/server.go", "internal/cluster/klog.go", "test"}, false,
			"we log with go-kit/log; slog is for libraries that want one"},
		{[]string{"stability-exporter/internal/cluster"}, []string{"exporter", "internal/cluster", "internal/scenario", "test"}, false,
			"where the picture of a cluster comes from is the business of who wires the parts"},
		{[]string{"stability-exporter/internal/scenario"}, []string{"internal/scenario", "test"}, false,
			"pictures for tests and examples are no part of the program"},
		{[]string{"stability-exporter/collectors"}, []string{"exporter", "test"}, false, "data flows one way: only the process runs collectors"},
		{[]string{"stability-exporter/exporter"}, []string{"main.go"}, false, "the process is the top: nothing builds on it"},
		{[]string{"gopkg.in/yaml.v2", "gopkg.in/yaml.v3", "go.yaml.in/yaml/v2", "github.com/ghodss/yaml"}, nil, true,
			"go.yaml.in/yaml/v3 is the one that refuses a duration without a unit"},
		{[]string{"github.com/stretchr/testify"}, nil, true, "tests need the standard library and go-cmp only"},
	}
}

// limited are folders that may import only some packages; "std" is the standard library. What is named
// among them may be imported although it lies below one of those that may not. Tests are not bound.
func limited() []struct {
	folder string
	may    []string
	not    []string
	why    string
} {
	const module = "stability-exporter"
	return []struct {
		folder string
		may    []string
		not    []string
		why    string
	}{
		{"internal/state", []string{"std"}, []string{"net", "os", "log", "io/ioutil", "testing"}, "the model is data and arithmetic"},
		{"internal/settings", []string{"std", module + "/internal/state", "go.yaml.in/yaml/v3"},
			[]string{"net", "os", "log", "io/ioutil", "testing"}, "what somebody wrote is read from texts, not from files"},
		{"internal/checks", []string{"std", "net/netip", module + "/internal/state", module + "/internal/settings"},
			[]string{"net", "os", "log", "io/ioutil", "testing"}, "checks are pure functions of what they are shown"},
		{"internal/discovery", []string{"std", "net", "net/netip", module + "/internal/state", module + "/internal/middleware"},
			[]string{"os", "log", "io/ioutil", "testing"}, "what is found is arithmetic on what is known of the cluster"},
		{"collectors", []string{"std", module + "/internal/state", module + "/internal/checks", "github.com/prometheus/client_golang", "github.com/go-kit/log"},
			[]string{"net", "os", "log", "io/ioutil", "testing"}, "collectors are pure functions of a snapshot and do no input or output"},
		{".", []string{"os", module + "/exporter"}, nil, "main hands over to package exporter and does nothing else"},
	}
}

func checkImports(r *repository, report report) {
	for _, f := range r.files {
		for imported, pos := range f.imports() {
			for _, c := range confined() {
				if slices.ContainsFunc(c.imports, within(imported)) && !slices.ContainsFunc(c.to, within(f.path)) && (c.tests || !f.test) {
					report(f.path, r.line(pos), "%s may only be imported in %s: %s", imported, strings.Join(c.to, ", "), c.why)
				}
			}
			for _, l := range limited() {
				may := slices.ContainsFunc(l.may, within(imported)) || slices.Contains(l.may, "std") && isStandard(imported)
				if f.dir() == l.folder && !f.test && (!may || !slices.Contains(l.may, imported) && slices.ContainsFunc(l.not, within(imported))) {
					report(f.path, r.line(pos), "%s may not be imported in %s: %s", imported, l.folder, l.why)
				}
			}
		}
	}
}

// within returns whether a path is the given one or lies below it.
func within(name string) func(string) bool {
	return func(parent string) bool { return name == parent || strings.HasPrefix(name, parent+"/") }
}

func isStandard(imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	return !strings.Contains(first, ".") && first != "stability-exporter"
}

// checkModules keeps go.mod honest: what the program is made of, what only tests use, what these need.
func checkModules(r *repository, report report) {
	const file = "go.mod"
	text, found := r.texts[file]
	if !found {
		return
	}
	if regexp.MustCompile(`(?m)^replace\b`).MatchString(text) {
		report(file, 0, "a replaced module is not what others would get")
	}
	blocks := regexp.MustCompile(`(?m)^(// .+\n)?require \(\n((?:\t.+\n)+)\)`).FindAllStringSubmatch(text, -1)
	if len(blocks) != 3 || strings.Count(text, "\nrequire") != 3 {
		report(file, 0, "want three blocks: what the program is made of, what only tests use, what the modules above need")
		return
	}
	used := r.usedModules(text)
	for i, block := range blocks {
		if block[1] == "" {
			report(file, 0, "block %d has no comment that says what it holds", i+1)
		}
		for line := range strings.Lines(block[2]) {
			module := strings.Fields(line)[0]
			indirect := strings.HasSuffix(strings.TrimSpace(line), "// indirect")
			switch want := []string{"program", "tests", ""}[i]; {
			case indirect != (i == 2):
				report(file, 0, "%s is in the wrong block: the last one is for what is needed indirectly", module)
			case used[module] != want:
				report(file, 0, "%s is in the wrong block: it is used by %q", module, used[module])
			}
		}
	}
}

// usedModules returns for each module whether the program uses it, or tests alone.
func (r *repository) usedModules(gomod string) map[string]string {
	var modules []string
	for _, match := range regexp.MustCompile(`(?m)^\t(\S+) v`).FindAllStringSubmatch(gomod, -1) {
		modules = append(modules, match[1])
	}
	slices.SortFunc(modules, func(a, b string) int { return len(b) - len(a) }) // the longest prefix holds a package
	used := map[string]string{}
	for _, f := range r.files {
		for imported := range f.imports() {
			i := slices.IndexFunc(modules, within(imported))
			switch {
			case i < 0 || f.nested():
			case !f.test:
				used[modules[i]] = "program"
			case used[modules[i]] == "":
				used[modules[i]] = "tests"
			}
		}
	}
	return used
}

// declaring are functions whose results nobody can or does change: variables may be initialised by them.
func declaring() []string {
	return []string{
		"errors.New", "fmt.Errorf", "regexp.MustCompile", "template.Must", "reflect.TypeFor", "strings.NewReplacer", "state.KindSet",
		"state.Sym", "gauge", "sparseGauge", "counter", "sparseCounter", "withLabels", "selfGauge", "selfCounter", "selfSparse",
	}
}

// checkGlobals finds variables of packages that could change: what a function returns must follow from what it is
// given. Tests may keep what is expensive to start, and flags.
func checkGlobals(r *repository, report report) {
	globals := map[string]map[string]bool{} // by folder
	for _, f := range r.files {
		if f.test {
			continue
		}
		for _, declaration := range f.Decls {
			if d, ok := declaration.(*ast.GenDecl); ok && d.Tok == token.VAR {
				for _, spec := range d.Specs {
					checkGlobal(r, f, d, spec.(*ast.ValueSpec), report)
					for _, name := range spec.(*ast.ValueSpec).Names {
						if globals[f.dir()] == nil {
							globals[f.dir()] = map[string]bool{}
						}
						globals[f.dir()][name.Name] = name.Name != "_"
					}
				}
			}
		}
	}
	for _, f := range r.files {
		checkAssignments(r, f, globals[f.dir()], report)
	}
}

func checkGlobal(r *repository, f goFile, d *ast.GenDecl, spec *ast.ValueSpec, report report) {
	embedded := false
	for _, doc := range []*ast.CommentGroup{d.Doc, spec.Doc} {
		embedded = embedded || doc != nil && strings.Contains(doc.List[len(doc.List)-1].Text, "//go:embed ")
	}
	if spec.Names[0].Name == "_" || embedded {
		return
	}
	if len(spec.Values) == 0 {
		report(f.path, r.line(spec.Pos()), "variable %s of the package has no value: it is made to be changed", spec.Names[0])
	}
	for _, value := range spec.Values {
		ast.Inspect(value, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncLit:
				report(f.path, r.line(n.Pos()), "variable %s of the package holds a function literal: declare a function", spec.Names[0])
			case *ast.UnaryExpr:
				if n.Op == token.AND {
					report(f.path, r.line(n.Pos()), "variable %s of the package points to what can be changed", spec.Names[0])
				}
			case *ast.CompositeLit:
				if of, _ := selector(n.Type); of == "sync" || of == "atomic" {
					report(f.path, r.line(n.Pos()), "variable %s of the package is made to be changed", spec.Names[0])
				}
			case *ast.CallExpr:
				checkGlobalCall(r, f, spec, n, report)
			}
			return true
		})
	}
}

func checkGlobalCall(r *repository, f goFile, spec *ast.ValueSpec, call *ast.CallExpr, report report) {
	of, name := selector(call.Fun)
	if of != "" {
		name = of + "." + name
	}
	_, conversion := call.Fun.(*ast.ArrayType)
	chained := false // as in template.New("x").Parse("y")
	if s, ok := call.Fun.(*ast.SelectorExpr); ok {
		_, chained = s.X.(*ast.CallExpr)
	}
	if !conversion && !chained && name != "template.New" && !slices.Contains(declaring(), name) {
		report(f.path, r.line(call.Pos()), "variable %s of the package is made by %s: it is not known as harmless", spec.Names[0], name)
	}
}

// checkAssignments finds what changes a variable of the package, or takes its address and so lets others do it.
func checkAssignments(r *repository, f goFile, globals map[string]bool, report report) {
	changed := func(e ast.Expr) {
		if id := root(e); id != nil && globals[id.Name] && ofPackage(f, id) {
			report(f.path, r.line(e.Pos()), "variable %s of the package is changed", id.Name)
		}
	}
	ast.Inspect(f.File, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			if n.Tok != token.DEFINE {
				for _, left := range n.Lhs {
					changed(left)
				}
			}
		case *ast.IncDecStmt:
			changed(n.X)
		case *ast.UnaryExpr:
			if n.Op == token.AND {
				changed(n.X)
			}
		case *ast.CallExpr:
			if of, name := selector(n.Fun); of == "" && slices.Contains([]string{"delete", "clear", "copy"}, name) {
				changed(n.Args[0])
			}
		}
		return true
	})
}

// root returns x of x.a[b].c, or nil.
func root(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x
		case *ast.SelectorExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.SliceExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		default:
			return nil
		}
	}
}

// ofPackage says that a name is the package's and not that of something within a function.
func ofPackage(f goFile, id *ast.Ident) bool {
	return id.Obj == nil || f.Scope.Objects[id.Name] == id.Obj
}

func importCases(source func(string) string) []ruleCase {
	importing := func(names ...string) string { return source("import (\n\"" + strings.Join(names, "\"\n\"") + "\"\n)") }
	return []ruleCase{
		{"collectors/bad.go": importing("k8s.io/api/core/v1"), "internal/cluster/good.go": importing("k8s.io/api/core/v1"), "test/x/good.go": importing("k8s.io/api")},
		{"exporter/bad_test.go": importing("sigs.k8s.io/yaml"), "exporter/log.go": importing("log/slog"), "exporter/bad.go": importing("log/slog")},
		{"internal/state/bad.go": importing("github.com/go-kit/log"), "internal/state/bad2.go": importing("net/http"), "internal/state/good.go": importing("time", "encoding/binary")},
		{"collectors/bad.go": importing("os"), "collectors/bad2.go": importing("stability-exporter/internal/cluster"), "collectors/good.go": importing("stability-exporter/internal/state", "github.com/go-kit/log"), "collectors/good_test.go": importing("os")},
		{"internal/checks/bad.go": importing("stability-exporter/internal/cluster"), "internal/checks/bad2.go": importing("os"), "internal/checks/bad3.go": importing("net/http"), "internal/checks/good.go": importing("net/netip", "stability-exporter/internal/settings")},
		{"internal/settings/bad.go": importing("stability-exporter/internal/checks"), "internal/settings/bad2.go": importing("net/url"), "internal/settings/good.go": importing("go.yaml.in/yaml/v3", "encoding/json")},
		{"collectors/bad.go": importing("stability-exporter/internal/settings"), "collectors/good.go": importing("stability-exporter/internal/checks")},
		{"internal/cluster/bad.go": importing("stability-exporter/collectors"), "exporter/good.go": importing("stability-exporter/collectors", "stability-exporter/internal/cluster")},
		{"exporter/bad.go": importing("stability-exporter/internal/scenario"), "exporter/good_test.go": importing("stability-exporter/internal/scenario")},
		{"bad.go": importing("os", "stability-exporter/collectors"), "main.go": importing("os", "stability-exporter/exporter")},
		{"exporter/bad.go": importing("gopkg.in/yaml.v2"), "exporter/bad_test.go": importing("github.com/stretchr/testify/require")},
	}
}

func globalCases(source func(string) string) []ruleCase {
	return []ruleCase{
		{"bad.go": source("var x int"), "good.go": source("var y = []int{1}\nvar _ f = (*g)(nil)\nvar e = errors.New(\"e\")\n//go:embed x\nvar z embed.FS")},
		{"bad.go": source("var x = make(map[string]int)"), "bad2.go": source("var y = &t{}"), "bad3.go": source("var z = sync.Mutex{}")},
		{"bad.go": source("var x = map[string]func(){\"a\": func() {}}"), "good.go": source("var y = map[string]func(){\"a\": f}\nfunc f() { y := 1; y = 2 }")},
		{"good.go": source("var x = []int{1}\nvar y = map[int]int{}"), "bad.go": source("func f() { x[0] = 1 }"), "bad2.go": source("func f() { x = nil }")},
		{"good.go": source("var x = []int{1}\nfunc f(x int) { x++ }"), "bad_test.go": source("func g() { h(&x) }"), "other/good.go": source("func g() { x++ }")},
		{"bad.go": source("var y = map[int]int{}\nfunc f() { delete(y, 1) }")},
	}
}

const goodModule = "module m\n\n// A.\nrequire (\n\ta.org/a v1.0.0\n\ta.org/a/deep v1.0.0\n)\n\n// B.\nrequire (\n\tb.org/b v1.0.0\n)\n\n// C.\nrequire (\n\tc.org/c v1.0.0 // indirect\n)\n"

func goModCases() []ruleCase {
	source := header + "package p\nimport _ \"a.org/a\"\nimport _ \"a.org/a/deep/x\""
	testing := header + "package p\nimport _ \"b.org/b/x\"\nimport _ \"a.org/a\""
	cases := []ruleCase{{"go.mod": goodModule, "p.go": source, "p_test.go": testing}}
	for from, to := range map[string]string{
		"// B.\n": "", "// C.\n": "", " // indirect": "", "\tb.org/b v1.0.0": "\tb.org/b v1.0.0 // indirect",
		")\n\n// B.\nrequire (\n": "", "module m\n": "module m\nreplace a => b\n", "b.org/b": "a.org/b",
	} {
		cases = append(cases, ruleCase{"go.mod": strings.Replace(goodModule, from, to, 1) + "// bad\n", "p.go": source, "p_test.go": testing})
	}
	return append(cases, ruleCase{"go.mod": goodModule + "// bad: tests alone use b\n", "p.go": source + "\nimport _ \"b.org/b\""},
		ruleCase{path.Join("test", "go.mod"): goodModule + "replace a => c\n"})
}

const goodDockerfile = `FROM --platform=$BUILDPLATFORM golang AS build
ARG TARGETOS TARGETARCH
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -o /stability_exporter .
FROM scratch
LABEL org.opencontainers.image.title=x
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /zoneinfo.zip /zoneinfo.zip
USER 65532:65532
ENTRYPOINT ["/stability_exporter"]
`
