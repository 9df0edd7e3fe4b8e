// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	eventsv1 "k8s.io/api/events/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	kjson "sigs.k8s.io/json"

	"stability-exporter/internal/state"
)

const (
	maxNesting      = 8         // of Lists in Lists
	maxPendingBytes = 512 << 20 // of items of a list that has not said its kind yet
	maxDumpEvents   = 100_000   // that tell of probes

	newerEvents = "events.k8s.io/" // the other group that Events are in
)

// documentError is what is wrong with one document of a file.
type documentError struct {
	File           string
	Document, Line int // from 1
	Err            error
}

func (e documentError) Error() string {
	return fmt.Sprintf("%s: document %d, line %d: %v", e.File, e.Document, e.Line, e.Err)
}

func (e documentError) Unwrap() error { return e.Err }

// picture is what a set of files says about a cluster. Two objects of the same kind, namespace and name are one: the
// higher resourceVersion wins, and where one of them has none, the one that is read later.
type picture struct {
	options *ManifestOptions
	clock   *dumpClock
	rows    map[string]kind // by API group and kind: apps/Deployment
	report  func(documentError)

	objects map[state.Kind][]manifestObject
	index   map[objectKey]int
	seen    state.Kinds // kinds that occur, be it as an empty list

	good    int // objects and lists that could be read
	foreign int // of them, those of kinds we do not read
	bad     int // reported errors
}

type objectKey struct {
	kind            state.Kind
	namespace, name string
}

// manifestObject is what one object of a file became. A ReplicaSet that no Deployment controls is also a workload.
type manifestObject struct {
	version  uint64 // resourceVersion; zero when there is none
	object   state.Object
	workload *state.Workload
}

func newPicture(options *ManifestOptions, clock *dumpClock, report func(documentError)) *picture {
	p := &picture{
		options: options, clock: clock, report: report,
		rows: map[string]kind{}, objects: map[state.Kind][]manifestObject{}, index: map[objectKey]int{},
	}
	for _, row := range kinds() {
		p.rows[row.Group.Group+"/"+row.Name] = row
	}
	return p
}

// row finds the row of a kind in any version of its API group: where versions differ, they do so in fields we do not
// read, except for what adapt knows.
func (p *picture) row(t typeMeta) (kind, bool) {
	group, _, grouped := strings.Cut(t.APIVersion, "/")
	if !grouped {
		group = ""
	}
	switch {
	case group == "extensions": // where Deployments, DaemonSets and ReplicaSets lived before apps
		group = "apps"
	case t.Kind == "Event" && strings.HasPrefix(t.APIVersion, newerEvents):
		group = ""
	}
	row, known := p.rows[group+"/"+t.Kind]
	return row, known
}

// add reads a file into the picture.
func (p *picture) add(file string, r io.Reader) {
	f := fileReader{picture: p, file: file}
	f.read(r, piece{}, 0)
}

// list returns the objects of a kind.
func (p *picture) list(k state.Kind) []state.Object {
	list := make([]state.Object, 0, len(p.objects[k]))
	for _, o := range p.objects[k] {
		list = append(list, o.object)
		if o.workload != nil {
			list = append(list, o.workload)
		}
	}
	return list
}

// fileReader reads one file into the picture.
type fileReader struct {
	*picture
	file string
}

// fail reports what is wrong with the document of a piece.
func (f *fileReader) fail(at piece, line int, err error) {
	f.bad++
	f.report(documentError{File: f.file, Document: at.document, Line: line, Err: err})
}

