// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"

	"stability-exporter/internal/state"
)

// Objects are untrusted: a manifest passes no validation, and a server may be newer or broken. Lengths, numbers and
// times are therefore brought into the range that the rest of the program relies on.
const (
	maxName     = 253 // of an object; also bounds label values
	maxLabelKey = 317 // prefix, slash, name
	maxReason   = 64
)

// maxTime is the year 2200: the difference of two times up to it still fits a time.Duration.
const maxTime = state.Time(7258118400)

// text returns s as valid UTF-8 of at most limit bytes.
func text(s string, limit int) string {
	if len(s) > limit {
		s = s[:limit]
	}
	return strings.ToValidUTF8(s, "")
}

// name returns the symbol of an object's, container's or node's name.
func name(s string) state.Symbol { return state.Sym(text(s, maxName)) }

// reason returns the symbol of a machine-readable reason; what does not belong into one becomes an underscore.
func reason(s string) state.Symbol {
	return state.Sym(strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune("_./-", r):
			return r
		}
		return '_'
	}, text(s, maxReason)))
}

// moment converts a time. One outside 1970 to 2200 becomes the nearer end, so that a deletion timestamp stays one.
func moment(t time.Time) state.Time {
	if t.IsZero() {
		return 0
	}
	return min(max(state.At(t), 1), maxTime)
}

func momentOf(t *metav1.Time) state.Time {
	if t == nil {
		return 0
	}
	return moment(t.Time)
}

// count returns a number of replicas, restarts or pods, which cannot be negative.
func count(n int32) int32 { return max(n, 0) }

// seconds returns a duration between zero and 68 years.
func seconds(n int64) time.Duration {
	return time.Duration(min(max(n, 0), math.MaxInt32)) * time.Second
}

// deref returns what p points to, or the default that the API gives an absent field.
func deref[T any](p *T, absent T) T {
	if p == nil {
		return absent
	}
	return *p
}

// identity converts the identity of an object.
func identity(o metav1.Object) state.Meta {
	m := state.Meta{
		Namespace: name(o.GetNamespace()),
		Name:      strings.Clone(text(o.GetName(), maxName)),
		UID:       state.ParseUID(string(o.GetUID())),
		Version:   resourceVersion(o),
		Created:   moment(o.GetCreationTimestamp().Time),
		Deleted:   momentOf(o.GetDeletionTimestamp()),
	}
	for _, owner := range o.GetOwnerReferences() {
		if deref(owner.Controller, false) {
			m.Owner = state.Owner{
				Kind: reason(owner.Kind), Name: name(owner.Name), UID: state.ParseUID(string(owner.UID)),
			}
			break
		}
	}
	return m
}

// resourceVersion is a decimal number; zero when it is none.
func resourceVersion(o metav1.Object) uint64 {
	n, err := strconv.ParseUint(o.GetResourceVersion(), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// validLabel reports whether the label can be stored as a line of state.Labels; the API accepts no other.
func validLabel(key, value string) bool {
	return len(key) <= maxLabelKey && len(value) <= maxName && !strings.ContainsAny(key, "=\n") && !strings.Contains(value, "\n")
}

func labels(all map[string]string) state.Labels {
	for k, v := range all {
		if !validLabel(k, v) {
			return state.MakeLabels(validLabels(all))
		}
	}
	return state.MakeLabels(all)
}

func validLabels(all map[string]string) map[string]string {
	valid := make(map[string]string, len(all))
	for k, v := range all {
		if validLabel(k, v) {
			valid[k] = v
		}
	}
	return valid
}

// info returns the allow-listed labels.
func info(all map[string]string, allowed []string) state.Labels {
	picked := map[string]string{}
	for _, key := range allowed {
		if value, ok := all[key]; ok && validLabel(key, value) {
			picked[key] = strings.ToValidUTF8(value, "")
		}
	}
	return state.MakeLabels(picked)
}

// selector converts a label selector. One with an unknown operator selects nothing, as the API refuses it.
func selector(s *metav1.LabelSelector) state.Selector {
	if s == nil {
		return nil
	}
	ops := map[metav1.LabelSelectorOperator]state.SelectorOp{
		metav1.LabelSelectorOpIn: state.OpIn, metav1.LabelSelectorOpNotIn: state.OpNotIn,
		metav1.LabelSelectorOpExists: state.OpExists, metav1.LabelSelectorOpDoesNotExist: state.OpDoesNotExist,
	}
	requirements := append(state.Selector{}, state.SelectorFromMap(s.MatchLabels)...)
	for _, e := range s.MatchExpressions {
		op, ok := ops[e.Operator]
		if !ok {
			return nil
		}
		r := state.Requirement{Key: state.Sym(e.Key), Op: op}
		for _, v := range e.Values {
			r.Values = append(r.Values, state.Sym(v))
		}
		requirements = append(requirements, r)
	}
	return requirements
}

// intOrPercent converts a number or percentage; what is absent or unreadable becomes the default.
func intOrPercent(v *intstr.IntOrString, absent state.IntOrPercent) state.IntOrPercent {
	if v == nil {
		return absent
	}
	if v.Type == intstr.Int {
		return state.IntOrPercent{Value: count(v.IntVal)}
	}
	digits, percent := strings.CutSuffix(v.StrVal, "%")
	n, err := strconv.ParseInt(digits, 10, 32)
	if err != nil || n < 0 {
		return absent
	}
	return state.IntOrPercent{Value: int32(n), Percent: percent}
}

// findCondition returns the condition of the wanted type, or the zero C.
func findCondition[C any](conditions []C, wanted func(*C) bool) (found C) {
	if i := slices.IndexFunc(conditions, func(c C) bool { return wanted(&c) }); i >= 0 {
		return conditions[i]
	}
	return found
}

func tristate(status corev1.ConditionStatus) state.Tristate {
	switch status {
	case "":
		return state.Absent
	case corev1.ConditionTrue:
		return state.True
	}
	return state.False
}

// Convert returns what a store is given for an object that comes from an API server: its compact form, and for a
// ReplicaSet that no Deployment controls also the workload that it is. Of a kind that is not read, and of what
// tells nothing, it returns nothing.
func Convert(object runtime.Object) []state.Object {
	live := convertOptions{Live: true}
	for _, k := range kinds() {
		if reflect.TypeOf(k.Object()) != reflect.TypeOf(object) {
			continue
		}
		var converted []state.Object
		if o := k.Convert(object, live); o != nil {
			converted = append(converted, o)
		}
		if rs, ok := object.(*appsv1.ReplicaSet); ok {
			if w := convertFreeReplicaSet(rs, live); w != nil {
				converted = append(converted, w)
			}
		}
		return converted
	}
	return nil
}
