// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"testing"

	"stability-exporter/internal/state"
)

func resourceCases() caseTable {
	return caseTable{
		"qty_unit_suspect": {
			{name: "a core and 1Gi", subject: aWorkload(), want: Fine},
			{name: "memory request 512m", subject: sized(requests(-1, 512)), want: Critical, detail: `request is 0\.512 bytes`},
			{name: "memory limit 512 bytes", subject: sized(limits(-1, 512_000)), want: Critical, detail: `limit is 512 bytes`},
			{name: "memory limit 1Mi", subject: sized(limits(-1, mebibyte)), want: Critical, detail: `limit is 1Mi`},
			{name: "memory request 512Ki", subject: sized(requests(-1, 512_000<<10)), want: Critical, detail: `512Ki`},
			{name: "memory request 1Mi says next to nothing", subject: sized(requests(-1, mebibyte)), want: Info, detail: `1Mi`},
			{name: "memory 4Mi", subject: sized(requests(-1, 4*mebibyte), limits(-1, 4*mebibyte)), want: Fine},
			{name: "memory request 0", subject: sized(requests(-1, 0)), want: Fine},
			{name: "0.1Gi is a fraction of bytes and makes sense", subject: sized(requests(-1, 107_374_182_400), limits(-1, 107_374_182_400)), want: Fine},
			{name: "nothing is written", subject: sized(func(c *state.ContainerSpec) { c.Requests, c.Limits = state.Resources{}, state.Resources{} }), want: Fine},
			{name: "an init container, too", subject: aWorkload(withContainers(aContainer("migrate", ofType(state.InitContainer), requests(-1, 512)))), want: Critical},
			{name: "500 cores are requested", subject: sized(requests(500_000, -1), limits(500_000, -1)), want: Critical, detail: `500 cores are requested: 500m`},
			{name: "a limit becomes the request", subject: sized(limits(100_000, -1), func(c *state.ContainerSpec) { c.Requests.CPU = state.Quantity{} }), want: Critical},
			{name: "a limit of 200 cores", subject: sized(limits(200_000, -1)), want: Warning, detail: `limit is 200 cores`},
			{name: "64 cores and 128Gi", subject: sized(requests(64_000, 128<<10*mebibyte), limits(64_000, 128<<10*mebibyte)), want: Fine},
			{name: "64 cores and 512Mi", subject: sized(limits(64_000, 512*mebibyte)), want: Warning},
			{name: "100 cores and 400Gi", subject: sized(requests(100_000, 400<<10*mebibyte), limits(100_000, 400<<10*mebibyte)), want: Fine},
			{name: "250 cores and no memory", subject: sized(withoutMemory, limits(250_000, -1)), want: Warning},
			{name: "96 cores and no memory", subject: sized(withoutMemory, limits(96_000, -1)), want: Fine},
			{name: "128 cores and no memory", subject: sized(withoutMemory, limits(128_000, -1)), want: Fine},
			{name: "150 cores and a request of memory alone", want: Fine, subject: sized(requests(150_000, 600<<10*mebibyte), limits(150_000, -1),
				func(c *state.ContainerSpec) { c.Limits.Memory = state.Quantity{} })},
			{name: "33.5 cores", subject: sized(limits(33_500, 64*mebibyte)), want: Fine},
			{name: "31 cores", subject: sized(limits(31_000, 64*mebibyte)), want: Fine},
			{name: "ready pods prove the request", subject: running(sized(requests(100_000, -1), limits(100_000, -1))), want: Fine},
		},
		"requests_ne_limits": {
			{name: "equal", subject: aWorkload(), want: Fine},
			{name: "memory", subject: sized(requests(-1, 512*mebibyte)), want: Info, detail: `^requested are memory 512Mi of 1Gi$`},
			{name: "CPU", subject: sized(requests(250, -1)), want: Info, detail: `^requested are CPU 250m of 1$`},
			{name: "limits only", subject: sized(func(c *state.ContainerSpec) { c.Requests = state.Resources{} }), want: Fine},
			{name: "a request of memory without a limit is another matter", subject: sized(func(c *state.ContainerSpec) { c.Limits.Memory = state.Quantity{} }), want: Fine},
			{name: "no CPU limit", subject: sized(func(c *state.ContainerSpec) { c.Limits.CPU = state.Quantity{} }), want: Fine},
			{name: "a sidecar", subject: aWorkload(withContainers(aContainer("proxy", ofType(state.SidecarContainer), requests(10, -1)))), want: Info},
			{name: "an init container", subject: aWorkload(withContainers(aContainer("migrate", ofType(state.InitContainer), requests(10, -1)))), want: Fine},
			{name: "a Job", subject: aWorkload(withContainers(aContainer("app", requests(10, -1))), ofKind(state.Jobs)), want: Fine},
		},
		"resources_missing": {
			{name: "all is there", subject: aWorkload(), want: Fine},
			{name: "nothing", subject: sized(func(c *state.ContainerSpec) { c.Requests, c.Limits = state.Resources{}, state.Resources{} }), want: Info,
				detail: `^it has no CPU request, no memory request, no memory limit$`},
			{name: "no memory limit", subject: sized(func(c *state.ContainerSpec) { c.Limits.Memory = state.Quantity{} }), want: Info, detail: `^it has no memory limit$`},
			{name: "a memory limit of zero is none", subject: sized(func(c *state.ContainerSpec) { c.Limits.Memory = state.Quantity{Set: true} }), want: Info},
			{name: "limits only", subject: sized(func(c *state.ContainerSpec) { c.Requests = state.Resources{} }), want: Fine},
			{name: "no CPU limit", subject: sized(func(c *state.ContainerSpec) { c.Limits.CPU = state.Quantity{} }), want: Fine},
			{name: "no CPU at all", subject: sized(func(c *state.ContainerSpec) { c.Limits.CPU, c.Requests.CPU = state.Quantity{}, state.Quantity{} }), want: Info, detail: `^it has no CPU request$`},
			{name: "an init container", subject: aWorkload(withContainers(aContainer("migrate", ofType(state.InitContainer), withoutMemory))), want: Fine},
			{name: "a Job", subject: aWorkload(withContainers(aContainer("app", withoutMemory)), ofKind(state.Jobs)), want: Info},
		},
	}
}

