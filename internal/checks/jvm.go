// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"stability-exporter/internal/settings"
	"stability-exporter/internal/state"
)

func jvmChecks() []Check { return slices.Concat(wrongHeapChecks(), unsetHeapChecks()) }

// wrongHeapChecks are about options that do not do what they are for.
func wrongHeapChecks() []Check {
	return []Check{
		{
			ID: "jvm_heap_vs_limit", Category: JVM, Levels: []Level{Warning, Critical},
			English: "The heap of a JVM leaves too little of the container's memory for the rest of it",
			Chinese: "JVM 堆相对容器内存上限过大，容器会因内存超限被杀",
			Why: "Beside its heap a JVM needs memory for classes, compiled code, threads and direct buffers, at least 50 MiB and mostly some hundreds. A heap that may " +
				"grow to the limit or close to it ends in OOMKilled (exit code 137) under load, without a heap dump and without a word in the log.",
			Fix: "Leave a quarter of the limit, or set -XX:MaxRAMPercentage=75 in place of -Xmx; raise the limit if the heap is needed.",
			Spares: "More than 80 % where 2 GiB or more are left. What stands in JAVA_OPTS and the like has an effect only if a script puts it into the command " +
				"line: never more than a warning, and nothing where the command is java itself. Direct memory counts if MaxDirectMemorySize is set.",
			OfContainer: heapAgainstLimit,
		},
		{
			ID: "jvm_option_invalid", Category: JVM, Levels: []Level{Warning, Critical},
			English:     "An option of a JVM is written so that no JVM starts with it",
			Chinese:     "JVM 参数无法解析，进程无法启动",
			Why:         "A JVM ends at once with \"Invalid maximum heap size\" or the like: the container is in a crash loop as soon as it is started the next time.",
			Fix:         "Write sizes as whole numbers with k, m, g or t (512m, not 512mb, 512Mi or 1.5g), percentages as plain numbers (75, not 75%), and no -Xms above -Xmx.",
			Spares:      "Options with variables in them, whose value is not known. In JAVA_OPTS and the like, which only scripts read, it is a warning.",
			OfContainer: invalidOption,
		},
		{
			ID: "jvm_percentage_fraction", Category: JVM, Levels: []Level{Warning, Critical},
			English:     "MaxRAMPercentage is given as a fraction, so the heap is next to nothing",
			Chinese:     "MaxRAMPercentage 写成小数，堆只有内存的百分之零点几",
			Why:         "MaxRAMPercentage=0.75 is 0.75 %: 182 MiB of 24 GiB. The JVM takes it without a word, collects garbage all the time and runs out of memory under load.",
			Fix:         "Write -XX:MaxRAMPercentage=75.",
			Spares:      "A percentage that is not heeded: beside -Xmx, or with so little memory that MinRAMPercentage decides. From 5 on it is taken for meant.",
			OfContainer: percentageFraction,
		},
	}
}

