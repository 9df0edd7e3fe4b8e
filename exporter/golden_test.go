// SPDX-License-Identifier: Apache-2.0

package exporter

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kingpin/v2"
	"github.com/google/go-cmp/cmp"

	"stability-exporter/collectors"
	"stability-exporter/internal/checks"
	"stability-exporter/internal/middleware"
)

var update = flag.Bool("update", false, "rewrite the generated documentation instead of comparing it")

func TestGoldenDocumentation(t *testing.T) {
	specs, err := collectors.All(collectors.Options{})
	if err != nil {
		t.Fatal(err)
	}
	app, _ := newApp(specs)
	for name, want := range map[string][]byte{
		"flags.md":      flagsMarkdown(app.Model()),
		"metrics.md":    metricsMarkdown(specs),
		"checks.md":     checks.DocsMarkdown(checks.All()),
		"middleware.md": withGenerated(t, "middleware.md", middleware.DocsMarkdown(middleware.Kinds())),
	} {
		path := filepath.Join("..", "docs", name)
		if *update {
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("docs/%s is not what the code says; run 'go test ./exporter -run Golden -update':\n%s", name, diff)
		}
	}
}

// withGenerated returns a page of docs with what is generated in it replaced.
func withGenerated(t *testing.T, name string, generated []byte) []byte {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "docs", name))
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- generated: begin -->\n", "<!-- generated: end -->"
	before, rest, begins := strings.Cut(string(page), begin)
	_, after, ends := strings.Cut(rest, end)
	if !begins || !ends {
		t.Fatalf("docs/%s does not say where the generated part begins and ends", name)
	}
	return []byte(before + begin + string(generated) + end + after)
}

// metricsMarkdown is the reference of the collectors' metrics, followed by those of the exporter itself.
func metricsMarkdown(specs []collectors.Spec) []byte {
	own := collectors.Spec{Default: true}
	for _, f := range selfFamilies() {
		own.Families = append(own.Families, f.Family)
	}
	_, table, _ := bytes.Cut(collectors.DocsMarkdown([]collectors.Spec{own}), []byte("By default on.\n"))
	doc := bytes.NewBuffer(collectors.DocsMarkdown(specs))
	doc.WriteString("\n## The exporter itself\n\nAlways on, together with the `go_` and `process_` families of the Go client library.\n")
	doc.Write(table)
	return doc.Bytes()
}

// flagsMarkdown is the reference of the command line.
func flagsMarkdown(app *kingpin.ApplicationModel) []byte {
	var doc bytes.Buffer
	doc.WriteString("<!-- Generated from the command line's declaration. Do not edit. -->\n# Command line\n\n" + app.Help + "\n\n" +
		"Exit codes: 0 all went well, 1 a failure while running, 2 a wrong command line. Durations carry a unit; a bare\n" +
		"number is refused.\n\n## Flags of every command\n\n")
	writeFlags(&doc, app.Flags)
	for _, command := range app.FlattenedCommands() {
		fmt.Fprintf(&doc, "\n## %s %s", app.Name, command.FullCommand)
		for _, argument := range command.Args {
			fmt.Fprintf(&doc, " %s", strings.ToUpper(argument.Name))
		}
		fmt.Fprintf(&doc, "\n\n%s\n", command.Help)
		if len(command.Flags) > 0 {
			doc.WriteString("\n")
			writeFlags(&doc, command.Flags)
		}
	}
	return doc.Bytes()
}

func writeFlags(doc *bytes.Buffer, all []*kingpin.FlagModel) {
	doc.WriteString("| flag | default | meaning |\n|---|---|---|\n")
	cell := strings.NewReplacer("|", `\|`, "<", "&lt;")
	for _, f := range all {
		if f.Hidden {
			continue
		}
		spelling, standard := "--"+f.Name, ""
		switch {
		case f.IsBoolFlag() && strings.HasPrefix(f.Name, "collector."):
			spelling = "--[no-]" + f.Name
		case !f.IsBoolFlag() && f.PlaceHolder != "":
			spelling += "=" + f.PlaceHolder
		case !f.IsBoolFlag():
			spelling += "=VALUE"
		}
		if len(f.Default) > 0 && f.Default[0] != "" {
			standard = "`" + strings.Join(f.Default, ",") + "`"
		}
		fmt.Fprintf(doc, "| `%s` | %s | %s |\n", spelling, standard, cell.Replace(f.Help))
	}
}
