// SPDX-License-Identifier: Apache-2.0

package state

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// stateVersion is the version of the state file's form; a file of another version is refused.
const stateVersion = 1

// savedState is the form of the state file: what was counted of restarts, up to which count of each container, when
// workloads were damaged, and since when Services serve nothing.
type savedState struct {
	Version   int             `json:"version"`
	Saved     Time            `json:"saved,omitempty"`
	Scopes    []string        `json:"scopes"` // namespaces whose pods were all known; "" for all of them
	Inspected Time            `json:"inspected,omitempty"`
	Workloads []savedWorkload `json:"workloads"`
	Pods      []savedPod      `json:"pods"` // those with a restart; any other of the scopes had none
	Services  []savedService  `json:"services,omitempty"`
}

type savedService struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Empty     Time   `json:"empty"`
}

type savedWorkload struct {
	Namespace   string           `json:"namespace"`
	Name        string           `json:"name,omitempty"`
	Type        string           `json:"type,omitempty"`
	Containers  []savedContainer `json:"containers,omitempty"`
	Log         []restartEntry   `json:"log,omitempty"`
	Disruptions []Count64        `json:"disruptions,omitempty"`
	Inspected   uint64           `json:"inspected,omitempty"`
	Damage      []spell          `json:"damage,omitempty"`
}

type savedContainer struct {
	Name         string        `json:"name"`
	Type         ContainerType `json:"type"`
	Restarts     uint64        `json:"restarts"`
	Terminations []Count64     `json:"terminations,omitempty"`
	Last         Time          `json:"last,omitempty"`
	LastReason   string        `json:"lastReason,omitempty"`
}

type savedPod struct {
	UID        string           `json:"uid"`
	Disrupted  string           `json:"disrupted,omitempty"`
	Containers []savedPodStatus `json:"containers"`
}

type savedPodStatus struct {
	Name     string        `json:"name"`
	Type     ContainerType `json:"type"`
	Restarts int32         `json:"restarts"`
	Finished Time          `json:"finished,omitempty"`
}

// importedCounts are the counts of a state file that live pods have not been compared with yet.
type importedCounts struct {
	scopes map[string]bool
	pods   map[UID]*Pod
}

// covers reports whether the state file speaks for the pod, also when by not listing it.
func (c *importedCounts) covers(p *Pod) bool {
	return c != nil && (c.scopes[""] || c.scopes[p.Namespace.String()])
}

func (c *importedCounts) before(p *Pod) *Pod {
	if old := c.pods[p.UID]; old != nil {
		return old
	}
	return &Pod{}
}

// forgetImported lets go of a state file's counts once they have been compared with every pod they speak for.
func (s *Store) forgetImported(scope Scope) {
	if s.imported == nil || scope.Kind != Pods {
		return
	}
	delete(s.imported.scopes, scope.Namespace)
	if scope.Namespace == "" || len(s.imported.scopes) == 0 {
		s.imported = nil
	}
}

// Export returns what must outlive the process for restarts to be counted exactly. It returns nil while no scope of
// pods is synchronised: such a state would say less than an earlier one.
func (s *Store) Export() ([]byte, error) {
	s.mu.Lock()
	saved := s.save()
	s.mu.Unlock()
	if len(saved.Scopes) == 0 {
		return nil, nil
	}
	data, err := json.Marshal(saved)
	if err != nil {
		return nil, fmt.Errorf("cannot encode the state: %w", err)
	}
	return data, nil
}

func (s *Store) save() savedState {
	saved := savedState{Version: stateVersion, Saved: s.now(), Inspected: s.inspected}
	for scope, status := range s.scopes {
		if scope.Kind == Pods && status.everSynced {
			saved.Scopes = append(saved.Scopes, scope.Namespace)
		}
	}
	for _, e := range s.sortedEntities() {
		if w := e.save(); len(w.Containers)+len(w.Log)+len(w.Disruptions)+len(w.Damage) > 0 {
			saved.Workloads = append(saved.Workloads, w)
		}
		for _, p := range e.pods {
			if sp := p.save(); len(sp.Containers) > 0 || sp.Disrupted != "" {
				saved.Pods = append(saved.Pods, sp)
			}
		}
	}
	for key, a := range s.services {
		if a.empty != 0 {
			saved.Services = append(saved.Services, savedService{key.namespace.String(), key.name.String(), a.empty})
		}
	}
	s.saveImported(&saved)
	return saved
}