// unsetHeapChecks are about what is missing, or wasted.
func unsetHeapChecks() []Check {
	return []Check{
		{
			ID: "jvm_heap_undeclared", Category: JVM, Levels: []Level{Warning},
			English: "A JVM is left to its default heap, a quarter of the memory",
			Chinese: "JVM 未设置堆大小，默认只用内存的四分之一",
			Why: "Without -Xmx or MaxRAMPercentage a JVM takes 25 % of the limit for its heap: three quarters are paid for and idle, and the program runs out of " +
				"memory while the container looks empty.",
			Fix: "Set -XX:MaxRAMPercentage=75, in JAVA_TOOL_OPTIONS if the command is not yours.",
			Spares: "Less memory than 1 GiB. Commands that are a script or stand in the image, that read options from a file or from a variable which is not known: " +
				"the heap may be set there. An image that sets JAVA_TOOL_OPTIONS itself cannot be seen: exempt it.",
			OfContainer: undeclaredHeap,
		},
		{
			ID: "jvm_memory_unlimited", Category: JVM, Levels: []Level{Info, Warning},
			English: "The heap of a JVM is set but its container has no memory limit",
			Chinese: "设置了 JVM 堆但容器没有内存上限",
			Why: "Nothing holds what a JVM takes beside its heap: a leak of direct memory or threads takes the node's memory, and other workloads with it. " +
				"MaxRAMPercentage is a part of the whole node then.",
			Fix: "Set a memory limit of the heap and at least a third more, and a request that is the same.",
			Spares: "Init containers. A limit that a LimitRange adds is in the pods alone, not in the template that is read here. A fixed heap that fits into the " +
				"memory request is info: it bounds most of what is taken.",
			OfContainer: unlimitedHeap,
		},
		{
			ID: "jvm_heap_small", Category: JVM, Levels: []Level{Info},
			English: "The heap of a JVM uses less than 40 % of the container's memory limit",
			Chinese: "JVM 堆不足容器内存上限的 40%",
			Why:     "Memory is reserved that the program cannot use: fewer pods fit on the nodes, and the program may run out of heap while the container looks empty.",
			Fix:     "Raise the heap, or lower the limit.",
			Spares: "Programs that leave memory to the page cache on purpose (Kafka, Elasticsearch, Cassandra and the like). Direct memory counts as used if " +
				"MaxDirectMemorySize is set.",
			OfContainer: smallHeap,
		},
	}
}

const (
	mebibytes = 1 << 20
	gibibytes = 1 << 30
	// leastRest is what a JVM needs beside its heap to do anything: measured 45 to 50 MiB for an idle one.
	leastRest = 100 * mebibytes
	// amplyRest is what suffices for the rest of any JVM.
	amplyRest = 2 * gibibytes
	// worthwhile is the limit from which on a default heap wastes memory worth speaking of.
	worthwhile = 1 * gibibytes
)

// heapOf returns the heap of the container's JVM, and its memory limit in bytes; zero without one.
func heapOf(c *ContainerSubject) (heap settings.HeapView, limit int64) {
	if len(c.InEffect()) == 0 {
		return heap, limit
	}
	return settings.Heap(c.InEffect(), c.Limits.Memory), c.Limits.Memory.Milli / 1000
}

func heapAgainstLimit(c *ContainerSubject) Verdict {
	heap, limit := heapOf(c)
	if !heap.Set || heap.Max == 0 || limit == 0 {
		return Verdict{}
	}
	used := heap.Max + heap.Direct
	rest := limit - used
	level := Fine
	switch {
	case heap.Max >= limit:
		level = Critical
	case rest < leastRest, used*10 > limit*8 && rest < amplyRest:
		level = Warning
	}
	what := fmt.Sprintf("%s allows a heap of %s", optionOf(heap.By), size(heap.Max))
	if heap.Direct > 0 {
		what += fmt.Sprintf(" and %s of direct memory", size(heap.Direct))
	}
	return byScript(heap.By, level, fmt.Sprintf("%s, the memory limit is %s", what, size(limit)))
}

func invalidOption(c *ContainerSubject) Verdict {
	heap, _ := heapOf(c)
	var worst Verdict
	for _, option := range heap.Invalid {
		worst = worstOf(worst, byScript(option.Setting, Critical, fmt.Sprintf("%s: %s", optionOf(option.Setting), option.Why)))
	}
	return worst
}

// fraction is the percentage below which nobody meant one.
const fraction = 5

func percentageFraction(c *ContainerSubject) Verdict {
	heap, limit := heapOf(c)
	if heap.Percent <= 0 || heap.Percent >= fraction || heap.Small {
		return Verdict{}
	}
	detail := fmt.Sprintf("%s is %g %%", optionOf(heap.By), heap.Percent)
	if heap.Percent <= 1 {
		detail += fmt.Sprintf(", likely meant %g %%", heap.Percent*100)
	}
	if heap.Max > 0 {
		detail += fmt.Sprintf(": a heap of %s, the memory limit is %s", size(heap.Max), size(limit))
	}
	return byScript(heap.By, Critical, detail)
}

