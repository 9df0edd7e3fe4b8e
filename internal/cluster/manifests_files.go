// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	maxFiles       = 100_000 // of one reading; a dump of a large cluster has a few per namespace
	maxFolderDepth = 16
)

// manifestFile is a file to read and what it looked like.
type manifestFile struct {
	path string
	info os.FileInfo // nil for standard input
}

func (f manifestFile) piped() bool { return f.info == nil || !f.info.Mode().IsRegular() }

// fileSet is what the paths stand for at one moment, or why that could not be found out.
type fileSet struct {
	files []manifestFile
	err   error
}

func (s fileSet) piped() bool { return slices.ContainsFunc(s.files, manifestFile.piped) }

// equal reports whether nothing has changed. A mounted ConfigMap changes by a swapped symbolic link: the file behind
// it is another one.
func (s fileSet) equal(other fileSet) bool {
	if s.err != nil || other.err != nil {
		return s.err != nil && other.err != nil && s.err.Error() == other.err.Error()
	}
	return slices.EqualFunc(s.files, other.files, func(a, b manifestFile) bool {
		return a.path == b.path && a.info != nil && b.info != nil && os.SameFile(a.info, b.info) &&
			a.info.Size() == b.info.Size() && a.info.ModTime().Equal(b.info.ModTime())
	})
}

// look finds the files of all paths, each path in turn and the files of a folder by their names.
func (m *Manifests) look() (fileSet, error) {
	var set fileSet
	for _, path := range m.options.Paths {
		if path == stdinPath {
			set.files = append(set.files, manifestFile{path: stdinPath})
			continue
		}
		info, err := os.Stat(path)
		if err != nil {
			return set, fmt.Errorf("cannot read manifests: %w", err)
		}
		if !info.IsDir() {
			set.files = append(set.files, manifestFile{path, info})
			continue
		}
		if err := set.addFolder(path, 0); err != nil {
			return set, fmt.Errorf("cannot read manifests: %w", err)
		}
	}
	return set, nil
}

// addFolder adds the manifests below a folder. It follows symbolic links, which mounted ConfigMaps consist of; the
// targets have names that begin with two dots and are not read twice.
func (s *fileSet) addFolder(folder string, depth int) error {
	if depth > maxFolderDepth {
		return fmt.Errorf("%s: folders are nested deeper than %d levels", folder, maxFolderDepth)
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		path := filepath.Join(folder, entry.Name())
		if strings.HasPrefix(entry.Name(), ".") {
			continue
		}
		info, err := os.Stat(path)
		switch {
		case os.IsNotExist(err): // gone since the folder was read, or a link to nowhere
		case err != nil:
			return err
		case info.IsDir():
			if err := s.addFolder(path, depth+1); err != nil {
				return err
			}
		case info.Mode().IsRegular() && isManifestName(entry.Name()):
			if len(s.files) == maxFiles {
				return fmt.Errorf("%s: there are more than %d files", folder, maxFiles)
			}
			s.files = append(s.files, manifestFile{path, info})
		}
	}
	return nil
}

func isManifestName(name string) bool {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".yaml", ".yml", ".json":
		return true
	}
	return false
}

// read reads one file into the picture.
func (m *Manifests) read(ctx context.Context, picture *picture, f manifestFile) error {
	if f.path == stdinPath {
		picture.add(stdinFileName, contextReader{ctx, m.options.Stdin})
		picture.clock.file(time.Now())
		return nil
	}
	file, err := os.Open(f.path)
	if err != nil {
		return fmt.Errorf("cannot read manifests: %w", err)
	}
	defer file.Close()
	picture.add(f.path, contextReader{ctx, file})
	modified := f.info.ModTime()
	if f.piped() {
		modified = time.Now()
	}
	picture.clock.file(modified)
	return nil
}

// contextReader stops reading once ctx is done.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
