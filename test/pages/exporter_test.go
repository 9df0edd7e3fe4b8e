// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"stability-exporter/test/cluster"
	"stability-exporter/test/exporterproc"
)

// watch starts an exporter that is scraped as a cluster of its own until the test ends.
func watch(t *testing.T, name string, flags ...string) *exporterproc.Process {
	t.Helper()
	p := exporterproc.Start(t, shared.binary, flags...)
	scrape(t, name, p.Addr())
	t.Cleanup(func() {
		shared.claims.add(ofCluster(name).Merge(model.LabelSet{"alertname": "StabilityExporterDown"}))
		scrape(t, name, "")
	})
	return p
}

// scrape lets Prometheus scrape an address as a cluster of its own; the empty address ends that.
func scrape(t *testing.T, name, address string) {
	t.Helper()
	if err := shared.prometheus.Scrape(name, address, map[string]string{"cluster": name}); err != nil {
		t.Error(err)
	}
}

// ofCluster are the labels of alerts about all that one exporter watches.
func ofCluster(name string) model.LabelSet { return model.LabelSet{"cluster": model.LabelValue(name)} }

// only are flags that let an exporter watch what is in the namespace, whatever happens to nodes meanwhile.
func (s *space) only(flags ...string) []string {
	return append([]string{"--kubeconfig=" + shared.kubeconfig, "--namespace=" + s.Name, "--no-collector.node"}, flags...)
}

// awaitSeen waits until Prometheus knows the families of an exporter.
func (s *space) awaitSeen(cluster, family string) {
	s.T.Helper()
	s.await(family+" of cluster "+cluster, fmt.Sprintf("%s{cluster=%q}", family, cluster))
}

// write replaces a file.
func write(t *testing.T, path, text string) {
	t.Helper()
	must(t, os.WriteFile(path, []byte(text), 0o644))
}

// An exporter that dies, or hangs, is missed.
func TestExporterDies(t *testing.T) {
	s := newSpace(t)
	killed, frozen := watch(t, "killed", s.only()...), watch(t, "frozen", s.only()...)
	s.awaitSeen("killed", "stability_exporter_build_info")
	s.awaitSeen("frozen", "stability_exporter_build_info")
	gone := []page{{alert: "ExporterDown", severity: "critical", text: `No stability_exporter in cluster .*Cause: `}}
	deaths := []incident{{"exporter killed", ofCluster("killed"), gone}, {"exporter frozen", ofCluster("frozen"), gone}}
	began := time.Now()
	killed.Kill()
	must(t, frozen.Signal(syscall.SIGSTOP))
	for _, death := range deaths {
		death.awaitPages(t, began)
	}
	mended := time.Now()
	scrape(t, "killed", exporterproc.Start(t, shared.binary, s.only()...).Addr())
	must(t, frozen.Signal(syscall.SIGCONT))
	for _, death := range deaths {
		death.awaitResolved(t, mended)
		shared.falseAlarms(t, death.labels)
	}
}

// A configuration that is refused and a state file that cannot be written are told, one beside the other.
func TestExporterCannotUseItsFiles(t *testing.T) {
	s := newSpace(t)
	const name = "files"
	dir := t.TempDir()
	config, volume := filepath.Join(dir, "config.yaml"), filepath.Join(dir, "volume")
	write(t, config, "damage:\n  grace: 10m\n")
	must(t, os.Mkdir(volume, 0o755))
	p := watch(t, name, s.only("--config.file="+config, "--state.file="+filepath.Join(volume, "state"))...)
	reload := func(text string) {
		write(t, config, text)
		must(t, p.Signal(syscall.SIGHUP))
	}
	s.awaitSeen(name, "stability_exporter_state_file_last_save_success_timestamp_seconds")

	began := time.Now()
	reload("damage:\n  grace: 10\n")
	// A file stands where the volume was.
	must(t, os.RemoveAll(volume))
	write(t, volume, "")
	refused := incident{"configuration refused", ofCluster(name), []page{
		{alert: "ConfigReloadFailed", severity: "warning", text: `refused the configuration.* of 20\d\d.*Cause: `},
	}}
	unsaved := incident{"state cannot be saved", ofCluster(name), []page{
		{alert: "StateNotSaved", severity: "warning", text: `cannot save its state.*[Ll]ast saved at 20\d\d.*Cause: `},
	}}
	refused.awaitPages(t, began)
	unsaved.awaitPages(t, began)

	mended := time.Now()
	reload("damage:\n  grace: 5m\n")
	must(t, os.Remove(volume))
	must(t, os.Mkdir(volume, 0o755))
	refused.awaitResolved(t, mended)
	unsaved.awaitResolved(t, mended)
	shared.falseAlarms(t, ofCluster(name))
}

