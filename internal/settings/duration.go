// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// amount is a time as somebody wrote it.
type amount struct {
	value time.Duration
	// number is what was written without a unit, where bare is true.
	number int64
	bare   bool
}

// parseInteger reads what a property takes that is a number of units: Integer.parseInt after trimming.
func parseInteger(text string, unit time.Duration) (amount, bool) {
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil {
		return amount{}, false
	}
	return amount{value: times(n, unit), number: n, bare: true}, true
}

// parseDuration reads a duration as Spring Boot does (DurationStyle): a number with one of the units ns, us, ms, s, m, h and d or without one, or
// ISO 8601. Unit is what a number without a unit counts.
func parseDuration(text string, unit time.Duration) (amount, bool) {
	digits := strings.TrimLeft(strings.TrimPrefix(strings.TrimPrefix(text, "-"), "+"), "0123456789")
	number, suffix := text[:len(text)-len(digits)], strings.ToLower(digits)
	n, err := strconv.ParseInt(number, 10, 64)
	switch {
	case err != nil:
		return parseISO(text)
	case suffix == "":
		return amount{value: times(n, unit), number: n, bare: true}, true
	}
	scale, known := map[string]time.Duration{
		"ns": 1, "us": time.Microsecond, "ms": time.Millisecond, "s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour,
	}[suffix]
	return amount{value: times(n, scale)}, known
}

// parseISO reads an ISO 8601 duration of days, hours, minutes and seconds, as java.time.Duration.parse does.
func parseISO(text string) (amount, bool) {
	rest := strings.ToUpper(text)
	negative := strings.HasPrefix(rest, "-")
	rest, found := strings.CutPrefix(strings.TrimLeft(rest, "+-"), "P")
	if !found || rest == "" || strings.HasSuffix(rest, "T") {
		return amount{}, false
	}
	days, clock, _ := strings.Cut(rest, "T")
	sum := 0.0
	for _, part := range []struct {
		text  string
		units string
	}{{days, "D"}, {clock, "HMS"}} {
		seconds, ok := sumISO(part.text, part.units)
		if !ok {
			return amount{}, false
		}
		sum += seconds
	}
	if negative {
		sum = -sum
	}
	return amount{value: clamp(sum * float64(time.Second))}, true
}

// sumISO returns the seconds of numbers that are each followed by one of the units, in their order.
func sumISO(text, units string) (seconds float64, ok bool) {
	scale := map[byte]float64{'D': 86400, 'H': 3600, 'M': 60, 'S': 1}
	for text != "" {
		end := strings.IndexAny(text, units)
		if end < 0 {
			return 0, false
		}
		n, err := strconv.ParseFloat(strings.Replace(text[:end], ",", ".", 1), 64)
		if err != nil || text[end] != 'S' && n != math.Trunc(n) || strings.ContainsAny(text[:end], "EXNI") {
			return 0, false
		}
		units = units[strings.IndexByte(units, text[end])+1:]
		seconds += n * scale[text[end]]
		text = text[end+1:]
		if units == "" && text != "" {
			return 0, false
		}
	}
	return seconds, true
}

// times returns n units, at most the longest duration there is.
func times(n int64, unit time.Duration) time.Duration {
	if n != 0 && unit > 1 && (n > math.MaxInt64/int64(unit) || n < -math.MaxInt64/int64(unit)) {
		return clamp(float64(n) * float64(unit))
	}
	return time.Duration(n) * unit
}

func clamp(nanoseconds float64) time.Duration {
	switch {
	case nanoseconds >= math.MaxInt64:
		return math.MaxInt64
	case nanoseconds <= -math.MaxInt64:
		return -math.MaxInt64
	}
	return time.Duration(nanoseconds)
}
