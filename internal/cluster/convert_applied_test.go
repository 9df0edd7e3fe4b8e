// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"stability-exporter/internal/state"
)

// fieldsIn lists what is found, as container/probe/field.
func fieldsIn(found []state.DroppedField) string {
	var all []string
	for _, f := range found {
		all = append(all, f.Container.String()+"/"+f.ProbeType+"/"+f.Field.String())
	}
	return strings.Join(all, " ")
}

func TestUnknownProbeFields(t *testing.T) {
	in := func(containers string) string { return `{"spec": {"containers": [` + containers + `]}}` }
	for object, want := range map[string]string{
		"": "",
		in(`{"name": "web", "livenessProbe": {"httpGet": {"path": "/", "port": 1}, "periodSeconds": 1}}`):                                              "",
		in(`{"livenessProbe": {"periodSecond": 5, "httpGet": {"port": 1}}, "name": "web"}`):                                                            "web/Liveness/periodSecond",
		in(`{"name": "web", "readinessProbe": {"path": "/x", "httpGet": {"pth": "/"}}, "startupProbe": {"timeout": "1s"}}`):                            "web/Readiness/path web/Readiness/httpGet.pth web/Startup/timeout",
		in(`{"name": "a", "livenessProbe": {"Exec": {"command": ["a", "{\"x\": 1}"]}}}, {"name": "b", "livenessProbe": {"grpc": {"tls": true}}}`):      "a/Liveness/Exec b/Liveness/grpc.tls",
		`{"metadata": {"annotations": {"a": "livenessProbe\": {\"x\": 1"}}, "spec": {"initContainers": [{"name": "i", "startupProbe": {"x": null}}]}}`: "i/Startup/x",
		`{"spec": {"template": {"spec": {"containers": [{"livenessProbe": {"x": 1}}]}}}}`:                                                              "", // of another kind
		in(`{"name": "web", "env": [{"name": "livenessProbe", "value": "x"}], "livenessProbe": null}`):                                                 "",
		in(`{"name": "web", "livenessProbe": {"httpGet": {"httpHeaders": [{"name": "a", "vlue": "b"}]}}}`):                                             "",
		in(`{"name": "web", "livenessProbe": {"a b\u0000\n": 1}}`):                                                                                     `web/Liveness/a_b_u0000_n`,
		`[{"livenessProbe": {"x": 1}}]`:                     "",
		`{"spec": {"containers": [{"livenessProbe": {"x": `: "/Liveness/x",
		`{"spec": {"containers": [}], "livenessProbe": {`:   "",
		`{"spec": "livenessProbe"`:                          "",
	} {
		if got := fieldsIn(unknownProbeFields(object, inPod)); got != want {
			t.Errorf("%s\nhas %q; want %q", object, got, want)
		}
	}
	var many []string
	for i := range 100 {
		many = append(many, fmt.Sprintf(`"x%d": 1`, i))
	}
	if got := unknownProbeFields(in(`{"livenessProbe": {`+strings.Join(many, ",")+`}}`), inPod); len(got) != maxDropped {
		t.Errorf("%d fields were kept", len(got))
	}
}

// The API knows no field of a probe that we do not, and the other way round.
func TestProbeFieldsAreThoseOfTheAPI(t *testing.T) {
	var fields func(handler string, of reflect.Type) int
	fields = func(handler string, of reflect.Type) (n int) {
		for i := range of.NumField() {
			tag := of.Field(i).Tag.Get("json")
			key, _, _ := strings.Cut(tag, ",")
			if strings.Contains(tag, "inline") {
				n += fields(handler, of.Field(i).Type)
				continue
			}
			n++
			if !isProbeField(handler, key) {
				t.Errorf("%s.%s is not known", handler, key)
			}
			if inner := of.Field(i).Type; inner.Kind() == reflect.Pointer && inner.Elem().Kind() == reflect.Struct {
				n += fields(key, inner.Elem())
			}
		}
		return n
	}
	if got := fields("", reflect.TypeFor[corev1.Probe]()); got != 20 {
		t.Errorf("the API has %d fields; the ones that were added are to be known, the ones that are gone not", got)
	}
}

