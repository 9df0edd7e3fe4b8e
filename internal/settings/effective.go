// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"strings"
	"time"

	"stability-exporter/internal/state"
)

// Interval is what is in effect for one row of the unit table.
type Interval struct {
	Row     Row
	Setting state.Setting // the one that is in effect
	// Effective is what the program makes of the value.
	Effective time.Duration
	// Slip says that this is hardly what was meant.
	Slip bool
	// Likely is what was probably meant; zero when that cannot be told.
	Likely time.Duration
}

// decideProfiles leaves out what holds for profiles that are not active. Where no active profile is known, what holds for a
// profile alone counts if nothing else sets the same.
func decideProfiles(all []state.Setting) []state.Setting {
	active, known := activeProfiles(all)
	kept := all[:0]
	var doubtful []state.Setting
	for _, s := range all {
		switch {
		case !inItsFile(s):
		case s.Profile == (state.Symbol{}) || known && holds(s.Profile.String(), active):
			kept = append(kept, s)
		case !known:
			doubtful = append(doubtful, s)
		}
	}
	for i, s := range doubtful {
		if !setElsewhere(s, kept) && !setElsewhere(s, doubtful[:i]) && !setElsewhere(s, doubtful[i+1:]) {
			kept = append([]state.Setting{s}, kept...)
		}
	}
	return kept
}

// setElsewhere reports whether another setting sets the same to something else.
func setElsewhere(s state.Setting, others []state.Setting) bool {
	row, _ := rowFor(s.Source, s.Key.String())
	for _, other := range others {
		if r, _ := rowFor(other.Source, other.Key.String()); r == row && (row >= 0 || other.Key == s.Key) && other.Value != s.Value {
			return true
		}
	}
	return false
}

// inItsFile reports whether a setting stands where it is read: properties of Spring in a file of Spring, others in a file of theirs.
func inItsFile(s state.Setting) bool {
	if s.Source != state.FromFile {
		return true
	}
	file := s.Where.String()
	if row, as := rowFor(s.Source, s.Key.String()); row >= 0 && table[row].forms[as].file != "" {
		return strings.HasSuffix(file, table[row].forms[as].file) && !isSpringFile(file)
	}
	return isSpringFile(file)
}

// Intervals returns what is in effect for every row of the unit table that is set to something known.
func Intervals(all []state.Setting) []Interval {
	type choice struct{ setting, form int }
	var chosen map[int]choice
	for i, s := range all {
		row, as := rowFor(s.Source, s.Key.String())
		if row < 0 {
			continue
		}
		if chosen == nil {
			chosen = map[int]choice{}
		}
		if before, set := chosen[row]; !set || as >= before.form {
			chosen[row] = choice{i, as}
		}
	}
	var intervals []Interval
	for row := range table {
		c, set := chosen[row]
		if !set {
			continue
		}
		if interval, known := evaluate(row, c.form, all[c.setting]); known {
			intervals = append(intervals, interval)
		}
	}
	for i := range intervals {
		intervals[i].judge(intervals)
	}
	return intervals
}

// evaluate returns what a program makes of a setting; known is false if the value cannot be known, or if the program does not take it and fails.
func evaluate(row, as int, s state.Setting) (interval Interval, known bool) {
	r := table[row]
	parse := parseDuration
	if r.forms[as].whole {
		parse = parseInteger
	}
	a, known := parse(s.Value, r.Unit)
	if !known || a.value < 0 {
		return Interval{}, false
	}
	interval = Interval{Row: r, Setting: s, Effective: a.value}
	if r.Whole > 0 {
		interval.Effective = a.value.Truncate(r.Whole)
	}
	if a.bare {
		interval.Likely = otherUnit(a.number, r.Unit)
	}
	return interval, true
}

// otherUnit returns a number in the unit that it is likely mistaken for: milliseconds for seconds and the reverse.
func otherUnit(n int64, unit time.Duration) time.Duration {
	if unit == time.Second {
		return times(n, time.Millisecond)
	}
	return times(n, time.Second)
}

// judge decides whether an interval is a slip. Likely holds what the number would be in the other unit, or zero when the unit is
// written: then nothing was mistaken, and only what is absurd is told.
func (i *Interval) judge(all []Interval) {
	r, likely := &i.Row, i.Likely
	i.Likely = 0
	if r.Loud {
		return
	}
	longest := r.Max
	for _, partner := range all {
		if partner.Row.Key == r.Partner && partner.Effective/time.Duration(max(r.Ratio, 1)) > longest {
			longest = partner.Effective / time.Duration(max(r.Ratio, 1))
		}
	}
	within := likely >= r.Min && likely <= longest
	outside := i.Effective < r.Min || i.Effective > longest
	switch {
	case likely > 0 && outside && within:
		i.Slip, i.Likely = true, likely
	case likely == 0 && i.Effective == 0 && strings.Trim(i.Setting.Value, "0") != "": // cut down to nothing
		i.Slip = true
	case i.Effective < r.Floor:
		i.Slip = likely > 0 || i.Effective < hopeless
	case r.Kind == TTL && likely > 0:
		i.judgeTTL(likely)
	}
}

// hopeless is what no heartbeat is meant to be, even with its unit written.
const hopeless = 100 * time.Millisecond

// judgeTTL finds times that are long enough in milliseconds and are hours or half hours in seconds: 3600, 86400.
func (i *Interval) judgeTTL(likely time.Duration) {
	const halfHour = 30 * time.Minute
	if likely%halfHour == 0 && i.Effective%time.Second != 0 && likely <= i.Row.Max {
		i.Slip, i.Likely = true, likely
	}
}
