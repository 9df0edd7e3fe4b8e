// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"testing"
	"time"

	"stability-exporter/internal/state"
)

func execNotShellCases() caseTable {
	return caseTable{"exec_not_shell": {
		{name: "line in one word", subject: commanded("curl -f http://localhost:8080"), want: Critical, detail: "a whole command line is one word"},
		{name: "options in the first word", subject: commanded("curl -f", "http://localhost:8080"), want: Critical},
		{name: "line over several lines", subject: commanded("curl\n-f"), want: Critical},
		{name: "or", subject: commanded("curl", "-f", "http://localhost", "||", "exit", "1"), want: Critical, detail: "there is no shell"},
		{name: "pipe", subject: commanded("ps", "aux", "|", "grep", "java"), want: Critical},
		{name: "redirection", subject: commanded("nc", "-z", "localhost", "80", ">/dev/null"), want: Critical},
		{name: "substitution with arguments", subject: commanded("curl", "http://$(hostname -i):8080"), want: Critical, detail: `\$\(\.\.\.\)`},
		{name: "substitution of a known command", subject: commanded("curl", "http://$(hostname):8080"), want: Critical},
		{name: "script in several words", subject: commanded("sh", "-c", "curl", "-f", "http://localhost"), want: Critical, detail: "curl is run without its arguments"},
		{name: "operators after the script", subject: commanded("/bin/sh", "-c", "/check.sh", "||", "exit", "1"), want: Critical, detail: "only the one word after -c"},
		{name: "script in several words after --", subject: commanded("sh", "-c", "--", "curl", "-f", "http://localhost"), want: Critical, detail: "curl is run without"},
		{name: "shell without -c", subject: commanded("sh", "curl -f http://localhost"), want: Critical, detail: "no -c"},
		{name: "-c and the line in one word", subject: commanded("/bin/bash", "-c curl -f http://localhost"), want: Critical},
		{name: "variable before the program", subject: commanded("PGPASSWORD=x", "psql"), want: Critical, detail: "only a shell knows"},
		{name: "word of the shell", subject: commanded("exit", "0"), want: Critical},

		{name: "sh -c", subject: commanded("sh", "-c", "curl -f http://localhost || exit 1")},
		{name: "sh -c --", subject: commanded("sh", "-c", "--", "curl -f http://localhost || exit 1")},
		{name: "bash -lc", subject: commanded("bash", "-lc", "ps aux | grep java")},
		{name: "/bin/sh -ec", subject: commanded("/bin/sh", "-ec", "a; b > /dev/null")},
		{name: "bash -o pipefail -c", subject: commanded("bash", "-o", "pipefail", "-c", "a | b")},
		{name: "bash -eo pipefail -c", subject: commanded("bash", "-eo", "pipefail", "-c", "a | b")},
		{name: "bash --norc -c", subject: commanded("bash", "--norc", "-c", "a | b")},
		{name: "busybox sh -c", subject: commanded("busybox", "sh", "-c", "a && b")},
		{name: "timeout sh -c", subject: commanded("timeout", "5", "sh", "-c", "a && b $(hostname -i)")},
		{name: "tini", subject: commanded("/sbin/tini", "--", "/bin/sh", "-c", "a && b")},
		{name: "arguments of the script", subject: commanded("sh", "-c", `test -f "$0"`, "/tmp/ready")},
		{name: "script that needs none", subject: commanded("sh", "-c", "/health.sh", "5")},
		{name: "su", subject: commanded("su", "-", "postgres", "-c", "psql -c $(cat /q)")},
		{name: "file for the shell", subject: commanded("sh", "/check.sh", "--fast")},
		{name: "no words that only a shell knows", subject: commanded("/opt/check", "a|b", "x;y", "p>q")},
		{name: "statement", subject: commanded("mysql", "-e", "SELECT 1;")},
		{name: "pattern", subject: commanded("grep", "-E", "ready|steady", "/tmp/state")},
		{name: "find -exec", subject: commanded("find", "/tmp/x", "-exec", "test", "-f", "{}", ";")},
		{name: "$(NAME)", subject: commanded("curl", "-f", "http://$(POD_IP):$(my.port)/")},
		{name: "$( of an interpreter", subject: commanded("node", "-e", "$('a b')")},
		{name: "escaped $$(NAME) is no command", subject: commanded("check", "$$(NAME)")},
		{name: "windows path", subject: commanded(`C:\Program Files\app\check.exe`)},
		{name: "powershell", subject: commanded("powershell.exe", "-Command", "a", "|", "b")},
		{name: "cmd", subject: commanded("cmd", "/c", "a", "&&", "b")},
		{name: "option with =", subject: commanded("/bin/grpc_health_probe", "-addr=:8080")},
		{name: "empty", subject: commanded()},
		{name: "not exec", subject: probed(withLiveness(httpGet("/a b", 80)))},
	}}
}

