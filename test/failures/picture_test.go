// SPDX-License-Identifier: Apache-2.0

package failures

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"stability-exporter/collectors"
	"stability-exporter/test/exporterproc"
)

// picture is what a scrape tells of the cluster: the value of each series. What the program tells of itself is left out, and
// how often and for how long it saw damage; of the moments only that they are known is kept: some are by the clock of the
// observer.
type picture map[string]float64

// pictureOf keeps the samples for which want returns true; nil wants all.
func pictureOf(m exporterproc.Metrics, want func(exporterproc.Sample) bool) picture {
	p := picture{}
	for _, name := range m.Names() {
		if !strings.HasPrefix(name, "stability_") || strings.HasPrefix(name, "stability_exporter_") ||
			name == "stability_workload_damage_delta" || name == "stability_workload_damaged_ratio" {
			continue
		}
		for _, sample := range m.Select(name) {
			if want != nil && !want(sample) {
				continue
			}
			value := sample.Value
			if strings.HasSuffix(name, "_timestamp_seconds") {
				value = 0
			}
			p[seriesOf(sample)] = value
		}
	}
	return p
}

func seriesOf(s exporterproc.Sample) string {
	return s.Name + strings.TrimPrefix(fmt.Sprint(s.Labels), "map") // fmt sorts the keys
}

// maxDifferences keeps the message about an empty answer short.
const maxDifferences = 8

// differs returns an error that names the differences to the picture that is wanted.
func (p picture) differs(want picture) error {
	var differences []string
	for _, series := range slices.Sorted(maps.Keys(want)) {
		if value, ok := p[series]; !ok {
			differences = append(differences, "missing "+series)
		} else if value != want[series] {
			differences = append(differences, fmt.Sprintf("%s is %v instead of %v", series, value, want[series]))
		}
	}
	for _, series := range slices.Sorted(maps.Keys(p)) {
		if _, ok := want[series]; !ok {
			differences = append(differences, fmt.Sprintf("superfluous %s = %v", series, p[series]))
		}
	}
	if len(differences) == 0 {
		return nil
	}
	n := len(differences)
	return fmt.Errorf("%d differences of %d series:\n%s", n, len(want), strings.Join(differences[:min(n, maxDifferences)], "\n"))
}

// inSteadyWorld is true of what tells of objects that no test touches.
func inSteadyWorld(s exporterproc.Sample) bool {
	return s.Labels["namespace"] == "" || slices.Contains(steadyNamespaces, s.Labels["namespace"])
}

// ofControlPlane is true of what changes when the controller manager loses its lease.
func ofControlPlane(s exporterproc.Sample) bool {
	return s.Name == "stability_component_up" || s.Name == "stability_status_stale"
}

// awaitSteady waits until the picture of the steady world has been the same for a while and returns it.
func awaitSteady(t *testing.T, p *exporterproc.Process) picture {
	t.Helper()
	const while = 3 * time.Second
	var last picture
	var since time.Time
	p.Await(t, 2*time.Minute, "a steady picture", func(m exporterproc.Metrics) error {
		now := pictureOf(m, inSteadyWorld)
		if err := now.differs(last); err != nil || len(now) == 0 {
			last, since = now, time.Now()
			return fmt.Errorf("it changes: %w", err)
		}
		if time.Since(since) < while {
			return fmt.Errorf("it is the same since %s only", since)
		}
		return nil
	})
	return last
}

// ofCluster reports whether a collector runs by default and tells of the cluster.
func ofCluster(spec collectors.Spec) bool { return spec.Default && spec.Reads != 0 }

// familiesOf returns the names of the families of some collectors; without any, of all that tell of the cluster.
func familiesOf(t *testing.T, names ...string) map[string]bool {
	t.Helper()
	specs, err := collectors.All(collectors.Options{})
	must(t, err)
	families := map[string]bool{}
	for _, spec := range specs {
		if !ofCluster(spec) || len(names) > 0 && !slices.Contains(names, spec.Name) {
			continue
		}
		for _, family := range spec.Families {
			families[family.Name] = true
		}
	}
	if len(families) == 0 {
		t.Fatalf("there is no collector %v", names)
	}
	return families
}
