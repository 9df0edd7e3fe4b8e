// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"
)

// Threshold is a number or a duration in the expression of an alert that can be set by its name.
type Threshold struct {
	Name     string
	Alert    string
	Meaning  string
	Unit     Unit
	Default  float64 // durations in seconds, as all values
	Min, Max float64 // both allowed
	places   []place
}

// Unit is how a threshold is written.
type Unit int

// The units.
const (
	Count    Unit = iota // a whole number
	Share                // a number between 0 and 1
	Duration             // a duration with a unit; its value is in seconds
)

// place is a piece of text in a rule that has to change with a threshold, or else it would not be true any more.
type place struct {
	key   string // of the rule, or of its annotations
	text  string // occurs once in all rules of the alert; what stands for the value is between « and »
	write func(value float64) string
}

// split returns what stands for the default, and the text before and after.
func (p place) split() (before, holds, after string) {
	before, rest, _ := strings.Cut(p.text, "«")
	holds, after, _ = strings.Cut(rest, "»")
	return before, holds, after
}

// Parse returns the value of a text as it is written in a configuration. The error says what to write instead.
func (t Threshold) Parse(text string) (float64, error) {
	value, err := strconv.ParseFloat(text, 64)
	number := err == nil
	if t.Unit == Duration {
		if number {
			return 0, fmt.Errorf("duration %s of %s has no unit: write %ss if seconds are meant", text, t.Name, text)
		}
		parsed, err := model.ParseDuration(text)
		if err != nil {
			return 0, fmt.Errorf("%q for %s is no duration: write a number with a unit, such as 90s, 10m, 1h30m or 1d", text, t.Name)
		}
		value, number = time.Duration(parsed).Seconds(), true
	}
	if !number || t.Unit == Count && value != math.Trunc(value) {
		return 0, fmt.Errorf("%q for %s is no %s: write one from %s", text, t.Name, t.kind(), t.Range())
	}
	if !(value >= t.Min && value <= t.Max) { // nor is NaN
		return 0, fmt.Errorf("%s for %s is out of range: write a %s from %s", text, t.Name, t.kind(), t.Range())
	}
	return value, nil
}

func (t Threshold) kind() string {
	return [...]string{"whole number", "number", "duration"}[t.Unit]
}

// Range returns the least and the greatest value as they are written.
func (t Threshold) Range() string { return t.Write(t.Min) + " to " + t.Write(t.Max) }

// Write returns a value as it is written in a configuration.
func (t Threshold) Write(value float64) string {
	if t.Unit == Duration {
		return promDuration(value)
	}
	return number(value)
}

// number writes counts, shares and seconds in an expression.
func number(value float64) string { return strconv.FormatFloat(value, 'f', -1, 64) }

// promDuration writes seconds as a duration of PromQL, such as 1h30m.
func promDuration(seconds float64) string {
	return model.Duration(time.Duration(seconds * float64(time.Second))).String()
}

// percent writes a share.
func percent(share float64) string { return number(math.Round(share*1e4)/100) + "%" }

// period writes seconds in words, such as 90 minutes.
func period(seconds float64) string {
	for _, unit := range []struct {
		seconds float64
		name    string
	}{{86400, "day"}, {3600, "hour"}, {60, "minute"}, {1, "second"}} {
		if n := seconds / unit.seconds; n == 1 {
			return "1 " + unit.name
		} else if n == math.Trunc(n) {
			return number(n) + " " + unit.name + "s"
		}
	}
	return promDuration(seconds)
}

// lastPeriod writes seconds as they follow "the last": hour, but 2 hours.
func lastPeriod(seconds float64) string { return strings.TrimPrefix(period(seconds), "1 ") }

// edit is a change of a piece of text.
type edit struct{ alert, key, before, old, new, after string }

// thresholdEdits returns what has to be changed for the thresholds with the given values.
func thresholdEdits(values map[string]float64) []edit {
	var edits []edit
	for _, t := range Thresholds() {
		value, given := values[t.Name]
		if !given || value == t.Default {
			continue
		}
		for _, p := range t.places {
			before, holds, after := p.split()
			edits = append(edits, edit{t.Alert, p.key, before, holds, p.write(value), after})
		}
	}
	return edits
}

// substitute makes the edits of an alert in one of its rules. All are found before any is made: none disturbs another.
func substitute(rule *yaml.Node, alert string, edits []edit) {
	for _, parent := range []*yaml.Node{rule, get(rule, "annotations")} {
		for _, key := range []string{"expr", "summary", "description"} {
			node := get(parent, key)
			type found struct {
				at int
				edit
			}
			var all []found
			for _, e := range edits {
				at := strings.Index(node.Value, e.before+e.old+e.after)
				if e.alert == alert && e.key == key && at >= 0 {
					all = append(all, found{at + len(e.before), e})
				}
			}
			slices.SortFunc(all, func(a, b found) int { return cmp.Compare(b.at, a.at) })
			for _, f := range all {
				node.Value = node.Value[:f.at] + f.new + node.Value[f.at+len(f.old):]
			}
		}
	}
}
