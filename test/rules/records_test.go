// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const recordCases = "records.yaml"

func TestRecords(t *testing.T) {
	for _, promtool := range []string{debianPromtool(t), newPromtool(t)} {
		if output, err := exec.Command(promtool, "test", "rules", recordCases).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", promtool, err, output)
		}
	}
}

// Every record has a value that is tested, and another value is found.
func TestRecordCasesCanFail(t *testing.T) {
	text, err := os.ReadFile(recordCases)
	if err != nil {
		t.Fatal(err)
	}
	names := recordNames(t)
	if len(names) == 0 {
		t.Fatal("there are no records")
	}
	for _, name := range names {
		line := "labels: '" + name
		before, after, found := strings.Cut(string(text), line)
		if !found {
			t.Errorf("no case tests %s", name)
			continue
		}
		wrong := before + line + strings.Replace(after, "value: ", "value: 1", 1)
		wrong = strings.ReplaceAll(wrong, "../../rules/", absolute(t, "../../rules")+"/")
		file := filepath.Join(t.TempDir(), recordCases)
		if err := os.WriteFile(file, []byte(wrong), 0o600); err != nil {
			t.Fatal(err)
		}
		if exec.Command(debianPromtool(t), "test", "rules", file).Run() == nil {
			t.Errorf("another value of %s passes", name)
		}
	}
}

func recordNames(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, file := range ruleFiles(t) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var parsed struct {
			Groups []struct{ Rules []struct{ Record string } }
		}
		if err := yaml.Unmarshal(text, &parsed); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, group := range parsed.Groups {
			for _, rule := range group.Rules {
				if rule.Record != "" {
					names = append(names, rule.Record)
				}
			}
		}
	}
	return names
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}
