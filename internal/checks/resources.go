// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"strconv"
	"strings"

	"stability-exporter/internal/state"
)

func resourceChecks() []Check {
	return []Check{
		{
			ID: "qty_unit_suspect", Category: Resources, Levels: []Level{Info, Warning, Critical},
			English: "A quantity of memory or CPU hardly has the unit that was meant",
			Chinese: "内存或 CPU 数量的单位很可能写错",
			Why: "memory: 512m is half a byte, memory: 512 is 512 bytes, and cpu: 500 is 500 cores. The API server takes all of them. As a request of memory " +
				"it reserves nothing, so that the node is overcommitted and the pod is the first to be killed; as a limit no container starts with it. A request of " +
				"hundreds of cores fits on no node; such a limit is none.",
			Fix: "Write memory with Mi or Gi (512Mi) and parts of a core with m (500m).",
			Spares: "Fractions of a byte in an amount that makes sense (0.1Gi, or what an autoscaler computed). A request of a few whole Mi is info: it may be " +
				"meant to say \"next to nothing\". Many cores are suspected from 32 on, and only together with less than 32Mi of memory for each of them; without " +
				"any memory only whole fifties from 100 on. A request of CPU with which pods are ready is proven right.",
			OfContainer: suspectQuantity,
		},
		{
			ID: "requests_ne_limits", Category: Resources, Levels: []Level{Info},
			English: "Requests and limits differ, so the pod runs on what others leave",
			Chinese: "requests 与 limits 不相等，超出部分没有保证",
			Why: "What a container uses beyond its request is not reserved for it: when the node runs short it is slowed down, and killed before those that have equal " +
				"requests and limits (quality of service Guaranteed).",
			Fix:         "Give memory and CPU the same request and limit; it is enough to write the limit.",
			Spares:      "Limits without requests: the API server makes them equal in every pod. A CPU limit that is left out. Init containers, Jobs.",
			OfContainer: unequalResources,
		},
		{
			ID: "resources_missing", Category: Resources, Levels: []Level{Info},
			English: "A container does not say how much CPU or memory it needs",
			Chinese: "容器没有声明所需的 CPU 或内存",
			Why: "Without a request the scheduler takes the container for one that needs nothing and puts too many on a node; without a memory limit a leak takes " +
				"the node's memory, and with it other workloads.",
			Fix: "Set a CPU request, and a memory request and limit.",
			Spares: "A request that is left out where there is a limit: it becomes the limit. A missing CPU limit. Init containers. What a LimitRange adds is " +
				"in the pods alone, not in the template that is read here.",
			OfContainer: missingResources,
		},
	}
}

// mebibyte is one in thousandths of a byte, the unit of state.Quantity.
const mebibyte = 1000 << 20

// Below this no container starts: the limit is that of the container runtime's own first process.
const leastMemory = 4 * mebibyte

func suspectQuantity(c *ContainerSubject) Verdict {
	return worstOf(suspectMemory("limit", c.Limits.Memory), suspectMemory("request", c.Requests.Memory), suspectCPU(c))
}

func suspectMemory(what string, q state.Quantity) Verdict {
	if !q.Set || q.Milli <= 0 || q.Milli >= leastMemory {
		return Verdict{}
	}
	level := Critical
	if what == "request" && q.Milli%mebibyte == 0 {
		level = Info
	}
	return Verdict{level, fmt.Sprintf("the memory %s is %s", what, memoryText(q))}
}

func suspectCPU(c *ContainerSubject) Verdict {
	memory := c.Limits.Memory
	if c.Requests.Memory.Milli > memory.Milli {
		memory = c.Requests.Memory
	}
	request := c.Requests.CPU
	if !request.Set {
		request = c.Limits.CPU // the API server makes it the request
	}
	switch {
	case meantMilli(request, memory) && c.Ready > 0:
		return Verdict{} // there is a node with so many
	case meantMilli(request, memory):
		return Verdict{Critical, fmt.Sprintf("%s cores are requested: %sm may be meant", cpuText(request), cpuText(request))}
	case meantMilli(c.Limits.CPU, memory):
		return Verdict{Warning, fmt.Sprintf("the limit is %s cores: %sm may be meant", cpuText(c.Limits.CPU), cpuText(c.Limits.CPU))}
	}
	return Verdict{}
}

// meantMilli reports whether a number of cores makes sense as thousandths only. Machines have up to several hundred cores; what tells is how
// little memory goes with them, and where that is not known, a number as people write for thousandths.
func meantMilli(cpu, memory state.Quantity) bool {
	cores := cpu.Milli / 1000
	if !cpu.Set || cores < 32 || cpu.Milli%1000 != 0 {
		return false
	}
	if memory.Milli > 0 {
		return memory.Milli/cores < 32*mebibyte
	}
	return cores >= 100 && cores%50 == 0
}

func unequalResources(c *ContainerSubject) Verdict {
	if c.Type == state.InitContainer || !c.Serving() {
		return Verdict{}
	}
	var unequal []string
	if r, l := c.Requests.Memory, c.Limits.Memory; r.Set && l.Set && r != l {
		unequal = append(unequal, fmt.Sprintf("memory %s of %s", memoryText(r), memoryText(l)))
	}
	if r, l := c.Requests.CPU, c.Limits.CPU; r.Set && l.Set && r != l {
		unequal = append(unequal, fmt.Sprintf("CPU %s of %s", cpuText(r), cpuText(l)))
	}
	if unequal == nil {
		return Verdict{}
	}
	return Verdict{Info, "requested are " + strings.Join(unequal, ", ")}
}

func missingResources(c *ContainerSubject) Verdict {
	if c.Type == state.InitContainer {
		return Verdict{}
	}
	some := func(q state.Quantity) bool { return q.Set && q.Milli > 0 }
	var missing []string
	if !some(c.Requests.CPU) && !some(c.Limits.CPU) {
		missing = append(missing, "CPU request")
	}
	if !some(c.Requests.Memory) && !some(c.Limits.Memory) {
		missing = append(missing, "memory request")
	}
	if !some(c.Limits.Memory) {
		missing = append(missing, "memory limit")
	}
	if missing == nil {
		return Verdict{}
	}
	return Verdict{Info, "it has no " + strings.Join(missing, ", no ")}
}

// memoryText writes an amount with the largest unit that leaves a whole number.
func memoryText(q state.Quantity) string {
	for i, unit := range []string{"Gi", "Mi", "Ki"} {
		if size := int64(1000) << (30 - 10*i); q.Milli >= size && q.Milli%size == 0 {
			return strconv.FormatInt(q.Milli/size, 10) + unit
		}
	}
	return strconv.FormatFloat(float64(q.Milli)/1000, 'f', -1, 64) + " bytes"
}

func cpuText(q state.Quantity) string {
	if q.Milli%1000 == 0 {
		return strconv.FormatInt(q.Milli/1000, 10)
	}
	return strconv.FormatInt(q.Milli, 10) + "m"
}

// worstOf returns the first of the worst verdicts.
func worstOf(verdicts ...Verdict) Verdict {
	var worst Verdict
	for _, v := range verdicts {
		if v.Level > worst.Level {
			worst = v
		}
	}
	return worst
}