// sized is a workload of which no pod is ready yet, with one container of that size.
func sized(options ...func(*state.ContainerSpec)) *state.SetupView {
	w := aWorkload(withContainers(aContainer("app", options...)))
	w.Ready, w.Placement = 0, nil
	return w
}

func running(w *state.SetupView) *state.SetupView {
	withReplicas(3)(w)
	return w
}

// requests sets thousandths of cores and of bytes; below zero leaves one as it is.
func requests(cpu, memory int64) func(*state.ContainerSpec) {
	return func(c *state.ContainerSpec) { resize(&c.Requests, cpu, memory) }
}

func limits(cpu, memory int64) func(*state.ContainerSpec) {
	return func(c *state.ContainerSpec) { resize(&c.Limits, cpu, memory) }
}

func resize(r *state.Resources, cpu, memory int64) {
	if cpu >= 0 {
		r.CPU = state.Quantity{Set: true, Milli: cpu}
	}
	if memory >= 0 {
		r.Memory = state.Quantity{Set: true, Milli: memory}
	}
}

func withoutMemory(c *state.ContainerSpec) {
	c.Requests.Memory, c.Limits.Memory = state.Quantity{}, state.Quantity{}
}

func TestQuantitiesAreWrittenAsPeopleDo(t *testing.T) {
	for want, milli := range map[string]int64{
		"1Gi": 1024 * mebibyte, "1536Mi": 1536 * mebibyte, "4Mi": 4 * mebibyte, "3Ki": 3 * 1024 * 1000, "512 bytes": 512_000, "0.512 bytes": 512, "0 bytes": 0,
	} {
		if got := memoryText(state.Quantity{Set: true, Milli: milli}); got != want {
			t.Errorf("memory of %d: got %s, want %s", milli, got, want)
		}
	}
	for want, milli := range map[string]int64{"2": 2000, "250m": 250, "1500m": 1500} {
		if got := cpuText(state.Quantity{Set: true, Milli: milli}); got != want {
			t.Errorf("CPU of %d: got %s, want %s", milli, got, want)
		}
	}
}
