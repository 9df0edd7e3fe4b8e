// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"maps"

	"stability-exporter/internal/state"
)

// limited gives a container as many MiB of memory; none is no limit.
func limited(mebi int64) func(*state.ContainerSpec) {
	return func(c *state.ContainerSpec) {
		c.Limits.Memory = state.Quantity{Set: mebi > 0, Milli: mebi * mebibyte}
	}
}

func requesting(mebi int64) func(*state.ContainerSpec) {
	return func(c *state.ContainerSpec) { c.Requests.Memory = state.Quantity{Set: true, Milli: mebi * mebibyte} }
}

// javaWith is a workload with options in JAVA_TOOL_OPTIONS and so many MiB.
func javaWith(options string, mebi int64) *state.SetupView {
	return written([]string{"JAVA_TOOL_OPTIONS=" + options}, nil, limited(mebi))
}

func jvmCases() caseTable {
	cases := heapSizeCases()
	maps.Copy(cases, optionCases())
	maps.Copy(cases, unsetHeapCases())
	return cases
}

func heapSizeCases() caseTable {
	return caseTable{
		"jvm_heap_vs_limit": {
			{name: "as much as the limit", subject: javaWith("-Xmx512m", 512), want: Critical, detail: "^-Xmx in JAVA_TOOL_OPTIONS allows a heap of 512Mi, the memory limit is 512Mi$"},
			{name: "exactly four fifths", subject: javaWith("-XX:MaxRAMPercentage=80", 2048), want: Fine},
			{name: "more", subject: written(nil, []string{"java", "-Xmx2g", "-jar", "a.jar"}, limited(1024)), want: Critical, detail: "^-Xmx allows a heap of 2Gi"},
			{name: "more, if a script reads it", subject: written([]string{"JAVA_OPTS=-Xmx2g"}, nil, limited(1024)), want: Warning, detail: "if a script"},
			{name: "a script that reads it", subject: written([]string{"JAVA_OPTS=-Xmx2g"}, []string{"sh", "-c", "java $JAVA_OPTS -jar a.jar"}, limited(1024)), want: Critical},
			{name: "a variable that nothing reads", subject: written([]string{"JAVA_OPTS=-Xmx2g"}, []string{"java", "-jar", "a.jar"}, limited(1024)), want: Fine},
			{name: "nine tenths", subject: javaWith("-XX:MaxRAMPercentage=90", 2048), want: Warning, detail: "MaxRAMPercentage in JAVA_TOOL_OPTIONS allows a heap of 1843.2Mi"},
			{name: "little left of little", subject: javaWith("-Xmx180m", 256), want: Warning},
			{name: "with direct memory", subject: javaWith("-Xmx340m -XX:MaxDirectMemorySize=200m", 512), want: Warning, detail: "and 200Mi of direct memory"},
			{name: "two thirds", subject: javaWith("-Xmx340m", 512), want: Fine},
			{name: "three quarters", subject: javaWith("-XX:MaxRAMPercentage=75.0", 1024), want: Fine},
			{name: "most of a lot", subject: javaWith("-Xmx13g", 16<<10), want: Fine},
			{name: "-Xmx beats the percentage", subject: javaWith("-Xmx512m -XX:MaxRAMPercentage=95", 1024), want: Fine},
			{name: "the last one counts", subject: javaWith("-Xmx4g -Xmx512m", 1024), want: Fine},
			{name: "the command line beats the variable", subject: written([]string{"JAVA_TOOL_OPTIONS=-Xmx4g"}, []string{"java", "-Xmx512m", "-jar", "a.jar"}, limited(1024)), want: Fine},
			{name: "a percentage that is not heeded", subject: javaWith("-XX:MaxRAMPercentage=95", 240), want: Fine},
			{name: "not known", subject: javaWith("-Xmx${HEAP}", 512), want: Fine},
			{name: "no limit", subject: javaWith("-Xmx8g", 0), want: Fine},
		},
	}
}

func optionCases() caseTable {
	return caseTable{
		"jvm_option_invalid": {
			{name: "MB", subject: javaWith("-Xmx512mb", 1024), want: Critical, detail: "^-Xmx in JAVA_TOOL_OPTIONS: it is no size"},
			{name: "Mi", subject: written(nil, []string{"java", "-Xmx512Mi", "-jar", "a.jar"}), want: Critical},
			{name: "a fraction", subject: javaWith("-Xmx1.5g", 2048), want: Critical},
			{name: "nothing", subject: javaWith("-Xmx", 2048), want: Critical},
			{name: "512 bytes", subject: javaWith("-Xmx512", 1024), want: Critical, detail: "less than 2 MiB"},
			{name: "a percent sign", subject: javaWith("-XX:MaxRAMPercentage=75%", 1024), want: Critical, detail: "no number"},
			{name: "more than all", subject: javaWith("-XX:MaxRAMPercentage=150", 1024), want: Critical, detail: "more than 100"},
			{name: "-Xms above -Xmx", subject: javaWith("-Xms2g -Xmx1g", 4096), want: Critical, detail: "^-Xms .* more than the greatest heap"},
			{name: "if a script reads it", subject: written([]string{"CATALINA_OPTS=-Xmx512mb"}, nil), want: Warning},
			{name: "all spellings", subject: javaWith("-Xmx1G -Xms524288k -Xss1m -XX:MaxMetaspaceSize=0x10000000", 2048), want: Fine},
			{name: "bytes", subject: javaWith("-Xmx536870912", 1024), want: Fine},
			{name: "a variable", subject: written([]string{"JAVA_OPTS=-Xmx${HEAP}m"}, nil), want: Fine},
			{name: "the application's own argument", subject: written(nil, []string{"java", "-jar", "a.jar", "-Xmx512mb"}), want: Fine},
		},
		"jvm_percentage_fraction": {
			{name: "three quarters of a percent", subject: javaWith("-XX:MaxRAMPercentage=0.75", 24<<10), want: Critical,
				detail: "is 0.75 %, likely meant 75 %: a heap of 184.3Mi, the memory limit is 24Gi$"},
			{name: "without a limit", subject: javaWith("-XX:MaxRAMPercentage=0.75", 0), want: Critical, detail: "likely meant 75 %$"},
			{name: "two percent", subject: javaWith("-XX:MaxRAMPercentage=2", 4096), want: Critical, detail: "is 2 %: a heap of 126Mi"},
			{name: "if a script reads it", subject: written([]string{"JAVA_OPTS=-XX:MaxRAMPercentage=0.75"}, nil), want: Warning},
			{name: "a percentage", subject: javaWith("-XX:MaxRAMPercentage=75.0", 1024), want: Fine},
			{name: "beside -Xmx", subject: javaWith("-Xmx512m -XX:MaxRAMPercentage=0.75", 1024), want: Fine},
			{name: "with so little memory that it does not matter", subject: javaWith("-XX:MaxRAMPercentage=0.75", 128), want: Fine},
			{name: "the initial one", subject: javaWith("-XX:InitialRAMPercentage=0.5", 1024), want: Fine},
		},
	}
}

