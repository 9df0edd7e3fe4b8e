// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"strings"
	"time"
)

const (
	tableBegin = "<!-- table: begin -->"
	tableEnd   = "<!-- table: end -->"
)

func mebibytes(bytes int64) float64 { return float64(bytes) / (1 << 20) }

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
}

func memoryText(bytes int64) string { return fmt.Sprintf("%.1f MiB", mebibytes(bytes)) }

// row is a line of the table.
type row struct {
	title string
	value func(*result) string
}

func rows() []row {
	settled := func(m memory) string { return memoryText(m.resident) + ", " + memoryText(m.private) + " private" }
	wall := func(c scrapeCost) string { return milliseconds(c.median) + " / " + milliseconds(c.p99) }
	return []row{
		{"**peak memory** until ready", func(r *result) string { return memoryText(r.readyPeak) }},
		{"**peak memory** of the whole run", func(r *result) string { return "**" + memoryText(r.afterList.peak) + "**" }},
		{"memory when settled", func(r *result) string { return settled(r.settled) }},
		{"memory after the churn", func(r *result) string { return settled(r.afterChurn) }},
		{"memory after everything was listed anew", func(r *result) string { return settled(r.afterList) }},
		{"live heap after a collection", func(r *result) string { return memoryText(r.live) }},
		{"live heap per pod, everything included", func(r *result) string {
			return fmt.Sprintf("%.0f B", float64(r.live)/float64(r.scenario.pods))
		}},
		{"first complete scrape after", func(r *result) string { return fmt.Sprintf("%.2f s", r.ready.Seconds()) }},
		{"CPU until then", func(r *result) string { return fmt.Sprintf("%.2f s", r.readyCPU.Seconds()) }},
		{"CPU for 1,000 changes of pods", func(r *result) string { return milliseconds(1000 * r.eventCPU) }},
		{"– of it decoding by client-go", func(r *result) string { return milliseconds(1000 * r.decodeCPU) }},
		{"– ratio", func(r *result) string { return fmt.Sprintf("%.2f", float64(r.eventCPU)/float64(r.decodeCPU)) }},
		{"allocated for a change", func(r *result) string {
			return fmt.Sprintf("%.0f kB, %.0f objects", r.eventBytes/1000, r.eventObjects)
		}},
		{"series", func(r *result) string { return fmt.Sprint(r.series) }},
		{"series of a healthy workload and its Service", func(r *result) string { return fmt.Sprint(r.perWorkload) }},
		{"size of a scrape", func(r *result) string { return fmt.Sprintf("%.2f MiB", mebibytes(r.plain.bytes)) }},
		{"– compressed", func(r *result) string { return fmt.Sprintf("%.2f MiB", mebibytes(r.gzip.bytes)) }},
		{"CPU of a scrape", func(r *result) string { return milliseconds(r.plain.cpu) }},
		{"– compressed", func(r *result) string { return milliseconds(r.gzip.cpu) }},
		{"– per series", func(r *result) string { return fmt.Sprintf("%d ns", int(r.plain.cpu)/r.series) }},
		{"median / 99 % of the wall time of a scrape", func(r *result) string { return wall(r.plain) }},
		{"– compressed", func(r *result) string { return wall(r.gzip) }},
		{"allocated for a scrape", func(r *result) string {
			return fmt.Sprintf("%.0f kB, %.0f objects", r.plain.allocated/1000, r.plain.objects)
		}},
		{"scrapes at a cold start and while everything is listed anew", func(r *result) string {
			return fmt.Sprint(r.coldScrapes + r.relistScrapes)
		}},
		{"**partial ones** of them", func(r *result) string { return fmt.Sprintf("**%d**", len(r.partial)+len(r.coldPartial)) }},
	}
}

// table renders the results as Markdown, a column for each scenario.
func table(results []*result) string {
	var out strings.Builder
	out.WriteString("| |")
	for _, r := range results {
		fmt.Fprintf(&out, " %s |", r.scenario)
	}
	out.WriteString("\n|---|" + strings.Repeat("---|", len(results)) + "\n")
	for _, row := range rows() {
		fmt.Fprintf(&out, "| %s |", row.title)
		for _, r := range results {
			fmt.Fprintf(&out, " %s |", row.value(r))
		}
		out.WriteString("\n")
	}
	return out.String()
}

// writeTable replaces what stands between the markers in a file.
func writeTable(path, table string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("cannot read the page: %w", err)
	}
	before, rest, begins := strings.Cut(string(text), tableBegin)
	_, after, ends := strings.Cut(rest, tableEnd)
	if !begins || !ends {
		return fmt.Errorf("cannot find %s and %s in %s", tableBegin, tableEnd, path)
	}
	if err := os.WriteFile(path, []byte(before+tableBegin+"\n"+table+tableEnd+after), 0o644); err != nil {
		return fmt.Errorf("cannot write the page: %w", err)
	}
	return nil
}
