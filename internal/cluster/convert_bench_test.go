// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
)

// exampleDeployment is one of the larger ones: two containers with three probes each, forty variables, a mounted ConfigMap,
// spread terms, and the annotation that kubectl apply leaves behind.
func exampleDeployment(tb testing.TB) *appsv1.Deployment {
	tb.Helper()
	var env []string
	for i := range 40 {
		env = append(env, fmt.Sprintf(`{"name": "SOME_VARIABLE_%d", "value": "a value of some length %d"}`, i, i))
	}
	probe := func(path string) string {
		return `{"httpGet": {"path": "` + path + `", "port": "http"}, "initialDelaySeconds": 5, "periodSeconds": 10}`
	}
	container := func(name string) string {
		return `{"name": "` + name + `", "image": "registry.example.com:5000/shop/web:1.2.3", "env": [` + strings.Join(env, ", ") + `],
		 "ports": [{"name": "http", "containerPort": 8080}, {"name": "admin", "containerPort": 9090}],
		 "args": ["-jar", "/app.jar", "--server.port=8080"], "volumeMounts": [{"name": "config", "mountPath": "/config"}],
		 "resources": {"requests": {"cpu": "250m", "memory": "512Mi"}, "limits": {"cpu": "2", "memory": "1Gi"}},
		 "lifecycle": {"preStop": {"exec": {"command": ["sh", "-c", "sleep 10"]}}},
		 "livenessProbe": ` + probe("/livez") + `, "readinessProbe": ` + probe("/readyz") + `, "startupProbe": ` + probe("/readyz") + `}`
	}
	spec := `{"replicas": 3, "template": {"metadata": {"labels": {"app": "web", "team": "a"}}, "spec": {
	 "containers": [` + container("web") + `, ` + container("side") + `],
	 "volumes": [{"name": "config", "configMap": {"name": "web", "items": [{"key": "prod.yml", "path": "application.yml"}]}}],
	 "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "podAffinityTerm":
	 {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "web"}}}}]}}}}}`
	text := `{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "shop", "uid": "u",
	 "annotations": {"kubectl.kubernetes.io/last-applied-configuration": %s}}, "spec": ` + spec + `}`
	applied, err := json.Marshal(fmt.Sprintf(text, `""`))
	if err != nil {
		tb.Fatal(err)
	}
	d := &appsv1.Deployment{}
	if err := json.Unmarshal(fmt.Appendf(nil, text, applied), d); err != nil {
		tb.Fatal(err)
	}
	return d
}

func BenchmarkConvertDeployment(b *testing.B) {
	d := exampleDeployment(b)
	b.ReportAllocs()
	for b.Loop() {
		convertDeployment(d, convertOptions{Live: true})
	}
}

// BenchmarkDecodeDeployment is what a change costs before it is converted.
func BenchmarkDecodeDeployment(b *testing.B) {
	wire, err := exampleDeployment(b).Marshal()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.SetBytes(int64(len(wire)))
	for b.Loop() {
		if err := new(appsv1.Deployment).Unmarshal(wire); err != nil {
			b.Fatal(err)
		}
	}
}
