// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// holderEnv makes this test binary start a cluster, print the process ids and wait to be killed.
const holderEnv = "STABILITY_TEST_HOLD_CLUSTER"

func TestStopLeavesNoProcess(t *testing.T) {
	options := Options{ExtraFlags: map[Component][]string{APIServer: {"--feature-gates=WatchList=false"}}}
	c, err := Start(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Stop()
	var pids []int
	for _, component := range components() {
		pids = append(pids, c.PID(component))
	}
	if watchListStreams(t, c) {
		t.Error("the API server streams lists in spite of WatchList=false")
	}
	if !watchListStreams(t, shared) {
		t.Error("an API server without extra flags does not stream lists")
	}
	c.Stop()
	for _, pid := range pids {
		if pid == 0 || isAlive(pid) {
			t.Errorf("process %d was not running before or is running after Stop", pid)
		}
	}
	if _, err := os.Stat(c.Dir()); !os.IsNotExist(err) {
		t.Errorf("the directory is still there: %v", err)
	}
}

// watchListStreams asks for a watch that begins with the whole list.
func watchListStreams(t *testing.T, c *Cluster) bool {
	t.Helper()
	yes, timeout := true, int64(1)
	watcher, err := c.Client().CoreV1().Namespaces().Watch(t.Context(), metav1.ListOptions{
		SendInitialEvents: &yes, AllowWatchBookmarks: true, TimeoutSeconds: &timeout,
		ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan,
	})
	if err != nil {
		return false
	}
	watcher.Stop()
	return true
}

func isAlive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

func TestComponentsEndWithTheirParent(t *testing.T) {
	dir := t.TempDir()
	holder := exec.Command(os.Args[0])
	holder.Env = append(os.Environ(), holderEnv+"="+dir)
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	var pids string
	await(t, "the other process to have a cluster", func(context.Context) (bool, error) {
		content, err := os.ReadFile(filepath.Join(dir, "pids"))
		pids = string(content)
		return err == nil, nil
	})
	if err := holder.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = holder.Wait() // killed
	fields := strings.Fields(pids)
	if len(fields) != len(components()) {
		t.Fatalf("the other process has processes %q", pids)
	}
	for _, field := range fields {
		var pid int
		if _, err := fmt.Sscan(field, &pid); err != nil {
			t.Fatal(err)
		}
		await(t, "process "+field+" to end", func(context.Context) (bool, error) { return !isAlive(pid), nil })
	}
}
