// SPDX-License-Identifier: Apache-2.0

package state

import (
	"slices"
	"time"
)

// unknownZone stands for nodes that carry no zone label.
const unknownZone = "unknown"

// bootstrapTime is how long a node may take to become ready for the first time.
const bootstrapTime = 10 * time.Minute

// crashWindow is the window of NodeView.Crashes.
const crashWindow = time.Hour

// firstVerdict covers the moment at which a node that never reported is marked Unknown (--node-startup-grace-period 60s).
const firstVerdict = 90 * time.Second

// The defaults of the node lifecycle controller (cmd/kube-controller-manager/app/options/nodelifecyclecontroller.go).
const (
	evictionRate          = 0.1
	secondaryEvictionRate = 0.01
	unhealthyZoneShare    = 0.55
	largeZone             = 50
)

func (n *Node) zoneName() string {
	if n.Zone == (Symbol{}) {
		return unknownZone
	}
	return n.Zone.String()
}

func (n *Node) class(now Time) NodeClass {
	switch {
	case n.Deleted != 0 || n.Leaving:
		return Leaving
	case !n.ready() && !n.beenReady && n.Created.Within(bootstrapTime, now) && (n.ReadySince == 0 || n.ReadySince.Sub(n.Created) < firstVerdict):
		// Its Ready condition has not changed since the node registered: it never was ready.
		return Bootstrapping
	case n.Cordoned:
		return Cordoned
	}
	return Member
}

// rebootAccount is what was seen of the reboots of one node.
type rebootAccount struct {
	count   uint64
	last    Time
	crashes []Time // reboots within the window at which the node was neither cordoned nor leaving
}

// rebooted counts a reboot; before is the node as it was, for who reboots on purpose cordons first.
func (s *Store) rebooted(name Symbol, before *Node, now Time) {
	a := s.reboots[name]
	if a == nil {
		a = &rebootAccount{}
		s.reboots[name] = a
	}
	a.count, a.last = a.count+1, now
	if !before.Cordoned && !before.Leaving && before.Deleted == 0 {
		a.crashes = append(a.crashes, now)
	}
}

// show adds what was seen of a node's reboots; nothing was of one without an account.
func (a *rebootAccount) show(v *NodeView, now Time) {
	if a == nil {
		return
	}
	a.crashes = slices.DeleteFunc(a.crashes, func(at Time) bool { return !at.Within(crashWindow, now) })
	v.Reboots, v.LastReboot, v.Crashes = a.count, a.last, uint64(len(a.crashes))
}

func (s *Store) nodeViews(now Time) []NodeView {
	views := make([]NodeView, 0, len(s.nodesByName))
	for name, n := range s.nodesByName {
		v := NodeView{
			Name: n.Name, Zone: n.zoneName(), Class: n.class(now), Ready: n.ready(), ReadySince: n.ReadySince,
			Cordoned: n.Cordoned, Conditions: n.Conditions,
		}
		s.reboots[name].show(&v, now)
		views = append(views, v)
	}
	sortBy(views, func(v NodeView) (string, string) { return v.Name, "" })
	return views
}

// zoneAccount is the population of a zone as the node lifecycle controller counts it: every node, whatever its class.
type zoneAccount struct {
	view            ZoneView
	ready, notReady int
}

func (s *Store) zoneViews(now Time) []ZoneView {
	zones := map[string]*zoneAccount{}
	for _, n := range s.nodesByName {
		z := zones[n.zoneName()]
		if z == nil {
			z = &zoneAccount{view: ZoneView{Name: n.zoneName()}}
			zones[n.zoneName()] = z
		}
		class := n.class(now)
		z.view.Nodes[class]++
		if class == Member && !n.ready() {
			z.view.Unhealthy++
		}
		switch {
		case n.ExcludedFromDisruption:
		case n.ready():
			z.ready++
		default:
			z.notReady++
		}
	}
	allFull := true
	for _, z := range zones {
		allFull = allFull && (z.full() || z.size() == 0)
	}
	views := make([]ZoneView, 0, len(zones))
	for _, z := range zones {
		if !allFull || z.size() == 0 {
			z.view.EvictionLimit = z.evictionLimit()
		}
		views = append(views, z.view)
	}
	sortBy(views, func(v ZoneView) (string, string) { return v.Name, "" })
	return views
}

func (z *zoneAccount) size() int { return z.ready + z.notReady }

func (z *zoneAccount) full() bool { return z.ready == 0 && z.notReady > 0 }

// evictionLimit is what handleDisruption and setLimiterInZone of the node lifecycle controller come to for the states
// of ComputeZoneState, while at least one zone is not in full disruption.
func (z *zoneAccount) evictionLimit() float64 {
	switch size := z.size(); {
	case z.full():
		return evictionRate
	case z.notReady > 2 && float32(z.notReady)/float32(size) >= unhealthyZoneShare:
		if size > largeZone {
			return secondaryEvictionRate
		}
		return 0
	}
	return evictionRate
}