// An exporter that starts in the middle of an outage tells of it as soon as the rule permits.
func TestExporterStartsInAnOutage(t *testing.T) {
	s := newSpace(t)
	const name = "late"
	grace := max(time.Second, scaled(10*time.Minute))
	behindService(s, "web")
	created := time.Now()
	s.awaitHealthy("web")
	all(cluster.NeverReady)(s, "web")
	// What is younger than the grace may never have been up.
	err := cluster.Await(t.Context(), grace+patience, "the workload to be old", func(context.Context) (bool, error) {
		return time.Since(created) > grace+time.Second, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, alert := range []model.LabelValue{"StabilityWorkloadDown", "StabilityServiceNoEndpoints"} {
		shared.claims.add(s.about("alertname", alert)) // the other exporter tells it as well
	}
	config := filepath.Join(t.TempDir(), "config.yaml")
	write(t, config, fmt.Sprintf("damage:\n  grace: %s\n", grace))
	began := time.Now()
	watch(t, name, s.only("--config.file="+config)...)
	s.cluster = name
	down := incident{"exporter started in an outage", s.about("workload", "web"), []page{
		{alert: "WorkloadDown", severity: "critical", text: `none of 3 .*3 readiness_probe`},
	}}
	lost := incident{"exporter started in an outage", s.about("service", "web"), noEndpoints("pods_not_ready")}
	down.awaitPages(t, began)
	lost.awaitPages(t, began)
	mended := time.Now()
	all("")(s, "web")
	down.awaitResolved(t, mended)
	lost.awaitResolved(t, mended)
	shared.falseAlarms(t, ofCluster(name))
}

// without are the default permissions but those for a resource.
func without(t *testing.T, resource string) []rbacv1.PolicyRule {
	t.Helper()
	rules, err := exporterproc.DefaultRules()
	must(t, err)
	for i := range rules {
		rules[i].Resources = slices.DeleteFunc(slices.Clone(rules[i].Resources), func(each string) bool { return each == resource })
	}
	return slices.DeleteFunc(rules, func(rule rbacv1.PolicyRule) bool { return len(rule.Resources) == 0 })
}

// permit replaces what an identity may do.
func permit(t *testing.T, identity string, rules []rbacv1.PolicyRule) {
	t.Helper()
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: identity}, Rules: rules}
	if _, err := shared.cluster.Client().RbacV1().ClusterRoles().Update(t.Context(), role, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// A permission that is taken away from a running exporter blinds it: that must be told.
func TestPermissionTakenAway(t *testing.T) {
	s := newSpace(t)
	const name, identity, resource = "blinded", "exporter-10", "deployments"
	proxy, kubeconfig := proxied(t, identity)
	three(s, "web")
	s.awaitHealthy("web")
	watch(t, name, "--kubeconfig="+kubeconfig, "--namespace="+s.Name, "--no-collector.node")
	s.cluster = name
	s.awaitHealthy("web")
	blind := incident{"permission taken away", ofCluster(name).Merge(model.LabelSet{"resource": resource}), []page{
		// The exporter does not believe it for 20 s, and asks every 30 s.
		{alert: "InformerNotSynced", severity: "warning", late: unscaled(time.Minute), text: `does not see all ` + resource + `.*forbidden`},
	}}
	began := time.Now()
	permit(t, identity, without(t, resource))
	proxy.Cut() // a watch that is open goes on for some minutes
	blind.awaitPages(t, began)
	mended := time.Now()
	permit(t, identity, without(t, ""))
	blind.awaitResolved(t, mended)
	s.awaitHealthy("web")
	shared.falseAlarms(t, ofCluster(name))
}
