// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"stability-exporter/internal/state"
)

const (
	canonical = "SPRING_KAFKA_CONSUMER_HEARTBEATINTERVAL"
	legacy    = "SPRING_KAFKA_CONSUMER_HEARTBEAT_INTERVAL"
)

func mount(files map[string]string) workload {
	return workload{refs: []state.Reference{{Kind: state.FilesAll, ConfigMap: state.Sym("m")}}, maps: map[string]map[string]string{"m": files}}
}

func (w workload) with(variables ...EnvVar) workload {
	w.env = append(w.env, variables...)
	return w
}

// Of two places the one that Spring Boot prefers is in effect: the one with five seconds.
func TestPrecedence(t *testing.T) {
	set := func(value string) string { return heartbeat + "=" + value }
	yaml := func(value string) string { return heartbeat + ": " + value }
	low := mount(map[string]string{"application.yml": yaml("7")})
	args := func(w workload, args ...string) workload {
		w.args = args
		return w
	}
	cases := map[string]workload{
		"environment before file":              low.with(EnvVar{canonical, "5000"}),
		"system property before environment":   low.with(EnvVar{canonical, "7"}, EnvVar{"JAVA_TOOL_OPTIONS", "-D" + set("5000")}),
		"JSON before system property":          low.with(EnvVar{"JAVA_TOOL_OPTIONS", "-D" + set("7")}, EnvVar{"SPRING_APPLICATION_JSON", `{"` + heartbeat + `":5000}`}),
		"argument before JSON":                 args(env("SPRING_APPLICATION_JSON", `{"`+heartbeat+`":7}`), "--"+set("5000")),
		"the last argument":                    args(workload{}, "--"+set("7"), "--"+set("5000")),
		"command line before variable":         {env: []EnvVar{{"JDK_JAVA_OPTIONS", "-D" + set("7")}}, command: []string{"java", "-D" + set("5000"), "-jar", "a.jar"}},
		"_JAVA_OPTIONS before command line":    {env: []EnvVar{{"_JAVA_OPTIONS", "-D" + set("5000")}}, command: []string{"java", "-D" + set("7"), "-jar", "a.jar"}},
		"JDK_JAVA_OPTIONS before tool options": env("JDK_JAVA_OPTIONS", "-D"+set("5000")).with(EnvVar{"JAVA_TOOL_OPTIONS", "-D" + set("7")}),
		"application before bootstrap":         mount(map[string]string{"application.yml": yaml("5000"), "bootstrap.yml": yaml("7"), "bootstrap.properties": set("7")}),
		"properties before YAML":               mount(map[string]string{"application.yml": yaml("7"), "application.properties": set("5000")}),
		"later document":                       mount(map[string]string{"application.yml": yaml("7") + "\n---\n" + yaml("5000")}),
		"later line":                           mount(map[string]string{"application.properties": set("7") + "\n" + set("5000")}),
		"active profile":                       mount(map[string]string{"application-prod.yml": yaml("5000"), "application.properties": set("7")}).with(EnvVar{"SPRING_PROFILES_ACTIVE", "prod"}),
		"last active profile":                  mount(map[string]string{"application-b.yml": yaml("5000"), "application-c.yml": yaml("7")}).with(EnvVar{"SPRING_PROFILES_ACTIVE", "c,b"}),
		"literal before whole ConfigMap": {env: []EnvVar{{legacy, "5000"}}, refs: []state.Reference{{Kind: state.EnvAll, ConfigMap: state.Sym("m")}},
			maps: map[string]map[string]string{"m": {legacy: "7"}}},
		"one key before whole ConfigMap": {refs: []state.Reference{{Kind: state.EnvKey, ConfigMap: state.Sym("m"), Key: state.Sym("x"), Name: state.Sym(legacy)},
			{Kind: state.EnvAll, ConfigMap: state.Sym("m")}}, maps: map[string]map[string]string{"m": {legacy: "7", "x": "5000"}}},
		"last ConfigMap": {refs: []state.Reference{{Kind: state.EnvAll, ConfigMap: state.Sym("m")}, {Kind: state.EnvAll, ConfigMap: state.Sym("n")}},
			maps: map[string]map[string]string{"m": {legacy: "7"}, "n": {legacy: "5000"}}},
		"map before property": mount(map[string]string{"application.properties": "spring.kafka.consumer.properties.heartbeat.interval.ms=5000\n" + set("7")}),
		"property before common map": mount(map[string]string{"application.yml": yaml("5000")}).with(
			EnvVar{"SPRING_KAFKA_PROPERTIES_HEARTBEAT_INTERVAL_MS", "7"}),
	}
	for name, w := range cases {
		t.Run(name, func(t *testing.T) {
			if i := intervalOf(w.collect(), heartbeat); i == nil || i.Effective != 5*time.Second {
				t.Errorf("%+v of %v, want 5s", i, w.collect())
			}
		})
	}
}

