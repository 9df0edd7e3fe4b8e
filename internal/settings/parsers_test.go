// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stability-exporter/internal/state"
)

func TestParseDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"7": 7 * time.Millisecond, "+7": 7 * time.Millisecond, "-7": -7 * time.Millisecond, "7ns": 7, "7us": 7 * time.Microsecond, "7ms": 7 * time.Millisecond,
		"7s": 7 * time.Second, "7S": 7 * time.Second, "7m": 7 * time.Minute, "7h": 7 * time.Hour, "1d": 24 * time.Hour, "PT7S": 7 * time.Second, "pt7s": 7 * time.Second,
		"P1DT2H3M4.5S": 26*time.Hour + 3*time.Minute + 4500*time.Millisecond, "PT0.007S": 7 * time.Millisecond, "-PT7S": -7 * time.Second, "PT-7S": -7 * time.Second,
		"P1D": 24 * time.Hour, "9223372036854775807": math.MaxInt64, "200000000d": math.MaxInt64, "-200000000d": -math.MaxInt64,
	} {
		if got, ok := parseDuration(text, time.Millisecond); !ok || got.value != want {
			t.Errorf("%s is %s (%v), want %s", text, got.value, ok, want)
		}
	}
	for _, text := range []string{"", "s", "7x", "7 s", "7.5s", "7sec", " 7", "P", "PT", "P7S", "PT7", "PT7S7S", "PT7M7H", "PT1.5M", "P1W", "PTNANS", "PT1E3S", "--7", "٧"} {
		if got, ok := parseDuration(text, time.Millisecond); ok {
			t.Errorf("%q is %s, want none", text, got.value)
		}
	}
}

func TestParseProperties(t *testing.T) {
	for text, want := range map[string][]document{
		"":                          {nil},
		"a=b":                       {{{"a", "b"}}},
		" a = b \nc:d\ne f":         {{{"a", "b "}, {"c", "d"}, {"e", "f"}}},
		"# a=b\n!c=d\n\n  # e=f":    {nil},
		"a.\\\n  b=c\\\n   d":       {{{"a.b", "cd"}}},
		"a=b\\\\\nc=d":              {{{"a", "b\\"}, {"c", "d"}}},
		"a\\:b=c\\u0037\r\nd=\\tx":  {{{"a:b", "c7"}, {"d", "\tx"}}},
		"a\nb=":                     {{{"a", ""}, {"b", ""}}},
		"# comment \\\na=b":         {{{"a", "b"}}},
		"a=1\n#---\na=2\n!---\nb=3": {{{"a", "1"}}, {{"a", "2"}}, {{"b", "3"}}},
		"a==b":                      {{{"a", "=b"}}},
		"a=\\u00g0\\":               {{{"a", "00g0"}}},
	} {
		if diff := cmp.Diff(want, parseProperties(text), cmp.AllowUnexported(entry{})); diff != "" {
			t.Errorf("%q: -want +got:\n%s", text, diff)
		}
	}
}

func TestParseYAML(t *testing.T) {
	for text, want := range map[string][]document{
		"a:\n  b: 1\n  c.d: x":           {{{"a.b", "1"}, {"a.c.d", "x"}}},
		"a: [x, {b: y}]":                 {{{"a[0]", "x"}, {"a[1].b", "y"}}},
		"a:\n  \"[b.c]\": 1":             {{{"a[b.c]", "1"}}},
		"a: ~\nb: \"7\"\nc: 1_000":       {{{"b", "7"}, {"c", "1000"}}},
		"a: 1\n---\nb: 2":                {{{"a", "1"}}, {{"b", "2"}}},
		"x: &x {a: 1}\ny: {<<: *x}":      {{{"x.a", "1"}, {"y.a", "1"}}},
		"y: {<<: [&x {a: 1}], a: 2}":     {{{"y.a", "1"}, {"y.a", "2"}}},
		"a: 1\n---\nb: [":                {{{"a", "1"}}},
		"a: &a [*a]":                     {nil},
		"{{ .Values.x }}: {{ include }}": {nil},
	} {
		if diff := cmp.Diff(want, parseYAML(text), cmp.AllowUnexported(entry{})); diff != "" {
			t.Errorf("%q: -want +got:\n%s", text, diff)
		}
	}
}

