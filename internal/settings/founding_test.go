// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"stability-exporter/internal/state"
)

const heartbeat = "spring.kafka.consumer.heartbeat-interval"

// workload is a container as manifests write it, with the ConfigMaps that it may refer to.
type workload struct {
	env     []EnvVar
	command []string
	args    []string
	refs    []state.Reference
	maps    map[string]map[string]string
}

func (w workload) collect() []state.Setting {
	found, java := FromContainer(w.env, w.command, w.args)
	c := &state.ContainerSpec{Settings: found, Java: java, References: w.refs}
	var maps []*state.ConfigMap
	for name, data := range w.maps {
		maps = append(maps, &state.ConfigMap{Meta: state.Meta{Name: name}, Entries: FromConfigMap(data)})
	}
	return Collect(c, maps)
}

// intervalOf returns what is in effect for a row, or nil.
func intervalOf(all []state.Setting, key string) *Interval {
	for _, i := range Intervals(all) {
		if i.Row.Key == key {
			return &i
		}
	}
	return nil
}

func file(name, text string) workload {
	return workload{
		refs: []state.Reference{{Kind: state.FilesAll, ConfigMap: state.Sym("m")}},
		maps: map[string]map[string]string{"m": {name: text, "unrelated": "hello"}},
	}
}

func env(name, value string) workload { return workload{env: []EnvVar{{name, value}}} }

func reference(kind state.ReferenceKind, key, name string, data map[string]string) workload {
	return workload{
		refs: []state.Reference{{Kind: kind, ConfigMap: state.Sym("m"), Key: state.Sym(key), Name: state.Sym(name)}},
		maps: map[string]map[string]string{"m": data},
	}
}

// forms returns every way to set the heartbeat of Kafka consumers to a value.
func forms(value string) map[string]workload {
	canonical, legacy := "SPRING_KAFKA_CONSUMER_HEARTBEATINTERVAL", "SPRING_KAFKA_CONSUMER_HEARTBEAT_INTERVAL"
	flat := heartbeat + "=" + value
	nested := "spring:\n  kafka:\n    consumer:\n      group-id: shop\n      heartbeat-interval: " + value + "\n"
	json := fmt.Sprintf(`{"spring":{"kafka":{"consumer":{"heartbeat-interval":%q}}}}`, value)
	profile := workload{
		env:  []EnvVar{{"SPRING_PROFILES_ACTIVE", "prod"}},
		refs: []state.Reference{{Kind: state.FilesAll, ConfigMap: state.Sym("m")}},
		maps: map[string]map[string]string{"m": {"application.yml": "server:\n  port: 80\n", "application-prod.yml": nested}},
	}
	return map[string]workload{
		"environment, canonical":   env(canonical, value),
		"environment, legacy":      env(legacy, value),
		"environment, dots":        env(heartbeat, value),
		"environment, lower case":  env(strings.ToLower(canonical), value),
		"environment, reference":   {env: []EnvVar{{"HB", value}, {legacy, "$(HB)"}}},
		"key of a ConfigMap":       reference(state.EnvKey, "kafka.hb", legacy, map[string]string{"kafka.hb": value}),
		"key called like anything": reference(state.EnvKey, "x", canonical, map[string]string{"x": value}),
		"whole ConfigMap":          reference(state.EnvAll, "", "", map[string]string{legacy: value}),
		"whole ConfigMap, prefix":  reference(state.EnvAll, "", "SPRING_", map[string]string{"KAFKA_CONSUMER_HEARTBEAT_INTERVAL": value}),
		"application.yml":          file("application.yml", nested),
		"application.yaml":         file("application.yaml", nested),
		"bootstrap.yml":            file("bootstrap.yml", nested),
		"bootstrap.properties":     file("bootstrap.properties", "server.port=80\n"+flat+"\n"),
		"application.properties":   file("application.properties", "# Kafka\n"+flat),
		"properties, colon":        file("application.properties", heartbeat+" : "+value),
		"properties, continued":    file("application.properties", "spring.kafka.consumer.\\\n  heartbeat-interval="+value),
		"mounted under its name":   reference(state.FileKey, "config", "application.yml", map[string]string{"config": nested}),
		"mounted, properties":      reference(state.FileKey, "config", "application.properties", map[string]string{"config": flat + "\na=b"}),
		"flat YAML":                file("application.yml", heartbeat+": "+value),
		"half-flat YAML":           file("application.yml", "spring.kafka:\n  consumer:\n    heartbeatInterval: "+value),
		"quoted YAML":              file("application.yml", strings.Replace(nested, value, "\""+value+"\"", 1)),
		"single quoted YAML":       file("application.yml", strings.Replace(nested, value, "'"+value+"'", 1)),
		"second document":          file("application.yml", "server:\n  port: 80\n---\n"+nested),
		"second part":              file("application.properties", "a=b\n#---\n"+flat),
		"merged YAML":              file("application.yml", "base: &b\n  heartbeat-interval: "+value+"\nspring:\n  kafka:\n    consumer:\n      <<: *b\n"),
		"camel case":               file("application.properties", "spring.kafka.consumer.heartbeatInterval="+value),
		"underscore":               file("application.properties", "spring.kafka.consumer.heartbeat_interval="+value),
		"active profile":           profile,
		"only a profile":           file("application-prod.yml", nested),
		"only a profile document":  file("application.yml", "a: b\n---\nspring.config.activate.on-profile: prod\n"+nested[:len(nested)-1]),
		"Kubernetes document":      file("application.yml", "a: b\n---\nspring.config.activate.on-cloud-platform: kubernetes\n"+nested),
		"argument":                 {args: []string{"--" + flat}},
		"argument of java":         {command: []string{"java", "-jar", "app.jar"}, args: []string{"--" + flat}},
		"argument in a shell":      {command: []string{"sh", "-c", "exec java $JAVA_OPTS -jar /app.jar --" + flat}},
		"system property":          {command: []string{"java", "-D" + flat, "-jar", "app.jar"}},
		"system property, shell":   {command: []string{"/bin/bash", "-ec"}, args: []string{"cd /app && java '-D" + flat + "' -cp /app/* com.example.Main"}},
		"JAVA_TOOL_OPTIONS":        env("JAVA_TOOL_OPTIONS", "-Xmx1g -D"+flat),
		"JDK_JAVA_OPTIONS":         env("JDK_JAVA_OPTIONS", "\"-D"+flat+"\""),
		"JAVA_OPTS":                env("JAVA_OPTS", "-server -D"+flat),
		"JVM options by reference": reference(state.EnvKey, "opts", "JAVA_OPTS", map[string]string{"opts": "-D" + flat}),
		"JSON":                     env("SPRING_APPLICATION_JSON", json),
		"JSON, flat":               env("SPRING_APPLICATION_JSON", fmt.Sprintf(`{%q: %q}`, heartbeat, value)),
		"JSON by reference":        reference(state.EnvKey, "json", "SPRING_APPLICATION_JSON", map[string]string{"json": json}),
		"JSON argument":            {args: []string{"--spring.application.json=" + json}},
		"JSON system property":     {command: []string{"java", "-Dspring.application.json=" + json, "-jar", "a.jar"}},
	}
}

