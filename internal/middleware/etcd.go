// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

func etcdKind() Kind {
	return Kind{
		Name: "etcd",
		Help: "Asks /health, /readyz, /metrics and, where the port has it, the JSON gateway of the client API (status and member list); all " +
			"over plain HTTP. Nothing that it asks is written to the log of the cluster. The credential is for a cluster with authentication.",
		Port: "2379", Address: BaseURL,
		Facts: []string{"role", "writable", "members{healthy}", "members_expected", "alarm{nospace}", "alarm{corrupt}", "saturation_ratio{db_quota}",
			"fact{db_bytes}", "fact{leader_changes}", "fact{pending_proposals}", "fact{failed_proposals}"},
		Verified: Verification{
			Live: []string{"etcd 3.4: a cluster of three that loses its members, a learner, a member out of space, TLS and authentication"},
			Fake: []string{"a corrupt member, a port with metrics alone, 3.6 with reasons: recorded answers"},
		},
		Probe:    probeEtcd,
		Together: electorate,
	}
}

// etcd is what one member says. A pointer that is nil: it does not tell.
type etcd struct {
	healthy bool   // a read through the quorum succeeds, no alarm stands
	reason  string // from 3.5 on
	alarms  map[string]bool
	status  *etcdStatus
	members *etcdMembers
	numbers map[string]float64 // of /metrics
	peers   []uint64           // the members that it is connected to; nil: it does not tell
}

// etcdStatus is the answer of /v3/maintenance/status. Numbers are written as texts.
type etcdStatus struct {
	Header struct {
		MemberID jsonScalar `json:"member_id"`
	} `json:"header"`
	Leader    jsonScalar `json:"leader"`
	DBSize    jsonScalar `json:"dbSize"`
	Quota     jsonScalar `json:"dbSizeQuota"` // from 3.6 on
	IsLearner bool       `json:"isLearner"`
	Errors    []string   `json:"errors"`
}

// etcdMembers is the answer of /v3/cluster/member/list.
type etcdMembers struct {
	Members []struct {
		ID        jsonScalar `json:"ID"`
		IsLearner bool       `json:"isLearner"`
	} `json:"members"`
}

// jsonScalar is a number or a text, as it is written without quotes.
type jsonScalar string

// UnmarshalJSON implements json.Unmarshaler.
func (s *jsonScalar) UnmarshalJSON(text []byte) error {
	*s = jsonScalar(strings.Trim(string(text), `"`))
	return nil
}

func (s jsonScalar) number() (float64, bool) {
	n, err := strconv.ParseFloat(string(s), 64)
	return n, err == nil && finite(n)
}

func probeEtcd(ctx context.Context, p *Probe) error {
	var e etcd
	var err error
	if e.healthy, e.reason, err = p.etcdHealth(ctx, "/health"); err != nil {
		return err
	}
	session, err := p.etcdSession(ctx)
	if err != nil {
		return err
	}
	p.Up()
	if err := p.askEtcd(ctx, &e, session); err != nil {
		return err
	}
	p.judgeEtcd(&e)
	p.tellEtcdMembers(&e)
	p.tellEtcdNumbers(&e)
	return p.askEtcdReady(ctx, &e)
}

// etcdHealth asks whether a read through the quorum succeeds and no alarm stands but those that the path excludes.
func (p *Probe) etcdHealth(ctx context.Context, path string) (healthy bool, reason string, err error) {
	a, err := p.exchange(ctx, exchange{method: http.MethodGet, path: path, anonymous: true})
	if err != nil {
		return false, "", err
	}
	var said struct {
		Health jsonScalar `json:"health"`
		Reason string     `json:"reason"`
	}
	wrong := json.Unmarshal(a.body, &said)
	if a.status != http.StatusServiceUnavailable {
		if err := a.refused("/health"); err != nil {
			return false, "", err
		}
	}
	if wrong != nil || said.Health != "true" && said.Health != "false" {
		return false, "", fail(Protocol, "the answer of /health is not etcd's")
	}
	return said.Health == "true", said.Reason, nil
}

// etcdSession logs in where there is a credential. A port without the client API, and a cluster without authentication, need none.
func (p *Probe) etcdSession(ctx context.Context) (Secret, error) {
	username, password, _, err := p.Login()
	if err != nil || username == "" {
		return Secret{}, err
	}
	body, err := json.Marshal(map[string]string{"name": username, "password": password.Reveal()})
	if err != nil {
		return Secret{}, fail(Internal, "cannot write the credential")
	}
	a, err := p.exchange(ctx, exchange{method: http.MethodPost, path: "/v3/auth/authenticate", body: string(body), anonymous: true})
	if err != nil {
		return Secret{}, err
	}
	var said struct{ Token, Error string }
	_ = json.Unmarshal(a.body, &said) // what it does not say is empty
	switch {
	case a.status == http.StatusOK && said.Token != "":
		p.hide(said.Token)
		return NewSecret(said.Token), nil
	case a.status == http.StatusNotFound, strings.Contains(said.Error, "authentication is not enabled"):
		return Secret{}, nil
	case strings.Contains(said.Error, "authentication failed"), a.status == http.StatusUnauthorized:
		return Secret{}, fail(Auth, "wrong user or password")
	}
	return Secret{}, nil // a member without quorum cannot log anybody in, and tells the rest all the same
}