// Where the value is not known, or stands where nothing reads it, nothing is said.
func TestSilence(t *testing.T) {
	seven := "\nspring.kafka.consumer.heartbeat-interval: 7\n"
	for name, w := range map[string]workload{
		"profile that is not active":        mount(map[string]string{"application-dev.yml": seven}).with(EnvVar{"SPRING_PROFILES_ACTIVE", "prod"}),
		"document of another profile":       mount(map[string]string{"application.yml": "a: b\n---\nspring.config.activate.on-profile: dev | test" + seven}).with(EnvVar{"SPRING_PROFILES_ACTIVE", "prod"}),
		"document of another profile, old":  mount(map[string]string{"application.yml": "a: b\n---\nspring:\n  profiles: dev" + seven}).with(EnvVar{"SPRING_PROFILES_ACTIVE", "prod"}),
		"active profile in the file":        mount(map[string]string{"application.yml": "spring.profiles.active: prod", "application-dev.yml": seven}),
		"document of another platform":      mount(map[string]string{"application.yml": "a: b\n---\nspring.config.activate.on-cloud-platform: heroku" + seven}),
		"file of something else":            mount(map[string]string{"values.yaml": seven}),
		"file that is a near miss":          mount(map[string]string{"applications.yml": seven}),
		"comment":                           mount(map[string]string{"application.yml": "a: b\n#" + seven[1:]}),
		"comment in properties":             mount(map[string]string{"application.properties": "!spring.kafka.consumer.heartbeat-interval=7"}),
		"prefix of somebody else":           mount(map[string]string{"application.yml": "acme.spring.kafka.consumer.heartbeat-interval: 7"}),
		"suffix":                            mount(map[string]string{"application.yml": "acme:\n  heartbeat-interval: 30\n  heartbeat.interval.ms: 7"}),
		"longer":                            mount(map[string]string{"application.yml": "spring.kafka.consumer.heartbeat-interval-x: 7"}),
		"variable with a prefix":            env("MY_"+legacy, "7"),
		"longer variable":                   env(legacy+"_SECONDS", "7"),
		"variable without dots":             env("SPRINGKAFKACONSUMERHEARTBEATINTERVAL", "7"),
		"variable's name in a file":         mount(map[string]string{"application.properties": legacy + "=7"}),
		"whole ConfigMap, another prefix":   reference(state.EnvAll, "", "X_", map[string]string{legacy: "7"}),
		"key that the ConfigMap lacks":      reference(state.EnvKey, "nowhere", legacy, map[string]string{"x": "7"}),
		"argument of the JVM behind -jar":   {command: []string{"java", "-jar", "a.jar", "-D" + heartbeat + "=7"}},
		"argument before -jar":              {command: []string{"java", "--" + heartbeat + "=7", "-jar", "a.jar"}},
		"argument without dashes":           {args: []string{heartbeat + "=7"}},
		"JAVA_OPTS that nothing reads":      {env: []EnvVar{{"JAVA_OPTS", "-D" + heartbeat + "=7"}}, command: []string{"java", "-jar", "a.jar"}},
		"key of a map that is not relaxed":  mount(map[string]string{"application.yml": "spring.kafka.consumer.properties.heartbeat-interval-ms: 7"}),
		"JSON under another name":           env("OTHER_JSON", `{"`+heartbeat+`": 7}`),
		"element of a list":                 mount(map[string]string{"application.yml": "- spring.kafka.consumer.heartbeat-interval: 7"}),
		"hidden by what is not observed":    mount(map[string]string{"application.yml": seven}).referring(state.EnvKey, "unseen", "k", legacy),
		"two profiles that differ":          mount(map[string]string{"application-dev.yml": seven, "application-prod.yml": heartbeat + ": 7s"}),
		"profile while the base is sane":    mount(map[string]string{"application-dev.yml": seven, "application.yml": heartbeat + ": 3s"}),
		"file named by the program, absent": mount(map[string]string{"order.yml": seven}).with(EnvVar{"SPRING_CONFIG_NAME", "orders"}),
	} {
		t.Run(name, func(t *testing.T) {
			for _, i := range Intervals(w.collect()) {
				if i.Slip {
					t.Errorf("%s is %s (of %q): want no slip", i.Row.Key, i.Effective, i.Setting.Value)
				}
			}
		})
	}
}

