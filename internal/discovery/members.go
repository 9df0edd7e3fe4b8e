// SPDX-License-Identifier: Apache-2.0

package discovery

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"stability-exporter/internal/middleware"
	"stability-exporter/internal/state"
)

// Slots remember which number a pod of a ReplicaSet has as a member: by GROUP/WORKLOAD, then by the pod. A pod keeps its number as long as it
// lives, and its successor takes the one that it leaves, so that the names of targets stay few and mean the same.
type Slots map[string]map[state.UID]int

// member is one server of a group. One that should be there and is not has no pod.
type member struct {
	name   string
	pod    *state.MiddlewareMember
	absent string // why there is no pod
}

// add adds the targets of a Service. Pods that another group has already are left out; when nothing is left there is no group.
func (d *discoverer) add(f *found) *mistake {
	pods, workloads := d.uncovered(f)
	switch {
	case len(pods)+len(workloads) > 0 && f.untold != nil:
		return f.untold
	case f.annotated && len(f.service.Members)+len(f.service.Workloads) == 0:
		return mistaken("mend its selector, or take the annotation away", "its selector selects no pod and no workload")
	case len(pods)+len(workloads) == 0:
		return nil
	}
	expected := 0
	for _, w := range workloads {
		expected += int(w.Desired)
	}
	if n := max(expected, len(pods)); n > maxMembers {
		return mistaken("leave it to its own monitoring, or probe a smaller Service", "it has %d members, more than %d", n, maxMembers)
	}
	slots := Slots{}
	members := d.members(f, pods, workloads, slots)
	if len(d.result.Targets)+len(members) > maxTargets {
		return mistaken("narrow the rules, or limit discovery to some namespaces", "more than %d targets were discovered", maxTargets)
	}
	if f.template.Limits.ExpectedMembers == 0 {
		f.template.Limits.ExpectedMembers = expected
	}
	var targets []*middleware.Target
	for i, m := range members {
		if i > 0 && m.name == members[i-1].name {
			return mistaken("rename one of the workloads behind it", "two of its members would have the name %s", m.name)
		}
		t, err := d.target(f, m)
		if err != nil {
			return err
		}
		targets = append(targets, t)
	}
	d.result.Targets = append(d.result.Targets, targets...)
	maps.Copy(d.result.Slots, slots)
	for _, p := range pods {
		d.cover(f.listener(p.Template, p.UID, state.WorkloadRef{}))
	}
	for _, w := range workloads {
		d.cover(f.listener(w.Template, state.UID{}, w.Ref))
	}
	return nil
}

func (d *discoverer) cover(l listener) {
	d.covered[l] = true
	l.port = 0
	d.covered[l] = true
}

func (f *found) listener(t *state.Template, pod state.UID, workload state.WorkloadRef) listener {
	return listener{f.template.Kind.Name, f.port.in(t), pod, workload}
}

// uncovered returns what stands behind a Service and is not in another group already.
func (d *discoverer) uncovered(f *found) (pods []*state.MiddlewareMember, workloads []state.MiddlewareWorkload) {
	for i := range f.service.Members {
		if p := &f.service.Members[i]; !d.covered[f.listener(p.Template, p.UID, state.WorkloadRef{})] {
			pods = append(pods, p)
		}
	}
	for _, w := range f.service.Workloads {
		if !d.covered[f.listener(w.Template, state.UID{}, w.Ref)] {
			workloads = append(workloads, w)
		}
	}
	return pods, workloads
}

// members gives the pods their names, and adds what should be there and is not.
func (d *discoverer) members(f *found, pods []*state.MiddlewareMember, workloads []state.MiddlewareWorkload, slots Slots) []member {
	var members []member
	named := map[string]bool{}
	nodes := map[string]*state.MiddlewareMember{}
	replicas := map[string][]*state.MiddlewareMember{} // by the name of the workload: one that is handed to another kind of controller goes on
	for _, p := range pods {
		switch kind := p.Workload.Type.String(); {
		case p.Replica && !p.Leaving:
			replicas[p.Workload.Name.String()] = append(replicas[p.Workload.Name.String()], p)
		case p.Replica, p.Leaving && (kind != state.TypeStatefulSet || !expects(workloads, p)):
			// It goes, and what comes after it has another name, or nothing does.
		case kind == state.TypeDaemonSet:
			nodes[p.Node] = p // of two the younger one
		default:
			members = append(members, member{name: p.Pod, pod: p})
			named[p.Pod] = true
		}
	}
	delete(nodes, "") // it waits for a node of its own
	for node, p := range nodes {
		members = append(members, member{name: node, pod: p})
	}
	desired := map[string]int{}
	for _, w := range workloads {
		switch name := w.Ref.Name.String(); w.Ref.Type.String() {
		case state.TypeDaemonSet: // which node lacks its pod is not known
		case state.TypeStatefulSet:
			for _, pod := range ordinals(w) {
				if !named[pod] {
					members = append(members, member{name: pod, absent: "there is no pod " + pod})
				}
			}
		default:
			desired[name] += int(w.Desired)
			if _, there := replicas[name]; !there {
				replicas[name] = nil // it has none, and should
			}
		}
	}
	for workload, pods := range replicas {
		key := f.group + "/" + workload
		slots[key] = assign(d.before[key], pods)
		members = append(members, numbered(workload, pods, slots[key], desired[workload])...)
	}
	slices.SortFunc(members, func(a, b member) int { return strings.Compare(a.name, b.name) })
	return members
}

