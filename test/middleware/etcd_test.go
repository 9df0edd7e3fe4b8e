// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"stability-exporter/internal/middleware"
	"stability-exporter/internal/state"
	"stability-exporter/test/daemon"
)

// etcdMember is a member of a cluster of etcd.
type etcdMember struct {
	*daemon.Daemon
	name, address, peer, dir string
	secure                   string // its address with TLS, where it has one
}

func newEtcdMember(t *testing.T, name string) *etcdMember {
	t.Helper()
	m := &etcdMember{name: name, dir: serverDir(t, "")}
	m.address, _ = freeAddress(t)
	m.peer, _ = freeAddress(t)
	return m
}

// start starts the member as one of a cluster, which is new or existing, with more arguments.
func (m *etcdMember) start(t *testing.T, kind string, cluster []*etcdMember, more ...string) {
	t.Helper()
	var all []string
	for _, other := range cluster {
		all = append(all, other.name+"=http://"+other.peer)
	}
	clients := "http://" + m.address
	if m.secure != "" {
		clients += ",https://" + m.secure
	}
	m.Daemon = run(t, "etcd", append([]string{
		"--name=" + m.name, "--data-dir=" + m.dir, "--listen-client-urls=" + clients, "--advertise-client-urls=" + clients, "--listen-peer-urls=http://" + m.peer,
		"--initial-advertise-peer-urls=http://" + m.peer, "--initial-cluster=" + strings.Join(all, ","), "--initial-cluster-state=" + kind,
		"--heartbeat-interval=100", "--election-timeout=3000", "--unsafe-no-fsync",
	}, more...)...)
}

// asked is the member as a target.
func (m *etcdMember) asked(t *testing.T, with ...func(*middleware.Target)) *middleware.Target {
	t.Helper()
	return target(t, "etcd", m.address, with...)
}

// gateway asks the JSON gateway of the member.
func (m *etcdMember) gateway(ctx context.Context, path string, body object) (object, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+m.address+path, strings.NewReader(string(text)))
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: HTTP %d: %s", path, response.StatusCode, answer)
	}
	said := object{}
	return said, errors.Join(err, json.Unmarshal(answer, &said))
}

func (m *etcdMember) must(t *testing.T, path string, body object) object {
	t.Helper()
	said, err := m.gateway(t.Context(), path, body)
	if err != nil {
		t.Fatal(err)
	}
	return said
}

func etcdTargets(t *testing.T, members []*etcdMember) []*middleware.Target {
	t.Helper()
	var targets []*middleware.Target
	for _, m := range members {
		targets = append(targets, m.asked(t, grouped))
	}
	return targets
}

// TestEtcd takes one member after the other from a cluster of three.
func TestEtcd(t *testing.T) {
	t.Parallel()
	members := []*etcdMember{newEtcdMember(t, "a"), newEtcdMember(t, "b"), newEtcdMember(t, "c")}
	for _, m := range members {
		m.start(t, "new", members)
	}
	for _, m := range members {
		awaitView(t, m.asked(t), "the cluster", healthy)
	}
	leads := slices.IndexFunc(members, func(m *etcdMember) bool { return probe(t, m.asked(t)).Role == "leader" })
	if leads < 0 {
		t.Fatal("no member leads")
	}
	members[0], members[leads] = members[leads], members[0]
	leader, first, second := members[0], members[1], members[2]
	t.Run("whole", func(t *testing.T) { etcdWhole(t, members) })
	t.Run("learner", func(t *testing.T) { etcdLearner(t, members) })
	t.Run("hung", func(t *testing.T) {
		stopped(t, first.Daemon)
		check(t, probe(t, first.asked(t, answerWithin(time.Second))), onlyProblems(middleware.Timeout))
	})
	awaitView(t, first.asked(t), "it to follow again", healthy)
	t.Run("two of three", func(t *testing.T) {
		first.Kill()
		check(t, probe(t, first.asked(t)), onlyProblems(middleware.Refused))
		for _, m := range []*etcdMember{leader, second} {
			check(t, awaitView(t, m.asked(t), "the loss to be told", unhealthy(middleware.MembersMissing, "2 of 3")), onlyProblems(middleware.MembersMissing), writableIs(state.True))
		}
		awaitGroup(t, "the loss to be told", told("members", "healthy", exactly(2)), etcdTargets(t, members)...)
	})
	// That it leads is what the last one believes until the others did not answer for as long as an election takes; the very first answer must
	// tell all the same.
	t.Run("one of three", func(t *testing.T) {
		second.Kill()
		check(t, probe(t, leader.asked(t)), unhealthy(middleware.NoQuorum, ""), writableIs(state.False))
		later := awaitView(t, leader.asked(t), "it to know no leader", unhealthy(middleware.NoLeader, ""))
		check(t, later, unhealthy(middleware.NoQuorum, ""), roleIs("unknown"), writableIs(state.False))
		check(t, asGroup(t, etcdTargets(t, members)...), unhealthy(middleware.NoQuorum, ""))
		status, err := leader.gateway(t.Context(), "/v3/maintenance/status", object{})
		if err != nil || status["errors"] == nil {
			t.Errorf("the case is about a status that is answered, with errors in it: %v, %v", status, err)
		}
	})
}

