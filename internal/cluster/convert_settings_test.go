// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"fmt"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"stability-exporter/internal/state"
)

// shownReferences spells references as kind configmap/key=name.
func shownReferences(all []state.Reference) string {
	var shown []string
	for _, r := range all {
		kind := [...]string{"env", "envFrom", "file", "files"}[r.Kind]
		shown = append(shown, fmt.Sprintf("%s %s/%s=%s", kind, r.ConfigMap.String(), r.Key.String(), r.Name.String()))
	}
	return strings.Join(shown, ", ")
}

func TestConvertReferences(t *testing.T) {
	const volumes = `"volumes": [
	 {"name": "all", "configMap": {"name": "shop"}},
	 {"name": "some", "configMap": {"name": "shop", "items": [{"key": "prod.yml", "path": "conf/application.yml"}, {"key": "b", "path": "b"}]}},
	 {"name": "both", "projected": {"sources": [{"configMap": {"name": "one"}}, {"secret": {"name": "s"}}, {"configMap": {"name": "two", "items": [{"key": "k", "path": "f"}]}}]}},
	 {"name": "secret", "secret": {"secretName": "s"}}, {"name": "empty", "emptyDir": {}}]`
	for container, want := range map[string]string{
		`"name": "none"`: "",
		`"env": [{"name": "A", "value": "7"}, {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "shop", "key": "b"}}},
		  {"name": "C", "valueFrom": {"secretKeyRef": {"name": "s", "key": "c"}}}, {"name": "D", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
		  "envFrom": [{"prefix": "P_", "configMapRef": {"name": "shop"}}, {"secretRef": {"name": "s"}}]`: "envFrom shop/=P_, env shop/b=B",
		`"volumeMounts": [{"name": "all", "mountPath": "/config"}]`:                                                                            "files shop/=",
		`"volumeMounts": [{"name": "all", "mountPath": "/config", "subPath": "."}]`:                                                            "files shop/=",
		`"volumeMounts": [{"name": "all", "mountPath": "/app/application.yml", "subPath": "prod.yml"}]`:                                        "file shop/prod.yml=application.yml",
		`"volumeMounts": [{"name": "all", "mountPath": "/x", "subPathExpr": "$(A)"}]`:                                                          "",
		`"volumeMounts": [{"name": "all", "mountPath": "/x/y", "subPathExpr": "z"}]`:                                                           "file shop/z=y",
		`"volumeMounts": [{"name": "some", "mountPath": "/config"}]`:                                                                           "file shop/prod.yml=application.yml, file shop/b=b",
		`"volumeMounts": [{"name": "some", "mountPath": "/config", "subPath": "conf/"}]`:                                                       "file shop/prod.yml=application.yml",
		`"volumeMounts": [{"name": "some", "mountPath": "/x/y.yml", "subPath": "conf/application.yml"}]`:                                       "file shop/prod.yml=y.yml",
		`"volumeMounts": [{"name": "some", "mountPath": "/x", "subPath": "absent"}]`:                                                           "",
		`"volumeMounts": [{"name": "both", "mountPath": "/x"}]`:                                                                                "files one/=, file two/k=f",
		`"volumeMounts": [{"name": "secret", "mountPath": "/s"}, {"name": "empty", "mountPath": "/e"}, {"name": "absent", "mountPath": "/a"}]`: "",
	} {
		got := templateOf(t, `{"containers": [{`+container+`}], `+volumes+`}`).Containers[0]
		if shown := shownReferences(got.References); shown != want {
			t.Errorf("%s\nrefers to %q; want %q", container, shown, want)
		}
	}
}

// A number of settings or references that is absurd costs neither time nor memory.
func TestReferencesAreBounded(t *testing.T) {
	d := &appsv1.Deployment{}
	pod := &d.Spec.Template.Spec
	for i := range 3000 {
		id := fmt.Sprint(i)
		pod.Volumes = append(pod.Volumes, corev1.Volume{Name: "v" + id, VolumeSource: corev1.VolumeSource{
			ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: id}, Items: make([]corev1.KeyToPath, 3000)}}})
	}
	container := corev1.Container{}
	for i := range 3000 {
		container.VolumeMounts = append(container.VolumeMounts, corev1.VolumeMount{Name: "v" + fmt.Sprint(i)})
	}
	pod.Containers = append(pod.Containers, container)
	if got := len(convertDeployment(d, convertOptions{}).Template.Containers[0].References); got != maxReferences {
		t.Errorf("%d references were kept", got)
	}
}

// The case that founded all of this: a heartbeat of 7 s that became 7 ms, wherever it was written.
func TestSettingsAreKept(t *testing.T) {
	const key = "spring.kafka.consumer.heartbeat-interval"
	kept := func(all []state.Setting) string {
		for _, s := range all {
			if strings.Contains(strings.ToLower(strings.NewReplacer("-", "", "_", "", ".", "").Replace(s.Key.String())), "kafkaconsumerheartbeatinterval") {
				return s.Value
			}
		}
		return ""
	}
	for _, container := range []string{
		`"env": [{"name": "OTHER", "value": "x"}, {"name": "SPRING_KAFKA_CONSUMER_HEARTBEATINTERVAL", "value": "7"}]`,
		`"command": ["java", "-jar", "app.jar"], "args": ["--` + key + `=7"]`,
		`"env": [{"name": "JAVA_TOOL_OPTIONS", "value": "-Xmx1g -D` + key + `=7"}]`,
	} {
		if got := kept(containerOf(t, `{`+container+`}`).Settings); got != "7" {
			t.Errorf("%s: the value is %q", container, got)
		}
	}
	if c := containerOf(t, `{"command": ["java", "-jar", "app.jar"]}`); !c.Java {
		t.Error("it starts a JVM")
	}
	r := readText(t, ManifestOptions{}, "kind: ConfigMap\napiVersion: v1\nmetadata: {name: shop}\ndata:\n  application.yml: |\n"+
		"    spring.kafka.consumer:\n      heartbeat-interval: 7\n  notes.txt: nothing\nbinaryData:\n  application.properties: "+
		"c3ByaW5nLmthZmthLmNvbnN1bWVyLmhlYXJ0YmVhdC1pbnRlcnZhbD04\n")
	wantLines(t, "errors", r.errors, nil)
	m := r.list(state.ConfigMaps)[0].(*state.ConfigMap)
	if len(m.Entries) != 1 || m.Entries[0].Key.String() != "application.yml" || kept(m.Entries[0].Settings) != "7" {
		t.Errorf("the ConfigMap became %+v", m.Entries)
	}
}
