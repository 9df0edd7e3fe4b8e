// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"context"
	"fmt"
	"testing"
	"time"

	"stability-exporter/internal/state"
)

// Wherever a probe ends, what it did not come to is unknown, and why.
func TestWhatAProbeDidNotComeToIsUnknown(t *testing.T) {
	kind := Kind{Name: "test", Facts: []string{"role", "writable", "alarm{disk}", "fact{keys}", "fact", "tls_verified"},
		Asked: func(*Probe) []string { return []string{"queue_messages{orders}"} }}
	for reason, why := range map[Reason]Why{Timeout: TimedOut, Refused: Unreachable, Auth: NoPermission, Protocol: Garbled} {
		kind.Probe = func(_ context.Context, p *Probe) error {
			p.Up()
			p.Role("primary")
			p.Alarm("disk", false)
			p.Unknown("fact{keys}", Unsupported)
			return fail(reason, "it ends here")
		}
		v := Run(t.Context(), &Target{Kind: &kind, Name: "t", Timeout: 5 * time.Second}, nil)
		want := []state.UnknownFact{{Fact: "fact{keys}", Why: "unsupported"}, {Fact: "queue_messages{orders}", Why: string(why)}, {Fact: "writable", Why: string(why)}}
		if fmt.Sprint(v.Unknown) != fmt.Sprint(want) {
			t.Errorf("%s: unknown are %v, want %v", reason, v.Unknown, want)
		}
	}
	v := Run(t.Context(), &Target{Kind: &kind, Name: "t", Timeout: 5 * time.Second, TLS: TLSOptions{Enabled: true}}, nil)
	if unknownWhy(v, "tls_verified") == "" {
		t.Errorf("with TLS nothing is said of the certificate: %v", v.Unknown)
	}
}

// Every fact of every kind is told to be unknown when nobody answers.
func TestNothingIsMissingOfATargetThatIsDown(t *testing.T) {
	for _, kind := range Kinds() {
		v := Run(t.Context(), &Target{Kind: &kind, Name: "t", Address: "127.0.0.1:1", Timeout: 5 * time.Second, Policy: Policy{Configured: true}}, nil)
		for _, fact := range kind.Facts {
			if !told(v)[fact] && single(fact) && fact != "tls_verified" && fact != "tls_not_after_timestamp_seconds" {
				t.Errorf("%s: %s is neither told nor unknown", kind.Name, fact)
			}
		}
	}
}