// askEtcd asks for everything but /health. What is not told is unknown, with the reason.
func (p *Probe) askEtcd(ctx context.Context, e *etcd, session Secret) error {
	why := p.etcdGateway(ctx, "/v3/maintenance/status", session, &e.status)
	if why != "" {
		e.status = nil
	}
	if why := p.etcdGateway(ctx, "/v3/cluster/member/list", session, &e.members); why != "" {
		e.members = nil
		if e.isLearner() { // it refuses, with a status that fits a failure
			why = Unsupported
		}
		if p.Target.Limits.ExpectedMembers == 0 {
			p.Unknown("members_expected", why)
		}
	}
	if a, err := p.exchange(ctx, exchange{method: http.MethodGet, path: "/metrics", anonymous: true}); err == nil && a.status == http.StatusOK {
		e.readMetrics(a.body)
	}
	return p.etcdAlarms(ctx, e)
}

// askEtcdReady asks what a load balancer would, which later versions answer with more than /health.
func (p *Probe) askEtcdReady(ctx context.Context, e *etcd) error {
	if !e.healthy || e.isLearner() {
		return nil
	}
	a, err := p.exchange(ctx, exchange{method: http.MethodGet, path: "/readyz", anonymous: true})
	if err != nil {
		return fmt.Errorf("/readyz: %w", err)
	}
	if a.status >= 500 {
		p.Problem(Unavailable, "/readyz: HTTP %d", a.status)
	}
	return nil
}

// etcdGateway asks the JSON gateway, and says why it has no answer.
func (p *Probe) etcdGateway(ctx context.Context, path string, session Secret, out any) Why {
	a, err := p.exchange(ctx, exchange{method: http.MethodPost, path: path, body: "{}", session: session, anonymous: session.Empty()})
	switch {
	case err != nil && reasonOf(err) == Timeout:
		return TimedOut
	case err != nil:
		return Garbled
	case a.status != http.StatusOK:
		return a.whyNot()
	case json.Unmarshal(a.body, out) != nil:
		return Garbled
	}
	return ""
}

func (e *etcd) readMetrics(page []byte) {
	e.numbers = map[string]float64{}
	peers := []uint64{}
	eachSample(page, []string{"etcd_server_", "etcd_mvcc_db_total_size_in_bytes", "etcd_network_active_peers"}, func(s sample) {
		switch {
		case s.name == "etcd_network_active_peers" && s.value >= 1:
			id, _ := strconv.ParseUint(s.label("Remote"), 16, 64) // zero is no member's
			peers = append(peers, id)
		case s.labels == "":
			e.numbers[s.name] = s.value
		}
	})
	if _, known := e.numbers["etcd_server_has_leader"]; known {
		e.peers = peers
	}
}

// isLearner reports whether the member has no vote.
func (e *etcd) isLearner() bool {
	return e.status != nil && e.status.IsLearner || e.numbers["etcd_server_is_learner"] == 1
}

// voters returns how many members with a vote there are, and how many of them are connected, the member itself included. Without the list of
// members, which a learner does not have, all that are connected count, and zero is the number of voters.
func (e *etcd) voters() (connected, all int) {
	if !e.isLearner() {
		connected = 1
	}
	if e.members == nil {
		return connected + len(e.peers), 0
	}
	for _, m := range e.members.Members {
		if m.IsLearner {
			continue
		}
		all++
		id, err := strconv.ParseUint(string(m.ID), 10, 64)
		if err == nil && slices.Contains(e.peers, id) { // a member that was removed may stay among them for ever
			connected++
		}
	}
	return min(connected, all), all
}