func execEnvCases() caseTable {
	return caseTable{"exec_env_unexpanded": {
		{name: "$VAR", subject: commanded("redis-cli", "-h", "$REDIS_HOST", "ping"), want: Warning, detail: `the text \$REDIS_HOST`},
		{name: "${VAR}", subject: commanded("curl", "http://${POD_IP}:8080/"), want: Warning, detail: `\$\{POD_IP\}`},
		{name: "${VAR:-x}", subject: commanded("curl", "http://localhost:${PORT:-8080}/"), want: Warning, detail: `\$\{PORT$`},
		{name: "readiness", subject: probed(withReadiness(execute([]string{"nc", "-z", "localhost", "$PORT"}))), want: Warning, detail: "Readiness"},
		{name: "shell", subject: commanded("sh", "-c", "redis-cli -h $REDIS_HOST ping")},
		{name: "shell behind a wrapper", subject: commanded("timeout", "3", "bash", "-ec", "echo ${X}")},
		{name: "$(VAR)", subject: commanded("curl", "http://$(POD_IP):8080/")},
		{name: "$$VAR", subject: commanded("check", "$$VAR")},
		{name: "end of a pattern", subject: commanded("grep", "^READY$", "/tmp/state")},
		{name: "lower case", subject: commanded("curl", "http://localhost/odata?$filter=x")},
		{name: "perl", subject: commanded("perl", "-e", "print $ENV")},
		{name: "awk behind a wrapper", subject: commanded("timeout", "3", "awk", "{print $NF}", "/x")},
		{name: "python3.11", subject: commanded("/usr/bin/python3.11", "-c", "print('$HOME')")},
		{name: "su", subject: commanded("su", "postgres", "-c", "psql -U $POSTGRES_USER")},
		{name: "line in one word is for exec_not_shell", subject: commanded("curl http://$POD_IP")},
		{name: "not exec", subject: probed(withLiveness(httpGet("/$HOME", 80)))},
	}}
}

func execTimeoutCases() caseTable {
	quickly := func(argv ...string) *state.SetupView { return probed(withReadiness(execute(argv))) }
	return caseTable{"exec_timeout_default": {
		{name: "readiness", subject: quickly("redis-cli", "ping"), want: Info, detail: "Readiness probe: the command has 1s"},
		{name: "mongo", subject: quickly("mongosh", "--eval", "db.ping()"), want: Warning, detail: "Readiness probe: the command has 1s"},
		{name: "kafka in a shell", subject: quickly("bash", "-c", "/opt/kafka/bin/kafka-topics.sh --list | grep x"), want: Warning},
		{name: "python", subject: quickly("python3.11", "/check.py"), want: Warning},
		{name: "jvm at start", subject: probed(withStartup(execute([]string{"java", "-jar", "check.jar"}))), want: Warning},
		{name: "liveness", subject: probed(withLiveness(execute([]string{"/check.sh"}))), want: Warning, detail: "Liveness"},
		{name: "shell", subject: quickly("sh", "-c", "curl -f localhost && test -f /x"), want: Info},
		{name: "substitution", subject: quickly("sh", "-c", "test $(curl -s localhost) = ok"), want: Info},
		{name: "5 seconds", subject: commanded("redis-cli", "ping")},
		{name: "file", subject: quickly("cat", "/tmp/healthy")},
		{name: "file in a shell", subject: quickly("/bin/sh", "-c", "test -f /tmp/a && [ -s /tmp/b ] || exit 1")},
		{name: "if in a shell", subject: quickly("/bin/sh", "-c", "if [ -f /tmp/a ]; then exit 0; else exit 1; fi")},
		{name: "process", subject: quickly("/usr/bin/pgrep", "-f", "worker")},
		{name: "http", subject: probed(withLiveness(httpGet("/", 8080)))},
		{name: "job", subject: aWorkload(ofKind(state.CronJobs), withContainers(aContainer("app", withLiveness(execute([]string{"/check"})))))},
	}}
}

// FuzzCommand: whatever stands in a command, judging it neither fails nor takes long.
func FuzzCommand(f *testing.F) {
	f.Add("sh", "-c", "a | b")
	f.Add("$(", "-o", "${X")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		begun := time.Now()
		for _, argv := range [][]string{{a}, {a, b}, {a, b, c}, {"sh", a, b, c}} {
			notForShell(argv)
			interprets(argv)
			looksOnly(argv)
		}
		if took := time.Since(begun); took > time.Second {
			t.Errorf("took %s", took)
		}
	})
}
