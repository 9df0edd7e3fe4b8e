// SPDX-License-Identifier: Apache-2.0

// Command generate writes the ERP cluster with its faults as the sample dump: go run ./internal/scenario/generate
// examples/erp-cluster
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"stability-exporter/internal/scenario"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("usage: generate FOLDER")
	}
	files, err := scenario.ERPWithFaults().Files()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(args[0], 0o755); err != nil {
		return fmt.Errorf("cannot write the example: %w", err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(args[0], name), text, 0o644); err != nil {
			return fmt.Errorf("cannot write the example: %w", err)
		}
	}
	return nil
}
