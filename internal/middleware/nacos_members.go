// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// nacosMember is a member as the server that is asked sees it.
type nacosMember struct {
	IP       string `json:"ip"`
	State    string `json:"state"` // STARTING, UP, SUSPICIOUS, DOWN, ISOLATION
	Extended struct {
		RaftPort jsonScalar `json:"raftPort"`
		Raft     struct {
			Groups map[string]nacosRaft `json:"metaDataMap"`
		} `json:"raftMetaData"`
	} `json:"extendInfo"`
}

// nacosRaft is what a member knows of a Raft group. The leader stays as it was when it is lost: it is one only as long as it is up.
type nacosRaft struct {
	Leader string `json:"leader"`
}

func (m nacosMember) up() bool { return strings.EqualFold(m.State, "UP") }

// membersUnknown tells that the members may not be asked.
func (n *nacosProbe) membersUnknown(why Why) {
	for _, fact := range nacosKind().Facts {
		switch expected := n.Target.Limits.ExpectedMembers; {
		case fact == "fact{ready}":
		case fact == "members_expected" && expected > 0:
			n.Expected(expected)
		default:
			n.Unknown(fact, why)
		}
	}
}

// askMembers asks for all members and for what this one knows of the Raft groups.
func (n *nacosProbe) askMembers(ctx context.Context) error {
	list, self := []string{"/v2/core/cluster/node/list", "/v1/core/cluster/nodes"}, []string{"/v2/core/cluster/node/self", "/v1/core/cluster/self"}
	if n.modern {
		list, self = []string{"/v3/admin/core/cluster/node/list"}, []string{"/v3/admin/core/cluster/node/self"}
	}
	members, why, err := askNacos[[]nacosMember](ctx, n, list)
	if err != nil {
		return fmt.Errorf("members: %w", err)
	}
	if why == "" && len(members) == 0 {
		why = Garbled
	}
	if why != "" {
		n.membersUnknown(why)
		if why == NoPermission && !n.session.Empty() {
			n.Problem(Permission, "the members may not be asked with this account")
		}
		return nil
	}
	healthy := 0
	for _, m := range members {
		if m.up() {
			healthy++
		}
	}
	n.membership(healthy, len(members))
	if len(members) > 1 && 2*healthy <= len(members) {
		n.Problem(NoQuorum, "%d of %d members are up", healthy, len(members))
	}
	itself, why, err := askNacos[nacosMember](ctx, n, self)
	if err != nil {
		return fmt.Errorf("the member itself: %w", err)
	}
	if why != "" {
		n.Unknown("fact{raft_groups}", why)
		n.Unknown("fact{raft_groups_without_leader}", why)
		return nil
	}
	n.tellItself(itself)
	n.tellRaft(itself.Extended.Raft.Groups, members)
	return nil
}

// askNacos asks the first of a few paths that the server has, and says why there is no answer.
func askNacos[T any](ctx context.Context, n *nacosProbe, paths []string) (data T, why Why, err error) {
	for _, path := range paths {
		e := exchange{method: http.MethodGet, path: n.path + path, session: n.session, anonymous: n.session.Empty()}
		a, err := n.exchange(ctx, e)
		if err != nil {
			return data, "", err
		}
		if a.status != http.StatusOK {
			why = a.whyNot()
			if why == Unsupported {
				continue
			}
			return data, why, nil
		}
		var said nacosResult[T]
		err = json.Unmarshal(a.body, &said)
		switch {
		case err != nil || said.Code == nil:
			return data, "", fail(Protocol, "the answer is not Nacos's")
		case *said.Code == http.StatusForbidden || *said.Code == http.StatusUnauthorized:
			return data, NoPermission, nil
		case !said.good():
			return data, Garbled, nil
		}
		return said.Data, "", nil
	}
	return data, why, nil
}

func (n *nacosProbe) tellItself(m nacosMember) {
	switch strings.ToUpper(m.State) {
	case "UP":
	case "STARTING":
		n.Problem(Loading, "it is starting")
	default:
		n.Problem(Degraded, "it says of itself that it is %s", m.State)
	}
}

// tellRaft tells how many groups have no leader. Without groups nothing is kept by Raft, as with a database of its own and no naming.
func (n *nacosProbe) tellRaft(groups map[string]nacosRaft, members []nacosMember) {
	if len(groups) == 0 {
		n.Unknown("fact{raft_groups}", Unsupported)
		n.Unknown("fact{raft_groups_without_leader}", Unsupported)
		return
	}
	without := 0
	for _, name := range slices.Sorted(maps.Keys(groups)) {
		if !leads(groups[name].Leader, members) {
			without++
			n.Problem(NoLeader, "the Raft group %s has no leader that is up", name)
		}
	}
	n.Fact("raft_groups", float64(len(groups)))
	n.Fact("raft_groups_without_leader", float64(without))
}

// leads reports whether a leader is one of the members that are up. One that is none of the members, as under another name, is believed.
func leads(leader string, members []nacosMember) bool {
	if leader == "" {
		return false
	}
	host, port := raftAddress(leader)
	known := false
	for _, m := range members {
		if m.IP != host || port != "" && m.Extended.RaftPort != "" && string(m.Extended.RaftPort) != port {
			continue
		}
		if known = true; m.up() {
			return true
		}
	}
	return !known
}
