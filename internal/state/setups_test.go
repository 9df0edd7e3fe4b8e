// SPDX-License-Identifier: Apache-2.0

package state

import (
	"testing"
	"time"
)

// aTemplate is what web is made of: one container with a liveness and a readiness probe.
func aTemplate() *Template {
	return &Template{
		Labels: MakeLabels(map[string]string{"app": "web", "tier": "front"}), Grace: 30 * time.Second,
		Containers: []ContainerSpec{{
			Name:       Sym("app"),
			Liveness:   &Probe{Handler: HandlerHTTP, InitialDelay: 10 * time.Second, Period: 10 * time.Second, Timeout: time.Second, Failure: 3, Success: 1},
			Readiness:  &Probe{Handler: HandlerHTTP, Period: 10 * time.Second, Timeout: time.Second, Failure: 3, Success: 1},
			References: []Reference{{Kind: EnvAll, ConfigMap: Sym("settings")}},
		}},
	}
}

func templated(w *Workload) { w.Template, w.Created = aTemplate(), 1_600_000_000 }

func (b *bench) setup(t *testing.T, name string) *SetupView {
	t.Helper()
	for _, v := range b.store.Snapshot().Setups {
		if v.Ref.Name.String() == name {
			return v
		}
	}
	return nil
}

func selectorOf(key, value string) Selector { return SelectorFromMap(map[string]string{key: value}) }

func TestSetupStaysTheSameUntilSomethingOfItChanges(t *testing.T) {
	b := newBench(Nodes, Deployments, Services, PodDisruptionBudgets, HorizontalPodAutoscalers, ConfigMaps, Pods, Events)
	node := func(name string) *Node {
		return &Node{Meta: Meta{Name: name, UID: ParseUID(name)}, Ready: Sym("True"), Zone: Sym("a")}
	}
	b.put(node("node-1"))
	b.put(deployment(b, 1, 1, templated))
	ready := func(p *Pod) { p.Containers[0].HasReady = true }
	b.put(pod("web-1", ready))
	meta := func(name string) Meta {
		return Meta{Namespace: Sym("shop"), Name: name, UID: ParseUID(name + b.store.now().text())}
	}
	service := &Service{Meta: meta("web"), Selector: selectorOf("app", "web")}
	before := b.setup(t, "web")
	for _, change := range []struct {
		name  string
		do    func()
		other bool
		see   func(*SetupView) bool
	}{
		{"nothing", func() {}, false, nil},
		{"time", func() { b.now += 3600 }, false, nil},
		{"an equal template in another version", func() { b.put(deployment(b, 1, 1, templated)) }, false, nil},
		{"the pod's status", func() { b.put(pod("web-1", ready)) }, false, nil},
		{"a Service of another app", func() { b.put(&Service{Meta: meta("other"), Selector: selectorOf("app", "other")}) }, false, nil},
		{"its Service", func() { b.put(service) }, true, func(v *SetupView) bool { return len(v.Services) == 1 }},
		{"an equal Service read again", func() { again := *service; b.put(&again) }, true,
			func(v *SetupView) bool { return v.Services[0] != service }},
		{"a budget by expression", func() {
			b.put(&DisruptionBudget{Meta: meta("pdb"), Selector: Selector{{Key: Sym("tier"), Op: OpExists}}})
		}, true, func(v *SetupView) bool { return len(v.Budgets) == 1 }},
		{"a second budget", func() { b.put(&DisruptionBudget{Meta: meta("all"), Selector: Selector{}}) }, true,
			func(v *SetupView) bool { return len(v.Budgets) == 2 }},
		{"a budget of nothing", func() { b.put(&DisruptionBudget{Meta: meta("none")}) }, false, nil},
		{"its ConfigMap", func() { b.put(&ConfigMap{Meta: meta("settings")}) }, true,
			func(v *SetupView) bool { return len(v.ConfigMaps) == 1 }},
		{"another ConfigMap", func() { b.put(&ConfigMap{Meta: meta("others")}) }, false, nil},
		{"its autoscaler", func() {
			b.put(&Autoscaler{Meta: meta("hpa"), TargetKind: Sym("deployment"), TargetName: Sym("web")})
		}, true, func(v *SetupView) bool { return v.Autoscaled }},
		{"a node", func() { b.put(node("node-2")) }, true, func(v *SetupView) bool { return v.Cluster.Schedulable == 2 }},
		{"a failing probe", func() {
			b.put(&ProbeEvent{Meta: meta("event"), Pod: ParseUID("web-1"), Container: Sym("app"), Last: b.now})
		}, true, func(v *SetupView) bool { return len(v.Probes) == 1 }},
		{"the end of its time", func() { b.now += 12 * minute }, true, func(v *SetupView) bool { return len(v.Probes) == 0 }},
		{"the Service's end", func() { b.store.Delete(Scope{Kind: Services}, service) }, true,
			func(v *SetupView) bool { return len(v.Services) == 0 }},
		{"another replica", func() { b.put(deployment(b, 2, 1, templated)) }, true, func(v *SetupView) bool { return v.Desired == 2 }},
	} {
		change.do()
		after := b.setup(t, "web")
		if after == nil || (after != before) != change.other || change.see != nil && !change.see(after) {
			t.Errorf("%s: %+v, another view: %t, want %t", change.name, after, after != before, change.other)
		}
		before = after
	}
	if before.Pods != 1 || before.Ready != 1 || len(before.Placement) != 1 || before.Placement[0].Zone.String() != "a" {
		t.Errorf("pods: %+v", before)
	}
}

