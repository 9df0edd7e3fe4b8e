// SPDX-License-Identifier: Apache-2.0

package exporter

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stability-exporter/internal/state"
)

// Every file of testdata/config holds one mistake, and says in its first line how it is to be told.
func TestMistakesOfConfigurationsAreToldExactly(t *testing.T) {
	files, err := filepath.Glob("testdata/config/*.yaml")
	if err != nil || len(files) < 15 {
		t.Fatalf("found %d files, error %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			first, _, _ := bytes.Cut(text, []byte("\n"))
			_, err = loadConfig(file)
			if err == nil {
				t.Fatal("the configuration is accepted")
			}
			_, want, _ := strings.Cut(string(first), "# want ")
			want = file + ":" + want
			if diff := cmp.Diff(want, err.Error()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestEveryMistakeIsToldInTheOrderOfTheFile(t *testing.T) {
	_, mistakes := parseConfig([]byte("damage:\n  grace: 5\n  gace: 5m\nnode_conditions:\n  A: worse\n  B: bad\n  C: better\n" +
		"rules:\n  critical_namespaces: [a, '(', b]\n  alerts: {Foo: }\n  thresholds:\n    oom_kill: x\n    oom_kills: x\n" +
		"  critical_labels: {tier: '*'}\n"))
	var lines []int
	for _, m := range mistakes {
		lines = append(lines, m.line)
	}
	if diff := cmp.Diff([]int{2, 3, 5, 7, 9, 10, 12, 13, 14}, lines); diff != "" {
		t.Errorf("lines of the mistakes: %s\n%v", diff, mistakes)
	}
}

func TestConfigurationsAndTheirDefaults(t *testing.T) {
	f := func(text string, grace time.Duration, conditions map[string]string) {
		t.Helper()
		c, mistakes := parseConfig([]byte(text))
		if len(mistakes) > 0 {
			t.Errorf("%q: %v", text, mistakes)
			return
		}
		check(t, text, c.Damage.Grace.Duration, grace)
		if diff := cmp.Diff(conditions, c.conditions()); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
	}
	none := map[string]string{}
	f("", state.DefaultGrace, none)
	f("# nothing yet\n", state.DefaultGrace, none)
	f("damage:\n", state.DefaultGrace, none)
	f("damage: {grace: 90s}", 90*time.Second, none)
	f("damage: {grace: 1h30m}\nnode_conditions: {GPUHealthy: bad, OutOfDisk: ignore}", 90*time.Minute,
		map[string]string{"GPUHealthy": "bad", "OutOfDisk": "ignore"})
}

func TestConfigurationsHaveASizeLimit(t *testing.T) {
	file := writeFile(t, "large.yaml", strings.Repeat("#", maxConfigSize+1))
	_, err := loadConfig(file)
	if err == nil || !strings.Contains(err.Error(), file+" is larger than 1048576 bytes") {
		t.Errorf("got the error %v", err)
	}
}

func FuzzParseConfig(f *testing.F) {
	files, err := filepath.Glob("testdata/config/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if c, mistakes := parseConfig(text); len(mistakes) == 0 && c.Damage.Grace.Duration <= 0 {
			t.Errorf("a grace of %s is accepted", c.Damage.Grace)
		}
	})
}
