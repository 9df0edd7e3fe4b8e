// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"stability-exporter/test/cluster"
	"stability-exporter/test/daemon"
)

// redis is a real server.
type redis struct {
	*daemon.Daemon
	port string
	args []string
}

func newRedis(t *testing.T, args ...string) *redis {
	t.Helper()
	port, err := cluster.FreePort()
	must(t, err)
	r := &redis{port: strconv.Itoa(port)}
	r.args = append([]string{"--port", r.port, "--bind", "127.0.0.1", "--save", "", "--dir", t.TempDir()}, args...)
	r.start(t)
	t.Cleanup(func() { r.Kill() })
	return r
}

func (r *redis) start(t *testing.T) {
	t.Helper()
	var err error
	r.Daemon, err = daemon.Start("redis-server", r.args...)
	must(t, err)
	must(t, r.Await(t.Context(), daemon.Patience, "redis to answer", func(ctx context.Context) error {
		return exec.CommandContext(ctx, "redis-cli", "-p", r.port, "PING").Run()
	}))
}

// command sends a command and fails the test unless the answer begins as wanted.
func (r *redis) command(t *testing.T, want string, args ...string) {
	t.Helper()
	answer, err := exec.CommandContext(t.Context(), "redis-cli", append([]string{"-p", r.port}, args...)...).CombinedOutput()
	if err != nil || !strings.HasPrefix(string(answer), want) {
		t.Fatalf("redis answers %v with %q, %v, want %s", args, answer, err, want)
	}
}

// Real servers hang, fill up and die: each is told once, with its reason, and to the end. No cluster is needed for it.
func TestMiddlewareFails(t *testing.T) {
	t.Parallel()
	const name = "middleware"
	hangs, full, primary := newRedis(t), newRedis(t), newRedis(t)
	replica := newRedis(t, "--replicaof", "127.0.0.1", primary.port)
	config := filepath.Join(t.TempDir(), "config.yaml")
	must(t, os.WriteFile(config, fmt.Appendf(nil, `
middleware:
  interval: 5s
  timeout: 2s
  targets:
    - {name: hangs, kind: redis, address: "127.0.0.1:%s"}
    - {name: full, kind: redis, address: "127.0.0.1:%s"}
    - {name: pair, kind: redis, members: {a: "127.0.0.1:%s", b: "127.0.0.1:%s"}}
`, hangs.port, full.port, primary.port, replica.port), 0o600))
	watch(t, name, "--config.file="+config)
	about := func(target model.LabelValue) model.LabelSet {
		return ofCluster(name).Merge(model.LabelSet{"middleware": "redis", "target": target})
	}
	shared.await(t, patience, "all targets to be healthy", func() string {
		return fmt.Sprintf(`count(stability_middleware_healthy{cluster=%q} == 1) == 5`, name)
	}, ofCluster(name))

	down := incident{"a server hangs", about("hangs"), []page{{alert: "MiddlewareDown", severity: "critical", text: `redis hangs.*since 20.*timeout.*/probe\?target=hangs`}}}
	stops := incident{"a server is full", about("full"), []page{{alert: "MiddlewareNotWritable", severity: "critical", text: `redis full.*not_writable`}}}
	member := incident{"a replica dies", about("pair/b"), []page{{alert: "MiddlewareMemberDown", severity: "warning", text: `pair/b.*refused`}}}
	group := incident{"its primary dies, too", about("pair"), []page{{alert: "MiddlewareDown", severity: "critical", text: `redis pair.*any member.*refused`}}}

	began := time.Now()
	must(t, hangs.Signal(syscall.SIGSTOP))
	full.command(t, "OK", "CONFIG", "SET", "maxmemory", "1kb")
	full.command(t, "OOM", "SET", "key", "value")
	replica.Kill()
	for _, i := range []incident{down, stops, member} {
		i.awaitPages(t, began)
	}
	diedToo := time.Now()
	primary.Kill()
	group.awaitPages(t, diedToo)

	mended := time.Now()
	must(t, hangs.Signal(syscall.SIGCONT))
	full.command(t, "OK", "CONFIG", "SET", "maxmemory", "0")
	primary.start(t)
	replica.start(t)
	for _, i := range []incident{down, stops, group} {
		i.awaitResolved(t, mended)
	}
	member.awaitResolved(t, diedToo) // by then the group is told of instead
	shared.falseAlarms(t, ofCluster(name))
}
