// SPDX-License-Identifier: Apache-2.0

package state

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// never is later than any moment.
const never = Time(1<<63 - 1)

// podSummary is what the pods of one workload add up to. It is made anew when one of them, or a node, has changed, or
// when time alone changes it.
type podSummary struct {
	live, ready, available int32
	causes                 [causeCount]int32
	abnormal               []Count
	unschedulable          []Count
	imagePull              []Count
	unschedulableSince     Time // of the oldest
	imagePullSince         Time // since when the oldest of them is not ready
	overdueSince           Time // when the oldest should have been gone
	overdue                int32
	zones                  []symbolCount // available pods by zone
	fullestNode            int32         // available pods on the node that has most of them
	fullestZone            int32
	notReadyNodes          int32 // distinct nodes that are not ready and have a pod of it
	availableOnReady       int32
	revisions              []revisionSummary
	labels                 []Labels // the distinct label sets of live pods
	expires                Time     // when time alone changes it
}

type symbolCount struct {
	name Symbol
	n    int32
}

// revisionSummary adds up the live pods of one template.
type revisionSummary struct {
	hash                Symbol
	unhealthy, restarts int32
	onReadyNodes        int32
	oldest, newest      Time // creation
	progress            Time // newest creation or change of Ready
}

func (s *podSummary) revision(hash Symbol) revisionSummary {
	for _, r := range s.revisions {
		if r.hash == hash && hash != (Symbol{}) {
			return r
		}
	}
	return revisionSummary{}
}

func (s *podSummary) newestRevision() (Symbol, Time) {
	var newest revisionSummary
	for _, r := range s.revisions {
		if r.newest > newest.newest {
			newest = r
		}
	}
	return newest.hash, newest.newest
}

// outdated counts the pods on ready nodes that are of another template than the one with the hash.
func (s *podSummary) outdated(hash Symbol) int32 {
	n := int32(0)
	for _, r := range s.revisions {
		if r.hash != hash {
			n += r.onReadyNodes
		}
	}
	return n
}

// summarizer holds what several workloads' summaries need of the cluster.
type summarizer struct {
	nodes    map[Symbol]*Node // nil while nodes are not observed
	minReady time.Duration
	now      Time
	byNode   map[Symbol]int32 // scratch: available pods by node, zero for a node that has none available
}

func (z *summarizer) summarize(e *entity) {
	s := &e.summary
	*s = podSummary{
		abnormal: s.abnormal[:0], unschedulable: s.unschedulable[:0], imagePull: s.imagePull[:0], zones: s.zones[:0],
		revisions: s.revisions[:0], labels: s.labels[:0], expires: never,
	}
	clear(z.byNode)
	for _, p := range e.pods {
		z.add(s, p)
	}
	for name, n := range z.byNode {
		s.fullestNode = max(s.fullestNode, n)
		if node := z.nodes[name]; z.nodes != nil && (node == nil || !node.ready()) {
			s.notReadyNodes++
		}
	}
	for _, c := range s.zones {
		s.fullestZone = max(s.fullestZone, c.n)
	}
	for _, counts := range [][]Count{s.abnormal, s.unschedulable, s.imagePull} {
		slices.SortFunc(counts, func(a, b Count) int { return strings.Compare(a.Name, b.Name) })
	}
}

func (z *summarizer) add(s *podSummary, p *Pod) {
	if reason := p.abnormal(); reason != "" {
		addCount(&s.abnormal, reason)
	}
	if p.Deleted != 0 {
		if z.now > p.Deleted {
			s.overdue++
			s.overdueSince = earliest(s.overdueSince, p.Deleted)
		} else {
			s.expires = min(s.expires, p.Deleted+1)
		}
	}
	if !p.live() {
		if p.Deleted != 0 && p.Node != (Symbol{}) {
			z.byNode[p.Node] += 0 // a daemon that cannot end because its node is dead is still desired there
		}
		return
	}
	s.live++
	if !slices.Contains(s.labels, p.Labels) {
		s.labels = append(s.labels, p.Labels)
	}
	node, known := z.nodes[p.Node]
	nodeReady := z.nodes == nil || known && node.ready()
	available := z.availability(s, p)
	if !available {
		z.explain(s, p, nodeReady || p.Node == (Symbol{}))
	}
	z.place(s, p, node, nodeReady, available)
	s.addRevision(p, available, nodeReady)
}

