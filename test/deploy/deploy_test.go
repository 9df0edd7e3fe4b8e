// SPDX-License-Identifier: Apache-2.0

// Package deploy applies the manifests of deploy/ to a real control plane, and runs the program with the permissions that
// they give it.
package deploy

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"stability-exporter/test/cluster"
	"stability-exporter/test/exporterproc"
)

const (
	name      = "stability-exporter" // of everything that is deployed, the namespace included
	manifests = "../../deploy/kubernetes"
	patience  = 90 * time.Second
)

var shared *cluster.Cluster

func TestMain(m *testing.M) {
	os.Exit(cluster.RunTests(m, cluster.Options{}, func(c *cluster.Cluster) { shared = c }))
}

// kubectl runs a command as an administrator. A warning of the server is a failure too: that is how it tells of
// deprecated versions and of pods that are not restricted enough.
func kubectl(t *testing.T, arguments ...string) {
	t.Helper()
	kubeconfig, err := shared.Kubeconfig(cluster.Admin)
	if err != nil {
		t.Fatal(err)
	}
	arguments = append([]string{"--kubeconfig", kubeconfig}, arguments...)
	output, err := exec.CommandContext(t.Context(), shared.Kubectl(), arguments...).CombinedOutput()
	if err != nil || strings.Contains(string(output), "Warning") {
		t.Fatalf("kubectl %s: %v\n%s", strings.Join(arguments, " "), err, output)
	}
}

func TestManifestsMakeARunningExporter(t *testing.T) {
	if _, err := shared.Nodes(t.Context(), 1, "zone-a"); err != nil {
		t.Fatal(err)
	}
	kubectl(t, "apply", "--validate=strict", "-f", filepath.Join(manifests, "00-namespace.yaml"))
	kubectl(t, "apply", "--validate=strict", "--dry-run=server", "-f", "../../deploy/statefulset-persistent.yaml")
	kubectl(t, "apply", "--validate=strict", "--dry-run=server", "-f", "../../deploy/optional-events.yaml")
	kubectl(t, "create", "namespace", "shop") // whose ConfigMaps the example is about
	kubectl(t, "apply", "--validate=strict", "--dry-run=server", "-f", "../../deploy/optional-configmaps.yaml")
	kubectl(t, "apply", "--validate=strict", "-f", manifests)
	kubectl(t, "apply", "--validate=strict", "-f", manifests) // once more is no conflict
	err := cluster.Await(t.Context(), patience, "the exporter's pod to run", func(ctx context.Context) (bool, error) {
		set, err := shared.Client().AppsV1().StatefulSets(name).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return false, fmt.Errorf("cannot get the StatefulSet: %w", err)
		}
		return set.Status.ReadyReplicas == 1, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	config := asServiceAccount(t)
	checkProgram(t, config)
	checkPermissions(t, config)
}

// asServiceAccount returns how the deployed pod would reach the API server.
func asServiceAccount(t *testing.T) *rest.Config {
	t.Helper()
	request, err := shared.Client().CoreV1().ServiceAccounts(name).CreateToken(t.Context(), name,
		&authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("cannot get a token of the service account: %v", err)
	}
	config := rest.AnonymousClientConfig(shared.AdminConfig())
	config.BearerToken = request.Status.Token
	return config
}

// checkProgram runs the program as the service account: it may see everything it looks for, and sees itself healthy.
func checkProgram(t *testing.T, config *rest.Config) {
	t.Helper()
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	err := clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{name: {Server: config.Host, CertificateAuthorityData: config.CAData, CertificateAuthority: config.CAFile}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{name: {Token: config.BearerToken}},
		Contexts:       map[string]*clientcmdapi.Context{name: {Cluster: name, AuthInfo: name}},
		CurrentContext: name,
	}, kubeconfig)
	if err != nil {
		t.Fatalf("cannot write the kubeconfig: %v", err)
	}
	binary, err := exporterproc.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	program := exporterproc.Start(t, binary, "--kubeconfig="+kubeconfig)
	program.AwaitReady(t)
	status, text, err := program.Get(t.Context(), "/metrics")
	if err != nil || status != 200 {
		t.Fatalf("cannot scrape: status %d, %v", status, err)
	}
	if strings.Contains(text, "\nstability_exporter_informer_unavailable{") {
		t.Errorf("something cannot be seen:\n%s", program.Log())
	}
	for _, line := range []string{
		`stability_workload_state{namespace="stability-exporter",workload="stability-exporter",workload_type="statefulset",state="healthy"} 1`,
		`stability_component_up{component="kube-controller-manager",member="`,
		`stability_node_ready{node="node-0",zone="zone-a"} 1`,
	} {
		if !strings.Contains(text, "\n"+line) {
			t.Errorf("there is no sample %s", line)
		}
	}
	program.Stop(t)
}

// checkPermissions asks the API server for what nobody who only looks needs.
func checkPermissions(t *testing.T, config *rest.Config) {
	t.Helper()
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	for _, wish := range []struct {
		resource authorizationv1.ResourceAttributes
		allowed  bool
	}{
		{authorizationv1.ResourceAttributes{Verb: "watch", Resource: "pods"}, true},
		{authorizationv1.ResourceAttributes{Verb: "list", Resource: "secrets"}, false},
		{authorizationv1.ResourceAttributes{Verb: "get", Resource: "nodes", Subresource: "proxy"}, false},
		{authorizationv1.ResourceAttributes{Verb: "delete", Resource: "pods", Namespace: name}, false},
		{authorizationv1.ResourceAttributes{Verb: "update", Group: "apps", Resource: "deployments", Namespace: name}, false},
		{authorizationv1.ResourceAttributes{Verb: "list", Resource: "configmaps", Namespace: name}, false},
	} {
		review, err := client.AuthorizationV1().SelfSubjectAccessReviews().Create(t.Context(), &authorizationv1.SelfSubjectAccessReview{
			Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &wish.resource},
		}, metav1.CreateOptions{})
		if err != nil {
			t.Fatalf("cannot ask for permissions: %v", err)
		}
		if review.Status.Allowed != wish.allowed {
			t.Errorf("%s %s/%s: allowed is %t", wish.resource.Verb, wish.resource.Resource, wish.resource.Subresource, review.Status.Allowed)
		}
	}
}
