// SPDX-License-Identifier: Apache-2.0

package middleware

// Reason is the value of the label reason of stability_middleware_problem: a closed list, so that a rule can name each.
type Reason string

// The reasons, explained below. Up to Internal nothing else is known of the target.
const (
	DNS                Reason = "dns"
	Forbidden          Reason = "forbidden"
	Refused            Reason = "refused"
	Timeout            Reason = "timeout"
	Closed             Reason = "closed"
	TLS                Reason = "tls"
	Auth               Reason = "auth"
	Permission         Reason = "permission"
	Protocol           Reason = "protocol"
	Saturated          Reason = "saturated"
	Internal           Reason = "internal"
	Loading            Reason = "loading"
	Unavailable        Reason = "unavailable"
	NoQuorum           Reason = "no_quorum"
	NoLeader           Reason = "no_leader"
	NotWritable        Reason = "not_writable"
	RoleConflict       Reason = "role_conflict"
	ReplicationBroken  Reason = "replication_broken"
	ReplicationLagging Reason = "replication_lagging"
	MembersMissing     Reason = "members_missing"
	Alarm              Reason = "alarm"
	Degraded           Reason = "degraded"
	CertExpired        Reason = "cert_expired"
	CertInvalid        Reason = "cert_invalid"
	Expired            Reason = "expired"
	Mismatch           Reason = "mismatch"
)

// explained is a value of a label and what it means.
type explained[T ~string] struct {
	value   T
	meaning string
}

func explainedReasons() []explained[Reason] {
	return []explained[Reason]{
		{DNS, "its name does not resolve"},
		{Forbidden, "its address is one that is never asked, or the credential is not meant for it"},
		{Refused, "nobody listens there, or there is no way to it"},
		{Timeout, "no answer within the timeout"},
		{Closed, "it ended the connection in the middle"},
		{TLS, "no TLS handshake"},
		{Auth, "the credentials are wrong or missing: the check is blind, the target may be well"},
		{Permission, "the account may not ask what decides the verdict: the check is blind, the target may be well"},
		{Protocol, "the answer is not one of this kind"},
		{Saturated, "it takes no more connections"},
		{Internal, "the probe itself failed: a file of its configuration cannot be read, or it is a defect of the exporter"},
		{Loading, "it starts and does not serve yet"},
		{Unavailable, "it answers that it cannot serve: HTTP 5xx, a backend without servers"},
		{NoQuorum, "too few members are there to decide anything"},
		{NoLeader, "nobody leads, so nothing is decided or written"},
		{NotWritable, "a primary that takes no writes"},
		{RoleConflict, "two primaries, or a role other than the configured one"},
		{ReplicationBroken, "it does not replicate any more"},
		{ReplicationLagging, "it is behind its primary by more than the configured limit"},
		{MembersMissing, "fewer members than expected"},
		{Alarm, "an alarm of its own stands, such as a full disk"},
		{Degraded, "parts of its data are offline, not replicated as they should be, or about to be"},
		{CertExpired, "its certificate is not valid now"},
		{CertInvalid, "its certificate does not verify: another host, an unknown authority"},
		{Expired, "something that it tells of has expired, such as a licence"},
		{Mismatch, "the answer is not the one that was asked for: status, text, JSON value"},
	}
}

// Reasons lists all reasons, in the order of the documentation.
func Reasons() []Reason {
	var all []Reason
	for _, r := range explainedReasons() {
		all = append(all, r.value)
	}
	return all
}

// Why is the value of the label why of stability_middleware_fact_unknown.
type Why string

// Why a fact is unknown.
const (
	NoPermission  Why = "permission"
	Unsupported   Why = "unsupported"
	TimedOut      Why = "timeout"
	Unreachable   Why = "unreachable"
	Garbled       Why = "protocol"
	WarmingUp     Why = "warming_up"
	NotConfigured Why = "not_configured"
)

func explainedWhys() []explained[Why] {
	return []explained[Why]{
		{NoPermission, "the account may not ask for it"},
		{Unsupported, "the version, the edition or the state of the target does not tell it"},
		{TimedOut, "it was not told in time"},
		{Unreachable, "the target could not be asked"},
		{Garbled, "the answer could not be read"},
		{WarmingUp, "the target has just started and does not know it yet"},
		{NotConfigured, "the configuration does not say what is needed for it"},
	}
}
