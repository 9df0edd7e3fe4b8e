// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"strings"
	"testing"

	"stability-exporter/internal/state"
)

// within fails if more is kept than may be, and evaluates what is kept.
func within(t *testing.T, found []state.Setting) {
	t.Helper()
	if len(found) > MaxSettings {
		t.Errorf("%d settings, at most %d", len(found), MaxSettings)
	}
	for _, s := range found {
		if len(s.Value) > MaxValueBytes || len(s.Key.String()) > MaxKeyBytes {
			t.Errorf("%d bytes of value for a key of %d bytes", len(s.Value), len(s.Key.String()))
		}
	}
	for _, i := range Intervals(found) {
		if i.Effective < 0 || i.Likely < 0 {
			t.Errorf("%+v: a negative time", i)
		}
	}
	Phantoms(found)
	if view := Heap(found, state.Quantity{Set: true, Milli: 1000 << 30}); view.Max < 0 || view.Direct < 0 || view.Initial < 0 {
		t.Errorf("%+v: a negative size", view)
	}
}

func fuzzFile(f *testing.F, name string, seeds ...string) {
	for _, seed := range seeds {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		entries := FromConfigMap(map[string]string{name: text})
		for _, e := range entries {
			within(t, e.Settings)
		}
		c := &state.ContainerSpec{References: []state.Reference{
			{Kind: state.FilesAll, ConfigMap: state.Sym("m")}, {Kind: state.EnvAll, ConfigMap: state.Sym("m"), Name: state.Sym("SPRING_")},
			{Kind: state.EnvKey, ConfigMap: state.Sym("m"), Key: state.Sym(name), Name: state.Sym("SPRING_APPLICATION_JSON")},
		}}
		within(t, Collect(c, []*state.ConfigMap{{Meta: state.Meta{Name: "m"}, Entries: entries}}))
	})
}

func FuzzYAML(f *testing.F) {
	fuzzFile(f, "application.yml", heartbeat+": 7", "spring:\n  kafka: {consumer: {heartbeat-interval: '7s'}}\n---\nspring.profiles: a&(b|!c)\nserver: &s {<<: *s}",
		"spring.profiles.group.a: [b, c]\nspring.profiles.active: a", "spring: [[[[*x]]]]", "\"spring[\": 1\n? {a: b}\n: spring")
}

func FuzzProperties(f *testing.F) {
	fuzzFile(f, "application.properties", heartbeat+"=7\n#---\nspring.config.activate.on-profile=!a", "spring.a\\\n  b\\u0037 : \\", "spring.kafka.consumer.properties[heartbeat.interval.ms]=7")
}

func FuzzJSON(f *testing.F) {
	fuzzFile(f, "json", `{"spring":{"kafka":{"consumer":{"heartbeat-interval":7,"x":[1,{"y":null}]}}}}`, `{"spring.profiles.active":"a,b"}`, `{"a":1e999}`, "{")
}

func FuzzScalar(f *testing.F) {
	fuzzFile(f, "KAFKA_CONSUMER_HEARTBEAT_INTERVAL", "7", "PT7S", "${X:7}", "-Xmx1g", "-P-DT.S", "9223372036854775807d")
}

func FuzzCommandLine(f *testing.F) {
	for _, seed := range []string{
		"sh\x00-c\x00exec java -Xmx${A} $OPTS '-D" + heartbeat + "=7' -jar a.jar --a=b", "java\x00-cp\x00x\x00@f\x00Main", "$(A)\x00$$(A)\x00--spring.application.json={}",
		"bash\x00-ec\x00A=\"$A$A\" B=$A$A java $A\\", "-jar\x00a.jar", "sh\x00-c\x00a#b # c\nd;&|${A",
	} {
		f.Add(seed, "-Xmx1g -Dspring.profiles.active=x")
	}
	f.Fuzz(func(t *testing.T, command, variable string) {
		env := []EnvVar{{"A", variable}, {"OPTS", "$(A) " + variable}, {"JAVA_TOOL_OPTIONS", variable}, {"SPRING_APPLICATION_JSON", variable}}
		found, _ := FromContainer(env, strings.Split(command, "\x00"), nil)
		within(t, found)
		within(t, Collect(&state.ContainerSpec{Settings: found}, nil))
	})
}

func FuzzJVMOptions(f *testing.F) {
	for _, seed := range []string{"-Xmx0x20000000 -Xms1t", "-Xmx9999999999999999999g", "-XX:MaxRAMPercentage=75% '-XX:MinRAMPercentage=.'", "-XX:MaxRAMFraction=0 -XX:MaxRAM=1", "-X -XX: -D= -D=x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, options string) {
		found, _ := FromContainer([]EnvVar{{"JAVA_TOOL_OPTIONS", options}, {"JAVA_OPTS", options}}, nil, nil)
		within(t, found)
	})
}