func unsetHeapCases() caseTable {
	return caseTable{
		"jvm_heap_undeclared": {
			{name: "a plain command", subject: written(nil, []string{"java", "-jar", "a.jar"}, limited(2048)), want: Warning, detail: "^the heap is 512Mi, the memory limit is 2Gi$"},
			{name: "in a shell", subject: written(nil, []string{"sh", "-c", "exec java -jar a.jar"}, limited(1024)), want: Warning},
			{name: "in a variable that nothing reads", subject: written([]string{"JAVA_OPTS=-Xmx1g"}, []string{"java", "-jar", "a.jar"}, limited(2048)), want: Warning,
				detail: "nothing reads JAVA_OPTS"},
			{name: "declared", subject: written([]string{"JDK_JAVA_OPTIONS=-Xmx1g"}, []string{"java", "-jar", "a.jar"}, limited(2048)), want: Fine},
			{name: "little memory", subject: written(nil, []string{"java", "-jar", "a.jar"}, limited(1000)), want: Fine},
			{name: "the command of the image", subject: written([]string{"JAVA_TOOL_OPTIONS=-Dx=y"}, nil, limited(2048)), want: Fine},
			{name: "a script", subject: written(nil, []string{"/entrypoint.sh", "java", "-jar", "a.jar"}, limited(2048)), want: Fine},
			{name: "a variable that is elsewhere", subject: written(nil, []string{"sh", "-c", "java $JAVA_OPTS -jar a.jar"}, limited(2048)), want: Fine},
			{name: "options in a file", subject: written(nil, []string{"java", "@/etc/jvm.options", "-jar", "a.jar"}, limited(2048)), want: Fine},
			{name: "a ConfigMap that may not be read", want: Fine, subject: written(nil, []string{"java", "-jar", "a.jar"}, limited(2048), func(c *state.ContainerSpec) {
				c.References = []state.Reference{{Kind: state.EnvAll, ConfigMap: state.Sym("unseen")}}
			})},
			{name: "an init container", subject: written(nil, []string{"java", "-jar", "a.jar"}, limited(2048), ofType(state.InitContainer)), want: Fine},
			{name: "no JVM", subject: written(nil, []string{"/bin/server", "--lang", "java"}, limited(2048)), want: Fine},
		},
		"jvm_memory_unlimited": {
			{name: "a heap and no limit", subject: javaWith("-Xmx1g", 0), want: Info, detail: "^-Xmx in JAVA_TOOL_OPTIONS sets the heap, there is no memory limit$"},
			{name: "a heap above the request and no limit", subject: written([]string{"JAVA_TOOL_OPTIONS=-Xmx1g"}, nil, limited(0), requesting(512)),
				want: Warning, detail: "more than the memory request of 512Mi, and there is no limit"},
			{name: "a heap that fits into the request", subject: written([]string{"JAVA_TOOL_OPTIONS=-Xmx1g"}, nil, limited(0), requesting(2048)), want: Info},
			{name: "a part of the node", subject: javaWith("-XX:MaxRAMPercentage=75", 0), want: Warning, detail: "75 % of the node's memory"},
			{name: "a limit", subject: javaWith("-Xmx512m", 1024), want: Fine},
			{name: "no heap", subject: javaWith("-Dx=y", 0), want: Fine},
			{name: "an init container", subject: written([]string{"JAVA_TOOL_OPTIONS=-Xmx1g"}, nil, limited(0), ofType(state.InitContainer)), want: Fine},
		},
		"jvm_heap_small": {
			{name: "a quarter", subject: javaWith("-Xmx1g", 4096), want: Info, detail: "a heap of 1Gi, the memory limit is 4Gi"},
			{name: "half", subject: javaWith("-Xmx2g", 4096), want: Fine},
			{name: "a quarter and direct memory", subject: javaWith("-Xmx1g -XX:MaxDirectMemorySize=1g", 4096), want: Fine},
			{name: "Kafka", subject: written([]string{"KAFKA_HEAP_OPTS=-Xmx1g"}, nil, limited(4096), withImage("bitnami/kafka", "3.7")), want: Fine},
			{name: "a default heap", subject: written(nil, []string{"java", "-jar", "a.jar"}, limited(4096)), want: Fine},
			{name: "a fraction", subject: javaWith("-XX:MaxRAMPercentage=0.75", 4096), want: Fine},
		},
	}
}
