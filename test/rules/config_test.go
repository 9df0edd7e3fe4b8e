// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"
)

// Rules of any configuration keep to what is asked of the bundled ones.
func TestConfiguredRulesAreGood(t *testing.T) {
	program := buildProgram(t)
	promtools := []string{debianPromtool(t), newPromtool(t)}
	rich, err := os.ReadFile("testdata/config.yaml")
	if err != nil {
		t.Fatal(err)
	}
	metrics := documentedMetrics(t)
	metrics["stability_workload_info"] = append(metrics["stability_workload_info"], "label_tier", "label_app_kubernetes_io_part_of")
	for name, config := range map[string]string{
		"everything": string(rich),
		"namespaces": "rules: {critical_namespaces: [prod-.*, kube-system]}",
		"namespace":  "rules: {critical_namespaces: [prod]}",
		"label":      "rules: {critical_labels: {tier: gold}}",
		"targets":    "rules: {critical_targets: [erp-.*, bus]}",
	} {
		file := printRules(t, program, config)
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, problem := range lint(string(text), metrics) {
			t.Errorf("%s: %s", name, problem)
		}
		for _, promtool := range promtools {
			if output, err := exec.Command(promtool, "check", "rules", "--lint=all", "--lint-fatal", file).CombinedOutput(); err != nil {
				t.Errorf("%s: %s: %v\n%s", name, promtool, err, output)
			}
		}
		groups := readGroups(t, file)
		checkDistinct(t, name, groups)
		checkTiers(t, name, config, groups)
	}
}

// checkDistinct finds rules of a group that vmalert, or Alertmanager when both fire, takes for one.
func checkDistinct(t *testing.T, name string, groups []ruleGroup) {
	t.Helper()
	for _, group := range groups {
		seen := map[string]bool{}
		for _, rule := range group.Rules {
			key := fmt.Sprint(rule.Alert, rule.Record, rule.Labels)
			if seen[key] {
				t.Errorf("%s: %s has %s%s twice", name, group.Name, rule.Alert, rule.Record)
			}
			seen[key] = true
		}
	}
}

// checkTiers asks the parser whether it is every critical alert with a namespace, or of middleware, that is told apart, and by what.
func checkTiers(t *testing.T, name, config string, groups []ruleGroup) {
	t.Helper()
	metrics, apart := documentedMetrics(t), 0
	for _, group := range groups {
		for _, rule := range group.Rules {
			if rule.Labels["severity"] != "critical" {
				continue
			}
			expr, err := parser.NewParser(parser.Options{}).ParseExpr(rule.Expr)
			if err != nil {
				t.Fatal(err)
			}
			about, _ := outputLabels(expr, metrics)
			operation, isOperation := expr.(*parser.BinaryExpr)
			split := isOperation && operation.Op == parser.LUNLESS && strings.HasPrefix(rule.Expr, "(\n")
			middleware := slices.Contains(about, "middleware") && slices.Contains(about, "group") && strings.Contains(config, "critical_targets")
			namespaced := slices.Contains(about, "namespace") && strings.Contains(strings.ReplaceAll(config, "critical_targets", ""), "critical_")
			if split != (middleware || namespaced) {
				t.Errorf("%s: %s is about %v and told apart: %v", name, rule.Alert, about, split)
			}
			if !split {
				continue
			}
			apart++
			by := []string{"cluster", "namespace"}
			if middleware {
				by = []string{"cluster", "middleware", "group"}
			}
			if strings.Contains(rule.Expr, "stability_workload_info") && slices.Contains(about, "workload") {
				by = append(by, "workload", "workload_type")
			}
			if !slices.Equal(operation.VectorMatching.MatchingLabels, by) {
				t.Errorf("%s: %s is told apart by %v, want %v", name, rule.Alert, operation.VectorMatching.MatchingLabels, by)
			}
		}
	}
	if apart < 4 {
		t.Errorf("%s: %d alerts are told apart", name, apart)
	}
}

// A configuredCase says which alerts fire when, as alert, namespace, what it is about and severity.
type configuredCase struct {
	name   string
	config string
	series []series
	fires  map[int][]string // by minute
}

// Each case without a configuration is the proof that the same case with one shows its effect.
func TestConfiguredAlerts(t *testing.T) {
	program := buildProgram(t)
	promtools := []string{debianPromtool(t), newPromtool(t)}
	for _, c := range slices.Concat(namespaceCases(), labelCases(), targetCases(), changeCases()) {
		t.Run(c.name, func(t *testing.T) {
			file := c.write(t, printRules(t, program, c.config))
			for _, promtool := range promtools {
				if output, err := exec.Command(promtool, "test", "rules", file).CombinedOutput(); err != nil {
					t.Errorf("%s: %v\n%s", promtool, err, output)
				}
			}
		})
	}
}

