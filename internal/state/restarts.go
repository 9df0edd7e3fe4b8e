// SPDX-License-Identifier: Apache-2.0

package state

import (
	"slices"
	"time"
)

// restartAccount is what was counted of the containers of one workload. It outlives every pod.
type restartAccount struct {
	containers  []containerAccount
	log         []restartEntry // by time
	disruptions []Count64
	inspected   uint64 // restarts of all containers at the last inspection
}

type containerAccount struct {
	name         Symbol
	kind         ContainerType
	restarts     uint64
	terminations []Count64
	last         Time
	lastReason   string
}

// restartEntry is a number of restarts at one moment; the delta gauges add up those inside their window.
type restartEntry struct {
	At       Time   `json:"at"`
	Restarts uint32 `json:"restarts"`
	OOMKills uint32 `json:"oomKills,omitempty"`
}

const (
	restartHorizon = 24 * time.Hour
	// exactEntries is how many entries are kept to the second. Beyond, those of a minute (in the last hour) and of a
	// quarter of an hour (before) are joined, so that a container that restarts all day costs a few hundred bytes.
	exactEntries = 128
)

func (a *restartAccount) container(name Symbol, kind ContainerType) *containerAccount {
	for i := range a.containers {
		if c := &a.containers[i]; c.name == name && c.kind == kind {
			return c
		}
	}
	a.containers = append(a.containers, containerAccount{name: name, kind: kind})
	return &a.containers[len(a.containers)-1]
}

// total is the sum of the containers' counters.
func (a *restartAccount) total() uint64 {
	n := uint64(0)
	for i := range a.containers {
		n += a.containers[i].restarts
	}
	return n
}

// countedPod says what of a pod that is seen for the first time counts.
type countedPod uint8

const (
	// countAll: the pod came into being while we knew every pod of its scope.
	countAll countedPod = iota
	// countProven: it may be old. The counter takes nothing; the windows take what the API proves.
	countProven
)

// firstSeen accounts for a pod that was not known.
func (a *restartAccount) firstSeen(p *Pod, mode countedPod, now Time) {
	for i := range p.Containers {
		c := &p.Containers[i]
		if mode == countAll {
			a.restarted(c, c.Restarts, p.Created, now)
			continue
		}
		account := a.container(c.Name, c.Type)
		account.note(c.Last)
		if c.Restarts <= 0 {
			continue
		}
		// Restarts at unknown times lie after the creation; one of them is dated by the last termination. A window
		// that began before the pod thus holds them all, a later one the dated one at most.
		earlier := c.Restarts
		if c.Last.Finished != 0 {
			earlier--
			a.enter(c.Last.Finished, 1, oomKills(c.Last), now)
		}
		a.enter(p.Created, uint32(earlier), 0, now)
	}
	if mode == countAll {
		a.disrupted(nil, p)
	}
}

// changed accounts for a pod of which an earlier state is known.
func (a *restartAccount) changed(old, p *Pod, now Time) {
	for i := range p.Containers {
		c := &p.Containers[i]
		before, known := old.containerNamed(c.Name, c.Type)
		since := p.Created
		if known {
			since = max(since, before.Last.Finished)
		}
		a.restarted(c, newRestarts(before, c), since, now)
	}
	a.disrupted(old, p)
}

// handOver moves what the first sight of a pod proved to the workload it turned out to belong to.
func (e *entity) handOver(p *Pod, home *entity, now Time) {
	for i := range p.Containers {
		c := &p.Containers[i]
		home.restarts.container(c.Name, c.Type).note(c.Last)
		dated := uint32(0)
		if c.Restarts > 0 && c.Last.Finished != 0 {
			dated = 1
		}
		e.restarts.passOn(&home.restarts, restartEntry{c.Last.Finished, dated, oomKills(c.Last)}, now)
		e.restarts.passOn(&home.restarts, restartEntry{p.Created, uint32(max(0, c.Restarts)) - dated, 0}, now)
		e.forget(c)
	}
}

func (a *restartAccount) passOn(to *restartAccount, entry restartEntry, now Time) {
	if entry.Restarts == 0 {
		return
	}
	for i := range a.log {
		if have := &a.log[i]; have.At == entry.At && have.Restarts >= entry.Restarts && have.OOMKills >= entry.OOMKills {
			have.Restarts, have.OOMKills = have.Restarts-entry.Restarts, have.OOMKills-entry.OOMKills
			if have.Restarts == 0 {
				a.log = slices.Delete(a.log, i, i+1)
			}
			to.enter(entry.At, entry.Restarts, entry.OOMKills, now)
			return
		}
	}
}

// forget drops the account of a container that no pod of the entity has and nothing was counted of.
func (e *entity) forget(c *Container) {
	for _, p := range e.pods {
		if _, has := p.containerNamed(c.Name, c.Type); has {
			return
		}
	}
	e.restarts.containers = slices.DeleteFunc(e.restarts.containers, func(a containerAccount) bool {
		return a.name == c.Name && a.kind == c.Type && a.restarts == 0
	})
}

// newRestarts is how often a container was restarted between two states. A count that fell was reset (the kubelet lost
// its memory): the new count stands for restarts only if the last of them is newer than any known.
func newRestarts(before, c *Container) int32 {
	switch {
	case before == nil:
		return c.Restarts
	case c.Restarts >= before.Restarts:
		return c.Restarts - before.Restarts
	case c.Last.Finished > before.Last.Finished:
		return c.Restarts
	}
	return 0
}

