// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"stability-exporter/internal/state"
)

const (
	// appliedAnnotation holds what was last given to kubectl apply, before the API server dropped what it does not know.
	appliedAnnotation = "kubectl.kubernetes.io/last-applied-configuration"
	maxDropped        = 32
)

// templatePath is where the pod spec of a kind stands in its JSON.
type templatePath string

const (
	inPod      templatePath = "spec"
	inTemplate templatePath = "spec.template.spec"
	inCronJob  templatePath = "spec.jobTemplate.spec.template.spec"
)

// droppedFields returns the keys in the probes of an object that are no fields of a probe, from what was applied and from
// the document that it was read from.
func droppedFields(m *metav1.ObjectMeta, path templatePath, options convertOptions) []state.DroppedField {
	found := unknownProbeFields(m.Annotations[appliedAnnotation], path)
	for _, f := range unknownProbeFields(options.Document, path) {
		if !slices.Contains(found, f) && len(found) < maxDropped {
			found = append(found, f)
		}
	}
	return found
}

// unknownProbeFields goes through the JSON of an object once and keeps nothing of it, because it does so for every change
// of every workload. What is no JSON ends the search.
func unknownProbeFields(object string, path templatePath) []state.DroppedField {
	if len(object) > maxObjectBytes || !strings.Contains(object, `Probe"`) {
		return nil
	}
	r := probeReader{jsonScanner: jsonScanner{rest: object}}
	r.descend(string(path))
	return r.found
}

// probeReader collects the unknown keys of probes.
type probeReader struct {
	jsonScanner
	found []state.DroppedField
}

func (r *probeReader) descend(path string) {
	first, deeper, more := strings.Cut(path, ".")
	for key := range r.members {
		switch {
		case key == first && more:
			r.descend(deeper)
		case key == first:
			r.podSpec()
		}
	}
}

func (r *probeReader) podSpec() {
	for key := range r.members {
		if key == "containers" || key == "initContainers" {
			for range r.elements {
				r.container()
			}
		}
	}
}

func (r *probeReader) container() {
	before := len(r.found)
	of := ""
	for key := range r.members {
		switch key {
		case "name":
			of = r.text()
		case "livenessProbe":
			r.probe(state.ProbeTypes[0])
		case "readinessProbe":
			r.probe(state.ProbeTypes[1])
		case "startupProbe":
			r.probe(state.ProbeTypes[2])
		}
	}
	for i := range r.found[before:] {
		r.found[before+i].Container = name(of) // which comes after the first probe in sorted JSON
	}
}

func (r *probeReader) probe(probeType string) {
	for key := range r.members {
		if !isProbeField("", key) {
			r.add(probeType, key)
			continue
		}
		for inner := range r.members {
			if !isProbeField(key, inner) {
				r.add(probeType, key+"."+inner)
			}
		}
	}
}

func (r *probeReader) add(probeType, field string) {
	if len(r.found) < maxDropped {
		r.found = append(r.found, state.DroppedField{ProbeType: probeType, Field: reason(field)})
	}
}

// isProbeField reports whether a Probe, or the handler of it that is named, has the field.
func isProbeField(handler, field string) bool {
	switch handler {
	case "":
		switch field {
		case "exec", "httpGet", "tcpSocket", "grpc", "initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold",
			"failureThreshold", "terminationGracePeriodSeconds":
			return true
		}
	case "exec":
		return field == "command"
	case "httpGet":
		return field == "path" || field == "port" || field == "host" || field == "scheme" || field == "httpHeaders"
	case "tcpSocket":
		return field == "port" || field == "host"
	case "grpc":
		return field == "port" || field == "service"
	}
	return false
}

// jsonScanner goes through JSON without decoding it. It is lenient: at what is no JSON it is at its end.
type jsonScanner struct{ rest string }

// members yields the keys of the object that comes next, as they are written, and passes over the value of each that the
// loop body leaves alone. Of any other value it yields nothing and passes over it.
func (s *jsonScanner) members(yield func(key string) bool) {
	if s.peek() != '{' {
		s.skip()
		return
	}
	s.rest = s.rest[1:]
	for {
		if s.peek() == ',' {
			s.rest = s.rest[1:]
		}
		if s.peek() != '"' {
			s.end('}')
			return
		}
		key := s.text()
		if s.peek() != ':' {
			s.rest = ""
			return
		}
		s.rest = s.rest[1:]
		before := len(s.rest)
		if !yield(key) {
			return
		}
		if len(s.rest) == before {
			s.skip()
		}
	}
}

// elements yields once for each element of the array that comes next, in the manner of members.
func (s *jsonScanner) elements(yield func() bool) {
	if s.peek() != '[' {
		s.skip()
		return
	}
	s.rest = s.rest[1:]
	for {
		if s.peek() == ',' {
			s.rest = s.rest[1:]
		}
		if c := s.peek(); c == 0 || c == ']' {
			s.end(']')
			return
		}
		before := len(s.rest)
		if !yield() {
			return
		}
		if len(s.rest) == before {
			s.skip()
		}
	}
}

// peek passes over white space and returns the byte that comes next; zero at the end.
func (s *jsonScanner) peek() byte {
	for i := range len(s.rest) {
		if c := s.rest[i]; c != ' ' && c != '\n' && c != '\r' && c != '\t' {
			s.rest = s.rest[i:]
			return c
		}
	}
	s.rest = ""
	return 0
}

// end takes a closing bracket; anything else in its place is no JSON.
func (s *jsonScanner) end(bracket byte) {
	if s.peek() == bracket {
		s.rest = s.rest[1:]
	} else {
		s.rest = ""
	}
}

// text returns the string that comes next with its escapes as they are, and passes over any other value.
func (s *jsonScanner) text() string {
	if s.peek() != '"' {
		s.skip()
		return ""
	}
	for end := 1; ; end++ {
		next := strings.IndexByte(s.rest[end:], '"')
		if next < 0 {
			s.rest = ""
			return ""
		}
		end += next
		escapes := 0
		for s.rest[end-1-escapes] == '\\' {
			escapes++
		}
		if escapes%2 == 0 {
			text := s.rest[1:end]
			s.rest = s.rest[end+1:]
			return text
		}
	}
}

// skip passes over one value.
func (s *jsonScanner) skip() {
	for depth := 0; ; {
		switch s.peek() {
		case '"':
			s.text()
		case '{', '[':
			depth++
			s.rest = s.rest[1:]
		case '}', ']':
			if depth--; depth < 0 {
				s.rest = "" // a value is missing
				return
			}
			s.rest = s.rest[1:]
		case ',', ':':
			if depth == 0 {
				s.rest = ""
				return
			}
			s.rest = s.rest[1:]
			continue
		case 0:
			return
		default:
			s.word()
		}
		if depth == 0 {
			return
		}
	}
}

// word passes over a number, true, false or null.
func (s *jsonScanner) word() {
	for i := range len(s.rest) {
		switch s.rest[i] {
		case ' ', '\t', '\r', '\n', ',', ':', ']', '}', '[', '{', '"':
			s.rest = s.rest[i:]
			return
		}
	}
	s.rest = ""
}
