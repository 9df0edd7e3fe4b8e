// SPDX-License-Identifier: Apache-2.0

package failures

import (
	"errors"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"stability-exporter/test/cluster"
	"stability-exporter/test/exporterproc"
)

const (
	// grantLimit is the longest pause between two attempts to read what is forbidden, 30 seconds, and a margin.
	grantLimit = 45 * time.Second
	// revocationLimit is how long what was readable has to be refused, 20 seconds, two attempts and a margin.
	revocationLimit = 45 * time.Second
)

// regrant replaces what an identity may do.
func regrant(t *testing.T, c *cluster.Cluster, identity string, rules []rbacv1.PolicyRule) {
	t.Helper()
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: identity}, Rules: rules}
	_, err := c.Client().RbacV1().ClusterRoles().Update(t.Context(), role, metav1.UpdateOptions{})
	must(t, err)
}

// The permission to read pods comes and goes while the program runs.
func TestPermissionComesAndGoes(t *testing.T) {
	t.Parallel()
	c := furnished(t)
	const identity = "exporter-4"
	pods := denial{"pods", "watch"}
	kubeconfig, proxy := throughProxy(t, c, identity)
	all, err := exporterproc.DefaultRules()
	must(t, err)
	regrant(t, c, identity, without(t, pods))
	happening := newChanges(t, c)
	p := start(t, kubeconfig)
	p.AwaitReady(t)
	withoutPods := awaitSteady(t, p)
	m, err := p.Scrape(t.Context())
	must(t, err)
	expectSynced(t, m, "pods")

	regrant(t, c, identity, all)
	granted := time.Now()
	p.Await(t, grantLimit, "the granted pods", happening.shown)
	t.Logf("a grant shows after %s", time.Since(granted).Round(time.Millisecond))
	must(t, happening.happen(t.Context()))
	must(t, happening.awaitWhole(t.Context()))
	p.Await(t, recoveryLimit, "the changes to show", happening.shown)
	withPods := awaitSteady(t, p)

	// At every moment, everything that the permission is needed for is there, or nothing of it.
	end := witnessed(t, p, func(m exporterproc.Metrics) error {
		now := pictureOf(m, inSteadyWorld)
		with, without := now.differs(withPods), now.differs(withoutPods)
		if with != nil && without != nil {
			return errors.Join(with, without)
		}
		return nil
	})
	regrant(t, c, identity, without(t, pods))
	revoked := time.Now()
	proxy.Cut() // the API server asks for the permission when a watch begins
	p.Await(t, revocationLimit, "the pods to be withdrawn", func(m exporterproc.Metrics) error {
		return errors.Join(m.ExpectNone("stability_container_restarts_total"),
			m.Expect(0, "stability_exporter_informer_synced", "resource", "pods"))
	})
	t.Logf("a revocation shows after %s", time.Since(revoked).Round(time.Millisecond))
	regrant(t, c, identity, all)
	p.Await(t, grantLimit, "the pods that are granted again, nothing counted twice", happening.shown)
	end()
	for line, want := range map[string]int{"cannot observe resource\" why=forbidden": 2, "resource can be observed now": 2} {
		if got := logged(p, "msg=\""+line, "resource=pods", "collectors="+readersOf(t, "pods")); got != want {
			t.Errorf("%d lines say %q, want %d", got, line, want)
		}
	}
	p.Stop(t)
}

// Leases are not watched but asked for again and again, so that a revocation needs no cut connection to show.
func TestPermissionToPollIsRevoked(t *testing.T) {
	t.Parallel()
	c := furnished(t)
	const identity = "exporter-5"
	p := start(t, grant(t, c, identity))
	p.AwaitReady(t)
	p.Await(t, recoveryLimit, "the components", func(m exporterproc.Metrics) error {
		return m.Expect(1, "stability_component_up", "component", "kube-scheduler")
	})
	regrant(t, c, identity, without(t, denial{"leases", "get"}))
	p.Await(t, revocationLimit, "the components to be withdrawn", func(m exporterproc.Metrics) error {
		return errors.Join(m.ExpectNone("stability_component_up"), m.ExpectNone("stability_status_stale"),
			m.Expect(0, "stability_exporter_informer_synced", "resource", "leases"))
	})
	if n := logged(p, "level=warn", "cannot observe resource", "resource=leases", "verb=get", "collectors="+readersOf(t, "leases")); n != 1 {
		t.Errorf("%d warnings, want 1", n)
	}
	p.Stop(t)
}