func etcdWhole(t *testing.T, members []*etcdMember) {
	for i, m := range members {
		role := "follower"
		if i == 0 {
			role = "leader"
		}
		check(t, probe(t, m.asked(t)), healthy, roleIs(role), writableIs(state.True), told("members", "healthy", exactly(3)), told("alarm", "nospace", exactly(0)),
			told("alarm", "corrupt", exactly(0)), told("saturation", "db_quota", func(share float64) bool { return share >= 0 && share < 0.1 }),
			told("fact", "db_bytes", func(n float64) bool { return n > 0 }), told("fact", "pending_proposals", exactly(0)))
	}
	check(t, asGroup(t, etcdTargets(t, members)...), healthy, told("members", "healthy", exactly(3)))
	check(t, probe(t, members[0].asked(t, func(t *middleware.Target) { t.Limits.ExpectedMembers = 5 })), onlyProblems(middleware.MembersMissing))
	check(t, probe(t, members[1].asked(t, roleWanted("leader"))), onlyProblems(middleware.RoleConflict))
	check(t, probe(t, members[1].asked(t, withTLS(newPKI(t, "").CA))), onlyProblems(middleware.TLS))
	foreign(t, members[0].peer, "etcd")
	foreign(t, members[0].address, "mysql", "postgres", "redis", "zookeeper", "rabbitmq", "elasticsearch")
}

// A learner has no vote: it is neither missing nor counted.
func etcdLearner(t *testing.T, members []*etcdMember) {
	learner := newEtcdMember(t, "learner")
	var added object
	await(t, "the cluster to be old enough for another member", func(ctx context.Context) (err error) {
		added, err = members[0].gateway(ctx, "/v3/cluster/member/add", object{"peerURLs": []string{"http://" + learner.peer}, "isLearner": true})
		return err
	})
	learner.start(t, "existing", append(slices.Clone(members), learner))
	view := awaitView(t, learner.asked(t), "the learner", roleIs("observer"))
	check(t, view, healthy)
	all := append(slices.Clone(members), learner)
	awaitGroup(t, "the learner to be known", healthy, etcdTargets(t, all)...)
	id := added["member"].(map[string]any)["ID"]
	members[0].must(t, "/v3/cluster/member/remove", object{"ID": id})
	for _, m := range members {
		awaitView(t, m.asked(t), "the learner to be forgotten", told("members", "healthy", exactly(3)))
	}
}

