// SPDX-License-Identifier: Apache-2.0

package failures

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"

	"stability-exporter/collectors"
	"stability-exporter/test/cluster"
	"stability-exporter/test/exporterproc"
)

// denial is one permission of those the program asks for.
type denial struct{ resource, verb string }

// identity is the user that has everything but this permission.
func (d denial) identity() string { return "without-" + d.verb + "-" + d.resource }

// allDenials names every single permission that the program asks for.
func allDenials() ([]denial, error) {
	rules, err := exporterproc.DefaultRules()
	if err != nil {
		return nil, err
	}
	var all []denial
	for _, rule := range rules {
		for _, resource := range rule.Resources {
			for _, verb := range rule.Verbs {
				all = append(all, denial{resource, verb})
			}
		}
	}
	return all, nil
}

// without returns what the program asks for, less one permission.
func without(t *testing.T, d denial) []rbacv1.PolicyRule {
	t.Helper()
	rules, err := exporterproc.DefaultRules()
	must(t, err)
	var left []rbacv1.PolicyRule
	for _, rule := range rules {
		for _, resource := range rule.Resources {
			one := *rule.DeepCopy()
			one.Resources = []string{resource}
			if resource == d.resource {
				one.Verbs = slices.DeleteFunc(one.Verbs, func(verb string) bool { return verb == d.verb })
			}
			if len(one.Verbs) > 0 {
				left = append(left, one)
			}
		}
	}
	return left
}

// costs tells which samples of the steady world nobody can know who may not read a resource.
type costs func(exporterproc.Sample) bool

// loss says what each resource is needed for. What is not lost must be there and be right.
func loss(t *testing.T) map[string]costs {
	t.Helper()
	of := func(collectorsAndFamilies ...string) costs {
		families := map[string]bool{}
		for _, name := range collectorsAndFamilies {
			if strings.HasPrefix(name, "stability_") {
				families[name] = true
				continue
			}
			for family := range familiesOf(t, name) {
				families[family] = true
			}
		}
		return func(s exporterproc.Sample) bool { return families[s.Name] }
	}
	losses := map[string]costs{
		"nodes": of("node", "placement", "stability_node_drain_blocked_pods", "stability_pdb_drain_blocked_pods",
			"stability_workload_on_ready_nodes_replicas"),
		"namespaces":          of(), // what is in one that is being deleted looks like an outage, that is all
		"deployments":         ofType(t, "deployment"),
		"statefulsets":        ofType(t, "statefulset"),
		"daemonsets":          ofType(t, "daemonset"),
		"replicasets":         either(ofType(t, "replicaset"), ofUpdatedPods("deployment")),
		"controllerrevisions": ofUpdatedPods("daemonset"),
		"cronjobs":            of("stability_cronjob_last_run_failed", "stability_cronjob_last_run_finished_timestamp_seconds"),
		"jobs": either(of("stability_cronjob_last_run_failed", "stability_cronjob_last_run_finished_timestamp_seconds"),
			ofCronJobs),
		"horizontalpodautoscalers": of("stability_hpa_limited", "stability_hpa_last_scale_timestamp_seconds"),
		"poddisruptionbudgets":     of("disruption"),
		"services":                 of("service"),
		"endpointslices":           of("service"),
		"pods": of("restart", "placement", "disruption", "stability_workload_on_ready_nodes_replicas",
			"stability_workload_unavailable_replicas", "stability_workload_abnormal_pods", "stability_workload_unschedulable_replicas",
			"stability_workload_terminating_overdue_pods", "stability_image_pull_failing_pods",
			"stability_workload_unschedulable_since_timestamp_seconds", "stability_image_pull_failing_since_timestamp_seconds",
			"stability_workload_terminating_overdue_since_timestamp_seconds",
			"stability_workload_rollout_unhealthy_updated_replicas", "stability_workload_rollout_restarts"),
		"leases": of("stability_component_up", "stability_lease_renewed_timestamp_seconds", "stability_status_stale"),
	}
	for resource, lost := range losses {
		losses[resource] = either(lost, func(s exporterproc.Sample) bool {
			return s.Name == "stability_status_stale" && s.Labels["resource"] == resource
		})
	}
	return losses
}

