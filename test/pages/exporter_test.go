// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
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
	created := time.Now()
	behindService(s, "web")
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

// withoutVerb are the default permissions but one: a verb for a resource.
func withoutVerb(t *testing.T, resource, verb string) []rbacv1.PolicyRule {
	t.Helper()
	all, err := exporterproc.DefaultRules()
	if err != nil {
		t.Fatal(err)
	}
	var rules []rbacv1.PolicyRule
	for _, rule := range all {
		for _, each := range rule.Resources {
			kept := rule.DeepCopy()
			kept.Resources = []string{each}
			if each == resource {
				kept.Verbs = nil
				for _, v := range rule.Verbs {
					if v != verb {
						kept.Verbs = append(kept.Verbs, v)
					}
				}
			}
			rules = append(rules, *kept)
		}
	}
	return rules
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
	const name, identity = "blinded", "exporter-10"
	kubeconfig, err := exporterproc.Grant(t.Context(), shared.cluster, identity)
	if err != nil {
		t.Fatal(err)
	}
	three(s, "web")
	s.awaitHealthy("web")
	watch(t, name, "--kubeconfig="+kubeconfig, "--namespace="+s.Name, "--no-collector.node")
	s.cluster = name
	s.awaitHealthy("web")
	began := time.Now()
	permit(t, identity, withoutVerb(t, "deployments", "list"))
	blind := incident{"permission taken away", ofCluster(name).Merge(model.LabelSet{"resource": "deployments"}), []page{
		{alert: "InformerNotSynced", severity: "warning", text: `does not see all deployments.*forbidden`},
	}}
	blind.awaitPages(t, began)
	mended := time.Now()
	permit(t, identity, withoutVerb(t, "", ""))
	blind.awaitResolved(t, mended)
	s.awaitHealthy("web")
	shared.falseAlarms(t, ofCluster(name))
}
