// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// builder collects objects. Everything it invents (identities, name suffixes, versions) follows from names, so that
// the same declarations always give the same picture.
type builder struct {
	now     time.Time
	version int
	lists   []List
}

// add completes an object's type and metadata and puts it on the list of its resource. What the object brings in
// metadata (labels, owners) stays.
func (b *builder) add(resource, apiVersion, kind, namespace, name string, age time.Duration, o Object) Object {
	b.version++
	m, _ := o["metadata"].(Object)
	if m == nil {
		m = Object{}
	}
	m["name"] = name
	m["uid"] = uid(kind, namespace, name)
	m["resourceVersion"] = strconv.Itoa(1_000_000 + b.version)
	m["creationTimestamp"] = b.ago(age)
	if namespace != "" {
		m["namespace"] = namespace
	}
	o["apiVersion"], o["kind"], o["metadata"] = apiVersion, kind, m
	for i := range b.lists {
		if b.lists[i].Resource == resource {
			b.lists[i].Objects = append(b.lists[i].Objects, o)
			return o
		}
	}
	b.lists = append(b.lists, List{Resource: resource, Objects: []Object{o}})
	return o
}

// addNamespaces adds the namespaces of everything there is.
func (b *builder) addNamespaces() {
	names := map[string]bool{}
	for _, list := range b.lists {
		for _, o := range list.Objects {
			if namespace, _ := o["metadata"].(Object)["namespace"].(string); namespace != "" {
				names[namespace] = true
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		b.add("namespaces", "v1", "Namespace", "", name, 400*24*time.Hour, Object{"status": Object{"phase": "Active"}})
	}
}

// picture returns what was built, every list in the order in which an API server gives it.
func (b *builder) picture() Picture {
	b.addNamespaces()
	for _, list := range b.lists {
		slices.SortFunc(list.Objects, func(x, y Object) int { return strings.Compare(key(x), key(y)) })
	}
	return Picture{Now: b.now, Lists: b.lists}
}

// key returns namespace and name of an object, as etcd orders them.
func key(o Object) string {
	m := o["metadata"].(Object)
	namespace, _ := m["namespace"].(string)
	return namespace + "/" + m["name"].(string)
}

// ago returns the moment that long before now, as the API writes it.
func (b *builder) ago(d time.Duration) string { return b.now.Add(-d).UTC().Format(time.RFC3339) }

// microAgo is ago with microseconds, as leases have them.
func (b *builder) microAgo(d time.Duration) string {
	return b.now.Add(-d).UTC().Format("2006-01-02T15:04:05.000000Z")
}

func hash(parts ...string) [32]byte { return sha256.Sum256([]byte(strings.Join(parts, "/"))) }

// uid returns a UUID that follows from the object's names.
func uid(parts ...string) string {
	sum := hash(parts...)
	h := hex.EncodeToString(sum[:16])
	return h[:8] + "-" + h[8:12] + "-4" + h[13:16] + "-a" + h[17:20] + "-" + h[20:]
}

// suffix returns n characters of the alphabet that Kubernetes makes names from.
func suffix(n int, parts ...string) string {
	const alphabet = "bcdfghjklmnpqrstvwxz2456789"
	sum := hash(parts...)
	rest := binary.BigEndian.Uint64(sum[:])
	var s []byte
	for range n {
		s = append(s, alphabet[rest%uint64(len(alphabet))])
		rest /= uint64(len(alphabet))
	}
	return string(s)
}

// owner returns the owner references of what the named object controls.
func owner(apiVersion, kind, namespace, name string) []any {
	return []any{Object{
		"apiVersion": apiVersion, "kind": kind, "name": name, "uid": uid(kind, namespace, name),
		"controller": true, "blockOwnerDeletion": true,
	}}
}

// condition returns a status condition; since is when it last changed.
func condition(kind, status, reason, since string) Object {
	c := Object{"type": kind, "status": status, "lastTransitionTime": since}
	if reason != "" {
		c["reason"] = reason
	}
	return c
}