// ofType is true of what the objects of a type of workload tell.
func ofType(t *testing.T, workloadType string) costs {
	families := familiesOf(t, "workload", "placement")
	for _, family := range []string{"stability_hpa_limited", "stability_hpa_last_scale_timestamp_seconds"} {
		delete(families, family) // the autoscaler itself tells
	}
	families["stability_status_lagging_workloads"] = true
	return func(s exporterproc.Sample) bool { return families[s.Name] && s.Labels["workload_type"] == workloadType }
}

func either(a, b costs) costs {
	return func(s exporterproc.Sample) bool { return a(s) || b(s) }
}

// ofUpdatedPods is true of what tells of the pods of the newest version, which only the owner of the version knows.
func ofUpdatedPods(workloadType string) costs {
	return func(s exporterproc.Sample) bool {
		return s.Labels["workload_type"] == workloadType && (s.Name == "stability_workload_rollout_unhealthy_updated_replicas" ||
			s.Name == "stability_workload_rollout_restarts")
	}
}

// ofCronJobs is true of the restarts in pods of CronJobs, which are filed with other Jobs while those are not known.
func ofCronJobs(s exporterproc.Sample) bool { return s.Labels["workload_type"] == "cronjob" }

// whyServicesAreEmpty is true of what the state of pods and workloads explains.
func whyServicesAreEmpty(s exporterproc.Sample) bool {
	return s.Name == "stability_service_no_endpoints" || s.Name == "stability_service_endpoints_lost"
}

// Each permission is taken away in turn, all others are there.
func TestEverySinglePermissionMissing(t *testing.T) {
	t.Parallel()
	c := furnished(t)
	reference := start(t, grant(t, c, "exporter-3"))
	reference.AwaitReady(t)
	t.Run("of", func(t *testing.T) {
		for _, d := range shared.denials {
			t.Run(d.identity(), func(t *testing.T) {
				t.Parallel()
				d.test(t, c, reference, true)
			})
		}
	})
	reference.Stop(t)
}

// test runs the program without a permission beside a reference that has them all. Where the server streams lists, the
// permission to list is not needed.
func (d denial) test(t *testing.T, c *cluster.Cluster, reference *exporterproc.Process, streams bool) {
	t.Helper()
	must(t, exporterproc.GrantRules(t.Context(), c, d.identity(), without(t, d)))
	kubeconfig, err := c.Kubeconfig(d.identity())
	must(t, err)
	p := start(t, kubeconfig)
	p.AwaitReady(t)
	lost, unsynced, line, why := loss(t)[d.resource], d.resource, "cannot observe resource", "forbidden"
	switch {
	case d.verb == "list" && streams:
		lost, unsynced, line = func(exporterproc.Sample) bool { return false }, "", ""
	case d.verb == "get" && d.resource == "replicasets": // their metadata is known all the same
		lost, unsynced, line, why = ofType(t, "replicaset"), "replicasets", "cannot read single objects", "partial"
	}
	p.Await(t, 30*time.Second, "all that can be known", func(m exporterproc.Metrics) error {
		return d.agrees(t, m, reference, lost)
	})
	m, err := p.Scrape(t.Context())
	must(t, err)
	expectUnavailable(t, m, why, unsynced)
	if unsynced != "" {
		d.expectCauses(t, m)
	}
	warnings := 1
	if line == "" {
		warnings = 0
	}
	if logged(p, "level=warn", line, "verb="+d.verb, "resource="+d.resource, "collectors="+readersOf(t, d.resource)) != warnings ||
		warnings != logged(p, "level=warn", "resource=") || logged(p, "level=error") != 0 {
		t.Errorf("want %d warnings, that %q", warnings, line)
	}
	p.Stop(t)
}

