// SPDX-License-Identifier: Apache-2.0

package state

import "strings"

// home returns the accumulator of the workload a pod belongs to: its top controller.
func (s *Store) home(p *Pod) *entity { return s.entity(s.workloadOf(p)) }

func (s *Store) workloadOf(p *Pod) WorkloadRef {
	owner := p.Owner
	switch kind := owner.Kind.String(); kind {
	case "ReplicaSet":
		return s.workloadOfReplicaSet(p)
	case "Job":
		return s.workloadOfJob(p)
	case "Node":
		// A mirror pod is called after its manifest and its node.
		return WorkloadRef{p.Namespace, Sym(strings.TrimSuffix(p.Name, "-"+owner.Name.String())), Sym(TypeStaticPod)}
	case "":
		return WorkloadRef{Namespace: p.Namespace}
	default:
		return WorkloadRef{p.Namespace, owner.Name, Sym(strings.ToLower(kind))}
	}
}

// workloadOfReplicaSet follows the ReplicaSet's metadata. While that is not known, the name tells: a Deployment calls
// its ReplicaSets after itself and the hash that the pods carry.
func (s *Store) workloadOfReplicaSet(p *Pod) WorkloadRef {
	if rs, ok := s.tables[ReplicaSets][p.Owner.UID].(*ReplicaSet); ok {
		return rs.ref()
	}
	name := p.Owner.Name.String()
	if hash := p.Revision.String(); hash != "" && strings.HasSuffix(name, "-"+hash) {
		return WorkloadRef{p.Namespace, Sym(strings.TrimSuffix(name, "-"+hash)), Sym(TypeDeployment)}
	}
	return WorkloadRef{p.Namespace, p.Owner.Name, Sym(TypeReplicaSet)}
}

// workloadOfJob is the CronJob that made the Job. Other Jobs are folded with the bare pods of their namespace: their
// names are without end.
func (s *Store) workloadOfJob(p *Pod) WorkloadRef {
	if job, ok := s.tables[Jobs][p.Owner.UID].(*Job); ok && job.Owner.Kind.String() == "CronJob" {
		return WorkloadRef{p.Namespace, job.Owner.Name, Sym(TypeCronJob)}
	}
	return WorkloadRef{Namespace: p.Namespace}
}

func (rs *ReplicaSet) ref() WorkloadRef {
	if rs.Owner.Name == (Symbol{}) {
		return WorkloadRef{rs.Namespace, Sym(rs.Name), Sym(TypeReplicaSet)}
	}
	return WorkloadRef{rs.Namespace, rs.Owner.Name, Sym(strings.ToLower(rs.Owner.Kind.String()))}
}

func (s *Store) putReplicaSet(rs *ReplicaSet, now Time) {
	e := s.entity(rs.ref())
	e.setTemplate(template{uid: rs.UID, hash: rs.TemplateHash, created: rs.Created, number: rs.Revision})
	s.rehome(&rs.Meta, now)
}

// rehome moves the pods of an intermediate owner (a ReplicaSet, a Job) that were filed before it was known.
func (s *Store) rehome(meta *Meta, now Time) {
	for _, ref := range s.guesses(meta) {
		e := s.entities[ref]
		if e == nil {
			continue
		}
		for i := len(e.pods) - 1; i >= 0; i-- {
			p := e.pods[i]
			if p.Owner.UID != meta.UID {
				continue
			}
			if home := s.home(p); home != e {
				e.removePod(p)
				home.addPod(p)
				e.handOver(p, home, now)
			}
		}
	}
}

// guesses lists the references under which pods of the owner may have been filed.
func (s *Store) guesses(meta *Meta) []WorkloadRef {
	guesses := []WorkloadRef{{Namespace: meta.Namespace}, {meta.Namespace, Sym(meta.Name), Sym(TypeReplicaSet)}}
	if i := strings.LastIndexByte(meta.Name, '-'); i > 0 {
		guesses = append(guesses, WorkloadRef{meta.Namespace, Sym(meta.Name[:i]), Sym(TypeDeployment)})
	}
	return guesses
}

// ownerEntity returns the accumulator of an object's controller, and nil for an object without one.
func (s *Store) ownerEntity(meta *Meta) *entity {
	if meta.Owner.Name == (Symbol{}) {
		return nil
	}
	return s.entity(WorkloadRef{meta.Namespace, meta.Owner.Name, Sym(strings.ToLower(meta.Owner.Kind.String()))})
}
