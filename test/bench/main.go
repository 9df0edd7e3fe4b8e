// SPDX-License-Identifier: Apache-2.0

// Command bench measures the exporter as it is shipped against a replayed API server: memory, processor time and answers
// of a process of its own, on clusters of 10,000 pods and more.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := bench(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// bench measures the scenarios that the arguments ask for and prints the table, or writes it into a page.
func bench(ctx context.Context, args []string, stdout, progress io.Writer) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	var s scenario
	var e effort
	flags.IntVar(&s.pods, "pods", 10_000, "pods")
	flags.IntVar(&s.workloads, "workloads", 500, "Deployments, each with a Service")
	flags.IntVar(&s.nameLength, "name-length", 20, "least length of a workload's name")
	flags.BoolVar(&s.abnormal, "abnormal", false, "let a pod of every tenth workload be in trouble")
	flags.BoolVar(&s.pagedLists, "paged-lists", false, "let the server refuse streaming lists, as old ones do")
	all := flags.Bool("all", false, "measure the scenarios of docs/performance.md instead")
	page := flags.String("write", "", "page whose table is replaced")
	flags.DurationVar(&e.settle, "settle", 10*time.Second, "pause after which memory counts as settled")
	flags.IntVar(&e.scrapes, "scrapes", 200, "scrapes, plain and compressed each")
	flags.IntVar(&e.events, "events", 5000, "changes of pods")
	flags.IntVar(&e.rate, "rate", 1000, "changes per second")
	targets := flags.Int("targets", 0, "measure so many targets of middleware instead, every other one of which hangs")
	watched := flags.Duration("watched", 2*time.Minute, "for how long they are watched")
	flags.StringVar(&e.profile, "profile", "", "folder for Go profiles of the exporter")
	if err := flags.Parse(args); err != nil {
		return err
	}
	scenarios := []scenario{s}
	if *all {
		scenarios = published()
	}
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return fmt.Errorf("cannot make a folder: %w", err)
	}
	defer os.RemoveAll(dir)
	binary, err := buildExporter(ctx, dir)
	if err != nil {
		return err
	}
	if *targets > 0 {
		return measureTargets(ctx, binary, dir, *targets, *watched, stdout)
	}
	return measureAll(ctx, binary, scenarios, e, *page, stdout, progress)
}

// measureAll measures scenarios one after another and prints the table, or writes it into a page.
func measureAll(ctx context.Context, binary string, scenarios []scenario, e effort, page string, stdout, progress io.Writer) error {
	var results []*result
	partial := 0
	for _, s := range scenarios {
		r, err := measure(ctx, binary, s, e, progress)
		if err != nil {
			return err
		}
		results = append(results, r)
		all := slices.Concat(r.partial, r.coldPartial)
		partial += len(all)
		for _, what := range slices.Compact(all) {
			fmt.Fprintln(progress, "partial answer:", what)
		}
		if page != "" { // after each scenario: the large ones take minutes
			if err := writeTable(page, table(results)); err != nil {
				return err
			}
		}
	}
	if page == "" {
		fmt.Fprint(stdout, table(results))
	}
	if partial > 0 {
		return fmt.Errorf("%d answers were partial or inconsistent", partial)
	}
	return nil
}

// published are the scenarios of docs/performance.md.
func published() []scenario {
	return []scenario{
		{pods: 10_000, workloads: 500, nameLength: 20},
		{pods: 100_000, workloads: 5000, nameLength: 26, abnormal: true},
		{pods: 10_000, workloads: 500, nameLength: 20, pagedLists: true},
	}
}