// read reads a stream. within is the piece whose text the stream is, or zero for a file; depth counts how often that
// has happened.
func (f *fileReader) read(r io.Reader, within piece, depth int) {
	var pending []piece // items that have no kind, of a list that has not said its own yet
	size := 0
	settle := func(list typeMeta) {
		for _, item := range pending {
			f.object(item, inherited(list), depth)
		}
		pending, size = nil, 0
	}
	for p := range split(r) {
		if within.document > 0 {
			p.document, p.line = within.document, within.line+p.line-1
		}
		if len(pending) > 0 && pending[0].document != p.document {
			settle(typeMeta{}) // its list broke off
		}
		self, ok := f.normalize(&p)
		switch {
		case !ok:
		case p.item && self.Kind == "" && p.list.Kind == "" && size+len(p.text) <= maxPendingBytes:
			p.text = bytes.Clone(p.text)
			pending, size = append(pending, p), size+len(p.text)
		case p.item && self.Kind == "":
			f.object(p, inherited(p.list), depth)
		case p.item:
			f.object(p, self, depth)
		default:
			settle(self)
			f.object(p, self, depth)
		}
	}
	settle(typeMeta{})
}

// normalize makes JSON of the text of a piece and returns what the object says it is. It reports what is wrong.
func (f *fileReader) normalize(p *piece) (self typeMeta, ok bool) {
	if p.err != nil {
		f.fail(*p, p.line, p.err)
		return self, false
	}
	if p.yaml {
		text, line, err := yamlToJSON(p.text)
		if err != nil {
			f.fail(*p, p.line+line-1, err)
			return self, false
		}
		p.text = text
	}
	switch text := bytes.TrimSpace(p.text); {
	case len(text) == 0, text[0] == '[' && !p.item:
		return self, false // an empty document, or an array whose elements were items
	case text[0] != '{':
		f.fail(*p, p.line, errors.New("this is no Kubernetes object: it is no mapping"))
		return self, false
	}
	if err := kjson.UnmarshalCaseSensitivePreserveInts(p.text, &self); err != nil {
		f.fail(*p, p.line+errorLine(p.text, err), decodeError("object", err))
		return self, false
	}
	return self, true
}

// inherited is what an item without a kind is by the kind of its list.
func inherited(list typeMeta) typeMeta {
	item, found := strings.CutSuffix(list.Kind, "List")
	if !found {
		return typeMeta{}
	}
	return typeMeta{APIVersion: list.APIVersion, Kind: item}
}

// object takes one object or list.
func (f *fileReader) object(p piece, self typeMeta, depth int) {
	if self.Kind == "" || self.APIVersion == "" {
		f.fail(p, p.line, errors.New("this is no Kubernetes object: it needs an apiVersion and a kind"))
		return
	}
	if row, known := f.row(self); known {
		if err := f.decode(row, self, p.text); err != nil {
			f.fail(p, p.line+errorLine(p.text, err), decodeError(self.Kind, err))
		} else {
			f.good++
		}
		return
	}
	f.good++
	item, isList := strings.CutSuffix(self.Kind, "List")
	if !isList {
		f.foreign++
		return
	}
	if row, known := f.row(typeMeta{APIVersion: self.APIVersion, Kind: item}); known {
		f.seen |= state.KindSet(row.Kind)
	}
	switch {
	case !p.yaml && !p.item: // its items were pieces of their own
	case depth == maxNesting:
		f.fail(p, p.line, fmt.Errorf("lists are nested deeper than %d levels", maxNesting))
	default:
		f.read(bytes.NewReader(p.text), p, depth+1)
	}
}

func decodeObject(row kind, self typeMeta, text []byte) (runtime.Object, error) {
	if strings.HasPrefix(self.APIVersion, newerEvents) {
		e := &eventsv1.Event{}
		err := kjson.UnmarshalCaseSensitivePreserveInts(text, e)
		return coreEvent(e), err
	}
	decoded := row.Object()
	return decoded, kjson.UnmarshalCaseSensitivePreserveInts(text, decoded)
}

