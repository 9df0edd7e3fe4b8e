// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"stability-exporter/internal/state"
)

// Group returns what is known of the members of a group together, by what was last found out of each: whether any serves, how many there are
// of how many, and what only shows when they are seen side by side. It is nil unless every member was asked.
func Group(members []*Target, views []*state.MiddlewareView) *state.MiddlewareView {
	if len(members) == 0 || len(views) < len(members) {
		return nil
	}
	first := members[0]
	r := &Recorder{}
	r.view.Kind, r.view.Target = first.Kind.Name, first.Group
	n := membersUp(views)
	switch {
	case n == 0: // nothing is known of them together but why nobody answers
		for _, v := range views {
			for _, p := range v.Problems {
				r.Problem(Reason(p.Reason), "no member answers: %s", p.Detail)
			}
		}
	case first.Kind.Together != nil:
		r.Up()
		first.Kind.Together(views, r)
	default:
		r.Up()
	}
	if len(r.view.Members) == 0 {
		r.Members("healthy", n)
	}
	if !r.view.MembersExpected.Known {
		r.Expected(expectedMembers(members))
	}
	if healthy := r.view.Members[0].Value; healthy < r.view.MembersExpected.Value {
		r.membersMissing(int(healthy), int(r.view.MembersExpected.Value))
	}
	return r.finish()
}

// membersUp counts the members that do.
func membersUp(views []*state.MiddlewareView) int {
	n := 0
	for _, v := range views {
		if v.Up {
			n++
		}
	}
	return n
}

// expectedMembers is what the configuration says, else as many as are asked.
func expectedMembers(members []*Target) int {
	expected := len(members)
	for _, t := range members {
		expected = max(expected, t.Limits.ExpectedMembers)
	}
	return expected
}
