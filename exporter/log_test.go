// SPDX-License-Identifier: Apache-2.0

package exporter

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/go-kit/log/level"
)

func TestOwnAndBridgedLinesLookAlike(t *testing.T) {
	var output bytes.Buffer
	loggers, err := newLoggers(&output, "logfmt", "info")
	if err != nil {
		t.Fatal(err)
	}
	level.Info(loggers.own).Log("msg", "own line")
	loggers.bridge.Info("bridged line")
	level.Debug(loggers.own).Log("msg", "too quiet")
	loggers.bridge.Debug("too quiet")
	lines := strings.Split(strings.TrimSpace(output.String()), "\n")
	if len(lines) != 2 {
		t.Fatalf("got %d lines:\n%s", len(lines), output.String())
	}
	for _, line := range lines {
		for _, part := range []string{"level=info", "time=", "caller=", "log_test.go:", `line"`} {
			check(t, part+" in "+line, strings.Count(line, part), 1)
		}
	}
}

func TestLogFormatAndLevel(t *testing.T) {
	var output bytes.Buffer
	loggers, err := newLoggers(&output, "json", "warn")
	if err != nil {
		t.Fatal(err)
	}
	loggers.bridge.Info("too quiet")
	level.Warn(loggers.own).Log("msg", "loud enough", "n", 1)
	var line map[string]any
	if err := json.Unmarshal(output.Bytes(), &line); err != nil {
		t.Fatalf("%v in %s", err, output.String())
	}
	check(t, "level", line["level"], any("warn"))
	check(t, "msg", line["msg"], any("loud enough"))
	if _, err := newLoggers(&output, "json", "loud"); err == nil {
		t.Error("an unknown level is accepted")
	}
}