func (c configuredCase) write(t *testing.T, rules string) string {
	t.Helper()
	type sample struct {
		Labels string  `yaml:"labels"`
		Value  float64 `yaml:"value"`
	}
	type query struct {
		Expr     string   `yaml:"expr"`
		EvalTime string   `yaml:"eval_time"`
		Samples  []sample `yaml:"exp_samples"`
	}
	var queries []query
	for _, m := range slices.Sorted(maps.Keys(c.fires)) {
		q := query{Expr: `sum by (alertname, cluster, namespace, workload, service, zone, target, severity) (ALERTS{alertstate="firing"})`, EvalTime: minute(m)}
		for _, firing := range c.fires[m] {
			parts := strings.Fields(firing)
			labels := fmt.Sprintf(`alertname="Stability%s",severity="%s"`, parts[0], parts[1])
			for _, label := range parts[2:] {
				labels += "," + label
			}
			q.Samples = append(q.Samples, sample{"{" + labels + "}", 1})
		}
		queries = append(queries, q)
	}
	text, err := yaml.Marshal(map[string]any{
		"rule_files": []string{rules}, "evaluation_interval": "1m",
		"tests": []any{map[string]any{"name": c.name, "interval": "1m", "input_series": c.series, "promql_expr_test": queries}},
	})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "test.yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// always is a series with one value for an hour.
func always(name string, value int) series { return series{name, fmt.Sprintf("%dx60", value)} }

// down is a workload of three replicas, all lost.
func down(namespace, name string, more ...series) []series {
	w := fmt.Sprintf(`namespace=%q,workload=%q,workload_type="deployment"`, namespace, name)
	return append([]series{
		always(`stability_workload_desired_replicas{`+w+`}`, 3),
		always(`stability_workload_state{state="down",`+w+`}`, 1),
	}, more...)
}

// shows are the labels of a workload as --workload-labels shows them.
func shows(namespace, name, labels string) series {
	return always(fmt.Sprintf(`stability_workload_info{namespace=%q,workload=%q,workload_type="deployment"%s}`, namespace, name, labels), 1)
}

// deserted is a Service that has lost its backends.
func deserted(namespace string) []series {
	s := fmt.Sprintf(`{namespace=%q,service="web"}`, namespace)
	return []series{
		always("stability_service_ready_endpoints"+s, 0),
		always(`stability_service_endpoints_lost{cause="no_matching_pods",`+s[1:], 1),
	}
}

// alone switches all alerts off that follow from a workload that is down, but for StabilityWorkloadDown.
const alone = "StabilityWorkloadDegraded: {enabled: false}, StabilityWorkloadHalfDown: {enabled: false}"

func namespaceCases() []configuredCase {
	workloads := slices.Concat(down("prod-erp", "web"), down("dev", "web"), down("xprod-erp", "web"))
	services := slices.Concat(deserted("prod"), deserted("dev"))
	var damaged []series
	for i := range 6 {
		damaged = append(damaged, slices.Concat(down("prod", fmt.Sprint("w", i)), down("dev", fmt.Sprint("w", i)))...)
	}
	zone := []series{always(`stability_zone_unhealthy_nodes{zone="a"}`, 3), always(`stability_zone_healthy_ratio{zone="a"}`, 0),
		always(`stability_zone_eviction_limit_per_second{zone="a"}`, 1)}
	return []configuredCase{
		{"namespaces: without tiers all page", "rules: {alerts: {" + alone + "}}", workloads, map[int][]string{1: {
			`WorkloadDown critical namespace="prod-erp" workload="web"`,
			`WorkloadDown critical namespace="dev" workload="web"`,
			`WorkloadDown critical namespace="xprod-erp" workload="web"`,
		}}},
		{"namespaces: outside of the tier comes a warning instead", "rules: {critical_namespaces: [prod-.*, kube-system], alerts: {" + alone + "}}", workloads,
			map[int][]string{0: nil, 1: {
				`WorkloadDown critical namespace="prod-erp" workload="web"`,
				`WorkloadDown warning namespace="dev" workload="web"`,
				`WorkloadDown warning namespace="xprod-erp" workload="web"`,
			}}},
		{"namespaces: Services", "rules: {critical_namespaces: [prod]}", services, map[int][]string{2: {
			`ServiceNoEndpoints critical namespace="prod" service="web"`,
			`ServiceNoEndpoints warning namespace="dev" service="web"`,
		}}},
		{"namespaces: namespaces", "rules: {critical_namespaces: [prod], alerts: {StabilityWorkloadDown: {enabled: false}, " + alone + "}}", damaged,
			map[int][]string{5: {`NamespaceDamaged critical namespace="prod"`, `NamespaceDamaged warning namespace="dev"`}}},
		{"namespaces: what has none pages", "rules: {critical_namespaces: [prod], alerts: {StabilityZoneDegraded: {enabled: false}}}", zone,
			map[int][]string{2: {`ZoneDown critical zone="a"`}}},
	}
}

func labelCases() []configuredCase {
	const byLabel = "rules: {critical_labels: {tier: 'gold|silver'}, alerts: {" + alone + "}}"
	workloads := slices.Concat(
		down("shop", "gold", shows("shop", "gold", `,label_tier="gold"`)),
		down("shop", "bronze", shows("shop", "bronze", `,label_tier="bronze"`)),
		down("shop", "plain", shows("shop", "plain", ``)),
		down("shop", "unseen"),
		down("prod", "plain", shows("prod", "plain", ``)),
	)
	unlabelled := slices.Concat(down("shop", "a", shows("shop", "a", ``)), down("shop", "b"))
	half := slices.Concat(
		down("shop", "gold", shows("shop", "gold", `,label_tier="gold",instance="a"`), shows("shop", "gold", `,instance="b"`)),
		down("shop", "plain", shows("shop", "plain", `,instance="a"`), shows("shop", "plain", `,instance="b"`)),
	)
	services := slices.Concat(deserted("mixed"), deserted("bronze"), deserted("empty"), []series{
		shows("mixed", "a", `,label_tier="gold"`), shows("mixed", "b", ``), shows("bronze", "a", `,label_tier="bronze"`),
	})
	clusters := []series{}
	for _, cluster := range []string{"east", "west"} {
		for _, s := range down("shop", "plain", shows("shop", "plain", ``)) {
			clusters = append(clusters, series{strings.Replace(s.Series, "{", `{cluster="`+cluster+`",`, 1), s.Values})
		}
	}
	clusters = append(clusters, always(`stability_workload_info{cluster="east",namespace="x",workload="x",workload_type="deployment",label_tier="gold"}`, 1))
	return []configuredCase{
		{"labels: a workload's own decide", byLabel, workloads, map[int][]string{1: {
			`WorkloadDown critical namespace="shop" workload="gold"`,
			`WorkloadDown warning namespace="shop" workload="bronze"`,
			`WorkloadDown warning namespace="shop" workload="plain"`,
			`WorkloadDown critical namespace="shop" workload="unseen"`,
			`WorkloadDown warning namespace="prod" workload="plain"`,
		}}},
		{"labels: or its namespace", strings.Replace(byLabel, "rules: {", "rules: {critical_namespaces: [prod], ", 1), workloads, map[int][]string{1: {
			`WorkloadDown critical namespace="shop" workload="gold"`,
			`WorkloadDown warning namespace="shop" workload="bronze"`,
			`WorkloadDown warning namespace="shop" workload="plain"`,
			`WorkloadDown critical namespace="shop" workload="unseen"`,
			`WorkloadDown critical namespace="prod" workload="plain"`,
		}}},
		{"labels: not shown by any exporter", byLabel, unlabelled, map[int][]string{1: {
			`WorkloadDown critical namespace="shop" workload="a"`,
			`WorkloadDown critical namespace="shop" workload="b"`,
		}}},
		{"labels: shown by one exporter of two", byLabel, half, map[int][]string{1: {
			`WorkloadDown critical namespace="shop" workload="gold"`,
			`WorkloadDown warning namespace="shop" workload="plain"`,
		}}},
		{"labels: shown in one cluster of two", byLabel, clusters, map[int][]string{1: {
			`WorkloadDown warning cluster="east" namespace="shop" workload="plain"`,
			`WorkloadDown critical cluster="west" namespace="shop" workload="plain"`,
		}}},
		{"labels: a Service has those of its namespace", byLabel, services, map[int][]string{2: {
			`ServiceNoEndpoints critical namespace="mixed" service="web"`,
			`ServiceNoEndpoints warning namespace="bronze" service="web"`,
			`ServiceNoEndpoints critical namespace="empty" service="web"`,
		}}},
	}
}

// silent is a target of middleware that does not answer.
func silent(target string) []series {
	s := fmt.Sprintf(`{middleware="redis",target=%q}`, target)
	group, _, _ := strings.Cut(target, "/")
	return []series{
		always("stability_middleware_up"+s, 0), always("stability_middleware_probed_timestamp_seconds"+s, 0),
		always(fmt.Sprintf("stability_middleware_group_info{group=%q,", group)+s[1:], 1),
		always(`stability_middleware_problem{reason="timeout",`+s[1:], 1),
	}
}

func targetCases() []configuredCase {
	all := slices.Concat(silent("erp-cache"), silent("test-cache"), silent("bus/1"), silent("bus/2"),
		[]series{
			always(`stability_middleware_up{middleware="redis",target="bus"}`, 0),
			always(`stability_middleware_group_info{middleware="redis",target="bus",group="bus"}`, 1),
		})
	firing := func(erp, test, bus string) map[int][]string {
		return map[int][]string{1: nil, 2: {
			"MiddlewareDown " + erp + ` target="erp-cache"`, "MiddlewareDown " + test + ` target="test-cache"`, "MiddlewareDown " + bus + ` target="bus"`,
		}}
	}
	return []configuredCase{
		{"targets: without a tier all page", "rules: {critical_namespaces: [prod]}", all, firing("critical", "critical", "critical")},
		{"targets: outside of the tier comes a warning instead", "rules: {critical_targets: [erp-.*]}", all, firing("critical", "warning", "warning")},
		{"targets: a group is inside by its own name", "rules: {critical_targets: [erp-.*, bus]}", all, firing("critical", "warning", "critical")},
		{"targets: a member does not make its group one that pages", "rules: {critical_targets: [erp-.*, bus/1]}", all, firing("critical", "warning", "warning")},
	}
}

func changeCases() []configuredCase {
	const delta = `stability_workload_restart_delta{namespace="shop",workload="web",workload_type="deployment",`
	restarts := []series{
		{delta + `window="1h"}`, "0x4 3x9 5x9 8x30"}, // from the minutes 5, 15 and 25 on
		{delta + `window="15m"}`, "0x4 3x60"},
	}
	rollout := []series{
		always(`stability_workload_rollout_started_timestamp_seconds{namespace="shop",workload="web",workload_type="deployment"}`, 0),
		always(`stability_workload_desired_replicas{namespace="shop",workload="web",workload_type="deployment"}`, 2),
	}
	crash := func(severity string) []string {
		return []string{"CrashLoop " + severity + ` namespace="shop" workload="web"`}
	}
	tooLong := []string{`RolloutTooLong warning namespace="shop" workload="web"`}
	return []configuredCase{
		{"no change", "rules: {}", restarts, map[int][]string{19: nil, 20: crash("warning")}},
		{"a lower threshold fires earlier", "rules: {thresholds: {crash_loop_restarts: 3}}", restarts, map[int][]string{9: nil, 10: crash("warning")}},
		{"a higher threshold fires later", "rules: {thresholds: {crash_loop_restarts: 8}}", restarts, map[int][]string{29: nil, 30: crash("warning")}},
		{"a longer for fires later", "rules: {alerts: {StabilityCrashLoop: {for: 7m, severity: info}}}", restarts, map[int][]string{21: nil, 22: crash("info")}},
		{"what is disabled is gone", "rules: {alerts: {StabilityCrashLoop: {enabled: false}}}", restarts, map[int][]string{20: nil, 45: nil}},
		{"rollouts of more than 30 minutes", "rules: {}", rollout, map[int][]string{35: nil, 36: tooLong}},
		{"rollouts of more than 10 minutes", "rules: {thresholds: {rollout_too_long: 10m}}", rollout, map[int][]string{15: nil, 16: tooLong}},
		{"rollouts of more than 40 minutes", "rules: {thresholds: {rollout_too_long_per_replica: 20m}}", rollout, map[int][]string{45: nil, 46: tooLong}},
	}
}

// buildProgram returns the path of the program that prints the rules.
func buildProgram(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "stability_exporter")
	build := exec.Command("go", "build", "-o", program, ".")
	build.Dir = "../.."
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("cannot build the program: %v\n%s", err, output)
	}
	return program
}

// printRules returns the path of a file with what the program prints under a configuration.
func printRules(t *testing.T, program, config string) string {
	t.Helper()
	folder := t.TempDir()
	from, to := filepath.Join(folder, "config.yaml"), filepath.Join(folder, "rules.yaml")
	if err := os.WriteFile(from, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	command := exec.Command(program, "rules", "--config="+from, "--runbook-url=")
	var problems bytes.Buffer
	command.Stderr = &problems
	text, err := command.Output()
	if err != nil {
		t.Fatalf("cannot print the rules: %v\n%s", err, problems.String())
	}
	if err := os.WriteFile(to, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return to
}

// ruleGroup is a group of rules as a file has it.
type ruleGroup struct {
	Name  string
	Rules []struct {
		alertRule `yaml:",inline"`
		Record    string
	}
}

func readGroups(t *testing.T, file string) []ruleGroup {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var parsed struct{ Groups []ruleGroup }
	if err := yaml.Unmarshal(text, &parsed); err != nil {
		t.Fatal(err)
	}
	return parsed.Groups
}
