// SPDX-License-Identifier: Apache-2.0

package collectors

// Type is the type of a metric family.
type Type uint8

// The types of the families; a counter's name ends in _total.
const (
	Gauge Type = iota
	Counter
)

// String returns the type as the TYPE line spells it.
func (t Type) String() string { return [...]string{"gauge", "counter"}[t] }

// Family declares one metric family: what it is called, what it means and which labels its samples carry. It is the one
// place that documentation, alert rules and dashboards are checked against, and is never changed once declared.
type Family struct {
	Name   string
	Help   string // for a person on call: what is counted, how to read it, what zero or absence means
	Type   Type
	Labels []string // in the order of the label values given to Emitter.Emit
	// Sparse families have a sample only where there is something to tell; absence then means that there is nothing.
	// All others have one for every object they are about, zeros included.
	Sparse bool
}

func gauge(name, help string, labels ...string) *Family {
	return &Family{Name: name, Help: help, Labels: labels}
}

func sparseGauge(name, help string, labels ...string) *Family {
	return &Family{Name: name, Help: help, Labels: labels, Sparse: true}
}

func counter(name, help string, labels ...string) *Family {
	return &Family{Name: name, Help: help, Type: Counter, Labels: labels}
}

func sparseCounter(name, help string, labels ...string) *Family {
	return &Family{Name: name, Help: help, Type: Counter, Labels: labels, Sparse: true}
}
