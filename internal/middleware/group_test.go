// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"fmt"
	"testing"

	"stability-exporter/internal/state"
)

// groupOf returns what is known together of members of a kind.
func groupOf(kind Kind, members ...*state.MiddlewareView) *state.MiddlewareView {
	targets := make([]*Target, len(members))
	for i := range targets {
		targets[i] = &Target{Kind: &kind, Group: "group", Name: fmt.Sprintf("group/%d", i)}
	}
	return Group(targets, members)
}

// down is a member that does not answer, for a reason.
func down(reason Reason) *state.MiddlewareView {
	return &state.MiddlewareView{Problems: []state.MiddlewareProblem{{Reason: string(reason), Detail: "no"}}}
}

func TestGroupsThatElect(t *testing.T) {
	member := func(role string, expected float64) *state.MiddlewareView {
		return &state.MiddlewareView{Role: role, Up: role != "", MembersExpected: state.Measure{Known: expected > 0, Value: expected}}
	}
	leader, follower, lost := member("leader", 3), member("follower", 3), member("unknown", 3)
	for _, c := range []struct {
		name, want string
		healthy    float64
		members    []*state.MiddlewareView
	}{
		{"all serve", "", 3, []*state.MiddlewareView{leader, follower, follower}},
		{"one is down", "members_missing", 2, []*state.MiddlewareView{leader, follower, down(Refused)}},
		{"the leader is out of our reach, not out of its followers'", "members_missing", 2, []*state.MiddlewareView{down(Timeout), follower, follower}},
		{"one is left, and serves: the others are out of our reach", "members_missing", 1, []*state.MiddlewareView{leader, down(Timeout), down(Timeout)}},
		{"one is left, and does not serve", "no_quorum members_missing", 0, []*state.MiddlewareView{lost, down(Refused), down(Refused)}},
		{"nobody answers", "refused timeout members_missing", 0, []*state.MiddlewareView{down(Refused), down(Timeout), down(Refused)}},
		{"nobody leads", "no_leader", 3, []*state.MiddlewareView{follower, follower, follower}},
		{"two lead", "role_conflict", 3, []*state.MiddlewareView{leader, leader, follower}},
		{"observers do not count", "", 3, []*state.MiddlewareView{leader, follower, follower, member("observer", 3)}},
		{"one is not asked", "members_missing", 2, []*state.MiddlewareView{leader, follower}},
		{"one alone", "", 1, []*state.MiddlewareView{member("standalone", 0)}},
	} {
		v := groupOf(etcdKind(), c.members...)
		if got, _ := valueOf(v.Members, "healthy"); problems(v) != c.want || got != c.healthy {
			t.Errorf("%s: %v with %v healthy, want %q with %v", c.name, v.Problems, got, c.want, c.healthy)
		}
		if v.Up != (c.healthy > 0 || c.members[0] == lost) || v.Target != "group" || v.Kind != "etcd" {
			t.Errorf("%s: %+v", c.name, v)
		}
	}
}

func TestGroupsThatReplicate(t *testing.T) {
	member := func(role string) *state.MiddlewareView { return &state.MiddlewareView{Role: role, Up: true} }
	node := &state.MiddlewareView{Role: "primary", Up: true, Partitions: []state.Measurement{{Name: "offline"}}}
	for _, c := range []struct {
		name, want string
		members    []*state.MiddlewareView
	}{
		{"well", "", []*state.MiddlewareView{member("primary"), member("replica")}},
		{"two primaries", "role_conflict", []*state.MiddlewareView{member("primary"), member("primary")}},
		{"the primary is down", "no_leader members_missing", []*state.MiddlewareView{down(Refused), member("replica")}},
		{"the primary does not let us in", "members_missing", []*state.MiddlewareView{down(Auth), member("replica")}},
		{"nobody answers", "auth members_missing", []*state.MiddlewareView{down(Auth), down(Auth)}},
		{"nodes of a cluster are all primaries", "", []*state.MiddlewareView{node, node}},
	} {
		if v := groupOf(redisKind(), c.members...); problems(v) != c.want {
			t.Errorf("%s: %v, want %q", c.name, v.Problems, c.want)
		}
	}
}

func TestGroupsWithoutMore(t *testing.T) {
	up := &state.MiddlewareView{Up: true}
	if v := groupOf(nginxKind(), up, up); !v.Healthy() || v.MembersExpected.Value != 2 {
		t.Errorf("%+v", v)
	}
	if v := groupOf(nginxKind(), up, down(Timeout)); !v.Up || problems(v) != "members_missing" {
		t.Errorf("%+v", v)
	}
	kind := nginxKind()
	three := &Target{Kind: &kind, Group: "group", Limits: Limits{ExpectedMembers: 3}}
	if v := Group([]*Target{three, three}, []*state.MiddlewareView{up, up}); problems(v) != "members_missing" || v.MembersExpected.Value != 3 {
		t.Errorf("%+v", v)
	}
	if v := Group([]*Target{three, three}, []*state.MiddlewareView{up}); v != nil {
		t.Errorf("a member was not asked, and the group is %+v", v)
	}
}
