// SPDX-License-Identifier: Apache-2.0

package collectors

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/go-kit/log"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"stability-exporter/internal/state"
)

var update = flag.Bool("update", false, "write the files that golden tests compare with")

const testNow state.Time = 1_795_000_000

func ref(namespace, name, workloadType string) state.WorkloadRef {
	return state.WorkloadRef{Namespace: state.Sym(namespace), Name: state.Sym(name), Type: state.Sym(workloadType)}
}

// observed returns s with the given kinds observed.
func observed(s *state.Snapshot, kinds ...state.Kind) *state.Snapshot {
	s.SetObserved(state.KindSet(kinds...))
	s.Now = testNow
	return s
}

// specOf returns the spec of the given name.
func specOf(t *testing.T, o Options, name string) Spec {
	t.Helper()
	specs, err := All(o)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(specs, func(s Spec) bool { return s.Name == name })
	if i < 0 {
		t.Fatalf("there is no collector %s", name)
	}
	return specs[i]
}

// collect runs one collector and returns its whole output.
func collect(t *testing.T, spec Spec, s *state.Snapshot) []byte {
	t.Helper()
	e := NewEmitter(spec.Families)
	if err := spec.New(log.NewNopLogger()).Collect(s, e); err != nil {
		t.Fatalf("collector %s: %v", spec.Name, err)
	}
	if e.Err() != nil {
		t.Fatalf("collector %s: %v", spec.Name, e.Err())
	}
	return e.AppendTo(nil)
}

// collectAll runs the collectors that run by default.
func collectAll(t *testing.T, s *state.Snapshot) []byte {
	t.Helper()
	specs, err := All(Options{})
	if err != nil {
		t.Fatal(err)
	}
	var text []byte
	for _, spec := range specs {
		if spec.Default {
			text = append(text, collect(t, spec, s)...)
		}
	}
	return text
}

// samples returns the sample lines of a text exposition.
func samples(text []byte) string {
	var lines []string
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "#") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

func countSamples(text []byte) int { return strings.Count(samples(text), "\n") }

// wantSamples compares the sample lines that a collector of default options emits for s.
func wantSamples(t *testing.T, name string, s *state.Snapshot, want string) {
	t.Helper()
	wantText(t, samples(collect(t, specOf(t, Options{}, name), s)), want)
}

// wantText compares two texts; want begins with a newline so that it can be read.
func wantText(t *testing.T, got, want string) {
	t.Helper()
	if diff := cmp.Diff(strings.TrimPrefix(want, "\n"), got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// golden compares a text with the file of that name in testdata; go test -update writes it.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s, -want +got (go test -update accepts it):\n%s", path, diff)
	}
}

func allFamilies(t *testing.T) []*Family {
	t.Helper()
	specs, err := All(Options{WorkloadLabels: []string{"team"}})
	if err != nil {
		t.Fatal(err)
	}
	var families []*Family
	for _, s := range specs {
		families = append(families, s.Families...)
	}
	return families
}

func TestSpecsAreComplete(t *testing.T) {
	specs, err := All(Options{})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, s := range specs {
		if !regexp.MustCompile(`^[a-z]+$`).MatchString(s.Name) || seen[s.Name] {
			t.Errorf("collector %q: the name is taken or no lower-case word", s.Name)
		}
		seen[s.Name] = true
		if !strings.HasSuffix(s.Help, ".") || s.Reads == 0 && s.Name != "middleware" || len(s.Families) == 0 || s.New == nil {
			t.Errorf("collector %s lacks a help text that ends with a period, what it reads, its families or New", s.Name)
		}
	}
}

