// SPDX-License-Identifier: Apache-2.0

package collectors

import (
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/go-kit/log"

	"stability-exporter/internal/state"
)

// BenchmarkAll renders 5,000 healthy workloads with their Services, about 115,000 series.
func BenchmarkAll(b *testing.B) {
	s := typicalSnapshot(5000)
	specs, err := All(Options{})
	if err != nil {
		b.Fatal(err)
	}
	emitters, collectors := make([]*Emitter, len(specs)), make([]Collector, len(specs))
	for i, spec := range specs {
		emitters[i], collectors[i] = NewEmitter(spec.Families), spec.New(log.NewNopLogger())
	}
	b.ReportAllocs()
	for b.Loop() {
		for i, c := range collectors {
			emitters[i].Reset()
			if err := c.Collect(s, emitters[i]); err != nil {
				b.Fatal(err)
			}
			if _, err := emitters[i].WriteTo(io.Discard); err != nil {
				b.Fatal(err)
			}
		}
	}
	var text []byte
	for _, e := range emitters {
		text = e.AppendTo(text)
	}
	samples := countSamples(text)
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(samples), "ns/sample")
	b.ReportMetric(float64(samples), "samples")
	b.ReportMetric(float64(len(text)), "bytes")
}

// typicalSnapshot returns n healthy workloads of one container each in three zones, with a Service each.
func typicalSnapshot(n int) *state.Snapshot {
	s := &state.Snapshot{Now: testNow}
	s.SetObserved(^state.Kinds(0))
	for _, zone := range []string{"region-1a", "region-1b", "region-1c"} {
		s.Zones = append(s.Zones, state.ZoneView{Name: zone, Nodes: [...]int32{10, 0, 0, 0}, EvictionLimit: 0.1})
	}
	for i := range n {
		name := fmt.Sprintf("customer-portal-web-%06d", i)
		ref := state.WorkloadRef{Namespace: state.Sym("production"), Name: state.Sym(name), Type: state.Sym("deployment")}
		s.Workloads = append(s.Workloads, state.WorkloadView{
			Ref: ref, HasStatus: true, Desired: 6, Current: 6, Updated: 6, Ready: 6, Available: 6, MinAvailable: 5,
			PodsKnown: true, ZoneAvailable: []int32{2, 2, 2}, SurvivableNode: 5. / 6, SurvivableZone: 4. / 6,
		})
		s.Restarts = append(s.Restarts, state.RestartView{
			Ref: ref, Containers: []state.ContainerRestarts{{Name: "app"}},
		})
		setup := carefulSetup(ref)
		s.Setups = append(s.Setups, setup)
		s.Services = append(s.Services, state.ServiceView{Namespace: "production", Name: name, Object: setup.Services[0], ReadyEndpoints: 6})
		s.Budgets = append(s.Budgets, state.BudgetView{Namespace: "production", Name: name, Object: setup.Budgets[0]})
	}
	return s
}

// carefulSetup is what a careful team writes: six replicas in three zones, all three probes, equal requests and limits, a pinned
// image, a Service and a budget.
func carefulSetup(ref state.WorkloadRef) *state.SetupView {
	ask := func(path string, failure int32) *state.Probe {
		return &state.Probe{Handler: state.HandlerHTTP, Path: state.Sym(path), PortName: state.Sym("http"),
			Period: 10 * time.Second, Timeout: time.Second, Success: 1, Failure: failure}
	}
	size := state.Resources{CPU: state.Quantity{Set: true, Milli: 1000}, Memory: state.Quantity{Set: true, Milli: 1000 << 30}}
	labels := map[string]string{"app": ref.Name.String()}
	selector := state.SelectorFromMap(labels)
	setup := &state.SetupView{
		Ref: ref, Kind: state.Deployments, Desired: 6, Pods: 6, Ready: 6, Cluster: &state.Shape{Schedulable: 30, Zones: 3},
		MaxUnavailable: state.IntOrPercent{Value: 25, Percent: true}, MaxSurge: state.IntOrPercent{Value: 25, Percent: true},
		ProgressDeadline: 10 * time.Minute,
		Services: []*state.Service{{Meta: state.Meta{Namespace: ref.Namespace, Name: ref.Name.String()}, Selector: selector,
			Ports: []state.ServicePort{{Port: 80, TargetName: state.Sym("http")}}}},
		Budgets: []*state.DisruptionBudget{{Meta: state.Meta{Namespace: ref.Namespace, Name: ref.Name.String()}, Selector: selector,
			MaxUnavailable: &state.IntOrPercent{Value: 1}, HasStatus: true, DisruptionsAllowed: 1, CurrentHealthy: 6, DesiredHealthy: 5, ExpectedPods: 6}},
		Template: &state.Template{
			Labels: state.MakeLabels(labels), Grace: 30 * time.Second,
			Containers: []state.ContainerSpec{{
				Name: state.Sym("app"), Image: state.Image{Repository: state.Sym("example/app"), Tag: state.Sym("1.4.2")},
				Ports: []state.Port{{Name: state.Sym("http"), Number: 8080}}, Requests: size, Limits: size,
				Liveness: ask("/livez", 3), Readiness: ask("/readyz", 3), Startup: ask("/livez", 30),
				PreStop: state.Hook{Native: true, Sleep: 5 * time.Second},
			}},
			Spread: []state.SpreadTerm{{Kind: state.AntiAffinityPreferred, TopologyKey: state.Sym("kubernetes.io/hostname"), Selector: selector}},
		},
	}
	for i := range 6 {
		setup.Placement = append(setup.Placement, state.NodeShare{Node: state.Sym(fmt.Sprintf("node-%d", i)), Zone: state.Sym(fmt.Sprintf("zone-%d", i%3)), Pods: 1})
	}
	return setup
}