// TestEtcdAlone fills a member up to its quota, and asks it with certificates and passwords.
func TestEtcdAlone(t *testing.T) {
	t.Parallel()
	authority := newPKI(t, "")
	m := newEtcdMember(t, "alone")
	m.secure, _ = freeAddress(t)
	certificate, key := authority.issue("etcd", "")
	m.start(t, "new", []*etcdMember{m}, "--quota-backend-bytes=3000000", "--cert-file="+certificate, "--key-file="+key, "--client-cert-auth", "--trusted-ca-file="+authority.CA)
	awaitView(t, m.asked(t), "etcd to serve", healthy)
	t.Run("certificates", func(t *testing.T) {
		certificate, key := authority.issue("monitor", "")
		secure := target(t, "etcd", m.secure, withTLS(authority.CA))
		check(t, probe(t, secure), onlyProblems(middleware.TLS))
		secure.TLS.CertFile, secure.TLS.KeyFile = certificate, key
		check(t, probe(t, secure), healthy, verified, roleIs("leader"))
		secure.TLS.CAFile = newPKI(t, "").CA
		check(t, probe(t, secure), onlyProblems(middleware.CertInvalid))
		check(t, probe(t, target(t, "etcd", m.secure)), func(view *state.MiddlewareView) error {
			if view.Up {
				return errors.New("a port with TLS is asked without")
			}
			return nil
		})
	})
	t.Run("quota", func(t *testing.T) { etcdQuota(t, m) })
	t.Run("accounts", func(t *testing.T) { etcdAccounts(t, m) })
}

func etcdQuota(t *testing.T, m *etcdMember) {
	value := base64.StdEncoding.EncodeToString(make([]byte, 80_000))
	await(t, "the quota to be used up", func(ctx context.Context) error {
		for range 40 {
			_, err := m.gateway(ctx, "/v3/kv/put", object{"key": "a2V5", "value": value})
			if err != nil && strings.Contains(err.Error(), "database space exceeded") {
				return nil
			}
			if err != nil {
				return err
			}
		}
		return errors.New("it takes everything")
	})
	check(t, probe(t, m.asked(t)), onlyProblems(middleware.Alarm, middleware.NotWritable), unhealthy(middleware.Alarm, "nospace"), told("alarm", "nospace", exactly(1)),
		told("alarm", "corrupt", exactly(0)), writableIs(state.False), roleIs("leader"), told("saturation", "db_quota", func(share float64) bool { return share > 0.9 }))
	header := m.must(t, "/v3/kv/range", object{"key": "a2V5"})["header"].(map[string]any)
	m.must(t, "/v3/kv/compaction", object{"revision": header["revision"]})
	m.must(t, "/v3/maintenance/defragment", object{})
	m.must(t, "/v3/maintenance/alarm", object{"action": "DEACTIVATE", "alarm": "NOSPACE", "memberID": header["member_id"]})
	awaitView(t, m.asked(t), "the alarm to end", healthy)
}

// With authentication the status and the numbers are told to those who are let in.
func etcdAccounts(t *testing.T, m *etcdMember) {
	m.must(t, "/v3/auth/role/add", object{"name": "root"})
	m.must(t, "/v3/auth/user/add", object{"name": "root", "password": "root-secret"})
	m.must(t, "/v3/auth/user/grant", object{"user": "root", "role": "root"})
	m.must(t, "/v3/auth/user/add", object{"name": "monitor", "password": "monitor-secret"})
	check(t, probe(t, m.asked(t, as("monitor", "monitor-secret"))), healthy) // not enabled yet
	m.must(t, "/v3/auth/enable", object{})
	check(t, probe(t, m.asked(t, as("monitor", "monitor-secret"))), healthy, roleIs("leader"), told("members", "healthy", exactly(1)))
	check(t, probe(t, m.asked(t, as("monitor", "wrong-secret"))), onlyProblems(middleware.Auth))
	check(t, probe(t, m.asked(t, as("unknown", "any-secret"))), onlyProblems(middleware.Auth))
	check(t, probe(t, m.asked(t)), healthy, roleIs("leader"), told("members", "healthy", exactly(1))) // 3.4 tells this to anybody
}