// saveImported passes on what an earlier state file says of namespaces that are not synchronised yet.
func (s *Store) saveImported(saved *savedState) {
	if s.imported == nil || len(saved.Scopes) == 0 {
		return
	}
	for namespace := range s.imported.scopes {
		saved.Scopes = append(saved.Scopes, namespace)
	}
	for uid, p := range s.imported.pods {
		if s.tables[Pods][uid] == nil {
			saved.Pods = append(saved.Pods, p.save())
		}
	}
}

func (e *entity) save() savedWorkload {
	w := savedWorkload{Namespace: e.ref.Namespace.String(), Name: e.ref.Name.String(), Type: e.ref.Type.String()}
	w.Inspected = e.restarts.inspected
	w.Damage = e.history.save()
	w.Log = append(w.Log, e.restarts.log...)
	w.Disruptions = append(w.Disruptions, e.restarts.disruptions...)
	for _, c := range e.restarts.containers {
		w.Containers = append(w.Containers, savedContainer{
			Name: c.name.String(), Type: c.kind, Restarts: c.restarts, Terminations: append([]Count64(nil), c.terminations...),
			Last: c.last, LastReason: c.lastReason,
		})
	}
	return w
}

func (p *Pod) save() savedPod {
	sp := savedPod{UID: hex.EncodeToString(p.UID[:]), Disrupted: disruptionReason(p)}
	for _, c := range p.Containers {
		if c.Restarts > 0 {
			sp.Containers = append(sp.Containers, savedPodStatus{c.Name.String(), c.Type, c.Restarts, c.Last.Finished})
		}
	}
	return sp
}

// Import takes a state that Export returned. It must be called before a source starts.
func (s *Store) Import(data []byte) error {
	var saved savedState
	if err := json.Unmarshal(data, &saved); err != nil {
		return fmt.Errorf("cannot decode the state: %w", err)
	}
	if saved.Version != stateVersion {
		return fmt.Errorf("cannot use the state: its version is %d, this program writes %d", saved.Version, stateVersion)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.imported = &importedCounts{scopes: map[string]bool{}, pods: map[UID]*Pod{}}
	for _, namespace := range saved.Scopes {
		s.imported.scopes[namespace] = true
	}
	for _, sp := range saved.Pods {
		p, err := sp.restore()
		if err != nil {
			s.imported = nil
			return err
		}
		s.imported.pods[p.UID] = p
	}
	s.inspected = saved.Inspected
	if s.now().Sub(saved.Saved) <= interruption {
		for _, svc := range saved.Services {
			s.service(serviceKey{Sym(svc.Namespace), Sym(svc.Name)}).empty = svc.Empty
		}
	}
	for _, w := range saved.Workloads {
		s.entity(WorkloadRef{Sym(w.Namespace), Sym(w.Name), Sym(w.Type)}).restore(w, saved.Saved)
	}
	return nil
}

func (sp savedPod) restore() (*Pod, error) {
	p := &Pod{}
	uid, err := hex.DecodeString(sp.UID)
	if err != nil || len(uid) != len(p.UID) {
		return nil, fmt.Errorf("cannot use the state: %q is no pod UID", sp.UID)
	}
	copy(p.UID[:], uid)
	if sp.Disrupted != "" {
		p.Reason = Sym("Evicted") // any reason will do: it says that the loss was counted
	}
	for _, c := range sp.Containers {
		if c.Type > SidecarContainer {
			return nil, fmt.Errorf("cannot use the state: container %q has the unknown type %d", c.Name, c.Type)
		}
		p.Containers = append(p.Containers, Container{
			Name: Sym(c.Name), Type: c.Type, Restarts: c.Restarts, Last: Termination{Finished: c.Finished},
		})
	}
	return p, nil
}

func (e *entity) restore(w savedWorkload, saved Time) {
	e.history.restore(w.Damage, saved)
	e.restarts = restartAccount{log: w.Log, disruptions: w.Disruptions}
	for _, c := range w.Containers {
		if c.Type > SidecarContainer {
			continue
		}
		e.restarts.containers = append(e.restarts.containers, containerAccount{
			name: Sym(c.Name), kind: c.Type, restarts: c.Restarts, terminations: c.Terminations,
			last: c.Last, lastReason: c.LastReason,
		})
	}
	e.restarts.inspected = min(w.Inspected, e.restarts.total())
}