// etcdAlarms finds out which alarms stand: the status lists them, and /health leaves out those that it is asked to. Asking the alarm
// service itself would write to the log of the cluster.
func (p *Probe) etcdAlarms(ctx context.Context, e *etcd) error {
	e.alarms = map[string]bool{}
	for _, alarm := range []string{"NOSPACE", "CORRUPT"} {
		switch {
		case e.status != nil:
			e.alarms[alarm] = slices.ContainsFunc(e.status.Errors, func(text string) bool { return strings.Contains(text, "alarm:"+alarm) })
		case e.healthy, e.alarms["NOSPACE"]: // /health without NOSPACE would be false with another one
			e.alarms[alarm] = false
		case e.reason != "":
			e.alarms[alarm] = strings.Contains(e.reason, alarm)
		default:
			without, _, err := p.etcdHealth(ctx, "/health?exclude="+alarm)
			if err != nil {
				return fmt.Errorf("cannot tell alarms apart: %w", err)
			}
			if without {
				e.alarms[alarm] = true
			} else {
				p.Unknown("alarm{"+strings.ToLower(alarm)+"}", Unsupported)
			}
		}
	}
	if (e.alarms["NOSPACE"] || e.alarms["CORRUPT"]) && !e.healthy {
		healthy, _, err := p.etcdHealth(ctx, "/health?exclude=NOSPACE&exclude=CORRUPT") // older than 3.4.14: as without
		if err != nil {
			return fmt.Errorf("cannot tell alarms apart: %w", err)
		}
		e.healthy = healthy
	}
	return nil
}

// hasLeader reports whether the member knows a leader. The metric lags behind for a few seconds: it only counts when nothing else is told.
func (e *etcd) hasLeader() bool {
	switch {
	case strings.Contains(e.reason, "NO LEADER"):
		return false
	case e.status != nil:
		return e.status.Leader != "" && e.status.Leader != "0"
	case e.numbers != nil:
		return e.numbers["etcd_server_has_leader"] == 1
	}
	return e.healthy
}

// majority reports whether the member is connected to enough others to agree with; without knowing, it is not.
func (e *etcd) majority() bool {
	connected, all := e.voters()
	return e.peers != nil && 2*connected > all && all > 0
}

func (p *Probe) judgeEtcd(e *etcd) {
	alarmed := false
	for _, alarm := range []string{"NOSPACE", "CORRUPT"} {
		if on, known := e.alarms[alarm]; known {
			p.Alarm(strings.ToLower(alarm), on)
			alarmed = alarmed || on
		}
	}
	leader := e.hasLeader()
	switch {
	case !leader:
		p.Problem(NoLeader, "the member knows no leader")
		p.Problem(NoQuorum, "the member knows no leader")
	case e.healthy, alarmed && e.majority(), e.isLearner():
	case e.majority():
		p.Problem(Unavailable, "/health is false although a majority is connected: %s", e.reason)
	default:
		p.Problem(NoQuorum, "a read through the quorum fails")
	}
	writable := leader && !alarmed && e.healthy
	p.Writable(writable)
	if leader && alarmed {
		p.Problem(NotWritable, "an alarm keeps it from taking writes")
	}
	p.tellEtcdRole(e, leader)
}

func (p *Probe) tellEtcdRole(e *etcd, leader bool) {
	isLeader, known := e.numbers["etcd_server_is_leader"]
	switch {
	case !leader:
		p.Role("unknown")
	case e.isLearner():
		p.Role("observer")
	case e.status != nil && e.status.Leader == e.status.Header.MemberID, e.status == nil && isLeader == 1:
		p.Role("leader")
	case e.status != nil, known:
		p.Role("follower")
	default:
		p.Unknown("role", Unsupported)
	}
}

func (p *Probe) tellEtcdMembers(e *etcd) {
	connected, all := e.voters()
	if e.peers != nil {
		p.membership(connected, all)
		return
	}
	p.Unknown("members{healthy}", Unsupported)
	if expected := max(all, p.Target.Limits.ExpectedMembers); expected > 0 {
		p.Expected(expected)
	}
}

func (p *Probe) tellEtcdNumbers(e *etcd) {
	size, sized := e.numbers["etcd_mvcc_db_total_size_in_bytes"]
	quota, limited := e.numbers["etcd_server_quota_backend_bytes"]
	if e.status != nil {
		if n, ok := e.status.DBSize.number(); ok {
			size, sized = n, true
		}
		if n, ok := e.status.Quota.number(); ok && n > 0 {
			quota, limited = n, true
		}
	}
	if sized && limited && quota > 0 {
		p.Saturation("db_quota", size, quota)
	} else {
		p.Unknown("saturation_ratio{db_quota}", Unsupported)
	}
	if sized {
		p.Fact("db_bytes", size)
	} else {
		p.Unknown("fact{db_bytes}", Unsupported)
	}
	for fact, name := range map[string]string{
		"leader_changes": "etcd_server_leader_changes_seen_total", "pending_proposals": "etcd_server_proposals_pending",
		"failed_proposals": "etcd_server_proposals_failed_total",
	} {
		if n, known := e.numbers[name]; known {
			p.Fact(fact, n)
		} else {
			p.Unknown("fact{"+fact+"}", Unsupported)
		}
	}
}
