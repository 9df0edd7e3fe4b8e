// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"regexp"
	"slices"

	"stability-exporter/internal/state"
)

// Exemption says that findings of a check about some workloads are known and wanted.
type Exemption struct {
	Check     string         // id
	Namespace *regexp.Regexp // anchored; nil for every one
	Workload  *regexp.Regexp // likewise; of Services and budgets the name
}

// By says who exempted a finding; the value of the label by.
type By string

// Who may exempt.
const (
	ByAnnotation    By = "annotation" // of the object
	ByConfiguration By = "configuration"
)

// Exempted is a finding that is not to be told.
type Exempted struct {
	Finding
	By By
}

// The reasons for which an annotation is not in force; values of the label why.
const (
	WhyNoReason     = "no_reason"     // nobody says why
	WhyUnknownCheck = "unknown_check" // there is no check of that id
)

// Refusal is an exemption by annotation that is not in force.
type Refusal struct {
	Ref   state.WorkloadRef
	Why   string
	Count int // of ids in the annotation
}

// covers reports whether the exemption is for the finding.
func (x *Exemption) covers(f *Finding) bool {
	return x.Check == f.Check.ID && (x.Namespace == nil || x.Namespace.MatchString(f.Ref.Namespace.String())) &&
		(x.Workload == nil || x.Workload.MatchString(f.Ref.Name.String()))
}

// exemptedBy returns who exempts the finding; empty when nobody does. The ignore is that of the object that the finding is about.
func (s *Settings) exemptedBy(f *Finding, ignore *state.Ignore) By {
	switch {
	case ignore.Reasoned && slices.ContainsFunc(ignore.Checks, func(id state.Symbol) bool { return id.String() == f.Check.ID }):
		return ByAnnotation
	case slices.ContainsFunc(s.Exempt, func(x Exemption) bool { return x.covers(f) }):
		return ByConfiguration
	}
	return ""
}

// refusals returns what of an object's annotation is not in force.
func (e *Evaluator) refusals(ref state.WorkloadRef, ignore *state.Ignore) []Refusal {
	if len(ignore.Checks) == 0 {
		return nil
	}
	unknown := 0
	for _, id := range ignore.Checks {
		if !slices.ContainsFunc(e.checks, func(c Check) bool { return c.ID == id.String() }) {
			unknown++
		}
	}
	var refused []Refusal
	if known := len(ignore.Checks) - unknown; known > 0 && !ignore.Reasoned {
		refused = append(refused, Refusal{ref, WhyNoReason, known})
	}
	if unknown > 0 {
		refused = append(refused, Refusal{ref, WhyUnknownCheck, unknown})
	}
	return refused
}
