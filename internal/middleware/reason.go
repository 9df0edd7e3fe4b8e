// SPDX-License-Identifier: Apache-2.0

package middleware

// Reason is the value of the label reason of stability_middleware_problem: a closed list, so that a rule can name each.
type Reason string

// The reasons. The first ones end a probe: nothing else is known then.
const (
	DNS         Reason = "dns"         // the name does not resolve
	Forbidden   Reason = "forbidden"   // the address is one that is never asked
	Refused     Reason = "refused"     // nobody listens
	Timeout     Reason = "timeout"     // no answer within the deadline
	Closed      Reason = "closed"      // the connection ended in the middle
	TLS         Reason = "tls"         // no handshake, or a certificate that does not verify
	Auth        Reason = "auth"        // wrong or missing credentials
	Permission  Reason = "permission"  // the account may not ask what decides the verdict
	Protocol    Reason = "protocol"    // the answer is not one of this kind
	Saturated   Reason = "saturated"   // it takes no more connections
	Internal    Reason = "internal"    // the probe itself failed
	Loading     Reason = "loading"     // it starts and does not serve yet
	Unavailable Reason = "unavailable" // it answers that it cannot serve: HTTP 5xx, a backend without servers
	NoQuorum    Reason = "no_quorum"
	NoLeader    Reason = "no_leader"
	NotWritable Reason = "not_writable" // a primary that does not take writes
	// RoleConflict is two primaries, or a role other than the one configured.
	RoleConflict       Reason = "role_conflict"
	ReplicationBroken  Reason = "replication_broken"
	ReplicationLagging Reason = "replication_lagging" // behind by more than the target's limit
	MembersMissing     Reason = "members_missing"     // fewer than expected
	Alarm              Reason = "alarm"
	Degraded           Reason = "degraded" // partitions offline or under-replicated, a cluster that is not whole
	CertExpired        Reason = "cert_expired"
	CertInvalid        Reason = "cert_invalid" // wrong host, unknown authority
	Expired            Reason = "expired"      // a licence or the like
	Mismatch           Reason = "mismatch"     // the answer is not the one that was asked for: status, text, JSON value
)

// Reasons lists all reasons, in the order of the documentation.
func Reasons() []Reason {
	return []Reason{
		DNS, Forbidden, Refused, Timeout, Closed, TLS, Auth, Permission, Protocol, Saturated, Internal, Loading, Unavailable, NoQuorum, NoLeader,
		NotWritable, RoleConflict, ReplicationBroken, ReplicationLagging, MembersMissing, Alarm, Degraded, CertExpired, CertInvalid, Expired, Mismatch,
	}
}

// Why is the value of the label why of stability_middleware_fact_unknown.
type Why string

// Why a fact is unknown.
const (
	NoPermission  Why = "permission"
	Unsupported   Why = "unsupported" // the version or edition does not tell
	TimedOut      Why = "timeout"
	Garbled       Why = "protocol"   // the answer could not be read
	WarmingUp     Why = "warming_up" // it has just started and does not know itself
	NotConfigured Why = "not_configured"
)
