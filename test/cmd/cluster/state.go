// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// state says which process holds a cluster and how to reach it.
type state struct {
	PID        int
	StartTime  string // of the process: tells it from a later one with the same id
	Kubeconfig string
	Kubectl    string
}

func stateFile(dir string) string { return filepath.Join(dir, "state.json") }

// readState reports no state as not found, without an error.
func readState(dir string) (s state, found bool, err error) {
	content, err := os.ReadFile(stateFile(dir))
	if errors.Is(err, os.ErrNotExist) {
		return state{}, false, nil
	}
	if err != nil {
		return state{}, false, fmt.Errorf("cannot read the state of the cluster: %w", err)
	}
	if err := json.Unmarshal(content, &s); err != nil {
		return state{}, false, fmt.Errorf("cannot decode %s, remove its directory: %w", stateFile(dir), err)
	}
	return s, true, nil
}

// writeState records this process as the holder, in one step so that nobody reads half a state.
func writeState(dir, kubeconfig, kubectl string) error {
	content, err := json.Marshal(state{
		PID: os.Getpid(), StartTime: startTime(os.Getpid()), Kubeconfig: kubeconfig, Kubectl: kubectl,
	})
	if err != nil {
		return fmt.Errorf("cannot encode the state of the cluster: %w", err)
	}
	unfinished := stateFile(dir) + ".new"
	if err := os.WriteFile(unfinished, content, 0o600); err != nil {
		return fmt.Errorf("cannot write the state of the cluster: %w", err)
	}
	if err := os.Rename(unfinished, stateFile(dir)); err != nil {
		return fmt.Errorf("cannot write the state of the cluster: %w", err)
	}
	return nil
}

// alive tells whether the very process that wrote the state still runs.
func (s state) alive() bool {
	now := startTime(s.PID)
	return now != "" && now == s.StartTime
}

func (s state) print() {
	fmt.Printf("KUBECONFIG=%s\nKUBECTL=%s\n", s.Kubeconfig, s.Kubectl)
}

// startTime is when a process started, in clock ticks since boot: field 22 of its stat file. It is empty for a process
// that is gone or a zombie.
func startTime(pid int) string {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	// The second field, the name in parentheses, may itself hold spaces and parentheses.
	_, rest, found := strings.Cut(string(content[strings.LastIndexByte(string(content), ')'):]), " ")
	fields := strings.Fields(rest)
	if !found || len(fields) < 20 || fields[0] == "Z" {
		return ""
	}
	return fields[19]
}