func TestNothingPermitted(t *testing.T) {
	t.Parallel()
	c := furnished(t)
	kubeconfig, err := c.Kubeconfig("exporter-6")
	must(t, err)
	p := start(t, kubeconfig)
	p.AwaitReady(t)
	m, err := p.Scrape(t.Context())
	must(t, err)
	evaluated := ofChecks(t) // that no check is evaluated is told
	must(t, m.ExpectNone("stability_misconfigurations"))
	if seen := pictureOf(m, func(s exporterproc.Sample) bool { return !evaluated(s) }); len(seen) > 0 {
		t.Errorf("seen without any permission: %v", seen.differs(nil))
	}
	resources := resourcesOf(t)
	expectSynced(t, m, resources...)
	for _, resource := range resources {
		if n := logged(p, "level=warn", "cannot observe resource", "resource="+resource, "collectors="+readersOf(t, resource)); n != 1 {
			t.Errorf("%d warnings about %s, want 1", n, resource)
		}
	}
	p.Stop(t)
}

// resourcesOf lists every resource that the program asks for.
func resourcesOf(t *testing.T) []string {
	t.Helper()
	rules, err := exporterproc.DefaultRules()
	must(t, err)
	var resources []string
	for _, rule := range rules {
		resources = append(resources, rule.Resources...)
	}
	return resources
}

// bindRole gives an identity in one namespace what the program asks for, and nothing elsewhere.
func bindRole(t *testing.T, c *cluster.Cluster, identity, namespace string) string {
	t.Helper()
	rules, err := exporterproc.DefaultRules()
	must(t, err)
	meta := metav1.ObjectMeta{Name: identity, Namespace: namespace}
	rbac := c.Client().RbacV1()
	_, err = rbac.Roles(namespace).Create(t.Context(), &rbacv1.Role{ObjectMeta: meta, Rules: rules}, metav1.CreateOptions{})
	must(t, err)
	_, err = rbac.RoleBindings(namespace).Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: meta,
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: identity}},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: identity},
	}, metav1.CreateOptions{})
	must(t, err)
	kubeconfig, err := c.Kubeconfig(identity)
	must(t, err)
	return kubeconfig
}

func TestNamespaces(t *testing.T) {
	t.Parallel()
	c := furnished(t)
	reference := start(t, grant(t, c, "exporter-7"))
	reference.AwaitReady(t)
	oneRole := bindRole(t, c, "exporter-8", "steady")
	everything := grant(t, c, "exporter-9")
	losses := loss(t)
	clusterWide := either(losses["nodes"], losses["leases"])
	findings := ofChecks(t)
	inOne := func(s exporterproc.Sample) bool { return s.Labels["namespace"] == "steady" && !clusterWide(s) }
	for _, test := range []struct {
		name, kubeconfig string
		flags            []string
		want             func(exporterproc.Sample) bool
		forbidden        []string
	}{
		{"Role in the only namespace", oneRole, []string{"--namespace=steady"},
			func(s exporterproc.Sample) bool {
				return inOne(s) || s.Name == "stability_status_stale" && !clusterWide(s) || s.Name == "stability_status_lagging_workloads"
			},
			[]string{"nodes", "namespaces", "leases"}},
		{"Role in one namespace of two", oneRole, []string{"--namespace=steady", "--namespace=steady-too"}, inOne, resourcesOf(t)},
		{"two namespaces", everything, []string{"--namespace=steady", "--namespace=steady-too"}, inSteadyWorld, nil},
		{"all namespaces but one", everything, []string{"--exclude-namespace=steady"}, func(s exporterproc.Sample) bool {
			return inSteadyWorld(s) && s.Labels["namespace"] != "steady" && s.Name != "stability_node_drain_blocked_pods"
		}, nil},
	} {
		p := start(t, test.kubeconfig, test.flags...)
		p.AwaitReady(t)
		m := p.Await(t, 30*time.Second, "all that can be known with "+test.name, func(m exporterproc.Metrics) error {
			all, err := reference.Scrape(t.Context())
			if err != nil {
				return err
			}
			but := func(want func(exporterproc.Sample) bool) func(exporterproc.Sample) bool {
				return func(s exporterproc.Sample) bool { return want(s) && !findings(s) }
			}
			return pictureOf(m, but(ofNoTest)).differs(pictureOf(all, but(test.want)))
		})
		expectSynced(t, m, test.forbidden...)
		if n := logged(p, "level=warn", "cannot observe resource"); n != len(test.forbidden) {
			t.Errorf("%d warnings with %s, want %d", n, test.name, len(test.forbidden))
		}
		p.Stop(t)
	}
	reference.Stop(t)
}

// ofNoTest is true of everything but the namespaces that other tests make.
func ofNoTest(s exporterproc.Sample) bool {
	return inSteadyWorld(s) || !strings.HasPrefix(s.Labels["namespace"], "test-")
}
