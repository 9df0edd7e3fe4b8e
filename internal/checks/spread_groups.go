// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"slices"
	"strings"

	"stability-exporter/internal/state"
)

// hotGroups finds members of one group on the same node.
func hotGroups(c *ClusterSubject) []Finding {
	if c.settings == nil {
		return nil
	}
	var findings []Finding
	for i := range c.settings.HotGroups {
		group := &c.settings.HotGroups[i]
		members := membersOf(group, c.Setups)
		if len(members) < 2 || members[0].Cluster == nil || int(members[0].Cluster.Schedulable) < len(members) {
			continue
		}
		for _, m := range members {
			if neighbours, nodes := meet(m, members); len(neighbours) > 0 {
				findings = append(findings, Finding{Level: Warning, Ref: m.Ref, Detail: fmt.Sprintf("of the group %s also %s %s on %s",
					group.Name, enumerate(neighbours), isOrAre(neighbours), enumerate(nodes))})
			}
		}
	}
	return findings
}

// membersOf returns the workloads of a group that have a ready pod.
func membersOf(group *HotGroup, setups []*state.SetupView) []*state.SetupView {
	var members []*state.SetupView
	for _, v := range setups {
		if v.Kind != state.DaemonSets && len(v.Placement) > 0 && slices.ContainsFunc(group.Workloads, func(ref state.WorkloadRef) bool {
			return ref.Namespace == v.Ref.Namespace && ref.Name == v.Ref.Name && (ref.Type == v.Ref.Type || ref.Type == (state.Symbol{}))
		}) {
			members = append(members, v)
		}
	}
	return members
}

// meet returns the other members that a member shares nodes with, and these nodes.
func meet(m *state.SetupView, members []*state.SetupView) (neighbours, nodes []string) {
	for _, other := range members {
		if other == m {
			continue
		}
		met := false
		for _, share := range m.Placement {
			if slices.ContainsFunc(other.Placement, func(s state.NodeShare) bool { return s.Node == share.Node }) {
				met = true
				nodes = append(nodes, share.Node.String())
			}
		}
		if met {
			neighbours = append(neighbours, other.Ref.Namespace.String()+"/"+other.Ref.Name.String())
		}
	}
	slices.Sort(nodes)
	return neighbours, slices.Compact(nodes)
}

// enumerate names up to three and counts the others.
func enumerate(names []string) string {
	const most = 3
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

func isOrAre(names []string) string {
	if len(names) == 1 {
		return "is"
	}
	return "are"
}