// decode converts an object of a kind we read and adds it to the picture.
func (f *fileReader) decode(row kind, self typeMeta, text []byte) error {
	decoded, err := decodeObject(row, self, text)
	if err != nil {
		return err
	}
	o, ok := decoded.(metav1.Object)
	if !ok || o.GetName() == "" {
		return errors.New("it has no metadata.name")
	}
	switch {
	case !row.Namespaced:
		o.SetNamespace("")
	case o.GetNamespace() == "":
		o.SetNamespace(metav1.NamespaceDefault)
	}
	adapt(decoded, self.APIVersion)
	f.clock.object(decoded)
	if row.Kind == state.Leases && (o.GetNamespace() != leaseNamespace || !slices.Contains(componentLeases(), o.GetName())) {
		return nil // of a node or an operator; that ours are not in the dump says nothing about them
	}
	f.seen |= state.KindSet(row.Kind)
	if f.options.wants(row, o.GetNamespace()) {
		f.put(row, decoded, o, text)
	}
	return nil
}

// put converts a decoded object and keeps it unless the picture holds a newer one.
func (f *fileReader) put(row kind, decoded runtime.Object, o metav1.Object, text []byte) {
	options := convertOptions{WorkloadLabels: f.options.WorkloadLabels, Middleware: f.options.Middleware}
	if o.GetUID() == "" { // a plain manifest; the same object has the same identity in every reading
		o.SetUID(types.UID(row.Name + "/" + o.GetNamespace() + "/" + o.GetName()))
		if bytes.Contains(text, []byte(`Probe"`)) {
			options.Document = string(text)
		}
	}
	version, err := strconv.ParseUint(o.GetResourceVersion(), 10, 64)
	if err != nil {
		version = 0
	}
	m := manifestObject{version: version, object: row.Convert(decoded, options)}
	if set, ok := decoded.(*appsv1.ReplicaSet); ok {
		m.workload = convertFreeReplicaSet(set, options)
	}
	key := objectKey{row.Kind, o.GetNamespace(), o.GetName()}
	i, exists := f.index[key]
	switch {
	case m.object == nil, !exists && row.Kind == state.Events && len(f.objects[row.Kind]) == maxDumpEvents:
	case !exists:
		f.index[key] = len(f.objects[row.Kind])
		f.objects[row.Kind] = append(f.objects[row.Kind], m)
	case version == 0 || version >= f.objects[row.Kind][i].version:
		f.objects[row.Kind][i] = m
	}
}

// conditionsAnnotation holds the conditions of a HorizontalPodAutoscaler in autoscaling/v1, the version that servers
// before Kubernetes 1.23 prefer.
const conditionsAnnotation = "autoscaling.alpha.kubernetes.io/conditions"

// adapt gives an object of an older API version the meaning of the present one.
func adapt(decoded runtime.Object, apiVersion string) {
	switch o := decoded.(type) {
	case *policyv1.PodDisruptionBudget:
		s := o.Spec.Selector
		if apiVersion == "policy/v1beta1" && s != nil && len(s.MatchLabels)+len(s.MatchExpressions) == 0 {
			o.Spec.Selector = nil // an empty selector selected nothing then and selects everything now
		}
	case *autoscalingv2.HorizontalPodAutoscaler:
		var conditions []autoscalingv2.HorizontalPodAutoscalerCondition
		if apiVersion == "autoscaling/v1" && json.Unmarshal([]byte(o.Annotations[conditionsAnnotation]), &conditions) == nil {
			o.Status.Conditions = conditions
		}
	}
}

// errorLine returns how many lines below the first line of the text the error lies, or 0 where it does not say.
func errorLine(text []byte, err error) int {
	offset := int64(0)
	var mismatch *json.UnmarshalTypeError
	if syntax, at := kjson.SyntaxErrorOffset(err); syntax {
		offset = at
	} else if errors.As(err, &mismatch) {
		offset = mismatch.Offset
	}
	return bytes.Count(text[:min(max(offset, 0), int64(len(text)))], []byte("\n"))
}

// decodeError says in the words of the manifest what could not be decoded.
func decodeError(what string, err error) error {
	var mismatch *json.UnmarshalTypeError
	if errors.As(err, &mismatch) && mismatch.Field != "" {
		return fmt.Errorf("cannot read %s: %s must not be a %s", what, mismatch.Field, mismatch.Value)
	}
	return fmt.Errorf("cannot read %s: %w", what, err)
}