// availability counts the pod as ready and reports whether it has been so for minReadySeconds (IsPodAvailable in
// pkg/api/v1/pod).
func (z *summarizer) availability(s *podSummary, p *Pod) bool {
	if p.Ready != True {
		return false
	}
	s.ready++
	if z.minReady > 0 && p.ReadySince != 0 {
		if due := p.ReadySince.Add(z.minReady); due > z.now {
			s.expires = min(s.expires, due)
			return false
		}
	}
	s.available++
	return true
}

func (z *summarizer) explain(s *podSummary, p *Pod, nodeReady bool) {
	c := p.unavailableCause(nodeReady, z.now)
	s.causes[c]++
	switch c {
	case unschedulable:
		if p.ScheduledReason.String() == "Unschedulable" {
			blocker := p.Blocker.String()
			if blocker == "" {
				blocker = "other"
			}
			addCount(&s.unschedulable, blocker)
			s.unschedulableSince = earliest(s.unschedulableSince, cmp.Or(p.ScheduledSince, p.Created))
		}
	case crashLoop:
		s.expires = min(s.expires, z.now.Add(time.Minute)) // a flapping container calms down by time alone
	}
	for i := range p.Containers {
		ct := &p.Containers[i]
		if ct.State == StateWaiting && isImagePull(ct.Reason.String()) {
			addCount(&s.imagePull, ct.Registry.String())
			s.imagePullSince = earliest(s.imagePullSince, cmp.Or(p.ReadySince, p.Created))
			break
		}
	}
}

func (z *summarizer) place(s *podSummary, p *Pod, node *Node, nodeReady, available bool) {
	if p.Node == (Symbol{}) {
		return
	}
	if !available {
		z.byNode[p.Node] += 0
		return
	}
	z.byNode[p.Node]++
	if nodeReady {
		s.availableOnReady++
	}
	if node != nil {
		addSymbol(&s.zones, node.Zone, 1)
	}
}

func (s *podSummary) addRevision(p *Pod, available, nodeReady bool) {
	i := slices.IndexFunc(s.revisions, func(r revisionSummary) bool { return r.hash == p.Revision })
	if i < 0 {
		i = len(s.revisions)
		s.revisions = append(s.revisions, revisionSummary{hash: p.Revision, oldest: p.Created})
	}
	r := &s.revisions[i]
	if !available {
		r.unhealthy++
	}
	if nodeReady && p.Node != (Symbol{}) {
		r.onReadyNodes++
	}
	for j := range p.Containers {
		r.restarts += p.Containers[j].Restarts
	}
	r.oldest = min(r.oldest, p.Created)
	r.newest = max(r.newest, p.Created)
	r.progress = max(r.progress, p.Created, p.ReadySince)
}

// held is how many of the desired replicas exist only as pods that are kept from being scheduled. Those beyond desired, as
// the surge of a rollout, stand for none.
func (s *podSummary) held(desired int32) int32 {
	gated := s.causes[schedulingGated]
	return max(0, min(gated, desired-(s.live-gated)))
}

// causesOf spreads the missing replicas over the causes their pods give; what no pod explains was not created.
func (s *podSummary) causesOf(missing, desired int32) []Count {
	var counts []Count
	tell := func(c cause, n int32) {
		if n = min(n, missing); n > 0 {
			counts = append(counts, Count{causeNames[c], n})
			missing -= n
		}
	}
	tell(notCreated, desired-s.live)
	for c := notCreated + 1; c < causeCount; c++ {
		tell(c, s.causes[c])
	}
	if missing > 0 {
		// The pods are available and the controller's status has not said so yet.
		if n := len(counts); n > 0 && counts[n-1].Name == causeNames[unknownCause] {
			counts[n-1].N += missing
		} else {
			counts = append(counts, Count{causeNames[unknownCause], missing})
		}
	}
	return counts
}

// maxNames bounds how many distinct names one workload may bring into a family: whatever a cluster reports, the number
// of series stays bounded.
const maxNames = 16

func addCount(counts *[]Count, name string) {
	for i := range *counts {
		if (*counts)[i].Name == name {
			(*counts)[i].N++
			return
		}
	}
	if len(*counts) >= maxNames-1 && name != "Other" {
		addCount(counts, "Other")
		return
	}
	*counts = append(*counts, Count{name, 1})
}

// earliest returns the earlier of two times; zero is none.
func earliest(a, b Time) Time {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

func addSymbol(counts *[]symbolCount, name Symbol, n int32) {
	for i := range *counts {
		if (*counts)[i].name == name {
			(*counts)[i].n += n
			return
		}
	}
	*counts = append(*counts, symbolCount{name, n})
}