func undeclaredHeap(c *ContainerSubject) Verdict {
	heap, limit := heapOf(c)
	if heap.Set || !heap.Visible || limit < worthwhile || c.Type == state.InitContainer || !allReferencesObserved(c) {
		return Verdict{}
	}
	detail := fmt.Sprintf("the heap is %s, the memory limit is %s", size(heap.Max), size(limit))
	if i := slices.IndexFunc(c.Settings, settings.ByScript); i >= 0 {
		detail += fmt.Sprintf("; nothing reads %s", c.Settings[i].Where)
	}
	return Verdict{Warning, detail}
}

// allReferencesObserved reports whether every ConfigMap that could hold options is known.
func allReferencesObserved(c *ContainerSubject) bool {
	for _, r := range c.References {
		variable := r.Kind == state.EnvAll || r.Kind == state.EnvKey
		if variable && !slices.ContainsFunc(c.ConfigMaps, func(m *state.ConfigMap) bool { return m.Name == r.ConfigMap.String() }) {
			return false
		}
	}
	return true
}

func unlimitedHeap(c *ContainerSubject) Verdict {
	heap, _ := heapOf(c)
	if !heap.Set || c.Limits.Memory.Set || c.Type == state.InitContainer {
		return Verdict{}
	}
	if heap.Percent > 0 {
		return Verdict{Warning, fmt.Sprintf("%s is %g %% of the node's memory: there is no limit", optionOf(heap.By), heap.Percent)}
	}
	if request := c.Requests.Memory; request.Set && request.Milli/1000 < heap.Max {
		return Verdict{Warning, fmt.Sprintf("%s allows a heap of %s, more than the memory request of %s, and there is no limit",
			optionOf(heap.By), size(heap.Max), size(request.Milli/1000))}
	}
	return Verdict{Info, fmt.Sprintf("%s sets the heap, there is no memory limit", optionOf(heap.By))}
}

func smallHeap(c *ContainerSubject) Verdict {
	heap, limit := heapOf(c)
	if !heap.Set || heap.Max == 0 || limit == 0 || heap.Max+heap.Direct >= limit/10*4 || livesFromPageCache(c.Image) ||
		heap.Percent > 0 && heap.Percent < fraction {
		return Verdict{}
	}
	return Verdict{Info, fmt.Sprintf("%s allows a heap of %s, the memory limit is %s", optionOf(heap.By), size(heap.Max), size(limit))}
}

// livesFromPageCache reports whether an image is a program whose makers want most of the memory outside of the heap.
func livesFromPageCache(image state.Image) bool {
	name := path.Base(image.Repository.String())
	for _, known := range []string{"kafka", "elasticsearch", "opensearch", "cassandra", "solr", "pulsar", "bookkeeper", "rocketmq", "hbase", "neo4j", "ignite"} {
		if strings.Contains(name, known) {
			return true
		}
	}
	return false
}

// byScript tells a finding on an option; where only a script reads the option, never more than a warning.
func byScript(option state.Setting, level Level, detail string) Verdict {
	if level == Fine {
		return Verdict{}
	}
	if settings.ByScript(option) {
		level = min(level, Warning)
		detail += " (if a script passes it on)"
	}
	return Verdict{level, detail}
}

// optionOf names an option and where it stands.
func optionOf(s state.Setting) string {
	if s.Where == (state.Symbol{}) {
		return s.Key.String()
	}
	return fmt.Sprintf("%s in %s", s.Key, s.Where)
}

// size returns a size as people write it: 512Mi, 1.5Gi.
func size(n int64) string {
	switch {
	case n >= gibibytes && n%(gibibytes/4) == 0:
		return fmt.Sprintf("%gGi", float64(n)/gibibytes)
	case n >= mebibytes:
		return strings.TrimSuffix(fmt.Sprintf("%.1f", float64(n)/mebibytes), ".0") + "Mi"
	}
	return fmt.Sprintf("%d bytes", n)
}
