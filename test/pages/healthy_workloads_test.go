// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"testing"

	"stability-exporter/test/cluster"
)

func TestHealthyUpdatesOfStatefulSets(t *testing.T) {
	set := func(replicas int32) func(*space) {
		return func(s *space) {
			s.StatefulSet("db", replicas)
			s.Service("db", map[string]string{"app": "db"})
		}
	}
	update := updated("statefulset/db")
	db := []string{"db"}
	flapping := []string{"WorkloadFlapping"} // as for pods that are deleted by hand
	runAll(t, []operation{
		{name: "in order", workloads: db, seen: "rolling", build: set(3), do: update},
		{name: "one replica", workloads: db, seen: "rolling", build: func(s *space) { s.StatefulSet("db", 1) }, do: update},
		{name: "parallel", workloads: db, seen: "rolling", build: func(s *space) { parallelSet(s, "db", 3) }, do: func(s *space) {
			update(s)
			s.Scale("statefulset/db", 6)
			s.awaitReady("db", 6)
			s.Scale("statefulset/db", 2)
			s.awaitReady("db", 2)
		}},
		{name: "in parts", workloads: db, seen: "rolling", build: set(3), do: func(s *space) {
			for i, partition := range []int{2, 0} {
				s.Patch("statefulset/db", object{"spec": object{"updateStrategy": object{"rollingUpdate": object{"partition": partition}}}})
				if i == 0 {
					s.NewVersion("statefulset/db", "2", cluster.SlowStart)
				}
				s.awaitRollout("statefulset/db")
			}
		}},
		{name: "on delete", harsh: flapping, workloads: db, build: set(3), do: func(s *space) {
			s.Patch("statefulset/db", object{"spec": object{"updateStrategy": object{"type": "OnDelete", "rollingUpdate": nil}}})
			s.NewVersion("statefulset/db", "2", "") // quick: what a hand takes away is missed, from the first second on
			s.deleteEach("db")
		}},
		{name: "undone", workloads: db, seen: "rolling", build: set(2), do: func(s *space) {
			s.NewVersion("statefulset/db", "2", cluster.SlowStart)
			s.awaitState("db", "rolling")
			s.Kubectl("rollout", "undo", "statefulset/db")
			s.awaitRollout("statefulset/db")
		}},
	})
}

func TestHealthyUpdatesOfDaemonSets(t *testing.T) {
	agent := func(maxUnavailable, maxSurge string) func(*space) {
		return func(s *space) { s.DaemonSet("agent", maxUnavailable, maxSurge) }
	}
	update := updated("daemonset/agent")
	agents := []string{"agent"}
	flapping := []string{"WorkloadFlapping"} // as for pods that are deleted by hand
	runAll(t, []operation{
		{name: "two at a time", workloads: agents, seen: "rolling", build: agent("2", "0"), do: update},
		{name: "surge", workloads: agents, seen: "rolling", build: agent("0", "50%"), do: update},
		{name: "undone", workloads: agents, seen: "rolling", build: agent("2", "0"), do: func(s *space) {
			s.NewVersion("daemonset/agent", "2", cluster.SlowStart)
			s.awaitState("agent", "rolling")
			s.Kubectl("rollout", "undo", "daemonset/agent")
			s.awaitRollout("daemonset/agent")
		}},
		{name: "on delete", harsh: flapping, workloads: agents, build: agent("1", "0"), do: func(s *space) {
			s.Patch("daemonset/agent", object{"spec": object{"updateStrategy": object{"type": "OnDelete", "rollingUpdate": nil}}})
			s.NewVersion("daemonset/agent", "2", "") // quick: what a hand takes away is missed, from the first second on
			s.deleteEach("agent")
		}},
	})
}
