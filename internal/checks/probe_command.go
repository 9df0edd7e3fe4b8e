// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"stability-exporter/internal/state"
)

// probeCommandChecks are about probes that run a program in the container.
func probeCommandChecks() []Check {
	return []Check{execNotShell(), execEnvUnexpanded(), execTimeoutDefault()}
}

func execNotShell() Check {
	return Check{
		ID: "exec_not_shell", Category: Probe, Levels: []Level{Critical},
		English: "An exec probe is written for a shell, and there is none",
		Chinese: "exec 探针使用了 shell 语法，但未通过 shell 执行",
		Why: "The kubelet starts the first word as a program and hands it the others as they are: pipes, && and a whole command line in one word mean " +
			"nothing to it. A program that is not there makes the probe one that cannot be asked: liveness never acts, readiness never passes.",
		Fix: `Write command: ["sh", "-c", "the whole line"], or each argument as a word of its own.`,
		Spares: "Scripts after sh -c, also with options (-ec, -lc), other shells, busybox and wrappers such as timeout; single words that are patterns or " +
			"statements (grep -E 'a|b', an SQL text); $(NAME), which Kubernetes replaces itself; Windows paths.",
		OfProbe: func(p *ProbeSubject) Verdict {
			if what := notForShell(p.Command); p.Handler == state.HandlerExec && what != "" {
				return Verdict{Critical, fmt.Sprintf("%s probe: %s", p.Type, what)}
			}
			return Verdict{}
		},
	}
}

// notForShell says what is wrong with a command that was written as if a shell read it, and nothing for all others.
func notForShell(argv []string) string {
	if len(argv) == 0 || windowsProgram(argv[0]) {
		return ""
	}
	program := argv[0]
	switch shell, script, after := findScript(argv); {
	case strings.ContainsAny(strings.TrimSpace(program), " \t\n"):
		return "a whole command line is one word and is taken for the name of a program"
	case isAssignment(program) || slices.Contains(shellWords(), program):
		return "the first word is one that only a shell knows"
	case shell && slices.ContainsFunc(after, isOperator):
		return "only the one word after -c is the script: what follows it is left out"
	case shell && len(after) > 0 && needsArguments(strings.TrimSpace(script)):
		return fmt.Sprintf("only the one word after -c is the script: %s is run without its arguments", script)
	case shell:
		return ""
	case isShell(program) && len(argv) > 1 && strings.Contains(argv[1], " "):
		return "the shell is given no -c: it takes the line for the name of a file"
	case handsOverToShell(program):
		return ""
	case slices.ContainsFunc(argv, isOperator) && !ownOperators(program):
		return "the words |, &&, ; or > are handed to the program, for there is no shell"
	case slices.ContainsFunc(argv, hasSubstitution) && !interprets(argv):
		return "$(...) is handed to the program, for there is no shell"
	}
	return ""
}

// findScript looks for a shell that is given a script (sh -c SCRIPT), also behind a wrapper (timeout 5 sh -c SCRIPT), and returns what follows
// the script too.
func findScript(argv []string) (found bool, script string, after []string) {
	for i, word := range argv {
		if !isShell(word) {
			continue
		}
		for j := i + 1; j < len(argv); j++ {
			option := argv[j]
			switch {
			case strings.HasSuffix(option, "o") && len(option) > 1 && strings.HasPrefix(option, "-") && option[1] != '-': // -o pipefail, -eo pipefail
				j++
			case strings.EqualFold(option, "/c") || windowsShell(word):
				return true, "", nil
			case commandOption(option) && j+1 < len(argv):
				rest := argv[j+1:]
				if rest[0] == "--" && len(rest) > 1 {
					rest = rest[1:]
				}
				return true, rest[0], rest[1:]
			case !strings.HasPrefix(option, "-") && !strings.HasPrefix(option, "+"):
				j = len(argv) // a file to run
			}
		}
	}
	return false, "", nil
}

