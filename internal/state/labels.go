// SPDX-License-Identifier: Apache-2.0

package state

import (
	"slices"
	"strings"
)

// Labels is an immutable set of labels that many objects share: the text key=value, sorted, one per line.
type Labels struct{ text Symbol }

// MakeLabels returns the shared form of the labels.
func MakeLabels(labels map[string]string) Labels {
	if len(labels) == 0 {
		return Labels{}
	}
	pairs := make([]string, 0, len(labels))
	for k, v := range labels {
		pairs = append(pairs, k+"="+v)
	}
	slices.Sort(pairs)
	return Labels{Sym(strings.Join(pairs, "\n"))}
}

// Get returns the value of the label key and whether it is set.
func (l Labels) Get(key string) (string, bool) {
	for rest := l.text.String(); rest != ""; {
		var line string
		line, rest, _ = strings.Cut(rest, "\n")
		if k, v, _ := strings.Cut(line, "="); k == key {
			return v, true
		}
	}
	return "", false
}

// SelectorOp is the operator of a label requirement.
type SelectorOp uint8

// The operators of metav1.LabelSelectorRequirement.
const (
	OpIn SelectorOp = iota
	OpNotIn
	OpExists
	OpDoesNotExist
)

// Requirement is one term of a Selector.
type Requirement struct {
	Key    Symbol
	Op     SelectorOp
	Values []Symbol // for OpIn and OpNotIn
}

// Selector selects labels: all its requirements must hold. An empty non-nil Selector selects everything, a nil one
// nothing, as in policy/v1 and in LabelSelectorAsSelector.
type Selector []Requirement

// SelectorFromMap returns the selector of equalities that Services use; an empty map gives nil, which selects nothing.
func SelectorFromMap(labels map[string]string) Selector {
	var s Selector
	for k, v := range labels {
		s = append(s, Requirement{Key: Sym(k), Values: []Symbol{Sym(v)}})
	}
	slices.SortFunc(s, func(a, b Requirement) int { return strings.Compare(a.Key.String(), b.Key.String()) })
	return s
}

// Matches reports whether the selector selects the labels.
func (s Selector) Matches(l Labels) bool {
	if s == nil {
		return false
	}
	for _, r := range s {
		value, set := l.Get(r.Key.String())
		in := set && slices.ContainsFunc(r.Values, func(v Symbol) bool { return v.String() == value })
		var ok bool
		switch r.Op {
		case OpIn:
			ok = in
		case OpNotIn:
			ok = !in
		case OpExists:
			ok = set
		case OpDoesNotExist:
			ok = !set
		}
		if !ok {
			return false
		}
	}
	return true
}
