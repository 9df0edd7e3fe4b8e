// SPDX-License-Identifier: Apache-2.0

package exporterproc

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// Metrics is one scrape.
type Metrics struct {
	Text    string // as it was served
	samples map[string][]Sample
}

// Sample is one sample of a gauge, counter or untyped family.
type Sample struct {
	Name   string
	Labels map[string]string
	Value  float64
}

// String writes the sample as the text format does, with its labels in alphabetical order.
func (s Sample) String() string {
	var labels []string
	for _, name := range slices.Sorted(maps.Keys(s.Labels)) {
		labels = append(labels, fmt.Sprintf("%s=%q", name, s.Labels[name]))
	}
	return fmt.Sprintf("%s{%s} %v", s.Name, strings.Join(labels, ","), s.Value)
}

// Parse parses the text format. Histograms and summaries are left out, a series that occurs twice is an error.
func Parse(text string) (Metrics, error) {
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		return Metrics{}, fmt.Errorf("cannot parse the metrics: %w", err)
	}
	m := Metrics{Text: text, samples: map[string][]Sample{}}
	for name, family := range families {
		seen := map[string]bool{}
		for _, metric := range family.GetMetric() {
			sample := Sample{Name: name, Labels: map[string]string{}, Value: value(metric)}
			for _, label := range metric.GetLabel() {
				sample.Labels[label.GetName()] = label.GetValue()
			}
			identity := fmt.Sprint(sample.Labels) // fmt sorts the keys of maps
			if seen[identity] {
				return Metrics{}, fmt.Errorf("cannot use the metrics: %s occurs twice", sample)
			}
			seen[identity] = true
			if metric.GetHistogram() == nil && metric.GetSummary() == nil {
				m.samples[name] = append(m.samples[name], sample)
			}
		}
	}
	return m, nil
}

func value(metric *dto.Metric) float64 {
	switch {
	case metric.GetCounter() != nil:
		return metric.GetCounter().GetValue()
	case metric.GetUntyped() != nil:
		return metric.GetUntyped().GetValue()
	default:
		return metric.GetGauge().GetValue()
	}
}

// Names are the families that have samples, in alphabetical order.
func (m Metrics) Names() []string { return slices.Sorted(maps.Keys(m.samples)) }

// Select returns the samples of a family whose labels have the given values: label, value, label, value, …
func (m Metrics) Select(name string, labels ...string) []Sample {
	var selected []Sample
	for _, sample := range m.samples[name] {
		if sample.matches(labels) {
			selected = append(selected, sample)
		}
	}
	return selected
}

func (s Sample) matches(labels []string) bool {
	for i := 0; i+1 < len(labels); i += 2 {
		if s.Labels[labels[i]] != labels[i+1] {
			return false
		}
	}
	return true
}

// Value returns the value of the one sample that Select finds; ok is false when there is none or more than one.
func (m Metrics) Value(name string, labels ...string) (value float64, ok bool) {
	selected := m.Select(name, labels...)
	if len(selected) != 1 {
		return 0, false
	}
	return selected[0].Value, true
}

// Sum adds up what Select finds; 0 when that is nothing.
func (m Metrics) Sum(name string, labels ...string) float64 {
	sum := 0.0
	for _, sample := range m.Select(name, labels...) {
		sum += sample.Value
	}
	return sum
}

// Expect returns an error unless Select finds exactly one sample and it has the value.
func (m Metrics) Expect(want float64, name string, labels ...string) error {
	selected := m.Select(name, labels...)
	if len(selected) != 1 || selected[0].Value != want {
		return fmt.Errorf("%s%v is %v, want one sample of %v", name, labels, selected, want)
	}
	return nil
}

// ExpectNone returns an error when Select finds a sample.
func (m Metrics) ExpectNone(name string, labels ...string) error {
	if selected := m.Select(name, labels...); len(selected) > 0 {
		return fmt.Errorf("%s%v is %v, want no sample", name, labels, selected)
	}
	return nil
}