func (t Time) text() string { return time.Unix(int64(t), 0).String() }

func TestSetupsOfWhatHasNoController(t *testing.T) {
	b := newBench(CronJobs, Jobs, Pods, Services)
	alone := &Alone{Template: aTemplate()}
	meta := func(name string) Meta { return Meta{Namespace: Sym("shop"), Name: name, UID: ParseUID(name)} }
	b.put(&CronJob{Meta: meta("report"), Template: aTemplate()})
	b.put(&Job{Meta: meta("import"), Template: aTemplate()})
	b.put(pod("bare", func(p *Pod) { p.Owner, p.Alone = Owner{}, alone }))
	b.put(pod("etcd-node-1", func(p *Pod) { p.Owner = Owner{Kind: Sym("Node"), Name: Sym("node-1")}; p.Alone = alone }))
	b.put(&Service{Meta: meta("web"), Selector: selectorOf("app", "web")})
	for name, kind := range map[string]WorkloadType{"report": TypeCronJob, "import": TypeJob, "bare": TypePod, "etcd": TypeStaticPod} {
		v := b.setup(t, name)
		if v == nil || v.Ref.Type.String() != kind || len(v.Services) != 1 {
			t.Errorf("%s: %+v", name, v)
		} else if again := b.setup(t, name); again != v {
			t.Errorf("%s is made anew although nothing has changed", name)
		}
	}
	b.store.Delete(Scope{Kind: Pods}, pod("bare", nil))
	if v := b.setup(t, "bare"); v != nil {
		t.Errorf("a pod that is gone is still judged: %+v", v)
	}
}

