// SPDX-License-Identifier: Apache-2.0

package deploy_test

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"stability-exporter/collectors"
	"stability-exporter/exporter"
	"stability-exporter/internal/cluster"
	"stability-exporter/internal/state"
)

var update = flag.Bool("update", false, "write the generated manifests instead of comparing them")

// The permissions are those that the watchers of the default collectors need, and no others.
func TestGoldenClusterRole(t *testing.T) {
	specs, err := collectors.All(collectors.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var reads state.Kinds
	for _, spec := range specs {
		if spec.Default {
			reads |= spec.Reads
		}
	}
	golden(t, "kubernetes/clusterrole.yaml", "# Generated from what the default collectors read. Do not edit.\n"+
		string(cluster.ClusterRoleYAML(reads)))
}

// What is read on request only is granted by files of its own, which nobody applies along with the rest.
func TestGoldenOptionalRoles(t *testing.T) {
	golden(t, "optional-events.yaml", `# Generated. Do not edit. Apply it to let the exporter read Events, and set in its configuration:
#   checks:
#     events: true
`+string(cluster.OptionalYAML(state.Events, "")))
	golden(t, "optional-configmaps.yaml", `# Generated for the namespace shop. Do not edit: copy it for each namespace whose ConfigMaps the exporter may read, and set in
# its configuration:
#   checks:
#     configmap_namespaces: [shop]
`+string(cluster.OptionalYAML(state.ConfigMaps, "shop")))
	if role := read(t, "kubernetes/clusterrole.yaml"); strings.Contains(role, "configmaps") || strings.Contains(role, "events") {
		t.Error("the ClusterRole grants what is read on request only")
	}
}

// The variant with a volume is the default one but for the volume.
func TestGoldenPersistentVariant(t *testing.T) {
	text := read(t, "kubernetes/statefulset.yaml")
	for from, to := range map[string]string{
		`      - name: state
        emptyDir:
          sizeLimit: 64Mi
`: `  volumeClaimTemplates:
  - metadata:
      name: state
    spec:
      accessModes: [ReadWriteOnce]
      resources:
        requests:
          storage: 64Mi
`,
		`      # The state outlives the container but not the pod: a new pod counts restarts from 0 and judges every workload as
      # if it had just begun to watch, which is safe. statefulset-persistent.yaml keeps the state in a volume of its own.
`: "",
	} {
		changed := strings.Replace(text, from, to, 1)
		if changed == text {
			t.Fatalf("kubernetes/statefulset.yaml does not contain:\n%s", from)
		}
		text = changed
	}
	golden(t, "statefulset-persistent.yaml", "# Generated: kubernetes/statefulset.yaml with a volume that follows the pod. "+
		"Apply it instead of that one. Do not edit.\n"+text)
}

func golden(t *testing.T, name, want string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, read(t, name)); diff != "" {
		t.Errorf("deploy/%s is not what it is generated from; run 'go test ./deploy -run Golden -update':\n%s", name, diff)
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// object is a manifest, as far as the tests here look into it. Whether an API server takes it is tried in test/deploy.
type object struct {
	Kind     string
	Metadata struct{ Name, Namespace string }
	Data     map[string]string
	Spec     struct {
		Replicas    int
		ServiceName string `yaml:"serviceName"`
		Ports       []struct {
			Name string
			Port int
		}
		Selector map[string]any
		Template struct {
			Metadata struct{ Labels, Annotations map[string]string }
			Spec     podSpec
		}
	}
}

type podSpec struct {
	SecurityContext map[string]any `yaml:"securityContext"`
	Containers      []struct {
		Image string
		Args  []string
		Ports []struct {
			Name          string
			ContainerPort int `yaml:"containerPort"`
		}
		SecurityContext map[string]any `yaml:"securityContext"`
		Resources       struct{ Requests, Limits map[string]string }
		StartupProbe    probe `yaml:"startupProbe"`
		LivenessProbe   probe `yaml:"livenessProbe"`
		ReadinessProbe  probe `yaml:"readinessProbe"`
	}
}

type probe struct {
	HTTPGet struct{ Path, Port string } `yaml:"httpGet"`
}

func manifests(t *testing.T) map[string]object {
	t.Helper()
	names, err := filepath.Glob("kubernetes/*.yaml")
	if err != nil || len(names) == 0 {
		t.Fatalf("no manifests: %v", err)
	}
	objects := map[string]object{}
	for _, name := range names {
		decoder := yaml.NewDecoder(strings.NewReader(read(t, name)))
		var o, second object
		if err := decoder.Decode(&o); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := decoder.Decode(&second); !errors.Is(err, io.EOF) {
			t.Errorf("%s holds more than one object", name)
		}
		if want := strings.ToLower(o.Kind) + ".yaml"; strings.TrimPrefix(filepath.Base(name), "00-") != want {
			t.Errorf("%s holds a %s", name, o.Kind)
		}
		if o.Metadata.Name != "stability-exporter" {
			t.Errorf("%s is about %q", name, o.Metadata.Name)
		}
		objects[o.Kind] = o
	}
	return objects
}

func TestCommandLineAndConfigurationAreValid(t *testing.T) {
	all := manifests(t)
	config := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(config, []byte(all["ConfigMap"].Data["config.yaml"]), 0o644); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	if code := exporter.Main([]string{"config", "check", config}, nil, &said, &said); code != 0 {
		t.Errorf("the configuration is refused: %s", &said)
	}
	flags := read(t, "../docs/flags.md")
	for _, arg := range all["StatefulSet"].Spec.Template.Spec.Containers[0].Args[1:] {
		name, _, _ := strings.Cut(arg, "=")
		if !strings.Contains(flags, "`"+name+"=") {
			t.Errorf("there is no flag %s", name)
		}
	}
}

func TestStatefulSetIsRestricted(t *testing.T) {
	set := manifests(t)["StatefulSet"].Spec
	pod := set.Template.Spec
	container := pod.Containers[0]
	checks := map[string]bool{
		"one replica":              set.Replicas == 1,
		"runs as somebody":         pod.SecurityContext["runAsNonRoot"] == true && pod.SecurityContext["runAsUser"] != 0,
		"seccomp":                  cmp.Equal(pod.SecurityContext["seccompProfile"], map[string]any{"type": "RuntimeDefault"}),
		"no escalation":            container.SecurityContext["allowPrivilegeEscalation"] == false,
		"read-only root":           container.SecurityContext["readOnlyRootFilesystem"] == true,
		"no capabilities":          cmp.Equal(container.SecurityContext["capabilities"], map[string]any{"drop": []any{"ALL"}}),
		"memory as it is promised": container.Resources.Requests["memory"] == "128Mi" && container.Resources.Limits["memory"] == "128Mi",
		"version":                  regexp.MustCompile(`:\d+\.\d+\.\d+$`).MatchString(container.Image),
	}
	for what, holds := range checks {
		if !holds {
			t.Errorf("does not hold: %s", what)
		}
	}
	user := regexp.MustCompile(`(?m)^USER (\d+):`).FindStringSubmatch(read(t, "../Dockerfile"))
	if user == nil || pod.SecurityContext["runAsUser"] == nil || user[1] != yamlText(t, pod.SecurityContext["runAsUser"]) {
		t.Errorf("the image is made for the user %q, the pod runs as %v", user, pod.SecurityContext["runAsUser"])
	}
}

func yamlText(t *testing.T, value any) string {
	t.Helper()
	text, err := yaml.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

// Service, pod and scrape configuration find each other.
func TestPartsFitTogether(t *testing.T) {
	all := manifests(t)
	set, service := all["StatefulSet"].Spec, all["Service"].Spec
	container := set.Template.Spec.Containers[0]
	port := container.Ports[0]
	if set.ServiceName != all["Service"].Metadata.Name || service.Ports[0].Name != port.Name || service.Ports[0].Port != port.ContainerPort {
		t.Errorf("the Service %+v does not fit the container's port %+v", service.Ports, port)
	}
	for key, value := range service.Selector {
		if set.Template.Metadata.Labels[key] != value {
			t.Errorf("the Service selects %s=%v, the pods have %v", key, value, set.Template.Metadata.Labels)
		}
	}
	if set.Template.Metadata.Annotations["prometheus.io/port"] != yamlText(t, port.ContainerPort) {
		t.Errorf("the annotations name another port: %v", set.Template.Metadata.Annotations)
	}
	for _, p := range []struct {
		probe probe
		path  string
	}{{container.StartupProbe, "/healthz"}, {container.LivenessProbe, "/healthz"}, {container.ReadinessProbe, "/readyz"}} {
		if p.probe.HTTPGet.Path != p.path || p.probe.HTTPGet.Port != port.Name {
			t.Errorf("a probe asks %+v, want %s", p.probe, p.path)
		}
	}
	checkScrape(t, port.Name, all["StatefulSet"].Metadata.Namespace)
}

func checkScrape(t *testing.T, port, namespace string) {
	t.Helper()
	var scrape struct {
		Configs []struct {
			HonorLabels bool `yaml:"honor_labels"`
			Discovery   []struct {
				Role       string
				Namespaces struct{ Names []string }
			} `yaml:"kubernetes_sd_configs"`
			Relabel []struct {
				Source        []string `yaml:"source_labels"`
				Regex, Action string
				Target        string `yaml:"target_label"`
			} `yaml:"relabel_configs"`
		} `yaml:"scrape_configs"`
	}
	if err := yaml.Unmarshal([]byte(read(t, "prometheus-scrape.yaml")), &scrape); err != nil {
		t.Fatal(err)
	}
	config := scrape.Configs[0]
	keep, instance := config.Relabel[0], config.Relabel[1]
	if !config.HonorLabels || keep.Action != "keep" || keep.Regex != "stability-exporter;"+port ||
		!slices.Equal(config.Discovery[0].Namespaces.Names, []string{namespace}) {
		t.Errorf("the exporter would not be found: %+v", config)
	}
	if instance.Target != "instance" || !slices.Equal(instance.Source, []string{"__meta_kubernetes_pod_name"}) {
		t.Errorf("the instance would change with the pod's address: %+v", instance)
	}
}
