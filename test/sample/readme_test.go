// SPDX-License-Identifier: Apache-2.0

package sample

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// Every series that the README shows is served by what make run starts.
func TestReadmeShowsWhatIsServed(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	scrape, err := serve(t, faulty).Scrape(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	shown := regexp.MustCompile(`(?m)^    (stability_\w+\{.*)$`).FindAllStringSubmatch(string(readme), -1)
	if len(shown) < 10 {
		t.Errorf("the README shows %d series only; was its form changed?", len(shown))
	}
	for _, series := range shown {
		if !strings.Contains("\n"+scrape.Text, "\n"+series[1]+"\n") {
			t.Errorf("not served: %s", series[1])
		}
	}
}
