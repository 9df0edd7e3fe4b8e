// SPDX-License-Identifier: Apache-2.0

//go:build differential

package middleware

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"stability-exporter/internal/middleware"
	"stability-exporter/internal/state"
)

// scrapePatience is how long Prometheus waits for an exporter by default.
const scrapePatience = 10 * time.Second

// peer is another exporter that runs beside us.
type peer struct {
	name, address string
}

// startPeer starts an exporter of Debian; listen is how its flag for its own address is spelled.
func startPeer(t *testing.T, name, listen string, arguments ...string) peer {
	t.Helper()
	address, _ := freeAddress(t)
	serve(t, address, append(append([]string{name}, arguments...), listen+"="+address)...)
	return peer{strings.TrimPrefix(name, "prometheus-"), address}
}

// says asks for the samples of the families at a path, as Prometheus would.
func (p peer) says(t *testing.T, path string, families ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), scrapePatience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.address+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Prometheus-Scrape-Timeout-Seconds", fmt.Sprint(scrapePatience.Seconds()))
	text := []byte{}
	response, err := http.DefaultClient.Do(r)
	if err == nil {
		defer response.Body.Close()
		text, err = io.ReadAll(response.Body)
	}
	if err != nil {
		return fmt.Sprintf("%s: no answer within %s: `up` of the exporter is 0 and nothing else is known", p.name, scrapePatience)
	}
	var said []string
	for line := range strings.Lines(string(text)) {
		family, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		family, _, _ = strings.Cut(family, "{")
		if slices.Contains(families, family) {
			said = append(said, "`"+strings.TrimSpace(line)+"`")
		}
	}
	for _, family := range families {
		if !strings.Contains(strings.Join(said, ""), "`"+family) {
			said = append(said, "no `"+family+"`")
		}
	}
	return p.name + ": " + strings.Join(said, ", ")
}

// blackbox asks as the modules of its example do, and for a PONG.
type blackbox struct{ peer }

func startBlackbox(t *testing.T) blackbox {
	t.Helper()
	config := write(t, t.TempDir(), "blackbox.yml", `
modules:
  tcp_connect: {prober: tcp}
  http_2xx: {prober: http}
  ping: {prober: tcp, tcp: {query_response: [{send: "PING"}, {expect: "^\\+PONG"}]}}
`)
	return blackbox{startPeer(t, "prometheus-blackbox-exporter", "--web.listen-address", "--config.file="+config)}
}

func (b blackbox) probes(t *testing.T, module, target string, families ...string) string {
	t.Helper()
	query := url.Values{"module": {module}, "target": {target}}
	return strings.Replace(b.says(t, "/probe?"+query.Encode(), append([]string{"probe_success"}, families...)...), ":", " ("+module+"):", 1)
}

func beside(t *testing.T, r *redis) peer {
	t.Helper()
	return startPeer(t, "prometheus-redis-exporter", "-web.listen-address", "-redis.addr=redis://"+r.address)
}

// comparison is a table of what others and we say of what is broken.
type comparison struct {
	t    *testing.T
	rows []string
}

// add enters what is broken; what we say must be what is wanted.
func (c *comparison) add(broken string, ours *state.MiddlewareView, wanted expectation, theirs ...string) {
	c.t.Helper()
	check(c.t, ours, wanted)
	var said []string
	for _, p := range ours.Problems {
		said = append(said, fmt.Sprintf("`%s` (%s)", p.Reason, p.Detail))
	}
	up := 0
	if ours.Up {
		up = 1
	}
	c.rows = append(c.rows, fmt.Sprintf("| %s | %s | up %d, healthy 0: %s |", broken, strings.Join(theirs, "<br>"), up, strings.Join(said, ", ")))
}