func (w workload) referring(kind state.ReferenceKind, configMap, key, name string) workload {
	w.refs = append(w.refs, state.Reference{Kind: kind, ConfigMap: state.Sym(configMap), Key: state.Sym(key), Name: state.Sym(name)})
	return w
}

func TestProfilesAreFollowed(t *testing.T) {
	seven := "spring.kafka.consumer.heartbeat-interval: 7"
	document := func(expression string) map[string]string {
		return map[string]string{"application.yml": "a: b\n---\nspring:\n  config:\n    activate:\n      on-profile: " + expression + "\n---\n" +
			"spring.config.activate.on-profile: " + expression + "\n" + seven}
	}
	active := func(names string) EnvVar { return EnvVar{"SPRING_PROFILES_ACTIVE", names} }
	for name, w := range map[string]workload{
		"one of two":           mount(document("dev | prod")).with(active("prod")),
		"list":                 mount(document("dev,prod")).with(active("eu, prod")),
		"both":                 mount(document("eu & prod")).with(active("eu,prod")),
		"not":                  mount(document(`"!test"`)).with(active("prod")),
		"parentheses":          mount(document(`"(eu | us) & !test"`)).with(active("us")),
		"old":                  mount(map[string]string{"application.yml": "a: b\n---\nspring.profiles: prod\n" + seven}).with(active("prod")),
		"list in the file":     mount(map[string]string{"application.yml": "spring.profiles.active:\n - eu\n - prod\n", "application-prod.yml": seven}),
		"by argument":          {args: []string{"--spring.profiles.active=prod"}, refs: mount(nil).refs, maps: map[string]map[string]string{"m": {"application-prod.yml": seven}}},
		"by system property":   mount(map[string]string{"application-prod.yml": seven}).with(EnvVar{"JAVA_OPTS", "-Dspring.profiles.active=prod"}),
		"included":             mount(map[string]string{"application.yml": "spring.profiles.include: kafka", "application-kafka.yml": seven}).with(active("prod")),
		"group":                mount(map[string]string{"application.yml": "spring.profiles.group.prod: kafka,eu", "application-kafka.yml": seven}).with(active("prod")),
		"group as a list":      mount(map[string]string{"application.yml": "spring.profiles.group:\n  prod:\n  - eu\n  - kafka", "application-kafka.yml": seven}).with(active("prod")),
		"by reference":         mount(map[string]string{"application-prod.yml": seven, "profile": "prod"}).referring(state.EnvKey, "m", "profile", "SPRING_PROFILES_ACTIVE"),
		"file of its own name": mount(map[string]string{"order.yml": seven}).with(EnvVar{"SPRING_CONFIG_NAME", "application,order"}),
		"file at its location": mount(map[string]string{"order.yml": seven}).with(EnvVar{"SPRING_CONFIG_ADDITIONAL_LOCATION", "optional:file:/etc/app/order.yml"}),
		"its profile":          mount(map[string]string{"order-prod.yml": seven}).with(EnvVar{"SPRING_CONFIG_NAME", "order"}, active("prod")),
		"imported":             mount(map[string]string{"kafka.properties": heartbeat + "=7"}).with(EnvVar{"SPRING_CONFIG_IMPORT", "file:/etc/kafka.properties"}),
	} {
		t.Run(name, func(t *testing.T) {
			if i := intervalOf(w.collect(), heartbeat); i == nil || !i.Slip {
				t.Errorf("not found in %v", w.collect())
			}
		})
	}
}

