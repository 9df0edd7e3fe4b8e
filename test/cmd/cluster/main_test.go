// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// asCommandEnv makes this test binary be the command.
const asCommandEnv = "STABILITY_TEST_CLUSTER_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommandEnv) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

func command(t *testing.T, arguments ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], arguments...)
	cmd.Env = append(os.Environ(), asCommandEnv+"=yes")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestUpAndDown(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cluster")
	out, err := command(t, "-dir", dir, "-nodes", "2", "up")
	if err != nil {
		t.Fatalf("up: %v\n%s", err, out)
	}
	t.Cleanup(func() {
		if running, found, _ := readState(dir); found && running.alive() {
			if process, err := os.FindProcess(running.PID); err == nil {
				_ = process.Kill()
			}
		}
	})
	values := map[string]string{}
	for line := range strings.Lines(out) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		values[key] = value
	}
	nodes, err := exec.CommandContext(t.Context(), values["KUBECTL"], "--kubeconfig="+values["KUBECONFIG"], "get", "nodes", "--no-headers").CombinedOutput()
	if err != nil || strings.Count(string(nodes), " Ready ") != 2 {
		t.Errorf("kubectl get nodes: %v\n%s", err, nodes)
	}
	running, found, err := readState(dir)
	if err != nil || !found || !running.alive() {
		t.Fatalf("state after up: %+v, found %t, %v", running, found, err)
	}
	if again, err := command(t, "-dir", dir, "up"); err != nil || again != out {
		t.Errorf("a second up: %v\n%s", err, again)
	}
	if out, err := command(t, "-dir", dir, "down"); err != nil {
		t.Fatalf("down: %v\n%s", err, out)
	}
	if running.alive() {
		t.Error("the cluster's process is alive after down")
	}
	if out, err := command(t, "-dir", dir, "down"); err != nil || !strings.HasPrefix(out, "no cluster is running") {
		t.Errorf("a second down: %v\n%s", err, out)
	}
}

func TestForeignThingsAreLeftAlone(t *testing.T) {
	dir := t.TempDir()
	precious := filepath.Join(dir, "precious")
	if err := os.WriteFile(precious, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := command(t, "-dir", dir, "up"); err == nil || !strings.Contains(out, "name another with -dir") {
		t.Errorf("up in a directory with other files: %v\n%s", err, out)
	}
	if _, err := os.Stat(precious); err != nil {
		t.Error(err)
	}

	// A state whose process id now belongs to somebody else.
	other := exec.Command("tail", "--follow", "/dev/null")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = other.Process.Kill()
		_ = other.Wait()
	}()
	stale := state{PID: other.Process.Pid, StartTime: "1"}
	if stale.alive() {
		t.Error("a process that started at another time is taken for the cluster's")
	}
}
