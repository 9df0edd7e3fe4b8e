// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
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
	m := &etcdMember{name: name, dir: t.TempDir()}
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
	m.Daemon = run(t, append([]string{
		"etcd", "--name=" + m.name, "--data-dir=" + m.dir, "--listen-client-urls=" + clients, "--advertise-client-urls=" + clients, "--listen-peer-urls=http://" + m.peer,
		"--initial-advertise-peer-urls=http://" + m.peer, "--initial-cluster=" + strings.Join(all, ","), "--initial-cluster-state=" + kind,
		"--heartbeat-interval=100", "--election-timeout=3000", "--unsafe-no-fsync",
	}, more...)...)
}

// asked is the member as a target.
func (m *etcdMember) asked(t *testing.T, with ...setting) *middleware.Target {
	t.Helper()
	return target(t, "etcd", m.address, with...)
}

// gateway asks the JSON gateway of the member.
func (m *etcdMember) gateway(ctx context.Context, path string, body object) (object, error) {
	answer, err := send(ctx, http.MethodPost, "http://"+m.address+path, body)
	if err != nil {
		return nil, err
	}
	said := object{}
	return said, json.Unmarshal(answer, &said)
}

func (m *etcdMember) must(t *testing.T, path string, body object) object {
	t.Helper()
	said, err := m.gateway(t.Context(), path, body)
	if err != nil {
		t.Fatal(err)
	}
	return said
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
	t.Run("hung", func(t *testing.T) { checkHang(t, first.Daemon, first.asked(t)) })
	t.Run("two of three", func(t *testing.T) {
		first.Kill()
		check(t, probe(t, first.asked(t)), down(middleware.Refused, ""))
		for _, m := range []*etcdMember{leader, second} {
			check(t, awaitView(t, m.asked(t), "the loss to be told", unhealthy(middleware.MembersMissing, "2 of 3")), upWith(middleware.MembersMissing), writableIs(state.True))
		}
		awaitGroup(t, asGroup(t, members...), "the loss to be told", upWith(middleware.MembersMissing), tells("members{healthy}", 2))
	})
	// That it leads is what the last one believes until the others did not answer for as long as an election takes; the very first answer must
	// tell all the same.
	t.Run("one of three", func(t *testing.T) {
		second.Kill()
		check(t, probe(t, leader.asked(t)), unhealthy(middleware.NoQuorum, ""), writableIs(state.False))
		later := awaitView(t, leader.asked(t), "it to know no leader", unhealthy(middleware.NoLeader, ""))
		check(t, later, unhealthy(middleware.NoQuorum, ""), roleIs("unknown"), writableIs(state.False))
		checkGroup(t, asGroup(t, members...), upWith(middleware.NoQuorum, middleware.MembersMissing), tells("members{healthy}", 0))
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
		check(t, probe(t, m.asked(t)), healthy, roleIs(role), writableIs(state.True), tells("members{healthy}", 3), tells("alarm{nospace}", 0),
			tells("alarm{corrupt}", 0), tellsBetween("saturation_ratio{db_quota}", 0, 0.1),
			tellsBetween("fact{db_bytes}", 1, unlimited), tells("fact{pending_proposals}", 0))
	}
	checkGroup(t, asGroup(t, members...), healthy, tells("members{healthy}", 3))
	check(t, probe(t, members[0].asked(t, expecting(5))), upWith(middleware.MembersMissing))
	check(t, probe(t, members[1].asked(t, roleWanted("leader"))), upWith(middleware.RoleConflict))
	check(t, probe(t, members[1].asked(t, overTLS(newAuthority(t).file))), down(middleware.TLS, ""))
	askAsEverything(t, stranger{"the port for the other members of etcd", members[0].peer, []string{"http", "tcp"}, []string{"tcp"}})
	askAsEverything(t, stranger{"an etcd", members[0].address, []string{"etcd", "http", "tcp"}, []string{"etcd", "tcp"}})
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
	awaitGroup(t, asGroup(t, all...), "the learner to be known", healthy)
	id := added["member"].(map[string]any)["ID"]
	members[0].must(t, "/v3/cluster/member/remove", object{"ID": id})
	for _, m := range members {
		awaitView(t, m.asked(t), "the learner to be forgotten", tells("members{healthy}", 3))
	}
}

// TestEtcdAlone fills a member up to its quota, and asks it with certificates and passwords.
func TestEtcdAlone(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	m := newEtcdMember(t, "alone")
	m.secure, _ = freeAddress(t)
	server := ca.issueGood(t)
	m.start(t, "new", []*etcdMember{m}, "--quota-backend-bytes=3000000",
		"--cert-file="+server.certificate, "--key-file="+server.key, "--client-cert-auth", "--trusted-ca-file="+ca.file)
	awaitView(t, m.asked(t), "etcd to serve", healthy)
	t.Run("certificates", func(t *testing.T) {
		client := showing(ca.issue(t, "monitor", time.Now().Add(time.Hour)))
		check(t, probe(t, target(t, "etcd", m.secure, overTLS(ca.file))), down(middleware.TLS, ""))
		check(t, probe(t, target(t, "etcd", m.secure, overTLS(ca.file), client)), healthy, certified(server, state.True), roleIs("leader"))
		check(t, probe(t, target(t, "etcd", m.secure, overTLS(newAuthority(t).file), client)), down(middleware.CertInvalid, ""))
		check(t, probe(t, target(t, "etcd", m.secure)), down(middleware.Closed, "")) // a port with TLS is asked without
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
	check(t, probe(t, m.asked(t)), upWith(middleware.Alarm, middleware.NotWritable), unhealthy(middleware.Alarm, "nospace"), tells("alarm{nospace}", 1),
		tells("alarm{corrupt}", 0), writableIs(state.False), roleIs("leader"), tellsBetween("saturation_ratio{db_quota}", 0.9, 1))
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
	check(t, probe(t, m.asked(t, asMonitor())), healthy) // not enabled yet
	m.must(t, "/v3/auth/enable", object{})
	check(t, probe(t, m.asked(t, asMonitor())), healthy, roleIs("leader"), tells("members{healthy}", 1))
	check(t, probe(t, m.asked(t, as("monitor", "wrong-secret"))), down(middleware.Auth, ""))
	check(t, probe(t, m.asked(t, as("unknown", "any-secret"))), down(middleware.Auth, ""))
	check(t, probe(t, m.asked(t)), healthy, roleIs("leader"), tells("members{healthy}", 1)) // 3.4 tells this to anybody
}
