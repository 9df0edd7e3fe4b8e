// SPDX-License-Identifier: Apache-2.0

// Package sample tries what users see first on the sample cluster of make run: the README, the alerts, and the dashboards,
// which a real Prometheus answers.
package sample

import (
	"context"
	"fmt"
	"os"
	"testing"

	"stability-exporter/rules"
	"stability-exporter/test/exporterproc"
)

// faulty is the sample cluster as make run reads it.
const faulty = "../../examples/erp-cluster"

// binary is the path of the program. It is set once by TestMain.
var binary string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "stability-sample-")
	if err == nil {
		defer func() { _ = os.RemoveAll(dir) }() // a leftover in the temporary directory harms nobody
		binary, err = exporterproc.Build(context.Background(), dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// serve runs the program over a folder of manifests until the test ends, and waits until it is ready.
func serve(t *testing.T, manifests string) *exporterproc.Process {
	t.Helper()
	p := exporterproc.Start(t, binary, "--manifests="+manifests, "--collector.probe")
	p.AwaitReady(t)
	return p
}

// bundledRules is the rule file that the program prints.
func bundledRules(t *testing.T) []byte {
	t.Helper()
	text, err := rules.Print(rules.Options{Format: rules.Prometheus})
	if err != nil {
		t.Fatal(err)
	}
	return text
}
