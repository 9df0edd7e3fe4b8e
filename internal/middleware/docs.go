// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"bytes"
	"fmt"
	"strings"
)

// DocsMarkdown returns what docs/middleware.md tells of kinds, reasons and what the probes were verified against.
func DocsMarkdown(kinds []Kind) []byte {
	var doc bytes.Buffer
	doc.WriteString("## Reasons\n\nThe label `reason` of `stability_middleware_problem`:\n\n| reason | meaning |\n|---|---|\n")
	for _, r := range explainedReasons() {
		fmt.Fprintf(&doc, "| `%s` | %s |\n", r.value, r.meaning)
	}
	doc.WriteString("\nThe label `why` of `stability_middleware_fact_unknown`:\n\n| why | meaning |\n|---|---|\n")
	for _, w := range explainedWhys() {
		fmt.Fprintf(&doc, "| `%s` | %s |\n", w.value, w.meaning)
	}
	doc.WriteString("\n## Verified\n\nWhat the probe of each kind was run against. A fake speaks the protocol and was made for the test.\n\n" +
		"| kind | real servers | fakes and recorded answers only |\n|---|---|---|\n")
	for _, k := range kinds {
		fmt.Fprintf(&doc, "| [%s](#%s) | %s | %s |\n", k.Name, k.Name, orNone(k.Verified.Live, "not verified live"), orNone(k.Verified.Fake, ""))
	}
	doc.WriteString("\n## Kinds\n")
	for _, k := range kinds {
		k.describe(&doc)
	}
	return doc.Bytes()
}

func (k Kind) describe(doc *bytes.Buffer) {
	fmt.Fprintf(doc, "\n### %s\n\n%s", k.Name, k.Help)
	switch {
	case k.Port == "":
		doc.WriteString(" An address must name the port.")
	case k.TLSPort != "" && k.TLSPort != k.Port:
		fmt.Fprintf(doc, " Port %s, with TLS %s, unless the address names one.", k.Port, k.TLSPort)
	default:
		fmt.Fprintf(doc, " Port %s unless the address names one.", k.Port)
	}
	doc.WriteString("\n")
	if len(k.Options) > 0 {
		doc.WriteString("\n| option | type | default | meaning |\n|---|---|---|---|\n")
	}
	for _, o := range k.Options {
		standard := ""
		switch {
		case o.Required:
			standard = "required"
		case o.Default != "":
			standard = "`" + o.Default + "`"
		}
		fmt.Fprintf(doc, "| `%s` | %s | %s | %s |\n", o.Name, o.Type, standard, strings.ReplaceAll(o.Help, "|", `\|`))
	}
	if len(k.Facts) > 0 {
		fmt.Fprintf(doc, "\nTells `%s`.\n", strings.Join(k.Facts, "`, `"))
	}
}

func orNone(list []string, none string) string {
	if len(list) == 0 {
		return none
	}
	return strings.ReplaceAll(strings.Join(list, "; "), "|", `\|`)
}