// commandOption reports whether it is -c, alone or among others as in -ec.
func commandOption(option string) bool {
	letters, single := strings.CutPrefix(option, "-")
	if !single || !strings.Contains(letters, "c") {
		return false
	}
	return !strings.ContainsFunc(letters, func(r rune) bool { return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') })
}

func isShell(word string) bool {
	return slices.Contains([]string{"sh", "bash", "ash", "dash", "ksh", "zsh", "fish"}, path.Base(word)) || windowsShell(word)
}

func windowsShell(word string) bool {
	base := strings.ToLower(path.Base(strings.ReplaceAll(word, `\`, "/")))
	return slices.Contains([]string{"cmd", "powershell", "pwsh"}, strings.TrimSuffix(base, ".exe"))
}

// windowsProgram reports whether it is a path that may well hold spaces, such as C:\Program Files\app\check.exe.
func windowsProgram(word string) bool {
	return len(word) > 2 && word[1] == ':' && (word[2] == '\\' || word[2] == '/') || strings.HasSuffix(strings.ToLower(word), ".exe")
}

// handsOverToShell reports whether the program gives one of its words to a shell itself.
func handsOverToShell(program string) bool {
	return slices.Contains([]string{"su", "runuser", "ssh", "script", "flock", "watch"}, path.Base(program))
}

// shellWords are what only a shell knows: there are no such programs.
func shellWords() []string {
	return []string{"exit", "source", ".", "if", "for", "while", "[[", "!", "export", "eval", "set", "exec"}
}

func isAssignment(word string) bool {
	name, _, assigns := strings.Cut(word, "=")
	return assigns && name != "" && !strings.ContainsAny(name, "/.-")
}

func isOperator(word string) bool {
	return slices.Contains([]string{"|", "||", "&&", ";", ">", ">>", "<", "&", "2>&1", ">/dev/null", "2>/dev/null", "&>/dev/null"}, word)
}

// ownOperators are programs for which some of the operators of a shell are words of their own.
func ownOperators(program string) bool {
	return slices.Contains([]string{"find", "expr", "test", "["}, path.Base(program))
}

// needsArguments are programs that do nothing sensible alone.
func needsArguments(script string) bool {
	return slices.Contains([]string{"curl", "wget", "nc", "test", "grep", "cat", "grpc_health_probe", "grpcurl"}, path.Base(script))
}

// hasSubstitution reports whether the word holds $(COMMAND). What may be the name of a variable is one to Kubernetes.
func hasSubstitution(word string) bool {
	for {
		_, after, found := strings.Cut(word, "$(")
		if !found {
			return false
		}
		inside, _, closed := strings.Cut(after, ")")
		if closed && (!variableName.MatchString(inside) || slices.Contains([]string{"hostname", "whoami", "pwd", "date"}, inside)) {
			return true
		}
		word = after
	}
}

var (
	// variableName is what Kubernetes takes for the name of an environment variable.
	variableName = regexp.MustCompile(`^[-._a-zA-Z][-._a-zA-Z0-9]*$`)
	// shellVariable is $NAME or ${NAME}: in capitals, as all but a few variables are, and not behind a \ or another $.
	shellVariable = regexp.MustCompile(`(^|[^\\$])\$([A-Z_][A-Z0-9_]*|\{[A-Z_][A-Z0-9_]*[:}])`)
)

// interprets reports whether the command, which may stand behind a wrapper (timeout 5 perl), is a program that has variables of its own,
// or that replaces them.
func interprets(argv []string) bool {
	return slices.ContainsFunc(argv[:min(len(argv), 3)], func(word string) bool {
		base := strings.TrimRight(path.Base(word), "0123456789.")
		return slices.Contains([]string{
			"perl", "php", "awk", "gawk", "mawk", "sed", "tclsh", "node", "python", "ruby", "lua", "jq", "yq", "mongo", "mongosh", "envsubst", "env",
			"expect", "groovy", "jshell",
		}, base)
	})
}

func execEnvUnexpanded() Check {
	return Check{
		ID: "exec_env_unexpanded", Category: Probe, Levels: []Level{Warning},
		English: "An exec probe uses $VAR, and nothing replaces it",
		Chinese: "exec 探针使用了 $VAR 形式的变量，但不会被展开",
		Why:     "Without a shell the program gets the text $VAR itself: it asks a host or a port of that name and fails.",
		Fix:     `Write $(VAR) for a variable whose value stands in env, or run the line in a shell: ["sh", "-c", "..."].`,
		Spares: "Scripts after sh -c; programs that have variables of their own (awk, perl, jq, envsubst and the like); names in lower case, which are mostly " +
			"something else; commands that exec_not_shell finds already.",
		OfProbe: func(p *ProbeSubject) Verdict {
			if p.Handler != state.HandlerExec || len(p.Command) == 0 || notForShell(p.Command) != "" || interprets(p.Command) || handsOverToShell(p.Command[0]) {
				return Verdict{}
			}
			if shell, _, _ := findScript(p.Command); shell {
				return Verdict{}
			}
			for _, word := range p.Command {
				if found := shellVariable.FindStringSubmatch(word); found != nil {
					return Verdict{Warning, fmt.Sprintf("%s probe: the program is given the text $%s", p.Type, strings.TrimSuffix(found[2], ":"))}
				}
			}
			return Verdict{}
		},
	}
}

func execTimeoutDefault() Check {
	return Check{
		ID: "exec_timeout_default", Category: Probe, Levels: []Level{Info, Warning},
		English: "An exec probe has one second to start a program and get its answer",
		Chinese: "exec 探针的超时仅为 1 秒（默认值）",
		Why: "Starting a process in a container takes a good part of a second on a busy node, a JVM or Python more than that. Since Kubernetes 1.20 what " +
			"takes longer counts as failed, so load alone takes the pod out of traffic or restarts it.",
		Fix: "Set timeoutSeconds to what the command takes on a busy node, 5 or more, and keep it below periodSeconds.",
		Spares: "Commands that only look at a file or a process (cat, test, ls, stat, grep, pgrep and the like), also within sh -c: they do not wait for " +
			"anybody. Readiness and startup probes are info, unless the program is known to start slowly (a JVM, Python, mongo, kafka-...sh, rabbitmqctl and the like).",
		OfProbe: func(p *ProbeSubject) Verdict {
			if p.Handler != state.HandlerExec || p.Timeout > time.Second || looksOnly(p.Command) {
				return Verdict{}
			}
			level := Info
			if p.Type == "Liveness" || startsSlowly(p.Command) {
				level = Warning
			}
			return Verdict{level, fmt.Sprintf("%s probe: the command has %s", p.Type, p.Timeout)}
		},
	}
}

// looksOnly reports whether all that the command does is to look at files or processes.
func looksOnly(argv []string) bool { return onlyRuns(argv, quick) }

// looksForProcess reports whether all that the command does is to see whether a process is there.
func looksForProcess(argv []string) bool {
	return onlyRuns(argv, func(program string) bool {
		return slices.Contains([]string{"pgrep", "pidof", "ps", "grep", "kill", "killall", "test", "[", "exit", "true", "false", "echo"}, path.Base(program))
	})
}

// onlyRuns reports whether all programs of the command, those of a script included, are such ones.
func onlyRuns(argv []string, such func(program string) bool) bool {
	if shell, script, _ := findScript(argv); shell {
		if strings.Contains(script, "`") || strings.Contains(script, "$(") {
			return false
		}
		separators := strings.NewReplacer("&&", "\n", "||", "\n", ";", "\n", "|", "\n")
		for line := range strings.Lines(separators.Replace(script)) {
			words := strings.Fields(line)
			for len(words) > 0 && slices.Contains([]string{"if", "then", "elif", "else", "fi", "!", "{", "}"}, words[0]) {
				words = words[1:]
			}
			if len(words) > 0 && !such(words[0]) {
				return false
			}
		}
		return true
	}
	return len(argv) > 0 && such(argv[0])
}

// startsSlowly reports whether the command runs a program that takes a second by itself.
func startsSlowly(argv []string) bool {
	for _, word := range argv {
		for _, program := range strings.FieldsFunc(word, func(r rune) bool { return strings.ContainsRune(" \t\n;|&()'\"`", r) }) {
			base := strings.TrimRight(path.Base(program), "0123456789.")
			if strings.HasPrefix(base, "kafka-") || slices.Contains([]string{"java", "jps", "python", "nodetool", "cqlsh", "mongo", "mongosh", "rabbitmqctl",
				"rabbitmq-diagnostics", "kubectl", "node", "ruby"}, base) {
				return true
			}
		}
	}
	return false
}

func quick(program string) bool {
	return slices.Contains([]string{
		"cat", "test", "[", "[[", "ls", "stat", "grep", "pgrep", "pidof", "true", "false", ":", "echo", "exit", "kill", "killall", "head", "tail", "wc", "rm",
	}, path.Base(program))
}
