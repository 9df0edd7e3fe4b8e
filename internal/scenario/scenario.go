// SPDX-License-Identifier: Apache-2.0

// Package scenario holds named pictures of a cluster, built from short declarations: the example that `make run` shows
// and the fixture of tests that want a whole cluster. A picture is made of the objects that an API server would give,
// so that whoever uses one goes through the same decoding and conversion as a dump from a real cluster.
package scenario

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"go.yaml.in/yaml/v3"

	"stability-exporter/internal/cluster"
	"stability-exporter/internal/state"
)

// Picture is one cluster at one moment.
type Picture struct {
	// Now is the moment; it is also what a reader of the files finds out from their timestamps.
	Now time.Time
	// Lists are what `kubectl get RESOURCE --all-namespaces` would print, one per resource.
	Lists []List
}

// List is the objects of one resource.
type List struct {
	Resource string // pods, deployments, ...
	Objects  []Object
}

// Object is an API object in the form of its YAML.
type Object = map[string]any

// Files returns the picture as `kubectl get ... -o yaml` prints it, by file name.
func (p Picture) Files() (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, list := range p.Lists {
		var b bytes.Buffer
		encoder := yaml.NewEncoder(&b)
		encoder.SetIndent(2)
		encoder.CompactSeqIndent()
		err := encoder.Encode(Object{
			"apiVersion": "v1", "kind": "List", "metadata": Object{"resourceVersion": ""}, "items": list.Objects,
		})
		if err != nil {
			return nil, fmt.Errorf("cannot print %s: %w", list.Resource, err)
		}
		files[list.Resource+".yaml"] = b.Bytes()
	}
	return files, nil
}

// Store returns a store that holds the picture, with a clock that stands at Now.
func (p Picture) Store(ctx context.Context) (*state.Store, error) {
	files, err := p.Files()
	if err != nil {
		return nil, err
	}
	var dump bytes.Buffer
	for _, list := range p.Lists {
		dump.WriteString("---\n")
		dump.Write(files[list.Resource+".yaml"])
	}
	source, err := cluster.NewManifests(cluster.ManifestOptions{Paths: []string{"-"}, Stdin: &dump, Now: p.Now})
	if err != nil {
		return nil, err
	}
	store := state.NewStore(state.Options{Clock: source.Now})
	if err := source.Load(ctx, store); err != nil {
		return nil, err
	}
	return store, nil
}