// nativeForms are the ways to hand a number of milliseconds through to Kafka itself.
func nativeForms(value string) map[string]workload {
	return map[string]workload{
		"map, brackets":    file("application.properties", "spring.kafka.consumer.properties[heartbeat.interval.ms]="+value),
		"map, dots":        file("application.properties", "spring.kafka.consumer.properties.heartbeat.interval.ms="+value),
		"map, YAML":        file("application.yml", "spring:\n  kafka:\n    consumer:\n      properties:\n        heartbeat.interval.ms: "+value),
		"map, YAML nested": file("application.yml", "spring:\n  kafka:\n    consumer:\n      properties:\n        heartbeat:\n          interval:\n            ms: "+value),
		"map, YAML quoted": file("application.yml", "spring.kafka.consumer.properties:\n  \"[heartbeat.interval.ms]\": "+value),
		"map, environment": env("SPRING_KAFKA_CONSUMER_PROPERTIES_HEARTBEAT_INTERVAL_MS", value),
		"map of all":       file("application.yml", "spring.kafka.properties:\n  heartbeat.interval.ms: "+value),
	}
}

// The case that founded this: seven seconds, written without a unit, where a number without a unit counts milliseconds.
func TestSevenIsFoundInEveryForm(t *testing.T) {
	for _, all := range []map[string]workload{forms("7"), nativeForms("7")} {
		for name, w := range all {
			t.Run(name, func(t *testing.T) {
				i := intervalOf(w.collect(), heartbeat)
				switch {
				case i == nil:
					t.Fatalf("not found in %v", w.collect())
				case !i.Slip, i.Effective != 7*time.Millisecond, i.Likely != 7*time.Second:
					t.Errorf("slip %v, effective %v, likely %v; want a slip of 7ms for 7s", i.Slip, i.Effective, i.Likely)
				}
			})
		}
	}
}

func TestSevenSecondsAreFineInEveryForm(t *testing.T) {
	for _, value := range []string{"7s", "7S", "PT7S", "pt7s", "7000", "7000ms", "3000", "+3000"} {
		for name, w := range forms(value) {
			if i := intervalOf(w.collect(), heartbeat); i == nil || i.Slip || i.Likely != 0 || i.Effective < time.Second {
				t.Errorf("%s, %s: %+v, want it known and no slip", name, value, i)
			}
		}
	}
	for name, w := range nativeForms("7000") {
		if i := intervalOf(w.collect(), heartbeat); i == nil || i.Slip || i.Effective != 7*time.Second {
			t.Errorf("%s: %+v, want 7s and no slip", name, i)
		}
	}
}

// What cannot be known is neither zero nor what stands below it, and what the program refuses is seen without us.
func TestWhatIsUnknownIsSilent(t *testing.T) {
	for _, value := range []string{"${HEARTBEAT:7}", "$(NOWHERE)", "seven", "-", "7x", "PT", "P", "1.5s", "-7"} {
		for name, w := range forms(value) {
			if strings.Contains(name, "YAML") || name == "environment, reference" {
				continue
			}
			if i := intervalOf(w.collect(), heartbeat); i != nil {
				t.Errorf("%s, %s: %+v, want nothing", name, value, i)
			}
		}
	}
	for name, w := range nativeForms("7s") {
		if i := intervalOf(w.collect(), heartbeat); i != nil {
			t.Errorf("%s: %+v, want nothing: Kafka takes whole numbers only", name, i)
		}
	}
	w := file("application.yml", heartbeat+": 7")
	w.env = []EnvVar{{"SPRING_KAFKA_CONSUMER_HEARTBEATINTERVAL", "${FROM_ELSEWHERE}"}}
	if i := intervalOf(w.collect(), heartbeat); i != nil {
		t.Errorf("%+v, want nothing: the environment beats the file", i)
	}
}