func TestDroppedFieldsOfObjects(t *testing.T) {
	probe := `{"containers": [{"name": "web", "livenessProbe": {"periodSecond": 5}}]}`
	for path, spec := range map[templatePath]string{
		inPod: probe, inTemplate: `{"template": {"spec": ` + probe + `}}`, inCronJob: `{"jobTemplate": {"spec": {"template": {"spec": ` + probe + `}}}}`,
	} {
		if got := fieldsIn(unknownProbeFields(`{"spec": `+spec+`}`, path)); got != "web/Liveness/periodSecond" {
			t.Errorf("%s: %q", path, got)
		}
	}
	plain := `{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"%s}, "spec": {"template": {"spec": ` + probe + `}}}`
	dropped := func(metadata string) string {
		r := readText(t, ManifestOptions{}, fmt.Sprintf(plain, metadata))
		return fieldsIn(r.list(state.Deployments)[0].(*state.Workload).Template.Dropped)
	}
	if got := dropped(""); got != "web/Liveness/periodSecond" {
		t.Errorf("of a plain manifest %q were found", got)
	}
	if got := dropped(`, "uid": "u"`); got != "" {
		t.Errorf("a server said %q, which it must know", got)
	}
	applied, err := json.Marshal(fmt.Sprintf(plain, ""))
	if err != nil {
		t.Fatal(err)
	}
	if got := dropped(`, "uid": "u", "annotations": {"kubectl.kubernetes.io/last-applied-configuration": ` + string(applied) + `}`); got != "web/Liveness/periodSecond" {
		t.Errorf("of what was applied %q were found", got)
	}
	if got := dropped(`, "annotations": {"kubectl.kubernetes.io/last-applied-configuration": ` + string(applied) + `}`); got != "web/Liveness/periodSecond" {
		t.Errorf("%q were found in what was applied and in the manifest", got)
	}
}

// decodedFields finds in a decoded object what unknownProbeFields finds in its text, as container/probe/field.
func decodedFields(object any) string {
	member := func(of any, key string) any {
		m, _ := of.(map[string]any)
		return m[key]
	}
	var found []string
	for _, list := range []string{"containers", "initContainers"} {
		containers, _ := member(member(object, "spec"), list).([]any)
		for _, c := range containers {
			of, _ := member(c, "name").(string)
			for i, key := range []string{"livenessProbe", "readinessProbe", "startupProbe"} {
				probe, _ := member(c, key).(map[string]any)
				for _, field := range slices.Sorted(maps.Keys(probe)) {
					inner, _ := probe[field].(map[string]any)
					if !isProbeField("", field) {
						found, inner = append(found, name(of).String()+"/"+state.ProbeTypes[i]+"/"+reason(field).String()), nil
					}
					for _, deeper := range slices.Sorted(maps.Keys(inner)) {
						if !isProbeField(field, deeper) {
							found = append(found, name(of).String()+"/"+state.ProbeTypes[i]+"/"+reason(field+"."+deeper).String())
						}
					}
				}
			}
		}
	}
	return strings.Join(found[:min(len(found), maxDropped)], " ")
}

// FuzzUnknownProbeFields: in every JSON the same is found as by decoding it, and nothing hangs on what is no JSON.
func FuzzUnknownProbeFields(f *testing.F) {
	f.Add(`{"spec": {"containers": [{"name": "a", "livenessProbe": {"x": [1, {"y": "]"}], "httpGet": {"z": -1e3}}}, 1, null]}}`)
	f.Add(`{"spec": {"containers": {"livenessProbe": {}}, "initContainers": [[{"startupProbe": {"x": 1}}]]}, "spec": true}`)
	f.Add(`{"spec":{"containers":[{"readinessProbe":{"":0},"name":"\"\\"}`)
	f.Add(exampleDeployment(f).Annotations[appliedAnnotation])
	f.Fuzz(func(t *testing.T, object string) {
		unknownProbeFields(object, inPod)
		var decoded any
		if json.Unmarshal([]byte(object), &decoded) != nil {
			return
		}
		var text bytes.Buffer // with sorted keys, each of them once, as kubectl writes it
		encoder := json.NewEncoder(&text)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(decoded); err != nil || strings.Contains(text.String(), `\`) {
			return
		}
		if got, want := fieldsIn(unknownProbeFields(text.String(), inPod)), decodedFields(decoded); got != want {
			t.Errorf("%s: found %q, want %q", &text, got, want)
		}
	})
}