func TestParseJSON(t *testing.T) {
	for text, want := range map[string]document{
		`{"a":{"b":7,"c":"x","d":true,"e":null},"f":[1,2]}`: {{"a.b", "7"}, {"a.c", "x"}, {"a.d", "true"}, {"f[0]", "1"}, {"f[1]", "2"}},
		`{"a.b":1.5}`: {{"a.b", "1.5"}}, `[1]`: nil, `{"a":`: nil, ``: nil, ` {"a":1}`: {{"a", "1"}},
	} {
		if diff := cmp.Diff(want, parseJSON(text), cmp.AllowUnexported(entry{})); diff != "" {
			t.Errorf("%q: -want +got:\n%s", text, diff)
		}
	}
}

func TestOptionWords(t *testing.T) {
	for text, want := range map[string][]string{
		"": nil, "  -Xmx1g   -Dx=y\n": {"-Xmx1g", "-Dx=y"}, `"-Dx=a b" -Xmx1g`: {"-Dx=a b", "-Xmx1g"}, `-Dx='a "b"'c`: {`-Dx=a "b"c`}, `""`: {""}, `"-Xmx1g`: {"-Xmx1g"},
	} {
		if diff := cmp.Diff(want, optionWords(text)); diff != "" {
			t.Errorf("%q: -want +got:\n%s", text, diff)
		}
	}
}

func TestShellWords(t *testing.T) {
	variables := map[string]string{"OPTS": "-Xmx1g -Dx=y", "HEAP": "1g"}
	for script, want := range map[string][]string{
		"java $OPTS -jar a.jar":            {"java", "-Xmx1g", "-Dx=y", "-jar", "a.jar"},
		`java "$OPTS" '$OPTS'`:             {"java", "-Xmx1g -Dx=y", "$OPTS"},
		"java -Xmx${HEAP} $NOWHERE":        {"java", "-Xmx1g", "$NOWHERE"},
		"java ${OPTS:-x} -Xmx$(cat f)":     {"java", "${OPTS:-x}", "-Xmx$(cat", "f)"},
		"a && b|c; d # e\nf":               {"a", ";", ";", "b", ";", "c", ";", "d", ";", "f"},
		"a\\\n  b\\ c \\$d":                {"a", "b c", "$d"},
		`export O="-Xmx2g $OPTS"; java $O`: {"export", "O=-Xmx2g -Xmx1g -Dx=y", ";", "java", "-Xmx2g", "-Xmx1g", "-Dx=y"},
		"O=$NOWHERE java $O":               {"O=$NOWHERE", "java", "$NOWHERE"},
		"a#b 'c":                           {"a#b", "c"},
		"$":                                {"$"},
	} {
		if diff := cmp.Diff(want, shellWords(script, variables)); diff != "" {
			t.Errorf("%q: -want +got:\n%s", script, diff)
		}
	}
}

