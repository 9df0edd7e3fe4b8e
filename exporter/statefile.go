// SPDX-License-Identifier: Apache-2.0

package exporter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
)

const (
	saveInterval = 30 * time.Second
	// maxStateSize is an order of magnitude above what 100,000 pods need.
	maxStateSize = 256 << 20
)

// stateFile keeps what would be lost with the process: restart counts, and since when they are counted.
type stateFile struct {
	path   string // empty: nothing is kept
	kept   keeper
	self   *selfMetrics
	logger log.Logger

	mu     sync.Mutex // held while saving
	failed bool       // whether the last save did
}

// keeper is what a stateFile keeps.
type keeper interface {
	Export() ([]byte, error) // nil while nothing is known
	Import([]byte) error
}

// load reads the file. A damaged one is moved aside, for what it held can be counted anew; one that cannot be read is an
// error, for saving would destroy it.
func (f *stateFile) load() error {
	if f.path == "" {
		return nil
	}
	if info, err := os.Stat(filepath.Dir(f.path)); err != nil || !info.IsDir() {
		return fmt.Errorf("cannot use --state.file=%s: %s is no folder, create it", f.path, filepath.Dir(f.path))
	}
	saved, err := readAtMost(f.path, maxStateSize)
	if errors.Is(err, fs.ErrNotExist) {
		level.Info(f.logger).Log("msg", "state file does not exist yet, starting afresh", "file", f.path)
		f.self.note(&f.self.load, nil)
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot read the state file: %w", err)
	}
	err = f.kept.Import(saved)
	f.self.note(&f.self.load, err)
	if err == nil {
		level.Info(f.logger).Log("msg", "state file loaded", "file", f.path, "bytes", len(saved))
		return nil
	}
	aside := f.path + ".corrupt"
	level.Error(f.logger).Log("msg", "state file is damaged, moved aside and starting afresh", "file", f.path, "moved_to", aside, "err", err)
	if err := os.Rename(f.path, aside); err != nil {
		return fmt.Errorf("cannot move the damaged state file aside: %w", err)
	}
	return nil
}

// keep saves the file again and again until the context is done, and then a last time.
func (f *stateFile) keep(ctx context.Context) {
	if f.path == "" {
		return
	}
	ticker := time.NewTicker(saveInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			f.save()
			return
		case <-ticker.C:
			f.save()
		}
	}
}

// save writes the file once. A failure is logged when it is new, and told by a metric.
func (f *stateFile) save() {
	if f.path == "" {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	saved, err := f.kept.Export()
	if err == nil && saved == nil {
		return // nothing is known yet: what an earlier run has saved stays
	}
	if err == nil {
		err = writeAtomically(f.path, saved)
	}
	f.self.note(&f.self.save, err)
	switch {
	case err != nil && !f.failed:
		level.Error(f.logger).Log("msg", "cannot save the state file, will try again", "file", f.path, "err", err)
	case err == nil && f.failed:
		level.Info(f.logger).Log("msg", "state file is saved again", "file", f.path)
	}
	f.failed = err != nil
}

func readAtMost(path string, limit int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err == nil && int64(len(content)) > limit {
		err = fmt.Errorf("%s is larger than %d bytes", path, limit)
	}
	return content, err
}

// writeAtomically leaves either the old content or the new one, also when the machine loses power in between.
func writeAtomically(path string, content []byte) error {
	folder := filepath.Dir(path)
	temporary, err := os.CreateTemp(folder, filepath.Base(path)+".tmp*")
	if err != nil {
		return err
	}
	defer os.Remove(temporary.Name()) // fails once it is renamed
	_, err = temporary.Write(content)
	if err == nil {
		err = temporary.Sync()
	}
	if err := errors.Join(err, temporary.Close()); err != nil {
		return err
	}
	if err := os.Rename(temporary.Name(), path); err != nil {
		return err
	}
	parent, err := os.Open(folder)
	if err != nil {
		return err
	}
	defer parent.Close()
	return parent.Sync()
}
