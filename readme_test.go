// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// Every series that the README shows is served by what make run starts.
func TestReadmeShowsWhatIsServed(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	served := "\n" + sampleMetrics(t)
	shown := regexp.MustCompile(`(?m)^    (stability_\w+\{.*)$`).FindAllStringSubmatch(string(readme), -1)
	if len(shown) < 10 {
		t.Errorf("the README shows %d series only; was its form changed?", len(shown))
	}
	for _, series := range shown {
		if !strings.Contains(served, "\n"+series[1]+"\n") {
			t.Errorf("not served: %s", series[1])
		}
	}
}

// sampleMetrics runs the program over the sample cluster and returns what /metrics answers once it is ready.
func sampleMetrics(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "stability_exporter")
	if output, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("cannot build the program: %v\n%s", err, output)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	program := exec.CommandContext(ctx, binary, "--manifests=examples/erp-cluster", "--web.listen-address=127.0.0.1:0")
	log, err := program.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cancel(); _ = program.Wait() }() // killed
	address, read := "", false
	for lines := bufio.NewScanner(log); (address == "" || !read) && lines.Scan(); {
		if match := regexp.MustCompile(`msg="Listening on" address=(\S+)`).FindStringSubmatch(lines.Text()); match != nil {
			address = match[1]
		}
		read = read || strings.Contains(lines.Text(), `msg="manifests read"`)
	}
	go func() { _, _ = io.Copy(io.Discard, log) }()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatalf("cannot scrape the sample cluster: %v", err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