// restarted counts n restarts of a container, the last of which its lastState dates and explains. The others lie
// between since and that.
func (a *restartAccount) restarted(c *Container, n int32, since, now Time) {
	account := a.container(c.Name, c.Type)
	account.note(c.Last)
	if n <= 0 {
		return
	}
	account.restarts += uint64(n)
	at := now
	if c.Last.Finished > since && c.Last.Finished < now {
		at = c.Last.Finished
	}
	// Only the last end is known; of a burst that one sample hides the others most likely ended the same way.
	reason := "Unknown"
	if c.Last.Finished != 0 {
		reason = TerminationReason(c.Last)
	}
	addCount64(&account.terminations, reason, uint64(n))
	oom := uint32(0)
	if reason == "OOMKilled" {
		oom = uint32(n)
	}
	a.enter(at, uint32(n), oom, now)
}

func (c *containerAccount) note(t Termination) {
	if t.Finished > c.last {
		c.last, c.lastReason = t.Finished, TerminationReason(t)
	}
}

func (a *restartAccount) disrupted(old, p *Pod) {
	reason := disruptionReason(p)
	if reason == "" || old != nil && disruptionReason(old) != "" {
		return
	}
	addCount64(&a.disruptions, reason, 1)
}

// enter puts n restarts at a moment into the log.
func (a *restartAccount) enter(at Time, n, oom uint32, now Time) {
	at = min(at, now)
	if n == 0 || !at.Within(restartHorizon, now) {
		return
	}
	i, found := slices.BinarySearchFunc(a.log, at, func(e restartEntry, t Time) int { return int(e.At - t) })
	if !found {
		a.log = slices.Insert(a.log, i, restartEntry{At: at})
	}
	a.log[i].Restarts += n
	a.log[i].OOMKills += oom
	a.compact(now)
}

// compact forgets what no window reaches and joins entries when there are many.
func (a *restartAccount) compact(now Time) {
	old := 0
	for old < len(a.log) && !a.log[old].At.Within(restartHorizon, now) {
		old++
	}
	a.log = slices.Delete(a.log, 0, old)
	if len(a.log) <= 2*exactEntries {
		return
	}
	joined := a.log[:1]
	for _, e := range a.log[1:] {
		step := Time(60)
		if !e.At.Within(time.Hour+time.Minute, now) {
			step = 15 * 60
		}
		if last := &joined[len(joined)-1]; last.At/step == e.At/step {
			last.At, last.Restarts, last.OOMKills = e.At, last.Restarts+e.Restarts, last.OOMKills+e.OOMKills
			continue
		}
		joined = append(joined, e)
	}
	a.log = joined
}

// within adds up the restarts and OOM kills of the last d.
func (a *restartAccount) within(d time.Duration, now Time) (restarts, oomKills uint64) {
	for i := len(a.log) - 1; i >= 0 && a.log[i].At.Within(d, now); i-- {
		restarts += uint64(a.log[i].Restarts)
		oomKills += uint64(a.log[i].OOMKills)
	}
	return restarts, oomKills
}

func (p *Pod) containerNamed(name Symbol, kind ContainerType) (*Container, bool) {
	for i := range p.Containers {
		if c := &p.Containers[i]; c.Name == name && c.Type == kind {
			return c, true
		}
	}
	return nil, false
}

func oomKills(t Termination) uint32 {
	if TerminationReason(t) == "OOMKilled" {
		return 1
	}
	return 0
}

// TerminationReason is the bounded reason of an ended container. The exit code outweighs the kubelet's reason where the
// runtime reads a cumulative counter: a container that ended by SIGTERM was not killed for its memory (kubernetes issue 140716).
func TerminationReason(t Termination) string {
	switch reason := t.Reason.String(); {
	case reason == "ContainerStatusUnknown":
		return "Unknown"
	case t.ExitCode == 143:
		return "SIGTERM"
	case reason == "OOMKilled":
		return "OOMKilled"
	case reason == "ContainerCannotRun", reason == "StartError", t.ExitCode == 126, t.ExitCode == 127:
		return "StartError"
	case t.ExitCode == 137:
		return "SIGKILL"
	case t.ExitCode == 139:
		return "SIGSEGV"
	case t.ExitCode == 134:
		return "SIGABRT"
	case t.ExitCode == 0:
		return "Completed"
	}
	return "Error"
}

// disruptionReason is the bounded reason for which a pod was lost, and "" for one that was not, or that its owner
// removed by plan.
func disruptionReason(p *Pod) string {
	switch p.Disruption.String() {
	case "EvictionByEvictionAPI":
		return "EvictionAPI"
	case "PreemptionByScheduler", "PreemptionByKubeScheduler":
		return "Preempted"
	case "DeletionByTaintManager":
		return "TaintManager"
	case "TerminationByKubelet":
		if p.Reason.String() == "Evicted" {
			return "Evicted"
		}
		return "NodeShutdown"
	case "DeletionByPodGC":
		return "NodeLost"
	case "":
	default:
		return "Other"
	}
	switch p.Reason.String() {
	case "Evicted", "Preempted", "NodeLost":
		return p.Reason.String()
	case "Shutdown", "NodeShutdown", "Terminated":
		return "NodeShutdown"
	}
	return ""
}

func addCount64(counts *[]Count64, name string, n uint64) {
	for i := range *counts {
		if (*counts)[i].Name == name {
			(*counts)[i].N += n
			return
		}
	}
	*counts = append(*counts, Count64{name, n})
}
