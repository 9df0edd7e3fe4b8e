// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/prometheus/common/version"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/flowcontrol"
)

// ErrNoCluster says that nothing names an API server: neither an option nor the environment.
var ErrNoCluster = errors.New(
	"no Kubernetes API server: give --kubeconfig or --kube-context, set KUBECONFIG, or run in a pod with a service account")

const (
	protobufType = "application/vnd.kubernetes.protobuf"
	// Watches are not limited by client-go; what is left are lists, the ReplicaSets read one by one, and leases.
	requestsPerSecond = 50
	requestBurst      = 100
)

// connection is how to reach an API server, and under which name.
type connection struct {
	config  *rest.Config
	context string // of the kubeconfig; empty in a cluster
}

// connect finds the API server: the given kubeconfig or context, else the pod's own cluster, else $KUBECONFIG.
func connect(kubeconfig, context string) (connection, error) {
	if kubeconfig == "" && context == "" {
		config, err := rest.InClusterConfig()
		switch {
		case err == nil:
			return connection{config: prepare(config)}, nil
		case !errors.Is(err, rest.ErrNotInCluster):
			return connection{}, fmt.Errorf("cannot use the service account of the pod: %w", err)
		case os.Getenv(clientcmd.RecommendedConfigPathEnvVar) == "":
			return connection{}, ErrNoCluster
		}
	}
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = kubeconfig
	rules.WarnIfAllMissing = false
	content, err := rules.Load()
	if err != nil {
		return connection{}, fmt.Errorf("cannot load the kubeconfig: %w", err)
	}
	if len(content.Clusters) == 0 {
		files := strings.Join(rules.GetLoadingPrecedence(), ", ")
		return connection{}, fmt.Errorf("cannot load the kubeconfig: no cluster in %s", files)
	}
	if context == "" {
		context = content.CurrentContext
	}
	config, err := clientcmd.NewNonInteractiveClientConfig(*content, context, &clientcmd.ConfigOverrides{}, rules).ClientConfig()
	if err != nil {
		return connection{}, fmt.Errorf("cannot use the context %q of the kubeconfig: %w", context, err)
	}
	return connection{config: prepare(config), context: context}, nil
}

func prepare(config *rest.Config) *rest.Config {
	config = rest.CopyConfig(config)
	config.UserAgent = "stability_exporter/" + version.Version
	config.ContentType = protobufType
	config.AcceptContentTypes = protobufType + ",application/json"
	config.WarningHandler = rest.NoWarnings{}
	config.RateLimiter = flowcontrol.NewTokenBucketRateLimiter(requestsPerSecond, requestBurst)
	return config
}

// String names the server and the context; credentials are left out.
func (c connection) String() string {
	host := c.config.Host
	if u, err := url.Parse(host); err == nil {
		u.User, u.RawQuery, u.Fragment = nil, "", ""
		host = u.String()
	}
	if c.context != "" {
		return fmt.Sprintf("%s (context %s)", host, c.context)
	}
	return host
}

// restClients returns a client for each API group of the table; they share connections and the rate limit.
func restClients(config *rest.Config) (map[schema.GroupVersion]rest.Interface, error) {
	shared, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("cannot set up the connection to the API server: %w", err)
	}
	clients := map[schema.GroupVersion]rest.Interface{}
	codecs := serializer.NewCodecFactory(newScheme())
	for _, k := range kinds() {
		if clients[k.Group] != nil {
			continue
		}
		client, err := restClient(config, k.Group, codecs.WithoutConversion(), shared)
		if err != nil {
			return nil, fmt.Errorf("cannot set up a client of %s: %w", k.Group, err)
		}
		clients[k.Group] = client
	}
	return clients, nil
}

func restClient(config *rest.Config, group schema.GroupVersion, codecs runtime.NegotiatedSerializer, shared *http.Client) (rest.Interface, error) {
	config = rest.CopyConfig(config)
	config.GroupVersion = &group
	config.NegotiatedSerializer = codecs
	config.APIPath = "/apis"
	if group.Group == "" {
		config.APIPath = "/api"
	}
	return rest.RESTClientForConfigAndClient(config, shared)
}
