// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"slices"

	"stability-exporter/internal/state"
)

// membership tells how many members of a cluster are healthy and how many there should be: the configured number, else the one that the
// cluster knows itself by; zero is not known.
func (p *Probe) membership(healthy, known int) {
	p.Members("healthy", healthy)
	expected := known
	if p.Target.Limits.ExpectedMembers > 0 {
		expected = p.Target.Limits.ExpectedMembers
	}
	if expected == 0 {
		p.Unknown("members_expected", NotConfigured)
		return
	}
	p.Expected(expected)
	if healthy < expected {
		p.membersMissing(healthy, expected)
	}
}

func (r *Recorder) membersMissing(healthy, expected int) {
	r.Problem(MembersMissing, "%d of %d members", healthy, expected)
}

// electorate tells of the members of a group that elect a leader whether they have one, and one only. That there is a quorum is what any
// member proves that serves: those that we do not reach may well reach each other.
func electorate(members []*state.MiddlewareView, group *Recorder) {
	answering, serving, leaders := 0, 0, 0
	for _, m := range members {
		if m.Role == "observer" {
			continue
		}
		if m.Up {
			answering++
		}
		if m.Role == "leader" || m.Role == "follower" || m.Role == "standalone" {
			serving++
		}
		if m.Role == "leader" || m.Role == "standalone" {
			leaders++
		}
	}
	expected := electors(members)
	group.Members("healthy", serving)
	group.Expected(expected)
	switch {
	case serving == 0:
		group.Problem(NoQuorum, "no member that answers serves")
	case leaders == 0 && answering >= expected:
		group.Problem(NoLeader, "no member leads")
	case leaders > 1:
		group.Problem(RoleConflict, "%d members lead", leaders)
	}
}

// electors returns how many members there should be: what the members say, else those that are asked and do not merely observe.
func electors(members []*state.MiddlewareView) int {
	asked, said := 0, 0
	for _, m := range members {
		if m.Role != "observer" {
			asked++
		}
		if m.MembersExpected.Known {
			said = max(said, int(m.MembersExpected.Value))
		}
	}
	if said > 0 {
		return said
	}
	return asked
}

// onePrimary judges the members of a group that replicate from one another: exactly one of them should be a primary. Clusters that know
// their members themselves have as many as they like.
func onePrimary(members []*state.MiddlewareView, group *Recorder) {
	up, primaries, hidden := 0, 0, 0
	for _, m := range members {
		if !m.Up && blind(m) {
			hidden++
		}
		if len(m.Partitions) > 0 || slices.ContainsFunc(m.Members, func(n state.Measurement) bool { return n.Name == "healthy" }) {
			return
		}
		if m.Up {
			up++
		}
		if m.Up && (m.Role == "primary" || m.Role == "standalone") {
			primaries++
		}
	}
	group.Members("healthy", up)
	switch {
	case primaries > 1:
		group.Problem(RoleConflict, "%d members say that they are the primary", primaries)
	case primaries == 0 && hidden == 0: // one that hides itself from us may well be the primary
		group.Problem(NoLeader, "no member that answers is the primary")
	}
}

// blind reports whether all that is wrong with a member is that we may not look: nothing is known of the member itself.
func blind(m *state.MiddlewareView) bool {
	return !slices.ContainsFunc(m.Problems, func(p state.MiddlewareProblem) bool {
		return !slices.Contains([]Reason{Auth, Permission, Forbidden, Internal, CertInvalid}, Reason(p.Reason))
	})
}