func TestExpandReferences(t *testing.T) {
	variables := map[string]string{"A": "1", "B": "$(A)"}
	for text, want := range map[string]string{
		"$(A)": "1", "x$(A)y$(B)": "x1y$(A)", "$$(A)": "$(A)", "$(C)": "$(C)", "$A ${A}": "$A ${A}", "$(A": "$(A", "$": "$", "$$$(A)": "$1", "": "",
	} {
		if got := expandReferences(text, variables); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}

func TestSettingsOfJVMs(t *testing.T) {
	for name, c := range map[string]struct {
		w    workload
		want string // the options, with where they stand
		java bool
	}{
		"plain":             {workload{command: []string{"java", "-Xmx1g", "-jar", "a.jar", "-Xmx2g"}}, "java=? -Xmx=1g", true},
		"path":              {workload{command: []string{"/opt/jdk/bin/java"}, args: []string{"-Xmx1g", "Main", "-Xmx2g"}}, "java=? -Xmx=1g", true},
		"class path":        {workload{command: []string{"java", "-cp", "-Xmx9g", "-Xmx1g", "Main"}}, "java=? -Xmx=1g", true},
		"wrapped":           {workload{command: []string{"tini", "--", "java", "-Xmx1g", "Main"}}, "-Xmx=1g", true},
		"in a script":       {workload{command: []string{"sh", "-c", "sleep 1; exec java -Xmx1g $OPTS Main"}}, "java=? -Xmx=1g $=?", true},
		"known variable":    {workload{env: []EnvVar{{"OPTS", "-Xss1m"}}, command: []string{"sh", "-c", "java -Xmx1g $OPTS Main"}}, "OPTS:-Xss=1m java=? -Xmx=1g -Xss=1m", true},
		"file of options":   {workload{command: []string{"java", "@opts", "Main"}}, "java=? $=?", true},
		"of the image":      {workload{args: []string{"-Xmx1g", "-jar", "a.jar"}}, "-Xmx=1g", true},
		"arguments":         {workload{args: []string{"-Xmx1g", "serve"}}, "args:-Xmx=1g", false},
		"long names":        {env("X", "-XX:MaxHeapSize=1g -XX:InitialHeapSize=1m -XX:-UseContainerSupport"), "X:-Xmx=1g X:-Xms=1m X:-XX:UseContainerSupport=-", false},
		"what is not ours":  {env("JAVA_OPTS", "-server -XX:+UseG1GC -Xlog:gc -XshowSettings -ea"), "", false},
		"no JVM":            {workload{command: []string{"codegen", "--lang", "java", "--out", "x"}}, "", false},
		"Kubernetes expand": {workload{env: []EnvVar{{"HEAP", "1g"}, {"JAVA_OPTS", "-Xmx$(HEAP)"}}}, "JAVA_OPTS:-Xmx=1g", false},
	} {
		found, java := FromContainer(c.w.env, c.w.command, c.w.args)
		var got []string
		for _, s := range found {
			where := s.Where.String()
			if where != "" {
				where += ":"
			}
			got = append(got, fmt.Sprintf("%s%s=%s", where, s.Key, s.Value))
		}
		if strings.Join(got, " ") != c.want || java != c.java {
			t.Errorf("%s: %s, java %v; want %s, java %v", name, got, java, c.want, c.java)
		}
	}
}

func TestFromConfigMap(t *testing.T) {
	for name, c := range map[string]struct{ key, value, want string }{
		"a number":            {"timeout", "30", "timeout=30"},
		"a duration":          {"timeout", "PT7S", "timeout=PT7S"},
		"a word":              {"mode", "fast", ""},
		"a profile":           {"active-profile", "prod,eu", "active-profile=prod,eu"},
		"a variable":          {legacy, "${X}", legacy + "=?"},
		"options":             {"opts", "-Xmx512m -Dx=y\n-Xss1m", "opts -Xmx=512m -Xss=1m"},
		"JSON":                {"json", "{\n \"spring.kafka.consumer.heartbeat-interval\": 7\n}", "json " + heartbeat + "=7"},
		"properties":          {"a.properties", "x=y\nsession.timeout.ms=45000", "a.properties session.timeout.ms=45000"},
		"without an ending":   {"config", "x: y\nspring.kafka.consumer.heartbeat-interval: 7", "config " + heartbeat + "=7"},
		"ZooKeeper":           {"zoo.cfg", "initLimit=5\ntickTime=2", "zoo.cfg tickTime=2"},
		"a script":            {"run.sh", "#!/bin/sh\nexec java -Xmx1g -jar a.jar", ""},
		"nothing of interest": {"application.yml", "logging.level.root: info", ""},
	} {
		var got []string
		for _, e := range FromConfigMap(map[string]string{c.key: c.value}) {
			got = append(got, strings.TrimSuffix(e.Key.String()+"="+e.Scalar, "="))
			for _, s := range e.Settings {
				got = append(got, fmt.Sprintf("%s=%s", s.Key, s.Value))
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestHolds(t *testing.T) {
	active := []string{"prod", "eu"}
	for expression, want := range map[string]bool{
		"prod": true, "dev": false, "!dev": true, "dev|prod": true, "dev, prod": true, "eu & prod": true, "eu & dev": false, "(dev|eu)&!test": true, "((": false, "": false,
		"!(": true, strings.Repeat("(", 5000): false, "Prod": false,
	} {
		if got := holds(expression, active); got != want {
			t.Errorf("%.20q: %v, want %v", expression, got, want)
		}
	}
}

func TestValue(t *testing.T) {
	all := env("SERVER_SHUTDOWN", "graceful").with(EnvVar{"SERVER_PORT", "${PORT}"}).collect()
	if value, found := Value(all, KeyShutdown); !found || value != "graceful" {
		t.Errorf("%q %v, want graceful", value, found)
	}
	if value, found := Value(all, KeyServerPort); found {
		t.Errorf("%q, want nothing: it is not known", value)
	}
	if value, found := Value([]state.Setting{}, KeyManagePort); found {
		t.Errorf("%q, want nothing", value)
	}
}
