// SPDX-License-Identifier: Apache-2.0

package exporter

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-kit/log"
)

// memory is what a stateFile keeps in tests.
type memory struct {
	content []byte
	err     error
}

func (m *memory) Export() ([]byte, error) { return m.content, m.err }

func (m *memory) Import(content []byte) error {
	if strings.HasPrefix(string(content), "damaged") {
		return errors.New("this is no state")
	}
	m.content = content
	return nil
}

func stateFileOf(t *testing.T, path string, kept *memory) (*stateFile, *logBuffer) {
	t.Helper()
	output := new(logBuffer)
	return &stateFile{path: path, kept: kept, self: new(selfMetrics), logger: log.NewLogfmtLogger(output)}, output
}

func TestStateFileIsSavedAndLoaded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	first, _ := stateFileOf(t, path, &memory{content: []byte("counts")})
	if err := first.load(); err != nil {
		t.Errorf("a missing file is a failure: %v", err)
	}
	first.save()
	kept := new(memory)
	second, _ := stateFileOf(t, path, kept)
	if err := second.load(); err != nil {
		t.Fatal(err)
	}
	check(t, "loaded", string(kept.content), "counts")
	check(t, "load failed", second.self.load.failed, false)
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("saving left files behind: %v, error %v", entries, err)
	}
}

func TestDamagedStateFileIsMovedAside(t *testing.T) {
	path := writeFile(t, "state", "damaged by a crash")
	f, output := stateFileOf(t, path, new(memory))
	if err := f.load(); err != nil {
		t.Fatal(err)
	}
	check(t, "load failed", f.self.load.failed, true)
	aside, err := os.ReadFile(path + ".corrupt")
	if err != nil || string(aside) != "damaged by a crash" {
		t.Errorf("the file was not moved aside: %q, error %v", aside, err)
	}
	if !strings.Contains(output.String(), "this is no state") {
		t.Errorf("the log does not tell why: %s", output)
	}
}

func TestUnreadableStateFileIsAFailure(t *testing.T) {
	f, _ := stateFileOf(t, t.TempDir(), new(memory)) // a folder
	if err := f.load(); err == nil || !strings.Contains(err.Error(), "cannot read the state file") {
		t.Errorf("got the error %v", err)
	}
}

func TestNothingKnownKeepsTheOldStateFile(t *testing.T) {
	path := writeFile(t, "state", "counts")
	f, _ := stateFileOf(t, path, new(memory))
	f.save()
	content, err := os.ReadFile(path)
	if err != nil || string(content) != "counts" {
		t.Errorf("the file holds %q, error %v", content, err)
	}
	check(t, "tried", f.self.save.tried, false)
}

func TestFailuresToSaveAreLoggedOncePerChange(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "gone")
	kept := &memory{content: []byte("counts")}
	f, output := stateFileOf(t, filepath.Join(folder, "state"), kept)
	f.save()
	f.save()
	check(t, "failed", f.self.save.failed, true)
	check(t, "failures logged", strings.Count(output.String(), "cannot save the state file"), 1)
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	f.save()
	f.save()
	check(t, "failed", f.self.save.failed, false)
	check(t, "recoveries logged", strings.Count(output.String(), "saved again"), 1)
	kept.err = errors.New("not now")
	f.save()
	check(t, "failed", f.self.save.failed, true)
}