// agrees compares with the reference what must be known. What must be unknown may not be there at all.
func (d denial) agrees(t *testing.T, m exporterproc.Metrics, reference *exporterproc.Process, lost costs) error {
	all, err := reference.Scrape(t.Context())
	if err != nil {
		return err
	}
	findings := ofChecks(t)
	keep := func(s exporterproc.Sample) bool { return inSteadyWorld(s) && !lost(s) && !d.exempt(s) && !findings(s) }
	if err := accused(pictureOf(m, ofFindings), pictureOf(all, ofFindings)); err != nil {
		return err
	}
	if err := pictureOf(m, keep).differs(pictureOf(all, keep)); err != nil {
		return err
	}
	if seen := pictureOf(m, lost); len(seen) > 0 {
		return fmt.Errorf("seen without the permission: %w", seen.differs(nil))
	}
	return nil
}

// ofChecks is true of what the checks tell. Nearly every one of them looks at several kinds: accused says what must hold of it.
func ofChecks(t *testing.T) costs {
	families := familiesOf(t, "misconfiguration")
	return func(s exporterproc.Sample) bool { return families[s.Name] }
}

func ofFindings(s exporterproc.Sample) bool {
	return s.Name == "stability_misconfiguration" && inSteadyWorld(s)
}

// accused returns an error for a finding that is there only because something may not be read.
func accused(seen, all picture) error {
	for finding := range seen {
		if _, ok := all[finding]; !ok {
			return fmt.Errorf("found for want of a permission: %s", finding)
		}
	}
	return nil
}

// exempt is true of samples that are there, but say something else than with the permission.
func (d denial) exempt(s exporterproc.Sample) bool {
	switch d.resource {
	case "pods", "deployments", "statefulsets", "daemonsets", "replicasets":
		return whyServicesAreEmpty(s)
	case "jobs":
		return s.Labels["workload"] == "" && s.Labels["container"] == "job"
	}
	return false
}

// expectCauses checks that nobody is sent to a selector for a Service whose pods, or whose scaling, cannot be seen.
func (d denial) expectCauses(t *testing.T, m exporterproc.Metrics) {
	t.Helper()
	causes := map[string]string{"nobody": "no_matching_pods", "off": "scaled_to_zero"}
	switch d.resource {
	case "services", "endpointslices":
		return
	case "pods", "statefulsets", "daemonsets", "replicasets":
		causes["nobody"] = "unknown"
	case "deployments":
		causes["nobody"], causes["off"] = "unknown", "unknown"
	}
	for service, cause := range causes {
		if err := m.Expect(1, "stability_service_no_endpoints", "service", service); err != nil {
			t.Error(err)
		} else if err := m.Expect(1, "stability_service_no_endpoints", "service", service, "cause", cause); err != nil {
			t.Error(err)
		}
	}
}

// expectSynced checks that every resource is synchronised but the given ones, which are forbidden.
func expectSynced(t *testing.T, m exporterproc.Metrics, forbidden ...string) {
	t.Helper()
	expectUnavailable(t, m, "forbidden", forbidden...)
}

// expectUnavailable checks that every resource is synchronised but the given ones, for the given reason.
func expectUnavailable(t *testing.T, m exporterproc.Metrics, reason string, forbidden ...string) {
	t.Helper()
	synced := m.Select("stability_exporter_informer_synced")
	if len(synced) < 10 {
		t.Errorf("only %d resources are told of", len(synced))
	}
	for _, sample := range synced {
		resource := sample.Labels["resource"]
		denied := slices.Contains(forbidden, resource)
		if (sample.Value == 0) != denied {
			t.Errorf("synchronised is %v of %s", sample.Value, resource)
		}
		reasons := m.Select("stability_exporter_informer_unavailable", "resource", resource)
		if (len(reasons) == 1 && reasons[0].Labels["reason"] == reason) != denied || len(reasons) > 1 {
			t.Errorf("%s is unavailable for %v", resource, reasons)
		}
	}
}

// readersOf lists the collectors that read a resource as the log does.
func readersOf(t *testing.T, resource string) string {
	t.Helper()
	specs, err := collectors.All(collectors.Options{})
	must(t, err)
	var names []string
	for _, spec := range specs {
		for _, kind := range spec.Reads.All() {
			if spec.Default && kind.String() == resource {
				names = append(names, spec.Name)
			}
		}
	}
	return strings.Join(names, ",")
}
