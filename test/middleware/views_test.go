// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"stability-exporter/internal/middleware"
	"stability-exporter/internal/state"
)

// expectation returns what is not as it is wanted of a view.
type expectation func(*state.MiddlewareView) error

// check fails the test when a view is not as it is wanted.
func check(t *testing.T, view *state.MiddlewareView, wanted ...expectation) {
	t.Helper()
	if err := unmet(view, wanted); err != nil {
		t.Error(err)
	}
}

// unmet returns everything that is not as it is wanted of a view, and the view.
func unmet(view *state.MiddlewareView, wanted []expectation) error {
	var all []error
	for _, want := range wanted {
		all = append(all, want(view))
	}
	if err := errors.Join(all...); err != nil {
		return fmt.Errorf("%w: %s", err, describe(view))
	}
	return nil
}

// describe shows a view in one line.
func describe(v *state.MiddlewareView) string { return fmt.Sprintf("%+v", *v) }

// healthy wants a target to be up without any problem.
func healthy(view *state.MiddlewareView) error {
	if !view.Healthy() {
		return errors.New("it should be healthy")
	}
	return nil
}

// unhealthy wants a problem of the reason, whose detail tells the text; there may be others.
func unhealthy(reason middleware.Reason, text string) expectation {
	return func(view *state.MiddlewareView) error {
		for _, problem := range view.Problems {
			if problem.Reason == string(reason) && strings.Contains(problem.Detail, text) {
				return nil
			}
		}
		return fmt.Errorf("it should have the problem %s with %q", reason, text)
	}
}

// down wants a target not to be up, for one reason and no other.
func down(reason middleware.Reason, text string) expectation {
	return func(view *state.MiddlewareView) error {
		switch {
		case view.Up:
			return errors.New("it should not be up")
		case len(view.Problems) != 1:
			return fmt.Errorf("it should have the problem %s alone", reason)
		}
		return unhealthy(reason, text)(view)
	}
}

// upWith wants a target to be up with problems of these reasons and of no other.
func upWith(reasons ...middleware.Reason) expectation {
	return func(view *state.MiddlewareView) error {
		if !view.Up || len(view.Problems) != len(reasons) {
			return fmt.Errorf("it should be up with the problems %v alone", reasons)
		}
		for _, reason := range reasons {
			if err := unhealthy(reason, "")(view); err != nil {
				return err
			}
		}
		return nil
	}
}

// roleIs wants a role.
func roleIs(role string) expectation {
	return func(view *state.MiddlewareView) error {
		if view.Role != role {
			return fmt.Errorf("its role should be %s", role)
		}
		return nil
	}
}

// writableIs wants it to take writes, or not to.
func writableIs(wanted state.Tristate) expectation {
	return func(view *state.MiddlewareView) error {
		if view.Writable != wanted {
			return fmt.Errorf("its being writable should be %v", wanted)
		}
		return nil
	}
}

// linkIs wants the replication to be connected, or not to.
func linkIs(wanted state.Tristate) expectation {
	return func(view *state.MiddlewareView) error {
		if view.LinkUp != wanted {
			return fmt.Errorf("its link should be %v", wanted)
		}
		return nil
	}
}

// Bounds of numbers of which more is not known.
const (
	some      = 1e-9 // more than nothing
	unlimited = math.MaxFloat64
)

const (
	replicationLag      = "replication_lag_seconds"
	replicationLagBytes = "replication_lag_bytes"
)

// tells wants a number, named as in Kind.Facts.
func tells(fact string, value float64) expectation { return tellsBetween(fact, value, value) }

// tellsAny wants a number to be told, whatever it is.
func tellsAny(fact string) expectation { return tellsBetween(fact, -unlimited, unlimited) }

// tellsBetween wants a number in a range, both ends included.
func tellsBetween(fact string, least, most float64) expectation {
	return func(view *state.MiddlewareView) error {
		value, told := numbers(view)[fact]
		switch {
		case !told:
			return fmt.Errorf("%s should be told", fact)
		case value < least || value > most:
			return fmt.Errorf("%s is %v and should be from %v to %v", fact, value, least, most)
		}
		return nil
	}
}

// tellsNot wants numbers not to be told.
func tellsNot(facts ...string) expectation {
	return func(view *state.MiddlewareView) error {
		for _, fact := range facts {
			if value, told := numbers(view)[fact]; told {
				return fmt.Errorf("%s is %v and should not be told", fact, value)
			}
		}
		return nil
	}
}

// numbers are those of a view, named as in Kind.Facts.
func numbers(v *state.MiddlewareView) map[string]float64 {
	all := map[string]float64{}
	for fact, m := range map[string]state.Measure{
		replicationLag: v.LagSeconds, replicationLagBytes: v.LagBytes, "members_expected": v.MembersExpected,
	} {
		if m.Known {
			all[fact] = m.Value
		}
	}
	for family, list := range map[string][]state.Measurement{
		"members": v.Members, "saturation_ratio": v.Saturation, "alarm": v.Alarms, "partitions": v.Partitions, "fact": v.Facts,
		"queue_messages": v.QueueMessages, "queue_consumers": v.QueueConsumers, "consumer_lag": v.ConsumerLag, "expiry_timestamp_seconds": v.Expiry,
	} {
		for _, m := range list {
			all[family+"{"+m.Name+"}"] = m.Value
		}
	}
	return all
}

// unknown wants facts to be listed as unknown for a reason.
func unknown(why middleware.Why, facts ...string) expectation {
	return func(view *state.MiddlewareView) error {
		for _, fact := range facts {
			if !slices.Contains(view.Unknown, state.UnknownFact{Fact: fact, Why: string(why)}) {
				return fmt.Errorf("%s should be unknown for %s", fact, why)
			}
		}
		return nil
	}
}

// nothingUnknown wants every fact of the role to be told, and none that the kind does not declare.
func nothingUnknown(view *state.MiddlewareView) error {
	if len(view.Unknown) > 0 {
		return errors.New("nothing should be unknown")
	}
	kinds := middleware.Kinds()
	declared := kinds[slices.IndexFunc(kinds, func(k middleware.Kind) bool { return k.Name == view.Kind })].Facts
	for fact := range numbers(view) {
		family, _, _ := strings.Cut(fact, "{")
		if !slices.Contains(declared, fact) && !slices.Contains(declared, family) {
			return fmt.Errorf("%s is told, and the kind does not declare it", fact)
		}
	}
	return nil
}

// hides wants a text to be shown nowhere.
func hides(secret string) expectation {
	return func(view *state.MiddlewareView) error {
		if strings.Contains(describe(view), secret) {
			return fmt.Errorf("it should not show %q", secret)
		}
		return nil
	}
}
