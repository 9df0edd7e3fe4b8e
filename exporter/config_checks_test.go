// SPDX-License-Identifier: Apache-2.0

package exporter

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stability-exporter/collectors"
	"stability-exporter/internal/state"
)

func TestChecksAreConfigured(t *testing.T) {
	f := func(text string, want string) {
		t.Helper()
		c, mistakes := parseConfig([]byte(text))
		if len(mistakes) > 0 {
			t.Errorf("%q: %v", text, mistakes)
			return
		}
		s, g := c.Checks.settings(), c.Checks.grants()
		var told []string
		for _, x := range s.Exempt {
			told = append(told, fmt.Sprintf("%s %v %v", x.Check, x.Namespace, x.Workload))
		}
		for _, group := range s.HotGroups {
			told = append(told, group.Name)
			for _, w := range group.Workloads {
				told = append(told, fmt.Sprintf("%s/%s/%s", w.Namespace, w.Type, w.Name))
			}
		}
		got := fmt.Sprintf("%v %v %v %d %v", g.configMapNamespaces, g.events, s.Disabled, c.Checks.MaxSeriesPerCheck.number, told)
		check(t, text, got, want)
	}
	none := "[] false [] 200 []"
	f("", none)
	f("checks:", none)
	f("checks: {configmap_namespaces: , events: , disabled: [], exempt: [], hot_groups: }", none)
	f("checks: {configmap_namespaces: [b, a, b], events: true, disabled: [probe_identical], max_series_per_check: 7}",
		"[a b] true [probe_identical] 7 []")
	f("checks: {exempt: [{check: probe_identical, workload: a|b, reason: x}, {check: pdb_blocks, namespace: dev-.*, reason: 1}]}",
		"[] false [] 200 [probe_identical <nil> ^(?:a|b)$ pdb_blocks ^(?:dev-.*)$ <nil>]")
	f("checks: {hot_groups: [{name: x, workloads: [&w {namespace: a, name: b}, *w, {<<: *w, type: statefulset}]}]}",
		"[] false [] 200 [x a//b a//b a/statefulset/b]")
}

func TestWhatIsMissingInARowIsToldWhereTheRowBegins(t *testing.T) {
	_, mistakes := parseConfig([]byte("checks:\n  exempt:\n    -\n    - {}\n    - {check: nothing, reason: x}\n  hot_groups:\n    -\n"))
	var lines []int
	for _, m := range mistakes {
		lines = append(lines, m.line)
	}
	if diff := cmp.Diff([]int{3, 3, 3, 4, 4, 4, 5, 5, 7, 7}, lines); diff != "" {
		t.Errorf("lines of the mistakes: %s\n%v", diff, mistakes)
	}
}

func TestGrantedKindsAreRead(t *testing.T) {
	for text, want := range map[string]state.Kinds{
		"": 0, "checks: {events: true}": state.KindSet(state.Events), "checks: {configmap_namespaces: [a]}": state.KindSet(state.ConfigMaps),
	} {
		c, _ := parseConfig([]byte(text))
		check(t, text, c.Checks.grants().kinds(), want)
	}
	live := &exporter{granted: grants{events: true},
		options: &options{collectors: map[string]*bool{"misconfiguration": new(bool)}, source: sourceOptions{kubeconfig: "unused"}}}
	*live.options.collectors["misconfiguration"] = true
	spec := collectors.Spec{Name: "misconfiguration", Reads: state.KindSet(state.Pods), MayRead: state.KindSet(state.ConfigMaps, state.Events)}
	check(t, "of a live cluster", live.enabled([]collectors.Spec{spec})[0].Reads, state.KindSet(state.Pods, state.Events))
	r := start(t)
	if !r.reads.Has(state.ConfigMaps) || !r.reads.Has(state.Events) {
		t.Error("what manifests hold is not read")
	}
}

func TestAnExporterFollowsWhatIsConfiguredOfItsChecks(t *testing.T) {
	const series = `stability_check_evaluated{check="probe_identical"}`
	file := writeFile(t, "config.yaml", "")
	r := start(t, "--config.file="+file)
	r.source.syncAll()
	write := func(text string, wantStatus int) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		check(t, text, r.do(http.MethodPost, "http://"+r.address+reloadPath).StatusCode, wantStatus)
	}
	check(t, "at first", r.sample(series), "1")
	write("checks: {disabled: [probe_identical]}", http.StatusOK)
	check(t, "disabled", r.sample(series), "0")
	write("checks: {disabled: [probe_identicl]}", http.StatusInternalServerError)
	check(t, "after a mistake", r.sample(series), "0")
	told := func() int { return strings.Count(r.log.String(), "takes effect at the next start") }
	check(t, "hints at a restart", told(), 0)
	write("checks: {events: true, configmap_namespaces: [shop]}", http.StatusOK)
	check(t, "enabled again", r.sample(series), "1")
	check(t, "hints at a restart", told(), 1)
}
