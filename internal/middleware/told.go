// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"strings"

	"stability-exporter/internal/state"
)

// told returns which facts a view tells or lists as unknown, spelled as in Kind.Facts. A family of lists is told when anything of it is.
func told(v *state.MiddlewareView) map[string]bool {
	facts := map[string]bool{
		"role": v.Role != "", "writable": v.Writable != state.Absent, "replication_link_up": v.LinkUp != state.Absent,
		"replication_lag_seconds": v.LagSeconds.Known, "replication_lag_bytes": v.LagBytes.Known, "members_expected": v.MembersExpected.Known,
		"tls_not_after_timestamp_seconds": v.TLSNotAfter != 0, "tls_verified": v.TLSVerified != state.Absent,
	}
	for family, list := range map[string][]state.Measurement{
		"members": v.Members, "saturation_ratio": v.Saturation, "alarm": v.Alarms, "partitions": v.Partitions, "fact": v.Facts,
		"queue_messages": v.QueueMessages, "queue_consumers": v.QueueConsumers, "consumer_lag": v.ConsumerLag, "expiry_timestamp_seconds": v.Expiry,
	} {
		for _, m := range list {
			facts[family+"{"+m.Name+"}"] = true
		}
		facts[family] = len(list) > 0
	}
	for _, u := range v.Unknown {
		facts[u.Fact] = true
	}
	return facts
}

// single reports whether a fact is one sample and no family of them.
func single(fact string) bool {
	switch fact {
	case "members", "saturation_ratio", "alarm", "partitions", "fact", "queue_messages", "queue_consumers", "consumer_lag", "expiry_timestamp_seconds":
		return false
	}
	return true
}

// leaveUnknown lists what a probe did not come to as unknown, so that nothing that is missing looks like nothing to tell.
func (p *Probe) leaveUnknown(ended Reason) {
	p.mu.Lock()
	known := told(&p.view)
	p.mu.Unlock()
	facts := p.Target.Kind.Facts
	if p.Target.Kind.Asked != nil {
		facts = append(facts[:len(facts):len(facts)], p.Target.Kind.Asked(p)...)
	}
	for _, fact := range facts {
		if !known[fact] && single(fact) && (p.Target.secure() || !strings.HasPrefix(fact, "tls_")) {
			p.Unknown(fact, whyOf(ended))
		}
	}
}

// whyOf returns why a fact is unknown when the probe ended for a reason.
func whyOf(ended Reason) Why {
	switch ended {
	case Timeout:
		return TimedOut
	case Auth, Permission, Forbidden:
		return NoPermission
	case Protocol, Mismatch, Internal:
		return Garbled
	}
	return Unreachable
}

// secure reports whether the target is asked with TLS.
func (t *Target) secure() bool { return t.TLS.Enabled || strings.HasPrefix(t.Address, "https://") }
