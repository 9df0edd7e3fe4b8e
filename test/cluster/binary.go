// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// kubernetesVersion is what the servers report; kubectl refuses a version it cannot parse.
const kubernetesVersion = "v1.36.3"

// CacheEnv names the environment variable with the directory that holds the built control plane.
const CacheEnv = "STABILITY_TEST_CACHE"

// Binaries returns the directory with the programs of the control plane (etcd, kube-apiserver, kubectl, …), building
// them first if the cache holds none for the current sources. A first build takes minutes; progress, where non-nil, is
// told so.
func Binaries(ctx context.Context, progress io.Writer) (string, error) {
	source, err := controlPlaneSource(ctx)
	if err != nil {
		return "", err
	}
	dir, err := cacheDir(source)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("cannot create the cache of control plane programs: %w", err)
	}
	unlock, err := lockFile(filepath.Join(dir, "lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(filepath.Join(dir, "complete")); err == nil {
		return dir, nil
	}
	if progress != nil {
		fmt.Fprintf(progress, "building the control plane into %s, several minutes the first time\n", dir)
	}
	return dir, build(ctx, source, dir)
}

// controlPlaneSource asks the go command, so that it also works from another module that requires this one.
func controlPlaneSource(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "stability-exporter/test").Output()
	if err != nil {
		return "", fmt.Errorf("cannot find the module stability-exporter/test: %w", err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "controlplane"), nil
}

func cacheDir(source string) (string, error) {
	hash := sha256.New()
	for _, name := range []string{"go.mod", "go.sum", "main.go"} {
		content, err := os.ReadFile(filepath.Join(source, name))
		if err != nil {
			return "", fmt.Errorf("cannot read the control plane's sources: %w", err)
		}
		hash.Write(content)
	}
	root := os.Getenv(CacheEnv)
	if root == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("cannot find a cache directory, set %s: %w", CacheEnv, err)
		}
		root = filepath.Join(user, "stability-exporter")
	}
	return filepath.Join(root, hex.EncodeToString(hash.Sum(nil))[:16]), nil
}

// lockFile keeps two test packages from building at the same time.
func lockFile(path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("cannot open the build lock: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("cannot take the build lock %s: %w", path, err)
	}
	return func() { _ = file.Close() }, nil
}

func build(ctx context.Context, source, dir string) error {
	binary := filepath.Join(dir, "controlplane")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-mod=readonly",
		"-ldflags", "-s -w -X k8s.io/component-base/version.gitVersion="+kubernetesVersion, "-o", binary, ".")
	cmd.Dir = source
	cmd.Env = append(os.Environ(), "GOWORK=off")
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("cannot build the control plane: %w\n%s", err, output.String())
	}
	for _, applet := range []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl", "kwok"} {
		link := filepath.Join(dir, applet)
		_ = os.Remove(link)
		if err := os.Symlink("controlplane", link); err != nil {
			return fmt.Errorf("cannot link %s to the control plane: %w", applet, err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "complete"), nil, 0o644); err != nil {
		return fmt.Errorf("cannot mark the control plane as built: %w", err)
	}
	return nil
}
