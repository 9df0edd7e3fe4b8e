// SPDX-License-Identifier: Apache-2.0

// Command stability_exporter tells Prometheus whether what runs on Kubernetes, and the middleware around it, is stable.
package main

import (
	"os"

	"stability-exporter/exporter"
)

func main() {
	os.Exit(exporter.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
