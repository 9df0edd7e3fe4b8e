// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"strings"
	"testing"

	"stability-exporter/internal/settings"
	"stability-exporter/internal/state"
)

// written is a workload of one container with this environment ("NAME=value"), command and arguments.
func written(env []string, command []string, options ...func(*state.ContainerSpec)) *state.SetupView {
	c := aContainer("app", options...)
	var variables []settings.EnvVar
	for _, variable := range env {
		name, value, _ := strings.Cut(variable, "=")
		variables = append(variables, settings.EnvVar{Name: name, Value: value})
	}
	c.Settings, c.Java = settings.FromContainer(variables, command, nil)
	return aWorkload(withContainers(c))
}

func withEnv(env ...string) *state.SetupView { return written(env, nil) }

// mounting is a workload whose container mounts a ConfigMap with one file.
func mounting(file, text string) *state.SetupView {
	c := aContainer("app")
	c.References = []state.Reference{{Kind: state.FilesAll, ConfigMap: state.Sym("settings")}}
	return aWorkload(withContainers(c), withConfigMaps(aConfigMap("settings", settings.FromConfigMap(map[string]string{file: text})...)))
}

func intervalCases() caseTable {
	return caseTable{
		"env_unit_suspect": {
			{name: "the founding case", subject: withEnv("SPRING_KAFKA_CONSUMER_HEARTBEAT_INTERVAL=7"), want: Critical,
				detail: "^spring.kafka.consumer.heartbeat-interval is 7ms, likely meant 7s: every consumer thread"},
			{name: "from a ConfigMap", subject: mounting("application.yml", "spring.kafka.consumer.heartbeat-interval: 7"), want: Critical, detail: "7ms, likely meant 7s"},
			{name: "half a second is little", subject: withEnv("SPRING_KAFKA_CONSUMER_HEARTBEAT_INTERVAL=500"), want: Warning, detail: "500ms, the default is 3s"},
			{name: "seven milliseconds with their unit", subject: withEnv("SPRING_KAFKA_CONSUMER_HEARTBEAT_INTERVAL=7ms"), want: Critical, detail: "7ms, the default is 3s"},
			{name: "the unit is written", subject: withEnv("SPRING_KAFKA_CONSUMER_HEARTBEAT_INTERVAL=7s"), want: Fine},
			{name: "ISO 8601", subject: withEnv("SPRING_KAFKA_CONSUMER_HEARTBEAT_INTERVAL=PT7S"), want: Fine},
			{name: "in milliseconds", subject: withEnv("SPRING_KAFKA_CONSUMER_HEARTBEAT_INTERVAL=7000"), want: Fine},
			{name: "a placeholder", subject: withEnv("SPRING_KAFKA_CONSUMER_HEARTBEAT_INTERVAL=${HB:7}"), want: Fine},
			{name: "only the end of a key", subject: mounting("application.yml", "acme.node.heartbeat-interval: 30"), want: Fine},
			{name: "not in a file of Spring", subject: mounting("values.yml", "spring.kafka.consumer.heartbeat-interval: 7"), want: Fine},
			{name: "an option that nothing reads", want: Fine,
				subject: written([]string{"JAVA_OPTS=-Dspring.kafka.consumer.heartbeat-interval=7"}, []string{"java", "-jar", "app.jar"})},
			{name: "a heartbeat in seconds that was meant in milliseconds", subject: withEnv("SPRING_RABBITMQ_REQUESTEDHEARTBEAT=60000"), want: Warning,
				detail: "requested-heartbeat is 16h40m, likely meant 1m: connections"},
			{name: "a heartbeat cut down to nothing", subject: withEnv("SPRING_RABBITMQ_REQUESTED_HEARTBEAT=500ms"), want: Warning, detail: "is 0s, the default is 1m"},
			{name: "a heartbeat that is off on purpose", subject: withEnv("SPRING_RABBITMQ_REQUESTED_HEARTBEAT=0"), want: Fine},
			{name: "a heartbeat in seconds", subject: withEnv("SPRING_RABBITMQ_REQUESTED_HEARTBEAT=60"), want: Fine},
			{name: "a program that may count seconds", subject: withEnv("KAFKA_HEARTBEAT_INTERVAL=3"), want: Warning, detail: `\(the program may count seconds\)$`},
			{name: "a poll", subject: withEnv("SPRING_KAFKA_LISTENER_POLLTIMEOUT=5"), want: Critical, detail: "poll-timeout is 5ms, likely meant 5s"},
			{name: "the poll of every tutorial", subject: withEnv("SPRING_KAFKA_LISTENER_POLLTIMEOUT=100"), want: Fine},
			{name: "a shutdown", subject: withEnv("SPRING_LIFECYCLE_TIMEOUTPERSHUTDOWNPHASE=30"), want: Warning, detail: "is 30ms, likely meant 30s: a shutdown"},
			{name: "loud", subject: withEnv("SPRING_RABBITMQ_CONNECTIONTIMEOUT=60"), want: Fine},
			{name: "two at once", subject: withEnv("SPRING_CACHE_REDIS_TIMETOLIVE=60", "SPRING_KAFKA_LISTENER_POLLTIMEOUT=5"), want: Critical, detail: "5ms.*; .*60ms"},
		},
		"env_phantom_property": {
			{name: "a name that looks right", subject: mounting("application.yml", "spring:\n  kafka:\n    consumer:\n      session-timeout: 45000"), want: Warning,
				detail: `^spring.kafka.consumer.session-timeout does not exist, use spring.kafka.consumer.properties\[session.timeout.ms\]$`},
			{name: "as a variable", subject: withEnv("SPRING_KAFKA_CONSUMER_SESSION_TIMEOUT_MS=45000"), want: Warning},
			{name: "the real form", subject: mounting("application.properties", "spring.kafka.consumer.properties[session.timeout.ms]=45000"), want: Fine},
			{name: "came late", subject: withEnv("SPRING_KAFKA_CONSUMER_MAX_POLL_INTERVAL=300000"), want: Fine},
			{name: "somebody else's", subject: mounting("application.yml", "acme.kafka.consumer.session-timeout: 45000"), want: Fine},
		},
	}
}

// TestDetailsTellNothingElse: a detail names the key and times, never what else somebody wrote.
func TestDetailsTellNothingElse(t *testing.T) {
	secret := "hunter2"
	w := written([]string{"SPRING_KAFKA_CONSUMER_SESSION_TIMEOUT=" + secret, "SPRING_KAFKA_CONSUMER_HEARTBEAT_INTERVAL=7", "JAVA_OPTS=-Xmx" + secret + " -Dp=" + secret,
		"SPRING_CONFIG_IMPORT=configserver:http://user:" + secret + "@host"}, []string{"sh", "-c", "java $JAVA_OPTS -jar a.jar --p=" + secret})
	for _, c := range All() {
		if c.OfContainer == nil {
			continue
		}
		for _, v := range verdicts(&c, w, func(state.Kinds) bool { return true }) {
			if strings.Contains(v.Detail, secret) {
				t.Errorf("%s: %q", c.ID, v.Detail)
			}
		}
	}
}
