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

func rules() map[string]rule {
	return map[string]rule{
		"sizes":                 checkSizes,
		"no init":               checkInit,
		"no mutable globals":    checkGlobals,
		"package names":         checkPackageNames,
		"package documentation": checkPackageDocs,
		"header":                checkHeader,
		"imports":               checkImports,
		"go.mod":                checkModules,
		"documentation":         checkDocs,
		"no waiting":            checkWaiting,
		"nothing left to do":    checkLeftovers,
		"panics":                checkPanics,
		"links":                 checkLinks,
		"names in documents":    checkNames,
		"image":                 checkImage,
	}
}

// What a reader can hold in mind at once.
const (
	maxSourceLines   = 400
	maxTestLines     = 800
	maxFunctionLines = 60
)

func checkSizes(r *repository, report report) {
	for _, f := range r.files {
		limit := maxSourceLines
		if f.test {
			limit = maxTestLines
		}
		if n := strings.Count(f.text, "\n"); n > limit {
			report(f.path, limit, "%d lines, at most %d: split the file by subject", n, limit)
		}
		for _, function := range functions(f) {
			first, last := r.line(function.Pos()), r.line(function.End())
			if n := last - first + 1; n > maxFunctionLines {
				report(f.path, first, "%s has %d lines, at most %d", function.Name, n, maxFunctionLines)
			}
		}
	}
}

func functions(f goFile) []*ast.FuncDecl {
	var all []*ast.FuncDecl
	for _, declaration := range f.Decls {
		if function, ok := declaration.(*ast.FuncDecl); ok {
			all = append(all, function)
		}
	}
	return all
}

func checkInit(r *repository, report report) {
	for _, f := range r.files {
		for _, function := range functions(f) {
			if function.Name.Name == "init" && function.Recv == nil {
				report(f.path, r.line(function.Pos()), "init() runs behind the reader's back: call a named function")
			}
		}
	}
}

func checkPackageNames(r *repository, report report) {
	saysNothing := []string{"util", "utils", "common", "helper", "helpers", "misc", "shared", "lib"}
	for _, f := range r.files {
		name := strings.TrimSuffix(f.Name.Name, "_test")
		if slices.Contains(saysNothing, name) || slices.Contains(saysNothing, path.Base(f.dir())) {
			report(f.path, r.line(f.Package), "the name of the package does not say what it is for")
		}
	}
}

func checkPackageDocs(r *repository, report report) {
	documented, first := map[string]string{}, map[string]goFile{}
	for _, f := range r.files {
		if f.test {
			continue
		}
		if _, known := first[f.dir()]; !known {
			first[f.dir()] = f
		}
		if f.Doc == nil {
			continue
		}
		if other, twice := documented[f.dir()]; twice {
			report(f.path, r.line(f.Doc.Pos()), "the package is documented in %s too", other)
		}
		documented[f.dir()] = f.path
		begin := "Package " + f.Name.Name + " "
		if f.Name.Name == "main" {
			begin = "Command "
		}
		if !strings.HasPrefix(f.Doc.Text(), begin) {
			report(f.path, r.line(f.Doc.Pos()), "the documentation of the package does not begin with %q", begin)
		}
	}
	for dir, f := range first {
		if documented[dir] == "" {
			report(f.path, r.line(f.Package), "package %s says nowhere what it is", f.Name)
		}
	}
}

func checkHeader(r *repository, report report) {
	for _, f := range r.files {
		if !strings.HasPrefix(f.text, header) {
			report(f.path, 1, "does not begin with the line %q and an empty one", strings.TrimSpace(header))
		}
	}
}

func checkDocs(r *repository, report report) {
	for _, f := range r.files {
		if f.test {
			continue
		}
		for _, declaration := range f.Decls {
			switch d := declaration.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() && d.Doc == nil && onExported(d) {
					report(f.path, r.line(d.Pos()), "%s is exported and not documented", d.Name)
				}
			case *ast.GenDecl:
				checkDeclarationDocs(r, f, d, report)
			}
		}
	}
}

// onExported says that others can call the function: it is no method, or one of an exported type.
func onExported(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	receiver := d.Recv.List[0].Type
	for {
		switch t := receiver.(type) {
		case *ast.StarExpr:
			receiver = t.X
		case *ast.IndexExpr:
			receiver = t.X
		case *ast.IndexListExpr:
			receiver = t.X
		case *ast.Ident:
			return t.IsExported()
		default:
			return true
		}
	}
}

func checkDeclarationDocs(r *repository, f goFile, d *ast.GenDecl, report report) {
	for _, spec := range d.Specs {
		var names []*ast.Ident
		documented := d.Doc != nil
		switch s := spec.(type) {
		case *ast.TypeSpec:
			names, documented = []*ast.Ident{s.Name}, documented || s.Doc != nil || s.Comment != nil
		case *ast.ValueSpec:
			names, documented = s.Names, documented || s.Doc != nil || s.Comment != nil
		}
		for _, name := range names {
			if name.IsExported() && !documented {
				report(f.path, r.line(name.Pos()), "%s is exported and not documented", name)
			}
		}
	}
}

func checkWaiting(r *repository, report report) {
	for _, f := range r.files {
		if !f.test {
			continue
		}
		_, bubble := f.imports()["testing/synctest"] // where sleeping takes no time
		eachCall(f, func(call *ast.CallExpr) {
			of, name := selector(call.Fun)
			switch {
			case slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, name), of == "testing" && name == "Short":
				report(f.path, r.line(call.Pos()), "a test that may be skipped tells nothing")
			case of == "time" && name == "Sleep" && !bubble:
				report(f.path, r.line(call.Pos()), "a test that sleeps is slow or flaky: await a condition")
			}
		})
	}
}