// What is not judged is dropped, and of what is judged nothing is kept that could be a password.
func TestNothingElseIsKept(t *testing.T) {
	const secret = "correct-horse-battery-staple"
	found, _ := FromContainer([]EnvVar{
		{"DB_PASSWORD", secret}, {"SPRING_DATASOURCE_PASSWORD", secret}, {"SPRING_KAFKA_CONSUMER_HEARTBEAT_INTERVAL", secret},
		{"SPRING_CONFIG_IMPORT", "optional:configserver:http://user:" + secret + "@config/application.yml"}, {"JAVA_OPTS", "-Dpassword=" + secret + " -Xmx$" + secret},
		{"SPRING_APPLICATION_JSON", `{"spring":{"datasource":{"password":"` + secret + `"}}}`}, {"SPRING_PROFILES_ACTIVE", secret + strings.Repeat("x", MaxValueBytes)},
	}, []string{"sh", "-c", "java -Dspring.datasource.password=" + secret + " -jar a.jar --token=" + secret}, nil)
	entries := FromConfigMap(map[string]string{
		"password": secret, "application.yml": "spring:\n  datasource:\n    password: " + secret, "init.sql": "spring\npassword " + secret, "json": `{"password":"` + secret + `"}`,
		"tls.key": "-----BEGIN PRIVATE KEY-----\n-D" + secret + "\n-----END PRIVATE KEY-----",
	})
	if kept := fmt.Sprint(found, entries); strings.Contains(kept, secret) {
		t.Errorf("kept: %s", kept)
	}
}

func TestLimits(t *testing.T) {
	long := strings.Repeat("7", MaxValueBytes+1)
	if all := env(legacy, long).collect(); len(all) != 1 || all[0].Value != Unknown {
		t.Errorf("%v, want one setting that is unknown", all)
	}
	if entries := FromConfigMap(map[string]string{"application.yml": heartbeat + ": 7\n" + strings.Repeat("#", MaxFileBytes)}); entries != nil {
		t.Errorf("%v, want nothing of a file that is too long", entries)
	}
	many := make([]EnvVar, 2*MaxSettings)
	for i := range many {
		many[i] = EnvVar{legacy, "7"}
	}
	if found, _ := FromContainer(many, nil, nil); len(found) != MaxSettings {
		t.Errorf("%d settings, want %d", len(found), MaxSettings)
	}
	bomb := "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c < 'k'; c++ {
		bomb += fmt.Sprintf("%c: &%c [*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c]\n", c, c, c-1, c-1, c-1, c-1, c-1, c-1, c-1, c-1)
	}
	nodes := 0
	for _, d := range parseYAML(bomb) {
		nodes += len(d)
	}
	if nodes > MaxNodes {
		t.Errorf("%d nodes of a document that unfolds, want at most %d", nodes, MaxNodes)
	}
}
