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

// Intervals returns what is in effect for every row of the unit table that is set to something known.
func Intervals(all []state.Setting) []Interval {
	var intervals []Interval
	for row := range table {
		if interval, known := inEffect(row, all); known {
			intervals = append(intervals, interval)
		}
	}
	for i := range intervals {
		intervals[i].judge(intervals)
	}
	return intervals
}

// inEffect returns what is in effect for a row. Where a row stands for several places (an asterisk in its key), the worst of them does.
func inEffect(row int, all []state.Setting) (interval Interval, known bool) {
	best := -1
	for _, s := range all {
		as := formOf(row, s)
		if as < 0 || as < best {
			continue
		}
		next, ok := evaluate(row, as, s)
		elsewhere := as == best && known && strings.Contains(table[row].forms[as].key, "*") && s.Key != interval.Setting.Key
		best = as
		if elsewhere && (!ok || !next.slips() || interval.slips()) {
			continue
		}
		interval, known = next, ok
	}
	return interval, known
}

// formOf returns the index of the form of a row in which a setting is written; -1 when it is not of the row.
func formOf(row int, s state.Setting) int {
	for as := range table[row].forms {
		if table[row].forms[as].matches(s.Source, s.Key.String()) {
			return as
		}
	}
	return -1
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

// slips reports whether an interval is a slip by itself.
func (i Interval) slips() bool {
	i.judge(nil)
	return i.Slip
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
		if i.Slip = likely > 0 || i.Effective < hopeless; likely <= 4*longest {
			i.Likely = likely
		}
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