// What others say of the same server at the same moment. The table is the result; it is written to the file that DIFFERENTIAL_TABLE names.
func TestDifferential(t *testing.T) {
	c := &comparison{t: t}
	b := startBlackbox(t)
	for _, compare := range []func(*testing.T, *comparison, blackbox){
		compareCluster, compareSentinel, compareHungPrimary, compareRefusals, compareNginx, compareCertificate, compareHAProxy,
		compareMariaDB, comparePostgreSQL,
	} {
		compare(t, c, b)
	}
	table := "| broken | they say | we say |\n|---|---|---|\n" + strings.Join(c.rows, "\n") + "\n"
	t.Log("\n" + table)
	if path := os.Getenv("DIFFERENTIAL_TABLE"); path != "" {
		if err := os.WriteFile(filepath.Clean(path), []byte(table), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func compareCluster(t *testing.T, c *comparison, b blackbox) {
	nodes := startRedisCluster(t)
	p := beside(t, nodes[0])
	nodes[2].Kill()
	ours := awaitView(t, nodes[0].asked(t), "the failure of the cluster", unhealthy(middleware.NotWritable, ""))
	nodes[0].refusesWrites(t, "CLUSTERDOWN")
	c.add("Redis Cluster of three lost a node; one that is left", ours, upWith(middleware.Degraded, middleware.NotWritable),
		p.says(t, "/metrics", "redis_up", "redis_cluster_state", "redis_cluster_slots_fail"), b.probes(t, "ping", nodes[0].address))
}

func compareSentinel(t *testing.T, c *comparison, b blackbox) {
	primary, _ := startReplicated(t)
	sentinels := startSentinels(t, primary)
	p := beside(t, sentinels[0])
	sentinels[1].Kill()
	sentinels[2].Kill()
	ours := awaitView(t, target(t, "redis_sentinel", sentinels[0].address), "the loss of the quorum", unhealthy(middleware.NoQuorum, ""))
	c.add("two of three sentinels are dead; the one that is left", ours, upWith(middleware.NoQuorum),
		p.says(t, "/metrics", "redis_up", "redis_sentinel_master_status", "redis_sentinel_master_sentinels", "redis_sentinel_master_ok_sentinels",
			"redis_sentinel_master_ckquorum_status"), b.probes(t, "ping", sentinels[0].address))
}

func compareHungPrimary(t *testing.T, c *comparison, b blackbox) {
	primary, replica := startReplicated(t)
	ofReplica, ofPrimary := beside(t, replica), beside(t, primary)
	thaw := freeze(t, primary.PID())
	defer thaw()
	ours := awaitView(t, replica.asked(t, option("max_silence", "2s")), "the silence", upWith(middleware.ReplicationBroken))
	c.add("the primary hangs; its replica", ours, upWith(middleware.ReplicationBroken),
		ofReplica.says(t, "/metrics", "redis_up", "redis_master_link_up", "redis_master_last_io_seconds_ago"), b.probes(t, "ping", replica.address))
	c.add("the primary hangs; the primary itself", probe(t, primary.asked(t, within(time.Second))), down(middleware.Timeout, ""),
		ofPrimary.says(t, "/metrics", "redis_up"), b.probes(t, "tcp_connect", primary.address), b.probes(t, "ping", primary.address))
}

func compareRefusals(t *testing.T, c *comparison, b blackbox) {
	r := startRedis(t, "--save", "3600 1", "--maxclients", "8")
	p := beside(t, r)
	r.fill(t, 1000)
	r.must(t, "CONFIG", "SET", "maxmemory", "1mb")
	r.refusesWrites(t, "OOM")
	c.add("Redis whose memory is full, `noeviction`", probe(t, r.asked(t)), upWith(middleware.NotWritable),
		p.says(t, "/metrics", "redis_up", "redis_memory_used_bytes", "redis_memory_max_bytes"), b.probes(t, "ping", r.address))
	r.must(t, "CONFIG", "SET", "maxmemory", "0")
	if err := os.RemoveAll(r.dir); err != nil {
		t.Fatal(err)
	}
	r.must(t, "BGSAVE")
	ours := awaitView(t, r.asked(t), "the failure of the snapshot", unhealthy(middleware.Alarm, ""))
	c.add("Redis whose snapshot failed, which stops writes", ours, upWith(middleware.Alarm, middleware.NotWritable),
		p.says(t, "/metrics", "redis_up", "redis_rdb_last_bgsave_status"), b.probes(t, "ping", r.address))
	release := occupy(t, r.address, 8, "PING\r\n")
	c.add("Redis that takes no more clients", probe(t, r.asked(t)), down(middleware.Saturated, ""),
		p.says(t, "/metrics", "redis_up"), b.probes(t, "tcp_connect", r.address), b.probes(t, "ping", r.address))
	release()
	awaitView(t, r.asked(t), "a place", unhealthy(middleware.Alarm, ""))
	r.must(t, "CONFIG", "SET", "requirepass", "correct-horse")
	c.add("Redis whose password was changed", probe(t, r.asked(t)), down(middleware.Auth, ""),
		p.says(t, "/metrics", "redis_up"), b.probes(t, "tcp_connect", r.address), b.probes(t, "ping", r.address))
}

func compareNginx(t *testing.T, c *comparison, b blackbox) {
	upstream := startNginx(t, `location / { return 200 "shop"; }`)
	front := startNginx(t, `location / { proxy_pass http://`+upstream.address+`; }`)
	p := startPeer(t, "prometheus-nginx-exporter", "-web.listen-address", "-nginx.scrape-uri=http://"+front.address+"/stub_status")
	upstream.Kill()
	c.add("nginx whose upstream is dead: every page is 502", probe(t, target(t, "nginx", front.address, option("page", "/shop"))),
		upWith(middleware.Unavailable), p.says(t, "/metrics", "nginx_up"), b.probes(t, "http_2xx", "http://"+front.address+"/stub_status"),
		b.probes(t, "http_2xx", "http://"+front.address+"/shop", "probe_http_status_code"))
	thaw := freeze(t, front.PID())
	defer thaw()
	c.add("nginx that hangs", probe(t, target(t, "nginx", front.address, within(time.Second))), down(middleware.Timeout, ""),
		p.says(t, "/metrics", "nginx_up"), b.probes(t, "tcp_connect", front.address))
}

func compareCertificate(t *testing.T, c *comparison, b blackbox) {
	a := newAuthority(t)
	expired := a.issue(t, "127.0.0.1", time.Now().Add(-time.Hour))
	front := startNginxTLS(t, expired, "")
	ours := probe(t, target(t, "nginx", front.address, overTLS(a.file)))
	check(t, ours, certified(expired, state.False))
	c.add("nginx whose certificate has expired (we go on telling when it did)", ours, down(middleware.CertExpired, ""),
		b.probes(t, "http_2xx", "https://"+front.address+"/", "probe_ssl_earliest_cert_expiry"))
}

func compareHAProxy(t *testing.T, c *comparison, b blackbox) {
	address, server := shopServer(t)
	h := startHAProxy(t, statistics, "", "backend shop\n\tserver one "+address+"\n")
	p := startPeer(t, "prometheus-haproxy-exporter", "--web.listen-address", "--haproxy.scrape-uri=http://"+h.address+"/stats;csv")
	awaitView(t, target(t, "haproxy", h.address), "the server", healthy)
	server.Close()
	ours := awaitView(t, target(t, "haproxy", h.address), "the loss of the backend", unhealthy(middleware.Unavailable, ""))
	c.add("HAProxy whose backend has no server", ours, upWith(middleware.Unavailable, middleware.Degraded),
		p.says(t, "/metrics", "haproxy_up", "haproxy_backend_up"), b.probes(t, "tcp_connect", h.shop))
}

func compareMariaDB(t *testing.T, c *comparison, b blackbox) {
	ca := newAuthority(t)
	primary, replica := startMariaDB(t, 1, ca), startMariaDB(t, 2, ca)
	replica.follow(t, primary, "")
	replica.sql(t, "SET GLOBAL read_only=1")
	awaitView(t, replica.asked(t), "the replica", healthy)
	t.Setenv("DATA_SOURCE_NAME", "monitor:monitor-secret@("+replica.address+")/")
	p := startPeer(t, "prometheus-mysqld-exporter", "--web.listen-address")
	primary.Kill()
	ours := awaitView(t, replica.asked(t), "the loss of the primary", upWith(middleware.ReplicationBroken))
	c.add("MariaDB whose primary is dead; its replica", ours, upWith(middleware.ReplicationBroken),
		p.says(t, "/metrics", "mysql_up", "mysql_slave_status_slave_io_running", "mysql_slave_status_seconds_behind_master"),
		b.probes(t, "tcp_connect", replica.address))
}

func comparePostgreSQL(t *testing.T, c *comparison, b blackbox) {
	primary := startPostgres(t, newAuthority(t))
	standby := primary.standby(t, "one")
	awaitView(t, standby.asked(t), "the standby", healthy)
	t.Setenv("DATA_SOURCE_NAME", "postgresql://monitor:monitor-secret@"+standby.address+"/postgres?sslmode=disable")
	p := startPeer(t, "prometheus-postgres-exporter", "--web.listen-address")
	primary.Kill()
	ours := awaitView(t, standby.asked(t), "the loss of the primary", upWith(middleware.ReplicationBroken))
	c.add("PostgreSQL whose primary is dead; its standby", ours, upWith(middleware.ReplicationBroken),
		p.says(t, "/metrics", "pg_up", "pg_replication_lag", "pg_replication_is_replica"), b.probes(t, "tcp_connect", standby.address))
}