// ordinals are the names of the pods that a StatefulSet should have.
func ordinals(w state.MiddlewareWorkload) []string {
	var names []string
	for n := range w.Desired {
		names = append(names, w.Ref.Name.String()+"-"+strconv.Itoa(int(w.FirstOrdinal)+int(n)))
	}
	return names
}

// expects reports whether a pod of a StatefulSet is one that comes again.
func expects(workloads []state.MiddlewareWorkload, p *state.MiddlewareMember) bool {
	i := slices.IndexFunc(workloads, func(w state.MiddlewareWorkload) bool { return w.Ref == p.Workload })
	return i < 0 || slices.Contains(ordinals(workloads[i]), p.Pod)
}

// assign gives every pod a number: the one that it had, else the lowest that is free, older pods first.
func assign(before map[state.UID]int, pods []*state.MiddlewareMember) map[state.UID]int {
	after, taken := map[state.UID]int{}, map[int]bool{}
	for _, p := range pods {
		if n, known := before[p.UID]; known && !taken[n] {
			after[p.UID], taken[n] = n, true
		}
	}
	for _, p := range pods {
		if _, known := after[p.UID]; known {
			continue
		}
		n := 0
		for taken[n] {
			n++
		}
		after[p.UID], taken[n] = n, true
	}
	return after
}

// numbered returns the members of a workload by their numbers. Where there are fewer pods than desired the lowest free numbers are absent.
func numbered(workload string, pods []*state.MiddlewareMember, numbers map[state.UID]int, desired int) []member {
	var members []member
	taken := map[int]bool{}
	name := func(n int) string { return workload + "-" + strconv.Itoa(n) }
	for _, p := range pods {
		n := numbers[p.UID]
		taken[n] = true
		members = append(members, member{name: name(n), pod: p})
	}
	for n := 0; len(members) < desired; n++ {
		if !taken[n] {
			members = append(members, member{name: name(n), absent: fmt.Sprintf("%s has %d of %d pods", workload, len(pods), desired)})
		}
	}
	return members
}

// podName is what the API server takes as the name of a pod or a node.
var podName = regexp.MustCompile(`^[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?$`)

// target returns how a member is asked.
func (d *discoverer) target(f *found, m member) (*middleware.Target, *mistake) {
	if !podName.MatchString(m.name) {
		return nil, mistaken("rename it", "the name of a pod, its node or its workload is none that one may have")
	}
	t := f.template
	t.Group, t.Name = f.group, f.group+"/"+m.name
	t.Policy = middleware.Policy{Configured: true}
	t.Absent = m.absent
	if m.pod != nil {
		if err := d.reach(f, m.pod, &t); err != nil {
			return nil, err
		}
	}
	if t.Absent != "" {
		t.Address, t.Credential = "", nil // there is nobody to send it to
		return &t, nil
	}
	if t.TLS.Enabled {
		t.TLS.ServerName = serverName(t.TLS.ServerName, f.service, m.name)
	}
	return &t, nil
}

// reach fills in the address of a pod and the credential for it.
func (d *discoverer) reach(f *found, p *state.MiddlewareMember, t *middleware.Target) *mistake {
	addr := netip.AddrFrom16(p.Address).Unmap()
	listens := f.port.in(p.Template)
	switch {
	case p.Address == state.Address{}:
		t.Absent = "pod " + p.Pod + " has no address"
		return nil
	case !addr.IsGlobalUnicast(): // loopback, link-local, multicast, unspecified
		return mistaken("see why its pods have no address of the cluster's network", "pod %s has the address %s, which is never asked", p.Pod, addr)
	case listens < 1 || listens > maxPort:
		return mistaken("annotate it with stability-exporter/port: NUMBER", "nothing tells the number of port %s of pod %s", f.port, p.Pod)
	}
	t.Address = net.JoinHostPort(addr.String(), strconv.Itoa(int(listens)))
	if t.Credential == nil {
		return nil
	}
	const fix = "add the namespace to the credential's namespaces, or use another credential"
	if d.rules.Bind == nil {
		return mistaken(fix, "credential %s is not meant for discovered servers", t.Credential.Name)
	}
	bound, err := d.rules.Bind(t.Credential, f.service.Namespace, t.Address)
	if err != nil {
		return mistaken(fix, "%v", err)
	}
	t.Credential = bound
	return nil
}

// serverName is the name that a certificate has to be for: of pods it is hardly ever their address. {namespace}, {service} and {member} stand for
// those of the target.
func serverName(configured string, s *state.MiddlewareService, member string) string {
	if configured == "" {
		configured = "{service}.{namespace}.svc"
	}
	return strings.NewReplacer("{namespace}", s.Namespace, "{service}", s.Name, "{member}", member).Replace(configured)
}
