// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"fmt"
	"testing"

	"stability-exporter/internal/state"
)

// BenchmarkFromContainer is what a container with 40 variables costs when its workload changes.
func BenchmarkFromContainer(b *testing.B) {
	variables := []EnvVar{{legacy, "7"}, {"JAVA_OPTS", "-Xmx512m -XX:+UseG1GC -Dspring.profiles.active=prod"}}
	for i := range 38 {
		variables = append(variables, EnvVar{fmt.Sprintf("SPRING_SETTING_%d", i), "some value"})
	}
	command := []string{"sh", "-c", "exec java $JAVA_OPTS -jar /app/app.jar --server.port=8080"}
	b.ReportAllocs()
	for b.Loop() {
		FromContainer(variables, command, nil)
	}
}

// BenchmarkEffective is what the checks cost of a container whose workload changed: its settings and those of a ConfigMap.
func BenchmarkEffective(b *testing.B) {
	w := mount(map[string]string{"application.yml": heartbeat + ": 7\nspring.rabbitmq.requested-heartbeat: 60", "application-prod.yml": heartbeat + ": 7s"})
	found, _ := FromContainer([]EnvVar{{"SPRING_PROFILES_ACTIVE", "prod"}, {"JAVA_TOOL_OPTIONS", "-Xmx512m"}}, nil, nil)
	c := &state.ContainerSpec{Settings: found, References: w.refs}
	maps := []*state.ConfigMap{{Meta: state.Meta{Name: "m"}, Entries: FromConfigMap(w.maps["m"])}}
	limit := state.Quantity{Set: true, Milli: 1000 << 30}
	b.ReportAllocs()
	for b.Loop() {
		all := Collect(c, maps)
		Intervals(all)
		Heap(all, limit)
	}
}

// BenchmarkFromConfigMap is what an application.yml of 2,000 lines costs when it changes.
func BenchmarkFromConfigMap(b *testing.B) {
	text := "spring:\n  kafka:\n    consumer:\n      heartbeat-interval: 7\nrest:\n"
	for i := range 2000 {
		text += fmt.Sprintf("  key-%d: value %d\n", i, i)
	}
	data := map[string]string{"application.yml": text}
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		FromConfigMap(data)
	}
}
