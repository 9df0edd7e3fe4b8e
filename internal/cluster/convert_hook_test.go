// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"math"
	"strings"
	"testing"
	"time"

	"stability-exporter/internal/state"
)

func TestConvertHook(t *testing.T) {
	for text, want := range map[string]state.Hook{
		`null`:                             {},
		`{}`:                               {},
		`{"sleep": {"seconds": 30}}`:       {Native: true, Sleep: 30 * time.Second},
		`{"sleep": {"seconds": 0}}`:        {Native: true},
		`{"httpGet": {"port": 1}}`:         {Handler: state.HandlerHTTP},
		`{"tcpSocket": {"port": 1}}`:       {Handler: state.HandlerTCP},
		`{"exec": {}}`:                     {Handler: state.HandlerExec},
		`{"exec": {"command": ["sleep"]}}`: {Handler: state.HandlerExec},
	} {
		compare(t, containerOf(t, `{"lifecycle": {"preStop": `+text+`}}`).PreStop, want)
	}
	compare(t, containerOf(t, `{"lifecycle": {"postStart": {"sleep": {"seconds": 9}}}}`).PreStop, state.Hook{})
}

func TestCommandSleeps(t *testing.T) {
	const s = time.Second
	for command, want := range map[string]time.Duration{ // words are divided by |
		"sleep|10":                               10 * s,
		"/bin/sleep|1m":                          time.Minute,
		"sleep|1.5s|2|1h|1d":                     3500*time.Millisecond + 25*time.Hour,
		"busybox|sleep|3":                        3 * s,
		"sleep|infinity":                         math.MaxInt32 * s,
		"sleep|1e9999":                           0,
		"sleep|ten":                              0,
		"sleep|-1":                               0,
		"sleep|.":                                0,
		"sleep 10":                               0, // one word, that is no command
		"sleeper|10":                             0,
		"sh|-c|sleep 10":                         10 * s,
		"/bin/bash|-ec|sleep 10":                 10 * s,
		"/bin/bash|-e|-o|pipefail|-c|sleep 5; x": 5 * s,
		"bash|--norc|-lc|sleep 2":                2 * s,
		"sh|script.sh|-c|sleep 10":               0,
		"sh|-c":                                  0,
		"sh":                                     0,
		"python|-c|sleep 10":                     0,
	} {
		if got := commandSleeps(strings.Split(command, "|")); got != want {
			t.Errorf("%s sleeps %s; want %s", command, got, want)
		}
	}
	if got := commandSleeps(nil); got != 0 {
		t.Errorf("no command sleeps %s", got)
	}
}

func TestScriptSleeps(t *testing.T) {
	for script, want := range map[string]int{
		"sleep 10; nginx -s quit":                                           10,
		"nginx -s quit; sleep 10":                                           10,
		"  /bin/sleep 10 && /usr/sbin/nginx -s quit\n":                      10,
		"touch /tmp/down && sleep 10":                                       0, // if touch fails there is no sleep
		"sleep 5 && sleep 5; sleep 5":                                       15,
		"sleep 5 || sleep 5; sleep 5":                                       10,
		"nginx -s quit || true; sleep 10":                                   10,
		"nginx -s quit >/dev/null 2>&1; sleep 10 > out":                     10,
		"echo 'sleep 99' # sleep 98\nsleep 1":                               1,
		"echo \"it's; sleep 99\"; sleep '2'; sleep \"3\"":                   5,
		"echo sleep\\ 9; \\\nsleep 4":                                       4,
		"sleep $DELAY; sleep ${X:-9}; sleep $((1 + 1)); sleep `x`; sleep 3": 3,
		"kill $(pidof nginx; sleep 99); sleep 5":                            0,
		"x=$(pidof nginx); sleep 5":                                         5,
		"ps | sleep 9; sleep 2":                                             2,
		"sleep 5; if true; then sleep 9; fi; sleep 9":                       5,
		"while pgrep nginx; do sleep 1; done; sleep 9":                      0,
		"sleep 9 &":                                           0,
		"(sleep 9); sleep 9":                                  0,
		"f() { sleep 9; }; f":                                 0,
		"sleep 1; exit 0; sleep 9":                            1,
		"sleep 1; cat <<EOF\nsleep 9\nEOF":                    1,
		"set -e; pkill x; sleep 9":                            0,
		"set -eu\nsleep 1\necho x\nsleep 2\npkill x\nsleep 9": 3,
		"sleep 1; echo 'open":                                 1,
		"sleep 1; echo \"open $(":                             1,
		"":                                                    0,
		"sleep":                                               0,
		"sleep 1 # end":                                       1,
		strings.Repeat("sleep 99999d;", 1000):                 math.MaxInt32,
	} {
		if got := scriptSleeps(script, false); got != time.Duration(want)*time.Second {
			t.Errorf("%.80q sleeps %s; want %d s", script, got, want)
		}
	}
	if got := scriptSleeps("pkill x\nsleep 9", true); got != 0 {
		t.Errorf("a strict script sleeps %s after a command that may fail", got)
	}
}

// FuzzScriptSleeps: no script hangs or sleeps for less than no time.
func FuzzScriptSleeps(f *testing.F) {
	for _, script := range []string{"sleep 1; x && sleep 2 || y | z > a 2>&1 # c", "sleep $(a \"b\") `c` ${d}", "'", "\"\\", "<<", "2>", "> >(a)"} {
		f.Add(script)
	}
	f.Fuzz(func(t *testing.T, script string) {
		if got := scriptSleeps(script, false); got < 0 || got > math.MaxInt32*time.Second {
			t.Errorf("%q sleeps %s", script, got)
		}
		if strict := scriptSleeps(script, true); strict > scriptSleeps(script, false) {
			t.Errorf("%q sleeps longer when it is strict", script)
		}
	})
}