func TestFamiliesKeepTheNamingRules(t *testing.T) {
	name := regexp.MustCompile(`^stability(_[a-z0-9]+)+$`)
	label := regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`)
	reserved := []string{"severity", "alertname", "alertgroup", "instance", "job", "pod", "kind", "cluster"}
	seen := map[string]bool{}
	for _, f := range allFamilies(t) {
		if !name.MatchString(f.Name) || seen[f.Name] {
			t.Errorf("family %q: the name is taken or not snake_case after stability_", f.Name)
		}
		seen[f.Name] = true
		if !strings.HasSuffix(f.Help, ".") || strings.ContainsAny(f.Help, "\n|") {
			t.Errorf("family %s: the help text must be one line that ends with a period and fits into a table", f.Name)
		}
		if (f.Type == Counter) != strings.HasSuffix(f.Name, "_total") {
			t.Errorf("family %s is a %s", f.Name, f.Type)
		}
		if strings.Contains(f.Name, "timestamp") != strings.HasSuffix(f.Name, "_timestamp_seconds") {
			t.Errorf("family %s: a timestamp ends in _timestamp_seconds", f.Name)
		}
		for i, l := range f.Labels {
			if !label.MatchString(l) || slices.Contains(reserved, l) || slices.Contains(f.Labels[:i], l) {
				t.Errorf("family %s: label %q is reserved, given twice or not snake_case", f.Name, l)
			}
		}
		if f.Sparse && !strings.Contains(f.Help, "No series") && !strings.Contains(f.Help, "Only while") {
			t.Errorf("family %s is sparse, so its help text must say what absence means", f.Name)
		}
	}
}

func TestFamiliesPassTheMetricLinter(t *testing.T) {
	families := allFamilies(t)
	e := NewEmitter(families)
	for _, f := range families {
		values := make([]string, len(f.Labels))
		for i, l := range f.Labels {
			values[i] = "a " + l
		}
		e.Emit(f, 1, values...)
	}
	if e.Err() != nil {
		t.Fatal(e.Err())
	}
	text := e.AppendTo(nil)
	if got := countSamples(text); got != len(families) {
		t.Errorf("%d samples for %d families", got, len(families))
	}
	problems, err := promlint.New(bytes.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestFamiliesOfTheContract(t *testing.T) {
	var got []string
	for _, f := range allFamilies(t) {
		got = append(got, f.Name+"{"+strings.Join(f.Labels, ",")+"}\n")
	}
	for line := range strings.Lines(strings.TrimPrefix(contract, "\n")) {
		if !slices.Contains(got, line) {
			t.Errorf("%s is promised and no longer declared", strings.TrimSpace(line))
		}
	}
}

// contract lists the names and labels that rules, dashboards and users' queries depend on. A new family need not be added
// before somebody depends on it.
const contract = `
stability_check_evaluated{check}
stability_check_exempted{check,namespace,by}
stability_check_exemptions_refused{namespace,workload,workload_type,why}
stability_check_info{category,check,level,title}
stability_check_overflow{check}
stability_component_up{component,member}
stability_container_probe_failure_threshold{namespace,workload,workload_type,container,probe_type}
stability_container_probe_initial_delay_seconds{namespace,workload,workload_type,container,probe_type}
stability_container_probe_kill_budget_seconds{namespace,workload,workload_type,container,probe_type,bound}
stability_container_probe_period_seconds{namespace,workload,workload_type,container,probe_type}
stability_container_probe_timeout_seconds{namespace,workload,workload_type,container,probe_type}
stability_container_restarts_total{namespace,workload,workload_type,container,container_type}
stability_container_start_to_ready_seconds{namespace,workload,workload_type,container}
stability_container_terminations_total{namespace,workload,workload_type,container,reason}
stability_cronjob_last_run_failed{namespace,workload,workload_type}
stability_hpa_limited{namespace,horizontalpodautoscaler,workload,workload_type,reason}
stability_image_pull_failing_pods{namespace,workload,workload_type,registry}
stability_inspection_baseline_timestamp_seconds{}
stability_interval_effective_seconds{namespace,workload,workload_type,container,key}
stability_interval_likely_seconds{namespace,workload,workload_type,container,key}
stability_lease_renewed_timestamp_seconds{lease,node}
stability_middleware_alarm{middleware,target,alarm}
stability_middleware_consumer_lag{middleware,target,group}
stability_middleware_discovered_targets{middleware}
stability_middleware_expiry_timestamp_seconds{middleware,target,what}
stability_middleware_fact_unknown{middleware,target,fact,why}
stability_middleware_fact{middleware,target,fact}
stability_middleware_group_info{middleware,target,group}
stability_middleware_healthy{middleware,target}
stability_middleware_members_expected{middleware,target}
stability_middleware_members{middleware,target,state}
stability_middleware_partitions{middleware,target,state}
stability_middleware_probe_duration_seconds{middleware,target,phase}
stability_middleware_problem{middleware,target,reason}
stability_middleware_queue_consumers{middleware,target,queue}
stability_middleware_queue_messages{middleware,target,queue}
stability_middleware_replication_lag_bytes{middleware,target}
stability_middleware_replication_lag_seconds{middleware,target}
stability_middleware_replication_link_up{middleware,target}
stability_middleware_role{middleware,target,role}
stability_middleware_saturation_ratio{middleware,target,resource}
stability_middleware_tls_not_after_timestamp_seconds{middleware,target}
stability_middleware_tls_verified{middleware,target}
stability_middleware_up{middleware,target}
stability_middleware_writable{middleware,target}
stability_misconfiguration{category,check,level,namespace,workload,workload_type,container}
stability_misconfigurations{category,check,level,namespace}
stability_node_condition_problem{node,zone,condition}
stability_node_cordoned{node,zone}
stability_node_drain_blocked_pods{node,zone}
stability_node_ready_transition_timestamp_seconds{node,zone}
stability_node_ready{node,zone}
stability_node_reboots_total{node,zone}
stability_pdb_blocking{namespace,poddisruptionbudget,cause}
stability_service_endpoints_lost{namespace,service,cause}
stability_service_no_endpoints{namespace,service,cause}
stability_service_ready_endpoints{namespace,service}
stability_status_stale{resource}
stability_workload_abnormal_pods{namespace,workload,workload_type,reason}
stability_workload_available_ratio{namespace,workload,workload_type}
stability_workload_available_replicas{namespace,workload,workload_type}
stability_workload_current_replicas{namespace,workload,workload_type}
stability_workload_desired_replicas{namespace,workload,workload_type}
stability_workload_info{namespace,workload,workload_type,label_team}
stability_workload_last_restart_timestamp_seconds{namespace,workload,workload_type,container,reason}
stability_workload_min_available_replicas{namespace,workload,workload_type}
stability_workload_on_ready_nodes_replicas{namespace,workload,workload_type,state}
stability_workload_oom_kill_delta{namespace,workload,workload_type,window}
stability_workload_paused{namespace,workload,workload_type}
stability_workload_pod_disruptions_total{namespace,workload,workload_type,reason}
stability_workload_ready_replicas{namespace,workload,workload_type}
stability_workload_restart_delta{namespace,workload,workload_type,window}
stability_workload_restarts_since_inspection{namespace,workload,workload_type}
stability_workload_rollout_last_progress_timestamp_seconds{namespace,workload,workload_type}
stability_workload_rollout_restarts{namespace,workload,workload_type}
stability_workload_rollout_started_timestamp_seconds{namespace,workload,workload_type}
stability_workload_rollout_stuck{namespace,workload,workload_type}
stability_workload_rollout_unhealthy_updated_replicas{namespace,workload,workload_type}
stability_workload_state{namespace,workload,workload_type,state}
stability_workload_survivable_ratio{namespace,workload,workload_type,topology}
stability_workload_terminating_overdue_pods{namespace,workload,workload_type}
stability_workload_unavailable_replicas{namespace,workload,workload_type,cause}
stability_workload_unschedulable_replicas{namespace,workload,workload_type,blocker}
stability_workload_updated_replicas{namespace,workload,workload_type}
stability_workload_zone_available_replicas{namespace,workload,workload_type,zone}
stability_zone_eviction_limit_per_second{zone}
stability_zone_healthy_ratio{zone}
stability_zone_nodes{zone,class}
stability_zone_unhealthy_nodes{zone}
`

func TestOptionsAreCheckedAtStart(t *testing.T) {
	for name, c := range map[string]struct {
		options Options
		want    []string
	}{
		"collision": {Options{WorkloadLabels: []string{"team", "app/tier", "app.tier"}}, []string{`"app/tier"`, `"app.tier"`, "label_app_tier"}},
		"twice":     {Options{WorkloadLabels: []string{"team", "team"}}, []string{`"team"`, "twice"}},
		"empty":     {Options{WorkloadLabels: []string{""}}, []string{"empty"}},
		"condition": {Options{Conditions: map[string]string{"A": "good", "Disk": "fine"}}, []string{`"Disk"`, `"fine"`, "good, bad or ignore"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := All(c.options)
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q, want %s in it", err, want)
				}
			}
		})
	}
}
