// SPDX-License-Identifier: Apache-2.0

package state

import (
	"slices"
	"time"
)

// maxStarts bounds the templates of a workload, and the containers of a template, of which starts are remembered.
const (
	maxStartTemplates  = 2
	maxStartContainers = 16
)

// credibleStart is how long a start may seem to have taken that was not seen: Ready changes again whenever a pod ceases to be
// ready for a while, and then what lies between is no start.
const credibleStart = 30 * time.Minute

// startAccount remembers the longest starts of the newest templates of a workload, newest last.
type startAccount []templateStarts

type templateStarts struct {
	revision   Symbol
	containers []containerStart
}

type containerStart struct {
	name               Symbol
	toStarted, toReady time.Duration // the longest that were seen
	guess              time.Duration // the shortest of those that were not seen, only their ends
}

func (a *startAccount) of(revision, container Symbol) *containerStart {
	i := slices.IndexFunc(*a, func(t templateStarts) bool { return t.revision == revision })
	if i < 0 {
		if len(*a) == maxStartTemplates {
			*a = slices.Delete(*a, 0, 1)
		}
		*a = append(*a, templateStarts{revision: revision})
		i = len(*a) - 1
	}
	t := &(*a)[i]
	k := slices.IndexFunc(t.containers, func(c containerStart) bool { return c.name == container })
	if k < 0 {
		if len(t.containers) == maxStartContainers {
			return nil
		}
		t.containers = append(t.containers, containerStart{name: container})
		k = len(t.containers) - 1
	}
	return &t.containers[k]
}

// observe takes a pod's new state; old is nil when it was not known before. It reports whether something was learned.
func (a *startAccount) observe(old, p *Pod, now Time) bool {
	learned := false
	for i := range p.Containers {
		c := &p.Containers[i]
		if c.Type == InitContainer {
			continue
		}
		var before *Container
		if old != nil && i < len(old.Containers) && old.Containers[i].Name == c.Name {
			before = &old.Containers[i]
		}
		c.remember(before, p)
		if c.State == StateRunning && c.Since != 0 && c.Restarts == 0 && p.live() {
			learned = a.learn(before, c, p, now) || learned
		}
	}
	return learned
}

// remember carries over what one status alone does not tell: whether the container has been ready.
func (c *Container) remember(before *Container, p *Pod) {
	switch {
	case before == nil:
		// Ready has not changed since the container started only if it never was.
		c.wasReady = c.Ready || c.State == StateRunning && p.ReadySince > c.Since && c.Since != 0
		return
	case before.Restarts != c.Restarts:
		c.wasReady, c.endReady = c.Ready, before.wasReady
	default:
		c.wasReady, c.endReady = c.Ready || before.wasReady, before.endReady
	}
}

func (a *startAccount) learn(before, c *Container, p *Pod, now Time) bool {
	end := now
	if p.Ready == True && p.ReadySince != 0 {
		end = p.ReadySince // by the clock that told the beginning
	}
	took := end.Sub(c.Since)
	switch {
	case took <= 0:
		return false
	case before == nil:
		// Nobody saw it. The pod's Ready stands for a container only if no other decides on it.
		if !c.Ready || p.Ready != True || took > credibleStart || p.deciders() != 1 || !c.HasReady && !c.HasStart {
			return false
		}
		s := a.of(p.Revision, c.Name)
		if s == nil || s.guess != 0 && s.guess <= took {
			return false
		}
		s.guess = took
		return true
	}
	learned := false
	if s := a.of(p.Revision, c.Name); s != nil {
		if c.HasStart && c.Started && !before.Started && now.Sub(c.Since) > s.toStarted {
			s.toStarted, learned = min(took, now.Sub(c.Since)), true
		}
		if c.Ready && !before.wasReady && took > s.toReady {
			s.toReady, learned = took, true
		}
	}
	return learned
}

// deciders counts the containers whose probes decide when the pod is ready.
func (p *Pod) deciders() int {
	n := 0
	for i := range p.Containers {
		if c := &p.Containers[i]; c.Type != InitContainer && (c.HasReady || c.HasStart) {
			n++
		}
	}
	return n
}

// facts returns what is known of the starts of the newest template, and what the live pods tell of kills.
func (e *entity) startFacts(t *Template) []StartFact {
	var facts []StartFact
	for i := range t.Containers {
		spec := &t.Containers[i]
		if spec.Type == InitContainer {
			continue
		}
		f := StartFact{Container: spec.Name, Recovered: true}
		if len(e.starts) > 0 {
			for _, c := range e.starts[len(e.starts)-1].containers {
				if c.name == spec.Name {
					f.ToStarted, f.ToReady = c.toStarted, max(c.toReady, c.guess)
				}
			}
		}
		for _, p := range e.pods {
			e.countKill(&f, spec, t, p)
		}
		if f.ToStarted != 0 || f.ToReady != 0 || f.KilledAtStart != 0 {
			facts = append(facts, f)
		}
	}
	return facts
}

func (e *entity) countKill(f *StartFact, spec *ContainerSpec, t *Template, p *Pod) {
	if !p.live() || len(e.starts) > 0 && p.Revision != e.starts[len(e.starts)-1].revision {
		return
	}
	for i := range p.Containers {
		if c := &p.Containers[i]; c.Name == spec.Name && c.Type == spec.Type && c.killedAtStart(spec, t) {
			f.KilledAtStart++
			f.Recovered = f.Recovered && c.Ready
		}
	}
}

// killedAtStart reports whether the container last ended as the kubelet ends one whose liveness (or startup) probe has failed
// from its start on: between the first and the last moment at which the probe can decide that, by a signal.
// [ID+(F-1)P, ID+F*P+T] and the grace follow from pkg/kubelet/prober/worker.go.
func (c *Container) killedAtStart(spec *ContainerSpec, t *Template) bool {
	probe := spec.Liveness
	if spec.Startup != nil {
		probe = spec.Startup
	}
	if probe == nil || c.Restarts == 0 || c.Last.Started == 0 || c.Last.Finished == 0 || c.endReady && c.HasReady ||
		c.Last.ExitCode != 137 && c.Last.ExitCode != 143 || c.Last.Reason.String() == "OOMKilled" {
		return false
	}
	grace := t.Grace
	if probe.Grace != 0 {
		grace = probe.Grace
	}
	lived := c.Last.Finished.Sub(c.Last.Started)
	earliest := probe.InitialDelay + time.Duration(probe.Failure-1)*probe.Period
	latest := probe.InitialDelay + time.Duration(probe.Failure)*probe.Period + probe.Timeout + grace
	return lived >= earliest && lived <= latest+time.Second // whole seconds are reported
}