func eachCall(f goFile, visit func(*ast.CallExpr)) {
	ast.Inspect(f.File, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok {
			visit(call)
		}
		return true
	})
}

// selector returns a and b of the expression a.b, or b alone of another one.
func selector(e ast.Expr) (of, name string) {
	switch e := e.(type) {
	case *ast.Ident:
		return "", e.Name
	case *ast.IndexExpr: // a generic function with its type
		return selector(e.X)
	case *ast.SelectorExpr:
		if x, ok := e.X.(*ast.Ident); ok {
			of = x.Name
		}
		return of, e.Sel.Name
	}
	return "", ""
}

func checkLeftovers(r *repository, report report) {
	leftover := regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X)\b`)
	for name, text := range r.texts {
		for i, line := range strings.Split(text, "\n") {
			if found := leftover.FindString(line); found != "" {
				report(name, i+1, "%s: do it or write down why not", found)
			}
		}
	}
}

func checkPanics(r *repository, report report) {
	for _, f := range r.files {
		if f.test {
			continue
		}
		eachCall(f, func(call *ast.CallExpr) {
			if of, name := selector(call.Fun); of == "" && name == "panic" && !beginsWithBug(call.Args[0]) {
				report(f.path, r.line(call.Pos()), "panic is for what cannot happen, with a message that begins with \"BUG:\"")
			}
		})
	}
}

func beginsWithBug(message ast.Expr) bool {
	switch m := message.(type) {
	case *ast.BasicLit:
		return m.Kind == token.STRING && strings.HasPrefix(strings.Trim(m.Value, "\"`"), "BUG:")
	case *ast.BinaryExpr:
		return beginsWithBug(m.X)
	case *ast.CallExpr:
		of, _ := selector(m.Fun)
		return of == "fmt" && len(m.Args) > 0 && beginsWithBug(m.Args[0])
	}
	return false
}

// checkLinks follows the links between the documents, headings included; what leads to the web is not tried.
func checkLinks(r *repository, report report) {
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	code := regexp.MustCompile("`[^`]*`")
	for name, text := range r.texts {
		if path.Ext(name) != ".md" {
			continue
		}
		for i, line := range strings.Split(text, "\n") {
			for _, match := range link.FindAllStringSubmatch(code.ReplaceAllString(line, ""), -1) {
				target, anchor, _ := strings.Cut(match[1], "#")
				if strings.Contains(target, ":") {
					continue
				}
				file := name
				if target != "" {
					file = path.Join(path.Dir(name), target)
				}
				if !r.exists(file) {
					report(name, i+1, "the link %s leads to no file", match[1])
				} else if anchor != "" && !slices.Contains(anchors(r.texts[file]), anchor) {
					report(name, i+1, "the link %s leads to no heading", match[1])
				}
			}
		}
	}
}

func (r *repository) exists(name string) bool {
	for file := range r.texts {
		if file == name || strings.HasPrefix(file, strings.TrimSuffix(name, "/")+"/") {
			return true
		}
	}
	return false
}

// anchors returns the names by which a document's headings are linked to.
func anchors(text string) []string {
	var names []string
	dropped := regexp.MustCompile(`[^\p{L}\p{N}_ -]`)
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "#") {
			title := strings.ToLower(strings.TrimSpace(strings.TrimLeft(line, "#")))
			names = append(names, strings.ReplaceAll(dropped.ReplaceAllString(title, ""), " ", "-"))
		}
	}
	return names
}

// checkNames finds metrics that people are told of and that do not exist.
func checkNames(r *repository, report report) {
	name := regexp.MustCompile(`\bstability_[a-z0-9_]+\*?`)
	for _, file := range []string{"README.md", "Makefile", "docs/architecture.md"} {
		for i, line := range strings.Split(r.texts[file], "\n") {
			for _, metric := range name.FindAllString(line, -1) {
				known := "`" + metric + "`"
				if prefix, any := strings.CutSuffix(metric, "*"); any {
					known = "`" + prefix
				}
				if metric != "stability_exporter" && !strings.Contains(r.texts["docs/metrics.md"], known) {
					report(file, i+1, "%s is not in docs/metrics.md", metric)
				}
			}
		}
	}
}

// checkImage reads in the Dockerfile that the image is small, runs anywhere and as nobody.
func checkImage(r *repository, report report) {
	const file = "Dockerfile"
	text, found := r.texts[file]
	if !found {
		return
	}
	stages := strings.Split("\n"+text, "\nFROM ")
	last := stages[len(stages)-1]
	if !strings.HasPrefix(last, "scratch") {
		report(file, 0, "the image is not made from scratch")
	}
	for instruction, why := range map[string]string{
		`(?m)^USER [1-9]\d*:[1-9]\d*$`:                        "the user is no number other than root's, which runAsNonRoot needs",
		`(?m)^COPY --from=\S+ \S*/ca-certificates\.crt /\S+$`: "certificate authorities are missing: no API server could be trusted",
		`(?m)^COPY --from=\S+ \S*/zoneinfo\S* /\S+$`:          "time zones are missing",
		`(?m)^ENTRYPOINT \["/stability_exporter"\]$`:          "the program is not what runs",
		`(?m)^LABEL org\.opencontainers\.image\.`:             "labels are missing",
	} {
		if !regexp.MustCompile(instruction).MatchString(last) {
			report(file, 0, "%s", why)
		}
	}
	for _, needed := range []string{"FROM --platform=$BUILDPLATFORM ", "CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH", "-trimpath",
		"\nARG TARGETOS TARGETARCH\n"} {
		if !strings.Contains(text, needed) {
			report(file, 0, "does not build a static program for any architecture: %q is missing", needed)
		}
	}
}