// A start is what lies between the start of a container and its first being ready; what comes later is none.
func TestStartFacts(t *testing.T) {
	const begin = 1_700_000_000
	starting := func(p *Pod) {
		p.Ready, p.ReadySince = False, begin-5
		p.Containers[0].Ready, p.Containers[0].HasReady, p.Containers[0].Since = false, true, begin
	}
	readyAt := func(at Time) func(*Pod) {
		return func(p *Pod) { starting(p); p.Ready, p.ReadySince, p.Containers[0].Ready = True, at, true }
	}
	unready := func(at Time) func(*Pod) { return func(p *Pod) { starting(p); p.ReadySince = at } }
	for name, c := range map[string]struct {
		states []func(*Pod)
		want   time.Duration
	}{
		"seen whole":                         {[]func(*Pod){starting, readyAt(begin + 42)}, 42 * time.Second},
		"ready when first seen":              {[]func(*Pod){readyAt(begin + 42)}, 42 * time.Second},
		"ready for the second time":          {[]func(*Pod){starting, readyAt(begin + 42), unready(begin + 100), readyAt(begin + 200)}, 42 * time.Second},
		"first seen after it had been ready": {[]func(*Pod){unready(begin + 100), readyAt(begin + 200)}, 0},
		"ready again long ago":               {[]func(*Pod){readyAt(begin + 7200)}, 0},
		"not ready yet":                      {[]func(*Pod){starting}, 0},
		"restarted":                          {[]func(*Pod){func(p *Pod) { readyAt(begin + 42)(p); p.Containers[0].Restarts = 1 }}, 0},
		"another container decides as well": {[]func(*Pod){func(p *Pod) {
			readyAt(begin + 42)(p)
			p.Containers = append(p.Containers, p.Containers[0])
			p.Containers[1].Name = Sym("proxy")
		}}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(Deployments, Pods)
			b.put(deployment(b, 1, 1, templated))
			for _, state := range c.states {
				b.now += 300
				b.put(pod("web-1", state))
			}
			var got time.Duration
			if v := b.setup(t, "web"); len(v.Starts) > 0 {
				got = v.Starts[0].ToReady
			}
			if got != c.want {
				t.Errorf("start to ready %s, want %s", got, c.want)
			}
		})
	}
}

func TestNewestTemplatesStartsCount(t *testing.T) {
	b := newBench(Deployments, Pods)
	b.put(deployment(b, 1, 1, templated))
	for i, took := range []Time{200, 20, 50} {
		name := string(rune('a' + i))
		b.put(pod(name, func(p *Pod) {
			p.Revision, p.Owner.Name, p.Owner.UID = Sym(name), Sym("web-"+name), ParseUID(name)
			p.Containers[0].HasReady, p.Containers[0].Since, p.ReadySince = true, b.now, b.now+took
		}))
	}
	if v := b.setup(t, "web"); len(v.Starts) != 1 || v.Starts[0].ToReady != 50*time.Second {
		t.Errorf("starts %+v, want 50s", v.Starts)
	}
}

// With a delay of 10 s, a period of 10 s, 3 failures, a timeout of 1 s and a grace of 30 s the kubelet ends a container that was
// never alive 30 to 71 s after its start.
func TestKilledAtStart(t *testing.T) {
	const begin = 1_700_000_000
	killed := func(after Time, code int32) func(*Pod) {
		return func(p *Pod) {
			c := &p.Containers[0]
			c.HasReady, c.Ready, c.Restarts, c.Since = true, false, 1, begin+after+1
			c.Last = Termination{Reason: Sym("Error"), ExitCode: code, Started: begin, Finished: begin + after}
		}
	}
	for name, c := range map[string]struct {
		edit      func(*Pod)
		before    func(*Pod)
		kills     int32
		recovered bool
	}{
		"killed":            {edit: killed(45, 137), kills: 1},
		"ended in time":     {edit: killed(45, 143), kills: 1},
		"crashed":           {edit: killed(45, 1)},
		"too early for it":  {edit: killed(20, 137)},
		"long after":        {edit: killed(300, 137)},
		"out of memory":     {edit: func(p *Pod) { killed(45, 137)(p); p.Containers[0].Last.Reason = Sym("OOMKilled") }},
		"it had been ready": {before: func(p *Pod) { p.Containers[0].Since, p.Containers[0].HasReady = begin, true }, edit: killed(45, 137)},
		"and came back":     {edit: func(p *Pod) { killed(45, 137)(p); p.Containers[0].Ready = true }, kills: 1, recovered: true},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(Deployments, Pods)
			b.put(deployment(b, 1, 1, templated))
			if c.before != nil {
				b.put(pod("web-1", c.before))
			}
			b.put(pod("web-1", c.edit))
			var got StartFact
			if v := b.setup(t, "web"); len(v.Starts) > 0 {
				got = v.Starts[0]
			}
			if got.KilledAtStart != c.kills || c.kills > 0 && got.Recovered != c.recovered {
				t.Errorf("%+v, want %d kills, recovered %t", got, c.kills, c.recovered)
			}
		})
	}
}