// largeSnapshot returns what 100,000 pods on 1,000 nodes come to: 5,000 workloads, every tenth of them in trouble, be it
// a crash loop, a rollout that hangs at its image, or pods that do not become ready.
func largeSnapshot() *state.Snapshot {
	s := typicalSnapshot(5000)
	for i := 0; i < len(s.Workloads); i += 10 {
		w, r := &s.Workloads[i], &s.Restarts[i]
		w.State, w.Available, w.Ready = state.Degraded, 3, 3
		w.DamagedSince, w.DamageDelta, w.DamagedShare = testNow-4000, 3, 1./3
		switch i % 3 {
		case 0:
			w.Causes, w.Abnormal = []state.Count{{Name: "crash_loop", N: 3}}, []state.Count{{Name: "CrashLoopBackOff", N: 3}}
			r.Containers = []state.ContainerRestarts{{
				Name: "app", Restarts: 70, LastRestart: testNow - 60, LastReason: "OOMKilled",
				Terminations: []state.Count64{{Name: "OOMKilled", N: 70}},
			}}
		case 1:
			w.Causes, w.Abnormal = []state.Count{{Name: "image_pull", N: 3}}, []state.Count{{Name: "ImagePullBackOff", N: 3}}
			w.ImagePull = []state.Count{{Name: "registry.example.com", N: 3}}
			w.ImagePullSince = testNow - 4000
			w.Rolling, w.Stuck, w.RolloutStarted, w.LastProgress = true, true, testNow-4000, testNow-3000
		case 2:
			w.Causes, w.Abnormal = []state.Count{{Name: "readiness_probe", N: 3}}, []state.Count{{Name: "NotReady", N: 3}}
		}
	}
	for i := range 1000 {
		s.Nodes = append(s.Nodes, state.NodeView{
			Name: fmt.Sprintf("worker-pool-blue-%06d", i), Zone: "region-1a", Ready: i%10 > 0, ReadySince: testNow - 90000,
		})
	}
	return s
}

// A default vmagent drops answers of more than 16 MiB. The findings on misconfigurations need their part of it, too.
func TestALargeClusterFitsIntoOneScrape(t *testing.T) {
	const limit, findings = 16 << 20, 500 * 250
	text := collectAll(t, largeSnapshot())
	t.Logf("%d series, %d bytes", countSamples(text), len(text))
	if len(text) > limit-findings {
		t.Errorf("%d bytes, at most %d", len(text), limit-findings)
	}
}

func TestATypicalHealthyWorkloadWithItsServiceStaysWithinTheSeriesBudget(t *testing.T) {
	const budget = 23
	none := countSamples(collectAll(t, typicalSnapshot(0)))
	if per := countSamples(collectAll(t, typicalSnapshot(1))) - none; per == 0 || per > budget {
		t.Errorf("%d series for one workload with its Service, want at most %d:\n%s", per, budget, collectAll(t, typicalSnapshot(1)))
	}
}

func TestCollectingAllocatesNothingPerSample(t *testing.T) {
	const perRun = 20 // with the race detector, which keeps less on the stack; a tenth of one for each workload
	s := typicalSnapshot(200)
	specs, err := All(Options{WorkloadLabels: []string{"team"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, spec := range specs {
		c, e := spec.New(log.NewNopLogger()), NewEmitter(spec.Families)
		run := func() {
			e.Reset()
			if err := c.Collect(s, e); err != nil {
				t.Fatal(err)
			}
		}
		run()
		if n := testing.AllocsPerRun(10, run); n > perRun {
			t.Errorf("collector %s: %v allocations for 200 workloads, want no more than %d per run", spec.Name, n, perRun)
		}
	}
}
